#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/language and examples/plugin_model: small models that use one feature of torch.export each, with inputs
the outputs that PyTorch gives for them, and meta.json (torch 2.13, safetensors).

usage: make_language_cases.py OUT              OUT/<case>/, model.pt2 with inputs and expected outputs
       make_language_cases.py --plugin OUT     OUT/, the model of examples/plugin_ops.cpp
"""
import collections
import copy
import dataclasses
import json
import pathlib
import sys
import warnings
from typing import Any

import torch
import torch.utils._pytree as pytree
from safetensors.torch import save_file
from torch import nn
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.foreach_map import foreach_map
from torch._higher_order_ops.hints_wrap import hints_wrapper
from torch._higher_order_ops.out_dtype import out_dtype
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.compiler import nested_compile_region
from torch.export import Dim
from torch.export.experimental import _export_forward_backward
from torch.nn import functional as F

from make_pt2_cases import as_tensor, hide_folders

X = torch.linspace(-1, 1, 12).reshape(4, 3)


class Condition(nn.Module):
    """Nested branches with captured weights and sizes."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, x, y):
        def positive(a, b):
            return torch.cond(b.sum() > 0, lambda p, q: self.lin(p) + q.sum(), lambda p, q: p - q.sum() * p.shape[0], (a, b))

        return torch.cond(x.sum() > 0, positive, lambda a, b: a.cos() * b.mean(), (x, y))


class WhileLoop(nn.Module):
    def forward(self, x, n):
        return while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a * 1.5 + n), (torch.zeros((), dtype=torch.int64), x))


class Scan(nn.Module):
    def __init__(self, reverse=False):
        super().__init__()
        self.lin, self.reverse = nn.Linear(3, 3), reverse

    def forward(self, init, xs):
        def step(carry, x):
            hidden = torch.tanh(self.lin(x) + carry)
            return hidden.clone(), {"doubled": hidden * 2, "sum": x.sum()}

        return scan(step, init, xs, reverse=self.reverse)


class AssociativeScan(nn.Module):
    def forward(self, a, b):
        return associative_scan(lambda x, y: (x[0] * y[0], y[0] * x[1] + y[1]), (a, b), dim=0, combine_mode="generic")


class Map(nn.Module):
    def forward(self, xs, y):
        return torch._higher_order_ops.map(lambda x, y: (x + y.sum(), (x * y).sum()), xs, y)


@nested_compile_region
def residual(x, w):
    return torch.relu(x @ w) + x


