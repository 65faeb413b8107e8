// SPDX-License-Identifier: MIT
// Distances and products of vectors.
#include "kernels/distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/reduce.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

/// The p-norm of f(0) … f(n - 1), absolute values already taken.
template <class C, class F>
C norm_of(std::int64_t n, double p, F f) {
    C total = 0;
    if (p == 0) {
        for (std::int64_t i = 0; i < n; ++i) total += f(i) != C(0) ? C(1) : C(0);
        return total;
    }
    if (p == 1) {
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = 0; i < n; ++i) total += f(i);
        return total;
    }
    if (p == 2) {
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = 0; i < n; ++i) {
            const C d = f(i);
            total += d * d;
        }
        return std::sqrt(total);
    }
    if (std::isinf(p)) {
        if (p < 0) total = std::numeric_limits<C>::infinity();
        for (std::int64_t i = 0; i < n; ++i) {
            const C d = f(i);
            if (d != d) return d;
            total = p > 0 ? std::max(total, d) : std::min(total, d);
        }
        return total;
    }
    const C exponent = static_cast<C>(p);
    for (std::int64_t i = 0; i < n; ++i) total += std::pow(f(i), exponent);
    return std::pow(total, C(1) / exponent);
}

template <class C>
C difference_norm(const C* a, const C* b, std::int64_t n, double p) {
    const auto difference = [a, b](std::int64_t i) { return std::fabs(a[i] - b[i]); };
    if (p != 0) return norm_of<C>(n, p, difference);
    return norm_of<C>(n, 1, [difference](std::int64_t i) {  // NaN stays
        const C d = difference(i);
        return d > C(0) ? C(1) : d;
    });
}

/// The p-norm over `dims` of |x|.
Tensor norm_rows(const char* op, const Tensor& x, const Ints& dims, double p, bool keepdim, DType out) {
    return visit_float(out, op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(x, dims);
        const Tensor y = Tensor::empty(reduced_shape(x, dims, keepdim), dtype_of<C>());
        parallel_for(in.count, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* const row = in[i].data();
                             y.data<C>()[i] =
                                 norm_of<C>(in.length, p, [row](std::int64_t j) { return std::fabs(row[j]); });
                         }
                     });
        return y.to(out);
    });
}

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, std::int64_t dim, double eps) {
    const DType dtype = result_type(x1, x2);
    if (!is_floating_point(dtype)) unsupported_dtype("cosine_similarity", dtype);
    if (!(eps >= 0))
        throw ArgumentError("cosine_similarity: expected eps to be at least 0, found " + std::to_string(eps));
    const Ints shape = broadcast_shapes(x1.shape(), x2.shape());
    const auto unit = [&](const Tensor& x) {  // divided by its norm, which is rounded to the dtype
        const Tensor own = x.expand(shape).to(dtype);
        const Ints dims{own.wrap_dim(dim)};
        const Tensor norm = call("aten.linalg_vector_norm.default", {own, 2.0, own.dim() == 0 ? Ints{} : dims, true});
        return divided(own, call("aten.clamp_min.default", {norm, number(eps)}));
    };
    return sum(times(unit(x1), unit(x2)), Ints{dim}, false, {});
}

void require_vectors(const char* op, const Tensor& x1, const Tensor& x2) {
    if (x1.dim() < 2 || x2.dim() < 2 || x1.size(-1) != x2.size(-1))
        throw ArgumentError(std::string(op) +
                            ": expected x1 and x2 of at least two dimensions and vectors of one length, found " +
                            describe(x1) + " and " + describe(x2));
    if (x1.dtype() != x2.dtype() || !is_floating_point(x1.dtype()))
        throw ArgumentError(std::string(op) + ": expected x1 and x2 of one floating point dtype, found " +
                            describe(x1) + " and " + describe(x2));
}

