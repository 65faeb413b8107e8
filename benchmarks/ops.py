# SPDX-License-Identifier: MIT
"""Times common ops with shapes of the five models of models.py, this project's tool against torch eager, at one thread.

    python ops.py path/to/torch-ir [-o RESULTS.md] [--rounds 3] [NAME ...]

Each op is exported as a graph of one node. Prints a Markdown table: milliseconds of a call (the smallest median of all rounds, engines in
turn) and the ratio of ours to torch's. Needs torch and safetensors.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file


def t(*shape):
    return torch.randn(*shape)


def ops():
    """name → (function, inputs); MiniLM 8 × 64 × 384, GPT-2 128 × 768, ViT 197 × 768, ResNet-50 and MobileNetV2 on 224 × 224."""
    hidden, wide, image = t(8, 64, 384), t(1, 128, 3072), t(1, 64, 56, 56)
    heads, scores = t(1, 12, 128, 64), t(1, 12, 128, 128)
    mask = torch.rand(1, 12, 128, 128) > 0.5
    ids = torch.randint(0, 30522, (8, 64))
    nhwc = image.to(memory_format=torch.channels_last)
    table = {
        "add": (torch.add, hidden, t(8, 64, 384)),
        "add broadcast": (torch.add, hidden, t(384)),
        "sub": (torch.sub, hidden, t(8, 64, 384)),
        "mul": (torch.mul, wide, t(1, 128, 3072)),
        "mul number": (lambda x: x * 0.5, wide),
        "div": (torch.div, wide, t(1, 128, 3072)),
        "pow 2": (lambda x: x.pow(2), wide),
        "pow 3": (lambda x: x.pow(3.0), wide),
        "sqrt": (torch.sqrt, wide.abs()),
        "rsqrt": (torch.rsqrt, wide.abs() + 0.1),
        "exp": (torch.exp, wide),
        "log": (torch.log, wide.abs() + 0.1),
        "tanh": (torch.tanh, wide),
        "sigmoid": (torch.sigmoid, wide),
        "erf": (torch.erf, wide),
        "sin": (torch.sin, wide),
        "abs": (torch.abs, wide),
        "neg": (torch.neg, wide),
        "relu": (torch.relu, image),
        "relu6": (F.relu6, t(1, 96, 112, 112)),
        "gelu": (F.gelu, wide),
        "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), wide),
        "silu": (F.silu, wide),
        "hardswish": (F.hardswish, image),
        "leaky_relu": (F.leaky_relu, image),
        "clamp": (lambda x: x.clamp(-1, 1), wide),
        "maximum": (torch.maximum, wide, t(1, 128, 3072)),
        "where": (torch.where, mask, scores, t(1, 12, 128, 128)),
        "masked_fill": (lambda x, m: x.masked_fill(m, -1e9), scores, mask),
        "eq": (torch.eq, ids, torch.randint(0, 9, (8, 64))),
        "gt": (torch.gt, wide, t(1, 128, 3072)),
        "to bfloat16": (lambda x: x.to(torch.bfloat16), wide),
        "to int64": (lambda x: x.to(torch.int64), wide),
        "softmax": (lambda x: torch.softmax(x, -1), scores),
        "log_softmax": (lambda x: torch.log_softmax(x, -1), t(128, 50257)),
        "layer_norm": (lambda x, w, b: F.layer_norm(x, (384,), w, b), hidden, t(384), t(384)),
        "rms_norm": (lambda x, w: F.rms_norm(x, (768,), w), t(1, 128, 768), t(768)),
        "group_norm": (lambda x: F.group_norm(x, 8), image),
        "batch_norm": (lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b), image, t(64), t(64).abs(), t(64), t(64)),
        "sum": (lambda x: x.sum(-1), wide),
        "sum all": (torch.sum, wide),
        "mean dim": (lambda x: x.mean(-1, keepdim=True), hidden),
        "mean H W": (lambda x: x.mean((2, 3)), t(1, 2048, 7, 7)),
        "amax": (lambda x: x.amax(-1), scores),
        "argmax": (lambda x: x.argmax(-1), t(128, 50257)),
        "var_mean": (lambda x: torch.var_mean(x, -1), hidden),
        "cumsum": (lambda x: x.cumsum(-1), t(8, 64, 384)),
        "topk": (lambda x: tuple(x.topk(5)), t(128, 50257)),
        "sort": (lambda x: tuple(x.sort(-1)), t(64, 1000)),
        "embedding": (F.embedding, ids, t(30522, 384)),
        "gather": (lambda x, i: x.gather(1, i), t(512, 1000), torch.randint(0, 1000, (512, 64))),
        "index_select": (lambda x, i: x.index_select(0, i), t(1000, 768), torch.randint(0, 1000, (128,))),
        "cat": (lambda a, b: torch.cat([a, b], 1), image, t(1, 64, 56, 56)),
        "transpose copy": (lambda x: x.transpose(1, 2).contiguous(), t(1, 128, 12, 64)),
        "permute copy": (lambda x: x.permute(0, 2, 3, 1).contiguous(), image),
        "split": (lambda x: [y + 1 for y in x.split(768, -1)], t(1, 128, 2304)),
        "pad": (lambda x: F.pad(x, (1, 1, 1, 1)), image),
        "tril": (torch.tril, t(12, 128, 128)),
        "linear": (F.linear, hidden, t(1536, 384), t(1536)),
        "addmm": (torch.addmm, t(2304), t(128, 768), t(768, 2304)),
        "matmul": (torch.matmul, heads, t(1, 12, 64, 128)),
        "bmm": (torch.bmm, t(96, 64, 32), t(96, 32, 64)),
        "attention": (F.scaled_dot_product_attention, heads, t(1, 12, 128, 64), t(1, 12, 128, 64)),
        "conv2d 3x3": (lambda x, w: F.conv2d(x, w, padding=1), image, t(64, 64, 3, 3)),
        "conv2d 1x1": (F.conv2d, nhwc, t(256, 64, 1, 1)),
        "conv2d depthwise": (lambda x, w: F.conv2d(x, w, padding=1, groups=96), t(1, 96, 56, 56), t(96, 1, 3, 3)),
        "conv1d": (lambda x, w: F.conv1d(x, w, padding=1), t(1, 80, 300), t(384, 80, 3)),
        "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, stride=2), t(1, 64, 28, 28), t(64, 32, 2, 2)),
        "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), t(1, 64, 112, 112)),
        "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), image),
        "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 1), t(1, 2048, 7, 7)),
        "interpolate nearest": (lambda x: F.interpolate(x, scale_factor=2), image),
        "interpolate bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), image),
    }
    return {name: (entry[0], entry[1:]) for name, entry in table.items()}


class Call(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def torch_ms(function, inputs):
    with torch.inference_mode():
        for _ in range(3):
            function(*inputs)
        times, end = [], time.perf_counter() + 0.3
        while len(times) < 5 or (time.perf_counter() < end and len(times) < 1000):
            start = time.perf_counter()
            function(*inputs)
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def our_ms(tool, case, expected):
    repeat = min(1000, max(5, int(300 / max(expected, 0.02))))
    command = [tool, "bench", case / "model.pt2", "--threads", "1", "--repeat", str(repeat), "--warmup", "3", "--json", "--quiet"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["median_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("names", nargs="*")
    parser.add_argument("-o", "--output")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_intermixed_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    for name, (function, inputs) in ops().items():
        if options.names and name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as directory:
            case = Path(directory)
            program = torch.export.export(Call(function), inputs, strict=False)
            torch.export.save(program, case / "model.pt2")
            names = [s.arg.name for s in program.graph_signature.input_specs]
            theirs, ours = [], []
            for _ in range(options.rounds):
                # Written anew, as it matters for caches where the pages of a file come to lie.
                save_file({n: x.contiguous() for n, x in zip(names, inputs)}, case / "inputs.safetensors")
                theirs.append(torch_ms(function, inputs))
                ours.append(our_ms(options.tool, case, theirs[-1]))
        rows.append((min(ours) / min(theirs), name, min(ours), min(theirs)))
        print(f"{name:24} {min(ours):9.4f} {min(theirs):9.4f} {rows[-1][0]:6.2f}", flush=True)
    rows.sort(reverse=True)
    lines = ["| op | torch-ir ms | torch ms | ratio |", "|---|---|---|---|"]
    lines += [f"| {name} | {ours:.4f} | {theirs:.4f} | {ratio:.2f} |" for ratio, name, ours, theirs in rows]
    if options.output:
        Path(options.output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
