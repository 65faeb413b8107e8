// SPDX-License-Identifier: MIT
#include "torch_ir/pt2.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "support/bytes.hpp"
#include "support/files.hpp"
#include "support/text.hpp"

using namespace torch_ir;
using torch_ir::test::make_zip;
using torch_ir::test::replaced;
using torch_ir::test::TemporaryDirectory;
using torch_ir::test::TestEntry;

namespace {

const std::filesystem::path test_data = "tests/data";

/// relu(x), as torch 2.13 writes it but for what is optional.
const std::string program = R"({"graph_module": {"graph": {
"inputs": [{"as_tensor": {"name": "x"}}],
"outputs": [{"as_tensor": {"name": "relu"}}],
"nodes": [{"target": "torch.ops.aten.relu.default", "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}}],
 "outputs": [{"as_tensor": {"name": "relu"}}], "metadata": {}}],
"tensor_values": {"x": {"dtype": 7, "sizes": [{"as_int": 2}], "strides": [{"as_int": 1}]},
 "relu": {"dtype": 7, "sizes": [{"as_int": 2}], "strides": [{"as_int": 1}]}},
"sym_int_values": {}, "sym_bool_values": {}, "sym_float_values": {}, "custom_obj_values": {}},
"signature": {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}],
 "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "relu"}}}}]}, "module_call_graph": []},
"range_constraints": {}, "schema_version": {"major": 8, "minor": 20}, "torch_version": "2.13.0"})";

Model read_zip(const std::string& zip, const Pt2Options& options = {}) {
    const TemporaryDirectory directory;
    return read_pt2(directory.add("model.pt2", zip), options);
}

std::string flat(const std::string& json) { return make_zip({{"serialized_exported_program.json", json}}); }

std::string archive(std::vector<TestEntry> entries) {
    entries.push_back({"m/archive_format", "pt2"});
    entries.push_back({"m/archive_version", "0"});
    return make_zip(std::move(entries));
}

/// The message after the name of the file.
std::string pt2_error(const std::string& zip) {
    try {
        read_zip(zip);
    } catch (const Error& error) {
        const std::string message = error.what();
        return message.substr(message.find("model.pt2: ") + 11);
    }
    return "no error";
}

std::string pt2_error(const std::string& from, const std::string& to) {
    return pt2_error(flat(replaced(program, from, to)));
}

const Node& node_called(const Graph& graph, const std::string& name) {
    for (const Node& node : graph.nodes)
        if (node.name == name) return node;
    FAIL("no node '" << name << "'");
    std::abort();
}

const Value& value_called(const Graph& graph, const std::string& name) {
    const auto ref = graph.find_value(name);
    REQUIRE_MESSAGE(ref.has_value(), name);
    return graph.value(*ref);
}

}  // namespace

