// SPDX-License-Identifier: MIT
// The words that the JSON IR uses for kinds of inputs, outputs and values, and what a file means by leaving them out.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

inline constexpr std::array<std::string_view, 6> input_kind_names{"parameter",  "buffer",        "tensor_constant",
                                                                  "user_input", "custom_object", "token"};
inline constexpr std::array<std::string_view, 8> output_kind_names{
    "user_output",         "loss_output",           "buffer_mutation",        "parameter_mutation",
    "user_input_mutation", "gradient_to_parameter", "gradient_to_user_input", "token"};

static_assert(input_kind_names.size() == static_cast<std::size_t>(InputKind::Token) + 1);
static_assert(output_kind_names.size() == static_cast<std::size_t>(OutputKind::Token) + 1);

constexpr std::string_view input_kind_name(InputKind kind) { return input_kind_names[static_cast<std::size_t>(kind)]; }
constexpr std::string_view output_kind_name(OutputKind kind) {
    return output_kind_names[static_cast<std::size_t>(kind)];
}

constexpr std::optional<ValueKind> parse_value_kind(std::string_view text) {
    for (std::size_t i = 0; i <= static_cast<std::size_t>(ValueKind::CustomObject); ++i)
        if (torch_ir::name(static_cast<ValueKind>(i)) == text) return static_cast<ValueKind>(i);
    return std::nullopt;
}

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

}  // namespace torch_ir::detail
