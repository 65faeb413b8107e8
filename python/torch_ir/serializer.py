# SPDX-License-Identifier: MIT
"""The JSON form of a graph: text, files, validation."""

import json
import os
from pathlib import Path
from typing import Union

from .ir import IR


class SerializationError(Exception):
    """A graph is malformed, or its text is."""


def serialize_ir(ir: IR) -> str:
    """The JSON text of a graph, indented by two."""
    return json.dumps(ir.to_dict(), indent=2)


def deserialize_ir(json_str: str) -> IR:
    """The graph in a JSON text, this package's or pytorch-ir's.

    Raises:
        SerializationError: The text is no JSON, or not what docs/format.md says.
    """
    try:
        return IR.from_dict(json.loads(json_str))
    except json.JSONDecodeError as error:
        raise SerializationError(f"Invalid JSON: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise SerializationError(f"Invalid IR format: {what}") from error


def save_ir(ir: IR, path: Union[str, "os.PathLike[str]"]) -> None:
    """Write the JSON text of a graph to a file, whose folder is made. The file appears whole or not at all.

    Raises:
        ValueError: The file is called as one of another kind, ``.pt2``.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ir.save(path)


def load_ir(path: Union[str, "os.PathLike[str]"]) -> IR:
    """Read a graph: a JSON file, a ``.pt2`` of ``torch.export.save``, or a folder with ``model.pt2`` or ``ir.json``.

    Raises:
        FileNotFoundError: There is no such file.
        SerializationError: The file is malformed or of another kind; the message names it.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"IR file not found: {path}")
    if path.is_file():
        with open(path, "rb") as file:
            start = file.read(64).lstrip()
        if not start.startswith(b"PK\x03\x04"):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise SerializationError(f"{path}: expected JSON or a .pt2 file: {error}") from error
            return _deserialize_file(path, text)
    from . import _core

    try:
        text = _core.Model.read(path).to_json()
    except _core.Error as error:
        raise SerializationError(str(error)) from error
    return _deserialize_file(path, text)


def _deserialize_file(path: Path, text: str) -> IR:
    try:
        return deserialize_ir(text)
    except SerializationError as error:
        raise SerializationError(f"{path}: expected a graph as JSON, or a .pt2 file: {error}") from error.__cause__


def validate_ir(ir: IR) -> bool:
    """Check names, producers, order, arguments against the schemas of the ops, shapes and dtypes.

    Returns:
        True.

    Raises:
        SerializationError: The graph is not valid; the message lists all that is wrong.
    """
    from . import _core

    try:
        model = _core.Model.parse(json.dumps(ir.to_dict()), lenient=True)
        errors = [text for is_error, text in model.issues() if is_error]
    except (_core.Error, TypeError, ValueError, RecursionError) as error:
        errors = [str(error)]
    if errors:
        plural = "error" if len(errors) == 1 else "errors"
        raise SerializationError(
            f"IR validation failed with {len(errors)} {plural}:\n" + "\n".join(f"  - {error}" for error in errors)
        )
    return True
