#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of quantisation and of products with weights of 8 and 4 bits.

    python make_quantized_cases.py DIR      writes DIR/quantized_decomposed.quantize_per_token.default/, ...; needs torch and safetensors

The layout of weights packed for the CPU is that of processors with AVX-512: run this on one.
"""

import sys

import torch
import torch.ao.quantization.fx._decomposed  # noqa: F401, registers ops
from op_cases import make_case, write_cases

aten, decomposed = torch.ops.aten, torch.ops.quantized_decomposed
FLOATS = torch.float32, torch.float16, torch.bfloat16


def integers(low, high, *shape, dtype=torch.int64):
    return torch.randint(low, high, shape, dtype=dtype)


def per_tensor_calls(x):
    scale, zero_point = torch.tensor([0.13]), torch.tensor([1])
    for dtype, low, high in ((torch.int8, -128, 127), (torch.uint8, 0, 255), (torch.int16, -32768, 32767)):
        q = integers(max(low, -99), min(high, 99), 3, 4, dtype=dtype)
        ends = torch.tensor(low), torch.tensor(high)
        yield decomposed.quantize_per_tensor.default, x, 0.1, 3, low, high, dtype
        yield decomposed.quantize_per_tensor.tensor, x, scale, zero_point, low, high, dtype
        yield decomposed.quantize_per_tensor.tensor2, x, scale, zero_point, *ends, dtype
        yield decomposed.quantize_per_channel.default, x, torch.rand(4) + 0.1, integers(0, 5, 4), 1, low, high, dtype
        yield decomposed.dequantize_per_tensor.default, q, 0.1, 3, low, high, dtype, {"out_dtype": x.dtype}
        yield decomposed.dequantize_per_tensor.tensor, q, scale, zero_point, low, high, dtype, {"out_dtype": x.dtype}
        yield decomposed.dequantize_per_tensor.tensor2, q, scale, zero_point, *ends, dtype, {"out_dtype": x.dtype}
        for zero_points in (None, integers(0, 5, 3)):
            yield decomposed.dequantize_per_channel.default, q, torch.rand(3), zero_points, 0, low, high, dtype, {"out_dtype": x.dtype}
    yield decomposed.convert_element_type.no_fuse, x, torch.float16


def group_calls(dtype):
    x, q = torch.randn(2, 8).to(dtype), integers(-8, 8, 2, 8, dtype=torch.int8)
    groups, tokens = (torch.rand(2, 2) + 0.1).to(dtype), (torch.rand(2, 1) + 0.1).to(dtype)
    for zero_points in (integers(-3, 3, 2, 2), torch.randn(2, 2).to(dtype)):
        yield decomposed.quantize_per_channel_group.default, x, groups, zero_points, -8, 7, torch.int8, 4
        yield decomposed.dequantize_per_channel_group.default, q, groups, zero_points, -8, 7, torch.int8, 4, torch.float32
    for zero_points in (integers(-3, 3, 2, 1), torch.randn(2, 1).to(dtype)):
        yield decomposed.quantize_per_token.default, x, tokens, zero_points, -128, 127, torch.int8
        yield decomposed.dequantize_per_token.default, q, tokens, zero_points, -128, 127, torch.int8, dtype
    for t in (x, x.abs()):
        if dtype == torch.float32:
            for op in (decomposed.choose_qparams, decomposed.choose_qparams_symmetric):
                yield op.tensor, t, -127, 127, 1e-7, torch.int8
        for name in ("choose_qparams_per_token", "choose_qparams_per_token_asymmetric", "_choose_qparams_per_token_asymmetric_impl"):
            yield getattr(decomposed, name).default, t, torch.int8


def fake_calls(x):
    scale, zero_point = torch.tensor([0.1]), torch.tensor([2], dtype=torch.int32)
    scales = torch.rand(4) + 0.1
    yield aten.fake_quantize_per_tensor_affine.default, x, 0.1, 2, -8, 7
    yield aten.fake_quantize_per_tensor_affine.tensor_qparams, x, scale, zero_point, -8, 7
    yield aten.fake_quantize_per_tensor_affine_cachemask.default, x, 0.1, -2, -8, 7
    for enabled in (0, 1):
        yield aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default, x, scale, zero_point, torch.tensor([enabled]), -8, 7
    for zero_points in (integers(-3, 3, 4, dtype=torch.int32), torch.randn(4)):
        yield aten.fake_quantize_per_channel_affine.default, x, scales, zero_points, 1, -8, 7
        yield aten.fake_quantize_per_channel_affine_cachemask.default, x, scales, zero_points, 1, -8, 7
    for name in ("tensor", "channel"):
        yield getattr(aten, f"fake_quantize_per_{name}_affine_cachemask_backward").default, x, x > 0
    yield aten._fake_quantize_learnable_per_tensor_affine.default, x, scale, torch.tensor([2.2]), -8, 7
    yield aten._fake_quantize_learnable_per_channel_affine.default, x, scales, torch.randn(4), 1, -8, 7
    if x.dtype == torch.float32:
        yield decomposed.fake_quant_per_channel.default, x, scales, integers(-3, 3, 4), 1, -8, 7


def product_calls(dtype):
    yield aten._weight_int8pack_mm.default, torch.randn(2, 32).to(dtype), integers(-128, 128, 16, 32, dtype=torch.int8), torch.rand(16).to(dtype)
    for columns, rows, group in ((64, 16, 32), (32, 80, 32)):
        weight = integers(0, 16, rows, columns, dtype=torch.int32)
        packed = aten._convert_weight_to_int4pack_for_cpu.default(weight, 1)
        yield aten._convert_weight_to_int4pack_for_cpu.default, weight, 1
        yield aten._weight_int4pack_mm_for_cpu.default, torch.randn(2, columns).to(dtype), packed, group, torch.rand(columns // group, rows, 2).to(dtype)
    a, b = torch.randn(16, 16).to(torch.float8_e4m3fn), torch.randn(16, 16).to(torch.float8_e4m3fn).t()
    yield aten._scaled_mm.default, a, b, torch.tensor(0.5), torch.tensor(1.5), {"out_dtype": dtype}


def dynamic_calls():
    yield aten._int_mm.default, integers(-128, 128, 17, 8, dtype=torch.int8), integers(-128, 128, 8, 8, dtype=torch.int8)
    for columns, group, bias in ((32, 32, torch.randn(4)), (64, 32, None)):
        weights, scales = integers(0, 256, 4, columns // 2, dtype=torch.uint8), torch.rand(4, columns // group).to(torch.float32 if columns == group else torch.bfloat16)
        packed = aten._dyn_quant_pack_4bit_weight.default(weights, scales, bias, group, columns, 4)
        yield aten._dyn_quant_pack_4bit_weight.default, weights, scales, bias, group, columns, 4
        yield aten._dyn_quant_matmul_4bit.default, torch.randn(2, columns), packed, group, columns, 4


def calls():
    for dtype in FLOATS:
        x = (torch.randn(3, 4) * 3).to(dtype)
        yield from per_tensor_calls(x)
        yield from group_calls(dtype)
        yield from fake_calls(x)
        yield from product_calls(dtype)
    yield from dynamic_calls()


def main(directory):
    torch.manual_seed(0)
    by_op = {}
    for op, *args in list(calls()):
        kwargs = args.pop() if isinstance(args[-1], dict) else {}
        tensors, cases = by_op.setdefault(op, ({}, []))
        case = make_case(op, args, kwargs, len(cases), tensors)
        if case["rtol"] and any(v.get("dtype") in ("float16", "bfloat16") for v in case["outputs"]):
            case |= {"rtol": 8e-3, "atol": 1e-3}
        cases.append(case)
    for op, (tensors, cases) in by_op.items():
        write_cases(directory, op, cases, tensors)


if __name__ == "__main__":
    main(sys.argv[1])
