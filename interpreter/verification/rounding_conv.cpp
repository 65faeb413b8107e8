// SPDX-License-Identifier: MIT
// The sums of products of a convolution.
#include <algorithm>
#include <span>
#include <vector>

#include "backend/conv_loop.hpp"
#include "verification/rounding_dot.hpp"
#include "vmath.hpp"

namespace torch_ir::detail {
namespace {

/// The patches of an image, some lines (of the last dimension) of the output at a time.
class Patches {
  public:
    explicit Patches(const backend::ConvGeometry& g) : window_(g) {}

    std::int64_t width() const { return window_.output[2]; }
    /// About a thousand pixels at once.
    std::int64_t lines_at_once() const { return std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, width())); }
    const backend::detail::Window& window() const { return window_; }

    /// Copies what the kernel sees of x[channels, pixels…] from `count` output lines on, as to[channels * taps,
    /// pixels].
    template <class X>
    void gather(std::int64_t begin, std::int64_t count, std::int64_t channels, const X* x, X* to) const {
        for (std::int64_t line = begin; line < begin + count; ++line)
            window_.for_each_line_tap(
                line, [&](std::int64_t tap, std::int64_t source, std::int64_t shift, std::int64_t i0, std::int64_t i1) {
                    for (std::int64_t c = 0; c < channels; ++c) {
                        const X* row = x + c * window_.input_pixels() + source * window_.input[2] + shift;
                        X* out = to + (c * window_.taps() + tap) * count * width() + (line - begin) * width();
                        const std::int64_t stride = window_.stride[2];
                        std::fill_n(out, i0, X(0));
                        if (stride == 1)
                            std::copy(row + i0, row + i1, out + i0);
                        else
                            for (std::int64_t i = i0; i < i1; ++i) out[i] = row[i * stride];
                        std::fill_n(out + i1, width() - i1, X(0));
                    }
                });
    }

  private:
    backend::detail::Window window_;
};

/// Sums, and the sums of the squares times `unit`, of few products each: weight[t] * x[taps[t] + i].
void add_taps(std::span<const std::int64_t> taps, const double* weight, const double* x, double unit, std::int64_t n,
              double* sum, float* squares) {
    constexpr std::int64_t lanes = 4;
    using Wide = vmath::Vector<double, lanes>;
    const auto read = [](const double* from) { return *reinterpret_cast<const Wide*>(from); };
    const auto keep = [&](std::int64_t at, const Wide& s, const Wide& q) {
        *reinterpret_cast<Wide*>(sum + at) = s;
        for (std::int64_t lane = 0; lane < lanes; ++lane) squares[at + lane] = static_cast<float>(q[lane] * unit);
    };
    std::int64_t i = 0;
    for (; i + 3 * lanes <= n; i += 3 * lanes) {
        Wide s0{}, s1{}, s2{}, q0{}, q1{}, q2{};  // in registers, as no array would be
        for (std::size_t t = 0; t < taps.size(); ++t) {
            const double* from = x + taps[t] + i;
            const Wide p0 = weight[t] * read(from);
            const Wide p1 = weight[t] * read(from + lanes);
            const Wide p2 = weight[t] * read(from + 2 * lanes);
            s0 += p0;
            s1 += p1;
            s2 += p2;
            q0 += p0 * p0;
            q1 += p1 * p1;
            q2 += p2 * p2;
        }
        keep(i, s0, q0);
        keep(i + lanes, s1, q1);
        keep(i + 2 * lanes, s2, q2);
    }
    for (; i < n; ++i) {
        double s = 0;
        double q = 0;
        for (std::size_t t = 0; t < taps.size(); ++t) {
            const double product = weight[t] * x[taps[t] + i];
            s += product;
            q += product * product;
        }
        sum[i] = s;
        squares[i] = static_cast<float>(q * unit);
    }
}

