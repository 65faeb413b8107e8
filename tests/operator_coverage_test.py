#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every op with a kernel of its own has calls among the test data, and docs/operators.md is up to date.

Usage: operator_coverage_test.py TORCH_IR, from the source root.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# Expression over the op type without namespace, why there are no calls. In-place and out= forms are not asked for: nearly all are derived from
# their functional twins, and the others share its kernel.
EXCEPTIONS = [
    (r"can_cast\.default|promote_types\.default|result_type\..*", "gives a dtype or takes only dtypes: folded into the graph by torch.export"),
    (r"_copy_from\.default|_dim[IV]\.default|_fw_primal_copy\.default|is_coalesced\.default|convolution(_backward)?_overrideable\.default", "PyTorch has no kernel for dense tensors on the CPU"),
    (r"mkldnn_.*|native_norm\..*", "PyTorch's takes only mkldnn or sparse tensors"),
    (r"_linalg_eigvals\.default", "the order of eigenvalues is free; linalg_eigvals has calls"),
    (r"pin_memory\.default", "needs an accelerator"),
    (r"slice_inverse\.default", "needs the storage that a slice was taken from"),
]


def main():
    tool = sys.argv[1]
    listing = json.loads(subprocess.run([tool, "ops", "--json"], check=True, capture_output=True).stdout)
    derived = set(listing["derived"])
    covered = {path.parent.name for path in Path("tests/data/ops").glob("*/cases.json")}
    schemas = dict(re.findall(r"^([\w.]+)\((.*?)\) ->", Path("schema/aten.txt").read_text(), re.M))
    written = {f"aten.{name}" if "." in name else f"aten.{name}.default" for name, arguments in schemas.items() if "!)" in arguments}
    own = [op for op in listing["supported"] if op.startswith("aten.") and op not in derived and op not in written]
    excepted = {op for op in own if any(re.fullmatch(pattern, op.removeprefix("aten.")) for pattern, _ in EXCEPTIONS)}
    failures = [f"{op} has no calls in tests/data/ops" for op in own if op not in covered and op not in excepted]
    failures += [f"the exception '{pattern}' is not needed" for pattern, _ in EXCEPTIONS
                 if not any(re.fullmatch(pattern, op.removeprefix("aten.")) and op not in covered for op in own)]
    for failure in failures:
        print(failure)
    check = subprocess.run([sys.executable, "tools/make_operator_docs.py", tool, "--check"])
    return 1 if failures or check.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