class InvokeSubgraph(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        return residual(residual(x, self.first), self.second)


class ForeachMap(nn.Module):
    def forward(self, x, y):
        return foreach_map(lambda a, b: (a + b).sin(), [x, x + 1], [y, y])


class GradModes(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x.sin()
            with torch.enable_grad():
                y = y * 2
        return x + y


class Autocast(nn.Module):
    """Ops of each list of autocast, and a region inside that turns it off."""

    def __init__(self, dtype=torch.bfloat16):
        super().__init__()
        self.lin, self.conv, self.dtype = nn.Linear(3, 3), nn.Conv1d(3, 2, 1), dtype

    def forward(self, x):
        with torch.autocast("cpu", dtype=self.dtype):
            y = self.lin(x)
            z = torch.einsum("ij,kj->ik", y, x)
            kept = F.softmax(z, -1) + x.sum()
            full = F.mse_loss(y, x.to(y.dtype)), torch.prod(y, 1)
            both = torch.cat([y, x])
            attention = F.scaled_dot_product_attention(x[None], x[None], y.float()[None])
            with torch.autocast("cpu", enabled=False):
                off = self.lin(y.float())
            return y, z, kept, full, both, self.conv(x.t()[None]), attention, off, self.lin(off)


class AutocastRecurrent(nn.Module):
    """Networks of which autocast casts the products inside, and the LSTM that is one op of oneDNN."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2, bidirectional=True)
        self.projected = nn.LSTM(3, 4, proj_size=2)
        self.gru = nn.GRU(3, 4, 2, bidirectional=True, batch_first=True)
        self.tanh, self.relu = nn.RNN(3, 4), nn.RNN(3, 4, nonlinearity="relu", bias=False)
        self.lstm_cell, self.gru_cell, self.cell = nn.LSTMCell(3, 4), nn.GRUCell(3, 4), nn.RNNCell(3, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            whole = self.lstm(x), self.projected(x), self.gru(x), self.tanh(x), self.relu(x)
            half = self.gru(x.bfloat16())
            return whole, half, self.lstm_cell(x[0]), self.gru_cell(x[0]), self.cell(x[0])


class Hints(nn.Module):
    def forward(self, x):
        return hints_wrapper(lambda t: torch.relu(t) + 1, (x,), {}, hints={"kind": "relu", "depth": 2})


class Vmap(nn.Module):
    """Over another dimension, nested, with captured tensors, an unbatched result, an order in memory."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 2)

    def forward(self, x, w):
        rows = torch.vmap(lambda t: self.lin(t).tanh())(x)
        columns = torch.vmap(lambda t, u: (t * u).sum(), in_dims=(1, None))(x.t(), w)
        both = torch.vmap(torch.vmap(lambda a, b: a * b + w.sum(), in_dims=(None, 0)), in_dims=(0, None))(x[:, 0], x[0])
        pair = torch.vmap(lambda t: (t.max(), w * 2))(x)
        image = torch.vmap(lambda t: t.to("cpu", memory_format=torch.channels_last) + 1)(x.view(1, 1, *x.shape))
        return rows, columns, both, pair, image


class Effects(nn.Module):
    def forward(self, x):
        torch.ops.aten._print("started")
        torch._higher_order_ops.print("x is {}, n is {n}", x, n=3)
        return x + 1


class OutDtype(nn.Module):
    """Products of 8-bit integers that sum in 32 bits."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.arange(-50, 100, 10, dtype=torch.int8).reshape(5, 3))

    def forward(self, x):
        return out_dtype(torch.ops.aten.mm.default, torch.int32, x, self.weight.t())


class SharedLists(nn.Module):
    """Lists of tensors that share memory, written to one after the other."""

    def forward(self, x, y):
        x, y = x.clone(), y.clone()
        torch._foreach_mul_([x, x[1:]], -1)
        torch._foreach_add_([x, y], [y, x])
        return x, y


class OutTensors(nn.Module):
    """Results written to tensors of another shape or dtype, and to part of one."""

    def forward(self, x, y):
        empty, other, part, count = torch.empty(0), torch.zeros(5), torch.zeros(10), torch.zeros(3, dtype=torch.int16)
        largest, at = torch.empty(0), torch.empty(0, dtype=torch.int64)
        torch.add(x, y, out=empty)
        torch.exp(x, out=other)
        torch.sub(x[0], y[0], out=part[2:5])
        torch.gt(x[1], y[1], out=count)
        torch.max(x, 1, out=(largest, at))
        return empty, other * 2, part, count, largest, at, torch.cumsum(x, 1, out=torch.zeros(4, 3, dtype=torch.float64))


class Generators(nn.Module):
    """Draws from two generators of its own, in turn."""

    def __init__(self):
        super().__init__()
        self.noise = torch.Generator().manual_seed(3)
        self.choice = torch.Generator().manual_seed(5)
        torch.randn(7, generator=self.noise)  # leaves a number for the next call

    def forward(self, x):
        noise = torch.randn(4, 3, generator=self.noise) + torch.rand(4, 3, generator=self.choice)
        order = torch.randperm(4, generator=self.choice)
        kept = torch.bernoulli(torch.full_like(x, 0.5), generator=self.noise)
        drawn = torch.multinomial(x.softmax(-1), 2, generator=self.choice) + torch.randint(9, (4, 2), generator=self.noise)
        return x[order] * kept + noise, drawn


@torch.library.custom_op("example::clip_norm", mutates_args=())
def clip_norm(x: torch.Tensor, limit: float) -> torch.Tensor:
    return x * torch.clamp(limit / x.norm(dim=-1, keepdim=True), max=1.0)


@clip_norm.register_fake
def _(x, limit):
    return torch.empty_like(x)


@torch.library.custom_op("example::accumulate_", mutates_args={"total"})
def accumulate_(total: torch.Tensor, x: torch.Tensor, weight: float = 1.0) -> None:
    total.add_(x, alpha=weight)


class CustomOps(nn.Module):
    """A buffer and a slice that custom ops write to."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.ones(4, 3))

    def forward(self, x):
        y = clip_norm(x, 0.5)
        accumulate_(self.total, y)
        halves = x.clone()
        accumulate_(halves[:2], halves[2:], 0.5)
        return y, halves, self.total * 1


Pair = collections.namedtuple("Pair", "key value")
pytree._register_namedtuple(Pair, serialized_type_name="language.Pair")


@dataclasses.dataclass
class Batch:
    tokens: torch.Tensor
    mask: Any
    extra: Any = None


torch.export.register_dataclass(Batch, serialized_type_name="language.Batch")


class Inputs(nn.Module):
    """Inputs and outputs that are not tensors, and tensors inside others."""

    def forward(self, x, n: int, f: float, flag: bool, text: str, nothing, past, batch, *, scale=None, bias=2):
        y = x * n + f + bias
        if flag and text == "twice":
            y = y * 2
        y = y + past[0].key + past[1].value + batch.tokens * batch.mask["m"] + scale
        return {"y": y, "n": n, "same": (x, nothing, past[0]), "text": text, "batch": Batch(y, n)}


class Aliases(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("buffer", torch.ones(3))
        self.parameter, self.constant = nn.Parameter(torch.ones(3) * 2), torch.tensor([1.0, 2.0, 3.0])

    def forward(self, x, y):
        return x, x, None, 3, y.view(-1), self.buffer, self.parameter, self.constant, x.t(), 2.5, "text", True, y


class Mutations(nn.Module):
    """Writes to a buffer through a view, a buffer that is not saved, a parameter and two inputs."""

    def __init__(self):
        super().__init__()
        self.register_buffer("buffer", torch.ones(4, 3))
        self.register_buffer("sums", torch.zeros(3), persistent=False)
        self.parameter = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, x, y):
        self.buffer[1:3].add_(x[:2])
        self.sums.copy_(x.sum(0))
        self.parameter.mul_(2)
        y.add_(1)
        x.t()[0].zero_()
        return self.buffer + self.sums + self.parameter + y + x, y, self.buffer


class Cache(nn.Module):
    """Attends over what it has seen: state is carried from run to run."""

    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, 8, 4))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.query = nn.Linear(4, 4)

    def forward(self, x):
        self.keys.index_copy_(1, self.position[None], self.query(x))
        self.position.add_(1)
        return torch.softmax(x @ self.keys.transpose(1, 2), -1) @ self.keys


