// SPDX-License-Identifier: MIT
#include "kernels/special_math.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace torch_ir::kernels::special {
namespace {

using std::numbers::pi;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double epsilon = std::numeric_limits<double>::epsilon() / 2;
constexpr double sqrt_half = std::numbers::sqrt2 / 2;

bool is_whole(double x) { return x == std::floor(x); }

}  // namespace

double lgamma(double x) {
    int sign = 0;
    return lgamma_r(x, &sign);  // thread-safe, unlike std::lgamma
}

double digamma(double x) {
    if (x == 0) return std::copysign(infinity, -x);
    if (x < 0) {  // reflection; poles at the whole numbers
        if (is_whole(x)) return nan;
        double whole = 0;
        const double fraction = std::modf(x, &whole);
        return digamma(1 - x) - pi / std::tan(pi * fraction);
    }
    double result = 0;
    for (; x < 10; x += 1) result -= 1 / x;
    if (x == 10) return result + 2.25175258906672110764;
    double series = 0;
    if (x < 1e17) {
        constexpr double bernoulli[] = {8.33333333333333333333E-2, -2.10927960927960927961E-2,
                                        7.57575757575757575758E-3, -4.16666666666666666667E-3,
                                        3.96825396825396825397E-3, -8.33333333333333333333E-3,
                                        8.33333333333333333333E-2};
        const double z = 1 / (x * x);
        for (const double c : bernoulli) series = series * z + c;
        series *= z;
    }
    return result + std::log(x) - .5 / x - series;
}

namespace {

/// x^a e^-x / Γ(a + 1).
double gamma_prefix(double a, double x) {
    if (a < 20) return std::exp(a * std::log(x) - x - lgamma(a + 1));
    const double mu = (x - a) / a;  // Stirling's series, the large terms cancelled by hand
    const double correction = 1 / (12 * a) - 1 / (360 * a * a * a) + 1 / (1260 * std::pow(a, 5));
    const double exponent = std::fabs(mu) < 1 ? a * (std::log1p(mu) - mu) : a * std::log(x / a) - (x - a);
    return std::exp(exponent - correction) / std::sqrt(2 * pi * a);
}

/// Q(a, x) for large a and x near it: the first term of Temme's uniform expansion.
double upper_uniform(double a, double x) {
    const double mu = (x - a) / a;
    const double half_square = mu - std::log1p(mu);  // η² / 2
    const double eta = std::copysign(std::sqrt(2 * half_square), mu);
    const double c0 = std::fabs(mu) < 1e-4 ? -1. / 3 + mu / 12 : 1 / mu - 1 / eta;
    return .5 * std::erfc(eta * std::sqrt(a / 2)) + c0 * std::exp(-a * half_square) / std::sqrt(2 * pi * a);
}
bool is_uniform(double a, double x) { return a > 1e6 && std::fabs(x - a) < .3 * a; }

/// P(a, x) by its series, for x below about a.
double lower_series(double a, double x) {
    double term = 1, sum = 1;
    for (int n = 1; n < 1000000; ++n) {
        term *= x / (a + n);
        sum += term;
        if (term <= epsilon * sum) break;
    }
    return sum * gamma_prefix(a, x);
}

/// Q(a, x) by Lentz's continued fraction, for x above about a.
double upper_fraction(double a, double x) {
    constexpr double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i < 1000000; ++i) {
        const double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        if (std::fabs(d) < tiny) d = tiny;
        c = b + an / c;
        if (std::fabs(c) < tiny) c = tiny;
        d = 1 / d;
        const double delta = d * c;
        h *= delta;
        if (std::fabs(delta - 1) < 2 * epsilon) break;
    }
    return gamma_prefix(a, x) * a * h;
}

/// Q(a, x) for small x and a, where 1 - P would cancel: Σ over the series without its first term.
double upper_series(double a, double x) {
    double term = 1, sum = 0;
    for (int n = 1; n < 2000; ++n) {
        term *= -x / n;
        const double t = term / (a + n);
        sum += t;
        if (std::fabs(t) <= epsilon * std::fabs(sum)) break;
    }
    const double log_x = std::log(x);
    const double first = -std::expm1(a * log_x - lgamma(1 + a));
    return first - std::exp(a * log_x - lgamma(a)) * sum;
}

}  // namespace

double gammainc(double a, double x) {
    if (x < 0 || a < 0) return nan;
    if (a == 0) return x > 0 ? 1 : nan;
    if (x == 0) return 0;
    if (std::isinf(a)) return std::isinf(x) ? nan : 0;
    if (std::isinf(x)) return 1;
    if (a != a || x != x) return nan;
    if (is_uniform(a, x)) return 1 - upper_uniform(a, x);
    return x <= 1 || x <= a ? lower_series(a, x) : 1 - gammaincc(a, x);
}

double gammaincc(double a, double x) {
    if (x < 0 || a < 0) return nan;
    if (a == 0) return x > 0 ? 0 : nan;
    if (x == 0) return 1;
    if (std::isinf(a)) return std::isinf(x) ? nan : 1;
    if (std::isinf(x)) return 0;
    if (a != a || x != x) return nan;
    if (is_uniform(a, x)) return upper_uniform(a, x);
    if (x > 1.1 && x > a) return upper_fraction(a, x);
    if (x <= .5 ? -.4 / std::log(x) < a : x * 1.1 < a) return 1 - lower_series(a, x);
    return x <= 1.1 ? upper_series(a, x) : 1 - lower_series(a, x);
}

