// SPDX-License-Identifier: MIT
// Variances, norms, and the logarithm of sums of exponentials.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/reduce.hpp"
#include "kernels/row_math.hpp"
#include "promote.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using Dims = std::optional<Ints>;

/// Sums of |x|^p.
template <class C, class R>
struct PowerSum {
    using Acc = double;
    R p;
    static constexpr bool maps_vectors = false;
    static double map(const PowerSum& r, C x) { return std::pow(static_cast<R>(std::abs(x)), r.p); }
    template <class T>
    static T join(T a, T b) {
        return a + b;
    }
    template <class T>
    static T init() {
        return T(0);
    }
};

Tensor logsumexp(const Tensor& self, const Ints& dim, bool keepdim) {
    const DType out = to_float(self.dtype());
    const Ints dims = dims_of(self, dim);
    const Tensor x = self.to(out);
    if (is_complex(out)) {
        // Relative to the largest real part.
        using C = std::complex<double>;
        const Tensor real = elementwise<C>(
            DType::Float64, [](C v) { return v.real(); }, x);
        const Tensor largest = elementwise<double>(
            DType::Float64, [](double v) { return std::isinf(v) ? 0.0 : v; }, amax(real, dims, keepdim));
        const Tensor shift = keepdim ? largest : amax(real, dims, true);
        const Tensor exps = elementwise<C>(
            DType::Complex128, [](C v, C m) { return std::exp(v - (std::isinf(m.real()) ? C(0) : m)); }, x, shift);
        return elementwise<C>(
            out, [](C v, C m) { return std::log(v) + m; }, sum(exps, dims, keepdim, {}), largest);
    }
    return visit_stepwise(out, "logsumexp", [&]<class C, class A>(C, A) {
        const Rows<C> in = rows<C>(x, dims);
        Tensor y = Tensor::empty(reduced_shape(x, dims, keepdim), dtype_of<C>());
        parallel_for(y.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* row = in.data() + i * in.length;
                             C largest = max_of(row, in.length);
                             if (!std::isfinite(largest)) largest = 0;
                             const C total = sum_of(row, in.length, [largest](C v) {
                                 return static_cast<C>(A(vmath::exp(static_cast<C>(A(v) - A(largest)))));
                             });
                             y.data<C>()[i] = static_cast<C>(A(std::log(static_cast<C>(A(total)))) + A(largest));
                         }
                     });
        return y.to(out);
    });
}

// Variance and standard deviation.

struct Spread {
    Tensor variance;  // or its root
    Tensor mean;
};

/// Never negative; 0 without elements, where the variance is NaN whatever the correction.
double divisor_of(double n, double correction) { return n == 0 ? 0 : std::max(0.0, n - correction); }

Spread spread(const char* op, const Tensor& self, const Dims& dim, double correction, bool keepdim, bool root) {
    const DType out = to_real(self.dtype());
    const Ints dims = dims_of(self, dim);
    const Ints shape = reduced_shape(self, dims, keepdim);
    if (is_complex(self.dtype())) {
        using C = std::complex<double>;
        const Tensor wide = self.to(DType::Complex128);
        const Tensor m = mean(wide, dims, true, {});
        const Tensor d = elementwise<C>(
            DType::Complex128, [](C a, C b) { return a - b; }, wide, m);
        const Tensor s = reduce<C>(d, dims, keepdim, SumOf<C, decltype(square)>{});
        const double divisor = divisor_of(static_cast<double>(length_of(self, dims)), correction);
        return {elementwise<double>(
                    out, [divisor, root](double v) { return root ? std::sqrt(v / divisor) : v / divisor; }, s),
                m.to(self.dtype()).reshape(std::span<const std::int64_t>(shape))};
    }
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dims);
        const auto n = static_cast<double>(in.length);
        const double divisor = divisor_of(n, correction);
        Tensor v = Tensor::empty(shape, dtype_of<C>());
        Tensor m = Tensor::empty(shape, dtype_of<C>());
        parallel_for(v.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* row = in.data() + i * in.length;
                             double center = sum_of(row, in.length, identity) / static_cast<C>(n);
                             double squares = sum_of(row, in.length,
                                                     [c = static_cast<C>(center)](C x) { return (x - c) * (x - c); });
                             if (!std::isfinite(squares)) {  // PyTorch's way: in double, an infinity becomes NaN
                                 center = squares = 0;
                                 for (std::int64_t j = 0; j < in.length; ++j) {
                                     const double step = row[j] - center;
                                     center += step / static_cast<double>(j + 1);
                                     squares += step * (row[j] - center);
                                 }
                             }
                             const double variance = squares / divisor;
                             v.data<C>()[i] = static_cast<C>(root ? std::sqrt(variance) : variance);
                             m.data<C>()[i] = static_cast<C>(center);
                         }
                     });
        return Spread{v.to(out), m.to(out)};
    });
}

