// SPDX-License-Identifier: MIT
// torch.special: functions that are computed in double precision whatever the dtype.
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/polynomials.hpp"
#include "kernels/special_math.hpp"
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

struct Entry {
    const char* names;
    Function f;
};

/// The Bessel functions of the C library are 0 at infinity, PyTorch's NaN.
template <Function f>
double nan_at_infinity(double x) {
    return std::isinf(x) ? std::numeric_limits<double>::quiet_NaN() : f(x);
}

constexpr Entry functions[] = {
    {"digamma special_digamma special_psi", special::digamma},
    {"erfinv special_erfinv", special::erfinv},
    {"special_i0e", special::i0e},
    {"special_i1e", special::i1e},
    {"special_modified_bessel_k0", special::k0},
    {"special_modified_bessel_k1", special::k1},
    {"special_bessel_j0", nan_at_infinity<::j0>},
    {"special_bessel_j1", nan_at_infinity<::j1>},
    {"special_bessel_y0", nan_at_infinity<::y0>},
    {"special_bessel_y1", nan_at_infinity<::y1>},
    {"special_entr", special::entr},
    {"special_erfcx", special::erfcx},
    {"special_ndtri", special::ndtri},
    {"special_log_ndtr", special::log_ndtr},
};

/// Each step is rounded to the dtype, as in PyTorch, where the sum with 1 leaves nothing of small probabilities.
Tensor ndtr(const Tensor& self) {
    const Tensor x = divided(self, number(std::numbers::sqrt2));
    const Tensor erf = unary<InFloat>([](auto v) { return vmath::erf(v); })("special_ndtr", x);
    return times(plus(erf, number(1.0)), .5);
}

/// Those whose schema calls the argument x.
constexpr Entry functions_of_x[] = {
    {"special_scaled_modified_bessel_k0", special::scaled_k0},
    {"special_scaled_modified_bessel_k1", special::scaled_k1},
    {"special_spherical_bessel_j0", special::spherical_j0},
};

/// e^|x| overflows in the dtype's own precision, before it is scaled; at infinity that gives NaN.
template <Function scaled>
constexpr UnaryFn unscaled = unary<InFloat>([](auto x) { return std::exp(std::fabs(x)) * decltype(x)(scaled(x)); });

constexpr UnaryEntry growing[] = {
    {"i0 special_i0 special_modified_bessel_i0", unscaled<special::i0e>},
    {"special_i1 special_modified_bessel_i1", unscaled<special::i1e>},
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

Tensor polygamma(std::int64_t n, const Tensor& self) {
    if (n < 0) throw ArgumentError("polygamma: expected n to be at least 0, found " + std::to_string(n));
    if (n == 1) return unary<InFloat>([](auto x) { return special::trigamma(x); })("polygamma", self);
    return apply<InDouble>(
        "polygamma", to_float(self.dtype()), [n](double x) { return special::polygamma(n, x); }, self);
}

/// log Γ of p dimensions: Σ log Γ(x - i / 2) + p (p - 1) / 4 log π.
Tensor multigammaln(const Tensor& self, std::int64_t p) {
    constexpr std::int64_t limit = 1 << 24;  // PyTorch makes p copies of self
    if (p < 1 || p > limit)
        throw ArgumentError("mvlgamma: expected p to be at least 1 and at most " + std::to_string(limit) + ", found " +
                            std::to_string(p));
    if (self.dtype() == DType::Bool) throw ArgumentError("mvlgamma is not defined for bool tensors");
    const auto order = static_cast<double>(p);
    const double constant = order * (order - 1) / 4 * std::log(std::numbers::pi);
    return apply<InDouble>(
        "mvlgamma", to_float(self.dtype()),
        [p, constant](double x) {
            double sum = constant;
            for (std::int64_t i = 0; i < p; ++i) sum += special::lgamma(x - static_cast<double>(i) / 2);
            return sum;
        },
        self);
}

}  // namespace

void register_special(Registry& r) {
    for (const auto& [entries, argument] :
         {std::pair(std::span<const Entry>(functions), "self"), std::pair(std::span<const Entry>(functions_of_x), "x")})
        for (const Entry& entry : entries)
            for_each_name(entry.names, [&, argument = argument](const std::string& op) {
                r.add(op + "(Tensor " + argument + ") -> Tensor",
                      [op, f = entry.f](const Tensor& x) { return apply_double(op.c_str(), x, f); });
            });
    add_unary(r, growing);
    r.add("special_ndtr(Tensor self) -> Tensor", ndtr);
    r.add("special_airy_ai(Tensor x) -> Tensor", [](const Tensor& x) {
        return unary<InFloat>([](auto v) { return special::airy_ai(v); })("special_airy_ai", x);
    });
    for (const BinaryEntry& entry : polynomials) {
        const std::string op = entry.names;
        r.add(op + "(Tensor x, Tensor n) -> Tensor", bound(entry));
        r.add(op + ".x_scalar(Scalar x, Tensor n) -> Tensor", bound(entry));
        r.add(op + ".n_scalar(Tensor x, Scalar n) -> Tensor", bound(entry));
    }
    const auto zeta = [](const Tensor& self, const Tensor& other) {
        return apply_double("zeta", self, other, special::zeta);
    };
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
        self.copy_from(result);
        return self;
    });
    r.add("polygamma(int n, Tensor self) -> Tensor", polygamma);
    r.add("special_polygamma(int n, Tensor self) -> Tensor", polygamma);
    r.add("mvlgamma(Tensor self, int p) -> Tensor", multigammaln);
    r.add("special_multigammaln(Tensor self, int p) -> Tensor", multigammaln);
}

}  // namespace torch_ir::kernels
