// SPDX-License-Identifier: MIT
// Resizing: along each spatial dimension in turn, every output is a weighted sum of a few inputs.
#include <cmath>
#include <limits>

#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/pool.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

enum class Mode { Nearest, NearestExact, Linear, Cubic, LinearAntialias, CubicAntialias, LanczosAntialias };

/// Output o is the sum of weight[o * taps + k] · input[index[o * taps + k]].
template <class C>
struct Taps {
    std::int64_t taps = 1;
    Ints index;
    std::vector<C> weight;
};

struct Resize {
    std::int64_t in;
    std::int64_t out;
    std::optional<double> factor;  // how much larger the output is, when that was given
    bool align_corners;
};

/// Inputs per output.
template <class C>
C scale_of(const Resize& r) {
    if (r.align_corners) return r.out > 1 ? static_cast<C>(r.in - 1) / static_cast<C>(r.out - 1) : C(0);
    if (r.factor && *r.factor > 0) return static_cast<C>(1.0 / *r.factor);
    return static_cast<C>(r.in) / static_cast<C>(r.out);
}

/// Is the dimension's result another than its input? A factor counts where PyTorch's kernel does not look at the sizes
/// first; for nearest neighbours that depends on what is resized.
bool changes(Mode mode, const Resize& r, bool factor_counts = false) {
    const bool scaled = !r.align_corners && r.factor && *r.factor > 0 && *r.factor != 1;
    factor_counts = factor_counts || mode == Mode::Cubic || mode == Mode::NearestExact;
    return r.in != r.out || mode >= Mode::LinearAntialias || (factor_counts && scaled);
}

template <class C>
C filter(Mode mode, C x) {
    x = std::abs(x);
    if (mode == Mode::LinearAntialias) return x < 1 ? 1 - x : C(0);
    if (mode == Mode::CubicAntialias) {
        constexpr C a = C(-0.5);
        if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : C(0);
    }
    const auto sinc = [](C v) {
        const C t = v * C(3.14159265358979323846);
        return v == 0 ? C(1) : std::sin(t) / t;
    };
    return x < 3 ? sinc(x) * sinc(x / 3) : C(0);
}

template <class C>
Taps<C> antialias_taps(Mode mode, const Resize& r) {
    const C scale = scale_of<C>(r);
    const C half = mode == Mode::LinearAntialias ? C(1) : mode == Mode::CubicAntialias ? C(2) : C(3);
    const C support = scale >= 1 ? half * scale : half;
    const C inverse = scale >= 1 ? 1 / scale : C(1);
    constexpr C shift = C(0.5);  // with align_corners too
    Taps<C> t;
    t.taps = std::min<std::int64_t>(static_cast<std::int64_t>(std::ceil(support)) * 2 + 1, r.in);
    t.index.resize(static_cast<std::size_t>(t.taps * r.out));
    t.weight.resize(t.index.size());
    for (std::int64_t o = 0; o < r.out; ++o) {
        const C center = scale * (static_cast<C>(o) + shift);
        const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(center - support + C(0.5)), 0, r.in - 1);
        const auto end = std::min(static_cast<std::int64_t>(center + support + C(0.5)), r.in);
        const std::int64_t n = std::clamp<std::int64_t>(end - first, 0, t.taps);
        C total = 0;
        for (std::int64_t k = 0; k < t.taps; ++k) {
            const auto at = static_cast<std::size_t>(o * t.taps + k);
            t.index[at] = k < n ? first + k : first;  // beyond the window nothing is read, not even times 0
            t.weight[at] = k < n ? filter(mode, (static_cast<C>(first + k) - center + shift) * inverse) : C(0);
            total += t.weight[at];
        }
        if (total != 0)
            for (std::int64_t k = 0; k < t.taps; ++k) t.weight[static_cast<std::size_t>(o * t.taps + k)] /= total;
    }
    return t;
}

