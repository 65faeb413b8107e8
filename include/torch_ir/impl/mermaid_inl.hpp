// SPDX-License-Identifier: MIT
// Bodies of mermaid.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/impl/drawing.hpp"
#include "torch_ir/impl/op_counts.hpp"
#include "torch_ir/mermaid.hpp"

namespace torch_ir {
namespace detail {

inline std::string mermaid_label(const DrawingItem& item) {
    std::string text;
    for (const std::string& line : item.label) text += (&line == item.label.data() ? "" : "<br/>") + line;
    std::ranges::replace(text, '"', '\'');
    return text;
}

inline std::string mermaid_line(const DrawingItem& item) {
    using Kind = DrawingItem::Kind;
    const std::string label = '"' + mermaid_label(item) + '"';
    const std::string arrow_label = item.label.empty() ? " " : "|" + label + "| ";
    switch (item.kind) {
        case Kind::Input:
        case Kind::Weight:
            return item.id + "[/" + label + "/]";
        case Kind::Op:
            return item.id + "[" + label + "]";
        case Kind::Output:
            return item.id + "[\\" + label + "/]";
        case Kind::Note:
            return item.id + "[" + label + "]";
        case Kind::Arrow:
            return item.id + " -->" + arrow_label + item.to;
        case Kind::WeightArrow:
            return item.id + " -.->" + arrow_label + item.to;
        case Kind::BeginGroup:
            return "subgraph " + item.id + "[" + label + "]";
        case Kind::EndGroup:
            return "end";
    }
    return {};
}

}  // namespace detail

TORCH_IR_INLINE std::string to_mermaid(const Model& model, const MermaidOptions& options) {
    std::string text = "flowchart TD";
    for (const detail::DrawingItem& item : detail::draw(model, options))
        text += "\n" + std::string(4 * item.depth, ' ') + detail::mermaid_line(item);
    return text;
}

TORCH_IR_INLINE std::string to_mermaid_pie(const Model& model, std::size_t top) {
    std::vector<std::string> names;
    for (const Node& node : model.graph.nodes) names.push_back(detail::short_op_name(node.op_type));
    const auto counts = detail::count_ops(names);
    std::string text = "pie showData\n    title \"Operator Distribution\"";
    std::size_t others = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        std::string name = counts[i].first;
        std::ranges::replace(name, '"', '\'');
        if (i < top)
            text += "\n    \"" + name + "\" : " + std::to_string(counts[i].second);
        else
            others += counts[i].second;
    }
    if (others > 0) text += "\n    \"Others\" : " + std::to_string(others);
    return text;
}

}  // namespace torch_ir
