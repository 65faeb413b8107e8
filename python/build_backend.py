# SPDX-License-Identifier: MIT
"""Builds the wheel with meson-python: one for CPython's stable ABI where nanobind can use it, which is from 3.12 on."""

import sys

import mesonpy
from mesonpy import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return mesonpy.build_wheel(wheel_directory, _with_abi(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return mesonpy.build_editable(wheel_directory, _with_abi(config_settings), metadata_directory)


def _with_abi(config_settings):
    settings = dict(config_settings or {})
    if sys.version_info < (3, 12):
        given = settings.get("setup-args", [])
        given = [given] if isinstance(given, str) else list(given)
        settings["setup-args"] = ["-Dpython.allow_limited_api=false", *given]
    return settings
