#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of calls at the edges of what ops are defined for: numbers that wrap, overflow, NaN, empty
tensors, odd arguments.

    python make_edge_cases.py DIR      writes DIR/aten.eq.Scalar/, ...; needs torch and safetensors
"""

import math
import sys

import torch
from op_cases import write_calls

aten = torch.ops.aten
inf, nan = math.inf, math.nan


def ramp(*shape, dtype=torch.float32):
    return torch.arange(math.prod(shape)).reshape(shape).to(dtype)


def numbers_that_wrap():
    """(op, arguments…[, {keyword arguments}])"""
    bytes_ = torch.tensor([255, 44, 0, 1, 7], dtype=torch.uint8)
    shorts = torch.tensor([-128, 100, 0, 7], dtype=torch.int8)
    for x, numbers in ((bytes_, (-1, 300, -3)), (shorts, (128, 300))):
        for number in numbers:
            for op in (aten.eq, aten.lt, aten.ge, aten.remainder, aten.fmod):
                yield op.Scalar, x, number
            for op in (aten.maximum, aten.fmin, aten.gcd, aten.lcm):
                yield op.default, x, torch.tensor(number)
            for op in (aten.ne, aten.le):
                yield op.Tensor, torch.tensor(number), x
            yield aten.floor_divide.default, x, torch.tensor(number)
            yield aten.div.Scalar_mode, x, number, {"rounding_mode": "floor"}
            yield aten.clamp_max.Tensor, x, torch.tensor(number)
            yield aten.clamp.Tensor, x, torch.tensor(number), torch.tensor(100)
            yield aten.bucketize.Scalar, number, x.sort()[0]
    for number, dtype in ((-4, torch.uint8), (-255, torch.uint8), (127, torch.int8), (-1, torch.uint64), (-inf, torch.float16)):
        yield aten.full.default, [2], number, {"dtype": dtype}
    for dtype in (torch.float16, torch.bfloat16):
        yield aten.scalar_tensor.default, 1e39, {"dtype": dtype}


def contractions():
    for dtype in (torch.int8, torch.float32):
        a, b, c = ramp(2, 3, dtype=dtype), ramp(4, dtype=dtype), ramp(3, 4, dtype=dtype)
        for equation, tensors in (("ik,j->ij", (a, b)), ("ik,kj->", (a, c)), ("ik,j->", (a, b)), ("ik,kj->ij", (a, c)), ("ik,kj->ij", (a[:, :1], c)),
                                  ("ik->i", (a[:, :1],)), ("ij,k,jk->i", (a, b, c)), ("i,i", (b, b[:1]))):  # fmt: skip
            yield aten.einsum.default, equation, list(tensors)
        yield aten.tensordot.default, a, c[:1], [1], [0]


def equal_values():
    """Where sorts that are not stable leave equal values, and what NaNs do to sorts that do not expect them."""
    generator = torch.Generator().manual_seed(1)
    for dtype in (torch.float32, torch.int64, torch.float16):
        x = torch.randint(0, 5, (3, 70), generator=generator).to(dtype)
        holes = x.clone()
        if dtype.is_floating_point:
            holes[:, ::7] = nan
        for descending in (False, True):
            yield aten.sort.default, holes, 1, descending
            yield aten.sort.stable, holes, {"stable": True, "dim": 1, "descending": descending}
            yield aten.argsort.default, x[0].expand(2, 70).t(), 1, descending
        yield aten.mode.default, x, 1
        yield aten.mode.default, holes, 1
        yield aten._unique2.default, holes[0], True, True, True
        yield aten.unique_dim.default, holes[:, :24].t().contiguous(), 0, True, True, True


def special_values():
    x = torch.tensor([inf, -inf, nan, 88.5, 89.0, -91.0, -3.0, -2.09, 0.0, 0.5, 2.08, 2.09, 5.0, 8.4, 103.0, 104.0])
    for dtype in (torch.float32, torch.float64):
        for op in (aten.i0, aten.special_i1, aten.special_modified_bessel_i0, aten.special_airy_ai):
            yield op.default, x.to(dtype)
    z = torch.complex(torch.tensor([0.0, 0.0, 88.8, -90.0, 0.3, 1.0]), torch.tensor([1.0, 0.0, 0.7, 200.0, -60.0, -2.0]))
    for op in (aten.sinc, aten.expm1, aten.log10, aten.log2):
        yield op.default, z
    yield aten.div.Tensor, z, torch.zeros_like(z)
    yield aten.special_ndtr.default, torch.tensor([-10.0, -3.0, -2.0, 0.3, 4.0], dtype=torch.bfloat16)
    for eps in (1e-6, 0.1):
        yield aten.logit.default, torch.tensor([0.0, 0.3, 1.0], dtype=torch.float16), eps
    huge = torch.tensor([1e308, -1.7e308, 1e-310, 1e-300, 1e-12, 5e-324, 2.0], dtype=torch.float64)
    for op in (aten.i0, aten.special_i0e, aten.special_i1, aten.special_ndtri):
        yield op.default, huge
    for op in (aten.special_modified_bessel_k0, aten.special_modified_bessel_k1, aten.special_scaled_modified_bessel_k0):
        yield op.default, huge[:5]
    waves = torch.tensor([5.0001, 5.5, 0.3, -7.0, 37.0, 200.0, inf, 0.0, 1e-6])
    for dtype in (torch.float32, torch.float64):
        for op in (aten.special_bessel_j0, aten.special_bessel_j1, aten.special_bessel_y0, aten.special_bessel_y1):
            yield op.default, waves.to(dtype)
    for dtype, n in ((torch.float32, 50), (torch.float16, 20), (torch.bfloat16, 3), (torch.float64, 200)):
        yield aten.polygamma.default, n, torch.tensor([0.5, 1.5, 3.5, 9.0, 100.0, 170.0], dtype=dtype)
    for dtype in (torch.float32, torch.bfloat16):
        yield aten.mvlgamma.default, torch.tensor([1e-10, 0.01, 0.9, 2.1, 7.3], dtype=dtype), 3
    yield aten.special_zeta.default, torch.tensor([199.0, 15.0, 3.0]), torch.tensor([-0.5, -1.5, 2.0])
    far = torch.complex(torch.tensor([-90.0, -90.0, -100.0, 90.0]), torch.tensor([0.0, 1.0, 2.0, 1.0]))
    for op in (aten.sigmoid, aten.silu):
        yield op.default, far
    grid = torch.zeros(1, 1, 6, 2)
    grid[0, 0, :, 0] = torch.tensor([inf, -inf, nan, 7, -9, 0.3])
    volume = torch.zeros(1, 1, 1, 6, 3)
    volume[..., :2] = grid[None]
    for padding in range(3):
        for mode in range(2):
            yield aten.grid_sampler_2d.default, ramp(1, 1, 1, 5), grid, mode, padding, False
            yield aten.grid_sampler_3d.default, ramp(1, 1, 1, 1, 5), volume, mode, padding, False
    matrix = torch.eye(3)
    matrix[1, 1] = inf
    yield aten.linalg_svdvals.default, matrix


def complex_numbers():
    parts = [0.0, -0.0, 1.0, -0.5, inf, -inf, nan, 1e30, 3e38, 90.0]
    z = torch.complex(*(t.flatten() for t in torch.meshgrid(torch.tensor(parts), torch.tensor(parts), indexing="ij")))
    for op in (aten.exp2, aten.log1p, aten.tanh, aten.rsqrt, aten.reciprocal, aten.square, aten.sqrt, aten.sigmoid, aten.atan):
        yield op.default, z
    for op in (aten.pow.Tensor_Tensor, aten.mul.Tensor, aten.div.Tensor):
        for shift in (1, 7, 33):
            yield op, z, z.roll(shift)
    for exponent in (0, 1, -2, 3, 2.5, 1j):
        yield aten.pow.Tensor_Scalar, z, exponent
    for base in (0, 1, 2.0):
        yield aten.pow.Scalar, base, z


def matrices():
    """With infinities and NaN."""
    for value in (inf, nan):
        for row, column in ((0, 0), (1, 0), (0, 1), (2, 2)):
            a = torch.eye(3, dtype=torch.float64) * 3 + 0.5
            a[row, column] = value
            yield aten.linalg_cholesky_ex.default, a
            yield aten.linalg_slogdet.default, a
            yield aten.linalg_lu_factor_ex.default, a
            yield aten.linalg_solve_triangular.default, a, ramp(3, 2, dtype=torch.float64), {"upper": True}
    pair = torch.tensor([[2.0, 1.0], [inf, 3.0]])
    for side in ("L", "U"):
        yield aten.linalg_eigvalsh.default, pair, side
    yield aten.pinverse.default, torch.eye(2) * 3, nan
    for value in (inf, -inf, 1.0):
        yield aten.linalg_matrix_exp.default, torch.full((1, 1), value)


def empty_tensors():
    for op in (aten.linalg_det, aten.linalg_eigvalsh, aten.linalg_svdvals, aten.linalg_cholesky_ex, aten.linalg_lu):
        yield op.default, torch.zeros(2, 0, 0, dtype=torch.float16)
    for shape in ((0, 0), (0, 2), (2, 0), (3, 0, 2)):
        for order in (1, 2, inf):
            yield aten.linalg_matrix_norm.default, torch.zeros(shape), order
    yield aten.linalg_norm.default, torch.zeros(0, 0), inf, [-2, -1], True
    for training in (True, False):
        yield aten.batch_norm.default, torch.zeros(0), None, None, torch.zeros(0), torch.zeros(0), training, 0.1, 1e-5, True
    for dtype in (torch.int64, torch.uint8, torch.float32):
        yield aten.median.default, torch.zeros(0, dtype=dtype)
    yield aten.log_softmax.int, torch.zeros(0, 3, dtype=torch.int8), 1
    yield aten.replication_pad3d.default, ramp(2, 3, 3, 2), [-1, -1, 0, 0, 1, -1]
    yield aten.topk.default, torch.tensor(1.5), 0
    yield aten.var.correction, torch.zeros(0, 3), [0], {"correction": -2}
    yield aten.svd.default, torch.ones(2, 3), True, False
    yield aten.native_dropout.default, torch.zeros(3, 0), 0.5, True
    yield aten.gather.default, ramp(2, 3), 0, torch.zeros(0, 3, dtype=torch.uint8)


def odd_arguments():
    for padding in ([-1, 1, -2, 1], [1, -1, 2, -2]):
        yield aten.pad.default, ramp(1, 2, 4, 4), padding, "circular"
    yield aten.diff.default, ramp(2, 3), 0, 0, ramp(1, 3)
    truths = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    yield aten.clamp.Tensor, truths[0], truths[1]
    yield aten.clamp.Tensor, truths[0], None, truths[1]
    for exponent in (True, False):
        yield aten.pow.Tensor_Scalar, truths[0], exponent
    for dtype in (torch.int8, torch.bool):
        yield aten.sum_to_size.default, torch.ones((), dtype=dtype), []
    numbers, signs = torch.tensor([-100, -3, 0, 8, 100], dtype=torch.int8), torch.tensor([1, -1, 0, -1, 1], dtype=torch.int8)
    for reduction in (0, 2):
        yield aten.hinge_embedding_loss.default, numbers, signs, 8.4, reduction
    yield aten.margin_ranking_loss.default, ramp(2, 3), ramp(2, 3).flip(0), torch.tensor(1.0), 1.0
    weights, rows = torch.tensor([1.3, 2.1, 0.7]), torch.tensor([[1.0, 2, 3], [4, 5, 7]], dtype=torch.float64)
    yield aten.cov.default, rows, {"correction": 2, "aweights": weights}
    strided = torch.arange(20.0)[::2]
    yield aten.as_strided_scatter.default, strided, torch.full((2, 2), -1.0), [2, 2], [1, 2], 1
    yield aten.as_strided_scatter.default, strided, torch.full((3,), -1.0), [3], [5]
    for self, exponent in ((torch.float16, torch.int8), (torch.int8, torch.float16), (torch.float64, torch.float16)):
        yield aten.ldexp.Tensor, torch.full((2,), 3.0).to(self), torch.tensor([-2.0, 3.0]).to(exponent)
        yield aten.ldexp.Tensor, torch.full((2,), 3.0).to(self), torch.tensor(1.75).to(exponent)
    for op in (aten.mT, aten.mH):
        yield op.default, torch.tensor(2.5)
    yield aten.take_along_dim.default, ramp(3, 3), torch.tensor([[-4], [3], [1]]), 1
    yield aten.threshold.default, ramp(256, dtype=torch.uint8), -2, -9
    yield aten.embedding_bag.default, ramp(6, 3), torch.tensor([0, 5, 2, 2]), torch.tensor([0, 2], dtype=torch.uint8)
    yield aten.std_mean.correction, torch.tensor([[inf, 1, 2], [1, 2, inf]]), [1]
    for length in (2, 3):
        yield aten.stft.default, ramp(11), 4, 3, length, None, False, True, True, True
    yield aten.trapezoid.dx, torch.tensor([[1.0], [inf]])
    halves, bias = ramp(2, 4, dtype=torch.bfloat16), ramp(4)
    yield aten.native_layer_norm.default, halves, [4], None, bias, 1e-5
    yield aten.native_batch_norm.default, halves, None, bias, None, None, True, 0.1, 1e-5
    yield aten.native_group_norm.default, halves, None, bias, 2, 4, 1, 2, 1e-5
    for dtype in (torch.bfloat16, torch.float16):  # the statistics are rounded before they are applied
        far = (ramp(2, 3, 5) * 1.7 + 300).to(dtype)
        yield aten.native_batch_norm.default, far, None, None, None, None, True, 0.1, 1e-5
        yield aten.batch_norm.default, far, torch.ones(3, dtype=dtype), None, None, None, True, 0.1, 1e-5, False
        yield aten._weight_norm_interface.default, far, torch.ones(1, 1, 5, dtype=dtype), 2
    for dtype in (torch.float64, torch.float16):
        yield aten.binary_cross_entropy_with_logits.default, ramp(2, 3), torch.ones(2, 3, dtype=dtype), None, None, 0
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        yield aten._to_copy.default, torch.tensor([-1, 3, -1024]).to(torch.uint64), {"dtype": dtype}
    yield aten.poisson_nll_loss.default, torch.tensor([0.0, 2.0]).half(), torch.tensor([1.0, 2.0]).half(), False, False, 1e-8, 0
    for dtype in (torch.int64, torch.bool, torch.float64):
        yield aten.equal.default, torch.full((2,), 2.0), torch.full((2,), 2.0).to(dtype)
    yield aten.equal.default, torch.ones(2), torch.ones(3, dtype=torch.int64)
    for dtype in (torch.int32, torch.float64):
        yield aten.nansum.default, torch.tensor([1.7, -3.6, 2.9, nan]), [0], {"dtype": dtype}
    yield aten.scalar_tensor.default, 2
    for op in (aten.linspace, aten.logspace):
        yield op.default, 0, 1000, 1, {"dtype": torch.int8}
    flags = torch.tensor([True, False, True])
    for value in (0.5, inf):
        yield aten.masked_fill.Scalar, flags, torch.tensor([False, True, True]), value
    yield aten.constant_pad_nd.default, flags, [1, 1], 0.5
    yield aten.pad.default, flags, [1, 1], "constant", 0.5
    yield aten.add.Tensor, flags, torch.tensor([True, True, False]), {"alpha": -1}
    yield aten.add.Tensor, torch.zeros(2, dtype=torch.bfloat16), torch.full((2,), 100.0, dtype=torch.bfloat16), {"alpha": 1.003}
    yield aten.addmv.default, torch.zeros(2).half(), torch.eye(2).half() * 1000, torch.ones(2).half(), {"alpha": 1.0003}
    for low, high in ((nan, 1), (-1, nan)):
        yield aten.hardtanh.default, ramp(3), low, high
    for op in (aten.elu, aten.celu):
        yield op.default, torch.tensor([-0.0, 0.0, -1.0, nan]), inf
    yield aten.margin_ranking_loss.default, ramp(3), ramp(3).flip(0), torch.tensor([1, 2, 3], dtype=torch.uint8), 0.5, 0
    for dtype in (torch.float64, torch.bfloat16):
        yield aten.huber_loss.default, ramp(3).half(), torch.ones(3, dtype=dtype), 0
        yield aten.soft_margin_loss.default, ramp(3).half(), torch.ones(3, dtype=dtype), 0
    yield aten.chain_matmul.default, [ramp(2, 2)]
    for op in (aten.std, aten.var):
        yield op.correction, torch.tensor([1e38, -1e38, 1e20, 0.0]), [0]
    for dtype in (torch.int32, torch.int8):
        yield aten.lcm.default, torch.tensor([-8, 127, -128], dtype=dtype), torch.tensor([torch.iinfo(dtype).max, 126, 3], dtype=dtype)
    layers = torch.tensor([[[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]], [[0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]]])
    for dim in range(3):  # slices in the order of their elements, the other dimensions as they are
        yield aten.unique_dim.default, layers, dim
    yield aten.embedding_bag.default, ramp(6, 3), torch.tensor([0, 5, 2, 2]), torch.tensor([0, 2]), False, 0, False, torch.arange(8.0)[::2]


def tensors_that_overlap_themselves():
    """PyTorch refuses to write to most."""
    yield aten.zero_.default, ramp(1, 3).expand(2, 3)
    yield aten.fill_.Scalar, ramp(1, 3).expand(2, 3), 2.5
    yield aten.threshold_.default, ramp(1, 3).expand(2, 3), 1, 7
    yield aten.masked_fill_.Scalar, ramp(1, 3).expand(2, 3), torch.tensor([True, False, True]), -1


def overflowing_powers():
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64):
        x = torch.tensor([1e-3, 0.5, 2.0, 3.0]).to(dtype)
        for order in (3, 50, 300, -50, 1000):
            yield aten.linalg_vector_norm.default, x, order
    for order in (50, 300):
        yield aten.renorm.default, torch.tensor([[1.0, 2.0], [3.0, 0.5]]), order, 0, 1.0
    rows = torch.tensor([[nan, 1.0, 2.0], [3.0, 1.0, 5.0], [inf, 1.0, 2.0]])
    for order in (0.0, inf):
        yield aten.cdist.default, rows, rows, order
        yield aten._pdist_forward.default, rows, order


def numbers_that_do_not_fit():
    """The dtype that they are converted to."""
    far = torch.tensor([2.0**63, 1e19, 1.5 * 2.0**63, 2.0**64, -(2.0**63), 1e30, 2.0**32 + 5, -(2.0**31) - 1, 300.0, -1.0, inf, nan], dtype=torch.float64)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint64):
        for source in (torch.float64, torch.float32, torch.bfloat16, torch.complex64):
            yield aten._to_copy.default, far.to(source), {"dtype": dtype}
    for dtype in (torch.float16, torch.bfloat16):
        for op in (aten.fmod, aten.remainder):
            for number in (0.3, 1e-8, 7):
                yield op.Scalar, torch.tensor([0.3, -2.5, 7.0, 100.0]).to(dtype), number
        yield aten.remainder.Scalar_Tensor, 0.3, torch.tensor([0.1, -2.5, 7.0]).to(dtype)
    yield aten.index_fill.int_Scalar, torch.zeros(3, dtype=torch.int64), 0, torch.tensor([1]), 2.0**63
    yield aten.fill.Scalar, torch.zeros(2, dtype=torch.int8), 2 + 0j
    yield aten.hardtanh.default, torch.tensor([-3.0, 3.0]), -1, 2 + 0j
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        x = torch.tensor([-1.5, -2.5, 0.33, 5.2]).to(dtype)
        for n in (1, 10, 20):
            yield aten.polygamma.default, n, x


def halves_beside_others():
    """Numbers and integers are rounded to 16 bits first, apart from the second one of a product or quotient."""
    for dtype in (torch.float16, torch.bfloat16):
        x, integers = (ramp(40) * 0.037 + 0.1).to(dtype), torch.tensor([1, 2049, 3, 4099]).repeat(10)
        for number in (0.3, 1.7, 300.7):
            for op in (aten.add, aten.sub, aten.mul, aten.div):
                yield op.Scalar, x, number
                yield op.Tensor, torch.tensor(number), x
            yield aten.rsub.Scalar, x, number
            for op in (aten.atan2, aten.hypot, aten.logaddexp):
                yield op.default, x, torch.tensor(number)
            yield aten.pow.Scalar, number, x
        for op in (aten.add.Tensor, aten.mul.Tensor, aten.sub.Tensor, aten.div.Tensor):
            yield op, x, integers
        yield aten.ldexp.Tensor, x[:3], torch.tensor([2**31, 2**40, -(2**31) - 1])
        yield aten.where.ScalarOther, x > 1, x, -1e9


def losses_of_mixed_dtypes():
    x, y = torch.tensor([0.05, 0.2, 0.37, 0.97, 0.5]), torch.tensor([0.1, 0.9, 0.3, 0.0, 1.0])
    dtypes = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    for a in dtypes:
        yield aten.binary_cross_entropy.default, x.to(a), y.to(a), x.double(), 0
        for b in dtypes:
            for log_target in (False, True):
                yield aten.kl_div.default, x.to(a), y.to(b), 0, {"log_target": log_target}
            yield aten.binary_cross_entropy_with_logits.default, x.to(a), y.to(b), x.half(), y.double(), 0
            yield aten.soft_margin_loss.default, x.to(a), y.to(b), 0
    yield aten.soft_margin_loss.default, x * (1 + 0.5j), y, 0
    a, b = ramp(3, 4, dtype=torch.uint8) + 40, ramp(3, 4, dtype=torch.uint8).flip(0) + 25
    for target in (torch.tensor([1, -1, 1]), torch.tensor([1, 255, 0], dtype=torch.uint8), torch.tensor([-1.0, 1.0, 2.0])):
        yield aten.cosine_embedding_loss.default, a, b, target, 0.25, 0
        yield aten.cosine_embedding_loss.default, a.half(), b.half(), target, 0.25


def roundings_that_decide():
    """Between neighbours: what is rounded to a coarse dtype, or not, before it is compared."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([0.1, -0.1, 0.1015, -0.1015, 0.2, -0.0999])
    for dtype in (torch.bfloat16, torch.float16):
        yield aten.softshrink.default, x.to(dtype), 0.1
        yield aten.floor_divide.default, (ramp(40) * 0.75).to(dtype), torch.tensor(0.3)
        yield aten.div.Scalar_mode, (ramp(40) * 0.75).to(dtype), 0.3, {"rounding_mode": "floor"}
        for exponent in (3, -2, 1.7):
            yield aten.pow.Tensor_Scalar, x.to(dtype), exponent
        yield aten.hardshrink.default, x.to(dtype), 0.1
        columns = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
        rows = torch.arange(40) % 3
        yield aten.index_put.default, torch.ones(3, 16, dtype=dtype), [rows], columns.reshape(-1)[:160].reshape(10, 16).repeat(4, 1), True
        yield aten.embedding_dense_backward.default, columns.reshape(18, 16), rows[:18], 3, -1, True
        yield aten.col2im.default, columns, [6, 6], [3, 3], [1, 1], [0, 0], [1, 1]
        for op in (aten.softshrink_backward, aten.hardshrink_backward):
            yield op.default, torch.ones(6, dtype=dtype), x.to(dtype), 0.1
        samples = (torch.randn(500, generator=generator) * 0.3).to(dtype)
        yield aten.histc.default, samples, 10, -0.3, 0.3
        yield aten.histc.default, samples, 7
        image, grid = torch.rand(1, 2, 12, 16, generator=generator).to(dtype), torch.rand(1, 6, 8, 2, generator=generator).to(dtype)
        for mode in (0, 1, 2):
            for align_corners in (False, True):
                yield aten.grid_sampler_2d.default, image, grid, mode, 2 * (mode % 2), align_corners
        volume, places = torch.rand(1, 1, 5, 12, 16, generator=generator).to(dtype), torch.rand(1, 2, 3, 4, 3, generator=generator).to(dtype)
        yield aten.grid_sampler_3d.default, volume, places, 1, 0, False
        theta = torch.randn(1, 2, 3, generator=generator).to(dtype)
        for align_corners in (False, True):
            yield aten.affine_grid_generator.default, theta, [1, 1, 9, 7], align_corners
        for op in (aten.hann_window, aten.hamming_window, aten.blackman_window, aten.bartlett_window, aten.kaiser_window):
            for n, periodic in ((50, True), (37, False), (300, False)):
                yield op.periodic, n, periodic, {"dtype": dtype}
        for start, end, steps in ((-1, 1, 100), (2.3, -7.1, 33)):
            yield aten.linspace.default, start, end, steps, {"dtype": dtype}
        q, k, v = (torch.randn(1, 2, n, 16, generator=generator).to(dtype) for n in (16, 29, 29))
        yield aten.scaled_dot_product_attention.default, q, k, v
        yield aten.scaled_dot_product_attention.default, q, k, v, torch.randn(16, 29, generator=generator).to(dtype)
        yield aten.scaled_dot_product_attention.default, q, q, k[:, :, :16], None, 0.0, True
        yield aten.scaled_dot_product_attention.default, q, k, v.transpose(2, 3).contiguous().transpose(2, 3)
        last, last_3d = torch.channels_last, torch.channels_last_3d
        image, volume = torch.randn(1, 5, 6, 7, generator=generator).to(dtype), torch.randn(1, 2, 4, 5, 6, generator=generator).to(dtype)
        grad = torch.randn(1, 5, 5, 5, generator=generator).to(dtype)
        yield aten.avg_pool2d_backward.default, grad, image, [2, 3], [1, 1], [0, 0], False, True, None
        yield aten._adaptive_avg_pool2d_backward.default, grad, image
        yield aten.max_pool2d_with_indices_backward.default, grad, image, [2, 3], [1, 1], [0, 0], [1, 1], False, aten.max_pool2d_with_indices(image, [2, 3], [1, 1])[1]
        for op in (aten.reflection_pad2d_backward, aten.replication_pad2d_backward):
            yield op.default, torch.randn(1, 5, 14, 17, generator=generator).to(dtype), image, [5, 5, 4, 4]
        yield aten._adaptive_avg_pool3d.default, volume, [3, 3, 4]
        yield aten._adaptive_avg_pool3d_backward.default, torch.randn(1, 2, 3, 3, 4, generator=generator).to(dtype), volume
        yield aten.unfold_backward.default, torch.randn(1, 5, 4, 7, 3, generator=generator).to(dtype), [1, 5, 6, 7], 2, 3, 1
        yield aten.upsample_linear1d.default, image[0], [17], False
        yield aten.upsample_bicubic2d.default, image, [9, 10], True
        for x, size in ((image, [9, 10]), (image[:, :1], [9, 120]), (image.to(memory_format=last), [9, 120]), (image[:, :3].to(memory_format=last), [9, 120])):
            yield aten.upsample_bilinear2d.default, x, size, False
        for x in (volume, volume.repeat(1, 2, 1, 1, 1).to(memory_format=last_3d)):
            yield aten.upsample_trilinear3d.default, x, [5, 6, 7], False
        for shape, dim, alpha in (((3, 6), 0, 1), ((3, 6), 1, 1), ((3, 6), 0, 1.7), ((2, 3, 5), 1, 1), ((3,), 0, 1.7)):
            size = shape[:dim] + (40,) + shape[dim + 1 :]
            source = torch.randn(size, generator=generator).to(dtype)
            yield aten.index_add.default, torch.zeros(shape, dtype=dtype), dim, rows % shape[dim], source, {"alpha": alpha}
        for reduce in ("mean", "prod"):
            source = torch.randn(20, 6, generator=generator).to(dtype)
            yield aten.index_reduce.default, torch.ones(3, 6, dtype=dtype), 0, rows[:20], source, reduce
            yield aten.scatter_reduce.two, torch.ones(3, 6, dtype=dtype), 0, rows[:20, None].expand(20, 6), source, reduce
        scores, classes, weight = torch.randn(90, 6, generator=generator).to(dtype), torch.arange(90) % 6, torch.rand(6, generator=generator).to(dtype)
        shares = scores.roll(1).softmax(1)
        for reduction in (0, 1, 2):
            yield aten.nll_loss_forward.default, scores, classes, weight, reduction, 2
            yield aten.cross_entropy_loss.default, scores, classes, weight, reduction, 2, 0.1
            yield aten.cross_entropy_loss.default, scores, shares, weight, reduction, -100, 0.1
        yield aten._log_softmax.default, scores, 1, False
        yield aten._log_softmax.default, scores, 0, False
        yield aten.logsumexp.default, scores, [1]
        yield aten.margin_ranking_loss.default, scores, scores.roll(1), scores.sign(), 0.3, 0
        yield aten.triplet_margin_loss.default, scores, scores.roll(1), scores.roll(2), 1.0, 2.0, 1e-6, False, 0
        yield aten.poisson_nll_loss.default, shares, 2 * shares.roll(1), False, True, 1e-3, 0
        yield aten.addr.default, scores, scores[:, 0], scores[0], {"beta": 0.3, "alpha": 0.7}
        yield aten.linalg_cross.default, scores[:, :3], scores[:, 3:]
        yield aten._embedding_bag.default, scores, rows, torch.tensor([0, 10, 25]), False, 1
        for op, delta in ((aten.mse_loss, ()), (aten.smooth_l1_loss, (0.7,)), (aten.huber_loss, (0.7,))):
            yield op.default, scores, shares, 0, *delta
        for op, delta in ((aten.mse_loss_backward, ()), (aten.huber_loss_backward, (0.7,)), (aten.soft_margin_loss_backward, ())):
            yield op.default, scores.roll(7), scores, shares, 1, *delta
        yield aten.binary_cross_entropy_backward.default, scores, shares, shares.roll(1), None, 0
        for op in (aten.logit, aten.special_entr):
            yield op.default, shares
        for op in (aten.logit_backward, aten.sigmoid_backward):
            yield op.default, scores, shares
        yield aten.cosine_similarity.default, scores, scores.roll(1)
        yield aten.nanmean.default, scores, [1]
        yield aten.addbmm.default, torch.zeros(6, 6, dtype=dtype), scores[:15].reshape(3, 6, 5), scores[20:35].reshape(3, 5, 6), {"alpha": 0.7}
        yield aten.div.Tensor_mode, scores, scores.roll(1), {"rounding_mode": "trunc"}
        yield aten.fractional_max_pool2d.default, torch.randn(1, 2, 40, 37, generator=generator).to(dtype), [2, 2], [25, 20], torch.rand(1, 2, 2, generator=generator).to(dtype)
    steps = ramp(20, dtype=torch.float64) * 0.05 - 0.45
    yield aten.fake_quantize_per_tensor_affine.default, steps, 0.1, 0, -8, 7
    yield aten.fake_quantize_per_tensor_affine.tensor_qparams, steps, torch.tensor(0.1), torch.tensor(0), -8, 7
    yield aten.fake_quantize_per_channel_affine.default, steps.view(4, 5), torch.tensor([0.1, 0.2, 0.3, 0.7]), torch.zeros(4, dtype=torch.int32), 0, -8, 7
    large = torch.tensor([464.0, 464.1, 480.0, 1e5, inf, -500.0, -inf, nan, 60000.0])
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz):
        yield aten._to_copy.default, large, {"dtype": dtype}
    y = torch.tensor([3.0, -3.0, 0.1, 7.0, inf, -0.0, 1e-3, 2.0])
    z = torch.tensor([7.5, -7.5, 0.3, -7.0, 5.0, 1.0, 4e6, 2.0000002])
    for op in (aten.fmod.Tensor, aten.remainder.Tensor, aten.floor_divide.default, aten.hypot.default, aten.nextafter.default):
        yield op, z, y
        yield op, torch.cat([z, torch.tensor([1e30, nan, inf, 0.0])]), torch.cat([y, torch.tensor([3e-5, 1.0, 2.0, 0.0])])


