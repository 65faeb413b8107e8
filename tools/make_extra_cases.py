#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of ops that PyTorch's operator samples do not call.

    python make_extra_cases.py DIR      writes DIR/aten._aminmax.default/, ...; needs torch, transformers and safetensors
"""

import sys

import torch
import transformers.integrations.moe  # noqa: F401, registers ops
from op_cases import write_calls

aten = torch.ops.aten


def t(*shape):
    return torch.randn(*shape) * 2


def n(*shape):
    return torch.randint(-9, 10, shape)


def calls():
    """(op, arguments…[, {keyword arguments}])"""
    b = torch.tensor([[True, False, True], [True, True, False]])
    for name in ("and", "or", "xor", "lshift", "rshift"):
        op = getattr(aten, f"__{name}__")
        yield op.Scalar, n(2, 3), 3
        yield op.Tensor, n(2, 3), torch.tensor([1, 2, 0])
    yield aten._adaptive_avg_pool3d_backward.default, t(2, 3, 2, 2, 3), t(2, 3, 4, 5, 6)
    yield aten._aminmax.default, t(3, 4)
    yield aten._aminmax.dim, t(3, 4), 1
    yield aten._aminmax.dim, n(3, 4), 0, True
    square, ramp = torch.arange(36.0).reshape(2, 3, 6).square() / 100, torch.arange(12.0).reshape(2, 6) - 5
    yield aten._sparse_addmm.default, ramp, ramp[:, :2], ramp + 1, {"beta": 0.5, "alpha": 2}
    yield aten._trilinear.default, ramp, square, ramp[0], [1], [], [0, 1], [0], 0
    yield aten._trilinear.default, ramp, square, ramp[0], [1], [], [1, 0], [2, 0], 0
    yield aten._trilinear.default, ramp, square, ramp[:, :3], [1], [], [2], [2], 1
    yield aten._trilinear.default, square, square, square, [0], [0], [0], [2], 0  # no tensor has the first dimension
    yield aten._trilinear.default, square, square, square, [0], [0], [0], [0], 0
    for x in (ramp, ramp.t(), ramp[:, 1:4]):
        yield aten.resize.default, x, [2, 2]
        yield aten.resize_as.default, x, torch.ones(3, 1, dtype=torch.int64)
    yield aten.resize.default, ramp.reshape(1, 3, 2, 2), [1, 2, 2, 3], {"memory_format": torch.channels_last}
    yield aten._assert_async.default, torch.tensor(True)
    yield aten._assert_async.msg, torch.tensor([2.0]), "must hold"
    yield aten._assert_scalar.default, 1, "must hold"
    yield aten._assert_tensor_metadata.default, torch.ones(2, 3), [2, 3], [3, 1], torch.float32
    yield aten._assert_tensor_metadata.default, torch.ones(3, 2).t(), None, [1, 2]
    yield aten._assert_tensor_metadata.default, torch.ones(1)
    yield aten._autocast_to_full_precision.default, t(2, 3), False, True
    yield aten._autocast_to_reduced_precision.default, t(2, 3), False, False, torch.float16, torch.bfloat16
    yield aten._batch_norm_no_update.default, t(2, 3, 4), t(3), t(3), t(3), t(3).abs() + 1, 0.1, 1e-5
    yield aten._batch_norm_with_update_functional.default, t(2, 3, 4), t(3), t(3), t(3), t(3).abs() + 1, 0.1, 1e-5
    yield aten._native_batch_norm_legit_functional.default, t(2, 3, 4), t(3), t(3), t(3), t(3).abs() + 1, True, 0.1, 1e-5
    for name in "Byte Char Double Float Half Int Long Short".split():
        yield getattr(aten, f"_cast_{name}").default, t(2, 3).abs()
    for op in (aten.conj, aten._neg_view, aten._lazy_clone, aten.detach_copy, aten.lift):
        yield op.default, t(2, 3)
    yield aten._conj_copy.default, torch.complex(t(3), t(3))
    yield aten._fw_primal.default, t(2, 3), 0
    for op in (aten.lift_fresh_copy, aten.data, aten.to_dense, aten.zero):
        yield op.default, t(2, 3)
    yield aten._ctc_loss.Tensor, t(6, 2, 5).log_softmax(-1), torch.randint(1, 4, (2, 3)), torch.tensor([6, 6]), torch.tensor([3, 3]), 4
    for name in "dense_dim sparse_dim get_device is_conj is_distributed is_inference is_leaf is_neg is_pinned".split():
        yield getattr(aten, name).default, t(2, 3)
    yield (aten.is_vulkan_available.default,)
    for name in "_is_zerotensor is_signed _version output_nr".split():
        yield getattr(aten, name).default, n(2, 3)
    for name in "_has_compatible_shallow_copy_type _has_same_storage_numel is_same_size is_set_to".split():
        yield getattr(aten, name).default, t(2, 3), t(2, 3)
        yield getattr(aten, name).default, t(2, 3), t(3)
    yield aten.is_contiguous.memory_format, t(2, 3), torch.contiguous_format
    yield aten._efficientzerotensor.default, [2, 3]
    token = torch.zeros(1)
    yield aten._functional_assert_async.msg, torch.tensor(True), "must hold", token
    yield aten._functional_assert_scalar.default, 1, "must hold", token
    yield aten._functional_sym_constrain_range.default, 3, 0, 5, token
    yield aten._functional_sym_constrain_range_for_size.default, 3, 0, 5, token
    yield aten.sym_constrain_range.default, 3, {"min": 0, "max": 5}
    yield aten.sym_constrain_range_for_size.default, 3, {"min": 0, "max": 5}
    yield aten._fused_rms_norm.default, t(2, 3, 4), [4], t(4), 1e-5
    for grid in (t(2, 3, 4, 2) / 2,):
        yield aten._grid_sampler_2d_cpu_fallback.default, t(2, 2, 5, 6), grid, 0, 0, False
    for op in (aten._index_put_impl, aten._index_put_impl_):
        yield op.default, t(4, 3), [torch.tensor([2, 0])], t(2, 3), True
    yield aten._is_all_true.default, b
    yield aten._is_any_true.default, b
    yield aten._logcumsumexp.default, t(3, 4), 1
    yield aten._pad_circular.default, t(2, 3, 5), [1, 2]
    for mode in range(4):
        yield aten._pad_enum.default, t(2, 3, 5), [1, 2], mode
    yield aten._print.default, ""
    yield aten._reshape_alias_copy.default, t(2, 6), [3, 4], [4, 1]
    yield aten._reshape_copy.default, t(2, 6), [3, 4]
    yield aten._to_cpu.default, [t(2), t(3)]
    yield aten._unique.default, n(9), True, True
    for op in (aten._upsample_bicubic2d_aa, aten._upsample_lanczos2d_aa):
        yield op.vec, t(1, 2, 6, 7), [4, 3], False, None
    yield aten._upsample_lanczos2d_aa.default, t(1, 2, 6, 7), [4, 3], False
    x, y = t(2, 3, 6, 7), t(1, 2, 4, 5, 6)
    _, at = aten.adaptive_max_pool2d.default(x, [2, 3])
    yield aten.adaptive_max_pool2d_backward.default, t(2, 3, 2, 3), x, at
    _, at = aten.adaptive_max_pool3d.default(y, [2, 2, 3])
    yield aten.adaptive_max_pool3d_backward.default, t(1, 2, 2, 2, 3), y, at
    yield aten.avg_pool3d_backward.default, t(1, 2, 2, 2, 3), y, [2, 2, 2], [2, 2, 2], [0, 0, 0], False, True, None
    out, at = aten.max_pool3d_with_indices.default(y, [2, 2, 2], [2, 2, 2])
    yield aten.max_pool3d_with_indices_backward.default, t(*out.shape), y, [2, 2, 2], [2, 2, 2], [0, 0, 0], [1, 1, 1], False, at
    _, at = aten.fractional_max_pool2d.default(x, [2, 2], [3, 3], torch.rand(2, 3, 2))
    yield aten.fractional_max_pool2d_backward.default, t(2, 3, 3, 3), x, [2, 2], [3, 3], at
    _, at = aten.fractional_max_pool3d.default(y, [2, 2, 2], [2, 2, 3], torch.rand(1, 2, 3))
    yield aten.fractional_max_pool3d_backward.default, t(1, 2, 2, 2, 3), y, [2, 2, 2], [2, 2, 3], at
    yield aten.bernoulli.Tensor, t(2, 3), torch.rand(2, 3)
    yield aten.bernoulli_.Tensor, t(2, 3), torch.rand(2, 3)
    yield aten.bernoulli.p, t(2, 3), 0.3
    for name in "cauchy exponential log_normal normal_functional random uniform".split():
        yield getattr(aten, name).default, t(2, 3)
    yield aten.geometric.default, t(2, 3), 0.3
    yield aten.poisson.default, t(2, 3).abs()
    yield aten.normal.float_Tensor, 1.5, t(2, 3).abs()
    for name, args in (("from", (2, 9)), ("to", (9,))):
        yield getattr(aten.random, name), n(2, 3), *args
        yield getattr(aten.random_, name), n(2, 3), *args
    yield aten.random_.default, n(2, 3)
    for op, *args in ((aten.rand.generator, [2, 3]), (aten.randn.generator, [2, 3]), (aten.randint.generator, 9, [2, 3]),
                      (aten.randint.low_generator, 2, 9, [2, 3]), (aten.randperm.generator, 5)):  # fmt: skip
        yield op, *args, {"generator": None}
    yield aten.chain_matmul.default, [t(2, 3), t(3, 4), t(4, 2)]
    yield aten.diagonal_backward.default, t(3), [3, 4], 0, 0, 1
    for op in (aten.divide, aten.divide_, aten.div_):
        yield op.Scalar_mode, t(2, 3), 1.5, {"rounding_mode": "floor"}
    for dtype in (torch.float16, torch.bfloat16):  # sums that cancel, in rows shorter than a vector
        y = torch.randn(4, 1).to(dtype)
        x = (-1.5 * y.float()).to(dtype).expand(4, 4).contiguous() + torch.tensor([0, 0.001, 0.002, 0.003]).to(dtype)
        yield aten.add.Tensor, x, y, {"alpha": 1.5}
    for mode in (0, 1, 2):  # indices behind the last offset
        for dtype in (torch.float32, torch.float64):
            yield aten._embedding_bag.default, t(5, 3).to(dtype), torch.tensor([1, 2, 4, 3, 0]), torch.tensor([0, 2, 3]), False, mode, False, None, True
    yield aten.embedding_renorm.default, t(5, 3), torch.tensor([1, 3]), 1.0, 2.0
    yield aten.flatten_dense_tensors.default, [t(2, 3), t(4)]
    yield aten.gradient.array, t(4, 5), {"dim": [0, 1]}
    yield aten.gradient.scalararray, t(4, 5), {"spacing": 2.0, "dim": [1]}
    yield aten.gradient.tensorarrayint, t(4, 5), {"spacing": [torch.tensor([0.0, 1.0, 3.0, 4.0, 6.0])], "dim": 1}
    packed = torch.nn.utils.rnn.pack_padded_sequence(t(4, 3, 3), torch.tensor([4, 2, 1]))
    for gates, op in ((4, aten.lstm), (3, aten.gru), (1, aten.rnn_tanh), (1, aten.rnn_relu)):
        state = t(1, 3, 5)
        params = [t(gates * 5, 3) / 6, t(gates * 5, 5) / 6, t(gates * 5), t(gates * 5)]
        yield op.data, packed.data, packed.batch_sizes, [state, t(1, 3, 5)] if gates == 4 else state, params, True, 1, 0.0, False, False
    yield aten.hamming_window.periodic_alpha, 6, True, 0.5
    yield aten.hamming_window.periodic_alpha_beta, 6, False, 0.5, 0.4
    yield aten.kaiser_window.beta, 6, True, 9.0
    yield aten.histogramdd.int_bins, torch.rand(6, 2), 3, {"range": [0.0, 1.0, 0.0, 1.0]}
    yield aten.index_select_backward.default, t(2, 3), [4, 3], 0, torch.tensor([2, 0])
    yield aten.linalg_cond.p_str, t(3, 3), "fro"
    yield aten.linalg_matrix_exp.default, t(3, 3) / 4
    yield aten.matrix_exp.default, t(2, 3, 3) / 4
    yield aten.linalg_matrix_rank.default, t(3, 4), 0.1
    yield aten.linalg_matrix_rank.tol_tensor, t(3, 4), torch.tensor(0.1)
    yield aten.linalg_pinv.default, t(3, 4), 0.01
    yield aten.linalg_pinv.rcond_tensor, t(3, 4), torch.tensor(0.01)
    x = t(2, 3)
    yield aten.log_sigmoid_backward.default, t(2, 3), x, aten.log_sigmoid_forward.default(x)[1]
    yield aten.masked_scatter_backward.default, t(2, 3), b, [4]
    yield aten.native_dropout_backward.default, t(2, 3), b, 2.0
    yield aten.nuclear_norm.default, t(3, 4)
    yield aten.nuclear_norm.dim, t(2, 3, 4), [1, 2]
    yield aten.select_backward.default, t(3), [2, 3], 0, 1
    yield aten.select_copy.int, t(2, 3), 1, 2
    yield aten.slice_backward.default, t(2, 3), [5, 3], 0, 1, 5, 2
    yield aten.slice_copy.Tensor, t(5, 3), 0, 1, 4, 2
    yield aten.special_airy_ai.default, torch.tensor([0.0, 0.5, 1.0, 2.0, -1.0, -1.5])
    yield aten.special_xlogy.other_scalar, t(2, 3), 1.5
    yield aten.special_xlogy.self_scalar, 1.5, t(2, 3).abs()
    yield aten.split_copy.Tensor, t(5, 2), 2
    yield aten.squeeze_copy.dims, t(1, 3, 1), [0, 2]
    yield aten.stft.center, t(2, 20), 8, {"return_complex": True, "window": torch.hann_window(8), "onesided": True}
    yield aten.view_as_complex_copy.default, t(3, 2)
    yield aten.view_as_real_copy.default, torch.complex(t(3), t(3))
    yield aten.view_copy.dtype, t(2, 3), torch.int32
    yield aten.detach_.default, t(2, 3)
    yield aten.requires_grad_.default, t(2, 3), False
    yield aten.fill_.Tensor, t(2, 3), torch.tensor(1.5)
    yield aten.gelu_.default, t(2, 3)
    for op in (aten.swapaxes_, aten.swapdims_):
        yield op.default, t(2, 3), 0, 1
    ends = torch.tensor([3, 3, 8], dtype=torch.int32)
    yield aten._grouped_mm.default, t(8, 16), t(3, 16, 8), ends
    yield aten._grouped_mm.default, t(3, 4, 16), t(3, 16, 8)
    yield aten._grouped_mm.default, t(4, 8), t(8, 8), ends
    yield aten._grouped_mm.default, t(3, 4, 16), t(16, 8), ends
    yield torch.ops.transformers.grouped_mm_fallback.default, t(8, 5), t(3, 5, 4), ends
    yield torch.ops.transformers.grouped_mm_fallback.default, t(9, 5), t(3, 5, 4), ends.long()
    for shape in ((3, 5), (7, 2), (8, 3), (3, 3, 3)):
        yield aten.fill_diagonal_.default, t(*shape), 1.5, len(shape) == 2
    yield aten.fill_diagonal_.default, t(4, 7).t(), 2
    yield aten._standard_gamma.default, t(2, 3).abs()
    yield aten._sample_dirichlet.default, t(2, 3).abs()
    yield aten.binomial.default, n(2, 3).abs().float(), torch.rand(2, 3)
    yield aten.randint_like.Tensor, t(2, 3), torch.tensor(9)
    yield aten.rrelu_with_noise_functional.default, t(2, 3), t(2, 3)
    engine = torch.quasirandom.SobolEngine(3)
    yield aten._sobol_engine_draw.default, engine.quasi, 5, engine.sobolstate, 3, 0, torch.float64
    yield aten._sobol_engine_draw.default, engine.quasi, 4, engine.sobolstate, 2, 6, None
    yield aten._sobol_engine_ff_.default, engine.quasi, 7, engine.sobolstate, 3, 2
    yield aten._sobol_engine_scramble_.default, engine.sobolstate, torch.randint(0, 2, (3, 30, 30)).tril(), 3
    for training in (True, False):
        yield aten._batch_norm_impl_index.default, t(2, 3, 4), t(3), t(3), t(3), t(3).abs(), training, 0.1, 1e-5, False
        yield (aten._batch_norm_impl_index_backward.default, 0, t(2, 3, 4), t(2, 3, 4), t(3), t(3), t(3).abs(), t(3), t(3).abs(), training, 1e-5,
               [True] * 3, torch.zeros(0, dtype=torch.uint8))  # fmt: skip
    yield aten._cholesky_solve_helper.default, t(3, 2), torch.linalg.cholesky(torch.eye(3) + 0.1), False
    yield aten._dim_arange.default, t(2, 5), 1
    yield aten._neg_view_copy.default, t(2, 3)
    yield aten._compute_linear_combination.default, t(3, 2, 2), t(4, 3)
    yield aten._linalg_check_errors.default, torch.zeros(3, dtype=torch.int32), "linalg.inv", {"is_matrix": False}
    yield aten.unflatten_dense_tensors.default, t(10), [t(2, 3), t(4)]
    yield aten.dequantize.self, t(2, 3).double()
    for op in (aten._cummax_helper, aten._cummin_helper):
        yield op.default, n(2, 5).float(), torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.int64), 1
    yield aten.arange.start_out, 1, 9, 2, {"out": torch.zeros(4, dtype=torch.float64)}
    yield aten.arange.start_out, 0, 6, 1, {"out": torch.zeros(3, 2).t()}
    yield aten.full.out, [2, 3], 1.5, {"out": torch.zeros(2, 3, dtype=torch.int32)}
    yield aten.linspace.out, 0, 1, 5, {"out": torch.zeros(5, dtype=torch.float64)}
    yield aten.ones_like.out, t(2, 3), {"out": torch.zeros(2, 3, dtype=torch.int64)}
    yield aten._to_copy.out, t(2, 3), {"out": torch.zeros(2, 3, dtype=torch.float64)}
    yield from optimizer_steps()


def optimizer_steps():
    """Of each fused optimizer, in place and on copies, with the learning rate as a number and as a tensor."""
    for dtype, flag, extra in ((torch.float32, False, {}), (torch.bfloat16, True, {"grad_scale": torch.tensor(2.0), "found_inf": torch.tensor(0.0)}),
                               (torch.float64, True, {"found_inf": torch.tensor(1.0)}), (torch.float64, True, {})):  # fmt: skip
        def numbers():
            return [t(3).to(dtype), t(2, 5).to(dtype).abs(), t(4, 3).to(dtype).t().abs()]

        def steps():
            return [torch.tensor(float(k)) for k in (1, 2, 7)]

        decay = 0.1 if flag else 0.0
        adam = {"beta1": 0.9, "beta2": 0.99, "weight_decay": decay, "eps": 1e-8, "amsgrad": flag, "maximize": flag} | extra
        sgd = {"weight_decay": decay, "momentum": 0.9, "dampening": decay, "nesterov": not flag, "maximize": flag, "is_first_step": flag} | extra
        adagrad = {"lr_decay": decay, "weight_decay": decay, "eps": 1e-8, "maximize": flag} | extra
        for overload, lr in (("default", 0.1), ("tensor_lr", torch.tensor(0.1))):
            for name in ("_fused_adam", "_fused_adam_", "_fused_adamw", "_fused_adamw_"):
                maxima = [x.abs() for x in numbers()] if flag else []
                squares = [x.abs() for x in numbers()]
                yield getattr(getattr(aten, name), overload), numbers(), numbers(), numbers(), squares, maxima, steps(), {"lr": lr} | adam
            for name in ("_fused_sgd", "_fused_sgd_"):
                yield getattr(getattr(aten, name), overload), numbers(), numbers(), numbers(), {"lr": lr} | sgd
            for name in ("_fused_adagrad", "_fused_adagrad_"):
                yield getattr(getattr(aten, name), overload), numbers(), numbers(), [x.abs() for x in numbers()], steps(), {"lr": lr} | adagrad


def main(directory):
    torch.manual_seed(0)
    write_calls(directory, calls())


if __name__ == "__main__":
    main(sys.argv[1])
