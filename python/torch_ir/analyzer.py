# SPDX-License-Identifier: MIT
"""Questions about an exported program."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List

from .ir import TensorMeta

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


@dataclass
class NodeInfo:
    """What a function of :func:`torch_ir.register_op` is told of a node.

    Attributes:
        name: Name of the node.
        target: What it calls, ``torch.ops.aten.conv2d.default``.
        input_metas: Its tensor arguments, flat.
        output_metas: What it returns, flat.
        attrs: Its other arguments by name.
    """

    name: str
    target: Any
    input_metas: List[TensorMeta]
    output_metas: List[TensorMeta]
    attrs: Dict[str, Any]


class GraphAnalyzer:
    """Inputs, outputs, weights and calls of an exported program."""

    def __init__(self, exported: "ExportedProgram"):
        from .fx_graph import ProgramConverter

        self.exported = exported
        self.graph_module = exported.graph_module
        self.graph = exported.graph_module.graph
        self.graph_signature = exported.graph_signature
        self._converted = ProgramConverter(exported)
        self._nodes = {node.name: node for node in self._converted.nodes}

    def get_graph_inputs(self) -> List[TensorMeta]:
        """The user's inputs."""
        return list(self._converted.inputs)

    def get_graph_outputs(self) -> List[TensorMeta]:
        """The user's outputs."""
        return list(self._converted.outputs)

    def get_weights(self) -> List[TensorMeta]:
        """Parameters, buffers and lifted constants by their ``state_dict`` key."""
        return list(self._converted.weights)

    def get_weight_name_mapping(self) -> Dict[str, str]:
        """Placeholder in the graph to ``state_dict`` key."""
        return dict(self._converted.weight_name_mapping)

    def get_call_function_nodes(self) -> List[NodeInfo]:
        """The calls, in order."""
        targets = self._converted.targets
        return [
            NodeInfo(node.name, targets[node.name], node.inputs, node.outputs, node.attrs)
            for node in self._converted.nodes
        ]

    def get_node_output_meta(self, node_name: str) -> List[TensorMeta]:
        """What the FX node of that name returns."""
        if node_name in self._nodes:
            return list(self._nodes[node_name].outputs)
        meta = self._converted.value(node_name)
        return [] if meta is None else [meta]

    def get_node_input_meta(self, node: "torch.fx.Node") -> List[TensorMeta]:
        """The tensor arguments of an FX node."""
        return list(self._nodes[node.name].inputs) if node.name in self._nodes else []
