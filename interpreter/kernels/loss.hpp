// SPDX-License-Identifier: MIT
// What the families of losses share.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// Keeps, averages or sums the elements of a loss: reduction 0 none, 1 mean, 2 sum.
Tensor reduce_loss(const char* op, const Tensor& losses, std::int64_t reduction);

}  // namespace torch_ir::kernels
