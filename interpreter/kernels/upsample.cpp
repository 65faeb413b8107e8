// SPDX-License-Identifier: MIT
// Resizing: along each spatial dimension in turn, every output is a weighted sum of a few inputs.
#include <cmath>
#include <limits>

#include "kernels/families.hpp"
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
            t.index[at] = std::min(first + k, r.in - 1);
            t.weight[at] = k < n ? filter(mode, (static_cast<C>(first + k) - center + shift) * inverse) : C(0);
            total += t.weight[at];
        }
        if (total != 0)
            for (std::int64_t k = 0; k < t.taps; ++k) t.weight[static_cast<std::size_t>(o * t.taps + k)] /= total;
    }
    return t;
}

template <class C>
Taps<C> make_taps(Mode mode, const Resize& r) {
    if (mode >= Mode::LinearAntialias) return antialias_taps<C>(mode, r);
    Taps<C> t;
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
            const C w = std::clamp(at - static_cast<C>(first), C(0), C(1));
            add(first, 1 - w);
            add(first + 1, w);
            continue;
        }
        const std::int64_t first = std::min(static_cast<std::int64_t>(std::floor(at)), r.in - 1);
        const C x = std::clamp(at - static_cast<C>(first), C(0), C(1));
        constexpr C a = C(-0.75);
        const auto near = [](C v) { return ((a + 2) * v - (a + 3)) * v * v + 1; };
        const auto far = [](C v) { return ((a * v - 5 * a) * v + 8 * a) * v - 4 * a; };
        add(first - 1, far(x + 1));
        add(first, near(x));
        add(first + 1, near(1 - x));
        add(first + 2, far(2 - x));
    }
    return t;
}

/// x [outer, in, inner] → y [outer, out, inner].
template <class C>
void resample(const Taps<C>& t, std::int64_t outer, std::int64_t in, std::int64_t out, std::int64_t inner, const C* x,
              C* y) {
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
                         } else if (inner == 1) {
                             C total = weight[0] * from[index[0]];
                             for (std::int64_t k = 1; k < t.taps; ++k) total += weight[k] * from[index[k]];
                             *to = total;
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
        if (axis.in != axis.out || mode >= Mode::LinearAntialias) {
            std::int64_t outer = p.outer;
            for (std::size_t j = 0; j < i; ++j) outer *= axes[j].in;
            const Tensor y = Tensor::empty({outer, axis.out, inner}, DType::UInt8);
            resample_bytes(make_taps<double>(mode, {axis.in, axis.out, factors[i + rank - 3], align_corners}), outer,
                           axis.in, axis.out, inner, x.data<std::uint8_t>(), y.data<std::uint8_t>());
            x = y;
        }
        inner *= axis.out;
    }
    std::copy_n(x.data<std::uint8_t>(), out.numel(), out.data<std::uint8_t>());
    return out;
}

Tensor resize(const char* op, Mode mode, const Tensor& self, const Ints& output_size, bool align_corners,
              const Factors& factors) {
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
    if (self.dtype() == DType::UInt8 && mode != Mode::Nearest && mode != Mode::NearestExact)
        return resize_bytes(mode, self, axes, rank, align_corners, factors);
    // Other integers are computed as float32 and rounded; nearest neighbours only copy.
    const bool integral = is_integral(self.dtype(), true);
    const bool wide = self.dtype() == DType::Float64 || (integral && item_size(self.dtype()) > 2 &&
                                                         (mode == Mode::Nearest || mode == Mode::NearestExact));
    return visit_float(wide ? DType::Float64 : DType::Float32, op, [&]<class C>(C) {
        const PoolPlanes p = pool_planes(self, dtype_of<C>(), rank, axes);
        const Tensor out = p.make_output(dtype_of<C>());
        if (out.numel() == 0) return out.to(self.dtype());
        std::int64_t outer = p.outer;
        std::int64_t inner = p.inner;
        for (const PoolAxis& axis : axes) inner *= axis.in;
        // From the outermost dimension to the innermost; a dimension that keeps its size is passed over.
        const C* x = p.in.data<C>();
        Tensor memory = p.in;
        bool written = false;
        for (std::size_t i = 0; i < 3; ++i) {
            const PoolAxis& axis = axes[i];
            inner /= axis.in;
            const bool last = std::all_of(axes.begin() + static_cast<std::ptrdiff_t>(i) + 1, axes.end(),
                                          [](const PoolAxis& a) { return a.in == a.out; });
            const bool same = axis.in == axis.out && mode < Mode::LinearAntialias;
            if (!same && i + rank >= 3) {
                const Resize r{axis.in, axis.out, factors[i + rank - 3], align_corners};
                const bool is_output = last && mode < Mode::LinearAntialias;
                const Tensor y = is_output ? out : Tensor::empty({outer, axis.out, inner}, dtype_of<C>());
                resample(make_taps<C>(mode, r), outer, axis.in, axis.out, inner, x, y.data<C>());
                memory = y;
                x = y.data<C>();
                written = is_output;
            }
            outer *= axis.out;
        }
        if (!written) std::copy_n(x, out.numel(), out.data<C>());
        if (!integral || mode == Mode::Nearest || mode == Mode::NearestExact) return out.to(self.dtype());
        C* v = out.data<C>();
        for (std::int64_t i = 0; i < out.numel(); ++i) v[i] = std::nearbyint(v[i]);
        return out.to(self.dtype());
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

}  // namespace

void register_upsample(Registry& r) {
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
