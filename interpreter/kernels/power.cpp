// SPDX-License-Identifier: MIT
// Powers, and pairs of a logarithm or exponential with a product or sum.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/pointwise.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using Complex128 = std::complex<double>;

/// By repeated squaring, wrapping; a negative exponent gives the whole part of the reciprocal.
std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : (base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0);
    std::uint64_t result = 1, factor = static_cast<std::uint64_t>(base);
    for (auto n = static_cast<std::uint64_t>(exponent); n != 0; n >>= 1) {
        if (n & 1U) result *= factor;
        factor *= factor;
    }
    return static_cast<std::int64_t>(result);
}

template <class C>
C power(C x, C y) {
    if constexpr (std::is_same_v<C, std::int64_t>)
        return integer_power(x, y);
    else
        return vmath::rounded::pow(x, y);
}

Tensor pow(const Tensor& self, const Tensor& exponent) {
    const DType dtype = result_type(self, exponent);
    refuse_bool("pow", dtype);
    const Tensor x = converted(self, dtype), y = converted(exponent, dtype);
    return apply_in_own<InAny>(
        "pow", dtype, [](auto a, auto b) { return power(a, b); }, x, y);
}

template <class F>
Tensor in_dtype(DType dtype, const Tensor& self, F) {
    return apply_in_own<InAny>("pow", dtype, F{}, self);
}

Tensor pow_scalar(const Tensor& self, const Scalar& exponent) {
    const DType dtype = result_type(self, exponent);
    const auto is = [&](double value) { return exponent.to<Complex128>() == value; };
    if (is_integral(dtype, true) && exponent.to<std::int64_t>() < 0)
        throw ArgumentError("pow: integers to negative integer powers are not allowed");
    // The exponents that models are full of; of complex numbers, those that PyTorch does not leave to cpow.
    if (is(0)) return in_dtype(dtype, self, [](auto x) { return decltype(x)(1); });
    if (is(1)) return self.dtype() == dtype ? self.clone() : self.to(dtype);
    if (is(2)) return in_dtype(dtype, self, [](auto x) { return multiplied(x, x); });
    if (dtype == DType::BFloat16 && (is(3) || is(-2))) {  // rounded at every step, unlike float16
        using Step = Stepwise<BFloat16>;
        const auto stepwise = [&](auto f) {
            return elementwise<float>(
                dtype, [f](float x) { return static_cast<float>(f(Step(x))); }, self);
        };
        return is(3) ? stepwise([](Step x) { return x * x * x; }) : stepwise([](Step x) { return Step(1) / (x * x); });
    }
    if (is(3)) return in_dtype(dtype, self, [](auto x) { return multiplied(multiplied(x, x), x); });
    if (!is_integral(dtype, true)) {
        const auto analytic = [&]<class F>(F) { return apply_in_own<InFloatOrComplex>("pow", dtype, F{}, self); };
        if (is(.5)) return analytic([](auto x) { return std::sqrt(x); });
        if (is(-.5)) return analytic([](auto x) { return over(decltype(x)(1), std::sqrt(x)); });
        if (is(-1)) return analytic([](auto x) { return over(decltype(x)(1), x); });
        if (is(-2)) return analytic([](auto x) { return over(decltype(x)(1), multiplied(x, x)); });
    }
    if (is_integral(dtype, true) || is_half(dtype)) check_fits("pow", exponent, dtype);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise_in_own<C>(
            dtype, [y = held<C>(exponent, dtype)]<class X>(X x) { return power(x, static_cast<X>(y)); }, self);
    });
}

Tensor pow_of_scalar(const Scalar& self, const Tensor& exponent) {
    const Tensor base = Tensor::wrapped_number(self);
    const DType dtype = result_type(base, exponent);
    if (is_complex(dtype) && self.to<Complex128>() == 1.0)
        return in_dtype(dtype, exponent, [](auto x) { return decltype(x)(1); });
    return pow(base, exponent.contiguous());  // PyTorch has the result in the order of its dimensions
}

/// In double precision whatever the operands.
Tensor float_power(const Tensor& self, const Tensor& exponent) {
    const DType dtype = is_complex(self.dtype()) || is_complex(exponent.dtype()) ? DType::Complex128 : DType::Float64;
    return visit_rule<InDoubleOrComplex>(dtype, "float_power", [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C x, C y) { return power(x, y); }, self, exponent);
    });
}

