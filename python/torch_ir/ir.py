# SPDX-License-Identifier: MIT
"""The graph of a model as plain objects, and their JSON form (docs/format.md)."""

import json
import math
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple, Union

FORMAT_VERSION = "1.0"

#: A size: a number, or the text of an expression over the symbols of the model, such as ``"2*s0"``.
Size = Union[int, str]

_TORCH_OBJECTS = frozenset({"dtype", "device", "layout", "memory_format"})


@dataclass
class TensorMeta:
    """Shape and dtype of a tensor, never its values.

    Attributes:
        name: Name of the value, unique in its graph.
        shape: Sizes; text where a size is an expression over symbols.
        dtype: PyTorch's name, ``"float32"``.
        producer_node: Where a node uses the tensor: the node that computes it. None for weights.
        producer_output_idx: Position among the outputs of that node.
        strides: In elements, when the tensor is not row-major contiguous.
        type: ``"sym_int"``, ``"sym_float"``, ``"sym_bool"`` or ``"custom_object"`` for what is no tensor.
        expr: What a symbolic number is, where the source tells.
    """

    name: str
    shape: Tuple[Size, ...]
    dtype: str
    producer_node: Optional[str] = None
    producer_output_idx: int = 0
    strides: Optional[Tuple[Size, ...]] = None
    type: Optional[str] = None
    expr: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        """The JSON form."""
        data: Dict[str, Any] = {"name": self.name}
        if self.type != "custom_object":
            data["shape"] = list(self.shape)
            data["dtype"] = self.dtype
        if self.strides is not None:
            data["strides"] = list(self.strides)
        if self.type is not None:
            data["type"] = self.type
        if self.expr is not None:
            data["expr"] = self.expr
        if self.producer_node is not None:
            data["producer_node"] = self.producer_node
            data["producer_output_idx"] = self.producer_output_idx
        return data

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "TensorMeta":
        """The reverse of :meth:`to_dict`."""
        strides = data.get("strides")
        is_object = data.get("type") == "custom_object"
        return cls(
            name=data["name"],
            shape=() if is_object else tuple(data["shape"]),
            dtype="" if is_object else data["dtype"],
            producer_node=data.get("producer_node"),
            producer_output_idx=data.get("producer_output_idx", 0),
            strides=None if strides is None else tuple(strides),
            type=data.get("type"),
            expr=data.get("expr"),
        )


@dataclass
class OpNode:
    """One call of an op.

    Attributes:
        name: Name of the node, unique in its graph.
        op_type: ``"aten.conv2d.default"``.
        inputs: The tensor arguments, flat.
        outputs: The tensors it returns, flat.
        attrs: All other arguments, by their names in the op's schema.
        input_args: Which argument each of the inputs is, ``"self"`` or ``"tensors[0]"``; by the schema when None.
        returns: How the outputs nest when they are not one per return value: ``[[0, 1]]`` is one list of two.
        source: Where the call comes from: ``module_path``, ``module_type``, ``location``, ``function``.
    """

    name: str
    op_type: str
    inputs: List[TensorMeta]
    outputs: List[TensorMeta]
    attrs: Dict[str, Any] = field(default_factory=dict)
    input_args: Optional[List[str]] = None
    returns: Optional[List[Any]] = None
    source: Optional[Dict[str, str]] = None

    def to_dict(self) -> Dict[str, Any]:
        """The JSON form."""
        data: Dict[str, Any] = {
            "name": self.name,
            "op_type": self.op_type,
            "inputs": [meta.to_dict() for meta in self.inputs],
            "outputs": [meta.to_dict() for meta in self.outputs],
            "attrs": {key: encode_value(value) for key, value in self.attrs.items()},
        }
        # A program may have changed the lists: then the schema says again what is what.
        if self.input_args and len(self.input_args) == len(self.inputs):
            data["input_args"] = list(self.input_args)
        if self.returns is not None and _count(self.returns) == len(self.outputs):
            data["returns"] = self.returns
        if self.source:
            data["source"] = dict(self.source)
        return data

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "OpNode":
        """The reverse of :meth:`to_dict`."""
        return cls(
            name=data["name"],
            op_type=data["op_type"],
            inputs=[TensorMeta.from_dict(meta) for meta in data["inputs"]],
            outputs=[TensorMeta.from_dict(meta) for meta in data["outputs"]],
            attrs={key: decode_value(value) for key, value in data.get("attrs", {}).items()},
            input_args=data.get("input_args"),
            returns=data.get("returns"),
            source=data.get("source"),
        )


