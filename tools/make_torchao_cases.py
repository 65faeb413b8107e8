#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases for torchao's affine quantisation in blocks.

    python make_torchao_cases.py DIR      writes DIR/torchao.quantize_affine.default/, ...; needs torch, torchao and safetensors
"""

import sys

import torch
import torchao.quantization  # noqa: F401  registers torchao::
from op_cases import make_case, write_cases

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


for op in (torchao.quantize_affine.default, torchao.dequantize_affine.default, torchao.choose_qparams_affine.default):
    tensors = {}
    cases = [make_case(op, args, {}, index, tensors) for index, args in enumerate(calls(op))]
    write_cases(sys.argv[1], op, cases, tensors)
    print(op, len(cases))
