#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the small weight files of tests/data/weights with PyTorch's and safetensors' own writers.

Needs torch 2.13 and safetensors. Values are small integers, so that tests can name them.
Usage: tools/make_weight_files.py [DIRECTORY]
"""

import collections
import json
import pathlib
import sys
import warnings

import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1] / "tests/data/weights")
out.mkdir(parents=True, exist_ok=True)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(3, 2)
        self.tied = torch.nn.Linear(3, 2, bias=False)
        self.tied.weight = self.lin.weight
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("hidden", torch.tensor([1.5, 2.5]), persistent=False)
        self.act = torch.nn.functional.relu
        with torch.no_grad():
            self.lin.weight.copy_(torch.arange(6.0).view(2, 3))
            self.lin.bias.copy_(torch.tensor([10.0, 20.0]))

    def forward(self, x):
        return self.act(self.lin(x)) + self.tied(x) + self.count + self.hidden


def views():
    base = torch.arange(12, dtype=torch.float32).view(3, 4)
    z = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    return {
        "base": base,
        "transposed": base.t(),
        "sliced": base[1:, 1:3],
        "expanded": torch.tensor([5.0]).expand(4),
        "conj": z.conj(),
        "neg": torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64).conj().imag,
        "u16": torch.tensor([1, 65535], dtype=torch.uint16),
        "f8": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        "bf16": torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        "bool": torch.tensor([True, False]),
        "c128": torch.tensor([1 - 1j], dtype=torch.complex128),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
    }


net = Net()
torch.save(net.state_dict(), out / "state_dict.pt")
torch.save(net.state_dict(), out / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(net.state_dict(), out / "protocol4.pt", pickle_protocol=4)
torch.save(net, out / "module.pt")
torch.save(views(), out / "views.pt")
torch.save(views(), out / "views_legacy.pt", _use_new_zipfile_serialization=False)

optimizer = torch.optim.Adam(net.parameters())
net(torch.ones(1, 3)).sum().backward()
optimizer.step()
training = {
    "epoch": 3,
    "seed": 2**70,
    "state_dict": Net().state_dict(),
    "optimizer": optimizer.state_dict(),
    "losses": [0.5, 0.25],
    "meta": collections.OrderedDict(size=torch.Size([2]), device=torch.device("cpu"), dtype=torch.float16, tags={"a"}),
    "extra": [torch.tensor([1.0]), {"x": torch.tensor([2])}],
}
torch.save(training, out / "training.pt")

torch.save({"s": torch.eye(2).to_sparse()}, out / "sparse.pt")
torch.save({"m": torch.empty(2, device="meta")}, out / "meta.pt")
torch.jit.script(torch.nn.Sequential(Net().lin, torch.nn.ReLU())).save(str(out / "torchscript.pt"))


class Danger:
    def __reduce__(self):
        import os

        return os.system, ("echo executed",)


class Call:
    def __reduce__(self):
        import textwrap

        return textwrap.dedent, ("x",)


torch.save({"w": torch.ones(1), "x": Danger()}, out / "os_system.pt")
torch.save({"w": torch.ones(1), "x": Call()}, out / "unknown_call.pt")


# .pt2, one and two models, meta weights
class Sub(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.w = torch.nn.Parameter(torch.full((2,), float(value)))
        self.register_buffer("np_", torch.tensor([[1.0, 2.0], [3.0, 4.0]]).t(), persistent=False)

    def forward(self, x, *, scale=None):
        return x * self.w + self.np_ + torch.tensor([7.0, 8.0], device=x.device)


def export(value, device="cpu"):
    module = Sub(value).to(device)
    x = torch.ones(2, 2, device=device)
    return torch.export.export(module, (x,), {"scale": None})


torch.export.save(export(1), out / "one.pt2")
torch.export.save(export(1, "meta"), out / "meta.pt2")
from torch.export.pt2_archive._package import package_pt2  # noqa: E402

package_pt2(str(out / "two.pt2"), exported_programs={"enc": export(1), "sub/dec": export(2)})

# shards
save_file({"a.w": torch.tensor([1.0]), "b.w": torch.tensor([2.0])}, out / "model-00001-of-00002.safetensors")
save_file({"d.w": torch.tensor([3.0])}, out / "model-00002-of-00002.safetensors")
index = {
    "metadata": {"total_size": 12, "c.w": "a.w"},
    "weight_map": {
        "a.w": "model-00001-of-00002.safetensors",
        "b.w": "model-00001-of-00002.safetensors",
        "d.w": "model-00002-of-00002.safetensors",
    },
}
(out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))

# every dtype that safetensors has, in the reference writer's order
dtypes = "bool uint8 int8 float8_e5m2 float8_e4m3fn float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz int16 uint16"
dtypes += " float16 bfloat16 int32 uint32 float32 complex64 float64 int64 uint64 float4_e2m1fn_x2"
tensors = {n: torch.tensor([0, 1] * 8, dtype=torch.uint8).view(getattr(torch, n)) for n in dtypes.split()}
tensors['z"é\n'] = torch.zeros(2, 3)
tensors["scalar"] = torch.tensor(1.0)
save_file(tensors, out / "dtypes.safetensors", metadata={"format": "pt"})
