// SPDX-License-Identifier: MIT
// Distances between vectors, for the losses made of them.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// Sum over the last dimension (float32 or float64 tensors).
Tensor sum_last(const Tensor& x);

/// The p-norm of x1 - x2 + eps over the last dimension.
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim);

}  // namespace torch_ir::kernels
