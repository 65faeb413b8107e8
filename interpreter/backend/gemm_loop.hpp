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

/// Columns of B that rows of A meet. Where A is transposed for them, they are more, the more the fewer its rows are.
template <class T>
std::int64_t panel_columns(bool trans_a, std::int64_t m) {
    constexpr std::int64_t group = group_blocks * block_columns<T>;
    return trans_a ? std::clamp<std::int64_t>(65536 / std::max<std::int64_t>(m, 1), 192, 768) / group * group : group;
}

/// to[i * depth + p] = x[p * line + i] for i < n and p < depth.
template <class T>
void transpose(T* to, const T* x, std::int64_t line, std::int64_t n, std::int64_t depth) {
    constexpr std::int64_t tile = 16;  // lines of the cache are read and written whole
    for (std::int64_t p0 = 0; p0 < depth; p0 += tile)
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t p = p0; p < std::min(depth, p0 + tile); ++p) to[i * depth + p] = x[p * line + i];
}

/// The transpose of a square of one vector's lanes: to[p * to_line + i] = x[i * line + p]. Halves, quarters, … off the
/// diagonal change places.
template <class T>
void transpose_square(T* to, std::int64_t to_line, const T* x, std::int64_t line) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    using Vector = vmath::Vector<T, lanes>;
    using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
    using Mask = vmath::Vector<Index, lanes>;
    Vector row[lanes];
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < lanes; ++i) row[i] = *reinterpret_cast<const Vector*>(x + i * line);
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

/// packed[j / block][p][j % block] = op(B)(p, j) for p < depth and j < n, zero beyond the edge.
template <class T>
void pack_columns(T* packed, bool trans_b, const T* b, std::int64_t ldb, std::int64_t n, std::int64_t depth) {
    constexpr std::int64_t block = block_columns<T>;
    const std::int64_t whole = n / block * block;
    const auto place = [&](std::int64_t p, std::int64_t j) -> T& {
        return packed[j / block * block * depth + p * block + j % block];
    };
    if (!trans_b) {
        for (std::int64_t p = 0; p < depth; ++p) {
            const T* row = b + p * ldb;
            for (std::int64_t line = 0; line < n * static_cast<std::int64_t>(sizeof(T)); line += 64)
                __builtin_prefetch(reinterpret_cast<const char*>(row + 4 * ldb) + line);
            for (std::int64_t j = 0; j < whole; j += block) std::copy_n(row + j, block, &place(p, j));
        }
    } else {
        std::int64_t squares = 0;
        if constexpr (std::is_floating_point_v<T>) {
            constexpr std::int64_t lanes = 32 / sizeof(T);
            squares = depth / lanes * lanes;
            for (std::int64_t j = 0; j < whole; j += lanes)
                for (std::int64_t p = 0; p < squares; p += lanes)
                    transpose_square(&place(p, j), block, b + j * ldb + p, ldb);
        }
        for (std::int64_t j = 0; j < whole; ++j)
            for (std::int64_t p = squares; p < depth; ++p) place(p, j) = b[j * ldb + p];
    }
    if (whole == n) return;
    std::fill_n(&place(0, whole), block * depth, T(0));
    for (std::int64_t j = whole; j < n; ++j)
        for (std::int64_t p = 0; p < depth; ++p) place(p, j) = trans_b ? b[j * ldb + p] : b[p * ldb + j];
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

/// C = the products of `rows` rows at `a` (of Rows at most) and packed columns, of which there are `columns`, + beta *
/// C.
template <std::size_t Rows, class T>
void multiply_rows(const T* a, std::int64_t lda, std::int64_t rows, const T* b, std::int64_t depth,
                   std::int64_t columns, T beta, T* c, std::int64_t ldc) {
    constexpr std::int64_t whole = block_columns<T>;
    const T* lines[Rows];  // beyond the edge the last row once more
    for (std::size_t i = 0; i < Rows; ++i) lines[i] = a + std::min<std::int64_t>(i, rows - 1) * lda;
    T sum[Rows][whole];
    multiply_block(lines, b, depth, sum);
    const auto store = [&](auto width) {
        for (std::int64_t i = 0; i < std::min<std::int64_t>(Rows, rows); ++i) {
            T* row = c + i * ldc;
            if (beta == T(1))
                for (std::int64_t j = 0; j < width; ++j) row[j] += sum[i][j];
            else if (beta == T(0))
                for (std::int64_t j = 0; j < width; ++j) row[j] = sum[i][j];
            else
                for (std::int64_t j = 0; j < width; ++j) row[j] = beta * row[j] + sum[i][j];
        }
    };
    if (columns >= whole)
        store(std::integral_constant<std::int64_t, whole>());  // a constant, for the compiler
    else
        store(columns);
}

}  // namespace detail

/// See backend::gemm. Each element is summed in the order of the products, whatever the number of threads.
template <class T>
void gemm_loop(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
               const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
    using namespace detail;
    if (k == 0)
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
    constexpr std::int64_t width = block_columns<T>;
    constexpr std::int64_t group = group_blocks * width;
    const std::int64_t most_columns = panel_columns<T>(trans_a, m);
    const std::int64_t row_panels = (m + panel_rows - 1) / panel_rows;
    const std::int64_t column_panels = (n + most_columns - 1) / most_columns;
    const std::int64_t work = m * n * k;
    parallel_for(row_panels * column_panels, work < 65536 ? row_panels * column_panels : 1,
                 [&](std::int64_t begin, std::int64_t end) {
                     const std::int64_t most_depth = std::min(panel_depth<T>, k);
                     const Scratch<T> packed_a(trans_a ? std::min(panel_rows, m) * most_depth : 0);
                     const Scratch<T> packed_b((std::min(group, n) + width - 1) / width * width * most_depth);
                     for (std::int64_t panel = begin; panel < end; ++panel) {
                         const std::int64_t i0 = panel % row_panels * panel_rows;
                         const std::int64_t rows = std::min(panel_rows, m - i0);
                         const std::int64_t first = panel / row_panels * most_columns;
                         const std::int64_t last = std::min(n, first + most_columns);
                         for (std::int64_t p = 0; p < k; p += most_depth) {
                             const std::int64_t depth = std::min(most_depth, k - p);
                             if (trans_a) transpose(packed_a.data(), a + i0 + p * lda, lda, rows, depth);
                             const T* left = trans_a ? packed_a.data() : a + i0 * lda + p;
                             const std::int64_t left_ld = trans_a ? depth : lda;
                             const T beta_now = p == 0 ? beta : T(1);
                             for (std::int64_t j0 = first; j0 < last; j0 += group) {
                                 const std::int64_t columns = std::min(group, last - j0);
                                 pack_columns(packed_b.data(), trans_b, b + (trans_b ? j0 * ldb + p : j0 + p * ldb),
                                              ldb, columns, depth);
                                 for (std::int64_t j = 0; j < columns; j += width)
                                     for (std::int64_t i = 0; i < rows; i += block_rows) {
                                         const auto multiply =
                                             rows - i > 2 ? multiply_rows<block_rows, T> : multiply_rows<2, T>;
                                         multiply(left + i * left_ld, left_ld, rows - i, packed_b.data() + j * depth,
                                                  depth, columns - j, beta_now, c + (i0 + i) * ldc + j0 + j, ldc);
                                     }
                             }
                         }
                     }
                 });
}

}  // namespace torch_ir::backend
