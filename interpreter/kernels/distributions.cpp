// SPDX-License-Identifier: MIT
// Samples of the gamma, Dirichlet and binomial distributions, number for number those of PyTorch's CPU generator, and
// how they change with the parameters (aten/src/ATen/native/Distributions.{h,cpp}).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "elementwise.hpp"
#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/random.hpp"
#include "kernels/reduce.hpp"
#include "kernels/special_math.hpp"

// Another last bit can reject another sample: products and sums are rounded one by one, as in PyTorch's build.
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace torch_ir::kernels {
namespace {

DType require_float_or_double(const char* op, In x) {
    if (x.dtype() != DType::Float32 && x.dtype() != DType::Float64)
        throw UnsupportedError(std::string(op) + " is not defined for " + describe(x) +
                               ", only for float32 and float64");
    return x.dtype();
}

/// G. Marsaglia and W. W. Tsang, A simple method for generating gamma variables, 2000.
template <class T>
double draw_gamma(Generator& g, T alpha) {
    double scale = 1;
    if (alpha < 1) {  // accepted more often with a larger alpha
        if (alpha == 0) return 0;
        scale = std::pow(1 - g.uniform(), static_cast<double>(1 / alpha));
        alpha += 1;
    }
    const double d = alpha - static_cast<T>(1.0F / 3.0F);
    const double c = 1 / std::sqrt(9 * d);
    for (;;) {
        double x, y;
        do {
            x = g.normal();
            y = 1 + c * x;
        } while (y <= 0);
        const double v = y * y * y;
        const double u = 1 - g.uniform();
        const double xx = x * x;
        if (u < 1 - double{0.0331F} * xx * xx) return scale * d * v;
        if (std::log(u) < 0.5 * xx + d * (1 - v + std::log(v))) return scale * d * v;
    }
}

Tensor standard_gamma(Context& context, In self, None) {
    require_float_or_double("_standard_gamma", self);
    const Tensor alpha = self.contiguous();
    const Tensor out = Tensor::empty(self.shape(), self.dtype());
    return visit_float(self.dtype(), "_standard_gamma", [&]<class C>(C) {
        const C* next = alpha.data<C>();
        fill_random(context, out, [&](Generator& g) -> double {
            return std::max(std::numeric_limits<C>::min(), static_cast<C>(draw_gamma(g, *next++)));
        });
        return out;
    });
}

Tensor sample_dirichlet(Context& context, In self, None) {
    require_float_or_double("_sample_dirichlet", self);
    const Tensor alpha = self.to(DType::Float64).contiguous();
    const Tensor gamma = Tensor::empty(self.shape(), DType::Float64);
    const double* next = alpha.data<double>();
    fill_random(context, gamma,
                [&](Generator& g) { return std::max(std::numeric_limits<double>::min(), draw_gamma(g, *next++)); });
    return visit_float(self.dtype(), "_sample_dirichlet", [&]<class C>(C) {
        return elementwise<double>(
            self.dtype(),
            [](double value, double total) {
                const C most = std::nextafter(C(1), C(0));
                return static_cast<double>(
                    std::min(most, std::max(std::numeric_limits<C>::min(), static_cast<C>(value / total))));
            },
            gamma, sum(gamma, Ints{-1}, true, {}));
    });
}

/// log k! - Stirling's approximation of it.
double stirling_tail(double k) {
    constexpr std::array<double, 10> first{
        0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
        0.0138761288230707, 0.0118967099458917, 0.010411265261972,  0.00925546218271273, 0.00833056343336287};
    if (k < static_cast<double>(first.size())) return first[static_cast<std::size_t>(k)];
    const double square = (k + 1) * (k + 1);
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

/// W. Hörmann, The generation of binomial random variates, 1993: BTRS, for means of at least 10.
template <class T>
T draw_binomial_rejecting(Generator& g, T count, T prob) {
    const double stddev = std::sqrt(count * prob * (1 - prob));
    const double b = 1.15 + 2.53 * stddev;
    const double a = -0.0873 + 0.0248 * b + 0.01 * prob;
    const double c = count * prob + 0.5;
    const double v_r = 0.92 - 4.2 / b;
    const double r = prob / (1 - prob);
    const double alpha = (2.83 + 5.1 / b) * stddev;
    const double m = std::floor((count + 1) * prob);
    for (;;) {
        const double u = g.uniform() - 0.5;
        double v = g.uniform();
        const double us = 0.5 - std::abs(u);
        const T k = static_cast<T>(std::floor((2 * a / us + b) * u + c));
        if (k < 0 || k > count) continue;
        if (us >= 0.07 && v <= v_r) return k;
        v = std::log(v * alpha / (a / (us * us) + b));
        const double bound = (m + 0.5) * std::log((m + 1) / (r * (count - m + 1))) +
                             (count + 1) * std::log((count - m + 1) / (count - k + 1)) +
                             (k + 0.5) * std::log(r * (count - k + 1) / (k + 1)) + stirling_tail(m) +
                             stirling_tail(count - m) - stirling_tail(k) - stirling_tail(count - k);
        if (v <= bound) return k;
    }
}

/// Counts how many geometric steps fit into `count` trials.
template <class T>
T draw_binomial_stepping(Generator& g, T count, T prob) {
    const double log_rest = std::log1p(-prob);
    double steps = 0;
    for (T drawn = 0;; drawn += 1) {
        steps += std::ceil(std::log(g.uniform()) / log_rest);
        if (steps > count) return drawn;
    }
}

template <class T>
T draw_binomial(Generator& g, T count, T prob) {
    if (count <= 0 || prob <= 0) return 0;
    if (prob >= 1) return count;
    if (std::isnan(prob)) return prob;
    const bool mirrored = prob > T(0.5);
    if (mirrored) prob = static_cast<T>(1.0 - prob);
    const T drawn =
        count * prob >= 10 ? draw_binomial_rejecting(g, count, prob) : draw_binomial_stepping(g, count, prob);
    return mirrored ? count - drawn : drawn;
}

Tensor binomial(Context& context, In count, In prob, None) {
    require_float_or_double("binomial", count);
    if (prob.dtype() != count.dtype())
        throw ArgumentError("binomial: expected 'prob' of the dtype of 'count', found " + describe(prob) + " and " +
                            describe(count));
    const Ints shape = broadcast_shapes(count.shape(), prob.shape());
    if (shape != count.shape())
        throw ArgumentError("binomial: expected 'prob' to broadcast to the shape of 'count', found " + describe(prob) +
                            " and " + describe(count));
    const Tensor n = count.contiguous();
    const Tensor p = prob.expand(shape).contiguous();
    const Tensor out = Tensor::empty(shape, count.dtype());
    visit_float(count.dtype(), "binomial", [&]<class C>(C) {
        const C* next_n = n.data<C>();
        const C* next_p = p.data<C>();
        fill_random(context, out, [&](Generator& g) -> double { return draw_binomial(g, *next_n++, *next_p++); });
    });
    return out;
}

/// -(d/dalpha cdf(x; alpha)) / pdf(x; alpha) of the gamma distribution.
double gamma_gradient(double alpha, double x) {
    if (x < double{0.8F}) {  // Taylor series
        double numer = 1, denom = alpha;
        double series1 = numer / denom, series2 = numer / (denom * denom);
        for (int i = 1; i <= 5; ++i) {
            numer *= -x / i;
            denom += 1;
            series1 += numer / denom;
            series2 += numer / (denom * denom);
        }
        const double power = std::pow(x, alpha);
        const double pdf = std::pow(x, alpha - 1) * std::exp(-x);
        const double result = -((std::log(x) - special::digamma(alpha)) * power * series1 - power * series2) / pdf;
        return std::isnan(result) ? 0 : result;
    }
    if (alpha > 8) {  // Rice's saddle point expansion
        if (double{0.9F} * alpha <= x && x <= double{1.1F} * alpha) {
            const double numer_1 = 1 + 24 * alpha * (1 + 12 * alpha);
            const double numer_2 =
                1440 * (alpha * alpha) + 6 * x * (53 - 120 * x) - 65 * x * x / alpha + alpha * (107 + 3600 * x);
            return numer_1 * numer_2 / (1244160 * (alpha * alpha) * (alpha * alpha));
        }
        const double denom = std::sqrt(8 * alpha);
        const double term2 = denom / (alpha - x);
        const double term3 = std::pow(x - alpha - alpha * std::log(x / alpha), -1.5);
        const double term23 = x < alpha ? term2 - term3 : term2 + term3;
        const double term1 =
            std::log(x / alpha) * term23 - std::sqrt(2 / alpha) * (alpha + x) / ((alpha - x) * (alpha - x));
        const double stirling = 1 + 1 / (12 * alpha) * (1 + 1 / (24 * alpha));
        return -stirling * (x * term1) / denom;
    }
    // A rational approximation in log x / alpha and log alpha.
    constexpr double coefficients[3][8] = {
        {0.16009398, -0.094634809, 0.025146376, -0.0030648343, 1, 0.32668115, 0.10406089, 0.0014179084},
        {0.53487893, 0.1298071, 0.065735949, -0.0015649758, 0.16639465, 0.020070113, -0.0035938915, -0.00058392623},
        {0.040121004, -0.0065914022, -0.0026286047, -0.0013441777, 0.017050642, -0.0021309326, 0.00085092367,
         -1.5247877e-07}};
    const double u = std::log(x / alpha), v = std::log(alpha);
    double c[8];
    for (int i = 0; i < 8; ++i) c[i] = coefficients[0][i] + u * (coefficients[1][i] + u * coefficients[2][i]);
    return std::exp((c[0] + v * (c[1] + v * (c[2] + v * c[3]))) / (c[4] + v * (c[5] + v * (c[6] + v * c[7]))));
}

// Of the beta distribution: -(d/dalpha cdf(x; alpha, beta)) / pdf(x; alpha, beta) / (1 - x), in regions of x.

template <class T>
T beta_gradient_near_zero(T x, T alpha, T beta) {
    const T factor =
        static_cast<T>(special::digamma(alpha)) - static_cast<T>(special::digamma(alpha + beta)) - std::log(x);
    T numer = 1;
    T series = numer / alpha * (factor + 1 / alpha);
    for (int i = 1; i <= 10; ++i) {
        numer *= (T(i) - beta) * x / T(i);
        const T denom = alpha + T(i);
        series += numer / denom * (factor + 1 / denom);
    }
    const T result = x * std::pow(1 - x, -beta) * series;
    return std::isnan(result) ? T(0) : result;
}

/// The gradient by beta instead.
template <class T>
T beta_gradient_by_beta_near_zero(T x, T alpha, T beta) {
    const T factor = static_cast<T>(special::digamma(alpha + beta)) - static_cast<T>(special::digamma(beta));
    T numer = 1, betas = 1, dbetas = 0, series = factor / alpha;
    for (int i = 1; i <= 8; ++i) {
        numer *= -x / T(i);
        dbetas = dbetas * (beta - T(i)) + betas;
        betas = betas * (beta - T(i));
        series += numer / (alpha + T(i)) * (dbetas + factor * betas);
    }
    const T result = -std::pow(1 - x, 1 - beta) * series;
    return std::isnan(result) ? T(0) : result;
}

/// Both parameters large: Rice's saddle point expansion.
double beta_gradient_between(double x, double alpha, double beta) {
    const double total = alpha + beta;
    const double mean = alpha / total;
    const double std = std::sqrt(alpha * beta / (total + 1)) / total;
    if (mean - 0.1 * std <= x && x <= mean + 0.1 * std) {  // the formula below has no value at the mean
        const double poly = 47 * x * (beta * beta) * (beta * beta) +
                            alpha * ((43 + 20 * (16 + 27 * beta) * x) * (beta * beta) * beta +
                                     alpha * (3 * (59 + 180 * beta - 90 * x) * (beta * beta) +
                                              alpha * ((453 + 1620 * beta * (1 - x) - 455 * x) * beta +
                                                       alpha * (8 * (1 - x) * (135 * beta - 11)))));
        return (1 + 12 * alpha) * (1 + 12 * beta) / (total * total) / (1 - x) * poly /
               (12960 * alpha * alpha * alpha * beta * beta * (1 + 12 * total));
    }
    const auto stirling = [](double n) { return 1 + 1 / (12 * n) + 1 / (288 * n * n); };
    const double distance = alpha * (x - 1) + beta * x;
    const double term1 = (2 * (alpha * alpha) * (x - 1) + alpha * beta * (x - 1) - x * (beta * beta)) /
                         (std::sqrt(2 * alpha / beta) * std::pow(total, 1.5) * distance * distance);
    const double term2 = 0.5 * std::log(alpha / (total * x));
    const double term3 = std::sqrt(8 * alpha * beta / total) / distance;
    const double term4 =
        std::pow(beta * std::log(beta / (total * (1 - x))) + alpha * std::log(alpha / (total * x)), -1.5);
    return stirling(alpha) * stirling(beta) / stirling(total) * (-x / std::sqrt(2 * alpha * beta / total)) *
           (term1 + term2 * (term3 + (x < mean ? term4 : -term4)));
}

/// A rational correction of an analytic approximation, for what the others leave.
double beta_gradient_elsewhere(double x, double alpha, double total) {
    constexpr double c[2][3][3][4] = {{{{1.003668233, -0.01061107488, -0.0657888334, 0.01201642863},
                                        {0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033},
                                        {-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013}},
                                       {{0.221950385, -0.3187676331, 0.01799915743, 0.01074823814},
                                        {-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057},
                                        {0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-05}},
                                       {{-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565},
                                        {0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181},
                                        {0.005900514878, -0.001936558688, -9.495446725e-06, 5.385558597e-05}}},
                                      {{{1, -0.02924021934, -0.04438342661, 0.007285809825},
                                        {0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521},
                                        {-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149}},
                                       {{0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273},
                                        {0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956},
                                        {-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-05}},
                                       {{0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-05},
                                        {0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-05},
                                        {-0.0003477407336, 6.959756487e-05, 1.097287507e-05, -1.650964693e-06}}}};
    const double u = std::log(x);
    const double a = std::log(alpha) - u;
    const double b = std::log(total) - a;
    const double powers_u[3] = {1, u, u * u};
    const double powers_a[3] = {1, a, a * a};
    double sums[2] = {0, 0};
    for (int side = 0; side < 2; ++side)
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                const auto& k = c[side][i][j];
                sums[side] += powers_u[i] * powers_a[j] * (k[0] + b * (k[1] + b * (k[2] + b * k[3])));
            }
    return sums[0] / sums[1] * (x * (special::digamma(total) - special::digamma(alpha)) / (total - alpha));
}

template <class T>
T dirichlet_gradient(T x, T alpha, T total) {
    const T beta = total - alpha;
    const T boundary = total * x * (1 - x);
    if (x <= T(0.5) && boundary < T(2.5)) return beta_gradient_near_zero(x, alpha, beta);
    if (x >= T(0.5) && boundary < T(0.75)) return -beta_gradient_by_beta_near_zero(1 - x, beta, alpha);
    if (alpha > 6 && beta > 6)
        return static_cast<T>(beta_gradient_between(x, alpha, static_cast<double>(total) - static_cast<double>(alpha)));
    return static_cast<T>(beta_gradient_elsewhere(x, alpha, total));
}

Tensor standard_gamma_grad(In self, In output) {
    return elementwise<double>(
        require_float_or_double("_standard_gamma_grad", self),
        [](double alpha, double x) { return gamma_gradient(alpha, x); }, self, output);
}

Tensor dirichlet_grad(In x, In alpha, In total) {
    require_float_or_double("_dirichlet_grad", x);
    return visit_float(x.dtype(), "_dirichlet_grad", [&]<class C>(C) {
        return elementwise<C>(
            x.dtype(), [](C value, C a, C t) { return dirichlet_gradient(value, a, t); }, x, alpha, total);
    });
}

}  // namespace

void register_distributions(Registry& r) {
    r.add("_standard_gamma(Tensor self, Generator? generator=None) -> Tensor", standard_gamma);
    r.add("_standard_gamma_grad(Tensor self, Tensor output) -> Tensor", standard_gamma_grad);
    r.add("_sample_dirichlet(Tensor self, Generator? generator=None) -> Tensor", sample_dirichlet);
    r.add("_dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor", dirichlet_grad);
    r.add("binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor", binomial);
}

}  // namespace torch_ir::kernels
