// SPDX-License-Identifier: MIT
// A graph as text for Graphviz.
#pragma once

#include <string>

#include "torch_ir/drawing_options.hpp"
#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// The drawing of to_mermaid as a `digraph`; subgraphs are clusters.
std::string to_dot(const Model& model, const DrawingOptions& options = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/dot_inl.hpp"  // IWYU pragma: export
#endif
