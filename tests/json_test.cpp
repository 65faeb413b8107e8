// SPDX-License-Identifier: MIT
#include "torch_ir/json.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include "support/files.hpp"
#include "support/text.hpp"
#include "torch_ir/pt2.hpp"

using namespace torch_ir;
using torch_ir::test::read_text;
using torch_ir::test::replaced;

namespace {

/// What parsing `text` throws.
template <class E = ParseError>
std::string json_error(const std::string& text) {
    try {
        parse_json(text, "ir.json");
    } catch (const E& error) {
        return error.what();
    }
    return "no error";
}

/// y = relu(x + w), with no keys but pytorch-ir's.
const std::string small = R"({
  "model_name": "small", "pytorch_version": "2.13.0",
  "graph_inputs": [{"name": "x", "shape": [2, 3], "dtype": "float32"}],
  "graph_outputs": [{"name": "relu", "shape": [2, 3], "dtype": "float32"}],
  "weights": [{"name": "w", "shape": [3], "dtype": "float32"}],
  "weight_name_mapping": {"p_w": "w"},
  "nodes": [
    {"name": "add", "op_type": "aten.add.Tensor",
     "inputs": [{"name": "x", "shape": [2, 3], "dtype": "float32", "producer_node": "x", "producer_output_idx": 0},
                {"name": "p_w", "shape": [3], "dtype": "float32"}],
     "outputs": [{"name": "add", "shape": [2, 3], "dtype": "float32"}], "attrs": {"alpha": 2}},
    {"name": "relu", "op_type": "aten.relu.default",
     "inputs": [{"name": "add", "shape": [2, 3], "dtype": "float32", "producer_node": "add", "producer_output_idx": 0}],
     "outputs": [{"name": "relu", "shape": [2, 3], "dtype": "float32"}], "attrs": {}}
  ]
})";

/// One node of `op_type` over the inputs a, b, c and the weights; its outputs are given.
std::string one_node(const std::string& op_type, const std::string& inputs, const std::string& outputs,
                     const std::string& attrs, const std::string& more = "") {
    const auto tensor = [](const std::string& name) {
        return R"({"name": ")" + name + R"(", "shape": [2], "dtype": "float32"})";
    };
    const auto tensors = [&](const std::string& names) {
        std::string text;
        std::istringstream stream(names);
        for (std::string name; stream >> name;) text += (text.empty() ? "" : ", ") + tensor(name);
        return text;
    };
    return R"({"graph_inputs": [)" + tensors("a b c") + R"(], "graph_outputs": [],
      "weights": [)" +
           tensor("bn.running_mean") + ", " + tensor("bn.running_var") + R"(],
      "weight_name_mapping": {"b_bn_running_mean": "bn.running_mean", "b_bn_running_var": "bn.running_var"},
      "nodes": [{"name": "n", "op_type": ")" +
           op_type + R"(", "inputs": [)" + tensors(inputs) + R"(], "outputs": [)" + tensors(outputs) +
           R"(], "attrs": {)" + attrs + "}" + more + "}]}";
}

/// The arguments of the only node as `name=a`, `name=[a,None]`.
std::string arguments_of(const Model& model) {
    std::string text;
    const std::function<std::string(const Argument&)> print = [&](const Argument& argument) -> std::string {
        if (const auto* ref = argument.get_if<ValueRef>()) return model.graph.value(*ref).name;
        if (const auto* value = argument.get_if<std::int64_t>()) return std::to_string(*value);
        const auto* list = argument.get_if<ArgumentList>();
        if (!list) return std::string(argument.kind());
        std::string elements;
        for (const Argument& element : *list) elements += (elements.empty() ? "" : ",") + print(element);
        return "[" + elements + "]";
    };
    for (const NamedArgument& argument : model.graph.nodes.at(0).args)
        text += (text.empty() ? "" : " ") + argument.name + "=" + print(argument.value);
    return text;
}

/// Writing, reading and writing again gives the same bytes and the same model.
void check_round_trip(const Model& model) {
    const std::string text = to_json(model);
    const Model again = parse_json(text);
    CHECK(to_json(again) == text);
    CHECK(again.inputs == model.inputs);
    CHECK(again.outputs == model.outputs);
    CHECK(again.constants == model.constants);
    CHECK(again.symbols == model.symbols);
    CHECK(again.graph.nodes.size() == model.graph.nodes.size());
}

}  // namespace

TEST_CASE("pytorch-ir's files are read and written again without loss") {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/data/zoo/pytorch_ir")) {
        const Model model = read_json(entry.path() / "ir.json");
        CHECK(model.name == entry.path().filename());
        check_round_trip(model);
        CHECK(parse_json(to_json(model)) == model);
        ++files;
    }
    CHECK(files == 9);
}

