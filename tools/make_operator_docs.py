#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/operators.md from `torch-ir ops --json`: the ops that run, those that do not, and known differences.

    python make_operator_docs.py TORCH_IR            writes docs/operators.md
    python make_operator_docs.py TORCH_IR --check    exit status 1 when it is out of date

Runs from the source root.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path("docs/operators.md")

RANDOM = (
    r"_sample_dirichlet|_standard_gamma|bernoulli_?|binomial|cauchy_?|exponential_?|geometric_?|log_normal_?|multinomial|normal_?|normal_functional|poisson|rand|rand_like|randint"
    r"|randint_like|randn|randn_like|randperm|random_?|uniform_?|dropout_?|native_dropout|alpha_dropout_?|feature_dropout_?"
    r"|feature_alpha_dropout_?|rrelu_?|rrelu_with_noise_?"
)

# Expression over the base name, note. The first that matches counts.
NOTES = [
    (RANDOM, "draws the numbers of PyTorch's CPU generator for the same seed, in the same order of calls"),
    (r"(new_)?empty(_like|_strided|_permuted|_quantized)?|new_empty_strided", "the elements are not initialised"),
    (r"(_?linalg_)?(svd|qr|eigh|eig)|_linalg_(svd|eigh)", "signs and phases of vectors may differ from PyTorch's"),
    (r"_assert.*|_functional_assert.*|sym_constrain_range.*|_functional_sym_constrain_range.*", "throws when the condition does not hold"),
    (r"(_fused|fake|_fake)_quant.*|quantize.*|dequantize.*|choose_qparams.*|_choose_qparams.*", "on plain tensors; tensors of a quantised dtype do not exist here"),
    (r"mkldnn_.*", "on dense tensors, like the op without mkldnn_"),
]

# Expression over the whole op type, reason. The first that matches counts.
REASONS = [
    (r"^prims\.", "Primitives of torch._prims: `torch.export` does not write them."),
    (r"_test_|_foobar|^aten\._debug_", "For PyTorch's own tests."),
    (r"^aten\._foreach|^aten\._fused_(ada|sgd)|^aten\._amp", "Steps of optimisers over lists of tensors; not part of an inference graph."),
    (r"sparse|coalesce|^aten\._?(values|indices)(_copy)?\.|crow_|ccol_|(col|row)_indices|_nnz|_spdiags|_spsolve|hspmm|sspaddmm|\.smm|smm\."
     r"|to_dense|coo_to|csr_to|_cslt", "Sparse layouts: tensors are dense here."),
    (r"cudnn|cuda|cufft|miopen|mps|mkldnn|xnnpack|nnpack|fbgemm|vulkan|xla|efficient_attention|flash_attention|fused_attention|thnn|slow_conv|triton"
     r"|_fused_sdp_choice|_mem_eff|_wrapped_linear|_grid_sampler_2d_cpu_fallback|_fused_dropout|conv_depthwise|_mixed_dtypes|_philox|_grouped_mm"
     r"|batch_norm_(elemt|gather|stats|update|backward_(elemt|reduce))|\.dtype(_out)?$",
     "Of one device or library; the general op is what a graph holds."),
    (r"nested|jagged|packed?_|to_padded|_transformer_encoder_layer|_native_multi_head|_transform_bias|rowwise", "Nested or packed tensors and their fast paths."),
    (r"quant|qscheme|q_scale|q_zero|q_per|int_repr|int4|int8|qparams|_scaled_|_moving_avg_obs|weight_to_fp16", "Quantised dtypes; `quantized_decomposed` runs."),
    (r"backward|_grad(_out)?\.|_jvp|_make_dual|_unpack_dual|get_gradients|retain|_dirichlet_grad|_gamma_grad|_forward_only_grad",
     "Gradients beyond those that run, and what only autograd calls."),
    (r"set_data|record_stream|pin_memory|_batch_dim|^aten\.set_?\.|dep_token|same_feature_meta|resize|_reshape_from_tensor|_copy_from_and|from_file",
     "Storages, devices and files behind a tensor."),
    (r"generator", "A generator as an argument: graphs have none."),
    (r"out_?$", "`out=` variants of ops without a functional twin of the same parameters (creation, random numbers), or whose twin does not run."),
    (r"sobol", "The direction numbers of Sobol sequences: an engine is made before a graph is."),
]
OTHERWISE = "Not written yet."

