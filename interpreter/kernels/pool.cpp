// SPDX-License-Identifier: MIT
// Pooling: one walk over windows of one to three dimensions, in the layout of the input (channels last or not).
#include "kernels/pool.hpp"

#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/reduce.hpp"
#include "parallel.hpp"
#include "stepwise.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {

namespace {

/// Element `i` of an argument that may give one number for all dimensions.
std::int64_t at(const char* op, const char* argument, const Ints& values, std::size_t i, std::size_t rank) {
    if (values.size() != 1 && values.size() != rank)
        throw ArgumentError(std::string(op) + ": expected '" + argument + "' of 1 or " + std::to_string(rank) +
                            " numbers, found " + to_string(values));
    return values.size() == 1 ? values[0] : values[i];
}

/// Which dtypes PyTorch has kernels for.
void require_pooled(const char* op, const Tensor& self, bool integers) {
    if (self.dtype() == DType::Bool || (!integers && is_integral(self.dtype(), true)))
        throw UnsupportedError(std::string(op) + " is not defined for dtype '" + std::string(name(self.dtype())) + "'");
}

void require_positive(const char* op, const char* argument, std::int64_t value) {
    if (value <= 0)
        throw ArgumentError(std::string(op) + ": expected '" + argument + "' greater than 0, found " +
                            std::to_string(value));
}

}  // namespace

std::vector<PoolAxis> pool_axes(const char* op, const Tensor& self, const PoolArguments& a, std::size_t rank) {
    check_pool_input(op, self, rank);
    std::vector<PoolAxis> axes(3);
    for (std::size_t i = 0; i < rank; ++i) {
        PoolAxis& axis = axes[3 - rank + i];
        axis.begin.clear();
        axis.end.clear();
        axis.size.clear();
        axis.in = self.shape()[self.shape().size() - rank + i];
        axis.kernel = at(op, "kernel_size", a.kernel, i, rank);
        axis.stride = a.stride.empty() ? axis.kernel : at(op, "stride", a.stride, i, rank);
        axis.pad = at(op, "padding", a.padding, i, rank);
        axis.step = at(op, "dilation", a.dilation, i, rank);
        require_positive(op, "kernel_size", axis.kernel);
        require_positive(op, "stride", axis.stride);
        require_positive(op, "dilation", axis.step);
        constexpr std::int64_t limit = std::int64_t{1} << 31;
        if (axis.kernel > limit || axis.stride > limit || axis.step > limit || axis.kernel * axis.step > limit)
            throw ArgumentError(std::string(op) + ": 'kernel_size', 'stride' or 'dilation' is too large");
        const std::int64_t extent = (axis.kernel - 1) * axis.step + 1;
        if (axis.pad < 0 || axis.pad > axis.kernel / 2)
            throw ArgumentError(std::string(op) + ": expected 'padding' of at least 0 and at most half the kernel (" +
                                std::to_string(axis.kernel / 2) + "), found " + std::to_string(axis.pad));
        const std::int64_t room = axis.in + 2 * axis.pad - extent + (a.ceil_mode ? axis.stride - 1 : 0);
        axis.out = (room >= 0 ? room / axis.stride : -1) + 1;
        if (a.ceil_mode && (axis.out - 1) * axis.stride >= axis.in + axis.pad) --axis.out;
        if (axis.out < 1)
            throw ArgumentError(std::string(op) + ": input of shape " + to_string(self.shape()) +
                                " is too small for 'kernel_size' " + to_string(a.kernel));
        axis.regular = true;
        for (std::int64_t o = 0; o < axis.out; ++o) {
            const std::int64_t first = o * axis.stride - axis.pad;
            const std::int64_t skipped = first < 0 ? (-first + axis.step - 1) / axis.step : 0;
            const std::int64_t begin = first + skipped * axis.step;
            axis.begin.push_back(begin);
            axis.end.push_back(std::max(begin, std::min(first + extent, axis.in)));
            // The padding on the right counts up to its end, but not what ceil_mode adds.
            axis.size.push_back(a.count_include_pad ? std::min(first + axis.kernel, axis.in + axis.pad) - first
                                                    : axis.end.back() - begin);
        }
    }
    return axes;
}

