// SPDX-License-Identifier: MIT
// Bodies of slice.hpp.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "torch_ir/error.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/slice.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {
namespace detail {

/// The values that a node changes in place, by its schema.
inline std::vector<ValueRef> written_values(const Node& node) {
    std::vector<ValueRef> values;
    if (const Schema* schema = find_schema(node.op_type))
        for (const SchemaParameter& parameter : schema->parameters)
            if (may_change(parameter))
                if (const Argument* argument = node.find(parameter.name))
                    for_each_value(*argument, [&](ValueRef ref) { values.push_back(ref); });
    return values;
}

inline std::vector<bool> marks(const Graph& graph, const std::vector<ValueRef>& values) {
    std::vector<bool> marked(graph.values.size(), false);
    for (const ValueRef ref : values) {
        graph.value(ref);  // throws where there is none
        marked[ref.id] = true;
    }
    return marked;
}

/// For each node, whether a value of `from` reaches it.
inline std::vector<bool> nodes_after(const Graph& graph, const std::vector<ValueRef>& from) {
    std::vector<bool> reached = marks(graph, from);
    std::vector<bool> result(graph.nodes.size(), false);
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        result[i] = std::ranges::any_of(node.input_values(), [&](ValueRef ref) { return reached[ref.id]; });
        if (!result[i]) continue;
        for (const ValueRef ref : node.output_values()) reached[ref.id] = true;
        for (const ValueRef ref : written_values(node)) reached[ref.id] = true;
    }
    return result;
}

/// For each node, whether a value of `to` depends on it; nodes before the values of `from` are left out.
inline std::vector<bool> nodes_before(const Graph& graph, const std::vector<ValueRef>& from,
                                      const std::vector<ValueRef>& to) {
    const std::vector<bool> stop = marks(graph, from);
    std::vector<bool> needed = marks(graph, to);
    std::vector<bool> result(graph.nodes.size(), false);
    for (std::size_t i = graph.nodes.size(); i-- > 0;) {
        const Node& node = graph.nodes[i];
        const auto computes = [&](ValueRef ref) { return needed[ref.id] && !stop[ref.id]; };
        const auto changes = [&](ValueRef ref) { return needed[ref.id]; };
        result[i] =
            std::ranges::any_of(node.output_values(), computes) || std::ranges::any_of(written_values(node), changes);
        if (!result[i]) continue;
        for (const ValueRef ref : node.input_values()) needed[ref.id] = true;
    }
    return result;
}

/// Moves nodes and the values that they use into a new model.
class Slicer {
  public:
    Slicer(const Model& model, const SliceOptions& options)
        : source_(model), options_(options), ids_(model.graph.values.size(), absent) {
        result_.name = model.name;
        result_.pytorch_version = model.pytorch_version;
    }

    Model cut(const std::vector<std::uint32_t>& nodes, std::vector<ValueRef> outputs) {
        std::vector<std::uint32_t> order = nodes;
        std::ranges::sort(order);
        order.erase(std::unique(order.begin(), order.end()), order.end());
        if (!order.empty() && order.back() >= source_.graph.nodes.size())
            throw ArgumentError("there is no node " + std::to_string(order.back()) + "; the graph has " +
                                std::to_string(source_.graph.nodes.size()));
        std::vector<bool> inside(source_.graph.values.size(), false);
        for (const std::uint32_t i : order)
            for (const ValueRef ref : source_.graph.nodes[i].output_values()) inside[ref.id] = true;
        add_inputs(order, inside);
        for (const std::uint32_t i : order) add_node(source_.graph.nodes[i]);
        if (outputs.empty()) outputs = results_of(order, inside);
        for (const ValueRef ref : outputs) {
            const Value& value = source_.graph.value(ref);
            if (!inside[ref.id] && !has(ref))
                throw ArgumentError("value '" + value.name + "' is computed by none of the nodes");
            result_.graph.outputs.emplace_back(mapped(ref));
            result_.outputs.push_back({});
        }
        add_symbols();
        return std::move(result_);
    }

  private:
    static constexpr std::uint32_t absent = UINT32_MAX;

    bool has(ValueRef ref) const { return ids_.at(ref.id) != absent; }

    ValueRef mapped(ValueRef ref) {
        std::uint32_t& id = ids_.at(ref.id);
        if (id == absent) {
            id = static_cast<std::uint32_t>(result_.graph.values.size());
            result_.graph.values.push_back(source_.graph.value(ref));
            result_.graph.values.back().producer = Value::no_producer;
            result_.graph.values.back().producer_output_idx = 0;
        }
        return {id};
    }

    Argument mapped(const Argument& argument) {
        return map_values(argument, [&](ValueRef ref) { return mapped(ref); });
    }

    void add_input(ValueRef ref, InputSpec spec) {
        if (source_.graph.value(ref).kind == ValueKind::CustomObject && spec.kind == InputKind::UserInput)
            throw UnsupportedError("value '" + source_.graph.value(ref).name +
                                   "' is a custom object, which a slice cannot take as input");
        if (is_weight(spec.kind) && options_.weights_as_inputs) spec = {};
        if (spec.kind == InputKind::TensorConstant)
            if (const auto constant = source_.constants.find(spec.target); constant != source_.constants.end())
                result_.constants.insert(*constant);
        result_.graph.inputs.emplace_back(mapped(ref));
        result_.inputs.push_back(std::move(spec));
    }

