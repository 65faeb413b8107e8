// SPDX-License-Identifier: MIT
// Sampling of images and volumes at the places of a grid.
#include <cmath>

#include "kernels/families.hpp"
#include "parallel.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

enum class Sampling { Linear, Nearest, Cubic };
enum class Padding { Zeros, Border, Reflection };

/// Inputs along one dimension that a place takes part of; index -1 where there is none.
template <class C>
struct AxisTaps {
    std::int64_t index[4] = {-1, -1, -1, -1};
    C weight[4] = {};
    int count = 0;
};

/// `x` mirrored into [low / 2, high / 2].
template <class C>
C reflect(C x, std::int64_t low, std::int64_t high) {
    if (low == high) return 0;
    const C min = static_cast<C>(low) / 2;
    const C span = static_cast<C>(high - low) / 2;
    x = std::abs(x - min);
    const C extra = std::fmod(x, span);
    const auto flips = static_cast<std::int64_t>(std::floor(x / span));
    return flips % 2 == 0 ? extra + min : span - extra + min;
}

template <class C>
C padded(C x, std::int64_t size, Padding padding, bool align_corners) {
    if (padding == Padding::Zeros) return x;
    if (!std::isfinite(x)) return 0;
    if (padding == Padding::Reflection)
        x = align_corners ? reflect(x, 0, 2 * (size - 1)) : reflect(x, -1, 2 * size - 1);
    return std::clamp(x, C(0), static_cast<C>(size - 1));
}

template <class C>
AxisTaps<C> axis_taps(C x, std::int64_t size, Sampling sampling, Padding padding, bool align_corners) {
    AxisTaps<C> t;
    C at = align_corners ? (x + 1) / 2 * static_cast<C>(size - 1) : ((x + 1) * static_cast<C>(size) - 1) / 2;
    if (sampling != Sampling::Cubic) at = padded(at, size, padding, align_corners);
    const auto add = [&](C place, C weight) {
        const bool inside = place >= 0 && place <= static_cast<C>(size - 1);
        t.index[t.count] = inside ? static_cast<std::int64_t>(place) : -1;
        t.weight[t.count++] = weight;
    };
    if (sampling == Sampling::Nearest) {
        add(std::nearbyint(at), 1);
        return t;
    }
    const C first = std::floor(at);
    const C w = at - first;
    if (sampling == Sampling::Linear) {
        add(first, 1 - w);
        add(first + 1, w);
        return t;
    }
    constexpr C a = C(-0.75);
    const auto near = [](C v) { return ((a + 2) * v - (a + 3)) * v * v + 1; };
    const auto far = [](C v) { return ((a * v - 5 * a) * v + 8 * a) * v - 4 * a; };
    const C weights[] = {far(w + 1), near(w), near(1 - w), far(2 - w)};
    for (int k = 0; k < 4; ++k) add(padded(first - 1 + static_cast<C>(k), size, padding, align_corners), weights[k]);
    return t;
}