def out_tensors():
    """Of other shapes, which PyTorch gives the result's, and of other dtypes, in which it computes."""
    x, y = torch.tensor([[0.3, -0.4, 0.9], [1.5, 0.2, 0.1]]), ramp(3)
    for shape in ([0], [4], [3, 3, 3]):
        for op in (aten.add, aten.eq):
            out = {"out": torch.zeros(shape, dtype=torch.bool if op is aten.eq else torch.float32)}
            yield (op.out if op is aten.add else op.Tensor_out), x, y, out
        yield aten.mm.out, x, x.t(), {"out": torch.zeros(shape)}
        yield aten.sum.IntList_out, x, [1], True, {"out": torch.zeros(shape)}
        yield aten.cat.out, [x, x], 1, {"out": torch.zeros(shape)}
        yield aten.index_select.out, x, 1, torch.tensor([2, 0]), {"out": torch.zeros(shape)}
        yield aten.exp.out, x.t(), {"out": torch.zeros(shape, dtype=torch.float64)}
    for dtype in (torch.int16, torch.float16, torch.float64):
        for op in (aten.cumsum.out, aten.cumprod.out):
            yield op, 3 * x, 1, {"out": torch.zeros(2, 3, dtype=dtype)}
        yield aten.sum.IntList_out, 3 * x, [1], {"out": torch.zeros(2, dtype=dtype)}
        yield aten.prod.int_out, 3 * x, 1, {"out": torch.zeros(2, dtype=dtype)}
        if dtype.is_floating_point:
            yield aten.nansum.out, 3 * x, [1], {"out": torch.zeros(2, dtype=dtype)}
            yield aten.mean.out, 3 * x, [1], {"out": torch.zeros(2, dtype=dtype)}
    for dtype in (torch.bool, torch.uint8):
        for op in (aten.any, aten.all):
            yield op.out, x, 1, {"out": torch.zeros(2, dtype=dtype)}
            yield op.all_out, x, {"out": torch.zeros([], dtype=dtype)}
            yield op.dims_out, x, [0], {"out": torch.zeros(3, dtype=dtype)}


