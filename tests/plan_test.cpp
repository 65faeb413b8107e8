// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <doctest/doctest.h>

#include "alias.hpp"
#include "allocator.hpp"
#include "generator.hpp"
#include "kernels/kernels.hpp"
#include "support/graphs.hpp"

using namespace torch_ir;
using test::floats;
using test::noise;
using test::values;

namespace {

/// Counts what it sees.
struct Counter : Observer {
    std::vector<std::string> names;
    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue>) override {
        names.push_back(node.name);
    }
};

GraphBuilder residual_block() {
    GraphBuilder b("Residual");
    const auto x = b.input("x", {{2, 4, 6, 6}});
    const auto w = b.input("w", {{4, 4, 3, 3}});
    const auto gamma = b.input("gamma", {{4}});
    const auto beta = b.input("beta", {{4}});
    const auto mean = b.input("mean", {{4}});
    const auto variance = b.input("variance", {{4}});
    const auto conv =
        b.call("aten.conv2d.default", {x, w, None{}, ArgumentList{1, 1}, ArgumentList{1, 1}}, {{2, 4, 6, 6}});
    const auto norm =
        b.call("aten.batch_norm.default", {conv, gamma, beta, mean, variance, false, 0.1, 1e-5, true}, {{2, 4, 6, 6}});
    const auto sum = b.call("aten.add.Tensor", {norm, x}, {{2, 4, 6, 6}});
    b.output(b.call("aten.relu.default", {sum}, {{2, 4, 6, 6}}));
    return b;
}

}  // namespace

TEST_CASE("every op that cannot run is listed with its count before anything runs") {
    GraphBuilder b("Missing");
    auto x = b.input("x", {{2}});
    x = b.call("mine.first.default", {x}, {{2}});
    x = b.call("mine.second.default", {x}, {{2}});
    x = b.call("mine.second.default", {x}, {{2}});
    b.output(x);
    CHECK_THROWS_WITH_AS(
        Interpreter(test::model_of(b)),
        "2 ops are not supported: mine.second.default (2x; no such ATen op), mine.first.default (1x; no such ATen op)",
        UnsupportedError);
}

TEST_CASE("what torch.func leaves in a graph is said to go by decomposition") {
    GraphBuilder b("Jvp");
    b.output(b.call("torch._functorch.predispatch._unwrap_for_grad", {b.input("x", {{2}}), 1}, {{2}}));
    CHECK_THROWS_WITH_AS(Interpreter(test::model_of(b)),
                         "1 op is not supported: torch._functorch.predispatch._unwrap_for_grad (1x; no such ATen op); "
                         "run_decompositions() of the exported program replaces those of torch.func",
                         UnsupportedError);
}

TEST_CASE("detach_ writes to no element") {
    GraphBuilder b("Detached");
    const auto x = b.input("x", {{2}});
    const auto y = b.input("y", {{2}});
    b.call("aten.detach_.default", {x}, {{2}});
    b.call("aten.relu_.default", {y}, {{2}});
    b.output(b.call("aten.add.Tensor", {x, y}, {{2}}));
    CHECK(find_written_inputs(b.build().graph) == std::vector<bool>{false, true});
}

TEST_CASE("an error names the node and the op") {
    GraphBuilder b("Bad");
    const auto x = b.input("x", {{2, 3}});
    b.output(b.call("aten.mm.default", {x, x}, {{2, 3}}));
    CHECK_THROWS_WITH_AS(test::run(b, {{"x", noise({2, 3}, 1)}}),
                         "node 'mm' (aten.mm.default): mm: shapes [2, 3] and [2, 3] cannot be multiplied",
                         ArgumentError);
}

TEST_CASE("an argument of a wrong kind is refused when the plan is made") {
    GraphBuilder b("Bad");
    const auto x = b.input("x", {{2, 3}});
    b.output(b.call("aten.softmax.int", {x, "one"}, {{2, 3}}));
    CHECK_THROWS_WITH_AS(Interpreter(test::model_of(b)),
                         "node 'softmax' (aten.softmax.int): argument 'dim': expected int, found string",
                         ArgumentError);
}

TEST_CASE("convolution, batch norm, addition and activation become one step that gives the same") {
    const GraphBuilder b = residual_block();
    const std::map<std::string, Tensor, std::less<>> inputs{
        {"x", noise({2, 4, 6, 6}, 1)}, {"w", noise({4, 4, 3, 3}, 2)}, {"gamma", noise({4}, 3)},
        {"beta", noise({4}, 4)},       {"mean", noise({4}, 5)},       {"variance", floats({4}, {1, 2, 0.5F, 3})}};
    const auto model = test::model_of(b);
    const auto plan = Plan::compile({model, &model->graph}, builtin_registry());
    CHECK(plan->steps().size() == 1);

    Counter counter;
    const std::vector<double> fused = values(test::run(b, inputs));
    const std::vector<double> separate = values(test::run(b, inputs, &counter));
    CHECK(counter.names == std::vector<std::string>{"conv2d", "batch_norm", "add", "relu"});
    REQUIRE(fused.size() == separate.size());
    double largest = 0;
    double difference = 0;
    for (std::size_t i = 0; i < fused.size(); ++i) {
        largest = std::max(largest, separate[i]);
        difference = std::max(difference, std::fabs(fused[i] - separate[i]));
    }
    CHECK(largest > 1);
    CHECK(difference < 1e-5);
}

