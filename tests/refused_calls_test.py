#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls that PyTorch refuses (the error_inputs of its operator samples) are refused with a message.

Usage: refused_calls_test.py TORCH_IR, from the source root. The calls are op cases (docs/verification.md) without outputs; `message` is PyTorch's.
"""

import json
import subprocess
import sys


def main():
    run = subprocess.run([sys.argv[1], "verify", "--suite", "tests/data/refused", "--json"], capture_output=True)
    if run.returncode != 1:
        print(f"exit status {run.returncode}: {run.stderr.decode()}")
        return 1
    cases = json.loads(run.stdout)["cases"]
    failures = [case["name"] for case in cases if case["status"] != "error" or not case["message"]]
    for name in failures:
        print(f"{name} is not refused")
    return 1 if failures or len(cases) < 400 else 0


if __name__ == "__main__":
    sys.exit(main())
