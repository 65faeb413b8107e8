// SPDX-License-Identifier: MIT
#include "verification/split.hpp"

#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "plugin.hpp"

namespace torch_ir::cli {
namespace {

struct SplitFlags {
    std::string model;
    std::vector<std::string> weights;
    std::vector<std::string> plugins;
    std::string inputs;
    std::string output;
    bool group = false;
};

int split(const SplitFlags& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    const std::vector<SplitCase> cases = find_split_cases(*loaded.model, options.group);
    std::vector<bool> wanted(loaded.model->graph.values.size(), false);
    for (const SplitCase& item : cases) mark_edges(*loaded.model, item.nodes, wanted);
    OutputDirectory directory(options.output);
    const Tape tape(loaded.model, weights_for(loaded, options.weights, globals), load_inputs(loaded, options.inputs),
                    std::move(wanted), registry_with(options.plugins));
    Progress progress(globals);
    const SplitResult result =
        write_split_cases(directory.path(), tape, cases,
                          [&](std::size_t done, std::size_t total) { progress.show(done, total, "cases"); });
    directory.commit();
    if (!globals.quiet) {
        for (const std::string& reason : result.left_out) std::cerr << "left out: " << reason << '\n';
        std::cerr << options.output << ": " << counted(result.written, "distinct case") << " of "
                  << counted(loaded.model->graph.nodes.size(), "node") << '\n';
    }
    return ok;
}

}  // namespace

Command make_split() {
    auto options = std::make_shared<SplitFlags>();
    return {
        "split",
        "Turn a model into a test suite: one case per distinct node, with the data it really saw",
        "Nodes are equal when op, dtypes, shapes, strides and constant arguments are. Each becomes a case directory\n"
        "DIR/OP/N that verify --suite DIR runs; meta.json says how often it occurs. Nodes that do not repeat by\n"
        "themselves (random ops) are left out and named.\n"
        "Example: torch-ir split model.pt2 --group -o cases",
        {model_option(options->model),
         new_directory_option(options->output),
         weights_option(options->weights),
         plugin_option(options->plugins),
         inputs_option(options->inputs),
         {"--group", "also convolution + batch norm + activation, linear + GELU, attention as one case",
          &options->group}},
        [options](const Globals& globals) { return split(*options, globals); }};
}

}  // namespace torch_ir::cli
