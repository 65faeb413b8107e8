// SPDX-License-Identifier: MIT
// Bodies of validate.hpp.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch_ir/impl/check_schema.hpp"
#include "torch_ir/impl/costs.hpp"
#include "torch_ir/impl/infer_shape.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/renames.hpp"
#include "torch_ir/text.hpp"
#include "torch_ir/traverse.hpp"
#include "torch_ir/validate.hpp"

namespace torch_ir {
namespace detail {

/// Checks one graph; its subgraphs are graphs of their own.
class GraphValidator {
  public:
    /// `autocast`: the graph is of a region where ops do not keep the dtypes of their inputs.
    GraphValidator(const Graph& graph, const std::string& path, bool autocast, std::vector<Issue>& issues)
        : graph_(graph),
          prefix_(path.empty() ? "" : path + ": "),
          autocast_(autocast),
          issues_(issues),
          inputs_(graph.values.size()),
          returned_(graph.values.size()) {}

    void run() {
        for (const Node& node : graph_.nodes)
            for (const ValueRef ref : node.output_values())
                if (ref.id < graph_.values.size()) returned_[ref.id] = true;
        check_values();
        check_inputs();
        std::unordered_set<std::string_view> names;
        for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
            const Node& node = graph_.nodes[i];
            place_ = "node '" + node.name + "' (" + node.op_type + ")";
            if (node.name.empty()) error("has an empty name");
            if (!names.insert(node.name).second) error("another node has the same name");
            check_node(i);
        }
        place_ = "outputs";
        for (const Argument& output : graph_.outputs)
            check_uses(output, static_cast<std::uint32_t>(graph_.nodes.size()));
    }

  private:
    void check_values() {
        std::unordered_set<std::string_view> names;
        for (const Value& value : graph_.values) {
            place_ = "value '" + value.name + "'";
            if (value.name.empty()) error("has an empty name");
            if (!names.insert(value.name).second) error("another value has the same name");
            if (std::ranges::any_of(value.meta.shape, [](const Dim& d) { return d.is_static() && d.value() < 0; }))
                error("has a negative size: " + shape_text(value.meta.shape));
            if (value.meta.strides && value.meta.strides->size() != value.meta.shape.size())
                error("has " + std::to_string(value.meta.shape.size()) + " sizes and " +
                      std::to_string(value.meta.strides->size()) + " strides");
            if (value.producer != Value::no_producer &&
                !returned_[static_cast<std::size_t>(&value - graph_.values.data())])
                error("is recorded as " + producer_text(value) + ", but no node returns it");
        }
    }

    void check_inputs() {
        place_ = "inputs";
        for (const Argument& input : graph_.inputs) {
            const auto* ref = input.get_if<ValueRef>();
            if (!ref || !exists(*ref)) continue;
            const Value& value = graph_.value(*ref);
            if (inputs_[ref->id]) error("'" + value.name + "' is listed twice");
            if (value.producer != Value::no_producer) error("'" + value.name + "' is the output of a node, too");
            inputs_[ref->id] = true;
        }
    }

    void check_node(std::uint32_t index) {
        const Node& node = graph_.nodes[index];
        const std::size_t before = issues_.size();
        for (const NamedArgument& argument : node.args) check_uses(argument.value, index);
        check_outputs(node, index);
        if (issues_.size() != before) return;  // what follows relies on sound references
        const Schema* schema = find_schema(node.op_type);
        if (!schema) {
            if (node.op_type.starts_with("aten."))
                issues_.push_back({Severity::Warning, prefix_ + place_, "the op is not in the table of ATen schemas"});
            if (node.op_type.find('.') == std::string::npos)
                issues_.push_back({Severity::Warning, prefix_ + place_,
                                   "the op has no namespace: expected a name as 'aten.relu.default'"});
            return;
        }
        SchemaCheck(graph_, node, *schema, [&](const std::string& message) { error(message); }).run();
        if (issues_.size() == before) check_dims(node, *schema);
        if (issues_.size() == before) check_shape(node, *schema);
    }

    void check_uses(const Argument& argument, std::uint32_t user) {
        for_each_value(argument, [&](ValueRef ref) {
            if (!exists(ref)) return;
            const Value& value = graph_.value(ref);
            if (value.producer == Value::no_producer && !inputs_[ref.id])
                error("'" + value.name + "' is neither an input nor an output of a node");
            else if (value.producer != Value::no_producer && value.producer >= user)
                error("'" + value.name + "' is used before it is defined");
        });
    }