TEST_CASE("a value that something else reads is not merged away") {
    GraphBuilder b = residual_block();
    Model model = b.build();
    model.graph.outputs.push_back(*model.graph.find_value("batch_norm"));
    model.outputs.emplace_back();
    const auto shared = std::make_shared<const Model>(model);
    const auto plan = Plan::compile({shared, &shared->graph}, builtin_registry());
    CHECK(plan->steps().size() == 2);  // convolution and batch norm; addition and activation
    CHECK(plan->steps()[0].outputs ==
          std::vector<std::vector<std::uint32_t>>{{shared->graph.outputs.back().get_if<ValueRef>()->id}});
}

namespace {

/// x·σ(x)·0.5 + y as mul(sigmoid(x), x), mul(…, 0.5), add(…, y); the second value is an output, too.
GraphBuilder gated(const Shape& shape) {
    GraphBuilder b("Gated");
    const auto x = b.input("x", {shape});
    const auto y = b.input("y", {shape});
    const auto gate = b.call("aten.sigmoid.default", {x}, {shape});
    const auto half = b.call("aten.mul.Tensor", {b.call("aten.mul.Tensor", {gate, x}, {shape}), 0.5}, {shape});
    b.output(b.call("aten.add.Tensor", {half, y}, {shape}));
    b.output(half);
    return b;
}

}  // namespace

TEST_CASE("elementwise ops that follow each other become one step that gives the same bits, whatever the strides") {
    const GraphBuilder b = gated({130, 300});
    const auto model = test::model_of(b);
    CHECK(Plan::compile({model, &model->graph}, builtin_registry())->steps().size() == 1);

    const Tensor x = noise({130, 300}, 1);
    const Tensor y = noise({130, 300}, 2);
    const Tensor wide = noise({130, 600}, 3);
    for (const auto& [left, right] :
         {std::pair{x, y},
          {noise({300, 130}, 1).transpose(0, 1), noise({300, 130}, 2).transpose(0, 1)},
          {x, noise({300, 130}, 2).transpose(0, 1)},
          {wide.as_strided({130, 300}, {600, 1}, 0), wide.as_strided({130, 300}, {600, 1}, 300)},
          {noise({1, 300}, 1).expand(Ints{130, 300}), y}}) {
        const Interpreter interpreter(model);
        Counter counter;
        RunOptions observed;
        observed.observer = &counter;
        const auto inputs = interpreter.bind_inputs({{"x", left}, {"y", right}});
        const auto chained = interpreter.run(inputs).outputs;
        const auto separate = interpreter.run(inputs, observed).outputs;
        CHECK(counter.names.size() == 4);
        for (const std::size_t i : {0, 1}) {
            const auto& a = std::get<Tensor>(chained[i].value);
            const auto& expected = std::get<Tensor>(separate[i].value);
            CHECK(a.strides() == expected.strides());
            CHECK(values(a) == values(expected));
        }
        const double at = values(left)[777];
        CHECK(values(std::get<Tensor>(chained[1].value))[777] == doctest::Approx(0.5 * at / (1 + std::exp(-at))));
    }
}

TEST_CASE("a chain ends where shapes or dtypes change, or an op is not elementwise") {
    GraphBuilder b("Mixed");
    const auto x = b.input("x", {{4, 1}});
    const auto y = b.input("y", {{4, 6}});
    const auto narrow = b.call("aten.neg.default", {b.call("aten.exp.default", {x}, {{4, 1}})}, {{4, 1}});
    const auto sum = b.call("aten.add.Tensor", {narrow, y}, {{4, 6}});  // broadcast
    const auto soft = b.call("aten.softmax.int", {sum, -1}, {{4, 6}});
    b.output(b.call("aten.mul.Tensor", {b.call("aten.tanh.default", {soft}, {{4, 6}}), y}, {{4, 6}}));
    const auto model = test::model_of(b);
    CHECK(Plan::compile({model, &model->graph}, builtin_registry())->steps().size() == 4);
    Counter counter;
    const std::map<std::string, Tensor, std::less<>> inputs{{"x", noise({4, 1}, 1)}, {"y", noise({4, 6}, 2)}};
    CHECK(values(test::run(b, inputs)) == values(test::run(b, inputs, &counter)));
    CHECK(counter.names.size() == 6);
}

