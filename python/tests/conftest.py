# SPDX-License-Identifier: MIT
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch_ir

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data() -> Path:
    """The test data of the repository."""
    return REPOSITORY / "tests/data"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers for ops is gone after it."""
    from torch_ir.ops import registry

    monkeypatch.setattr(registry, "_CONVERSION_REGISTRY", registry._CONVERSION_REGISTRY.copy())
    monkeypatch.setattr(registry, "_EXECUTION_REGISTRY", registry._EXECUTION_REGISTRY.copy())


@pytest.fixture
def run_python():
    """Runs code in a new Python that finds the same package; returns what it prints."""

    def run(code: str, *arguments: str) -> str:
        folder = str(Path(torch_ir.__file__).resolve().parents[1])
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "leaked" not in done.stderr
        return done.stdout

    return run
