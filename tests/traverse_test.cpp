// SPDX-License-Identifier: MIT
#include "torch_ir/traverse.hpp"

#include <doctest/doctest.h>

#include "torch_ir/builder.hpp"
#include "torch_ir/diff.hpp"
#include "torch_ir/dot.hpp"
#include "torch_ir/info.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/slice.hpp"

using namespace torch_ir;

namespace {

/// relu(x) is used twice, sigmoid(x) not at all, and x is changed in place.
Model in_place_model() {
    GraphBuilder b("sample");
    const ValueRef x = b.input("x", {{2, 3}});
    const ValueRef relu = b.call("aten.relu.default", {x}, {{2, 3}});
    b.call("aten.sigmoid.default", {x}, {{2, 3}});
    b.call("aten.add_.Tensor", {x, relu}, {{2, 3}});
    b.output(b.call("aten.mul.Tensor", {relu, relu}, {{2, 3}}));
    return b.build();
}

Model branching() {
    GraphBuilder inner("deep");
    inner.output(inner.call("aten.cos.default", {inner.input("b", {{2}})}, {{2}}));
    GraphBuilder outer("true_graph_0");
    const ValueRef a = outer.input("a", {{2}});
    outer.output(outer.call("higher_order.cond", {true, inner.subgraph(), inner.subgraph(), ArgumentList{a}}, {{2}}));
    GraphBuilder b("branching");
    const ValueRef x = b.input("x", {{2}});
    b.output(b.call("higher_order.cond", {true, outer.subgraph(), None{}, ArgumentList{x}}, {{2}}));
    return b.build();
}

}  // namespace

TEST_SUITE("traverse") {
    TEST_CASE("values are found by name") {
        const Model model = in_place_model();
        const ValueNames names = value_names(model.graph);
        CHECK(names.size() == 5);
        CHECK(names.at("relu") == ValueRef{1});
        CHECK_FALSE(names.contains("tanh"));
    }

    TEST_CASE("users are listed once a node and in order") {
        const auto users = value_users(in_place_model().graph);
        CHECK(users[0] == std::vector<std::uint32_t>{0, 1, 2});
        CHECK(users[1] == std::vector<std::uint32_t>{2, 3});
        CHECK(users[2].empty());
    }

    TEST_CASE("a node before its producer is out of order") {
        Model model = in_place_model();
        CHECK(is_topologically_ordered(model.graph));
        std::swap(model.graph.nodes[0], model.graph.nodes[3]);
        model.graph.values[1].producer = 3;
        CHECK_FALSE(is_topologically_ordered(model.graph));
    }

    TEST_CASE("what reaches no output is dead, what has effects is not") {
        CHECK(dead_nodes(in_place_model().graph) == std::vector<std::uint32_t>{1});
    }

    TEST_CASE("a reference to no value is named by what takes the graph") {
        Model model = in_place_model();
        model.graph.nodes[3].args[1].value = ValueRef{17};
        const char* message =
            "node 'mul' (aten.mul.Tensor): argument 'other': there is no value number 17, the graph has 5";
        CHECK_THROWS_WITH_AS(check_references(model.graph), message, ArgumentError);
        CHECK_THROWS_WITH_AS(dead_nodes(model.graph), message, ArgumentError);
        CHECK_THROWS_WITH_AS(value_users(model.graph), message, ArgumentError);
        CHECK_THROWS_WITH_AS(is_topologically_ordered(model.graph), message, ArgumentError);
        CHECK_THROWS_WITH_AS(nodes_between(model.graph, {}, {}), message, ArgumentError);
        CHECK_THROWS_WITH_AS(slice(model, {0}), message, ArgumentError);
        CHECK_THROWS_WITH_AS(to_json(model), message, ArgumentError);
        CHECK_THROWS_WITH_AS(to_dot(model), message, ArgumentError);
        CHECK_THROWS_WITH_AS(collect_info(model), message, ArgumentError);
        CHECK_THROWS_WITH_AS(diff(model, in_place_model()), ("first model: " + std::string(message)).c_str(),
                             ArgumentError);
        CHECK_THROWS_WITH_AS(diff(in_place_model(), model), ("second model: " + std::string(message)).c_str(),
                             ArgumentError);
        CHECK_THROWS_WITH_AS(model.graph.value({17}), "there is no value number 17, the graph has 5", ArgumentError);

        model = in_place_model();
        model.graph.outputs = {ValueRef{5}};
        CHECK_THROWS_WITH_AS(to_json(model), "outputs: there is no value number 5, the graph has 5", ArgumentError);
        model.graph.outputs.clear();
        model.graph.inputs = {ValueRef{6}};
        CHECK_THROWS_WITH_AS(to_json(model), "inputs: there is no value number 6, the graph has 5", ArgumentError);

        model = branching();
        model.graph.nodes[0].args[1].value.get_if<Subgraph>()->graph->outputs = {ValueRef{9}};
        CHECK_THROWS_WITH_AS(to_json(model), "cond/true_graph_0: outputs: there is no value number 9, the graph has 2",
                             ArgumentError);
    }

    TEST_CASE("a value of a node that is not there is named by diff") {
        Model model = in_place_model();
        model.graph.nodes.pop_back();
        CHECK_THROWS_WITH_AS(diff(model, in_place_model()),
                             "value 'mul' is said to come from node number 3, the graph has 3: call relink()",
                             ArgumentError);
    }

    TEST_CASE("the inputs of subgraphs stand for the operands of their node") {
        const Model model = branching();
        const Graph& outer = *model.graph.nodes[0].args[1].value.get<Subgraph>().graph;
        CHECK(subgraph_operands(outer.nodes[0]) == std::vector<Argument>{ValueRef{0}});
        CHECK(subgraph_operands(in_place_model().graph.nodes[0]).empty());
        std::size_t nodes = 0;
        for (const char* name : {"cond", "while_loop", "scan", "map", "autocast", "grad_modes", "invoke_subgraph"}) {
            const Model exported = read_pt2("tests/data/language/" + std::string(name) + "/model.pt2");
            for_each_graph(exported.graph, [&](const Graph& graph, const std::string&) {
                for (const Node& node : graph.nodes)
                    for (const NamedArgument& named : node.args) {
                        const auto* body = named.value.get_if<Subgraph>();
                        if (!body) continue;
                        const auto operands = subgraph_operands(node);
                        CHECK_MESSAGE(operands.size() == body->graph->inputs.size(), node.name);
                        const bool sliced = node.op_type.starts_with("higher_order.map") ||
                                            node.op_type.starts_with("higher_order.scan");
                        for (std::size_t i = 0; !sliced && i < operands.size(); ++i)
                            if (const auto* ref = operands[i].get_if<ValueRef>())
                                CHECK(graph.value(*ref).meta.shape.size() ==
                                      body->graph->value(body->graph->inputs[i].get<ValueRef>()).meta.shape.size());
                        ++nodes;
                    }
            });
        }
        CHECK(nodes > 10);
    }

    TEST_CASE("subgraphs are visited from the outside in, with their path") {
        std::vector<std::string> paths;
        for_each_graph(branching().graph, [&](const Graph&, const std::string& path) { paths.push_back(path); });
        CHECK(paths == std::vector<std::string>{"", "cond/true_graph_0", "cond/true_graph_0/cond/deep",
                                                "cond/true_graph_0/cond/deep"});
    }
}
