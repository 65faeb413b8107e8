# SPDX-License-Identifier: MIT
"""The objects of a graph, their text, and what is done to them by hand."""

import json
import math
import os

import pytest
import torch_ir
from torch_ir import IR, OpNode, SerializationError, TensorMeta


def meta(name, producer=None, shape=(2, 3), dtype="float32"):
    return TensorMeta(name, shape, dtype, producer)


@pytest.fixture
def graph():
    """relu(x) + w"""
    return IR(
        nodes=[
            OpNode("relu", "aten.relu.default", [meta("x", "x")], [meta("relu")]),
            OpNode("add", "aten.add.Tensor", [meta("relu", "relu"), meta("p_w")], [meta("add")], {"alpha": 2}),
        ],
        graph_inputs=[meta("x")],
        graph_outputs=[meta("add")],
        weights=[meta("w")],
        weight_name_mapping={"p_w": "w"},
        model_name="ByHand",
    )


def test_text_and_back(graph):
    text = torch_ir.serialize_ir(graph)
    assert torch_ir.deserialize_ir(text) == graph
    assert json.loads(text)["nodes"][1] == {
        "name": "add",
        "op_type": "aten.add.Tensor",
        "inputs": [
            {"name": "relu", "shape": [2, 3], "dtype": "float32", "producer_node": "relu", "producer_output_idx": 0},
            {"name": "p_w", "shape": [2, 3], "dtype": "float32"},
        ],
        "outputs": [{"name": "add", "shape": [2, 3], "dtype": "float32"}],
        "attrs": {"alpha": 2},
    }
    assert repr(graph) == "IR(model_name='ByHand', nodes=2, inputs=1, outputs=1, weights=1)"


def test_files(graph, tmp_path):
    torch_ir.save_ir(graph, tmp_path / "new" / "ir.json")
    assert torch_ir.load_ir(tmp_path / "new" / "ir.json") == graph
    graph.save(tmp_path / "saved.json")
    assert IR.load(tmp_path / "saved.json") == graph
    assert os.listdir(tmp_path / "new") == ["ir.json"]
    (tmp_path / "link.json").symlink_to(tmp_path / "saved.json")
    torch_ir.save_ir(graph, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()


def test_a_failing_save_leaves_the_file_as_it_was(graph, tmp_path):
    torch_ir.save_ir(graph, tmp_path / "ir.json")
    before = (tmp_path / "ir.json").read_text()
    graph.nodes[0].attrs["x"] = object()
    with pytest.raises(TypeError):
        torch_ir.save_ir(graph, tmp_path / "ir.json")
    assert (tmp_path / "ir.json").read_text() == before
    assert os.listdir(tmp_path) == ["ir.json"]


def test_graphs_are_not_saved_under_the_name_of_another_kind(graph, tmp_path):
    for save in (graph.save, lambda path: torch_ir.save_ir(graph, path)):
        with pytest.raises(ValueError, match="model.pt2: expected the name of a JSON file, such as ir.json"):
            save(tmp_path / "model.pt2")
    assert os.listdir(tmp_path) == []


def test_attributes_that_json_has_no_form_for(graph):
    graph.nodes[1].attrs.update(a=math.inf, b=[-math.inf, 1.5], c=1 - 2j)
    attrs = json.loads(torch_ir.serialize_ir(graph))["nodes"][1]["attrs"]
    assert attrs == {"alpha": 2, "a": {"float": "inf"}, "b": [{"float": "-inf"}, 1.5], "c": {"complex": [1.0, -2.0]}}
    assert torch_ir.deserialize_ir(torch_ir.serialize_ir(graph)) == graph


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "Invalid JSON"),
        ("[]", "Invalid IR format"),
        ("{}", "key 'nodes' is missing"),
        (
            '{"nodes": [{"name": "a"}], "graph_inputs": [], "graph_outputs": [], "weights": []}',
            "key 'op_type' is missing",
        ),
        ('{"format_version": "2.0"}', "this is version 2.0 of the format"),
        ("[" * 100000, "Invalid"),
    ],
)
def test_malformed_text(text, message):
    with pytest.raises(SerializationError, match=message):
        torch_ir.deserialize_ir(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="IR file not found"):
        torch_ir.load_ir(tmp_path / "absent.json")
    (tmp_path / "zip").write_bytes(b"PK\x03\x04rest")
    with pytest.raises(SerializationError, match="zip"):
        torch_ir.load_ir(tmp_path / "zip")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(SerializationError, match="expected JSON or a .pt2 file"):
        torch_ir.load_ir(tmp_path / "bytes")
    (tmp_path / "program.py").write_text("import torch")
    with pytest.raises(SerializationError, match=r"program.py: expected a graph as JSON, or a .pt2 file: Invalid JSON"):
        torch_ir.load_ir(tmp_path / "program.py")
    with pytest.raises(SerializationError, match="expected model.pt2 or ir.json"):
        torch_ir.load_ir(tmp_path)


def test_validation(graph):
    assert torch_ir.validate_ir(graph) is True
    graph.nodes[1].inputs[0].name = "rely"
    graph.nodes[1].inputs[1].shape = (4, 5)
    with pytest.raises(SerializationError, match="IR validation failed with") as error:
        torch_ir.validate_ir(graph)
    assert "'rely'" in str(error.value)
    graph.nodes[1].inputs[0].name = "relu"
    graph.nodes[1].inputs[1].shape = (2, 3)
    graph.nodes.append(graph.nodes[0])
    with pytest.raises(SerializationError, match="relu"):
        torch_ir.validate_ir(graph)


def test_pt2_files_and_folders(data):
    ir = torch_ir.load_ir(data / "pt2/features.pt2")
    assert ir == torch_ir.deserialize_ir(torch_ir.serialize_ir(ir))
    assert torch_ir.validate_ir(ir)
    assert torch_ir.load_ir(data / "zoo/pytorch_ir/DenseBlock").model_name == "DenseBlock"


def test_inputs_changed_by_hand_go_by_the_schema(graph):
    node = graph.nodes[1]
    node.input_args = ["self", "other"]
    assert graph.to_dict()["nodes"][1]["input_args"] == ["self", "other"]
    node.inputs.pop()
    node.attrs["other"] = 3
    assert "input_args" not in graph.to_dict()["nodes"][1]
    import numpy as np

    (output,) = torch_ir.execute_ir(graph, (np.array([[-1, 0, 2], [1, 1, 1]], np.float32),), weights={})
    assert output.tolist() == [[6, 6, 8], [7, 7, 7]]  # relu(x) + 2 * 3


def test_drawings(graph):
    drawing = torch_ir.ir_to_mermaid(graph)
    assert drawing.startswith("flowchart TD\n") and "op_relu" in drawing and "w_p_w" in drawing
    assert "w_p_w" not in torch_ir.ir_to_mermaid(graph, include_weights=False)
    assert "1 more node" in torch_ir.ir_to_mermaid(graph, max_nodes=1)
    pie = torch_ir.generate_op_distribution_pie(graph)
    assert pie.splitlines() == [
        "pie showData",
        '    title "Operator Distribution"',
        '    "relu" : 1',
        '    "add.Tensor" : 1',
    ]
