// SPDX-License-Identifier: MIT
// Matrix products on tensors, for the kernels that are built on them.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// torch.matmul: [n]·[n], [m, k]·[k, n], and batches of matrices with broadcast leading dimensions.
/// Throws ArgumentError naming both shapes when they do not fit, or when the dtypes differ.
Tensor matmul(const Tensor& a, const Tensor& b);

/// input[..., k] · weight[n, k]ᵀ + bias[n] (bias may be undefined).
Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias);

}  // namespace torch_ir::kernels
