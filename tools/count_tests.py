# SPDX-License-Identifier: MIT
"""Prints `N passed, N failed` (and `, N skipped`) over the given testlog.json files of Meson."""

import json
import sys

results = [json.loads(line)["result"] for path in sys.argv[1:] for line in open(path)]
skipped = results.count("SKIP")
passed = sum(result in ("OK", "EXPECTEDFAIL") for result in results)
print(f"{passed} passed, {len(results) - passed - skipped} failed" + (f", {skipped} skipped" if skipped else ""))