/// Convolution with so few terms per element that products are added one by one: x[N, C, pixels…].
template <class X>
void convolve_directly(const backend::ConvGeometry& g, const X* x, const X* weight, double unit, const SumSink& sink) {
    const backend::detail::Window window(g);
    const backend::detail::Phases phases(window);
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    std::vector<std::int64_t> taps;
    for (std::int64_t c = 0; c < in; ++c)
        for (const std::int64_t place : phases.taps()) taps.push_back(c * phases.count() + place);
    const auto terms = static_cast<std::int64_t>(taps.size());
    const std::int64_t grain = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, window.pixels() * out));
    parallel_for(g.batch * g.groups, grain, [&](std::int64_t first, std::int64_t last) {
        const Scratch<double> padded(in * phases.count());
        std::fill_n(padded.data(), in * phases.count(), 0.0);
        const Scratch<double> sum(phases.length());
        const Scratch<float> squares(phases.length());
        std::vector<double> w(taps.size());
        for (std::int64_t piece = first; piece < last; ++piece) {  // of all groups of all images
            for (std::int64_t c = 0; c < in; ++c)
                phases.fill(x + (piece * in + c) * window.input_pixels(), padded.data() + c * phases.count());
            for (std::int64_t o = 0; o < out; ++o) {
                std::copy_n(weight + (piece % g.groups * out + o) * terms, terms, w.begin());
                add_taps(taps, w.data(), padded.data(), 1 / unit, phases.length(), sum.data(), squares.data());
                phases.pack(sum.data(), sum.data());
                phases.pack(squares.data(), squares.data());
                sink({(piece * out + o) * window.pixels(), window.pixels(), sum.data(), squares.data(), unit, nullptr});
            }
        }
    });
}

/// As products of the filter and the patches, some lines at a time.
template <class X>
void convolve_patches(const backend::ConvGeometry& g, const X* x, const X* weight, double scale_x, double scale_w,
                      double unit, const SumSink& sink) {
    const Patches patches(g);
    const backend::detail::Window& window = patches.window();
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t terms = in * window.taps();
    const std::int64_t groups = group_count(terms);
    const std::int64_t lines = patches.lines_at_once();
    const std::int64_t blocks = (window.lines() + lines - 1) / lines;
    const bool as_it_lies = g.is_pointwise();
    const Scratch<float> weight_squares(g.out_channels * groups);
    square_rows(weight_squares.data(), weight, g.out_channels, terms, scale_w, Grouped::Mean);
    parallel_for(g.batch * g.groups * blocks, 1, [&](std::int64_t first, std::int64_t last) {
        const Scratch<X> columns(as_it_lies ? 0 : terms * lines * patches.width());
        const Scratch<float> column_squares(groups * lines * patches.width());
        for (std::int64_t piece = first; piece < last; ++piece) {
            const std::int64_t begin = piece % blocks * lines;
            const std::int64_t of_group = piece / blocks;  // of all groups of all images
            const std::int64_t group = of_group % g.groups;
            const std::int64_t count = std::min(lines, window.lines() - begin);
            const std::int64_t n = count * patches.width();
            const X* source = x + of_group * in * window.input_pixels();
            if (!as_it_lies) patches.gather(begin, count, in, source, columns.data());
            const X* b = as_it_lies ? source + begin * patches.width() : columns.data();
            const std::int64_t ldb = as_it_lies ? window.pixels() : n;
            square_lines(column_squares.data(), b, ldb, terms, n, scale_x, Grouped::Sum);
            multiply_tiles(false, out, n, terms, weight + group * out * terms, b, ldb,
                           weight_squares.data() + group * out * groups, column_squares.data(), unit,
                           of_group * out * window.pixels() + begin * patches.width(), window.pixels(), sink);
        }
    });
}

}  // namespace

Sums convolve(const Tensor& input, const Tensor& filter, const backend::ConvGeometry& g) {
    Ints shape{g.batch, g.out_channels};
    shape.insert(shape.end(), g.output.begin(), g.output.end());
    const auto rows = [g, x = input.contiguous(), weight = filter.contiguous()](const SumSink& sink) {
        const double scale_x = scale_of(x);
        const double scale_w = scale_of(weight);
        const double unit = 1 / (scale_x * scale_x * scale_w * scale_w);
        const bool directly = weight.numel() / g.out_channels < fewest_terms && g.out_channels / g.groups < 4;
        visit_float(x.dtype(), "convolve", [&]<class X>(X) {
            if (directly)
                convolve_directly(g, x.data<X>(), weight.data<X>(), unit, sink);
            else
                convolve_patches(g, x.data<X>(), weight.data<X>(), scale_x, scale_w, unit, sink);
        });
    };
    return {shape, rows};
}

}  // namespace torch_ir::detail
