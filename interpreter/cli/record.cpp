// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "plugin.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "verification/case_files.hpp"
#include "verification/random_inputs.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

namespace fs = std::filesystem;

struct RecordFlags {
    std::string model;
    std::vector<std::string> weights;
    std::vector<std::string> plugins;
    std::string inputs;
    std::string output;
    bool random = false;
    std::optional<std::uint64_t> seed;
    std::vector<std::string> sizes;
};

/// A second name for a file, or a copy where the file system has no such thing.
void link_file(const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::create_hard_link(from, to, error);
    if (error) fs::copy_file(from, to, error);
    if (error) throw IoError(to.string() + ": cannot be written: " + error.message());
}

SymbolValues parse_sizes(const std::vector<std::string>& sizes) {
    SymbolValues values;
    for (const std::string& text : sizes) {
        const std::size_t equals = text.find('=');
        std::int64_t size = 0;
        const char* end = text.data() + text.size();
        if (equals == 0 || equals == std::string::npos ||
            std::from_chars(text.data() + equals + 1, end, size).ptr != end || size < 0)
            throw UsageError("--size: expected NAME=N, found '" + text + "'");
        values[text.substr(0, equals)] = size;
    }
    return values;
}

/// Every size is that of a symbol in the inputs.
void check_sizes(const Model& model, const SymbolValues& sizes) {
    std::vector<std::string> known;
    const auto add = [&](const Expr& expr) {
        for (const std::string& symbol : symbols_of(expr))
            if (std::ranges::find(known, symbol) == known.end()) known.push_back(symbol);
    };
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (!ref || model.inputs[i].kind != InputKind::UserInput) continue;
        const Value& value = model.graph.value(*ref);
        for (const Dim& dim : value.meta.shape)
            if (dim.expr()) add(*dim.expr());
        if (value.expr) add(*value.expr);
    }
    for (const auto& [name, size] : sizes)
        if (std::ranges::find(known, name) == known.end())
            throw ArgumentError("no input has a size '" + name + "'; " +
                                (known.empty() ? "all sizes are fixed" : "the sizes are " + listed(known)));
}

int record(const RecordFlags& options, const Globals& globals) {
    if (options.random && !options.inputs.empty()) throw UsageError("--random and --inputs exclude each other");
    if (!options.random && options.seed) throw UsageError("--seed goes with --random");
    if (!options.random && !options.sizes.empty()) throw UsageError("--size goes with --random");
    const LoadedModel loaded = load_model(options.model);
    const Weights weights = weights_for(loaded, options.weights, globals);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(weights);
    RandomOptions random;
    random.seed = options.seed.value_or(random.seed);
    random.sizes = parse_sizes(options.sizes);
    check_sizes(*loaded.model, random.sizes);
    NamedTensors inputs = options.random ? random_inputs(*loaded.model, random) : load_inputs(loaded, options.inputs);
    RunResult result;
    try {
        result = interpreter.run(interpreter.bind_inputs(inputs));
    } catch (const ArgumentError& error) {
        if (!options.random) throw;
        // Differences and the like of integers may index something, which no rule sees.
        remark(std::string("these inputs do not run (") + error.what() + "); integers become 0", globals);
        random.zero_integers = true;
        inputs = random_inputs(*loaded.model, random);
        result = interpreter.run(interpreter.bind_inputs(inputs));
    }

    OutputDirectory directory(options.output);
    link_file(loaded.path, directory.path() / (loaded.is_pt2 ? "model.pt2" : "ir.json"));
    const fs::path beside = loaded.directory / "weights.safetensors";
    if (!options.weights.empty()) {
        TensorPairs tensors;
        for (const auto& [name, view] : weights.tensors()) tensors.emplace_back(name, to_tensor(view));
        save_tensors(directory.path() / "weights.safetensors", tensors);
    } else if (fs::exists(beside)) {
        link_file(beside, directory.path() / "weights.safetensors");
    }
    save_tensors(directory.path() / "inputs.safetensors", {inputs.begin(), inputs.end()});
    save_tensors(directory.path() / "expected.safetensors", output_tensors(result));
    nlohmann::ordered_json meta{{"name", loaded.model->name}, {"categories", nlohmann::ordered_json::array()}};
    if (options.random) meta["description"] = "random inputs, seed " + std::to_string(random.seed);
    write_file(directory.path() / "meta.json", dump(meta) + "\n");
    directory.commit();
    if (!globals.quiet)
        std::cerr << options.output << ": " << counted(inputs.size(), "input") << ", "
                  << counted(output_tensors(result).size(), "output") << " of " << loaded.model->name << '\n';
    return ok;
}

}  // namespace

Command make_record() {
    auto options = std::make_shared<RecordFlags>();
    return {
        "record",
        "Write a case directory: model, inputs and what the interpreter computes from them",
        "Without --random the inputs are those of run: beside the model, or the samples in a .pt2. The model file is\n"
        "linked or copied as it is. Random inputs suit what the graph does with them: indices are in range, masks are\n"
        "0 or 1. Weights that are given are written to the case. Example: torch-ir record model.pt2 --random --seed 7 "
        "--size s0=16 -o case",
        {model_option(options->model),
         new_directory_option(options->output),
         weights_option(options->weights),
         inputs_option(options->inputs),
         plugin_option(options->plugins),
         {"--random", "draw the inputs", &options->random},
         {"--seed", "with --random: another seed, other inputs (default 0)", &options->seed, "N"},
         {"--size", "with --random: the size that a symbol has, as s0=16; may be repeated", &options->sizes, "NAME=N"}},
        [options](const Globals& globals) { return record(*options, globals); }};
}

}  // namespace torch_ir::cli
