// SPDX-License-Identifier: MIT
// Orthogonal polynomials of degree n at x, and what else PyTorch computes in the tensor's own precision, so that
// overflow shows in the same places (aten/src/ATen/native/Math.h). 0 for negative degrees.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace torch_ir::kernels::special {

/// As accurate as PyTorch's: ten digits.
template <class C>
C trigamma(C x) {
    C sign = 1, result = 0;
    if (x < C(.5)) {
        sign = -1;
        const C s = std::sin(std::numbers::pi_v<C> * x);
        result -= std::numbers::pi_v<C> * std::numbers::pi_v<C> / (s * s);
        x = C(1) - x;
    }
    for (int i = 0; i < 6; ++i, x += C(1)) result += C(1) / (x * x);
    const C z = C(1) / (x * x);
    result += (C(1) + C(1) / (C(2) * x) + z * (C(1. / 6) - z * (C(1. / 30) - z * C(1. / 42)))) / x;
    return sign * result;
}

/// Hurwitz's Σ 1 / (q + k)^x by Euler-Maclaurin summation, as in Cephes; its first term overflows in the own precision.
template <class C, class Sum = double>
C zeta(C x, C q) {
    constexpr double coefficients[] = {12.0,
                                       -720.0,
                                       30240.0,
                                       -1209600.0,
                                       47900160.0,
                                       -1.8924375803183791606e9,
                                       7.47242496e10,
                                       -2.950130727918164224e12,
                                       1.1646782814350067249e14,
                                       -4.5979787224074726105e15,
                                       1.8152105401943546773e17,
                                       -7.1661652561756670113e18};
    constexpr Sum epsilon = std::numeric_limits<double>::epsilon() / 2;
    if (x == 1) return std::numeric_limits<C>::infinity();
    if (x < 1 || (q <= 0 && q != std::floor(q) && x != std::floor(x))) return std::numeric_limits<C>::quiet_NaN();
    if (q <= 0 && q == std::floor(q)) return std::numeric_limits<C>::infinity();
    const Sum power = x;
    Sum sum = std::pow(q, -x), a = q, b = 0;
    for (int i = 0; i < 9 || a <= 9; ++i) {
        a += 1;
        b = std::pow(a, -power);
        sum += b;
        if (std::fabs(b) < epsilon * std::fabs(sum)) return static_cast<C>(sum);
    }
    const Sum w = a;
    sum += b * w / (power - 1) - Sum(.5) * b;
    Sum factor = 1, k = 0;
    for (const double c : coefficients) {
        factor *= power + k;
        b /= w;
        const Sum term = factor * b / static_cast<Sum>(c);
        sum += term;
        if (std::fabs(term / sum) < epsilon) break;
        factor *= power + k + 1;
        b /= w;
        k += 2;
    }
    return static_cast<C>(sum);
}

/// The ratio of two polynomials, given from the highest power.
template <class C, std::size_t n, std::size_t m>
C rational(C x, const double (&numerator)[n], const double (&denominator)[m]) {
    C over = 0, under = 0;
#pragma GCC unroll 16
    for (const double c : numerator) over = over * x + C(c);
#pragma GCC unroll 16
    for (const double c : denominator) under = under * x + C(c);
    return over / under;
}

/// Airy's function with the approximations of Cephes, which leave errors of 1e-5 in C = double, too.
template <class C>
C airy_ai(C x) {
    constexpr double large_n[] = {3.46538101525629032477e-01, 1.20075952739645805542e+01, 7.62796053615234516538e+01,
                                  1.68089224934630576269e+02, 1.59756391350164413639e+02, 7.05360906840444183113e+01,
                                  1.40264691163389668864e+01, 9.99999999999999995305e-01};
    constexpr double large_d[] = {5.67594532638770212846e-01, 1.47562562584847203173e+01, 8.45138970141474626562e+01,
                                  1.77318088145400459522e+02, 1.64234692871529701831e+02, 7.14778400825575695274e+01,
                                  1.40959135607834029598e+01, 1.00000000000000000470e+00};
    constexpr double sine_n[] = {-1.31696323418331795333e-01, -6.26456544431912369773e-01, -6.93158036036933542233e-01,
                                 -2.79779981545119124951e-01, -4.91900132609500318020e-02, -4.06265923594885404393e-03,
                                 -1.59276496239262096340e-04, -2.77649108155232920844e-06, -1.67787698489114633780e-08};
    constexpr double sine_d[] = {1.33560420706553243746e+01, 3.26825032795224613948e+01, 2.67367040941499554804e+01,
                                 9.18707402907259625840e+00, 1.47529146771666414581e+00, 1.15687173795188044134e-01,
                                 4.40291641615211203805e-03, 7.54720348287414296618e-05, 4.51850092970580378464e-07};
    constexpr double cosine_n[] = {1.97339932091685679179e-02, 3.91103029615688277255e-01, 1.06579897599595591108e+00,
                                   9.39169229816650230044e-01, 3.51465656105547619242e-01, 6.33888919628925490927e-02,
                                   5.85804113048388458567e-03, 2.82851600836737019778e-04, 6.98793669997260967291e-06,
                                   8.11789239554389293311e-08, 3.41551784765923618484e-10};
    constexpr double cosine_d[] = {9.30892908077441974853e+00, 1.98352928718312140417e+01, 1.55646628932864612953e+01,
                                   5.47686069422975497931e+00, 9.54293611618961883998e-01, 8.64580826352392193095e-02,
                                   4.12656523824222607191e-03, 1.01259085116509135510e-04, 1.17166733214413521882e-06,
                                   4.91834570062930015649e-09};
    const C inverse_root_pi = C(5.64189583547756286948e-01);
    if (std::isinf(x)) return std::numeric_limits<C>::quiet_NaN();
    if (x > C(103.892)) return 0;
    if (x < C(-2.09)) {
        const C zeta = C(-2) * x * std::sqrt(-x) / C(3), z = C(1) / zeta;
        const C angle = zeta + C(.25) * std::numbers::pi_v<C>;
        return inverse_root_pi / std::sqrt(std::sqrt(-x)) *
               (std::sin(angle) * (C(1) + z * z * rational(z * z, sine_n, sine_d)) -
                std::cos(angle) * (z * rational(z * z, cosine_n, cosine_d)));
    }
    if (x >= C(2.09)) {
        const C zeta = C(2) * x * std::sqrt(x) / C(3);
        return inverse_root_pi * rational(C(1) / zeta, large_n, large_d) /
               (C(2) * std::sqrt(std::sqrt(x)) * std::exp(zeta));
    }
    const C cube = x * x * x;
    C f = 1, g = x, k = 1, m = 1, n = x;
    for (C change = 1; change > std::numeric_limits<C>::epsilon(); change = std::abs(m / f)) {
        m *= cube;
        n *= cube;
        k += C(1);
        m /= k;
        k += C(1);
        m /= k;
        n /= k;
        f += m;
        k += C(1);
        n /= k;
        g += n;
    }
    return C(.355028053887817239260) * f - C(.258819403792806798405) * g;
}

