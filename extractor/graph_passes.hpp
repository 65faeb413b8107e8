// SPDX-License-Identifier: MIT
// From what was called to the graph that torch.export gives.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "torch_ir/ir.hpp"

namespace torch_ir::extractor {

/// The call as Python would have made it: a number as the second operand (`add.Scalar`) is one of `add.Tensor`,
/// `_convolution` of a traced program is conv2d, conv_transpose1d, …, and resizing by sizes and factors is by one of
/// them.
Node normalised(Node node);

/// C++'s F::linear is header code: `t`, then `addmm`, or `matmul` and `add_`. These become `linear` again, where
/// nothing else uses what is in between. `in_place` are the nodes that stand for `add_` and the like.
void fuse_linear(Graph& graph, const std::unordered_set<std::uint32_t>& in_place);

/// Removes nodes that nothing uses, but for those in `keep`, and constants likewise; names nodes and values.
void tidy(Model& model, const std::unordered_set<std::uint32_t>& keep);

}  // namespace torch_ir::extractor
