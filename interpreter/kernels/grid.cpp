// SPDX-License-Identifier: MIT
// Sampling of images and volumes at the places of a grid. 16-bit floats are rounded at every step, which decides
// between neighbours.
#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "parallel.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using std::abs, std::floor, std::fmod, std::isfinite, std::isinf, std::nearbyint;

enum class Sampling { Linear, Nearest, Cubic };
enum class Padding { Zeros, Border, Reflection };

/// Inputs along one dimension that a place takes part of; index -1 where there is none. The slopes are the derivatives
/// of the weights by the grid's coordinate.
template <class C>
struct AxisTaps {
    std::int64_t index[4] = {-1, -1, -1, -1};
    C weight[4] = {};
    C slope[4] = {};
    int count = 0;
};

/// A place and how it moves with the one it was made from.
template <class C>
struct Place {
    C at;
    C slope;
};

/// `x` mirrored into [low / 2, high / 2].
template <class C>
Place<C> reflect(C x, std::int64_t low, std::int64_t high) {
    if (low == high) return {0, 0};
    const C min = static_cast<C>(low) / 2;
    const C span = static_cast<C>(high - low) / 2;
    const C sign = x < min ? C(-1) : C(1);
    x = abs(x - min);
    const C extra = fmod(x, span);
    const auto flips = static_cast<std::int64_t>(floor(x / span));
    return flips % 2 == 0 ? Place<C>{extra + min, sign} : Place<C>{span - extra + min, -sign};
}

/// NaN and reflected infinities come to lie at the start in images, at the end in volumes.
template <class C>
Place<C> padded(C x, std::int64_t size, Padding padding, bool align_corners, bool volume) {
    if (padding == Padding::Zeros) return {x, 1};
    if (x != x || (padding == Padding::Reflection && isinf(x))) return {volume ? static_cast<C>(size - 1) : C(0), 0};
    Place<C> p{x, 1};
    if (padding == Padding::Reflection)
        p = align_corners ? reflect(x, 0, 2 * (size - 1)) : reflect(x, -1, 2 * size - 1);
    const C last = static_cast<C>(size - 1);
    if (p.at <= 0) return {0, 0};
    return p.at >= last ? Place<C>{last, 0} : p;
}

template <class C>
AxisTaps<C> axis_taps(C x, std::int64_t size, Sampling sampling, Padding padding, bool align_corners, bool volume) {
    AxisTaps<C> t;
    C at = align_corners ? (x + 1) / 2 * static_cast<C>(size - 1) : ((x + 1) * static_cast<C>(size) - 1) / 2;
    C slope = static_cast<C>(align_corners ? size - 1 : size) / 2;
    if (sampling != Sampling::Cubic) {
        const Place<C> p = padded(at, size, padding, align_corners, volume);
        at = p.at;
        slope *= p.slope;
    }
    const auto add = [&](C place, C weight, C weight_slope) {
        const bool inside = place >= 0 && place <= static_cast<C>(size - 1);
        t.index[t.count] = inside ? static_cast<std::int64_t>(place) : -1;
        t.slope[t.count] = weight_slope * slope;
        t.weight[t.count++] = weight;
    };
    if (sampling == Sampling::Nearest) {
        add(nearbyint(at), 1, 0);
        return t;
    }
    if (!volume && !isfinite(at)) {  // as in PyTorch, whose weights are NaN there
        const C nothing = std::numeric_limits<float>::quiet_NaN();
        add(0, nothing, nothing);
        return t;
    }
    const C first = floor(at);
    const C w = at - first;
    if (sampling == Sampling::Linear) {
        add(first, 1 - w, -1);
        add(first + 1, w, 1);
        return t;
    }
    const C a = C(-0.75F);
    const auto near = [a](C v) { return ((a + 2) * v - (a + 3)) * v * v + 1; };
    const auto far = [a](C v) { return ((a * v - 5 * a) * v + 8 * a) * v - 4 * a; };
    const auto near_slope = [a](C v) { return (3 * (a + 2) * v - 2 * (a + 3)) * v; };
    const auto far_slope = [a](C v) { return (3 * a * v - 10 * a) * v + 8 * a; };
    const C weights[] = {far(w + 1), near(w), near(1 - w), far(2 - w)};
    const C slopes[] = {far_slope(w + 1), near_slope(w), -near_slope(1 - w), -far_slope(2 - w)};
    for (int k = 0; k < 4; ++k)
        add(padded(first - 1 + static_cast<C>(k), size, padding, align_corners, volume).at, weights[k], slopes[k]);
    return t;
}

/// What one place of the grid takes part of: offsets in a plane, weights, and their derivatives by the coordinates.
template <class C>
struct PlaneTaps {
    std::int64_t offset[64];
    C weight[64];
    C slope[3][64];
    int count = 0;
};

