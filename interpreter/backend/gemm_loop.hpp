// SPDX-License-Identifier: MIT
// Our own matrix product for any element type: columns of B packed into the cache, a register block of rows and columns
// inside. A is read where it lies.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "parallel.hpp"
#include "scratch.hpp"
#include "vmath.hpp"

namespace torch_ir::backend {

namespace detail {

#ifdef __AVX512F__
inline constexpr std::size_t vector_bytes = 64;
#else
inline constexpr std::size_t vector_bytes = 32;
#endif

/// Two vectors of columns wide; with the rows, twelve sums stay in registers.
inline constexpr std::int64_t block_rows = 6;
template <class T>
inline constexpr std::int64_t block_columns = std::is_floating_point_v<T> ? 2 * vector_bytes / sizeof(T) : 8;

/// Blocks of columns that are packed together, so that a row of B is read by more than a cache line at a time.
inline constexpr std::int64_t group_blocks = 4;

/// Packed columns of one block stay in the first-level cache, the rows of A that meet a group in the second.
template <class T>
inline constexpr std::int64_t panel_depth = 24576 / (block_columns<T> * static_cast<std::int64_t>(sizeof(T)));
inline constexpr std::int64_t panel_rows = 42 * block_rows;

/// Columns of B that rows of A meet. Where A is packed, too, it is for more of them, the more the fewer its rows are.
template <class T>
std::int64_t panel_columns(bool packs_a, std::int64_t m) {
    constexpr std::int64_t group = group_blocks * block_columns<T>;
    return packs_a ? std::clamp<std::int64_t>(65536 / std::max<std::int64_t>(m, 1), 192, 768) / group * group : group;
}

/// to[i * to_line + p] = x[i * line + p * step] for i < n and p < depth.
template <class T, class X>
void pack_rows(T* to, std::int64_t to_line, const X* x, std::int64_t line, std::int64_t step, std::int64_t n,
               std::int64_t depth) {
    constexpr std::int64_t tile = 16;  // of both: lines of the cache are read and written whole
    for (std::int64_t p0 = 0; p0 < depth; p0 += tile)
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t p = p0; p < std::min(depth, p0 + tile); ++p)
                to[i * to_line + p] = static_cast<T>(x[i * line + p * step]);
}

/// The transpose of a square of one vector's lanes: to[p * to_line + i] = x[i * line + p].
template <class T>
void transpose_square(T* to, std::int64_t to_line, const T* x, std::int64_t line) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    using Vector = vmath::Vector<T, lanes>;
    using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    using Mask = vmath::Vector<Index, lanes>;
    Vector row[lanes];
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < lanes; ++i) row[i] = *reinterpret_cast<const Vector*>(x + i * line);
        // Halves, quarters, ... off the diagonal change places.
#pragma GCC unroll 3
    for (std::int64_t half = lanes / 2; half > 0; half /= 2) {
        Mask low{}, high{};
#pragma GCC unroll 8
        for (std::int64_t c = 0; c < lanes; ++c) {
            low[c] = static_cast<Index>(c & half ? lanes + c - half : c);
            high[c] = static_cast<Index>(c & half ? lanes + c : c + half);
        }
#pragma GCC unroll 8
        for (std::int64_t i = 0; i < lanes; ++i)
            if ((i & half) == 0) {
                const Vector upper = row[i];
                row[i] = __builtin_shuffle(upper, row[i + half], low);
                row[i + half] = __builtin_shuffle(upper, row[i + half], high);
            }
    }
#pragma GCC unroll 8
    for (std::int64_t p = 0; p < lanes; ++p) *reinterpret_cast<Vector*>(to + p * to_line) = row[p];
}

