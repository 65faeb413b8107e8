// SPDX-License-Identifier: MIT
// Weights that are subclasses of Tensor, as torchao's quantised ones: graphs take them apart by
// `export.access_subclass_inner_tensor`. Here their inner tensors become weights of their own, `linear.weight.qdata`.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/ir.hpp"

namespace torch_ir::detail::pt2 {

class SubclassUnwrapper {
  public:
    explicit SubclassUnwrapper(Model& model) : model_(model) {}

    void run() {
        Graph& graph = model_.graph;
        constexpr std::string_view access = "export.access_subclass_inner_tensor.default";
        if (std::ranges::none_of(graph.nodes, [&](const Node& node) { return node.op_type == access; })) return;
        for (std::size_t i = 0; i < graph.inputs.size(); ++i)
            if (const auto* ref = graph.inputs[i].get_if<ValueRef>(); ref && is_weight(model_.inputs[i].kind))
                weights_[ref->id] = i;
        std::vector<Node> kept;
        for (Node& node : graph.nodes)
            if (node.op_type != access || !take_apart(node)) kept.push_back(std::move(node));
        graph.nodes = std::move(kept);
        drop_wrappers();
        compact();
    }

  private:
    /// Makes the value read from a weight an input. False for anything but a weight.
    bool take_apart(Node& node) {
        const Argument* source = node.find("src_subclass_tensor");
        const Argument* attr = node.find("attr");
        const auto* wrapper = source ? source->get_if<ValueRef>() : nullptr;
        const auto* name = attr ? attr->get_if<std::string>() : nullptr;
        const auto* inner = node.outputs.size() == 1 ? node.outputs[0].get_if<ValueRef>() : nullptr;
        const auto found = wrapper ? weights_.find(wrapper->id) : weights_.end();
        if (!name || !inner || found == weights_.end()) return false;
        InputSpec spec = model_.inputs[found->second];
        spec.target += "." + *name;
        const auto same = std::ranges::find_if(model_.inputs, [&](const InputSpec& other) {
            return is_weight(other.kind) && other.target == spec.target;
        });
        if (same != model_.inputs.end()) {  // read again
            replaced_[inner->id] =
                model_.graph.inputs[static_cast<std::size_t>(same - model_.inputs.begin())].get_if<ValueRef>()->id;
            return true;
        }
        wrappers_.push_back(wrapper->id);
        weights_[inner->id] = model_.inputs.size();
        model_.graph.inputs.emplace_back(*inner);
        model_.inputs.push_back(std::move(spec));
        return true;
    }

    /// Takes out the wrappers that nothing reads any more, and puts the inner tensors before the user inputs.
    void drop_wrappers() {
        const Graph& graph = model_.graph;
        std::vector<bool> dropped(graph.values.size(), false);
        for (const std::uint32_t wrapper : wrappers_) dropped[wrapper] = true;
        const auto keep = [&](ValueRef ref) { dropped[ref.id] = false; };
        for (const Node& node : graph.nodes)
            for (const ValueRef ref : node.input_values()) keep(ref);
        for (const Argument& output : graph.outputs) for_each_value(output, keep);
        const auto first_user = std::ranges::find(model_.inputs, InputKind::UserInput, &InputSpec::kind);
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < graph.inputs.size(); ++i)
            if (const auto* ref = graph.inputs[i].get_if<ValueRef>(); !ref || !dropped[ref->id]) order.push_back(i);
        std::ranges::stable_partition(order, [&](std::size_t i) {
            return is_weight(model_.inputs[i].kind) || i < static_cast<std::size_t>(first_user - model_.inputs.begin());
        });
        std::vector<Argument> inputs;
        std::vector<InputSpec> specs;
        for (const std::size_t i : order) {
            inputs.push_back(graph.inputs[i]);
            specs.push_back(model_.inputs[i]);
        }
        model_.graph.inputs = std::move(inputs);
        model_.inputs = std::move(specs);
    }

    /// Numbers the values anew, without those that nothing mentions any more.
    void compact() {
        Graph& graph = model_.graph;
        constexpr std::uint32_t absent = UINT32_MAX;
        std::vector<std::uint32_t> ids(graph.values.size(), absent);
        std::vector<Value> values;
        const auto renumber = [&](ValueRef ref) {
            if (const auto found = replaced_.find(ref.id); found != replaced_.end()) ref.id = found->second;
            if (ids[ref.id] == absent) {
                ids[ref.id] = static_cast<std::uint32_t>(values.size());
                values.push_back(graph.values[ref.id]);
                values.back().producer = Value::no_producer;
                values.back().producer_output_idx = 0;
            }
            return ValueRef{ids[ref.id]};
        };
        const auto renumber_all = [&](Argument& argument) { argument = map_values(argument, renumber); };
        for (Argument& input : graph.inputs) renumber_all(input);
        for (Node& node : graph.nodes) {
            for (NamedArgument& argument : node.args) renumber_all(argument.value);
            for (Argument& output : node.outputs) renumber_all(output);
        }
        for (Argument& output : graph.outputs) renumber_all(output);
        graph.values = std::move(values);
        for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
            std::uint32_t position = 0;
            for (const ValueRef ref : graph.nodes[i].output_values()) {
                graph.value(ref).producer = i;
                graph.value(ref).producer_output_idx = position++;
            }
        }
    }

    Model& model_;
    std::map<std::uint32_t, std::size_t> weights_;  // value → input
    std::map<std::uint32_t, std::uint32_t> replaced_;
    std::vector<std::uint32_t> wrappers_;
};

}  // namespace torch_ir::detail::pt2
