// SPDX-License-Identifier: MIT
#include "torchscript.hpp"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "recorder.hpp"
#include "torch_ir/archive.hpp"
#include "torch_ir/file.hpp"
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

/// Names calls by TorchScript's own stack. It leaves out lists of modules: `0` for `layers.0`.
class ScriptPaths {
  public:
    explicit ScriptPaths(torch::jit::Module root) : root_(std::move(root)) {}

    Provenance operator()(const std::vector<std::string>& keys) {
        Provenance provenance;
        std::vector<std::string> names;
        for (const std::string& entry : torch::jit::currentModuleHierarchy()) {
            const auto [name, type] = instance_of(entry);
            if (name.empty()) continue;
            names.push_back(name);
            provenance.module_type = type;
        }
        if (!keys.empty()) last_ = keys.front();
        provenance.module_path = path_of(names);
        for (const torch::jit::StackEntry& entry : torch::jit::currentCallstack()) {
            const auto place = entry.range.findSourceRangeThatGenerated().value_or(entry.range).file_line_col();
            if (!place || std::get<0>(*place).empty()) continue;
            const std::string& file = std::get<0>(*place);
            provenance.source = file.substr(file.find_last_of("/\\") + 1) + ":" + std::to_string(std::get<1>(*place));
            break;
        }
        return provenance;
    }

  private:
    /// Of the modules that the names may mean, the nearest to the weight that was read last.
    std::string path_of(const std::vector<std::string>& names) {
        std::string joined;
        for (const std::string& name : names) joined += name + "/";
        const auto [entry, is_new] = paths_.try_emplace(joined);
        if (is_new) find_paths(root_, "", names, 0, entry->second);
        std::string best;
        std::size_t best_common = 0;
        for (const std::string& path : entry->second) {
            const auto common = static_cast<std::size_t>(std::ranges::mismatch(path, last_).in1 - path.begin()) + 1;
            if (common <= best_common) continue;
            best = path;
            best_common = common;
        }
        return best;
    }

    static void find_paths(const torch::jit::Module& module, const std::string& path,
                           const std::vector<std::string>& names, std::size_t i, std::vector<std::string>& found) {
        if (i == names.size()) return found.push_back(path);
        for (const auto& child : module.named_children()) {
            const std::string child_path = path.empty() ? child.name : path + "." + child.name;
            if (child.name == names[i]) find_paths(child.value, child_path, names, i + 1, found);
            const auto type = child.value.type()->name();
            if (type && (type->name() == "ModuleList" || type->name() == "ModuleDict"))
                find_paths(child.value, child_path, names, i, found);
        }
    }

    torch::jit::Module root_;
    std::string last_;
    std::map<std::string, std::vector<std::string>> paths_;
};

/// An argument of the method, and whether the caller gave it.
struct Bound {
    std::string name;
    c10::IValue value;
    bool given = false;
};

/// One for each argument of the method, self left out.
std::vector<Bound> bind_inputs(const c10::FunctionSchema& schema, const std::vector<NamedInput>& inputs) {
    std::vector<Bound> bound;
    std::set<std::size_t> used;
    std::string names;
    for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
        const c10::Argument& argument = schema.arguments()[i];
        names += (names.empty() ? "'" : ", '") + argument.name() + "'";
        Bound& entry =
            bound.emplace_back(Bound{argument.name(), argument.default_value().value_or(c10::IValue()), false});
        for (std::size_t k = 0; k < inputs.size(); ++k) {
            const std::string& name = inputs[k].first;
            const bool by_position = name.empty() ? k == i - 1 : name == "input_" + std::to_string(i - 1);
            if (name != argument.name() && !by_position) continue;
            if (entry.given) throw ArgumentError("input '" + argument.name() + "' is given twice");
            entry.value = extractor::fitted(inputs[k].second, argument.type(), argument.name());
            entry.given = true;
            used.insert(k);
        }
        if (!entry.given && !argument.default_value() && argument.type()->kind() != c10::TypeKind::OptionalType)
            throw ArgumentError("input '" + argument.name() + "' (" + argument.type()->annotation_str() +
                                ") is missing");
    }
    for (std::size_t k = 0; k < inputs.size(); ++k)
        if (!used.contains(k)) throw ArgumentError("input '" + inputs[k].first + "' is none of the module's: " + names);
    return bound;
}

