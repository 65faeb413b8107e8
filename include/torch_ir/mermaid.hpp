// SPDX-License-Identifier: MIT
// A graph as a Mermaid flowchart, and its ops as a Mermaid pie.
#pragma once

#include <cstddef>
#include <string>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// What a drawing of a graph shows.
struct DrawingOptions {
    std::size_t max_nodes = 30;  // of each graph; a note says how many more there are
    bool weights = true;         // as nodes of their own
};
using MermaidOptions = DrawingOptions;

/// A flowchart in the style of pytorch-ir, without a newline at the end. A subgraph is drawn as a block beside its
/// node.
std::string to_mermaid(const Model& model, const MermaidOptions& options = {});

/// The `top` most frequent ops as a pie, all others as one piece; without a newline at the end.
std::string to_mermaid_pie(const Model& model, std::size_t top = 10);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/mermaid_inl.hpp"  // IWYU pragma: export
#endif
