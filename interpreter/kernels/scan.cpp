// SPDX-License-Identifier: MIT
// Running sums, products and extremes along a dimension, and finite differences and integrals.
#include <cmath>
#include <complex>
#include <limits>

#include "convert.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "kernels/reduce.hpp"
#include "kernels/view.hpp"
#include "parallel.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

/// The tensor as [outer, length, inner], contiguous.
struct Lines {
    std::int64_t outer = 1;
    std::int64_t length = 1;
    std::int64_t inner = 1;
    Lines(const Tensor& x, std::int64_t dim) {
        const std::int64_t d = x.wrap_dim(dim);
        for (std::int64_t i = 0; i < x.dim(); ++i) (i < d ? outer : (i == d ? length : inner)) *= x.size(i);
    }
};

/// Calls `f(first, n)` for groups of neighbouring lines, in parallel: element i of line j of the group is at
/// first + i * inner + j.
template <class F>
void for_each_group(const Lines& lines, F f) {
    constexpr std::int64_t width = 64;
    const std::int64_t groups = (lines.inner + width - 1) / width;
    if (lines.length == 0) return;
    parallel_for(lines.outer * groups,
                 std::max<std::int64_t>(1, parallel_grain / (lines.length * std::min(width, lines.inner))),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t g = begin; g < end; ++g) {
                         const std::int64_t first = g % groups * width;
                         f(g / groups * lines.length * lines.inner + first, std::min(width, lines.inner - first));
                     }
                 });
}

/// y[i] = op(y[i - 1], x[i]) with y[-1] = init, computed in A, each element read as C.
template <class C, class A, class Op>
Tensor scan(const Tensor& self, std::int64_t dim, A init, Op op) {
    const Lines lines(self, dim);
    const Tensor x = self.to(dtype_of<C>()).contiguous();
    Tensor y = Tensor::empty(self.shape(), dtype_of<C>());
    for_each_group(lines, [&](std::int64_t first, std::int64_t n) {
        if (n == 1) {  // the running value stays in a register
            A acc = init;
            const C* from = x.data<C>() + first;
            C* to = y.data<C>() + first;
            for (std::int64_t i = 0; i < lines.length * lines.inner; i += lines.inner) {
                acc = op(acc, static_cast<A>(from[i]));
                to[i] = static_cast<C>(acc);
            }
            return;
        }
        A acc[64];
        std::fill(acc, acc + n, init);
        for (std::int64_t i = 0; i < lines.length; ++i) {
            const C* from = x.data<C>() + first + i * lines.inner;
            C* to = y.data<C>() + first + i * lines.inner;
            for (std::int64_t j = 0; j < n; ++j) {
                acc[j] = op(acc[j], static_cast<A>(from[j]));
                to[j] = static_cast<C>(acc[j]);
            }
        }
    });
    return y;
}

template <class C>
using Wide = std::conditional_t<std::is_same_v<C, float>, double, C>;

template <class Op>
Tensor accumulate(const Tensor& self, std::int64_t dim, std::optional<DType> dtype, int init, Op op) {
    const DType out = dtype.value_or(is_integral(self.dtype(), true) ? DType::Int64 : self.dtype());
    const Tensor x = dtype ? self.to(*dtype) : self;
    return visit_compute(out, [&]<class C>(C) {
        using A = Wide<C>;
        return scan<C, A>(x, dim, static_cast<A>(init), op).to(out);
    });
}

Tensor cumsum(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return accumulate(self, dim, dtype, 0, [](auto a, auto b) { return a + b; });
}
Tensor cumprod(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return accumulate(self, dim, dtype, 1, [](auto a, auto b) { return a * b; });
}

