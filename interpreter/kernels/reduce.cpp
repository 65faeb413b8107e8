// SPDX-License-Identifier: MIT
// Sums, means and products.
#include "kernels/reduce.hpp"

#include <cmath>
#include <numeric>

#include "kernels/families.hpp"
#include "promote.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

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

constexpr auto not_nan = []<class C>(C x) { return x != x ? C(0) : x; };

template <class C>
struct ProdOf {
    using Acc = C;
    static constexpr bool maps_vectors = true;
    template <class T>
    static T map(const ProdOf&, T x) {
        return x;
    }
    template <class T>
    static T join(T a, T b) {
        return a * b;
    }
    template <class T>
    static T init() {
        return T(1);
    }
};

Tensor prod_over(const Tensor& self, const Ints& dims, bool keepdim, std::optional<DType> dtype) {
    const DType out = sum_dtype(self, dtype);
    return visit_stepwise(out, [&]<class C, class A>(C, A) {
        const Tensor x = as(self, dtype);
        if constexpr (std::is_same_v<C, A>) {
            return reduce<C>(x, dims, keepdim, ProdOf<C>{}).to(out);
        } else {  // every product is rounded, so that some overflow on the way
            const Rows<C> in = rows<C>(x, dims);
            const Tensor y = Tensor::empty(reduced_shape(self, dims, keepdim), dtype_of<C>());
            for (std::int64_t i = 0; i < y.numel(); ++i) {
                A product(1);
                for (const C factor : in[i]) product *= A(factor);
                y.data<C>()[i] = static_cast<C>(product);
            }
            return y.to(out);
        }
    });
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
        if (out != self.dtype())  // each element is converted before the sum
            return sum(elementwise<C>(
                           self.dtype(), [](C x) { return not_nan(x); }, self),
                       dim, keepdim, dtype);
        return reduce<C>(self, dims_of(self, dim), keepdim, SumOf<C, decltype(not_nan)>{}).to(out);
    });
}

/// Means of the elements that are not NaN.
Tensor nanmean(const Tensor& self, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
    if (!is_floating_point(self.dtype()))
        throw ArgumentError("nanmean: expected 'self' of floating point dtype, found " + describe(self));
    const DType out = dtype.value_or(self.dtype());
    if (is_integral(out, true))
        throw ArgumentError("nanmean: expected 'dtype' to be of floating point or complex, found " +
                            std::string(name(out)));
    const Ints dims = dims_of(self, dim);
    return visit_float(self.dtype(), "nanmean", [&]<class C>(C) {
        constexpr auto counted = []<class T>(T x) { return x != x ? T(0) : T(1); };
        const Tensor total = reduce<C>(self, dims, keepdim, SumOf<C, decltype(not_nan)>{});
        const Tensor count = reduce<C>(self, dims, keepdim, SumOf<C, decltype(counted)>{});
        return elementwise<double>(
            out, [out](double t, double n) { return round_to(out, t) / n; }, total, count);
    });
}

Tensor count_nonzero_dims(const Tensor& self, const Ints& dim) {
    return visit_compute(self.dtype(), [&]<class C>(C) {
        return reduce<C>(self, dims_of(self, dim), false, SumOf<C, decltype(to_truth)>{}).to(DType::Int64);
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

Tensor sum_to_size(const Tensor& self, const Ints& size) {
    if (static_cast<std::int64_t>(size.size()) > self.dim() || broadcast_shapes(size, self.shape()) != self.shape())
        throw ArgumentError("sum_to_size: size " + to_string(size) + " does not broadcast to the shape of self " +
                            to_string(self.shape()));
    const std::int64_t lead = self.dim() - static_cast<std::int64_t>(size.size());
    Ints dims;
    for (std::int64_t d = 0; d < self.dim(); ++d)
        if (d < lead || (size[static_cast<std::size_t>(d - lead)] == 1 && self.size(d) != 1)) dims.push_back(d);
    if (dims.empty() && !size.empty()) return self;
    return sum(self, dims, true, {}).reshape(std::span<const std::int64_t>(size));
}

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
}

}  // namespace torch_ir::kernels