/// packed[j / block][p][j % block] = y(j, p), zero beyond the edge, for `n` columns of which element (j, p) lies at
/// y[j * column + p * step].
template <class T, class Y>
void pack_columns(T* packed, const Y* y, std::int64_t column, std::int64_t step, std::int64_t n, std::int64_t depth) {
    constexpr std::int64_t block = block_columns<T>;
    const std::int64_t whole = n / block * block;
    if (column == 1) {
        for (std::int64_t p = 0; p < depth; ++p) {
            const Y* row = y + p * step;
            for (std::int64_t line = 0; line < n * static_cast<std::int64_t>(sizeof(Y)); line += 64)
                __builtin_prefetch(reinterpret_cast<const char*>(row + 4 * step) + line);
            for (std::int64_t j = 0; j < whole; j += block)
                for (std::int64_t c = 0; c < block; ++c) packed[j * depth + p * block + c] = static_cast<T>(row[j + c]);
        }
    } else {
        std::int64_t squares = 0;
        if constexpr (std::is_same_v<T, Y> && std::is_floating_point_v<T>)
            if (step == 1) {
                constexpr std::int64_t lanes = 32 / sizeof(T);
                squares = depth / lanes * lanes;
                for (std::int64_t j = 0; j < whole; j += lanes)
                    for (std::int64_t p = 0; p < squares; p += lanes)
                        transpose_square(packed + j / block * block * depth + p * block + j % block, block,
                                         y + j * column + p, column);
            }
        for (std::int64_t j = 0; j < whole; ++j)
            for (std::int64_t p = squares; p < depth; ++p)
                packed[j / block * block * depth + p * block + j % block] = static_cast<T>(y[j * column + p * step]);
    }
    if (whole == n) return;
    packed += whole * depth;
    std::fill_n(packed, block * depth, T(0));
    for (std::int64_t j = whole; j < n; ++j)
        for (std::int64_t p = 0; p < depth; ++p)
            packed[p * block + j - whole] = static_cast<T>(y[j * column + p * step]);
}

/// sum[i][j] = the products of the row at a[i] and packed columns.
template <class T, std::size_t Rows>
void multiply_block(const T* const (&a)[Rows], const T* b, std::int64_t depth, T (&sum)[Rows][block_columns<T>]) {
    constexpr std::int64_t columns = block_columns<T>;
    if constexpr (std::is_floating_point_v<T>) {
        constexpr std::int64_t lanes = vector_bytes / sizeof(T);
        using Vector = vmath::Vector<T, lanes>;
        Vector acc[Rows][2] = {};
        for (std::int64_t p = 0; p < depth; ++p, b += columns) {
            const Vector left = *reinterpret_cast<const Vector*>(b);
            const Vector right = *reinterpret_cast<const Vector*>(b + lanes);
#pragma GCC unroll 6
            for (std::size_t i = 0; i < Rows; ++i) {
                acc[i][0] += a[i][p] * left;
                acc[i][1] += a[i][p] * right;
            }
        }
#pragma GCC unroll 6
        for (std::size_t i = 0; i < Rows; ++i) {
            *reinterpret_cast<Vector*>(&sum[i][0]) = acc[i][0];
            *reinterpret_cast<Vector*>(&sum[i][lanes]) = acc[i][1];
        }
    } else {
        for (auto& row : sum) std::fill(std::begin(row), std::end(row), T(0));
        for (std::int64_t p = 0; p < depth; ++p, b += columns)
            for (std::size_t i = 0; i < Rows; ++i)
                for (std::int64_t j = 0; j < columns; ++j) sum[i][j] += a[i][p] * b[j];
    }
}

/// The same with sums of a wider type, in which the sums of `wide_every` products are added.
inline constexpr std::int64_t wide_every = 48;
template <class T, class P, std::size_t Rows>
void multiply_block(const P* const (&a)[Rows], const P* b, std::int64_t depth, T (&sum)[Rows][block_columns<P>]) {
    P part[Rows][block_columns<P>];
    for (std::int64_t p = 0; p < depth; p += wide_every) {
        const P* rows[Rows];
        for (std::size_t i = 0; i < Rows; ++i) rows[i] = a[i] + p;
        multiply_block(rows, b + p * block_columns<P>, std::min(wide_every, depth - p), part);
        for (std::size_t i = 0; i < Rows; ++i)
            if (p == 0)
                for (std::int64_t j = 0; j < block_columns<P>; ++j) sum[i][j] = part[i][j];
            else
                for (std::int64_t j = 0; j < block_columns<P>; ++j) sum[i][j] += part[i][j];
    }
}

/// The products of `rows` rows at `a` (of Rows at most) and packed columns, of which there are `columns`: row after row
/// to `take(row, width, sums)`.
template <class T, std::size_t Rows, class P, class Take>
void multiply_rows(const P* a, std::int64_t lda, std::int64_t rows, const P* b, std::int64_t depth,
                   std::int64_t columns, Take take) {
    constexpr std::int64_t whole = block_columns<P>;
    const P* lines[Rows];  // beyond the edge the last row once more
    for (std::size_t i = 0; i < Rows; ++i) lines[i] = a + std::min<std::int64_t>(i, rows - 1) * lda;
    T sum[Rows][whole];
    multiply_block(lines, b, depth, sum);
    const auto take_all = [&](auto width) {
        for (std::int64_t i = 0; i < std::min<std::int64_t>(Rows, rows); ++i)
            take(i, width, static_cast<const T*>(sum[i]));
    };
    if (columns >= whole)
        take_all(std::integral_constant<std::int64_t, whole>());
    else
        take_all(columns);
}

}  // namespace detail

