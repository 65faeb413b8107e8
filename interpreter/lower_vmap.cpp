// SPDX-License-Identifier: MIT
// torch.export leaves torch.vmap in a graph that is not decomposed: between two calls that count the nesting, values
// stand for one element of the batch.
#include <algorithm>
#include <map>

#include "lower.hpp"

namespace torch_ir::detail {
namespace {

constexpr std::string_view prefix = "torch._functorch.predispatch.";

bool is_call(const Node& node, std::string_view function) {
    return node.op_type.starts_with(prefix) && std::string_view(node.op_type).substr(prefix.size()) == function;
}

const Argument& argument(const Node& node, std::size_t i) {
    if (i >= node.args.size())
        throw SchemaError("node '" + node.name + "' (" + node.op_type + "): expected at least " +
                          std::to_string(i + 1) + " arguments");
    return node.args[i].value;
}

void rename(Argument& value, const std::map<std::uint32_t, ValueRef>& names) {
    if (auto* ref = value.get_if<ValueRef>()) {
        value = names.at(ref->id);
    } else if (auto* list = value.get_if<ArgumentList>()) {
        for (Argument& element : *list) rename(element, names);
    } else if (auto* map = value.get_if<ArgumentMap>()) {
        for (auto& [key, element] : *map) rename(element, names);
    }
}

/// One region. What does not depend on the batch comes before the loop; the rest is its body.
class Loop {
  public:
    Loop(const Graph& graph, const Node& begin) : graph_(graph), begin_(begin) {}

    /// Appends to `nodes`.
    void outline(std::vector<Node> region, std::vector<Node>& nodes) {
        for (Node& node : region) {
            if (is_call(node, "_add_batch_dim"))
                add_batched(node);
            else if (is_call(node, "_remove_batch_dim"))
                add_result(node);
            else if (depends_on_batch(node))
                add_to_body(std::move(node));
            else
                nodes.push_back(std::move(node));
        }
        if (!outputs_.empty()) nodes.push_back(finish());
    }

  private:
    bool depends_on_batch(const Node& node) const {
        const std::vector<ValueRef> inputs = node.input_values();
        return std::any_of(inputs.begin(), inputs.end(), [&](ValueRef ref) { return inner_.contains(ref.id); });
    }

    ValueRef add_to_values(ValueRef outer) { return add_value(*body_, graph_.value(outer).name, graph_.value(outer)); }

    ValueRef inner_value(ValueRef outer) {
        const ValueRef inner = add_to_values(outer);
        inner_.emplace(outer.id, inner);
        return inner;
    }

    void add_batched(const Node& node) {
        const std::vector<ValueRef> outputs = node.output_values();
        if (outputs.size() != 1) throw SchemaError("node '" + node.name + "': expected one result");
        inputs_.emplace_back(inner_value(outputs[0]));
        batched_.push_back(argument(node, 0));
        in_dims_.push_back(argument(node, 1));
    }

    void add_result(const Node& node) {
        outputs_.insert(outputs_.end(), node.outputs.begin(), node.outputs.end());
        Argument value = argument(node, 0);
        const auto* ref = value.get_if<ValueRef>();
        if (!ref) throw SchemaError("node '" + node.name + "': expected a tensor");
        body_->outputs.emplace_back(captured_or_inner(*ref));
        out_dims_.push_back(argument(node, 3));
    }

    ValueRef captured_or_inner(ValueRef outer) {
        if (const auto found = inner_.find(outer.id); found != inner_.end()) return found->second;
        if (const auto found = captured_inner_.find(outer.id); found != captured_inner_.end()) return found->second;
        captured_.emplace_back(outer);
        const ValueRef inner = add_to_values(outer);
        captured_inner_.emplace(outer.id, inner);
        captured_inputs_.emplace_back(inner);
        return inner;
    }

    void add_to_body(Node node) {
        std::map<std::uint32_t, ValueRef> names;
        for (const ValueRef input : node.input_values()) names.emplace(input.id, captured_or_inner(input));
        for (NamedArgument& arg : node.args) rename(arg.value, names);
        // An order in memory is that of the whole batch, which has a dimension more.
        std::erase_if(node.args, [](const NamedArgument& arg) { return arg.name == "memory_format"; });
        names.clear();
        for (const ValueRef output : node.output_values()) names.emplace(output.id, inner_value(output));
        for (Argument& output : node.outputs) rename(output, names);
        body_->nodes.push_back(std::move(node));
    }

    Node finish() {
        body_->inputs = inputs_;
        body_->inputs.insert(body_->inputs.end(), captured_inputs_.begin(), captured_inputs_.end());
        Node node;
        node.name = begin_.name;
        node.op_type = "torch.vmap";
        node.provenance = begin_.provenance;
        for (Argument arg : {Argument(Subgraph{"body", body_}), argument(begin_, 0), Argument(in_dims_),
                             Argument(out_dims_), Argument(batched_), Argument(captured_)})
            node.args.push_back({"", std::move(arg)});
        node.outputs = outputs_;
        return node;
    }

    const Graph& graph_;
    const Node& begin_;
    std::shared_ptr<Graph> body_ = std::make_shared<Graph>();
    std::map<std::uint32_t, ValueRef> inner_;           // values that depend on the batch
    std::map<std::uint32_t, ValueRef> captured_inner_;  // values from outside that the body reads
    std::vector<Argument> inputs_;
    std::vector<Argument> captured_inputs_;
    std::vector<Argument> outputs_;
    ArgumentList batched_;
    ArgumentList captured_;
    ArgumentList in_dims_;
    ArgumentList out_dims_;
};

}  // namespace

bool lower_vmap(Graph& graph) {
    if (std::none_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const Node& node) { return is_call(node, "_vmap_increment_nesting"); }))
        return false;
    struct Open {
        Node begin;
        std::vector<Node> nodes;
    };
    std::vector<Open> open(1);  // the graph itself, then the regions that the node at hand is in
    for (Node& node : graph.nodes) {
        if (is_call(node, "_vmap_increment_nesting")) {
            open.push_back({std::move(node), {}});
        } else if (is_call(node, "_vmap_decrement_nesting")) {
            if (open.size() < 2) throw SchemaError("node '" + node.name + "': ends a vmap that has not begun");
            Open region = std::move(open.back());
            open.pop_back();
            Loop(graph, region.begin).outline(std::move(region.nodes), open.back().nodes);
        } else if (!is_call(node, "lazy_load_decompositions")) {
            open.back().nodes.push_back(std::move(node));
        }
    }
    if (open.size() != 1) throw SchemaError("node '" + open.back().begin.name + "': begins a vmap that does not end");
    graph.nodes = std::move(open[0].nodes);
    return true;
}

}  // namespace torch_ir::detail
