// SPDX-License-Identifier: MIT
// torch.special: functions that are computed in double precision whatever the dtype.
#include <cmath>
#include <limits>
#include <numbers>

#include "half.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/bessel.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/polynomials.hpp"
#include "kernels/reduce.hpp"
#include "kernels/special_math.hpp"
#include "overlap.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using Function = double (*)(double);
using Function2 = double (*)(double, double);

/// Integers become float32.
Tensor apply_double(const char* op, const Tensor& self, Function f) {
    return apply<InDouble>(
        op, to_float(self.dtype()), [f](double x) { return f(x); }, self);
}

Tensor apply_double(const char* op, const Tensor& self, const Tensor& other, Function2 f) {
    const DType dtype = to_float(result_type(self, other));
    return visit_rule<InDouble>(dtype, op, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [f](C x, C y) { return f(x, y); }, self, other);
    });
}

template <Function f>
constexpr UnaryFn in_double = [](const char* op, const Tensor& self) {
    refuse_halves(op, self.dtype());
    return apply_double(op, self, f);
};
template <Function f>
constexpr UnaryFn in_double_or_half = [](const char* op, const Tensor& self) { return apply_double(op, self, f); };

/// In the dtype's own precision.
template <class F>
constexpr UnaryFn in_own(F) {
    return [](const char* op, const Tensor& self) {
        refuse_halves(op, self.dtype());
        return unary<InFloat>(F{})(op, self);
    };
}

/// e^|x| overflows in the dtype's own precision, before it is scaled; at infinity that gives NaN.
template <Function scaled>
constexpr auto unscaled = [](auto x) { return std::exp(std::fabs(x)) * decltype(x)(scaled(x)); };

/// -x log(x), of 16-bit floats with the logarithm rounded.
Tensor entr(const char* op, const Tensor& self) {
    if (!is_half(self.dtype())) return apply_double(op, self, special::entr);
    return elementwise<float>(
        self.dtype(),
        [dtype = self.dtype()](float x) {
            return static_cast<float>(x > 0 ? -x * round_to(dtype, std::log(x)) : special::entr(double{x}));
        },
        self);
}

/// As special::erfinv, for results of float: without branches, so that loops over it vectorise.
TORCH_IR_ALWAYS_INLINE float erfinv(float y) {
    constexpr double a = .147;
    const double magnitude = std::fabs(double{y});
    const double size = std::min(magnitude, 1 - 0x1p-30);
    const double w = vmath::libm::log1p(-size * size), t = 2 / (std::numbers::pi * a) + w / 2;
    double x = std::sqrt(-w / a / (std::sqrt(t * t - w / a) + t));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const double density = 2 * std::numbers::inv_sqrtpi * vmath::libm::exp(-x * x);
        const double step = (vmath::libm::erf(x) - size) / density;
        x -= step / (1 + x * step);
    }
    constexpr float nothing = std::numeric_limits<float>::quiet_NaN(),
                    infinity = std::numeric_limits<float>::infinity();
    const float beyond = magnitude == 1 ? infinity : magnitude < 1 ? 0 : nothing;
    return std::copysign(static_cast<float>(x) + beyond, y);
}

constexpr UnaryEntry functions[] = {
    {"digamma special_digamma special_psi", in_double_or_half<special::digamma>},
    {"erfinv special_erfinv", unary<InFloat>([](auto y) {
         if constexpr (std::is_same_v<decltype(y), float>)
             return erfinv(y);
         else
             return special::erfinv(y);
     })},
    {"i0 special_i0", unary<InFloat>(unscaled<special::i0e>)},
    {"special_i0e", in_double_or_half<special::i0e>},
    {"special_i1", unary<InFloat>(unscaled<special::i1e>)},
    {"special_i1e", in_double_or_half<special::i1e>},
    {"special_entr", entr},
    {"special_modified_bessel_i0", in_own(unscaled<special::i0e>)},
    {"special_modified_bessel_i1", in_own(unscaled<special::i1e>)},
    {"special_modified_bessel_k0", in_double<special::k0>},
    {"special_modified_bessel_k1", in_double<special::k1>},
    {"special_bessel_j0", in_own([](auto x) { return special::bessel_j0(x); })},
    {"special_bessel_j1", in_own([](auto x) { return special::bessel_j1(x); })},
    {"special_bessel_y0", in_own([](auto x) { return special::bessel_y0(x); })},
    {"special_bessel_y1", in_own([](auto x) { return special::bessel_y1(x); })},
    {"special_erfcx", in_double<special::erfcx>},
    {"special_ndtri", in_double<special::ndtri>},
    {"special_log_ndtr", in_double<special::log_ndtr>},
};