class Guarded(nn.Module):
    """Sizes with a range, a relation and a divisor."""

    def forward(self, x, ys):
        torch._check(x.shape[0] + ys[0].shape[0] < 20)
        return torch.cat([x, ys[0]]).view(2, -1), x.view(x.shape[0] // 2, 2, 3), ys[0].sum(0) + ys[1].sum(0)


class SymbolicMath(nn.Module):
    def forward(self, x, n: int):
        size = x.shape[0]
        largest, smallest = torch.sym_max(size, n), torch.sym_min(size, 5)
        chosen = torch.sym_ite(size > 4, size, n)
        return torch.ones(largest + smallest), torch.zeros(chosen), x * torch.sym_float(size) ** 0.5, size % n, -size // 2, size / n


class Unbacked(nn.Module):
    def forward(self, x, count, repeats):
        n = count.item()
        torch._check(n >= 1)
        torch._check(n <= 4)
        found = x.nonzero()
        return x[:n], torch.ones(n, 3).cumsum(0), torch.repeat_interleave(x, repeats, dim=0), found, found.shape[0] + n, x[x > 0]


class Training(nn.Module):
    """The loss of a small network; exported together with its gradients."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.lin = nn.Conv1d(3, 4, 2), nn.LayerNorm(3), nn.Linear(3, 3)
        self.attention, self.embedding = nn.MultiheadAttention(3, 1, batch_first=True), nn.Embedding(5, 3)

    def forward(self, x, tokens, target):
        hidden = self.norm(F.max_pool1d(F.gelu(self.conv(x.t()[None])), 1)) + self.embedding(tokens)
        hidden = hidden + self.attention(hidden, hidden, hidden)[0]
        return F.cross_entropy(self.lin(hidden).mean(1), target)


def cases():
    """Name, categories, model, calls and dynamic shapes."""
    yield "cond", "control_flow", Condition(), [(X.abs(), X), (-X.abs(), X), (X.abs(), X.abs())], None
    yield "while_loop", "control_flow", WhileLoop(), [(X, torch.tensor(3)), (X, torch.tensor(0))], None
    yield "scan", "control_flow dynamic_shapes", Scan(), [(X[0], X), (X[0], torch.cat([X, X]))], ({}, {0: Dim("steps", min=1, max=50)})
    yield "scan_reverse", "control_flow", Scan(True), [(X[0], X)], None
    yield "associative_scan", "control_flow", AssociativeScan(), [(X.repeat(2, 1), X.repeat(2, 1) + 1)], None
    yield "map", "control_flow", Map(), [(X, torch.tensor([0.5, -1.0, 2.0]))], None
    yield "invoke_subgraph", "control_flow", InvokeSubgraph(), [(X,)], None
    yield "foreach_map", "control_flow", ForeachMap(), [(X, X * 2)], None
    yield "grad_modes", "regions", GradModes(), [(X,)], None
    yield "autocast", "regions precision", Autocast(), [(X,)], None
    yield "autocast_recurrent", "regions precision recurrent", AutocastRecurrent(), [(X.reshape(2, 2, 3),)], None
    yield "autocast_float16", "regions precision", Autocast(torch.float16), [(X,)], None
    yield "hints_wrapper", "regions", Hints(), [(X,)], None
    yield "vmap", "vmap", Vmap(), [(X, X[:3, 0])], None
    yield "with_effects", "effects", Effects(), [(X,)], None
    yield "out_dtype", "quantization", OutDtype(), [((X * 100).to(torch.int8),)], None
    past = [Pair(X, X + 1), Pair(X + 2, X + 3)]
    yield "inputs", "multi_io", Inputs(), [((X, 2, 0.5, True, "twice", None, past, Batch(X, {"m": X})), {"scale": X + 4, "bias": 3})], None
    yield "aliases", "multi_io", Aliases(), [(X, X + 1)], None
    yield "shared_lists", "state", SharedLists(), [(X, X + 1)], None
    yield "out_tensors", "state", OutTensors(), [(X, X.flip(0) / 3)], None
    yield "mutations", "state", Mutations(), [(X, X + 1)], None
    yield "cache", "state attention", Cache(), [(X.reshape(3, 1, 4)[i : i + 1],) for i in range(3)], None
    yield "generators", "random", Generators(), [(X,), (X + 1,)], None
    grown = torch.cat([X, X + 1])[:6]
    sizes = {"x": {0: Dim.AUTO}, "ys": [{0: Dim("more", min=3, max=12)}, {0: Dim.AUTO}]}
    yield "guards", "dynamic_shapes multi_io", Guarded(), [(X, [grown, grown[:5]]), (grown, [X, X[:3]])], sizes
    yield "symbolic_math", "dynamic_shapes", SymbolicMath(), [(X, 3), (grown, 4)], {"x": {0: Dim.AUTO}, "n": Dim.AUTO}
    counts = torch.tensor([1, 0, 2, 1])
    yield "unbacked", "dynamic_shapes", Unbacked(), [(X, torch.tensor(2), counts), (X.relu(), torch.tensor(4), counts + 1)], None


def split(args):
    """(args, kwargs) of a call."""
    return args if len(args) == 2 and isinstance(args[1], dict) and isinstance(args[0], tuple) else (args, {})


def named(values, prefix):
    def tensor(value):
        return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else as_tensor(value)

    return {f"{prefix}_{i}": tensor(v) for i, v in enumerate(values) if isinstance(v, (torch.Tensor, bool, int, float))}


def write_meta(folder, categories):
    meta = {"name": folder.name, "categories": categories.split()}
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def write(folder, program, model, calls, steps=False):
    """`steps`: the calls go on from each other's state, as outputs `step_N.output_K` of one file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(hide_folders(program), str(folder / "model.pt2"))
    stepped = {}
    state = copy.deepcopy(model)
    for i, call in enumerate(calls):
        suffix = str(i + 1) if i else ""
        args, kwargs = copy.deepcopy(split(call))
        save_file(named(pytree.tree_leaves((args, kwargs)), "input"), folder / f"inputs{suffix}.safetensors")
        leaves = pytree.tree_leaves((copy.deepcopy(model))(*copy.deepcopy(args), **copy.deepcopy(kwargs)))
        save_file(named(leaves, "output"), folder / f"expected{suffix}.safetensors")
        if steps:
            outputs = named(pytree.tree_leaves(state(*args, **kwargs)), "output")
            stepped.update({f"step_{i}.{name}": value for name, value in outputs.items()})
    if steps:
        save_file(stepped, folder / "steps.safetensors")
        if buffers := {key: value.clone() for key, value in state.named_buffers()}:
            save_file(buffers, folder / "state.safetensors")


def write_training(folder):
    """The joint graph of loss and gradients; the gradients are autograd's."""
    model = Training()
    args = (X, torch.tensor([[1, 0, 4, 1]]), torch.tensor([2]))
    program = _export_forward_backward(torch.export.export(model, args))
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(hide_folders(program), str(folder / "model.pt2"))
    save_file(named(args, "input"), folder / "inputs.safetensors")
    loss = model(*args)
    loss.backward()
    parameters = dict(model.named_parameters())
    outputs = [parameters[s.target].grad if s.target in parameters else loss for s in program.graph_signature.output_specs]
    save_file(named(outputs, "output"), folder / "expected.safetensors")


def main():
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    out = pathlib.Path(sys.argv[-1])
    with torch.no_grad():
        if "--plugin" in sys.argv:
            model = CustomOps()
            program = torch.export.export(copy.deepcopy(model), (X,)).run_decompositions()
            return write(out, program, model, [(X,)])
        for name, categories, model, calls, shapes in cases():
            args, kwargs = copy.deepcopy(split(calls[0]))
            strict = name == "foreach_map"  # torch.export refuses it otherwise
            program = torch.export.export(copy.deepcopy(model).eval(), args, kwargs, dynamic_shapes=shapes, strict=strict)
            if name == "with_effects":  # plain exports have no tokens
                program = program.run_decompositions()
            write(out / name, program, model.eval(), calls, steps=name in ("cache", "generators"))
            write_meta(out / name, categories)
    write_training(out / "training")
    write_meta(out / "training", "gradients")


if __name__ == "__main__":
    main()