/// Of element k: the product of those before it, times what all from it on hand back without its own factor,
/// s[k] = grad[k] + x[k + 1] · s[k + 1]. No division, so zeros need no care.
Tensor cumprod_backward(const Tensor& grad, const Tensor& input, std::int64_t dim, const Tensor& output) {
    if (grad.shape() != input.shape() || output.shape() != input.shape())
        throw ArgumentError("cumprod_backward: expected 'grad' and 'output' of the shape of 'input', found " +
                            describe(grad) + ", " + describe(output) + " and " + describe(input));
    const Lines lines(input, dim);
    return visit_compute(grad.dtype(), [&]<class C>(C) {
        using A = Wide<C>;
        const Tensor x = input.to(dtype_of<C>()).contiguous(), g = grad.to(dtype_of<C>()).contiguous();
        const Tensor y = Tensor::empty(input.shape(), dtype_of<C>());
        std::vector<A> before(static_cast<std::size_t>(lines.length));
        for (std::int64_t i = 0; i < lines.outer * lines.inner; ++i) {
            const std::int64_t first = i / lines.inner * lines.length * lines.inner + i % lines.inner;
            const auto factor = [&](std::int64_t k) {
                const auto v = static_cast<A>(x.data<C>()[first + k * lines.inner]);
                if constexpr (std::is_same_v<A, std::complex<double>>)
                    return std::conj(v);
                else
                    return v;
            };
            A product = A(1);
            for (std::int64_t k = 0; k < lines.length; ++k) {
                before[static_cast<std::size_t>(k)] = product;
                product *= factor(k);
            }
            A sum = A(0);
            for (std::int64_t k = lines.length; k-- > 0;) {
                sum = static_cast<A>(g.data<C>()[first + k * lines.inner]) +
                      (k + 1 < lines.length ? factor(k + 1) * sum : A(0));
                y.data<C>()[first + k * lines.inner] = static_cast<C>(before[static_cast<std::size_t>(k)] * sum);
            }
        }
        return y.to(grad.dtype());
    });
}

/// log(e^a + e^b).
double log_add_exp(double a, double b) {
    if (a != a || b != b) return std::numeric_limits<double>::quiet_NaN();
    const double low = std::min(a, b);
    const double high = std::max(a, b);
    return low == high && !std::isfinite(low) ? low : std::log1p(std::exp(low - high)) + high;
}
std::complex<double> log_add_exp(std::complex<double> a, std::complex<double> b) {
    if (a != a || b != b) {
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        return {nan, nan};
    }
    const bool swap = a.real() > b.real();
    const std::complex<double> low = swap ? b : a;
    const std::complex<double> high = swap ? a : b;
    if (low.real() == high.real() && !std::isfinite(low.real()))
        return low.real() < 0 ? low : std::log(std::exp(low) + std::exp(high));
    return std::log(1.0 + std::exp(low - high)) + high;
}

Tensor logcumsumexp(const Tensor& self, std::int64_t dim) {
    if (is_integral(self.dtype(), true))
        throw ArgumentError("logcumsumexp: expected 'self' of floating point or complex dtype, found " +
                            describe(self));
    constexpr double none = -std::numeric_limits<double>::infinity();
    if (is_complex(self.dtype()))
        return scan<std::complex<double>, std::complex<double>>(
                   self, dim, {none, 0}, [](auto a, auto b) { return a.real() == none ? b : log_add_exp(a, b); })
            .to(self.dtype());
    return visit_float(self.dtype(), "logcumsumexp", [&]<class C>(C) {
        return scan<C, double>(self, dim, none, [](double a, double b) { return log_add_exp(a, b); }).to(self.dtype());
    });
}

/// Running extremes and where they are: the last of equals, NaN wins and stays.
template <bool Max>
std::tuple<Tensor, Tensor> running_extreme(const Tensor& self, std::int64_t dim) {
    return visit_real(self.dtype(), Max ? "cummax" : "cummin", [&]<class C>(C) {
        const Lines lines(self, dim);
        const Tensor x = self.to(dtype_of<C>()).contiguous();
        Tensor values = Tensor::empty(self.shape(), dtype_of<C>());
        Tensor indices = Tensor::empty(self.shape(), DType::Int64);
        for_each_group(lines, [&](std::int64_t first, std::int64_t n) {
            for (std::int64_t j = 0; j < n; ++j) {
                C best = x.data<C>()[first + j];
                std::int64_t at = 0;
                for (std::int64_t i = 0; i < lines.length; ++i) {
                    const std::int64_t place = first + j + i * lines.inner;
                    const C v = x.data<C>()[place];
                    if (v != v || (best == best && (Max ? v >= best : v <= best))) {
                        best = v;
                        at = i;
                    }
                    values.data<C>()[place] = best;
                    indices.data<std::int64_t>()[place] = at;
                }
            }
        });
        return std::tuple(values.to(self.dtype()), indices);
    });
}

template <bool Max>
void running_extreme_into(const Tensor& self, const Tensor& values, const Tensor& indices, std::int64_t dim) {
    const auto [extremes, places] = running_extreme<Max>(self, dim);
    values.copy_from(extremes);
    indices.copy_from(places);
}

// Differences and integrals.

Tensor part(const Tensor& x, std::int64_t dim, std::optional<std::int64_t> start, std::optional<std::int64_t> end) {
    return slice(x, dim, start, end, 1);
}

