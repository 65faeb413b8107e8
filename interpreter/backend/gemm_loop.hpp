// SPDX-License-Identifier: MIT
// Our own matrix product for any element type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

#include "backend/gemm_kernel.hpp"
#include "backend/pack_cache.hpp"
#include "memory.hpp"
#include "parallel.hpp"
#include "scratch.hpp"

namespace torch_ir::backend {

namespace detail {

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

}  // namespace detail

/// See backend::gemm. Each element is summed in the order of the products, whatever the number of threads.
template <class T>
void gemm_loop(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda,
               const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
    using namespace detail;
    if (k == 0)
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == T(0) ? T(0) : beta * c[i * ldc + j];
    if (m == 0) return;
    constexpr std::int64_t width = block_columns<T>;
    constexpr std::int64_t group = group_blocks * width;
    const std::int64_t most_depth = std::min(packing_panel_depth<T>, k);
    parallel_for_tiles(m, n, even_rows(m, packing_panel_rows), panel_columns<T>(trans_a, m), width, m * n * k,
                       [&](std::int64_t i0, std::int64_t rows, std::int64_t first, std::int64_t all_columns) {
                           const Scratch<T> packed_a(trans_a ? rows * most_depth : 0);
                           const Scratch<T> packed_b((std::min(group, n) + width - 1) / width * width * most_depth);
                           const T* lines[packing_panel_rows];
                           for (std::int64_t p = 0; p < k; p += most_depth) {
                               const std::int64_t depth = std::min(most_depth, k - p);
                               if (trans_a) transpose(packed_a.data(), a + i0 + p * lda, lda, rows, depth);
                               for (std::int64_t i = 0; i < rows; ++i)
                                   lines[i] = trans_a ? packed_a.data() + i * depth : a + (i0 + i) * lda + p;
                               constexpr std::int64_t start = 0;
                               for (std::int64_t j0 = first; j0 < first + all_columns; j0 += group) {
                                   const std::int64_t columns = std::min(group, first + all_columns - j0);
                                   pack_columns(packed_b.data(), trans_b, b + (trans_b ? j0 * ldb + p : j0 + p * ldb),
                                                ldb, columns, depth);
                                   for (std::int64_t j = 0; j < columns; j += width)
                                       multiply_panel<T>(lines, rows, {&start, 1, depth}, packed_b.data() + j * depth,
                                                         columns - j, p == 0 ? beta : T(1), c + i0 * ldc + j0 + j, ldc,
                                                         nullptr, nullptr);
                               }
                           }
                       });
}

/// All columns of B packed for multiply_packed. Pages of a file that B was read from are given back.
template <class T>
std::shared_ptr<const Scratch<T>> pack_matrix(bool trans_b, std::int64_t n, std::int64_t k, const T* b,
                                              std::int64_t ldb) {
    constexpr std::int64_t width = detail::block_columns<T>;
    constexpr std::int64_t group = detail::group_blocks * width;
    constexpr std::int64_t strip = 64 * group;  // of which both forms are in memory at a time, where B is transposed
    auto packed = std::make_shared<Scratch<T>>((n + width - 1) / width * width * k);
    for (std::int64_t first = 0; first < n; first += strip) {
        const std::int64_t columns = std::min(strip, n - first);
        parallel_for(columns, group, [&](std::int64_t begin, std::int64_t end) {
            const std::int64_t j = first + begin;
            detail::pack_columns(packed->data() + j * k, trans_b, b + (trans_b ? j * ldb : j), ldb, end - begin, k);
        });
        if (trans_b)
            release_mapped_pages(b + first * ldb, static_cast<std::size_t>((columns - 1) * ldb + k) * sizeof(T));
    }
    if (!trans_b) release_mapped_pages(b, static_cast<std::size_t>((k - 1) * ldb + n) * sizeof(T));
    return packed;
}

/// C[m, n] = A[m, k] · packed columns + beta · C, finished if `finish` is given. `line(i)` is where row i of A begins;
/// `parts` says where its k numbers lie. Summed in their order, whatever the number of threads.
template <class T, class Line>
void multiply_packed(std::int64_t m, std::int64_t n, const detail::RowParts& parts, Line line, const T* packed, T beta,
                     T* c, std::int64_t ldc, const detail::Finish<T>* finish = nullptr) {
    using namespace detail;
    if (m == 0 || parts.depth() == 0) return;
    constexpr std::int64_t width = block_columns<T>;
    constexpr std::int64_t group = group_blocks * width;
    const std::int64_t k = parts.depth();
    // Pieces of what a panel may be deep: several segments, or a part of one.
    const std::int64_t segments_at_once = std::max<std::int64_t>(1, panel_depth<T> / parts.run);
    const std::int64_t cuts = (parts.run + panel_depth<T> - 1) / panel_depth<T>;
    const std::int64_t cut = (parts.run + cuts - 1) / cuts;
    const std::int64_t most_columns =
        std::clamp(n / (std::int64_t{4} * get_threads()) / group * group, group, 3 * group);
    parallel_for_tiles(
        m, n, even_rows(m, panel_rows), most_columns, width, m * n * k,
        [&](std::int64_t i0, std::int64_t rows, std::int64_t first, std::int64_t columns) {
            const T* lines[panel_rows];
            const auto packed_at = [&](std::int64_t j, std::int64_t term) { return packed + j * k + term * width; };
            for (std::int64_t s = 0; s < parts.segments; s += segments_at_once)
                for (std::int64_t p = 0; p < parts.run; p += cut) {
                    const RowParts piece{parts.offsets + s, std::min(segments_at_once, parts.segments - s),
                                         std::min(cut, parts.run - p)};
                    const std::int64_t term = s * parts.run + p;
                    const bool done = term + piece.depth() == k;
                    for (std::int64_t i = 0; i < rows; ++i) lines[i] = line(i0 + i) + p;
                    for (std::int64_t j = first; j < first + columns; j += width) {
                        Finish<T> columns_finish{};
                        if (finish && done) {
                            columns_finish = *finish;
                            if (finish->bias) columns_finish.bias += j;
                        }
                        const std::int64_t next_j = j + width;
                        const T* next = next_j < first + columns ? packed_at(next_j, term)
                                        : !done                  ? packed_at(first, term + piece.depth())
                                        : i0 + rows < m          ? packed_at(first, 0)
                                        : next_j < n             ? packed_at(next_j, 0)
                                                                 : nullptr;
                        multiply_panel(lines, rows, piece, packed_at(j, term), first + columns - j,
                                       term == 0 ? beta : T(1), c + i0 * ldc + j, ldc,
                                       finish && done ? &columns_finish : nullptr, next);
                    }
                }
        });
}

/// What a product by which a bias is not added starts from: the bias in every row. Returns its beta.
inline float start_with(const float* bias, std::int64_t m, std::int64_t n, float beta, float* c, std::int64_t ldc) {
    if (!bias) return beta;
    for (std::int64_t i = 0; i < m; ++i) std::copy_n(bias, n, c + i * ldc);
    return 1;
}

/// C = A · op(B) + beta · C, or + bias, with B packed, which `constant_b` keeps; false at the first product with B.
inline bool gemm_loop_packed(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                             std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc,
                             PackCache& constant_b, const float* bias) {
    const auto packed = constant_b.get({b, trans_b, n, k, ldb}, [&] { return pack_matrix(trans_b, n, k, b, ldb); });
    if (!packed) return false;
    constexpr std::int64_t start = 0;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const detail::Finish<float> finish{bias, -infinity, infinity};
    multiply_packed<float>(
        m, n, {&start, 1, k}, [&](std::int64_t i) { return a + i * lda; }, packed->data(), beta, c, ldc,
        bias ? &finish : nullptr);
    return true;
}

}  // namespace torch_ir::backend
