// SPDX-License-Identifier: MIT
// Normal numbers in blocks of 16, to the last bit as PyTorch's CPU kernels with AVX2 or AVX-512 make them.
#pragma once

#include <bit>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "generator.hpp"

namespace torch_ir::kernels {

/// The logarithm of a normal number as PyTorch's kernel has it (avx_mathfun.h, after Cephes).
inline float log_of(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    auto exponent = static_cast<float>(static_cast<int>(bits >> 23) - 126);
    x = std::bit_cast<float>((bits & 0x807fffffU) | 0x3f000000U);
    if (x < 0.707106781186547524F) {
        exponent -= 1;
        x += x;
    }
    x -= 1;
    const float z = x * x;
    float y = 7.0376836292e-2F;
    for (const float c : {-1.1514610310e-1F, 1.1676998740e-1F, -1.2420140846e-1F, 1.4249322787e-1F, -1.6668057665e-1F,
                          2.0000714765e-1F, -2.4999993993e-1F, 3.3333331174e-1F})
        y = std::fma(y, x, c);
    y = y * x * z;
    y = std::fma(exponent, -2.12194440e-4F, y);
    y = std::fma(z, -0.5F, y);
    return std::fma(exponent, 0.693359375F, x + y);
}

/// Sine and cosine of an angle in [0, 2 pi), from the same source.
inline std::pair<float, float> sine_and_cosine(float x) {
    const int octant = (static_cast<int>(x * 1.27323954473516F) + 1) & ~1;
    for (const float part : {-0.78515625F, -2.4187564849853515625e-4F, -3.77489497744594108e-8F})
        x = std::fma(static_cast<float>(octant), part, x);
    const float z = x * x;
    float even = std::fma(2.443315711809948e-5F, z, -1.388731625493765e-3F);
    even = std::fma(even, z, 4.166664568298827e-2F) * z * z;
    even = std::fma(z, -0.5F, even) + 1;
    float odd = std::fma(-1.9515295891e-4F, z, 8.3321608736e-3F);
    odd = std::fma(odd, z, -1.6666654611e-1F) * z;
    odd = std::fma(odd, x, x);
    const bool swap = (octant & 2) != 0;
    const float sine = swap ? even : odd, cosine = swap ? odd : even;
    return {(octant & 4) != 0 ? -sine : sine, ((octant + 2) & 4) != 0 ? -cosine : cosine};
}

/// Box-Muller on eight pairs: uniform numbers (i, i + 8) become normal ones.
inline void make_normal(double* x, double mean, double std) {
    for (int j = 0; j < 8; ++j) {
        const double radius = std::sqrt(-2 * std::log(1 - x[j]));
        const double theta = 2 * std::numbers::pi * x[j + 8];
        x[j] = std::fma(radius * std::cos(theta), std, mean);
        x[j + 8] = std::fma(radius * std::sin(theta), std, mean);
    }
}
inline void make_normal(float* x, float mean, float std) {
    for (int j = 0; j < 8; ++j) {
        const float radius = std::sqrt(-2 * log_of(1 - x[j]));
        const auto [sine, cosine] = sine_and_cosine(2 * std::numbers::pi_v<float> * x[j + 8]);
        x[j] = std::fma(radius * cosine, std, mean);
        x[j + 8] = std::fma(radius * sine, std, mean);
    }
}

/// At least 16 numbers, in blocks of 16; the last block overlaps the one before and is drawn anew: after all others, in
/// 16-bit types (`at_once`) after the blocks before it.
template <class C>
void fill_normal_blocks(Generator& g, std::span<C> values, C mean, C std, bool at_once) {
    const auto draw = [&](std::span<C> some) {
        for (C& value : some) {
            if constexpr (std::is_same_v<C, float>)
                value = g.uniform_float();
            else
                value = g.uniform();
        }
    };
    const std::size_t rest = values.size() % 16;
    draw(at_once ? values.first(values.size() - rest) : values);
    for (std::size_t i = 0; i + 16 <= values.size(); i += 16) make_normal(&values[i], mean, std);
    if (rest == 0) return;
    draw(values.last(16));
    make_normal(values.last(16).data(), mean, std);
}

}  // namespace torch_ir::kernels
