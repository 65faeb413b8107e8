// SPDX-License-Identifier: MIT
// Reductions to sums, products, extremes and truth values.
#include "kernels/reduce.hpp"

#include <cmath>
#include <numeric>

#include "kernels/families.hpp"
#include "kernels/row_math.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {

namespace detail {

std::vector<ReduceDim> reduce_dims(const Tensor& x, std::span<const std::int64_t> dims) {
    std::vector<ReduceDim> all;
    std::int64_t out_stride = 1;
    for (std::int64_t d = x.dim(); d-- > 0;) {
        const bool reduced = std::find(dims.begin(), dims.end(), d) != dims.end();
        if (x.size(d) != 1) all.push_back({x.size(d), x.stride(d), reduced ? 0 : out_stride, reduced});
        if (!reduced) out_stride *= x.size(d);
    }
    std::reverse(all.begin(), all.end());
    // Broadcast dimensions (stride 0) count as outermost.
    const auto key = [](const ReduceDim& d) {
        return d.stride == 0 ? std::numeric_limits<std::int64_t>::max() : std::abs(d.stride);
    };
    std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) > key(b); });
    std::vector<ReduceDim> merged;
    for (const ReduceDim& d : all) {
        if (!merged.empty()) {
            ReduceDim& outer = merged.back();
            if (outer.reduced == d.reduced && outer.stride == d.size * d.stride &&
                outer.out_stride == d.out_stride * d.size) {
                outer = {outer.size * d.size, d.stride, d.out_stride, d.reduced};
                continue;
            }
        }
        merged.push_back(d);
    }
    return merged;
}

ReduceOdometer::ReduceOdometer(std::span<const ReduceDim> dims, bool reduced, std::size_t skip) {
    for (std::size_t d = 0; d < dims.size(); ++d)
        if (d != skip && dims[d].reduced == reduced) {
            dims_.push_back(dims[d]);
            count_ *= dims[d].size;
        }
    index_.resize(dims_.size());
}

void ReduceOdometer::seek(std::int64_t index) {
    in = out = 0;
    for (std::size_t d = dims_.size(); d-- > 0;) {
        index_[d] = index % dims_[d].size;
        index /= dims_[d].size;
        in += index_[d] * dims_[d].stride;
        out += index_[d] * dims_[d].out_stride;
    }
}

void ReduceOdometer::next() {
    for (std::size_t d = dims_.size(); d-- > 0;) {
        in += dims_[d].stride;
        out += dims_[d].out_stride;
        if (++index_[d] < dims_[d].size) return;
        in -= dims_[d].size * dims_[d].stride;
        out -= dims_[d].size * dims_[d].out_stride;
        index_[d] = 0;
    }
}

}  // namespace detail