/// `at` holds the coordinates, x first; `size` the depth, height and width.
template <class C, class X>
PlaneTaps<C> plane_taps(const X* at, std::int64_t rank, const std::int64_t* size, Sampling sampling, Padding padding,
                        bool align_corners) {
    const auto tw = axis_taps(C(at[0]), size[2], sampling, padding, align_corners, rank == 3);
    const auto th = axis_taps(C(at[1]), size[1], sampling, padding, align_corners, rank == 3);
    AxisTaps<C> td;
    td.index[0] = 0;
    td.weight[0] = 1;
    td.count = 1;
    if (rank == 3) td = axis_taps(C(at[2]), size[0], sampling, padding, align_corners, rank == 3);
    PlaneTaps<C> t;
    for (int d = 0; d < td.count; ++d)
        for (int h = 0; h < th.count; ++h)
            for (int w = 0; w < tw.count; ++w) {
                if (td.index[d] < 0 || th.index[h] < 0 || tw.index[w] < 0) continue;
                t.offset[t.count] = (td.index[d] * size[1] + th.index[h]) * size[2] + tw.index[w];
                t.slope[0][t.count] = td.weight[d] * th.weight[h] * tw.slope[w];
                t.slope[1][t.count] = td.weight[d] * th.slope[h] * tw.weight[w];
                t.slope[2][t.count] = td.slope[d] * th.weight[h] * tw.weight[w];
                t.weight[t.count++] = tw.weight[w] * th.weight[h] * td.weight[d];
            }
    return t;
}

/// Along the rows of an image first, then across them.
template <class A, class C>
A cubic_sum(const AxisTaps<A>& across, const AxisTaps<A>& along, const C* image, std::int64_t width) {
    A total = 0;
    for (int h = 0; h < across.count; ++h) {
        if (across.index[h] < 0) continue;
        A row = 0;
        for (int w = 0; w < along.count; ++w)
            if (along.index[w] >= 0) row += along.weight[w] * A(image[across.index[h] * width + along.index[w]]);
        total += across.weight[h] * row;
    }
    return total;
}

void check_sampling(const char* op, const Tensor& input, const Tensor& grid, std::int64_t interpolation_mode,
                    std::int64_t padding_mode) {
    const std::int64_t rank = input.dim() - 2;
    if ((rank != 2 && rank != 3) || grid.dim() != input.dim() || grid.size(-1) != rank || grid.size(0) != input.size(0))
        throw ArgumentError(std::string(op) +
                            ": expected 'input' [n, c, h, w] and 'grid' [n, h, w, 2], or with a depth, found " +
                            describe(input) + " and " + describe(grid));
    if (interpolation_mode < 0 || interpolation_mode > (rank == 2 ? 2 : 1))
        throw ArgumentError(std::string(op) + ": 'interpolation_mode' " + std::to_string(interpolation_mode) +
                            " is not one of this op's");
    if (padding_mode < 0 || padding_mode > 2)
        throw ArgumentError(std::string(op) + ": expected 'padding_mode' of 0 to 2, found " +
                            std::to_string(padding_mode));
    if (input.dtype() != grid.dtype())
        throw ArgumentError(std::string(op) + ": expected 'input' and 'grid' of one dtype, found " + describe(input) +
                            " and " + describe(grid));
    for (std::int64_t d = 2; d < input.dim(); ++d)
        if (input.size(d) == 0)
            throw ArgumentError(std::string(op) + ": expected 'input' with elements, found " + describe(input));
}

