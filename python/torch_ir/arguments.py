# SPDX-License-Identifier: MIT
"""From the arguments of a model's forward to one value per input of its graph."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from .ir import IR, TensorMeta, encode_value


def user_inputs(ir: IR) -> List[TensorMeta]:
    """The graph inputs without tokens and objects, which the user does not give."""
    signature = ir.current_signature()
    if not signature:
        return ir.graph_inputs
    others = {entry.get("name") for entry in signature["inputs"] if entry["kind"] != "user_input"}
    return [meta for meta in ir.graph_inputs if meta.name not in others]


def bind_inputs(ir: IR, inputs: Any) -> List[Any]:
    """One value per :func:`user_inputs`.

    Args:
        ir: The graph.
        inputs: A tuple or list, nested as the model's forward takes its arguments or flat, or a dict by name.

    Raises:
        TypeError: The inputs are not those that the graph takes; the message names what is missing, unknown or other.
    """
    names = [meta.name for meta in user_inputs(ir)]
    if isinstance(inputs, Mapping):
        check_names("inputs", inputs, names, names)
        return [inputs[name] for name in names]
    if _is_leaf(inputs):
        inputs = (inputs,)
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"inputs: expected a tuple, or a dict by name, found {_kind(inputs)}")
    if len(inputs) == len(names) and all(map(_is_leaf, inputs)):
        return list(inputs)
    signature = ir.current_signature()
    entries = [entry for entry in signature["inputs"] if entry["kind"] == "user_input"] if signature else []
    constants = [entry if "value" in entry else None for entry in entries] or [None] * len(names)
    spec = _spec(ir)
    if spec is not None and _count(spec) == len(constants):
        leaves, constants = _nested_leaves(spec, ir.forward_arg_names, inputs, constants)
    else:
        from .tensors import flatten

        leaves = flatten(inputs)
        if len(leaves) != len(constants):
            constants = [None] * len(names)
    if len(leaves) != len(constants):
        raise TypeError(f"Expected {len(names)} inputs, got {len(leaves)}")
    for entry, leaf in zip(constants, leaves):
        if entry is not None and (hasattr(leaf, "shape") or encode_value(leaf) != entry["value"]):
            raise TypeError(
                f"Input '{entry.get('target', '?')}' was {entry['value']!r} when the model was exported and "
                f"cannot be {leaf!r}"
            )
    return [leaf for entry, leaf in zip(constants, leaves) if entry is None]


def with_keywords(ir: IR, args: Any, kwargs: Optional[Mapping]) -> Any:
    """Positional and keyword arguments of a model's forward as the inputs that :func:`bind_inputs` takes.

    Raises:
        TypeError: The keywords are not those that the model was exported with.
    """
    if not kwargs:
        return args
    spec = _spec(ir)
    names = list(kwargs) if spec is None else _keys(spec["children_spec"][1]) or []
    check_names("kwargs", kwargs, names, names)
    return (*args, *(kwargs[name] for name in names))


def check_names(what: str, given: Iterable[Any], known: Sequence[Any], required: Iterable[Any] = ()) -> None:
    """Checks names that a user gave.

    Raises:
        TypeError: One is not among the known ones, or a required one is missing.
    """
    problems = []
    for name in given:
        if name not in known:
            names = {str(key): key for key in known}
            close = get_close_matches(str(name), names, 1, 0.0)
            problems.append(f"there is no {name!r}" + (f"; the closest name is {names[close[0]]!r}" if close else ""))
    if missing := [repr(name) for name in required if name not in given]:
        problems.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    if problems:
        some = ", ".join(map(repr, known[:8])) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
        raise TypeError(f"{what}: {'; '.join(problems)}. Expected {some or 'none'}")


def _nested_leaves(
    spec: Dict[str, Any], argument_names: List[str], inputs: Sequence[Any], constants: List[Any]
) -> Tuple[List[Any], List[Any]]:
    """The values in the order of the graph's inputs, and for each its element of `constants`.

    Args:
        spec: The tree of arguments and keyword arguments. Keys of dicts bind by name, not by order.
        argument_names: Names of the positional arguments.
        inputs: Arguments, those by keyword last. Those that are constants of the graph may be left out.
        constants: For each leaf of the spec the signature's entry of a constant, or None.
    """
    args, kwargs = spec["children_spec"]
    names = [*argument_names[: _width(args)], *(f"args[{i}]" for i in range(len(argument_names), _width(args)))]
    places, begin = [], 0
    for name, child in zip((*names, *(_keys(kwargs) or [])), (*args["children_spec"], *kwargs["children_spec"])):
        end = begin + _count(child)
        places.append((name, child, constants[begin:end]))
        begin = end
    if len(inputs) != len(places):
        places = [place for place in places if None in place[2]]
    if len(inputs) != len(places):
        expected = ", ".join(name for name, _, _ in places)
        raise TypeError(f"Expected {len(places)} inputs ({expected}), got {len(inputs)}")
    leaves = [leaf for (name, child, _), value in zip(places, inputs) for leaf in _leaves(child, value, name)]
    return leaves, [constant for place in places for constant in place[2]]


def _leaves(spec: Dict[str, Any], value: Any, path: str) -> Iterator[Any]:
    if spec["type"] is None:
        if isinstance(value, (list, tuple, Mapping)):
            raise TypeError(f"input '{path}': expected a tensor or number, found {_kind(value)}")
        yield value
        return
    keys = _keys(spec)
    children: Optional[List[Any]] = None
    if keys is None:
        children = _children(spec, value)
    elif isinstance(value, Mapping):
        check_names(f"input '{path}'", value, keys, keys)
        children = [value[key] for key in keys]
    if children is None or len(children) != _width(spec):
        what = f"{_width(spec)} values" if keys is None else f"the keys {', '.join(map(repr, keys))}"
        raise TypeError(f"input '{path}': expected a {spec['type']} with {what}, found {_kind(value)}")
    for step, child, child_spec in zip(keys or range(len(children)), children, spec["children_spec"]):
        yield from _leaves(child_spec, child, f"{path}[{step!r}]")


def _children(spec: Dict[str, Any], value: Any) -> Optional[List[Any]]:
    """What is in a list, a tuple or an object of the type that torch's pytrees know by the name in the spec."""
    from .tensors import torch_if_imported

    if isinstance(value, (list, tuple)):
        return list(value)
    if torch_if_imported() is None:
        return None
    from torch.utils import _pytree

    known = _pytree.SUPPORTED_SERIALIZED_TYPES.get(type(value))
    if known is None or known.serialized_type_name != spec["type"]:
        return None
    return list(_pytree.SUPPORTED_NODES[type(value)].flatten_fn(value)[0])


