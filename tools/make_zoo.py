#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the models of tools/zoo with inputs and the outputs that PyTorch gives for them (torch 2.13, safetensors).

usage: make_zoo.py tests/data/zoo [NAME...]     OUT/<name>/, all models or those named
"""
import copy
import json
import pathlib
import sys
import warnings
import zlib

import torch
from torch import nn

from make_language_cases import split, write
from zoo import ENTRIES, language, sequence, structure, vision  # noqa: F401, the modules add their entries


def enliven(model):
    """Norms begin as ones and zeros, which would hide an argument that is not used."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        parent = model.get_submodule(name.rpartition(".")[0])
        if isinstance(parent, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)) and tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) - (0.5 if "mean" in name or "bias" in name else 0.25))


def main():
    warnings.filterwarnings("ignore")
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for entry in ENTRIES:
        name = entry.build.__name__
        if names and name not in names:
            continue
        torch.manual_seed(zlib.crc32(name.encode()))
        with torch.no_grad():
            model = entry.build().eval()
            enliven(model)
            calls = entry.calls()
            args, kwargs = copy.deepcopy(split(calls[0]))
            program = torch.export.export(copy.deepcopy(model), args, kwargs, dynamic_shapes=entry.dynamic_shapes)
            write(out / name, program, model, calls)
        meta = {"name": name, "categories": entry.categories, "description": entry.build.__doc__.splitlines()[0]}
        (out / name / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


if __name__ == "__main__":
    main()
