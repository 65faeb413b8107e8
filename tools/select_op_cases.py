# SPDX-License-Identifier: MIT
"""Picks a small set of op cases (docs/verification.md) from a large one.

    python select_op_cases.py FROM TO [--per-op N] [--max-bytes B]

For every op directory below FROM, takes up to N cases: one for each dtype first, small ones before large ones. Tensors are copied
byte by byte between safetensors files.
"""

import argparse
import json
import struct
from pathlib import Path


def read_tensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {k: (v["dtype"], v["shape"], data[8 + length + v["data_offsets"][0] : 8 + length + v["data_offsets"][1]]) for k, v in header.items()}


def write_tensors(path, tensors):
    header, body = {}, b""
    for key, (dtype, shape, data) in sorted(tensors.items(), key=lambda item: -len(item[1][2])):
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def keys_of(value):
    """Keys of all tensors that a VALUE object names."""
    if "tensor" in value:
        return [value["tensor"]]
    for kind in ("tensors", "optional_tensors"):
        if kind in value:
            return [key if isinstance(key, str) else key["tensor"] for key in value[kind] if key is not None]
    return []


def case_keys(case):
    values = [*case["args"].values(), *case["outputs"], *case.get("mutated", {}).values()]
    return [key for value in values for key in keys_of(value)]


def select(cases, sizes, count, max_bytes):
    sized = [(sum(sizes[key] for key in case_keys(case)), i) for i, case in enumerate(cases)]
    fitting = sorted((size, i) for size, i in sized if size <= max_bytes) or [min(sized)]
    order = {}
    for size, i in fitting:  # the smallest that is not trivial stands for its dtype
        order.setdefault(cases[i]["dtype"], []).append(i)
    chosen = []
    while len(chosen) < count and any(order.values()):
        for indices in order.values():
            if indices and len(chosen) < count:
                chosen.append(indices.pop(len(indices) // 2))
    return [cases[i] for i in sorted(chosen)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--per-op", type=int, default=4)
    parser.add_argument("--max-bytes", type=int, default=2048)
    args = parser.parse_args()
    for directory in sorted(path.parent for path in args.source.rglob("cases.json")):
        cases = json.loads((directory / "cases.json").read_text())
        file = directory / "tensors.safetensors"
        tensors = read_tensors(file) if file.exists() else {}
        chosen = select(cases, {key: len(data) for key, (_, _, data) in tensors.items()}, args.per_op, args.max_bytes)
        target = args.target / directory.name
        target.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(case) for case in chosen)
        (target / "cases.json").write_text(f"[\n{lines}\n]\n")
        write_tensors(target / "tensors.safetensors", {key: tensors[key] for case in chosen for key in case_keys(case)})


if __name__ == "__main__":
    main()
