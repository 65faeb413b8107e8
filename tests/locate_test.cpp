// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "support/locate.hpp"
#include "verification/derived.hpp"
#include "verification/profile.hpp"

using namespace torch_ir;
using test::dump;
using test::floats;
using test::Inputs;
using test::locate_in;
using test::noise;
using test::only_origin;

namespace {

/// What may be wrong with a candidate's network.
struct Fault {
    double eps = 1e-5;
    std::string gelu = "none";
    bool bias = true;
};

/// linear, gelu, layer_norm, linear, softmax.
GraphBuilder network(const Fault& fault = {}) {
    GraphBuilder b("Net");
    const auto x = b.input("x", {{16, 64}});
    const auto w1 = b.input("w1", {{48, 64}});
    const auto b1 = b.input("b1", {{48}});
    const auto w2 = b.input("w2", {{10, 48}});
    const auto b2 = b.input("b2", {{10}});
    auto y = b.call("aten.linear.default", {x, w1, b1}, {{16, 48}});
    y = b.call("aten.gelu.default", {y}, {{16, 48}}, {{"approximate", fault.gelu}});
    y = b.call("aten.layer_norm.default", {y, ArgumentList{48}, None{}, None{}, fault.eps}, {{16, 48}});
    y = b.call("aten.linear.default", {y, w2, fault.bias ? Argument(b2) : Argument(None{})}, {{16, 10}});
    b.output(b.call("aten.softmax.int", {y, -1}, {{16, 10}}));
    return b;
}

Inputs inputs() {
    return {{"x", noise({16, 64}, 1)},
            {"w1", noise({48, 64}, 2)},
            {"b1", noise({48}, 3)},
            {"w2", noise({10, 48}, 4)},
            {"b2", noise({10}, 5)}};
}

}  // namespace

TEST_CASE("rounding is explained, in whatever order sums are taken") {
    NamedTensors candidate = dump(network(), inputs());
    const Tensor x = inputs().at("x");
    const Tensor w = inputs().at("w1");
    const Tensor b = inputs().at("b1");
    // The first linear from the last term to the first, in float.
    for (std::int64_t i = 0; i < 16; ++i)
        for (std::int64_t j = 0; j < 48; ++j) {
            float sum = b.data<float>()[j];
            for (std::int64_t k = 64; k-- > 0;) sum += x.data<float>()[i * 64 + k] * w.data<float>()[j * 64 + k];
            candidate.at("linear").data<float>()[i * 48 + j] = sum;
        }
    candidate.erase("gelu");
    candidate.erase("layer_norm");
    candidate.erase("linear_1");
    candidate.erase("softmax");
    const LocateResult result = locate_in(network(), inputs(), candidate);
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.findings.size() == 1);
    CHECK(result.absent == 4);
    CHECK(result.findings[0].rounding.max_abs > 0);
}

TEST_CASE("a run of one's own is explained in every value") {
    const LocateResult result = locate_in(network(), inputs(), dump(network(), inputs()));
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.findings.size() == 5);
    CHECK(result.absent == 0);
}

TEST_CASE("the node that introduces an error is told from those that inherit it, with what explains it") {
    const LocateResult eps = locate_in(network(), inputs(), dump(network({.eps = 1e-3}), inputs()));
    CHECK(eps.findings.size() == 5);
    CHECK(only_origin(eps).node->name == "layer_norm");
    REQUIRE(!only_origin(eps).hypotheses.empty());
    CHECK(only_origin(eps).hypotheses[0].name == "eps=0.001");
    CHECK(only_origin(eps).hypotheses[0].verdict == Verdict::Explained);

    const LocateResult gelu = locate_in(network(), inputs(), dump(network({.gelu = "tanh"}), inputs()));
    CHECK(only_origin(gelu).node->name == "gelu");
    CHECK(only_origin(gelu).rounding.verdict == Verdict::Wrong);
    CHECK(only_origin(gelu).hypotheses.at(0).name == "tanh gelu");

    const LocateResult bias = locate_in(network(), inputs(), dump(network({.bias = false}), inputs()));
    CHECK(only_origin(bias).node->name == "linear_1");
    CHECK(only_origin(bias).hypotheses.at(0).name == "bias missing");
}

