// SPDX-License-Identifier: MIT
// What matrix products and convolutions of our own are made of: columns of B packed into the cache, and a register
// block of rows and columns. Rows of A are read where they lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "vmath.hpp"

namespace torch_ir::backend::detail {

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

/// Rows of A, and numbers of each, that meet all columns of a tile while they stay in the second-level cache. Sums are
/// read and written again for every panel, so it is deep.
template <class T>
inline constexpr std::int64_t panel_depth = 3072 / static_cast<std::int64_t>(sizeof(T));
inline constexpr std::int64_t panel_rows = 22 * block_rows;
/// The same where columns are packed once more for every panel below another: so many rows that there are few of them,
/// in a cache that is larger where vectors are.
template <class T>
inline constexpr std::int64_t packing_panel_depth = 48 * vector_bytes / static_cast<std::int64_t>(sizeof(T));
inline constexpr std::int64_t packing_panel_rows = 42 * block_rows;

/// Rows of packed columns that are fetched ahead of the products.
inline constexpr std::int64_t rows_ahead = 8;
/// Rows of packed columns, a kilobyte of them, between which some of the next columns are fetched: all at once, they
/// would be in the way of the rows of A.
template <class T>
inline constexpr std::int64_t rows_between = 1024 / (block_columns<T> * static_cast<std::int64_t>(sizeof(T)));

/// Rows of a panel when `rows` are cut into as few equal ones as `most` allows.
inline std::int64_t even_rows(std::int64_t rows, std::int64_t most) {
    const std::int64_t panels = (rows + most - 1) / most;
    return ((rows + panels - 1) / std::max<std::int64_t>(panels, 1) + block_rows - 1) / block_rows * block_rows;
}

/// Of two vectors, the lanes whose number has not the bit `half` from `upper` and the others from `lower`, `half` lanes
/// further up; `high`: the other lanes of both.
template <std::size_t half, bool high, class Vector, std::size_t... lane>
Vector exchange(Vector upper, Vector lower, std::index_sequence<lane...>) {
    constexpr std::size_t lanes = sizeof...(lane);
    return __builtin_shufflevector(upper, lower,
                                   (lane & half ? lanes + lane - (high ? 0 : half) : lane + (high ? half : 0))...);
}

/// Halves, quarters, … of a square off the diagonal change places.
template <std::size_t half, class T, std::size_t lanes>
void transpose_parts(vmath::Vector<T, lanes> (&row)[lanes]) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < lanes; ++i)
        if ((i & half) == 0) {
            const auto upper = row[i];
            constexpr auto all = std::make_index_sequence<lanes>();
            row[i] = exchange<half, false>(upper, row[i + half], all);
            row[i + half] = exchange<half, true>(upper, row[i + half], all);
        }
    if constexpr (half > 1) transpose_parts<half / 2, T, lanes>(row);
}

/// Calls `store(p, column)` for the columns of a square of one vector's lanes, whose rows are at x + i * line.
template <class T, class Store>
void transpose_square(const T* x, std::int64_t line, Store store) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    using Vector = vmath::Vector<T, lanes>;
    Vector row[lanes];
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < lanes; ++i) row[i] = *reinterpret_cast<const Vector*>(x + i * line);
    transpose_parts<lanes / 2, T, lanes>(row);
#pragma GCC unroll 8
    for (std::int64_t p = 0; p < lanes; ++p) store(p, row[p]);
}

/// packed[j / block][row(p)][j % block] = b[j * ldb + p] for p < depth and j < n, zero beyond the edge.
template <class T, class Row>
void pack_transposed(T* packed, const T* b, std::int64_t ldb, std::int64_t n, std::int64_t depth, Row row) {
    constexpr std::int64_t block = block_columns<T>;
    const std::int64_t whole = n / block * block;
    const auto column = [&](std::int64_t j) { return packed + j / block * block * depth + j % block; };
    std::int64_t squares = 0;
    if constexpr (std::is_floating_point_v<T>) {
        constexpr std::int64_t lanes = 32 / sizeof(T);
        squares = depth / lanes * lanes;
        for (std::int64_t j = 0; j < whole; j += lanes) {
            T* const to = column(j);
            for (std::int64_t p = 0; p < squares; p += lanes)
                transpose_square(b + j * ldb + p, ldb, [&](std::int64_t i, auto values) {
                    *reinterpret_cast<decltype(values)*>(to + row(p + i) * block) = values;
                });
        }
    }
    for (std::int64_t j = 0; j < whole; ++j)
        for (std::int64_t p = squares; p < depth; ++p) column(j)[row(p) * block] = b[j * ldb + p];
    if (whole == n) return;
    std::fill_n(packed + whole * depth, block * depth, T(0));
    for (std::int64_t j = whole; j < n; ++j)
        for (std::int64_t p = 0; p < depth; ++p) column(j)[row(p) * block] = b[j * ldb + p];
}