template <bool Root>
Tensor var_correction(const Tensor& self, const Dims& dim, const std::optional<Scalar>& correction, bool keepdim) {
    return spread(Root ? "std" : "var", self, dim, correction.value_or(Scalar(1)).to<double>(), keepdim, Root).variance;
}
template <bool Root>
Tensor var_dim(const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
    return var_correction<Root>(self, dim, Scalar(unbiased ? 1 : 0), keepdim);
}
template <bool Root>
Tensor var_all(const Tensor& self, bool unbiased) {
    return var_dim<Root>(self, {}, unbiased, false);
}
template <bool Root>
std::tuple<Tensor, Tensor> var_mean_correction(const Tensor& self, const Dims& dim,
                                               const std::optional<Scalar>& correction, bool keepdim) {
    const Spread s =
        spread(Root ? "std_mean" : "var_mean", self, dim, correction.value_or(Scalar(1)).to<double>(), keepdim, Root);
    return {s.variance, s.mean};
}
template <bool Root>
std::tuple<Tensor, Tensor> var_mean_dim(const Tensor& self, const Dims& dim, bool unbiased, bool keepdim) {
    return var_mean_correction<Root>(self, dim, Scalar(unbiased ? 1 : 0), keepdim);
}
template <bool Root>
std::tuple<Tensor, Tensor> var_mean_all(const Tensor& self, bool unbiased) {
    return var_mean_dim<Root>(self, {}, unbiased, false);
}

template <bool Root>
void add_var(Registry& r, const std::string& name) {
    r.add(name + "(Tensor self, bool unbiased=True) -> Tensor", var_all<Root>);
    r.add(name + ".dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor", var_dim<Root>);
    r.add(name + ".correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
          var_correction<Root>);
    const std::string both = name + "_mean";
    r.add(both + "(Tensor self, bool unbiased=True) -> (Tensor, Tensor)", var_mean_all<Root>);
    r.add(both + ".dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> (Tensor, Tensor)",
          var_mean_dim<Root>);
    r.add(both +
              ".correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> "
              "(Tensor, Tensor)",
          var_mean_correction<Root>);
}

}  // namespace

