// SPDX-License-Identifier: MIT
// Convolution of any element type in channels-last layout: the register block of a matrix product, whose rows are the
// windows of the input where they lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/conv.hpp"
#include "backend/gemm_loop.hpp"
#include "memory.hpp"

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
    /// Positions of the padded input that the windows see along a dimension.
    std::int64_t reach(std::size_t d) const { return (output[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1; }
    std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }

    /// Some output pixel sees nothing but padding.
    bool has_empty() const {
        for (std::size_t d = 0; d < 3; ++d) {
            if ((output[d] - 1) * stride[d] - padding[d] >= input[d]) return true;
            for (std::int64_t i = 0; i < output[d] && i * stride[d] < padding[d]; ++i) {
                const std::int64_t before = padding[d] - i * stride[d];
                const std::int64_t first = (before + dilation[d] - 1) / dilation[d];  // tap not before the input
                if (first >= kernel[d] || first * dilation[d] - before >= input[d]) return true;
            }
        }
        return false;
    }

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

    /// Output pixels that are neighbours in the last dimension.
    std::int64_t lines() const { return output[0] * output[1]; }

    /// Calls `f(tap, source, shift, begin, end)` for every kernel tap of a line of output pixels: pixels begin to end
    /// see position `shift + pixel * stride[2]` of input line `source`, the others padding.
    template <class F>
    void for_each_line_tap(std::int64_t line, F&& f) const {
        const std::int64_t at[2] = {line / output[1], line % output[1]};
        std::int64_t tap = 0;
        for (std::int64_t a = 0; a < kernel[0]; ++a)
            for (std::int64_t b = 0; b < kernel[1]; ++b) {
                const std::int64_t x = at[0] * stride[0] - padding[0] + a * dilation[0];
                const std::int64_t y = at[1] * stride[1] - padding[1] + b * dilation[1];
                const bool inside = x >= 0 && x < input[0] && y >= 0 && y < input[1];
                for (std::int64_t c = 0; c < kernel[2]; ++c, ++tap) {
                    const std::int64_t shift = c * dilation[2] - padding[2];
                    const std::int64_t begin = shift >= 0 ? 0 : (-shift + stride[2] - 1) / stride[2];
                    const std::int64_t last = input[2] - 1 - shift;  // of the input, seen from pixel 0
                    const std::int64_t end = inside && last >= 0 ? std::min(output[2], last / stride[2] + 1) : 0;
                    f(tap, x * input[1] + y, shift, std::min(begin, end), end);
                }
            }
    }
};

/// An image with its padding, cut into one image for each residue of the positions by the strides: what one tap of the
/// kernel sees are then neighbours, and one long loop goes over all lines (and over a few numbers between them).
class Phases {
  public:
    explicit Phases(const Window& window) : window_(window) {
        for (std::size_t d = 0; d < 3; ++d) size_[d] = (w().reach(d) + w().stride[d] - 1) / w().stride[d];
    }

    /// Of an image.
    std::int64_t count() const { return w().stride[0] * w().stride[1] * w().stride[2] * phase(); }
    /// From the first sum of an image to the last.
    std::int64_t length() const { return index(w().output[0] - 1, w().output[1] - 1, w().output[2]); }

    /// Fills `to`, which is zero but for what an image before has left.
    template <class X, class T>
    void fill(const X* x, T* to) const {
        for (std::int64_t a = 0; a < w().input[0]; ++a)
            for (std::int64_t b = 0; b < w().input[1]; ++b, x += w().input[2]) {
                const std::int64_t p = a + w().padding[0];
                const std::int64_t q = b + w().padding[1];
                if (p / w().stride[0] >= size_[0] || q / w().stride[1] >= size_[1]) continue;
                for (std::int64_t residue = 0; residue < w().stride[2]; ++residue) {
                    const std::int64_t first = (residue - w().padding[2]) % w().stride[2];
                    const std::int64_t begin = first < 0 ? first + w().stride[2] : first;
                    T* line = to + place(p, q, begin + w().padding[2]);
                    const std::int64_t room = size_[2] - (begin + w().padding[2]) / w().stride[2];
                    const std::int64_t there = (w().input[2] - begin + w().stride[2] - 1) / w().stride[2];
                    const std::int64_t n = std::min(room, there);
                    if (w().stride[2] == 1)
                        std::copy_n(x + begin, n, line);
                    else
                        for (std::int64_t i = 0; i < n; ++i) line[i] = static_cast<T>(x[begin + i * w().stride[2]]);
                }
            }
    }

