// SPDX-License-Identifier: MIT
// Sums of products in float64 with the moments that their rounding depends on.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>

#include "backend/conv.hpp"
#include "backend/gemm.hpp"
#include "parallel.hpp"
#include "scratch.hpp"
#include "verification/rounding.hpp"

namespace torch_ir::detail {

/// Partial sums are looked at from time to time, at least four times, and not for so few terms that the order makes no
/// difference.
inline constexpr std::int64_t fewest_terms = 32;

/// From so many products of float32 on, float32 sums of an eighth of them at a time are exact enough: what they add to
/// the variance is a tenth or less of what is judged.
inline constexpr std::int64_t narrow_from = 256;

/// Calls `f(i0, rows, j0, columns)` for the tiles of a matrix of m × n sums of k products, side by side unless that is
/// little work. What belongs to a tile stays in the cache.
template <class F>
void for_each_tile(std::int64_t m, std::int64_t n, std::int64_t k, F f) {
    constexpr std::int64_t most_rows = 192, unit = 16;
    const std::int64_t most_columns = std::clamp<std::int64_t>(65536 / m, 256, 2048);
    parallel_for_tiles(m, n, most_rows, most_columns, unit, m * n * k, f);
}

/// A tile of sums of A[m, k] · B[k, n] and of the squares of their partial sums (unless nullptr), of products made in
/// P, `depth` at a time.
template <class P, class X>
void add_pieces(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t depth, const X* a,
                std::int64_t lda, const X* b, std::int64_t ldb, double* sum, double* partial, std::int64_t ldc) {
    constexpr bool as_it_lies = std::is_same_v<P, X>;
    constexpr bool in_place = std::is_same_v<P, double>;  // the first products are the sums
    const Scratch<P> piece(in_place && depth >= k ? 0 : m * n);
    const Scratch<P> left(as_it_lies ? 0 : m * depth);
    const Scratch<P> right(as_it_lies ? 0 : n * depth);
    for (std::int64_t before = 0; before < k; before += depth) {
        const std::int64_t terms = std::min(depth, k - before);
        const X* left_x = a + before;
        const X* right_x = trans_b ? b + before : b + before * ldb;
        P* product = piece.data();
        std::int64_t line = n;
        if constexpr (in_place)
            if (before == 0) {
                product = sum;
                line = ldc;
            }
        if constexpr (as_it_lies) {
            backend::gemm(false, trans_b, m, n, terms, left_x, lda, right_x, ldb, 0, product, line);
        } else {
            const auto convert = [](P* to, const X* x, std::int64_t step, std::int64_t lines, std::int64_t length) {
                for (std::int64_t i = 0; i < lines; ++i) std::copy_n(x + i * step, length, to + i * length);
            };
            convert(left.data(), left_x, lda, m, terms);
            convert(right.data(), right_x, ldb, trans_b ? n : terms, trans_b ? terms : n);
            backend::gemm(false, trans_b, m, n, terms, left.data(), terms, right.data(), trans_b ? terms : n, 0,
                          product, line);
        }
        const double half = static_cast<double>(terms) / 2;
        for (std::int64_t i = 0; i < m; ++i) {
            const P* more = product + i * line;
            double* s = sum + i * ldc;
            double* squares = partial ? partial + i * ldc : nullptr;
            if (before == 0) {
                if constexpr (!in_place) std::copy_n(more, n, s);
                for (std::int64_t j = 0; j < n && squares; ++j) squares[j] = half * s[j] * s[j];
            } else if (squares) {
#pragma GCC ivdep
                for (std::int64_t j = 0; j < n; ++j) {
                    const double sum_before = s[j];
                    const double sum_after = sum_before + more[j];
                    s[j] = sum_after;
                    squares[j] += half * (sum_before * sum_before + sum_after * sum_after);
                }
            } else {
                for (std::int64_t j = 0; j < n; ++j) s[j] += more[j];
            }
        }
    }
}

/// The same, in the precision that it takes.
template <class X>
void add_products(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const X* a, std::int64_t lda,
                  const X* b, std::int64_t ldb, double* sum, double* partial, std::int64_t ldc) {
    constexpr std::int64_t most = 192;
    if (std::is_same_v<X, float> && k >= narrow_from)
        return add_pieces<X>(trans_b, m, n, k, std::min(k / 8, most), a, lda, b, ldb, sum, partial, ldc);
    const std::int64_t depth = partial ? std::min((k + 3) / 4, most) : most;
    add_pieces<double>(trans_b, m, n, k, depth, a, lda, b, ldb, sum, partial, ldc);
}

/// The power of two that brings the largest magnitude near 1, so that squares stay within float32.
inline double scale_of(const Tensor& contiguous) {
    double most = 0;
    visit_float(contiguous.dtype(), "scale_of", [&]<class X>(X) {
        const X* x = contiguous.data<X>();
        X lanes[16] = {};
        std::int64_t i = 0;
        for (; i + 16 <= contiguous.numel(); i += 16)
            for (std::int64_t j = 0; j < 16; ++j) {
                const X size = std::fabs(x[i + j]);
                lanes[j] = size > lanes[j] ? size : lanes[j];
            }
        for (; i < contiguous.numel(); ++i) lanes[0] = std::max(lanes[0], static_cast<X>(std::fabs(x[i])));
        most = *std::max_element(std::begin(lanes), std::end(lanes));
    });
    return most > 0 && std::isfinite(most) ? std::ldexp(1.0, -std::ilogb(most)) : 1;
}

/// The sum of the squares of products, Σ (a b)², is needed to a few digits: neighbours are taken together, so many of
/// them, as (Σ a²) · mean(b²). It depends on neither the order nor the sign of terms, and most of what a few of them
/// add is seen in the partial sums.
inline std::int64_t group_size(std::int64_t terms) { return terms >= 256 ? 8 : terms >= 128 ? 4 : terms >= 64 ? 2 : 1; }
inline std::int64_t group_count(std::int64_t terms) { return (terms + group_size(terms) - 1) / group_size(terms); }

/// The mean over a group in place of its sum.
enum class Grouped : bool { Sum, Mean };

/// The sums of the scaled squares of groups of lines x[terms][n], as to[group_count(terms)][n].
template <class X>
void square_lines(float* to, const X* x, std::int64_t ldx, std::int64_t terms, std::int64_t n, double scale,
                  Grouped grouped) {
    const std::int64_t size = group_size(terms);
    for (std::int64_t first = 0; first < terms; first += size, to += n) {
        const std::int64_t lines = std::min(size, terms - first);
        const double factor = grouped == Grouped::Mean ? scale / std::sqrt(static_cast<double>(lines)) : scale;
        for (std::int64_t i = 0; i < lines; ++i) {
            const X* line = x + (first + i) * ldx;
            for (std::int64_t j = 0; j < n; ++j) {
                const auto v = static_cast<float>(line[j] * static_cast<X>(factor));
                to[j] = i == 0 ? v * v : to[j] + v * v;
            }
        }
    }
}

/// The same of x[n][terms], as to[n][group_count(terms)].
template <class X>
void square_rows(float* to, const X* x, std::int64_t n, std::int64_t terms, double scale, Grouped grouped) {
    const std::int64_t size = group_size(terms);
    const std::int64_t groups = group_count(terms);
    parallel_for(n, std::max<std::int64_t>(1, parallel_grain / terms), [&](std::int64_t begin, std::int64_t end) {
        const Scratch<float> squares(groups * size);  // then sums of two, of four, of eight
        float* s = squares.data();
        std::fill_n(s, groups * size, 0.0F);
        for (std::int64_t i = begin; i < end; ++i) {
            for (std::int64_t j = 0; j < terms; ++j) {
                const auto v = static_cast<float>(x[i * terms + j] * static_cast<X>(scale));
                s[j] = v * v;
            }
            for (std::int64_t merged = 1; merged < size; merged *= 2)
                for (std::int64_t j = 0; j < groups * size / merged / 2; ++j) s[j] = s[2 * j] + s[2 * j + 1];
            float* row = to + i * groups;
            std::copy_n(s, groups, row);
            if (grouped == Grouped::Mean) {
                for (std::int64_t g = 0; g < groups; ++g) row[g] /= static_cast<float>(size);
                row[groups - 1] *= static_cast<float>(size) / static_cast<float>(terms - (groups - 1) * size);
            }
            std::fill(s + terms, s + groups * size, 0.0F);
        }
    });
}

/// float32 and float64 as they are, other floats as float32.
inline Tensor computable(const Tensor& tensor, bool in_double) {
    return tensor.to(in_double ? DType::Float64 : DType::Float32);
}

/// Some neighbours in a result of sums of products.
struct SumRow {
    std::int64_t at;  // of the first in the row-major result
    std::int64_t n;
    double* sum;
    const float* squares;   // of the products, where a few digits will do: times `unit`
    double unit;            // a power of two
    const double* partial;  // the sums of the squares of the partial sums; nullptr: not known
};
using SumSink = std::function<void(const SumRow&)>;

/// Gives `sink` the rows of A[m, k] · B[k, n], a tile at a time; row i of the result begins at `at` + i * ld. The
/// squares are those of square_rows and square_lines.
template <class X>
void multiply_tiles(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const X* a, const X* b,
                    std::int64_t ldb, const float* a_squares, const float* b_squares, double unit, std::int64_t at,
                    std::int64_t ld, const SumSink& sink) {
    const std::int64_t groups = group_count(k);
    const bool ordered = k >= fewest_terms;
    for_each_tile(m, n, k, [&](std::int64_t i0, std::int64_t rows, std::int64_t j0, std::int64_t columns) {
        const Scratch<double> sum(rows * columns);
        const Scratch<double> partial(ordered ? rows * columns : 0);
        const Scratch<float> squares(rows * columns);
        add_products(trans_b, rows, columns, k, a + i0 * k, k, trans_b ? b + j0 * ldb : b + j0, ldb, sum.data(),
                     ordered ? partial.data() : nullptr, columns);
        backend::gemm(false, trans_b, rows, columns, groups, a_squares + i0 * groups, groups,
                      trans_b ? b_squares + j0 * groups : b_squares + j0, trans_b ? groups : n, 0, squares.data(),
                      columns);
        for (std::int64_t i = 0; i < rows; ++i)
            sink({at + (i0 + i) * ld + j0, columns, sum.data() + i * columns, squares.data() + i * columns, unit,
                  ordered ? partial.data() + i * columns : nullptr});
    });
}

/// Sums of products that are computed when they are asked for.
struct Sums {
    Ints shape;
    std::function<void(const SumSink&)> rows;
};

/// Of a convolution with operands of one dtype, float32 or float64.
Sums convolve(const Tensor& input, const Tensor& filter, const backend::ConvGeometry& g);

}  // namespace torch_ir::detail