TEST_CASE("two faults are two origins") {
    const LocateResult result = locate_in(network(), inputs(), dump(network({.eps = 1e-3, .bias = false}), inputs()));
    REQUIRE(result.origins().size() == 2);
    CHECK(result.origins()[0]->node->name == "layer_norm");
    CHECK(result.origins()[1]->node->name == "linear_1");
}

TEST_CASE("where the candidate shows nothing, the error is somewhere in the region") {
    NamedTensors candidate = dump(network({.bias = false}), inputs());
    for (const char* name : {"gelu", "layer_norm", "linear_1"}) candidate.erase(name);
    const LocateResult result = locate_in(network(), inputs(), candidate);
    CHECK(result.absent == 3);
    const Finding& origin = only_origin(result);
    CHECK(origin.node->name == "softmax");
    REQUIRE(origin.absent.size() == 3);
    CHECK(origin.absent[0]->name == "gelu");
    CHECK(origin.absent[2]->name == "linear_1");
}

TEST_CASE("one element that is off is found, with its index") {
    NamedTensors candidate = dump(network(), inputs());
    candidate.at("linear").data<float>()[100] += 1e-3F;
    const LocateResult result = locate_in(network(), inputs(), candidate);
    // What comes behind was computed from the right value: it is off by the same amount.
    REQUIRE(!result.origins().empty());
    CHECK(result.origins()[0]->node->name == "linear");
    CHECK(result.origins()[0]->rounding.worst_index == 100);
    CHECK(result.origins()[0]->rounding.max_abs == doctest::Approx(1e-3).epsilon(0.01));
    CHECK(to_string(result.origins()[0]->part) == "only [2, 4] differs: 1 of 768 elements");
    CHECK(result.origins()[0]->hypotheses.empty());  // no coarse arithmetic would do that
}

TEST_CASE("the part that differs is named, and what became of it") {
    const NamedTensors right = dump(network(), inputs());
    const auto origin = [&](auto change) {
        NamedTensors candidate = right;
        Tensor y = right.at("linear").clone();
        change(y);
        candidate.at("linear") = y;
        for (const char* behind : {"gelu", "layer_norm", "linear_1", "softmax"}) candidate.erase(behind);
        return only_origin(locate_in(network(), inputs(), candidate));
    };
    const auto row = [&](std::int64_t i) { return right.at("linear").narrow(0, i, 1); };

    const Finding swapped = origin([&](Tensor& y) {
        y.narrow(0, 3, 1).copy_from(row(5));
        y.narrow(0, 5, 1).copy_from(row(3));
    });
    CHECK(to_string(swapped.part) == "only [3:6, :] differs: 96 of 768 elements");
    CHECK(swapped.hypotheses.at(0).name == "slices 3 and 5 of dim 0 swapped");
    CHECK(swapped.hypotheses.at(0).verdict == Verdict::Explained);

    const Finding rolled = origin([&](Tensor& y) {
        for (std::int64_t i = 0; i < 16; ++i) y.narrow(0, (i + 2) % 16, 1).copy_from(row(i));
    });
    CHECK(!rolled.part.is_known());
    CHECK(rolled.hypotheses.at(0).name == "rolled by 2 along dim 0");

    const Finding flipped = origin([&](Tensor& y) {
        for (std::int64_t i = 0; i < 16; ++i) y.narrow(0, 15 - i, 1).copy_from(row(i));
    });
    CHECK(flipped.hypotheses.at(0).name == "flipped along dim 0");

    const Finding stale = origin([&](Tensor& y) {
        y.narrow(1, 47, 1).copy_from(Tensor::zeros({16, 1}, DType::Float32));
    });
    CHECK(to_string(stale.part) == "only [:, 47] differs: 16 of 768 elements");

    const Finding offset = origin([&](Tensor& y) {
        for (std::int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] += 0.125F;
    });
    CHECK(!offset.part.is_known());
    CHECK(offset.hypotheses.at(0).name == "off by 0.125 everywhere");
    CHECK(offset.hypotheses.at(0).verdict == Verdict::Explained);
}