def convolutions_of_planes():
    """Pointwise and depthwise, in one to three dimensions, at all kinds of steps; weights that are not finite never meet the padding."""
    generator = torch.Generator().manual_seed(2)
    for rank in (1, 2, 3):
        for stride, padding, dilation in ((1, 0, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1), (1, 2, 2), (2, 3, 3), (4, 0, 1)):
            x = torch.randn(2, 3, *(7, 6, 9)[:rank], generator=generator)
            weight, bias = torch.randn(3, 1, *(3, 2, 3)[:rank], generator=generator), torch.randn(3, generator=generator)
            yield aten.convolution.default, x, weight, bias, [stride] * rank, [padding] * rank, [dilation] * rank, False, [0] * rank, 3
        weight[0], weight[1, 0].view(-1)[0] = inf, nan
        yield aten.convolution.default, x, weight, None, [1] * rank, [1] * rank, [1] * rank, False, [0] * rank, 3
        weight = torch.randn(5, 3, *[1] * rank, generator=generator)
        for bias in (None, torch.randn(10, generator=generator)[::2]):
            yield aten.convolution.default, x, weight, bias, [1] * rank, [0] * rank, [1] * rank, False, [0] * rank, 1
        yield aten.convolution.default, x[..., :1], weight, None, [1] * rank, [0] * rank, [1] * rank, False, [0] * rank, 1


