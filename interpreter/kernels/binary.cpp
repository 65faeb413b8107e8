// SPDX-License-Identifier: MIT
// Broadcasting two-operand arithmetic; the result has the promoted dtype.
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "half.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/reduce.hpp"

namespace torch_ir::kernels {
namespace {

/// `f` in the compute type of the promoted dtype, which is not complex. `exact`: one number as `other` is not rounded
/// to a 16-bit float.
template <class F>
Tensor real_arithmetic(const char* op, const Tensor& self, const Tensor& other, F f, bool exact = false) {
    const DType dtype = result_type(self, other);
    const Tensor x = converted(self, dtype);
    const Tensor y = exact && is_floating_point(dtype) && other.numel() == 1 ? other : converted(other, dtype);
    return visit_real(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, f, x, y); });
}

/// In floating point: integers become float32 first.
template <class F>
Tensor float_arithmetic(const char* op, const Tensor& self, const Tensor& other, F f) {
    const DType dtype = to_float(result_type(self, other));
    const Tensor x = converted(self, dtype), y = converted(other, dtype);
    return visit_float(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, f, x, y); });
}

/// PyTorch's loops over 16-bit floats round between two steps where rows are too short for its vectors.
bool rounds_between(DType dtype, const Tensor& self, const Tensor& other) {
    constexpr std::int64_t vectors = 32;
    if (!is_half(dtype)) return false;
    const bool flat = self.shape() == other.shape() && self.is_contiguous() && other.is_contiguous();
    const auto row = [](const Tensor& t) { return t.dim() == 0 ? 1 : t.size(-1); };
    return (flat ? self.numel() : std::max(row(self), row(other))) < vectors;
}

/// `self + alpha * other`.
Tensor add_scaled(const char* op, const Tensor& self, const Tensor& other, const Scalar& alpha) {
    const DType dtype = result_type(self, other);
    if (alpha.kind() == Scalar::Kind::Bool && dtype != DType::Bool)
        throw ArgumentError(std::string(op) + ": argument 'alpha' may only be a bool when the result is");
    if (is_integral(dtype, true) && !alpha.is_integral())
        throw ArgumentError(std::string(op) +
                            ": for integral tensors, argument 'alpha' must not be a floating point number");
    const Tensor x = converted(self, dtype), y = converted(other, dtype);
    return visit_compute(dtype, [&]<class C>(C) {
        const C k = fitted<C>(op, alpha, dtype);
        if (!is_complex_compute<C> && k == C(1))  // as PyTorch, which has ∞ · (1 + 0i) = NaN
            return elementwise<C>(
                dtype, [](C a, C b) { return a + b; }, x, y);
        if (rounds_between(dtype, self, other)) {
            const Tensor scaled = elementwise<C>(
                dtype, [k](C b) { return k * b; }, y);
            return elementwise<C>(
                dtype, [](C a, C b) { return a + b; }, x, scaled);
        }
        return elementwise<C>(
            dtype, [k](C a, C b) { return a + k * b; }, x, y);
    });
}

Tensor add(const Tensor& self, const Tensor& other, const Scalar& alpha) {
    return add_scaled("add", self, other, alpha);
}

/// The lowest integer stays as it is.
Scalar negated(const Scalar& x) {
    if (x.kind() == Scalar::Kind::Complex) return -x.to<std::complex<double>>();
    if (x.kind() == Scalar::Kind::Float) return -x.to<double>();
    return x.kind() == Scalar::Kind::Bool ? x : static_cast<std::int64_t>(0 - x.to<std::uint64_t>());
}

Tensor sub(const Tensor& self, const Tensor& other, const Scalar& alpha) {
    if (self.dtype() == DType::Bool || other.dtype() == DType::Bool)
        throw ArgumentError("sub: subtraction of a bool tensor is not supported; use logical_xor or logical_not");
    return add_scaled("sub", self, other, negated(alpha));
}

