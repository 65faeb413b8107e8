// SPDX-License-Identifier: MIT
// Arguments and what they refer to as text that is equal when they are: for keys and messages.
#pragma once

#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <string>
#include <type_traits>
#include <variant>

#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

/// The shortest text that reads back, in any locale.
inline std::string double_text(double value) {
    char text[40];
    return {text, std::to_chars(text, std::end(text), value).ptr};
}

/// What stands for a value of the graph.
using ValueText = std::function<std::string(ValueRef)>;

inline std::string argument_text(const Argument& argument, const ValueText& value_text) {
    return std::visit(
        [&]<class T>(const T& held) -> std::string {
            if constexpr (std::is_same_v<T, None>) {
                return "None";
            } else if constexpr (std::is_same_v<T, bool>) {
                return held ? "True" : "False";
            } else if constexpr (std::is_same_v<T, std::int64_t>) {
                return std::to_string(held);
            } else if constexpr (std::is_same_v<T, double>) {
                const std::string text = double_text(held);
                return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
            } else if constexpr (std::is_same_v<T, std::complex<double>>) {
                return "(" + double_text(held.real()) + (std::signbit(held.imag()) ? "" : "+") +
                       double_text(held.imag()) + "j)";
            } else if constexpr (std::is_same_v<T, std::string>) {
                return "'" + held + "'";
            } else if constexpr (std::is_same_v<T, DType> || std::is_same_v<T, Layout> ||
                                 std::is_same_v<T, MemoryFormat>) {
                return "torch." + std::string(name(held));
            } else if constexpr (std::is_same_v<T, Device>) {
                return held.type + (held.index ? ":" + std::to_string(*held.index) : "");
            } else if constexpr (std::is_same_v<T, ValueRef>) {
                return value_text(held);
            } else if constexpr (std::is_same_v<T, OperatorName>) {
                return held.op_type;
            } else if constexpr (std::is_same_v<T, Subgraph>) {
                return "graph " + held.name;
            } else if constexpr (std::is_same_v<T, ArgumentList>) {
                std::string text = "[";
                for (std::size_t i = 0; i < held.size(); ++i)
                    text += (i ? ", " : "") + argument_text(held[i], value_text);
                return text + "]";
            } else {
                std::string text = "{";
                for (const auto& [key, element] : held)
                    text += (text.size() > 1 ? ", " : "") + key + ": " + argument_text(element, value_text);
                return text + "}";
            }
        },
        argument.variant());
}

/// `float32[2, 3]`, with strides where they are not row-major; the kind of a symbolic scalar.
inline std::string value_type_text(const Value& value) {
    constexpr const char* kinds[] = {"Tensor", "SymInt", "SymFloat", "SymBool", "CustomObject"};
    static_assert(std::size(kinds) == static_cast<std::size_t>(ValueKind::CustomObject) + 1);
    if (value.kind != ValueKind::Tensor) return kinds[static_cast<int>(value.kind)];
    std::string text = meta_text(value.meta);
    if (value.meta.strides) text += " strides " + shape_text(*value.meta.strides);
    return text;
}

}  // namespace torch_ir::detail
