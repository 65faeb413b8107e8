// SPDX-License-Identifier: MIT
#include "extract.hpp"

#include <torch/version.h>

#include <algorithm>

#include "convert.hpp"
#include "module_paths.hpp"
#include "recorder.hpp"
#include "torch_ir/safetensors.hpp"
#include "values.hpp"

namespace torch_ir {
namespace {

/// `Linear` for `torch::nn::LinearImpl`.
std::string plain_type(std::string name) {
    if (const std::size_t colons = name.rfind("::"); colons != std::string::npos) name.erase(0, colons + 2);
    if (name.size() > 4 && name.ends_with("Impl")) name.resize(name.size() - 4);
    return name;
}

void add_weights(extractor::Recorder& recorder, const torch::nn::Module& module, Extraction& result) {
    for (const auto& item : module.named_parameters()) {
        recorder.add_weight(item.value(), InputKind::Parameter, item.key());
        if (item.value().defined()) result.weights.emplace_back(item.key(), item.value());
    }
    for (const auto& item : module.named_buffers()) {
        recorder.add_weight(item.value(), InputKind::Buffer, item.key());
        if (item.value().defined()) result.weights.emplace_back(item.key(), item.value());
    }
}

}  // namespace

Extraction extract(const ExtractSource& source, const std::vector<c10::IValue>& example_inputs,
                   const ExtractOptions& options) {
    if (!source.forward)
        throw ArgumentError("there is no program: set ExtractSource::forward, as torch_ir::source_of(module) does");
    if (source.input_types && source.input_types->size() != example_inputs.size())
        throw ArgumentError("the module's forward takes " + std::to_string(source.input_types->size()) +
                            " inputs, found " + std::to_string(example_inputs.size()));
    extractor::Recorder recorder(options.specialise);
    Extraction result;
    const torch::nn::Module* module = options.module ? options.module : source.module.get();
    if (module) {
        if (module->weak_from_this().expired())
            throw ArgumentError("LibTorch lists the weights only of modules that a std::shared_ptr holds: make " +
                                plain_type(module->name()) + " by std::make_shared or as a module holder");
        add_weights(recorder, *module, result);
        recorder.provenance = extractor::ModulePaths(*module);
    }
    std::vector<c10::IValue> values, inputs;
    for (std::size_t i = 0; i < example_inputs.size(); ++i) {
        const std::string name = i < options.input_names.size() ? options.input_names[i] : "input_" + std::to_string(i);
        values.push_back(source.input_types ? extractor::fitted(example_inputs[i], (*source.input_types)[i], name)
                                            : example_inputs[i]);
        inputs.push_back(extractor::add_inputs(recorder, values.back(), name));
    }
    const c10::IValue output = recorder.run([&] { return source.forward(inputs); });
    extractor::add_outputs(recorder, output);
    result.model = recorder.finish();
    result.notes = std::move(recorder.notes);
    result.model.name = !options.name.empty()  ? options.name
                        : !source.name.empty() ? source.name
                        : module               ? plain_type(module->name())
                                               : "function";
    result.model.pytorch_version = TORCH_VERSION;
    result.model.forward_arg_names = options.input_names;
    extractor::set_specs(result.model, values, output);
    return result;
}

void save_weights(const std::filesystem::path& path, const Extraction& extraction) {
    std::vector<std::pair<std::string, Constant>> values;
    for (const InputSpec& input : extraction.model.inputs) {
        if (!is_weight(input.kind)) continue;
        if (const auto constant = extraction.model.constants.find(input.target);
            constant != extraction.model.constants.end()) {
            values.emplace_back(input.target, constant->second);
            continue;
        }
        const auto found =
            std::ranges::find(extraction.weights, input.target, &std::pair<std::string, at::Tensor>::first);
        if (found == extraction.weights.end() || !found->second.is_cpu())
            throw ArgumentError("weight '" + input.target + "' has no values: it is on the meta device");
        values.emplace_back(input.target, extractor::constant_of(found->second));
    }
    NamedSafetensors tensors;
    for (const auto& [name, value] : values) {
        SafetensorsTensor tensor{value.meta.dtype, {}, value.data};
        for (const Dim& size : value.meta.shape) tensor.shape.push_back(size.value());
        tensors.emplace_back(name, std::move(tensor));
    }
    write_safetensors(path, std::move(tensors));
}

}  // namespace torch_ir