std::vector<PoolAxis> adaptive_axes(const char* op, const Tensor& self, const Ints& output_size, std::size_t rank) {
    check_pool_input(op, self, rank);
    if (output_size.size() != rank)
        throw ArgumentError(std::string(op) + ": expected 'output_size' of " + std::to_string(rank) +
                            " numbers, found " + to_string(output_size));
    std::vector<PoolAxis> axes(3);
    for (std::size_t i = 0; i < rank; ++i) {
        PoolAxis& axis = axes[3 - rank + i];
        axis.begin.clear();
        axis.end.clear();
        axis.size.clear();
        axis.in = self.shape()[self.shape().size() - rank + i];
        axis.out = output_size[i];
        if (axis.out < 0)
            throw ArgumentError(std::string(op) + ": expected 'output_size' of at least 0, found " +
                                to_string(output_size));
        for (std::int64_t o = 0; o < axis.out; ++o) {
            axis.begin.push_back(o * axis.in / axis.out);
            axis.end.push_back(((o + 1) * axis.in + axis.out - 1) / axis.out);
            axis.size.push_back(axis.end.back() - axis.begin.back());
        }
        if (axis.out > 0 && axis.in % axis.out == 0) {
            axis.regular = true;
            axis.kernel = axis.stride = axis.in / axis.out;
        }
    }
    return axes;
}

void check_pool_input(const char* op, const Tensor& self, std::size_t rank) {
    const auto dims = static_cast<std::int64_t>(rank);
    bool fits = self.dim() == dims + 1 || self.dim() == dims + 2;
    // Only the batch may be empty.
    for (std::int64_t d = self.dim() == dims + 2 ? 1 : 0; fits && d < self.dim(); ++d) fits = self.size(d) != 0;
    if (!fits)
        throw ArgumentError(std::string(op) + ": expected 'self' of " + std::to_string(rank + 1) + " or " +
                            std::to_string(rank + 2) + " dimensions, only the batch empty, found " + describe(self));
}

PoolPlanes pool_planes(const Tensor& self, DType compute, std::size_t rank, const std::vector<PoolAxis>& axes) {
    PoolPlanes p;
    p.batched = self.dim() == static_cast<std::int64_t>(rank) + 2;
    p.in = self.to(compute);
    if (!p.batched) p.in = p.in.unsqueeze(0);
    p.channels_last = p.batched && suggests_channels_last(self);
    p.in = in_format(p.in, p.channels_last ? channels_last_format(p.in.dim()) : MemoryFormat::Contiguous);
    const std::int64_t n = p.in.size(0);
    const std::int64_t c = p.in.size(1);
    p.outer = p.channels_last ? n : n * c;
    p.inner = p.channels_last ? c : 1;
    p.shape = {n, c};
    for (std::size_t i = 3 - rank; i < 3; ++i) p.shape.push_back(axes[i].out);
    return p;
}

Tensor PoolPlanes::make_output(DType dtype) const {
    if (!channels_last) return Tensor::empty(shape, dtype);
    Ints permuted{shape[0]};
    permuted.insert(permuted.end(), shape.begin() + 2, shape.end());
    permuted.push_back(shape[1]);
    Ints order{0, static_cast<std::int64_t>(shape.size()) - 1};
    for (std::size_t d = 2; d < shape.size(); ++d) order.push_back(static_cast<std::int64_t>(d) - 1);
    return Tensor::empty(permuted, dtype).permute(order);
}

namespace {

using Axes = std::vector<PoolAxis>;

/// Calls `f(outer, od, oh)` for all rows of outputs, in parallel. `inner` is the number of channels in a row's item.
template <class F>
void for_each_row(const Axes& axes, const PoolPlanes& p, F f) {
    std::int64_t cost = axes[2].out * p.inner;
    for (const PoolAxis& axis : axes)
        cost *= axis.out == 0 ? 1 : std::max<std::int64_t>(1, (axis.end[0] - axis.begin[0]) / axis.step);
    const std::int64_t rows = p.outer * axes[0].out * axes[1].out;
    parallel_for(rows, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, cost)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i)
                         f(i / (axes[0].out * axes[1].out), i / axes[1].out % axes[0].out, i % axes[1].out);
                 });
}

