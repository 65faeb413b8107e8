// SPDX-License-Identifier: MIT
#include <iostream>
#include <memory>
#include <set>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "verification/compare.hpp"

namespace torch_ir::cli {
namespace {

struct Options {
    std::string model;
    std::vector<std::string> weights;
    std::string inputs;
    std::string output;
    std::string intermediates;
};

/// Keeps a copy of every value a node produces.
class Recorder : public Observer {
  public:
    explicit Recorder(const Graph& graph, Progress& progress) : graph_(graph), progress_(progress) {}

    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue> results) override {
        progress_.show(++done_, graph_.nodes.size(), node.name);
        const std::vector<ValueRef> refs = node.output_values();
        std::size_t next = 0;
        const auto keep = [&](const Tensor& tensor) {
            if (next >= refs.size()) return;
            if (tensor.defined()) values_.emplace_back(graph_.value(refs[next]).name, tensor.clone());
            ++next;
        };
        for (const IValue& result : results) {
            if (const auto* list = std::get_if<TensorList>(&result))
                for (const Tensor& tensor : *list) keep(tensor);
            else if (!std::holds_alternative<None>(result))
                keep(value_tensor(result));
        }
    }

    const std::vector<std::pair<std::string, Tensor>>& values() const { return values_; }

  private:
    const Graph& graph_;
    Progress& progress_;
    std::size_t done_ = 0;
    std::vector<std::pair<std::string, Tensor>> values_;
};

int run(const Options& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model);
    interpreter.load_weights(load_weights(loaded, options.weights));
    const auto inputs = interpreter.bind_inputs(load_inputs(loaded, options.inputs));
    Progress progress(globals);
    Recorder recorder(loaded.model->graph, progress);
    RunOptions run_options;
    if (!options.intermediates.empty()) run_options.observer = &recorder;
    const RunResult result = interpreter.run(inputs, run_options);
    if (!options.intermediates.empty()) save_tensors(options.intermediates, recorder.values());
    const auto outputs = output_tensors(result);
    if (!options.output.empty()) save_tensors(options.output, outputs);
    if (options.output.empty() || !globals.quiet) {
        auto& stream = options.output.empty() ? std::cout : std::cerr;
        for (const auto& [name, tensor] : outputs) stream << name << ": " << describe(tensor) << '\n';
    }
    return ok;
}

}  // namespace

Command make_run() {
    auto options = std::make_shared<Options>();
    return {"run",
            "Run a model and write its outputs",
            "Without --inputs, inputs.safetensors beside the model is used, else the sample inputs inside a .pt2.\n"
            "Example: torch-ir run model.pt2 --inputs x.safetensors -o y.safetensors",
            {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model, "", true},
             {"--weights", "weight file; may be repeated", &options->weights, "FILE"},
             {"--inputs", "input tensors by graph input name, or input_0, input_1, ...", &options->inputs, "FILE"},
             {"-o,--output", "write output_0, output_1, ... as safetensors", &options->output, "FILE"},
             {"--intermediates", "write every value of the graph as safetensors", &options->intermediates, "FILE"}},
            [options](const Globals& globals) { return run(*options, globals); }};
}

}  // namespace torch_ir::cli
