# SPDX-License-Identifier: MIT
"""The FX graph of an exported program as a graph.

The walk gives what saving the program and reading the `.pt2` gives, in a tenth of the time.
"""

import dataclasses
import inspect
import operator
import warnings
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import TensorArgument
from torch.utils import _pytree

from .converter import ConversionError
from .ir import IR, SHOWN_OUTPUTS, WEIGHT_KINDS, OpNode, TensorMeta
from .ops.aten_ops import get_op_type
from .values import GENERATOR_CLASS, ValueReader

#: Modules of the functions on symbolic numbers.
_NUMBER_MODULES = ("_operator", "math", "torch")

_INPUT_KINDS = {
    "PARAMETER": "parameter",
    "BUFFER": "buffer",
    "CONSTANT_TENSOR": "tensor_constant",
    "USER_INPUT": "user_input",
    "CUSTOM_OBJ": "custom_object",
    "TOKEN": "token",
}


def _input_kind(spec: Any) -> str:
    """The kind of a graph input in the IR, where the state of a random generator is a constant."""
    is_generator = getattr(spec.arg, "class_fqn", None) == GENERATOR_CLASS
    return "tensor_constant" if is_generator else _INPUT_KINDS[spec.kind.name]


class _Parameter:
    """What the conversion has to know of a parameter of an op's schema."""

    __slots__ = ("name", "is_tensor", "keyword_only")

    def __init__(self, name: str, is_tensor: bool, keyword_only: bool):
        self.name, self.is_tensor, self.keyword_only = name, is_tensor, keyword_only


class _Split:
    """The arguments of a node: flat tensors with their places, and all others by name."""

    def __init__(self) -> None:
        self.inputs: List[TensorMeta] = []
        self.places: List[str] = []
        self.attrs: Dict[str, Any] = {}
        self.list_sizes: List[int] = []
        self.none_masks: List[List[bool]] = []

    def all_attrs(self) -> Dict[str, Any]:
        marks: Dict[str, Any] = {}
        if self.list_sizes:
            marks["_tensor_list_sizes"] = self.list_sizes
        if self.none_masks:
            marks["_tensor_list_none_masks"] = self.none_masks
        return {**marks, **self.attrs}


