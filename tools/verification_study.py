# SPDX-License-Identifier: MIT
"""How well `torch-ir locate` tells rounding from faults: runs models in torch node by node, with and without a planted fault.

    python verification_study.py path/to/torch-ir CASE... [--faults N] [-o TABLE.md]

A CASE is a directory with model.pt2 and inputs.safetensors. Every model runs harmlessly (torch as it is, without oneDNN, sums in another
order) and with each fault planted in up to N of the nodes it applies to. Prints a Markdown table: what verdict each fault got, and whether the
planted node was named. Needs torch.
"""

import argparse
import json
import random
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

aten = torch.ops.aten
LINEAR = {aten.linear.default, aten.addmm.default, aten.mm.default, aten.bmm.default, aten.matmul.default}
CONV = {aten.conv2d.default, aten.convolution.default, aten.conv1d.default}
ATTENTION = {aten.scaled_dot_product_attention.default}
NORM = {aten.layer_norm.default, aten.native_layer_norm.default}
BATCH_NORM = {aten.batch_norm.default, aten._native_batch_norm_legit_no_training.default}


def floats(value):
    return isinstance(value, torch.Tensor) and value.dtype == torch.float32


def first(value):
    return value[0] if isinstance(value, (tuple, list)) else value


def on_operands(f):
    """A fault of the floating point operands of a call."""
    return lambda call, args, kwargs: call(*[f(a) if floats(a) else a for a in args], **kwargs)


def on_result(f):
    def fault(call, args, kwargs):
        result = call(*args, **kwargs)
        return (f(result[0]), *result[1:]) if isinstance(result, tuple) else f(result)

    return fault


def through(dtype):
    return lambda x: x.to(dtype).to(x.dtype)


def tf32(x):
    bits = x.view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def truncated(x):
    exact = x.double()
    return torch.where(x.abs() > 0, torch.nextafter(x, torch.zeros_like(x)), x) if exact.numel() else x


