// SPDX-License-Identifier: MIT
// Gradients of pooling, its inverse by indices, and pooling over pseudo-random windows.
#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/pool.hpp"
#include "parallel.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using Axes = std::vector<PoolAxis>;

/// The size of the last `rank` dimensions.
std::int64_t plane_of(const Tensor& t, std::size_t rank) {
    std::int64_t n = 1;
    for (std::size_t i = 0; i < rank; ++i) n *= t.size(-1 - static_cast<std::int64_t>(i));
    return n;
}

void require_same_shape(const char* op, const char* a_name, const Tensor& a, const char* b_name, const Tensor& b) {
    if (a.shape() != b.shape())
        throw ArgumentError(std::string(op) + ": expected '" + a_name + "' of the shape of '" + b_name + "', found " +
                            describe(a) + " and " + describe(b));
}

/// For each plane, `values` at the places that `indices` name: added up (`add`) or set.
Tensor scatter_planes(const char* op, const Tensor& values, const Tensor& indices, const Ints& shape, std::size_t rank,
                      bool add) {
    require_same_shape(op, "indices", indices, "the values", values);
    if (indices.dtype() != DType::Int64)
        throw ArgumentError(std::string(op) + ": expected 'indices' of dtype int64, found " + describe(indices));
    return visit_stepwise_real(values.dtype(), op, [&]<class C, class A>(C, A) {
        const Tensor v = values.to(dtype_of<C>()).contiguous();
        const Tensor index = indices.contiguous();
        Tensor y = Tensor::zeros(shape, dtype_of<C>());
        const std::int64_t from = plane_of(values, rank);
        const std::int64_t to = plane_of(y, rank);
        const std::int64_t planes = from == 0 ? 0 : v.numel() / from;
        if (to == 0 ? planes * from > 0 : y.numel() / to != planes && from > 0)
            throw ArgumentError(std::string(op) + ": values of shape " + to_string(values.shape()) +
                                " do not fit an output of shape " + to_string(shape));
        parallel_for(planes, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, from)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin * from; i < end * from; ++i) {
                             const std::int64_t at = index.data<std::int64_t>()[i];
                             if (at < 0 || at >= to)
                                 throw ArgumentError(std::string(op) + ": 'indices' holds " + std::to_string(at) +
                                                     ", expected less than " + std::to_string(to));
                             C& place = y.data<C>()[i / from * to + at];
                             const C value = v.data<C>()[i];
                             place = add ? static_cast<C>(A(place) + A(value)) : value;
                         }
                     });
        return y.to(values.dtype());
    });
}

/// Throws unless the gradient has the shape of what windows `axes` over `self` give.
void check_gradient(const char* op, const Tensor& grad_output, const Tensor& self, std::size_t rank, const Axes& axes) {
    Ints expected = self.shape();
    for (std::size_t i = 0; i < rank; ++i) expected[expected.size() - 1 - i] = axes[2 - i].out;
    if (grad_output.shape() != expected)
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of shape " + to_string(expected) + ", found " +
                            describe(grad_output));
    if (grad_output.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of the dtype of 'self', found " +
                            describe(grad_output) + " and " + describe(self));
}

/// Of images, the gradient has the channels last where the input has.
template <std::size_t Rank>
Tensor as_input(const Tensor& gradient, const Tensor& self) {
    return Rank == 2 ? in_format(gradient, suggested_format(self)) : gradient;
}

template <std::size_t Rank>
Tensor max_backward(const Tensor& grad_output, const Tensor& self, const Ints& kernel_size, const Ints& stride,
                    const Ints& padding, const Ints& dilation, bool ceil_mode, const Tensor& indices) {
    const char* op = Rank == 2 ? "max_pool2d_with_indices_backward" : "max_pool3d_with_indices_backward";
    const Axes axes = pool_axes(op, self, {kernel_size, stride, padding, dilation, ceil_mode, true}, Rank);
    check_gradient(op, grad_output, self, Rank, axes);
    return as_input<Rank>(scatter_planes(op, grad_output, indices, self.shape(), Rank, true), self);
}
template <std::size_t Rank>
Tensor adaptive_max_backward(const Tensor& grad_output, const Tensor& self, const Tensor& indices) {
    const char* op = "adaptive_max_pool_backward";
    return as_input<Rank>(scatter_planes(op, grad_output, indices, self.shape(), Rank, true), self);
}
template <std::size_t Rank>
Tensor fractional_max_backward(const Tensor& grad_output, const Tensor& self, const Ints&, const Ints&,
                               const Tensor& indices) {
    return scatter_planes("fractional_max_pool_backward", grad_output, indices, self.shape(), Rank, true);
}