Tensor diff(const Tensor& self, std::int64_t n, std::int64_t dim, const Tensor& prepend, const Tensor& append) {
    if (self.dim() == 0) throw ArgumentError("diff: expected 'self' of at least 1 dimension, found " + describe(self));
    if (n < 0) throw ArgumentError("diff: expected 'n' of at least 0, found " + std::to_string(n));
    const std::int64_t d = self.wrap_dim(dim);
    Tensor x = self;
    if (prepend.defined() || append.defined()) {
        TensorList parts{self};
        for (const auto& [name, t] : {std::pair("prepend", &prepend), std::pair("append", &append)})
            if (t->defined() && t->dim() != self.dim())
                throw ArgumentError(std::string("diff: expected '") + name + "' of " + std::to_string(self.dim()) +
                                    " dimensions, found " + describe(*t));
        if (prepend.defined()) parts.insert(parts.begin(), prepend);
        if (append.defined()) parts.push_back(append);
        x = cat(parts, d);
    }
    if (n == 0) return self.clone();
    for (n = std::min(n, x.size(d)); n > 0; --n) {
        const Tensor right = part(x, d, 1, {});
        const Tensor left = part(x, d, 0, -1);
        x = x.dtype() == DType::Bool ? not_equal(right, left) : minus(right, left);
    }
    return x;
}

Tensor pair_sums(const char* op, const Tensor& y, std::int64_t dim) {
    if (y.dtype() == DType::Bool) throw ArgumentError(std::string(op) + " is not defined for bool tensors");
    return plus(part(y, dim, 0, -1), part(y, dim, 1, {}));
}

/// Distances between sample points, broadcast to `y` along `dim`.
Tensor distances(const char* op, const Tensor& y, const Tensor& x, std::int64_t dim) {
    if (x.dtype() == DType::Bool) throw ArgumentError(std::string(op) + ": 'x' must not be bool");
    Ints shape(static_cast<std::size_t>(y.dim()), 1);
    if (x.dim() == 1) {
        if (x.size(0) != y.size(dim))
            throw ArgumentError(std::string(op) + ": expected one 'x' for each of the " + std::to_string(y.size(dim)) +
                                " sample points, found " + describe(x));
        shape[static_cast<std::size_t>(dim)] = x.size(0);
    } else if (x.dim() < y.dim()) {
        std::copy(x.shape().begin(), x.shape().end(), shape.end() - x.dim());
    } else {
        shape = x.shape();
    }
    const Tensor points = x.reshape(std::span<const std::int64_t>(shape));
    return minus(part(points, dim, 1, {}), part(points, dim, 0, -1));
}

Tensor without(const Tensor& y, std::int64_t dim) {
    Ints shape = y.shape();
    shape.erase(shape.begin() + dim);
    return Tensor::zeros(shape, y.dtype());
}

template <bool Cumulative>
Tensor trapezoid_dx(const Tensor& y, const Scalar& dx, std::int64_t dim) {
    const char* op = Cumulative ? "cumulative_trapezoid" : "trapezoid";
    if (dx.kind() == Scalar::Kind::Complex || dx.kind() == Scalar::Kind::Bool)
        throw ArgumentError(std::string(op) + ": expected 'dx' to be a real number");
    const std::int64_t d = y.wrap_dim(dim);
    if (y.dim() == 0) throw ArgumentError(std::string(op) + ": expected 'y' of at least 1 dimension");
    if (y.size(d) == 0 && !Cumulative) return without(y, d);
    if (y.dtype() == DType::Bool) throw ArgumentError(std::string(op) + " is not defined for bool tensors");
    const Tensor total =  // twice the area for dx = 1
        Cumulative ? cumsum(pair_sums(op, y, d), d, {})
                   : minus(times(sum(y, Ints{d}, false, {}), 2), plus(y.select(d, 0), y.select(d, -1)));
    return times(total, dx.to<double>() / 2);
}
template <bool Cumulative>
Tensor trapezoid_x(const Tensor& y, const Tensor& x, std::int64_t dim) {
    const char* op = Cumulative ? "cumulative_trapezoid" : "trapezoid";
    const std::int64_t d = y.wrap_dim(dim);
    if (y.dim() == 0) throw ArgumentError(std::string(op) + ": expected 'y' of at least 1 dimension");
    if (y.size(d) == 0 && !Cumulative) return without(y, d);
    const Tensor areas = times(pair_sums(op, y, d), distances(op, y, x, d));
    return divided(Cumulative ? cumsum(areas, dim, {}) : sum(areas, Ints{dim < 0 ? dim : dim - y.dim()}, false, {}),
                   number(2.0));
}
Tensor trapz_dx(const Tensor& y, double dx, std::int64_t dim) { return trapezoid_dx<false>(y, Scalar(dx), dim); }

// gradient: central differences inside, one-sided ones of the given order at the ends.