/// Distances between all pairs of rows of two batches of matrices.
Tensor cdist_forward(const Tensor& x1, const Tensor& x2, double p, std::optional<std::int64_t> compute_mode) {
    require_vectors("cdist", x1, x2);
    if (compute_mode && (*compute_mode < 0 || *compute_mode > 2))
        throw ArgumentError("cdist: expected compute_mode 0, 1 or 2, found " + std::to_string(*compute_mode));
    if (!(p >= 0)) throw ArgumentError("cdist: expected p to be at least 0, found " + std::to_string(p));
    const std::int64_t rows1 = x1.size(-2), rows2 = x2.size(-2), length = x1.size(-1);
    const Ints batch1(x1.shape().begin(), x1.shape().end() - 2), batch2(x2.shape().begin(), x2.shape().end() - 2);
    const Ints batch = broadcast_shapes(batch1, batch2);
    const auto matrices = [&](const Tensor& x, std::int64_t count, DType dtype) {
        Ints shape = batch;
        shape.insert(shape.end(), {count, length});
        return x.expand(shape).to(dtype).contiguous();
    };
    Ints shape = batch;
    shape.insert(shape.end(), {rows1, rows2});
    return visit_float(x1.dtype(), "cdist", [&]<class C>(C) {
        const Tensor a = matrices(x1, rows1, dtype_of<C>()), b = matrices(x2, rows2, dtype_of<C>());
        const Tensor y = Tensor::empty(shape, dtype_of<C>());
        const std::int64_t count = numel_of(batch) * rows1;
        const auto distance = [&](const C* u, const C* v) {
            if (!std::isinf(p)) return difference_norm(u, v, length, p);
            C largest = 0;  // NaN does not count here, unlike in pdist
            for (std::int64_t k = 0; k < length; ++k) largest = std::max(largest, std::fabs(u[k] - v[k]));
            return largest;
        };
        parallel_for(count, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, rows2 * length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i)
                             for (std::int64_t j = 0; j < rows2; ++j)
                                 y.data<C>()[i * rows2 + j] =
                                     distance(a.data<C>() + i * length, b.data<C>() + (i / rows1 * rows2 + j) * length);
                     });
        return y.to(x1.dtype());
    });
}

/// Distances between the rows above and below each other: the upper triangle of cdist(self, self).
Tensor pdist(const Tensor& self, double p) {
    if (self.dim() != 2) throw ArgumentError("pdist: expected self to have 2 dimensions, found " + describe(self));
    if (!(p >= 0)) throw ArgumentError("pdist: expected p to be at least 0, found " + std::to_string(p));
    return visit_float(self.dtype(), "pdist", [&]<class C>(C) {
        const Tensor x = self.to(dtype_of<C>()).contiguous();
        const std::int64_t n = x.size(0), length = x.size(1);
        const Tensor y = Tensor::empty({n < 2 ? 0 : n * (n - 1) / 2}, dtype_of<C>());
        C* out = y.data<C>();
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = i + 1; j < n; ++j)
                *out++ = difference_norm(x.data<C>() + i * length, x.data<C>() + j * length, length, p);
        return y.to(self.dtype());
    });
}

/// The derivative of the p-norm `norm` of a difference by one of its elements `d`.
template <class C>
C norm_slope(C d, C norm, double p) {
    const C sign = d > C(0) ? C(1) : d < C(0) ? C(-1) : C(0);
    if (p == 0) return 0;
    if (p == 1) return sign;
    if (std::isinf(p)) return std::fabs(d) == norm ? sign : C(0);
    if (norm == C(0) || (d == C(0) && p < 1)) return 0;
    if (p == 2) return d / norm;
    const C exponent = static_cast<C>(p - 1);
    return sign * std::pow(std::fabs(d), exponent) / std::pow(norm, exponent);
}

