// SPDX-License-Identifier: MIT
// Bodies of dot.hpp.
#pragma once

#include <string>

#include "torch_ir/dot.hpp"
#include "torch_ir/impl/drawing.hpp"

namespace torch_ir {
namespace detail {

inline std::string dot_label(const DrawingItem& item) {
    std::string text;
    for (const std::string& line : item.label) {
        if (&line != item.label.data()) text += "\\n";
        for (const char c : line) {
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
    }
    return "[label=\"" + text + '"';
}

inline std::string dot_line(const DrawingItem& item) {
    using Kind = DrawingItem::Kind;
    const std::string label = dot_label(item);
    switch (item.kind) {
        case Kind::Input:
            return item.id + " " + label + ", shape=parallelogram];";
        case Kind::Weight:
            return item.id + " " + label + ", shape=parallelogram, style=dashed];";
        case Kind::Op:
            return item.id + " " + label + "];";
        case Kind::Output:
            return item.id + " " + label + ", shape=trapezium];";
        case Kind::Note:
            return item.id + " " + label + ", shape=note];";
        case Kind::Arrow:
            return item.id + " -> " + item.to + " " + label + "];";
        case Kind::WeightArrow:
            return item.id + " -> " + item.to + " " + label + ", style=dashed];";
        case Kind::BeginGroup:
            return "subgraph cluster_" + item.id + " { " + label.substr(1) + ";";
        case Kind::EndGroup:
            return "}";
    }
    return {};
}

}  // namespace detail

TORCH_IR_INLINE std::string to_dot(const Model& model, const DrawingOptions& options) {
    std::string text = "digraph {\n    node [shape=box];\n";
    for (const detail::DrawingItem& item : detail::draw(model, options))
        text += std::string(4 * item.depth, ' ') + detail::dot_line(item) + "\n";
    return text + "}\n";
}

}  // namespace torch_ir
