// SPDX-License-Identifier: MIT
#include "interpreter.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "load.hpp"
#include "support/graphs.hpp"
#include "verification/suite.hpp"

using namespace torch_ir;
using test::floats;
using test::values;

namespace {

const std::filesystem::path zoo = "tests/data/zoo/pytorch_ir";

GraphBuilder linear_model() {
    GraphBuilder b("Linear");
    const auto x = b.input("x", {{2, 3}});
    const auto w = b.parameter("p_lin_weight", "lin.weight", {{4, 3}});
    b.output(b.call("aten.linear.default", {x, w}, {{2, 4}}));
    return b;
}

Weights weights_of(const std::string& name, const Tensor& tensor) {
    Weights weights;
    weights.insert(name, to_view(tensor));
    return weights;
}

/// y = x[:, :, None] of a batch whose first size is a symbol between 2 and 8.
GraphBuilder dynamic_model() {
    GraphBuilder b("Dynamic");
    const Dim s0(parse_expr("s0"));
    const Dim twice(parse_expr("2*s0"));
    const auto x = b.input("x", {{s0, 3}});
    const auto y = b.input("y", {{twice, 3}});
    b.output(b.call("aten.cat.default", {ArgumentList{x, y}}, {{Dim(parse_expr("3*s0")), 3}}));
    return b;
}

}  // namespace

TEST_CASE("the models of pytorch-ir run from their JSON and from their .pt2, within tolerance") {
    for (const auto& entry : std::filesystem::directory_iterator(zoo)) {
        const LoadedModel json = load_model(entry.path());
        CHECK_FALSE(json.is_pt2);
        for (const LoadedModel& loaded : {json, load_model(entry.path() / "model_meta.pt2")}) {
            Interpreter interpreter(loaded.model);
            interpreter.load_weights(load_weights(loaded, {}));
            const RunResult result = interpreter.run(interpreter.bind_inputs(load_inputs(loaded, "")));
            const auto verdicts = judge(result, load_expected(loaded, ""), std::nullopt, std::nullopt);
            CHECK(!verdicts.empty());
            for (const OutputVerdict& verdict : verdicts)
                CHECK_MESSAGE(verdict.comparison.passed,
                              loaded.path.string() << ": " << verdict.name << ": " << verdict.comparison.message);
        }
    }
}

