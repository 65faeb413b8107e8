// SPDX-License-Identifier: MIT
#include "lower.hpp"

#include <algorithm>

#include "promote.hpp"

namespace torch_ir {
namespace detail {

ValueRef add_value(Graph& graph, std::string name, const Value& like) {
    Value value = like;
    value.name = std::move(name);
    graph.values.push_back(std::move(value));
    return {static_cast<std::uint32_t>(graph.values.size() - 1)};
}

namespace {

const OperatorName& operator_of(const Node& node, std::size_t position) {
    const auto* op = position < node.args.size() ? node.args[position].value.get_if<OperatorName>() : nullptr;
    if (!op) throw SchemaError("node '" + node.name + "': expected an op as argument " + std::to_string(position + 1));
    return *op;
}

/// torch 2.5 and 2.6 write the results of a higher-order op as one list.
std::vector<Argument> results_of(const Node& node) {
    if (node.outputs.size() == 1)
        if (const auto* list = node.outputs[0].get_if<ArgumentList>()) return *list;
    return node.outputs;
}

/// An op that writes to its arguments, as a function: the arguments are copied, the op writes to the copies, and these
/// are results after the op's own.
class Functionalized {
  public:
    Functionalized(Graph& graph, std::vector<Node>& nodes, const Node& node, const Schema& schema)
        : graph_(graph), nodes_(nodes), node_(node), schema_(schema), results_(results_of(node)) {}

    void add() {
        call_.name = node_.name;
        call_.op_type = schema_.op_type();
        call_.provenance = node_.provenance;
        if (const Argument* bases = node_.find("_all_bases"))
            add_by_bases(*bases);
        else
            add_by_schema();
        const std::size_t returns = schema_.returns.size();
        call_.outputs.assign(results_.begin(), results_.begin() + static_cast<std::ptrdiff_t>(returns));
        nodes_.push_back(std::move(call_));
        for (const auto& [copy, result] : written_)
            add_node("aten.alias.default", {{"self", copy}}, result).provenance = node_.provenance;
    }

  private:
    /// auto_functionalized_v2: what is written to are views of `_all_bases`.
    void add_by_bases(const Argument& bases) {
        const auto& list = bases.get<ArgumentList>();
        set_first_copy(list.size());
        std::vector<Argument> copies;
        for (const Argument& base : list) copies.push_back(copy_of(base));
        for (const SchemaParameter& parameter : schema_.parameters) {
            const std::string prefix = "_" + parameter.name;
            if (const Argument* written = node_.find(parameter.name)) {
                call_.args.push_back({parameter.name, *written});
            } else if (const Argument* length = node_.find(prefix + "_length")) {
                ArgumentList views;
                for (std::int64_t i = 0; i < length->to_int(); ++i)
                    views.push_back(view_of(copies, prefix + "_" + std::to_string(i)));
                call_.args.push_back({parameter.name, views});
            } else if (node_.find(prefix + "_base_index")) {
                call_.args.push_back({parameter.name, view_of(copies, prefix)});
            }
        }
    }

    /// auto_functionalized: the arguments that the schema says are written to.
    void add_by_schema() {
        const auto is_written = [&](const SchemaParameter& parameter) {
            return parameter.is_write && node_.find(parameter.name);
        };
        set_first_copy(
            static_cast<std::size_t>(std::count_if(schema_.parameters.begin(), schema_.parameters.end(), is_written)));
        for (const SchemaParameter& parameter : schema_.parameters)
            if (const Argument* written = node_.find(parameter.name))
                call_.args.push_back({parameter.name, parameter.is_write ? copy_of(*written) : *written});
    }

    void set_first_copy(std::size_t copies) {
        if (results_.size() < copies + schema_.returns.size())
            throw SchemaError("node '" + node_.name + "': expected at least " +
                              std::to_string(copies + schema_.returns.size()) + " results, found " +
                              std::to_string(results_.size()));
        next_copy_ = results_.size() - copies;
    }

