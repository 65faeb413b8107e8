#!/bin/sh
# SPDX-License-Identifier: MIT
# Extracts the TorchScript file of the package silero-vad with the Python in TORCH_IR_PYTHON (which has torch); skipped without one.
[ -x "$TORCH_IR_PYTHON" ] || { echo "TORCH_IR_PYTHON is not set to a Python with torch"; exit 77; }
exec "$TORCH_IR_PYTHON" "$(dirname "$0")/silero_test.py" "$@"
