#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of random ops with the numbers that PyTorch's CPU generator gives for a seed.

    python make_random_cases.py DIR      writes DIR/SEED/aten.rand.default/, ...; needs torch and safetensors

On Intel's processors PyTorch draws Bernoulli and exponential numbers with MKL, which gives others: run this elsewhere.
"""

import sys
from pathlib import Path

import torch
from op_cases import make_case, write_cases

aten = torch.ops.aten
SIZES = [], [7], [16], [3, 11]  # normal numbers are drawn another way from 16 on, and the last 16 anew when 16 does not divide the size
FLOATS = torch.float32, torch.float64, torch.bfloat16, torch.float16


def like(dtype):
    """Tensors to fill: below and above 16 elements, and not contiguous."""
    for size in SIZES:
        yield torch.zeros(size, dtype=dtype)
    yield torch.zeros(4, 6, dtype=dtype).t()
    yield torch.zeros(2, 3, 4, 2, dtype=dtype).to(memory_format=torch.channels_last)


def sized_calls():
    for dtype in FLOATS:
        for size in SIZES:
            yield aten.rand.default, size, {"dtype": dtype}
            yield aten.randn.default, size, {"dtype": dtype}
            yield aten.normal.float_float, 1.5, 0.5, size, {"dtype": dtype}
    yield aten.randn.default, [9], {"dtype": torch.complex64}
    yield aten.rand.default, [3], {"dtype": torch.complex64}
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.float32, torch.bfloat16, torch.bool):
        yield aten.randint.default, 2, [9], {"dtype": dtype}
    for low, high in ((-5, 100), (0, 2**32), (-(2**62), 2**62)):
        yield aten.randint.low, low, high, [9]
    for count in (0, 1, 20):
        yield aten.randperm.default, count
    yield aten.randperm.default, 9, {"dtype": torch.float32}


def filling_calls():
    for x in like(torch.complex64):
        yield aten.normal_.default, x, -2.0, 3.5
    for dtype in FLOATS:
        for x in like(dtype):
            for op in (aten.uniform, aten.normal_functional, aten.exponential, aten.cauchy, aten.log_normal):
                yield op.default, x
            for op in (aten.uniform_, aten.normal_):
                yield op.default, x, -2.0, 3.5
            yield aten.exponential_.default, x, 2.5
            yield aten.geometric.default, x, 0.3
            yield aten.bernoulli.p, x, 0.4
            yield aten.rand_like.default, x
            yield aten.randn_like.default, x
            yield aten.randint_like.default, x, 9
            yield aten.random.default, x
            yield aten.random_.to, x, 50
            yield getattr(aten.random, "from"), x, -7, 50
    for dtype in (torch.int64, torch.int16, torch.uint8, torch.bool):
        x = torch.zeros(9, dtype=dtype)
        yield aten.random.default, x
        yield aten.bernoulli.p, x, 0.4
    yield getattr(aten.random_, "from"), torch.zeros(5, dtype=torch.int64), -(2**63), None
    for x in (torch.zeros(3, 8)[:, ::2], torch.zeros(5, 5)[1:4, 1:4]):
        yield aten.uniform_.default, x
        yield aten.normal_.default, x
        yield aten.bernoulli_.float, x, 0.5


def input_calls():
    source = torch.Generator().manual_seed(0)
    for dtype in FLOATS:
        for x in like(torch.float64):
            # rates and probabilities of few bits, the same in every dtype
            p = (torch.randint(0, 65, x.shape, generator=source).double() / 64).as_strided(x.shape, x.stride()).to(dtype)
            yield aten.bernoulli.default, p
            yield aten.bernoulli.Tensor, torch.zeros_like(p), p
            yield aten.poisson.default, 20 * p
            for op in (aten.dropout, aten.alpha_dropout):
                yield op.default, p, 0.3, True
            yield aten.native_dropout.default, p, 0.3, True
            if dtype != torch.float16:  # not implemented
                yield aten.rrelu.default, p - 0.5, {"training": True}
                yield aten.rrelu_with_noise.default, p - 0.5, torch.zeros_like(p), {"training": True}
            yield aten.normal.Tensor_Tensor, p, p + 1
            yield aten.normal.Tensor_float, p, 0.5
            yield aten.normal.float_Tensor, 1.5, p
            if p.dim() >= 2:
                for op in (aten.feature_dropout, aten.feature_alpha_dropout):
                    yield op.default, p, 0.5, True
        weights = torch.randint(1, 65, (2, 20), generator=source).to(dtype)
        for samples, replacement in ((1, False), (9, False), (1, True), (9, True)):
            yield aten.multinomial.default, weights, samples, replacement
            yield aten.multinomial.default, weights[0], samples, replacement
        yield aten.multinomial.default, weights.t(), 2, True
        yield aten.multinomial.default, torch.randn(90, generator=torch.Generator().manual_seed(1)).softmax(0).to(dtype), 200, True
    for dtype in FLOATS[:2]:
        for size in (*SIZES, [4, 30]):
            rates = torch.randint(0, 65, size, generator=source).to(dtype) / 16
            yield aten._standard_gamma.default, rates
            if dtype == torch.float32:  # the last bit of a sum of float64 depends on the processor
                yield aten._sample_dirichlet.default, rates + 0.25
            yield aten.binomial.default, 25 * rates.round(), torch.randint(0, 65, size, generator=source).to(dtype) / 64


def recurrent_calls():
    """Dropout between layers; the sums are not the same to the bit."""
    source = torch.Generator().manual_seed(0)
    sizes = torch.tensor([3, 3, 2, 1])
    for op, gates in ((aten.lstm, 4), (aten.gru, 3), (aten.rnn_tanh, 1), (aten.rnn_relu, 1)):
        for directions, layers in ((1, 3), (2, 2)):
            weights = []
            for layer in range(layers):
                for _ in range(directions):
                    columns = 3 if layer == 0 else 4 * directions
                    weights += [torch.randn(gates * 4, columns, generator=source), torch.randn(gates * 4, 4, generator=source)]
            states = [torch.randn(layers * directions, 3, 4, generator=source) for _ in range(2)]
            state = states if op is aten.lstm else states[0]
            settings = False, layers, 0.4, True, directions == 2
            yield op.input, torch.randn(3, 5, 3, generator=source), state, weights, *settings, True
            yield op.data, torch.randn(9, 3, generator=source), sizes, state, weights, *settings


def main(directory):
    for seed, calls in ((0, sized_calls), (42, filling_calls), (2**40 + 123, input_calls), (5, recurrent_calls)):
        by_op = {}
        for op, *args in calls():
            kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
            tensors, cases = by_op.setdefault(op, ({}, []))
            tolerance = {"rtol": 1e-4, "atol": 1e-5} if calls is recurrent_calls else {"rtol": 0.0, "atol": 0.0}
            cases.append(make_case(op, args, kwargs, len(cases), tensors, seed) | {"check": "values"} | tolerance)
        for op, (tensors, cases) in by_op.items():
            write_cases(Path(directory) / str(seed), op, cases, tensors)


if __name__ == "__main__":
    main(sys.argv[1])
