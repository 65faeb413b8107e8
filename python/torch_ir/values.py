# SPDX-License-Identifier: MIT
"""Descriptions of the values in FX graphs: tensors, symbolic numbers, where nodes come from."""

import math
from typing import Any, Dict, List, Optional, Tuple

import torch

from . import _core
from .ir import Size, TensorMeta, torch_name

#: The class of random generators. In the IR a generator is the tensor of its state, of so many bytes.
GENERATOR_CLASS = "torch._C.Generator"
GENERATOR_STATE_SIZE = 5056


class ValueReader:
    """Describes values; remembers what it has seen of symbols and stack traces."""

    def __init__(self) -> None:
        self._expressions: Dict[Any, Size] = {}
        self._hints: Dict[str, int] = {}
        self._locations: Dict[str, str] = {}

    def describe(self, name: str, value: Any, is_result: bool = False) -> Optional[TensorMeta]:
        """A tensor, symbolic number or custom object; None for a constant. A number that a node returns is symbolic."""
        if isinstance(value, torch.Tensor):
            shape = self._sizes(value.shape)
            self._note_hints(value.shape)
            strides = self._sizes(value.stride())
            return TensorMeta(
                name, shape, torch_name(value.dtype), strides=None if _is_row_major(shape, strides, value) else strides
            )
        for kind, symbolic, plain, dtype in (
            ("sym_bool", torch.SymBool, bool, "bool"),
            ("sym_int", torch.SymInt, int, "int64"),
            ("sym_float", torch.SymFloat, float, "float64"),
        ):
            if isinstance(value, symbolic) or (is_result and type(value) is plain):
                return TensorMeta(name, (), dtype, type=kind, expr=self._scalar_text(value))
        if getattr(value, "class_fqn", None) == GENERATOR_CLASS:
            return TensorMeta(name, (GENERATOR_STATE_SIZE,), "uint8")
        if type(value).__name__ in ("CustomObjArgument", "ScriptObject", "FakeScriptObject"):
            return TensorMeta(name, (), "", type="custom_object")
        return None

    def _sizes(self, sizes: Any) -> Tuple[Size, ...]:
        return tuple(size if type(size) is int else self._size(size) for size in sizes)

    def _size(self, size: Any) -> Size:
        expression = size.node.expr
        known = self._expressions.get(expression)
        if known is None:
            known = int(expression) if expression.is_number else self._text(expression)
            self._expressions[expression] = known
        return known

    def _note_hints(self, sizes: Any) -> None:
        for size in sizes:
            if type(size) is not int and size.node.expr.is_Symbol and size.node.hint is not None:
                self._hints.setdefault(str(size.node.expr), int(size.node.hint))

    @staticmethod
    def _text(expression: Any) -> str:
        from sympy.printing.repr import srepr

        return _core.expression_text(srepr(expression))

    def _scalar_text(self, value: Any) -> Optional[str]:
        if isinstance(value, (bool, int)):
            return str(value)
        if isinstance(value, float):
            return repr(value) if math.isfinite(value) else None
        expression = value.node.expr
        if isinstance(value, torch.SymInt):
            return str(self._size(value))
        return self._text(expression)

    def constant_of(self, value: Any) -> Any:
        """The number of a symbolic number that is one."""
        expression = value.node.expr
        if not expression.is_number:
            raise TypeError(f"the symbolic number {expression} is an argument, but no value of the graph")
        return float(expression) if isinstance(value, torch.SymFloat) else int(expression)

    def symbols(self, ranges: Dict[Any, Any]) -> List[Dict[str, Any]]:
        """Name, range and value at export time of each symbol."""
        symbols = []
        for symbol, bounds in sorted(ranges.items(), key=lambda item: str(item[0])):
            entry: Dict[str, Any] = {"name": str(symbol)}
            for key, bound in (("min", bounds.lower), ("max", bounds.upper)):
                if getattr(bound, "is_Integer", False):
                    entry[key] = int(bound)
            if entry["name"] in self._hints:
                entry["hint"] = self._hints[entry["name"]]
            symbols.append(entry)
        return symbols

    def source_of(self, node: torch.fx.Node) -> Optional[Dict[str, str]]:
        """Module, line and function that a node comes from."""
        source = {}
        stack = node.meta.get("nn_module_stack")
        if stack:
            path, kind = next(reversed(stack.values()))
            kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
            if path != kind:
                if path := _module_path(path):
                    source["module_path"] = path
                source["module_type"] = kind
        trace = node.meta.get("stack_trace")
        if trace:
            location = self._locations.get(trace)
            if location is None:
                location = self._locations[trace] = _location(trace)
            if location:
                source["location"] = location
        function = node.meta.get("torch_fn")
        if function:
            source["function"] = function[-1]
        elif functions := node.meta.get("source_fn_stack"):
            called = functions[-1][1]
            source["function"] = called if isinstance(called, str) else f"{called.__module__}.{called.__name__}"
        return source or None


def _module_path(path: str) -> str:
    """``layer.0`` for ``L['self'].layer.0``, as some versions of torch have it."""
    if path.startswith("L['"):
        path = path.partition("']")[2]
    return path.lstrip(".")


def _location(trace: str) -> str:
    """``model.py:16`` of the innermost line of a stack trace that is in a file."""
    end = len(trace)
    while (begin := trace.rfind('File "', 0, end)) >= 0:
        file, separator, rest = trace[begin + 6 : end].partition('", line ')
        end = begin
        file = file.replace("\\", "/").rpartition("/")[2]
        if separator and not file.startswith("<"):
            digits = len(rest) - len(rest.lstrip("0123456789"))
            return f"{file}:{rest[:digits]}"
    return ""


def _is_row_major(shape: Tuple[Size, ...], strides: Tuple[Size, ...], value: torch.Tensor) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides)):
        if type(size) is not int or type(stride) is not int:
            return _is_symbolically_row_major(value)
        if size != 1 and stride != step:
            return False
        step *= size if size > 0 else 1
    return True


def _is_symbolically_row_major(value: torch.Tensor) -> bool:
    step: Any = 1
    for size, stride in zip(reversed(value.shape), reversed(value.stride())):
        size = size.node.expr if isinstance(size, torch.SymInt) else size
        stride = stride.node.expr if isinstance(stride, torch.SymInt) else stride
        difference = stride - step
        if size != 1 and difference != 0 and (isinstance(difference, int) or difference.expand() != 0):
            return False
        step = step * size if size != 0 else step
    return True
