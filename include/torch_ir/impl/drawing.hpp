// SPDX-License-Identifier: MIT
// What a picture of a graph shows, in the order it is written, before it is put in a drawing language.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "torch_ir/drawing_options.hpp"
#include "torch_ir/impl/json_names.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir::detail {

/// A box, an arrow, or the begin or end of a group.
struct DrawingItem {
    enum class Kind : std::uint8_t { Input, Weight, Op, Output, Note, Arrow, WeightArrow, BeginGroup, EndGroup };

    Kind kind;
    std::string id;
    std::vector<std::string> label;  // lines
    std::string to;                  // arrows
    std::size_t depth;
};

/// `conv2d` for `aten.conv2d.default`.
inline std::string short_op_name(std::string_view op_type) {
    if (op_type.starts_with("aten.")) op_type.remove_prefix(5);
    if (op_type.ends_with(".default")) op_type.remove_suffix(8);
    return std::string(op_type);
}

class Drawing {
  public:
    Drawing(const Model& model, const DrawingOptions& options) : options_(options) {
        draw_graph(model.graph, &model, "", 1);
    }

    std::vector<DrawingItem> take_items() { return std::move(items_); }

  private:
    using Kind = DrawingItem::Kind;

    /// One graph; `model` tells the roles of inputs and outputs of the outermost one.
    struct Scope {
        const Graph& graph;
        const Model* model;
        std::string prefix;  // of ids
        std::size_t depth;
        std::unordered_map<std::uint32_t, std::string> source;  // id of the box that a value comes from
        std::vector<bool> is_weight;
    };

    void draw_graph(const Graph& graph, const Model* model, const std::string& prefix, std::size_t depth) {
        Scope scope{graph, model, prefix, depth, {}, std::vector<bool>(graph.values.size())};
        const std::size_t shown = std::min(graph.nodes.size(), options_.max_nodes);
        draw_inputs(scope);
        for (std::size_t i = 0; i < shown; ++i)
            for (const ValueRef ref : graph.nodes[i].output_values())
                scope.source[ref.id] = prefix + "op_" + graph.nodes[i].name;
        for (std::size_t i = 0; i < shown; ++i) draw_node(scope, graph.nodes[i]);
        draw_outputs(scope);
        if (shown < graph.nodes.size())
            add(scope, Kind::Note, prefix + "note",
                {"... " + std::to_string(graph.nodes.size() - shown) + " more nodes ..."});
    }

    void draw_inputs(Scope& scope) {
        for (std::size_t i = 0; i < scope.graph.inputs.size(); ++i) {
            const auto* ref = scope.graph.inputs[i].get_if<ValueRef>();
            if (!ref) continue;
            const Value& value = scope.graph.value(*ref);
            if (scope.model && i < scope.model->inputs.size() && is_weight(scope.model->inputs[i].kind)) {
                scope.is_weight[ref->id] = true;
                continue;
            }
            const std::string id = scope.prefix + "input_" + value.name;
            scope.source[ref->id] = id;
            add(scope, Kind::Input, id, {"Input: " + value.name, size_text(value)});
        }
    }

    void draw_node(Scope& scope, const Node& node) {
        const std::string id = scope.prefix + "op_" + node.name;
        const auto outputs = node.output_values();
        std::vector<std::string> label{short_op_name(node.op_type)};
        if (!outputs.empty()) label.push_back(size_text(scope.graph.value(outputs[0])));
        add(scope, Kind::Op, id, std::move(label));
        for (const ValueRef ref : node.input_values()) draw_use(scope, ref, id);
        std::size_t index = 0;
        for (const NamedArgument& argument : node.args)
            if (const auto* subgraph = argument.value.get_if<Subgraph>(); subgraph && subgraph->graph)
                draw_subgraph(scope, *subgraph, id, index++);
    }

    void draw_use(Scope& scope, ValueRef ref, const std::string& user) {
        const Value& value = scope.graph.value(ref);
        if (scope.is_weight[ref.id]) {
            if (!options_.weights) return;
            const std::string id = scope.prefix + "w_" + value.name;
            add(scope, Kind::Weight, id, {value.name, size_text(value)});
            add(scope, Kind::WeightArrow, id, {size_text(value)}, user);
        } else if (const auto source = scope.source.find(ref.id); source != scope.source.end()) {
            add(scope, Kind::Arrow, source->second,
                value.kind == ValueKind::Tensor ? std::vector{size_text(value)} : std::vector<std::string>{}, user);
        }
    }

    void draw_subgraph(Scope& scope, const Subgraph& subgraph, const std::string& node, std::size_t index) {
        const std::string group = node + "_g" + std::to_string(index);
        add(scope, Kind::BeginGroup, group, {subgraph.name});
        draw_graph(*subgraph.graph, nullptr, group + "_", scope.depth + 1);
        add(scope, Kind::EndGroup, group, {});
    }

    void draw_outputs(Scope& scope) {
        std::size_t index = 0;
        for (std::size_t i = 0; i < scope.graph.outputs.size(); ++i) {
            const auto* ref = scope.graph.outputs[i].get_if<ValueRef>();
            const bool is_hidden =
                scope.model && i < scope.model->outputs.size() && !is_user_visible(scope.model->outputs[i].kind);
            if (!ref || is_hidden) continue;
            const std::string id = scope.prefix + "output_" + std::to_string(index++);
            add(scope, Kind::Output, id, {"Output", size_text(scope.graph.value(*ref))});
            if (const auto source = scope.source.find(ref->id); source != scope.source.end())
                add(scope, Kind::Arrow, source->second, {}, id);
        }
    }

    static std::string size_text(const Value& value) {
        if (value.kind == ValueKind::Tensor) return join_shape(value.meta.shape, "x");
        return value.expr ? to_string(*value.expr) : std::string(name(value.kind));
    }

    void add(const Scope& scope, Kind kind, const std::string& id, std::vector<std::string> label,
             const std::string& to = {}) {
        for (std::string& line : label)
            std::ranges::replace_if(
                line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
        items_.push_back({kind, clean_id(id), std::move(label), clean_id(to), scope.depth});
    }

    /// Names of values and nodes are Python identifiers; anything else must not become syntax.
    static std::string clean_id(std::string id) {
        std::ranges::replace_if(
            id, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
        return id;
    }

    const DrawingOptions& options_;
    std::vector<DrawingItem> items_;
};

inline std::vector<DrawingItem> draw(const Model& model, const DrawingOptions& options) {
    check_references(model.graph);
    return Drawing(model, options).take_items();
}

}  // namespace torch_ir::detail
