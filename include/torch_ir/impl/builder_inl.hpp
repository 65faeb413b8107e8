// SPDX-License-Identifier: MIT
// Bodies of builder.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include "torch_ir/builder.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {
namespace detail {

inline void add_named(const Schema& schema, NamedArgument argument, std::vector<NamedArgument>& args) {
    if (!schema.find(argument.name))
        throw SchemaError("op '" + schema.op_type() + "' has no argument '" + argument.name + "'");
    for (const NamedArgument& other : args)
        if (other.name == argument.name)
            throw SchemaError("op '" + schema.op_type() + "' is given its argument '" + argument.name + "' twice");
    args.push_back(std::move(argument));
}

/// The arguments with their names, in the order of the schema.
inline std::vector<NamedArgument> bind_arguments(const Schema& schema, std::span<const Argument> positional,
                                                 std::vector<NamedArgument> named) {
    std::vector<NamedArgument> args;
    const auto is_positional = [](const SchemaParameter& parameter) { return !parameter.keyword_only; };
    const auto limit = static_cast<std::size_t>(std::ranges::count_if(schema.parameters, is_positional));
    if (positional.size() > limit)
        throw SchemaError("op '" + schema.op_type() + "' takes " + std::to_string(limit) +
                          " positional arguments, found " + std::to_string(positional.size()));
    for (std::size_t i = 0; i < positional.size(); ++i) args.push_back({schema.parameters[i].name, positional[i]});
    for (NamedArgument& argument : named) add_named(schema, std::move(argument), args);
    std::ranges::sort(args, {}, [&](const NamedArgument& argument) { return schema.find(argument.name); });
    for (const SchemaParameter& parameter : schema.parameters) {
        const bool given = std::ranges::find(args, parameter.name, &NamedArgument::name) != args.end();
        if (!given && !parameter.default_value)
            throw SchemaError("op '" + schema.op_type() + "' lacks its argument '" + parameter.name + "'");
    }
    return args;
}

}  // namespace detail

TORCH_IR_INLINE GraphBuilder::GraphBuilder(std::string model_name) { model_.name = std::move(model_name); }

TORCH_IR_INLINE ValueRef GraphBuilder::input(const std::string& name, Tensor tensor) {
    return add_input(add_value(name, ValueKind::Tensor, std::move(tensor)), {});
}

TORCH_IR_INLINE ValueRef GraphBuilder::int_input(const std::string& name) {
    return add_input(add_value(name, ValueKind::SymInt, {}), {});
}

TORCH_IR_INLINE void GraphBuilder::constant_input(Argument value) {
    for_each_value(value, [](ValueRef) { throw ArgumentError("a constant input cannot be a value of the graph"); });
    model_.graph.inputs.push_back(std::move(value));
    model_.inputs.emplace_back();
}

TORCH_IR_INLINE ValueRef GraphBuilder::parameter(const std::string& name, const std::string& target, Tensor tensor) {
    return add_input(add_value(name, ValueKind::Tensor, std::move(tensor)), {InputKind::Parameter, target});
}

TORCH_IR_INLINE ValueRef GraphBuilder::buffer(const std::string& name, const std::string& target, Tensor tensor,
                                              bool persistent) {
    return add_input(add_value(name, ValueKind::Tensor, std::move(tensor)), {InputKind::Buffer, target, persistent});
}

TORCH_IR_INLINE ValueRef GraphBuilder::constant(const std::string& name, const std::string& target, Tensor tensor,
                                                std::vector<std::byte> data) {
    std::size_t size = item_size(tensor.dtype);
    for (const Dim& dim : tensor.shape) size *= static_cast<std::size_t>(dim.value());
    if (data.size() != size)
        throw ArgumentError("constant '" + name + "' takes " + std::to_string(size) + " bytes, found " +
                            std::to_string(data.size()));
    const ValueRef ref = add_value(name, ValueKind::Tensor, std::move(tensor));
    model_.constants[target] = {model_.graph.value(ref).meta, std::move(data)};
    return add_input(ref, {InputKind::TensorConstant, target});
}

TORCH_IR_INLINE ValueRef GraphBuilder::call(std::string_view op_type, std::span<const Argument> args, Tensor output,
                                            std::vector<NamedArgument> named) {
    return call_many(op_type, args, {std::move(output)}, std::move(named))[0];
}