/// Throws IoError or ParseError saying what the file is, unless it looks like TorchScript.
void check_kind(const std::filesystem::path& path) {
    const auto file = map_file(path);
    const std::string expected = path.string() + ": expected a TorchScript file (torch.jit.save), found ";
    if (!looks_like_zip(file->bytes()))
        throw ParseError(expected + (file->bytes().empty() ? "an empty file" : "other contents"));
    const Archive archive = with_context(path.string(), [&] { return open_archive(file->bytes(), file); });
    if (archive.kind == Archive::Kind::Checkpoint)
        throw ParseError(expected + "a checkpoint (torch.save), which has weights and no program");
    if (archive.kind != Archive::Kind::TorchScript)
        throw ParseError(expected + "an exported program (torch.export.save); `torch-ir extract` reads it");
}

torch::jit::Module load(const std::filesystem::path& path) {
    try {
        return torch::jit::load(path.string(), c10::kCPU);
    } catch (const std::exception& error) {
        check_kind(path);
        throw IoError(path.string() + ": LibTorch " TORCH_VERSION " cannot read it: " + extractor::message_of(error));
    }
}

/// Runs the method. Tensors that are there before and keep their shape are put back: only state that the runs make
/// stays. Numbers and flags stay, too: they say that there is state.
void warm_up(const torch::jit::Module& module, const torch::jit::Method& method, const std::vector<Bound>& bound,
             int runs) {
    struct Saved {
        c10::intrusive_ptr<c10::ivalue::Object> object;
        std::size_t slot;
        at::Tensor tensor, values;
    };
    const at::NoGradGuard no_grad;
    std::vector<Saved> saved;
    for (const torch::jit::Module& part : module.modules())
        for (std::size_t i = 0; i < part._ivalue()->slots().size(); ++i)
            if (const c10::IValue& value = part._ivalue()->getSlot(i); value.isTensor() && value.toTensor().defined())
                saved.push_back({part._ivalue(), i, value.toTensor(), value.toTensor().clone()});
    std::vector<c10::IValue> values;
    for (const Bound& input : bound) values.push_back(input.value);
    try {
        for (int i = 0; i < runs; ++i) method(values);
    } catch (const std::exception& error) {
        throw ArgumentError("the warm-up run fails: " + extractor::message_of(error));
    }
    for (const auto& [object, slot, tensor, before] : saved) {
        const c10::IValue& now = object->getSlot(slot);
        if (!now.isTensor() || now.toTensor().sizes() != before.sizes()) continue;
        tensor.copy_(before);
        object->setSlot(slot, tensor);
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

Extraction extract_module(torch::jit::Module module, const std::vector<NamedInput>& inputs,
                          const ExtractOptions& options, int warmup) {
    module.eval();
    const auto method = module.find_method("forward");
    if (!method) throw ArgumentError("the module has no forward");
    const c10::FunctionSchema& schema = method->function().getSchema();
    const std::vector<Bound> bound = bind_inputs(schema, inputs);
    if (warmup > 0) warm_up(module, *method, bound, warmup);

    extractor::Recorder recorder(options.specialise);
    recorder.provenance = ScriptPaths(module);
    std::set<std::string> parameters;
    for (const auto& parameter : module.named_parameters()) {
        recorder.add_weight(parameter.value, InputKind::Parameter, parameter.name);
        parameters.insert(parameter.name);
    }
    const std::map<std::string, c10::IValue> before = attributes_of(module);
    for (const auto& [name, value] : before)
        if (value.isTensor() && !parameters.contains(name))
            recorder.add_weight(value.toTensor(), InputKind::Buffer, name);
    const AttributeGuard restore(module);
    torch::jit::Stack arguments{module._ivalue()};
    // As for torch.export, arguments that are left to their defaults are no inputs.
    std::vector<std::string> names;
    std::vector<c10::IValue> values;
    for (const Bound& input : bound) {
        arguments.push_back(input.given ? extractor::add_inputs(recorder, input.value, input.name) : input.value);
        if (!input.given) continue;
        names.push_back(input.name);
        values.push_back(input.value);
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
    Extraction result = extractor::finish(recorder, values, output);
    result.model.name = options.name.empty() ? module.type()->name()->name() : options.name;
    result.model.forward_arg_names = names;
    return result;
}

}  // namespace

Extraction extract_torchscript(const std::filesystem::path& path, const std::vector<NamedInput>& inputs,
                               const ExtractOptions& options, int warmup) {
    torch::jit::Module module = load(path);
    return with_context(path.string(), [&] { return extract_module(std::move(module), inputs, options, warmup); });
}

}  // namespace torch_ir