    /// Outputs name their producer; no value has two.
    void check_outputs(const Node& node, std::uint32_t index) {
        std::uint32_t position = 0;
        for (const ValueRef ref : node.output_values()) {
            if (exists(ref)) {
                const Value& value = graph_.value(ref);
                if (value.producer != index || value.producer_output_idx != position)
                    error("output " + std::to_string(position) + " ('" + value.name + "') is recorded as " +
                          producer_text(value));
            }
            ++position;
        }
    }

    std::string producer_text(const Value& value) const {
        if (value.producer == Value::no_producer) return "not produced by a node";
        const std::string node = value.producer < graph_.nodes.size()
                                     ? "node '" + graph_.nodes[value.producer].name + "'"
                                     : "a node that does not exist";
        return "output " + std::to_string(value.producer_output_idx) + " of " + node;
    }

    bool exists(ValueRef ref) {
        if (ref.id < graph_.values.size()) return true;
        error("refers to value number " + std::to_string(ref.id) + ", but there are " +
              std::to_string(graph_.values.size()));
        return false;
    }

    /// Arguments called `dim` count the dimensions of `self`.
    void check_dims(const Node& node, const Schema& schema) {
        const SchemaParameter* parameter = schema.find("dim");
        const Argument* self = node.find("self");
        const Argument* dims = node.find("dim");
        const auto* ref = self ? self->get_if<ValueRef>() : nullptr;
        if (!parameter || parameter->type.kind != SchemaKind::Int || !dims || !ref) return;
        const Value& value = graph_.value(*ref);
        if (value.kind != ValueKind::Tensor) return;
        const bool adds_one = schema.name.starts_with("unsqueeze");
        const std::size_t rank = value.meta.shape.size() + (adds_one ? 1 : 0);
        const auto check = [&](const Argument& dim) {
            if (const auto* number = dim.get_if<std::int64_t>()) ShapeInputs::dim(*number, rank);
        };
        try {
            if (const auto* list = dims->get_if<ArgumentList>())
                std::ranges::for_each(*list, check);
            else
                check(*dims);
        } catch (const ArgumentError& issue) {
            error(issue.what());
        }
    }

    void check_shape(const Node& node, const Schema& schema) {
        if (schema.name_space != "aten" || node.outputs.empty()) return;
        std::string_view op = schema.name;
        const bool in_place = op.ends_with('_') && !op.starts_with('_');
        if (in_place) op.remove_suffix(1);
        if (const auto* list = node.outputs[0].get_if<ArgumentList>())
            check_parts(*list, op, schema.overload, ShapeInputs(graph_, node));
        if (!node.outputs[0].is<ValueRef>()) return;
        const Value& output = graph_.value(node.outputs[0].get<ValueRef>());
        const ShapeRule* rule = find_shape_rule(op, schema.overload);
        if (!rule || output.kind != ValueKind::Tensor) return;
        const ShapeInputs inputs(graph_, node);
        try {
            const Sizes expected = rule->shape(inputs);
            if (ShapeInputs::sizes(output.meta.shape) != expected)
                error("'" + output.name + "' has shape " + shape_text(output.meta.shape) + ", but the inputs give " +
                      sizes_text(expected));
        } catch (const ArgumentError& issue) {
            error(issue.what());
        } catch (const CannotTell&) {
        }
        // An out tensor keeps its dtype.
        if (!autocast_ && !inputs.has("out")) check_dtype(in_place ? DTypeRule::First : rule->dtype, inputs, output);
    }

    void check_parts(const ArgumentList& outputs, std::string_view op, std::string_view overload,
                     const ShapeInputs& inputs) {
        try {
            const auto expected = part_shapes(op, overload, inputs);
            if (!expected) return;
            if (outputs.size() != expected->size())
                return error("returns " + std::to_string(outputs.size()) + " tensors, but the inputs give " +
                             std::to_string(expected->size()));
            for (std::size_t i = 0; i < outputs.size(); ++i) {
                const auto* ref = outputs[i].get_if<ValueRef>();
                if (ref && ShapeInputs::sizes(graph_.value(*ref).meta.shape) != (*expected)[i])
                    error("'" + graph_.value(*ref).name + "' has shape " + shape_text(graph_.value(*ref).meta.shape) +
                          ", but the inputs give " + sizes_text((*expected)[i]));
            }
        } catch (const ArgumentError& issue) {
            error(issue.what());
        } catch (const CannotTell&) {
        }
    }

