#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The backends of examples/backends, right and with a fault planted: verify finds it, locate names the node and the reason, reduce leaves the node.

Usage: example_backends_test.py TORCH_IR BACKEND, from the source root. BACKEND is the program emit_c or the script onnxruntime_backend.py, which runs
with the Python of TORCH_IR_PYTHON or else this one; exit status 77 (skipped) where that has no onnxruntime.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SUITE = "tests/data/zoo/pytorch_ir"
# Fault -> the node of TransformerBlock that locate must name first, its op, and what explains it.
FAULTS = {
    "gelu_tanh": ("gelu", "aten.gelu.default", "tanh gelu"),
    "eps": ("layer_norm", "aten.layer_norm.default", "eps=0.001"),
}


def check(condition, what):
    if not condition:
        sys.exit(f"not so: {what}")


def torch_ir(status, *arguments):
    """The JSON that the tool prints, with the exit status that is expected."""
    run = subprocess.run([sys.argv[1], *map(str, arguments), "--json"], capture_output=True, text=True)
    check(run.returncode == status, f"{arguments} has exit status {status}, found {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def backend_command():
    if not sys.argv[2].endswith(".py"):
        return [sys.argv[2]]
    python = os.environ.get("TORCH_IR_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import onnx, onnxruntime, safetensors"], capture_output=True).returncode != 0:
        print(f"skipped: {python} lacks onnx, onnxruntime or safetensors (pip install onnx onnxruntime safetensors)")
        sys.exit(77)
    return [python, sys.argv[2]]


def check_fault(command, fault, folder):
    node, op, reason = FAULTS[fault]
    faulty = [*command, "{case}", "{out}", "--fault", fault]
    cases = torch_ir(1, "verify", "--suite", SUITE, "--backend", " ".join(faulty))["cases"]
    failed = [case["name"] for case in cases if case["status"] == "failed"]
    check("TransformerBlock" in failed, f"verify finds the fault {fault} in TransformerBlock, found it in {failed}")
    check(not [case for case in cases if case["status"] == "error"], "no case is an error")

    model, dump = f"{SUITE}/TransformerBlock", folder / f"{fault}.safetensors"
    subprocess.run([*command, model, folder / "out.safetensors", "--fault", fault, "--dump", dump], check=True)
    located = torch_ir(1, "locate", model, "--candidate", dump)
    check(located["verdict"] == "wrong", f"locate calls {fault} wrong")
    first = located["origins"][0]
    check((first["node"], first["op_type"]) == (node, op), f"locate names {node} first, found {first['node']}")
    check(first["hypotheses"][0]["name"] == reason, f"{reason} explains it, found {first['hypotheses']}")
    check({origin["op_type"] for origin in located["origins"]} == {op}, f"only {op} is at fault")

    smallest = folder / f"{fault}_smallest"
    reduced = torch_ir(0, "reduce", model, "--backend", " ".join(faulty), "-o", smallest)
    check((reduced["failure"], reduced["nodes"], reduced["complete"]) == ("wrong numbers", 1, True), "one node is left")
    nodes = json.loads((smallest / "ir.json").read_text())["nodes"]
    check([left["op_type"] for left in nodes] == [op], f"{op} is left, found {nodes}")
    torch_ir(1, "verify", "--suite", smallest, "--backend", " ".join(faulty))
    torch_ir(0, "verify", "--suite", smallest, "--backend", " ".join([*command, "{case}", "{out}"]))


def main():
    command = backend_command()
    os.environ["TORCH_IR_TOOL"] = sys.argv[1]  # the script has .pt2 files extracted
    for suite in (SUITE, "examples/digits_cnn"):
        run = subprocess.run([sys.argv[1], "verify", "--json", "--suite", suite, "--backend", " ".join([*command, "{case}", "{out}"])],
                             capture_output=True, text=True)
        report = json.loads(run.stdout)
        check(report["passed"] >= 1 and report["failed"] == report["error"] == 0, f"the right backend passes {suite}: {run.stdout}")
    with tempfile.TemporaryDirectory() as folder:
        for fault in FAULTS:
            check_fault(command, fault, pathlib.Path(folder))


if __name__ == "__main__":
    main()
