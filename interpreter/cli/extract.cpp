// SPDX-License-Identifier: MIT
#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/json.hpp"

namespace torch_ir::cli {
namespace {

struct ExtractFlags {
    std::string model;
    std::string output;
    std::vector<std::string> weights;
    std::string weights_out;
};

int extract(const ExtractFlags& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    if (!options.weights_out.empty()) {
        std::vector<std::pair<std::string, Tensor>> tensors;
        const Weights weights = weights_for(loaded, options.weights, globals);
        for (const auto& [name, view] : weights.tensors()) tensors.emplace_back(name, to_tensor(view));
        try {
            save_tensors(options.weights_out, tensors);
        } catch (const UnsupportedError& error) {
            throw UnsupportedError(std::string(error.what()) +
                                   ": leave out --weights-out; commands take the JSON with --weights and the file that "
                                   "holds the weights now");
        }
    }
    write_json(options.output, *loaded.model);
    if (!globals.quiet)
        std::cerr << options.output << ": " << counted(loaded.model->graph.nodes.size(), "node") << " of "
                  << loaded.model->name << '\n';
    return ok;
}

}  // namespace

Command make_extract() {
    auto options = std::make_shared<ExtractFlags>();
    return {"extract",
            "Turn a .pt2 into JSON IR, and its weights into safetensors",
            "The JSON holds the graph and names, shapes and dtypes of the weights, never their values.\n"
            "Example: torch-ir extract model.pt2 -o ir.json --weights-out weights.safetensors",
            {model_option(options->model),
             writes({"-o,--output", "the JSON file to write", &options->output, "FILE", true}),
             weights_option(options->weights),
             writes({"--weights-out", "write parameters, buffers and constants as safetensors", &options->weights_out,
                     "FILE"})},
            [options](const Globals& globals) { return extract(*options, globals); }};
}

}  // namespace torch_ir::cli