class _GraphConverter:
    """Converts the graph of one GraphModule."""

    _parameters: Dict[Any, Tuple[str, List[_Parameter]]] = {}  # by target

    def __init__(self, module: torch.fx.GraphModule, values: ValueReader, weights: FrozenSet[str] = frozenset()):
        """`weights`: placeholders whose uses name no producer."""
        self._module = module
        self._weights = weights
        self._values = values
        self._metas: Dict[str, Optional[TensorMeta]] = {}  # of every value by its FX node's name; None: no value
        self.nodes: List[OpNode] = []
        self.targets: Dict[str, Any] = {}  # of the FX nodes by name
        self._duplicates: Dict[str, List[str]] = {}  # getitem nodes that select the same as an earlier one
        self.placeholders: List[Any] = []  # a TensorMeta or the constant in its place
        self.results: List[Any] = []  # the same for the outputs
        for node in module.graph.nodes:
            try:
                getattr(self, f"_read_{node.op}")(node)
            except Exception as error:
                raise ConversionError(f"Failed to convert node '{node.name}' ({node.target}): {error}") from error

    def value(self, name: str) -> Optional[TensorMeta]:
        """The value that the FX node of that name stands for."""
        meta = self._metas.get(name)
        return None if meta is None else _plain(meta)

    def _read_placeholder(self, node: torch.fx.Node) -> None:
        meta = self._values.describe(node.name, node.meta.get("val"))
        if meta is None:
            self.placeholders.append(node.meta.get("val"))
            return
        meta.producer_node = None if node.name in self._weights else node.name
        self._metas[node.name] = meta
        self.placeholders.append(meta)

    def _read_get_attr(self, node: torch.fx.Node) -> None:
        pass  # subgraphs, read where they are arguments

    def _read_output(self, node: torch.fx.Node) -> None:
        results = node.args[0]
        for result in results if isinstance(results, (list, tuple)) else (results,):
            meta = self._metas[result.name] if isinstance(result, torch.fx.Node) else None
            self.results.append(result if meta is None else meta)

    def _read_call_function(self, node: torch.fx.Node) -> None:
        source: Any = node.args[0] if node.args else None
        if node.target is operator.getitem and source.name in self.targets:
            return  # the node behind it has described its results
        op_type, parameters = self._parameters_of(node.target)
        split = _Split()
        if parameters:
            for position, parameter in enumerate(parameters):
                if parameter.name in node.kwargs:
                    self._split(parameter.name, node.kwargs[parameter.name], parameter, split)
                elif position < len(node.args) and not parameter.keyword_only:
                    self._split(parameter.name, node.args[position], parameter, split)
        else:
            for position, value in enumerate(node.args):
                self._split(str(position), value, None, split)
            for name, value in node.kwargs.items():
                self._split(name, value, None, split)
        outputs: List[TensorMeta] = []
        returns = [self._describe_result(result, outputs) for result in self._results_of(node)]
        for position, meta in enumerate(outputs):
            kept = self._metas[meta.name] = _copy_of(meta)
            kept.producer_node, kept.producer_output_idx = node.name, position
            self._metas.update((name, kept) for name in self._duplicates.get(meta.name, ()))
        self.targets[node.name] = node.target
        self.nodes.append(
            OpNode(
                node.name,
                op_type,
                split.inputs,
                outputs,
                split.all_attrs(),
                split.places or None,
                None if all(type(r) is int for r in returns) else returns,
                self._values.source_of(node),
            )
        )

    def _parameters_of(self, target: Any) -> Tuple[str, List[_Parameter]]:
        """op_type and parameters; none for higher-order ops and others whose operands have no names."""
        known = self._parameters.get(target)
        if known is None:
            parameters: List[_Parameter] = []
            if isinstance(target, torch._ops.OpOverload):
                for argument in target._schema.arguments:
                    is_tensor = "Tensor" in str(argument.type)
                    parameters.append(_Parameter(argument.name, is_tensor, argument.kwarg_only))
            elif target.__module__ in _NUMBER_MODULES:
                for name in inspect.signature(target).parameters:
                    parameters.append(_Parameter(name, False, False))
            known = self._parameters[target] = (get_op_type(target), parameters)
        return known

    def _split(self, place: str, value: Any, parameter: Optional[_Parameter], split: _Split) -> None:
        wants_tensor = parameter is not None and parameter.is_tensor
        if isinstance(value, torch.fx.Node):
            meta = self._metas.get(value.name)
            if meta is not None and meta.type in (None, "custom_object"):
                split.inputs.append(_copy_of(meta))
                split.places.append(place)
            else:
                split.attrs[place] = self._attribute(value)
        elif value is None and parameter is not None and parameter.is_tensor and not parameter.keyword_only:
            pass  # pytorch-ir leaves these out
        elif isinstance(value, (list, tuple)) and (wants_tensor or self._is_tensor_list(value)):
            first = len(split.inputs)
            for i, element in enumerate(value):
                meta = None if element is None else self._metas[element.name]
                if meta is not None:
                    split.inputs.append(_copy_of(meta))
                    split.places.append(f"{place}[{i}]")
            split.list_sizes.append(len(split.inputs) - first)
            if len(split.inputs) == first:
                split.attrs[place] = [None] * len(value)
            if None in value:
                split.none_masks.append([element is None for element in value])
        else:
            split.attrs[place] = self._attribute(value)

    def _is_tensor_list(self, values: Any) -> bool:
        found = False
        for value in values:
            if isinstance(value, torch.fx.Node):
                meta = self._metas.get(value.name)
                if meta is None or meta.type not in (None, "custom_object"):
                    return False
                found = True
            elif value is not None:
                return False
        return found

    def _attribute(self, value: Any) -> Any:
        """An argument that is no tensor, in the form of the JSON IR; objects of torch stay what they are."""
        if value is None or isinstance(value, (bool, int, float, str, complex)):
            return value
        if isinstance(value, torch.fx.Node):
            if value.op == "get_attr":
                return {"graph": self._subgraph(str(value.target))}
            meta = self._metas.get(value.name)
            if meta is None:
                return None
            return {"sym" if meta.type not in (None, "custom_object") else "tensor": meta.name}
        if isinstance(value, (list, tuple)):
            return [self._attribute(element) for element in value]
        if isinstance(value, dict):
            return {"dict": [[key, self._attribute(element)] for key, element in value.items()]}
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return value
        if isinstance(value, torch.device):
            return torch.device("cpu") if value.type == "meta" else value
        if isinstance(value, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)):
            return {"operator": get_op_type(value)}
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return self._values.constant_of(value)
        raise TypeError(f"an argument of the type {type(value).__name__} has no form in the IR")

    def _subgraph(self, name: str) -> Dict[str, Any]:
        module = getattr(self._module, name)
        if not isinstance(module, torch.fx.GraphModule):
            raise TypeError(f"the attribute '{name}' of the type {type(module).__name__} has no form in the IR")
        inner = _GraphConverter(module, self._values)
        graph: Dict[str, Any] = {"name": name}
        inputs, outputs = inner.placeholders, inner.results
        if not all(isinstance(value, TensorMeta) for value in (*inputs, *outputs)):
            graph["signature"] = {
                "inputs": [inner.entry("user_input", value) for value in inputs],
                "outputs": [inner.entry("user_output", value) for value in outputs],
            }
        graph["graph_inputs"] = [_plain(value).to_dict() for value in inputs if isinstance(value, TensorMeta)]
        graph["graph_outputs"] = [_plain(value).to_dict() for value in outputs if isinstance(value, TensorMeta)]
        graph["nodes"] = [node.to_dict() for node in inner.nodes]
        return graph

    def entry(self, kind: str, value: Any) -> Dict[str, Any]:
        """An input or output in a signature."""
        if isinstance(value, TensorMeta):
            return {"kind": kind, "name": value.name}
        return {"kind": kind, "value": self._attribute(value)}

    def _results_of(self, node: torch.fx.Node) -> List[Any]:
        """What a node returns: for each return value a (name, value), a list of these, or None.

        FX selects results by getitem nodes; a result is called after the one that selects it.
        """
        value: Any = node.meta.get("val")
        target = node.target
        if isinstance(target, torch._ops.OpOverload):
            returns = target._schema.returns
            if not returns:
                return []
            if len(returns) == 1:
                if isinstance(value, (list, tuple)):
                    return [self._selected(node, node.name, enumerate(value))]
                return [(node.name, value)]
        elif isinstance(value, dict):
            return [self._selected(node, node.name, value.items())]
        elif not isinstance(value, (list, tuple)):
            return [(node.name, value)]
        results: List[Any] = []
        for position, element in enumerate(value):
            user = self._selector(node, position)
            if isinstance(element, (list, tuple)):
                unused = f"{node.name}_unused_{position}"
                results.append(self._selected(user, unused, enumerate(element)))
            else:
                results.append((user.name if user else f"{node.name}_unused_{position}", element))
        return results

    def _selected(self, node: Optional[torch.fx.Node], name: str, elements: Any) -> List[Tuple[str, Any]]:
        results = []
        for index, element in elements:
            user = self._selector(node, index) if node is not None else None
            suffix = f"_unused_{index}" if node is not None else f"_{index}"
            results.append((user.name if user else name + suffix, element))
        return results

    def _selector(self, node: torch.fx.Node, index: Any) -> Optional[torch.fx.Node]:
        """The first node that selects this result; others are the same value."""
        found = None
        for user in node.users:
            if user.target is operator.getitem and user.args[1] == index and user.args[0] is node:
                if found is None:
                    found = user
                else:
                    self._duplicates.setdefault(found.name, []).append(user.name)
        if found is not None:
            self.targets[found.name] = operator.getitem
        return found

    def _describe_result(self, result: Any, outputs: List[TensorMeta]) -> Any:
        """Appends the values of a result and returns how they nest."""
        if isinstance(result, list):
            return [self._describe_result(element, outputs) for element in result]
        name, value = result
        meta = self._values.describe(name, value, is_result=True)
        if meta is None:
            return None
        outputs.append(meta)
        return len(outputs) - 1


