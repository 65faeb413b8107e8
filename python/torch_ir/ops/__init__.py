# SPDX-License-Identifier: MIT
"""Conversion and execution of single ops by functions of the user's."""

from .registry import get_conversion_fn, get_execution_fn, register_executor, register_op

__all__ = ["register_op", "register_executor", "get_conversion_fn", "get_execution_fn"]
