# SPDX-License-Identifier: MIT
"""Functions of the user's that convert or compute an op instead of this package."""

from typing import Any, Callable, Dict, List, Optional

_CONVERSION_REGISTRY: Dict[str, Callable] = {}
_EXECUTION_REGISTRY: Dict[str, Callable] = {}


def register_op(op_pattern: str) -> Callable[[Callable], Callable]:
    """Decorator for a function that makes the node of an op.

    Args:
        op_pattern: ``"aten.conv2d.default"``, or ``"aten.conv2d"`` for every overload. As in pytorch-ir, an overload
            that has no function of its own is given to that of the op or of another overload.

    Raises:
        TypeError: There is no pattern: ``@register_op`` without parentheses.
        ValueError: The pattern is not in the form that nodes have in ``op_type``.

    The function is given a :class:`torch_ir.analyzer.NodeInfo` and returns an :class:`torch_ir.OpNode`::

        @register_op("my.op.default")
        def convert(info):
            return OpNode(info.name, "my.other_op.default", info.input_metas, info.output_metas, info.attrs)
    """
    return _registering("register_op", _CONVERSION_REGISTRY, op_pattern)


def register_executor(op_pattern: str) -> Callable[[Callable], Callable]:
    """Decorator for a function that computes an op.

    Args:
        op_pattern: See :func:`register_op`. So a function for one overload of an op also computes the others, unless
            they have functions of their own.

    Raises:
        TypeError, ValueError: See :func:`register_op`.

    The function is given the node's tensor arguments as a flat list and its other arguments by name, and returns the
    list of results, with the dtypes and shapes that the graph declares for them. The tensors are torch tensors when the
    caller runs the model with torch tensors, else NumPy arrays; they share memory with the interpreter and must not be
    written to::

        @register_executor("my.op.default")
        def execute(inputs, attrs):
            return [inputs[0] * attrs["scale"]]
    """
    return _registering("register_executor", _EXECUTION_REGISTRY, op_pattern)


def _registering(decorator: str, registry: Dict[str, Callable], op_pattern: str) -> Callable[[Callable], Callable]:
    if not isinstance(op_pattern, str):
        raise TypeError(
            f'{decorator}: expected the name of an op, as in @{decorator}("aten.relu.default"), found a '
            f"{type(op_pattern).__name__}"
        )
    if "::" in op_pattern:
        name = op_pattern.replace("::", ".")
        raise ValueError(f'{decorator}: expected an op_type of the graph, "{name}", found "{op_pattern}"')

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
