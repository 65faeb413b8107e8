// SPDX-License-Identifier: MIT
// The orders that sorting uses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ivalue.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {

/// a < b where NaN is larger than all else.
template <class C>
bool less_nan_last(C a, C b) {
    return a < b || (b != b && a == a);
}

template <class C>
struct Ranked {
    C value;
    std::int64_t index;
};

/// Strict orders in which equal values go by index.
template <class C>
bool ranks_below(const Ranked<C>& a, const Ranked<C>& b) {
    if (less_nan_last(a.value, b.value)) return true;
    return !less_nan_last(b.value, a.value) && a.index < b.index;
}
template <class C>
bool ranks_above(const Ranked<C>& a, const Ranked<C>& b) {
    if (less_nan_last(b.value, a.value)) return true;
    return !less_nan_last(a.value, b.value) && a.index < b.index;
}

/// PyTorch's std::sort, which leaves equal values where the moves of an introsort bring them.
template <class C>
void sort_as_torch(std::vector<Ranked<C>>& row, bool descending) {
    if (descending)
        std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return less_nan_last(b.value, a.value); });
    else
        std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return less_nan_last(a.value, b.value); });
}

/// std::sort by a `before` that NaNs keep from being an order, as PyTorch calls it. Nothing is before `guard`, which
/// keeps the sort within `items`.
template <class T, class Before>
void sort_unordered(std::vector<T>& items, T guard, Before before) {
    items.insert(items.begin(), guard);
    std::sort(items.begin() + 1, items.end(), before);
    items.erase(items.begin());
}

}  // namespace torch_ir::kernels