/// input [n, c, (d,) h, w], grid [n, (d,) h, w, rank] with x first.
Tensor sample(const char* op, const Tensor& input, const Tensor& grid, std::int64_t interpolation_mode,
              std::int64_t padding_mode, bool align_corners) {
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
    const auto sampling = static_cast<Sampling>(interpolation_mode);
    const auto padding = static_cast<Padding>(padding_mode);
    return visit_float(input.dtype(), op, [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous();
        const Tensor g = grid.to(dtype_of<C>()).contiguous();
        Ints shape{input.size(0), input.size(1)};
        shape.insert(shape.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
        Tensor y = Tensor::empty(shape, dtype_of<C>());
        const std::int64_t channels = input.size(1);
        const std::int64_t depth = rank == 3 ? input.size(2) : 1;
        const std::int64_t height = input.size(-2);
        const std::int64_t width = input.size(-1);
        const std::int64_t plane = depth * height * width;
        const std::int64_t places = input.size(0) == 0 ? 0 : g.numel() / rank / input.size(0);
        if (y.numel() == 0) return y.to(input.dtype());
        parallel_for(input.size(0) * places, std::max<std::int64_t>(1, 2048 / channels),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* at = g.data<C>() + i * rank;
                             const auto tw = axis_taps(at[0], width, sampling, padding, align_corners);
                             const auto th = axis_taps(at[1], height, sampling, padding, align_corners);
                             AxisTaps<C> td;
                             td.index[0] = 0;
                             td.weight[0] = 1;
                             td.count = 1;
                             if (rank == 3) td = axis_taps(at[2], depth, sampling, padding, align_corners);
                             std::int64_t offset[64];
                             C weight[64];
                             int n = 0;
                             for (int d = 0; d < td.count; ++d)
                                 for (int h = 0; h < th.count; ++h)
                                     for (int w = 0; w < tw.count; ++w) {
                                         if (td.index[d] < 0 || th.index[h] < 0 || tw.index[w] < 0) continue;
                                         offset[n] = (td.index[d] * height + th.index[h]) * width + tw.index[w];
                                         weight[n++] = td.weight[d] * th.weight[h] * tw.weight[w];
                                     }
                             const std::int64_t batch = i / places;
                             const C* from = x.data<C>() + batch * channels * plane;
                             C* to = y.data<C>() + batch * channels * places + i % places;
                             for (std::int64_t c = 0; c < channels; ++c, from += plane, to += places) {
                                 C total = 0;
                                 for (int k = 0; k < n; ++k) total += weight[k] * from[offset[k]];
                                 *to = total;
                             }
                         }
                     });
        return y.to(input.dtype());
    });
}

Tensor grid_sampler(const Tensor& input, const Tensor& grid, std::int64_t mode, std::int64_t padding, bool align) {
    return sample("grid_sampler", input, grid, mode, padding, align);
}

/// The places that an affine map takes the pixels of an image of that size to.
Tensor affine_grid(const Tensor& theta, const Ints& size, bool align_corners) {
    const auto rank = static_cast<std::int64_t>(size.size()) - 2;
    if ((rank != 2 && rank != 3) || theta.shape() != Ints{size[0], rank, rank + 1})
        throw ArgumentError("affine_grid_generator: expected 'theta' [n, 2, 3] or [n, 3, 4] for 'size' " +
                            to_string(size) + ", found " + describe(theta));
    return visit_float(theta.dtype(), "affine_grid_generator", [&]<class C>(C) {
        const Tensor t = theta.to(dtype_of<C>()).contiguous();
        Ints shape{size[0]};
        shape.insert(shape.end(), size.begin() + 2, size.end());
        shape.push_back(rank);
        Tensor y = Tensor::empty(shape, dtype_of<C>());
        const std::int64_t places = size[0] == 0 ? 0 : y.numel() / size[0] / rank;
        const auto coordinate = [&](std::int64_t i, std::int64_t n) {
            if (n <= 1) return C(0);
            const C step = C(2) / static_cast<C>(n - 1);
            const C at = i < n / 2 ? C(-1) + step * static_cast<C>(i) : C(1) - step * static_cast<C>(n - 1 - i);
            return align_corners ? at : at * static_cast<C>(n - 1) / static_cast<C>(n);
        };
        for (std::int64_t i = 0; i < size[0] * places; ++i) {
            const C* m = t.data<C>() + i / places * rank * (rank + 1);
            C at[3];
            std::int64_t rest = i % places;
            for (std::int64_t d = 0; d < rank; ++d) {
                const std::int64_t n = size[size.size() - 1 - static_cast<std::size_t>(d)];
                at[d] = coordinate(rest % n, n);
                rest /= n;
            }
            for (std::int64_t d = 0; d < rank; ++d) {
                C total = m[d * (rank + 1) + rank];
                for (std::int64_t k = 0; k < rank; ++k) total += m[d * (rank + 1) + k] * at[k];
                y.data<C>()[i * rank + d] = total;
            }
        }
        return y.to(theta.dtype());
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
    r.add("affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor", affine_grid);
}

}  // namespace torch_ir::kernels