def one_element(relative):
    def change(x):
        y = x.clone().contiguous()
        y.view(-1)[y.numel() // 2] += relative * x.abs().mean()
        return y

    return change


def without(position):
    def fault(call, args, kwargs):
        args = list(args)
        if len(args) <= position or args[position] is None:
            return None
        args[position] = None
        return call(*args, **kwargs)

    return fault


def bias_off(amount):
    def fault(call, args, kwargs):
        args = list(args)
        if call is aten.addmm.default:
            args[0] = args[0] + amount
        elif len(args) > 2 and args[2] is not None:
            args[2] = args[2] + amount
        else:
            return None
        return call(*args, **kwargs)

    return fault


def eps(value):
    def fault(call, args, kwargs):
        args = list(args)
        position = {aten.layer_norm.default: 4, aten.native_layer_norm.default: 4, aten.batch_norm.default: 7}.get(call, 6)
        while len(args) <= position:
            args.append([None, None, None, None, 1e-5][len(args)] if len(args) < 5 else 1e-5)
        if args[position] == value:
            return None
        args[position] = value
        return call(*args, **kwargs)

    return fault


def other_gelu(call, args, kwargs):
    kind = kwargs.get("approximate", "none")
    return call(args[0], approximate="none" if kind == "tanh" else "tanh")


def transposed_weight(call, args, kwargs):
    args = list(args)
    if args[1].shape[-1] != args[1].shape[-2] or args[1].dim() != 2:
        return None
    args[1] = args[1].transpose(-1, -2)
    return call(*args, **kwargs)


def weight_bit(bit):
    def fault(call, args, kwargs):
        args = list(args)
        position = 2 if call is aten.addmm.default else 1
        if not floats(args[position]):
            return None
        weight = args[position].clone().contiguous()
        at = int(weight.abs().argmax())
        bits = weight.view(-1).view(torch.int32)
        bits[at] ^= 1 << bit
        args[position] = weight
        return call(*args, **kwargs)

    return fault


def without_scale(call, args, kwargs):
    return call(*args, **{**kwargs, "scale": 1.0})


def swapped_heads(call, args, kwargs):
    if args[0].shape[1] < 2:
        return None
    result = call(*args, **kwargs).clone()
    result[:, [0, 1]] = result[:, [1, 0]]
    return result


def other_axis(call, args, kwargs):
    args = list(args)
    args[1] = -2 if args[1] in (-1, args[0].dim() - 1) else -1
    return call(*args, **kwargs)


def accumulated(dtype):
    """Sums kept in `dtype`, by pieces of 16 terms."""

    def fault(call, args, kwargs):
        if call not in (aten.linear.default, aten.mm.default):
            return None
        a, w = args[0], args[1] if call is aten.mm.default else args[1].t()
        total = torch.zeros(*a.shape[:-1], w.shape[1], dtype=dtype)
        for begin in range(0, a.shape[-1], 16):
            total = (total.float() + a[..., begin : begin + 16] @ w[begin : begin + 16]).to(dtype)
        total = total.float()
        return total + args[2] if len(args) > 2 and args[2] is not None else total

    return fault


FAULTS = {
    "bf16 operands": (LINEAR | CONV, on_operands(through(torch.bfloat16))),
    "f16 operands": (LINEAR | CONV, on_operands(through(torch.float16))),
    "tf32 operands": (LINEAR | CONV, on_operands(tf32)),
    "bf16 accumulation": (LINEAR, accumulated(torch.bfloat16)),
    "f16 accumulation": (LINEAR, accumulated(torch.float16)),
    "result rounded to bf16": (LINEAR | CONV | NORM | ATTENTION, on_result(through(torch.bfloat16))),
    "residual add in bf16": ({aten.add.Tensor}, on_result(through(torch.bfloat16))),
    "layer norm eps 1e-6": (NORM, eps(1e-6)),
    "layer norm eps 1e-3": (NORM, eps(1e-3)),
    "batch norm eps 1e-6": (BATCH_NORM, eps(1e-6)),
    "other gelu": ({aten.gelu.default}, other_gelu),
    "softmax over another axis": ({aten.softmax.int, aten._softmax.default}, other_axis),
    "exp off by 1e-4": ({aten.softmax.int, aten._softmax.default}, on_result(lambda y: y * (1 + 1e-4 * torch.rand_like(y)))),
    "bias missing": ({aten.linear.default} | CONV, without(2)),
    "bias off by 1e-5": (LINEAR | CONV, bias_off(1e-5)),
    "bias off by 1e-6": (LINEAR | CONV, bias_off(1e-6)),
    "weight transposed": ({aten.linear.default, aten.mm.default}, transposed_weight),
    "scale missing": (ATTENTION, without_scale),
    "heads swapped": (ATTENTION, swapped_heads),
    "result truncated": (LINEAR | {aten.add.Tensor, aten.mul.Tensor}, on_result(truncated)),
    "one element off by 1e-2 of the mean": (LINEAR | CONV | NORM, on_result(one_element(1e-2))),
    "one element off by 1e-4 of the mean": (LINEAR | CONV | NORM, on_result(one_element(1e-4))),
    "one element off by 1e-6 of the mean": (LINEAR | CONV | NORM, on_result(one_element(1e-6))),
    "last row stale": (LINEAR | CONV, on_result(lambda y: torch.cat([y[:-1], torch.zeros_like(y[-1:])]))),
    "relu left out": ({aten.relu.default, aten.relu_.default, aten.hardtanh.default, aten.relu6.default}, lambda call, args, kwargs: args[0].clone()),
    "largest weight, bit 4": (LINEAR | CONV, weight_bit(4)),
    "largest weight, bit 8": (LINEAR | CONV, weight_bit(8)),
    "largest weight, bit 12": (LINEAR | CONV, weight_bit(12)),
    "largest weight, bit 16": (LINEAR | CONV, weight_bit(16)),
}


def other_order(call, args, kwargs):
    """A linear whose terms are summed in another order."""
    if call is not aten.linear.default:
        return call(*args, **kwargs)
    order = torch.randperm(args[0].shape[-1], generator=torch.Generator().manual_seed(1))
    return call(args[0][..., order], args[1][:, order], *args[2:], **kwargs)


class Dump(torch.fx.Interpreter):
    """Runs a graph and keeps every tensor by the name of its node; `fault` replaces the call of `target` (None: of every node)."""

    def __init__(self, module, fault=None, target=None):
        super().__init__(module, garbage_collect_values=True)
        self.fault, self.target, self.values, self.applied = fault, target, {}, False

    def run_node(self, n):
        if n.op == "call_function" and self.fault and self.target in (None, n.name):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            result = self.fault(n.target, args, kwargs)
            self.applied = result is not None
            if result is None:
                result = n.target(*args, **kwargs)
        else:
            result = super().run_node(n)
        if n.op == "call_function":
            if isinstance(result, torch.Tensor):
                self.values[n.name] = result.detach().clone().contiguous()
        return result


def locate(tool, case, values, directory):
    save_file(values, directory / "dump.safetensors")
    done = subprocess.run(
        [tool, "locate", str(case), "--candidate", str(directory / "dump.safetensors"), "--json", "--quiet"], capture_output=True, text=True
    )
    if done.returncode > 1:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("cases", type=Path, nargs="+")
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    harmless = {"runs": 0, "false alarms": 0}
    table = defaultdict(lambda: {"wrong": 0, "suspicious": 0, "explained": 0, "named": 0, "alone": 0, "hypotheses": defaultdict(int)})
    directory = Path(tempfile.mkdtemp())
    for case in options.cases:
        program = torch.export.load(case / "model.pt2")
        module = program.module(check_guards=False)
        inputs = load_file(case / "inputs.safetensors")
        names = [s.arg.name for s in program.graph_signature.input_specs if s.kind.name == "USER_INPUT"]
        flat = [inputs[name] for name in names]

        def run(fault=None, target=None):
            dump = Dump(module, fault, target)
            with torch.no_grad():
                dump.run(*flat)
            return dump

        for name, fault in (("torch", None), ("torch without oneDNN", None), ("sums in another order", other_order)):
            # NNPACK would take its place, whose Winograd transforms round more than float32 sums: --profile winograd.
            with torch.backends.mkldnn.flags(enabled=name != "torch without oneDNN"), torch.backends.nnpack.flags(enabled=False):
                dump = run(fault)
            result = locate(options.tool, case, dump.values, directory)
            harmless["runs"] += 1
            if result["verdict"] != "explained":
                harmless["false alarms"] += 1
                for origin in result["origins"]:
                    print(f"false alarm: {case.name} ({name}): {origin['node']} {origin['op_type']} {origin['verdict']}: {origin['reason']}", flush=True)
        for label, (targets, fault) in FAULTS.items():
            # Sums of positions are none of a backend's rounding.
            nodes = [n.name for n in module.graph.nodes if n.op == "call_function" and n.target in targets and floats(first(n.meta["val"]))]
            for node in random.sample(nodes, min(len(nodes), options.faults)):
                dump = run(fault, node)
                if not dump.applied:
                    continue
                result = locate(options.tool, case, dump.values, directory)
                origins = [o["node"] for o in result["origins"]]
                row = table[label]
                row[result["verdict"]] += 1
                row["named"] += node in origins
                row["alone"] += origins == [node]
                for origin in result["origins"]:
                    if origin["node"] == node and origin["hypotheses"]:
                        row["hypotheses"][origin["hypotheses"][0]["name"]] += 1
    lines = [f"{harmless['runs']} harmless runs, {harmless['false alarms']} false alarms.", "",
             "| fault | wrong | suspicious | explained | node named | it alone | first hypothesis |", "|---|---|---|---|---|---|---|"]
    total = defaultdict(int)
    for label, row in table.items():
        best = max(row["hypotheses"].items(), key=lambda item: item[1], default=("", 0))
        lines.append(f"| {label} | {row['wrong']} | {row['suspicious']} | {row['explained']} | {row['named']} | {row['alone']} | {best[0]} |")
        for key in ("wrong", "suspicious", "explained", "named", "alone"):
            total[key] += row[key]
    lines.append(f"| **all** | {total['wrong']} | {total['suspicious']} | {total['explained']} | {total['named']} | {total['alone']} | |")
    text = "\n".join(lines)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
