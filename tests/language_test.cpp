// SPDX-License-Identifier: MIT
// The models of data/language, each with one feature of torch.export, beyond what `verify` says about them.
#include <doctest/doctest.h>

#include <filesystem>
#include <memory>

#include "kernels/kernels.hpp"
#include "load.hpp"
#include "support/graphs.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pytree.hpp"
#include "torch_ir/validate.hpp"
#include "verification/compare.hpp"
#include "verification/derived.hpp"
#include "verification/suite.hpp"

using namespace torch_ir;

namespace {

const std::filesystem::path language = "tests/data/language";

std::unique_ptr<const Interpreter> interpreter_of(const LoadedModel& loaded) {
    auto interpreter = std::make_unique<Interpreter>(loaded.model);
    interpreter->load_weights(load_weights(loaded, {}));
    return interpreter;
}

/// Both absent, or the same.
bool both_same(const Tensor& a, const Tensor& b) {
    return a.defined() == b.defined() && (!a.defined() || same_bits(a, b));
}

void check_close(const Tensor& actual, const Tensor& expected) {
    const Comparison comparison = compare(actual, expected, model_tolerance(expected.dtype()));
    CHECK_MESSAGE(comparison.passed, comparison.message);
}

}  // namespace

TEST_CASE("models are valid, and after writing and reading JSON the same and give the same bits") {
    for (const auto& entry : std::filesystem::directory_iterator(language)) {
        CAPTURE(entry.path().string());
        const LoadedModel loaded = load_model(entry.path());
        CHECK_FALSE(has_errors(validate(*loaded.model)));
        LoadedModel again = loaded;
        again.model = std::make_shared<const Model>(parse_json(to_json(*loaded.model)));
        CHECK(to_json(*again.model) == to_json(*loaded.model));
        const auto run = [&](const LoadedModel& model) {
            const auto interpreter = interpreter_of(model);
            return interpreter->run(interpreter->bind_inputs(load_inputs(model, "")));
        };
        const RunResult a = run(loaded);
        const RunResult b = run(again);
        REQUIRE(a.outputs.size() == b.outputs.size());
        for (std::size_t i = 0; i < a.outputs.size(); ++i)
            CHECK(both_same(value_tensor(a.outputs[i].value), value_tensor(b.outputs[i].value)));
    }
}

TEST_CASE("rounding explains the results of PyTorch") {
    for (const auto& entry : std::filesystem::directory_iterator(language)) {
        // The second sum of its op reads what the first has written: two roundings, of which one is allowed for.
        if (entry.path().filename() == "shared_lists") continue;
        CAPTURE(entry.path().string());
        const LoadedModel loaded = load_model(entry.path());
        const auto interpreter = interpreter_of(loaded);
        const auto inputs = interpreter->bind_inputs(load_inputs(loaded, ""));
        const NamedTensors expected = load_expected(loaded, "");
        for (const DerivedVerdict& verdict :
             judge_derived(*interpreter, inputs, interpreter->run(inputs), expected, {})) {
            CAPTURE(verdict.name);
            CHECK_MESSAGE(verdict.expected.verdict == Verdict::Explained, verdict.expected.reason);
        }
    }
}

TEST_CASE("a weight that is a subclass of Tensor comes as the tensors it is made of") {
    const LoadedModel loaded = load_model(language / "subclass_weights");
    std::vector<std::string> weights;
    for (const InputSpec& input : loaded.model->inputs)
        if (is_weight(input.kind)) weights.push_back(input.target);
    CHECK(weights == std::vector<std::string>{"0.bias", "2.bias", "4.bias", "0.weight.qdata", "0.weight.scale",
                                              "0.weight.zero_point", "2.weight.qdata", "2.weight.scale",
                                              "2.weight.zero_point", "4.weight.qdata", "4.weight.scale"});
    CHECK(loaded.model->inputs.back().kind == InputKind::UserInput);
    for (const Node& node : loaded.model->graph.nodes) CHECK(!node.op_type.starts_with("export."));
    const Weights values = open_weights(language / "subclass_weights/model.pt2");
    REQUIRE(values.find("0.weight.qdata"));
    CHECK(values.find("0.weight.qdata")->dtype == DType::Int8);
    CHECK(values.find("0.weight.qdata")->shape == std::vector<std::int64_t>{8, 16});
    CHECK(values.find("0.weight.scale")->shape == std::vector<std::int64_t>{8, 2});
    CHECK(!values.find("0.weight"));
    // Its pickle has an enumeration among its settings, which is a call that nothing here makes.
    REQUIRE(values.find("4.weight.qdata"));
    CHECK(values.find("4.weight.qdata")->dtype == DType::Float8E4M3FN);
}