/// The gradient of x1.
Tensor cdist_backward(const Tensor& grad, const Tensor& x1, const Tensor& x2, double p, const Tensor& cdist) {
    require_vectors("_cdist_backward", x1, x2);
    const std::int64_t rows1 = x1.size(-2), rows2 = x2.size(-2), length = x1.size(-1);
    const Ints batch1(x1.shape().begin(), x1.shape().end() - 2), batch2(x2.shape().begin(), x2.shape().end() - 2);
    const Ints batch = broadcast_shapes(batch1, batch2);
    const auto with = [&](std::int64_t rows, std::int64_t columns) {
        Ints shape = batch;
        shape.insert(shape.end(), {rows, columns});
        return shape;
    };
    for (const Tensor* t : {&grad, &cdist})
        if (t->shape() != with(rows1, rows2))
            throw ArgumentError("_cdist_backward: expected 'grad' and 'cdist' of shape " +
                                to_string(with(rows1, rows2)) + ", found " + describe(*t));
    return visit_float(x1.dtype(), "_cdist_backward", [&]<class C>(C) {
        const auto plain = [](const Tensor& t, const Ints& shape) {
            return t.expand(shape).to(dtype_of<C>()).contiguous();
        };
        const Tensor a = plain(x1, with(rows1, length)), b = plain(x2, with(rows2, length));
        const Tensor g = plain(grad, grad.shape()), norms = plain(cdist, cdist.shape());
        const Tensor result = Tensor::zeros(a.shape(), dtype_of<C>());
        for (std::int64_t i = 0; i < numel_of(batch) * rows1; ++i)
            for (std::int64_t j = 0; j < rows2; ++j) {
                const C* const other = b.data<C>() + (i / rows1 * rows2 + j) * length;
                const C factor = g.data<C>()[i * rows2 + j], norm = norms.data<C>()[i * rows2 + j];
                for (std::int64_t k = i * length; k < (i + 1) * length; ++k)
                    result.data<C>()[k] += factor * norm_slope(a.data<C>()[k] - other[k - i * length], norm, p);
            }
        return result.to(x1.dtype());
    });
}

Tensor pdist_backward(const Tensor& grad, const Tensor& self, double p, const Tensor& pdist) {
    if (self.dim() != 2)
        throw ArgumentError("_pdist_backward: expected self to have 2 dimensions, found " + describe(self));
    const std::int64_t n = self.size(0), length = self.size(1);
    for (const Tensor* t : {&grad, &pdist})
        if (t->numel() != n * (n - 1) / 2)
            throw ArgumentError("_pdist_backward: expected 'grad' and 'pdist' of " + std::to_string(n * (n - 1) / 2) +
                                " elements, found " + describe(*t));
    return visit_float(self.dtype(), "_pdist_backward", [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor x = plain(self), g = plain(grad), norms = plain(pdist);
        const Tensor result = Tensor::zeros(self.shape(), dtype_of<C>());
        std::int64_t pair = 0;
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = i + 1; j < n; ++j, ++pair)
                for (std::int64_t k = 0; k < length; ++k) {
                    const C d = x.data<C>()[i * length + k] - x.data<C>()[j * length + k];
                    const C slope = g.data<C>()[pair] * norm_slope(d, norms.data<C>()[pair], p);
                    result.data<C>()[i * length + k] += slope;
                    result.data<C>()[j * length + k] -= slope;
                }
        return result.to(self.dtype());
    });
}

Tensor euclidean_dist(const Tensor& x1, const Tensor& x2) { return cdist_forward(x1, x2, 2, std::nullopt); }