TEST_CASE("a small file gives the graph it describes") {
    const Model model = parse_json(small);
    CHECK(model.name == "small");
    CHECK(model.pytorch_version == "2.13.0");
    REQUIRE(model.graph.inputs.size() == 2);
    CHECK(model.graph.value(model.graph.inputs[0].get<ValueRef>()).name == "p_w");
    CHECK(model.inputs[0] == InputSpec{InputKind::Parameter, "w", true});
    CHECK(model.inputs[1] == InputSpec{});
    REQUIRE(model.graph.nodes.size() == 2);
    const Node& add = model.graph.nodes[0];
    CHECK(add.op_type == "aten.add.Tensor");
    CHECK(arguments_of(model) == "self=x other=p_w alpha=2");
    const Value& relu = model.graph.value(model.graph.outputs[0].get<ValueRef>());
    CHECK(relu.name == "relu");
    CHECK(relu.producer == 1);
    CHECK(relu.meta.shape == Shape{2, 3});
    CHECK(relu.meta.dtype == DType::Float32);
    CHECK(parse_json(to_json(model)) == model);
}

TEST_CASE("tensor lists are regrouped with their None elements") {
    const auto read = [](const std::string& text) {
        const Model model = parse_json(text);
        check_round_trip(model);
        CHECK(arguments_of(parse_json(to_json(model))) == arguments_of(model));
        return arguments_of(model);
    };
    CHECK(read(one_node("aten.cat.default", "a b c", "n", R"("_tensor_list_sizes": [3], "dim": 1)")) ==
          "tensors=[a,b,c] dim=1");
    CHECK(read(one_node("aten.cat.default", "a b", "n", "")) == "tensors=[a,b]");
    CHECK(read(one_node("aten.index.Tensor", "a b", "n",
                        R"("_tensor_list_sizes": [1], "_tensor_list_none_masks": [[true, false, true]])")) ==
          "self=a indices=[None,b,None]");
    CHECK(read(one_node("aten.index_put.default", "a b c", "n",
                        R"("_tensor_list_sizes": [1], "_tensor_list_none_masks": [[false]])")) ==
          "self=a indices=[b] values=c");
    CHECK(read(one_node("aten.index.Tensor", "a", "n", R"("_tensor_list_sizes": [0], "indices": [null])")) ==
          "self=a indices=[None]");
}

TEST_CASE("optional tensors that pytorch-ir leaves out are found") {
    const auto read = [](const std::string& text) { return arguments_of(parse_json(text)); };
    CHECK(read(one_node("aten.batch_norm.default", "a b_bn_running_mean b_bn_running_var", "n", "")) ==
          "input=a running_mean=b_bn_running_mean running_var=b_bn_running_var");
    CHECK(read(one_node("aten.conv2d.default", "a b", "n", R"("stride": [2, 2])")) == "input=a weight=b stride=[2,2]");
    CHECK(read(one_node("aten.div.Tensor", "a", "n", R"("other": 3)")) == "self=a other=3");
    CHECK(read(one_node("aten.where.ScalarSelf", "a b", "n", R"("self": 3)")) == "condition=a self=3 other=b");
    CHECK(read(one_node("aten.relu.default", "a b", "n", "")) == "=b self=a");  // left to validate
}

