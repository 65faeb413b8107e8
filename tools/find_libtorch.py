# SPDX-License-Identifier: MIT
"""Prints the directory of LibTorch (it holds include/ and lib/), or nothing: a CMake package of the name Torch, else the `torch` of this Python."""

import importlib.util
import os
import pathlib

prefixes = [os.environ.get("Torch_ROOT", "")]
prefixes += os.environ.get("CMAKE_PREFIX_PATH", "").replace(";", ":").split(":")
if os.environ.get("Torch_DIR"):
    prefixes.append(str(pathlib.Path(os.environ["Torch_DIR"]).parents[2]))
prefixes += ["/usr/local", "/usr/local/libtorch", "/opt/libtorch", "/usr"]
for prefix in map(pathlib.Path, filter(None, prefixes)):
    if (prefix / "share/cmake/Torch/TorchConfig.cmake").exists():
        print(prefix)
        break
else:
    spec = importlib.util.find_spec("torch")  # not imported: that takes seconds
    if spec and spec.origin:
        print(os.path.dirname(spec.origin))
