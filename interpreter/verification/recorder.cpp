// SPDX-License-Identifier: MIT
#include "verification/recorder.hpp"

#include <algorithm>

#include "effects.hpp"

namespace torch_ir {

Recorder::Recorder(const Graph& graph, std::vector<bool> wanted) : graph_(graph), wanted_(std::move(wanted)) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
        index_.emplace(graph.nodes[i].name, i);
        const Schema* schema = find_schema(graph.nodes[i].op_type);
        const auto is_written = [&](const SchemaParameter& parameter) { return writes_to(graph.nodes[i], parameter); };
        writes_ = writes_ || (schema && std::ranges::any_of(schema->parameters, is_written));
    }
}

void Recorder::node_ran(const Node& node, std::span<const IValue* const> args, std::span<const IValue> results) {
    if (const auto found = index_.find(node.name); found != index_.end()) current_ = found->second;
    if (writes_) see_arguments(node, args);
    for_each_result(graph_, node, results, [&](ValueRef ref, const Tensor& tensor) {
        if (!wanted_[ref.id]) return;
        states_[ref.id].push_back({current_, tensor.clone()});
        if (writes_) live_[ref.id] = tensor;
    });
    if (writes_) see_writes(node, args);
}

/// The tensors of graph inputs are seen where they are first read.
void Recorder::see_arguments(const Node& node, std::span<const IValue* const> args) {
    const Schema* schema = find_schema(node.op_type);
    if (!schema) return;
    for (std::size_t i = 0; i < std::min(args.size(), schema->parameters.size()); ++i) {
        const Argument* argument = node.find(schema->parameters[i].name);
        const auto* ref = argument ? argument->get_if<ValueRef>() : nullptr;
        const auto* tensor = std::get_if<Tensor>(args[i]);
        if (ref && tensor && ref->id < wanted_.size() && wanted_[ref->id]) live_.emplace(ref->id, *tensor);
    }
}

/// Every value in the memory that was written to, views included, has a new state.
void Recorder::see_writes(const Node& node, std::span<const IValue* const> args) {
    const Schema* schema = find_schema(node.op_type);
    if (!schema) return;
    for (std::size_t i = 0; i < std::min(args.size(), schema->parameters.size()); ++i) {
        const auto* written = writes_to(node, schema->parameters[i]) ? std::get_if<Tensor>(args[i]) : nullptr;
        if (!written || !written->defined()) continue;
        for (const auto& [id, tensor] : live_)
            if (tensor.storage() == written->storage()) states_[id].push_back({current_, tensor.clone()});
    }
}

const Tensor* Recorder::before(ValueRef ref, std::size_t node) const {
    const auto found = states_.find(ref.id);
    if (found == states_.end()) return nullptr;
    const Tensor* tensor = nullptr;
    for (const State& state : found->second)
        if (state.after < node) tensor = &state.tensor;
    return tensor;
}

std::map<std::uint32_t, Tensor> Recorder::values() const {
    std::map<std::uint32_t, Tensor> values;
    for (const auto& [id, states] : states_) values.emplace(id, states.back().tensor);
    return values;
}

}  // namespace torch_ir
