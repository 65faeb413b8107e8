// SPDX-License-Identifier: MIT
// Ways through a graph: names, users, order, subgraphs, what is dead.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {

/// Calls `f(Subgraph)` for each subgraph in an argument, lists and dicts included; not for those inside a subgraph.
template <class F>
void for_each_subgraph(const Argument& argument, F&& f) {
    if (const auto* subgraph = argument.get_if<Subgraph>()) {
        f(*subgraph);
    } else if (const auto* list = argument.get_if<ArgumentList>()) {
        for (const Argument& element : *list) for_each_subgraph(element, f);
    } else if (const auto* map = argument.get_if<ArgumentMap>()) {
        for (const auto& [key, element] : *map) for_each_subgraph(element, f);
    }
}

/// Calls `f(graph, path)` for the graph (empty path) and all its subgraphs, an outer one before those inside it. The
/// path names the nodes and subgraphs on the way: `cond/true_graph_0`.
template <class F>
void for_each_graph(const Graph& graph, F&& f, const std::string& path = "") {
    f(graph, path);
    for (const Node& node : graph.nodes)
        for (const NamedArgument& named : node.args)
            for_each_subgraph(named.value, [&](const Subgraph& subgraph) {
                if (subgraph.graph)
                    for_each_graph(*subgraph.graph, f,
                                   path + (path.empty() ? "" : "/") + node.name + "/" + subgraph.name);
            });
}

/// What the inputs of the node's subgraphs stand for, in their order: values and constants of the graph that the node
/// is in. They are the arguments after the last subgraph, lists taken apart. So for cond, while_loop (the first turn;
/// then what the body returned), scan and map (elements of those it goes over) and the ops that only wrap a subgraph;
/// empty when the node has no subgraph.
inline std::vector<Argument> subgraph_operands(const Node& node) {
    std::vector<Argument> operands;
    bool has_subgraph = false;
    const auto add = [&](const auto& self, const Argument& argument) -> void {
        if (const auto* list = argument.get_if<ArgumentList>()) {
            for (const Argument& element : *list) self(self, element);
        } else if (!argument.is<std::string>() && !argument.is<ArgumentMap>()) {  // names, hints and keyword arguments
            operands.push_back(argument);
        }
    };
    for (const NamedArgument& named : node.args) {
        if (named.value.is<Subgraph>()) {
            operands.clear();
            has_subgraph = true;
        } else if (has_subgraph) {
            add(add, named.value);
        }
    }
    return operands;
}

/// Throws ArgumentError naming the place when the graph or one inside it refers to a value that it does not have.
/// Readers and GraphBuilder make no such graph; functions that take a whole graph ask first.
inline void check_references(const Graph& graph) {
    for_each_graph(graph, [](const Graph& inner, const std::string& path) {
        const auto check = [&](const Argument& argument, const auto& place) {
            for_each_value(argument, [&](ValueRef ref) {
                if (ref.id < inner.values.size()) return;
                with_context([&] { return (path.empty() ? "" : path + ": ") + place(); }, [&] { inner.value(ref); });
            });
        };
        for (const Argument& input : inner.inputs) check(input, [] { return "inputs"; });
        for (const Node& node : inner.nodes) {
            const auto place = [&] { return "node '" + node.name + "' (" + node.op_type + ")"; };
            for (const NamedArgument& named : node.args)
                check(named.value, [&] { return place() + ": argument '" + named.name + "'"; });
            for (const Argument& output : node.outputs) check(output, [&] { return place() + ": outputs"; });
        }
        for (const Argument& output : inner.outputs) check(output, [] { return "outputs"; });
    });
}

/// Values by name. The views point into the graph, which must outlive the map and keep its values in place.
using ValueNames = std::unordered_map<std::string_view, ValueRef>;

/// The values of a graph by name; of several with one name, the first.
inline ValueNames value_names(const Graph& graph) {
    ValueNames names;
    names.reserve(graph.values.size());
    for (std::uint32_t i = 0; i < graph.values.size(); ++i) names.try_emplace(graph.values[i].name, ValueRef{i});
    return names;
}

/// The nodes that read each value, in order and each once; indexed by ValueRef::id. Graph outputs are no users. This
/// and what follows throw ArgumentError like check_references().
inline std::vector<std::vector<std::uint32_t>> value_users(const Graph& graph) {
    check_references(graph);
    std::vector<std::vector<std::uint32_t>> users(graph.values.size());
    for (std::uint32_t i = 0; i < graph.nodes.size(); ++i)
        for (const ValueRef ref : graph.nodes[i].input_values()) {
            std::vector<std::uint32_t>& readers = users[ref.id];
            if (readers.empty() || readers.back() != i) readers.push_back(i);
        }
    return users;
}

/// True when every node comes after the producers of what it reads. Subgraphs are not looked into.
inline bool is_topologically_ordered(const Graph& graph) {
    check_references(graph);
    for (std::uint32_t i = 0; i < graph.nodes.size(); ++i)
        for (const ValueRef ref : graph.nodes[i].input_values()) {
            const std::uint32_t producer = graph.value(ref).producer;
            if (producer != Value::no_producer && producer >= i) return false;
        }
    return true;
}

/// True for nodes that are there for what they do, not for what they return: in-place ops, draws from a generator that
/// is given, assertions, ops without outputs, and ops that hold subgraphs or that the schema table does not know (they
/// may do anything).
inline bool has_side_effects(const Node& node) {
    const Schema* schema = find_schema(node.op_type);
    if (node.outputs.empty()) return true;
    if (!schema) {
        constexpr std::string_view scalar_ops[] = {"_operator.", "math.", "torch.sym_", "torch._sym_"};
        return std::ranges::none_of(scalar_ops,
                                    [&](std::string_view prefix) { return node.op_type.starts_with(prefix); });
    }
    return std::ranges::any_of(schema->parameters, [&](const SchemaParameter& parameter) {
        const Argument* given = may_change(parameter) ? node.find(parameter.name) : nullptr;
        return given && !given->is_none();
    });
}

/// The nodes (ascending) whose results reach no output of the graph and no node with side effects.
inline std::vector<std::uint32_t> dead_nodes(const Graph& graph) {
    check_references(graph);
    std::vector<bool> live_value(graph.values.size(), false);
    for (const Argument& output : graph.outputs)
        for_each_value(output, [&](ValueRef ref) { live_value[ref.id] = true; });
    std::vector<std::uint32_t> dead;
    for (std::size_t i = graph.nodes.size(); i-- > 0;) {  // from the end, so that users come before producers
        const Node& node = graph.nodes[i];
        const auto outputs = node.output_values();
        const bool live =
            has_side_effects(node) || std::ranges::any_of(outputs, [&](ValueRef ref) { return live_value[ref.id]; });
        if (!live)
            dead.push_back(static_cast<std::uint32_t>(i));
        else
            for (const ValueRef ref : node.input_values()) live_value[ref.id] = true;
    }
    std::ranges::reverse(dead);
    return dead;
}

}  // namespace torch_ir