/// input [n, c, (d,) h, w], grid [n, (d,) h, w, rank] with x first.
Tensor sample(const char* op, const Tensor& input, const Tensor& grid, std::int64_t interpolation_mode,
              std::int64_t padding_mode, bool align_corners) {
    check_sampling(op, input, grid, interpolation_mode, padding_mode);
    const std::int64_t rank = input.dim() - 2;
    const auto sampling = static_cast<Sampling>(interpolation_mode);
    const auto padding = static_cast<Padding>(padding_mode);
    return visit_stepwise(input.dtype(), op, [&]<class C, class A>(C, A) {
        const Tensor x = input.to(dtype_of<C>()).contiguous();
        const Tensor g = grid.to(dtype_of<C>()).contiguous();
        Ints shape{input.size(0), input.size(1)};
        shape.insert(shape.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
        Tensor y = Tensor::empty(shape, dtype_of<C>());
        const std::int64_t channels = input.size(1);
        const std::int64_t size[] = {rank == 3 ? input.size(2) : 1, input.size(-2), input.size(-1)};
        const std::int64_t plane = size[0] * size[1] * size[2];
        const std::int64_t places = input.size(0) == 0 ? 0 : g.numel() / rank / input.size(0);
        if (y.numel() == 0) return y.to(input.dtype());
        parallel_for(
            input.size(0) * places, std::max<std::int64_t>(1, 2048 / channels),
            [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                    const C* at = g.data<C>() + i * rank;
                    const std::int64_t batch = i / places;
                    const C* from = x.data<C>() + batch * channels * plane;
                    C* to = y.data<C>() + batch * channels * places + i % places;
                    if (sampling == Sampling::Cubic) {
                        const auto along = axis_taps(A(at[0]), size[2], sampling, padding, align_corners, false);
                        const auto across = axis_taps(A(at[1]), size[1], sampling, padding, align_corners, false);
                        for (std::int64_t c = 0; c < channels; ++c, from += plane, to += places)
                            *to = static_cast<C>(cubic_sum(across, along, from, size[2]));
                        continue;
                    }
                    const auto taps = plane_taps<A>(at, rank, size, sampling, padding, align_corners);
                    for (std::int64_t c = 0; c < channels; ++c, from += plane, to += places) {
                        A total = 0;
                        for (int k = 0; k < taps.count; ++k) total += taps.weight[k] * A(from[taps.offset[k]]);
                        *to = static_cast<C>(total);
                    }
                }
            });
        return y.to(input.dtype());
    });
}

/// Gradients of the input and of the grid; as in PyTorch, the second whether output_mask asks for it or not.
std::tuple<Tensor, Tensor> sample_backward(const char* op, const Tensor& grad_output, const Tensor& input,
                                           const Tensor& grid, std::int64_t interpolation_mode,
                                           std::int64_t padding_mode, bool align_corners, const Bools& output_mask) {
    check_sampling(op, input, grid, interpolation_mode, padding_mode);
    const std::int64_t rank = input.dim() - 2;
    Ints expected{input.size(0), input.size(1)};
    expected.insert(expected.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
    if (grad_output.shape() != expected)
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of shape " + to_string(expected) + ", found " +
                            describe(grad_output));
    if (output_mask.size() != 2) throw ArgumentError(std::string(op) + ": expected 'output_mask' of 2 elements");
    return visit_stepwise(input.dtype(), op, [&]<class C, class A>(C, A) {
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor x = plain(input), g = plain(grid), dy = plain(grad_output);
        const Tensor dx = Tensor::zeros(input.shape(), dtype_of<C>()), dg = Tensor::zeros(grid.shape(), dtype_of<C>());
        const std::int64_t channels = input.size(1);
        const std::int64_t size[] = {rank == 3 ? input.size(2) : 1, input.size(-2), input.size(-1)};
        const std::int64_t plane = size[0] * size[1] * size[2];
        const std::int64_t places = input.size(0) == 0 ? 0 : g.numel() / rank / input.size(0);
        parallel_for(input.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin * places; i < end * places; ++i) {
                const auto taps =
                    plane_taps<A>(g.data<C>() + i * rank, rank, size, static_cast<Sampling>(interpolation_mode),
                                  static_cast<Padding>(padding_mode), align_corners);
                for (std::int64_t c = 0; c < channels; ++c) {
                    const std::int64_t image = i / places * channels + c;
                    const A grad = dy.data<C>()[image * places + i % places];
                    const auto add = [](C& to, A more) { to = static_cast<C>(A(to) + more); };
                    for (int k = 0; k < taps.count; ++k) {
                        const std::int64_t at = image * plane + taps.offset[k];
                        add(dx.data<C>()[at], taps.weight[k] * grad);
                        for (std::int64_t d = 0; d < rank; ++d)
                            add(dg.data<C>()[i * rank + d], taps.slope[d][k] * A(x.data<C>()[at]) * grad);
                    }
                }
            }
        });
        return std::tuple(output_mask[0] ? dx.to(input.dtype()) : Tensor(), dg.to(grid.dtype()));
    });
}

Tensor grid_sampler(const Tensor& input, const Tensor& grid, std::int64_t mode, std::int64_t padding, bool align) {
    return sample("grid_sampler", input, grid, mode, padding, align);
}

/// Calls `f(i, at)` for all pixels of images of that size; `at` holds their coordinates, x first, and a 1.
template <class C, class A, class F>
void for_each_pixel(const Ints& size, bool align_corners, F f) {
    const std::size_t rank = size.size() - 2;
    const auto coordinate = [&](std::int64_t i, std::int64_t n) {
        if (n <= 1) return C(0);
        const A step = A(2) / static_cast<A>(n - 1);
        const A at = i < n / 2 ? A(-1) + step * static_cast<A>(i) : A(1) - step * static_cast<A>(n - 1 - i);
        return static_cast<C>(align_corners ? at : at * static_cast<A>(n - 1) / static_cast<A>(n));
    };
    const std::int64_t count = size[0] * numel_of(std::span(size).subspan(2));
    for (std::int64_t i = 0; i < count; ++i) {
        C at[4];
        std::int64_t rest = i;
        for (std::size_t d = 0; d < rank; ++d) {
            const std::int64_t n = size[size.size() - 1 - d];
            at[d] = coordinate(rest % n, n);
            rest /= n;
        }
        at[rank] = 1;
        f(i, at);
    }
}

