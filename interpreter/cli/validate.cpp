// SPDX-License-Identifier: MIT
#include "torch_ir/validate.hpp"

#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir::cli {
namespace {

struct ValidateFlags {
    std::string model;
    std::vector<std::string> weights;
};

int run(const ValidateFlags& options, const Globals& globals) {
    std::vector<Issue> issues;
    const LoadedModel loaded = load_model(options.model, &issues);
    const auto add = [&](std::vector<Issue> found) { issues.insert(issues.end(), found.begin(), found.end()); };
    add(validate(*loaded.model));
    WeightsOptions with_checksums;
    with_checksums.verify_checksums = true;
    with_checksums.skip_unsaved = true;
    if (loaded.is_pt2) open_weights(loaded.path, with_checksums);
    if (!options.weights.empty()) {
        Weights weights;
        for (const std::string& file : options.weights) weights.merge(open_weights(file, with_checksums));
        add(validate(*loaded.model, weights));
    }
    for (const Issue& issue : issues) std::cout << issue.text() << '\n';
    const auto errors = static_cast<std::size_t>(
        std::count_if(issues.begin(), issues.end(), [](const Issue& i) { return i.severity == Severity::Error; }));
    if (errors == 0)
        std::cout << colored("valid", true, globals) << ": " << counted(loaded.model->graph.nodes.size(), "node")
                  << ", " << counted(issues.size(), "warning") << '\n';
    else
        std::cout << colored("invalid", false, globals) << ": " << counted(errors, "error") << ", "
                  << counted(issues.size() - errors, "warning") << '\n';
    return errors == 0 ? ok : check_failed;
}

}  // namespace

Command make_validate() {
    auto options = std::make_shared<ValidateFlags>();
    return {"validate",
            "Check a graph, and weights against it",
            "Checks structure, names, that every value is defined once and before its use, conformity with the ATen "
            "schemas and shapes;\n"
            "of a .pt2 also the checksums of its weights; with --weights that every weight is there with its shape and "
            "dtype,\nand the checksums of the files.\n"
            "Exit status 1 when an error is found. Example: torch-ir validate ir.json --weights weights.safetensors",
            {model_option(options->model), weights_option(options->weights)},
            [options](const Globals& globals) { return run(*options, globals); }};
}

}  // namespace torch_ir::cli
