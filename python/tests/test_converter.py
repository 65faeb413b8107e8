# SPDX-License-Identifier: MIT
"""Extraction: the same graph as the C++ reader finds in the saved program."""

import json
import time
import warnings

import pytest
import torch_ir
from torch_ir import _core, register_op

torch = pytest.importorskip("torch")
from conftest import REPOSITORY  # noqa: E402
from torch import nn  # noqa: E402
from torch_ir.analyzer import GraphAnalyzer, NodeInfo  # noqa: E402


def normal(value):
    """Dicts inside attributes in one order: saving a program sorts them."""
    if isinstance(value, dict):
        if set(value) == {"dict"}:
            return {"dict": sorted((normal(pair) for pair in value["dict"]), key=lambda pair: pair[0])}
        return {key: normal(element) for key, element in value.items() if key != "constants"}
    return [normal(element) for element in value] if isinstance(value, list) else value


PROGRAMS = sorted((REPOSITORY / "tests/data").glob("language/*/model.pt2")) + sorted(
    (REPOSITORY / "tests/data").glob("pt2/*.pt2")
)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_same_as_the_reader_of_pt2(path, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.load(path)
        except Exception as error:
            pytest.skip(f"this version of torch cannot load it: {type(error).__name__}")
        torch.export.save(exported, tmp_path / "model.pt2")
        read = json.loads(_core.Model.read(tmp_path / "model.pt2").to_json())
        ir = torch_ir.convert_exported_program(exported, read["model_name"])
    converted = json.loads(torch_ir.serialize_ir(ir))
    read_nodes, nodes = ({node["name"]: node for node in data.pop("nodes")} for data in (read, converted))
    assert normal(converted) == normal(read)
    assert normal(nodes) == normal(read_nodes)


def test_generators_draw_from_the_state_they_were_exported_in():
    path = REPOSITORY / "tests/data/language/generators"
    ir = torch_ir.convert_exported_program(torch.export.load(path / "model.pt2"))
    inputs = torch_ir.load_weights(path / "inputs.safetensors")
    expected = torch_ir.load_weights(path / "expected.safetensors")
    for _ in range(2):
        for output, key in zip(torch_ir.IRExecutor(ir).execute((inputs["input_0"],)), sorted(expected)):
            torch.testing.assert_close(output, expected[key])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return torch.split(torch.relu(self.norm(self.conv(x))), 4, dim=1)[1]


def meta_block():
    with torch.device("meta"):
        return Block().eval(), (torch.randn(2, 3, 8, 8),)


def test_a_graph_in_detail():
    model, inputs = meta_block()
    ir = torch_ir.extract_ir(model, inputs)
    assert ir.model_name == "Block" and ir.pytorch_version == torch.__version__
    assert [node.op_type for node in ir.nodes] == [
        "aten.conv2d.default",
        "aten.batch_norm.default",
        "aten.relu.default",
        "aten.split.Tensor",
    ]
    conv, norm, _, split = ir.nodes
    assert [meta.name for meta in conv.inputs] == ["x", "p_conv_weight", "p_conv_bias"]
    assert conv.inputs[0].producer_node == "x" and conv.inputs[1].producer_node is None
    assert conv.attrs == {"stride": [1, 1], "padding": [1, 1]}
    assert conv.source["module_path"] == "conv" and conv.source["module_type"] == "torch.nn.modules.conv.Conv2d"
    assert norm.input_args == ["input", "weight", "bias", "running_mean", "running_var"]
    assert split.attrs == {"split_size": 4, "dim": 1} and split.returns == [[0, 1]]
    assert [meta.shape for meta in split.outputs] == [(2, 4, 8, 8)] * 2
    assert split.outputs[0].strides == (512, 64, 8, 1)
    assert ir.weight_name_mapping["b_norm_running_var"] == "norm.running_var"
    assert ir.graph_outputs[0].name == split.outputs[1].name


def test_meta_and_real_weights_give_the_same_text():
    model, inputs = meta_block()
    real = torch_ir.extract_ir(Block().eval(), (torch.randn(2, 3, 8, 8),), strict=False)
    assert torch_ir.serialize_ir(torch_ir.extract_ir(model, inputs)) == torch_ir.serialize_ir(real)


def test_arguments_that_are_objects_of_torch():
    class Casts(nn.Module):
        def forward(self, x):
            y = torch.zeros(2, dtype=torch.float16, device=x.device)
            return x.to(torch.float64) + y + x.contiguous(memory_format=torch.channels_last).sum()

    ir = torch_ir.extract_ir(Casts(), (torch.randn(1, 2, 3, 2),), strict=False)
    found = {key: value for node in ir.nodes for key, value in node.attrs.items()}
    assert found["memory_format"] is torch.channels_last
    assert torch.float16 in [node.attrs.get("dtype") for node in ir.nodes]
    assert torch.device("cpu") in [node.attrs.get("device") for node in ir.nodes]
    assert torch_ir.deserialize_ir(torch_ir.serialize_ir(ir)) == ir
    texts = json.dumps(json.loads(torch_ir.serialize_ir(ir))["nodes"])
    assert '{"dtype": "float16"}' in texts and '{"device": "cpu"}' in texts


def test_what_must_be_on_the_meta_device():
    model, inputs = meta_block()
    with pytest.raises(torch_ir.ExportError, match="must be on meta device"):
        torch_ir.extract_ir(Block(), inputs)
    with pytest.raises(torch_ir.ExportError, match="Input 0 must be on meta device"):
        torch_ir.extract_ir(model, (torch.randn(2, 3, 8, 8),))

    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("not today")

    with pytest.raises(torch_ir.ExportError, match="not today"):
        torch_ir.extract_ir(Broken(), inputs, strict=False)


def test_registered_conversions():
    model, inputs = meta_block()
    seen = []

    @register_op("aten.relu")
    def convert(info: NodeInfo):
        seen.append(info)
        return torch_ir.OpNode(
            info.name, "aten.gelu.default", info.input_metas, info.output_metas, {"approximate": "none"}
        )

    ir = torch_ir.extract_ir(model, inputs)
    assert ir.nodes[2].op_type == "aten.gelu.default" and torch_ir.validate_ir(ir)
    assert seen[0].target is torch.ops.aten.relu.default and seen[0].output_metas[0].shape == (2, 8, 8, 8)

    @register_op("aten.relu.default")
    def fails(info):
        raise RuntimeError("cannot")

    exported = torch_ir.export_model(model, inputs)
    message = "Failed to convert node 'relu' with op 'aten.relu.default': cannot; it is converted as if"
    with pytest.warns(UserWarning, match=message):
        assert torch_ir.convert_exported_program(exported).nodes[2].op_type == "aten.relu.default"
    with pytest.raises(
        torch_ir.ConversionError, match="Failed to convert node 'relu' with op 'aten.relu.default': cannot"
    ):
        torch_ir.convert_exported_program(exported, strict=True)

    register_op("aten.relu.default")(lambda info: None)
    with pytest.raises(torch_ir.ConversionError, match="expected an OpNode from the registered function, found None"):
        torch_ir.convert_exported_program(exported, strict=True)


def test_analyzer():
    model, inputs = meta_block()
    exported = torch_ir.export_model(model, inputs)
    analyzer = GraphAnalyzer(exported)
    assert [meta.name for meta in analyzer.get_graph_inputs()] == ["x"]
    assert [meta.shape for meta in analyzer.get_graph_outputs()] == [(2, 4, 8, 8)]
    assert {meta.name for meta in analyzer.get_weights()} == set(model.state_dict())
    assert analyzer.get_weight_name_mapping()["p_conv_bias"] == "conv.bias"
    infos = analyzer.get_call_function_nodes()
    assert [info.target for info in infos][:2] == [torch.ops.aten.conv2d.default, torch.ops.aten.batch_norm.default]
    conv = next(node for node in exported.graph.nodes if node.name == "conv2d")
    assert [meta.name for meta in analyzer.get_node_input_meta(conv)] == ["x", "p_conv_weight", "p_conv_bias"]
    assert analyzer.get_node_output_meta("conv2d")[0].shape == (2, 8, 8, 8)
    assert analyzer.get_node_output_meta("x")[0].shape == (2, 3, 8, 8)
    assert analyzer.get_node_output_meta("absent") == []


def test_constants_and_buffers_outside_the_state_dict():
    class Constants(nn.Module):
        def __init__(self):
            super().__init__()
            self.lifted = torch.tensor([1.0, 2.0])
            self.register_buffer("hidden", torch.tensor([3.0, 4.0]), persistent=False)

        def forward(self, x):
            return x * self.lifted + self.hidden

    x = torch.randn(3, 2)
    ir = torch_ir.extract_ir(Constants(), (x,), strict=False)
    ir = torch_ir.deserialize_ir(torch_ir.serialize_ir(ir))
    assert ir.constants["lifted"].tolist() == [1, 2] and ir.constants["hidden"].tolist() == [3, 4]
    torch.testing.assert_close(torch_ir.execute_ir(ir, (x,), {})[0], Constants()(x))
    by_itself = _core.Interpreter(_core.Model.parse(torch_ir.serialize_ir(ir)))
    by_itself.load_weights({})  # the text has all values
    ((output,), _) = by_itself.run([torch_ir.tensors.to_core(x)], {})
    torch.testing.assert_close(torch_ir.tensors.to_torch(output), Constants()(x))
    other = {"lifted": torch.tensor([5.0, 6.0])}
    expected = x * other["lifted"] + torch.tensor([3.0, 4.0])
    torch.testing.assert_close(torch_ir.execute_ir(ir, (x,), {}, constants=other)[0], expected)


def test_functional_programs_with_mutated_buffers():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("sum", torch.zeros(2))
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x):
            self.sum.add_(x.sum(0))
            self.count.add_(len(x))
            return self.sum / self.count

    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    exported = torch_ir.export_model(Mean(), (x,), strict=False).run_decompositions({})
    ir = torch_ir.convert_exported_program(exported)
    kinds = [output["kind"] for output in ir.signature["outputs"]]
    assert kinds == ["buffer_mutation", "buffer_mutation", "user_output"] and len(ir.graph_outputs) == 1
    state = {}
    executor = torch_ir.IRExecutor(ir, Mean().state_dict())
    assert executor.execute((x,), state=state)[0].tolist() == [2, 4]
    assert executor.execute((x + 2,), state=state)[0].tolist() == [3, 5]
    assert state["sum"].tolist() == [12, 20] and state["count"].item() == 4

    # Lists that are changed by hand override the signature; mutations stay.
    total = ir.nodes[0].outputs[0]
    ir.graph_outputs.append(torch_ir.TensorMeta(total.name, total.shape, total.dtype))
    outputs = ir.to_dict()["signature"]["outputs"]
    assert [output["kind"] for output in outputs] == [
        "buffer_mutation",
        "buffer_mutation",
        "user_output",
        "user_output",
    ]
    assert [output.tolist() for output in torch_ir.execute_ir(ir, (x,), Mean().state_dict())] == [[2, 4], [4, 8]]


