// SPDX-License-Identifier: MIT
// A graph as an SVG image, and as a page to look at in a browser. Nothing is loaded from elsewhere.
#pragma once

#include <string>

#include "torch_ir/drawing_options.hpp"
#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// The drawing of to_mermaid as SVG text: layers from top to bottom, each node below what it reads.
std::string to_svg(const Model& model, const DrawingOptions& options = {});

/// The same in an HTML page that can be scrolled and zoomed.
std::string to_html(const Model& model, const DrawingOptions& options = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/svg_inl.hpp"  // IWYU pragma: export
#endif
