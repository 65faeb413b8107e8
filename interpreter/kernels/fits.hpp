// SPDX-License-Identifier: MIT
// The check of numbers that fill tensors.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// Throws ArgumentError naming `op` when a tensor of `dtype` cannot hold `number`, as PyTorch does: negative integers
/// wrap in unsigned dtypes, anything else out of range is refused.
void check_fits(const char* op, const Scalar& number, DType dtype);

/// The 0-d tensor `value` in `dtype`; throws as check_fits.
Tensor fitting(const char* op, const Tensor& value, DType dtype);

}  // namespace torch_ir::kernels
