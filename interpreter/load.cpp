// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "torch_ir/checkpoint.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/renames.hpp"
#include "torch_ir/safetensors.hpp"
#include "torch_ir/text.hpp"
#include "verification/compare.hpp"

namespace torch_ir {
namespace {

namespace fs = std::filesystem;

enum class Content { Zip, Json, Empty, Safetensors, Onnx, Other };

Content content_of(const fs::path& path) {
    const auto file = map_file(path);
    const auto bytes = file->bytes();
    const auto is = [&](std::size_t i, char c) { return i < bytes.size() && bytes[i] == static_cast<std::byte>(c); };
    if (bytes.empty()) return Content::Empty;
    if (is(0, 'P') && is(1, 'K')) return Content::Zip;
    if (is(7, 0) && is(8, '{')) return Content::Safetensors;  // the length of a header and the header
    if (is(0, 8) && is(2, 0x12)) return Content::Onnx;        // ir_version and producer_name
    const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) {
        return b != std::byte{' '} && b != std::byte{'\n'} && b != std::byte{'\r'} && b != std::byte{'\t'};
    });
    return first != bytes.end() && *first == std::byte{'{'} ? Content::Json : Content::Other;
}

/// `'a' (the closest name of a weight is 'b')`
std::string with_similar(const std::string& name, const std::vector<std::string>& weights, const PrefixChange& change) {
    const std::string changed =
        name.starts_with(change.from) ? change.to + name.substr(change.from.size()) : std::string();
    const std::string similar = std::ranges::find(weights, changed) == weights.end() ? closest(name, weights) : changed;
    return "'" + name + "'" + (similar.empty() ? "" : " (the closest name of a weight is '" + similar + "')");
}

/// Tensors in a file that was given for weights and that the model does not have: an error when those are all.
void check_use(const std::string& file, const Weights& tensors, const std::vector<std::string>& weights,
               std::vector<std::string>* remarks) {
    std::set<std::string, std::less<>> known(weights.begin(), weights.end());
    const auto is_known = [&](const std::string& name) {
        // The tensors that a subclass of Tensor is made of (`linear.weight.qdata`) go with it.
        for (std::size_t end = name.size(); end != std::string::npos && end > 0; end = name.rfind('.', end - 1))
            if (known.contains(std::string_view(name).substr(0, end))) return true;
        return false;
    };
    std::vector<std::string> unused;
    for (const auto& [name, tensor] : tensors.tensors())
        if (!is_known(name)) unused.push_back(name);
    const std::size_t count = tensors.tensors().size();
    if (unused.size() == count && (count > 0 || !weights.empty())) {
        if (count == 0) throw ArgumentError(file + ": expected weights of the model, found no tensors");
        const PrefixChange change = find_prefix_change(weights, unused);
        throw ArgumentError(file + ": none of its " + std::to_string(count) + (count == 1 ? " tensor" : " tensors") +
                            " is a weight of the model, the first is " + with_similar(unused[0], weights, change) +
                            (change.count > 0 ? "; " + describe(change, weights.size()) : ""));
    }
    if (!unused.empty() && remarks)
        remarks->push_back(
            file + ": " + std::to_string(unused.size()) + " of " + std::to_string(count) + " tensors " +
            (unused.size() == 1 ? "is not a weight of the model: " : "are not weights of the model, the first is ") +
            with_similar(unused[0], weights, {}));
}

}  // namespace

fs::path model_path(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) return path;
    for (const char* name : {"model.pt2", "ir.json"})
        if (fs::exists(path / name)) return path / name;
    throw IoError(path.string() + ": expected model.pt2 or ir.json in this directory, found neither");
}

LoadedModel load_model(const fs::path& path, std::vector<Issue>* conflicts) {
    LoadedModel loaded;
    loaded.path = model_path(path);
    loaded.directory = loaded.path.parent_path();
    switch (content_of(loaded.path)) {
        case Content::Zip:
            loaded.is_pt2 = true;
            loaded.model = std::make_shared<const Model>(read_pt2(loaded.path));
            break;
        case Content::Json:
            loaded.model = std::make_shared<const Model>(read_json(loaded.path, conflicts));
            break;
        case Content::Empty:
            throw ParseError(loaded.path.string() + ": expected a .pt2 or a JSON IR, the file is empty");
        case Content::Safetensors:
            throw ParseError(loaded.path.string() +
                             ": expected a .pt2 or a JSON IR, found safetensors: tensors without a graph");
        case Content::Onnx:
            throw UnsupportedError(loaded.path.string() +
                                   ": expected a .pt2 or a JSON IR, found ONNX: export the PyTorch module with "
                                   "torch.export.save");
        case Content::Other:
            throw ParseError(loaded.path.string() +
                             ": expected a .pt2 (zip) or a JSON IR; the first bytes are those of neither");
    }
    return loaded;
}

Weights load_weights(const LoadedModel& model, const std::vector<std::string>& files,
                     std::vector<std::string>* remarks) {
    std::vector<std::string> wanted;
    for (const InputSpec& spec : model.model->inputs)
        if (is_weight(spec.kind)) wanted.push_back(spec.target);
    std::ranges::sort(wanted);
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());  // one weight, several inputs
    Weights weights;
    if (!files.empty()) {
        for (const std::string& file : files) {
            Weights given = open_weights(file);
            check_use(file, given, wanted, remarks);
            weights.merge(std::move(given));
        }
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
    std::erase_if(wanted, [&](const std::string& name) { return model.model->constants.contains(name); });
    if (weights.tensors().empty() && !wanted.empty())
        throw ArgumentError(model.path.string() + ": no weights (" + first_few(wanted, 10, ", ", std::identity{}) +
                            "): give --weights FILE, or put weights.safetensors beside the model");
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
