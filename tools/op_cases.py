# SPDX-License-Identifier: MIT
"""What the scripts that write op cases (docs/verification.md) share."""

import json
from pathlib import Path

from safetensors.torch import save_file


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def stored(tensor, key, tensors):
    """The VALUE object of a tensor, whose elements go to tensors[key]."""
    tensors[key] = tensor.detach().resolve_conj().resolve_neg().contiguous().clone()
    return {"tensor": key, "shape": list(tensor.shape), "dtype": name_of(tensor.dtype)}


def write_cases(directory, op, cases, tensors):
    """Writes directory/aten.op.overload/."""
    target = Path(directory) / str(op)
    target.mkdir(parents=True, exist_ok=True)
    (target / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    save_file(tensors, target / "tensors.safetensors")
