// SPDX-License-Identifier: MIT
// Shapes of results on the meta device, for every op: LibTorch in C++ has no Meta kernel for a third of them.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>

#include "torch_ir/error.hpp"

namespace torch_ir::extractor {

/// The size of a result, or a number that is asked for, depends on the values of a tensor.
class NeedsValues : public Error {
    using Error::Error;
};

/// Registers a Meta kernel for every ATen op that has a CPU kernel and none for meta tensors; once in a process. Such a
/// kernel runs the CPU's on memory that reads as zeros and costs none; results of the same call are remembered. It
/// throws NeedsValues for ops like nonzero.
void install_shapes();

/// LibTorch's words where the CPU's kernel refuses the call because of its dtypes, which Meta kernels of products,
/// convolutions and others do not look at; empty where it takes them. The arguments are on the meta device. What is
/// found is remembered.
std::string dtype_error(const c10::OperatorHandle& op, const torch::jit::Stack& arguments);

/// The result of scaled_dot_product_attention on meta tensors, strided as the CPU's.
at::Tensor attention_shape(const torch::jit::Stack& arguments);

}  // namespace torch_ir::extractor