namespace {

using Dims = std::optional<Ints>;
using detail::ReduceDim;

constexpr auto identity = []<class C>(C x) { return x; };
constexpr auto square = []<class C>(C x) {
    if constexpr (std::is_same_v<C, std::complex<double>>)
        return std::norm(x);
    else
        return x * x;
};
constexpr auto magnitude = []<class C>(C x) { return std::abs(x); };
constexpr auto nonzero = []<class C>(C x) {
    if constexpr (std::is_same_v<C, float>)
        return x != 0 ? 1.0F : 0.0F;
    else
        return std::int64_t(x != C(0));
};
constexpr auto not_nan = []<class C>(C x) { return x != x ? C(0) : x; };

template <class C>
struct ProdOf {
    using Acc = C;
    static C map(const ProdOf&, C x) { return x; }
    template <class T>
    static T join(T a, T b) {
        return a * b;
    }
    template <class T>
    static T init() {
        return T(1);
    }
};

/// The extreme in an order; NaN wins.
template <class C, bool Max>
struct ExtremeOf {
    using Acc = C;
    static C map(const ExtremeOf&, C x) { return x; }
    template <class T>
    static T join(T a, T b) {
        return (Max ? b > a : b < a) || b != b ? b : a;
    }
    template <class T>
    static T init() {
        using Limits = std::numeric_limits<T>;
        if constexpr (Limits::has_infinity) return Max ? -Limits::infinity() : Limits::infinity();
        return Max ? Limits::lowest() : Limits::max();
    }
};

/// Extremes of truth values: any (largest) and all (smallest).
template <class C, bool Any>
struct TruthOf {
    using Acc = decltype(nonzero(C{}));
    static Acc map(const TruthOf&, C x) { return nonzero(x); }
    template <class T>
    static T join(T a, T b) {
        return Any ? (b > a ? b : a) : (b < a ? b : a);
    }
    template <class T>
    static T init() {
        return T(Any ? 0 : 1);
    }
};

/// Sums of |x|^p.
template <class C>
struct PowerSum {
    using Acc = double;
    double p;
    static double map(const PowerSum& r, C x) { return std::pow(static_cast<double>(std::abs(x)), r.p); }
    template <class T>
    static T join(T a, T b) {
        return a + b;
    }
    template <class T>
    static T init() {
        return T(0);
    }
};

Ints dims_of(const Tensor& self, const Dims& dim) { return normalize_dims(self, dim.value_or(Ints{})); }
std::int64_t length_of(const Tensor& self, const Ints& dims) {
    std::int64_t length = 1;
    for (const std::int64_t d : dims) length *= self.size(d);
    return length;
}

/// The dtype of sums: integers and bool grow to int64.
DType sum_dtype(const Tensor& self, std::optional<DType> dtype) {
    return dtype.value_or(is_integral(self.dtype(), true) ? DType::Int64 : self.dtype());
}

/// `self` in the dtype asked for (the values that are to be reduced).
Tensor as(const Tensor& self, std::optional<DType> dtype) { return dtype ? self.to(*dtype) : self; }

Tensor prod_over(const Tensor& self, const Ints& dims, bool keepdim, std::optional<DType> dtype) {
    const DType out = sum_dtype(self, dtype);
    return visit_compute(out,
                         [&]<class C>(C) { return reduce<C>(as(self, dtype), dims, keepdim, ProdOf<C>{}).to(out); });
}
Tensor prod(const Tensor& self, std::optional<DType> dtype) { return prod_over(self, dims_of(self, {}), false, dtype); }
Tensor prod_dim(const Tensor& self, std::int64_t dim, bool keepdim, std::optional<DType> dtype) {
    return prod_over(self, dims_of(self, Ints{dim}), keepdim, dtype);
}

Tensor sum_all(const Tensor& self, std::optional<DType> dtype) { return sum(self, {}, false, dtype); }
Tensor mean_all(const Tensor& self, std::optional<DType> dtype) { return mean(self, {}, false, dtype); }

Tensor nansum(const Tensor& self, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    const DType out = sum_dtype(self, dtype);
    if (is_integral(self.dtype(), true)) return sum(self, dim, keepdim, dtype);
    return visit_real(self.dtype(), "nansum", [&]<class C>(C) {
        return reduce<C>(self, dims_of(self, dim), keepdim, SumOf<C, decltype(not_nan)>{}).to(out);
    });
}

/// Means of the elements that are not NaN.
Tensor nanmean(const Tensor& self, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    if (!is_floating_point(self.dtype()) && !is_complex(self.dtype()))
        throw ArgumentError("nanmean: expected 'self' of floating point or complex dtype, found " + describe(self));
    const DType out = dtype.value_or(self.dtype());
    const Ints dims = dims_of(self, dim);
    if (is_complex(self.dtype())) return mean(self, dim, keepdim, dtype);
    return visit_float(self.dtype(), "nanmean", [&]<class C>(C) {
        constexpr auto counted = []<class T>(T x) { return x != x ? T(0) : T(1); };
        const Tensor total = reduce<C>(self, dims, keepdim, SumOf<C, decltype(not_nan)>{});
        const Tensor count = reduce<C>(self, dims, keepdim, SumOf<C, decltype(counted)>{});
        return elementwise<double>(
            out, [](double t, double n) { return t / n; }, total, count);
    });
}

void require_elements(const char* op, const Tensor& self, const Ints& dims) {
    if (self.numel() == 0 && length_of(self, dims) == 0)
        throw ArgumentError(std::string(op) + ": reduction over no elements has no value ('self' is " + describe(self) +
                            ")");
}

template <bool Max>
Tensor extreme(const char* op, const Tensor& self, const Dims& dim, bool keepdim) {
    const Ints dims = dims_of(self, dim);
    require_elements(op, self, dims);
    return visit_real(self.dtype(), op,
                      [&]<class C>(C) { return reduce<C>(self, dims, keepdim, ExtremeOf<C, Max>{}).to(self.dtype()); });
}

Tensor max_all(const Tensor& self) { return extreme<true>("max", self, {}, false); }
Tensor min_all(const Tensor& self) { return extreme<false>("min", self, {}, false); }
std::tuple<Tensor, Tensor> aminmax(const Tensor& self, std::optional<std::int64_t> dim, bool keepdim) {
    const Dims dims = dim ? Dims(Ints{*dim}) : Dims();
    return {extreme<false>("aminmax", self, dims, keepdim), extreme<true>("aminmax", self, dims, keepdim)};
}
std::tuple<Tensor, Tensor> aminmax_all(const Tensor& self) { return aminmax(self, {}, false); }
std::tuple<Tensor, Tensor> aminmax_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return aminmax(self, dim, keepdim);
}

