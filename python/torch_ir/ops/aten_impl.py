# SPDX-License-Identifier: MIT
"""Execution of what is no ATen op."""

from typing import Any, Dict, List


def execute_getitem(inputs: List[Any], attrs: Dict[str, Any]) -> List[Any]:
    """One of the results of a node with several. (The interpreter does the same without a call.)"""
    return [inputs[attrs.get("index", 0)]]
