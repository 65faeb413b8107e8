#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases for torchao's affine quantisation in blocks, and a model whose weights are torchao's subclasses of Tensor.

    python make_torchao_cases.py DIR             writes DIR/torchao.quantize_affine.default/, ...; needs torch, torchao and safetensors
    python make_torchao_cases.py --model DIR     writes DIR/model.pt2 with inputs and expected outputs (tests/data/language/subclass_weights)
"""

import pathlib
import sys

import torch
import torchao.quantization as torchao_quantization  # registers torchao::
from make_language_cases import write_meta
from make_pt2_cases import hide_folders
from op_cases import make_case, write_cases
from safetensors.torch import save_file

torchao = torch.ops.torchao
BLOCKS = ([1, 6], [1, 3], [4, 6], [2, 2], [4, 1])
RANGES = ((torch.int8, -128, 127), (torch.uint8, 0, 255), (torch.int8, -8, 7), (torch.uint8, None, None))


def calls(op):
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for i, block in enumerate(BLOCKS):
            x = (torch.randn(4, 6, generator=generator) * 3).to(dtype)
            target, low, high = RANGES[i % len(RANGES)]
            if op is torchao.choose_qparams_affine.default:
                for mapping in ("SYMMETRIC", "ASYMMETRIC", "SYMMETRIC_NO_CLIPPING_ERR"):
                    if mapping != "SYMMETRIC_NO_CLIPPING_ERR" or low:
                        options = [None, None, None, False] if i % 2 else [1e-4, torch.float32, torch.int8, True]
                        yield x, mapping, block, target, low, high, *options
                continue
            scale, zero = torchao.choose_qparams_affine(x, "ASYMMETRIC", block, target, low, high)
            if op is torchao.quantize_affine.default:
                yield x, block, scale, zero, target, low, high
            else:
                q = torchao.quantize_affine(x, block, scale, zero, target, low, high)
                yield q, block, scale, zero, target, low, high, (torch.float32, dtype)[i % 2]
                yield q, block, scale, None, target


def write_ops(directory):
    for op in (torchao.quantize_affine.default, torchao.dequantize_affine.default, torchao.choose_qparams_affine.default):
        tensors = {}
        cases = [make_case(op, args, {}, index, tensors) for index, args in enumerate(calls(op))]
        write_cases(directory, op, cases, tensors)
        print(op, len(cases))


def write_model(directory):
    """Linear layers with 4-bit weights in groups of 8, 8-bit weights per channel and 8-bit floats, exported as they are."""
    torch.manual_seed(0)
    linear = torch.nn.Linear
    model = torch.nn.Sequential(linear(16, 8), torch.nn.ReLU(), linear(8, 4), torch.nn.ReLU(), linear(4, 3)).eval()
    quantization = torchao_quantization
    quantization.quantize_(
        model,
        quantization.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=quantization.PerGroup(8)),
        lambda module, name: name == "0",
    )
    quantization.quantize_(
        model,
        quantization.IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=quantization.PerAxis(0)),
        lambda module, name: name == "2",
    )
    quantization.quantize_(model, quantization.Float8WeightOnlyConfig(), lambda module, name: name == "4")
    x = torch.randn(3, 16)
    program = torch.export.export(model, (x,))
    hide_folders(program)
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, directory / "model.pt2")
    save_file({"input": x}, directory / "inputs.safetensors")
    with torch.no_grad():
        save_file({"output_0": model(x).contiguous()}, directory / "expected.safetensors")
    write_meta(directory, "quantization mlp")


if __name__ == "__main__":
    write_model(sys.argv[2]) if sys.argv[1] == "--model" else write_ops(sys.argv[1])