/// y[i] = op(y[i], x[i * stride]).
template <class C, class Op>
void fold_strided(C* y, const C* x, std::int64_t n, std::int64_t stride, Op op) {
    if (stride == 1)
        for (std::int64_t i = 0; i < n; ++i) y[i] = op(y[i], x[i]);
    else if (stride == 2)
        for (std::int64_t i = 0; i < n; ++i) y[i] = op(y[i], x[2 * i]);
    else
        for (std::int64_t i = 0; i < n; ++i) y[i] = op(y[i], x[i * stride]);
}

/// One row of inputs folded into one row of outputs.
template <class C, class Op>
void fold_row(const PoolAxis& w, std::int64_t inner, const C* x, C* y, Op op) {
    if (inner == 1 && w.regular) {
        // Tap by tap, so that the outputs are the vector.
        for (std::int64_t k = 0; k < w.kernel; ++k) {
            const std::int64_t shift = k * w.step - w.pad;  // the input of output 0
            const std::int64_t low = shift < 0 ? (-shift + w.stride - 1) / w.stride : 0;
            const std::int64_t high = shift >= w.in ? 0 : std::min(w.out, (w.in - 1 - shift) / w.stride + 1);
            if (low < high) fold_strided(y + low, x + low * w.stride + shift, high - low, w.stride, op);
        }
        return;
    }
    for (std::int64_t o = 0; o < w.out; ++o, y += inner) {
        const auto i = static_cast<std::size_t>(o);
        for (std::int64_t at = w.begin[i]; at < w.end[i]; at += w.step) {
            const C* from = x + at * inner;
#pragma GCC ivdep
            for (std::int64_t c = 0; c < inner; ++c) y[c] = op(y[c], from[c]);
        }
    }
}

/// Folds all windows, from `init`; then `finish(y, od, oh)` sees each row of outputs.
template <class C, class Op, class Finish>
Tensor pool(const PoolPlanes& p, const Axes& axes, C init, Op op, Finish finish) {
    Tensor out = p.make_output(dtype_of<C>());
    if (out.numel() == 0) return out;
    const std::int64_t row = axes[2].in * p.inner;
    for_each_row(axes, p, [&](std::int64_t outer, std::int64_t od, std::int64_t oh) {
        C* y = out.data<C>() + ((outer * axes[0].out + od) * axes[1].out + oh) * axes[2].out * p.inner;
        std::fill(y, y + axes[2].out * p.inner, init);
        const auto d = static_cast<std::size_t>(od);
        const auto h = static_cast<std::size_t>(oh);
        for (std::int64_t id = axes[0].begin[d]; id < axes[0].end[d]; id += axes[0].step)
            for (std::int64_t ih = axes[1].begin[h]; ih < axes[1].end[h]; ih += axes[1].step)
                fold_row(axes[2], p.inner, p.in.data<C>() + ((outer * axes[0].in + id) * axes[1].in + ih) * row, y, op);
        finish(y, d, h);
    });
    return out;
}

/// The result without the batch dimension that was added, in the dtype asked for.
Tensor finished(const PoolPlanes& p, const Tensor& out, DType dtype) {
    return (p.batched ? out : out.squeeze(0)).to(dtype);
}

template <class C>
constexpr C lowest() {
    using Limits = std::numeric_limits<C>;
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
}

Tensor max_windows(const char* op, const Tensor& self, std::size_t rank, const Axes& axes) {
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const PoolPlanes p = pool_planes(self, dtype_of<C>(), rank, axes);
        const auto larger = [](C a, C b) { return vmath::larger(b, a); };
        return finished(p, pool<C>(p, axes, lowest<C>(), larger, [](C*, std::size_t, std::size_t) {}), self.dtype());
    });
}

