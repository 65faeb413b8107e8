// SPDX-License-Identifier: MIT
// Windows of pooling, shared by the forward and backward ops.
#pragma once

#include <vector>

#include "ivalue.hpp"
#include "tensor.hpp"

namespace torch_ir::kernels {

/// The windows along one dimension: output o covers begin[o], begin[o] + step, … below end[o], all inside the input.
struct PoolAxis {
    std::int64_t in = 1;
    std::int64_t out = 1;
    std::int64_t step = 1;
    Ints begin{0};
    Ints end{1};
    Ints size{1};          // what the window counts in an average
    bool regular = false;  // window o starts at o * stride - pad and has `kernel` taps, before clipping
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t pad = 0;
};

struct PoolArguments {
    const Ints& kernel;
    const Ints& stride;
    const Ints& padding;
    const Ints& dilation;
    bool ceil_mode = false;
    bool count_include_pad = false;
};

/// Depth, height and width; axes that the op does not have are of size 1. Throw ArgumentError naming the argument.
std::vector<PoolAxis> pool_axes(const char* op, const Tensor& self, const PoolArguments& a, std::size_t rank);
std::vector<PoolAxis> adaptive_axes(const char* op, const Tensor& self, const Ints& output_size, std::size_t rank);
void check_pool_input(const char* op, const Tensor& self, std::size_t rank);

/// The input as [outer, depth, height, width, inner], contiguous: inner are the channels when they are last, else 1.
struct PoolPlanes {
    Tensor in;
    bool batched = true;
    bool channels_last = false;
    std::int64_t outer = 0;
    std::int64_t inner = 1;
    Ints shape;  // of the output, with batch

    /// Uninitialised, laid out as the input.
    Tensor make_output(DType dtype) const;
};
PoolPlanes pool_planes(const Tensor& self, DType compute, std::size_t rank, const std::vector<PoolAxis>& axes);

}  // namespace torch_ir::kernels
