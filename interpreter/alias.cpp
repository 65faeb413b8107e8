// SPDX-License-Identifier: MIT
#include "alias.hpp"

#include <algorithm>
#include <set>

#include "effects.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {
namespace {

/// Ops that may return their input although their schema does not say so.
bool passes_through(const std::string& op_type) {
    static const std::set<std::string, std::less<>> names{
        "aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default",
        "aten.feature_alpha_dropout.default", "<built-in function getitem>"};
    return names.contains(op_type);
}

/// Ops with a written argument whose elements stay as they are.
bool writes_nothing(const std::string& op_type) {
    return op_type == "aten.detach_.default" || op_type == "aten.requires_grad_.default";
}

}  // namespace

AliasSets::AliasSets(const Graph& graph, const Registry* registry) : registry_(registry), parent_(graph.values.size()) {
    std::iota(parent_.begin(), parent_.end(), 0U);
    for (const Node& node : graph.nodes) add_node(node);
}

void AliasSets::add_node(const Node& node) {
    const Schema* schema = find_schema(node.op_type);
    if (!schema && registry_)
        if (const Op* op = registry_->find(node.op_type)) schema = &op->schema;
    const bool whole =
        passes_through(node.op_type) || node.op_type.starts_with("higher_order.") || node.op_type.starts_with("torch.");
    for (const NamedArgument& arg : node.args) {
        const SchemaParameter* parameter = schema ? schema->find(arg.name) : nullptr;
        const bool aliases = whole || (parameter && !parameter->alias.empty());
        for_each_value(arg.value, [&](ValueRef ref) {
            if (aliases)
                for (const ValueRef output : node.output_values()) join(ref.id, output.id);
            if (parameter && writes_to(node, *parameter) && !writes_nothing(node.op_type)) written_.push_back(ref.id);
        });
        if (const auto* body = arg.value.get_if<Subgraph>(); body && body->graph) {
            const std::vector<bool> inner = find_written_inputs(*body->graph, registry_);
            if (std::find(inner.begin(), inner.end(), true) != inner.end())
                for (const ValueRef ref : node.input_values()) written_.push_back(ref.id);
        }
    }
}

std::vector<bool> find_written_inputs(const Graph& graph, const Registry* registry) {
    const AliasSets sets(graph, registry);
    std::set<std::uint32_t> roots;
    for (const std::uint32_t value : sets.written()) roots.insert(sets.find(value));
    std::vector<bool> result;
    for (const Argument& input : graph.inputs) {
        const auto* ref = input.get_if<ValueRef>();
        result.push_back(ref && roots.contains(sets.find(ref->id)));
    }
    return result;
}

}  // namespace torch_ir
