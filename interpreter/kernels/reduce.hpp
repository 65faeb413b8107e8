// SPDX-License-Identifier: MIT
// Reductions over any dimensions of any layout, without transposing copies: the walk here, the ops that others build
// on.
#pragma once

#include <algorithm>
#include <complex>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <vector>

#include "elementwise.hpp"
#include "ivalue.hpp"
#include "parallel.hpp"
#include "rows.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {

namespace detail {

/// A dimension of a reduction, in elements; out_stride counts outputs.
struct ReduceDim {
    std::int64_t size;
    std::int64_t stride;
    std::int64_t out_stride;
    bool reduced;
};

/// The dimensions of `x`, outermost in memory first, neighbours merged.
std::vector<ReduceDim> reduce_dims(const Tensor& x, std::span<const std::int64_t> dims);

/// Steps through the offsets of some dimensions (all of the kind given, but `skip`).
class ReduceOdometer {
  public:
    ReduceOdometer(std::span<const ReduceDim> dims, bool reduced, std::size_t skip);
    std::int64_t count() const { return count_; }
    void seek(std::int64_t index);
    void next();
    std::int64_t in = 0;
    std::int64_t out = 0;

  private:
    std::vector<ReduceDim> dims_;
    Ints index_;
    std::int64_t count_ = 1;
};

/// A reduction joins `map(x)` of elements (`maps_vectors`: of vectors of them, too) with `join` (of two numbers, or of
/// two vectors of them), starting from `init`; partial results in many lanes, the rest in Acc.
template <class C, class R>
using Lane = std::remove_cvref_t<decltype(R::map(std::declval<const R&>(), C{}))>;

#ifdef __AVX__
inline constexpr std::size_t lane_bytes = 32;
#else
inline constexpr std::size_t lane_bytes = 16;
#endif

/// `acc` joined with the elements of a vector, which are joined halves first; the last in vectors of 16 bytes, as GCC
/// joins numbers by way of general registers.
template <class R, class T, std::size_t lanes>
T fold(T acc, const vmath::Vector<T, lanes>& v) {
    if constexpr (lanes == 1) {
        return R::join(acc, v[0]);
    } else if constexpr (lanes * sizeof(T) == 16 && lanes == 2) {
        return R::join(vmath::Vector<T, lanes>{acc, acc}, R::join(v, __builtin_shufflevector(v, v, 1, 0)))[0];
    } else if constexpr (lanes * sizeof(T) == 16 && lanes == 4) {
        const auto half = R::join(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
        return R::join(vmath::Vector<T, lanes>{acc, acc, acc, acc},
                       R::join(half, __builtin_shufflevector(half, half, 1, 0, 3, 2)))[0];
    } else {
        vmath::Vector<T, lanes / 2> half[2];
        std::memcpy(half, &v, sizeof v);
        return fold<R, T, lanes / 2>(acc, R::join(half[0], half[1]));
    }
}

/// `acc` joined with a row. Flattened: GCC calls joins of vectors otherwise.
template <class C, class R>
[[gnu::flatten]] typename R::Acc reduce_row(const R& r, typename R::Acc acc, const C* x, std::int64_t n,
                                            std::int64_t stride) {
    using Acc = typename R::Acc;
    using L = Lane<C, R>;
    std::int64_t i = 0;
    if constexpr (std::is_arithmetic_v<C> && std::is_arithmetic_v<L>) {
        constexpr std::int64_t lanes = lane_bytes / sizeof(L);
        constexpr std::int64_t step = 4 * lanes;  // as a join takes longer than a load
        constexpr std::int64_t run = 64 * step;
        using Lanes = vmath::Vector<L, lanes>;
        using Partial = vmath::Vector<Acc, lanes>;
        const auto load = [&](std::int64_t at) {
            using Elements = vmath::Vector<C, lanes>;
            if constexpr (R::maps_vectors) {
                return R::map(r, *reinterpret_cast<const Elements*>(x + at));
            } else {
                alignas(Lanes) L mapped[lanes];
#pragma omp simd
                for (std::int64_t l = 0; l < lanes; ++l) mapped[l] = R::map(r, x[at + l]);
                return *reinterpret_cast<const Lanes*>(mapped);
            }
        };
        while (stride == 1 && n - i >= step) {
            // In registers, as no array would be.
            Lanes part0 = load(i), part1 = load(i + lanes), part2 = load(i + 2 * lanes), part3 = load(i + 3 * lanes);
            const std::int64_t end = std::min(n, i + run);
            for (i += step; i + step <= end; i += step) {
                part0 = R::join(part0, load(i));
                part1 = R::join(part1, load(i + lanes));
                part2 = R::join(part2, load(i + 2 * lanes));
                part3 = R::join(part3, load(i + 3 * lanes));
            }
            // What is left goes along, so that a row is folded once.
            if (n - i < step) {
                if (n - i >= 1 * lanes) part0 = R::join(part0, load(i));
                if (n - i >= 2 * lanes) part1 = R::join(part1, load(i + lanes));
                if (n - i >= 3 * lanes) part2 = R::join(part2, load(i + 2 * lanes));
                i += (n - i) / lanes * lanes;
            }
            const auto joined = [](const Lanes& one, const Lanes& other) {
                return R::join(__builtin_convertvector(one, Partial), __builtin_convertvector(other, Partial));
            };
            acc = fold<R, Acc, lanes>(acc, R::join(joined(part0, part1), joined(part2, part3)));
        }
        for (; stride == 1 && n - i >= lanes; i += lanes)
            acc = fold<R, Acc, lanes>(acc, __builtin_convertvector(load(i), Partial));
    }
    while (i < n) {
        Acc part = R::template init<Acc>();
        for (const std::int64_t end = std::min(n, i + 128); i < end; ++i)
            part = R::join(part, static_cast<Acc>(R::map(r, x[i * stride])));
        acc = R::join(acc, part);
    }
    return acc;
}

/// Without cutting the reduced dimensions; outputs in parallel.
template <class C, class R>
void reduce_walk_serial(const R& r, const C* x, const std::vector<ReduceDim>& dims, typename R::Acc* out) {
    using Acc = typename R::Acc;
    const ReduceDim inner = dims.back();
    const std::size_t last = dims.size() - 1;
    const ReduceOdometer kept(dims, false, last);
    const ReduceOdometer reduced(dims, true, last);
    if (inner.reduced) {
        const std::int64_t cost = inner.size * reduced.count();
        parallel_for(kept.count(), std::max<std::int64_t>(1, parallel_grain / cost),
                     [&](std::int64_t begin, std::int64_t end) {
                         ReduceOdometer k = kept;
                         ReduceOdometer q = reduced;
                         k.seek(begin);
                         for (std::int64_t i = begin; i < end; ++i, k.next()) {
                             Acc acc = R::template init<Acc>();
                             if (q.count() == 1) {
                                 out[k.out] = reduce_row(r, acc, x + k.in, inner.size, inner.stride);
                                 continue;
                             }
                             q.seek(0);
                             for (std::int64_t j = 0; j < q.count(); ++j, q.next())
                                 acc = reduce_row(r, acc, x + k.in + q.in, inner.size, inner.stride);
                             out[k.out] = acc;
                         }
                     });
        return;
    }
    constexpr std::int64_t chunk = 512;
    const std::int64_t chunks = (inner.size + chunk - 1) / chunk;
    const std::int64_t cost = std::min(chunk, inner.size) * reduced.count();
    parallel_for(kept.count() * chunks, std::max<std::int64_t>(1, parallel_grain / cost),
                 [&](std::int64_t begin, std::int64_t end) {
                     ReduceOdometer k = kept;
                     ReduceOdometer q = reduced;
                     Acc acc[chunk];
                     for (std::int64_t task = begin; task < end; ++task) {
                         k.seek(task / chunks);
                         const std::int64_t first = task % chunks * chunk;
                         const std::int64_t n = std::min(chunk, inner.size - first);
                         std::fill(acc, acc + n, R::template init<Acc>());
                         q.seek(0);
                         for (std::int64_t i = 0; i < q.count(); ++i, q.next()) {
                             const C* row = x + k.in + q.in + first * inner.stride;
                             if (inner.stride == 1)
                                 for (std::int64_t j = 0; j < n; ++j)
                                     acc[j] = R::join(acc[j], static_cast<Acc>(R::map(r, row[j])));
                             else
                                 for (std::int64_t j = 0; j < n; ++j)
                                     acc[j] = R::join(acc[j], static_cast<Acc>(R::map(r, row[j * inner.stride])));
                         }
                         for (std::int64_t j = 0; j < n; ++j) out[k.out + (first + j) * inner.out_stride] = acc[j];
                     }
                 });
}

template <class C, class R>
void reduce_walk(const R& r, const C* x, const std::vector<ReduceDim>& dims, typename R::Acc* out) {
    using Acc = typename R::Acc;
    std::int64_t total = 1;
    std::int64_t outputs = 1;
    std::size_t outer_reduced = dims.size();
    for (std::size_t d = dims.size(); d-- > 0;) {
        total *= dims[d].size;
        if (dims[d].reduced)
            outer_reduced = d;
        else
            outputs *= dims[d].size;
    }
    if (total == 0 || dims.empty()) {
        for (std::int64_t i = 0; i < outputs; ++i)
            out[i] = total == 0 ? R::template init<Acc>()
                                : R::join(R::template init<Acc>(), static_cast<Acc>(R::map(r, x[0])));
        return;
    }
    // Few outputs (rows; columns are walked in chunks) of many elements: pieces of the outermost reduced dimension
    // first, then the pieces joined.
    constexpr std::int64_t piece = 4 * parallel_grain;
    if (outer_reduced < dims.size() && outputs <= (dims.back().reduced ? 64 : 4096) && total >= 2 * piece &&
        total / outputs >= 64 && dims[outer_reduced].size > 1 && !omp_in_parallel()) {
        const std::int64_t size = dims[outer_reduced].size;
        const std::int64_t step = std::max<std::int64_t>(1, size / std::min<std::int64_t>(64, total / piece));
        const std::int64_t pieces = (size + step - 1) / step;
        std::vector<Acc> partial(static_cast<std::size_t>(pieces * outputs));
        parallel_for(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t p = begin; p < end; ++p) {
                std::vector<ReduceDim> part = dims;
                part[outer_reduced].size = std::min(size, (p + 1) * step) - p * step;
                // Inside, so that it is not cut again.
                reduce_walk_serial(r, x + p * step * dims[outer_reduced].stride, part, partial.data() + p * outputs);
            }
        });
        for (std::int64_t i = 0; i < outputs; ++i) {
            Acc acc = partial[static_cast<std::size_t>(i)];
            for (std::int64_t p = 1; p < pieces; ++p)
                acc = R::join(acc, partial[static_cast<std::size_t>(p * outputs + i)]);
            out[i] = acc;
        }
        return;
    }
    reduce_walk_serial(r, x, dims, out);
}

}  // namespace detail