TEST_CASE("the caller's tensors stay as they are when the graph writes in place") {
    GraphBuilder b("InPlace");
    const auto x = b.input("x", {{3}});
    const auto view = b.call("aten.view.default", {x, ArgumentList{3}}, {{3}});
    b.call("aten.mul_.Tensor", {view, 2.0}, {{3}});
    b.output(b.call("aten.add.Tensor", {x, 1}, {{3}}));
    CHECK(find_written_inputs(b.build().graph) == std::vector<bool>{true});
    const Tensor input = floats({3}, {1, 2, 3});
    CHECK(values(test::run(b, {{"x", input}})) == std::vector<double>{3, 5, 7});
    CHECK(values(input) == std::vector<double>{1, 2, 3});
}

TEST_CASE("values are freed after their last use") {
    GraphBuilder b("Chain");
    auto x = b.input("x", {{1 << 18}});
    for (int i = 0; i < 20; ++i) x = b.call("aten.add.Tensor", {x, 1}, {{1 << 18}});
    b.output(x);
    const Tensor input = Tensor::zeros({1 << 18}, DType::Float32);
    const std::size_t before = peak_allocated_bytes();
    CHECK(values(test::run(b, {{"x", input}}))[5] == 20);
    CHECK(peak_allocated_bytes() - before <= std::size_t{5}
                                                 << 20);  // a few of the 1 MB tensors and the double copy here, not 20
}

TEST_CASE("pytorch-ir's getitem nodes select a result") {
    GraphBuilder b("Getitem");
    const auto x = b.input("x", {{4, 2}});
    const auto parts = b.call_many("aten.split.Tensor", {x, 3}, {{{3, 2}}, {{1, 2}}});
    const auto picked = b.call("<built-in function getitem>", {parts[0], parts[1]}, {{1, 2}}, {{"index", 1}});
    b.output(picked);
    CHECK(values(test::run(b, {{"x", floats({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7})}})) == std::vector<double>{6, 7});
}

TEST_CASE("an op that looks at the memory finds a convolution's result as it lies in PyTorch") {
    const std::map<std::string, Tensor, std::less<>> inputs{{"x", floats({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})},
                                                            {"w", floats({2, 2, 1, 1}, {1, 0, 0, 1})}};
    const auto convolve = [](GraphBuilder& b) {
        return b.call("aten.conv2d.default", {b.input("x", {{1, 2, 2, 2}}), b.input("w", {{2, 2, 1, 1}})},
                      {{1, 2, 2, 2}});
    };
    GraphBuilder strided("Strided");
    const auto row = strided.call("aten.relu.default", {convolve(strided)}, {{1, 2, 2, 2}});
    strided.output(strided.call("aten.as_strided.default", {row, ArgumentList{8}, ArgumentList{1}}, {{8}}));
    CHECK(values(test::run(strided, inputs)) == std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7});

    GraphBuilder random("Random"), plain("Plain");
    random.output(random.call("aten.rand_like.default", {convolve(random)}, {{1, 2, 2, 2}}));
    plain.output(plain.call("aten.rand_like.default", {plain.input("x", {{1, 2, 2, 2}})}, {{1, 2, 2, 2}}));
    default_generator().manual_seed(7);
    const std::vector<double> drawn = values(test::run(random, inputs));
    default_generator().manual_seed(7);
    CHECK(drawn == values(test::run(plain, {{"x", inputs.at("x")}})));
}

TEST_CASE("what is written to a view of a convolution's result is written to that") {
    const std::map<std::string, Tensor, std::less<>> inputs{{"x", floats({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})},
                                                            {"w", floats({2, 2, 1, 1}, {1, 0, 0, 1})}};
    for (const bool to_view : {true, false}) {
        GraphBuilder b("View");
        const auto conv =
            b.call("aten.conv2d.default", {b.input("x", {{1, 2, 2, 2}}), b.input("w", {{2, 2, 1, 1}})}, {{1, 2, 2, 2}});
        const auto view = b.call("aten.view.default", {conv, ArgumentList{8}}, {{8}});
        if (to_view) {
            b.call("aten.add_.Scalar", {view, 1}, {{8}});
            b.output(b.call("aten.mul.Scalar", {conv, 2}, {{1, 2, 2, 2}}));
        } else {
            b.call("aten.add_.Scalar", {conv, 1}, {{1, 2, 2, 2}});
            b.output(b.call("aten.mul.Scalar", {view, 2}, {{8}}));
        }
        CHECK(values(test::run(b, inputs)) == std::vector<double>{2, 4, 6, 8, 10, 12, 14, 16});
    }
}
