// SPDX-License-Identifier: MIT
#include "memory_order.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <vector>

#include "alias.hpp"
#include "effects.hpp"

namespace torch_ir {
namespace {

using namespace std::string_view_literals;

/// Whether PyTorch rounds weights of 16-bit images by their order in memory.
bool resizes_halves(const Graph& graph, const Node& node) {
    const std::string_view op = aten_name(node.op_type);
    if (op != "upsample_bilinear2d" && op != "upsample_trilinear3d") return false;
    const std::vector<ValueRef> inputs = node.input_values();
    return !inputs.empty() && is_half(graph.values[inputs[0].id].meta.dtype);
}

/// Whether what the op gives depends on the order of its operands in memory: random numbers are drawn in that order.
bool sees_memory(const Graph& graph, const Node& node, const Registry& registry) {
    constexpr std::array ops{"as_strided"sv, "as_strided_"sv, "as_strided_copy"sv, "as_strided_scatter"sv,
                             "resize_"sv,    "stride"sv,      "sym_stride"sv};
    return std::ranges::find(ops, base_name(node.op_type)) != ops.end() || draws_numbers(node, registry) ||
           resizes_halves(graph, node);
}

/// Whether the op returns a view where the strides allow it and else a copy.
bool may_copy(const Node& node) {
    constexpr std::array ops{"view"sv,    "reshape"sv,    "flatten"sv,    "unflatten"sv, "ravel"sv,
                             "view_as"sv, "reshape_as"sv, "contiguous"sv, "to"sv};
    return std::ranges::find(ops, aten_name(node.op_type)) != ops.end();
}

/// Whether a write to one side of the view that the node at `position` makes is read on the other.
bool shows_writes(const Graph& graph, std::size_t position, const AliasSets& aliases, const Registry& registry) {
    const std::uint32_t view = graph.nodes[position].output_values().at(0).id;
    const std::uint32_t root = aliases.find(view);
    std::set<std::uint32_t> beyond{view};  // the view and what is made of it
    std::array<bool, 2> written{};         // before the view, beyond it
    for (std::size_t i = position + 1; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        const Op* op = registry.find(node.op_type);
        std::array<bool, 2> writes{}, reads{};
        for (const NamedArgument& arg : node.args) {
            const SchemaParameter* parameter = op ? op->schema.find(arg.name) : nullptr;
            for_each_value(arg.value, [&](ValueRef ref) {
                if (aliases.find(ref.id) != root) return;
                const bool side = beyond.contains(ref.id);
                reads[side] = true;
                if (parameter && parameter->is_write) writes[side] = true;
            });
        }
        if ((reads[0] && written[1]) || (reads[1] && written[0])) return true;
        for (const bool side : {false, true}) written[side] = written[side] || writes[side];
        if (reads[1])
            for (const ValueRef output : node.output_values()) beyond.insert(output.id);
    }
    bool shown = false;
    for (const Argument& output : graph.outputs)
        for_each_value(output, [&](ValueRef ref) {
            shown = shown || (aliases.find(ref.id) == root && written[!beyond.contains(ref.id)]);
        });
    return shown;
}

}  // namespace

bool shows_memory_order(const Graph& graph, const Registry& registry) {
    for (const Node& node : graph.nodes) {
        if (sees_memory(graph, node, registry)) return true;
        for (const NamedArgument& arg : node.args)
            if (const auto* body = arg.value.get_if<Subgraph>();
                body && body->graph && shows_memory_order(*body->graph, registry))
                return true;
    }
    const AliasSets aliases(graph, &registry);
    std::set<std::uint32_t> written;
    for (const std::uint32_t value : aliases.written()) written.insert(aliases.find(value));
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
        if (!may_copy(graph.nodes[i])) continue;
        const std::vector<ValueRef> views = graph.nodes[i].output_values();
        if (!views.empty() && written.contains(aliases.find(views[0].id)) && shows_writes(graph, i, aliases, registry))
            return true;
    }
    return false;
}

}  // namespace torch_ir