void check_gradient(const Tensor& self, const Ints& dims, std::int64_t edge_order, std::size_t spacings) {
    if (self.dtype() == DType::Bool || self.dtype() == DType::UInt8)
        throw ArgumentError("gradient is not defined for dtype '" + std::string(name(self.dtype())) + "'");
    if (edge_order != 1 && edge_order != 2)
        throw ArgumentError("gradient: expected 'edge_order' of 1 or 2, found " + std::to_string(edge_order));
    if (spacings != dims.size())
        throw ArgumentError("gradient: expected 'spacing' of " + std::to_string(dims.size()) + " elements, found " +
                            std::to_string(spacings));
    for (const std::int64_t d : dims)
        if (self.size(d) <= edge_order)
            throw ArgumentError("gradient: expected at least " + std::to_string(edge_order + 1) +
                                " elements along dimension " + std::to_string(d) + ", found " + describe(self));
    if (!dims.empty()) normalize_dims(self, dims);
}

/// c[0]·x[at] + c[1]·x[at + 1] + …, the coefficients broadcastable.
Tensor stencil(const Tensor& x, std::int64_t dim, std::int64_t at, std::int64_t n, const std::vector<Tensor>& c) {
    Tensor total;
    for (std::size_t i = 0; i < c.size(); ++i) {
        const Tensor term = times(x.narrow(dim, at + static_cast<std::int64_t>(i), n), c[i]);
        total = total.defined() ? plus(total, term) : term;
    }
    return total;
}

/// Along one dimension with the distances `h` between neighbours, shaped to broadcast (size 1: all the same).
Tensor gradient_along(const Tensor& self, std::int64_t dim, std::int64_t edge_order, const Tensor& h, bool uniform) {
    const std::int64_t n = self.size(dim);
    const auto step = [&](std::int64_t i) { return uniform ? h : h.narrow(dim, i, 1); };
    const auto scaled = [&](std::int64_t at, const std::vector<double>& c, const Tensor& by) {
        std::vector<Tensor> coefficients;
        for (const double v : c) coefficients.push_back(number(v));
        return divided(stencil(self, dim, at, 1, coefficients), by);
    };
    TensorList parts;
    if (edge_order == 1) {
        parts.push_back(divided(minus(self.narrow(dim, 1, 1), self.narrow(dim, 0, 1)), step(0)));
    } else if (uniform) {
        parts.push_back(scaled(0, {-1.5, 2, -0.5}, h));
    } else {
        const Tensor a = step(0);
        const Tensor b = step(1);
        parts.push_back(stencil(self, dim, 0, 1,
                                {divided(times(plus(times(a, 2), b), -1), times(a, plus(a, b))),
                                 divided(plus(a, b), times(a, b)), divided(times(a, -1), times(b, plus(a, b)))}));
    }
    if (n > 2) {
        if (uniform) {
            const Tensor centre = minus(self.narrow(dim, 2, n - 2), self.narrow(dim, 0, n - 2));
            parts.push_back(divided(divided(centre, h), number(2)));
        } else {
            const Tensor a = h.narrow(dim, 0, n - 2);
            const Tensor b = h.narrow(dim, 1, n - 2);
            parts.push_back(stencil(self, dim, 0, n - 2,
                                    {divided(times(b, -1), times(a, plus(a, b))), divided(minus(b, a), times(a, b)),
                                     divided(a, times(b, plus(a, b)))}));
        }
    }
    if (edge_order == 1) {
        parts.push_back(divided(minus(self.narrow(dim, n - 1, 1), self.narrow(dim, n - 2, 1)), step(n - 2)));
    } else if (uniform) {
        parts.push_back(scaled(n - 3, {0.5, -2, 1.5}, h));
    } else {
        const Tensor a = step(n - 3);
        const Tensor b = step(n - 2);
        parts.push_back(stencil(self, dim, n - 3, 1,
                                {divided(b, times(a, plus(a, b))), divided(times(plus(a, b), -1), times(a, b)),
                                 divided(plus(times(b, 2), a), times(b, plus(a, b)))}));
    }
    return cat(parts, dim);
}

Ints gradient_dims(const Tensor& self, std::optional<std::int64_t> dim) {
    Ints dims;
    if (dim) return {*dim};
    for (std::int64_t d = 0; d < self.dim(); ++d) dims.push_back(d);
    return dims;
}