    void check_dtype(DTypeRule rule, const ShapeInputs& inputs, const Value& output) {
        const auto tensors = inputs.all_tensors();
        if (rule == DTypeRule::None || (rule != DTypeRule::Bool && tensors.empty())) return;
        if (inputs.has("out_dtype") || inputs.has("half_to_float")) return;
        if (rule == DTypeRule::FirstFloat && (inputs.has("dtype") || !is_floating_point(tensors[0]->dtype))) return;
        const DType expected = rule == DTypeRule::Bool ? DType::Bool : tensors[0]->dtype;
        if (output.meta.dtype != expected)
            error("'" + output.name + "' is " + std::string(name(output.meta.dtype)) + ", but the inputs give " +
                  std::string(name(expected)));
    }

    void error(const std::string& message) { issues_.push_back({Severity::Error, prefix_ + place_, message}); }

    const Graph& graph_;
    std::string prefix_;
    bool autocast_;
    std::string place_;
    std::vector<Issue>& issues_;
    std::vector<bool> inputs_;    // by value
    std::vector<bool> returned_;  // by value, whether a node has it among its outputs
};

/// The graphs below `graph` that run under an enabled autocast.
inline void collect_autocast(const Graph& graph, bool inside, std::unordered_set<const Graph*>& found) {
    if (inside) found.insert(&graph);
    for (const Node& node : graph.nodes) {
        const bool region = node.op_type == "higher_order.wrap_with_autocast" && node.args.size() > 2;
        for (const NamedArgument& argument : node.args)
            if (const auto* body = argument.value.get_if<Subgraph>(); body && body->graph)
                collect_autocast(*body->graph, region ? node.args[2].value == Argument(true) : inside, found);
    }
}

/// The roles of the inputs and outputs, and the constants.
class SignatureValidator {
  public:
    SignatureValidator(const Model& model, std::vector<Issue>& issues) : model_(model), issues_(issues) {}

    void run() {
        if (model_.inputs.size() != model_.graph.inputs.size())
            return error("signature", count_text(model_.inputs.size(), "input", model_.graph.inputs.size()));
        if (model_.outputs.size() != model_.graph.outputs.size())
            return error("signature", count_text(model_.outputs.size(), "output", model_.graph.outputs.size()));
        for (std::size_t i = 0; i < model_.inputs.size(); ++i)
            check_input(model_.inputs[i], model_.graph.inputs[i], "input " + std::to_string(i));
        for (std::size_t i = 0; i < model_.outputs.size(); ++i)
            check_output(model_.outputs[i], model_.graph.outputs[i], "output " + std::to_string(i));
        for (const auto& [name, constant] : model_.constants) check_constant(name, constant);
    }

  private:
    static std::string count_text(std::size_t described, const std::string& what, std::size_t existing) {
        return "describes " + std::to_string(described) + " " + what + "s, but the graph has " +
               std::to_string(existing);
    }

    const Value* value_of(const Argument& argument) const {
        const auto* ref = argument.get_if<ValueRef>();
        return ref && ref->id < model_.graph.values.size() ? &model_.graph.value(*ref) : nullptr;
    }

    void check_input(const InputSpec& spec, const Argument& input, const std::string& where) {
        if (!is_weight(spec.kind)) return;
        const Value* value = value_of(input);
        if (!value) return error(where, "a weight must be a value of the graph, found " + std::string(input.kind()));
        if (spec.target.empty()) return error(where, "weight '" + value->name + "' has no name in the state_dict");
        const auto [known, is_new] = weights_.emplace(spec.target, value);
        if (!is_new && known->second->meta != value->meta)
            error(where, "weight '" + spec.target + "' is " + describe(value->meta) + " here and " +
                             describe(known->second->meta) + " as '" + known->second->name + "'");
    }

    static std::string describe(const TensorMeta& meta) {
        return std::string(name(meta.dtype)) + " of shape " + shape_text(meta.shape);
    }

    void check_output(const OutputSpec& spec, const Argument& output, const std::string& where) {
        const bool is_mutation = spec.kind == OutputKind::BufferMutation || spec.kind == OutputKind::ParameterMutation;
        if (is_mutation && !weights_.contains(spec.target))
            error(where, "mutates '" + spec.target + "', which is no weight of the model");
        if (spec.kind == OutputKind::UserInputMutation && !is_input(spec.target))
            error(where, "mutates '" + spec.target + "', which is no input of the model");
        if (is_mutation && !value_of(output)) error(where, "a mutation must be a value of the graph");
    }

    bool is_input(const std::string& name) const {
        return std::ranges::any_of(model_.graph.inputs, [&](const Argument& input) {
            const Value* value = value_of(input);
            return value && value->name == name;
        });
    }

