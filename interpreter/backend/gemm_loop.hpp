// SPDX-License-Identifier: MIT
// Our own matrix product for any element type: panels packed into contiguous memory, a register block of rows and
// columns inside.
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

// Panels of A stay in the second-level cache, a block's columns of B in the first. The fewer rows, the more columns, so
// that packing is worth its while.
inline constexpr std::int64_t panel_depth = 192;
inline constexpr std::int64_t panel_rows = 32 * block_rows;
inline std::int64_t panel_columns(std::int64_t m) {
    return std::clamp<std::int64_t>(2 * panel_rows * 192 / std::clamp<std::int64_t>(m, 1, panel_rows), 192, 768);
}

/// packed[i / block][p][i % block] = x(i, p), zero beyond the edge, for `n` lines of which element (i, p) lies at
/// x[i * line + p * step].
template <std::int64_t Block, class T, class X>
void pack(T* packed, const X* x, std::int64_t line, std::int64_t step, std::int64_t n, std::int64_t depth) {
    for (std::int64_t i = 0; i < n; i += Block, x += Block * line, packed += Block * depth) {
        const std::int64_t lines = std::min(Block, n - i);
        if (line == 1 && lines == Block) {
            for (std::int64_t p = 0; p < depth; ++p) std::copy_n(x + p * step, Block, packed + p * Block);
            continue;
        }
        if (lines < Block) std::fill_n(packed, Block * depth, T(0));
        for (std::int64_t j = 0; j < lines; ++j)
            for (std::int64_t p = 0; p < depth; ++p) packed[p * Block + j] = static_cast<T>(x[j * line + p * step]);
    }
}

/// sum[i][j] = the products of packed rows and columns.
template <class T>
void multiply_block(const T* a, const T* b, std::int64_t depth, T (&sum)[block_rows][block_columns<T>]) {
    constexpr std::int64_t columns = block_columns<T>;
    if constexpr (std::is_floating_point_v<T>) {
        constexpr std::int64_t lanes = vector_bytes / sizeof(T);
        using Vector = vmath::Vector<T, lanes>;
        Vector acc[block_rows][2] = {};
        for (std::int64_t p = 0; p < depth; ++p, a += block_rows, b += columns) {
            const Vector left = *reinterpret_cast<const Vector*>(b);
            const Vector right = *reinterpret_cast<const Vector*>(b + lanes);
#pragma GCC unroll 6
            for (std::int64_t i = 0; i < block_rows; ++i) {
                acc[i][0] += a[i] * left;
                acc[i][1] += a[i] * right;
            }
        }
        for (std::int64_t i = 0; i < block_rows; ++i) {
            *reinterpret_cast<Vector*>(&sum[i][0]) = acc[i][0];
            *reinterpret_cast<Vector*>(&sum[i][lanes]) = acc[i][1];
        }
    } else {
        for (auto& row : sum) std::fill(std::begin(row), std::end(row), T(0));
        for (std::int64_t p = 0; p < depth; ++p, a += block_rows, b += columns)
            for (std::int64_t i = 0; i < block_rows; ++i)
                for (std::int64_t j = 0; j < columns; ++j) sum[i][j] += a[i] * b[j];
    }
}

/// The same with sums of a wider type, in which the sums of `wide_every` products are added.
inline constexpr std::int64_t wide_every = 48;
template <class T, class P>
void multiply_block(const P* a, const P* b, std::int64_t depth, T (&sum)[block_rows][block_columns<P>]) {
    P part[block_rows][block_columns<P>];
    for (std::int64_t p = 0; p < depth; p += wide_every) {
        multiply_block(a + p * block_rows, b + p * block_columns<P>, std::min(wide_every, depth - p), part);
        for (std::int64_t i = 0; i < block_rows; ++i)
            if (p == 0)
                for (std::int64_t j = 0; j < block_columns<P>; ++j) sum[i][j] = part[i][j];
            else
                for (std::int64_t j = 0; j < block_columns<P>; ++j) sum[i][j] += part[i][j];
    }
}

}  // namespace detail

/// Row-major op(A)[m, k] * op(B)[k, n] in T (of P, narrower perhaps: see multiply_block), piece by piece: for row i and
/// columns j to j + width, the sums of the products number `before` to before + depth go to `take(i, j, width, before,
/// depth, sums)`, for each element in the order of the products.
template <class T, class P = T, class X, class Y, class Take>
void gemm_pieces(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const X* a,
                 std::int64_t lda, const Y* b, std::int64_t ldb, std::int64_t most_depth, Take take) {
    using namespace detail;
    constexpr std::int64_t width = block_columns<P>;
    const std::int64_t row_step = trans_a ? 1 : lda;
    const std::int64_t row_depth_step = trans_a ? lda : 1;
    const std::int64_t column_step = trans_b ? ldb : 1;
    const std::int64_t column_depth_step = trans_b ? 1 : ldb;
    const std::int64_t most_columns = panel_columns(m);
    const std::int64_t row_panels = (m + panel_rows - 1) / panel_rows;
    const std::int64_t column_panels = (n + most_columns - 1) / most_columns;
    const std::int64_t work = m * n * k;
    parallel_for(row_panels * column_panels, work < 65536 ? row_panels * column_panels : 1,
                 [&](std::int64_t begin, std::int64_t end) {
                     const std::int64_t depth_used = std::min(most_depth, k);
                     const std::int64_t rows_used = (std::min(panel_rows, m) / block_rows + 1) * block_rows;
                     const std::int64_t columns_used = (std::min(most_columns, n) / width + 1) * width;
                     const Scratch<P> packed_a(rows_used * depth_used);
                     const Scratch<P> packed_b(columns_used * depth_used);
                     T sum[block_rows][width];
                     for (std::int64_t panel = begin; panel < end; ++panel) {
                         const std::int64_t i0 = panel % row_panels * panel_rows;
                         const std::int64_t j0 = panel / row_panels * most_columns;
                         const std::int64_t rows = std::min(panel_rows, m - i0);
                         const std::int64_t columns = std::min(most_columns, n - j0);
                         for (std::int64_t p0 = 0; p0 < k; p0 += most_depth) {
                             const std::int64_t depth = std::min(most_depth, k - p0);
                             pack<block_rows>(packed_a.data(), a + i0 * row_step + p0 * row_depth_step, row_step,
                                              row_depth_step, rows, depth);
                             pack<width>(packed_b.data(), b + j0 * column_step + p0 * column_depth_step, column_step,
                                         column_depth_step, columns, depth);
                             for (std::int64_t j = 0; j < columns; j += width)
                                 for (std::int64_t i = 0; i < rows; i += block_rows) {
                                     multiply_block(packed_a.data() + i * depth, packed_b.data() + j * depth, depth,
                                                    sum);
                                     for (std::int64_t ii = 0; ii < std::min(block_rows, rows - i); ++ii)
                                         take(i0 + i + ii, j0 + j, std::min(width, columns - j), p0, depth,
                                              static_cast<const T*>(sum[ii]));
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
    gemm_pieces<T>(
        trans_a, trans_b, m, n, k, a, lda, b, ldb, detail::panel_depth,
        [=](std::int64_t i, std::int64_t j, std::int64_t width, std::int64_t before, std::int64_t, const T* sums) {
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
