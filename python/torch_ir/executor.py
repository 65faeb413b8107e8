# SPDX-License-Identifier: MIT
"""Running graphs with the interpreter."""

import json
import operator
import os
import threading
import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from .arguments import bind_inputs, check_names, is_number, user_inputs
from .ir import IR, SHOWN_OUTPUTS, WEIGHT_KINDS, OpNode, Size, TensorMeta, decode_value
from .ops.aten_impl import execute_getitem
from .ops.registry import get_execution_fn, registered_executors
from .weight_loader import load_weights

#: The framework whose tensors the functions of `register_executor` get in the run of this thread.
_running = threading.local()


class ExecutionError(Exception):
    """A graph cannot be run."""


class TensorRegistry:
    """Tensors by name: after a run, the weights, inputs and every value that was computed.

    When first asked for one of these, the graph runs once more; its random ops draw the same only in a run with a seed.
    """

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

    Weights must not be changed in place in between unless torch counts the change: its in-place ops (``add_``, an
    optimizer's step, ``load_state_dict``) are noticed. Writes through ``tensor.data``, ``tensor.numpy()`` and
    ``torch.nn.utils.vector_to_parameters``, and to NumPy arrays, are not: :meth:`load_weights_from_state_dict`, with
    the same tensors too, makes the next run read all weights again.

    A pickled or copied executor has the graph and the weights of the first; it compiles and keeps values for itself.
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

        Raises:
            TypeError: The weights are a path; :meth:`load_weights` takes one.
        """
        self.ir = ir
        self.constants = constants
        self.registry = TensorRegistry()
        self._compiled: Any = None
        self._warned_of_sizes = False
        self.weights: Optional[Dict[str, Any]] = None
        self.load_weights_from_state_dict(weights)

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.ir, self.weights, self.constants)

    def load_weights(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Use the tensors of a weight file; see :func:`torch_ir.load_weights`."""
        self.load_weights_from_state_dict(load_weights(path))

    def load_weights_from_state_dict(self, state_dict: Optional[Dict[str, Any]]) -> None:
        """Use tensors by ``state_dict`` key; they are read again in the next run, even if they are the same.

        Raises:
            TypeError: The argument is a path; :meth:`load_weights` takes one.
        """
        if isinstance(state_dict, (str, os.PathLike)):
            raise TypeError(
                f"weights: expected tensors by state_dict key, found the path {str(state_dict)!r}; "
                "pass it as weights_path, or to load_weights"
            )
        self.weights = state_dict
        self._fingerprint: Any = None

    def execute(
        self, inputs: Any, *, state: Optional[Dict[str, Any]] = None, seed: Optional[int] = None
    ) -> Tuple[Any, ...]:
        """Run the graph once. The interpreter lock of Python is released meanwhile.

        Args:
            inputs: One value per graph input in a tuple, nested as the model's forward takes them (dicts by their keys;
                keyword arguments behind the others), or a dict by the names of the graph's inputs.
                Torch tensors, NumPy arrays, numbers, anything with DLPack or the buffer protocol; not copied.
            state: A dict, at first empty, that carries what the model mutates (buffers, a KV cache) from run to run,
                by ``state_dict`` key or input name. An input that it holds may be None.
            seed: Random ops draw what PyTorch draws after ``torch.manual_seed(seed)``. Without one, each run draws on
                from the last.

        Returns:
            One value per graph output: torch tensors if there are some among the inputs (or, without any tensor
            there, the weights), else NumPy arrays.

        Raises:
            ExecutionError: Weights are missing, an op cannot run, or an input does not fit.
            ValueError: The seed is no number from 0 to 2**64 - 1.
        """
        if seed is not None and not 0 <= (seed := operator.index(seed)) < 2**64:
            raise ValueError(f"seed: expected a number from 0 to 2**64 - 1, found {seed}")
        if self._lacks_weights():
            raise ExecutionError("Weights not loaded. Call load_weights() or load_weights_from_state_dict() first.")
        from . import _core
        from .tensors import from_core, to_core

        previous = getattr(_running, "framework", None)
        try:
            metas = user_inputs(self.ir)
            leaves = bind_inputs(self.ir, inputs)
            if state:
                check_names("state", state, [meta.name for meta in (*metas, *self.ir.weights)])
            self._warn_of_sizes(metas, leaves)
            framework = _running.framework = self._framework(leaves)
            compiled = self._compile()
            operands = [leaf if is_number(leaf) else to_core(leaf) for leaf in leaves]
            carried = {name: to_core(value) for name, value in (state or {}).items()}
            results, mutations = compiled.run(operands, carried, seed)
        except (_core.Error, TypeError) as error:
            raise ExecutionError(str(error)) from error
        finally:
            _running.framework = previous
        if state is not None:
            state.update((name, from_core(value, framework)) for name, value in mutations.items())
        shown = [result for result, is_value in zip(results, self._outputs_shown()) if is_value]
        outputs = tuple(from_core(result, framework) for result in shown)
        values = (*zip(metas, leaves), *zip(self.ir.graph_outputs, outputs))
        self._fill_registry(values, lambda: compiled.intermediates(operands, carried, seed), framework)
        return outputs

    def _lacks_weights(self) -> bool:
        """Whether no weights were given, but the graph has some."""
        return self.weights is None and len(self._weight_tensors()) < len(self.ir.weights)

    def _warn_of_sizes(self, metas: List[TensorMeta], leaves: List[Any]) -> None:
        """Warns, once, of inputs with other sizes than a graph without symbols was exported with."""
        if self._warned_of_sizes or self.ir.symbols or self.ir.guards:  # with these, all sizes are checked
            return
        for meta, leaf in zip(metas, leaves):
            shape, declared = tuple(getattr(leaf, "shape", ())), tuple(meta.shape)
            if len(shape) == len(declared) and shape != declared:  # another number of dimensions is an error
                self._warned_of_sizes = True
                warnings.warn(
                    f"input '{meta.name}': the graph was exported with the shape {list(declared)}, found "
                    f"{list(shape)}; numbers that the export took from sizes stay those of the first. "
                    "Export with dynamic_shapes for sizes that vary",
                    stacklevel=3,
                )
                return

    def _framework(self, leaves: List[Any]) -> str:
        from .tensors import is_torch_tensor

        tensors = [leaf for leaf in leaves if not is_number(leaf)]
        if not tensors:
            tensors = list((self.weights or {}).values())
        return "torch" if any(map(is_torch_tensor, tensors)) else "numpy"

    def _outputs_shown(self) -> List[bool]:
        """Which of the user outputs are in ``graph_outputs``: those that are values."""
        signature = self.ir.current_signature()
        if not signature:
            return [True] * len(self.ir.graph_outputs)
        return ["name" in entry for entry in signature["outputs"] if entry["kind"] in SHOWN_OUTPUTS]

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

        placeholders = self.ir.placeholders()
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
        placeholders = self.ir.placeholders()
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
        self, values: Iterable[Tuple[TensorMeta, Any]], intermediates: Callable[[], Dict[str, Any]], framework: str
    ) -> None:
        from .tensors import from_core

        def compute_rest() -> Dict[str, Any]:
            _running.framework = framework
            return {name: from_core(value, framework) for name, value in intermediates().items()}

        self.registry.clear()
        for name, tensor in self._held.items():
            self.registry.register(name, tensor)
        for name, target in self.ir.weight_name_mapping.items():
            if target in self._held:
                self.registry.register(name, self._held[target])
        for meta, value in values:
            self.registry.register(meta.name, value)
        self.registry._compute_rest = compute_rest