TEST_CASE("an op without a schema keeps its operands in order") {
    const Model model = parse_json(one_node("<built-in function getitem>", "a b", "n", R"("index": 1)"));
    CHECK(arguments_of(model) == "=a =b index=1");
    CHECK(arguments_of(parse_json(to_json(model))) == "=a =b index=1");
    check_round_trip(model);
}

TEST_CASE("outputs are grouped by the schema or by `returns`") {
    const Model split = parse_json(one_node("aten.split.Tensor", "a", "s0 s1", R"("split_size": 1)"));
    REQUIRE(split.graph.nodes[0].outputs.size() == 1);
    CHECK(split.graph.nodes[0].outputs[0].get<ArgumentList>().size() == 2);
    CHECK(to_json(split).find("\"returns\": [\n        [\n          0,\n          1\n        ]\n      ]") !=
          std::string::npos);
    const Model norm = parse_json(
        one_node("aten.native_layer_norm_backward.default", "a b c", "g w", "", R"(, "returns": [0, null, 1])"));
    REQUIRE(norm.graph.nodes[0].outputs.size() == 3);
    CHECK(norm.graph.nodes[0].outputs[1].is_none());
    check_round_trip(norm);
    CHECK(json_error(one_node("aten.topk.default", "a", "v i", R"("k": 1)", R"(, "returns": [1, 0])")) ==
          "ir.json: nodes[0] 'n': returns[0]: does not mention every output once, in order");
    CHECK(json_error(one_node("aten.topk.default", "a", "v i", R"("k": 1)", R"(, "returns": [0])")) ==
          "ir.json: nodes[0] 'n': returns: does not mention every output once, in order");
}

