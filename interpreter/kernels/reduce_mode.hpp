// SPDX-License-Identifier: MIT
// The modes of ops that combine many elements into one place: scatter_reduce, index_reduce, segment_reduce.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace torch_ir::kernels {

enum class Reduce { Sum, Prod, Mean, Amax, Amin };

template <class C>
constexpr bool is_complex_type = std::is_same_v<C, std::complex<double>>;

/// What a reduction starts from where the old value does not count.
template <class C>
C identity_of(Reduce reduce) {
    if constexpr (!is_complex_type<C>) {
        using Limits = std::numeric_limits<C>;
        if (reduce == Reduce::Amax) return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
        if (reduce == Reduce::Amin) return Limits::has_infinity ? Limits::infinity() : Limits::max();
    }
    return reduce == Reduce::Prod ? C(1) : C(0);
}

/// Takes `x` into `value`: NaN stays, integers wrap. A mean is a sum here; its caller divides.
template <class C>
void combine(Reduce reduce, C& value, C x) {
    if constexpr (std::is_same_v<C, std::int64_t>) {  // wraps
        const auto a = static_cast<std::uint64_t>(value);
        const auto b = static_cast<std::uint64_t>(x);
        if (reduce == Reduce::Amax)
            value = std::max(value, x);
        else if (reduce == Reduce::Amin)
            value = std::min(value, x);
        else
            value = static_cast<C>(reduce == Reduce::Prod ? a * b : a + b);
    } else {
        if constexpr (!is_complex_type<C>) {
            if (reduce == Reduce::Amax || reduce == Reduce::Amin) {
                if (std::isnan(x) || (reduce == Reduce::Amax ? x > value : x < value)) value = x;
                return;
            }
        }
        value = reduce == Reduce::Prod ? value * x : value + x;
    }
}

}  // namespace torch_ir::kernels
