// SPDX-License-Identifier: MIT
// Drawing inputs, and cutting cases out of a run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/graphs.hpp"
#include "verification/random_inputs.hpp"
#include "verification/split.hpp"
#include "verification/tape.hpp"

using namespace torch_ir;
using test::floats;

namespace {

std::pair<double, double> range_of(const Tensor& tensor) {
    const std::vector<double> numbers = test::values(tensor);
    const auto [least, most] = std::ranges::minmax_element(numbers);
    return {*least, *most};
}

}  // namespace

TEST_SUITE("random inputs") {
    TEST_CASE("indices lie in what they index, through views and additions") {
        GraphBuilder b("indices");
        const ValueRef table = b.parameter("p", "table", {{7, 2}});
        const ValueRef ids = b.input("ids", {{500}, DType::Int64});
        const ValueRef shifted = b.call("aten.add.Tensor", {ids, 2}, {{500}, DType::Int64});
        const ValueRef row = b.call("aten.unsqueeze.default", {shifted, 0}, {{1, 500}, DType::Int64});
        b.output(b.call("aten.embedding.default", {table, row}, {{1, 500, 2}}));
        const ValueRef x = b.input("x", {{5, 3}});
        const ValueRef at = b.input("at", {{5, 300}, DType::Int64});
        b.output(b.call("aten.gather.default", {x, 1, at}, {{5, 300}}));
        const NamedTensors inputs = random_inputs(b.build(), {});
        CHECK(range_of(inputs.at("ids")) == std::pair(0.0, 4.0));  // 2 is added before the table of 7 rows is read
        CHECK(range_of(inputs.at("at")) == std::pair(0.0, 2.0));
        CHECK(inputs.at("x").dtype() == DType::Float32);
    }

    TEST_CASE("masks are 0 or 1, floats normal, bytes 0 to 255") {
        GraphBuilder b("kinds");
        b.output(b.input("mask", {{2000}, DType::Bool}));
        b.output(b.input("attention_mask", {{2000}, DType::Int64}));
        b.output(b.input("x", {{2000}, DType::Float32}));
        b.output(b.input("image", {{20000}, DType::UInt8}));
        const NamedTensors inputs = random_inputs(b.build(), {});
        CHECK(range_of(inputs.at("mask")) == std::pair(0.0, 1.0));
        CHECK(range_of(inputs.at("attention_mask")) == std::pair(0.0, 1.0));
        CHECK(range_of(inputs.at("image")) == std::pair(0.0, 255.0));
        double sum = 0, squares = 0;
        for (const double v : test::values(inputs.at("x"))) {
            sum += v;
            squares += v * v;
        }
        CHECK(std::abs(sum / 2000) < 0.1);  // 4.5 standard deviations
        CHECK(std::abs(squares / 2000 - 1) < 0.15);
    }

    TEST_CASE("symbols have the size asked for, at export, or the least") {
        GraphBuilder b("sizes");
        const Dim s(parse_expr("s0"), 6);
        b.output(b.input("x", {{s, Dim(parse_expr("2*s0"), 12), Dim(parse_expr("s1"))}}));
        Model model = b.build();
        model.symbols = {{"s0", 2, 8}, {"s1", 5, 9}};
        CHECK(random_inputs(model, {}).at("x").shape() == Ints{6, 12, 5});
        CHECK(random_inputs(model, {0, {{"s0", 3}}}).at("x").shape() == Ints{3, 6, 5});
        CHECK_THROWS_WITH_AS(random_inputs(model, {0, {{"s0", 9}}}), "size s0 = 9 lies outside its range",
                             ArgumentError);
    }
}

TEST_SUITE("tape") {
    TEST_CASE("a cut holds what the run saw at its edges") {
        GraphBuilder b("chain");
        const ValueRef x = b.input("x", {{2}});
        const ValueRef w = b.parameter("p", "w", {{2}});
        const ValueRef mul = b.call("aten.mul.Tensor", {x, w}, {{2}});
        const ValueRef add = b.call("aten.add.Tensor", {mul, w}, {{2}});
        b.output(b.call("aten.neg.default", {add}, {{2}}));
        Weights weights;
        weights.insert("w", to_view(floats({2}, {10, 20})));
        const Tape tape(test::model_of(b), weights, {{"x", floats({2}, {1, 2})}});
        const CaseFiles files = tape.cut({1});
        REQUIRE(files.inputs.size() == 1);
        CHECK(files.inputs[0].first == "mul");
        CHECK(test::values(files.inputs[0].second) == std::vector<double>{10, 40});
        REQUIRE(files.weights.size() == 1);
        CHECK(files.weights[0].first == "w");
        CHECK(test::values(files.expected[0].second) == std::vector<double>{20, 60});
        CHECK(check_case(files).empty());
        CaseFiles wrong = files;
        wrong.expected[0].second = floats({2}, {20, 61});
        CHECK(check_case(wrong).starts_with("output_0: 1 of 2 elements differ"));
    }

    TEST_CASE("equal nodes are one case; strides, sizes and arguments tell them apart") {
        GraphBuilder b("repeats");
        const ValueRef x = b.input("x", {{2, 2}});
        const ValueRef one = b.call("aten.relu.default", {x}, {{2, 2}});
        const ValueRef two = b.call("aten.relu.default", {one}, {{2, 2}});
        const ValueRef three = b.call("aten.elu.default", {two, 0.5}, {{2, 2}});
        b.output(b.call("aten.elu.default", {three, 0.25}, {{2, 2}}));
        const auto cases = find_split_cases(b.build(), false);
        REQUIRE(cases.size() == 3);
        CHECK(cases[0].category == "aten.relu.default");
        CHECK(cases[0].count == 2);
        CHECK(cases[1].count == 1);
    }

    TEST_CASE("groups are found with views and masks between") {
        GraphBuilder b("groups");
        const ValueRef x = b.input("x", {{1, 3, 8, 8}});
        const ValueRef w = b.parameter("w", "w", {{4, 3, 3, 3}});
        const ValueRef c = b.parameter("c", "c", {{4}});
        const ValueRef conv = b.call("aten.conv2d.default", {x, w}, {{1, 4, 6, 6}});
        const ValueRef norm =
            b.call("aten.batch_norm.default", {conv, c, c, c, c, false, 0.1, 1e-5, false}, {{1, 4, 6, 6}});
        b.output(b.call("aten.relu.default", {norm}, {{1, 4, 6, 6}}));
        const ValueRef q = b.input("q", {{2, 5, 5}});
        const ValueRef scores = b.call("aten.matmul.default", {q, q}, {{2, 5, 5}});
        const ValueRef scaled = b.call("aten.mul.Scalar", {scores, 0.5}, {{2, 5, 5}});
        const ValueRef weights = b.call("aten.softmax.int", {scaled, -1}, {{2, 5, 5}});
        b.output(b.call("aten.matmul.default", {weights, q}, {{2, 5, 5}}));
        std::vector<std::string> groups;
        for (const SplitCase& item : find_split_cases(b.build(), true))
            if (item.category.starts_with("group.")) {
                groups.push_back(item.category);
                CHECK(item.nodes.size() == (item.category == "group.attention" ? 4 : 3));
            }
        CHECK(groups == std::vector<std::string>{"group.conv_batch_norm_relu", "group.attention"});
    }
}