Tensor rsub(const Tensor& self, const Tensor& other, const Scalar& alpha) { return sub(other, self, alpha); }

/// std::fmod. Of floats whose quotient is below 2^52 by one division in double, of which the whole part is at most one
/// too large and what it leaves is exact. `near`: all are; without a branch, so that loops vectorise.
template <bool near, class F>
TORCH_IR_ALWAYS_INLINE F left_of_division(F x, F y) {
    if constexpr (std::is_same_v<F, float>) {
        const double size = std::fabs(double{x}), divisor = std::fabs(double{y});
        const double quotient = std::trunc(size / divisor);
        const double left = std::fma(-quotient, divisor, size);
        const double corrected = left < 0 ? left + divisor : left;
        if (near || quotient < 0x1p52)
            return std::copysign(static_cast<float>(quotient == 0 ? size : corrected), x);  // of an infinite divisor
    }
    return std::fmod(x, y);
}

/// Are all quotients of floats such that left_of_division<true> holds?
bool quotients_are_near(const Tensor& x, const Tensor& y) {
    if (x.numel() == 0 || y.numel() == 0) return false;
    const auto size = [](const Tensor& t) {
        return elementwise<float>(
            DType::Float32, [](float v) { return std::fabs(v); }, t);
    };
    return amax(size(x), {}, false).item().to<double>() < 0x1p51 * amin(size(y), {}, false).item().to<double>();
}