    /// Where the taps of the kernel see the first pixel.
    std::vector<std::int64_t> taps() const {
        std::vector<std::int64_t> places;
        for (std::int64_t a = 0; a < w().kernel[0]; ++a)
            for (std::int64_t b = 0; b < w().kernel[1]; ++b)
                for (std::int64_t c = 0; c < w().kernel[2]; ++c)
                    places.push_back(place(a * w().dilation[0], b * w().dilation[1], c * w().dilation[2]));
        return places;
    }

    /// Brings what lies line by line together; `to` may be `values`.
    template <class T>
    void pack(const T* values, T* to) const {
        for (std::int64_t a = 0; a < w().output[0]; ++a)
            for (std::int64_t b = 0; b < w().output[1]; ++b, to += w().output[2])
                std::copy_n(values + index(a, b, 0), w().output[2], to);
    }

  private:
    const Window& w() const { return window_; }
    std::int64_t phase() const { return size_[0] * size_[1] * size_[2]; }
    std::int64_t index(std::int64_t a, std::int64_t b, std::int64_t c) const {
        return (a * size_[1] + b) * size_[2] + c;
    }
    /// Of a position with padding.
    std::int64_t place(std::int64_t a, std::int64_t b, std::int64_t c) const {
        const std::int64_t* s = w().stride;
        const std::int64_t residue = (a % s[0] * s[1] + b % s[1]) * s[2] + c % s[2];
        return residue * phase() + index(a / s[0], b / s[1], c / s[2]);
    }

    Window window_;
    std::int64_t size_[3];
};

/// Images with their padding around them: what windows are read from.
struct PaddedInput {
    std::int64_t size[3];
    std::int64_t pixels = 1;
    bool is_input = true;  // nothing is added

    explicit PaddedInput(const Window& w) {
        for (std::size_t d = 0; d < 3; ++d) {
            size[d] = std::max(w.reach(d), w.input[d] + w.padding[d]);
            is_input = is_input && size[d] == w.input[d];
            pixels *= size[d];
        }
    }

    /// Copies `images` of them between zeros.
    template <class T>
    void fill(const Window& w, std::int64_t images, std::int64_t channels, const T* src, T* to) const {
        parallel_for(images * size[0] * size[1], std::max<std::int64_t>(1, parallel_grain / (size[2] * channels)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t row = begin; row < end; ++row) {
                             const std::int64_t x = row / size[1] % size[0] - w.padding[0];
                             const std::int64_t y = row % size[1] - w.padding[1];
                             T* line = to + row * size[2] * channels;
                             if (x < 0 || x >= w.input[0] || y < 0 || y >= w.input[1]) {
                                 std::fill_n(line, size[2] * channels, T(0));
                                 continue;
                             }
                             const std::int64_t image = row / (size[0] * size[1]);
                             const T* from = src + ((image * w.input[0] + x) * w.input[1] + y) * w.input[2] * channels;
                             std::fill_n(line, w.padding[2] * channels, T(0));
                             T* const behind = std::copy_n(from, w.input[2] * channels, line + w.padding[2] * channels);
                             std::fill(behind, line + size[2] * channels, T(0));
                         }
                     });
    }
};

}  // namespace detail