/// a × b of vectors of three along `dim`.
Tensor linalg_cross(const Tensor& self, const Tensor& other, std::int64_t dim) {
    if (self.dim() != other.dim())
        throw ArgumentError("cross: expected self and other to have as many dimensions, found " + describe(self) +
                            " and " + describe(other));
    if (self.dtype() != other.dtype())
        throw ArgumentError("cross: expected self and other to have the same dtype, found " + describe(self) + " and " +
                            describe(other));
    const Ints shape = broadcast_shapes(self.shape(), other.shape());
    const Tensor a = self.expand(shape), b = other.expand(shape);
    const std::int64_t d = a.wrap_dim(dim);
    if (a.dim() == 0 || self.size(d) != 3 || other.size(d) != 3)
        throw ArgumentError("cross: expected self and other to have size 3 in dim " + std::to_string(dim) + ", found " +
                            describe(self) + " and " + describe(other));
    const DType dtype = result_type(self, other);
    const Tensor out = Tensor::empty(shape, dtype);
    for (std::int64_t i = 0; i < 3; ++i)
        visit_stepwise(dtype, [&]<class C, class A>(C, A) {
            const std::int64_t j = (i + 1) % 3, k = (i + 2) % 3;
            elementwise_into<C>(
                out.select(d, i), [](C x, C y, C u, C v) { return static_cast<C>(A(x) * A(y) - A(u) * A(v)); },
                a.select(d, j), b.select(d, k), a.select(d, k), b.select(d, j));
        });
    return out;
}

/// Without a dimension: the first one of size 3.
Tensor cross(const Tensor& self, const Tensor& other, std::optional<std::int64_t> dim) {
    if (dim) return linalg_cross(self, other, *dim);
    for (std::int64_t d = 0; d < self.dim(); ++d)
        if (self.size(d) == 3) return linalg_cross(self, other, d);
    throw ArgumentError("cross: expected self to have a dimension of size 3, found " + describe(self));
}

}  // namespace

Tensor sum_last(const Tensor& x) {
    const Ints dims = x.dim() == 0 ? Ints{} : Ints{x.dim() - 1};
    return visit_float(x.dtype(), "sum", [&]<class C>(C) {
        const Rows<C> in = rows<C>(x, dims);
        const Tensor y = Tensor::empty(reduced_shape(x, dims, false), dtype_of<C>());
        for (std::int64_t i = 0; i < in.count; ++i)
            y.data<C>()[i] = sum_of(in[i].data(), in.length, [](C v) { return v; });
        return y;
    });
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
    const Tensor number = Tensor::wrapped_number(eps);
    const Tensor* const operands[] = {&x1, &x2, &number};
    const DType dtype = result_type(operands), real = to_real(dtype);
    if (x1.dtype() == DType::Bool || x2.dtype() == DType::Bool)
        throw ArgumentError("pairwise_distance is not defined for bool tensors, found " + describe(x1) + " and " +
                            describe(x2));
    const Tensor difference = binary<InAny>([](auto x, auto y) { return x - y; })("pairwise_distance", x1, x2);
    const Tensor delta = visit_rule<InFloatOrComplex>(dtype, "pairwise_distance", [&]<class C>(C) {
        return elementwise<C>(
            real, [e = static_cast<C>(eps)](C d) { return std::abs(d + e); }, difference);
    });
    const Ints dims = delta.dim() == 0 ? Ints{} : Ints{delta.dim() - 1};
    return norm_rows("pairwise_distance", delta, dims, p, keepdim, real);
}

void register_distance(Registry& r) {
    r.add("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", cosine_similarity);
    r.add(
        "pairwise_distance(Tensor x1, Tensor x2, float p=2., float eps=9.9999999999999995e-07, bool keepdim=False) -> "
        "Tensor",
        pairwise_distance);
    r.add("cdist(Tensor x1, Tensor x2, float p=2., int? compute_mode=None) -> Tensor", cdist_forward);
    r.add("_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor", cdist_forward);
    r.add("_cdist_backward(Tensor grad, Tensor x1, Tensor x2, float p, Tensor cdist) -> Tensor", cdist_backward);
    r.add("_pdist_backward(Tensor grad, Tensor self, float p, Tensor pdist) -> Tensor", pdist_backward);
    r.add("_euclidean_dist(Tensor x1, Tensor x2) -> Tensor", euclidean_dist);
    r.add("pdist(Tensor self, float p=2.) -> Tensor", pdist);
    r.add("_pdist_forward(Tensor self, float p=2.) -> Tensor", pdist);
    r.add("cross(Tensor self, Tensor other, int? dim=None) -> Tensor", cross);
    r.add("linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor", linalg_cross);
}

}  // namespace torch_ir::kernels
