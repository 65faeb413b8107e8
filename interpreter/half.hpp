// SPDX-License-Identifier: MIT
// The 16-bit and 8-bit floating point types as C++ types that convert to and from float, rounding to nearest even.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>

#include "torch_ir/dtype.hpp"

namespace torch_ir {

__extension__ typedef _Float16 Float16;  // NOLINT(modernize-use-using): `using` has no place for __extension__

/// The upper half of a float32.
struct BFloat16 {
    std::uint16_t bits = 0;
    BFloat16() = default;
    explicit BFloat16(float value) {
        const auto u = std::bit_cast<std::uint32_t>(value);
        const std::uint32_t rounded = (u + 0x7fffU + ((u >> 16) & 1U)) >> 16;
        bits = static_cast<std::uint16_t>(value != value ? 0x7fc0U : rounded);
    }
    explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// An 8-bit float. `Finite`: no infinities, the all-ones pattern is NaN. `NoNegativeZero` (the *fnuz types): 0x80 is
/// the only NaN. Encodings: the OCP 8-bit floating point specification and its fnuz variants, as in PyTorch's
/// c10/util/Float8_*.h.
template <int ExponentBits, int MantissaBits, int Bias, bool Finite, bool NoNegativeZero>
struct Float8 {
    std::uint8_t bits = 0;
    Float8() = default;

    explicit Float8(float value) {
        const std::uint8_t sign = std::signbit(value) ? 0x80 : 0;
        if (std::isnan(value)) {
            bits = NoNegativeZero ? 0x80 : static_cast<std::uint8_t>(sign | 0x7f);
            return;
        }
        const float magnitude = std::fabs(value);
        int exponent = 0;
        if (std::isinf(magnitude)) {
            bits = overflow(sign);
            return;
        }
        if (magnitude == 0) {
            bits = NoNegativeZero ? 0 : sign;
            return;
        }
        std::frexp(magnitude, &exponent);                              // magnitude = f * 2^exponent, f in [0.5, 1)
        const int e = std::max(exponent - 1, 1 - Bias);                // unbiased exponent of the result's binade
        const float scaled = std::ldexp(magnitude, MantissaBits - e);  // in units of the last place, exact
        const auto units = static_cast<std::int64_t>(std::nearbyint(scaled));
        const std::int64_t code = (static_cast<std::int64_t>(e + Bias - 1) << MantissaBits) + units;
        if (code > max_code) {
            bits = overflow(sign);
            return;
        }
        bits = static_cast<std::uint8_t>(code);
        if (!(NoNegativeZero && code == 0)) bits |= sign;
    }

    explicit operator float() const {
        const int code = bits & 0x7f;
        const bool negative = (bits & 0x80) != 0;
        if constexpr (NoNegativeZero) {
            if (bits == 0x80) return std::numeric_limits<float>::quiet_NaN();
        } else if constexpr (Finite) {
            if (code == 0x7f) return std::numeric_limits<float>::quiet_NaN();
        } else if (code >= 0x7c) {
            return code > 0x7c ? std::numeric_limits<float>::quiet_NaN()
                               : (negative ? -1.0F : 1.0F) * std::numeric_limits<float>::infinity();
        }
        const int e = code >> MantissaBits;
        const int m = code & ((1 << MantissaBits) - 1);
        const float magnitude = e == 0
                                    ? std::ldexp(static_cast<float>(m), 1 - Bias - MantissaBits)
                                    : std::ldexp(static_cast<float>(m + (1 << MantissaBits)), e - Bias - MantissaBits);
        return negative ? -magnitude : magnitude;
    }

  private:
    static constexpr int max_code = NoNegativeZero ? 0x7f : (Finite ? 0x7e : 0x7b);
    /// As PyTorch 2.13: where the format has no infinity the largest number, or NaN if it has no negative zero either.
    static std::uint8_t overflow(std::uint8_t sign) {
        if constexpr (NoNegativeZero) return 0x80;
        return static_cast<std::uint8_t>(sign | (Finite ? max_code : 0x7c));
    }
};

using Float8E4M3FN = Float8<4, 3, 7, true, false>;
using Float8E5M2 = Float8<5, 2, 15, false, false>;
using Float8E4M3FNUZ = Float8<4, 3, 8, true, true>;
using Float8E5M2FNUZ = Float8<5, 2, 16, true, true>;

/// A power of two: the biased exponent alone; 0xff is NaN.
struct Float8E8M0FNU {
    std::uint8_t bits = 0;
    Float8E8M0FNU() = default;
    explicit Float8E8M0FNU(float value) {
        const auto u = std::bit_cast<std::uint32_t>(value);
        const std::uint32_t exponent = (u >> 23) & 0xffU;
        if (exponent == 0xff) {
            bits = 0xff;
            return;
        }
        // Round to nearest even on the guard, round and sticky bits of the float's mantissa.
        const bool guard = (u & 0x400000U) != 0;
        const bool rest = (u & 0x3fffffU) != 0;
        const bool lsb = exponent > 0;
        bits = static_cast<std::uint8_t>(exponent + (guard && (lsb || rest) ? 1 : 0));
    }
    explicit operator float() const {
        if (bits == 0xff) return std::numeric_limits<float>::quiet_NaN();
        return std::ldexp(1.0F, static_cast<int>(bits) - 127);
    }
};

/// Calls `f` with a value of the C++ type that stores `dtype`; `f` must accept every storable type.
/// Returns false for the opaque dtypes.
template <class F>
bool visit_stored(DType dtype, F&& f) {
    switch (dtype) {
        case DType::Bool:
            f(bool{});
            return true;
        case DType::UInt8:
            f(std::uint8_t{});
            return true;
        case DType::UInt16:
            f(std::uint16_t{});
            return true;
        case DType::UInt32:
            f(std::uint32_t{});
            return true;
        case DType::UInt64:
            f(std::uint64_t{});
            return true;
        case DType::Int8:
            f(std::int8_t{});
            return true;
        case DType::Int16:
            f(std::int16_t{});
            return true;
        case DType::Int32:
            f(std::int32_t{});
            return true;
        case DType::Int64:
            f(std::int64_t{});
            return true;
        case DType::Float16:
            f(Float16{});
            return true;
        case DType::BFloat16:
            f(BFloat16{});
            return true;
        case DType::Float32:
            f(float{});
            return true;
        case DType::Float64:
            f(double{});
            return true;
        case DType::Float8E4M3FN:
            f(Float8E4M3FN{});
            return true;
        case DType::Float8E5M2:
            f(Float8E5M2{});
            return true;
        case DType::Float8E4M3FNUZ:
            f(Float8E4M3FNUZ{});
            return true;
        case DType::Float8E5M2FNUZ:
            f(Float8E5M2FNUZ{});
            return true;
        case DType::Float8E8M0FNU:
            f(Float8E8M0FNU{});
            return true;
        case DType::Complex32:
            f(std::complex<Float16>{});
            return true;
        case DType::Complex64:
            f(std::complex<float>{});
            return true;
        case DType::Complex128:
            f(std::complex<double>{});
            return true;
        default:
            return false;
    }
}

/// The number as a tensor of `dtype` would hold it; other dtypes than float32, float16 and bfloat16 leave it as it is.
inline double round_to(DType dtype, double x) {
    switch (dtype) {
        case DType::Float32:
            return static_cast<float>(x);
        case DType::Float16:
            return static_cast<double>(static_cast<Float16>(static_cast<float>(x)));
        case DType::BFloat16:
            return static_cast<float>(BFloat16(static_cast<float>(x)));
        default:
            return x;
    }
}

}  // namespace torch_ir
