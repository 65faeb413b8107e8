#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the small `.pt2` files below tests/data with the torch that runs this script (2.5 or later; safetensors).

usage: make_pt2_cases.py versions OUT   OUT/<torch version>/<case>/, model.pt2 with inputs and expected outputs
       make_pt2_cases.py features OUT   OUT/*.pt2, one model as exported, decomposed and on the meta device
"""
import json
import pathlib
import re
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.b(F.gelu(self.a(x)))


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", torch.zeros(3))
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0]), persistent=False)

    def forward(self, x, k: int):
        self.n.add_(1)
        return x * self.scale + self.n * k, {"sum": x.sum(), "const": torch.tensor(2.5) + x.mean()}


class Branch(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda t: t.sin() + 1, lambda t: t.cos() * 2, (x,))


class Features(nn.Module):
    """One of each thing a reader has to understand."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(6, 6)
        self.tied = nn.Linear(6, 6, bias=False)
        self.tied.weight = self.lin.weight
        self.norm = nn.BatchNorm1d(6)
        self.constant = torch.tensor([[1.5, -2.0], [0.25, 4.0]])  # neither parameter nor buffer
        self.register_buffer("rows", torch.arange(3) % 2, persistent=False)

    def forward(self, x, y, flag: bool, scale: float, nothing=None):
        h = self.norm(self.tied(self.lin(x)))
        top, _ = torch.topk(h, 2)  # an unused result
        first, second = torch.split(h, 3, dim=1)  # a list
        picked = first[:, self.rows] + second  # a list with None
        size = x.shape[0] * 2 + y.shape[0]
        branch = torch.cond(h.sum() > 0, lambda t: t.sin(), lambda t: t.cos(), (top,))
        flat = h.t().reshape(-1)  # x.shape[0] * 6
        turned = torch.mul(branch @ self.constant, scale).to(torch.complex64) * (1 + 2j)
        return picked.masked_fill(picked < 0, float("-inf")), {"size": size, "flat": flat, "turned": turned}, flag, nothing


def hide_folders(program):
    """Stack traces hold the folders of this machine: keep `site-packages/…` or the file's name."""
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            trace = node.meta.get("stack_trace")
            if trace:
                node.meta["stack_trace"] = re.sub(r'File "[^"]*?((site-packages/[^"]*)|([^"/]*))"', r'File "/\1"', trace)
    return program


def as_tensor(value):
    return value.detach().clone().contiguous() if isinstance(value, torch.Tensor) else torch.tensor(value)


def write_versions(out):
    cases = [
        ("mlp", Mlp(), [(torch.randn(3, 8),)]),
        ("counter_buffers", Counter(), [(torch.randn(4, 3), 3)]),
        ("cond", Branch(), [(torch.randn(5).abs(),), (-torch.randn(5).abs(),)]),
    ]
    for name, model, inputs in cases:
        folder = out / torch.__version__.split("+")[0] / name
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: value.clone() for key, value in model.state_dict().items()}
        program = hide_folders(torch.export.export(model.eval(), inputs[0]))
        torch.export.save(program, str(folder / "model.pt2"))
        names = program.graph_signature.user_inputs
        names = [n if isinstance(n, str) else f"input_{i}" for i, n in enumerate(names)]
        for i, args in enumerate(inputs):
            model.load_state_dict(state)
            suffix = str(i + 1) if i else ""
            outputs = torch.utils._pytree.tree_leaves(model(*args))
            save_file({n: as_tensor(a) for n, a in zip(names, args)}, folder / f"inputs{suffix}.safetensors")
            save_file({f"output_{k}": as_tensor(v) for k, v in enumerate(outputs)}, folder / f"expected{suffix}.safetensors")
        meta = {"name": name, "categories": ["versions"], "description": f"torch {torch.__version__}", "rtol": 1e-4, "atol": 1e-4}
        (folder / "meta.json").write_text(json.dumps(meta))


def write_features(out):
    out.mkdir(parents=True, exist_ok=True)
    rows = {0: torch.export.Dim("b", min=2, max=64)}
    more = {0: torch.export.Dim("c", min=2, max=32)}
    for device in ("cpu", "meta"):
        with torch.device(device):
            torch.manual_seed(0)
            model = Features().eval()
            args = (torch.ones(4, 6), torch.ones(3, 6), True, 0.5, None)
            program = torch.export.export(model, args, dynamic_shapes=(rows, more, None, None, None), strict=False)
        stem = "features" if device == "cpu" else "features_meta"
        torch.export.save(hide_folders(program), str(out / f"{stem}.pt2"))
        if device == "cpu":
            torch.export.save(hide_folders(program.run_decompositions()), str(out / "features_decomposed.pt2"))


if __name__ == "__main__":
    torch.manual_seed(0)
    {"versions": write_versions, "features": write_features}[sys.argv[1]](pathlib.Path(sys.argv[2]))
