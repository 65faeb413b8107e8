// SPDX-License-Identifier: MIT
#include "torch_ir/rewrite.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "torch_ir/builder.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/validate.hpp"

using namespace torch_ir;

namespace {

/// relu(x), sigmoid(relu), and the sum of both.
Graph sample() {
    GraphBuilder b("sample");
    const ValueRef x = b.input("x", {{2, 3}});
    const ValueRef relu = b.call("aten.relu.default", {x}, {{2, 3}});
    const ValueRef sigmoid = b.call("aten.sigmoid.default", {relu}, {{2, 3}});
    b.output(b.call("aten.add.Tensor", {relu, sigmoid}, {{2, 3}}));
    return b.build().graph;
}

std::size_t count_ops(const Graph& graph, const std::string& op_type) {
    return static_cast<std::size_t>(std::ranges::count(graph.nodes, op_type, &Node::op_type));
}

/// y = linear(x, w, b) becomes y = addmm(b, x, t(w)) where x is a matrix.
std::size_t lower_linear(Graph& graph) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node linear = graph.nodes[i];
        if (linear.op_type != "aten.linear.default" || linear.arg("bias").is_none()) continue;
        if (graph.value(linear.arg("input").get<ValueRef>()).meta.shape.size() != 2) continue;
        const Argument weight = linear.arg("weight");
        const TensorMeta meta = graph.value(weight.get<ValueRef>()).meta;
        const ValueRef transposed =
            add_tensor(graph, "t", {meta.dtype, {meta.shape[1], meta.shape[0]}, Shape{1, meta.shape[1]}});
        const std::string name = graph.value(transposed).name;

        graph.nodes[i] = {linear.name,
                          "aten.addmm.default",
                          {{"self", linear.arg("bias")}, {"mat1", linear.arg("input")}, {"mat2", transposed}},
                          linear.outputs,
                          linear.provenance};
        Node t{name, "aten.t.default", {{"self", weight}}, {transposed}, linear.provenance};
        graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i), std::move(t));
        ++i;
        ++count;
    }
    relink(graph);
    return count;
}

}  // namespace

TEST_SUITE("rewrite") {
    TEST_CASE("one node of a real model becomes two") {
        Model model = read_pt2("tests/data/zoo/LeNet/model.pt2");
        const std::size_t nodes = model.graph.nodes.size();
        const std::size_t linears = count_ops(model.graph, "aten.linear.default");
        CHECK(lower_linear(model.graph) == linears);
        CHECK(linears > 1);
        CHECK(model.graph.nodes.size() == nodes + linears);
        CHECK(count_ops(model.graph, "aten.linear.default") == 0);
        CHECK(count_ops(model.graph, "aten.t.default") == linears);
        CHECK(count_ops(model.graph, "aten.addmm.default") == linears);
        CHECK(validate(model).empty());
        const Model again = parse_json(to_json(model));
        CHECK(to_json(again) == to_json(model));
        CHECK(validate(again).empty());
    }

    TEST_CASE("without relink, validate says which producers are wrong") {
        Model model;
        model.graph = sample();
        model.inputs.resize(1);
        model.outputs.resize(1);
        CHECK(validate(model).empty());
        Node node = model.graph.nodes[0];
        node.name = "tanh";
        node.op_type = "aten.tanh.default";
        const ValueRef tanh = add_tensor(model.graph, "tanh", {DType::Float32, {2, 3}, std::nullopt});
        node.outputs = {tanh};
        model.graph.nodes.insert(model.graph.nodes.begin(), node);
        CHECK(has_errors(validate(model)));
        relink(model.graph);
        CHECK(validate(model).empty());
        CHECK(model.graph.value(tanh).producer == 0);
        CHECK(model.graph.value({1}).producer == 1);
    }

    TEST_CASE("names are unique among values and nodes") {
        Graph graph = sample();
        CHECK(unique_name(graph, "tanh") == "tanh");
        CHECK(unique_name(graph, "relu") == "relu_1");
        graph.nodes[1].name = "relu_1";
        CHECK(unique_name(graph, "relu") == "relu_2");
        const ValueRef added = add_tensor(graph, "x", {DType::Int64, {4}, std::nullopt});
        CHECK(graph.value(added).name == "x_1");
        CHECK(graph.value(added).meta.dtype == DType::Int64);
    }

    TEST_CASE("uses are replaced in arguments, lists and outputs") {
        Graph graph = sample();
        graph.nodes[2].args[1].value = ArgumentList{ValueRef{1}, None{}};
        graph.outputs.emplace_back(ValueRef{1});
        replace_uses(graph, {1}, {0});
        CHECK(graph.nodes[1].args[0].value == Argument(ValueRef{0}));
        CHECK(graph.nodes[2].args[0].value == Argument(ValueRef{0}));
        CHECK(graph.nodes[2].args[1].value == Argument(ArgumentList{ValueRef{0}, None{}}));
        CHECK(graph.outputs == std::vector<Argument>{ValueRef{3}, ValueRef{0}});
        CHECK(graph.nodes[0].outputs == std::vector<Argument>{ValueRef{1}});
        CHECK_THROWS_WITH_AS(replace_uses(graph, {1}, {9}), "there is no value number 9, the graph has 4",
                             ArgumentError);
    }

    TEST_CASE("what is not used goes, with its values") {
        Graph graph = sample();
        replace_uses(graph, {1}, {0});
        erase_unused(graph);
        REQUIRE(graph.nodes.size() == 2);
        REQUIRE(graph.values.size() == 3);
        CHECK(graph.values[1].name == "sigmoid");
        CHECK(graph.values[1].producer == 0);
        CHECK(graph.nodes[1].input_values() == std::vector<ValueRef>{{0}, {1}});
        CHECK(graph.outputs == std::vector<Argument>{ValueRef{2}});
        const Graph before = graph;
        erase_unused(graph);
        CHECK(graph == before);
        graph.outputs = {ValueRef{0}};
        erase_unused(graph);
        CHECK(graph.nodes.empty());
        CHECK(graph.values.size() == 1);
    }

    TEST_CASE("a value has one producer") {
        Graph graph = sample();
        graph.nodes[1].outputs = {ValueRef{1}};
        const Graph before = graph;
        CHECK_THROWS_WITH_AS(relink(graph), "node 'sigmoid' returns 'relu', which is returned by 'relu'",
                             ArgumentError);
        CHECK(graph == before);
        graph.nodes[1].outputs = {ValueRef{0}};
        CHECK_THROWS_WITH_AS(relink(graph), "node 'sigmoid' returns 'x', which is an input of the graph",
                             ArgumentError);
        graph.nodes[1].outputs = {ValueRef{8}};
        CHECK_THROWS_WITH_AS(
            relink(graph),
            "node 'sigmoid' (aten.sigmoid.default): outputs: there is no value number 8, the graph has 4",
            ArgumentError);
    }
}
