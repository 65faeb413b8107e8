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

/// sum += x in arithmetic of type A.
template <class A, class C>
void add_to(C& sum, A x) {
    sum = static_cast<C>(A(sum) + x);
}

namespace detail {

/// `f` for 16-bit floats that are rounded at every step; of the others, `visit` calls what it is given with the compute
/// type, which is that of the arithmetic, too.
template <class F, class Visit>
decltype(auto) visit_steps(bool steps, DType dtype, F& f, Visit visit) {
    if (steps && dtype == DType::Float16) return f(float{}, Stepwise<Float16>{});
    if (steps && dtype == DType::BFloat16) return f(float{}, Stepwise<BFloat16>{});
    return visit([&f]<class C>(C zero) -> decltype(auto) { return f(zero, zero); });
}

}  // namespace detail

/// Calls `f` with the compute type for `dtype` and with the type of its arithmetic: Stepwise for 16-bit floats, else
/// the same. Any dtype of elements.
template <class F>
decltype(auto) visit_stepwise(DType dtype, F&& f) {
    return detail::visit_steps(true, dtype, f, [&](auto g) -> decltype(auto) { return visit_compute(dtype, g); });
}

/// Throws UnsupportedError naming `op` for complex dtypes. Without `steps`, no 16-bit floats are Stepwise.
template <class F>
decltype(auto) visit_stepwise_real(DType dtype, const char* op, F&& f, bool steps = true) {
    return detail::visit_steps(steps, dtype, f, [&](auto g) -> decltype(auto) { return visit_real(dtype, op, g); });
}

/// The same, also for what is no floating point type.
template <class F>
decltype(auto) visit_stepwise(DType dtype, const char* op, F&& f, bool steps = true) {
    return detail::visit_steps(steps, dtype, f, [&](auto g) -> decltype(auto) { return visit_float(dtype, op, g); });
}

}  // namespace torch_ir