TensorList gradient_numbers(const Tensor& self, const ScalarList& spacing, const Ints& dims, std::int64_t edge_order) {
    check_gradient(self, dims, edge_order, spacing.size());
    TensorList result;
    for (std::size_t i = 0; i < dims.size(); ++i)
        result.push_back(gradient_along(self, self.wrap_dim(dims[i]), edge_order, number(spacing[i]), true));
    return result;
}
TensorList gradient_points(const Tensor& self, const TensorList& spacing, const Ints& dims, std::int64_t edge_order) {
    check_gradient(self, dims, edge_order, spacing.size());
    TensorList result;
    for (std::size_t i = 0; i < dims.size(); ++i) {
        const std::int64_t d = self.wrap_dim(dims[i]);
        if (spacing[i].dim() != 1)
            throw ArgumentError("gradient: expected 'spacing' of 1-d tensors, found " + describe(spacing[i]));
        result.push_back(gradient_along(self, d, edge_order, distances("gradient", self, spacing[i], d), false));
    }
    return result;
}

TensorList gradient_scalarint(const Tensor& self, const std::optional<Scalar>& spacing, std::optional<std::int64_t> dim,
                              std::int64_t edge_order) {
    const Ints dims = gradient_dims(self, dim);
    return gradient_numbers(self, ScalarList(dims.size(), spacing.value_or(Scalar(1))), dims, edge_order);
}
TensorList gradient_scalararray(const Tensor& self, const Scalar& spacing, const Ints& dim, std::int64_t edge_order) {
    return gradient_numbers(self, ScalarList(dim.size(), spacing), dim, edge_order);
}
TensorList gradient_array(const Tensor& self, const Ints& dim, std::int64_t edge_order) {
    return gradient_numbers(self, ScalarList(dim.size(), Scalar(1)), dim, edge_order);
}
TensorList gradient_scalarrayint(const Tensor& self, const ScalarList& spacing, std::optional<std::int64_t> dim,
                                 std::int64_t edge_order) {
    return gradient_numbers(self, spacing, gradient_dims(self, dim), edge_order);
}
TensorList gradient_tensorarrayint(const Tensor& self, const TensorList& spacing, std::optional<std::int64_t> dim,
                                   std::int64_t edge_order) {
    return gradient_points(self, spacing, gradient_dims(self, dim), edge_order);
}

}  // namespace

void register_scan(Registry& r) {
    r.add("cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", cumsum);
    r.add("cumprod_backward(Tensor grad, Tensor input, int dim, Tensor output) -> Tensor", cumprod_backward);
    r.add("cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", cumprod);
    r.add("cummax(Tensor self, int dim) -> (Tensor values, Tensor indices)", running_extreme<true>);
    r.add("cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)", running_extreme<false>);
    const std::string helper = "_helper(Tensor self, Tensor(a!) values, Tensor(b!) indices, int dim) -> ()";
    r.add("_cummax" + helper, running_extreme_into<true>);
    r.add("_cummin" + helper, running_extreme_into<false>);
    r.add("logcumsumexp(Tensor self, int dim) -> Tensor", logcumsumexp);
    r.add("_logcumsumexp(Tensor self, int dim) -> Tensor", logcumsumexp);
    r.add("diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor", diff);
    r.add("trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", trapezoid_dx<false>);
    r.add("trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", trapezoid_x<false>);
    r.add("trapz.dx(Tensor y, *, float dx=1., int dim=-1) -> Tensor", trapz_dx);
    r.add("trapz.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", trapezoid_x<false>);
    r.add("cumulative_trapezoid.dx(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", trapezoid_dx<true>);
    r.add("cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor", trapezoid_x<true>);
    r.add("gradient.scalarint(Tensor self, *, Scalar? spacing=None, int? dim=None, int edge_order=1) -> Tensor[]",
          gradient_scalarint);
    r.add("gradient.scalararray(Tensor self, *, Scalar spacing, int[] dim, int edge_order=1) -> Tensor[]",
          gradient_scalararray);
    r.add("gradient.array(Tensor self, *, int[] dim, int edge_order=1) -> Tensor[]", gradient_array);
    r.add("gradient.scalarrayint(Tensor self, *, Scalar[] spacing, int? dim=None, int edge_order=1) -> Tensor[]",
          gradient_scalarrayint);
    r.add("gradient.scalarrayarray(Tensor self, *, Scalar[] spacing, int[] dim, int edge_order=1) -> Tensor[]",
          gradient_numbers);
    r.add("gradient.tensorarrayint(Tensor self, *, Tensor[] spacing, int? dim=None, int edge_order=1) -> Tensor[]",
          gradient_tensorarrayint);
    r.add("gradient.tensorarray(Tensor self, *, Tensor[] spacing, int[] dim, int edge_order=1) -> Tensor[]",
          gradient_points);
}

}  // namespace torch_ir::kernels
