// SPDX-License-Identifier: MIT
#include "torch_ir/builder.hpp"

#include <doctest/doctest.h>

using namespace torch_ir;

TEST_SUITE("builder") {
    TEST_CASE("a model is built with its signature, names and producers") {
        GraphBuilder b("mlp");
        const ValueRef x = b.input("x", {{2, 8}});
        const ValueRef w = b.parameter("p_w", "lin.weight", {{4, 8}, DType::Float32});
        const ValueRef y = b.call("aten.linear.default", {x, w}, {{2, 4}});
        b.output(b.call("aten.add.Tensor", {y, y}, {{2, 4}}, {{"alpha", 2}}));
        const Model& model = b.build();

        CHECK(model.name == "mlp");
        CHECK(model.inputs == std::vector<InputSpec>{{}, {InputKind::Parameter, "lin.weight"}});
        CHECK(model.graph.inputs == std::vector<Argument>{x, w});
        CHECK(model.graph.outputs == std::vector<Argument>{ValueRef{3}});
        const Node& linear = model.graph.nodes[0];
        CHECK(linear.name == "linear");
        CHECK(linear.args == std::vector<NamedArgument>{{"input", x}, {"weight", w}});
        CHECK(linear.arg("bias").is_none());
        CHECK(model.graph.nodes[1].arg("alpha").to_int() == 2);
        CHECK(model.graph.value(y).name == "linear");
        CHECK(model.graph.value(y).producer == 0);
        CHECK(model.graph.value(y).meta == TensorMeta{DType::Float32, {2, 4}, std::nullopt});
    }

    TEST_CASE("names are made unique") {
        GraphBuilder b("names");
        const ValueRef x = b.input("relu", {{2}});
        b.call("aten.relu.default", {x}, {{2}});
        b.call("aten.relu.default", {x}, {{2}});
        CHECK(b.build().graph.nodes[0].name == "relu_1");
        CHECK(b.build().graph.nodes[1].name == "relu_2");
    }

    TEST_CASE("several returns are several outputs, a list is one") {
        GraphBuilder b("many");
        const ValueRef x = b.input("x", {{4, 6}});
        const auto top = b.call_many("aten.topk.default", {x, 2}, {{{4, 2}}, {{4, 2}, DType::Int64}});
        const auto parts = b.call_many("aten.split.Tensor", {x, 3, 1}, {{{4, 3}}, {{4, 3}}});
        const Graph& graph = b.build().graph;
        CHECK(graph.nodes[0].outputs == std::vector<Argument>{top[0], top[1]});
        CHECK(graph.value(top[1]).name == "topk_1");
        CHECK(graph.value(top[1]).producer_output_idx == 1);
        CHECK(graph.nodes[1].outputs == std::vector<Argument>(1, ArgumentList{parts[0], parts[1]}));
        CHECK(graph.nodes[1].output_values() == std::vector<ValueRef>{parts[0], parts[1]});
    }

    TEST_CASE("named arguments take the schema's order") {
        GraphBuilder b("order");
        const ValueRef x = b.input("x", {{4}});
        b.call("aten.sum.dim_IntList", {x}, {{1}}, {{"keepdim", true}, {"dim", ArgumentList{0}}});
        const Node& node = b.build().graph.nodes[0];
        CHECK(node.args == std::vector<NamedArgument>{{"self", x}, {"dim", ArgumentList{0}}, {"keepdim", true}});
    }

    TEST_CASE("an op without a known schema keeps its arguments as they are") {
        GraphBuilder b("custom");
        const ValueRef x = b.input("x", {{4}});
        b.call("mine.op.default", {x, 3}, {{4}}, {{"mode", "fast"}});
        CHECK(b.build().graph.nodes[0].args == std::vector<NamedArgument>{{"", x}, {"", 3}, {"mode", "fast"}});
    }

    TEST_CASE("the last node is there after a call") {
        GraphBuilder b("last");
        const ValueRef x = b.input("x", {{4}});
        CHECK_THROWS_WITH_AS(b.last_node(), "no op has been called yet", ArgumentError);
        b.call("aten.relu.default", {x}, {{4}});
        CHECK(b.last_node().name == "relu");
    }

    TEST_CASE("a value of the inputs is found with its role") {
        GraphBuilder b("roles");
        const ValueRef x = b.input("x", {{2, 8}});
        const ValueRef w = b.parameter("p_w", "lin.weight", {{4, 8}});
        const ValueRef y = b.call("aten.linear.default", {x, w}, {{2, 4}});
        const Model& model = b.build();
        REQUIRE(input_spec(model, w));
        CHECK(input_spec(model, w)->target == "lin.weight");
        CHECK(input_spec(model, x)->kind == InputKind::UserInput);
        CHECK(input_spec(model, y) == nullptr);
    }

    TEST_CASE("calls that do not fit the schema are refused") {
        GraphBuilder b("bad");
        const ValueRef x = b.input("x", {{4}});
        CHECK_THROWS_WITH_AS(b.call("aten.relu.default", {x, x}, {{4}}),
                             "op 'aten.relu.default' takes 1 positional arguments, found 2", SchemaError);
        CHECK_THROWS_WITH_AS(b.call("aten.relu.default", {x}, {{4}}, {{"slope", 2}}),
                             "op 'aten.relu.default' has no argument 'slope'", SchemaError);
        CHECK_THROWS_WITH_AS(b.call("aten.relu.default", {x}, {{4}}, {{"self", x}}),
                             "op 'aten.relu.default' is given its argument 'self' twice", SchemaError);
        CHECK_THROWS_WITH_AS(b.call("aten.add.Tensor", {x}, {{4}}), "op 'aten.add.Tensor' lacks its argument 'other'",
                             SchemaError);
        CHECK_THROWS_WITH_AS(b.call("aten.relu.default", {ValueRef{9}}, {{4}}), "value 9 is none of the graph's",
                             ArgumentError);
        CHECK_THROWS_WITH_AS(b.output(ValueRef{17}), "output 0: value 17 is none of the graph's", ArgumentError);
        CHECK_THROWS_WITH_AS(b.output(ArgumentList{x, ValueRef{17}}), "output 0: value 17 is none of the graph's",
                             ArgumentError);
        CHECK_THROWS_WITH_AS(b.constant_input(x), "a constant input cannot be a value of the graph", ArgumentError);
        CHECK(b.build().graph.outputs.empty());
        CHECK(b.build().graph.inputs.size() == 1);
        CHECK_THROWS_WITH_AS(b.input("x", {{4}}), "the name 'x' is taken", ArgumentError);
        CHECK_THROWS_WITH_AS(b.constant("c", "c", {{2}}, {}), "constant 'c' takes 8 bytes, found 0", ArgumentError);
    }
}