TEST_CASE("inputs in tf32 are recognised as GPUs round them, and truncated") {
    for (const auto& [half, name] : {std::pair{0x1000U, "tf32 inputs"}, {0U, "truncated tf32 inputs"}}) {
        Inputs coarse = inputs();
        for (const char* operand : {"x", "w1", "b1"}) {
            Tensor& tensor = coarse.at(operand);
            for (std::int64_t i = 0; i < tensor.numel(); ++i) {
                float& value = tensor.data<float>()[i];
                // Every number is a tie: half way between two of those with 10 bits.
                const auto tie = (std::bit_cast<std::uint32_t>(value) & ~0x1FFFU) | 0x1000U;
                value = std::bit_cast<float>((tie + half) & ~0x1FFFU);
            }
        }
        Inputs ties = inputs();
        for (const char* operand : {"x", "w1", "b1"})
            for (std::int64_t i = 0; i < ties.at(operand).numel(); ++i) {
                float& value = ties.at(operand).data<float>()[i];
                value = std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) & ~0x1FFFU) | 0x1000U);
            }
        NamedTensors candidate = dump(network(), ties);
        candidate.at("linear") = dump(network(), coarse).at("linear");
        for (const char* behind : {"gelu", "layer_norm", "linear_1", "softmax"}) candidate.erase(behind);
        const LocateResult result = locate_in(network(), ties, candidate);
        CHECK(only_origin(result).hypotheses.at(0).name == name);
        CHECK(only_origin(result).hypotheses.at(0).verdict == Verdict::Explained);
    }
}

TEST_CASE("permuted, padded and renamed tensors are recognised") {
    GraphBuilder b("Conv");
    const auto x = b.input("x", {{1, 2, 5, 6}});
    const auto w = b.input("w", {{3, 2, 3, 3}});
    b.output(b.call("aten.conv2d.default", {x, w}, {{1, 3, 3, 4}}));
    const Inputs tensors{{"x", noise({1, 2, 5, 6}, 1)}, {"w", noise({3, 2, 3, 3}, 2)}};
    const Tensor conv = dump(b, tensors).at("conv2d");
    const Ints to_nhwc{0, 2, 3, 1};
    LocateResult result = locate_in(b, tensors, {{"output_0", conv.permute(to_nhwc).contiguous()}});
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.findings[0].layout == "permuted [0, 3, 1, 2]");

    const Tensor padded = Tensor::zeros({1, 8, 3, 4}, DType::Float32);
    padded.narrow(1, 0, 3).copy_from(conv);
    result = locate_in(b, tensors, {{"conv2d", padded}});
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.findings[0].layout == "padded to [1, 8, 3, 4]");

    CHECK_THROWS_WITH_AS(locate_in(b, tensors, {{"conv", conv}}),
                         "none of the candidate's tensors has the name of a value of the graph (the first is 'conv'; "
                         "the graph begins with 'conv2d'); a map for --map of the names that the numbers tell: "
                         "{\"conv\":\"conv2d\"}",
                         ArgumentError);
}

TEST_CASE("names that the graph does not have are found by the numbers, and names that are mixed up") {
    NamedTensors candidate = dump(network(), inputs());
    for (const auto& [from, to] : {std::pair{"gelu", "Act_3"}, {"softmax", "Prob"}}) {
        auto entry = candidate.extract(from);
        entry.key() = to;
        candidate.insert(std::move(entry));
    }
    candidate.emplace("other", noise({16, 48}, 9));
    LocateResult result = locate_in(network(), inputs(), candidate);
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.unknown == std::vector<std::string>{"Act_3", "Prob", "other"});
    CHECK(result.names == std::map<std::string, std::string>{{"Act_3", "gelu"}, {"Prob", "softmax"}});

    candidate = dump(network(), inputs());
    std::swap(candidate.at("linear"), candidate.at("layer_norm"));
    result = locate_in(network(), inputs(), candidate);
    REQUIRE(!result.origins().empty());
    CHECK(result.origins()[0]->value == "linear");
    CHECK(result.origins()[0]->other_name == "layer_norm");
}