def test_conversion_takes_little_time_beside_the_export():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True) for _ in range(8))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    with torch.device("meta"):
        model, inputs = Deep().eval(), (torch.randn(1, 16, 64),)
    torch_ir.extract_ir(model, inputs)
    start = time.process_time()
    exported = torch_ir.export_model(model, inputs)
    exported_after = time.process_time() - start
    times = []
    for _ in range(3):
        start = time.process_time()
        torch_ir.convert_exported_program(exported)
        times.append(time.process_time() - start)
    assert min(times) < 0.1 * exported_after


class Sum(torch.Tensor):
    """Two tensors that stand for their sum."""

    @staticmethod
    def __new__(cls, a, b):
        return torch.Tensor._make_wrapper_subclass(cls, a.shape, dtype=a.dtype)

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __tensor_flatten__(self):
        return ["a", "b"], None

    @classmethod
    def __tensor_unflatten__(cls, tensors, context, size, stride):
        return cls(tensors["a"], tensors["b"])

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is nn.functional.linear:
            x, weight, bias = args
            return function(x, weight.a + weight.b, bias)
        return super().__torch_function__(function, types, args, kwargs)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return cls(function(args[0].a), function(args[0].b))


def test_a_weight_that_is_a_subclass_of_tensor_comes_apart():
    model = nn.Linear(3, 4)
    weight = model.weight.detach()
    model.weight = nn.Parameter(Sum(weight * 0.25, weight * 0.75), requires_grad=False)
    x = torch.randn(2, 3)
    ir = torch_ir.extract_ir(model, (x,), strict=False)
    assert [meta.name for meta in ir.weights] == ["bias", "weight.a", "weight.b"]
    assert [node.op_type for node in ir.nodes] == ["aten.add.Tensor", "aten.linear.default"]
    assert torch_ir.validate_ir(ir)
    assert torch_ir.verify_ir_with_state_dict(ir, model.state_dict(), model, (x,))[0]
