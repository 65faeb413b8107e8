#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds JSON IR files against schema/torch_ir.schema.json with the independent validator `jsonschema`.

Usage: json_schema_test.py TORCH_IR, from the source root. Checks pytorch-ir's own files and what TORCH_IR extracts
from them and from the .pt2 files among the test data. Without the package jsonschema it is skipped (exit status 77).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import jsonschema
except ImportError:
    print("skipped: the Python package 'jsonschema' is not installed")
    sys.exit(77)


def extract(tool, model, folder):
    path = Path(folder) / "ir.json"
    subprocess.run([tool, "extract", str(model), "-o", str(path)], check=True, stderr=subprocess.DEVNULL)
    return json.loads(path.read_text())


def main():
    tool = sys.argv[1]
    schema = json.loads(Path("schema/torch_ir.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    caps_schema = json.loads(Path("schema/backend_caps.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(caps_schema)
    caps = json.loads(Path("examples/backends/caps_example.json").read_text())
    jsonschema.Draft202012Validator(caps_schema).validate(caps)
    zoo = sorted(Path("tests/data/zoo/pytorch_ir").glob("*/ir.json"))
    pt2 = sorted(Path("tests/data/pt2").glob("*.pt2")) + sorted(Path("tests/data/versions").glob("*/*/model.pt2"))
    assert len(zoo) == 9 and pt2, "test data is missing"

    documents = [(str(path), json.loads(path.read_text())) for path in zoo]
    with tempfile.TemporaryDirectory() as folder:
        documents += [(f"extract {path}", extract(tool, path, folder)) for path in zoo + pt2]
    failures = 0
    for name, document in documents:
        for error in validator.iter_errors(document):
            print(f"{name}: {error.json_path}: {error.message[:200]}")
            failures += 1

    # A schema that accepts everything would pass so far.
    broken = json.loads(zoo[0].read_text())
    broken["nodes"][0]["inputs"][0]["dtype"] = "float31"
    assert not validator.is_valid(broken), "an unknown dtype must be refused"
    del broken["nodes"]
    assert not validator.is_valid(broken), "a missing list of nodes must be refused"

    print(f"{len(documents)} documents, {failures} violations")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