TEST_CASE("attributes of every kind survive") {
    const Model model = parse_json(one_node("my.op.default", "a", "n", R"(
        "b": true, "i": -7, "f": 1e-05, "whole": 2.0, "s": "tex\"t\u00e9\n", "none": null, "list": [1, [2.5, "x"]],
        "dtype": {"dtype": "bfloat16"}, "layout": {"layout": "strided"}, "device": {"device": "cuda:1"},
        "format": {"memory_format": "channels_last"}, "inf": {"float": "-inf"}, "z": {"complex": [1.5, {"float": "nan"}]},
        "op": {"operator": "my.other.default"}, "map": {"dict": [["k", 1], ["a", {"tensor": "b"}]]},
        "big": 9223372036854775807)"));
    const Node& node = model.graph.nodes[0];
    CHECK(*node.find("b") == Argument(true));
    CHECK(*node.find("i") == Argument(-7));
    CHECK(*node.find("f") == Argument(1e-05));
    CHECK(*node.find("whole") == Argument(2.0));
    CHECK(*node.find("s") == Argument("tex\"t\xc3\xa9\n"));
    CHECK(node.find("none")->is_none());
    CHECK(*node.find("list") == Argument(ArgumentList{1, ArgumentList{2.5, "x"}}));
    CHECK(*node.find("dtype") == Argument(DType::BFloat16));
    CHECK(*node.find("layout") == Argument(Layout::Strided));
    CHECK(*node.find("device") == Argument(Device{"cuda", 1}));
    CHECK(*node.find("format") == Argument(MemoryFormat::ChannelsLast));
    CHECK(*node.find("inf") == Argument(-std::numeric_limits<double>::infinity()));
    CHECK(std::isnan(node.find("z")->get<std::complex<double>>().imag()));
    CHECK(*node.find("op") == Argument(OperatorName{"my.other.default"}));
    CHECK(node.find("map")->get<ArgumentMap>()[1].second.get<ValueRef>() == *model.graph.find_value("b"));
    CHECK(*node.find("big") == Argument(std::int64_t{9223372036854775807}));
    check_round_trip(model);
}

TEST_CASE("values that pytorch-ir could only write as text are understood by the schema") {
    const Model model = parse_json(one_node("aten.to.dtype_layout", "a", "n", R"(
        "dtype": "torch.float16", "layout": "torch.strided", "device": "cpu", "memory_format": "torch.contiguous_format")"));
    const Node& node = model.graph.nodes[0];
    CHECK(*node.find("dtype") == Argument(DType::Float16));
    CHECK(*node.find("layout") == Argument(Layout::Strided));
    CHECK(*node.find("device") == Argument(Device{"cpu", std::nullopt}));
    CHECK(*node.find("memory_format") == Argument(MemoryFormat::Contiguous));
    const Model fill = parse_json(one_node("aten.masked_fill.Scalar", "a b", "n", R"("value": -Infinity)"));
    CHECK(*fill.graph.nodes[0].find("value") == Argument(-std::numeric_limits<double>::infinity()));
}

TEST_CASE("a meta device is written as cpu, so that meta exports and real ones give the same file") {
    const auto text = [](const char* device) {
        return to_json(parse_json(one_node("aten.arange.default", "", "n",
                                           R"("end": 4, "device": {"device": ")" + std::string(device) + "\"}")));
    };
    CHECK(text("meta") == text("cpu"));
}

TEST_CASE("symbolic sizes, their ranges and sizes at export time survive") {
    std::string text = replaced(small, R"("model_name")",
                                R"("symbols": [{"name": "s0", "min": 2, "max": 64, "hint": 5}], "guards": ["g"],
                                   "in_spec": "i", "out_spec": "o", "model_name")");
    for (int i = 0; i < 6; ++i) text = replaced(text, "[2, 3]", R"(["s0", 3])");
    text = replaced(text, R"("nodes": [)", R"("nodes": [
        {"name": "size", "op_type": "aten.sym_size.int", "inputs": [{"name": "x", "shape": ["s0", 3], "dtype": "float32"}],
         "outputs": [{"name": "size", "shape": [], "dtype": "int64", "type": "sym_int", "expr": "s0"}], "attrs": {"dim": 0}},
        {"name": "view", "op_type": "aten.view.default", "inputs": [{"name": "x", "shape": ["s0", 3], "dtype": "float32"}],
         "outputs": [{"name": "view", "shape": ["3*s0", 1], "dtype": "float32", "strides": [1, 1]}],
         "attrs": {"size": [{"sym": "size"}, -1]}},)");
    const Model model = parse_json(text);
    CHECK(model.symbols == std::vector<SymbolRange>{{"s0", 2, 64}});
    CHECK(model.guards == std::vector<std::string>{"g"});
    CHECK(model.in_spec == "i");
    CHECK(model.out_spec == "o");
    const Value& view = model.graph.value(*model.graph.find_value("view"));
    CHECK(to_string(view.meta.shape[0]) == "3*s0");
    CHECK(view.meta.shape[0].hint() == 15);
    CHECK(view.meta.strides == Shape{1, 1});
    const Value& size = model.graph.value(*model.graph.find_value("size"));
    CHECK(size.kind == ValueKind::SymInt);
    CHECK(to_string(*size.expr) == "s0");
    const Argument& sizes = *model.graph.nodes[1].find("size");
    CHECK(sizes.get<ArgumentList>()[0].get<ValueRef>() == *model.graph.find_value("size"));
    check_round_trip(model);
    CHECK(parse_json(to_json(model)) == model);
}

TEST_CASE("constants keep their values, bit by bit") {
    const Model model = parse_json(replaced(small, R"("nodes")", R"("constants": {
        "f": {"data": [[0.10000000149011612, NaN], [-Infinity, -0.0]], "dtype": "float32"},
        "h": {"data": [0.5, 65504.0, 6e-08, {"float": "inf"}], "dtype": "float16", "shape": [4]},
        "i": {"data": 7, "dtype": "int64"}, "b": {"data": [true, false], "dtype": "bool"},
        "z": {"data": [{"complex": [1.0, -2.0]}], "dtype": "complex64"}, "e": {"data": [], "dtype": "int8", "shape": [0, 3]},
        "q": {"bytes": [1, 255], "dtype": "float8_e5m2", "shape": [2]}}, "nodes")"));
    const auto floats = [&](const char* name) {
        std::vector<float> values(model.constants.at(name).data.size() / sizeof(float));
        std::memcpy(values.data(), model.constants.at(name).data.data(), values.size() * sizeof(float));
        return values;
    };
    CHECK(model.constants.at("f").meta.shape == Shape{2, 2});
    CHECK(floats("f")[0] == 0.1f);
    CHECK(std::isnan(floats("f")[1]));
    CHECK(floats("f")[2] == -std::numeric_limits<float>::infinity());
    CHECK(std::signbit(floats("f")[3]));
    CHECK(floats("z") == std::vector<float>{1, -2});
    std::uint16_t halves[4];
    std::memcpy(halves, model.constants.at("h").data.data(), sizeof(halves));
    CHECK(halves[0] == 0x3800);
    CHECK(halves[1] == 0x7bff);
    CHECK(halves[2] == 1);
    CHECK(halves[3] == 0x7c00);
    CHECK(model.constants.at("i").meta.shape.empty());
    CHECK(model.constants.at("i").data.size() == 8);
    CHECK(model.constants.at("e").meta.shape == Shape{0, 3});
    CHECK(model.constants.at("q").data[1] == std::byte{255});
    const std::string text = to_json(model);
    CHECK(to_json(parse_json(text)) == text);

    const auto error = [&](const std::string& constant) {
        return json_error(replaced(small, R"("nodes")", R"("constants": {"c": )" + constant + R"(}, "nodes")"));
    };
    CHECK(error(R"({"data": [[1], [2, 3]], "dtype": "int64"})") ==
          "ir.json: constants.c: data: does not have the shape [2, 1]");
    CHECK(error(R"({"data": [300], "dtype": "int8"})") == "ir.json: constants.c: data: 300 does not fit int8");
    CHECK(error(R"({"data": [1.5], "dtype": "int8"})") ==
          "ir.json: constants.c: data: expected an integer, found number");
    CHECK(error(R"({"bytes": [1], "dtype": "float8_e5m2", "shape": [2]})") ==
          "ir.json: constants.c: expected 2 bytes, found 1");
}

TEST_CASE("subgraphs are read with names of their own") {
    const std::string branch = R"({"graph": {"name": "g",
        "graph_inputs": [{"name": "a", "shape": [2], "dtype": "float32"}],
        "graph_outputs": [{"name": "n", "shape": [2], "dtype": "float32"}],
        "nodes": [{"name": "n", "op_type": "aten.relu.default",
                   "inputs": [{"name": "a", "shape": [2], "dtype": "float32"}],
                   "outputs": [{"name": "n", "shape": [2], "dtype": "float32"}], "attrs": {}}]}})";
    const std::string text = one_node("higher_order.cond", "a b c", "n", R"("1": )" + branch + R"(, "2": )" + branch,
                                      R"(, "input_args": ["0", "3[0]", "3[1]"])");
    const Model model = parse_json(text);
    CHECK(arguments_of(model) == "=a =graph =graph =[b,c]");
    const Subgraph& graph = model.graph.nodes[0].args[1].value.get<Subgraph>();
    CHECK(graph.name == "g");
    CHECK(graph.graph->nodes.at(0).op_type == "aten.relu.default");
    CHECK(model.graph.nodes[0].args[2].value.get<Subgraph>() == graph);
    check_round_trip(model);
    CHECK(json_error(replaced(text, R"([{"name": "a", "shape": [2], "dtype": "float32"}],
        "graph_outputs")",
                              R"([], "graph_outputs")")) ==
          "ir.json: nodes[0] 'n': attrs: '1': graph: nodes[0] 'n': 'a' is neither an input, a weight nor an output of "
          "a node (closest name: 'n')");
}

