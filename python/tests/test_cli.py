# SPDX-License-Identifier: MIT
"""`python -m torch_ir` is the C++ tool; torch_ir.cli is the command line of pytorch-ir."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch_ir
from torch_ir import cli


def tool(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(torch_ir.__file__).resolve().parents[1])}
    return subprocess.run(
        [sys.executable, "-m", "torch_ir", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


@pytest.fixture
def case(data):
    return data / "zoo/pytorch_ir/DenseBlock"


def test_the_tool(case):
    version = tool("--version")
    assert version.returncode == 0 and version.stdout.startswith(f"torch-ir {torch_ir.__version__}\n")
    verified = tool("verify", case)
    assert verified.returncode == 0 and "passed: DenseBlock" in verified.stdout
    info = tool("info", case / "ir.json", "--json")
    assert json.loads(info.stdout)["num_inputs"] == 1
    assert tool().returncode == 2
    absent = tool("info", "absent.pt2")
    assert (
        absent.returncode == 3 and "torch-ir: error: cannot open 'absent.pt2'" in absent.stderr and absent.stdout == ""
    )


def test_the_tool_as_a_function(case, tmp_path):
    from torch_ir import __main__

    assert __main__.main(["extract", str(case / "model_meta.pt2"), "-o", str(tmp_path / "ir.json")]) == 0
    assert torch_ir.validate_ir(torch_ir.load_ir(tmp_path / "ir.json"))


def test_info_of_pytorch_ir(case, capsys, tmp_path):
    cli.main(["info", str(case / "ir.json")])
    lines = capsys.readouterr().out.splitlines()
    known = json.loads((case / "info.json").read_text())
    assert lines[:2] == [f"Model: {known['model_name']}", f"Nodes: {known['num_nodes']}"]
    cli.main(["info", "--json", str(case / "ir.json"), "-o", str(tmp_path / "new/info.json")])
    info = json.loads((tmp_path / "new/info.json").read_text())
    assert {key: info[key] for key in known} == known


def test_visualize_of_pytorch_ir(case, capsys, tmp_path):
    cli.main(["visualize", str(case / "ir.json"), "--max-nodes", "2", "--no-weights"])
    assert "more nodes" in capsys.readouterr().out
    cli.main(["visualize", str(case / "ir.json"), "-o", str(tmp_path / "graph.svg")])
    assert "<svg" in (tmp_path / "graph.svg").read_text()
    cli.main(["visualize", str(case / "ir.json"), "--max-nodes", "1000", "-o", str(tmp_path / "graph.mmd")])
    assert (tmp_path / "graph.mmd").read_text().splitlines()[0] == "flowchart TD"


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["info", "absent.json"], 1, "file not found: absent.json"),
        (["info", __file__], 1, "test_cli.py: expected a graph as JSON, or a .pt2 file: Invalid JSON"),
        (["no-such-command"], 2, "invalid choice"),
        ([], 2, ""),
    ],
)
def test_errors_of_the_command_line_of_pytorch_ir(arguments, status, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == status
    assert message in capsys.readouterr().err


def test_version_of_the_command_line_of_pytorch_ir(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"torch-ir {torch_ir.__version__}\n"
