# SPDX-License-Identifier: MIT
"""Running graphs with the interpreter."""

import json
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from .ir import IR, WEIGHT_KINDS, OpNode, TensorMeta, decode_value, encode_value
from .ops.aten_impl import execute_getitem
from .ops.registry import get_execution_fn, registered_executors
from .weight_loader import load_weights

#: The framework whose tensors the functions of `register_executor` get in the run of this thread.
_running = threading.local()


class ExecutionError(Exception):
    """A graph cannot be run."""


class TensorRegistry:
    """Tensors by name: after a run, the weights, inputs and every value that was computed."""

    def __init__(self) -> None:
        self._tensors: Dict[str, Any] = {}
        self._compute_rest: Optional[Callable[[], Dict[str, Any]]] = None

    def register(self, name: str, tensor: Any) -> None:
        """Put a tensor under a name."""
        self._tensors[name] = tensor

    def get(self, name: str) -> Optional[Any]:
        """The tensor called so, or None."""
        return self._tensors[name] if self.has(name) else None

    def has(self, name: str) -> bool:
        """Whether there is a tensor called so."""
        if name not in self._tensors and self._compute_rest is not None:
            compute_rest, self._compute_rest = self._compute_rest, None
            self._tensors = {**compute_rest(), **self._tensors}
        return name in self._tensors

    def clear(self) -> None:
        """Remove all tensors."""
        self._tensors = {}
        self._compute_rest = None

    def __getitem__(self, name: str) -> Any:
        if not self.has(name):
            raise KeyError(f"Tensor '{name}' not found in registry")
        return self._tensors[name]

    def __setitem__(self, name: str, tensor: Any) -> None:
        self.register(name, tensor)

    def __contains__(self, name: str) -> bool:
        return self.has(name)