/// Each step is rounded to the dtype, as in PyTorch, where the sum with 1 leaves nothing of small probabilities.
Tensor ndtr(const Tensor& self) {
    const Tensor x = divided(self, number(std::numbers::sqrt2));
    const Tensor erf = unary<InFloat>([](auto v) { return vmath::erf(v); })("special_ndtr", x);
    return times(plus(erf, number(1.0)), .5);
}

/// Those whose schema calls the argument x.
constexpr UnaryEntry functions_of_x[] = {
    {"special_airy_ai", in_own([](auto x) { return special::airy_ai(x); })},
    {"special_scaled_modified_bessel_k0", in_double<special::scaled_k0>},
    {"special_scaled_modified_bessel_k1", in_double<special::scaled_k1>},
    {"special_spherical_bessel_j0", in_double<special::spherical_j0>},
};

/// Computed in the dtype's own precision; degrees that are not numbers count as negative.
template <class F>
constexpr BinaryFn polynomial(F) {
    return binary<InFloat>([](auto x, auto n) {
        using C = decltype(x);
        return n > C(-1) && n < C(9e18) ? F{}(x, static_cast<std::int64_t>(n)) : C(0);
    });
}

constexpr BinaryEntry polynomials[] = {
    {"special_chebyshev_polynomial_t", polynomial(special::ChebyshevT{})},
    {"special_chebyshev_polynomial_u", polynomial(special::ChebyshevU{})},
    {"special_chebyshev_polynomial_v", polynomial(special::ChebyshevV{})},
    {"special_chebyshev_polynomial_w", polynomial(special::ChebyshevW{})},
    {"special_hermite_polynomial_h", polynomial(special::HermiteH{})},
    {"special_hermite_polynomial_he", polynomial(special::HermiteHe{})},
    {"special_laguerre_polynomial_l", polynomial(special::LaguerreL{})},
    {"special_legendre_polynomial_p", polynomial(special::LegendreP{})},
    {"special_shifted_chebyshev_polynomial_t", polynomial(special::Shifted<special::ChebyshevT>{})},
    {"special_shifted_chebyshev_polynomial_u", polynomial(special::Shifted<special::ChebyshevU>{})},
    {"special_shifted_chebyshev_polynomial_v", polynomial(special::Shifted<special::ChebyshevV>{})},
    {"special_shifted_chebyshev_polynomial_w", polynomial(special::Shifted<special::ChebyshevW>{})},
};

Tensor zeta(const Tensor& self, const Tensor& other) {
    return binary<InFloat>([](auto x, auto q) { return special::zeta(x, q); })("special_zeta", self, other);
}

/// From the second derivative on ±n! ζ(n + 1, x), of which PyTorch has n! in the compute type, ζ in the dtype.
Tensor polygamma(std::int64_t n, const Tensor& self) {
    if (n < 0) throw ArgumentError("polygamma: expected n to be at least 0, found " + std::to_string(n));
    if (n == 0) return apply_double("polygamma", self, special::digamma);
    if (n == 1) return unary<InFloat>([](auto x) { return special::trigamma(x); })("polygamma", self);
    const DType dtype = to_float(self.dtype());
    const double order = static_cast<double>(n) + 1, log_factorial = special::lgamma(order);
    const double factorial =
        dtype == DType::Float64 ? std::exp(log_factorial) : double{std::exp(static_cast<float>(log_factorial))};
    // The sum is of double, for 16-bit floats of float.
    const Tensor sums =
        item_size(dtype) > 2 ? zeta(number(order), self.to(dtype)) : binary<InFloat>([](auto x, auto q) {
            return special::zeta<decltype(x), decltype(x)>(x, q);
        })("polygamma", number(order), self);
    return times(sums, n % 2 != 0 ? factorial : -factorial);
}

