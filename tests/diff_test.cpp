// SPDX-License-Identifier: MIT
#include "torch_ir/diff.hpp"

#include <doctest/doctest.h>

#include "torch_ir/builder.hpp"

using namespace torch_ir;

namespace {

struct Choice {
    const char* input = "x";
    const char* symbol = "s0";
    double eps = 1e-5;
    bool write_alpha = false;
    bool gelu = false;
    int size = 3;
};

/// layer_norm(x, [3], eps) + x, then relu or gelu.
Model sample(const Choice& choice) {
    GraphBuilder b("sample");
    const Shape shape{Dim(parse_expr(choice.symbol), 2), choice.size};
    const ValueRef x = b.input(choice.input, {shape});
    const ValueRef norm =
        b.call("aten.layer_norm.default", {x, ArgumentList{choice.size}, None{}, None{}, choice.eps}, {shape});
    const ValueRef sum = choice.write_alpha ? b.call("aten.add.Tensor", {norm, x}, {shape}, {{"alpha", 1}})
                                            : b.call("aten.add.Tensor", {norm, x}, {shape});
    b.output(b.call(choice.gelu ? "aten.gelu.default" : "aten.relu.default", {sum}, {shape}));
    return b.build();
}

}  // namespace

TEST_SUITE("diff") {
    TEST_CASE("names, names of symbols and written defaults do not count") {
        Choice other;
        other.input = "args_0";
        other.symbol = "s77";
        other.write_alpha = true;
        const ModelDiff found = diff(sample({}), sample(other));
        CHECK(found.equal());
        CHECK(found.matched == 3);
    }

    TEST_CASE("a tensor that is None is one that is left out, with or without a default") {
        GraphBuilder b("sample");
        const ValueRef x = b.input("x", {{1, 2, 5}});
        const ArgumentList one{1}, zero{0};
        b.output(b.call("aten.convolution.default",
                        {x, b.input("w", {{3, 2, 1}}), None{}, one, zero, one, false, zero, 1}, {{1, 3, 5}}));
        const Model written = b.build();
        Model left_out = written;
        std::erase_if(left_out.graph.nodes[0].args, [](const NamedArgument& arg) { return arg.value.is_none(); });
        CHECK(left_out.graph.nodes[0].args.size() == 8);
        CHECK(diff(written, left_out).equal());
    }

    TEST_CASE("a changed argument is one change, what follows is the same") {
        Choice other;
        other.eps = 1e-6;
        const ModelDiff found = diff(sample({}), sample(other));
        CHECK(found.matched == 3);
        CHECK(found.only_a.empty());
        REQUIRE(found.changed.size() == 1);
        CHECK(found.changed[0].what == "eps");
        CHECK(found.changed[0].from == "1e-05");
        CHECK(found.changed[0].to == "1e-06");
        CHECK(found.edges.empty());
    }

    TEST_CASE("another op is one node less and one more") {
        Choice other;
        other.gelu = true;
        const Model a = sample({});
        const Model b = sample(other);
        const ModelDiff found = diff(a, b);
        CHECK(found.only_a == std::vector<std::uint32_t>{2});
        CHECK(found.only_b == std::vector<std::uint32_t>{2});
        CHECK(found.matched == 2);
        REQUIRE(found.edges.size() == 1);
        CHECK(found.edges[0].what == "output 0");
        CHECK(to_json(found, a, b).find("\"op_type\": \"aten.gelu.default\"") != std::string::npos);
    }

    TEST_CASE("changed sizes are changes of inputs and results") {
        Choice other;
        other.size = 4;
        const ModelDiff found = diff(sample({}), sample(other));
        CHECK(found.only_a.empty());
        CHECK(found.only_b.empty());
        REQUIRE(found.edges.size() == 1);
        CHECK(found.edges[0].what == "input 0");
        std::size_t outputs = 0;
        for (const NodeChange& change : found.changed) outputs += change.what == "output 0" ? 1U : 0U;
        CHECK(outputs == 3);
        CHECK(found.changed.size() == 4);  // and normalized_shape
    }

    TEST_CASE("what is read decides, not the order of the nodes") {
        const auto build = [](bool swapped, bool crossed) {
            GraphBuilder b("two");
            const ValueRef x = b.input("x", {{2}});
            const ValueRef y = b.input("y", {{2}});
            const ValueRef first =
                swapped ? b.call("aten.cos.default", {y}, {{2}}) : b.call("aten.sin.default", {x}, {{2}});
            const ValueRef second =
                swapped ? b.call("aten.sin.default", {x}, {{2}}) : b.call("aten.cos.default", {y}, {{2}});
            const ValueRef sin = swapped ? second : first;
            const ValueRef cos = swapped ? first : second;
            b.output(crossed ? b.call("aten.sub.Tensor", {cos, sin}, {{2}})
                             : b.call("aten.sub.Tensor", {sin, cos}, {{2}}));
            return b.build();
        };
        CHECK(diff(build(false, false), build(true, false)).equal());
        const ModelDiff crossed = diff(build(false, false), build(false, true));
        CHECK(crossed.changed.size() == 2);
        CHECK(crossed.changed[0].what == "other");
        CHECK(crossed.changed[0].from == "cos");
        CHECK(crossed.changed[0].to == "sin");
    }
}
