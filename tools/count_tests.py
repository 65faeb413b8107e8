# SPDX-License-Identifier: MIT
"""Prints `N passed, N failed` (and `, N skipped`) from Meson's testlog.json."""

import json
import sys

results = [json.loads(line)["result"] for line in open(sys.argv[1])]
skipped = results.count("SKIP")
passed = sum(result in ("OK", "EXPECTEDFAIL") for result in results)
print(f"{passed} passed, {len(results) - passed - skipped} failed" + (f", {skipped} skipped" if skipped else ""))