    /// A copy of a tensor, or of each in a list; the result that it is has its name when the op has written to it.
    Argument copy_of(const Argument& original) { return copied(original, results_[next_copy_++]); }

    Argument copied(const Argument& original, const Argument& result) {
        if (const auto* list = original.get_if<ArgumentList>()) {
            const auto* results = result.get_if<ArgumentList>();
            ArgumentList copies;
            for (std::size_t i = 0; i < list->size(); ++i)
                copies.push_back(copied((*list)[i], results && i < results->size() ? (*results)[i] : Argument()));
            return copies;
        }
        const auto* ref = original.get_if<ValueRef>();
        if (!ref) return original;
        const ValueRef copy = add_value(graph_, node_.name + "_copy", graph_.value(*ref));
        if (const auto* named = result.get_if<ValueRef>()) written_.emplace_back(copy, *named);
        add_node("aten.clone.default", {{"self", *ref}}, copy);
        return copy;
    }

    Argument view_of(const std::vector<Argument>& copies, const std::string& prefix) {
        const Argument* index = node_.find(prefix + "_base_index");
        if (!index || index->is_none()) return None{};
        const std::int64_t i = index->to_int();
        if (i < 0 || i >= static_cast<std::int64_t>(copies.size()))
            throw SchemaError("node '" + node_.name + "': " + prefix + "_base_index " + std::to_string(i) +
                              " is outside the " + std::to_string(copies.size()) + " bases");
        const Argument& base = copies[static_cast<std::size_t>(i)];
        const auto* ref = base.get_if<ValueRef>();
        if (!ref) return base;
        const auto argument = [&](const char* name, const char* suffix) {
            const Argument* found = node_.find(prefix + suffix);
            return NamedArgument{name, found ? *found : Argument()};
        };
        const auto add_view = [&](const char* op_type, std::vector<NamedArgument> args) {
            const ValueRef view = add_value(graph_, node_.name + prefix, graph_.value(*ref));
            add_node(op_type, std::move(args), view);
            return view;
        };
        if (node_.find(prefix + "_slice_dim"))
            return add_view("aten.slice.Tensor", {{"self", *ref},
                                                  argument("dim", "_slice_dim"),
                                                  argument("start", "_slice_start"),
                                                  argument("end", "_slice_end")});
        if (node_.find(prefix + "_size"))
            return add_view("aten.as_strided.default", {{"self", *ref},
                                                        argument("size", "_size"),
                                                        argument("stride", "_stride"),
                                                        argument("storage_offset", "_storage_offset")});
        return base;
    }

    Node& add_node(std::string op_type, std::vector<NamedArgument> args, ValueRef output) {
        Node node;
        node.name = graph_.value(output).name;
        node.op_type = std::move(op_type);
        node.args = std::move(args);
        node.outputs = {output};
        nodes_.push_back(std::move(node));
        return nodes_.back();
    }

