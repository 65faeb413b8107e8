// SPDX-License-Identifier: MIT
#include <algorithm>

#include "convert.hpp"
#include "extraction.hpp"
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

/// The tensor as it lies in memory; `owner` keeps that.
TensorView view_of(const at::Tensor& tensor) {
    const at::Storage& storage = tensor.storage();
    TensorView view{extractor::dtype_of(tensor.scalar_type()), tensor.sizes().vec(), tensor.strides().vec(),
                    tensor.storage_offset()};
    view.storage = {static_cast<const std::byte*>(storage.data()), storage.nbytes()};
    view.owner = std::make_shared<at::Tensor>(tensor);
    view.conjugate = tensor.is_conj();
    view.negative = tensor.is_neg();
    return view;
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
    const torch::nn::Module* module = options.module ? options.module : source.module.get();
    if (module) {
        if (module->weak_from_this().expired())
            throw ArgumentError("LibTorch lists the weights only of modules that a std::shared_ptr holds: make " +
                                plain_type(module->name()) + " by std::make_shared or as a module holder");
        for (const auto& item : module->named_parameters())
            recorder.add_weight(item.value(), InputKind::Parameter, item.key());
        for (const auto& item : module->named_buffers())
            recorder.add_weight(item.value(), InputKind::Buffer, item.key());
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
    Extraction result = extractor::finish(recorder, values, output);
    result.model.name = !options.name.empty()  ? options.name
                        : !source.name.empty() ? source.name
                        : module               ? plain_type(module->name())
                                               : "function";
    result.model.forward_arg_names = options.input_names;
    return result;
}

void save_weights(const std::filesystem::path& path, const Extraction& extraction) {
    NamedSafetensors tensors;
    for (const InputSpec& input : extraction.model.inputs) {
        if (!is_weight(input.kind)) continue;
        const auto& constants = extraction.model.constants;
        if (const auto constant = constants.find(input.target); constant != constants.end()) {
            SafetensorsTensor tensor{constant->second.meta.dtype, {}, constant->second.data};
            for (const Dim& size : constant->second.meta.shape) tensor.shape.push_back(size.value());
            tensors.emplace_back(input.target, std::move(tensor));
            continue;
        }
        const auto found =
            std::ranges::find(extraction.weights, input.target, &std::pair<std::string, at::Tensor>::first);
        if (found == extraction.weights.end() || !found->second.is_cpu())
            throw ArgumentError("weight '" + input.target + "' has no values: it is on the meta device");
        tensors.emplace_back(input.target, view_of(found->second));
    }
    write_safetensors(path, std::move(tensors));
}

}  // namespace torch_ir