/// sums[n, pixels, channels] of a depthwise convolution.
template <class T>
void depthwise_loop(const ConvGeometry& g, const T* src, const T* weight, T* sums) {
    const detail::Window window(g);
    const std::int64_t taps = window.taps();
    const std::int64_t channels = g.in_channels;
    const std::int64_t pixels = window.pixels();
    parallel_for(g.batch * pixels, 64, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            T* y = sums + i * channels;
            std::fill(y, y + channels, T(0));
            window.for_each_tap(i % pixels, [&](std::int64_t tap, std::int64_t source) {
                if (source < 0) return;
                const T* x = src + (i / pixels * window.input_pixels() + source) * channels;
                for (std::int64_t c = 0; c < channels; ++c) y[c] += x[c] * weight[c * taps + tap];
            });
        }
    });
}

/// dst[n, channels, pixels] of a depthwise convolution of src[n, channels, pixels]; `bias` of each channel, or nullptr.
/// Weights must be finite: they meet the zeros of the padding.
template <class T>
void depthwise_planes(const ConvGeometry& g, const T* src, const T* weight, const T* bias, T* dst) {
    const detail::Window window(g);
    const detail::Phases phases(window);
    const std::vector<std::int64_t> taps = phases.taps();
    const std::int64_t grain = std::max<std::int64_t>(1, parallel_grain / (window.pixels() * window.taps()));
    parallel_for(g.batch * g.in_channels, grain, [&](std::int64_t begin, std::int64_t end) {
        constexpr std::int64_t lanes = 4 * 32 / sizeof(T);  // of which the sums stay in registers
        using Sums = vmath::Vector<T, 32 / sizeof(T)>;
        const std::int64_t n = phases.length();
        const Scratch<T> padded(phases.count() + lanes);
        const Scratch<T> sums(n + lanes);
        std::fill_n(padded.data(), phases.count() + lanes, T(0));
        for (std::int64_t plane = begin; plane < end; ++plane) {
            const std::int64_t channel = plane % g.in_channels;
            const T* w = weight + channel * window.taps();
            phases.fill(src + plane * window.input_pixels(), padded.data());
            for (std::int64_t i = 0; i < n; i += lanes) {
                Sums s0 = Sums{} + (bias ? bias[channel] : T(0));
                Sums s1 = s0, s2 = s0, s3 = s0;  // in registers, as no array would be
                for (std::size_t t = 0; t < taps.size(); ++t) {
                    const auto* x = reinterpret_cast<const Sums*>(padded.data() + taps[t] + i);
                    s0 += w[t] * x[0];
                    s1 += w[t] * x[1];
                    s2 += w[t] * x[2];
                    s3 += w[t] * x[3];
                }
                auto* to = reinterpret_cast<Sums*>(sums.data() + i);
                to[0] = s0;
                to[1] = s1;
                to[2] = s2;
                to[3] = s3;
            }
            phases.pack(sums.data(), dst + plane * window.pixels());
        }
    });
}

/// The weights for conv_loop, times scale[out_channels] (nullptr: 1). Not for depthwise convolutions.
template <class T>
std::shared_ptr<const Scratch<T>> pack_conv_weights(const ConvGeometry& g, const T* weight, const T* scale) {
    constexpr std::int64_t width = detail::block_columns<T>;
    const std::int64_t taps = detail::Window(g).taps();
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t blocks = (out + width - 1) / width;
    const std::int64_t depth = taps * in;
    auto packed = std::make_shared<Scratch<T>>(g.groups * blocks * width * depth);
    std::vector<std::int64_t> rows;  // channels of a tap are neighbours
    for (std::int64_t c = 0; c < in; ++c)
        for (std::int64_t tap = 0; tap < taps; ++tap) rows.push_back(tap * in + c);
    parallel_for(g.groups * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block) {
            T* to = packed->data() + block * width * depth;
            const std::int64_t first = block % blocks * width;
            const std::int64_t channel = block / blocks * out + first;
            const std::int64_t columns = std::min(width, out - first);
            detail::pack_transposed(to, weight + channel * depth, depth, columns, depth,
                                    [&](std::int64_t p) { return rows[p]; });
            if (!scale) continue;
            for (std::int64_t p = 0; p < depth; ++p)
                for (std::int64_t j = 0; j < columns; ++j) to[p * width + j] *= scale[channel + j];
        }
    });
    return packed;
}