/// Every gradient divided by what its window counts (`by_axis`: by one axis after the other) or by `divisor`, added to
/// all places of the window.
Tensor spread(const char* op, const Tensor& grad_output, const Tensor& self, std::size_t rank, const Axes& axes,
              bool by_axis, std::optional<std::int64_t> divisor = {}) {
    check_gradient(op, grad_output, self, rank, axes);
    return visit_stepwise_real(self.dtype(), op, [&]<class C, class A>(C, A) {
        const Tensor g = grad_output.to(dtype_of<C>()).contiguous();
        Tensor y = Tensor::zeros(self.shape(), dtype_of<C>());
        const std::int64_t from = plane_of(g, rank);
        const std::int64_t to = plane_of(y, rank);
        const std::int64_t planes = to == 0 || from == 0 ? 0 : y.numel() / to;
        parallel_for(planes, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, to)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin * from; i < end * from; ++i) {
                             const auto w = static_cast<std::size_t>(i % axes[2].out);
                             const auto h = static_cast<std::size_t>(i / axes[2].out % axes[1].out);
                             const auto d = static_cast<std::size_t>(i / axes[2].out / axes[1].out % axes[0].out);
                             C* plane = y.data<C>() + i / from * to;
                             const std::int64_t sizes[]{axes[0].size[d], axes[1].size[h], axes[2].size[w]};
                             A delta(g.data<C>()[i]);
                             if (by_axis)
                                 for (const std::int64_t size : sizes) delta = delta / A(size);
                             else
                                 delta = delta / A(divisor.value_or(sizes[0] * sizes[1] * sizes[2]));
                             for (std::int64_t id = axes[0].begin[d]; id < axes[0].end[d]; ++id)
                                 for (std::int64_t ih = axes[1].begin[h]; ih < axes[1].end[h]; ++ih)
                                     for (std::int64_t iw = axes[2].begin[w]; iw < axes[2].end[w]; ++iw)
                                         add_to(plane[(id * axes[1].in + ih) * axes[2].in + iw], delta);
                         }
                     });
        return y.to(self.dtype());
    });
}

template <std::size_t Rank>
Tensor avg_backward(const Tensor& grad_output, const Tensor& self, const Ints& kernel_size, const Ints& stride,
                    const Ints& padding, bool ceil_mode, bool count_include_pad,
                    std::optional<std::int64_t> divisor_override) {
    const char* op = Rank == 2 ? "avg_pool2d_backward" : "avg_pool3d_backward";
    if (divisor_override == 0) throw ArgumentError(std::string(op) + ": 'divisor_override' must not be 0");
    const Ints one{1};
    const Axes axes = pool_axes(op, self, {kernel_size, stride, padding, one, ceil_mode, count_include_pad}, Rank);
    return as_input<Rank>(spread(op, grad_output, self, Rank, axes, false, divisor_override), self);
}

template <std::size_t Rank>
Tensor adaptive_avg_backward(const Tensor& grad_output, const Tensor& self) {
    if (grad_output.dtype() != self.dtype())
        throw ArgumentError("adaptive_avg_pool_backward: expected 'grad_output' of the dtype of 'self', found " +
                            describe(grad_output) + " and " + describe(self));
    const char* op = Rank == 2 ? "_adaptive_avg_pool2d_backward" : "_adaptive_avg_pool3d_backward";
    check_pool_input(op, self, Rank);
    if (grad_output.dim() != self.dim())
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of " + std::to_string(self.dim()) +
                            " dimensions, found " + describe(grad_output));
    const Ints output_size(grad_output.shape().end() - Rank, grad_output.shape().end());
    return as_input<Rank>(spread(op, grad_output, self, Rank, adaptive_axes(op, self, output_size, Rank), true), self);
}