/// The places that an affine map takes the pixels of an image of that size to.
Tensor affine_grid(const Tensor& theta, const Ints& size, bool align_corners) {
    const auto rank = static_cast<std::int64_t>(size.size()) - 2;
    if ((rank != 2 && rank != 3) || theta.shape() != Ints{size[0], rank, rank + 1})
        throw ArgumentError("affine_grid_generator: expected 'theta' [n, 2, 3] or [n, 3, 4] for 'size' " +
                            to_string(size) + ", found " + describe(theta));
    return visit_stepwise(theta.dtype(), "affine_grid_generator", [&]<class C, class A>(C, A) {
        const Tensor t = theta.to(dtype_of<C>()).contiguous();
        Ints shape{size[0]};
        shape.insert(shape.end(), size.begin() + 2, size.end());
        shape.push_back(rank);
        Tensor y = Tensor::empty(shape, dtype_of<C>());
        const std::int64_t places = size[0] == 0 ? 0 : y.numel() / size[0] / rank;
        for_each_pixel<C, A>(size, align_corners, [&](std::int64_t i, const C* at) {
            const C* m = t.data<C>() + i / places * rank * (rank + 1);
            for (std::int64_t d = 0; d < rank; ++d) {
                C total = m[d * (rank + 1) + rank];
                for (std::int64_t k = 0; k < rank; ++k) total += m[d * (rank + 1) + k] * at[k];
                y.data<C>()[i * rank + d] = total;
            }
        });
        return y.to(theta.dtype());
    });
}

Tensor affine_grid_backward(const Tensor& grad, const Ints& size, bool align_corners) {
    const std::string op = "affine_grid_generator_backward";
    if (size.size() != 4 && size.size() != 5)
        throw ArgumentError(op + ": expected 'size' of 4 or 5 numbers, found " + to_string(size));
    const auto rank = static_cast<std::int64_t>(size.size()) - 2;
    Ints expected{size[0]};
    expected.insert(expected.end(), size.begin() + 2, size.end());
    expected.push_back(rank);
    if (grad.shape() != expected)
        throw ArgumentError(op + ": expected 'grad' of shape " + to_string(expected) + ", found " + describe(grad));
    return visit_stepwise(grad.dtype(), op.c_str(), [&]<class C, class A>(C, A) {
        const Tensor g = grad.to(dtype_of<C>()).contiguous();
        const Tensor result = Tensor::zeros({size[0], rank, rank + 1}, dtype_of<C>());
        const std::int64_t places = numel_of(std::span(size).subspan(2));
        for_each_pixel<C, A>(size, align_corners, [&](std::int64_t i, const C* at) {
            C* m = result.data<C>() + i / places * rank * (rank + 1);
            for (std::int64_t d = 0; d < rank; ++d)
                for (std::int64_t k = 0; k <= rank; ++k) m[d * (rank + 1) + k] += at[k] * g.data<C>()[i * rank + d];
        });
        return result.to(grad.dtype());
    });
}

}  // namespace

void register_grid(Registry& r) {
    r.add(
        "grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> "
        "Tensor",
        grid_sampler);
    r.add(
        "grid_sampler_2d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> "
        "Tensor",
        grid_sampler);
    r.add(
        "grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> "
        "Tensor",
        grid_sampler);
    r.add(
        "_grid_sampler_2d_cpu_fallback(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool "
        "align_corners) -> Tensor",
        grid_sampler);
    for (const char* op : {"grid_sampler_2d_backward", "grid_sampler_3d_backward"})
        r.add(std::string(op) +
                  "(Tensor grad_output, Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool "
                  "align_corners, bool[2] output_mask) -> (Tensor, Tensor)",
              [op](const Tensor& grad, const Tensor& input, const Tensor& grid, std::int64_t mode, std::int64_t padding,
                   bool align,
                   const Bools& mask) { return sample_backward(op, grad, input, grid, mode, padding, align, mask); });
    r.add("affine_grid_generator_backward(Tensor grad, SymInt[] size, bool align_corners) -> Tensor",
          affine_grid_backward);
    r.add("affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor", affine_grid);
}

}  // namespace torch_ir::kernels