Tensor vector_norm(const Tensor& self, const Scalar& ord, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    if (is_integral(self.dtype(), true))
        throw ArgumentError("linalg.vector_norm: expected 'self' of floating point or complex dtype, found " +
                            describe(self));
    if (dtype && (is_integral(*dtype, true) || is_complex(*dtype) != is_complex(self.dtype()) ||
                  promote_types(self.dtype(), *dtype) != *dtype))
        throw ArgumentError("linalg.vector_norm: expected 'dtype' that " + describe(self) +
                            " converts to without narrowing, found '" + std::string(name(*dtype)) + "'");
    const Tensor x = as(self, dtype);
    const DType out = to_real(x.dtype());
    const Ints dims = dims_of(x, dim);
    const auto p = ord.to<double>();
    const auto root = [](double v) { return std::sqrt(v); };
    return visit_compute(x.dtype(), [&]<class C>(C) -> Tensor {
        if constexpr (std::is_same_v<C, std::int64_t>) {
            return {};
        } else {
            if (p == 2) {
                const Tensor s = reduce<C>(x, dims, keepdim, SumOf<C, decltype(square)>{});
                return elementwise<double>(out, root, s);
            }
            if (p == 1) return reduce<C>(x, dims, keepdim, SumOf<C, decltype(magnitude)>{}).to(out);
            if (p == 0) return reduce<C>(x, dims, keepdim, SumOf<C, decltype(to_truth)>{}).to(out);
            if (std::isinf(p)) {
                const Tensor a = elementwise<C>(out, magnitude, x);
                if (a.numel() == 0 && length_of(a, dims) == 0)
                    throw ArgumentError("linalg.vector_norm: a norm of infinite order needs elements, found " +
                                        describe(x));
                return p > 0 ? amax(a, dims, keepdim) : amin(a, dims, keepdim);
            }
            // Powers overflow where PyTorch's do.
            const auto of_powers = [&]<class R>(R exponent) {
                const Tensor s = reduce<C>(x, dims, keepdim, PowerSum<C, R>{exponent});
                return elementwise<double>(
                    out, [root = 1 / exponent](double v) { return double{std::pow(static_cast<R>(v), root)}; }, s);
            };
            return out == DType::Float64 ? of_powers(p) : of_powers(static_cast<float>(p));
        }
    });
}

namespace {

Tensor norm_dtype(const Tensor& self, const std::optional<Scalar>& p, const Ints& dim, bool keepdim,
                  std::optional<DType> dtype) {
    return vector_norm(self, p.value_or(Scalar(2)), dim, keepdim, dtype);
}
Tensor norm_scalar(const Tensor& self, const Scalar& p) { return vector_norm(self, p, {}, false, {}); }
Tensor norm_dim(const Tensor& self, const std::optional<Scalar>& p, const Ints& dim, bool keepdim) {
    return norm_dtype(self, p, dim, keepdim, {});
}
Tensor norm_dim_dtype(const Tensor& self, const std::optional<Scalar>& p, const Ints& dim, bool keepdim, DType dtype) {
    return norm_dtype(self, p, dim, keepdim, dtype);
}
Tensor norm_opt_dtype(const Tensor& self, const std::optional<Scalar>& p, DType dtype) {
    return norm_dtype(self, p, {}, false, dtype);
}
Tensor frobenius_norm(const Tensor& self, const Ints& dim, bool keepdim) {
    return vector_norm(self, Scalar(2), dim, keepdim, {});
}

Tensor dist(const Tensor& self, const Tensor& other, const Scalar& p) {
    if (self.dtype() == DType::Bool || other.dtype() == DType::Bool)
        throw ArgumentError("dist is not defined for bool tensors, found " + describe(self) + " and " +
                            describe(other));
    const Tensor d = minus(self, other);
    return vector_norm(d, p, {}, false, {});
}

}  // namespace

void register_moments(Registry& r) {
    add_var<false>(r, "var");
    add_var<true>(r, "std");

    r.add("logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", logsumexp);
    r.add("special_logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", logsumexp);
    r.add(
        "linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? "
        "dtype=None) -> Tensor",
        vector_norm);
    r.add("norm.Scalar(Tensor self, Scalar p=2) -> Tensor", norm_scalar);
    r.add("norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor", norm_dim);
    r.add("norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor",
          norm_dim_dtype);
    r.add("norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor", norm_opt_dtype);
    r.add("native_norm(Tensor self, Scalar p=2) -> Tensor", norm_scalar);
    r.add(
        "native_norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, ScalarType? dtype) -> "
        "Tensor",
        norm_dtype);
    r.add("frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", frobenius_norm);
    r.add("dist(Tensor self, Tensor other, Scalar p=2) -> Tensor", dist);
}

}  // namespace torch_ir::kernels
