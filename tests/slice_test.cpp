// SPDX-License-Identifier: MIT
#include "torch_ir/slice.hpp"

#include <doctest/doctest.h>

#include "torch_ir/builder.hpp"
#include "torch_ir/traverse.hpp"
#include "torch_ir/validate.hpp"

using namespace torch_ir;

namespace {

/// y = relu(x w) + sigmoid(x), z = cos(y); w is a parameter.
Model diamond() {
    GraphBuilder b("sample");
    const ValueRef w = b.parameter("p_w", "w", {{3, 3}});
    const ValueRef x = b.input("x", {{2, 3}});
    const ValueRef mm = b.call("aten.mm.default", {x, w}, {{2, 3}});
    b.last_node().provenance.module_path = "block.0.linear";
    const ValueRef relu = b.call("aten.relu.default", {mm}, {{2, 3}});
    b.last_node().provenance.module_path = "block.0";
    const ValueRef gate = b.call("aten.sigmoid.default", {x}, {{2, 3}});
    b.last_node().provenance.module_path = "block.01";
    const ValueRef add = b.call("aten.add.Tensor", {relu, gate}, {{2, 3}});
    b.output(b.call("aten.cos.default", {add}, {{2, 3}}));
    return b.build();
}

ValueRef named(const Model& model, const char* name) { return *model.graph.find_value(name); }

std::vector<std::string> names_of(const Graph& graph, const std::vector<Argument>& values) {
    std::vector<std::string> names;
    for (const Argument& value : values) names.push_back(graph.value(value.get<ValueRef>()).name);
    return names;
}

using Names = std::vector<std::string>;
using Nodes = std::vector<std::uint32_t>;

}  // namespace

TEST_SUITE("slice") {
    TEST_CASE("nodes between values are those on a way from one to the other") {
        const Model model = diamond();
        const auto between = [&](std::vector<ValueRef> from, std::vector<ValueRef> to) {
            return nodes_between(model.graph, from, to);
        };
        CHECK(between({named(model, "mm")}, {named(model, "add")}) == Nodes{1, 3});
        CHECK(between({}, {named(model, "relu")}) == Nodes{0, 1});
        CHECK(between({named(model, "relu")}, {}) == Nodes{3, 4});
        CHECK(between({named(model, "x")}, {named(model, "add")}) == Nodes{0, 1, 2, 3});
        CHECK(between({named(model, "sigmoid")}, {named(model, "relu")}).empty());
        CHECK(between({named(model, "relu"), named(model, "sigmoid")}, {named(model, "add")}) == Nodes{3});
    }

    TEST_CASE("a node that writes in place lies between its target and later readers") {
        GraphBuilder b("in_place");
        const ValueRef x = b.input("x", {{2}});
        const ValueRef relu = b.call("aten.relu.default", {x}, {{2}});
        b.call("aten.add_.Tensor", {relu, 1}, {{2}});
        b.output(b.call("aten.cos.default", {relu}, {{2}}));
        const Model model = b.build();
        CHECK(nodes_between(model.graph, {named(model, "relu")}, {named(model, "cos")}) == Nodes{1, 2});
    }

    TEST_CASE("the nodes of a module are found by whole path components") {
        const Model model = diamond();
        CHECK(nodes_of_module(model.graph, "block.0") == Nodes{0, 1});
        CHECK(nodes_of_module(model.graph, "block.0.linear") == Nodes{0});
        CHECK(nodes_of_module(model.graph, "bloc").empty());
    }

    TEST_CASE("a slice keeps names and roles and is a valid model") {
        const Model model = diamond();
        const Model cut = slice(model, {0, 1, 3});
        CHECK(validate(cut).empty());
        CHECK(names_of(cut.graph, cut.graph.inputs) == Names{"p_w", "x", "sigmoid"});
        CHECK(cut.inputs[0].kind == InputKind::Parameter);
        CHECK(cut.inputs[0].target == "w");
        CHECK(cut.inputs[2].kind == InputKind::UserInput);
        CHECK(names_of(cut.graph, cut.graph.outputs) == Names{"add"});
        CHECK(cut.graph.nodes.size() == 3);
        CHECK(cut.graph.nodes[2].name == "add");
        CHECK(cut.graph.nodes[0].provenance.module_path == "block.0.linear");
    }

    TEST_CASE("outputs are what is used outside, or what is asked for") {
        const Model model = diamond();
        const Model two = slice(model, {1, 2});
        CHECK(names_of(two.graph, two.graph.outputs) == Names{"relu", "sigmoid"});
        const Model asked = slice(model, {0, 1}, {named(model, "mm"), named(model, "relu")});
        CHECK(names_of(asked.graph, asked.graph.outputs) == Names{"mm", "relu"});
        CHECK_THROWS_WITH_AS(slice(model, {1}, {named(model, "cos")}), "value 'cos' is computed by none of the nodes",
                             ArgumentError);
        CHECK_THROWS_AS(slice(model, {9}), ArgumentError);
    }

    TEST_CASE("weights can become inputs, symbols and constants go along") {
        GraphBuilder b("more");
        const ValueRef c = b.constant("c", "lifted", {{1}}, std::vector<std::byte>(4));
        const ValueRef x = b.input("x", {{Dim(parse_expr("s0"), 4)}});
        const ValueRef y = b.input("y", {{Dim(parse_expr("s1"), 4)}});
        b.output(b.call("aten.add.Tensor", {x, c}, {{Dim(parse_expr("s0"), 4)}}));
        b.output(b.call("aten.cos.default", {y}, {{Dim(parse_expr("s1"), 4)}}));
        Model model = b.build();
        model.symbols = {{"s0", 2, 8}, {"s1", 2, 8}};
        const Model cut = slice(model, {0});
        CHECK(cut.symbols == std::vector<SymbolRange>{{"s0", 2, 8}});
        CHECK(cut.constants.contains("lifted"));
        const Model plain = slice(model, {0}, {}, {.weights_as_inputs = true});
        CHECK(plain.constants.empty());
        CHECK(plain.inputs[0].kind == InputKind::UserInput);
    }
}
