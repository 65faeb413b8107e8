// SPDX-License-Identifier: MIT
// Sums of products in float64 with the moments that their rounding depends on.
#pragma once

#include <algorithm>
#include <cmath>

#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"
#include "parallel.hpp"
#include "verification/rounding.hpp"

namespace torch_ir::detail {

/// The sums of products of a call and what their rounding depends on.
struct Sums {
    Tensor sum;       // float64
    Tensor squares;   // of the products, in float32, where a few digits will do: times `unit`
    double unit = 1;  // a power of two
    Tensor partial;   // the sums of the squares of the partial sums; undefined: not known

    /// Room for results of a shape.
    Sums(const Ints& shape, bool has_partial)
        : sum(Tensor::empty(shape, DType::Float64)), squares(Tensor::empty(shape, DType::Float32)) {
        if (has_partial) partial = Tensor::empty(shape, DType::Float64);
    }
};

/// Partial sums are looked at from time to time, at least four times, and not for so few terms that the order makes no
/// difference.
inline constexpr std::int64_t fewest_terms = 32;
inline std::int64_t piece_length(std::int64_t terms) {
    return terms < fewest_terms ? terms : std::min((terms + 3) / 4, backend::detail::panel_depth);
}

/// From so many products of float32 on, their sums in float32 over a few (backend::detail::wide_every) at a time are
/// exact enough: what they add to the variance is a twelfth or less of what is judged.
inline constexpr std::int64_t narrow_from = 256;

/// Sums and partial sums of A[m, k] · B[k, n]; rows of the results are `ldc` elements apart.
template <class P = double, class X>
void add_products(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const X* a, std::int64_t lda,
                  const X* b, std::int64_t ldb, double* sum, double* partial, std::int64_t ldc) {
    if constexpr (std::is_same_v<P, double> && std::is_same_v<X, float>)
        if (k >= narrow_from) return add_products<float>(trans_b, m, n, k, a, lda, b, ldb, sum, partial, ldc);
    backend::gemm_pieces<double, P>(false, trans_b, m, n, k, a, lda, b, ldb, piece_length(k),
                                    [=](std::int64_t i, std::int64_t j, std::int64_t width, std::int64_t before,
                                        std::int64_t depth, const double* piece) {
                                        double* s = sum + i * ldc + j;
                                        double* squares = partial ? partial + i * ldc + j : nullptr;
                                        const double half = static_cast<double>(depth) / 2;
                                        const auto add = [&](std::int64_t count) {
                                            if (before == 0) {
                                                std::copy_n(piece, count, s);
                                                for (std::int64_t jj = 0; jj < count && squares; ++jj)
                                                    squares[jj] = half * piece[jj] * piece[jj];
                                            } else if (squares) {
#pragma GCC ivdep
                                                for (std::int64_t jj = 0; jj < count; ++jj) {
                                                    const double sum_before = s[jj];
                                                    const double sum_after = sum_before + piece[jj];
                                                    s[jj] = sum_after;
                                                    squares[jj] +=
                                                        half * (sum_before * sum_before + sum_after * sum_after);
                                                }
                                            } else {
                                                for (std::int64_t jj = 0; jj < count; ++jj) s[jj] += piece[jj];
                                            }
                                        };
                                        constexpr std::int64_t whole = backend::detail::block_columns<P>;
                                        if (width == whole)
                                            add(whole);  // a constant, for the compiler
                                        else
                                            add(width);
                                    });
}

/// The power of two that brings the largest magnitude near 1, so that squares stay within float32.
inline double scale_of(const Tensor& contiguous) {
    double most = 0;
    visit_float(contiguous.dtype(), "scale_of", [&]<class X>(X) {
        const X* x = contiguous.data<X>();
        X lanes[16] = {};
        std::int64_t i = 0;
        for (; i + 16 <= contiguous.numel(); i += 16)
            for (std::int64_t j = 0; j < 16; ++j) {
                const X size = std::fabs(x[i + j]);
                lanes[j] = size > lanes[j] ? size : lanes[j];
            }
        for (; i < contiguous.numel(); ++i) lanes[0] = std::max(lanes[0], static_cast<X>(std::fabs(x[i])));
        most = *std::max_element(std::begin(lanes), std::end(lanes));
    });
    return most > 0 && std::isfinite(most) ? std::ldexp(1.0, -std::ilogb(most)) : 1;
}

template <class X>
void square_into(float* to, const X* x, double scale, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
        const auto v = static_cast<float>(x[i] * static_cast<X>(scale));
        to[i] = v * v;
    }
}

/// Squares of a contiguous tensor of float32 or float64, scaled, in float32.
inline Tensor squared(const Tensor& contiguous, double scale) {
    Tensor result = Tensor::empty(contiguous.shape(), DType::Float32);
    visit_float(contiguous.dtype(), "squared", [&]<class X>(X) {
        parallel_for(contiguous.numel(), parallel_grain, [&](std::int64_t begin, std::int64_t end) {
            square_into(result.data<float>() + begin, contiguous.data<X>() + begin, scale, end - begin);
        });
    });
    return result;
}

/// float32 and float64 as they are, other floats as float32.
inline Tensor computable(const Tensor& tensor, bool in_double) {
    return tensor.to(in_double ? DType::Float64 : DType::Float32);
}

}  // namespace torch_ir::detail