    /// What the nodes read and do not compute: graph inputs in their order, then the results of other nodes.
    void add_inputs(const std::vector<std::uint32_t>& order, const std::vector<bool>& inside) {
        std::set<std::uint32_t> read;
        for (const std::uint32_t i : order)
            for (const ValueRef ref : source_.graph.nodes[i].input_values())
                if (!inside[ref.id]) read.insert(ref.id);
        for (std::size_t i = 0; i < source_.graph.inputs.size(); ++i)
            if (const auto* ref = source_.graph.inputs[i].get_if<ValueRef>(); ref && read.erase(ref->id))
                add_input(*ref, i < source_.inputs.size() ? source_.inputs[i] : InputSpec{});
        for (const std::uint32_t id : read) add_input({id}, {});
    }

    void add_node(const Node& node) {
        Node copy{node.name, node.op_type, {}, {}, node.provenance};
        for (const NamedArgument& named : node.args) copy.args.push_back({named.name, mapped(named.value)});
        std::uint32_t position = 0;
        for (const Argument& output : node.outputs) {
            copy.outputs.push_back(mapped(output));
            for_each_value(copy.outputs.back(), [&](ValueRef ref) {
                result_.graph.value(ref).producer = static_cast<std::uint32_t>(result_.graph.nodes.size());
                result_.graph.value(ref).producer_output_idx = position++;
            });
        }
        result_.graph.nodes.push_back(std::move(copy));
    }

    std::vector<ValueRef> results_of(const std::vector<std::uint32_t>& order, const std::vector<bool>& inside) const {
        std::vector<bool> used(inside.size(), false);
        std::vector<bool> used_outside(inside.size(), false);
        std::vector<bool> member(source_.graph.nodes.size(), false);
        for (const std::uint32_t i : order) member[i] = true;
        for (std::size_t i = 0; i < source_.graph.nodes.size(); ++i)
            for (const ValueRef ref : source_.graph.nodes[i].input_values()) {
                used[ref.id] = true;
                if (!member[i]) used_outside[ref.id] = true;
            }
        for (const Argument& output : source_.graph.outputs)
            for_each_value(output, [&](ValueRef ref) { used[ref.id] = used_outside[ref.id] = true; });
        std::vector<ValueRef> results;
        std::vector<ValueRef> unused;
        for (const std::uint32_t i : order)
            for (const ValueRef ref : source_.graph.nodes[i].output_values()) {
                if (used_outside[ref.id]) results.push_back(ref);
                if (!used[ref.id]) unused.push_back(ref);
            }
        return results.empty() ? unused : results;
    }

    void add_symbols() {
        std::set<std::string> mentioned;
        const auto mention = [&](const Shape& shape) {
            for (const Dim& dim : shape)
                if (dim.expr())
                    for (std::string& symbol : symbols_of(*dim.expr())) mentioned.insert(std::move(symbol));
        };
        for (const Value& value : result_.graph.values) {
            mention(value.meta.shape);
            if (value.meta.strides) mention(*value.meta.strides);
            if (value.expr)
                for (std::string& symbol : symbols_of(*value.expr)) mentioned.insert(std::move(symbol));
        }
        for (const SymbolRange& range : source_.symbols)
            if (mentioned.contains(range.name)) result_.symbols.push_back(range);
    }

    const Model& source_;
    const SliceOptions& options_;
    Model result_;
    std::vector<std::uint32_t> ids_;  // the new id of each value
};

}  // namespace detail

TORCH_IR_INLINE std::vector<std::uint32_t> nodes_between(const Graph& graph, const std::vector<ValueRef>& from,
                                                         const std::vector<ValueRef>& to) {
    check_references(graph);
    const std::size_t count = graph.nodes.size();
    const std::vector<bool> after = from.empty() ? std::vector<bool>(count, true) : detail::nodes_after(graph, from);
    const std::vector<bool> before =
        to.empty() ? std::vector<bool>(count, true) : detail::nodes_before(graph, from, to);
    std::vector<std::uint32_t> nodes;
    for (std::uint32_t i = 0; i < count; ++i)
        if (after[i] && before[i]) nodes.push_back(i);
    return nodes;
}

TORCH_IR_INLINE std::vector<std::uint32_t> nodes_of_module(const Graph& graph, std::string_view module_path) {
    std::vector<std::uint32_t> nodes;
    for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
        const std::string& path = graph.nodes[i].provenance.module_path;
        if (path.starts_with(module_path) && (path.size() == module_path.size() || path[module_path.size()] == '.'))
            nodes.push_back(i);
    }
    return nodes;
}

TORCH_IR_INLINE Model slice(const Model& model, const std::vector<std::uint32_t>& nodes,
                            const std::vector<ValueRef>& outputs, const SliceOptions& options) {
    check_references(model.graph);
    return detail::Slicer(model, options).cut(nodes, outputs);
}

}  // namespace torch_ir