TEST_SUITE("pt2") {
    TEST_CASE("every container layout gives the same graph") {
        for (const char* version : {"2.5.1", "2.7.1", "2.8.0", "2.10.0", "2.13.0"}) {
            CAPTURE(version);
            const Model model = read_pt2(test_data / "versions" / version / "mlp/model.pt2");
            CHECK(model.name == "Mlp");
            CHECK(model.pytorch_version.starts_with(version));
            const Graph& graph = model.graph;
            REQUIRE(graph.nodes.size() == 3);
            CHECK(graph.nodes[0].name == "linear");
            CHECK(graph.nodes[0].op_type == "aten.linear.default");
            CHECK(graph.nodes[1].op_type == "aten.gelu.default");
            CHECK(graph.nodes[2].name == "linear_1");
            CHECK(graph.nodes[0].args[1].name == "weight");
            CHECK(graph.nodes[0].provenance.module_path == "a");
            CHECK(graph.nodes[0].provenance.module_type == "torch.nn.modules.linear.Linear");
            CHECK(graph.nodes[1].provenance.source == "make_versions.py:15");
            CHECK(graph.nodes[1].provenance.original == "builtin_function_or_method.gelu");
            CHECK(model.inputs == std::vector<InputSpec>{{InputKind::Parameter, "a.weight"},
                                                         {InputKind::Parameter, "a.bias"},
                                                         {InputKind::Parameter, "b.weight"},
                                                         {InputKind::Parameter, "b.bias"},
                                                         {}});
            CHECK(model.outputs == std::vector<OutputSpec>{{}});
            const Value& hidden = value_called(graph, "linear");
            CHECK(hidden.meta == TensorMeta{DType::Float32, {3, 16}, std::nullopt});
            CHECK(hidden.producer == 0);
            CHECK(graph.value(*graph.inputs[4].get_if<ValueRef>()).producer == Value::no_producer);
            CHECK(model.in_spec.starts_with("[1, {\"type\": \"builtins.tuple\""));
        }
    }

    TEST_CASE("branches are graphs with values of their own") {
        for (const char* version : {"2.5.1", "2.7.1", "2.8.0", "2.10.0", "2.13.0"}) {
            CAPTURE(version);
            const Model model = read_pt2(test_data / "versions" / version / "cond/model.pt2");
            const Node& cond = node_called(model.graph, "cond");
            CHECK(cond.op_type == "higher_order.cond");
            REQUIRE(cond.args.size() == 4);
            CHECK(cond.args[0].name == "");
            const auto& branch = cond.args[1].value.get<Subgraph>();
            CHECK(branch.name == "true_graph_0");
            REQUIRE(branch.graph->nodes.size() == 2);
            CHECK(branch.graph->nodes[0].op_type == "aten.sin.default");
            CHECK(branch.graph->inputs.size() == 1);
            CHECK(cond.args[3].value.get<ArgumentList>().size() == 1);
            REQUIRE(cond.outputs.size() == 1);  // one entry an element, also where torch 2.5 writes a list
            CHECK(cond.outputs[0].is<ValueRef>());
        }
    }

    TEST_CASE("buffers, constants with values and constant inputs are told apart") {
        for (const char* version : {"2.5.1", "2.7.1", "2.8.0", "2.10.0", "2.13.0"}) {
            CAPTURE(version);
            const Model model = read_pt2(test_data / "versions" / version / "counter_buffers/model.pt2");
            REQUIRE(model.inputs.size() == 5);
            CHECK(model.inputs[0].kind == InputKind::Buffer);
            const auto constant = model.constants.find("lifted_tensor_0");
            REQUIRE(constant != model.constants.end());
            CHECK(model.constants.size() == 1);  // the non-persistent buffer is none
            CHECK(constant->second.meta == TensorMeta{DType::Float32, {}, std::nullopt});
            float number = 0;
            REQUIRE(constant->second.data.size() == sizeof number);
            std::memcpy(&number, constant->second.data.data(), sizeof number);
            CHECK(number == 2.5F);
            CHECK(model.graph.inputs[4].get<std::int64_t>() == 3);
            const bool functional = std::string(version) == "2.5.1";
            CHECK(model.outputs[0].kind == (functional ? OutputKind::BufferMutation : OutputKind::UserOutput));
            CHECK(model.outputs[0].target == (functional ? "n" : ""));
        }
    }

    TEST_CASE("every kind of argument, output and value is read") {
        const Model model = read_pt2(test_data / "pt2/features.pt2");
        const Graph& graph = model.graph;
        CHECK(model.name == "Features");
        CHECK(model.symbols == std::vector<SymbolRange>{{"s17", 2, 32}, {"s77", 2, 64}});

        const Node& topk = node_called(graph, "topk");
        CHECK(topk.outputs.size() == 2);
        CHECK(graph.value(topk.output_values()[1]).producer_output_idx == 1);
        CHECK(graph.value(topk.output_values()[1]).meta.dtype == DType::Int64);
        const Node& split = node_called(graph, "split");
        REQUIRE(split.outputs.size() == 1);
        CHECK(split.outputs[0].get<ArgumentList>().size() == 2);
        CHECK(split.arg("dim").to_int() == 1);
        const ArgumentList indices = node_called(graph, "index").arg("indices").get<ArgumentList>();
        CHECK(indices[0].is_none());
        CHECK(indices[1].is<ValueRef>());
        CHECK(node_called(graph, "masked_fill").arg("value").get<double>() == -std::numeric_limits<double>::infinity());
        CHECK(node_called(graph, "mul_2").arg("other").get<std::complex<double>>() == std::complex<double>(1, 2));
        CHECK(node_called(graph, "to").arg("dtype").get<DType>() == DType::Complex64);
        const Node& check = node_called(graph, "_assert_tensor_metadata_default");
        CHECK(check.outputs.empty());
        CHECK(check.find("device")->get<Device>() == Device{"cpu", std::nullopt});
        CHECK(check.find("layout")->get<Layout>() == Layout::Strided);
        const Node& mul = node_called(graph, "mul");
        CHECK(mul.op_type == "_operator.mul");
        CHECK(mul.find("b")->get<std::int64_t>() == 2);

        const Value& size = value_called(graph, "add_1");
        CHECK(size.kind == ValueKind::SymInt);
        CHECK(to_string(*size.expr) == "s17 + 2*s77");
        const Value& part = value_called(graph, "getitem_2");
        CHECK(to_string(part.meta.shape[0]) == "s77");
        CHECK(part.meta.shape[0].hint() == 4);
        REQUIRE(part.meta.strides.has_value());
        CHECK(*part.meta.strides == Shape{6, 1});
        CHECK_FALSE(value_called(graph, "batch_norm").meta.strides.has_value());

        CHECK(graph.inputs[12].get<bool>() == true);
        CHECK(graph.inputs[13].get<double>() == 0.5);
        CHECK(graph.inputs[14].is_none());
        CHECK(graph.outputs[4].get<bool>() == true);
        CHECK(model.inputs[5] == InputSpec{InputKind::Buffer, "rows", false});
        CHECK(model.inputs[9] == InputSpec{InputKind::TensorConstant, "constant"});
        const float expected[] = {1.5F, -2.0F, 0.25F, 4.0F};
        const Constant& constant = model.constants.at("constant");
        REQUIRE(constant.data.size() == sizeof expected);
        CHECK(
            std::equal(std::begin(expected), std::end(expected), reinterpret_cast<const float*>(constant.data.data())));
        CHECK(node_called(graph, "cond").provenance.source == "make_pt2_cases.py:62");
    }

    TEST_CASE("an export on the meta device differs in the constants' values only") {
        Model real = read_pt2(test_data / "pt2/features.pt2");
        const Model meta = read_pt2(test_data / "pt2/features_meta.pt2");
        CHECK(meta.constants.empty());
        real.constants.clear();
        CHECK(real == meta);
    }

    TEST_CASE("a decomposed export names the mutated buffers and its ops") {
        const Model model = read_pt2(test_data / "pt2/features_decomposed.pt2");
        CHECK(node_called(model.graph, "addmm").op_type == "aten.addmm.default");
        CHECK(value_called(model.graph, "permute").meta.strides == Shape{1, 6});
    }

    TEST_CASE("nodes without a name get the one of their value, or one that torch.fx would give") {
        const std::string node = R"({"target": "torch.ops.aten.topk.default",
            "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}}, {"name": "k", "arg": {"as_int": 1}}],
            "outputs": [{"as_tensor": {"name": "A"}}, {"as_tensor": {"name": "B"}}], "metadata": {}}, )";
        const std::string meta = R"({"dtype": 7, "sizes": [{"as_int": 1}], "strides": [{"as_int": 1}]}, )";
        std::string text =
            replaced(program, "\"nodes\": [",
                     "\"nodes\": [" + node + replaced(replaced(node, "\"A\"", "\"C\""), "\"B\"", "\"D\""));
        std::string values = "\"tensor_values\": {";
        for (const char* name : {"A", "B", "C", "D"}) values += "\"" + std::string(name) + "\": " + meta;
        text = replaced(text, "\"tensor_values\": {", values);
        const Model model = read_zip(flat(text));
        CHECK(model.graph.nodes[0].name == "topk");
        CHECK(model.graph.nodes[1].name == "topk_1");
        CHECK(model.graph.nodes[2].name == "relu");
        CHECK(model.name == "model");
    }

    TEST_CASE("a device as text, as move_to_device_pass writes it, is a device; a text stays one") {
        std::string text = replaced(program, "aten.relu.default", "aten._to_copy.default");
        text = replaced(text, "{\"as_tensor\": {\"name\": \"x\"}}}],",
                        R"({"as_tensor": {"name": "x"}}}, {"name": "device", "arg": {"as_string": "cuda:1"}}],)");
        CHECK(read_zip(flat(text)).graph.nodes[0].find("device")->get<Device>() == Device{"cuda", 1});
        text = replaced(text, "aten._to_copy.default", "my.op.default");
        CHECK(read_zip(flat(text)).graph.nodes[0].find("device")->get<std::string>() == "cuda:1");
    }

    TEST_CASE("the order of the keys does not matter") {
        const std::string nodes =
            program.substr(program.find("\"nodes\""), program.find("\"tensor_values\"") - program.find("\"nodes\""));
        std::string text = replaced(program, nodes, "");
        text = replaced(text, "{\"graph\": {", "{\"graph\": {" + nodes);
        const Model reordered = read_zip(flat(text));
        CHECK(reordered.graph.nodes == read_zip(flat(program)).graph.nodes);
    }

    TEST_CASE("unknown keys are ignored, bare infinities accepted") {
        CHECK(pt2_error("\"module_call_graph\": []", "\"module_call_graph\": [], \"later\": {\"x\": [1]}") ==
              "no error");
        const std::string text = replaced(program, "\"range_constraints\": {}",
                                          "\"range_constraints\": {\"s0\": {\"min_val\": 2, \"max_val\": Infinity}}");
        CHECK(read_zip(flat(text)).symbols == std::vector<SymbolRange>{{"s0", 2, std::nullopt}});
    }

    TEST_CASE("of several models one must be named") {
        const std::string zip = archive({{"m/models/enc.json", program}, {"m/models/sub/dec.json", program}});
        CHECK(pt2_error(zip) == "the file holds 2 models, name one of 'enc', 'sub/dec'");
        CHECK(read_zip(zip, {"sub/dec"}).name == "sub/dec");
        CHECK_THROWS_AS(read_zip(zip, {"other"}), ArgumentError);
        const TemporaryDirectory directory;
        CHECK(pt2_model_names(directory.add("a.pt2", zip)) == std::vector<std::string>{"enc", "sub/dec"});
    }

    TEST_CASE("files without a graph are refused with what to do") {
        CHECK(pt2_error(archive({{"m/data/aotinductor/model/a.wrapper.so", "x"}})) ==
              "an AOTInductor package holds compiled code only; save the program with torch.export.save");
        CHECK(
            pt2_error(make_zip({{"m/data.pkl", "x"}})) ==
            "a checkpoint has no graph; export the model with torch.export.export and save it with torch.export.save");
        CHECK(pt2_error(make_zip({{"m/data.pkl", "x"}, {"m/constants.pkl", "x"}})) ==
              "a TorchScript archive has no exported graph; export the model with torch.export.export and save it with "
              "torch.export.save");
    }

    TEST_CASE("another schema version is refused by name, even where the graph cannot be read") {
        CHECK(pt2_error("\"major\": 8, \"minor\": 20", "\"major\": 9, \"minor\": 1") ==
              "schema_version: schema version 9.1 of torch.export is unknown, expected 7 or 8");
        std::string text = replaced(program, "\"major\": 8, \"minor\": 20", "\"major\": 9, \"minor\": 1");
        text = replaced(text, "{\"as_tensor\": {\"name\": \"x\"}}", "{\"as_new_thing\": 1}");
        CHECK(pt2_error(flat(text)) == "schema version 9.1 of torch.export is unknown, expected 7 or 8");
        CHECK(pt2_error("\"schema_version\"", "\"version\"") == "key 'schema_version' is missing");
    }

    TEST_CASE("wrong types and tags are refused with their place") {
        const std::string node = "graph_module.graph.nodes[0] 'torch.ops.aten.relu.default': ";
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_int\": \"x\"}") ==
              node + "inputs: [0]: 'self': as_int: expected an integer, found string");
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_ints\": [1, 2.5]}") ==
              node + "inputs: [0]: 'self': as_ints: [1]: expected an integer, found number");
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_thing\": 1}") ==
              node + "inputs: [0]: 'self': unknown kind of argument 'as_thing'");
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_int\": 1, \"as_none\": true}") ==
              node + "inputs: [0]: 'self': expected an object with one key, found 2 keys");
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_layout\": 8}") ==
              node + "inputs: [0]: 'self': as_layout: unknown layout number 8");
        CHECK(pt2_error("\"name\": \"self\", ", "") == node + "inputs: [0]: key 'name' is missing");
        CHECK(pt2_error("\"target\": \"torch.ops.aten.relu.default\"", "\"target\": 3") ==
              "graph_module.graph.nodes[0]: target: expected a string, found number");
        CHECK(pt2_error("\"metadata\": {}", "\"name\": \"act\", \"metadata\": []") ==
              "graph_module.graph.nodes[0] 'act': expected an object, found array");
        CHECK(pt2_error("\"outputs\": [{\"as_tensor\": {\"name\": \"relu\"}}], \"metadata\"",
                        "\"outputs\": [{\"as_int\": 1}], \"metadata\"") ==
              node + "outputs: expected a value, found a constant int");
        CHECK(pt2_error("{\"dtype\": 7", "{\"dtype\": 99") ==
              "graph_module.graph.tensor_values.x: dtype: unknown dtype number 99");
        CHECK(pt2_error("\"sizes\": [{\"as_int\": 2}]", "\"sizes\": [{\"as_int\": -2}]") ==
              "graph_module.graph.tensor_values.x: size -2 is negative");
        CHECK(pt2_error("\"strides\": [{\"as_int\": 1}]", "\"strides\": []") ==
              "graph_module.graph.tensor_values.x: expected 1 strides, found 0");
        CHECK(pt2_error("\"sizes\": [{\"as_int\": 2}]", "\"sizes\": [{\"as_expr\": {\"expr_str\": \"exec('1')\"}}]") ==
              "graph_module.graph.tensor_values.x: sizes: [0]: expression 'exec('1')', position 5: unknown function "
              "'exec'");
        CHECK(pt2_error("\"torch_version\": \"2.13.0\"", "\"torch_version\": 2") ==
              "torch_version: expected a string, found number");
        CHECK(pt2_error(flat("[]")) == "expected an object, found array");
        CHECK(pt2_error(flat("{}")) == "key 'graph_module.graph.inputs' is missing");
        CHECK(pt2_error(flat(program.substr(0, 40))).starts_with("malformed JSON at byte "));
    }

    TEST_CASE("names must be defined once, described, and defined before use") {
        const std::string node = "graph_module.graph.nodes[0] 'relu': ";
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_tensor\": {\"name\": \"z\"}}") ==
              "graph_module.graph.nodes: value 'z' is mentioned, but no input or node defines it");
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}",
                        "\"arg\": {\"as_tensor\": {\"name\": \"relu\"}}") ==
              node + "value 'relu' is used before graph_module.graph.nodes[0] 'relu' defines it");
        CHECK(pt2_error("\"inputs\": [{\"as_tensor\": {\"name\": \"x\"}}]",
                        "\"inputs\": [{\"as_tensor\": {\"name\": \"x\"}}, {\"as_tensor\": {\"name\": \"x\"}}]") ==
              "graph_module.graph.inputs: [1]: value 'x' is defined twice");
        CHECK(pt2_error(" \"relu\": {\"dtype\"", " \"other\": {\"dtype\"") ==
              "graph_module.graph.tensor_values: value 'relu' has no entry there nor in sym_*_values");
        CHECK(pt2_error("\"sym_int_values\": {}", "\"sym_int_values\": {\"x\": {\"as_int\": 1}}") ==
              "graph_module.graph.sym_int_values.x: value 'x' is described by two tables");
        CHECK(pt2_error(" \"relu\": {\"dtype\"", " \"x\": {\"dtype\"") ==
              "graph_module.graph.tensor_values.x: key 'x' appears twice");
    }

    TEST_CASE("the signature must fit the graph") {
        CHECK(pt2_error("[{\"user_input\": {\"arg\": {\"as_tensor\": {\"name\": \"x\"}}}}]", "[]") ==
              "graph_module.signature: input_specs: expected 1 entries as in the graph, found 0");
        CHECK(pt2_error("\"user_input\": {\"arg\": {\"as_tensor\": {\"name\": \"x\"}}}",
                        "\"parameter\": {\"arg\": {\"name\": \"relu\"}, \"parameter_name\": \"w\"}") ==
              "graph_module.signature: input_specs: [0]: 'relu' is not what the graph has at this position");
        CHECK(pt2_error("\"user_output\"", "\"new_output\"") ==
              "graph_module.signature: output_specs: [0]: unknown kind of output 'new_output'");
    }

    TEST_CASE("nesting, duplicate keys and integers beyond 64 bits are refused") {
        std::string deep(10000, '[');
        CHECK(pt2_error("\"arg\": {\"as_tensor\": {\"name\": \"x\"}}", "\"arg\": {\"as_ints\": " + deep)
                  .find("nested more than 256 levels deep") != std::string::npos);
        CHECK(pt2_error("\"major\": 8, ", "\"major\": 8, \"major\": 8, ") ==
              "schema_version.major: key 'major' appears twice");
        CHECK(pt2_error("\"minor\": 20", "\"minor\": 1000000000000000000000") ==
              "schema_version.minor: integer 1000000000000000000000 does not fit in 64 bits");
    }
}
