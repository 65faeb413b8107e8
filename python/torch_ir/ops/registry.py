# SPDX-License-Identifier: MIT
"""Functions of the user's that convert or compute an op instead of this package."""

from typing import Any, Callable, Dict, List, Optional

_CONVERSION_REGISTRY: Dict[str, Callable] = {}
_EXECUTION_REGISTRY: Dict[str, Callable] = {}


def register_op(op_pattern: str) -> Callable[[Callable], Callable]:
    """Decorator for a function that makes the node of an op.

    Args:
        op_pattern: ``"aten.conv2d.default"``, or ``"aten.conv2d"`` for every overload.

    The function is given a :class:`torch_ir.analyzer.NodeInfo` and returns an :class:`torch_ir.OpNode`::

        @register_op("my.op.default")
        def convert(info):
            return OpNode(info.name, "my.other_op.default", info.input_metas, info.output_metas, info.attrs)
    """
    return _registering(_CONVERSION_REGISTRY, op_pattern)


def register_executor(op_pattern: str) -> Callable[[Callable], Callable]:
    """Decorator for a function that computes an op.

    Args:
        op_pattern: ``"aten.conv2d.default"``, or ``"aten.conv2d"`` for every overload.

    The function is given the node's tensor arguments as a flat list and its other arguments by name, and returns the
    list of results. The tensors are torch tensors when the caller runs the model with torch tensors, else NumPy
    arrays; they share memory with the interpreter and must not be written to::

        @register_executor("my.op.default")
        def execute(inputs, attrs):
            return [inputs[0] * attrs["scale"]]
    """
    return _registering(_EXECUTION_REGISTRY, op_pattern)


def _registering(registry: Dict[str, Callable], op_pattern: str) -> Callable[[Callable], Callable]:
    def register(function: Callable) -> Callable:
        registry[op_pattern] = function
        return function

    return register


def _base_op_name(op_type: str) -> str:
    """``aten.conv2d`` for ``aten.conv2d.default``; what is not of the namespace aten stays as it is."""
    parts = op_type.split(".")
    return ".".join(parts[:2]) if parts[0] == "aten" and len(parts) > 2 else op_type


def _lookup(registry: Dict[str, Callable], op_type: str) -> Optional[Callable]:
    """The function for exactly this op, for its base name, or for another overload of it."""
    if not registry:
        return None
    base = _base_op_name(op_type)
    for key in (op_type, base):
        if key in registry:
            return registry[key]
    return next((function for pattern, function in registry.items() if _base_op_name(pattern) == base), None)


def get_conversion_fn(op_type: str) -> Optional[Callable]:
    """The function registered to convert an op, or None."""
    return _lookup(_CONVERSION_REGISTRY, op_type)


def get_execution_fn(op_type: str) -> Optional[Callable[[List[Any], Dict[str, Any]], List[Any]]]:
    """The function registered to compute an op, or None."""
    return _lookup(_EXECUTION_REGISTRY, op_type)


def registered_executors() -> Dict[str, Callable]:
    """The functions that compute ops, by pattern, as they are now."""
    return dict(_EXECUTION_REGISTRY)