def _spec(ir: IR) -> Optional[Dict[str, Any]]:
    """The tree of arguments and keyword arguments, in the JSON form of torch.utils._pytree."""
    return _tree(ir.in_spec) if ir.in_spec else None


@lru_cache(maxsize=16)
def _tree(in_spec: str) -> Dict[str, Any]:
    return json.loads(in_spec)[1]


def _width(spec: Dict[str, Any]) -> int:
    return len(spec["children_spec"])


def _count(spec: Dict[str, Any]) -> int:
    """How many leaves there are."""
    return 1 if spec["type"] is None else sum(map(_count, spec["children_spec"]))


def _keys(spec: Dict[str, Any]) -> Optional[List[Any]]:
    """The keys of a dict, None for what is none."""
    if spec["type"] not in ("builtins.dict", "collections.OrderedDict", "collections.defaultdict"):
        return None
    context = spec["context"]
    return context["dict_context"] if isinstance(context, dict) else json.loads(context)


def _kind(value: Any) -> str:
    sized = isinstance(value, (list, tuple, Mapping))
    return f"a {type(value).__name__}" + (f" of {len(value)}" if sized else "")


def is_number(value: Any) -> bool:
    """Whether a value is None or a number of Python's."""
    return value is None or isinstance(value, (bool, int, float))


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, (list, tuple, dict)) and (is_number(value) or hasattr(value, "shape"))