/// Index of the first extreme of a row; the first NaN wins.
template <bool Max, class C>
std::int64_t first_extreme(std::span<const C> row) {
    std::int64_t best = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (row[i] != row[i]) return static_cast<std::int64_t>(i);
        const C b = row[static_cast<std::size_t>(best)];
        if (Max ? row[i] > b : row[i] < b) best = static_cast<std::int64_t>(i);
    }
    return best;
}

/// Values (when asked for) and indices of extremes along dimensions that number the positions in order.
template <bool Max>
std::tuple<Tensor, Tensor> arg_extreme(const char* op, const Tensor& self, const Dims& dim, bool keepdim, bool values) {
    const Ints dims = dims_of(self, dim);
    require_elements(op, self, dims);
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dims);
        const Ints shape = reduced_shape(self, dims, keepdim);
        Tensor index = Tensor::empty(shape, DType::Int64);
        Tensor value = values ? Tensor::empty(shape, dtype_of<C>()) : Tensor{};
        parallel_for(index.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const std::int64_t at = first_extreme<Max, C>(in[i]);
                             index.data<std::int64_t>()[i] = at;
                             if (values) value.data<C>()[i] = in[i][static_cast<std::size_t>(at)];
                         }
                     });
        return std::tuple(values ? value.to(self.dtype()) : value, index);
    });
}

template <bool Max>
std::tuple<Tensor, Tensor> extreme_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return arg_extreme<Max>(Max ? "max" : "min", self, Ints{dim}, keepdim, true);
}
template <bool Max>
Tensor arg(const Tensor& self, std::optional<std::int64_t> dim, bool keepdim) {
    if (is_complex(self.dtype()) || self.dtype() == DType::Bool)
        throw ArgumentError(std::string(Max ? "argmax" : "argmin") + " is not defined for " + describe(self));
    if (!dim && self.numel() == 0)
        throw ArgumentError(std::string(Max ? "argmax" : "argmin") + ": 'self' must have elements, found " +
                            describe(self));
    return std::get<1>(
        arg_extreme<Max>(Max ? "argmax" : "argmin", self, dim ? Dims(Ints{*dim}) : Dims(), keepdim, false));
}

/// bool; uint8 for uint8 input, as in PyTorch.
template <bool Any>
Tensor truth(const Tensor& self, const Dims& dim, bool keepdim) {
    const DType out = self.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool;
    return visit_compute(self.dtype(), [&]<class C>(C) {
        return reduce<C>(self, dims_of(self, dim), keepdim, TruthOf<C, Any>{}).to(out);
    });
}
template <bool Any>
Tensor truth_all(const Tensor& self) {
    return truth<Any>(self, {}, false);
}
template <bool Any>
Tensor truth_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return truth<Any>(self, Ints{dim}, keepdim);
}
/// An empty list of dims reduces nothing here.
template <bool Any>
Tensor truth_dims(const Tensor& self, const Dims& dim, bool keepdim) {
    if (dim && dim->empty()) {
        const Tensor values = self.to(DType::Bool);
        return self.dtype() == DType::UInt8 ? values.to(DType::UInt8) : values.clone();
    }
    return truth<Any>(self, dim, keepdim);
}
template <bool Any>
Tensor is_true(const Tensor& self) {
    if (self.dtype() != DType::Bool)
        throw ArgumentError(std::string(Any ? "_is_any_true" : "_is_all_true") + ": expected a bool tensor, found " +
                            describe(self));
    return truth<Any>(self, {}, false);
}