/// dst[n, pixels, out_channels] = the sums of products of src and what pack_conv_weights made, + what dst held if
/// `add_to_output`, finished if `finish` is given. Not for depthwise convolutions.
template <class T>
void conv_loop(const ConvGeometry& g, const T* src, const T* packed, bool add_to_output,
               const detail::Finish<T>* finish, T* dst) {
    using namespace detail;
    constexpr std::int64_t width = block_columns<T>;
    const Window window(g);
    const PaddedInput padded(window);
    const std::int64_t pixels = window.pixels();
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t* size = padded.size;

    // Neighbours along the last dimension lie side by side.
    const bool joined = g.groups == 1 && window.dilation[2] == 1;
    std::vector<std::int64_t> offsets;
    for (std::int64_t a = 0; a < window.kernel[0]; ++a)
        for (std::int64_t b = 0; b < window.kernel[1]; ++b)
            for (std::int64_t c = 0; c < (joined ? 1 : window.kernel[2]); ++c)
                offsets.push_back(
                    ((a * window.dilation[0] * size[1] + b * window.dilation[1]) * size[2] + c * window.dilation[2]) *
                    g.in_channels);
    const RowParts parts{offsets.data(), static_cast<std::int64_t>(offsets.size()),
                         joined ? window.kernel[2] * in : in};

    // As many images at a time as stay in a cache once they are padded.
    const std::int64_t image_bytes = padded.pixels * g.in_channels * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t at_once =
        padded.is_input ? g.batch : std::clamp<std::int64_t>((std::int64_t{4} << 20) / image_bytes, 1, g.batch);
    const Scratch<T> copy(padded.is_input ? 0 : at_once * padded.pixels * g.in_channels);
    for (std::int64_t n = 0; n < g.batch; n += at_once) {
        const std::int64_t images = std::min(at_once, g.batch - n);
        const T* input = src + n * window.input_pixels() * g.in_channels;
        if (!padded.is_input) {
            padded.fill(window, images, g.in_channels, input, copy.data());
            input = copy.data();
        }
        const auto window_of = [&](std::int64_t i) {
            const std::int64_t pixel = i % pixels;
            const std::int64_t x = pixel / (window.output[1] * window.output[2]) * window.stride[0];
            const std::int64_t y = pixel / window.output[2] % window.output[1] * window.stride[1];
            const std::int64_t z = pixel % window.output[2] * window.stride[2];
            return i / pixels * padded.pixels + (x * size[1] + y) * size[2] + z;
        };
        for (std::int64_t group = 0; group < g.groups; ++group) {
            Finish<T> group_finish{};
            if (finish) {
                group_finish = *finish;
                if (finish->bias) group_finish.bias += group * out;
            }
            multiply_packed(
                images * pixels, out, parts,
                [&](std::int64_t i) { return input + window_of(i) * g.in_channels + group * in; },
                packed + group * ((out + width - 1) / width * width) * parts.depth(), T(add_to_output ? 1 : 0),
                dst + n * pixels * g.out_channels + group * out, g.out_channels, finish ? &group_finish : nullptr);
        }
    }
}

/// conv by conv_loop. `kept` is where the packed weights stay from one call to the next; nullptr: nowhere.
inline void conv_by_loop(const ConvGeometry& g, const float* src, const float* weight, const ConvEpilogue& epilogue,
                         float* dst, std::shared_ptr<const Scratch<float>>* kept) {
    std::shared_ptr<const Scratch<float>> packed = kept ? *kept : nullptr;
    if (!packed) {
        packed = pack_conv_weights(g, weight, epilogue.scale);
        if (kept) {
            *kept = packed;
            const std::int64_t count = g.out_channels * (g.in_channels / g.groups) * detail::Window(g).taps();
            release_mapped_pages(weight, static_cast<std::size_t>(count) * sizeof(float));
        }
    }
    const detail::Finish<float> finish{epilogue.bias, epilogue.low, epilogue.high};
    conv_loop(g, src, packed->data(), epilogue.add_to_output, epilogue.bias || epilogue.clamps() ? &finish : nullptr,
              dst);
}

}  // namespace torch_ir::backend
