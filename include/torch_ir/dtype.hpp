// SPDX-License-Identifier: MIT
// Every dtype that torch.export can write, with PyTorch's names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace torch_ir {

/// Element type of a tensor. Quantised, bits and sub-byte types are opaque: they have a name and a size, no arithmetic.
enum class DType : std::uint8_t {
    Bool,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Int8,
    Int16,
    Int32,
    Int64,
    Float16,
    BFloat16,
    Float32,
    Float64,
    Float8E4M3FN,
    Float8E5M2,
    Float8E4M3FNUZ,
    Float8E5M2FNUZ,
    Float8E8M0FNU,
    Float4E2M1FNx2,
    Complex32,
    Complex64,
    Complex128,
    QInt8,
    QUInt8,
    QInt32,
    QUInt4x2,
    QUInt2x4,
    Bits8,
    Bits16,
};

/// What arithmetic treats alike.
enum class DTypeCategory : std::uint8_t { Bool, Unsigned, Signed, Float, Float8, Complex, Opaque };

namespace detail {

struct DTypeInfo {
    std::string_view name;
    std::uint8_t size;  // bytes of one stored element; a packed pair or quad of sub-byte values counts as one
    DTypeCategory category;
};

// clang-format off
inline constexpr std::array<DTypeInfo, 29> dtype_table{{
    {"bool", 1, DTypeCategory::Bool},
    {"uint8", 1, DTypeCategory::Unsigned}, {"uint16", 2, DTypeCategory::Unsigned},
    {"uint32", 4, DTypeCategory::Unsigned}, {"uint64", 8, DTypeCategory::Unsigned},
    {"int8", 1, DTypeCategory::Signed}, {"int16", 2, DTypeCategory::Signed},
    {"int32", 4, DTypeCategory::Signed}, {"int64", 8, DTypeCategory::Signed},
    {"float16", 2, DTypeCategory::Float}, {"bfloat16", 2, DTypeCategory::Float},
    {"float32", 4, DTypeCategory::Float}, {"float64", 8, DTypeCategory::Float},
    {"float8_e4m3fn", 1, DTypeCategory::Float8}, {"float8_e5m2", 1, DTypeCategory::Float8},
    {"float8_e4m3fnuz", 1, DTypeCategory::Float8}, {"float8_e5m2fnuz", 1, DTypeCategory::Float8},
    {"float8_e8m0fnu", 1, DTypeCategory::Float8}, {"float4_e2m1fn_x2", 1, DTypeCategory::Opaque},
    {"complex32", 4, DTypeCategory::Complex}, {"complex64", 8, DTypeCategory::Complex},
    {"complex128", 16, DTypeCategory::Complex},
    {"qint8", 1, DTypeCategory::Opaque}, {"quint8", 1, DTypeCategory::Opaque}, {"qint32", 4, DTypeCategory::Opaque},
    {"quint4x2", 1, DTypeCategory::Opaque}, {"quint2x4", 1, DTypeCategory::Opaque},
    {"bits8", 1, DTypeCategory::Opaque}, {"bits16", 2, DTypeCategory::Opaque},
}};
// clang-format on
static_assert(dtype_table.size() == static_cast<std::size_t>(DType::Bits16) + 1);

constexpr const DTypeInfo& info(DType dtype) { return dtype_table[static_cast<std::size_t>(dtype)]; }

}  // namespace detail

/// PyTorch's name without the `torch.` prefix, e.g. `float32`.
constexpr std::string_view name(DType dtype) { return detail::info(dtype).name; }

/// Bytes of one stored element.
constexpr std::size_t item_size(DType dtype) { return detail::info(dtype).size; }

constexpr DTypeCategory category(DType dtype) { return detail::info(dtype).category; }

/// True for float16, bfloat16, float32, float64 and the float8 types.
constexpr bool is_floating_point(DType dtype) {
    return category(dtype) == DTypeCategory::Float || category(dtype) == DTypeCategory::Float8;
}

/// float16 and bfloat16.
constexpr bool is_half(DType dtype) { return dtype == DType::Float16 || dtype == DType::BFloat16; }

constexpr bool is_complex(DType dtype) { return category(dtype) == DTypeCategory::Complex; }

/// True for signed and unsigned integers; bool counts only when asked for.
constexpr bool is_integral(DType dtype, bool include_bool = false) {
    return category(dtype) == DTypeCategory::Signed || category(dtype) == DTypeCategory::Unsigned ||
           (include_bool && dtype == DType::Bool);
}

/// The dtype called `text`, with or without `torch.`; also PyTorch's aliases (`float`, `half`, `long`, …).
constexpr std::optional<DType> parse_dtype(std::string_view text) {
    if (text.starts_with("torch.")) text.remove_prefix(6);
    for (std::size_t i = 0; i < detail::dtype_table.size(); ++i)
        if (detail::dtype_table[i].name == text) return static_cast<DType>(i);
    constexpr std::array<std::pair<std::string_view, DType>, 10> aliases{{{"float", DType::Float32},
                                                                          {"double", DType::Float64},
                                                                          {"half", DType::Float16},
                                                                          {"long", DType::Int64},
                                                                          {"int", DType::Int32},
                                                                          {"short", DType::Int16},
                                                                          {"chalf", DType::Complex32},
                                                                          {"cfloat", DType::Complex64},
                                                                          {"cdouble", DType::Complex128},
                                                                          {"byte", DType::UInt8}}};
    for (const auto& [alias, dtype] : aliases)
        if (alias == text) return dtype;
    return std::nullopt;
}

}  // namespace torch_ir
