# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of what PyTorch's operator samples lack: gradients, and a few ops more.

    python make_gradient_cases.py DIR      writes DIR/aten.gelu_backward.default/, ...; needs torch and safetensors
"""

import sys

import torch
from op_cases import name_of, number, stored, write_cases

TOLERANCES = {torch.float32: (1.3e-6, 1e-5), torch.float64: (1e-7, 1e-7), torch.bfloat16: (1.6e-2, 1e-5), torch.complex64: (1e-4, 1e-5)}
FLOATS = (torch.float32, torch.float64, torch.bfloat16)


def described(value, key, tensors):
    """The VALUE object of an argument or result."""
    if value is None:
        return {"none": True}
    if isinstance(value, torch.Tensor):
        return stored(value, key, tensors)
    if isinstance(value, torch.dtype):
        return {"dtype": name_of(value)}
    if isinstance(value, list):
        return {"bools" if isinstance(value[0], bool) else "ints": value}
    return {"string": value} if isinstance(value, str) else number(value)


def converted(value, dtype):
    """Tensors of floats and dtypes among the arguments as `dtype`."""
    if isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex()):
        return value.to(dtype) if dtype.is_complex or not value.is_complex() else value.real.to(dtype)
    return dtype if isinstance(value, torch.dtype) else value


def write(directory, op, calls, dtypes=FLOATS, in_turn=False):
    """One directory: every call in every dtype, or the calls with the dtypes `in_turn`."""
    tensors, cases = {}, []
    scalars = {a.name for a in op._schema.arguments if str(a.type) in ("number", "Optional[number]")}
    for i, arguments in enumerate(calls):
        for dtype in [dtypes[i % len(dtypes)]] if in_turn else dtypes:
            rtol, atol = TOLERANCES[dtype]
            number = len(cases)
            call = {k: converted(v, dtype) for k, v in arguments.items()}
            args = {k: described(v, f"c{number}_{k}", tensors) for k, v in call.items()}
            args = {k: {"scalar": v} if k in scalars else v for k, v in args.items()}
            results = op(**call)
            results = results if isinstance(results, tuple) else (results,)
            outputs = [described(r, f"c{number}_out{k}", tensors) for k, r in enumerate(results)]
            cases.append({"id": f"{op}/{number}", "op_type": str(op), "dtype": name_of(dtype), "source": "gradients", "args": args,
                          "outputs": outputs, "rtol": rtol, "atol": atol, "check": "values"})
    write_cases(directory, op, cases, tensors)


def rand(*shape):
    return torch.randn(shape, dtype=torch.double)


def write_convolutions(directory):
    aten = torch.ops.aten
    short = (torch.float32, torch.float64)
    plain = dict(bias_sizes=[4], stride=[2, 1], padding=[1, 0], dilation=[1, 2], transposed=False, output_padding=[0, 0], groups=2,
                 output_mask=[True, True, True])
    calls = [
        dict(plain, grad_output=rand(1, 4, 2, 3), input=rand(1, 2, 4, 5), weight=rand(4, 1, 3, 2)),
        dict(plain, grad_output=rand(1, 4, 5, 4), input=rand(1, 2, 3, 2), weight=rand(2, 2, 2, 2), transposed=True, output_padding=[1, 0]),
        dict(plain, grad_output=rand(1, 2, 3), input=rand(1, 3, 4), weight=rand(2, 3, 2), bias_sizes=None, stride=[1], padding=[0], dilation=[1],
             output_padding=[0], groups=1, output_mask=[True, False, False]),
        dict(plain, grad_output=rand(1, 2, 1, 2, 2), input=rand(1, 1, 2, 2, 2), weight=rand(2, 1, 2, 1, 1), bias_sizes=None, stride=[1], padding=[0],
             dilation=[1], output_padding=[0], groups=1, output_mask=[False, True, False]),
    ]
    write(directory, aten.convolution_backward.default, calls[:2] + calls[3:], short, True)
    for call in calls:
        for key in ("grad_output", "bias_sizes", "output_mask"):
            del call[key]
        call.update(bias=None, benchmark=False, deterministic=False, cudnn_enabled=True)
    write(directory, aten._convolution.deprecated, calls[:2], short, True)
    write(directory, aten._convolution.default, [dict(call, allow_tf32=True) for call in calls[1:]], short, True)
    mode = dict(bias=rand(2), stride=[1], padding="same", dilation=[1], groups=1)
    write(directory, aten._convolution_mode.default, [dict(mode, input=rand(1, 2, 5), weight=rand(2, 2, 4))])
    tbc = dict(weight=rand(2, 3, 2), bias=rand(2), pad=1)
    write(directory, aten.conv_tbc.default, [dict(tbc, self=rand(4, 2, 3)), dict(tbc, self=rand(1, 1, 3), pad=2)])
    write(directory, aten.conv_tbc_backward.default, [dict(tbc, self=rand(5, 2, 2), input=rand(4, 2, 3))], short)


def write_norms(directory):
    stats = dict(running_mean=rand(3), running_var=rand(3).abs(), save_mean=rand(3), save_invstd=rand(3).abs(), eps=1e-3)
    batch = dict(stats, grad_out=rand(2, 3, 2), input=rand(2, 3, 2), weight=rand(3))
    every = [True, True, True]
    write(directory, torch.ops.aten.native_batch_norm_backward.default, [
        dict(batch, train=True, output_mask=every), dict(batch, train=False, output_mask=[True, False, True]),
        dict(batch, weight=None, train=True, output_mask=every)], in_turn=True)


def write_losses(directory):
    aten = torch.ops.aten
    x = rand(3, 4)
    one = torch.tensor(0.75, dtype=torch.double)
    target = torch.tensor([1, -100, 3])
    nll = dict(self=x, target=target, weight=None, reduction=1, ignore_index=-100, total_weight=torch.tensor(2.5, dtype=torch.double))
    write(directory, aten.mse_loss_backward.default,
          [dict(grad_output=one, self=x, target=rand(3, 4), reduction=1), dict(grad_output=rand(3, 4), self=x, target=rand(3, 4), reduction=0)])
    write(directory, aten.nll_loss_backward.default,
          [dict(nll, grad_output=one), dict(nll, grad_output=rand(3), weight=rand(4).abs(), reduction=0),
           dict(nll, grad_output=one, self=rand(4), target=torch.tensor(2), reduction=2),
           dict(nll, grad_output=one, self=x[0], target=torch.tensor([2, 0, 1, 3]))], in_turn=True)
    image = dict(nll, self=rand(1, 3, 2, 2), target=torch.tensor([[[0, 2], [-1, 1]]]), ignore_index=-1)
    write(directory, aten.nll_loss2d_backward.default,
          [dict(image, grad_output=one, weight=rand(3).abs()), dict(image, grad_output=rand(1, 2, 2), reduction=0)], in_turn=True)
    write(directory, aten.glu_backward.default,
          [dict(grad_output=rand(3, 2), self=x, dim=-1), dict(grad_output=rand(1, 4), self=rand(2, 4), dim=0)])


def write_attention(directory):
    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    calls = []
    for heads, key_heads, extra in ((2, 2, dict(is_causal=True)), (2, 1, dict(attn_mask=rand(3, 4), scale=0.75))):
        inputs = dict(query=rand(1, heads, 3, 4), key=rand(1, key_heads, 4, 4), value=rand(1, key_heads, 4, 4))
        inputs |= dict(dropout_p=0.0, is_causal=False) | extra
        out, logsumexp = forward(**inputs)
        calls.append(dict(inputs, grad_out=rand(1, heads, 3, 4), out=out, logsumexp=logsumexp))
    write(directory, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default, calls, (torch.float32, torch.float64), True)


def write_others(directory):
    aten = torch.ops.aten
    exact = (torch.float64, torch.complex64)
    matrices = rand(2, 5, 5) + 1j * rand(2, 5, 5)
    matrices[1, 0, 0] = 0  # the first block is one of 2 x 2
    symmetric, hermitian = matrices + matrices.mT, matrices + matrices.mH
    write(directory, aten.linalg_ldl_factor.default, [dict(self=symmetric), dict(self=hermitian, hermitian=True)], exact)
    singular = torch.zeros(2, 2, dtype=torch.double)
    write(directory, aten.linalg_ldl_factor_ex.default, [dict(self=symmetric), dict(self=singular)], exact)
    calls = []
    for matrix, flag in ((symmetric, False), (hermitian, True)):
        factors, pivots = torch.linalg.ldl_factor(matrix, hermitian=flag)
        calls.append(dict(LD=factors, pivots=pivots, B=rand(5, 2) + 1j * rand(5, 2), hermitian=flag))
    write(directory, aten.linalg_ldl_solve.default, calls, exact[1:])
    data = rand(5, 2)
    lengths = torch.tensor([2, 0, 3])
    segments = [dict(data=data, reduce=reduce, lengths=lengths) for reduce in ("sum", "mean", "amax", "amin", "prod")]
    write(directory, aten.segment_reduce.default, segments[:3] + [
        dict(data=rand(2, 4), reduce="min", offsets=torch.tensor([[0, 1, 4], [0, 0, 3]]), axis=1, initial=2),
        dict(data=data, reduce="prod", lengths=torch.tensor([1, 2]), unsafe=True, initial=0.5)], (torch.float32, torch.bfloat16), True)
    write(directory, aten.hash_tensor.default, [dict(self=data), dict(self=data, dim=[1], keepdim=True)])


def short_calls():
    """(op, arguments…): gradients of resizing, padding, losses, distances, bags, segments and views."""
    aten = torch.ops.aten
    for op in (aten.upsample_bilinear2d_backward, aten.upsample_bicubic2d_backward, aten._upsample_bilinear2d_aa_backward,
               aten._upsample_bicubic2d_aa_backward, aten._upsample_lanczos2d_aa_backward):
        yield op.default, rand(1, 2, 3, 5), [3, 5], [1, 2, 4, 2], False
        yield op.default, rand(1, 2, 5, 3), [5, 3], [1, 2, 2, 4], True, None, 1.5
    yield aten.upsample_linear1d_backward.default, rand(1, 2, 5), [5], [1, 2, 3], False
    yield aten.upsample_trilinear3d_backward.default, rand(1, 1, 3, 2, 4), [3, 2, 4], [1, 1, 2, 3, 2], True
    for name in ("upsample_nearest", "_upsample_nearest_exact"):
        for sizes in ([5], [5, 2], [5, 2, 3]):
            op = getattr(aten, f"{name}{len(sizes)}d_backward").default
            yield op, rand(1, 2, *sizes), sizes, [1, 2, *[3, 4, 2][: len(sizes)]], 1.6
    for mode, padding, align in ((0, 0, False), (0, 1, True), (0, 2, False), (1, 0, False), (2, 2, True)):
        yield aten.grid_sampler_2d_backward.default, rand(1, 2, 2, 3), rand(1, 2, 3, 4), rand(1, 2, 3, 2), mode, padding, align, [True, True]
    yield aten.grid_sampler_3d_backward.default, rand(1, 1, 2, 1, 3), rand(1, 1, 2, 3, 4), rand(1, 2, 1, 3, 3), 0, 2, True, [True, False]
    yield aten.affine_grid_generator_backward.default, rand(2, 2, 3, 2), [2, 1, 2, 3], False
    yield aten.affine_grid_generator_backward.default, rand(1, 2, 2, 3, 3), [1, 1, 2, 2, 3], True
    for name in ("reflection", "replication"):
        for dims in (1, 2, 3):
            padding, x = [1, 2, 0, 1, 2, 1][: 2 * dims], rand(2, *[3, 2, 3][:dims][::-1])
            grad = rand(*getattr(aten, f"{name}_pad{dims}d").default(x, padding).shape)
            yield getattr(aten, f"{name}_pad{dims}d_backward").default, grad, x, padding
    x, y, one = rand(3, 4), rand(3, 4), torch.tensor(0.75, dtype=torch.double)
    for op, *more in ((aten.smooth_l1_loss_backward, 0.5), (aten.huber_loss_backward, 0.75), (aten.soft_margin_loss_backward,)):
        yield op.default, rand(3, 4), x, y.sign(), 0, *more
        yield op.default, one, x, y.sign(), 1, *more
    for weight, reduction in ((None, 1), (rand(3, 4).abs(), 0)):
        yield aten.binary_cross_entropy_backward.default, rand(3, 4) if reduction == 0 else one, x.sigmoid(), y.sigmoid(), weight, reduction
    labels = torch.tensor([0, 3, 1])
    for p, weight, reduction in ((1, None, 1), (2, rand(4).abs(), 0)):
        yield aten.multi_margin_loss_backward.default, rand(3) if reduction == 0 else one, x, labels, p, 0.5, weight, reduction
    many = torch.tensor([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 0, 1, 2]])
    yield aten.multilabel_margin_loss_backward.default, one, x, many, 1, aten.multilabel_margin_loss_forward.default(x, many, 1)[1]
    log_probs = rand(5, 2, 4).log_softmax(-1)
    for targets, zero in ((torch.tensor([[1, 1, 3], [2, 1, 0]]), False), (torch.tensor([2, 2, 2, 2, 2]), True)):
        loss, alpha = aten._ctc_loss.default(log_probs, targets, [5, 3], [3, 2], 0, zero)
        yield aten._ctc_loss_backward.default, rand(2), log_probs, targets, [5, 3], [3, 2], loss, alpha, 0, zero
    lengths = torch.tensor([5, 3]), torch.tensor([3, 2])
    yield aten._ctc_loss_backward.Tensor, rand(2), log_probs, targets, *lengths, loss, alpha, 0, zero
    for a, b, p in ((rand(3, 2), rand(4, 2), 2.0), (rand(2, 1, 3, 2), rand(2, 2, 2), 1.5), (rand(2, 3), rand(2, 3), 1.0), (rand(2, 3), rand(2, 3), torch.inf)):
        distances = aten._cdist_forward.default(a, b, p, None)
        yield aten._cdist_backward.default, rand(*distances.shape), a, b, p, distances
        yield aten._pdist_backward.default, rand(3), x, p, aten._pdist_forward.default(x, p)
    yield aten.embedding_backward.default, rand(4, 3), torch.tensor([1, 2, 2, 0]), 4, 0, True, False
    indices, offsets, table = torch.tensor([1, 4, 2, 2, 0, 1]), torch.tensor([0, 2, 2, 5]), rand(5, 3)
    for mode, weights, by_freq in ((0, rand(6), False), (1, None, True), (2, None, False)):
        state = aten._embedding_bag.default(table, indices, offsets, by_freq, mode, False, weights, False, 0)[1:]
        yield aten._embedding_bag_backward.default, rand(4, 3), indices, offsets, *state, 5, by_freq, mode, False, weights, 0
        yield aten._embedding_bag_dense_backward.default, rand(4, 3), indices, *state, 5, by_freq, mode, weights, 0
    bags = torch.tensor([0, 0, 2, 2, 2, 3])
    yield aten._embedding_bag_per_sample_weights_backward.default, rand(4, 3), table, indices, offsets, bags, 0, 2
    data = torch.tensor([[1.0, 0.0], [2.0, 3.0], [-1.0, 3.0], [0.5, -2.0], [0.5, 1.0]], dtype=torch.double)
    for reduce in ("sum", "mean", "max", "min", "prod"):
        rows = torch.tensor([2, 0, 3])
        result = aten.segment_reduce.default(data, reduce, lengths=rows)
        yield aten._segment_reduce_backward.default, rand(3, 2), result, data, reduce, {"lengths": rows}
    g = rand(1, 4)
    norms = aten._weight_norm_interface.default(x, g, 1)[1]
    for op in (aten._weight_norm_interface_backward, aten._weight_norm_differentiable_backward):
        yield op.default, rand(3, 4), x, g, norms, 1
    mask = torch.tensor([[True, False, True, False]] * 3)
    yield aten._masked_softmax_backward.default, rand(3, 4), x.masked_fill(mask, -torch.inf).softmax(1), mask, 1
    yield aten.glu_jvp.default, aten.glu.default(x, 1), x, y, 1
    yield aten.infinitely_differentiable_gelu_backward.default, y, x
    for training in (True, False):
        yield aten.rrelu_with_noise_backward.default, y, x, torch.rand(3, 4).double(), 0.125, 0.25, training, False
    yield aten.unfold_backward.default, rand(2, 3, 3), [2, 7], 1, 3, 2
    yield aten.trace_backward.default, one, [3, 2]
    yield aten.masked_select_backward.default, rand(6), x, mask
    for factors in (x, x * torch.tensor([1.0, 0.0, 1.0, 0.0])):
        yield aten.cumprod_backward.default, y, factors, 1, factors.cumprod(1)
    yield aten.gather_backward.default, rand(2, 4), x, 0, torch.tensor([[0, 1, 2, 0], [0, 2, 2, 1]]), False
    yield aten.value_selecting_reduction_backward.default, rand(3), 1, torch.tensor([3, 0, 0]), [3, 4], False
    yield aten.cummaxmin_backward.default, y, x, torch.tensor([[0, 0, 2, 2]] * 3), 1
    spread = rand(3).abs()
    yield aten.batch_norm_backward.default, rand(2, 3, 2), rand(2, 3, 2), rand(3), rand(3), spread, rand(3), spread, True, 1e-3, [True] * 3, torch.zeros(0, dtype=torch.uint8)


def write_short(directory):
    by_op = {}
    for op, *args in short_calls():
        options = args.pop() if isinstance(args[-1], dict) else {}
        by_op.setdefault(op, []).append(dict(zip((a.name for a in op._schema.arguments), args)) | options)
    for op, calls in by_op.items():
        write(directory, op, calls, (torch.float32, torch.float64), True)


def write_double_backward(directory):
    """Gradients of gradients, of matrix_exp, recurrent cells, learnt quantisation and samples."""
    aten = torch.ops.aten
    double = (torch.float32, torch.float64)
    geometry = dict(stride=[2, 1], padding=[1, 0], dilation=[1, 2], transposed=False, output_padding=[0, 0], groups=2)
    conv = dict(geometry, gO=rand(1, 4, 2, 3), self=rand(1, 2, 4, 5), weight=rand(4, 1, 3, 2))
    conv |= dict(ggI=rand(1, 2, 4, 5), ggW=rand(4, 1, 3, 2), ggb=rand(4), output_mask=[True, True, True])
    back = dict(geometry, gO=rand(1, 4, 5, 4), self=rand(1, 2, 3, 2), weight=rand(2, 2, 2, 2), transposed=True, output_padding=[1, 0])
    back |= dict(ggI=rand(1, 2, 3, 2), ggW=rand(2, 2, 2, 2), ggb=None, output_mask=[True, True, True])
    write(directory, aten._convolution_double_backward.default,
          [conv, dict(conv, ggb=None, ggW=None), back, dict(conv, ggI=None, output_mask=[True, True, False])], double, True)
    write(directory, aten.matrix_exp_backward.default,
          [dict(self=rand(3, 3) / 2, grad=rand(3, 3)), dict(self=rand(2, 2, 2), grad=rand(2, 2, 2))], (torch.float64, torch.float32), True)
    x, dx = rand(3, 4), rand(3, 4)
    y, dy = rand(3, 2), rand(3, 2)
    write(directory, aten.glu_backward_jvp.default,
          [dict(grad_x=aten.glu_backward.default(y, x, 1), grad_glu=y, x=x, dgrad_glu=dy, dx=dx, dim=1)], double)
    gates = dict(input_gates=rand(3, 8), hidden_gates=rand(3, 8), input_bias=rand(8), hidden_bias=rand(8), cx=rand(3, 2), cy=rand(3, 2))
    write(directory, aten._thnn_differentiable_lstm_cell_backward.default,
          [dict(gates, grad_hy=rand(3, 2), grad_cy=rand(3, 2)), dict(gates, grad_hy=rand(3, 2), grad_cy=None, input_bias=None, hidden_bias=None)], double)
    gates = dict(grad_hy=rand(3, 2), input_gates=rand(3, 6), hidden_gates=rand(3, 6), hx=rand(3, 2))
    write(directory, aten._thnn_differentiable_gru_cell_backward.default,
          [dict(gates, input_bias=rand(6), hidden_bias=rand(6)), dict(gates, input_bias=None, hidden_bias=None)], double)
    fake = dict(grad=rand(3, 4), self=3 * rand(3, 4), quant_min=-4, quant_max=3, grad_factor=0.5)
    write(directory, aten._fake_quantize_learnable_per_tensor_affine_backward.default,
          [dict(fake, scale=torch.tensor([0.5]), zero_point=torch.tensor([z])) for z in (0.0, 1.3, -2.7)], (torch.float32,))
    write(directory, aten._fake_quantize_learnable_per_channel_affine_backward.default,
          [dict(fake, scale=torch.tensor([0.5, 0.75, 1.0]), zero_point=torch.tensor([0.0, 1.3, -2.7]), axis=0)], (torch.float32,))
    alpha = torch.tensor([0.2, 0.9, 2.0, 5.0, 9.0, 12.0, 40.0], dtype=torch.double)
    factors = torch.tensor([0.05, 0.5, 0.97, 1.05, 1.6], dtype=torch.double)[:, None]
    write(directory, aten._standard_gamma_grad.default, [dict(self=alpha.expand(5, 7).contiguous(), output=alpha * factors)], double)
    shares = torch.tensor([0.001, 0.05, 0.3, 0.48, 0.52, 0.8, 0.999], dtype=torch.double)
    write(directory, aten._dirichlet_grad.default,
          [dict(x=shares, alpha=torch.full_like(shares, a), total=torch.full_like(shares, t)) for a, t in ((0.3, 1.0), (3.0, 8.0), (9.0, 20.0))], double)


def main(directory):
    torch.manual_seed(0)
    grad = rand(3, 7)
    x = 3 * rand(3, 7)
    y = torch.rand(3, 7, dtype=torch.double)
    wide = dict(grad_output=grad, self=x)
    elu = dict(grad_output=grad, alpha=1.5, scale=1.1, input_scale=0.9)
    calls = {
        "gelu_backward": [wide, dict(wide, approximate="tanh")],
        "threshold_backward": [dict(wide, threshold=0.5)],
        "hardtanh_backward": [dict(wide, min_val=-1.0, max_val=2.0)],
        "leaky_relu_backward": [dict(wide, negative_slope=0.1, self_is_result=False)],
        "elu_backward": [dict(elu, is_result=False, self_or_result=x), dict(elu, is_result=True, self_or_result=x.clamp(min=-1))],
        "softplus_backward": [dict(wide, beta=2.0, threshold=3.0)],
        "softshrink_backward": [dict(wide, lambd=0.5)],
        "hardshrink_backward": [dict(grad_out=grad, self=x, lambd=0.5)],
        "sigmoid_backward": [dict(grad_output=grad, output=y)],
        "tanh_backward": [dict(grad_output=grad, output=y)],
        "silu_backward": [wide],
        "mish_backward": [wide],
        "hardswish_backward": [wide],
        "hardsigmoid_backward": [wide],
        "logit_backward": [dict(grad_output=grad, self=y, eps=0.1)],
        "_prelu_kernel_backward": [dict(wide, weight=torch.full((1, 7), 0.25, dtype=torch.double))],
        "_softmax_backward_data": [dict(grad_output=grad, output=torch.softmax(x, d), dim=d, input_dtype=torch.float32) for d in (0, 1)],
        "_log_softmax_backward_data": [dict(grad_output=grad, output=torch.log_softmax(x, 1), dim=-1, input_dtype=torch.float32)],
    }
    for name, arguments in calls.items():
        write(directory, getattr(torch.ops.aten, name).default, arguments)
    write_convolutions(directory)
    write_norms(directory)
    write_losses(directory)
    write_attention(directory)
    write_others(directory)
    write_short(directory)
    write_double_backward(directory)


if __name__ == "__main__":
    main(sys.argv[1])