Tensor unpool(const char* op, const Tensor& self, const Tensor& indices, const Ints& output_size, std::size_t rank) {
    check_pool_input(op, self, rank);
    if (output_size.size() != rank)
        throw ArgumentError(std::string(op) + ": expected 'output_size' of " + std::to_string(rank) +
                            " numbers, found " + to_string(output_size));
    Ints shape(self.shape().begin(), self.shape().end() - static_cast<std::ptrdiff_t>(rank));
    shape.insert(shape.end(), output_size.begin(), output_size.end());
    return scatter_planes(op, self, indices, shape, rank, false);
}
Tensor max_unpool2d(const Tensor& self, const Tensor& indices, const Ints& output_size) {
    return unpool("max_unpool2d", self, indices, output_size, 2);
}
Tensor max_unpool3d(const Tensor& self, const Tensor& indices, const Ints& output_size, const Ints& stride,
                    const Ints& padding) {
    if (stride.size() != 3 || padding.size() != 3)
        throw ArgumentError("max_unpool3d: expected 'stride' and 'padding' of 3 numbers, found " + to_string(stride) +
                            " and " + to_string(padding));
    return unpool("max_unpool3d", self, indices, output_size, 3);
}

/// Starts of `out` windows of `kernel` inputs, spread by a random number as in the paper of fractional max pooling.
template <class A>
Ints random_starts(A sample, std::int64_t in, std::int64_t out, std::int64_t kernel) {
    Ints starts;
    if (out > 1) {
        const A alpha = A(in - kernel) / A(out - 1);
        for (std::int64_t i = 0; i + 1 < out; ++i)
            starts.push_back(std::clamp<std::int64_t>(
                static_cast<std::int64_t>((A(i) + sample) * alpha) - static_cast<std::int64_t>(sample * alpha), 0,
                in - kernel));
    }
    if (out > 0) starts.push_back(in - kernel);
    return starts;
}

template <std::size_t Rank>
std::tuple<Tensor, Tensor> fractional_max(const Tensor& self, const Ints& kernel_size, const Ints& output_size,
                                          const Tensor& random_samples) {
    const char* op = Rank == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d";
    check_pool_input(op, self, Rank);
    if (kernel_size.size() != Rank || output_size.size() != Rank)
        throw ArgumentError(std::string(op) + ": expected 'kernel_size' and 'output_size' of " + std::to_string(Rank) +
                            " numbers");
    Ints in(3, 1);
    Ints kernel(3, 1);
    Ints out(3, 1);
    for (std::size_t i = 0; i < Rank; ++i) {
        in[3 - Rank + i] = self.shape()[self.shape().size() - Rank + i];
        kernel[3 - Rank + i] = kernel_size[i];
        out[3 - Rank + i] = output_size[i];
        if (kernel_size[i] < 1 || output_size[i] < 1 || output_size[i] + kernel_size[i] - 1 > in[3 - Rank + i])
            throw ArgumentError(std::string(op) + ": 'kernel_size' " + to_string(kernel_size) + " and 'output_size' " +
                                to_string(output_size) + " do not fit " + describe(self));
    }
    const std::int64_t from = plane_of(self, Rank);
    const std::int64_t planes = self.numel() / from;
    if (random_samples.dim() != 3 || random_samples.size(2) != static_cast<std::int64_t>(Rank) ||
        random_samples.size(0) * random_samples.size(1) < planes)
        throw ArgumentError(std::string(op) + ": expected 'random_samples' [n, c, " + std::to_string(Rank) +
                            "], found " + describe(random_samples));
    if (random_samples.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected 'random_samples' of the dtype of 'self', found " +
                            describe(random_samples) + " and " + describe(self));
    return visit_stepwise(self.dtype(), op, [&]<class C, class A>(C, A) {
        const Tensor x = self.to(dtype_of<C>()).contiguous();
        const Tensor samples = random_samples.to(dtype_of<C>()).contiguous();
        Ints shape(self.shape().begin(), self.shape().end() - static_cast<std::ptrdiff_t>(Rank));
        shape.insert(shape.end(), output_size.begin(), output_size.end());
        Tensor values = Tensor::empty(shape, dtype_of<C>());
        Tensor indices = Tensor::empty(shape, DType::Int64);
        std::int64_t written = 0;
        for (std::int64_t p = 0; p < planes; ++p) {
            const C* sample = samples.data<C>() + p * static_cast<std::int64_t>(Rank);
            Ints starts[3] = {{0}, {0}, {0}};
            // In 2-d the first sample is the width's; in 3-d they are in the order of the dimensions.
            for (std::size_t i = 0; i < Rank; ++i) {
                const std::size_t axis = Rank == 2 ? 2 - i : i;
                starts[axis] = random_starts<A>(A(sample[i]), in[axis], out[axis], kernel[axis]);
            }
            for (const std::int64_t d : starts[0])
                for (const std::int64_t h : starts[1])
                    for (const std::int64_t w : starts[2]) {
                        C best = -std::numeric_limits<C>::infinity();
                        std::int64_t at = (d * in[1] + h) * in[2] + w;
                        for (std::int64_t id = d; id < d + kernel[0]; ++id)
                            for (std::int64_t ih = h; ih < h + kernel[1]; ++ih)
                                for (std::int64_t iw = w; iw < w + kernel[2]; ++iw) {
                                    const std::int64_t place = (id * in[1] + ih) * in[2] + iw;
                                    const C v = x.data<C>()[p * from + place];
                                    if (v > best || v != v) {
                                        best = v;
                                        at = place;
                                    }
                                }
                        values.data<C>()[written] = best;
                        indices.data<std::int64_t>()[written++] = at;
                    }
        }
        return std::tuple(values.to(self.dtype()), indices);
    });
}

}  // namespace

