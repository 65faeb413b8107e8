# SPDX-License-Identifier: MIT
"""From an ExportedProgram to a graph."""

import gc
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from .analyzer import NodeInfo
from .ir import IR, OpNode
from .ops.aten_ops import get_op_type
from .ops.registry import get_conversion_fn

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class ConversionError(Exception):
    """An exported program cannot be converted."""


def convert_exported_program(exported: "ExportedProgram", model_name: str = "", strict: bool = False) -> IR:
    """The graph of an exported program.

    Args:
        exported: What ``torch.export.export`` or ``torch.export.load`` returned.
        model_name: Name of the graph.
        strict: Whether a failing function of :func:`torch_ir.register_op` is an error; else there is a warning, and its
            node is converted as if there were none.

    Raises:
        ConversionError: The program has something in it that the IR has no form for.
    """
    from .fx_graph import ProgramConverter

    with _no_collection():
        program = ProgramConverter(exported)
    for index, node in enumerate(program.nodes):
        if get_conversion_fn(node.op_type) is None:
            continue
        info = NodeInfo(node.name, program.targets[node.name], node.inputs, node.outputs, node.attrs)
        try:
            program.nodes[index] = convert_node(info)
        except Exception as error:
            message = f"Failed to convert node '{node.name}' with op '{node.op_type}': {error}"
            if strict:
                raise ConversionError(message) from error
            warnings.warn(f"{message}; it is converted as if no function were registered for it", stacklevel=2)
    return program.ir(model_name)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps the garbage collector from walking over all that torch.export has left just because objects are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def convert_node(node_info: NodeInfo) -> OpNode:
    """The node that the function registered for an op makes; without one, what is known of it as it is.

    Raises:
        TypeError: The function returns something else.
    """
    op_type = get_op_type(node_info.target)
    if (function := get_conversion_fn(op_type)) is not None:
        node = function(node_info)
        if not isinstance(node, OpNode):
            raise TypeError(f"expected an OpNode from the registered function, found {node!r}")
        return node
    return OpNode(node_info.name, op_type, node_info.input_metas, node_info.output_metas, node_info.attrs)