TEST_CASE("a dump whose numbers are all of fewer digits is judged as rounded") {
    for (const DType dtype : {DType::Float16, DType::BFloat16})
        for (const bool as_float32 : {false, true}) {
            const auto rounded = [&](NamedTensors tensors) {
                for (auto& [name, tensor] : tensors) {
                    tensor = tensor.to(dtype);
                    if (as_float32) tensor = tensor.to(DType::Float32);
                }
                return tensors;
            };
            LocateResult result = locate_in(network(), inputs(), rounded(dump(network(), inputs())));
            CHECK(result.verdict() == Verdict::Explained);
            CHECK(result.stored == name(dtype));
            CHECK(result.written_only);
            result = locate_in(network(), inputs(), rounded(dump(network({.bias = false}), inputs())));
            CHECK(only_origin(result).node->name == "linear_1");
        }
    // Full precision is no such dump, whatever is wrong with it.
    CHECK(locate_in(network(), inputs(), dump(network({.bias = false}), inputs())).stored.empty());
    // Nor is one of another graph's dtype: the first value computed from the rounded inputs, and rounded itself.
    NamedTensors candidate;
    for (const auto& [name, tensor] : inputs()) candidate.emplace(name, tensor.to(DType::BFloat16));
    Inputs from;
    for (const auto& [name, tensor] : candidate) from.emplace(name, tensor.to(DType::Float32));
    candidate.emplace("linear", dump(network(), from).at("linear").to(DType::BFloat16));
    const LocateResult result = locate_in(network(), inputs(), candidate);
    CHECK(result.verdict() == Verdict::Explained);
    CHECK(result.stored == "bfloat16");
    CHECK(!result.written_only);
}

TEST_CASE("what the body of a higher-order op writes to its operands is what they hold from then on") {
    GraphBuilder body("Body");
    const auto state = body.input("state", {{2}});
    const auto step = body.input("step", {{2}});
    body.call("aten.add_.Tensor", {state, step}, {{2}});
    body.output(body.call("aten.neg.default", {step}, {{2}}));
    GraphBuilder b("Counter");
    const auto s = b.input("s", {{2}});
    const auto x = b.input("x", {{2}});
    const Subgraph inner{"submod_1", std::make_shared<Graph>(body.build().graph)};
    b.output(b.call("higher_order.wrap_with_set_grad_enabled", {false, inner, s, x}, {{2}}));
    b.output(b.call("aten.relu.default", {s}, {{2}}));
    const Inputs tensors{{"s", floats({2}, {1, 2})}, {"x", floats({2}, {10, -5})}};
    CHECK(locate_in(b, tensors, {{"output_0", floats({2}, {-10, 5})}, {"output_1", floats({2}, {11, 0})}}).verdict() ==
          Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"output_1", floats({2}, {1, 2})}}).verdict() == Verdict::Wrong);
}

TEST_CASE("what the body of a higher-order op writes is seen in views taken before it") {
    GraphBuilder body("Body");
    const auto state = body.input("state", {{2, 2}});
    const auto step = body.input("step", {{2}});
    body.call("aten.add_.Tensor", {body.call("aten.select.int", {state, 0, 1}, {{2}}), step}, {{2}});
    body.output(body.call("aten.neg.default", {step}, {{2}}));
    GraphBuilder b("Counter");
    const auto s = b.input("s", {{2, 2}});
    const auto x = b.input("x", {{2}});
    const auto flat = b.call("aten.view.default", {s, ArgumentList{4}}, {{4}});
    const auto row = b.call("aten.select.int", {s, 0, 1}, {{2}});
    const Subgraph inner{"submod_1", std::make_shared<Graph>(body.build().graph)};
    b.output(b.call("higher_order.wrap_with_set_grad_enabled", {false, inner, s, x}, {{2}}));
    b.output(b.call("aten.relu.default", {flat}, {{4}}));
    b.output(b.call("aten.relu.default", {row}, {{2}}));
    const Inputs tensors{{"s", floats({2, 2}, {1, 2, 3, 4})}, {"x", floats({2}, {10, -5})}};
    const Tensor flat_after = floats({4}, {1, 2, 13, 0});
    const Tensor row_after = floats({2}, {13, 0});
    CHECK(locate_in(b, tensors, {{"output_1", flat_after}, {"output_2", row_after}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"output_1", floats({4}, {1, 2, 3, 4})}}).verdict() == Verdict::Wrong);
    CHECK(locate_in(b, tensors, {{"output_2", floats({2}, {3, 4})}}).verdict() == Verdict::Wrong);
}