void register_pool_backward(Registry& r) {
    r.add(
        "max_pool2d_with_indices_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] stride, int[2] "
        "padding, int[2] dilation, bool ceil_mode, Tensor indices) -> Tensor",
        max_backward<2>);
    r.add(
        "max_pool3d_with_indices_backward(Tensor grad_output, Tensor self, int[3] kernel_size, int[3] stride, int[3] "
        "padding, int[3] dilation, bool ceil_mode, Tensor indices) -> Tensor",
        max_backward<3>);
    r.add("adaptive_max_pool2d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor",
          adaptive_max_backward<2>);
    r.add("adaptive_max_pool3d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor",
          adaptive_max_backward<3>);
    r.add(
        "avg_pool2d_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] stride, int[2] padding, bool "
        "ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor",
        avg_backward<2>);
    r.add(
        "avg_pool3d_backward(Tensor grad_output, Tensor self, int[3] kernel_size, int[3] stride, int[3] padding, bool "
        "ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor",
        avg_backward<3>);
    r.add("_adaptive_avg_pool2d_backward(Tensor grad_output, Tensor self) -> Tensor", adaptive_avg_backward<2>);
    r.add("_adaptive_avg_pool3d_backward(Tensor grad_output, Tensor self) -> Tensor", adaptive_avg_backward<3>);
    r.add("max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor", max_unpool2d);
    r.add("max_unpool3d(Tensor self, Tensor indices, SymInt[3] output_size, int[3] stride, int[3] padding) -> Tensor",
          max_unpool3d);
    r.add(
        "fractional_max_pool2d(Tensor self, int[2] kernel_size, int[2] output_size, Tensor random_samples) -> (Tensor, "
        "Tensor)",
        fractional_max<2>);
    r.add(
        "fractional_max_pool3d(Tensor self, int[3] kernel_size, int[3] output_size, Tensor random_samples) -> (Tensor, "
        "Tensor)",
        fractional_max<3>);
    r.add(
        "fractional_max_pool2d_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] output_size, "
        "Tensor indices) -> Tensor",
        fractional_max_backward<2>);
    r.add(
        "fractional_max_pool3d_backward(Tensor grad_output, Tensor self, int[3] kernel_size, int[3] output_size, "
        "Tensor indices) -> Tensor",
        fractional_max_backward<3>);
}

}  // namespace torch_ir::kernels