class ProgramConverter(_GraphConverter):
    """Converts the graph of a whole program.

    Weights that are subclasses of Tensor, as torchao's quantised ones, are taken apart: their inner tensors become
    weights of their own, ``linear.weight.qdata``.
    """

    def __init__(self, exported: ExportedProgram):
        specs = exported.graph_signature
        self._weight_specs = {
            spec.arg.name: spec for spec in specs.input_specs if _input_kind(spec) in WEIGHT_KINDS
        }
        self._inner: Dict[str, Tuple[torch.fx.Node, Any, TensorMeta]] = {}  # node, input and value by state_dict key
        super().__init__(exported.graph_module, ValueReader(), frozenset(self._weight_specs))
        self._exported = exported
        self.inputs: List[TensorMeta] = []
        self.outputs: List[TensorMeta] = []
        self.weights: List[TensorMeta] = []
        self.weight_name_mapping: Dict[str, str] = {}
        entries = [self._input(*pair) for pair in self._inputs_without_wrappers(specs.input_specs)]
        results = [self._output(*pair) for pair in zip(specs.output_specs, self.results)]
        self.signature = None if _is_implied(entries, results) else {"inputs": entries, "outputs": results}

    def _read_call_function(self, node: torch.fx.Node) -> None:
        wrapper = self._wrapper_of(node)
        if wrapper is None:
            super()._read_call_function(node)
            return
        key = f"{wrapper.target}.{node.args[1]}"
        if key not in self._inner:
            spec = dataclasses.replace(wrapper, arg=TensorArgument(node.name), target=key)
            self._inner[key] = node, spec, self._values.describe(node.name, node.meta["val"])
        self._metas[node.name] = self._inner[key][2]
        self._weight_specs[node.name] = self._inner[key][1]

    def _wrapper_of(self, node: torch.fx.Node) -> Optional[Any]:
        """The input that is the weight of which this node reads an inner tensor."""
        source: Any = node.args[0] if node.args else None
        if get_op_type(node.target) != "export.access_subclass_inner_tensor.default":
            return None
        return self._weight_specs.get(source.name)

    def _inputs_without_wrappers(self, specs: List[Any]) -> List[Tuple[Any, Any]]:
        """The inputs in order, inner tensors behind the other weights, without weights that were only taken apart."""
        placeholders = [node for node in self._module.graph.nodes if node.op == "placeholder"]
        inputs = list(zip(placeholders, specs, self.placeholders))
        if self._inner:
            first = next((i for i, (_, spec, _) in enumerate(inputs) if spec.kind.name == "USER_INPUT"), len(inputs))
            before = {node for node, _, _ in inputs[:first]}
            inputs = [
                entry
                for entry in (*inputs, *self._inner.values())
                if not entry[0].users or any(self._wrapper_of(user) is None for user in entry[0].users)
            ]
            inputs.sort(key=lambda entry: entry[0] not in before and entry[1].arg.name not in self._weight_specs)
        return [(spec, value) for _, spec, value in inputs]

    def _input(self, spec: Any, value: Any) -> Dict[str, Any]:
        kind = _input_kind(spec)
        entry = self.entry(kind, value)
        if kind == "user_input" and "value" in entry:
            entry["target"] = spec.arg.name
        elif spec.target:
            entry["target"] = spec.target
        if getattr(spec, "persistent", None) is False:
            entry["persistent"] = False
        if isinstance(value, TensorMeta):
            if kind in WEIGHT_KINDS:
                weight = _plain(value)
                weight.name = spec.target
                self.weights.append(weight)
                if value.name != spec.target:
                    self.weight_name_mapping[value.name] = spec.target
            else:
                self.inputs.append(_plain(value))
        return entry

    def _output(self, spec: Any, value: Any) -> Dict[str, Any]:
        kind = spec.kind.name.lower()
        entry = self.entry(kind, value)
        if spec.target:
            entry["target"] = spec.target
        if kind in SHOWN_OUTPUTS and isinstance(value, TensorMeta):
            self.outputs.append(_plain(value))
        return entry

    def ir(self, model_name: str) -> IR:
        """The whole graph."""
        ir = IR(
            nodes=self.nodes,
            graph_inputs=self.inputs,
            graph_outputs=self.outputs,
            weights=self.weights,
            weight_name_mapping=self.weight_name_mapping,
            model_name=model_name,
            pytorch_version=torch.__version__,
            symbols=self._values.symbols(self._exported.range_constraints),
            guards=list(getattr(self._exported, "_guards_code", None) or []),
            signature=self.signature,
        )
        _add_calling_convention(self._exported, ir)
        _add_constants(self._exported, ir)
        return ir


