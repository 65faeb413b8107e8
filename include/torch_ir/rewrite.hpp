// SPDX-License-Identifier: MIT
// Changing a graph in place. A rewrite adds values and nodes, redirects uses, and ends with relink():
//
//     graph.nodes.insert(graph.nodes.begin() + i, std::move(node));    // or erase, or assign to one
//     relink(graph);
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {

/// Sets `producer` and `producer_output_idx` of all values from the outputs of the nodes; call it after nodes were
/// inserted, erased or moved. Throws ArgumentError for a reference to no value, a value that two nodes return, and an
/// input that a node returns; the graph is then as it was. Subgraphs are graphs of their own.
inline void relink(Graph& graph) {
    check_references(graph);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> producers(graph.values.size(), {Value::no_producer, 0});
    std::unordered_set<std::uint32_t> inputs;
    for (const Argument& input : graph.inputs) for_each_value(input, [&](ValueRef ref) { inputs.insert(ref.id); });
    for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
        std::uint32_t position = 0;
        for (const ValueRef ref : graph.nodes[i].output_values()) {
            auto& [producer, output] = producers[ref.id];
            if (producer != Value::no_producer || inputs.contains(ref.id))
                throw ArgumentError(
                    "node '" + graph.nodes[i].name + "' returns '" + graph.value(ref).name + "', which is " +
                    (producer == Value::no_producer ? "an input of the graph"
                                                    : "returned by '" + graph.nodes[producer].name + "'"));
            producer = i;
            output = position++;
        }
    }
    for (std::size_t i = 0; i < producers.size(); ++i)
        std::tie(graph.values[i].producer, graph.values[i].producer_output_idx) = producers[i];
}

/// `base`, or the first of `base_1`, `base_2`, … that no value and no node of the graph is called.
inline std::string unique_name(const Graph& graph, std::string_view base) {
    std::unordered_set<std::string_view> taken;
    for (const Value& value : graph.values) taken.insert(value.name);
    for (const Node& node : graph.nodes) taken.insert(node.name);
    std::string name(base);
    for (int i = 1; taken.contains(name); ++i) name = std::string(base) + "_" + std::to_string(i);
    return name;
}

/// Adds a tensor to the table of values, called unique_name(graph, base); a node that returns it follows.
inline ValueRef add_tensor(Graph& graph, std::string_view base, TensorMeta meta) {
    Value value;
    value.name = unique_name(graph, base);
    value.meta = std::move(meta);
    graph.values.push_back(std::move(value));
    return {static_cast<std::uint32_t>(graph.values.size() - 1)};
}

/// Lets all nodes, and the outputs of the graph, read `to` where they read `from`. A node that computes `to` from
/// `from` is inserted afterwards. Throws ArgumentError when the graph has no such value.
inline void replace_uses(Graph& graph, ValueRef from, ValueRef to) {
    graph.value(from);
    graph.value(to);
    const auto replace = [&](Argument& argument) {
        argument = map_values(argument, [&](ValueRef ref) { return ref == from ? to : ref; });
    };
    for (Node& node : graph.nodes)
        for (NamedArgument& named : node.args) replace(named.value);
    for (Argument& output : graph.outputs) replace(output);
}

/// Erases dead_nodes() and the values that then nobody refers to, and relinks. Inputs stay. Values are renumbered: a
/// ValueRef from before means nothing any more. Throws like relink().
inline void erase_unused(Graph& graph) {
    relink(graph);
    const std::vector<std::uint32_t> dead = dead_nodes(graph);
    for (auto i = dead.rbegin(); i != dead.rend(); ++i) graph.nodes.erase(graph.nodes.begin() + *i);

    std::vector<bool> used(graph.values.size(), false);
    const auto visit = [&](auto&& f) {  // every argument of the graph
        for (Argument& input : graph.inputs) f(input);
        for (Node& node : graph.nodes) {
            for (NamedArgument& named : node.args) f(named.value);
            for (Argument& output : node.outputs) f(output);
        }
        for (Argument& output : graph.outputs) f(output);
    };
    visit([&](const Argument& argument) { for_each_value(argument, [&](ValueRef ref) { used[ref.id] = true; }); });
    std::vector<ValueRef> moved(graph.values.size());
    std::vector<Value> kept;
    for (std::size_t i = 0; i < used.size(); ++i) {
        moved[i] = {static_cast<std::uint32_t>(kept.size())};
        if (used[i]) kept.push_back(std::move(graph.values[i]));
    }
    graph.values = std::move(kept);
    visit([&](Argument& argument) { argument = map_values(argument, [&](ValueRef ref) { return moved[ref.id]; }); });
    relink(graph);
}

}  // namespace torch_ir
