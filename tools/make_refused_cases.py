#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of calls that PyTorch refuses, without outputs; `message` is PyTorch's.

    python make_refused_cases.py DIR      tests/data/refused/arguments; needs torch and safetensors
"""

import math
import sys

import torch
from op_cases import write_refused

aten = torch.ops.aten
ones = torch.ones
f64, i64, half, flags = torch.float64, torch.int64, torch.float16, torch.bool


def calls():
    """(op, arguments…[, {keyword arguments}])"""
    x, square = ones(2, 3), torch.eye(2)
    bytes_, signed = torch.zeros(2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int8)
    for number, dtype in ((-0.5, torch.uint8), (300, torch.uint8), (128, torch.int8), (math.inf, torch.int32), (1e9, half), (1e39, torch.float32)):
        yield aten.full.default, [2], number, {"dtype": dtype}
    yield aten.scalar_tensor.default, 300, {"dtype": torch.int8}
    yield aten.full_like.default, signed, -129
    yield aten.new_full.default, bytes_, [2], 256
    yield aten.fill.Scalar, signed, 1e3
    yield aten.fill_.Scalar, bytes_, -1.5
    yield aten.masked_fill.Scalar, signed, signed == 0, 128
    yield aten.index_fill.int_Scalar, signed, 0, torch.tensor([0]), 300
    yield aten.scatter.value, signed, 0, torch.tensor([0]), -300
    yield aten.full.default, [2], 1e39, {"dtype": torch.complex64}
    for number in (128, -129):
        yield aten.constant_pad_nd.default, signed, [1, 1], number
        yield aten.threshold.default, signed, 0, number
        yield aten.threshold.default, signed, number, 0
        yield aten.add.Tensor, signed, signed, {"alpha": number}
        yield aten.clamp.default, signed, number
        yield aten.clamp_max.default, signed, number
        yield aten.addcmul.default, signed, signed, signed, {"value": number}
        yield aten.index_add.default, signed, 0, torch.tensor([0, 1]), signed, {"alpha": number}
        yield aten.pow.Tensor_Scalar, signed, number + 1000
    yield aten.sub.Tensor, signed, signed, {"alpha": -128}
    yield aten.pad.default, bytes_, [1, 1], "constant", -1.0
    halves = ones(2, dtype=half)
    for number in (1e9, 1e39):
        yield aten.rsub.Scalar, halves, 1, number
        yield aten.hardshrink.default, halves, number
        yield aten.hardtanh.default, halves, -1, number
        yield aten.addmv.default, halves, ones(2, 2, dtype=half), halves, {"beta": number}
        yield aten.linspace.default, 0, number, 3, {"dtype": half}
    yield aten.fill_diagonal_.default, ones(2, 2, dtype=half), 1e9
    for op in (aten.elu, aten.leaky_relu, aten.softplus):
        yield op.default, halves, 1e39
    yield aten.lerp.Scalar, x, x, 1e39
    yield aten.addmm.default, square, square, square, {"alpha": 1e39}
    yield aten.hardtanh.default, bytes_, -1, 1
    for op in (aten.special_bessel_j0, aten.special_ndtri, aten.special_erfcx, aten.special_airy_ai):
        yield op.default, halves
    yield aten._trilinear.default, x, x, x.double(), [], [], [], [0]
    yield aten._trilinear.default, signed, ones(2), ones(2), [], [], [], [0], 0
    for integers in (torch.tensor([1, 2]), ones(2, dtype=flags)):
        yield aten.soft_margin_loss.default, integers, ones(2)
        yield aten.huber_loss.default, integers, ones(2)
        yield aten.mse_loss.default, integers, integers
        yield aten.binary_cross_entropy_with_logits.default, integers, ones(2)
    yield aten.multi_margin_loss.default, x, torch.tensor([0, 2]), 1, 1, ones(3, dtype=f64)
    yield aten.multi_margin_loss.default, x.half(), torch.tensor([0, 2])
    yield aten.multilabel_margin_loss.default, x.half(), torch.tensor([[0, 1, -1], [2, -1, 0]])
    yield aten.cross_entropy_loss.default, x, torch.tensor([0, 2]), ones(3, dtype=f64)
    for shape in ((2, 1), (1, 2)):
        yield aten.histogramdd.default, x, [2, 2, 2], None, ones(shape)
    for op in (aten.linalg_svd, aten.linalg_svdvals, aten._linalg_svd):
        yield op.default, square, {"driver": "gesdd"}
    yield aten.linalg_eig.default, torch.full((2, 2), math.inf)
    yield aten.cholesky_inverse.default, torch.zeros(2, 2)
    yield aten.linalg_householder_product.default, square, ones(2, dtype=f64)
    yield aten.linalg_matrix_norm.default, square, 1.0, [0, 1], False, {"dtype": torch.complex64}
    yield aten.linalg_matrix_norm.str_ord, square * 1j, "fro", [0, 1], False, {"dtype": torch.float32}
    yield aten.linalg_lu_factor.default, torch.zeros(2, 2)
    yield aten.lu_unpack.default, square, ones(2, dtype=i64)
    yield aten.ormqr.default, square, ones(2), square.double()
    for op in (aten.linalg_inv, aten.linalg_slogdet, aten.logdet, aten.linalg_pinv):
        yield op.default, torch.zeros(0, 0, dtype=half)
    yield aten.nanmean.default, ones(2, dtype=torch.complex64)
    yield aten.nanmean.default, ones(2), {"dtype": i64}
    yield aten.linalg_vecdot.default, ones(2, dtype=i64), ones(2, dtype=i64)
    for path in ([], [0], [0, 0], [0, 2]):
        yield aten.einsum.default, "ij,jk->ik", [square, square], {"path": path}
    for b in (True, 1j):
        yield aten.trapezoid.dx, x, {"dx": b}
    yield aten.addr.default, square, ones(2), ones(2), {"alpha": True}
    yield aten.gradient.scalarint, ones(3, dtype=flags)
    yield aten.gradient.scalarint, ones(3, dtype=torch.uint8)
    yield aten.isin.Tensor_Scalar, ones(2, dtype=flags), 1
    yield aten.topk.default, torch.tensor(True), 1
    yield aten.topk.default, torch.tensor(1.0), 1, 1
    yield aten._chunk_cat.default, [x, x.double()], 0, 2
    yield aten.take_along_dim.default, x, torch.tensor([-1])
    yield aten.softshrink.default, x, math.inf
    yield aten.cosine_similarity.default, x, x, 1, math.nan
    yield aten._masked_softmax.default, x, ones(3, dtype=flags), 1, 2
    yield aten.rrelu_with_noise.default, x, x.double(), 0.1, 0.3, True
    yield aten.linear.default, ones(1, 2, dtype=i64), ones(2, 2, dtype=i64), ones(2, dtype=torch.int32)
    yield aten.convolution.default, ones(1, 1, 4), ones(1, 1, 0), None, [1], [1], [1], False, [0], 1
    for rank, op in enumerate((aten.max_pool1d, aten.max_pool2d, aten.max_pool3d), 1):
        yield op.default, ones(1, 1, *[9] * rank), [3] * rank, [1], [2], [2]
    yield aten.embedding_renorm_.default, ones(3, 2, dtype=i64), torch.tensor([0]), 1.0, 2.0
    yield aten.binary_cross_entropy.default, x, 2 * x
    yield aten.binary_cross_entropy_with_logits.default, x, x.long()
    yield aten.soft_margin_loss.default, x.bool(), x.bool()
    yield aten.poisson_nll_loss.default, x.bool(), x, False, False, 1e-8, 1
    yield aten.smooth_l1_loss.default, x, x, 1, math.nan
    yield aten.cross_entropy_loss.default, x, x, None, 1, 2
    yield aten.multilabel_margin_loss.default, x, torch.tensor([[0, -1, 3], [0, -1, 1]])
    yield aten._ctc_loss.default, ones(3, 1, 3), ones(1, 2), [3], [2]
    hidden, w = ones(2, 4), ones(4, 3)
    for other in (hidden.double(), hidden.long()):
        yield aten.rnn_tanh_cell.default, x, other, w, ones(4, 4)
        yield aten.gru_cell.default, x, other, ones(12, 3), ones(12, 4)
    yield aten.lstm_cell.default, x, [hidden, hidden], ones(16, 3), ones(16, 4, dtype=half)
    yield aten.rnn_relu.input, x[None], hidden[None], [w, ones(4, 4, dtype=f64)], False, 1, 0.0, False, False, False
    expanded, at = ones(1, 3).expand(2, 3), torch.tensor([0, 1])
    for op in (aten.relu_.default, aten.normal_.default, aten.uniform_.default, aten.bernoulli_.float):
        yield op, expanded
    yield aten.add_.Tensor, expanded, x
    yield aten.add_.Tensor, ones(1, 3, dtype=i64).expand(2, 3), ones(3, dtype=i64)
    yield aten.add.out, x, x, {"out": expanded}
    yield aten.copy_.default, expanded, ones(3)
    yield aten.fill_.Tensor, expanded, torch.tensor(1.0)
    yield aten.index_copy_.default, expanded, 0, at, x
    yield aten.scatter_.value, expanded, 0, torch.zeros(2, 3, dtype=i64), 1.0
    yield aten.polygamma_.default, expanded, 1
    yield aten.where.Scalar, torch.tensor([True, False]), 1e39, 1
    for number, dtype in ((300, torch.int8), (1e39, torch.float32), (2**40, torch.int32)):
        yield aten.where.ScalarOther, torch.tensor([True, False]), torch.zeros(2, dtype=dtype), number
        yield aten.where.ScalarSelf, torch.tensor([True, False]), number, torch.zeros(2, dtype=dtype)
    yield aten.fill.Scalar, signed, 1j
    for other in (x.half(), x.double()):
        yield aten.binary_cross_entropy.default, x, other
    yield aten.binary_cross_entropy.default, x, x, x * 1j


if __name__ == "__main__":
    write_refused(sys.argv[1], calls())
