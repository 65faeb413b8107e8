// SPDX-License-Identifier: MIT
#include "torch_ir/traverse.hpp"

#include <doctest/doctest.h>

#include "torch_ir/builder.hpp"

using namespace torch_ir;

namespace {

/// relu(x) is used twice, sigmoid(x) not at all, and x is changed in place.
Model sample() {
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
        const Model model = sample();
        const ValueNames names = value_names(model.graph);
        CHECK(names.size() == 5);
        CHECK(names.at("relu") == ValueRef{1});
        CHECK_FALSE(names.contains("tanh"));
    }

    TEST_CASE("users are listed once a node and in order") {
        const auto users = value_users(sample().graph);
        CHECK(users[0] == std::vector<std::uint32_t>{0, 1, 2});
        CHECK(users[1] == std::vector<std::uint32_t>{2, 3});
        CHECK(users[2].empty());
    }

    TEST_CASE("a node before its producer is out of order") {
        Model model = sample();
        CHECK(is_topologically_ordered(model.graph));
        std::swap(model.graph.nodes[0], model.graph.nodes[3]);
        model.graph.values[1].producer = 3;
        CHECK_FALSE(is_topologically_ordered(model.graph));
    }

    TEST_CASE("what reaches no output is dead, what has effects is not") {
        CHECK(dead_nodes(sample().graph) == std::vector<std::uint32_t>{1});
    }

    TEST_CASE("subgraphs are visited from the outside in, with their path") {
        std::vector<std::string> paths;
        for_each_graph(branching().graph, [&](const Graph&, const std::string& path) { paths.push_back(path); });
        CHECK(paths == std::vector<std::string>{"", "cond/true_graph_0", "cond/true_graph_0/cond/deep",
                                                "cond/true_graph_0/cond/deep"});
    }
}
