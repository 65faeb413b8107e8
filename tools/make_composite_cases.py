#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of ops that are others under another name: prims, `_foreach_*`, fused and packed forms.

    python make_composite_cases.py DIR      writes DIR/prims.add.default/, ...; needs torch and safetensors
"""

import itertools
import sys

import torch
from op_cases import write_calls

aten, prims = torch.ops.aten, torch.ops.prims
CPU = torch.device("cpu")


def t(*shape):
    return torch.randn(*shape) * 2


def n(*shape):
    return torch.randint(-9, 10, shape)


def unit(*shape):
    return torch.rand(*shape) * 0.8 + 0.1


def prim_calls():
    """(op, arguments…[, {keyword arguments}])"""
    unary = "abs asinh atan bessel_i0 bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 cbrt ceil cos cosh digamma erf erfc erfcx exp exp2 expm1 "
    unary += "floor frexp isfinite neg round sign signbit sin sinh spherical_bessel_j0 tan tanh trunc clone reciprocal view_of"
    for name in unary.split():
        yield getattr(prims, name).default, t(3, 4)
    for name in "acos acosh asin atanh erf_inv lgamma log log10 log1p log2 ndtri rsqrt sqrt".split():
        yield getattr(prims, name).default, unit(3, 4) + (name == "acosh")
    yield prims.bitwise_not.default, n(3, 4)
    for name in "add atan2 div eq fmax fmin fmod ge gt hypot le lt maximum minimum mul ne nextafter remainder sub".split():
        yield getattr(prims, name).default, t(3, 4), t(3, 4)
    for name in "bitwise_and bitwise_or bitwise_xor div gcd".split():
        yield getattr(prims, name).default, n(3, 4), n(3, 4).abs() + 1
    for name in "shift_left shift_right_arithmetic".split():
        yield getattr(prims, name).default, n(3, 4), torch.randint(0, 5, (3, 4))
    for name in "igamma igammac pow".split():
        yield getattr(prims, name).default, unit(3, 4), unit(3, 4)
    yield prims.zeta.default, unit(3, 4) + 1, unit(3, 4)
    z = torch.complex(t(2, 3), t(2, 3))
    for name in "conj conj_physical imag real".split():
        yield getattr(prims, name).default, z
    for name, dims in (("amax", [0, 2]), ("amin", [1]), ("sum", [0, 1]), ("prod", [0, 2])):
        yield getattr(prims, name).default, t(2, 3, 4), dims
    for correction in (1.0, 0.0):
        yield prims.var.default, t(2, 3, 4), [0, 2], correction
    yield prims.as_strided.default, t(12), [2, 3], [4, 1], 1
    yield prims.as_strided_scatter.default, t(12), t(2, 3), [2, 3], [4, 1], 1
    yield prims.broadcast_in_dim.default, t(3), [2, 3, 4], [1]
    yield prims.broadcast_in_dim.default, t(1, 3), [2, 3, 4], [0, 1]
    yield prims.cat.default, [t(2, 3), t(4, 3)], 0
    yield prims.collapse.default, t(2, 3, 4), 1, 2
    yield prims.collapse_view.default, t(2, 3, 4), 0, 1
    yield prims.split_dim.default, t(2, 6), 1, 2
    yield prims.reshape.default, t(2, 6), [3, 4]
    yield prims.squeeze.default, t(1, 3, 1), [0, 2]
    yield prims.transpose.default, t(2, 3, 4), [2, 0, 1]
    yield prims.rev.default, t(2, 3), [0, 1]
    yield prims.convert_element_type.default, t(2, 3), torch.bfloat16
    yield prims.convert_element_type.default, t(2, 3), torch.int32
    yield prims.copy_strided.default, t(2, 3), [1, 2]
    yield prims.copy_to.default, t(2, 3), t(2, 3)
    yield prims.device_put.default, t(2, 3), CPU
    yield prims.fill.default, t(2, 3), 1.5
    yield prims.full.default, [2, 3], 1.5, {"dtype": torch.float32, "device": CPU, "requires_grad": False}
    yield prims.full_like.default, t(2, 3), 2, {"dtype": torch.int64, "device": CPU, "requires_grad": False}
    yield prims.iota.default, 5, {"start": 2, "step": 3, "dtype": torch.int64, "device": CPU, "requires_grad": False}
    yield prims.scalar_tensor.default, 1.5, {"dtype": torch.float64, "device": CPU}
    yield prims.item.default, torch.tensor(2.5)
    yield prims.maximum_value.default, torch.float16
    yield prims.minimum_value.default, torch.int16
    yield prims.view_of_dtype.default, t(2, 3), torch.int32
    yield prims.where.default, torch.tensor([True, False, True]), t(3), t(3)
    yield prims.fft_r2c.default, t(2, 6), {"dim": [1], "onesided": True}
    yield prims.fft_c2c.default, z, {"dim": [0, 1], "forward": False}
    yield prims.fft_c2r.default, torch.fft.rfft(t(2, 6)), {"dim": [1], "last_dim_size": 6}
    # Unique signs of the vectors: only the singular values of a well-conditioned matrix are compared by others, so a diagonal one.
    yield prims.svd.default, torch.diag(torch.tensor([3.0, 2.0, 1.0])), {"full_matrices": False}
    yield prims.normal.default, [3, 4], {"mean": 1.0, "std": 2.0, "dtype": torch.float32, "device": CPU, "requires_grad": False}
    yield prims.uniform.default, [3, 4], {"low": 1.0, "high": 2.0, "dtype": torch.float32, "device": CPU, "stride": [4, 1]}
    yield prims.empty.default, [2, 3], {"dtype": torch.float32, "device": CPU, "requires_grad": False}
    yield prims.empty_strided.default, [2, 3], [1, 2], {"dtype": torch.float32, "device": CPU, "requires_grad": False}
    yield prims.empty_permuted.default, [2, 3], [1, 0], {"dtype": torch.float32, "device": CPU, "requires_grad": False}


def foreach_calls():
    for schema in torch._C._jit_get_all_schemas():
        namespace, name = schema.name.split("::")
        if namespace != "aten" or not name.startswith("_foreach_") or schema.arguments[-1].name == "out":
            continue
        op = getattr(getattr(aten, name), schema.overload_name or "default")
        args = []
        for a in schema.arguments:
            kind = str(a.type)
            if kind == "List[Tensor]":
                args.append([unit(2, 2), unit(2, 2)] if name.startswith("_foreach_mm") else [unit(2, 3), unit(4)])
            elif kind == "Tensor":
                args.append(torch.tensor([1.5, 0.5]) if a.name == "scalars" else torch.tensor(1.5))
            elif kind == "List[number]":
                args.append([2.0, 0.5])
            elif kind == "number" and a.default_value is None:
                args.append(1.5)
            elif kind == "number":
                args.append(2.0)
            else:
                break
        yield op, *args


def fused_calls():
    b, length, size, heads = 2, 5, 8, 2
    x = t(b, length, size)
    attention = (t(3 * size, size) / 4, t(3 * size), t(size, size) / 4, t(size))
    yield aten._transform_bias_rescale_qkv.default, t(b, length, 3 * size), t(3 * size), heads
    yield aten._native_multi_head_attention.default, x, x, x, size, heads, *attention
    yield aten._native_multi_head_attention.default, x, x, x, size, heads, *attention, None, False, False
    mask = torch.zeros(b, length, dtype=torch.bool)
    mask[1, 3:] = True
    yield aten._native_multi_head_attention.default, x, x, x, size, heads, *attention, mask, True, False, 1
    norms, ffn = (t(size), t(size), t(size), t(size)), (t(16, size) / 4, t(16), t(size, 16) / 4, t(size))
    for gelu, first, key_mask in ((False, False, ()), (True, True, ()), (False, False, (mask, 1))):
        yield aten._transformer_encoder_layer_fwd.default, x, size, heads, *attention, gelu, first, 1e-5, *norms, *ffn, *key_mask
    yield aten.linalg__powsum.default, t(2, 3), 3.0, [1], True
    yield aten._addmm_activation.default, t(4), t(3, 5), t(5, 4)
    yield aten._addmm_activation.default, t(4), t(3, 5), t(5, 4), {"beta": 0.5, "alpha": 2, "use_gelu": True}
    yield aten._add_relu.Tensor, t(2, 3), t(2, 3), {"alpha": 2}
    yield aten._add_relu.Scalar, t(2, 3), 0.5
    yield aten.thnn_conv2d.default, t(1, 2, 5, 6), t(3, 2, 2, 3), [2, 3], t(3), [2, 1], [1, 0]
    yield aten._slow_conv2d_forward.default, t(1, 2, 5, 6), t(3, 2, 2, 3), [2, 3], None, [1, 1], [0, 0]
    yield aten.slow_conv3d.default, t(1, 2, 4, 5, 4), t(3, 2, 2, 2, 2), [2, 2, 2], t(3)
    yield aten.slow_conv3d_forward.default, t(1, 2, 4, 5, 4), t(3, 2, 2, 2, 2), [2, 2, 2], t(3), [1, 2, 1], [0, 1, 0]
    yield aten.slow_conv_dilated2d.default, t(1, 2, 6, 6), t(3, 2, 2, 2), [2, 2], t(3), [1, 1], [0, 0], [2, 2]
    yield aten.slow_conv_dilated3d.default, t(1, 2, 4, 6, 6), t(3, 2, 2, 2, 2), [2, 2, 2], t(3), [1, 1, 1], [0, 0, 0], [1, 2, 2]
    yield aten.slow_conv_transpose2d.default, t(1, 2, 3, 4), t(2, 3, 2, 2), [2, 2], t(3), [2, 1], [0, 1], [1, 0], [1, 1]
    yield aten.slow_conv_transpose3d.default, t(1, 2, 3, 3, 4), t(2, 3, 2, 2, 2), [2, 2, 2], t(3), [2, 1, 1]
    yield aten._pack_padded_sequence.default, t(3, 4, 2), torch.tensor([4, 2, 1]), True
    yield aten._pack_padded_sequence.default, t(4, 3, 2), torch.tensor([4, 4, 1]), False
    yield aten._pack_padded_sequence_backward.default, t(7, 2), [3, 4, 2], torch.tensor([3, 2, 1, 1]), True
    yield aten._pad_packed_sequence.default, t(7, 2), torch.tensor([3, 2, 1, 1]), True, -1.0, 6
    yield aten._pad_packed_sequence.default, t(7, 2), torch.tensor([3, 2, 1, 1]), False, 0.0, 0
    yield aten._choose_qparams_per_tensor.default, t(3, 4)
    yield aten._choose_qparams_per_tensor.default, t(3, 4).abs() + 1, True
    on, off = torch.tensor([1]), torch.tensor([0])
    for op in (aten.fused_moving_avg_obs_fake_quant, aten._fused_moving_avg_obs_fq_helper, aten._fused_moving_avg_obs_fq_helper_functional):
        for symmetric in (False, True):
            state = (torch.tensor([float("inf")]), torch.tensor([float("-inf")]), torch.ones(1), torch.zeros(1, dtype=torch.int32))
            yield op.default, t(3, 4), on, on, *state, 0.1, 0, 255, -1, False, symmetric
            yield op.default, t(3, 4), on, on, torch.tensor([-1.0]), torch.tensor([2.0]), torch.ones(1), torch.zeros(1, dtype=torch.int32), 0.1, -128, 127, -1, False, symmetric
            rows = (torch.tensor([-1.0, -2.0, 0.5]), torch.tensor([1.0, 3.0, 4.0]), torch.ones(3), torch.zeros(3, dtype=torch.int32))
            yield op.default, t(3, 4), on, on, *rows, 0.1, -128, 127, 0, True, symmetric
        yield op.default, t(3, 4), off, off, torch.tensor([-1.0]), torch.tensor([2.0]), torch.ones(1), torch.zeros(1, dtype=torch.int32), 0.1, 0, 255, -1
    m = torch.tensor([[1, -2, 7], [4, 5, 6]])
    for name in "iand ior ixor ilshift irshift".split():
        op = getattr(aten, f"__{name}__")
        yield op.Scalar, m.clone(), 3
        yield op.Tensor, m.clone(), torch.tensor([1, 2, 0])


class Stands:
    """An op that PyTorch runs on other devices only, with the call that gives its result on this one."""

    def __init__(self, op, run):
        self._schema, self._op, self._run = op._schema, op, run

    def __call__(stands, /, **given):
        return stands._run(**given)

    def __str__(self):
        return str(self._op)


def stand_in_calls():
    def flash(query, key, value, is_causal=False, scale=None, attn_bias=None, **_):
        return aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, is_causal, attn_mask=attn_bias, scale=scale)

    none = torch.zeros((), dtype=torch.int64)
    q, k, v = t(2, 2, 3, 4), t(2, 2, 5, 4), t(2, 2, 5, 4)

    def whole(**given):
        return *flash(**given), None, None, given["query"].size(2), given["key"].size(2), none, none, torch.empty(0)

    yield Stands(aten._scaled_dot_product_flash_attention.default, whole), q, k, v, 0.0, False
    yield Stands(aten._scaled_dot_product_flash_attention.default, whole), q, q, q, 0.0, True, False, {"scale": 0.3}
    yield Stands(aten._scaled_dot_product_cudnn_attention.default, whole), q, k, v, t(2, 2, 3, 5), True

    def efficient(**given):
        output, logsumexp = flash(**given)
        return output, logsumexp if given["compute_log_sumexp"] else logsumexp[..., :0], none, none

    yield Stands(aten._scaled_dot_product_efficient_attention.default, efficient), q, k, v, t(2, 2, 3, 5), True
    yield Stands(aten._scaled_dot_product_efficient_attention.default, efficient), q, k, v, None, False

    def in_dtype(op):
        return lambda out_dtype, **given: op(**{name: x.to(out_dtype) if isinstance(x, torch.Tensor) else x for name, x in given.items()})

    h = torch.bfloat16
    yield Stands(aten.mm.dtype, in_dtype(aten.mm.default)), t(3, 4).to(h), t(4, 2).to(h), torch.float32
    yield Stands(aten.bmm.dtype, in_dtype(aten.bmm.default)), t(2, 3, 4).to(h), t(2, 4, 2).to(h), torch.float32
    yield Stands(aten.addmm.dtype, in_dtype(aten.addmm.default)), t(2).to(h), t(3, 4).to(h), t(4, 2).to(h), torch.float32, {"beta": 0.5}
    yield Stands(aten.baddbmm.dtype, in_dtype(aten.baddbmm.default)), t(3, 2).to(h), t(2, 3, 4).to(h), t(2, 4, 2).to(h), torch.float32, {"alpha": 2}
    x, w = t(1, 3, 5, 6), t(3, 1, 2, 3)
    conv = lambda self, weight, bias, stride, padding, dilation, **_: aten.convolution(self, weight, bias, stride, padding, dilation, False, [0], 3)
    yield Stands(aten._conv_depthwise2d.default, conv), x, w, [2, 3], t(3), [1, 2], [1, 0], [1, 1]
    yield Stands(aten.conv_depthwise3d.default, conv), t(1, 3, 4, 5, 4), t(3, 1, 2, 2, 2), [2, 2, 2], t(3), [1, 1, 1], [0, 1, 0], [1, 1, 1]


def main(directory):
    torch.manual_seed(0)
    write_calls(directory, itertools.chain(prim_calls(), foreach_calls(), fused_calls(), stand_in_calls()))


if __name__ == "__main__":
    main(sys.argv[1])