/// The weights of a linear or cubic filter as `dtype` holds them.
template <class C>
Taps<C> make_taps(Mode mode, const Resize& r, DType dtype) {
    if (mode >= Mode::LinearAntialias) return antialias_taps<C>(mode, r);
    Taps<C> t;
    const auto rounded = [dtype](C weight) { return static_cast<C>(round_to(dtype, static_cast<double>(weight))); };
    const auto add = [&](std::int64_t index, C weight) {
        t.index.push_back(std::clamp<std::int64_t>(index, 0, r.in - 1));
        t.weight.push_back(weight);
    };
    if (mode == Mode::Nearest || mode == Mode::NearestExact) {
        const auto scale = scale_of<float>({r.in, r.out, r.factor, false});
        const float shift = mode == Mode::NearestExact ? 0.5F : 0.0F;
        for (std::int64_t o = 0; o < r.out; ++o) {
            if (r.in == r.out)
                add(o, 1);
            else if (r.out == 2 * r.in && mode == Mode::Nearest)
                add(o >> 1, 1);
            else
                add(static_cast<std::int64_t>(std::floor((static_cast<float>(o) + shift) * scale)), 1);
        }
        return t;
    }
    const C scale = scale_of<C>(r);
    t.taps = mode == Mode::Linear ? 2 : 4;
    for (std::int64_t o = 0; o < r.out; ++o) {
        C at = r.align_corners ? scale * static_cast<C>(o) : scale * (static_cast<C>(o) + C(0.5)) - C(0.5);
        if (mode == Mode::Linear) {
            if (r.in == r.out) at = static_cast<C>(o);
            at = at < 0 ? C(0) : at;
            const std::int64_t first = std::min(static_cast<std::int64_t>(at), r.in - 1);
            const C w = rounded(std::clamp(at - static_cast<C>(first), C(0), C(1)));
            add(first, rounded(1 - w));
            add(first + 1, w);
            continue;
        }
        const std::int64_t first = std::min(static_cast<std::int64_t>(std::floor(at)), r.in - 1);
        const C x = std::clamp(at - static_cast<C>(first), C(0), C(1));
        constexpr C a = C(-0.75);
        const auto near = [](C v) { return ((a + 2) * v - (a + 3)) * v * v + 1; };
        const auto far = [](C v) { return ((a * v - 5 * a) * v + 8 * a) * v - 4 * a; };
        add(first - 1, rounded(far(x + 1)));
        add(first, rounded(near(x)));
        add(first + 1, rounded(near(1 - x)));
        add(first + 2, rounded(far(2 - x)));
    }
    return t;
}

/// The transposed sums: input i is what the outputs that it takes part in hand back, with the same weights.
template <class C>
Taps<C> transposed(const Taps<C>& t, std::int64_t in) {
    Ints count(static_cast<std::size_t>(in), 0);
    for (const std::int64_t i : t.index) ++count[static_cast<std::size_t>(i)];
    Taps<C> back;
    back.taps = std::max<std::int64_t>(2, *std::max_element(count.begin(), count.end()));  // one alone is a copy
    back.index.assign(static_cast<std::size_t>(in * back.taps), 0);
    back.weight.assign(back.index.size(), C(0));
    std::fill(count.begin(), count.end(), 0);
    for (std::size_t k = 0; k < t.index.size(); ++k) {
        const std::int64_t i = t.index[k];
        const auto at = static_cast<std::size_t>(i * back.taps + count[static_cast<std::size_t>(i)]++);
        back.index[at] = static_cast<std::int64_t>(k) / t.taps;
        back.weight[at] = t.weight[k];
    }
    for (std::int64_t i = 0; i < in; ++i)  // places left over read what is read anyway
        for (std::int64_t k = std::max<std::int64_t>(1, count[static_cast<std::size_t>(i)]); k < back.taps; ++k)
            back.index[static_cast<std::size_t>(i * back.taps + k)] =
                back.index[static_cast<std::size_t>(i * back.taps)];
    return back;
}

/// x [in] → y [out]
template <class C>
void resample_row(const Taps<C>& t, std::int64_t out, const C* x, C* y) {
    const std::int64_t* index = t.index.data();
    const C* weight = t.weight.data();
    if (t.taps == 1) {
        for (std::int64_t o = 0; o < out; ++o) y[o] = x[index[o]];
    } else if (t.taps == 2) {
#pragma GCC ivdep
        for (std::int64_t o = 0; o < out; ++o)
            y[o] = weight[2 * o] * x[index[2 * o]] + weight[2 * o + 1] * x[index[2 * o + 1]];
    } else {
        for (std::int64_t o = 0; o < out; ++o, index += t.taps, weight += t.taps) {
            C total = weight[0] * x[index[0]];
            for (std::int64_t k = 1; k < t.taps; ++k) total += weight[k] * x[index[k]];
            y[o] = total;
        }
    }
}

