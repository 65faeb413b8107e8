# SPDX-License-Identifier: MIT
"""A real TorchScript file, end to end: Silero VAD, which carries its state from chunk to chunk in attributes.

usage: silero_test.py TORCH_IR TORCH_IR_EXTRACT
"""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file

tool, extract = sys.argv[1:]
package = importlib.util.find_spec("silero_vad")  # not imported: that wants torchaudio
if not package:
    print("the package silero-vad is not installed (pip install --no-deps silero-vad)")
    sys.exit(77)
script = pathlib.Path(package.submodule_search_locations[0]) / "data/silero_vad.jit"

for rate, size in ((16000, 512), (8000, 256)):
    torch.manual_seed(0)
    chunks = [0.3 * torch.randn(1, size) * torch.hann_window(size) for _ in range(4)]
    module = torch.jit.load(script)
    with torch.no_grad():
        results = [module(chunk, rate) for chunk in chunks]
    with tempfile.TemporaryDirectory() as folder:
        for i, chunk in enumerate(chunks):
            save_file({"x": chunk}, f"{folder}/chunk{i}.safetensors")
        # The first chunk makes the state: the graph is of a later one.
        example = ["--inputs", f"{folder}/chunk0.safetensors", "--shapes", f"sr:{rate}", "--warmup", "1"]
        output = ["-o", f"{folder}/ir.json", "--weights-out", f"{folder}/weights.safetensors"]
        subprocess.run([extract, script, *example, *output], check=True)
        steps = [word for i in (1, 2, 3) for word in ("--inputs", f"{folder}/chunk{i}.safetensors")]
        subprocess.run([tool, "run", folder, "--steps", "3", *steps, "-o", f"{folder}/steps.safetensors"], check=True)
        save_file({f"step_{i}.output_0": results[i + 1] for i in range(3)}, f"{folder}/expected.safetensors")
        subprocess.run([tool, "compare", f"{folder}/steps.safetensors", f"{folder}/expected.safetensors"], check=True)
