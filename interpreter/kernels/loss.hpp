// SPDX-License-Identifier: MIT
// What the families of losses share.
#pragma once

#include <string>

#include "tensor.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::kernels {

/// Keeps, averages or sums the elements of a loss: reduction 0 none, 1 mean, 2 sum.
Tensor reduce_loss(const char* op, const Tensor& losses, std::int64_t reduction);

/// Throws ArgumentError for another number.
inline void check_reduction(const char* op, std::int64_t reduction) {
    if (reduction < 0 || reduction > 2)
        throw ArgumentError(std::string(op) + ": expected reduction to be 0 (none), 1 (mean) or 2 (sum), found " +
                            std::to_string(reduction));
}

}  // namespace torch_ir::kernels