/// x [outer, in, inner] → y [outer, out, inner].
template <class C>
void resample(const Taps<C>& t, std::int64_t outer, std::int64_t in, std::int64_t out, std::int64_t inner, const C* x,
              C* y) {
    if (inner == 1) {
        parallel_for(outer, std::max<std::int64_t>(1, parallel_grain / (out * t.taps)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t row = begin; row < end; ++row)
                             resample_row(t, out, x + row * in, y + row * out);
                     });
        return;
    }
    parallel_for(outer * out, std::max<std::int64_t>(1, parallel_grain / (inner * t.taps)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                         const C* from = x + i / out * in * inner;
                         const std::int64_t first = i % out * t.taps;
                         const std::int64_t* index = t.index.data() + first;
                         const C* weight = t.weight.data() + first;
                         C* to = y + i * inner;
                         if (t.taps == 1) {
                             std::copy_n(from + index[0] * inner, inner, to);
                         } else if (t.taps == 2) {
                             const C* a = from + index[0] * inner;
                             const C* b = from + index[1] * inner;
#pragma GCC ivdep
                             for (std::int64_t j = 0; j < inner; ++j) to[j] = weight[0] * a[j] + weight[1] * b[j];
                         } else {
                             std::fill(to, to + inner, C(0));
                             for (std::int64_t k = 0; k < t.taps; ++k) {
                                 const C* a = from + index[k] * inner;
#pragma GCC ivdep
                                 for (std::int64_t j = 0; j < inner; ++j) to[j] += weight[k] * a[j];
                             }
                         }
                     }
                 });
}

/// bytes [outer, in, inner] → [outer, out, inner]: PyTorch's fixed-point arithmetic, 16-bit weights of the largest
/// precision.
void resample_bytes(Taps<double> t, std::int64_t outer, std::int64_t in, std::int64_t out, std::int64_t inner,
                    const std::uint8_t* x, std::uint8_t* y) {
    double largest = 0;
    for (std::int64_t o = 0; o < out; ++o)
        for (std::int64_t k = o * t.taps; k < (o + 1) * t.taps; ++k) {
            // Taps that the edge makes the same are one.
            for (std::int64_t j = o * t.taps; j < k; ++j)
                if (t.index[static_cast<std::size_t>(j)] == t.index[static_cast<std::size_t>(k)]) {
                    t.weight[static_cast<std::size_t>(j)] += t.weight[static_cast<std::size_t>(k)];
                    t.weight[static_cast<std::size_t>(k)] = 0;
                    break;
                }
        }
    for (const double w : t.weight) largest = std::max(largest, w);
    int precision = 0;
    while (precision < 22 && 0.5 + largest * static_cast<double>(1 << (precision + 1)) < 32768) ++precision;
    std::vector<std::int32_t> weight;
    for (const double w : t.weight) {
        const double v = w * static_cast<double>(1 << precision);
        weight.push_back(static_cast<std::int32_t>(v < 0 ? v - 0.5 : v + 0.5));
    }
    const std::int32_t half = precision > 0 ? 1 << (precision - 1) : 0;
    parallel_for(outer * out, std::max<std::int64_t>(1, parallel_grain / (inner * t.taps)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i)
                         for (std::int64_t j = 0; j < inner; ++j) {
                             const std::uint8_t* from = x + i / out * in * inner + j;
                             std::int32_t total = half;
                             for (std::int64_t k = i % out * t.taps; k < (i % out + 1) * t.taps; ++k)
                                 total += weight[static_cast<std::size_t>(k)] *
                                          from[t.index[static_cast<std::size_t>(k)] * inner];
                             y[i * inner + j] = static_cast<std::uint8_t>(std::clamp(total >> precision, 0, 255));
                         }
                 });
}

using Factors = std::vector<std::optional<double>>;

