# SPDX-License-Identifier: MIT
"""The Python code in README.md and docs/python.md runs."""

import os
import re

import pytest
from conftest import REPOSITORY

pytest.importorskip("torch")


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_code_runs(name, tmp_path, run_python):
    blocks = [block for block in python_blocks(REPOSITORY / name) if "torch_ir" in block]
    assert blocks
    # The blocks of a page build on each other.
    run_python(f"import os\nos.chdir({os.fspath(tmp_path)!r})\n" + "\n".join(blocks))
