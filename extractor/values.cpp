// SPDX-License-Identifier: MIT
#include "values.hpp"

#include <torch/version.h>

#include <nlohmann/json.hpp>

#include "convert.hpp"

namespace torch_ir::extractor {
namespace {

constexpr const char* leaf = R"({"type": null, "context": null, "children_spec": []})";

Argument constant(const c10::IValue& value) {
    return argument_of(value, *c10::AnyType::get(), [](const at::Tensor&) { return Argument(); });
}

bool is_nested(const c10::IValue& value) { return value.isTuple() || value.isList() || value.isGenericDict(); }

std::string key_text(const c10::IValue& key) {
    return key.isString() ? key.toStringRef() : key.isInt() ? std::to_string(key.toInt()) : "key";
}

std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

/// `context` is a JSON text itself.
std::string node_spec(const std::string& type, const std::string& context, const std::vector<std::string>& children) {
    std::string text = R"({"type": )" + quoted(type) + R"(, "context": )" + quoted(context) + R"(, "children_spec": [)";
    for (std::size_t i = 0; i < children.size(); ++i) text += (i == 0 ? "" : ", ") + children[i];
    return text + "]}";
}

bool is_number_type(c10::TypeKind kind) {
    return kind == c10::TypeKind::IntType || kind == c10::TypeKind::FloatType || kind == c10::TypeKind::BoolType ||
           kind == c10::TypeKind::NumberType;
}

/// Makes the leaves of the value the outputs of the recording.
void add_outputs(Recorder& recorder, const c10::IValue& value) {
    if (value.isTensor()) return recorder.add_output(recorder.value_of(value.toTensor()));
    if (value.isTuple()) {
        for (const c10::IValue& element : value.toTupleRef().elements()) add_outputs(recorder, element);
    } else if (value.isList()) {
        for (const c10::IValue& element : value.toListRef()) add_outputs(recorder, element);
    } else if (value.isGenericDict()) {
        for (const auto& entry : value.toGenericDict()) add_outputs(recorder, entry.value());
    } else {
        recorder.add_output(with_context("an output of the program", [&] { return constant(value); }));
    }
}

/// `{"type": "builtins.tuple", "context": "null", "children_spec": […]}`.
std::string spec_of(const c10::IValue& value) {
    if (!is_nested(value)) return leaf;
    std::vector<std::string> children;
    if (value.isGenericDict()) {
        std::string keys;
        for (const auto& entry : value.toGenericDict()) {
            keys += (keys.empty() ? "" : ", ") +
                    (entry.key().isString() ? quoted(key_text(entry.key())) : key_text(entry.key()));
            children.push_back(spec_of(entry.value()));
        }
        return node_spec("builtins.dict", "[" + keys + "]", children);
    }
    if (value.isTuple())
        for (const c10::IValue& element : value.toTupleRef().elements()) children.push_back(spec_of(element));
    else
        for (const c10::IValue& element : value.toListRef()) children.push_back(spec_of(element));
    return node_spec(value.isTuple() ? "builtins.tuple" : "builtins.list", "null", children);
}

}  // namespace

c10::IValue fitted(const c10::IValue& value, const c10::TypePtr& type, const std::string& name) {
    const auto optional = type->cast<c10::OptionalType>();
    if (optional && value.isNone()) return value;
    const c10::TypePtr wanted = optional ? optional->getElementType() : type;
    c10::IValue result = value;
    if (is_number_type(wanted->kind()) && value.isTensor() && value.toTensor().defined() &&
        value.toTensor().dim() == 0 && value.toTensor().is_cpu())
        result = value.toTensor().item();
    if (wanted->kind() == c10::TypeKind::FloatType && result.isInt()) result = static_cast<double>(result.toInt());
    const c10::TypePtr found = result.isTensor() ? c10::TensorType::get() : result.type();
    if (found->isSubtypeOf(*wanted)) return result;
    const bool from_tool = is_number_type(wanted->kind()) || wanted->kind() == c10::TypeKind::TensorType;
    throw ArgumentError("input '" + name + "': expected " + type->annotation_str() + ", found " +
                        found->annotation_str() +
                        (from_tool ? ""
                                   : "; torch-ir-extract gives tensors, numbers and None: call torch_ir::extract "
                                     "in C++ for other inputs"));
}

c10::IValue add_inputs(Recorder& recorder, const c10::IValue& value, const std::string& name) {
    if (value.isTensor() && value.toTensor().defined()) return recorder.add_input(value.toTensor(), name);
    const auto child = [&](const c10::IValue& element, const std::string& key) {
        return add_inputs(recorder, element, name + "_" + key);
    };
    if (value.isTuple()) {
        std::vector<c10::IValue> elements;
        for (const c10::IValue& element : value.toTupleRef().elements())
            elements.push_back(child(element, std::to_string(elements.size())));
        return c10::ivalue::Tuple::create(std::move(elements));
    }
    if (value.isList()) {
        c10::impl::GenericList list(value.toList().elementType());
        for (const c10::IValue& element : value.toListRef())
            list.push_back(child(element, std::to_string(list.size())));
        return list;
    }
    if (value.isGenericDict()) {
        const auto source = value.toGenericDict();
        c10::impl::GenericDict dict(source.keyType(), source.valueType());
        for (const auto& entry : source) dict.insert(entry.key(), child(entry.value(), key_text(entry.key())));
        return dict;
    }
    recorder.add_constant_input(with_context("input '" + name + "'", [&] { return constant(value); }), name);
    return value;
}

Extraction finish(Recorder& recorder, const std::vector<c10::IValue>& inputs, const c10::IValue& output) {
    add_outputs(recorder, output);
    Extraction result{recorder.finish(), std::move(recorder.weights), std::move(recorder.notes)};
    result.model.pytorch_version = TORCH_VERSION;
    std::vector<std::string> arguments;
    for (const c10::IValue& input : inputs) arguments.push_back(spec_of(input));
    const std::string call =
        node_spec("builtins.tuple", "null",
                  {node_spec("builtins.tuple", "null", arguments), node_spec("builtins.dict", "[]", {})});
    result.model.in_spec = "[1, " + call + "]";
    result.model.out_spec = "[1, " + spec_of(output) + "]";
    return result;
}

}  // namespace torch_ir::extractor
