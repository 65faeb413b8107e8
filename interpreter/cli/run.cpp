// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "generator.hpp"
#include "load.hpp"
#include "plugin.hpp"
#include "verification/recorder.hpp"

namespace torch_ir::cli {
namespace {

struct RunFlags {
    std::string model;
    std::vector<std::string> plugins;
    std::vector<std::string> weights;
    std::vector<std::string> inputs;
    std::string output;
    std::string intermediates;
    std::string state;
    std::string state_out;
    std::optional<int> steps;  // default: as many as files of inputs
    std::optional<std::uint64_t> seed;
};

/// Keeps a copy of every value a node produces, in the order of the run.
class Dump : public Observer {
  public:
    explicit Dump(const Graph& graph, Progress& progress) : graph_(graph), progress_(progress) {}

    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue> results) override {
        progress_.show(++done_, graph_.nodes.size(), node.name);
        for_each_result(graph_, node, results, [&](ValueRef ref, const Tensor& tensor) {
            values_.emplace_back(graph_.value(ref).name, tensor.clone());
        });
    }

    const std::vector<std::pair<std::string, Tensor>>& values() const { return values_; }

  private:
    const Graph& graph_;
    Progress& progress_;
    std::size_t done_ = 0;
    std::vector<std::pair<std::string, Tensor>> values_;
};

std::size_t step_count(const RunFlags& options) {
    const std::size_t files = std::max<std::size_t>(1, options.inputs.size());
    return options.steps ? static_cast<std::size_t>(*options.steps) : files;
}

/// Adds the inputs that were carried from the steps before and are not given.
void add_carried(const LoadedModel& loaded, const State& state, NamedTensors& inputs) {
    for (std::size_t i = 0; i < loaded.model->inputs.size(); ++i)
        if (const auto* ref = loaded.model->graph.inputs[i].get_if<ValueRef>();
            ref && loaded.model->inputs[i].kind == InputKind::UserInput)
            if (const auto carried = state.find(loaded.model->graph.value(*ref).name); carried != state.end())
                inputs.emplace(carried->first, carried->second);
}

/// The state in a file; a name that the model does not know is an error, as it would have no effect.
State load_state(const Model& model, const std::string& file) {
    if (file.empty()) return {};
    std::vector<std::string> names;
    for (std::size_t i = 0; i < model.inputs.size(); ++i)
        if (const auto* ref = model.graph.inputs[i].get_if<ValueRef>())
            names.push_back(model.inputs[i].kind == InputKind::UserInput ? model.graph.value(*ref).name
                                                                         : model.inputs[i].target);
    State state = load_tensors(file);
    for (const auto& [name, tensor] : state)
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw ArgumentError(file + ": '" + name + "' is neither a weight nor an input of the model" +
                                closest_hint(name, names));
    return state;
}

int run(const RunFlags& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(weights_for(loaded, options.weights, globals));
    State state = load_state(*loaded.model, options.state);
    Progress progress(globals);
    Dump recorder(loaded.model->graph, progress);
    const std::size_t steps = step_count(options);
    std::vector<std::pair<std::string, Tensor>> outputs;
    Generator generator(options.seed.value_or(Generator::default_seed));
    NamedTensors given = load_inputs(loaded, options.inputs.empty() ? "" : options.inputs[0]);
    for (std::size_t step = 0; step < steps; ++step) {
        const bool last = step + 1 == steps;
        RunOptions run_options;
        if (options.seed) run_options.generator = &generator;
        if (last && !options.intermediates.empty()) run_options.observer = &recorder;
        if (step > 0 && step < options.inputs.size()) {  // a further file counts where it gives what was carried
            given = load_inputs(loaded, options.inputs[step]);
            for (const auto& [name, tensor] : given) state.erase(name);
        }
        NamedTensors tensors = given;
        add_carried(loaded, state, tensors);
        const auto inputs = interpreter.bind_inputs(tensors);
        const RunResult result = interpreter.run(inputs, state, run_options);
        if (last) warn_of_undeclared(result.undeclared);
        for (auto& [name, tensor] : output_tensors(result))
            outputs.emplace_back(steps == 1 ? name : "step_" + std::to_string(step) + "." + name, tensor);
    }
    if (!options.intermediates.empty()) save_tensors(options.intermediates, recorder.values());
    if (!options.state_out.empty()) save_tensors(options.state_out, {state.begin(), state.end()});
    if (!options.output.empty()) save_tensors(options.output, outputs);
    if (options.output.empty() || !globals.quiet) {
        auto& stream = options.output.empty() ? std::cout : std::cerr;
        for (const auto& [name, tensor] : outputs) stream << name << ": " << describe(tensor) << '\n';
    }
    return ok;
}

}  // namespace

Command make_run() {
    auto options = std::make_shared<RunFlags>();
    Option state_out = writes({"--state-out", "write what the model mutated, as --state takes it; may be the same file",
                               &options->state_out, "FILE"});
    state_out.in_place_of = "--state";
    return {
        "run",
        "Run a model and write its outputs",
        "Without --inputs, inputs.safetensors beside the model is used, else the sample inputs inside a .pt2.\n"
        "With several files, or --steps, the model runs once per file with its state carried from run to run: the "
        "buffers,\nparameters and inputs that it mutates (a KV cache, counters, running statistics). Outputs are then "
        "named\nstep_0.output_0, step_1.output_0, ...\n"
        "Example: torch-ir run model.pt2 --inputs x.safetensors -o y.safetensors",
        {model_option(options->model),
         weights_option(options->weights),
         reads({"--inputs", "input tensors by graph input name, or input_0, input_1, ...", &options->inputs, "FILE"}),
         plugin_option(options->plugins),
         at_least(1, {"--steps", "run N times; the last file of inputs stands for the steps after it", &options->steps,
                      "N"}),
         {"--seed", "random ops draw what PyTorch draws after torch.manual_seed(N), once for all steps", &options->seed,
          "N"},
         reads({"--state", "start from these buffers, parameters and inputs instead of the weights", &options->state,
                "FILE"}),
         std::move(state_out),
         writes({"-o,--output", "write output_0, output_1, ... as safetensors", &options->output, "FILE"}),
         writes({"--intermediates", "write every value of the graph as safetensors", &options->intermediates, "FILE"})},
        [options](const Globals& globals) { return run(*options, globals); }};
}

}  // namespace torch_ir::cli