/// Python's `//`: rounds toward minus infinity; correct for quotients near an integer, as in c10/util/generic_math.h.
template <bool near>
struct FloorDivide {
    std::int64_t operator()(std::int64_t x, std::int64_t y) const {
        if (y == 0) throw ArgumentError("integer division by zero");
        if (y == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x));
        const std::int64_t q = x / y;
        return q * y != x && (x < 0) != (y < 0) ? q - 1 : q;
    }
    template <class F>
    TORCH_IR_ALWAYS_INLINE F operator()(F x, F y) const {
        const F quotient = x / y;
        const F mod = left_of_division<near>(x, y);
        const F exact = (x - mod) / y;
        const F div = mod != 0 && (y < 0) != (mod < 0) ? exact - F(1) : exact;
        const F floored = std::floor(div);
        const F nearest = div - floored > F(0.5) ? floored + F(1) : floored;
        const F result = div == 0 ? std::copysign(F(0), quotient) : nearest;
        return y == 0 ? quotient : result;
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

/// What is left of a division that truncates (the sign of x), or that floors (the sign of y).
template <bool floors, bool near>
struct Modulus {
    std::int64_t operator()(std::int64_t x, std::int64_t y) const {
        if (y == 0) throw ArgumentError("integer division by zero");
        if (y == -1) return 0;
        const std::int64_t left = x % y;
        return floors && left != 0 && (left < 0) != (y < 0) ? left + y : left;
    }
    template <class F>
    TORCH_IR_ALWAYS_INLINE F operator()(F x, F y) const {
        const F left = left_of_division<near>(x, y);
        return floors && left != 0 && (left < 0) != (y < 0) ? left + y : left;
    }
};

template <bool near>
using Fmod = Modulus<false, near>;
template <bool near>
using Remainder = Modulus<true, near>;

/// `Op<near>` of the operands; `exact` as in real_arithmetic.
template <template <bool> class Op>
Tensor with_near_quotients(const char* op, const Tensor& self, const Tensor& other, bool exact = false) {
    const DType dtype = result_type(self, other);
    const bool near = compute_for(dtype) == Compute::Float && quotients_are_near(self, other);
    return near ? real_arithmetic(op, self, other, Op<true>{}, exact)
                : real_arithmetic(op, self, other, Op<false>{}, exact);
}

Tensor floor_divided(const char* op, const Tensor& self, const Tensor& other) {
    return with_near_quotients<FloorDivide>(op, self, other, true);
}
Tensor floor_divide(const Tensor& self, const Tensor& other) { return floor_divided("floor_divide", self, other); }
Tensor fmod(const Tensor& self, const Tensor& other) { return with_near_quotients<Fmod>("fmod", self, other); }
Tensor remainder(const Tensor& self, const Tensor& other) {
    return with_near_quotients<Remainder>("remainder", self, other);
}

Tensor div_mode(const Tensor& self, const Tensor& other, const std::optional<std::string>& rounding_mode) {
    if (!rounding_mode) return divided(self, other);
    if (*rounding_mode == "floor") return floor_divided("div", self, other);
    if (*rounding_mode == "trunc") {
        const DType dtype = result_type(self, other);
        if (!is_half(dtype)) return real_arithmetic("div", self, other, TruncateDivide{});
        // The quotient of 16-bit floats is rounded before.
        return elementwise<float>(
            dtype, [](float x) { return std::trunc(x); }, divided(self, converted(other, dtype)));
    }
    throw ArgumentError("div: expected rounding_mode to be None, 'floor' or 'trunc', found '" + *rounding_mode + "'");
}

constexpr BinaryEntry geometric_functions[] = {
    {"atan2 arctan2", binary<InFloat>([](auto x, auto y) { return vmath::rounded::atan2(x, y); })},
    {"hypot", binary<InFloat>([](auto x, auto y) {
         using C = decltype(x);
         if constexpr (!std::is_same_v<C, float>) return std::hypot(x, y);
         const double a = x, b = y;  // whose squares do not overflow
         const auto size = static_cast<C>(std::sqrt(a * a + b * b));
         constexpr C infinity = std::numeric_limits<C>::infinity();
         return std::fabs(x) == infinity || std::fabs(y) == infinity ? infinity : size;
     })},
};

Tensor copysign(const Tensor& self, const Tensor& other) {
    return float_arithmetic("copysign", self, other, [](auto x, auto y) { return std::copysign(x, y); });
}

/// 0 below zero (and for NaN), 1 above, `values` at zero.
Tensor heaviside(const Tensor& self, const Tensor& values) {
    if (self.dtype() != values.dtype())
        throw ArgumentError("heaviside: expected values to have the dtype of self, found " + describe(values) +
                            " and " + describe(self));
    return real_arithmetic("heaviside", self, values, [](auto x, auto v) {
        using C = decltype(x);
        return x == C(0) ? v : static_cast<C>(x > C(0));
    });
}

/// The neighbour of x toward y among the values of a float type T, whose bits are a number of type Bits.
template <class T, class Bits>
struct Neighbour {
    template <class C>
    C operator()(C x, C y) const {
        constexpr Bits sign = Bits(1) << (sizeof(Bits) * 8 - 1);
        const auto bits = std::bit_cast<Bits>(static_cast<T>(x));
        const auto beyond = static_cast<Bits>((y > x) == (x > C(0)) ? bits + 1 : bits - 1);
        const auto smallest = static_cast<Bits>(y > C(0) ? 1 : sign + 1);
        const auto next = static_cast<C>(std::bit_cast<T>(x == C(0) ? smallest : beyond));
        return x != x || y != y ? x + y : x == y ? y : next;
    }
};

Tensor nextafter(const Tensor& self, const Tensor& other) {
    const DType dtype = result_type(self, other);
    if (dtype == DType::BFloat16) return elementwise<float>(dtype, Neighbour<BFloat16, std::uint16_t>{}, self, other);
    if (dtype == DType::Float16) return elementwise<float>(dtype, Neighbour<Float16, std::uint16_t>{}, self, other);
    return visit_float(dtype, "nextafter", [&]<class C>(C) {
        using Bits = std::conditional_t<std::is_same_v<C, float>, std::uint32_t, std::uint64_t>;
        return elementwise<C>(dtype, Neighbour<C, Bits>{}, self, other);
    });
}

Tensor addcmul(const Tensor& self, const Tensor& tensor1, const Tensor& tensor2, const Scalar& value) {
    const Tensor* const operands[] = {&self, &tensor1, &tensor2};
    const DType dtype = result_type(operands);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [k = fitted_wide<C>("addcmul", value, dtype)](C x, C a, C b) { return x + k * a * b; }, self,
            tensor1, tensor2);
    });
}