TEST_CASE("a signature says what the tensor lists do not") {
    const Model model = parse_json(replaced(small, R"("graph_inputs")", R"("signature": {
        "inputs": [{"kind": "buffer", "name": "p_w", "target": "w", "persistent": false},
                   {"kind": "user_input", "name": "x"}, {"kind": "user_input", "value": 3}],
        "outputs": [{"kind": "buffer_mutation", "name": "add", "target": "w"}, {"kind": "user_output", "name": "relu"},
                    {"kind": "user_output", "value": null}]}, "graph_inputs")"));
    CHECK(model.inputs[0] == InputSpec{InputKind::Buffer, "w", false});
    CHECK(model.graph.inputs[2] == Argument(3));
    CHECK(model.outputs[0] == OutputSpec{OutputKind::BufferMutation, "w"});
    CHECK(model.graph.outputs[2].is_none());
    check_round_trip(model);
    CHECK(parse_json(to_json(model)) == model);
    CHECK(json_error(replaced(small, R"("graph_inputs")",
                              R"("signature": {"inputs": [{"kind": "user_input", "name": "q"}], "outputs": []},
                               "graph_inputs")")) == "ir.json: signature: inputs[0]: there is no value 'q'");
}

TEST_CASE("another major version is refused, an unknown key is not") {
    CHECK(json_error<UnsupportedError>(R"({"format_version": "2.1", "nodes": 7})") ==
          "ir.json: format_version: this is version 2.1 of the format; this library reads version 1.x");
    CHECK(json_error(replaced(small, "{", R"({"format_version": "1.9", "later": {"x": [1]},)")) == "no error");
    CHECK(to_json(parse_json(small)).starts_with("{\n  \"format_version\": \"1.0\",\n  \"model_name\": \"small\","));
}

TEST_CASE("wrong types and missing keys are reported with their place") {
    CHECK(json_error("[]") == "ir.json: expected an object, found array");
    CHECK(json_error("{}") == "ir.json: lacks 'graph_inputs': not a JSON IR");
    CHECK(json_error(replaced(small, R"("alpha": 2)", R"("alpha": {"dtype": 1})")) ==
          "ir.json: nodes[0] 'add': attrs: 'alpha': dtype: expected a string, found number");
    CHECK(json_error(replaced(small, R"("alpha": 2)", R"("alpha": {"colour": 1})")) ==
          "ir.json: nodes[0] 'add': attrs: 'alpha': colour: unknown type of value");
    CHECK(json_error(replaced(small, R"("shape": [2, 3])", R"("shape": [2, "3x"])")) != "no error");
    CHECK(json_error(replaced(small, R"("shape": [2, 3])", R"("shape": [2, -3])")) ==
          "ir.json: graph_inputs[0]: 'x': negative size -3");
    CHECK(json_error(replaced(small, R"("shape": [2, 3])", R"("shape": [4611686018427387904, 4])")) ==
          "ir.json: graph_inputs[0]: 'x': the tensor's size in bytes overflows");
    CHECK(json_error(replaced(small, R"("float32")", R"("float31")")) ==
          "ir.json: graph_inputs[0]: 'x': dtype: unknown dtype 'float31'");
    CHECK(json_error(replaced(small, R"("op_type": "aten.relu.default",)", "")) ==
          "ir.json: nodes[1] 'relu': key 'op_type' is missing");
    CHECK(json_error(replaced(small, R"({"name": "p_w", "shape")", R"({"shape")")) ==
          "ir.json: nodes[0] 'add': inputs[1]: key 'name' is missing");
    CHECK(json_error(replaced(small, R"("model_name": "small")", R"("model_name": 1)")) ==
          "ir.json: model_name: expected a string, found number");
    CHECK(json_error(replaced(small, R"("alpha": 2)", R"("alpha": 99999999999999999999)")) != "no error");
    CHECK(json_error(small.substr(0, small.size() - 5)) != "no error");
    CHECK(json_error(std::string(10000, '[')).ends_with("[0][0][0]: nested more than 256 levels deep"));
    std::string deep = R"("alpha": )" + std::string(5000, '[') + std::string(5000, ']');
    CHECK(json_error(replaced(small, R"("alpha": 2)", deep)).find("nested more than 256 levels deep") !=
          std::string::npos);
}

TEST_CASE("names are checked: unknown, twice, used too early, wrong producer") {
    CHECK(json_error(replaced(small, R"({"name": "p_w", "shape")", R"({"name": "p_v", "shape")")) ==
          "ir.json: nodes[0] 'add': 'p_v' is neither an input, a weight nor an output of a node (closest name: 'p_w')");
    CHECK(json_error(replaced(small, R"("outputs": [{"name": "add")", R"("outputs": [{"name": "x")")) ==
          "ir.json: nodes[0] 'add': outputs[0]: value 'x' is defined twice");
    CHECK(json_error(replaced(small, R"({"name": "relu", "op_type")", R"({"name": "add", "op_type")")) ==
          "ir.json: nodes[1] 'add': another node has the same name");
    CHECK(json_error(replaced(small, R"("inputs": [{"name": "x")", R"("inputs": [{"name": "relu")")) ==
          "ir.json: nodes[1] 'relu': outputs[0]: 'relu' is used before it is defined: in nodes[0] 'add'");
    CHECK(json_error(replaced(small, R"("producer_node": "add")", R"("producer_node": "mul")")) ==
          "ir.json: nodes[1] 'relu': inputs[0]: 'add' is said to be output 0 of 'mul', but is output 0 of 'add'");
    CHECK(
        json_error(replaced(small, R"({"p_w": "w"})", R"({"p_w": "v"})")) ==
        "ir.json: weight_name_mapping: placeholder 'p_w' stands for the weight 'v', which is not listed in 'weights'");
    const std::string reshaped = replaced(small, R"({"name": "p_w", "shape": [3])", R"({"name": "p_w", "shape": [4])");
    CHECK(json_error(reshaped) ==
          "ir.json: nodes[0] 'add': inputs[1]: 'p_w' has shape [4] here and [3] where it is defined");
}

TEST_CASE("contradictions can be collected instead") {
    std::vector<Issue> conflicts;
    const std::string text =
        replaced(replaced(small, R"({"name": "p_w", "shape": [3])", R"({"name": "p_w", "shape": [4])"),
                 R"("producer_node": "add")", R"("producer_node": "mul")");
    const Model model = parse_json(text, "", &conflicts);
    CHECK(model.graph.nodes.size() == 2);
    REQUIRE(conflicts.size() == 2);
    CHECK(conflicts[0].text() == "error: nodes[0] 'add': 'p_w' has shape [4] here and [3] where it is defined");
    CHECK(conflicts[1].where == "nodes[1] 'relu'");
}

TEST_CASE("a file is written as to_json says") {
    const torch_ir::test::TemporaryDirectory folder;
    const Model model = parse_json(small);
    write_json(folder / "ir.json", model);
    CHECK(read_text(folder / "ir.json") == to_json(model));
}

TEST_CASE("a .pt2 gives the same file whether exported on the meta device or with weights") {
    Model real = read_pt2("tests/data/pt2/features.pt2");
    CHECK(real.constants.size() == 1);
    check_round_trip(real);
    real.constants.clear();  // a meta export does not have the values
    CHECK(to_json(real) == to_json(read_pt2("tests/data/pt2/features_meta.pt2")));
    check_round_trip(read_pt2("tests/data/pt2/features_decomposed.pt2"));
}