/// From the innermost dimension to the outermost, every pass rounded to bytes.
Tensor resize_bytes(Mode mode, const Tensor& self, const std::vector<PoolAxis>& axes, std::size_t rank,
                    bool align_corners, const Factors& factors) {
    const PoolPlanes p = pool_planes(self, DType::UInt8, rank, axes);
    const Tensor out = p.make_output(DType::UInt8);
    if (out.numel() == 0) return out;
    Tensor x = p.in;
    std::int64_t inner = p.inner;
    for (std::size_t i = 3; i-- > 3 - rank;) {
        const PoolAxis& axis = axes[i];
        const Resize r{axis.in, axis.out, factors[i + rank - 3], align_corners};
        if (changes(mode, r)) {
            std::int64_t outer = p.outer;
            for (std::size_t j = 0; j < i; ++j) outer *= axes[j].in;
            const Tensor y = Tensor::empty({outer, axis.out, inner}, DType::UInt8);
            resample_bytes(make_taps<double>(mode, r, DType::Float64), outer, axis.in, axis.out, inner,
                           x.data<std::uint8_t>(), y.data<std::uint8_t>());
            x = y;
        }
        inner *= axis.out;
    }
    std::copy_n(x.data<std::uint8_t>(), out.numel(), out.data<std::uint8_t>());
    return out;
}

/// From the outermost dimension to the innermost, with `taps_of(i)` for the i-th of those that are `changed`.
template <class C, class F>
Tensor resample_axes(const Tensor& self, const std::vector<PoolAxis>& axes, const std::vector<bool>& changed,
                     F taps_of) {
    const std::size_t rank = changed.size();
    const PoolPlanes p = pool_planes(self, dtype_of<C>(), rank, axes);
    const Tensor out = p.make_output(dtype_of<C>());
    if (out.numel() == 0) return out;
    std::int64_t outer = p.outer;
    std::int64_t inner = p.inner;
    for (const PoolAxis& axis : axes) inner *= axis.in;
    const C* x = p.in.data<C>();
    Tensor memory = p.in;
    bool written = false;
    for (std::size_t i = 0; i < 3; ++i) {
        const PoolAxis& axis = axes[i];
        inner /= axis.in;
        if (i + rank >= 3 && changed[i + rank - 3]) {
            const auto later = changed.begin() + static_cast<std::ptrdiff_t>(i + rank - 3) + 1;
            const bool is_output = std::find(later, changed.end(), true) == changed.end();
            const Tensor y = is_output ? out : Tensor::empty({outer, axis.out, inner}, dtype_of<C>());
            resample<C>(taps_of(i + rank - 3), outer, axis.in, axis.out, inner, x, y.data<C>());
            memory = y;
            x = y.data<C>();
            written = is_output;
        }
        outer *= axis.out;
    }
    if (!written) std::copy_n(x, out.numel(), out.data<C>());
    return out;
}

/// The sizes of the last `rank` dimensions of `self`, and those they become.
std::vector<PoolAxis> resized_axes(const char* op, const Tensor& self, std::span<const std::int64_t> output_size) {
    const std::size_t rank = output_size.size();
    bool fits = self.dim() == static_cast<std::int64_t>(rank) + 2;
    for (std::int64_t d = 1; fits && d < self.dim(); ++d) fits = self.size(d) > 0;
    if (!fits)
        throw ArgumentError(std::string(op) + ": expected 'self' of " + std::to_string(rank + 2) +
                            " dimensions, only the batch empty, found " + describe(self));
    std::vector<PoolAxis> axes(3);
    for (std::size_t i = 0; i < rank; ++i) {
        if (output_size[i] <= 0 || output_size[i] >= std::int64_t{1} << 31)
            throw ArgumentError(std::string(op) + ": expected 'output_size' greater than 0, found " +
                                to_string(output_size));
        axes[3 - rank + i].in = self.size(static_cast<std::int64_t>(i) + 2);
        axes[3 - rank + i].out = output_size[i];
    }
    return axes;
}

/// Whether PyTorch resizes images of 16-bit floats by a kernel that keeps weights in float32: where the channels lie
/// last, and small ones in any order.
bool keeps_weights(Mode mode, const Tensor& self, const Ints& output_size) {
    const std::size_t rank = output_size.size();
    if (mode != Mode::Linear || rank == 1) return false;
    return (has_format(self, channels_last_format(self.dim())) && self.size(1) > 3) ||
           (rank == 2 && output_size[0] + output_size[1] <= 128);
}

