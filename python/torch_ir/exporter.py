# SPDX-License-Identifier: MIT
"""From a module to its graph, by torch.export."""

import sys
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from .ir import IR
from .tensors import is_torch_tensor

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram


class ExportError(Exception):
    """A module cannot be exported."""


def is_meta_tensor(tensor: "torch.Tensor") -> bool:
    """Whether a tensor is on the meta device."""
    return tensor.device.type == "meta"


def is_meta_module(module: "nn.Module") -> bool:
    """Whether all parameters and buffers of a module are on the meta device."""
    return all(map(is_meta_tensor, (*module.parameters(), *module.buffers())))


def validate_meta_device(model: "nn.Module") -> None:
    """Check that a module is on the meta device.

    Raises:
        ExportError: It is not.
    """
    if not is_meta_module(model):
        raise ExportError(
            "Model must be on meta device, so that no weights are needed: build it under "
            "`with torch.device('meta'):`, use `model.to('meta')`, or pass strict=False"
        )


def validate_inputs_meta(inputs: Tuple[Any, ...]) -> None:
    """Check that all tensors among the inputs are on the meta device.

    Raises:
        ExportError: One is not.
    """
    for i, value in enumerate(inputs):
        if is_torch_tensor(value) and not is_meta_tensor(value):
            raise ExportError(
                f"Input {i} must be on meta device, but is on '{value.device}': use `.to('meta')`, or pass strict=False"
            )


def export_model(
    model: "nn.Module",
    example_inputs: Tuple[Any, ...],
    *,
    strict: bool = True,
    kwargs: Optional[Dict[str, Any]] = None,
    dynamic_shapes: Any = None,
) -> "ExportedProgram":
    """Export a module with ``torch.export.export``.

    Args:
        model: The module.
        example_inputs: Its positional arguments.
        strict: Require that the module and the inputs are on the meta device.
        kwargs: Its keyword arguments.
        dynamic_shapes: Which sizes may vary, as ``torch.export.export`` takes it.

    Raises:
        ExportError: Something is not on the meta device, or torch.export fails.
    """
    if strict:
        validate_meta_device(model)
        validate_inputs_meta((*example_inputs, *(kwargs or {}).values()))
    import torch

    _register_caches()
    try:
        return torch.export.export(model, tuple(example_inputs), kwargs, dynamic_shapes=dynamic_shapes)
    except Exception as error:
        raise ExportError(f"Failed to export model: {error}") from error


def _register_caches() -> None:
    """Tells torch.export how the caches nest that models of transformers take and return."""
    if "transformers.cache_utils" not in sys.modules:
        return
    try:
        from transformers.integrations.executorch import register_dynamic_cache_export_support
    except ImportError:  # older versions of transformers do it by themselves
        return
    register_dynamic_cache_export_support()


def get_model_name(model: "nn.Module") -> str:
    """The name of a module's class."""
    return type(model).__name__


def extract_ir(
    model: "nn.Module",
    example_inputs: Tuple[Any, ...],
    *,
    model_name: Optional[str] = None,
    strict: bool = True,
    kwargs: Optional[Dict[str, Any]] = None,
    dynamic_shapes: Any = None,
) -> IR:
    """The graph of a module.

    Args:
        model: The module.
        example_inputs: Its positional arguments.
        model_name: Name of the graph; the name of the module's class when left out.
        strict: Require that the module and the inputs are on the meta device, so that no weights are in memory.
        kwargs: Its keyword arguments.
        dynamic_shapes: Which sizes may vary, as ``torch.export.export`` takes it.

    Raises:
        ExportError: Something is not on the meta device, or torch.export fails.
        ConversionError: The exported program has something in it that the IR has no form for.
    """
    from .converter import convert_exported_program

    exported = export_model(model, example_inputs, strict=strict, kwargs=kwargs, dynamic_shapes=dynamic_shapes)
    return convert_exported_program(exported, get_model_name(model) if model_name is None else model_name)