/// log Γ of p dimensions, each step rounded to the dtype: Σ log Γ(x + (1 - p + i) / 2) + p (p - 1) / 4 log π.
Tensor multigammaln(const Tensor& self, std::int64_t p) {
    constexpr std::int64_t limit = 1 << 24;  // PyTorch makes p copies of self
    if (p < 1 || p > limit)
        throw ArgumentError("mvlgamma: expected p to be at least 1 and at most " + std::to_string(limit) + ", found " +
                            std::to_string(p));
    if (self.dtype() == DType::Bool) throw ArgumentError("mvlgamma is not defined for bool tensors");
    const auto order = static_cast<double>(p);
    Tensor shifts = Tensor::empty({p}, DType::Float64);
    for (std::int64_t i = 0; i < p; ++i) shifts.data<double>()[i] = (1 - order + static_cast<double>(i)) / 2;
    const DType dtype = to_float(self.dtype());
    const Tensor terms =
        apply_double("mvlgamma", plus(self.to(dtype).unsqueeze(-1), shifts.to(dtype)), special::lgamma);
    return plus(sum(terms, Ints{-1}, false, {}), number(order * (order - 1) / 4 * std::log(std::numbers::pi)));
}

}  // namespace

void register_special(Registry& r) {
    add_unary(r, functions);
    add_unary(r, functions_of_x, "x");
    r.add("special_ndtr(Tensor self) -> Tensor", ndtr);
    for (const BinaryEntry& entry : polynomials) {
        const std::string op = entry.names;
        r.add(op + "(Tensor x, Tensor n) -> Tensor", bound(entry));
        r.add(op + ".x_scalar(Scalar x, Tensor n) -> Tensor", bound(entry));
        r.add(op + ".n_scalar(Tensor x, Scalar n) -> Tensor", bound(entry));
    }
    r.add("special_zeta(Tensor self, Tensor other) -> Tensor", zeta);
    r.add("special_zeta.self_scalar(Scalar self, Tensor other) -> Tensor", zeta);
    r.add("special_zeta.other_scalar(Tensor self, Scalar other) -> Tensor", zeta);
    struct Entry2 {
        const char* op;
        Function2 f;
    };
    for (const Entry2& entry : {Entry2{"igamma", special::gammainc}, Entry2{"special_gammainc", special::gammainc},
                                Entry2{"igammac", special::gammaincc}, Entry2{"special_gammaincc", special::gammaincc}})
        r.add(
            std::string(entry.op) + "(Tensor self, Tensor other) -> Tensor",
            [entry](const Tensor& self, const Tensor& other) { return apply_double(entry.op, self, other, entry.f); });
    r.add("polygamma_(Tensor(a!) self, int n) -> Tensor(a!)", [](const Tensor& self, std::int64_t n) {
        const Tensor result = polygamma(n, self);
        if (!can_cast(result.dtype(), self.dtype()))
            throw ArgumentError("polygamma_: expected 'self' of floating point dtype, found " + describe(self));
        check_overlap(self);
        self.copy_from(result);
        return self;
    });
    r.add("polygamma(int n, Tensor self) -> Tensor", polygamma);
    r.add("special_polygamma(int n, Tensor self) -> Tensor", polygamma);
    r.add("mvlgamma(Tensor self, int p) -> Tensor", multigammaln);
    r.add("special_multigammaln(Tensor self, int p) -> Tensor", multigammaln);
}

}  // namespace torch_ir::kernels