// What is summed.
inline constexpr auto identity = []<class C>(C x) { return x; };
inline constexpr auto square = []<class C>(C x) {
    if constexpr (std::is_same_v<C, std::complex<double>>)
        return std::norm(x);
    else
        return x * x;
};
inline constexpr auto magnitude = []<class C>(C x) { return std::abs(x); };
/// 1 or 0; of an integer without a comparison: from those of a vector's lanes, g++ 12 makes -1 for true where AVX2 is
/// the newest.
inline constexpr auto to_truth = []<class C>(C x) {
    if constexpr (std::is_floating_point_v<C>) {
        return x != 0 ? C(1) : C(0);
    } else if constexpr (std::is_integral_v<C>) {
        const auto bits = static_cast<std::uint64_t>(x);
        return static_cast<std::int64_t>((bits | (0 - bits)) >> 63);
    } else {
        return std::int64_t(x != C(0));
    }
};

/// Sums of F()(x): floats in double across runs.
template <class C, class F>
struct SumOf {
    using Acc = std::conditional_t<std::is_same_v<C, float>, double, decltype(F{}(C{}))>;
    static constexpr bool maps_vectors =
        std::is_same_v<const F, decltype(identity)> || std::is_same_v<const F, decltype(square)>;
    template <class T>
    static auto map(const SumOf&, T x) {
        return F{}(x);
    }
    template <class T>
    static T join(T a, T b) {
        return a + b;
    }
    template <class T>
    static T init() {
        return T(0);
    }
};