TEST_CASE("missing and misshapen weights are all named, with the closest name") {
    Interpreter interpreter(test::model_of(linear_model()));
    CHECK_THROWS_WITH_AS(interpreter.load_weights(weights_of("lin.weigth", floats({4, 3}, std::vector<float>(12)))),
                         "weights: 'lin.weight' (float32[4, 3]) is missing; the closest name is 'lin.weigth'",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(
        interpreter.load_weights(weights_of("module.lin.weight", floats({4, 3}, std::vector<float>(12)))),
        "weights: 1 of 1 missing name is there when the prefix 'module.' is stripped from the names in "
        "the file; 'lin.weight' (float32[4, 3]) is missing; the closest name is 'module.lin.weight'",
        ArgumentError);
    CHECK_THROWS_WITH_AS(
        interpreter.load_weights(weights_of("lin.weight.qdata", floats({4, 3}, std::vector<float>(12)))),
        "weights: 'lin.weight' (float32[4, 3]) is a subclass of Tensor made of 'lin.weight.qdata', and the graph uses "
        "it as a whole: take it apart by run_decompositions({}) after the export, or dequantize() it before",
        ArgumentError);
    CHECK_THROWS_WITH_AS(
        interpreter.load_weights(weights_of("embedding", floats({4, 3}, std::vector<float>(12)))),
        "weights: 'lin.weight' (float32[4, 3]) is missing; if it is tied to 'embedding', the only tensor like it, the "
        "file needs it under both names",
        ArgumentError);
    CHECK_THROWS_WITH_AS(interpreter.load_weights(weights_of("lin.weight", floats({3, 4}, std::vector<float>(12)))),
                         "weights: 'lin.weight': expected float32[4, 3], found float32[3, 4]", ArgumentError);
    CHECK_THROWS_WITH_AS(interpreter.run({floats({2, 3}, std::vector<float>(6))}),
                         "weight 'lin.weight' has no value: load_weights was not called", ArgumentError);
}

TEST_CASE("a weight has the strides of the graph, whatever those in the file are") {
    GraphBuilder b("Strided");
    const auto w = b.parameter("p_w", "w", {{2, 3}});
    b.output(b.call("aten.as_strided.default", {w, ArgumentList{6}, ArgumentList{1}}, {{6}}));
    Model model = b.build();
    model.graph.value(w).meta.strides = Shape{1, 2};
    Interpreter interpreter(std::make_shared<const Model>(model));
    interpreter.load_weights(weights_of("w", floats({2, 3}, {1, 2, 3, 4, 5, 6})));
    CHECK(test::values(value_tensor(interpreter.run({}).outputs[0].value)) == std::vector<double>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("a result of another dtype or shape than the graph declares is told") {
    GraphBuilder b("Misdeclared");
    const auto x = b.input("x", {{2, 3}});
    const auto y = b.call("aten.t.default", {x}, {{2, 3}});
    const auto z = b.call("aten.gt.Scalar", {y, 0}, {{3, 2}});
    b.output(b.call("aten.sum.default", {z}, {{}, DType::Int64}));
    const Interpreter interpreter(test::model_of(b));
    const RunResult result = interpreter.run({floats({2, 3}, {1, -1, 2, -2, 3, -3})});
    CHECK(values(value_tensor(result.outputs[0].value)) == std::vector<double>{3});
    REQUIRE(result.undeclared.size() == 2);
    CHECK(result.undeclared[0].op_type == "aten.t.default");
    CHECK(result.undeclared[0].declared == "float32[2, 3]");
    CHECK(result.undeclared[0].computed == "float32[3, 2]");
    CHECK(result.undeclared[1].op_type == "aten.gt.Scalar");
    CHECK(result.undeclared[1].declared == "float32[3, 2]");
    CHECK(result.undeclared[1].computed == "bool[3, 2]");
}

TEST_CASE("an assertion of the graph that does not hold ends the run") {
    GraphBuilder b("Asserts");
    const auto x = b.input("x", {{3}});
    const auto positive = b.call("aten.gt.Scalar", {x, 0.0}, {{3}, DType::Bool});
    const auto all = b.call("aten.all.default", {positive}, {{}, DType::Bool});
    b.call_many("aten._assert_async.msg", {all, "x must be positive"}, {});
    b.output(b.call("aten.log.default", {x}, {{3}}));
    const Interpreter interpreter(test::model_of(b));
    CHECK(test::values(value_tensor(interpreter.run({floats({3}, {1, 1, 1})}).outputs[0].value)) ==
          std::vector<double>{0, 0, 0});
    CHECK_THROWS_WITH_AS(interpreter.run({floats({3}, {1, -1, 1})}),
                         "node '_assert_async' (aten._assert_async.msg): x must be positive", ArgumentError);
}

TEST_CASE("inputs are checked: missing, extra, shape, dtype") {
    const Interpreter interpreter(test::model_of(linear_model()));
    CHECK_THROWS_WITH_AS(interpreter.bind_inputs({{"z", floats({2, 3}, std::vector<float>(6))}}),
                         "inputs: 'x' (float32[2, 3]) is missing; the closest name is 'z'; 'z' is not an input of the "
                         "model; the closest name is 'x'",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(interpreter.bind_inputs({{"x", floats({2, 4}, std::vector<float>(8))}}),
                         "inputs: 'x': expected float32[2, 3], found float32[2, 4]", ArgumentError);
    CHECK_THROWS_WITH_AS(interpreter.bind_inputs({{"input_0", Tensor::zeros({2, 3}, DType::Int64)}}),
                         "inputs: 'x': expected float32[2, 3], found int64[2, 3]", ArgumentError);
    CHECK(interpreter.bind_inputs({{"input_0", Tensor::zeros({2, 3}, DType::Float32)}}).size() == 1);

    Model model = linear_model().build();
    model.in_spec =
        R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple", "context": "null",
        "children_spec": [{"type": "builtins.list", "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}]}]},
        {"type": "builtins.dict", "context": "[]", "children_spec": []}]}])";
    model.forward_arg_names = {"images"};
    const Interpreter nested(std::make_shared<const Model>(model));
    CHECK(nested.bind_inputs({{"images[0]", Tensor::zeros({2, 3}, DType::Float32)}}).size() == 1);
}

TEST_CASE("symbols bind to the sizes of the inputs and are held to each other and their ranges") {
    Model model = dynamic_model().build();
    model.symbols = {{"s0", 3, 8}};
    const Interpreter interpreter(std::make_shared<const Model>(model));
    const auto run = [&](std::int64_t a, std::int64_t b) {
        const auto inputs = interpreter.bind_inputs({{"x", test::noise({a, 3}, 1)}, {"y", test::noise({b, 3}, 2)}});
        return std::get<Tensor>(interpreter.run(inputs).outputs[0].value).shape();
    };
    CHECK(run(3, 6) == Ints{9, 3});
    CHECK(run(8, 16) == Ints{24, 3});
    CHECK_THROWS_WITH_AS(run(4, 6), "inputs: input 'y' dimension 0: expected size 8 (2*s0), found 6", ArgumentError);
    CHECK_THROWS_WITH_AS(run(9, 18), "inputs: symbol 's0' is 9, outside its range [3, 8]", ArgumentError);
}

TEST_CASE("state is carried from run to run, declared by the signature or written in place") {
    const auto counter = [](bool in_place) {
        GraphBuilder b("counter");
        const ValueRef total = b.buffer("b_total", "total", {{2}, DType::Float32});
        const ValueRef x = b.input("x", {{2}, DType::Float32});
        const ValueRef next =
            b.call(in_place ? "aten.add_.Tensor" : "aten.add.Tensor", {total, x}, {{2}, DType::Float32});
        if (!in_place) b.output(next, {OutputKind::BufferMutation, "total"});
        b.output(b.call("aten.mul.Scalar", {next, 2}, {{2}, DType::Float32}));
        return std::make_shared<const Model>(b.build());
    };
    for (const bool in_place : {false, true}) {
        CAPTURE(in_place);
        Interpreter interpreter(counter(in_place));
        interpreter.load_weights(weights_of("total", floats({2}, {10, 20})));
        const std::vector<IValue> x{floats({2}, {1, 2})};
        const auto output = [](const RunResult& result) {
            const auto& y = std::get<Tensor>(result.outputs.back().value);
            return std::vector<float>(y.data<float>(), y.data<float>() + y.numel());
        };
        State state;
        CHECK(output(interpreter.run(x, state)) == std::vector<float>{22, 44});
        CHECK(output(interpreter.run(x, state)) == std::vector<float>{24, 48});
        CHECK(state.at("total").data<float>()[1] == 24);
        CHECK(output(interpreter.run(x)) == std::vector<float>{22, 44});  // the weights are as they were
        state.insert_or_assign("total", Tensor::zeros({3}, DType::Float32));
        CHECK_THROWS_WITH_AS(interpreter.run(x, state), "state 'total': expected float32[2], found float32[3]",
                             ArgumentError);
    }
}

TEST_CASE("one interpreter runs from several threads at once") {
    const LoadedModel loaded = load_model(zoo / "DeepResNet");
    Interpreter interpreter(loaded.model);
    interpreter.load_weights(load_weights(loaded, {}));
    const auto inputs = interpreter.bind_inputs(load_inputs(loaded, ""));
    const NamedTensors expected = load_expected(loaded, "");
    std::vector<int> passed(4);
    std::vector<std::jthread> threads;
    for (int& ok : passed)
        threads.emplace_back([&] {
            for (int i = 0; i < 3; ++i) {
                const auto verdicts = judge(interpreter.run(inputs), expected, std::nullopt, std::nullopt);
                ok += verdicts.size() == 1 && verdicts[0].comparison.passed ? 1 : 0;
            }
        });
    threads.clear();
    CHECK(passed == std::vector<int>{3, 3, 3, 3});
}

TEST_CASE("compare holds NaN equal to NaN, infinities by sign, and says where it is worst") {
    const float inf = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor expected = floats({4}, {nan, inf, 2, 100});
    CHECK(compare(floats({4}, {nan, inf, 2, 100.05F}), expected, {1e-3, 0}).passed);
    CHECK_FALSE(compare(floats({4}, {nan, -inf, 2, 100}), expected, {1e-3, 0}).passed);
    CHECK_FALSE(compare(floats({4}, {0, inf, 2, 100}), expected, {1e-3, 0}).passed);
    const Comparison worst = compare(floats({2, 2}, {0, 1, 2, 5}), floats({2, 2}, {0, 1, 2, 4}), {0, 0.5});
    CHECK(worst.mismatches == 1);
    CHECK(worst.worst_index == 3);
    CHECK(worst.max_abs == 1);
    CHECK(worst.max_rel == 0.25);
    CHECK(worst.mean_abs == 0.25);
    CHECK(compare(floats({1}, {1}), floats({2}, {1, 1}), {}).message == "expected shape [2], found [1]");
}
