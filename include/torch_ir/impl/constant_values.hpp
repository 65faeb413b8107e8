// SPDX-License-Identifier: MIT
// Elements of a constant tensor as JSON-sized numbers, both ways. Included by _inl files only.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "torch_ir/dtype.hpp"
#include "torch_ir/impl/bytes.hpp"

namespace torch_ir::detail {

inline double half_to_double(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double magnitude = exponent == 31  ? (mantissa ? std::nan("") : HUGE_VAL)
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(mantissa + 1024, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

/// Rounds to nearest even.
inline std::uint16_t half_of_double(double value) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
    if (std::isnan(value)) return 0x7e00;
    const double magnitude = std::abs(value);
    if (magnitude >= 65520) return sign | 0x7c00;
    const int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude), -14) : -14;
    const int mantissa = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
    return static_cast<std::uint16_t>(sign | (((exponent + 14) << 10) + mantissa));
}

inline double bfloat16_to_double(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

inline std::uint16_t bfloat16_of_double(double value) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
    if (std::isnan(value)) return 0x7fc0;
    return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// True for the dtypes whose constants are written as numbers; those of the others are written as their bytes (uint64
/// because its upper half does not fit the integers of the format).
constexpr bool has_numeric_text(DType dtype) {
    return dtype != DType::Complex32 && dtype != DType::UInt64 && category(dtype) != DTypeCategory::Float8 &&
           category(dtype) != DTypeCategory::Opaque;
}

/// Calls `f` with a value of the C++ type that stores one number of `dtype` (std::uint16_t for the half types; the part
/// type for complex ones).
template <class F>
auto with_storage(DType dtype, F&& f) {
    switch (dtype) {
        case DType::Bool:
        case DType::UInt8:
            return f(std::uint8_t{});
        case DType::UInt16:
        case DType::Float16:
        case DType::BFloat16:
            return f(std::uint16_t{});
        case DType::UInt32:
            return f(std::uint32_t{});
        case DType::Int8:
            return f(std::int8_t{});
        case DType::Int16:
            return f(std::int16_t{});
        case DType::Int32:
            return f(std::int32_t{});
        case DType::Int64:
            return f(std::int64_t{});
        case DType::Float32:
        case DType::Complex64:
            return f(float{});
        case DType::Float64:
        case DType::Complex128:
            return f(double{});
        default:
            return f(std::uint8_t{});
    }
}

}  // namespace torch_ir::detail
