// SPDX-License-Identifier: MIT
// The words that the JSON IR uses for kinds of inputs, outputs and values, and what a file means by leaving them out.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

inline constexpr std::array<std::string_view, 6> input_kind_names{"parameter",  "buffer",        "tensor_constant",
                                                                  "user_input", "custom_object", "token"};
inline constexpr std::array<std::string_view, 8> output_kind_names{
    "user_output",         "loss_output",           "buffer_mutation",        "parameter_mutation",
    "user_input_mutation", "gradient_to_parameter", "gradient_to_user_input", "token"};
inline constexpr std::array<std::string_view, 5> value_kind_names{"tensor", "sym_int", "sym_float", "sym_bool",
                                                                  "custom_object"};

constexpr std::string_view input_kind_name(InputKind kind) { return input_kind_names[static_cast<std::size_t>(kind)]; }
constexpr std::string_view output_kind_name(OutputKind kind) {
    return output_kind_names[static_cast<std::size_t>(kind)];
}
constexpr std::string_view value_kind_name(ValueKind kind) { return value_kind_names[static_cast<std::size_t>(kind)]; }

template <class Kind, std::size_t n>
constexpr std::optional<Kind> kind_of_name(const std::array<std::string_view, n>& names, std::string_view name) {
    for (std::size_t i = 0; i < n; ++i)
        if (names[i] == name) return static_cast<Kind>(i);
    return std::nullopt;
}

/// The kind of a weight by its placeholder's name (torch.export's prefixes), where no signature says it.
constexpr InputKind implied_kind(std::string_view placeholder) {
    if (placeholder.starts_with("b_")) return InputKind::Buffer;
    if (placeholder.starts_with("c_")) return InputKind::TensorConstant;
    return InputKind::Parameter;
}

/// Outputs that the caller of the model sees.
constexpr bool is_user_visible(OutputKind kind) {
    return kind == OutputKind::UserOutput || kind == OutputKind::LossOutput;
}

/// The dtype of a tensor; a symbolic scalar counts as a 0-d tensor.
constexpr DType value_dtype(const Value& value) {
    switch (value.kind) {
        case ValueKind::SymInt:
            return DType::Int64;
        case ValueKind::SymFloat:
            return DType::Float64;
        case ValueKind::SymBool:
            return DType::Bool;
        default:
            return value.meta.dtype;
    }
}

}  // namespace torch_ir::detail
