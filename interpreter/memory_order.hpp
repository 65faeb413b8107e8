// SPDX-License-Identifier: MIT
// Convolutions are fastest on images that lie channels-last. PyTorch's results lie row-major, which most graphs have no
// means to see.
#pragma once

#include "registry.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Whether a result that lies in another order in memory than PyTorch's may change what the graph computes: an op looks
/// at the memory (`as_strided`), draws random numbers in its order, or makes a copy in place of a view through which is
/// written.
bool shows_memory_order(const Graph& graph, const Registry& registry);

}  // namespace torch_ir