    void check_constant(const std::string& name, const Constant& constant) {
        const std::string where = "constant '" + name + "'";
        if (const Count bytes = byte_size(constant.meta); !bytes || *bytes != std::ssize(constant.data))
            error(where, describe(constant.meta) + " does not have " + std::to_string(constant.data.size()) + " bytes");
        const auto weight = weights_.find(name);
        if (weight != weights_.end() &&
            (weight->second->meta.shape != constant.meta.shape || weight->second->meta.dtype != constant.meta.dtype))
            error(where, "is " + describe(constant.meta) + ", but '" + weight->second->name + "' is " +
                             describe(weight->second->meta));
    }

    void error(const std::string& where, const std::string& message) {
        issues_.push_back({Severity::Error, where, message});
    }

    const Model& model_;
    std::vector<Issue>& issues_;
    std::map<std::string, const Value*, std::less<>> weights_;
};

inline void check_weights(const Model& model, const Weights& weights, std::vector<Issue>& issues) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights.tensors()) names.push_back(name);
    std::unordered_set<std::string> known;
    std::unordered_set<std::uint32_t> used;
    const auto use = [&](ValueRef ref) { used.insert(ref.id); };
    for (const Node& node : model.graph.nodes)
        for (const NamedArgument& argument : node.args) for_each_value(argument.value, use);
    for (const Argument& output : model.graph.outputs) for_each_value(output, use);

    std::vector<std::string> missing;
    for (const InputSpec& spec : model.inputs)
        if (is_weight(spec.kind) && known.insert(spec.target).second && !weights.find(spec.target) &&
            !model.constants.contains(spec.target))
            missing.push_back(spec.target);
    std::erase_if(names, [&](const std::string& name) { return known.contains(name); });
    const PrefixChange change = find_prefix_change(missing, names);
    if (change.count > 0) issues.push_back({Severity::Warning, "weights", describe(change, missing.size())});

    std::unordered_set<std::string> checked;
    for (std::size_t i = 0; i < std::min(model.inputs.size(), model.graph.inputs.size()); ++i) {
        const InputSpec& spec = model.inputs[i];
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (!is_weight(spec.kind) || !ref || ref->id >= model.graph.values.size()) continue;
        if (!checked.insert(spec.target).second) continue;
        const std::string where = "weight '" + spec.target + "'";
        const TensorMeta& meta = model.graph.value(*ref).meta;
        const TensorView* tensor = weights.find(spec.target);
        if (!tensor) {
            if (model.constants.contains(spec.target)) continue;
            const std::string by_prefix = renamed(spec.target, change);
            const std::string similar = weights.find(by_prefix) ? by_prefix : closest(spec.target, names);
            issues.push_back({used.contains(ref->id) ? Severity::Error : Severity::Warning, where,
                              "is missing" + (similar.empty() ? "" : " (closest name: '" + similar + "')")});
            continue;
        }
        const Shape shape(tensor->shape.begin(), tensor->shape.end());
        const bool same_shape = std::ranges::equal(
            meta.shape, shape, [](const Dim& a, const Dim& b) { return !a.is_static() || a.value() == b.value(); });
        if (!same_shape)
            issues.push_back(
                {Severity::Error, where, "expected shape " + shape_text(meta.shape) + ", found " + shape_text(shape)});
        if (meta.dtype != tensor->dtype)
            issues.push_back(
                {Severity::Error, where,
                 "expected " + std::string(name(meta.dtype)) + ", found " + std::string(name(tensor->dtype))});
    }
    for (const std::string& name : names)
        issues.push_back({Severity::Warning, "weight '" + name + "'", "is not used by the model"});
}

}  // namespace detail

TORCH_IR_INLINE std::vector<Issue> validate(const Model& model) {
    std::vector<Issue> issues;
    std::unordered_set<const Graph*> autocast;
    detail::collect_autocast(model.graph, false, autocast);
    for_each_graph(model.graph, [&](const Graph& graph, const std::string& path) {
        detail::GraphValidator(graph, path, autocast.contains(&graph), issues).run();
    });
    detail::SignatureValidator(model, issues).run();
    return issues;
}

TORCH_IR_INLINE std::vector<Issue> validate(const Model& model, const Weights& weights) {
    std::vector<Issue> issues = validate(model);
    detail::check_weights(model, weights, issues);
    return issues;
}

TORCH_IR_INLINE bool has_errors(const std::vector<Issue>& issues) {
    return std::ranges::find(issues, Severity::Error, &Issue::severity) != issues.end();
}

}  // namespace torch_ir
