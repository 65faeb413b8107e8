// SPDX-License-Identifier: MIT
#include "torch_ir/info.hpp"

#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir::cli {
namespace {

struct InfoFlags {
    std::string model;
    bool json = false;
    std::string output;
};

std::string shapes_text(const char* title, const ModelInfo::ByName<Shape>& shapes) {
    std::string text = std::string("\n") + title + ":\n";
    for (const auto& [name, shape] : shapes) {
        text += "  " + name + ": [";
        for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + to_string(shape[i]);
        text += "]\n";
    }
    return text;
}

/// Where the values sit in what the Python forward takes or returns, when that is known.
std::string paths_text(const std::string& title, const std::vector<std::string>& paths) {
    if (paths.empty() || paths == std::vector<std::string>{""}) return "";
    std::string text = "\n" + title + " paths: ";
    for (std::size_t i = 0; i < paths.size(); ++i) text += (i ? ", " : "") + paths[i];
    return text + "\n";
}

std::string figure(const std::optional<std::int64_t>& value) {
    return value ? grouped(*value) : "unknown (symbolic sizes)";
}
std::string size(const std::optional<std::int64_t>& value) {
    return value ? bytes_text(static_cast<double>(*value)) : "unknown (symbolic sizes)";
}

std::string text_of(const ModelInfo& info) {
    std::string text =
        "Model: " + info.model_name + "\nPyTorch: " + info.pytorch_version +
        "\nNodes: " + grouped(static_cast<long long>(info.num_nodes)) + "\nInputs: " + std::to_string(info.num_inputs) +
        "\nOutputs: " + std::to_string(info.num_outputs) + "\nWeights: " + std::to_string(info.num_weights) +
        "\nTotal parameters: " + figure(info.total_parameters) + "\nWeight size: " + size(info.weight_bytes) +
        "\nPeak of activations: " + size(info.peak_activation_bytes) +
        "\nFLOPs (products only): " + figure(info.flops) + "\n";
    text += shapes_text("Input shapes", info.input_shapes) + paths_text("Input", info.input_paths) +
            shapes_text("Output shapes", info.output_shapes) + paths_text("Output", info.output_paths);
    if (!info.symbols.empty()) {
        text += "\nSymbols:\n";
        for (const SymbolRange& range : info.symbols)
            text += "  " + range.name + ": " + (range.min ? std::to_string(*range.min) : "-inf") + " to " +
                    (range.max ? std::to_string(*range.max) : "inf") + "\n";
    }
    text += "\nDtypes:\n";
    for (const auto& [dtype, count] : info.dtypes) text += "  " + dtype + ": " + std::to_string(count) + "\n";
    text += "\nOp distribution:\n";
    for (const auto& [op, count] : info.op_distribution) text += "  " + op + ": " + std::to_string(count) + "\n";
    text.pop_back();
    return text;
}

}  // namespace

Command make_info() {
    auto options = std::make_shared<InfoFlags>();
    return {"info",
            "Show inputs, outputs, weights, ops, FLOPs and memory of a model",
            "Weights are not read. Example: torch-ir info model.pt2 --json",
            {model_option(options->model), json_option(options->json),
             writes({"-o,--output", "write to a file instead of stdout", &options->output, "FILE"})},
            [options](const Globals&) {
                const ModelInfo info = collect_info(*load_model(options->model).model);
                print_or_write(options->json ? to_json(info) : text_of(info), options->output);
                return static_cast<int>(ok);
            }};
}

}  // namespace torch_ir::cli