template <class C>
C sign_of_power(std::int64_t n) {
    return n % 2 == 0 ? C(1) : C(-1);
}

/// p(0) = 1, p(1) = first, then `next(k, p(k - 1), p(k))` gives p(k + 1).
template <class C, class F>
C recurrence(C first, std::int64_t n, F next) {
    if (n < 0) return 0;
    C p = 1, q = first;
    if (n == 0) return p;
    for (std::int64_t k = 1; k < n && q == q; ++k) {
        const C r = next(static_cast<C>(k), p, q);
        p = q;
        q = r;
    }
    return q;
}

/// 2x p(k) - p(k - 1).
template <class C>
C chebyshev_recurrence(C x, C first, std::int64_t n) {
    return recurrence(first, n, [x](C, C p, C q) { return (x + x) * q - p; });
}

struct ChebyshevT {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n < 0) return 0;
        if (std::fabs(x) == 1) return x > 0 ? C(1) : sign_of_power<C>(n);
        if (n > 6 && std::fabs(x) < 1) return std::cos(static_cast<C>(n) * std::acos(x));
        return chebyshev_recurrence(x, x, n);
    }
};

struct ChebyshevU {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n < 0) return 0;
        const C m = static_cast<C>(n) + C(1);
        if (std::fabs(x) == 1) return x > 0 ? m : sign_of_power<C>(n) * m;
        if (n > 8 && std::fabs(x) < 1) {
            const C angle = std::acos(x), s = std::sin(angle);
            return s != 0 ? std::sin(m * angle) / s : m * std::cos(m * angle) / x;
        }
        return chebyshev_recurrence(x, x + x, n);
    }
};

struct ChebyshevV {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n < 0) return 0;
        const C m = static_cast<C>(n), ends = sign_of_power<C>(n) * (m + m + C(1));
        if (std::fabs(x) == 1) return x > 0 ? C(1) : ends;
        if (n > 8 && std::fabs(x) < 1) {
            const C angle = std::acos(x);
            return std::sin(angle / 2) != 1 ? std::cos((m + C(.5)) * angle) / std::cos(angle / 2) : ends;
        }
        return chebyshev_recurrence(x, x + x - C(1), n);
    }
};

struct ChebyshevW {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n < 0) return 0;
        const C m = static_cast<C>(n), ends = x > 0 ? m + m + C(1) : sign_of_power<C>(n);
        if (std::fabs(x) == 1) return ends;
        if (n > 8 && std::fabs(x) < 1) {
            const C angle = std::acos(x);
            return std::cos(angle / 2) != 1 ? std::sin((m + C(.5)) * angle) / std::sin(angle / 2) : ends;
        }
        return chebyshev_recurrence(x, x + x + C(1), n);
    }
};

/// Of 2x - 1.
template <class Polynomial>
struct Shifted {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        return Polynomial{}(x + x - C(1), n);
    }
};

/// The highest degree whose polynomial is a number.
template <class C>
constexpr std::int64_t hermite_limit = sizeof(C) == 4 ? 128 : 512;

struct HermiteH {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n > hermite_limit<C>) return std::numeric_limits<C>::quiet_NaN();
        return recurrence(x + x, n, [x](C k, C p, C q) { return (x + x) * q - (k + k) * p; });
    }
};

struct HermiteHe {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n > hermite_limit<C>) return std::numeric_limits<C>::quiet_NaN();
        C p = 1, q = x;
        if (n <= 0) return n == 0 ? C(1) : C(0);
        for (std::int64_t k = 1; k < n; ++k) {
            const C r = x * q - static_cast<C>(k) * p;
            p = q;
            q = r;
        }
        return q;
    }
};

struct LaguerreL {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n >= 0 && x == 0) return 1;
        return recurrence(C(1) - x, n, [x](C k, C p, C q) { return ((k + k + (C(1) - x)) * q - k * p) / (k + C(1)); });
    }
};

struct LegendreP {
    template <class C>
    C operator()(C x, std::int64_t n) const {
        if (n >= 0 && std::fabs(x) == 1) return x > 0 ? C(1) : sign_of_power<C>(n);
        return recurrence(x, n, [x](C k, C p, C q) { return ((k + k + C(1)) * x * q - k * p) / (k + C(1)); });
    }
};

}  // namespace torch_ir::kernels::special
