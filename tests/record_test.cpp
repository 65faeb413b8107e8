// SPDX-License-Identifier: MIT
// Drawing inputs, and cutting cases out of a run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/graphs.hpp"
#include "verification/random_inputs.hpp"
#include "verification/reduce.hpp"
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
        CHECK(random_inputs(model, {0, false, {{"s0", 3}}}).at("x").shape() == Ints{3, 6, 5});
        CHECK_THROWS_WITH_AS(random_inputs(model, {0, false, {{"s0", 9}}}), "size s0 = 9 lies outside its range",
                             ArgumentError);
    }
}

TEST_SUITE("reduce") {
    TEST_CASE("symbolic sizes shrink with all that depends on them and stay symbolic") {
        GraphBuilder b("symbols");
        const Dim s0(parse_expr("s0"), 6);
        const ValueRef x = b.input("x", {{s0, 3}});
        const ValueRef y = b.input("y", {{Dim(parse_expr("2*s0"), 12), 3}});
        b.output(b.call("aten.cat.default", {ArgumentList{x, y}}, {{Dim(parse_expr("3*s0"), 18), 3}}));
        CaseFiles files;
        files.model = b.build();
        files.inputs = {{"x", test::noise({6, 3}, 1)}, {"y", test::noise({12, 3}, 2)}};
        const auto proposals = smaller_sizes(files);
        REQUIRE_FALSE(proposals.empty());
        CHECK(proposals[0].first == "size s0 = 6 became 1");
        const std::optional<CaseFiles> smaller = run_again(proposals[0].second);
        REQUIRE(smaller);
        CHECK(smaller->inputs[0].second.shape() == Ints{1, 3});
        CHECK(smaller->inputs[1].second.shape() == Ints{2, 3});
        CHECK(smaller->expected[0].second.shape() == Ints{3, 3});
        CHECK(to_string(smaller->model.graph.value(x).meta.shape[0]) == "s0");
    }

    TEST_CASE("fixed sizes shrink together, and where a size is written as an argument") {
        GraphBuilder b("fixed");
        const ValueRef x = b.input("x", {{4, 6}});
        const ValueRef w = b.input("w", {{5, 6}});
        const ValueRef y = b.call("aten.linear.default", {x, w}, {{4, 5}});
        b.output(b.call("aten.view.default", {y, ArgumentList{2, 2, 5}}, {{2, 2, 5}}));
        CaseFiles files;
        files.model = b.build();
        files.inputs = {{"x", test::noise({4, 6}, 1)}, {"w", test::noise({5, 6}, 2)}};
        bool inner = false, outer = false;
        for (const auto& [what, proposal] : smaller_sizes(files)) {
            const std::optional<CaseFiles> smaller = run_again(proposal);
            if (what == "size 6 became 1") {
                REQUIRE(smaller);
                inner =
                    smaller->inputs[0].second.shape() == Ints{4, 1} && smaller->inputs[1].second.shape() == Ints{5, 1};
            }
            if (what == "size 5 became 2") {
                REQUIRE(smaller);
                outer = smaller->expected[0].second.shape() == Ints{2, 2, 2};
            }
            if (what == "size 4 became 1") CHECK_FALSE(smaller);  // 1 x 5 elements are no [2, 2, 5]
        }
        CHECK(inner);
        CHECK(outer);
    }

    TEST_CASE("arguments go back to their defaults, values to zeros, ones and whole numbers") {
        GraphBuilder b("plain");
        const ValueRef x = b.input("x", {{3}});
        b.output(b.call("aten.add.Tensor", {x, x}, {{3}}, {{"alpha", 2}}));
        CaseFiles files;
        files.model = b.build();
        files.inputs = {{"x", floats({3}, {0.3F, 1.6F, -2.2F})}};
        const auto arguments = plainer_arguments(files);
        REQUIRE(arguments.size() == 1);
        CHECK(arguments[0].first == "argument 'alpha' of 'add' became 1 (was 2)");
        const auto smaller = run_again(arguments[0].second);
        REQUIRE(smaller);
        CHECK(test::values(smaller->expected[0].second)[0] == doctest::Approx(0.6));
        const auto values = plainer_values(files);
        REQUIRE(values.size() == 4);
        CHECK(test::values(values[0].second.inputs[0].second) == std::vector<double>{0, 0, 0});
        CHECK(test::values(values[2].second.inputs[0].second) == std::vector<double>{0, 2, -2});
        CHECK(test::values(values[3].second.inputs[0].second) == std::vector<double>{0.5, 1.5, -2});
        files.inputs[0].second = floats({3}, {0, 0, 0});
        CHECK(plainer_values(files).empty());
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

    TEST_CASE("a value that is changed in place is recorded as each node saw it") {
        GraphBuilder b("in_place");
        const ValueRef x = b.input("x", {{2, 2}});
        const ValueRef zeros = b.call("aten.zeros_like.default", {x}, {{2, 2}});
        const ValueRef row = b.call("aten.select.int", {zeros, 0, 1}, {{2}});
        b.call("aten.add_.Scalar", {row, 5.0}, {{2}});  // changes `zeros` through its view
        const ValueRef neg = b.call("aten.neg.default", {zeros}, {{2, 2}});
        b.call("aten.add_.Scalar", {x, 1.0}, {{2, 2}});
        b.output(b.call("aten.add.Tensor", {neg, x}, {{2, 2}}));
        const Tape tape(test::model_of(b), {}, {{"x", floats({2, 2}, {1, 2, 3, 4})}});
        const CaseFiles files = tape.cut({3});
        CHECK(test::values(files.inputs[0].second) == std::vector<double>{0, 0, 5, 5});
        const CaseFiles sum = tape.cut({5});
        CHECK(test::values(sum.inputs[0].second) == std::vector<double>{2, 3, 4, 5});
        const CaseFiles change = tape.cut({4});
        CHECK(test::values(change.inputs[0].second) == std::vector<double>{1, 2, 3, 4});
        for (const std::uint32_t node : {0U, 1U, 2U, 3U, 4U, 5U}) CHECK(check_case(tape.cut({node})).empty());
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