class IRExecutor:
    """Runs a graph with weights::

        executor = IRExecutor(ir)
        executor.load_weights("model.safetensors")
        (y,) = executor.execute((x,))

    The graph is compiled in the first run and again when it, the weights or the registered executors have changed.
    Weights in NumPy arrays must not be changed in place in between; changed torch tensors are noticed.
    """

    def __init__(
        self, ir: IR, weights: Optional[Dict[str, Any]] = None, constants: Optional[Dict[str, Any]] = None
    ) -> None:
        """
        Args:
            ir: The graph.
            weights: Torch tensors or NumPy arrays by ``state_dict`` key; their memory is used, not copied. Subclasses
                of torch.Tensor (torchao's quantised weights) count as the tensors they are made of.
            constants: Values of lifted constants (and of any weight), in place of those in the graph.
        """
        self.ir = ir
        self.weights = weights
        self.constants = constants
        self.registry = TensorRegistry()
        self._compiled: Any = None
        self._fingerprint: Any = None

    def load_weights(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Use the tensors of a weight file; see :func:`torch_ir.load_weights`."""
        self.weights = load_weights(path)

    def load_weights_from_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Use tensors by ``state_dict`` key."""
        self.weights = state_dict

    def execute(self, inputs: Any, *, state: Optional[Dict[str, Any]] = None) -> Tuple[Any, ...]:
        """Run the graph once. The interpreter lock of Python is released meanwhile.

        Args:
            inputs: One value per graph input in a tuple, nested as the model's forward takes them, or a dict by name.
                Torch tensors, NumPy arrays, numbers, anything with DLPack or the buffer protocol; not copied.
            state: A dict, at first empty, that carries what the model mutates (buffers, a KV cache) from run to run,
                by ``state_dict`` key or input name. An input that it holds may be None.

        Returns:
            One value per graph output: torch tensors if there are some among the inputs (or, without any tensor
            there, the weights), else NumPy arrays.

        Raises:
            ExecutionError: Weights are missing, an op cannot run, or an input does not fit.
        """
        if self.weights is None:
            raise ExecutionError("Weights not loaded. Call load_weights() or load_weights_from_state_dict() first.")
        from . import _core
        from .tensors import from_core, to_core

        leaves = self._leaves(inputs)
        framework = self._framework(leaves)
        previous, _running.framework = getattr(_running, "framework", None), framework
        try:
            compiled = self._compile()
            operands = [leaf if _is_number(leaf) else to_core(leaf) for leaf in leaves]
            carried = {name: to_core(value) for name, value in (state or {}).items()}
            results, mutations = compiled.run(operands, carried)
        except (_core.Error, TypeError) as error:
            raise ExecutionError(str(error)) from error
        finally:
            _running.framework = previous
        if state is not None:
            state.update((name, from_core(value, framework)) for name, value in mutations.items())
        shown = [result for result, is_value in zip(results, self._outputs_shown()) if is_value]
        outputs = tuple(from_core(result, framework) for result in shown)
        self._fill_registry(leaves, outputs, compiled, operands, carried, framework)
        return outputs

    def _user_inputs(self) -> List[TensorMeta]:
        """The graph inputs without tokens and objects, which the user does not give."""
        signature = self.ir.current_signature()
        if not signature:
            return self.ir.graph_inputs
        others = {entry.get("name") for entry in signature["inputs"] if entry["kind"] != "user_input"}
        return [meta for meta in self.ir.graph_inputs if meta.name not in others]

    def _leaves(self, inputs: Any) -> List[Any]:
        """One value per input of the user."""
        names = [meta.name for meta in self._user_inputs()]
        if isinstance(inputs, dict) and set(inputs) <= set(names):
            if missing := [name for name in names if name not in inputs]:
                raise ExecutionError(f"Inputs are missing: {', '.join(missing)}")
            return [inputs[name] for name in names]
        if isinstance(inputs, (list, tuple)) and len(inputs) == len(names) and all(map(_is_leaf, inputs)):
            return list(inputs)
        from .tensors import flatten

        leaves = flatten(inputs)
        signature = self.ir.current_signature()
        entries = [entry for entry in signature["inputs"] if entry["kind"] == "user_input"] if signature else []
        if len(leaves) == len(entries) and len(entries) != len(names):
            for entry, leaf in zip(entries, leaves):
                if "value" in entry and (hasattr(leaf, "shape") or encode_value(leaf) != entry["value"]):
                    raise ExecutionError(
                        f"Input '{entry.get('target', '?')}' was {entry['value']!r} when the model was exported and "
                        f"cannot be {leaf!r}"
                    )
            leaves = [leaf for entry, leaf in zip(entries, leaves) if "value" not in entry]
        if len(leaves) != len(names):
            raise ExecutionError(f"Expected {len(names)} inputs, got {len(leaves)}")
        return leaves

    def _framework(self, leaves: List[Any]) -> str:
        from .tensors import is_torch_tensor

        tensors = [leaf for leaf in leaves if not _is_number(leaf)]
        if not tensors:
            tensors = list((self.weights or {}).values())
        return "torch" if any(map(is_torch_tensor, tensors)) else "numpy"

    def _outputs_shown(self) -> List[bool]:
        """Which of the user outputs are in ``graph_outputs``: those that are values."""
        signature = self.ir.current_signature()
        if not signature:
            return [True] * len(self.ir.graph_outputs)
        hidden = ("buffer_mutation", "parameter_mutation", "user_input_mutation", "token")
        shown = ("user_output", "loss_output")
        return [
            entry["kind"] in shown and "name" in entry for entry in signature["outputs"] if entry["kind"] not in hidden
        ]

    def _compile(self) -> Any:
        """The interpreter for the graph, the weights and the registered executors as they are now."""
        from . import _core

        ir, tensors = self.ir, self._weight_tensors()
        parts = [
            ir.nodes,
            ir.graph_inputs,
            ir.graph_outputs,
            ir.weights,
            ir.weight_name_mapping,
            ir.signature,
            ir.symbols,
        ]
        fingerprint = (
            _core.fingerprint(parts, (OpNode, TensorMeta)),
            [(name, id(tensor), getattr(tensor, "_version", 0)) for name, tensor in tensors.items()],
            registered_executors(),
        )
        if self._compiled is not None and fingerprint == self._fingerprint:
            return self._compiled
        from .tensors import to_core

        structure = self.ir.structure()
        self._check_missing(structure, tensors)
        functions: Dict[str, Callable] = {}
        if registered_executors():
            structure = json.loads(json.dumps(structure))  # shares nothing with the graph
            _use_executors(structure, functions, {node.name: node.attrs for node in self.ir.nodes})
        compiled = _core.Interpreter(_core.Model.parse(json.dumps(structure)), functions)
        compiled.load_weights({name: to_core(tensor) for name, tensor in tensors.items()})
        self._compiled, self._fingerprint = compiled, fingerprint
        self._held = tensors  # so that their ids stay theirs
        return compiled

    def _weight_tensors(self) -> Dict[str, Any]:
        """The values of the graph's weights, as far as there are any."""
        from .tensors import take_apart

        placeholders = {target: name for name, target in self.ir.weight_name_mapping.items()}
        sources = [take_apart(source or {}) for source in (self.constants, self.ir.constants, self.weights)]
        tensors = {}
        for meta in self.ir.weights:
            for key in (meta.name, placeholders.get(meta.name, meta.name)):
                source = next((source for source in sources if key in source), None)
                if source is not None:
                    tensors[meta.name] = source[key]
                    break
        return tensors

    def _check_missing(self, structure: Dict[str, Any], tensors: Dict[str, Any]) -> None:
        """Drops weights that have no value and that nothing uses; complains of the others."""
        missing = {meta.name for meta in self.ir.weights} - set(tensors)
        if not missing:
            return
        placeholders = {target: name for name, target in self.ir.weight_name_mapping.items()}
        users: Dict[str, str] = {meta.name: "the output" for meta in self.ir.graph_outputs}
        for node in reversed(self.ir.nodes):
            users.update((meta.name, f"node '{node.name}'") for meta in node.inputs)
        problems = [
            f"Weight/input '{placeholders.get(name, name)}' (key '{name}') not found in registry for {user}."
            for name in sorted(missing)
            if (user := users.get(placeholders.get(name, name)))
        ]
        if problems:
            raise ExecutionError("\n".join(problems))
        structure["weights"] = [meta for meta in structure["weights"] if meta["name"] not in missing]
        structure["weight_name_mapping"] = {
            name: target for name, target in structure["weight_name_mapping"].items() if target not in missing
        }
        if signature := structure.get("signature"):
            signature["inputs"] = [
                entry
                for entry in signature["inputs"]
                if entry["kind"] not in WEIGHT_KINDS or entry.get("target") not in missing
            ]

    def _fill_registry(
        self,
        leaves: Sequence[Any],
        outputs: Sequence[Any],
        compiled: Any,
        operands: Sequence[Any],
        carried: Dict[str, Any],
        framework: str,
    ) -> None:
        from .tensors import from_core

        def compute_rest() -> Dict[str, Any]:
            _running.framework = framework
            values = compiled.intermediates(operands, carried)
            return {name: from_core(value, framework) for name, value in values.items()}

        self.registry.clear()
        for name, tensor in self._held.items():
            self.registry.register(name, tensor)
        for name, target in self.ir.weight_name_mapping.items():
            if target in self._held:
                self.registry.register(name, self._held[target])
        for meta, value in (*zip(self._user_inputs(), leaves), *zip(self.ir.graph_outputs, outputs)):
            self.registry.register(meta.name, value)
        self.registry._compute_rest = compute_rest


def execute_ir(
    ir: IR,
    inputs: Any,
    weights: Optional[Dict[str, Any]] = None,
    weights_path: Optional[Union[str, "os.PathLike[str]"]] = None,
    constants: Optional[Dict[str, Any]] = None,
) -> Tuple[Any, ...]:
    """Run a graph once; for several runs, :class:`IRExecutor` compiles it only once.

    Args:
        ir: The graph.
        inputs: See :meth:`IRExecutor.execute`.
        weights: Tensors by ``state_dict`` key.
        weights_path: A weight file in place of ``weights``.
        constants: Values of lifted constants, in place of those in the graph.

    Raises:
        ExecutionError: See :meth:`IRExecutor.execute`.
        ValueError: Neither weights nor a file are given.
    """
    if weights is None and weights_path is None:
        raise ValueError("Either weights or weights_path must be provided")
    executor = IRExecutor(ir, weights, constants)
    if weights_path is not None:
        executor.load_weights(weights_path)
    return executor.execute(inputs)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float))


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, (list, tuple, dict)) and (_is_number(value) or hasattr(value, "shape"))