TEST_CASE("a list that an op writes to is copied before, in files of torch 2.5") {
    Registry registry;
    register_kernels(registry);
    registry.add("test::increase(Tensor(a!)[] xs, float k=1.) -> ()", [](const TensorList& xs, double k) {
        for (const Tensor& x : xs) x.data<float>()[0] += static_cast<float>(k);
    });
    const auto tensor = [](const std::string& name) {
        return R"({"name": ")" + name + R"(", "shape": [1], "dtype": "float32"})";
    };
    const std::string written = "[" + tensor("a_new") + ", " + tensor("b_new") + "]";
    const std::string json = R"({"graph_inputs": [)" + tensor("a") + ", " + tensor("b") +
                             R"(], "weights": [], "graph_outputs": [)" + tensor("a") + ", " + tensor("a_new") + ", " +
                             tensor("b_new") + R"(], "nodes": [{"name": "call",
        "op_type": "higher_order.auto_functionalized", "inputs": [)" +
                             tensor("a") + ", " + tensor("b") + R"(],
        "input_args": ["xs[0]", "xs[1]"], "outputs": )" +
                             written + R"(, "returns": [null, [0, 1]],
        "attrs": {"_tensor_list_sizes": [2], "0": {"operator": "test.increase.default"}, "k": 2.0}}]})";
    const Interpreter interpreter(std::make_shared<const Model>(parse_json(json)), registry);
    const RunResult result = interpreter.run({test::floats({1}, {1}), test::floats({1}, {5})});
    std::vector<double> values;
    for (const auto& output : result.outputs) values.push_back(test::values(value_tensor(output.value)).at(0));
    CHECK(values == std::vector<double>{1, 3, 7});
}

TEST_CASE("a cache goes on from step to step as in PyTorch") {
    const LoadedModel loaded = load_model(language / "cache");
    const auto interpreter = interpreter_of(loaded);
    const NamedTensors expected = load_tensors(language / "cache/steps.safetensors");
    State state;
    for (int step = 0; step < 3; ++step) {
        const std::string file = "cache/inputs" + (step == 0 ? "" : std::to_string(step + 1)) + ".safetensors";
        const auto inputs = interpreter->bind_inputs(load_tensors(language / file));
        const RunResult result = interpreter->run(inputs, state);
        check_close(value_tensor(result.outputs[0].value), expected.at("step_" + std::to_string(step) + ".output_0"));
    }
    const NamedTensors buffers = load_tensors(language / "cache/state.safetensors");
    CHECK(state.size() == buffers.size());
    for (const auto& [name, tensor] : buffers) check_close(state.at(name), tensor);
}

TEST_CASE("generators go on from step to step, and each run without a state begins as they were exported") {
    const LoadedModel loaded = load_model(language / "generators");
    const auto interpreter = interpreter_of(loaded);
    const NamedTensors expected = load_tensors(language / "generators/steps.safetensors");
    const auto inputs = [&](int step) {
        const std::string file = "generators/inputs" + std::string(step == 0 ? "" : "2") + ".safetensors";
        return interpreter->bind_inputs(load_tensors(language / file));
    };
    State state;
    for (int run = 0; run < 2; ++run)
        check_close(value_tensor(interpreter->run(inputs(0)).outputs[0].value), expected.at("step_0.output_0"));
    for (int step = 0; step < 2; ++step) {
        const RunResult result = interpreter->run(inputs(step), state);
        for (std::size_t i = 0; i < 2; ++i)
            check_close(value_tensor(result.outputs[i].value),
                        expected.at("step_" + std::to_string(step) + ".output_" + std::to_string(i)));
    }
    CHECK(state.size() == 2);  // both generators
}

TEST_CASE("inputs are found by the fields of named tuples and dataclasses") {
    const LoadedModel loaded = load_model(language / "inputs");
    CHECK(input_paths(*loaded.model) ==
          std::vector<std::string>{"x", "n", "f", "flag", "text", "nothing", "past[0].key", "past[0].value",
                                   "past[1].key", "past[1].value", "batch.tokens", "batch.mask.m", "scale", "bias"});
    const auto interpreter = interpreter_of(loaded);
    NamedTensors by_path;
    for (const auto& [name, tensor] : load_inputs(loaded, ""))
        by_path.emplace(input_paths(*loaded.model).at(std::stoul(name.substr(6))), tensor);
    const RunResult result = interpreter->run(interpreter->bind_inputs(by_path));
    for (const OutputVerdict& verdict : judge(result, load_expected(loaded, ""), std::nullopt, std::nullopt))
        CHECK_MESSAGE(verdict.comparison.passed, verdict.name << ": " << verdict.comparison.message);
    by_path.at("n") = Tensor::scalar(7, DType::Int64);
    CHECK_THROWS_WITH_AS(interpreter->bind_inputs(by_path),
                         "inputs: 'n': the program was exported for another value than 7, which it holds as a constant",
                         ArgumentError);
}

