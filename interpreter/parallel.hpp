// SPDX-License-Identifier: MIT
// One thread pool (OpenMP's). Work is cut by size, never by thread count, so that results do not depend on it.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <type_traits>

namespace torch_ir {

/// More threads than that are taken for a slip of the pen: OpenMP ends the process when it cannot start them.
inline constexpr int most_threads = 1024;

/// Threads that parallel_for may use from now on.
inline void set_threads(int count) { omp_set_num_threads(std::max(1, count)); }
inline int get_threads() { return omp_get_max_threads(); }

namespace detail {
/// parallel_for of a body that is `run(context, begin, end)`.
void run_pieces(std::int64_t count, std::int64_t grain, void (*run)(void*, std::int64_t, std::int64_t), void* context);
}  // namespace detail

/// Calls `f(begin, end)` over [0, count) in pieces of `grain`, in parallel when there is more than one piece.
/// An exception in a piece is rethrown here; nested calls run serially.
template <class F>
void parallel_for(std::int64_t count, std::int64_t grain, F&& f) {
    using Body = std::remove_reference_t<F>;
    const void* body = std::addressof(f);
    detail::run_pieces(
        count, grain,
        [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Body*>(context))(begin, end); },
        const_cast<void*>(body));
}

/// Calls `f(i0, rows, j0, columns)` for the tiles of an m × n matrix, of at most `most_rows` and about `most_columns`,
/// tiles below each other first; in parallel unless `work`, the multiplications in all, is little. Columns are cut at
/// multiples of `unit`, so that every thread has as many as the others.
template <class F>
void parallel_for_tiles(std::int64_t m, std::int64_t n, std::int64_t most_rows, std::int64_t most_columns,
                        std::int64_t unit, std::int64_t work, F&& f) {
    const std::int64_t below = (m + most_rows - 1) / most_rows;
    const std::int64_t units = (n + unit - 1) / unit;
    const std::int64_t threads = work < 65536 ? 1 : get_threads();
    const std::int64_t step = threads / std::gcd(threads, below);
    const std::int64_t strips = (n + most_columns - 1) / most_columns;
    const std::int64_t beside = std::min(units, (strips + step - 1) / step * step);
    parallel_for(below * beside, threads == 1 ? below * beside : 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t tile = begin; tile < end; ++tile) {
            const std::int64_t i = tile % below * most_rows;
            const std::int64_t j = tile / below * units / beside * unit;
            const std::int64_t next_j = std::min(n, (tile / below + 1) * units / beside * unit);
            f(i, std::min(most_rows, m - i), j, next_j - j);
        }
    });
}

/// Elements below which a loop is not worth waking a second thread.
inline constexpr std::int64_t parallel_grain = 32768;

}  // namespace torch_ir
