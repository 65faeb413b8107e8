# SPDX-License-Identifier: MIT
"""What the scripts that write op cases (docs/verification.md) share."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

KINDS = {
    "Tensor": "tensor", "List[Tensor]": "tensors", "List[Optional[Tensor]]": "optional_tensors", "int": "int", "List[int]": "ints",
    "float": "float", "List[float]": "floats", "bool": "bool", "List[bool]": "bools", "str": "string", "number": "scalar", "List[number]": "scalars",
    "ScalarType": "dtype", "Device": "device", "MemoryFormat": "memory_format", "Layout": "layout",
}  # fmt: skip
HALF_RTOL = {torch.float16: 1e-3, torch.bfloat16: 1.6e-2}
RANDOM = set("_sample_dirichlet _standard_gamma bernoulli binomial cauchy empty empty_permuted empty_strided exponential geometric log_normal normal normal_functional poisson rand randint randint_like randn random randperm uniform".split())


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def stored(tensor, key, tensors):
    """The VALUE object of a tensor, whose elements go to tensors[key]."""
    tensors[key] = tensor.detach().resolve_conj().resolve_neg().contiguous().clone()
    return {"tensor": key, "shape": list(tensor.shape), "dtype": name_of(tensor.dtype)}


def number(x):
    if isinstance(x, complex):
        return {"complex": [written(x.real), written(x.imag)]}
    return {{bool: "bool", int: "int", float: "float"}[type(x)]: written(x)}


def written(x):
    """JSON has no numbers for infinities and NaN."""
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def memory_of(tensor):
    """The elements from the tensor's first to its last, those between that it does not show included."""
    end = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return tensor.as_strided([end], [1])


def described(kind, value, key, tensors):
    """The VALUE object of an argument."""
    if value is None:
        return {"none": True}
    if kind == "tensor" and not value.is_contiguous():  # the memory, and how the tensor lies in it
        memory = stored(memory_of(value), key, tensors)
        return memory | {"shape": list(value.shape), "strides": list(value.stride()), "storage_offset": 0}
    if kind == "tensor":
        return stored(value, key, tensors)
    if kind in ("tensors", "optional_tensors"):
        return {kind: [None if t is None else stored(t, f"{key}.{i}", tensors)["tensor"] for i, t in enumerate(value)]}
    if kind == "scalar":
        return {kind: number(value)}
    if kind == "scalars":
        return {kind: [number(x) for x in value]}
    return {kind: name_of(value) if kind in ("dtype", "device", "memory_format", "layout") else written(value)}


def result(value, key, tensors):
    if isinstance(value, torch.Tensor):
        return stored(value, key, tensors)
    if isinstance(value, (list, tuple)):
        return {"tensors": [stored(t, f"{key}.{i}", tensors)["tensor"] for i, t in enumerate(value)]}
    return {"none": True} if value is None else number(value)


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.clone() if value.is_contiguous() else memory_of(value).clone().as_strided(value.shape, value.stride())
    if isinstance(value, dict):
        return {name: copied(v) for name, v in value.items()}
    return [copied(v) for v in value] if isinstance(value, (list, tuple)) else value


def described_arguments(schema, given, prefix, tensors):
    values = {}
    for a in schema:
        if a.name in given:
            kind = KINDS.get(str(a.real_type).removeprefix("Optional[").removesuffix("]") if str(a.real_type).startswith("Optional[") else str(a.real_type))
            values[a.name] = described(kind, copied(given[a.name]), f"{prefix}.{a.name}", tensors)
    return values


def make_case(op, args, kwargs, index, tensors, seed=0):
    """The op case of a call, with the result PyTorch has for it. Random results count by shape and dtype only."""
    schema = op._schema.arguments
    given = dict(zip((a.name for a in schema), args)) | kwargs
    written = [a.name for a in schema if a.alias_info is not None and a.alias_info.is_write]
    args_json = described_arguments(schema, given, index, tensors)
    torch.manual_seed(seed)
    with torch.no_grad():
        outputs = op(**given)
    outputs = [] if not op._schema.returns else [outputs] if len(op._schema.returns) == 1 else list(outputs)
    first = next((v for v in given.values() if isinstance(v, torch.Tensor)), None)
    flat = [t for v in outputs for t in (v if isinstance(v, (list, tuple)) else [v]) if isinstance(t, torch.Tensor)]
    after = [t for name in written for t in (given[name] if isinstance(given[name], list) else [given[name]])]
    exact = not any(t.is_floating_point() or t.is_complex() for t in flat + after)
    case = {
        "id": f"{op}/{index}", "op_type": str(op), "dtype": "none" if first is None else name_of(first.dtype), "source": "extra",
        "args": args_json, "outputs": [result(v, f"{index}.out{i}", tensors) for i, v in enumerate(outputs)],
    }  # fmt: skip
    if written:
        case["mutated"] = {name: result(given[name], f"{index}.{name}_after", tensors) for name in written}
    rtol = max([HALF_RTOL.get(t.dtype, 2e-5) for t in flat + after], default=0.0)
    case |= {"rtol": 0.0 if exact else rtol, "atol": 0.0 if exact else 1e-5}
    case["check"] = "meta" if op._schema.name.partition("::")[2].rstrip("_") in RANDOM else "values"
    return case


def write_calls(directory, calls):
    """Writes the cases of all calls, (op, arguments…[, {keyword arguments}]), by op."""
    by_op = {}
    for op, *args in calls:
        kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
        by_op.setdefault(str(op), []).append((op, args, kwargs))
    for name, group in by_op.items():
        tensors, cases = {}, []
        for op, args, kwargs in group:
            cases.append(make_case(op, args, kwargs, len(cases), tensors))
        write_cases(directory, name, cases, tensors)


def write_refused(directory, calls):
    """Writes the cases of calls that PyTorch refuses into one directory."""
    tensors, cases = {}, []
    for op, *args in calls:
        kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
        given = dict(zip((a.name for a in op._schema.arguments), args)) | kwargs
        try:
            op(**copied(given))
        except (RuntimeError, ValueError, IndexError) as error:
            message = str(error).partition("\n")[0]
        else:
            raise AssertionError(f"PyTorch does not refuse {op} {given}")
        values = described_arguments(op._schema.arguments, given, len(cases), tensors)
        cases.append({"id": f"{op}/{len(cases)}", "op_type": str(op), "args": values, "outputs": [], "message": message})
    write_cases(directory, "", cases, tensors)


def write_cases(directory, op, cases, tensors):
    """Writes directory/aten.op.overload/."""
    target = Path(directory) / str(op)
    target.mkdir(parents=True, exist_ok=True)
    (target / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    save_file(tensors, target / "tensors.safetensors")