def rows_of_any_length():
    """Reductions go in vectors, several at a time: what is left is as good."""
    generator = torch.Generator().manual_seed(3)
    for dtype in (torch.float32, torch.float64, torch.int32, torch.uint8, torch.float16):
        for length in (1, 3, 7, 8, 9, 16, 31, 33, 40, 49, 63, 64, 71, 101):
            x = (100 * torch.rand(3, length, generator=generator)).to(dtype)
            yield aten.sum.dim_IntList, x, [1]
            yield aten.amax.default, x, [1]
            yield aten.amin.default, x, [1]
            if not dtype.is_floating_point:
                continue
            yield aten.mean.dim, x, [1]
            x[0, -1], x[1, length // 2] = nan, -inf
            yield aten.amax.default, x, [1]
            yield aten.amin.default, x, [1]


def main():
    calls = (numbers_that_wrap, contractions, equal_values, special_values, complex_numbers, matrices, empty_tensors, odd_arguments, tensors_that_overlap_themselves,
             overflowing_powers, numbers_that_do_not_fit, halves_beside_others, losses_of_mixed_dtypes, roundings_that_decide, out_tensors,
             convolutions_of_planes, rows_of_any_length)  # fmt: skip
    write_calls(sys.argv[1], [call for group in calls for call in group()])


if __name__ == "__main__":
    main()