@dataclass(repr=False, eq=False)
class IR:
    """The graph of a model.

    Attributes:
        nodes: The calls, in order.
        graph_inputs: The user's inputs that are values.
        graph_outputs: The user's outputs that are values.
        weights: Parameters, buffers and lifted constants by their ``state_dict`` key; no values.
        weight_name_mapping: Placeholder in the graph to ``state_dict`` key.
        constants: Values of lifted constants by key: torch tensors when torch is imported, else NumPy arrays.
        model_name: Name of the model.
        pytorch_version: Version of PyTorch that exported it.
        symbols: Name and range of each size symbol.
        guards: Python expressions over the inputs that must hold.
        in_spec: How the inputs nest, as ``torch.export`` writes it.
        out_spec: How the outputs nest.
        forward_arg_names: Names of the arguments of the Python forward.
        namedtuple_fields: Fields of the named tuples in the specs.
        signature: Roles of all inputs and outputs, when the lists above do not say it all.
    """

    nodes: List[OpNode]
    graph_inputs: List[TensorMeta]
    graph_outputs: List[TensorMeta]
    weights: List[TensorMeta]
    weight_name_mapping: Dict[str, str] = field(default_factory=dict)
    constants: Dict[str, Any] = field(default_factory=dict)
    model_name: str = ""
    pytorch_version: str = ""
    symbols: List[Dict[str, Any]] = field(default_factory=list)
    guards: List[str] = field(default_factory=list)
    in_spec: str = ""
    out_spec: str = ""
    forward_arg_names: List[str] = field(default_factory=list)
    namedtuple_fields: Dict[str, List[str]] = field(default_factory=dict)
    signature: Optional[Dict[str, Any]] = None

    def to_dict(self) -> Dict[str, Any]:
        """The JSON form."""
        data = self.structure()
        if self.constants:
            from .tensors import encode_constant

            data["constants"] = {key: encode_constant(value) for key, value in self.constants.items()}
        return data

    def structure(self) -> Dict[str, Any]:
        """The JSON form without the values of constants."""
        data: Dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "model_name": self.model_name,
            "pytorch_version": self.pytorch_version,
        }
        for key in ("symbols", "guards", "in_spec", "out_spec", "forward_arg_names", "namedtuple_fields"):
            if getattr(self, key):
                data[key] = getattr(self, key)
        if signature := self.current_signature():
            data["signature"] = signature
        data["graph_inputs"] = [meta.to_dict() for meta in self.graph_inputs]
        data["graph_outputs"] = [meta.to_dict() for meta in self.graph_outputs]
        data["weights"] = [meta.to_dict() for meta in self.weights]
        data["weight_name_mapping"] = dict(self.weight_name_mapping)
        data["nodes"] = [node.to_dict() for node in self.nodes]
        return data

    def current_signature(self) -> Optional[Dict[str, Any]]:
        """The signature, brought into line with the lists of inputs, outputs and weights if they were changed."""
        if not self.signature:
            return None
        inputs, outputs = self.signature["inputs"], self.signature["outputs"]
        placeholders = self.placeholders()
        weights = [entry.get("target") for entry in inputs if entry["kind"] in WEIGHT_KINDS]
        users = [entry["name"] for entry in inputs if entry["kind"] not in WEIGHT_KINDS and "name" in entry]
        if sorted(weights) != sorted(w.name for w in self.weights) or users != [i.name for i in self.graph_inputs]:
            known = {entry.get("target"): entry for entry in inputs if entry["kind"] in WEIGHT_KINDS}
            inputs = [
                known.get(w.name) or {"kind": "parameter", "name": placeholders.get(w.name, w.name), "target": w.name}
                for w in self.weights
            ] + [{"kind": "user_input", "name": meta.name} for meta in self.graph_inputs]
        shown = [entry["name"] for entry in outputs if entry["kind"] in SHOWN_OUTPUTS and "name" in entry]
        if shown != [meta.name for meta in self.graph_outputs]:
            outputs = [entry for entry in outputs if entry["kind"] not in SHOWN_OUTPUTS] + [
                {"kind": "user_output", "name": meta.name} for meta in self.graph_outputs
            ]
        return {"inputs": inputs, "outputs": outputs}

    def placeholders(self) -> Dict[str, str]:
        """The reverse of ``weight_name_mapping``: ``state_dict`` key to placeholder in the graph."""
        return {target: name for name, target in self.weight_name_mapping.items()}

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "IR":
        """The reverse of :meth:`to_dict`; also takes what pytorch-ir wrote.

        Raises:
            KeyError, TypeError, ValueError: The data does not have the form of docs/format.md.
        """
        version = data.get("format_version", FORMAT_VERSION)
        if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise ValueError(f"this is version {version} of the format; this package reads version {FORMAT_VERSION}")
        constants = {}
        if data.get("constants"):
            from .tensors import decode_constant

            constants = {key: decode_constant(value) for key, value in data["constants"].items()}
        return cls(
            nodes=[OpNode.from_dict(node) for node in data["nodes"]],
            graph_inputs=[TensorMeta.from_dict(meta) for meta in data["graph_inputs"]],
            graph_outputs=[TensorMeta.from_dict(meta) for meta in data["graph_outputs"]],
            weights=[TensorMeta.from_dict(meta) for meta in data["weights"]],
            weight_name_mapping=data.get("weight_name_mapping", {}),
            constants=constants,
            model_name=data.get("model_name", ""),
            pytorch_version=data.get("pytorch_version", ""),
            symbols=data.get("symbols", []),
            guards=data.get("guards", []),
            in_spec=data.get("in_spec", ""),
            out_spec=data.get("out_spec", ""),
            forward_arg_names=data.get("forward_arg_names", []),
            namedtuple_fields=data.get("namedtuple_fields", {}),
            signature=data.get("signature"),
        )

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Write the JSON form to a file, which appears whole or not at all.

        Raises:
            ValueError: The file is called as one of another kind, ``.pt2``.
        """
        if os.fspath(path).endswith(".pt2"):
            raise ValueError(
                f"{path}: expected the name of a JSON file, such as ir.json, found that of a program of "
                "torch.export.save; call the file .json"
            )
        write_text(path, json.dumps(self.to_dict(), indent=2))

    @classmethod
    def load(cls, path: Union[str, "os.PathLike[str]"]) -> "IR":
        """Read a file that :meth:`save` wrote; see :func:`torch_ir.load_ir` for more kinds of files."""
        with open(path, encoding="utf-8") as file:
            return cls.from_dict(json.load(file))

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, IR) else NotImplemented

    def __repr__(self) -> str:
        return (
            f"IR(model_name='{self.model_name}', nodes={len(self.nodes)}, inputs={len(self.graph_inputs)}, "
            f"outputs={len(self.graph_outputs)}, weights={len(self.weights)})"
        )


#: Kinds of inputs in a signature whose values come from the weights.
WEIGHT_KINDS = frozenset({"parameter", "buffer", "tensor_constant"})
#: Kinds of outputs that are in ``graph_outputs``.
SHOWN_OUTPUTS = frozenset({"user_output", "loss_output"})


def torch_name(value: Any) -> str:
    """A dtype, layout or the like of torch by its name: ``"float32"``."""
    return str(value).removeprefix("torch.")


def _count(returns: Any) -> int:
    if isinstance(returns, list):
        return sum(_count(element) for element in returns)
    return 0 if returns is None else 1


def encode_value(value: Any) -> Any:
    """An attribute in the form that JSON has for it: ``torch.float32`` is ``{"dtype": "float32"}``."""
    kind = type(value)
    if kind in (int, str, bool) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, complex):
        return {"complex": [encode_value(value.real), encode_value(value.imag)]}
    if isinstance(value, (list, tuple)):
        return [encode_value(element) for element in value]
    if kind.__module__ == "torch" and kind.__name__ in _TORCH_OBJECTS:
        text = torch_name(value)
        # An export on the meta device is the same graph.
        return {kind.__name__: "cpu" if text.startswith("meta") else text}
    return value


def decode_value(value: Any) -> Any:
    """The reverse of :func:`encode_value`. What is an object of torch becomes one if torch is imported."""
    if isinstance(value, list):
        return [decode_value(element) for element in value]
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((tag, content),) = value.items()
    if tag == "float":
        return float(content)
    if tag == "complex":
        return complex(decode_value(content[0]), decode_value(content[1]))
    torch = sys.modules.get("torch")
    if tag in _TORCH_OBJECTS and torch is not None and hasattr(torch, "device"):
        return torch.device(content) if tag == "device" else getattr(torch, content, value)
    return value


def write_text(path: Union[str, "os.PathLike[str]"], text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):  # a pipe, /dev/stdout
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        return
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
