// SPDX-License-Identifier: MIT
// A number whose kind (bool, int, float, complex) decides type promotion, as in Python.
#pragma once

#include <complex>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir {

/// PyTorch's Scalar.
class Scalar {
  public:
    enum class Kind : std::uint8_t { Bool, Int, Float, Complex };

    Scalar() : Scalar(std::int64_t{0}) {}
    Scalar(bool value) : kind_(Kind::Bool), int_(value) {}
    Scalar(int value) : kind_(Kind::Int), int_(value) {}
    Scalar(std::int64_t value) : kind_(Kind::Int), int_(value) {}
    Scalar(double value) : kind_(Kind::Float), re_(value) {}
    Scalar(std::complex<double> value) : kind_(Kind::Complex), re_(value.real()), im_(value.imag()) {}

    Kind kind() const { return kind_; }
    bool is_integral() const { return kind_ == Kind::Bool || kind_ == Kind::Int; }

    /// The number as T (bool, an integer, float, double or std::complex<double>). Throws ArgumentError for a complex
    /// number as a real one and for a float beyond the range of integers.
    template <class T>
    T to() const {
        if constexpr (std::is_same_v<T, std::complex<double>>) {
            return is_integral() ? T(static_cast<double>(int_)) : T(re_, im_);
        } else if constexpr (std::is_same_v<T, bool>) {
            return is_integral() ? int_ != 0 : (re_ != 0 || im_ != 0);
        } else {
            if (is_integral()) return static_cast<T>(int_);
            if (im_ != 0) throw ArgumentError("a complex value cannot be converted to a real number");
            if constexpr (std::is_integral_v<T>) {
                // PyTorch's check, too, lets 2^63 pass.
                if (re_ == 0x1p63) return static_cast<T>(std::numeric_limits<std::int64_t>::min());
                if (!(re_ >= -0x1p63 && re_ < 0x1p63))
                    throw ArgumentError("value " + std::to_string(re_) + " cannot be converted to an integer");
                return static_cast<T>(static_cast<std::int64_t>(re_));
            } else {
                return static_cast<T>(re_);
            }
        }
    }

    /// The dtype that promotion gives to a tensor of this number alone: bool, int64, float32 or complex64.
    DType default_dtype() const {
        constexpr DType dtypes[] = {DType::Bool, DType::Int64, DType::Float32, DType::Complex64};
        return dtypes[static_cast<int>(kind_)];
    }

    /// The dtype that stores it without loss: bool, int64, float64 or complex128.
    DType exact_dtype() const {
        constexpr DType dtypes[] = {DType::Bool, DType::Int64, DType::Float64, DType::Complex128};
        return dtypes[static_cast<int>(kind_)];
    }

  private:
    Kind kind_;
    std::int64_t int_ = 0;
    double re_ = 0;
    double im_ = 0;
};

}  // namespace torch_ir
