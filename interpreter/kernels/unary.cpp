// SPDX-License-Identifier: MIT
// Elementary functions of one tensor.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>

#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/reduce.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using std::numbers::pi;
using Complex128 = std::complex<double>;

template <class T>
std::complex<T> scaled(std::complex<T> x, double k) {
    return {x.real() * T(k), x.imag() * T(k)};
}

/// Where complex numbers need their own formula.
struct Functions {
    static float exp(float x) { return vmath::exp(x); }
    static double exp(double x) { return std::exp(x); }
    template <class T>
    static std::complex<T> exp(std::complex<T> x) {
        return std::exp(x);
    }

    static float tanh(float x) { return vmath::tanh(x); }
    static double tanh(double x) { return std::tanh(x); }
    static Complex128 tanh(Complex128 x) { return std::tanh(x); }

    static float log(float x) { return vmath::log(x); }
    static double log(double x) { return std::log(x); }
    static Complex128 log(Complex128 x) { return std::log(x); }

    template <class T>
    static T expm1(T x) {
        return vmath::rounded::expm1(x);
    }
    /// e^(a+ib) - 1 without cancellation near 0.
    template <class T>
    static std::complex<T> expm1(std::complex<T> x) {
        const T a = std::sin(T(.5) * x.imag());
        const T re = std::expm1(x.real()) * std::cos(x.imag()) - 2 * a * a;
        return {re, std::exp(x.real()) * std::sin(x.imag())};
    }

    /// For C = T and its complex numbers.
    template <class T, class C>
    static C sinc(C x) {
        if (x == T(0)) return 1;
        const C p = std::numbers::pi_v<T> * x;
        return over(std::sin(p), p);
    }

    template <class T>
    static T log1p(T x) {
        return vmath::rounded::log1p(x);
    }
    /// As in c10/util/complex_math.h: what 1 + z loses is made good by a factor.
    template <class T>
    static std::complex<T> log1p(std::complex<T> z) {
        const std::complex<T> u = z + T(1), back = u - T(1);
        if (back == T(0)) return z;
        const std::complex<T> y = std::log(u);
        return back == z ? y : complex_product(y, complex_quotient(z, back));
    }
};

/// Are all values such that vmath's sine of float holds?
bool in_trigonometric_range(const Tensor& self) {
    if (compute_for(to_float(self.dtype())) != Compute::Float) return false;
    const Tensor size = elementwise<float>(
        DType::Float32, [](float x) { return std::fabs(x); }, self);
    return size.numel() == 0 || amax(size, {}, false).item().to<float>() <= vmath::trigonometric_range;
}

template <class T>
std::complex<T> in_parts(std::complex<T> x, double base) {
    return {x.real() / T(base), x.imag() / T(base)};
}

