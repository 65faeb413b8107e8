// SPDX-License-Identifier: MIT
// Our own matrix product for any element type: panels packed into contiguous memory, a register block of rows and
// columns inside.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel.hpp"

namespace torch_ir::backend {

namespace detail {

inline constexpr std::int64_t block_rows = 4;
inline constexpr std::int64_t block_columns = 16;
inline constexpr std::int64_t panel_depth = 256;
inline constexpr std::int64_t panel_rows = 64;
inline constexpr std::int64_t panel_columns = 256;

/// packed[j / columns][p][j % columns], zero beyond the edge.
template <class T>
void pack_columns(T* packed, const T* b, bool trans, std::int64_t ldb, std::int64_t p0, std::int64_t depth,
                  std::int64_t j0, std::int64_t n) {
    for (std::int64_t j = 0; j < n; j += block_columns)
        for (std::int64_t p = 0; p < depth; ++p)
            for (std::int64_t jj = 0; jj < block_columns; ++jj, ++packed) {
                const std::int64_t column = j0 + j + jj;
                *packed = j + jj < n ? (trans ? b[column * ldb + p0 + p] : b[(p0 + p) * ldb + column]) : T(0);
            }
}

/// packed[i / rows][p][i % rows], zero beyond the edge.
template <class T>
void pack_rows(T* packed, const T* a, bool trans, std::int64_t lda, std::int64_t i0, std::int64_t m, std::int64_t p0,
               std::int64_t depth) {
    for (std::int64_t i = 0; i < m; i += block_rows)
        for (std::int64_t p = 0; p < depth; ++p)
            for (std::int64_t ii = 0; ii < block_rows; ++ii, ++packed) {
                const std::int64_t row = i0 + i + ii;
                *packed = i + ii < m ? (trans ? a[(p0 + p) * lda + row] : a[row * lda + p0 + p]) : T(0);
            }
}

template <class T>
void multiply_block(const T* a, const T* b, std::int64_t depth, T (&sum)[block_rows][block_columns]) {
    for (std::int64_t p = 0; p < depth; ++p, a += block_rows, b += block_columns)
        for (std::int64_t i = 0; i < block_rows; ++i)
            for (std::int64_t j = 0; j < block_columns; ++j) sum[i][j] += a[i] * b[j];
}

}  // namespace detail

/// See backend::gemm.
template <class T>
void gemm_loop(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
               const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
    using namespace detail;
    const std::int64_t row_panels = (m + panel_rows - 1) / panel_rows;
    const std::int64_t column_panels = (n + panel_columns - 1) / panel_columns;
    const std::int64_t work = m * n * k;
    parallel_for(row_panels * column_panels, work < 65536 ? row_panels * column_panels : 1,
                 [&](std::int64_t begin, std::int64_t end) {
                     std::vector<T> packed_a(static_cast<std::size_t>(panel_rows * panel_depth));
                     std::vector<T> packed_b(static_cast<std::size_t>(panel_columns * panel_depth));
                     for (std::int64_t panel = begin; panel < end; ++panel) {
                         const std::int64_t i0 = panel % row_panels * panel_rows;
                         const std::int64_t j0 = panel / row_panels * panel_columns;
                         const std::int64_t rows = std::min(panel_rows, m - i0);
                         const std::int64_t columns = std::min(panel_columns, n - j0);
                         for (std::int64_t i = 0; i < rows; ++i)
                             for (std::int64_t j = 0; j < columns; ++j) {
                                 T& element = c[(i0 + i) * ldc + j0 + j];
                                 element = beta == T(0) ? T(0) : beta * element;
                             }
                         for (std::int64_t p0 = 0; p0 < k; p0 += panel_depth) {
                             const std::int64_t depth = std::min(panel_depth, k - p0);
                             pack_rows(packed_a.data(), a, trans_a, lda, i0, rows, p0, depth);
                             pack_columns(packed_b.data(), b, trans_b, ldb, p0, depth, j0, columns);
                             for (std::int64_t j = 0; j < columns; j += block_columns)
                                 for (std::int64_t i = 0; i < rows; i += block_rows) {
                                     T sum[block_rows][block_columns] = {};
                                     multiply_block(packed_a.data() + i * depth, packed_b.data() + j * depth, depth,
                                                    sum);
                                     for (std::int64_t ii = 0; ii < std::min(block_rows, rows - i); ++ii)
                                         for (std::int64_t jj = 0; jj < std::min(block_columns, columns - j); ++jj)
                                             c[(i0 + i + ii) * ldc + j0 + j + jj] += sum[ii][jj];
                                 }
                         }
                     }
                 });
}

}  // namespace torch_ir::backend