/// Values and the places in the plane of `self` that they come from; NaN wins, the last one.
std::tuple<Tensor, Tensor> max_windows_indexed(const char* op, const Tensor& self, std::size_t rank, const Axes& axes) {
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const PoolPlanes p = pool_planes(self, dtype_of<C>(), rank, axes);
        Tensor values = p.make_output(dtype_of<C>());
        Tensor indices = p.make_output(DType::Int64);
        if (values.numel() > 0)
            for_each_row(axes, p, [&](std::int64_t outer, std::int64_t od, std::int64_t oh) {
                const std::int64_t first = ((outer * axes[0].out + od) * axes[1].out + oh) * axes[2].out * p.inner;
                const auto d = static_cast<std::size_t>(od);
                const auto h = static_cast<std::size_t>(oh);
                for (std::int64_t ow = 0; ow < axes[2].out; ++ow) {
                    const auto w = static_cast<std::size_t>(ow);
                    C* y = values.data<C>() + first + ow * p.inner;
                    std::int64_t* index = indices.data<std::int64_t>() + first + ow * p.inner;
                    const auto place = [&](std::int64_t id, std::int64_t ih, std::int64_t iw) {
                        return (id * axes[1].in + ih) * axes[2].in + iw;
                    };
                    std::fill(y, y + p.inner, lowest<C>());
                    std::fill(index, index + p.inner, place(axes[0].begin[d], axes[1].begin[h], axes[2].begin[w]));
                    for (std::int64_t id = axes[0].begin[d]; id < axes[0].end[d]; id += axes[0].step)
                        for (std::int64_t ih = axes[1].begin[h]; ih < axes[1].end[h]; ih += axes[1].step)
                            for (std::int64_t iw = axes[2].begin[w]; iw < axes[2].end[w]; iw += axes[2].step) {
                                const std::int64_t at = place(id, ih, iw);
                                const std::int64_t plane = axes[0].in * axes[1].in * axes[2].in;
                                const C* x = p.in.data<C>() + (outer * plane + at) * p.inner;
                                for (std::int64_t c = 0; c < p.inner; ++c) {
                                    const bool better = x[c] > y[c] || x[c] != x[c];
                                    y[c] = better ? x[c] : y[c];
                                    index[c] = better ? at : index[c];
                                }
                            }
                }
            });
        return std::tuple(finished(p, values, self.dtype()), finished(p, indices, DType::Int64));
    });
}

/// Divides by `divisor`, or by what a window counts; PyTorch's adaptive pools (`by_axis`) do it one axis after the
/// other, unless channels lie last.
Tensor mean_windows(const char* op, const Tensor& self, std::size_t rank, const Axes& axes, bool by_axis,
                    std::optional<std::int64_t> divisor = {}) {
    const auto compute = [&]<class C, class A>(C, A) {
        // PyTorch has no channels-last averages of volumes.
        const PoolPlanes p = pool_planes(rank == 3 ? self.contiguous() : self, dtype_of<C>(), rank, axes);
        const auto divide = [&](C* y, std::size_t d, std::size_t h) {
            for (std::size_t w = 0; w < static_cast<std::size_t>(axes[2].out); ++w, y += p.inner) {
                const std::int64_t sizes[]{axes[0].size[d], axes[1].size[h], axes[2].size[w]};
                const A n(divisor.value_or(sizes[0] * sizes[1] * sizes[2]));
                if (by_axis && p.inner == 1)
                    *y = static_cast<C>(A(*y) / A(sizes[0]) / A(sizes[1]) / A(sizes[2]));
                else
                    for (std::int64_t c = 0; c < p.inner; ++c) y[c] = static_cast<C>(A(y[c]) / n);
            }
        };
        return finished(p,
                        pool<C>(
                            p, axes, C(0), [](C a, C b) { return static_cast<C>(A(a) + A(b)); }, divide),
                        self.dtype());
    };
    return visit_stepwise_real(self.dtype(), op, compute, rank == 3);
}

// Forward ops.

