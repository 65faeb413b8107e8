# SPDX-License-Identifier: MIT
"""Writes op cases (docs/verification.md) of the gradients of activations, which PyTorch's operator samples lack.

    python make_gradient_cases.py DIR      writes DIR/aten.gelu_backward.default/, ...; needs torch and safetensors
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

TOLERANCES = {torch.float32: (1.3e-6, 1e-5), torch.float64: (1e-7, 1e-7), torch.bfloat16: (1.6e-2, 1e-5)}


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def described(value, key, tensors):
    """The VALUE object of an argument or result."""
    if isinstance(value, torch.Tensor):
        tensors[key] = value.contiguous().clone()
        return {"tensor": key, "shape": list(value.shape), "dtype": name_of(value.dtype)}
    if isinstance(value, torch.dtype):
        return {"dtype": name_of(value)}
    kinds = {bool: "bool", str: "string", int: "int", float: "float"}
    return {kinds[type(value)]: value}


def write(directory, op, calls):
    """One directory: every call in every dtype; tensors and dtypes among the arguments are converted to it."""
    tensors, cases = {}, []
    scalars = {a.name for a in op._schema.arguments if str(a.type) == "number"}
    for arguments in calls:
        for dtype, (rtol, atol) in TOLERANCES.items():
            number = len(cases)
            call = {k: v.to(dtype) if isinstance(v, torch.Tensor) else dtype if isinstance(v, torch.dtype) else v for k, v in arguments.items()}
            args = {k: described(v, f"c{number}_{k}", tensors) for k, v in call.items()}
            args = {k: {"scalar": v} if k in scalars else v for k, v in args.items()}
            results = op(**call)
            results = results if isinstance(results, tuple) else (results,)
            outputs = [described(r, f"c{number}_out{i}", tensors) for i, r in enumerate(results)]
            cases.append({"id": f"{op}/{number}", "op_type": str(op), "dtype": name_of(dtype), "source": "gradients", "args": args,
                          "outputs": outputs, "rtol": rtol, "atol": atol, "check": "values"})
    target = Path(directory) / str(op)
    target.mkdir(parents=True, exist_ok=True)
    (target / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    save_file(tensors, target / "tensors.safetensors")


def main(directory):
    torch.manual_seed(0)
    grad = torch.randn(3, 7, dtype=torch.double)
    x = 3 * torch.randn(3, 7, dtype=torch.double)
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


if __name__ == "__main__":
    main(sys.argv[1])