Tensor count_nonzero_dims(const Tensor& self, const Ints& dim) {
    return visit_compute(self.dtype(), [&]<class C>(C) {
        return reduce<C>(self, dims_of(self, dim), false, SumOf<C, decltype(nonzero)>{}).to(DType::Int64);
    });
}
Tensor count_nonzero(const Tensor& self, std::optional<std::int64_t> dim) {
    return count_nonzero_dims(self, dim ? Ints{*dim} : Ints{});
}

Tensor trace(const Tensor& self) {
    if (self.dim() != 2) throw ArgumentError("trace: expected 'self' to be a matrix, found " + describe(self));
    const std::int64_t n = std::min(self.size(0), self.size(1));
    return sum_all(self.as_strided({n}, {self.stride(0) + self.stride(1)}, self.offset()), {});
}

Tensor logsumexp(const Tensor& self, const Ints& dim, bool keepdim) {
    const DType out = to_float(self.dtype());
    const Ints dims = dims_of(self, dim);
    const Tensor x = self.to(out);
    if (is_complex(out)) {
        const auto exp = [](std::complex<double> v) { return std::exp(v); };
        const auto log = [](std::complex<double> v) { return std::log(v); };
        using C = std::complex<double>;
        return elementwise<C>(out, log, sum(elementwise<C>(DType::Complex128, exp, x), dims, keepdim, {}));
    }
    return visit_float(out, "logsumexp", [&]<class C>(C) {
        const Rows<C> in = rows<C>(x, dims);
        Tensor y = Tensor::empty(reduced_shape(x, dims, keepdim), dtype_of<C>());
        parallel_for(y.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* row = in.data() + i * in.length;
                             C largest = max_of(row, in.length);
                             if (!std::isfinite(largest)) largest = 0;
                             const C total = sum_of(row, in.length, [largest](C v) { return vmath::exp(v - largest); });
                             y.data<C>()[i] = std::log(total) + largest;
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
        const double divisor = std::max(0.0, static_cast<double>(length_of(self, dims)) - correction);
        return {elementwise<double>(
                    out, [divisor, root](double v) { return root ? std::sqrt(v / divisor) : v / divisor; }, s),
                m.to(self.dtype()).reshape(std::span<const std::int64_t>(shape))};
    }
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dims);
        const auto n = static_cast<double>(in.length);
        const double divisor = std::max(0.0, n - correction);
        Tensor v = Tensor::empty(shape, dtype_of<C>());
        Tensor m = Tensor::empty(shape, dtype_of<C>());
        parallel_for(v.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* row = in.data() + i * in.length;
                             const C center = sum_of(row, in.length, identity) / static_cast<C>(n);
                             const C squares =
                                 sum_of(row, in.length, [center](C x) { return (x - center) * (x - center); });
                             const C variance = static_cast<C>(static_cast<double>(squares) / divisor);
                             v.data<C>()[i] = root ? std::sqrt(variance) : variance;
                             m.data<C>()[i] = center;
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

Tensor sum(const Tensor& self, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    const DType out = sum_dtype(self, dtype);
    return visit_compute(out, [&]<class C>(C) {
        return reduce<C>(as(self, dtype), dims_of(self, dim), keepdim, SumOf<C, decltype(identity)>{}).to(out);
    });
}

Tensor mean(const Tensor& self, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    const DType out = dtype.value_or(self.dtype());
    if (is_integral(out, true))
        throw ArgumentError("mean: expected a floating point or complex dtype, found '" + std::string(name(out)) + "'");
    const Ints dims = dims_of(self, dim);
    const auto n = static_cast<double>(length_of(self, dims));
    return visit_compute(out, [&]<class C>(C) -> Tensor {
        if constexpr (!std::is_same_v<C, std::int64_t>) {
            const Tensor total = reduce<C>(as(self, dtype), dims, keepdim, SumOf<C, decltype(identity)>{});
            using A = std::conditional_t<std::is_same_v<C, float>, double, C>;
            return elementwise<A>(
                out, [n](A t) { return t / n; }, total);
        } else {
            return {};
        }
    });
}

Tensor amax(const Tensor& self, const Ints& dim, bool keepdim) { return extreme<true>("amax", self, dim, keepdim); }
Tensor amin(const Tensor& self, const Ints& dim, bool keepdim) { return extreme<false>("amin", self, dim, keepdim); }

Tensor vector_norm(const Tensor& self, const Scalar& ord, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    if (is_integral(self.dtype(), true))
        throw ArgumentError("linalg.vector_norm: expected 'self' of floating point or complex dtype, found " +
                            describe(self));
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
            if (p == 0) return reduce<C>(x, dims, keepdim, SumOf<C, decltype(nonzero)>{}).to(out);
            if (std::isinf(p)) {
                const Tensor a = elementwise<C>(out, magnitude, x);
                if (a.numel() == 0 && length_of(a, dims) == 0)
                    throw ArgumentError("linalg.vector_norm: a norm of infinite order needs elements, found " +
                                        describe(x));
                return p > 0 ? extreme<true>("norm", a, dims, keepdim) : extreme<false>("norm", a, dims, keepdim);
            }
            const Tensor s = reduce<C>(x, dims, keepdim, PowerSum<C>{p});
            return elementwise<double>(
                out, [p](double v) { return std::pow(v, 1 / p); }, s);
        }
    });
}

