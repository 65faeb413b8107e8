# SPDX-License-Identifier: MIT
"""Weight files: safetensors, sharded indices, torch.save checkpoints, `.pt2`. Nothing in them is executed."""

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from .ir import IR


class WeightLoadError(Exception):
    """A weight file cannot be read."""


def load_weights(path: Union[str, "os.PathLike[str]"], framework: Optional[str] = None) -> Dict[str, Any]:
    """The tensors of a weight file, recognised by its content, by name.

    Args:
        path: ``.safetensors``, ``model.safetensors.index.json``, a checkpoint (``.pt``, ``.pth``, ``.bin``), ``.pt2``.
        framework: ``"torch"`` for tensors with memory of their own; ``"numpy"`` for arrays over the mapped file, which
            are read-only and cost no memory. When left out, torch if the program has imported it, else NumPy.

    Raises:
        WeightLoadError: There is no such file, or it is malformed or of another kind.
    """
    from . import _core
    from .tensors import to_numpy, to_torch, torch_if_imported

    if framework is None:
        framework = "numpy" if torch_if_imported() is None else "torch"
    if framework not in ("torch", "numpy"):
        raise ValueError(f"framework: expected 'torch' or 'numpy', found {framework!r}")
    path = Path(path)
    if not path.exists():
        raise WeightLoadError(f"Weight file not found: {path}")
    try:
        weights = _core.Weights.open(path)
        tensors = {name: weights[name] for name in weights.names()}
    except _core.Error as error:
        raise WeightLoadError(
            f"Failed to load weights from {path}: {error}\n"
            "Supported formats: .safetensors, .safetensors.index.json, .pt, .pth, .bin, .pt2"
        ) from error
    convert = to_torch if framework == "torch" else to_numpy
    converted: Dict[Any, Any] = {}  # tied weights stay one tensor
    result = {}
    for name, tensor in tensors.items():
        key = (tensor.address, tensor.dtype, tensor.shape, tensor.strides)
        if key not in converted:
            converted[key] = convert(tensor)
        result[name] = converted[key]
    return result


def load_weights_pt(path: Union[str, "os.PathLike[str]"]) -> Dict[str, Any]:
    """A name that pytorch-ir has for :func:`load_weights`: the kind of file is told by its content."""
    return load_weights(path)


load_weights_safetensors = load_weights_pt


def validate_weights_against_ir(weights: Dict[str, Any], ir: IR) -> List[str]:
    """What is wrong with weights for a graph: missing names, other shapes or dtypes. Empty when all is well."""
    from .tensors import dtype_name, take_apart

    weights = take_apart(weights)
    errors = []
    missing = sorted(meta.name for meta in ir.weights if meta.name not in weights)
    if missing:
        errors.append(f"Missing weights: {', '.join(missing)}")
    for meta in ir.weights:
        if meta.name not in weights:
            continue
        tensor = weights[meta.name]
        if tuple(tensor.shape) != tuple(meta.shape):
            errors.append(f"Shape mismatch for '{meta.name}': expected {tuple(meta.shape)}, got {tuple(tensor.shape)}")
        if dtype_name(tensor) != meta.dtype:
            errors.append(f"Dtype mismatch for '{meta.name}': expected {meta.dtype}, got {dtype_name(tensor)}")
    return errors
