// SPDX-License-Identifier: MIT
#include "torchscript.hpp"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "recorder.hpp"
#include "values.hpp"

namespace torch_ir {
namespace {

/// Attributes as they were: a run may put other values in their place.
class AttributeGuard {
  public:
    explicit AttributeGuard(const torch::jit::Module& module) {
        for (const torch::jit::Module& part : module.modules())
            saved_.emplace_back(part._ivalue(), part._ivalue()->slots());
    }
    AttributeGuard(const AttributeGuard&) = delete;
    AttributeGuard& operator=(const AttributeGuard&) = delete;
    ~AttributeGuard() {
        for (auto& [object, slots] : saved_)
            for (std::size_t i = 0; i < slots.size(); ++i) object->setSlot(i, slots[i]);
    }

  private:
    std::vector<std::pair<c10::intrusive_ptr<c10::ivalue::Object>, std::vector<c10::IValue>>> saved_;
};

std::map<std::string, c10::IValue> attributes_of(const torch::jit::Module& module) {
    std::map<std::string, c10::IValue> attributes;
    for (const auto& attribute : module.named_attributes(true))
        if (!attribute.value.isObject()) attributes.emplace(attribute.name, attribute.value);
    return attributes;
}

/// `e(Encoder)::forward` as its instance and type; both empty for a method of the same module and for functions.
std::pair<std::string, std::string> instance_of(const std::string& entry) {
    const std::size_t open = entry.find('('), close = entry.rfind(")::");
    if (open == std::string::npos || close == std::string::npos) return {};
    const std::string name = entry.substr(0, open);
    if (name == "SELF" || name == "TOP" || name == "INSTANCE_NAME_UNKNOWN") return {};
    return {name, entry.substr(open + 1, close - open - 1)};
}

Provenance script_provenance() {
    Provenance provenance;
    for (const std::string& entry : torch::jit::currentModuleHierarchy()) {
        const auto [name, type] = instance_of(entry);
        if (name.empty()) continue;
        provenance.module_path += (provenance.module_path.empty() ? "" : ".") + name;
        provenance.module_type = type;
    }
    for (const torch::jit::StackEntry& entry : torch::jit::currentCallstack()) {
        const auto place = entry.range.file_line_col();
        if (!place) continue;
        const std::string& file = std::get<0>(*place);
        provenance.source = file.substr(file.find_last_of("/\\") + 1) + ":" + std::to_string(std::get<1>(*place));
        break;
    }
    return provenance;
}

/// A 0-d tensor as the number that the argument wants.
c10::IValue fitting(const c10::IValue& value, const c10::Argument& argument) {
    if (!value.isTensor() || !value.toTensor().defined() || value.toTensor().dim() != 0 || !value.toTensor().is_cpu())
        return value;
    c10::TypePtr type = argument.type();
    if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    const at::Tensor tensor = value.toTensor();
    switch (type->kind()) {
        case c10::TypeKind::IntType:
            return tensor.item<std::int64_t>();
        case c10::TypeKind::FloatType:
            return tensor.item<double>();
        case c10::TypeKind::BoolType:
            return tensor.item<bool>();
        case c10::TypeKind::NumberType:
            return tensor.item();
        default:
            return value;
    }
}

/// One value for each argument of the method, self left out.
std::vector<c10::IValue> bind_inputs(const c10::FunctionSchema& schema, const std::vector<NamedInput>& inputs) {
    std::vector<c10::IValue> values;
    std::set<std::size_t> used;
    for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
        const c10::Argument& argument = schema.arguments()[i];
        std::optional<c10::IValue> value = argument.default_value();
        for (std::size_t k = 0; k < inputs.size(); ++k) {
            const std::string& name = inputs[k].first;
            const bool by_position = name.empty() ? k == i - 1 : name == "input_" + std::to_string(i - 1);
            if (name != argument.name() && !by_position) continue;
            value = fitting(inputs[k].second, argument);
            used.insert(k);
        }
        if (!value) {
            if (argument.type()->kind() == c10::TypeKind::OptionalType)
                value = c10::IValue();
            else
                throw ArgumentError("input '" + argument.name() + "' (" + argument.type()->str() + ") is missing");
        }
        values.push_back(*value);
    }
    std::string names;
    for (std::size_t i = 1; i < schema.arguments().size(); ++i)
        names += (names.empty() ? "'" : ", '") + schema.arguments()[i].name() + "'";
    for (std::size_t k = 0; k < inputs.size(); ++k)
        if (!used.contains(k)) throw ArgumentError("input '" + inputs[k].first + "' is none of the module's: " + names);
    return values;
}

torch::jit::Module load(const std::filesystem::path& path) {
    try {
        return torch::jit::load(path.string(), c10::kCPU);
    } catch (const c10::Error& error) {
        throw IoError(path.string() + ": not a TorchScript file that LibTorch " TORCH_VERSION " can read: " +
                      error.what_without_backtrace());
    }
}

/// Tensors in another tensor's place are new values of it; other attributes cannot be state of a graph.
void record_attributes(extractor::Recorder& recorder, const std::map<std::string, c10::IValue>& before,
                       const torch::jit::Module& module) {
    for (const auto& [name, now] : attributes_of(module)) {
        const auto was = before.find(name);
        if (was == before.end()) continue;
        if (now.isTensor() && was->second.isTensor()) {
            const at::Tensor &a = was->second.toTensor(), &b = now.toTensor();
            if (a.is_same(b) || !b.defined()) continue;
            recorder.replace_weight(name, b);
            if (a.sizes() != b.sizes())
                recorder.notes.push_back("'" + name +
                                         "' has another shape after the run: run the module once before with "
                                         "warmup (--warmup 1), so that its state exists");
        } else if (!now.isTensor() && !now.isList() && !now.isTuple() && !now.isGenericDict() && now != was->second) {
            std::ostringstream text;
            text << "attribute '" << name << "' changes from " << was->second << " to " << now
                 << ": the graph has the run that began with the former";
            recorder.notes.push_back(text.str());
        }
    }
}

}  // namespace