def _use_executors(graph: Dict[str, Any], functions: Dict[str, Callable], attrs: Dict[str, Dict[str, Any]]) -> None:
    """Turns the nodes whose op has a registered executor into calls of functions that the interpreter knows.

    Args:
        graph: The JSON form of a graph or subgraph; is changed.
        functions: Receives the functions by op_type.
        attrs: The attributes of the nodes by name, as their owner has them.
    """
    for node in graph["nodes"]:
        for value in node["attrs"].values():
            if isinstance(value, dict) and "graph" in value:
                body = value["graph"]
                decoded = {n["name"]: {k: decode_value(v) for k, v in n["attrs"].items()} for n in body["nodes"]}
                _use_executors(body, functions, decoded)
        function = get_execution_fn(node["op_type"])
        if function is None or function is execute_getitem:
            continue
        # To the interpreter, a function of the module torch may return its operands or views of them.
        name = f"torch.registered_executor_{len(functions)}"
        functions[name] = _call_of(function, node["name"], node["op_type"], attrs[node["name"]], len(node["outputs"]))
        node.update(op_type=name, attrs={}, input_args=[str(i) for i in range(len(node["inputs"]))])
        node.pop("returns", None)


def _call_of(function: Callable, node: str, op_type: str, attrs: Dict[str, Any], count: int) -> Callable:
    from .tensors import from_core, to_core

    def call(operands: List[Any]) -> List[Any]:
        inputs = [from_core(operand, _running.framework) for operand in operands]
        try:
            results = function(inputs, attrs)
            results = list(results) if isinstance(results, (list, tuple)) else [results]
            converted = [result if _is_number(result) else to_core(result) for result in results]
        except Exception as error:
            raise ExecutionError(f"Failed to execute node '{node}' (op: {op_type}): {error}") from error
        if len(converted) < count:
            raise ExecutionError(
                f"Failed to execute node '{node}' (op: {op_type}): the registered executor returned "
                f"{len(converted)} results, the node has {count}"
            )
        return converted

    return call
