// SPDX-License-Identifier: MIT
// Reductions over one contiguous row that vectorise and do not lose accuracy in long rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "vmath.hpp"

namespace torch_ir::kernels {

/// Sum of f(x[i]): short runs in vector lanes, the runs added pairwise, so that the error grows with log n.
template <class C, class F>
C sum_of(const C* x, std::int64_t n, F f) {
    constexpr std::int64_t run = 512;
    if (n > run) {
        const std::int64_t half = (n / 2 + run - 1) / run * run;
        return sum_of(x, half, f) + sum_of(x + half, n - half, f);
    }
    if constexpr (std::is_same_v<C, float> || std::is_same_v<C, double>) {
        C total = 0;
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = 0; i < n; ++i) total += f(x[i]);
        return total;
    } else {
        C total{};
        for (std::int64_t i = 0; i < n; ++i) total += f(x[i]);
        return total;
    }
}

/// The largest element; -infinity for an empty row; NaN elements are passed over.
template <class C>
C max_of(const C* x, std::int64_t n) {
    C largest = -std::numeric_limits<C>::infinity();
#pragma omp simd reduction(max : largest)
    for (std::int64_t i = 0; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    // Some compilers start the lanes of a reduction from the lowest finite number.
    constexpr C lowest = std::numeric_limits<C>::lowest();
    if (largest > lowest) return largest;
    return std::find(x, x + n, lowest) != x + n ? lowest : -std::numeric_limits<C>::infinity();
}

/// y = softmax(x) of one row; x and y may be the same. A row of only -infinity gives NaN, as in PyTorch.
template <class C>
void softmax_row(const C* x, C* y, std::int64_t n) {
    const C largest = max_of(x, n);
    C total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = vmath::exp(x[i] - largest);
        total += y[i];
    }
    const C scale = C(1) / total;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] *= scale;
}

/// Mean and biased variance of one row, in two passes.
template <class C>
struct Moments {
    C mean;
    C variance;
};
template <class C>
Moments<C> moments_of(const C* x, std::int64_t n) {
    const C mean = sum_of(x, n, [](C v) { return v; }) / static_cast<C>(n);
    const C variance = sum_of(x, n, [mean](C v) { return (v - mean) * (v - mean); }) / static_cast<C>(n);
    return {mean, variance};
}

}  // namespace torch_ir::kernels