Tensor addcdiv(const Tensor& self, const Tensor& tensor1, const Tensor& tensor2, const Scalar& value) {
    if (is_integral(tensor1.dtype(), true) && is_integral(tensor2.dtype(), true))
        throw ArgumentError("addcdiv: integer division is not supported, found tensor1 " + describe(tensor1) +
                            " and tensor2 " + describe(tensor2));
    const Tensor* const operands[] = {&self, &tensor1, &tensor2};
    const DType dtype = result_type(operands);
    return visit_rule<InFloatOrComplex>(dtype, "addcdiv", [&]<class C>(C) {
        return elementwise<C>(
            dtype, [k = fitted_wide<C>("addcdiv", value, dtype)](C x, C a, C b) { return x + k * a / b; }, self,
            tensor1, tensor2);
    });
}

/// self + weight (end - self), from the nearer end so that weight 1 gives `end` exactly.
Tensor lerp(const Tensor& self, const Tensor& end, const Tensor& weight) {
    if (self.dtype() != end.dtype())
        throw ArgumentError("lerp: expected end to have the dtype of self, found " + describe(end) + " and " +
                            describe(self));
    if ((!weight.is_wrapped_number() && weight.dtype() != self.dtype()) ||
        (is_complex(weight.dtype()) && !is_complex(self.dtype())))
        throw ArgumentError("lerp: expected weight to have the dtype of self, found " + describe(weight) + " and " +
                            describe(self));
    return visit_rule<InFloatOrComplex>(self.dtype(), "lerp", [&]<class C>(C) {
        if (weight.is_wrapped_number()) fitted_wide<C>("lerp", weight.item(), self.dtype());
        return elementwise<C>(
            self.dtype(), [](C a, C b, C w) { return std::abs(w) < .5 ? a + w * (b - a) : b - (b - a) * (C(1) - w); },
            self, end, weight);
    });
}

}  // namespace

void register_binary(Registry& r) {
    for (const std::string op : {"add", "sub", "subtract"}) {
        r.add(op + ".Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", op == "add" ? add : sub);
        r.add(op + ".Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", op == "add" ? add : sub);
    }
    r.add("rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", rsub);
    r.add("rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", rsub);
    using Pair = std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)>;
    for (const auto& [name, kernel] :
         {Pair{"mul", times}, Pair{"multiply", times}, Pair{"div", divided}, Pair{"divide", divided},
          Pair{"true_divide", divided}, Pair{"fmod", fmod}, Pair{"remainder", remainder}, Pair{"copysign", copysign}}) {
        r.add(std::string(name) + ".Tensor(Tensor self, Tensor other) -> Tensor", kernel);
        r.add(std::string(name) + ".Scalar(Tensor self, Scalar other) -> Tensor", kernel);
    }
    for (const std::string op : {"div", "divide"}) {
        r.add(op + ".Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", div_mode);
        r.add(op + ".Scalar_mode(Tensor self, Scalar other, *, str? rounding_mode) -> Tensor", div_mode);
    }
    r.add("floor_divide(Tensor self, Tensor other) -> Tensor", floor_divide);
    r.add("floor_divide.Scalar(Tensor self, Scalar other) -> Tensor", floor_divide);
    r.add("remainder.Scalar_Tensor(Scalar self, Tensor other) -> Tensor", remainder);
    add_binary(r, geometric_functions);
    r.add("heaviside(Tensor self, Tensor values) -> Tensor", heaviside);
    r.add("nextafter(Tensor self, Tensor other) -> Tensor", nextafter);
    r.add("addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", addcmul);
    r.add("addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", addcdiv);
    r.add("lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", lerp);
    r.add("lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor", lerp);
}

}  // namespace torch_ir::kernels