Extraction extract_torchscript(const std::filesystem::path& path, const std::vector<NamedInput>& inputs,
                               const ExtractOptions& options, int warmup) {
    torch::jit::Module module = load(path);
    module.eval();
    const auto method = module.find_method("forward");
    if (!method) throw ArgumentError(path.string() + ": the module has no forward");
    const c10::FunctionSchema& schema = method->function().getSchema();
    const std::vector<c10::IValue> values = with_context(path.string(), [&] { return bind_inputs(schema, inputs); });
    {
        const at::NoGradGuard no_grad;
        for (int i = 0; i < warmup; ++i) (*method)(values);
    }

    extractor::Recorder recorder(options.specialise);
    recorder.provenance = [](const std::vector<std::string>&) { return script_provenance(); };
    Extraction result;
    for (const auto& parameter : module.named_parameters()) {
        recorder.add_weight(parameter.value, InputKind::Parameter, parameter.name);
        result.weights.emplace_back(parameter.name, parameter.value);
    }
    const std::map<std::string, c10::IValue> before = attributes_of(module);
    for (const auto& [name, value] : before) {
        if (!value.isTensor() || !value.toTensor().defined()) continue;
        if (std::ranges::find(result.weights, name, &std::pair<std::string, at::Tensor>::first) != result.weights.end())
            continue;
        recorder.add_weight(value.toTensor(), InputKind::Buffer, name);
        result.weights.emplace_back(name, value.toTensor());
    }
    const AttributeGuard restore(module);
    torch::jit::Stack arguments{module._ivalue()};
    std::vector<std::string> names;
    for (std::size_t i = 0; i < values.size(); ++i) {
        names.push_back(schema.arguments()[i + 1].name());
        arguments.push_back(extractor::add_inputs(recorder, values[i], names.back()));
    }
    // The graph as it is in the file: what optimisation would move stays in its place.
    auto graph = torch::jit::toGraphFunction(method->function()).graph()->copy();
    torch::jit::Inline(*graph);
    const torch::jit::Code code(graph, "forward");
    const c10::IValue output = recorder.run([&] {
        torch::jit::Stack stack = arguments;
        torch::jit::InterpreterState(code).run(stack);
        return stack.at(0);
    });
    record_attributes(recorder, before, module);
    extractor::add_outputs(recorder, output);
    result.model = recorder.finish();
    result.notes = std::move(recorder.notes);
    result.model.name = options.name.empty() ? module.type()->name()->name() : options.name;
    result.model.pytorch_version = TORCH_VERSION;
    result.model.forward_arg_names = names;
    extractor::set_specs(result.model, values, output);
    return result;
}

}  // namespace torch_ir
