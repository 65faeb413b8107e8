// SPDX-License-Identifier: MIT
// Does a node conform to its op's schema?
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "torch_ir/ir.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir::detail {

class SchemaCheck {
  public:
    using Report = std::function<void(const std::string&)>;

    SchemaCheck(const Graph& graph, const Node& node, const Schema& schema, Report report)
        : graph_(graph), node_(node), schema_(schema), report_(std::move(report)) {}

    void run() {
        for (std::size_t i = 0; i < node_.args.size(); ++i) check_argument(i);
        for (const SchemaParameter& parameter : schema_.parameters)
            if (!node_.find(parameter.name) && !parameter.default_value && !may_be_left_out(parameter.type))
                report_("argument '" + parameter.name + "' is missing");
        check_returns();
    }

  private:
    /// pytorch-ir leaves out None for tensors and their lists.
    static bool may_be_left_out(const SchemaType& type) {
        return type.optional || type.kind == SchemaKind::Generator || type.kind == SchemaKind::Other;
    }

    void check_argument(std::size_t i) {
        const NamedArgument& argument = node_.args[i];
        if (argument.name.empty()) {
            report_("argument " + std::to_string(i) + " has no name: the op takes " + parameter_names());
            return;
        }
        const SchemaParameter* parameter = schema_.find(argument.name);
        if (!parameter) {
            std::vector<std::string> names;
            for (const SchemaParameter& known : schema_.parameters) names.push_back(known.name);
            const std::string similar = closest(argument.name, names);
            report_("has no argument '" + argument.name + "'" +
                    (similar.empty() ? ", but " + parameter_names() : " (closest name: '" + similar + "')"));
            return;
        }
        for (std::size_t k = 0; k < i; ++k)
            if (node_.args[k].name == argument.name) report_("argument '" + argument.name + "' is given twice");
        if (!accepts(parameter->type, argument.value))
            report_("argument '" + argument.name + "' should be " + parameter->type.text + ", found " +
                    describe(argument.value));
        else
            check_length(*parameter, argument.value);
    }

    std::string parameter_names() const {
        std::string names;
        for (const SchemaParameter& parameter : schema_.parameters)
            names += (names.empty() ? "'" : ", '") + parameter.name + "'";
        return names.empty() ? "none" : names;
    }

    void check_length(const SchemaParameter& parameter, const Argument& value) {
        const auto* list = value.get_if<ArgumentList>();
        const SchemaType& type = parameter.type;
        if (!list || !type.list_size || *type.list_size < 2) return;
        const auto wanted = static_cast<std::size_t>(*type.list_size);
        const bool may_be_short = type.kind != SchemaKind::Bool && list->size() < 2;  // one for all, or a default
        if (list->size() != wanted && !may_be_short)
            report_("argument '" + parameter.name + "' should have " + std::to_string(wanted) + " elements, found " +
                    std::to_string(list->size()));
    }

    bool accepts(const SchemaType& type, const Argument& value) const {
        if (value.is_none()) return may_be_left_out(type);
        if (!type.list) return accepts_one(type.kind, value);
        if (const auto* list = value.get_if<ArgumentList>())
            return std::ranges::all_of(*list, [&](const Argument& element) {
                return element.is_none() ? type.optional_elements : accepts_one(type.kind, element);
            });
        return type.list_size && accepts_one(type.kind, value);
    }

    bool accepts_one(SchemaKind kind, const Argument& value) const {
        const auto* ref = value.get_if<ValueRef>();
        const bool is_symbolic =
            ref && graph_.value(*ref).kind != ValueKind::Tensor && graph_.value(*ref).kind != ValueKind::CustomObject;
        const bool is_number = value.is<std::int64_t>() || value.is<bool>() || value.is<double>() || is_symbolic;
        switch (kind) {
            case SchemaKind::Tensor:  // numbers are wrapped
                return (ref && graph_.value(*ref).kind == ValueKind::Tensor) || is_number ||
                       value.is<std::complex<double>>();
            case SchemaKind::Int:
                return is_number && !value.is<double>();
            case SchemaKind::Bool:
                return is_number && !value.is<double>();
            case SchemaKind::Float:
                return is_number;
            case SchemaKind::Scalar:
            case SchemaKind::Complex:
                return is_number || value.is<std::complex<double>>();
            case SchemaKind::String:
                return value.is<std::string>();
            case SchemaKind::ScalarType:
                return value.is<DType>();
            case SchemaKind::Layout:
                return value.is<Layout>();
            case SchemaKind::Device:
                return value.is<Device>();
            case SchemaKind::MemoryFormat:
                return value.is<MemoryFormat>();
            default:
                return true;
        }
    }

    std::string describe(const Argument& value) const {
        if (const auto* ref = value.get_if<ValueRef>()) return "the value '" + graph_.value(*ref).name + "'";
        const auto* list = value.get_if<ArgumentList>();
        if (!list) return std::string(value.kind());
        std::string kinds;
        for (const Argument& element : *list)
            if (kinds.find(describe(element)) == std::string::npos)
                kinds += (kinds.empty() ? "" : ", ") + describe(element);
        return "a list of " + (kinds.empty() ? "nothing" : kinds);
    }

    void check_returns() {
        const std::size_t expected = schema_.returns.size();
        const std::size_t found = node_.outputs.size();
        // pytorch-ir leaves out returns that are not tensors, and those that a mask switches off.
        const bool may_be_fewer =
            schema_.find("output_mask") || std::ranges::any_of(schema_.returns, [](const SchemaParameter& value) {
                return value.type.kind != SchemaKind::Tensor;
            });
        if (found > expected || (found < expected && !may_be_fewer))
            report_("should return " + std::to_string(expected) + (expected == 1 ? " value" : " values") + ", found " +
                    std::to_string(found));
        else if (found == expected)
            for (std::size_t i = 0; i < found; ++i)
                if (schema_.returns[i].type.list != node_.outputs[i].is<ArgumentList>() && !node_.outputs[i].is_none())
                    report_("return value " + std::to_string(i) + " should be " + schema_.returns[i].type.text +
                            ", found " + describe(node_.outputs[i]));
    }

    const Graph& graph_;
    const Node& node_;
    const Schema& schema_;
    Report report_;
};

}  // namespace torch_ir::detail