/// `x` reduced over `dims` (normalised), each element read as C: one Acc per output, in the dtype of Acc. The caller
/// checks what an empty reduction means; it gives R's init.
template <class C, class R>
Tensor reduce(const Tensor& x, std::span<const std::int64_t> dims, bool keepdim, const R& r) {
    const Tensor in = x.to(dtype_of<C>());
    Tensor out = Tensor::empty(reduced_shape(x, dims, keepdim), dtype_of<typename R::Acc>());
    if (out.numel() > 0)
        detail::reduce_walk(r, in.data<C>(), detail::reduce_dims(in, dims), out.data<typename R::Acc>());
    return out;
}

inline Ints dims_of(const Tensor& self, const std::optional<Ints>& dim) {
    return normalize_dims(self, dim.value_or(Ints{}));
}
inline std::int64_t length_of(const Tensor& self, const Ints& dims) {
    std::int64_t length = 1;
    for (const std::int64_t d : dims) length *= self.size(d);
    return length;
}

/// The dtype of sums: integers and bool grow to int64.
inline DType sum_dtype(const Tensor& self, std::optional<DType> dtype) {
    return dtype.value_or(is_integral(self.dtype(), true) ? DType::Int64 : self.dtype());
}

/// `self` in the dtype asked for (the values that are to be reduced).
inline Tensor as(const Tensor& self, std::optional<DType> dtype) { return dtype ? self.to(*dtype) : self; }

Tensor sum(const Tensor& self, const std::optional<Ints>& dim, bool keepdim, std::optional<DType> dtype);
Tensor mean(const Tensor& self, const std::optional<Ints>& dim, bool keepdim, std::optional<DType> dtype);
Tensor amax(const Tensor& self, const Ints& dim, bool keepdim);
Tensor amin(const Tensor& self, const Ints& dim, bool keepdim);
Tensor vector_norm(const Tensor& self, const Scalar& ord, const std::optional<Ints>& dim, bool keepdim,
                   std::optional<DType> dtype);
/// `self` summed down to `size`, which broadcasts to its shape.
Tensor sum_to_size(const Tensor& self, const Ints& size);

}  // namespace torch_ir::kernels
