// SPDX-License-Identifier: MIT
// Convolution of any element type as matrix products: patches of the channels-last input are copied into rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/conv.hpp"
#include "parallel.hpp"

namespace torch_ir::backend {

namespace detail {

/// The position of output pixel `index` and the offsets of its window; always three spatial dimensions, outer ones of
/// size 1.
struct Window {
    std::int64_t input[3] = {1, 1, 1};
    std::int64_t kernel[3] = {1, 1, 1};
    std::int64_t output[3] = {1, 1, 1};
    std::int64_t stride[3] = {1, 1, 1};
    std::int64_t dilation[3] = {1, 1, 1};
    std::int64_t padding[3] = {0, 0, 0};

    explicit Window(const ConvGeometry& g) {
        const std::size_t shift = 3 - g.kernel.size();
        for (std::size_t i = 0; i < g.kernel.size(); ++i) {
            input[shift + i] = g.input[i];
            kernel[shift + i] = g.kernel[i];
            output[shift + i] = g.output[i];
            stride[shift + i] = g.stride[i];
            dilation[shift + i] = g.dilation[i];
            padding[shift + i] = g.padding[i];
        }
    }
    std::int64_t pixels() const { return output[0] * output[1] * output[2]; }
    std::int64_t input_pixels() const { return input[0] * input[1] * input[2]; }
    std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }

    /// Calls `f(tap, source pixel)` for every kernel tap of an output pixel; the source is -1 in the padding.
    template <class F>
    void for_each_tap(std::int64_t pixel, F&& f) const {
        const std::int64_t at[3] = {pixel / (output[1] * output[2]), pixel / output[2] % output[1], pixel % output[2]};
        std::int64_t tap = 0;
        for (std::int64_t a = 0; a < kernel[0]; ++a)
            for (std::int64_t b = 0; b < kernel[1]; ++b)
                for (std::int64_t c = 0; c < kernel[2]; ++c, ++tap) {
                    const std::int64_t x = at[0] * stride[0] - padding[0] + a * dilation[0];
                    const std::int64_t y = at[1] * stride[1] - padding[1] + b * dilation[1];
                    const std::int64_t z = at[2] * stride[2] - padding[2] + c * dilation[2];
                    const bool inside = x >= 0 && x < input[0] && y >= 0 && y < input[1] && z >= 0 && z < input[2];
                    f(tap, inside ? (x * input[1] + y) * input[2] + z : -1);
                }
    }
};

/// [groups][tap · channels per group][out channels per group]: what one patch row is multiplied with.
template <class T>
std::vector<T> arrange_weights(const ConvGeometry& g, std::int64_t taps, const T* weight) {
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    std::vector<T> arranged(static_cast<std::size_t>(g.out_channels * in * taps));
    T* to = arranged.data();
    for (std::int64_t group = 0; group < g.groups; ++group)
        for (std::int64_t tap = 0; tap < taps; ++tap)
            for (std::int64_t c = 0; c < in; ++c)
                for (std::int64_t o = 0; o < out; ++o) *to++ = weight[((group * out + o) * in + c) * taps + tap];
    return arranged;
}

}  // namespace detail

/// sums[n, pixels, out_channels] (overwritten). `multiply(m, n, k, a, lda, b, ldb, c, ldc)` is a row-major product that
/// overwrites c.
template <class T, class Multiply>
void conv_loop(const ConvGeometry& g, const T* src, const T* weight, T* sums, Multiply multiply) {
    const detail::Window window(g);
    const std::int64_t taps = window.taps();
    const std::int64_t pixels = window.pixels();
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t source_pixels = window.input[0] * window.input[1] * window.input[2];
    const std::vector<T> arranged = detail::arrange_weights(g, taps, weight);
    constexpr std::int64_t rows = 64;
    const std::int64_t blocks = (pixels + rows - 1) / rows;

    parallel_for(g.batch * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<T> patches(g.is_depthwise() ? 0 : static_cast<std::size_t>(rows * taps * in));
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t first = piece % blocks * rows;
            const std::int64_t count = std::min(rows, pixels - first);
            const T* image = src + piece / blocks * source_pixels * g.in_channels;
            T* to = sums + (piece / blocks * pixels + first) * g.out_channels;
            if (g.is_depthwise()) {
                // arranged is [channel][tap]: one weight per channel and tap
                for (std::int64_t i = 0; i < count; ++i) {
                    T* y = to + i * g.out_channels;
                    std::fill(y, y + g.out_channels, T(0));
                    window.for_each_tap(first + i, [&](std::int64_t tap, std::int64_t source) {
                        if (source < 0) return;
                        const T* x = image + source * g.in_channels;
                        for (std::int64_t c = 0; c < g.in_channels; ++c)
                            y[c] += x[c] * arranged[static_cast<std::size_t>(c * taps + tap)];
                    });
                }
                continue;
            }
            for (std::int64_t group = 0; group < g.groups; ++group) {
                for (std::int64_t i = 0; i < count; ++i)
                    window.for_each_tap(first + i, [&](std::int64_t tap, std::int64_t source) {
                        T* patch = patches.data() + (i * taps + tap) * in;
                        if (source < 0)
                            std::fill(patch, patch + in, T(0));
                        else
                            std::copy_n(image + source * g.in_channels + group * in, in, patch);
                    });
                multiply(count, out, taps * in, patches.data(), taps * in, arranged.data() + group * taps * in * out,
                         out, to + group * out, g.out_channels);
            }
        }
    });
}

}  // namespace torch_ir::backend