    Graph& graph_;
    std::vector<Node>& nodes_;
    const Node& node_;
    const Schema& schema_;
    std::vector<Argument> results_;
    std::vector<std::pair<ValueRef, ValueRef>> written_;  // copies and the results that they are
    Node call_;
    std::size_t next_copy_ = 0;
};

const Schema& schema_of(const std::string& op_type, const Registry& registry) {
    const Op* op = registry.find(op_type);
    if (!op) throw UnsupportedError("op " + op_type + " is not registered");
    return op->schema;
}

/// with_effects(token, op, arguments...) -> token, results...: nodes run in order, so that the token has no value.
Node effect_call(const Node& node, const Registry& registry) {
    Node call;
    call.name = node.name;
    call.op_type = operator_of(node, 1).op_type;
    call.provenance = node.provenance;
    call.args.assign(node.args.begin() + 2, node.args.end());
    const std::vector<Argument> results = results_of(node);
    const std::size_t returns =
        registry.find_function(call.op_type) ? results.size() : schema_of(call.op_type, registry).returns.size();
    for (std::size_t i = 1; i < results.size() && i <= returns; ++i) call.outputs.push_back(results[i]);
    return call;
}

/// out_dtype(op, dtype, arguments...): the op on arguments that are cast first, so that int8 products sum in int32.
void add_out_dtype(Graph& graph, std::vector<Node>& nodes, const Node& node) {
    const auto* dtype = node.args.size() > 1 ? node.args[1].value.get_if<DType>() : nullptr;
    if (!dtype || node.outputs.size() != 1 || !node.outputs[0].is<ValueRef>())
        throw SchemaError("node '" + node.name + "': expected an op, a dtype and one result");
    Node call;
    call.name = node.name;
    call.op_type = operator_of(node, 0).op_type;
    call.provenance = node.provenance;
    call.args.assign(node.args.begin() + 2, node.args.end());
    DType common = *dtype;
    for (const ValueRef input : node.input_values()) common = promote_types(common, graph.value(input).meta.dtype);
    const auto add_cast = [&](ValueRef from, DType to, ValueRef result) {
        Node cast;
        cast.name = graph.value(result).name;
        cast.op_type = "aten._to_copy.default";
        cast.args = {{"self", from}, {"dtype", to}};
        cast.outputs = {result};
        nodes.push_back(std::move(cast));
    };
    for (NamedArgument& arg : call.args) {
        const auto* ref = arg.value.get_if<ValueRef>();
        if (!ref || graph.value(*ref).kind != ValueKind::Tensor) continue;
        const ValueRef cast = add_value(graph, graph.value(*ref).name + "_cast", graph.value(*ref));
        graph.value(cast).meta.dtype = common;
        add_cast(*ref, common, cast);
        arg.value = cast;
    }
    const ValueRef result = node.outputs[0].get<ValueRef>();
    const ValueRef computed = add_value(graph, graph.value(result).name + "_computed", graph.value(result));
    graph.value(computed).meta.dtype = common;
    call.outputs = {computed};
    nodes.push_back(std::move(call));
    add_cast(computed, *dtype, result);
}

}  // namespace

bool lower_calls(Graph& graph, const Registry& registry) {
    std::vector<Node> nodes;
    bool changed = false;
    for (Node& node : graph.nodes) {
        if (node.op_type == "higher_order.auto_functionalized_v2" ||
            node.op_type == "higher_order.auto_functionalized") {
            Functionalized(graph, nodes, node, schema_of(operator_of(node, 0).op_type, registry)).add();
        } else if (node.op_type == "higher_order.with_effects") {
            nodes.push_back(effect_call(node, registry));
        } else if (node.op_type == "higher_order.out_dtype") {
            add_out_dtype(graph, nodes, node);
        } else {
            nodes.push_back(std::move(node));
            continue;
        }
        changed = true;
    }
    graph.nodes = std::move(nodes);
    return changed;
}

namespace {

bool is_lowered(const Node& node) {
    static const std::set<std::string, std::less<>> names{
        "higher_order.auto_functionalized", "higher_order.auto_functionalized_v2",
        "higher_order.with_effects",        "higher_order.out_dtype",
        "higher_order.wrap_with_autocast",  "torch._functorch.predispatch._vmap_increment_nesting"};
    return names.contains(node.op_type);
}

void set_producers(Graph& graph) {
    for (std::uint32_t i = 0; i < graph.nodes.size(); ++i) {
        std::uint32_t position = 0;
        for (const ValueRef output : graph.nodes[i].output_values()) {
            graph.value(output).producer = i;
            graph.value(output).producer_output_idx = position++;
        }
    }
}

}  // namespace
}  // namespace detail

std::shared_ptr<const Graph> lower(std::shared_ptr<const Graph> graph, const Registry& registry) {
    if (std::none_of(graph->nodes.begin(), graph->nodes.end(), detail::is_lowered)) return graph;
    auto lowered = std::make_shared<Graph>(*graph);
    const bool calls = detail::lower_calls(*lowered, registry);
    const bool casts = detail::lower_autocast(*lowered);
    const bool maps = detail::lower_vmap(*lowered);
    if (!calls && !casts && !maps) return graph;
    detail::set_producers(*lowered);
    return lowered;
}

}  // namespace torch_ir