Tensor resize(const char* op, Mode mode, const Tensor& self, const Ints& output_size, bool align_corners,
              const Factors& factors) {
    const std::size_t rank = output_size.size();
    const std::vector<PoolAxis> axes = resized_axes(op, self, output_size);
    if (self.dtype() == DType::UInt8 && mode != Mode::Nearest && mode != Mode::NearestExact)
        return resize_bytes(mode, self, axes, rank, align_corners, factors);
    const auto resize_of = [&](std::size_t i) {
        const PoolAxis& axis = axes[3 - rank + i];
        return Resize{axis.in, axis.out, factors[i], align_corners};
    };
    std::vector<bool> changed;
    const bool factor_counts = mode == Mode::Nearest && rank != 2 && !suggests_channels_last(self);
    for (std::size_t i = 0; i < rank; ++i) changed.push_back(changes(mode, resize_of(i), factor_counts));
    if (self.dtype() != DType::UInt8 &&
        (!is_floating_point(self.dtype()) || (mode >= Mode::LinearAntialias && item_size(self.dtype()) < 4)))
        throw UnsupportedError(std::string(op) + " is not defined for dtype '" + std::string(name(self.dtype())) + "'");
    const bool rounds = is_half(self.dtype()) && !keeps_weights(mode, self, output_size);
    return visit_float(self.dtype() == DType::UInt8 ? DType::Float32 : self.dtype(), op, [&]<class C>(C) {
        const DType weights = rounds ? self.dtype() : dtype_of<C>();
        const Tensor out = resample_axes<C>(self, axes, changed,
                                            [&](std::size_t i) { return make_taps<C>(mode, resize_of(i), weights); });
        return out.to(self.dtype());
    });
}

/// The gradient of an input of `input_size`.
Tensor resize_backward(const char* op, Mode mode, const Tensor& grad_output, const Ints& output_size,
                       const Ints& input_size, bool align_corners, const Factors& factors) {
    const std::size_t rank = factors.size();
    if (output_size.size() != rank || input_size.size() != rank + 2)
        throw ArgumentError(std::string(op) + ": expected 'output_size' of " + std::to_string(rank) +
                            " and 'input_size' of " + std::to_string(rank + 2) + " numbers, found " +
                            to_string(output_size) + " and " + to_string(input_size));
    Ints expected{input_size[0], input_size[1]};
    expected.insert(expected.end(), output_size.begin(), output_size.end());
    if (grad_output.shape() != expected)
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of shape " + to_string(expected) + ", found " +
                            describe(grad_output));
    const std::vector<PoolAxis> axes = resized_axes(op, grad_output, std::span(input_size).subspan(2));
    const auto resize_of = [&](std::size_t i) {
        const PoolAxis& axis = axes[3 - rank + i];
        return Resize{axis.out, axis.in, factors[i], align_corners};
    };
    std::vector<bool> changed;
    for (std::size_t i = 0; i < rank; ++i) changed.push_back(changes(mode, resize_of(i)));
    if (mode == Mode::Cubic && expected == input_size)
        changed.assign(rank, false);  // unlike forward, whatever the factor
    return visit_float(grad_output.dtype(), op, [&]<class C>(C) {
        return resample_axes<C>(grad_output, axes, changed,
                                [&](std::size_t i) {
                                    return transposed(make_taps<C>(mode, resize_of(i), dtype_of<C>()),
                                                      axes[3 - rank + i].out);
                                })
            .to(grad_output.dtype());
    });
}

