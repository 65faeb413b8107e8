// SPDX-License-Identifier: MIT
// Do two tensors agree, and by how much not.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "ivalue.hpp"
#include "tensor.hpp"

namespace torch_ir {

/// |actual - expected| <= atol + rtol * |expected|.
struct Tolerance {
    double rtol = 0;
    double atol = 0;
};

/// The defaults of torch.testing.assert_close for a dtype (for two dtypes, the coarser one counts there; here they must
/// be equal).
Tolerance default_tolerance(DType dtype);

/// The default for the outputs of a whole model: that of the dtype, but 1e-4 for float32 and complex64.
Tolerance model_tolerance(DType dtype);

/// One element on both sides.
struct ElementPair {
    std::int64_t index = -1;  // row-major position; -1: there is none
    Scalar actual;
    Scalar expected;
};

/// What one side holds that is not finite. A complex number with a NaN part is a NaN.
struct Census {
    std::int64_t nan = 0;
    std::int64_t inf = 0;
};

/// What a comparison found. Figures are over the pairs that are finite on both sides, unless they say otherwise.
struct Comparison {
    /// Upper ends of all but the last bin of `histogram`, which counts |actual - expected|: exactly 0, then decades.
    static constexpr std::array<double, 11> histogram_ends{0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};

    bool passed = false;
    std::string message;    // why not; empty when passed
    bool compared = false;  // false: shapes differ, or one side is missing, and nothing below is known
    Tolerance tolerance;
    std::int64_t elements = 0;
    std::int64_t mismatches = 0;  // beyond the tolerance, pairs that are not finite included
    double max_abs = 0;           // largest |actual - expected|
    double max_rel = 0;           // largest |actual - expected| / |expected|, where expected is not 0
    double mean_abs = 0;
    double mean_rel = 0;
    /// Largest number of steps between neighbours of the dtype from one to the other; of integers the difference.
    std::uint64_t max_ulp = 0;
    double cosine = 1;             // of the two as vectors; 1 for two zeros
    double sqnr_db = 0;            // 10 log10(sum expected^2 / sum error^2); infinite when equal
    double psnr_db = 0;            // 10 log10(max |expected|^2 / mean error^2); infinite when equal
    std::int64_t worst_index = 0;  // row-major position of the largest excess over the tolerance
    ElementPair first;             // the first beyond the tolerance
    std::string part;              // the box that holds all beyond it, `[0, 2:4, :]`; empty when they are all over
    ElementPair worst;             // the one at worst_index; none when there are no elements
    Census actual_census;
    Census expected_census;
    std::array<std::int64_t, histogram_ends.size() + 1> histogram{};
};

/// Shapes and dtypes must be equal, NaN equals NaN, infinities agree by sign. Complex numbers compare by modulus. Where
/// only dtypes differ, the figures are those of both as the expected float dtype, or as the dtype they promote to.
Comparison compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance);

/// True when dtype, shape and bytes are the same.
bool same_bits(const Tensor& a, const Tensor& b);

/// The index of a row-major position in a tensor of that shape.
Ints unravel_index(std::int64_t flat, const Ints& shape);

/// A number with as many digits as tell it from its neighbours in `dtype`: `0.1`, `nan`, `(1, -2)`.
std::string number_text(const Scalar& value, DType dtype);

/// A number, bool or tensor as a tensor; a number as 0-d int64, float64, bool or complex128. Undefined for None.
Tensor value_tensor(const IValue& value);

}  // namespace torch_ir