# What of PyTorch's operator samples (about 53 000 calls) does not agree, and why. To find out again: `torch-ir verify --suite`.
DIFFERENCES = [
    ("matrix_exp, linalg_matrix_exp", "float16, bfloat16",
     "PyTorch computes in the half type and overflows to nan for matrices of large norm; here it is computed in float32 and rounded once."),
    ("special_airy_ai", "all",
     "PyTorch's values are off near the zeros of the function and for large negative x; those here agree with SciPy's."),
    ("bernoulli, dropout, exponential", "all",
     "On Intel's processors PyTorch draws them with MKL; here, as on all others, they come from its own generator."),
    ("_sample_dirichlet", "float64", "The last bit may differ: the order of PyTorch's sums depends on the processor."),
    ("log10", "complex64", "Of ±inf±inf·i, the imaginary part next to an infinite real part has another last bit."),
    ("special_expm1", "complex64", "Where the result just overflows, one side is already infinite."),
    ("fmod, remainder", "floats",
     "Where x / y overflows, PyTorch's vector loop gives NaN; its scalar loop, which takes the last elements of a row, and ours give the remainder."),
    ("_to_copy, to to uint32", "floats", "Out of range, PyTorch's vector loop and its scalar loop differ; here it is as the latter."),
    ("acos", "complex128", "PyTorch's vector loop subtracts from π/2, which loses digits near 1; its scalar loop does not, nor is it done here."),
    ("sinh, cosh", "float32", "Between 88.73 and 89.41 PyTorch's vector loop is already infinite."),
    ("conv_transpose, convolution_backward", "float16, bfloat16", "On processors for which oneDNN has no half types, PyTorch adds up in the half type; here it is done in float32."),
    ("native_layer_norm_backward", "float16, bfloat16", "PyTorch adds up the gradients of weight and bias in the half type, a sum per thread; here it is done in float32."),
    ("prod", "float16, bfloat16", "Every product is rounded; in rows of 64 numbers and more, the order of PyTorch's products depends on the processor."),
    ("mul_.Scalar", "float16, bfloat16", "PyTorch rounds the number first, unlike in mul_.Tensor and mul.Scalar; not so here."),
    ("svd, eigh, eig, qr and what returns their vectors", "all", "Signs and phases of vectors are free; the products agree."),
    ("median, topk, kthvalue with equal elements", "all", "Which of the equal elements an index names is free."),
]


def base_of(op):
    return op.split(".")[1]


def code(names):
    return ", ".join(f"`{name}`" for name in names)


def first_match(rules, text, find):
    return next((entry for pattern, entry in rules if find(pattern, text)), None)


def grouped(ops):
    groups = {}
    for op in ops:
        groups.setdefault(base_of(op), []).append(op)
    return sorted(groups.items())


def row(base, ops, derived):
    own = [op.rpartition(".")[2] for op in ops if op not in derived]
    note = first_match(NOTES, base, re.fullmatch) or ""
    if all(op in derived for op in ops):
        note = "by its functional twin" + (f"; {note}" if note else "")
    return f"| `{base}` | {', '.join(own + [op.rpartition('.')[2] + '*' for op in ops if op in derived])} | {note} |"


def document(tool):
    listing = json.loads(subprocess.run([tool, "ops", "--json"], check=True, capture_output=True).stdout)
    supported, unsupported, derived = listing["supported"], listing["unsupported"], set(listing["derived"])
    aten = [op for op in supported if op.startswith("aten.")]
    lines = [
        "# Operators",
        "",
        "Generated by `tools/make_operator_docs.py` from `torch-ir ops --json`; do not edit.",
        "",
        f"{len(supported)} op types run: {len(aten)} ATen overloads, {len(supported) - len(aten)} others.",
        "",
        "## ATen",
        "",
        "An overload with `*` runs its functional twin and copies the result into the tensor that is written to.",
        "",
        "| op | overloads | notes |",
        "| --- | --- | --- |",
        *(row(base, ops, derived) for base, ops in grouped(aten)),
        "",
        "## Other op types",
        "",
    ]
    spaces = {}
    for op in supported:
        if not op.startswith("aten."):
            spaces.setdefault(op.split(".")[0], []).append(op.partition(".")[2].removesuffix(".default"))
    lines += [f"- `{space}`: {code(names)}" for space, names in sorted(spaces.items())]
    lines += ["", "## Not supported", "", f"{len(unsupported)} overloads that PyTorch's dispatcher knows do not run here."]
    reasons = {}
    for op in unsupported:
        reasons.setdefault(first_match(REASONS, op, re.search) or OTHERWISE, []).append(op)
    for reason in [reason for _, reason in REASONS] + [OTHERWISE]:
        if reason in reasons:
            names = [f"{space}.{base}" if (space := ops[0].split(".")[0]) != "aten" else base for base, ops in grouped(reasons[reason])]
            lines += ["", f"{reason} ({len(reasons[reason])})", "", code(names)]
    lines += ["", "## Known differences", "", "Of PyTorch's own operator samples, these do not agree within their tolerances, or are not compared:", ""]
    lines += ["| op | dtypes | difference |", "| --- | --- | --- |", *(f"| {op} | {dtypes} | {why} |" for op, dtypes, why in DIFFERENCES)]
    lines += [
        "",
        "Calls that PyTorch refuses for their shapes, ranges or the dtype of a result in place are refused. Where PyTorch's CPU kernels only lack a",
        "dtype, or want one dtype of several arguments, a call may run here.",
    ]
    return "\n".join(lines) + "\n"


def main():
    text = document(sys.argv[1])
    if "--check" not in sys.argv[2:]:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    print(f"{DOCUMENT} is out of date: run tools/make_operator_docs.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
