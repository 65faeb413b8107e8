// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>

#include "torch_ir/checkpoint.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/safetensors.hpp"
#include "verification/compare.hpp"

namespace torch_ir {
namespace {

namespace fs = std::filesystem;

enum class Content { Zip, Json, Other };

Content content_of(const fs::path& path) {
    const auto file = map_file(path);
    const auto bytes = file->bytes();
    if (bytes.size() >= 4 && bytes[0] == std::byte{'P'} && bytes[1] == std::byte{'K'}) return Content::Zip;
    const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) {
        return b != std::byte{' '} && b != std::byte{'\n'} && b != std::byte{'\r'} && b != std::byte{'\t'};
    });
    return first != bytes.end() && *first == std::byte{'{'} ? Content::Json : Content::Other;
}

fs::path find_in_directory(const fs::path& directory) {
    for (const char* name : {"model.pt2", "ir.json"})
        if (fs::exists(directory / name)) return directory / name;
    throw IoError(directory.string() + ": expected model.pt2 or ir.json in this directory, found neither");
}

}  // namespace

LoadedModel load_model(const fs::path& path, std::vector<Issue>* conflicts) {
    LoadedModel loaded;
    std::error_code ignored;
    loaded.path = fs::is_directory(path, ignored) ? find_in_directory(path) : path;
    loaded.directory = loaded.path.parent_path();
    switch (content_of(loaded.path)) {
        case Content::Zip:
            loaded.is_pt2 = true;
            loaded.model = std::make_shared<const Model>(read_pt2(loaded.path));
            break;
        case Content::Json:
            loaded.model = std::make_shared<const Model>(read_json(loaded.path, conflicts));
            break;
        case Content::Other:
            throw ParseError(loaded.path.string() +
                             ": expected a .pt2 (zip) or a JSON IR; the first bytes are those of neither");
    }
    return loaded;
}

Weights load_weights(const LoadedModel& model, const std::vector<std::string>& files) {
    Weights weights;
    if (!files.empty()) {
        for (const std::string& file : files) weights.merge(open_weights(file));
    } else if (const fs::path beside = model.directory / "weights.safetensors"; fs::exists(beside)) {
        weights = open_weights(beside);
    }
    if (model.is_pt2) {
        WeightsOptions options;
        options.skip_unsaved = true;
        const Weights own = open_weights(model.path, options);
        for (const auto& [name, tensor] : own.tensors())
            if (!weights.find(name)) weights.insert(name, tensor);
    }
    return weights;
}

NamedTensors load_tensors(const fs::path& path) {
    NamedTensors tensors;
    const Weights weights = open_weights(path);
    for (const auto& [name, view] : weights.tensors()) tensors.emplace(name, to_tensor(view));
    return tensors;
}

NamedTensors load_inputs(const LoadedModel& model, const std::string& file) {
    if (!file.empty()) return load_tensors(file);
    if (const fs::path beside = model.directory / "inputs.safetensors"; fs::exists(beside)) return load_tensors(beside);
    const bool needs_inputs = std::any_of(model.model->inputs.begin(), model.model->inputs.end(),
                                          [](const InputSpec& spec) { return spec.kind == InputKind::UserInput; });
    NamedTensors tensors;
    if (!needs_inputs) return tensors;
    const std::vector<SampleInput> samples = model.is_pt2 ? read_sample_inputs(model.path) : std::vector<SampleInput>{};
    if (samples.empty())
        throw ArgumentError(model.path.string() +
                            ": no inputs: give --inputs FILE, or put inputs.safetensors beside the model");
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const std::string name = "input_" + std::to_string(i);
        if (const auto* view = std::get_if<TensorView>(&samples[i].value)) {
            tensors.emplace(name, to_tensor(*view));
        } else {
            const auto& value = std::get<Argument>(samples[i].value);
            if (const auto* v = value.get_if<bool>()) tensors.emplace(name, Tensor::scalar(*v, DType::Bool));
            if (const auto* v = value.get_if<std::int64_t>()) tensors.emplace(name, Tensor::scalar(*v, DType::Int64));
            if (const auto* v = value.get_if<double>()) tensors.emplace(name, Tensor::scalar(*v, DType::Float64));
        }
    }
    return tensors;
}

NamedTensors load_expected(const LoadedModel& model, const std::string& file) {
    if (!file.empty()) return load_tensors(file);
    if (const fs::path beside = model.directory / "expected.safetensors"; fs::exists(beside))
        return load_tensors(beside);
    throw ArgumentError(model.path.string() +
                        ": no expected outputs: give --expected FILE, or put expected.safetensors beside the model");
}

void save_tensors(const fs::path& path, const std::vector<std::pair<std::string, Tensor>>& tensors) {
    NamedSafetensors entries;
    std::vector<Tensor> held;  // contiguous copies live until the file is written
    held.reserve(tensors.size());
    for (const auto& [name, tensor] : tensors) {
        held.push_back(tensor.contiguous());
        entries.emplace_back(
            name,
            SafetensorsTensor{held.back().dtype(), held.back().shape(), {held.back().raw(), held.back().bytes()}});
    }
    write_safetensors(path, std::move(entries));
}

std::vector<std::pair<std::string, Tensor>> output_tensors(const RunResult& result) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (std::size_t i = 0; i < result.outputs.size(); ++i)
        if (const Tensor tensor = value_tensor(result.outputs[i].value); tensor.defined())
            tensors.emplace_back("output_" + std::to_string(i), tensor);
    return tensors;
}

}  // namespace torch_ir