/// The sizes from one of 'output_size' and 'scale_factors'.
Tensor resize_vec(const char* op, Mode mode, std::size_t rank, const Tensor& self,
                  const std::optional<Ints>& output_size, bool align_corners,
                  const std::optional<Doubles>& scale_factors) {
    if (output_size.has_value() == scale_factors.has_value())
        throw ArgumentError(std::string(op) + ": expected one of 'output_size' and 'scale_factors'");
    if (self.dim() != static_cast<std::int64_t>(rank) + 2)
        throw ArgumentError(std::string(op) + ": expected 'input' of " + std::to_string(rank + 2) +
                            " dimensions, found " + describe(self));
    if ((output_size ? output_size->size() : scale_factors->size()) != rank)
        throw ArgumentError(std::string(op) + ": expected 'output_size' or 'scale_factors' of " + std::to_string(rank) +
                            " elements");
    if (output_size) return resize(op, mode, self, *output_size, align_corners, Factors(rank));
    Ints sizes;
    Factors factors;
    for (std::size_t i = 0; i < rank; ++i) {
        const double size = static_cast<double>(self.size(static_cast<std::int64_t>(i) + 2)) * (*scale_factors)[i];
        if (!(size >= 0 && size < 2e9))
            throw ArgumentError(std::string(op) + ": 'scale_factors' gives an output of size " + std::to_string(size));
        sizes.push_back(static_cast<std::int64_t>(size));
        factors.emplace_back((*scale_factors)[i]);
    }
    return resize(op, mode, self, sizes, align_corners, factors);
}

using Factor = std::optional<double>;

Ints sized(const char* op, const Ints& output_size, std::size_t rank) {
    if (output_size.size() != rank)
        throw ArgumentError(std::string(op) + ": expected 'output_size' of " + std::to_string(rank) +
                            " numbers, found " + to_string(output_size));
    return output_size;
}

void add_nearest(Registry& r, const std::string& prefix, Mode mode) {
    const auto name = [&](const char* rank) { return prefix + rank; };
    const std::string one = name("1d");
    const std::string two = name("2d");
    const std::string three = name("3d");
    r.add(one + "(Tensor self, SymInt[1] output_size, float? scales=None) -> Tensor",
          [one, mode](const Tensor& self, const Ints& size, Factor f) {
              return resize(one.c_str(), mode, self, sized(one.c_str(), size, 1), false, {f});
          });
    r.add(two + "(Tensor self, SymInt[2] output_size, float? scales_h=None, float? scales_w=None) -> Tensor",
          [two, mode](const Tensor& self, const Ints& size, Factor h, Factor w) {
              return resize(two.c_str(), mode, self, sized(two.c_str(), size, 2), false, {h, w});
          });
    r.add(three +
              "(Tensor self, SymInt[3] output_size, float? scales_d=None, float? scales_h=None, float? "
              "scales_w=None) -> Tensor",
          [three, mode](const Tensor& self, const Ints& size, Factor d, Factor h, Factor w) {
              return resize(three.c_str(), mode, self, sized(three.c_str(), size, 3), false, {d, h, w});
          });
    for (const auto& [op, rank] : {std::pair(one, 1U), std::pair(two, 2U), std::pair(three, 3U)})
        r.add(op + ".vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor",
              [op = op, rank = rank, mode](const Tensor& self, const std::optional<Ints>& size,
                                           const std::optional<Doubles>& factors) {
                  return resize_vec(op.c_str(), mode, rank, self, size, false, factors);
              });
}

void add_vec(Registry& r, const std::string& op, Mode mode, std::size_t rank) {
    r.add(op + ".vec(Tensor input, SymInt[]? output_size, bool align_corners, float[]? scale_factors) -> Tensor",
          [op, rank, mode](const Tensor& self, const std::optional<Ints>& size, bool align_corners,
                           const std::optional<Doubles>& factors) {
              return resize_vec(op.c_str(), mode, rank, self, size, align_corners, factors);
          });
}

void add_2d(Registry& r, const std::string& op, Mode mode) {
    r.add(op + "(Tensor self, SymInt[2] output_size, bool align_corners, float? scales_h=None, float? scales_w=None) "
               "-> Tensor",
          [op, mode](const Tensor& self, const Ints& size, bool align_corners, Factor h, Factor w) {
              return resize(op.c_str(), mode, self, sized(op.c_str(), size, 2), align_corners, {h, w});
          });
    add_vec(r, op, mode, 2);
}