TEST_CASE("sizes that break a range or a guard are refused with both") {
    const LoadedModel loaded = load_model(language / "guards");
    const auto interpreter = interpreter_of(loaded);
    const auto bind = [&](std::int64_t x, std::int64_t first, std::int64_t second) {
        return interpreter->bind_inputs({{"x", Tensor::zeros({x, 3}, DType::Float32)},
                                         {"ys[0]", Tensor::zeros({first, 3}, DType::Float32)},
                                         {"ys[1]", Tensor::zeros({second, 3}, DType::Float32)}});
    };
    CHECK(bind(6, 4, 9).size() == 3);
    CHECK_THROWS_WITH_AS(bind(6, 14, 9), "inputs: symbol 's43' is 14, outside its range [3, 12]", ArgumentError);
    const auto message = [&](std::int64_t x, std::int64_t first) -> std::string {
        try {
            bind(x, first, 9);
        } catch (const ArgumentError& error) {
            return error.what();
        }
        return "";
    };
    CHECK(
        message(12, 10).starts_with("inputs: guard \"ys[0].size()[0] + x.size()[0] < 20\" does not hold: x.size()[0] "
                                    "is 12, ys[0].size()[0] is 10"));
    CHECK(message(5, 5).find("guard \"(3*x.size()[0]) == (6*(x.size()[0] // 2))\" does not hold: x.size()[0] is 5") !=
          std::string::npos);
}

TEST_CASE("guards: and, or, not, ints; what cannot be told holds") {
    GraphBuilder builder("Guards");
    builder.output(builder.call("aten.relu.default", {builder.input("x", {{Dim(parse_expr("s0")), 3}})},
                                {{Dim(parse_expr("s0")), 3}}));
    Model model = builder.build();
    const auto leaf = R"({"type": null, "context": null, "children_spec": []})";
    const std::string tuple = R"({"type": "builtins.tuple", "context": "null", "children_spec": [)";
    model.in_spec =
        "[1, " + tuple + tuple + leaf + R"(]}, {"type": "builtins.dict", "context": "[]", "children_spec": []}]}])";
    model.forward_arg_names = {"x"};
    const auto holds = [&](const std::string& guard) {
        model.guards = {guard};
        try {
            Interpreter(std::make_shared<const Model>(model))
                .bind_inputs({{"x", Tensor::zeros({5, 3}, DType::Float32)}});
        } catch (const ArgumentError&) {
            return false;
        }
        return true;
    };
    CHECK(holds("L['x'].size()[0] == 5 and L['x'].size()[1] == 3"));
    CHECK_FALSE(holds("L['x'].size()[0] == 5 and L['x'].size()[1] == 4"));
    CHECK(holds("L['x'].size()[0] == 4 or (L['x'].stride()[0] == 3 and L['x'].storage_offset() == 0)"));
    CHECK_FALSE(holds("not (L['x'].size()[0] == 5)"));
    CHECK_FALSE(holds("(-1) + L['x'].size()[0] // 2 > 1"));
    CHECK_FALSE(holds("Mod(L['x'].size()[0], 2) == 0"));
    CHECK(holds("math.trunc(1.7*torch.sym_float(L['x'].size()[0])) == 8"));
    CHECK_FALSE(holds("math.trunc(1.7*torch.sym_float(L['x'].size()[0])) == 9"));
    CHECK_FALSE(holds("max(6, L['x'].size()[0]) == L['x'].size()[0] and abs(-1) == 1"));
    CHECK(holds("L['y'].size()[0] == 7"));
    model.forward_arg_names = {"args_0"};  // of forward(*args)
    CHECK(holds("L['args'][0].size()[0] == 5"));
    CHECK_FALSE(holds("L['args'][0].size()[0] == 6"));
    CHECK(holds("L['args'][1].size()[0] == 6"));
    model.forward_arg_names = {"x"};
    CHECK(holds("not L['y'].flag"));
    CHECK(holds("unknown(L['x'].size()[0])"));
    CHECK(holds("L['x'].size()[9] == 1"));
    CHECK(holds("L['x'"));
}