/// Row-major op(A)[m, k] * op(B)[k, n] in T (of P, narrower perhaps: see multiply_block), piece by piece: for row i and
/// columns j to j + width, the sums of the products number `before` to before + depth go to `take(i, j, width, before,
/// depth, sums)`, for each element in the order of the products. A full width is an
/// integral_constant.
template <class T, class P = T, class X, class Y, class Take>
void gemm_pieces(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const X* a,
                 std::int64_t lda, const Y* b, std::int64_t ldb, std::int64_t most_depth, Take take) {
    using namespace detail;
    constexpr std::int64_t width = block_columns<P>;
    constexpr std::int64_t group = group_blocks * width;
    const std::int64_t row_step = trans_a ? 1 : lda;
    const std::int64_t row_depth_step = trans_a ? lda : 1;
    const std::int64_t column_step = trans_b ? ldb : 1;
    const std::int64_t column_depth_step = trans_b ? 1 : ldb;
    const bool packs_a = trans_a || !std::is_same_v<X, P>;
    const std::int64_t most_columns = panel_columns<P>(packs_a, m);
    const std::int64_t row_panels = (m + panel_rows - 1) / panel_rows;
    const std::int64_t column_panels = (n + most_columns - 1) / most_columns;
    const std::int64_t work = m * n * k;
    parallel_for(
        row_panels * column_panels, work < 65536 ? row_panels * column_panels : 1,
        [&](std::int64_t begin, std::int64_t end) {
            const std::int64_t depth_used = std::min(most_depth, k);
            const Scratch<P> packed_a(packs_a ? std::min(panel_rows, m) * depth_used : 0);
            const Scratch<P> packed_b((std::min(group, n) + width - 1) / width * width * depth_used);
            for (std::int64_t panel = begin; panel < end; ++panel) {
                const std::int64_t i0 = panel % row_panels * panel_rows;
                const std::int64_t rows = std::min(panel_rows, m - i0);
                const std::int64_t first = panel / row_panels * most_columns;
                const std::int64_t last = std::min(n, first + most_columns);
                for (std::int64_t p0 = 0; p0 < k; p0 += most_depth) {
                    const std::int64_t depth = std::min(most_depth, k - p0);
                    const P* left = packed_a.data();
                    std::int64_t left_step = depth;
                    if (packs_a)
                        pack_rows(packed_a.data(), depth, a + i0 * row_step + p0 * row_depth_step, row_step,
                                  row_depth_step, rows, depth);
                    else if constexpr (std::is_same_v<X, P>) {
                        left = a + i0 * lda + p0;
                        left_step = lda;
                    }
                    for (std::int64_t j0 = first; j0 < last; j0 += group) {
                        const std::int64_t columns = std::min(group, last - j0);
                        pack_columns(packed_b.data(), b + j0 * column_step + p0 * column_depth_step, column_step,
                                     column_depth_step, columns, depth);
                        for (std::int64_t j = 0; j < columns; j += width)
                            for (std::int64_t i = 0; i < rows; i += block_rows) {
                                const auto rest = [&]<std::size_t Rows>(std::integral_constant<std::size_t, Rows>) {
                                    multiply_rows<T, Rows>(left + i * left_step, left_step, rows - i,
                                                           packed_b.data() + j * depth, depth, columns - j,
                                                           [&](std::int64_t row, auto count, const T* sums) {
                                                               take(i0 + i + row, j0 + j, count, p0, depth, sums);
                                                           });
                                };
                                if (rows - i > 2)
                                    rest(std::integral_constant<std::size_t, block_rows>());
                                else
                                    rest(std::integral_constant<std::size_t, 2>());
                            }
                    }
                }
            }
        });
}

/// See backend::gemm.
template <class T>
void gemm_loop(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
               const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
    if (k == 0)
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
    gemm_pieces<T>(trans_a, trans_b, m, n, k, a, lda, b, ldb, detail::panel_depth<T>,
                   [=](std::int64_t i, std::int64_t j, auto width, std::int64_t before, std::int64_t, const T* sums) {
                       T* row = c + i * ldc + j;
                       if (before > 0 || beta == T(1))
                           for (std::int64_t jj = 0; jj < width; ++jj) row[jj] += sums[jj];
                       else if (beta == T(0))
                           for (std::int64_t jj = 0; jj < width; ++jj) row[jj] = sums[jj];
                       else
                           for (std::int64_t jj = 0; jj < width; ++jj) row[jj] = beta * row[jj] + sums[jj];
                   });
}

}  // namespace torch_ir::backend
