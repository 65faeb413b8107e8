# SPDX-License-Identifier: MIT
"""Times the five models of models.py: this project's tool, torch eager, onnxruntime and pytorch-ir, in turn on one machine.

    python run.py path/to/torch-ir CASES [-o RESULTS.md] [--threads 1 2] [--repeat 15] [MODEL ...]

CASES is the directory that models.py wrote. Prints Markdown tables: milliseconds of one run (median over all rounds), the ratio of
ours to the better of torch and onnxruntime, whole-process times, and peak memory. Needs torch, transformers, onnxruntime, onnxscript and
pytorch-ir; an engine that does not run a model is left out of its row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 3


def child(engine, name, case, threads, repeat):
    """Runs in a process of its own; prints {"times": [ms], "whole": s}."""
    import torch
    from safetensors.torch import load_file

    import models

    torch.set_num_threads(threads)
    inputs = load_file(case / "inputs.safetensors")
    if engine == "torch":
        model, arguments = models.build(name)
        with torch.inference_mode():
            run = lambda: model(*arguments)
            return measure(run, repeat)
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(onnx_file(name, case), options, providers=["CPUExecutionProvider"])
        feed = dict(zip((i.name for i in session.get_inputs()), (x.numpy() for x in ordered(inputs, case))))
        return measure(lambda: session.run(None, feed), repeat)
    raise ValueError(engine)


def ordered(inputs, case):
    program_inputs = json.loads((case / "order.json").read_text())
    return [inputs[name] for name in program_inputs]


def onnx_file(name, case):
    return str(case / "model.onnx")


def prepare(name, case):
    """Writes the ONNX file and the order of inputs once."""
    import torch

    import models

    if (case / "model.onnx").exists():
        return
    model, arguments = models.build(name)
    program = torch.export.export(model, arguments)
    names = [s.arg.name for s in program.graph_signature.input_specs if s.kind.name == "USER_INPUT"]
    (case / "order.json").write_text(json.dumps(names))
    with torch.no_grad():
        torch.onnx.export(model, arguments, str(case / "model.onnx"), dynamo=True, verbose=False)


def measure(run, repeat):
    run()
    run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    # getrusage would count what the process was before exec, too.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return {"times": times, "peak_mb": int(peak.split()[1]) * 1.024e-3}


def in_process(engine, name, case, threads, repeat):
    command = [sys.executable, __file__, "--child", engine, name, str(case), str(threads), str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        print(f"{engine} does not run {name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def ours(tool, case, threads, repeat):
    done = subprocess.run(
        [tool, "bench", str(case), "--json", "--repeat", str(repeat), "--warmup", "2", "--threads", str(threads)],
        capture_output=True, text=True, check=True,
    )
    figures = json.loads(done.stdout)
    return {"times": [figures["median_ms"]], "peak_mb": figures["peak_rss_bytes"] / 1e6}


# pytorch-ir runs from its own JSON and a state dict; the whole process is what its user waits for.
PYTORCH_IR = """
import sys
from safetensors.torch import load_file
import torch, torch_ir
case = sys.argv[1]
torch.set_num_threads(int(sys.argv[2]))
ir = torch_ir.load_ir(case + "/seed_ir.json")
inputs = load_file(case + "/inputs.safetensors")
outputs = torch_ir.execute_ir(ir, tuple(inputs.values()), weights=load_file(case + "/seed_weights.safetensors"))
expected = load_file(case + "/expected.safetensors")["output_0"]
assert torch.allclose(outputs[0], expected, rtol=1e-4, atol=1e-4)
"""


def prepare_pytorch_ir(name, case):
    import torch
    import torch_ir
    from safetensors.torch import save_file

    import models

    if (case / "seed_ir.json").exists():
        return
    model, arguments = models.build(name)
    meta = model.to("meta")
    ir = torch_ir.extract_ir(meta, tuple(x.to("meta") for x in arguments))
    torch_ir.save_ir(ir, case / "seed_ir.json")
    model, _ = models.build(name)
    save_file({k: v.clone().contiguous() for k, v in model.state_dict().items()}, case / "seed_weights.safetensors")


def whole_process(command, threads, runs=3):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        if done.returncode != 0:
            print(f"{command[:3]}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return None
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def speed_table(args, names):
    lines = ["| model | threads | torch-ir ms | torch ms | onnxruntime ms | ours / better | peak MB: ours, torch, ORT |", "|---|---|---|---|---|---|---|"]
    for name in names:
        case = args.cases / name
        prepare(name, case)
        for threads in args.threads:
            found = {"ours": [], "torch": [], "onnxruntime": []}
            peaks = {}
            for _ in range(ROUNDS):  # in turn, so that a slow minute hits all of them
                for engine in found:
                    got = ours(args.tool, case, threads, args.repeat) if engine == "ours" else in_process(engine, name, case, threads, args.repeat)
                    if got:
                        found[engine].append(statistics.median(got["times"]))
                        peaks[engine] = max(peaks.get(engine, 0), got["peak_mb"])
            medians = {engine: statistics.median(times) for engine, times in found.items() if times}
            better = min(medians[engine] for engine in ("torch", "onnxruntime") if engine in medians)
            cell = lambda engine: f"{medians[engine]:.1f}" if engine in medians else "-"
            peak = ", ".join(f"{peaks.get(engine, 0):.0f}" for engine in found)
            lines.append(f"| {name} | {threads} | {cell('ours')} | {cell('torch')} | {cell('onnxruntime')} | {medians['ours'] / better:.2f} | {peak} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def process_table(args, names):
    lines = ["| model | torch-ir verify s | pytorch-ir s | ratio |", "|---|---|---|---|"]
    for name in names:
        case = args.cases / name
        prepare_pytorch_ir(name, case)
        mine = whole_process([args.tool, "verify", str(case)], args.threads[-1])
        theirs = whole_process([sys.executable, "-c", PYTORCH_IR, str(case), str(args.threads[-1])], args.threads[-1])
        ratio = f"{theirs / mine:.1f}" if mine and theirs else "-"
        lines.append(f"| {name} | {mine:.2f} | {theirs:.2f} | {ratio} |" if theirs else f"| {name} | {mine:.2f} | - | - |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        engine, name, case, threads, repeat = sys.argv[2:]
        print(json.dumps(child(engine, name, Path(case), int(threads), int(repeat))))
        sys.exit()
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("cases", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    every = ["minilm", "gpt2", "vit_b16", "resnet50", "mobilenet_v2"]
    chosen = arguments.models or every
    text = "\n".join(speed_table(arguments, chosen))
    cnn = [name for name in chosen if name in ("resnet50", "mobilenet_v2")]
    text += "\n\nWhole process: load, run once, compare.\n\n" + "\n".join(process_table(arguments, cnn)) if cnn else ""
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")
