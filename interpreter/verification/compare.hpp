// SPDX-License-Identifier: MIT
// Do two tensors agree, and by how much not.
#pragma once

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

/// What a comparison found. Figures are over the pairs that are finite on both sides.
struct Comparison {
    bool passed = false;
    std::string message;  // why not; empty when passed
    std::int64_t elements = 0;
    std::int64_t mismatches = 0;
    double max_abs = 0;  // largest |actual - expected|
    double max_rel = 0;  // largest |actual - expected| / |expected|, where expected is not 0
    double mean_abs = 0;
    std::int64_t worst_index = 0;  // row-major position of the largest excess over the tolerance
};

/// Shapes and dtypes must be equal, NaN equals NaN, infinities agree by sign. Complex numbers compare by modulus.
Comparison compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance);

/// A number, bool or tensor as a tensor; a number as 0-d int64, float64, bool or complex128. Undefined for None.
Tensor value_tensor(const IValue& value);

}  // namespace torch_ir