/// self · 2^other; floats times powers of integers keep their dtype.
Tensor ldexp(const Tensor& self, const Tensor& other) {
    if (is_floating_point(self.dtype()) && is_integral(other.dtype(), true)) {
        if (other.dtype() == DType::Bool) throw ArgumentError("ldexp: expected 'other' not to be bool");
        return visit_float(self.dtype(), "ldexp", [&]<class C>(C) {
            return elementwise<C>(
                self.dtype(),
                [](C x, C n) { return std::ldexp(x, static_cast<int>(std::clamp(n, C(-10000), C(10000)))); }, self,
                other.to(DType::Int32));
        });
    }
    const bool integral = is_integral(self.dtype(), true);
    const DType power_dtype =
        result_type(integral ? Tensor::wrapped_number(2.0) : Tensor::empty({}, self.dtype()), other);
    const Tensor scale = visit_rule<InFloatOrComplex>(power_dtype, "ldexp", [&]<class C>(C) {
        return elementwise<C>(
            power_dtype, [](C n) { return std::pow(C(2), n); }, other);
    });
    const Tensor* const factors[] = {&self, &scale};
    const DType dtype = result_type(factors);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C x, C y) { return x * y; }, self, scale);
    });
}

/// log(e^x + e^y) without overflow; `one_plus(d)` is log(1 + e^-|d|) in the base.
template <class C, class F>
C add_logarithms(C x, C y, F one_plus) {
    if (std::isinf(x) && x == y) return x;
    return (x > y || x != x ? x : y) + one_plus(std::fabs(x - y));
}

Complex128 add_logarithms(Complex128 x, Complex128 y, double ln_base) {
    const Complex128 high = x.real() > y.real() ? x : y, low = x.real() > y.real() ? y : x;
    if (std::isnan(x.real()) || std::isnan(x.imag()) || std::isnan(y.real()) || std::isnan(y.imag()))
        return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
    if (std::isinf(high.real()) && high.real() == low.real()) {
        if (high.real() < 0) return high;
        return std::log(std::exp(high * ln_base) + std::exp(low * ln_base)) / ln_base;
    }
    return high + std::log(1.0 + std::exp((low - high) * ln_base)) / ln_base;
}

constexpr BinaryEntry logarithmic[] = {
    {"logaddexp", binary<InFloatOrComplex>([](auto x, auto y) {
         using C = decltype(x);
         if constexpr (is_complex_compute<C>)
             return add_logarithms(x, y, 1.0);
         else
             return add_logarithms(x, y, [](C d) { return vmath::log1p(vmath::exp(-d)); });
     })},
    {"logaddexp2", binary<InFloatOrComplex>([](auto x, auto y) {
         using C = decltype(x);
         if constexpr (is_complex_compute<C>)
             return add_logarithms(x, y, std::numbers::ln2);
         else
             return add_logarithms(x, y, [](C d) {
                 return vmath::log1p(vmath::rounded::exp2(-d)) * static_cast<C>(std::numbers::log2e);
             });
     })},
};

/// x log(y), of which the logarithm is rounded to the dtype.
template <class Log>
constexpr BinaryFn times_log(Log) {
    return [](const char* op, const Tensor& self, const Tensor& other) {
        const DType dtype = to_float(result_type(self, other));
        return visit_float(dtype, op, [&]<class C>(C) {
            return elementwise<C>(
                dtype,
                [dtype](C x, C y) {
                    if (y != y) return y;
                    return x == C(0) ? C(0) : x * static_cast<C>(round_to(dtype, Log{}(y)));
                },
                converted(self, dtype), converted(other, dtype));
        });
    };
}

constexpr BinaryEntry products[] = {
    {"xlogy", times_log([](auto y) { return vmath::log(y); })},
    {"xlog1py", times_log([](auto y) { return vmath::rounded::log1p(y); })},
};

}  // namespace

void register_power(Registry& r) {
    r.add("pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", pow);
    r.add("pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", pow_scalar);
    r.add("pow.Scalar(Scalar self, Tensor exponent) -> Tensor", pow_of_scalar);
    r.add("float_power.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", float_power);
    r.add("float_power.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", float_power);
    r.add("float_power.Scalar(Scalar self, Tensor exponent) -> Tensor", float_power);
    r.add("ldexp.Tensor(Tensor self, Tensor other) -> Tensor", ldexp);
    add_binary(r, logarithmic);
    r.add("xlogy.Tensor(Tensor self, Tensor other) -> Tensor", bound(products[0]));
    r.add("xlogy.Scalar_Other(Tensor self, Scalar other) -> Tensor", bound(products[0]));
    r.add("xlogy.Scalar_Self(Scalar self, Tensor other) -> Tensor", bound(products[0]));
    for (const BinaryEntry& entry : products) {
        const std::string op = std::string("special_") + entry.names;
        r.add(op + "(Tensor self, Tensor other) -> Tensor", bound(entry));
        r.add(op + ".other_scalar(Tensor self, Scalar other) -> Tensor", bound(entry));
        r.add(op + ".self_scalar(Scalar self, Tensor other) -> Tensor", bound(entry));
    }
}

}  // namespace torch_ir::kernels