Tensor sum_to_size(const Tensor& self, const Ints& size) {
    if (static_cast<std::int64_t>(size.size()) > self.dim() || broadcast_shapes(size, self.shape()) != self.shape())
        throw ArgumentError("sum_to_size: size " + to_string(size) + " does not broadcast to the shape of self " +
                            to_string(self.shape()));
    const std::int64_t lead = self.dim() - static_cast<std::int64_t>(size.size());
    Ints dims;
    for (std::int64_t d = 0; d < self.dim(); ++d)
        if (d < lead || (size[static_cast<std::size_t>(d - lead)] == 1 && self.size(d) != 1)) dims.push_back(d);
    if (dims.empty()) return self;
    return sum(self, dims, true, {}).reshape(std::span<const std::int64_t>(size));
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
    const DType dtype = result_type(self, other);
    const Tensor d = visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C a, C b) { return a - b; }, self, other);
    });
    return vector_norm(d, p, {}, false, {});
}

}  // namespace

void register_reduce(Registry& r) {
    r.add("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", sum_all);
    r.add("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", sum);
    r.add("nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", nansum);
    r.add("mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", mean_all);
    r.add("mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", mean);
    r.add("nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", nanmean);
    r.add("prod(Tensor self, *, ScalarType? dtype=None) -> Tensor", prod);
    r.add("prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", prod_dim);
    r.add("trace(Tensor self) -> Tensor", trace);
    r.add("sum_to_size(Tensor self, SymInt[] size) -> Tensor", sum_to_size);
    r.add("count_nonzero(Tensor self, int? dim=None) -> Tensor", count_nonzero);
    r.add("count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor", count_nonzero_dims);

    r.add("amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", amax);
    r.add("amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", amin);
    r.add("aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", aminmax);
    r.add("_aminmax(Tensor self) -> (Tensor, Tensor)", aminmax_all);
    r.add("_aminmax.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor, Tensor)", aminmax_dim);
    r.add("max(Tensor self) -> Tensor", max_all);
    r.add("min(Tensor self) -> Tensor", min_all);
    r.add("max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", extreme_dim<true>);
    r.add("min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", extreme_dim<false>);
    r.add("argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", arg<true>);
    r.add("argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", arg<false>);

    r.add("any(Tensor self) -> Tensor", truth_all<true>);
    r.add("any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", truth_dim<true>);
    r.add("any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", truth_dims<true>);
    r.add("all(Tensor self) -> Tensor", truth_all<false>);
    r.add("all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", truth_dim<false>);
    r.add("all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", truth_dims<false>);
    r.add("_is_all_true(Tensor self) -> Tensor", is_true<false>);
    r.add("_is_any_true(Tensor self) -> Tensor", is_true<true>);

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