/// packed[j / block][p][j % block] = op(B)(p, j) for p < depth and j < n, zero beyond the edge.
template <class T>
void pack_columns(T* packed, bool trans_b, const T* b, std::int64_t ldb, std::int64_t n, std::int64_t depth) {
    if (trans_b) return pack_transposed(packed, b, ldb, n, depth, [](std::int64_t p) { return p; });
    constexpr std::int64_t block = block_columns<T>;
    const std::int64_t whole = n / block * block;
    T* const edge = packed + whole * depth;
    if (whole < n) std::fill_n(edge, block * depth, T(0));
    for (std::int64_t p = 0; p < depth; ++p) {
        const T* row = b + p * ldb;
        for (std::int64_t line = 0; line < n * static_cast<std::int64_t>(sizeof(T)); line += 64)
            __builtin_prefetch(reinterpret_cast<const char*>(row + 4 * ldb) + line);
        for (std::int64_t j = 0; j < whole; j += block) std::copy_n(row + j, block, packed + j * depth + p * block);
        std::copy_n(row + whole, n - whole, edge + p * block);
    }
}

/// Where a row of A has its numbers: `segments` runs of `run` numbers, that many numbers behind its first as `offsets`
/// say.
struct RowParts {
    const std::int64_t* offsets;
    std::int64_t segments;
    std::int64_t run;

    std::int64_t depth() const { return segments * run; }
};

/// What becomes of a finished sum: min(max(sum + bias[column], low), high).
template <class T>
struct Finish {
    const T* bias;  // nullptr: none
    T low;
    T high;
};

/// min(max(sum + bias, low), high) for numbers or vectors of them; NaN stays.
template <class X, class T>
X finished(X sum, X bias, const Finish<T>& finish) {
    sum += bias;
    const X low = X{} + finish.low, high = X{} + finish.high;
    sum = sum < low ? low : sum;
    return sum > high ? high : sum;
}

/// Memory to bring into the second-level cache while a product computes.
struct Ahead {
    const char* from;
    std::int64_t bytes;
};