constexpr const char* max_pool_names[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
constexpr const char* avg_pool_names[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};

template <std::size_t Rank>
struct MaxPool {
    static constexpr const char* name = max_pool_names[Rank - 1];

    static Tensor values(const Tensor& self, const Ints& kernel_size, const Ints& stride, const Ints& padding,
                         const Ints& dilation, bool ceil_mode) {
        require_pooled(name, self, true);
        const Axes axes = pool_axes(name, self, {kernel_size, stride, padding, dilation, ceil_mode}, Rank);
        return max_windows(name, self, Rank, axes);
    }
    static std::tuple<Tensor, Tensor> indexed(const Tensor& self, const Ints& kernel_size, const Ints& stride,
                                              const Ints& padding, const Ints& dilation, bool ceil_mode) {
        require_pooled(name, self, true);
        const Axes axes = pool_axes(name, self, {kernel_size, stride, padding, dilation, ceil_mode}, Rank);
        return max_windows_indexed(name, self, Rank, axes);
    }
    static std::tuple<Tensor, Tensor> adaptive(const Tensor& self, const Ints& output_size) {
        static constexpr const char* adaptive_names[] = {"adaptive_max_pool1d", "adaptive_max_pool2d",
                                                         "adaptive_max_pool3d"};
        const char* op = adaptive_names[Rank - 1];
        require_pooled(op, self, false);
        return max_windows_indexed(op, self, Rank, adaptive_axes(op, self, output_size, Rank));
    }
};

template <std::size_t Rank>
struct AvgPool {
    static constexpr const char* name = avg_pool_names[Rank - 1];

    static Tensor regular(const Tensor& self, const Ints& kernel_size, const Ints& stride, const Ints& padding,
                          bool ceil_mode, bool count_include_pad, std::optional<std::int64_t> divisor_override) {
        require_pooled(name, self, self.dtype() == DType::Int64);
        if (divisor_override == 0) throw ArgumentError(std::string(name) + ": 'divisor_override' must not be 0");
        const Axes axes =
            pool_axes(name, self, {kernel_size, stride, padding, {1}, ceil_mode, count_include_pad}, Rank);
        return mean_windows(name, self, Rank, axes, false, divisor_override);
    }
    static Tensor plain(const Tensor& self, const Ints& kernel_size, const Ints& stride, const Ints& padding,
                        bool ceil_mode, bool count_include_pad) {
        return regular(self, kernel_size, stride, padding, ceil_mode, count_include_pad, {});
    }
    static Tensor adaptive(const Tensor& self, const Ints& output_size) {
        static constexpr const char* adaptive_names[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d",
                                                         "adaptive_avg_pool3d"};
        const char* op = adaptive_names[Rank - 1];
        require_pooled(op, self, false);
        const Axes axes = adaptive_axes(op, self, output_size, Rank);
        if (std::all_of(axes.begin(), axes.end(), [](const PoolAxis& axis) { return axis.out == 1; }) &&
            is_floating_point(self.dtype())) {
            Ints dims;
            for (std::size_t i = 0; i < Rank; ++i) dims.push_back(self.dim() - 1 - static_cast<std::int64_t>(i));
            return mean(self, dims, true, {});
        }
        return mean_windows(op, self, Rank, axes, true);
    }
};

}  // namespace

void register_pool(Registry& r) {
    r.add(
        "max_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=[0], int[1] dilation=[1], bool "
        "ceil_mode=False) -> Tensor",
        MaxPool<1>::values);
    r.add(
        "max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool "
        "ceil_mode=False) -> Tensor",
        MaxPool<2>::values);
    r.add(
        "max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, bool "
        "ceil_mode=False) -> Tensor",
        MaxPool<3>::values);
    r.add(
        "mkldnn_max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, "
        "bool ceil_mode=False) -> Tensor",
        MaxPool<2>::values);
    r.add(
        "mkldnn_max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, "
        "bool ceil_mode=False) -> Tensor",
        MaxPool<3>::values);
    r.add(
        "max_pool1d_with_indices(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=[0], int[1] "
        "dilation=[1], bool ceil_mode=False) -> (Tensor, Tensor)",
        MaxPool<1>::indexed);
    r.add(
        "max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] "
        "dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
        MaxPool<2>::indexed);
    r.add(
        "max_pool3d_with_indices(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] "
        "dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
        MaxPool<3>::indexed);
    r.add("adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)", MaxPool<1>::adaptive);
    r.add("adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)", MaxPool<2>::adaptive);
    r.add("adaptive_max_pool3d(Tensor self, int[3] output_size) -> (Tensor, Tensor)", MaxPool<3>::adaptive);
    r.add(
        "avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=[0], bool ceil_mode=False, bool "
        "count_include_pad=True) -> Tensor",
        AvgPool<1>::plain);
    r.add(
        "avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, bool "
        "count_include_pad=True, int? divisor_override=None) -> Tensor",
        AvgPool<2>::regular);
    r.add(
        "avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, bool ceil_mode=False, bool "
        "count_include_pad=True, int? divisor_override=None) -> Tensor",
        AvgPool<3>::regular);
    r.add("adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor", AvgPool<1>::adaptive);
    r.add("adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor", AvgPool<2>::adaptive);
    r.add("adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor", AvgPool<3>::adaptive);
    r.add("_adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor", AvgPool<2>::adaptive);
    r.add("_adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor", AvgPool<3>::adaptive);
    r.add("mkldnn_adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor", AvgPool<2>::adaptive);
}

}  // namespace torch_ir::kernels