constexpr UnaryEntry elementary[] = {
    {"exp", unary<InFloatOrComplex>([](auto x) { return Functions::exp(x); })},
    {"exp2 special_exp2", unary_in_own<InFloatOrComplex>([](auto x) {
         if constexpr (is_complex_compute<decltype(x)>)
             return std::exp(scaled(x, std::numbers::ln2));
         else
             return vmath::rounded::exp2(x);
     })},
    {"expm1 special_expm1", unary_in_own<InFloatOrComplex>([](auto x) { return Functions::expm1(x); })},
    {"log", unary<InFloatOrComplex>([](auto x) { return Functions::log(x); })},
    {"log2", unary_in_own<InFloatOrComplex>([](auto x) {
         if constexpr (is_complex_compute<decltype(x)>)
             return in_parts(std::log(x), std::numbers::ln2);
         else
             return vmath::rounded::log2(x);
     })},
    {"log10", unary_in_own<InFloatOrComplex>([](auto x) {
         if constexpr (is_complex_compute<decltype(x)>)
             return in_parts(std::log(x), std::numbers::ln10);
         else
             return vmath::rounded::log10(x);
     })},
    {"log1p special_log1p", unary_in_own<InFloatOrComplex>([](auto x) { return Functions::log1p(x); })},
    {"sqrt", unary<InFloatOrComplex>([](auto x) { return std::sqrt(x); })},
    {"rsqrt", unary_in_own<InFloatOrComplex>([](auto x) { return over(decltype(x)(1), std::sqrt(x)); })},
    {"reciprocal", unary_in_own<InFloatOrComplex>([](auto x) { return over(decltype(x)(1), x); })},
    {"sin",
     [](const char* op, const Tensor& self) {
         return in_trigonometric_range(self) ? unary<InFloat>([](auto x) { return vmath::sin(x); })(op, self)
                                             : unary<InFloatOrComplex>([](auto x) { return std::sin(x); })(op, self);
     }},
    {"cos",
     [](const char* op, const Tensor& self) {
         return in_trigonometric_range(self) ? unary<InFloat>([](auto x) { return vmath::cos(x); })(op, self)
                                             : unary<InFloatOrComplex>([](auto x) { return std::cos(x); })(op, self);
     }},
    {"tan", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::tan(x); })},
    {"asin arcsin", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::asin(x); })},
    {"acos arccos", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::acos(x); })},
    {"atan arctan", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::atan(x); })},
    {"sinh", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::sinh(x); })},
    {"cosh", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::cosh(x); })},
    {"tanh", unary<InFloatOrComplex>([](auto x) { return Functions::tanh(x); })},
    {"asinh arcsinh", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::asinh(x); })},
    {"acosh arccosh", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::acosh(x); })},
    {"atanh arctanh", unary<InFloatOrComplex>([](auto x) { return vmath::rounded::atanh(x); })},
    {"sigmoid special_expit", unary_in_own<InFloatOrComplex>([](auto x) {
         using C = decltype(x);
         return over(C(1), C(1) + Functions::exp(-x));
     })},
    {"sinc special_sinc",
     unary_in_own<InFloatOrComplex>([](auto x) { return Functions::sinc<decltype(std::abs(x))>(x); })},
    {"erf special_erf", unary<InFloat>([](auto x) { return vmath::erf(x); })},
    {"erfc special_erfc", unary<InFloat>([](auto x) { return vmath::rounded::erfc(x); })},
    {"lgamma special_gammaln", unary<InDouble>([](double x) {
         int sign = 0;
         return lgamma_r(x, &sign);  // thread-safe, unlike std::lgamma
     })},
    {"deg2rad", unary<InFloat>([](auto x) { return x * decltype(x)(pi / 180); })},
    {"rad2deg", unary<InFloat>([](auto x) { return x * decltype(x)(180 / pi); })},
};

template <class C>
C sign_of(C x) {
    return static_cast<C>((C(0) < x) - (x < C(0)));
}

constexpr UnaryEntry same_dtype[] = {
    {"neg negative",
     [](const char* op, const Tensor& self) {
         refuse_bool(op, self.dtype());
         return unary<InAny>([](auto x) { return -x; })(op, self);
     }},
    {"square",
     [](const char* op, const Tensor& self) {
         const DType dtype = self.dtype() == DType::Bool ? DType::Int64 : self.dtype();
         return apply_in_own<InAny>(
             op, dtype, [](auto x) { return multiplied(x, x); }, self);
     }},
    {"sign", unary<InReal>([](auto x) { return sign_of(x); })},
    {"sgn", unary_in_own<InAny>([](auto x) {
         if constexpr (is_complex_compute<decltype(x)>) {
             const auto size = std::abs(x);
             return size == 0 ? decltype(x)(0) : x / size;
         } else {
             return sign_of(x);
         }
     })},
    {"bitwise_not",
     [](const char* op, const Tensor& self) {
         if (self.dtype() == DType::Bool)
             return elementwise<std::int64_t>(
                 DType::Bool, [](std::int64_t x) { return x == 0; }, self);
         return unary<InInt>([](auto x) { return ~x; })(op, self);
     }},
};

