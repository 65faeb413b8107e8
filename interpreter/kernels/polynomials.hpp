// SPDX-License-Identifier: MIT
// Orthogonal polynomials of degree n at x, and what else PyTorch computes in the tensor's own precision, so that
// overflow shows in the same places (aten/src/ATen/native/Math.h). 0 for negative degrees.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace torch_ir::kernels::special {

template <class C>
C trigamma(C x) {
    C sign = 1, result = 0;
    if (x < C(.5)) {
        sign = -1;
        const C s = std::sin(std::numbers::pi_v<C> * x);
        result -= std::numbers::pi_v<C> * std::numbers::pi_v<C> / (s * s);
        x = C(1) - x;
    }
    for (int i = 0; i < 12; ++i, x += C(1)) result += C(1) / (x * x);
    const C z = C(1) / (x * x);
    result += (C(1) + C(1) / (C(2) * x) + z * (C(1. / 6) - z * (C(1. / 30) - z * (C(1. / 42) - z * C(1. / 30))))) / x;
    return sign * result;
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