def execute_ir(
    ir: IR,
    inputs: Any,
    weights: Optional[Dict[str, Any]] = None,
    weights_path: Optional[Union[str, "os.PathLike[str]"]] = None,
    constants: Optional[Dict[str, Any]] = None,
    *,
    seed: Optional[int] = None,
) -> Tuple[Any, ...]:
    """Run a graph once; for several runs, :class:`IRExecutor` compiles it only once.

    Args:
        ir: The graph.
        inputs: See :meth:`IRExecutor.execute`.
        weights: Tensors by ``state_dict`` key; a graph without weights needs none.
        weights_path: A weight file in place of ``weights``.
        constants: Values of lifted constants, in place of those in the graph.
        seed: See :meth:`IRExecutor.execute`.

    Raises:
        ExecutionError: See :meth:`IRExecutor.execute`.
        TypeError: ``weights`` is a path.
        ValueError: The graph has weights, and neither weights nor a file are given.
    """
    executor = IRExecutor(ir, weights, constants)
    if weights_path is not None:
        executor.load_weights(weights_path)
    elif executor._lacks_weights():
        raise ValueError("Either weights or weights_path must be provided")
    return executor.execute(inputs, seed=seed)


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
        functions[name] = _call_of(function, node, attrs[node["name"]])
        node.update(op_type=name, attrs={}, input_args=[str(i) for i in range(len(node["inputs"]))])
        node.pop("returns", None)


def _call_of(function: Callable, node: Dict[str, Any], attrs: Dict[str, Any]) -> Callable:
    """A function for the interpreter that calls a registered executor and checks what it returns."""
    from .tensors import from_core, to_core

    where = f"Failed to execute node '{node['name']}' (op: {node['op_type']}): "
    declared_inputs, declared = node["inputs"], node["outputs"]

    def call(operands: List[Any]) -> List[Any]:
        inputs = [from_core(operand, _running.framework) for operand in operands]
        try:
            returned = function(inputs, attrs)
            results = returned if isinstance(returned, (list, tuple)) else [] if returned is None else [returned]
            converted = [result if is_number(result) else to_core(result) for result in results]
        except Exception as error:
            raise ExecutionError(f"{where}{error}") from error
        if len(converted) != len(declared):
            found = "None" if returned is None else len(converted)
            raise ExecutionError(f"{where}results of the registered executor: expected {len(declared)}, found {found}")
        # A graph may be run with other sizes than it declares.
        has_declared_sizes = all(_agree(meta.get("shape"), value) for meta, value in zip(declared_inputs, operands))
        for meta, value in zip(declared, converted):
            if problem := _contradiction(meta, value, has_declared_sizes):
                raise ExecutionError(f"{where}result '{meta['name']}' of the registered executor: {problem}")
        return converted

    return call


def _contradiction(meta: Dict[str, Any], value: Any, check_sizes: bool) -> Optional[str]:
    """How the result of an op contradicts what the graph declares of it; None when it does not."""
    kind = meta.get("type")
    if kind == "custom_object":
        return None
    if kind is not None:
        return None if is_number(value) and value is not None else f"expected a number, found {_text(value)}"
    sizes = meta["shape"]
    expected = f"expected {meta['dtype']}{list(sizes)}, found {_text(value)}"
    if is_number(value) or value.dtype != meta["dtype"] or len(value.shape) != len(sizes):
        return expected
    return expected if check_sizes and not _agree(sizes, value) else None


def _agree(sizes: Optional[Sequence[Size]], value: Any) -> bool:
    """Whether a tensor has the sizes; those that are text, expressions over symbols, may be any."""
    if sizes is None or is_number(value):
        return True
    return len(sizes) == len(value.shape) and all(
        isinstance(size, str) or size == n for size, n in zip(sizes, value.shape)
    )


def _text(value: Any) -> str:
    return repr(value) if is_number(value) else f"{value.dtype}{list(value.shape)}"