/// `op` with "_backward", of an op that takes align_corners (`corners`) or not.
void add_backward(Registry& r, const std::string& forward, Mode mode, std::size_t rank, bool corners) {
    const std::string op = forward + "_backward";
    const std::string name = op + "(Tensor grad_output, SymInt[" + std::to_string(rank) + "] output_size, SymInt[" +
                             std::to_string(rank + 2) + "] input_size";
    const std::string scales[] = {", float? scales=None) -> Tensor",
                                  ", float? scales_h=None, float? scales_w=None) -> Tensor",
                                  ", float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor"};
    const auto run = [op, mode](const Tensor& grad, const Ints& out, const Ints& in, bool align, const Factors& f) {
        return resize_backward(op.c_str(), mode, grad, out, in, align, f);
    };
    using T = const Tensor&;
    using I = const Ints&;
    const std::string schema = name + (corners ? ", bool align_corners" : "") + scales[rank - 1];
    if (rank == 1 && corners)
        r.add(schema, [run](T g, I out, I in, bool align, Factor w) { return run(g, out, in, align, {w}); });
    else if (rank == 1)
        r.add(schema, [run](T g, I out, I in, Factor w) { return run(g, out, in, false, {w}); });
    else if (rank == 2 && corners)
        r.add(schema, [run](T g, I out, I in, bool align, Factor h, Factor w) {
            return run(g, out, in, align, {h, w});
        });
    else if (rank == 2)
        r.add(schema, [run](T g, I out, I in, Factor h, Factor w) { return run(g, out, in, false, {h, w}); });
    else if (corners)
        r.add(schema, [run](T g, I out, I in, bool align, Factor d, Factor h, Factor w) {
            return run(g, out, in, align, {d, h, w});
        });
    else
        r.add(schema, [run](T g, I out, I in, Factor d, Factor h, Factor w) {
            return run(g, out, in, false, {d, h, w});
        });
}

}  // namespace

void register_upsample(Registry& r) {
    for (const std::size_t rank : {1U, 2U, 3U}) {
        const std::string suffix = std::to_string(rank) + "d";
        add_backward(r, "upsample_nearest" + suffix, Mode::Nearest, rank, false);
        add_backward(r, "_upsample_nearest_exact" + suffix, Mode::NearestExact, rank, false);
    }
    add_backward(r, "upsample_linear1d", Mode::Linear, 1, true);
    add_backward(r, "upsample_bilinear2d", Mode::Linear, 2, true);
    add_backward(r, "upsample_trilinear3d", Mode::Linear, 3, true);
    add_backward(r, "upsample_bicubic2d", Mode::Cubic, 2, true);
    add_backward(r, "_upsample_bilinear2d_aa", Mode::LinearAntialias, 2, true);
    add_backward(r, "_upsample_bicubic2d_aa", Mode::CubicAntialias, 2, true);
    add_backward(r, "_upsample_lanczos2d_aa", Mode::LanczosAntialias, 2, true);
    add_nearest(r, "upsample_nearest", Mode::Nearest);
    add_nearest(r, "_upsample_nearest_exact", Mode::NearestExact);
    r.add("upsample_linear1d(Tensor self, SymInt[1] output_size, bool align_corners, float? scales=None) -> Tensor",
          [](const Tensor& self, const Ints& size, bool align_corners, Factor f) {
              return resize("upsample_linear1d", Mode::Linear, self, sized("upsample_linear1d", size, 1), align_corners,
                            {f});
          });
    add_vec(r, "upsample_linear1d", Mode::Linear, 1);
    add_2d(r, "upsample_bilinear2d", Mode::Linear);
    add_2d(r, "upsample_bicubic2d", Mode::Cubic);
    add_2d(r, "_upsample_bilinear2d_aa", Mode::LinearAntialias);
    add_2d(r, "_upsample_bicubic2d_aa", Mode::CubicAntialias);
    add_2d(r, "_upsample_lanczos2d_aa", Mode::LanczosAntialias);
    r.add(
        "upsample_trilinear3d(Tensor self, SymInt[3] output_size, bool align_corners, float? scales_d=None, float? "
        "scales_h=None, float? scales_w=None) -> Tensor",
        [](const Tensor& self, const Ints& size, bool align_corners, Factor d, Factor h, Factor w) {
            return resize("upsample_trilinear3d", Mode::Linear, self, sized("upsample_trilinear3d", size, 3),
                          align_corners, {d, h, w});
        });
    add_vec(r, "upsample_trilinear3d", Mode::Linear, 3);
}

}  // namespace torch_ir::kernels
