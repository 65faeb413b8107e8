// SPDX-License-Identifier: MIT
// Finds and opens what belongs to a model on disk: graph, weights, inputs and expected outputs, recognised by content.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "interpreter.hpp"
#include "torch_ir/issue.hpp"

namespace torch_ir {

using NamedTensors = std::map<std::string, Tensor, std::less<>>;

/// A model and where it was found.
struct LoadedModel {
    std::shared_ptr<const Model> model;
    std::filesystem::path path;       // the .pt2 or JSON file
    std::filesystem::path directory;  // where its companions lie
    bool is_pt2 = false;
};

/// The file that load_model reads for `path`: itself, or model.pt2 or ir.json in a directory. Throws IoError when a
/// directory holds neither.
std::filesystem::path model_path(const std::filesystem::path& path);

/// `path` is a .pt2, a JSON IR, or a directory holding model.pt2 or ir.json. `conflicts`, see read_json.
/// Throws IoError, ParseError or UnsupportedError with the file's name in front.
LoadedModel load_model(const std::filesystem::path& path, std::vector<Issue>* conflicts = nullptr);

/// The weights in the given files (all together); without any, those beside the model in weights.safetensors, if there.
/// What is still missing is taken from the .pt2 itself. Throws ArgumentError for a given file that holds no weight of
/// the model, and when nothing holds any. `remarks`, where given, gains a line for each given file with other tensors,
/// too.
Weights load_weights(const LoadedModel& model, const std::vector<std::string>& files,
                     std::vector<std::string>* remarks = nullptr);

/// The tensors of a safetensors file (or any weight file).
NamedTensors load_tensors(const std::filesystem::path& path);

/// The inputs in `file`; with an empty name those in inputs.safetensors beside the model, else the sample inputs of the
/// .pt2. Throws ArgumentError when there are none but the model needs some.
NamedTensors load_inputs(const LoadedModel& model, const std::string& file);

/// The expected outputs in `file`, or with an empty name in expected.safetensors beside the model. Throws ArgumentError
/// when there are none.
NamedTensors load_expected(const LoadedModel& model, const std::string& file);

/// Writes tensors (made contiguous) as safetensors.
void save_tensors(const std::filesystem::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

/// The outputs of a run as `output_N` tensors; positions of None are skipped.
std::vector<std::pair<std::string, Tensor>> output_tensors(const RunResult& result);

}  // namespace torch_ir