/// C = the products of `rows` rows at `lines` (of Rows at most) and packed columns, of which there are `columns`, +
/// beta * C, finished if `finish` is given.
template <std::size_t Rows, class T>
void multiply_rows(const T* const* lines, std::int64_t rows, const RowParts& parts, const T* b, std::int64_t columns,
                   T beta, T* c, std::int64_t ldc, const Finish<T>* finish, Ahead ahead) {
    constexpr std::int64_t whole = block_columns<T>;
    T sum[Rows][whole];
    if constexpr (std::is_floating_point_v<T>) {
        constexpr std::int64_t lanes = vector_bytes / sizeof(T);
        constexpr std::int64_t between = rows_between<T>;
        using Vector = vmath::Vector<T, lanes>;
        Vector acc[Rows][2] = {};
        for (std::int64_t i = 0; i < std::min<std::int64_t>(Rows, rows); ++i) __builtin_prefetch(c + i * ldc, 1);
        const std::int64_t bytes_between = (ahead.bytes * between / parts.depth() + 63) / 64 * 64;
        for (std::int64_t s = 0; s < parts.segments; ++s) {
            const T* a[Rows];  // beyond the edge the last row once more
#pragma GCC unroll 6
            for (std::size_t i = 0; i < Rows; ++i) a[i] = lines[std::min<std::int64_t>(i, rows - 1)] + parts.offsets[s];
            for (std::int64_t p = 0; p < parts.run; p += between) {
                const std::int64_t fetched = std::min(ahead.bytes, bytes_between);
                for (std::int64_t line = 0; line < fetched; line += 64) __builtin_prefetch(ahead.from + line, 0, 2);
                ahead = {ahead.from + fetched, ahead.bytes - fetched};
                const std::int64_t stop = std::min(p + between, parts.run);
#pragma GCC unroll 8
                for (std::int64_t i = p; i < stop; ++i, b += whole) {
                    for (std::int64_t line = 0; line < whole; line += 64 / sizeof(T))
                        __builtin_prefetch(b + rows_ahead * whole + line);
                    const Vector left = *reinterpret_cast<const Vector*>(b);
                    const Vector right = *reinterpret_cast<const Vector*>(b + lanes);
#pragma GCC unroll 6
                    for (std::size_t row = 0; row < Rows; ++row) {
                        acc[row][0] += a[row][i] * left;
                        acc[row][1] += a[row][i] * right;
                    }
                }
            }
        }
        if (rows >= static_cast<std::int64_t>(Rows) && columns >= whole && (beta == T(0) || beta == T(1))) {
            Vector bias[2] = {};
            if (finish && finish->bias)
                for (std::int64_t half = 0; half < 2; ++half)
                    bias[half] = *reinterpret_cast<const Vector*>(finish->bias + half * lanes);
#pragma GCC unroll 6
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::int64_t half = 0; half < 2; ++half) {
                    auto& to = *reinterpret_cast<Vector*>(c + static_cast<std::int64_t>(i) * ldc + half * lanes);
                    Vector result = acc[i][half];
                    if (beta == T(1)) result += to;
                    if (finish) result = finished(result, bias[half], *finish);
                    to = result;
                }
            return;
        }
#pragma GCC unroll 6
        for (std::size_t i = 0; i < Rows; ++i) {
            *reinterpret_cast<Vector*>(&sum[i][0]) = acc[i][0];
            *reinterpret_cast<Vector*>(&sum[i][lanes]) = acc[i][1];
        }
    } else {
        for (auto& row : sum) std::fill(std::begin(row), std::end(row), T(0));
        for (std::int64_t s = 0; s < parts.segments; ++s)
            for (std::int64_t p = 0; p < parts.run; ++p, b += whole)
                for (std::size_t i = 0; i < Rows; ++i) {
                    const T x = lines[std::min<std::int64_t>(i, rows - 1)][parts.offsets[s] + p];
                    for (std::int64_t j = 0; j < whole; ++j) sum[i][j] += x * b[j];
                }
    }
    for (std::int64_t i = 0; i < std::min<std::int64_t>(Rows, rows); ++i)
        for (std::int64_t j = 0; j < std::min(columns, whole); ++j) {
            T& to = c[i * ldc + j];
            to = beta == T(0) ? sum[i][j] : (beta == T(1) ? to : beta * to) + sum[i][j];
            if constexpr (std::is_floating_point_v<T>)
                if (finish) to = finished(to, finish->bias ? finish->bias[j] : T(0), *finish);
        }
}

/// multiply_rows for any number of rows. Meanwhile the columns at `next` (nullptr: none) come nearer, as long as these.
template <class T>
void multiply_panel(const T* const* lines, std::int64_t rows, const RowParts& parts, const T* b, std::int64_t columns,
                    T beta, T* c, std::int64_t ldc, const Finish<T>* finish, const T* next) {
    const std::int64_t next_bytes = next ? parts.depth() * block_columns<T> * static_cast<std::int64_t>(sizeof(T)) : 0;
    for (std::int64_t i = 0; i < rows;) {
        const std::int64_t left = rows - i;
        const std::int64_t blocks = (left + block_rows - 1) / block_rows;
        const std::int64_t count = (left + blocks - 1) / blocks;  // 7 is 4 and 3: fewer rows leave the adders waiting
        const auto multiply = count <= 2   ? multiply_rows<2, T>
                              : count <= 4 ? multiply_rows<4, T>
                              : count == 5 ? multiply_rows<5, T>
                                           : multiply_rows<block_rows, T>;
        const std::int64_t begin = next_bytes * i / rows, end = next_bytes * (i + count) / rows;
        multiply(lines + i, count, parts, b, columns, beta, c + i * ldc, ldc, finish,
                 {reinterpret_cast<const char*>(next) + begin, end - begin});
        i += count;
    }
}

}  // namespace torch_ir::backend::detail