/// Integers are whole already.
template <class F>
constexpr UnaryFn rounding(F) {
    return [](const char* op, const Tensor& self) {
        refuse_bool(op, self.dtype());
        if (is_integral(self.dtype(), true)) return self.clone();
        return unary<InFloat>(F{})(op, self);
    };
}

constexpr UnaryEntry to_whole[] = {
    {"ceil", rounding([](auto x) { return std::ceil(x); })},
    {"floor", rounding([](auto x) { return std::floor(x); })},
    {"trunc fix", rounding([](auto x) { return std::trunc(x); })},
    {"round", rounding([](auto x) { return std::rint(x); })},
    {"frac",
     [](const char* op, const Tensor& self) {
         if (is_integral(self.dtype(), true)) unsupported_dtype(op, self.dtype());
         return unary<InFloat>([](auto x) { return x - std::trunc(x); })(op, self);
     }},
};

template <class F>
bool any_part(Complex128 x, F f) {
    return f(x.real()) || f(x.imag());
}
template <class C, class F>
bool any_part(C x, F f) {
    return f(x);
}

constexpr UnaryEntry predicates[] = {
    {"logical_not", predicate<InAny>([](auto x) { return x == decltype(x)(0); })},
    {"isnan", predicate<InAny>([](auto x) { return x != x; })},
    {"isinf", predicate<InAny>([](auto x) {
         return any_part(x, [](auto v) {
             using V = decltype(v);
             return std::numeric_limits<V>::has_infinity &&
                    (v == std::numeric_limits<V>::infinity() || v == -std::numeric_limits<V>::infinity());
         });
     })},
    {"isfinite", predicate<InAny>([](auto x) { return !any_part(x, [](auto v) { return v - v != decltype(v)(0); }); })},
    {"isposinf", predicate<InReal>([](auto x) {
         using C = decltype(x);
         return std::numeric_limits<C>::has_infinity && x == std::numeric_limits<C>::infinity();
     })},
    {"isneginf", predicate<InReal>([](auto x) {
         using C = decltype(x);
         return std::numeric_limits<C>::has_infinity && x == -std::numeric_limits<C>::infinity();
     })},
    {"isreal", predicate<InAny>([](auto x) {
         if constexpr (is_complex_compute<decltype(x)>)
             return x.imag() == 0;
         else
             return true;
     })},
    {"signbit", predicate<InReal>([](auto x) {
         if constexpr (std::is_same_v<decltype(x), std::int64_t>)
             return x < 0;
         else
             return std::signbit(x);
     })},
};

Tensor abs(const Tensor& self) {
    if (self.dtype() == DType::Complex128)
        return elementwise<Complex128>(
            DType::Float64, [](Complex128 x) { return std::abs(x); }, self);
    if (is_complex(self.dtype()))
        return elementwise<Complex128>(
            to_real(self.dtype()),
            [](Complex128 x) {  // squares of floats overflow for infinities only
                const double square = x.real() * x.real() + x.imag() * x.imag();
                return square - square == 0 ? std::sqrt(square) : std::abs(x);
            },
            self);
    return unary<InReal>([](auto x) {
        if constexpr (std::is_same_v<decltype(x), std::int64_t>)
            return x < 0 ? -x : x;
        else
            return std::fabs(x);
    })("abs", self);
}

/// The argument of a complex number; real ones have 0 or π.
Tensor angle(const Tensor& self) {
    if (is_complex(self.dtype()))
        return elementwise<Complex128>(
            to_real(self.dtype()), [](Complex128 x) { return std::atan2(x.imag(), x.real()); }, self);
    return unary<InFloat>([](auto x) {
        using C = decltype(x);
        return x != x ? x : (x < 0 ? C(pi) : C(0));
    })("angle", self);
}