/// Winitzki's approximation, then Halley's method on erf or, near ±1, on erfc.
double erfinv(double y) {
    const double size = std::fabs(y);
    if (!(size <= 1)) return nan;
    if (size == 1) return std::copysign(infinity, y);
    if (size == 0) return y;
    constexpr double a = .147;
    const double w = std::log((1 - size) * (1 + size)), t = 2 / (pi * a) + w / 2;
    double x = size < 1e-3 ? size * std::sqrt(pi) / 2 : std::sqrt(std::sqrt(t * t - w / a) - t);
    for (int i = 0; i < 3; ++i) {
        const double error = size < .5 ? std::erf(x) - size : (1 - size) - std::erfc(x);
        const double step = error / (2 * std::numbers::inv_sqrtpi * std::exp(-x * x));
        x -= step / (1 + x * step);
    }
    return std::copysign(x, y);
}

double erfcx(double x) {
    if (x < 0) {
        if (x < -26.7) return infinity;
        return 2 * std::exp(x * x) - erfcx(-x);
    }
    if (x > 25) {
        const double z = 1 / (x * x);
        return std::numbers::inv_sqrtpi / x * (1 - z * (.5 - z * (.75 - z * (1.875 - z * 6.5625))));
    }
    const double high = static_cast<float>(x);  // x² without rounding
    return std::exp(high * high) * std::exp((x - high) * (x + high)) * std::erfc(x);
}

double ndtr(double x) { return .5 * std::erfc(-x * sqrt_half); }

double log_ndtr(double x) {
    const double t = x * sqrt_half;
    return x < -1 ? std::log(erfcx(-t) / 2) - t * t : std::log1p(-std::erfc(t) / 2);
}

/// P. Acklam's rational approximation, then Halley's method on erfc.
double ndtri(double p) {
    if (p == 0) return -infinity;
    if (p == 1) return infinity;
    if (!(p > 0 && p < 1)) return nan;
    if (p > .5) return -ndtri(1 - p);
    double x = 0;
    if (p < .02425) {
        const double q = std::sqrt(-2 * std::log(p));
        x = (((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q - 2.549732539343734) *
                  q +
              4.374664141464968) *
                 q +
             2.938163982698783) /
            ((((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q + 3.754408661907416) *
                 q +
             1);
    } else {
        const double q = p - .5, r = q * q;
        x = (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r +
               1.383577518672690e+02) *
                  r -
              3.066479806614716e+01) *
                 r +
             2.506628277459239) *
            q /
            (((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r +
               6.680131188771972e+01) *
                  r -
              1.328068155288572e+01) *
                 r +
             1);
    }
    for (int i = 0; i < 2; ++i) {
        const double root = std::exp(x * x / 4);  // of a factor that overflows
        const double u = (ndtr(x) - p) * root * std::sqrt(2 * pi) * root;
        x -= u / (1 + x * u / 2);
    }
    return x;
}

double entr(double x) {
    if (x != x) return x;
    if (x > 0) return -x * std::log(x);
    return x == 0 ? 0 : -infinity;
}

namespace {

/// e^-x I_n(x) (sign 1) or e^x K_n(x) without √(π / 2x) (sign -1): Hankel's expansion, accurate from x = 20 on.
double hankel(double n, double x, double sign) {
    double term = 1, sum = 1;
    for (int k = 1; k < 60; ++k) {
        const double factor = -sign * (4 * n * n - (2 * k - 1) * (2 * k - 1)) / (k * 8 * x);
        const double next = term * factor;
        if (std::fabs(next) > std::fabs(term) || std::fabs(next) < epsilon * std::fabs(sum)) break;
        term = next;
        sum += term;
    }
    return sum;
}

/// e^-x I_n(x) for n = 0, 1 and x >= 0.
double scaled_i(int n, double x) {
    if (x != x) return x;
    if (std::isinf(x)) return 0;
    if (x > 20) return hankel(n, x, 1) / std::sqrt(x) / std::sqrt(2 * pi);
    const double z = x * x / 4;
    double term = 1, sum = 1;
    for (int k = 1; k < 200; ++k) {
        term *= z / (static_cast<double>(k) * (k + n));
        sum += term;
        if (term < epsilon * sum) break;
    }
    return (n == 0 ? 1 : x / 2) * sum * std::exp(-x);
}

double scaled_k(int n, double x) {
    if (x == 0) return infinity;
    if (!(x > 0)) return nan;
    if (x < 1e-10) return n == 0 ? std::log(2) - std::numbers::egamma - std::log(x) : 1 / x;
    if (x > 20) return std::isinf(x) ? 0 : hankel(n, x, -1) * std::sqrt(pi / 2) / std::sqrt(x);
    return std::cyl_bessel_k(static_cast<double>(n), x) * std::exp(x);
}

}  // namespace

double i0e(double x) { return scaled_i(0, std::fabs(x)); }
double i1e(double x) { return std::copysign(scaled_i(1, std::fabs(x)), x); }
double scaled_k0(double x) { return scaled_k(0, x); }
double scaled_k1(double x) { return scaled_k(1, x); }
double k0(double x) { return scaled_k(0, x) * std::exp(-x); }
double k1(double x) { return scaled_k(1, x) * std::exp(-x); }

double spherical_j0(double x) {
    if (std::isinf(x)) return 0;
    const double z = x * x;
    if (std::fabs(x) < .5)
        return 1 + z * (-1. / 6 + z * (1. / 120 + z * (-1. / 5040 + z * (1. / 362880 + z * (-1. / 39916800)))));
    return std::sin(x) / x;
}

}  // namespace torch_ir::kernels::special
