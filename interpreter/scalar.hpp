// SPDX-License-Identifier: MIT
// A number whose kind (bool, int, float, complex) decides type promotion, as in Python.
#pragma once

#include <complex>
#include <cstdint>
#include <type_traits>

#include "torch_ir/dtype.hpp"

namespace torch_ir {

/// PyTorch's Scalar.
class Scalar {
  public:
    enum class Kind : std::uint8_t { Bool, Int, Float, Complex };

    Scalar() : Scalar(std::int64_t{0}) {}
    Scalar(bool value) : kind_(Kind::Bool), int_(value) {}         // NOLINT(google-explicit-constructor)
    Scalar(int value) : kind_(Kind::Int), int_(value) {}           // NOLINT(google-explicit-constructor)
    Scalar(std::int64_t value) : kind_(Kind::Int), int_(value) {}  // NOLINT(google-explicit-constructor)
    Scalar(double value) : kind_(Kind::Float), re_(value) {}       // NOLINT(google-explicit-constructor)
    Scalar(std::complex<double> value)                             // NOLINT(google-explicit-constructor)
        : kind_(Kind::Complex), re_(value.real()), im_(value.imag()) {}

    Kind kind() const { return kind_; }
    bool is_integral() const { return kind_ == Kind::Bool || kind_ == Kind::Int; }

    /// The number as T (bool, an integer, float, double or std::complex<double>); a complex number gives its real part.
    template <class T>
    T to() const {
        if constexpr (std::is_same_v<T, std::complex<double>>)
            return is_integral() ? T(static_cast<double>(int_)) : T(re_, im_);
        else if constexpr (std::is_same_v<T, bool>)
            return is_integral() ? int_ != 0 : (re_ != 0 || im_ != 0);
        else
            return is_integral() ? static_cast<T>(int_) : static_cast<T>(re_);
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