TEST_CASE("what no op has written may be anything") {
    GraphBuilder b("Empty");
    const auto x = b.input("x", {{2}});
    b.output(b.call("aten.empty_like.default", {x}, {{2}}));
    const Inputs tensors{{"x", floats({2}, {1, 2})}};
    CHECK(locate_in(b, tensors, {{"empty_like", floats({2}, {3e33F, NAN})}}).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"empty_like", floats({1}, {1})}}).verdict() == Verdict::Wrong);
}

TEST_CASE("what an in-place op writes through a view is seen in the other names of that memory") {
    GraphBuilder b("InPlace");
    const auto x = b.input("x", {{2, 3}});
    const auto y = b.call("aten.mul.Tensor", {x, 2.0}, {{2, 3}});
    const auto row = b.call("aten.select.int", {y, 0, 1}, {{3}});
    const auto flat = b.call("aten.view.default", {y, ArgumentList{6}}, {{6}});
    b.call("aten.add_.Tensor", {row, 1.0}, {{3}});
    b.output(b.call("aten.neg.default", {y}, {{2, 3}}));
    b.output(b.call("aten.neg.default", {flat}, {{6}}));
    const Inputs tensors{{"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}};
    const NamedTensors right{{"mul", floats({2, 3}, {2, 4, 6, 8, 10, 12})},
                             {"neg", floats({2, 3}, {-2, -4, -6, -9, -11, -13})},
                             {"neg_1", floats({6}, {-2, -4, -6, -9, -11, -13})}};
    CHECK(locate_in(b, tensors, right).verdict() == Verdict::Explained);
    CHECK(locate_in(b, tensors, {{"neg", right.at("neg")}}).verdict() == Verdict::Explained);
    const NamedTensors stale{{"neg", floats({2, 3}, {-2, -4, -6, -8, -10, -12})}};
    CHECK(locate_in(b, tensors, stale).verdict() == Verdict::Wrong);

    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const auto outputs = output_references(interpreter, interpreter.bind_inputs(tensors));
    for (const OutputReference& output : outputs) {
        CHECK(test::values(std::get<Tensor>(output.reference.value)) == test::values(right.at("neg")));
        CHECK(judge_output(right.at(output.name), output, {}).verdict == Verdict::Explained);
    }
    CHECK(judge_output(stale.at("neg"), outputs[0], {}).verdict == Verdict::Wrong);
}

TEST_CASE("what an op writes to a list of arguments that it does not return is what they hold from then on") {
    GraphBuilder b("List");
    const auto x = b.input("x", {{3}});
    const auto y = b.call("aten.clone.default", {x}, {{3}});
    const auto view = b.call("aten.view.default", {y, ArgumentList{3, 1}}, {{3, 1}});
    const auto z = b.call("aten.mul.Tensor", {x, 2.0}, {{3}});
    b.call_many("aten._foreach_add_.Scalar", {ArgumentList{y, z}, 1.0}, {});
    b.output(b.call("aten.sub.Tensor", {y, z}, {{3}}));
    b.output(b.call("aten.neg.default", {view}, {{3, 1}}));
    const Inputs tensors{{"x", floats({3}, {1, 2, 3})}};
    const NamedTensors right{{"clone", floats({3}, {1, 2, 3})},
                             {"mul", floats({3}, {2, 4, 6})},
                             {"sub", floats({3}, {-1, -2, -3})},
                             {"neg", floats({3, 1}, {-2, -3, -4})}};
    CHECK(locate_in(b, tensors, right).verdict() == Verdict::Explained);
    CHECK(test::values(right.at("clone")) == std::vector<double>{1, 2, 3});  // the candidate's own stay
    CHECK(locate_in(b, tensors, {{"neg", floats({3, 1}, {-1, -2, -3})}}).verdict() == Verdict::Wrong);
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const auto outputs = output_references(interpreter, interpreter.bind_inputs(tensors));
    REQUIRE(outputs.size() == 2);
    for (const OutputReference& output : outputs)
        CHECK(judge_output(right.at(output.name), output, {}).verdict == Verdict::Explained);
}

TEST_CASE("a whole model's outputs are judged without a tolerance") {
    const auto model = test::model_of(network());
    const Interpreter interpreter(model);
    const auto bound = interpreter.bind_inputs(inputs());
    const RunResult run = interpreter.run(bound);
    const Tensor right = dump(network(), inputs()).at("softmax");
    auto verdicts = judge_derived(interpreter, bound, run, {{"output_0", right}}, {});
    REQUIRE(verdicts.size() == 1);
    CHECK(verdicts[0].expected.verdict == Verdict::Explained);
    CHECK(verdicts[0].ours.verdict == Verdict::Explained);
    const Tensor wrong = dump(network({.gelu = "tanh"}), inputs()).at("softmax");
    verdicts = judge_derived(interpreter, bound, run, {{"output_0", wrong}}, {});
    CHECK(verdicts[0].expected.verdict == Verdict::Wrong);
    CHECK(verdicts[0].ours.verdict == Verdict::Explained);
    CHECK(verdicts[0].nearer == "ours");
    verdicts = judge_derived(interpreter, bound, run, {{"output_0", right.to(DType::Float64)}}, {});
    CHECK(verdicts[0].expected.verdict == Verdict::Wrong);
    CHECK(verdicts[0].expected.reason == "expected dtype float64, found float32");
    verdicts = judge_derived(interpreter, bound, run, {{"output_0", right.unsqueeze(0)}}, {});
    CHECK(verdicts[0].expected.verdict == Verdict::Wrong);
    CHECK(verdicts[0].expected.reason.starts_with("expected shape [1, "));
    CHECK(verdicts[0].nearer.empty());
    CHECK(judge_derived(interpreter, bound, run, {}, {})[0].expected.reason == "nothing is expected for this output");
}

TEST_CASE("random numbers are those of the seed, and a candidate's are its own") {
    GraphBuilder b("Random");
    const auto x = b.input("x", {{4, 8}});
    const auto dropped = b.call("aten.dropout.default", {x, 0.5, true}, {{4, 8}});
    const auto noisy = b.call("aten.add.Tensor", {dropped, b.call("aten.randn_like.default", {x}, {{4, 8}})}, {{4, 8}});
    b.output(b.call("aten.tanh.default", {noisy}, {{4, 8}}));
    b.output(b.call("aten.randperm.default", {20}, {{20}, DType::Int64}));
    const Inputs tensors{{"x", noise({4, 8}, 1)}};
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const auto bound = interpreter.bind_inputs(tensors);
    const auto outputs = [&](std::uint64_t seed) {
        Generator generator(seed);
        RunOptions options;
        options.generator = &generator;
        const RunResult run = interpreter.run(bound, options);
        return std::vector<Tensor>{value_tensor(run.outputs[0].value), value_tensor(run.outputs[1].value)};
    };
    LocateOptions options;
    options.seed = 7;
    const auto references = output_references(interpreter, bound, options);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(judge_output(outputs(7)[i], references[i], {}).verdict == Verdict::Explained);
        CHECK(judge_output(outputs(8)[i], references[i], {}).verdict != Verdict::Explained);
    }
    // A candidate that drew other numbers, but computed with them as it should.
    CHECK(locate_in(b, tensors, dump(b, tensors)).verdict() == Verdict::Explained);
    NamedTensors wrong = dump(b, tensors);
    wrong.at("tanh") = wrong.at("tanh").clone();
    wrong.at("tanh").data<float>()[5] += 0.01F;
    CHECK(only_origin(locate_in(b, tensors, wrong)).node->op_type == "aten.tanh.default");

    GraphBuilder outside("Eval");  // an op that draws in training only
    outside.output(outside.call("aten.rrelu.default", {outside.input("x", {{2}})}, {{2}}));
    const Inputs one{{"x", floats({2}, {1, 2})}};
    CHECK(locate_in(outside, one, {{"rrelu", floats({2}, {1, 2})}}).verdict() == Verdict::Explained);
    CHECK(locate_in(outside, one, {{"rrelu", floats({2}, {1, 3})}}).verdict() == Verdict::Wrong);
}

TEST_CASE("running statistics hold what a batch norm in training has written to them") {
    GraphBuilder b("Train");
    const auto x = b.input("x", {{2, 1, 2}});
    const auto mean = b.input("mean", {{1}});
    const auto variance = b.input("variance", {{1}});
    b.output(
        b.call("aten.batch_norm.default", {x, None{}, None{}, mean, variance, true, 0.5, 1e-5, false}, {{2, 1, 2}}));
    b.output(b.call("aten.clone.default", {mean}, {{1}}));
    const Inputs tensors{
        {"x", floats({2, 1, 2}, {1, 2, 3, 6})}, {"mean", floats({1}, {1})}, {"variance", floats({1}, {1})}};
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const auto outputs = output_references(interpreter, interpreter.bind_inputs(tensors));
    CHECK(judge_output(floats({1}, {2}), outputs[1], {}).verdict == Verdict::Explained);  // (1 + 3) / 2
    CHECK(judge_output(floats({1}, {1}), outputs[1], {}).verdict == Verdict::Wrong);
    CHECK(locate_in(b, tensors, {{"clone", floats({1}, {2})}}).verdict() == Verdict::Explained);
}

TEST_CASE("where float64 gives an output another shape, what is expected is compared with the interpreter's") {
    // 3 · 0.10009765625 is 0.30029296875, which bfloat16 rounds to 0.30078125.
    GraphBuilder b("Found");
    const Shape two{2};
    const auto x = b.input("x", {two, DType::BFloat16});
    const auto scaled = b.call("aten.mul.Tensor", {x, 3.0}, {two, DType::BFloat16});
    const auto rest = b.call("aten.sub.Tensor", {scaled, 0.30078125}, {two, DType::BFloat16});
    const auto large = b.call("aten.ge.Scalar", {rest, 0.0}, {two, DType::Bool});
    b.output(b.call("aten.nonzero.default", {large}, {{Dim(parse_expr("u0")), 1}, DType::Int64}));
    const auto model = test::model_of(b);
    const Interpreter interpreter(model);
    const auto bound = interpreter.bind_inputs({{"x", floats({2}, {0.1F, 1}).to(DType::BFloat16)}});
    const RunResult run = interpreter.run(bound);
    const Tensor found = value_tensor(run.outputs[0].value);
    REQUIRE(found.shape() == Ints{2, 1});
    CHECK(value_tensor(output_references(interpreter, bound)[0].reference.value).shape() == Ints{1, 1});
    CHECK(judge_derived(interpreter, bound, run, {{"output_0", found}}, {})[0].expected.verdict == Verdict::Explained);
    const Tensor other = Tensor::zeros({2, 1}, DType::Int64);
    CHECK(judge_derived(interpreter, bound, run, {{"output_0", other}}, {})[0].expected.verdict == Verdict::Wrong);
}

TEST_CASE("profiles are data") {
    CHECK(load_profile("tf32").operand == std::ldexp(1.0, -11));
    CHECK(load_profile("bf16").storage == std::ldexp(1.0, -8));
    for (const std::string& name : profile_names()) CHECK(load_profile(name).name == name);
    CHECK_THROWS_WITH_AS(load_profile("f31"),
                         "there is no profile 'f31'; expected one of f32, tf32, bf16, f16, bf16_accumulate, "
                         "f16_accumulate, winograd, fast_math, or a JSON file",
                         ArgumentError);
}
