// SPDX-License-Identifier: MIT
// The order that sorting uses.
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

}  // namespace torch_ir::kernels
