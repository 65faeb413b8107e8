// SPDX-License-Identifier: MIT
// Arithmetic of 16-bit floats of which every step is rounded, for ops that PyTorch computes in the dtype itself.
#pragma once

#include <cmath>
#include <compare>
#include <type_traits>

#include "convert.hpp"
#include "half.hpp"

namespace torch_ir {

/// A float that is always one of the values of Half (Float16 or BFloat16).
template <class Half>
class Stepwise {
  public:
    Stepwise() = default;
    template <class T>
    requires std::is_arithmetic_v<T> Stepwise(T value)
        : value_(static_cast<float>(static_cast<Half>(static_cast<float>(value)))) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    explicit operator T() const { return static_cast<T>(value_); }

    friend Stepwise operator+(Stepwise a, Stepwise b) { return a.value_ + b.value_; }
    friend Stepwise operator-(Stepwise a, Stepwise b) { return a.value_ - b.value_; }
    friend Stepwise operator*(Stepwise a, Stepwise b) { return a.value_ * b.value_; }
    friend Stepwise operator/(Stepwise a, Stepwise b) { return a.value_ / b.value_; }
    friend Stepwise operator-(Stepwise a) { return -a.value_; }
    Stepwise& operator+=(Stepwise other) { return *this = *this + other; }
    Stepwise& operator*=(Stepwise other) { return *this = *this * other; }
    friend auto operator<=>(Stepwise a, Stepwise b) { return a.value_ <=> b.value_; }
    friend bool operator==(Stepwise a, Stepwise b) { return a.value_ == b.value_; }

    friend Stepwise exp(Stepwise a) { return std::exp(a.value_); }
    friend Stepwise log(Stepwise a) { return std::log(a.value_); }
    friend Stepwise cos(Stepwise a) { return std::cos(a.value_); }
    friend Stepwise abs(Stepwise a) { return std::fabs(a.value_); }
    friend Stepwise fabs(Stepwise a) { return std::fabs(a.value_); }
    friend Stepwise fmod(Stepwise a, Stepwise b) { return std::fmod(a.value_, b.value_); }
    friend Stepwise floor(Stepwise a) { return std::floor(a.value_); }
    friend Stepwise nearbyint(Stepwise a) { return std::nearbyint(a.value_); }
    friend bool isfinite(Stepwise a) { return std::isfinite(a.value_); }
    friend bool isinf(Stepwise a) { return std::isinf(a.value_); }

  private:
    float value_ = 0;
};

/// Calls `f` with the compute type for `dtype` and with the type of its arithmetic: Stepwise for 16-bit floats, else
/// the same. Any dtype of elements.
template <class F>
decltype(auto) visit_stepwise(DType dtype, F&& f) {
    if (dtype == DType::Float16) return f(float{}, Stepwise<Float16>{});
    if (dtype == DType::BFloat16) return f(float{}, Stepwise<BFloat16>{});
    return visit_compute(dtype, [&]<class C>(C zero) { return f(zero, zero); });
}

/// Throws UnsupportedError naming `op` for complex dtypes.
template <class F>
decltype(auto) visit_stepwise_real(DType dtype, const char* op, F&& f) {
    if (dtype == DType::Float16) return f(float{}, Stepwise<Float16>{});
    if (dtype == DType::BFloat16) return f(float{}, Stepwise<BFloat16>{});
    return visit_real(dtype, op, [&]<class C>(C zero) { return f(zero, zero); });
}

/// Throws UnsupportedError naming `op` for what is no floating point type.
template <class F>
decltype(auto) visit_stepwise(DType dtype, const char* op, F&& f) {
    if (dtype == DType::Float16) return f(float{}, Stepwise<Float16>{});
    if (dtype == DType::BFloat16) return f(float{}, Stepwise<BFloat16>{});
    return visit_float(dtype, op, [&]<class C>(C zero) { return f(zero, zero); });
}

/// As visit_stepwise where `steps` holds, for ops of which PyTorch computes one of the two 16-bit types in float32.
template <class F>
decltype(auto) visit_stepwise_if(bool steps, DType dtype, const char* op, F&& f) {
    if (steps) return visit_stepwise(dtype, op, f);
    return visit_float(dtype, op, [&]<class C>(C zero) { return f(zero, zero); });
}

}  // namespace torch_ir