def _is_implied(inputs: List[Dict[str, Any]], outputs: List[Dict[str, Any]]) -> bool:
    """Whether a reader finds the same roles without the signature (docs/format.md, at the end)."""
    users_began = False
    for entry in inputs:
        users_began |= entry["kind"] == "user_input"
        if entry["kind"] == "user_input":
            if "value" in entry:
                return False
            continue
        name = entry.get("name", "")
        implied = {"b_": "buffer", "c_": "tensor_constant"}.get(name[:2], "parameter")
        if users_began or entry["kind"] != implied or "persistent" in entry:
            return False
    return all(entry["kind"] == "user_output" and "name" in entry for entry in outputs)


def _copy_of(meta: TensorMeta) -> TensorMeta:
    """Each use has a description of its own, which a program may change."""
    copy = TensorMeta.__new__(TensorMeta)
    copy.__dict__.update(meta.__dict__)
    return copy


def _plain(meta: TensorMeta) -> TensorMeta:
    copy = _copy_of(meta)
    copy.producer_node, copy.producer_output_idx = None, 0
    return copy


def _add_constants(exported: ExportedProgram, ir: IR) -> None:
    absent = []
    for name, value in exported.constants.items():
        if isinstance(value, torch.Generator):
            value = value.get_state()
        if not isinstance(value, torch.Tensor):
            continue
        if value.device.type != "meta":
            ir.constants[name] = value
        elif value.numel() == 0:  # nothing to know
            ir.constants[name] = torch.empty(value.shape, dtype=value.dtype)
        else:
            absent.append(name)
    if absent:
        warnings.warn(f"The values of {len(absent)} constants on the meta device are not known: {absent}", stacklevel=5)


def _add_calling_convention(exported: ExportedProgram, ir: IR) -> None:
    """How inputs and outputs nest in the Python forward, where torch can write that down."""
    root = next((entry.signature for entry in exported.module_call_graph if entry.fqn == ""), None)
    if root is None:
        return
    try:
        ir.in_spec, ir.out_spec = (_pytree.treespec_dumps(spec, 1) for spec in (root.in_spec, root.out_spec))
    except NotImplementedError:  # a type that was registered without a name
        return
    ir.forward_arg_names = list(getattr(root, "forward_arg_names", None) or [])
    for spec in (root.in_spec, root.out_spec):
        _add_namedtuples(spec, ir)


def _add_namedtuples(spec: Any, ir: IR) -> None:
    context = spec.context
    if isinstance(context, type) and issubclass(context, tuple) and hasattr(context, "_fields"):
        name = _pytree.SUPPORTED_SERIALIZED_TYPES[context].serialized_type_name
        ir.namedtuple_fields[name] = list(context._fields)
    children = spec.children() if callable(getattr(spec, "children", None)) else spec.children_specs
    for child in children:
        _add_namedtuples(child, ir)