TORCH_IR_INLINE std::vector<ValueRef> GraphBuilder::call_many(std::string_view op_type, std::span<const Argument> args,
                                                              const std::vector<Tensor>& outputs,
                                                              std::vector<NamedArgument> named) {
    Node& node = add_node(op_type, args, std::move(named));
    const Schema* schema = find_schema(op_type);
    const bool list = schema && schema->returns_list();
    const bool lone = outputs.size() == 1 && !list;
    if (!lone) names_.insert(node.name);
    std::vector<ValueRef> results;
    for (std::uint32_t i = 0; i < outputs.size(); ++i) {
        const std::string name = lone ? node.name : unused_name(node.name + "_" + std::to_string(i));
        results.push_back(add_result(name, ValueKind::Tensor, outputs[i], i));
    }
    ArgumentList references(results.begin(), results.end());
    if (list)
        node.outputs.emplace_back(std::move(references));
    else
        node.outputs = std::move(references);
    return results;
}

TORCH_IR_INLINE ValueRef GraphBuilder::call_scalar(std::string_view op_type, List args, ValueKind kind, ExprPtr expr) {
    Node& node = add_node(op_type, std::span(args), {});
    const ValueRef result = add_result(node.name, kind, {}, 0);
    model_.graph.value(result).expr = std::move(expr);
    node.outputs = {result};
    return result;
}

TORCH_IR_INLINE void GraphBuilder::output(Argument value, OutputSpec spec) {
    with_context([&] { return "output " + std::to_string(model_.graph.outputs.size()); }, [&] { check_values(value); });
    model_.graph.outputs.push_back(std::move(value));
    model_.outputs.push_back(std::move(spec));
}

TORCH_IR_INLINE Node& GraphBuilder::last_node() {
    if (model_.graph.nodes.empty()) throw ArgumentError("no op has been called yet");
    return model_.graph.nodes.back();
}

TORCH_IR_INLINE Subgraph GraphBuilder::subgraph() const { return {model_.name, std::make_shared<Graph>(model_.graph)}; }

TORCH_IR_INLINE void GraphBuilder::check_values(const Argument& argument) const {
    for_each_value(argument, [&](ValueRef ref) {
        if (ref.id >= model_.graph.values.size())
            throw ArgumentError("value " + std::to_string(ref.id) + " is none of the graph's");
    });
}

TORCH_IR_INLINE ValueRef GraphBuilder::add_value(const std::string& name, ValueKind kind, Tensor tensor) {
    if (name.empty()) throw ArgumentError("the name of a value is empty");
    if (!names_.insert(name).second) throw ArgumentError("the name '" + name + "' is taken");
    Value value;
    value.name = name;
    value.kind = kind;
    if (kind == ValueKind::Tensor) value.meta = {tensor.dtype, std::move(tensor.shape), std::nullopt};
    model_.graph.values.push_back(std::move(value));
    return {static_cast<std::uint32_t>(model_.graph.values.size() - 1)};
}

TORCH_IR_INLINE ValueRef GraphBuilder::add_input(ValueRef value, InputSpec spec) {
    model_.graph.inputs.emplace_back(value);
    model_.inputs.push_back(std::move(spec));
    return value;
}

TORCH_IR_INLINE Node& GraphBuilder::add_node(std::string_view op_type, std::span<const Argument> args,
                                             std::vector<NamedArgument> named) {
    Node node;
    node.op_type = op_type;
    if (const Schema* schema = find_schema(op_type)) {
        node.args = detail::bind_arguments(*schema, args, std::move(named));
    } else {
        for (const Argument& argument : args) node.args.push_back({"", argument});
        std::ranges::move(named, std::back_inserter(node.args));
    }
    for (const NamedArgument& argument : node.args) check_values(argument.value);
    node.name = unused_name(std::string(base_name(op_type)));
    model_.graph.nodes.push_back(std::move(node));
    return model_.graph.nodes.back();
}

TORCH_IR_INLINE ValueRef GraphBuilder::add_result(const std::string& name, ValueKind kind, Tensor tensor,
                                                  std::uint32_t position) {
    const ValueRef result = add_value(name, kind, std::move(tensor));
    model_.graph.value(result).producer = static_cast<std::uint32_t>(model_.graph.nodes.size() - 1);
    model_.graph.value(result).producer_output_idx = position;
    return result;
}

TORCH_IR_INLINE std::string GraphBuilder::unused_name(const std::string& base) {
    std::string name = base;
    for (int i = 1; names_.contains(name); ++i) name = base + "_" + std::to_string(i);
    return name;
}

}  // namespace torch_ir