/// Half to even at the given decimal place (negative: tens, hundreds …).
Tensor round_decimals(const Tensor& self, std::int64_t decimals) {
    refuse_bool("round", self.dtype());
    if (is_integral(self.dtype(), true)) {
        if (decimals >= 0) return self.clone();
        unsupported_dtype("round with negative decimals", self.dtype());
    }
    return visit_float(self.dtype(), "round", [&]<class C>(C) {
        const C ten = std::pow(C(10), static_cast<C>(std::llabs(std::max<std::int64_t>(decimals, -400))));
        if (decimals == 0)
            return elementwise<C>(
                self.dtype(), [](C x) { return std::rint(x); }, self);
        if (decimals < 0)
            return elementwise<C>(
                self.dtype(), [ten](C x) { return std::rint(x / ten) * ten; }, self);
        return elementwise<C>(
            self.dtype(), [ten](C x) { return std::rint(x * ten) / ten; }, self);
    });
}

Tensor logit(const Tensor& self, std::optional<double> eps) {
    const DType dtype = to_float(self.dtype());
    return visit_stepwise(dtype, "logit", [&]<class C, class A>(C, A) {
        const auto f = [](A x) {
            using std::log;
            return static_cast<C>(log(x / (A(1) - x)));
        };
        if (!eps)
            return elementwise<C>(
                dtype, [f](C x) { return f(A(x)); }, self);
        // The bounds are of the dtype: 1 - eps may be 1.
        const C low = held<C>(*eps, dtype), high = held<C>(1 - static_cast<double>(low), dtype);
        return elementwise<C>(
            dtype, [low, high, f](C x) { return f(A(x < low ? low : (x > high ? high : x))); }, self);
    });
}

Tensor nan_to_num(const Tensor& self, std::optional<double> nan, std::optional<double> posinf,
                  std::optional<double> neginf) {
    if (is_integral(self.dtype(), true)) return self.clone();
    const double limit = largest_finite(self.dtype());
    const double zero = nan.value_or(0), high = posinf.value_or(limit), low = neginf.value_or(-limit);
    return visit_rule<InFloatOrComplex>(self.dtype(), "nan_to_num", [&]<class C>(C) {
        const auto one = [=]<class V>(V v) {
            if (v != v) return static_cast<V>(zero);
            if (v == std::numeric_limits<V>::infinity()) return static_cast<V>(high);
            return v == -std::numeric_limits<V>::infinity() ? static_cast<V>(low) : v;
        };
        return elementwise<C>(
            self.dtype(),
            [one](C x) {
                if constexpr (is_complex_compute<C>)
                    return C(one(x.real()), one(x.imag()));
                else
                    return one(x);
            },
            self);
    });
}

/// self = mantissa · 2^exponent with 0.5 <= |mantissa| < 1.
std::tuple<Tensor, Tensor> frexp(const Tensor& self) {
    if (!is_floating_point(self.dtype())) unsupported_dtype("frexp", self.dtype());
    return {unary<InDouble>([](double x) {
                int exponent = 0;
                return std::frexp(x, &exponent);
            })("frexp", self),
            elementwise<double>(
                DType::Int32,
                [](double x) {
                    int exponent = 0;
                    std::frexp(x, &exponent);
                    return std::isfinite(x) ? static_cast<std::int64_t>(exponent) : std::int64_t{0};
                },
                self)};
}

}  // namespace

void register_unary(Registry& r) {
    add_unary(r, elementary);
    add_unary(r, same_dtype);
    add_unary(r, to_whole);
    add_unary(r, predicates);
    r.add("abs(Tensor self) -> Tensor", abs);
    r.add("absolute(Tensor self) -> Tensor", abs);
    r.add("angle(Tensor self) -> Tensor", angle);
    r.add("round.decimals(Tensor self, *, int decimals) -> Tensor", round_decimals);
    r.add("special_round(Tensor self, *, int decimals=0) -> Tensor", round_decimals);
    r.add("logit(Tensor self, float? eps=None) -> Tensor", logit);
    r.add("special_logit(Tensor self, float? eps=None) -> Tensor", logit);
    r.add("nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", nan_to_num);
    r.add("frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)", frexp);
}

}  // namespace torch_ir::kernels
