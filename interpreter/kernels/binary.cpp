// SPDX-License-Identifier: MIT
// Broadcasting two-operand arithmetic; the result has the promoted dtype.
#include <cmath>
#include <limits>
#include <type_traits>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

/// `f` in the compute type of the promoted dtype.
template <class F>
Tensor arithmetic(const Tensor& self, const Tensor& other, F f) {
    const DType dtype = result_type(self, other);
    return visit_compute(dtype, [&]<class C>(C) { return elementwise<C>(dtype, f, self, other); });
}

/// As arithmetic, without complex numbers.
template <class F>
Tensor real_arithmetic(const char* op, const Tensor& self, const Tensor& other, F f) {
    const DType dtype = result_type(self, other);
    return visit_real(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, f, self, other); });
}

/// In floating point: integers become float32 first.
template <class F>
Tensor float_arithmetic(const char* op, const Tensor& self, const Tensor& other, F f) {
    const DType dtype = to_float(result_type(self, other));
    return visit_float(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, f, self, other); });
}

/// `self + alpha * other`; `sign` is -1 for subtraction.
Tensor add_scaled(const char* op, const Tensor& self, const Tensor& other, const Scalar& alpha, int sign) {
    const DType dtype = result_type(self, other);
    if (is_integral(dtype, true) && !alpha.is_integral())
        throw ArgumentError(std::string(op) +
                            ": for integral tensors, argument 'alpha' must not be a floating point number");
    return visit_compute(dtype, [&]<class C>(C) {
        const C k = alpha.to<C>() * static_cast<C>(sign);
        if (k == C(1))
            return elementwise<C>(
                dtype, [](C x, C y) { return x + y; }, self, other);
        return elementwise<C>(
            dtype, [k](C x, C y) { return x + k * y; }, self, other);
    });
}

Tensor add(const Tensor& self, const Tensor& other, const Scalar& alpha) {
    return add_scaled("add", self, other, alpha, 1);
}

Tensor sub(const Tensor& self, const Tensor& other, const Scalar& alpha) {
    if (self.dtype() == DType::Bool && other.dtype() == DType::Bool)
        throw ArgumentError("sub: subtraction of two bool tensors is not supported; use logical_xor");
    return add_scaled("sub", self, other, alpha, -1);
}

Tensor rsub(const Tensor& self, const Tensor& other, const Scalar& alpha) { return sub(other, self, alpha); }

Tensor mul(const Tensor& self, const Tensor& other) {
    return arithmetic(self, other, [](auto x, auto y) { return x * y; });
}

/// Python's `//`: rounds toward minus infinity; correct for quotients near an integer, as in c10/util/generic_math.h.
struct FloorDivide {
    std::int64_t operator()(std::int64_t x, std::int64_t y) const {
        if (y == 0) throw ArgumentError("integer division by zero");
        if (y == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x));
        const std::int64_t q = x / y;
        return q * y != x && (x < 0) != (y < 0) ? q - 1 : q;
    }
    template <class F>
    F operator()(F x, F y) const {
        if (y == 0) return x / y;
        const F mod = std::fmod(x, y);
        F div = (x - mod) / y;
        if (mod != 0 && (y < 0) != (mod < 0)) div -= F(1);
        if (div == 0) return std::copysign(F(0), x / y);
        const F floored = std::floor(div);
        return div - floored > F(0.5) ? floored + F(1) : floored;
    }
};

struct TruncateDivide {
    std::int64_t operator()(std::int64_t x, std::int64_t y) const {
        if (y == 0) throw ArgumentError("integer division by zero");
        return y == -1 ? static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x)) : x / y;
    }
    template <class F>
    F operator()(F x, F y) const {
        return std::trunc(x / y);
    }
};

Tensor div(const Tensor& self, const Tensor& other) {
    const DType dtype = to_float(result_type(self, other));
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C x, C y) { return x / y; }, self, other);
    });
}

Tensor div_mode(const Tensor& self, const Tensor& other, const std::optional<std::string>& rounding_mode) {
    if (!rounding_mode) return div(self, other);
    if (*rounding_mode == "floor") return real_arithmetic("div", self, other, FloorDivide{});
    if (*rounding_mode == "trunc") return real_arithmetic("div", self, other, TruncateDivide{});
    throw ArgumentError("div: expected rounding_mode to be None, 'floor' or 'trunc', found '" + *rounding_mode + "'");
}

Tensor floor_divide(const Tensor& self, const Tensor& other) {
    return real_arithmetic("floor_divide", self, other, FloorDivide{});
}

}  // namespace

void register_binary(Registry& r) {
    r.add("add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", add);
    r.add("add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", add);
    r.add("sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", sub);
    r.add("sub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", sub);
    r.add("rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", rsub);
    r.add("rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", rsub);
    r.add("mul.Tensor(Tensor self, Tensor other) -> Tensor", mul);
    r.add("mul.Scalar(Tensor self, Scalar other) -> Tensor", mul);
    r.add("div.Tensor(Tensor self, Tensor other) -> Tensor", div);
    r.add("div.Scalar(Tensor self, Scalar other) -> Tensor", div);
    r.add("div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", div_mode);
    r.add("div.Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor", div_mode);
    r.add("floor_divide(Tensor self, Tensor other) -> Tensor", floor_divide);
    r.add("floor_divide.Scalar(Tensor self, Scalar other) -> Tensor", floor_divide);
}

}  // namespace torch_ir::kernels
