// SPDX-License-Identifier: MIT
#include "verification/reduce.hpp"

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "plugin.hpp"
#include "torch_ir/error.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct ReduceFlags {
    std::string model;
    std::vector<std::string> weights;
    std::vector<std::string> plugins;
    std::vector<std::string> inputs;
    std::string output;
    std::string backend;
    double timeout = 60;
    int max_tests = 500;
    std::optional<double> rtol;
    std::optional<double> atol;
    bool json = false;
};

constexpr const char* state_name = "reduce.jsonl";

/// The directory for state and result: new, empty, or of an earlier reduction.
void prepare(const fs::path& directory) {
    std::error_code error;
    if (fs::exists(directory) &&
        !(fs::is_directory(directory) && (fs::is_empty(directory) || fs::exists(directory / state_name))))
        throw IoError(directory.string() + ": exists already and holds no reduction: give another -o, or remove it");
    fs::create_directories(directory, error);
    if (error) throw IoError(directory.string() + ": cannot be made: " + error.message());
}

void write_result(const fs::path& directory, const ReduceResult& result, const ReduceFlags& options) {
    for (const char* file : {"ir.json", "weights.safetensors", "inputs.safetensors", "expected.safetensors"})
        fs::remove(directory / file);  // of an earlier, larger result
    CaseFiles files = result.smallest;
    files.description = "reduced from " + options.model;
    write_case_files(directory, files,
                     {{"failure", name(result.kind)},
                      {"message", result.message},
                      {"backend", options.backend},
                      {"steps", result.steps}});
}

int reduce_model(const ReduceFlags& options, const Globals& globals) {
    ReduceOptions run;
    run.backend = {options.backend, options.timeout};
    run.max_tests = options.max_tests;
    run.registry = &registry_with(options.plugins);
    run.rtol = options.rtol;
    run.atol = options.atol;
    check_backend(run.backend);
    const LoadedModel loaded = load_model(options.model);
    const Weights weights = weights_for(loaded, options.weights, globals);
    std::vector<NamedTensors> input_sets;
    for (const std::string& file : options.inputs) input_sets.push_back(load_inputs(loaded, file));
    if (input_sets.empty()) {
        input_sets.push_back(load_inputs(loaded, ""));
        for (int i = 2; fs::exists(pair_file(loaded.directory, "inputs", i)); ++i)
            input_sets.push_back(load_tensors(pair_file(loaded.directory, "inputs", i)));
    }
    prepare(options.output);
    Progress progress(globals);
    run.progress = [&](const std::string& phase, int tests, std::size_t nodes) {
        progress.show(static_cast<std::size_t>(tests), static_cast<std::size_t>(options.max_tests),
                      phase + ", " + counted(nodes, "node") + " left");
    };
    const fs::path directory = options.output;
    const ReduceResult result = reduce(loaded.model, weights, input_sets, directory / state_name, run);
    const bool failed = result.kind != FailureKind::None;
    if (failed) write_result(directory, result, options);
    const std::size_t nodes = result.smallest.model.graph.nodes.size();
    if (options.json) {
        const ordered_json json{{"failure", name(result.kind)},
                                {"message", result.message},
                                {"nodes", nodes},
                                {"original_nodes", loaded.model->graph.nodes.size()},
                                {"tests", result.tests},
                                {"complete", result.complete},
                                {"steps", result.steps}};
        std::cout << dump(json) << '\n';
    } else if (failed) {
        for (const std::string& step : result.steps) std::cout << "  " << step << '\n';
        for (const Node& node : result.smallest.model.graph.nodes)
            std::cout << "  " << node.name << " = " << node.op_type
                      << (node.provenance.module_path.empty() ? "" : "  in " + node.provenance.module_path) << '\n';
        std::cout << options.output << ": " << name(result.kind) << " with " << nodes << " of "
                  << counted(loaded.model->graph.nodes.size(), "node") << ": " << result.message << '\n';
    } else if (!result.message.empty()) {
        std::cout << "the backend does not run " << options.model << " (" << result.message << "): nothing to reduce\n";
    } else if (!result.complete) {
        std::cout << "the backend agrees on " << options.model << " with the inputs that were tried\n";
    } else {
        std::cout << "the backend agrees on " << options.model << ": nothing to reduce\n";
    }
    if (!result.complete)
        remark("stopped after " + counted(static_cast<std::size_t>(result.tests), "test") +
                   "; the same command goes on from there",
               globals);
    return failed ? ok : check_failed;
}

}  // namespace

Command make_reduce() {
    auto options = std::make_shared<ReduceFlags>();
    return {
        "reduce",
        "Find the smallest case on which a backend still fails",
        "Runs the backend on smaller and smaller parts of the model, with the values of a whole run at the edges:\n"
        "fewer nodes, smaller sizes, default arguments, plain values, as long as it fails in the same way (wrong\n"
        "numbers, crash, time-out). The case is written to DIR, with the results of all tests in reduce.jsonl: the\n"
        "same command goes on where it was stopped. Exit status 0: a failing case was written; 1: the backend\n"
        "agrees. Example: torch-ir reduce model.pt2 --backend 'mine {case} {out}' -o smallest",
        {model_option(options->model), backend_option(options->backend),
         writes({"-o,--output", "directory for the smallest case and the state", &options->output, "DIR", true}),
         weights_option(options->weights), plugin_option(options->plugins),
         reads({"--inputs", "input tensors; several files are tried until one fails", &options->inputs, "FILE"}),
         at_least(1, {"--max-tests", "runs of the backend (default 500)", &options->max_tests, "N"}),
         timeout_option(options->timeout, "one run"), rtol_option(options->rtol), atol_option(options->atol),
         json_option(options->json)},
        [options](const Globals& globals) { return reduce_model(*options, globals); }};
}

}  // namespace torch_ir::cli
