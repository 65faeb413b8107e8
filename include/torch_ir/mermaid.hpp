// SPDX-License-Identifier: MIT
// A graph as a Mermaid flowchart, and its ops as a Mermaid pie.
#pragma once

#include <cstddef>
#include <string>

#include "torch_ir/drawing_options.hpp"
#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

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
