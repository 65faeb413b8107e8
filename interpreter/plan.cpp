// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <algorithm>
#include <numeric>

#include "alias.hpp"
#include "lower.hpp"
#include "memory_order.hpp"
#include "torch_ir/impl/shape_text.hpp"

namespace torch_ir {
namespace {

/// pytorch-ir writes the selection of one result of a node as a node of its own.
constexpr std::string_view getitem_op = "<built-in function getitem>";

/// States sizes and dtypes that the graph itself fixes; not run, as references are computed in other dtypes.
constexpr std::string_view metadata_op = "aten._assert_tensor_metadata.default";

bool can_run(const Node& node, const Registry& registry) {
    return node.op_type == getitem_op || registry.find(node.op_type) || registry.find_function(node.op_type);
}

void collect_missing(const Graph& graph, const Registry& registry, std::map<std::string, std::size_t>& counts) {
    for (const Node& node : graph.nodes) {
        if (!can_run(node, registry)) ++counts[node.op_type];
        for (const NamedArgument& arg : node.args) {
            if (const auto* subgraph = arg.value.get_if<Subgraph>(); subgraph && subgraph->graph)
                collect_missing(*subgraph->graph, registry, counts);
            if (const auto* op = arg.value.get_if<OperatorName>();
                op && !registry.find(op->op_type) && !registry.find_function(op->op_type))
                ++counts[op->op_type];
        }
    }
}

std::string describe_missing(const std::vector<MissingOp>& missing) {
    std::string text =
        std::to_string(missing.size()) + (missing.size() == 1 ? " op is" : " ops are") + " not supported: ";
    for (std::size_t i = 0; i < missing.size(); ++i)
        text += (i ? ", " : "") + missing[i].op_type + " (" + std::to_string(missing[i].count) + "x" +
                (missing[i].reason.empty() ? "" : "; " + missing[i].reason) + ")";
    // torch.func.jvp and others record how they are called; the numbers come by decomposition.
    if (std::ranges::any_of(missing, [](const MissingOp& op) { return op.op_type.starts_with("torch._functorch."); }))
        text += "; run_decompositions() of the exported program replaces those of torch.func";
    return text;
}

const SchemaType int_type{SchemaKind::Int, false, false, false, std::nullopt, "int"};

/// A list IValue from elements; without a schema the elements decide: tensors (numbers become 0-d tensors) or
/// numbers.
IValue make_list(const std::vector<IValue>& elements, const SchemaType* type) {
    const auto all = [&](auto predicate) { return std::all_of(elements.begin(), elements.end(), predicate); };
    const bool tensors = type ? type->kind == SchemaKind::Tensor
                              : std::any_of(elements.begin(), elements.end(),
                                            [](const IValue& v) { return std::holds_alternative<Tensor>(v); }) ||
                                    elements.empty();
    if (tensors) {
        TensorList list;
        for (const IValue& element : elements) {
            if (std::holds_alternative<None>(element))
                list.emplace_back();
            else if (const auto* tensor = std::get_if<Tensor>(&element))
                list.push_back(*tensor);
            else
                list.push_back(Tensor::wrapped_number(to_scalar(element)));
        }
        return list;
    }
    const auto is_int = [](const IValue& v) { return std::holds_alternative<std::int64_t>(v); };
    if (type ? type->kind == SchemaKind::Int : all(is_int)) {
        Ints list;
        for (const IValue& element : elements) list.push_back(std::get<std::int64_t>(coerce(element, int_type)));
        return list;
    }
    if (type && type->kind == SchemaKind::Bool) {
        Bools list;
        for (const IValue& element : elements) list.push_back(to_scalar(element).to<bool>());
        return list;
    }
    if (!all([](const IValue& v) { return v.index() >= 1 && v.index() <= 5; })) return None{};
    ScalarList list;
    for (const IValue& element : elements) list.push_back(to_scalar(element));
    return list;
}

/// A list argument with the values of its slots from `value_of(slot)`.
template <class F>
IValue bind_list(const BoundArgument& bound, F&& value_of) {
    std::vector<IValue> elements;
    for (const BoundArgument& element : bound.elements)
        elements.push_back(element.slot == BoundArgument::no_slot ? element.constant : value_of(element.slot));
    return make_list(elements, bound.type);
}

}  // namespace

IValue bind_argument(const Step& step, std::size_t position,
                     const std::function<const IValue&(std::uint32_t)>& value_of) {
    const BoundArgument& bound = step.args[position];
    if (bound.slot == BoundArgument::no_slot && !bound.is_list) return bound.constant;
    IValue value = bound.is_list ? bind_list(bound, value_of) : value_of(bound.slot);
    return bound.type && !has_form(value, *bound.type) ? coerce(value, *bound.type) : value;
}

IValue to_ivalue(const Argument& argument) {
    if (const auto* list = argument.get_if<ArgumentList>()) {
        std::vector<IValue> elements;
        for (const Argument& element : *list) elements.push_back(to_ivalue(element));
        return make_list(elements, nullptr);
    }
    return std::visit(
        []<class T>(const T& value) -> IValue {
            if constexpr (std::is_constructible_v<IValue, T> && !std::is_same_v<T, ValueRef>)
                return value;
            else
                return None{};  // dictionaries and operator names: only for functions that do not look at them
        },
        argument.variant());
}

std::vector<MissingOp> missing_ops(const Graph& graph, const Registry& registry) {
    std::map<std::string, std::size_t> counts;
    collect_missing(graph, registry, counts);
    std::vector<MissingOp> missing;
    for (const auto& [op_type, count] : counts)
        missing.push_back({op_type, count, find_schema(op_type) ? "" : "no such ATen op"});
    std::stable_sort(missing.begin(), missing.end(),
                     [](const MissingOp& a, const MissingOp& b) { return a.count > b.count; });
    return missing;
}

/// Compiles one graph.
class PlanBuilder {
  public:
    PlanBuilder(std::shared_ptr<const Graph> graph, const Registry& registry, const PlanOptions& options)
        : plan_(std::make_shared<Plan>()), registry_(registry), options_(options), alias_(graph->values.size()) {
        std::iota(alias_.begin(), alias_.end(), 0U);
        options_.memory_seen = options_.memory_seen || shows_memory_order(*graph, registry);
        plan_->memory_seen_ = options_.memory_seen;
        plan_->graph_ = std::move(graph);
    }

    std::shared_ptr<const Plan> build() {
        const Graph& graph = *plan_->graph_;
        for (const Node& node : graph.nodes) {
            if (node.op_type == metadata_op) continue;
            with_context([&] { return "node '" + node.name + "' (" + node.op_type + ")"; }, [&] { add_step(node); });
        }
        plan_->written_inputs_ = find_written_inputs(graph, &registry_);
        if (options_.fuse) {
            fuse_steps(plan_->steps_, graph, count_uses());
            chain_steps(plan_->steps_, graph, count_uses());
        }
        find_last_uses();
        return plan_;
    }

  private:
    void add_step(const Node& node) {
        if (node.op_type == getitem_op) return add_getitem(node);
        Step step;
        step.node = &node;
        step.op = registry_.find(node.op_type);
        if (step.op) {
            bind_by_schema(node, step);
        } else {
            step.function = registry_.find_function(node.op_type);
            for (const NamedArgument& arg : node.args) step.args.push_back(bind(arg.value, nullptr));
        }
        const bool one_list =
            step.op && step.op->schema.returns_list() && node.outputs.size() > 1;  // a flat list in a seed file
        for (const Argument& output : node.outputs) {
            std::vector<std::uint32_t> slots;
            for_each_value(output, [&](ValueRef ref) { slots.push_back(ref.id); });
            if (one_list && !step.outputs.empty()) {
                step.outputs[0].insert(step.outputs[0].end(), slots.begin(), slots.end());
                continue;
            }
            step.output_is_list.push_back(one_list || output.is<ArgumentList>());
            step.outputs.push_back(std::move(slots));
        }
        plan_->steps_.push_back(std::move(step));
    }

    /// The result that it selects is the same value under another name.
    void add_getitem(const Node& node) {
        const Argument* index = node.find("index");
        const std::vector<ValueRef> inputs = node.input_values();
        const std::vector<ValueRef> outputs = node.output_values();
        const std::int64_t i = index ? index->to_int() : 0;
        if (i < 0 || i >= static_cast<std::int64_t>(inputs.size()) || outputs.size() != 1)
            throw SchemaError("index " + std::to_string(i) + " is outside the " + std::to_string(inputs.size()) +
                              " results");
        alias_[outputs[0].id] = alias_[inputs[static_cast<std::size_t>(i)].id];
    }

    void bind_by_schema(const Node& node, Step& step) {
        const Schema& schema = step.op->schema;
        std::vector<const Argument*> written_args(schema.parameters.size());
        for (std::size_t i = 0; i < node.args.size(); ++i) {
            const NamedArgument& arg = node.args[i];
            const SchemaParameter* parameter = schema.find(arg.name);
            if (arg.name.empty() && i < schema.parameters.size()) parameter = &schema.parameters[i];  // by position
            if (!parameter) throw SchemaError("argument '" + arg.name + "' is not in the schema of the op");
            written_args[static_cast<std::size_t>(parameter - schema.parameters.data())] = &arg.value;
        }
        for (std::size_t i = 0; i < schema.parameters.size(); ++i) {
            const SchemaParameter& parameter = schema.parameters[i];
            const Argument* written = written_args[i];
            if (!written && !parameter.default_value) {
                if (!parameter.type.optional) throw SchemaError("argument '" + parameter.name + "' is missing");
                step.args.emplace_back();
                continue;
            }
            with_context(
                [&] { return "argument '" + parameter.name + "'"; },
                [&] { step.args.push_back(bind(written ? *written : *parameter.default_value, &parameter.type)); });
        }
    }

    BoundArgument bind(const Argument& argument, const SchemaType* type) {
        BoundArgument bound;
        bound.type = type;
        if (const auto* ref = argument.get_if<ValueRef>()) {
            bound.slot = alias_[ref->id];
            return bound;
        }
        if (const auto* list = argument.get_if<ArgumentList>()) {
            bool has_slot = false;
            for (const Argument& element : *list) {
                bound.elements.push_back(bind(element, nullptr));
                has_slot = has_slot || bound.elements.back().slot != BoundArgument::no_slot;
            }
            if (has_slot) {
                bound.is_list = true;
                return bound;
            }
            bound.elements.clear();
            bound.constant = to_ivalue(argument);
        } else if (const auto* subgraph = argument.get_if<Subgraph>()) {
            bound.constant = Plan::compile(subgraph->graph, registry_, options_);
        } else {
            bound.constant = to_ivalue(argument);
        }
        if (type && type->kind != SchemaKind::Generator && type->kind != SchemaKind::Other)
            bound.constant = coerce(bound.constant, *type);
        return bound;
    }

    template <class F>
    static void for_each_slot(const BoundArgument& argument, F&& f) {
        if (argument.slot != BoundArgument::no_slot) f(argument.slot);
        for (const BoundArgument& element : argument.elements) for_each_slot(element, f);
    }

    std::vector<std::uint32_t> count_uses() const {
        std::vector<std::uint32_t> uses(plan_->graph_->values.size());
        for (const Step& step : plan_->steps_)
            for (const BoundArgument& arg : step.args) for_each_slot(arg, [&](std::uint32_t slot) { ++uses[slot]; });
        for (const Argument& output : plan_->graph_->outputs)
            for_each_value(output, [&](ValueRef ref) { ++uses[alias_[ref.id]]; });
        return uses;
    }

    void find_last_uses() {
        constexpr std::size_t never = SIZE_MAX;
        const std::size_t count = plan_->graph_->values.size();
        std::vector<std::size_t> last(count, never);
        for (std::size_t i = 0; i < plan_->steps_.size(); ++i) {
            const Step& step = plan_->steps_[i];
            for (const auto& slots : step.outputs)
                for (const std::uint32_t slot : slots) last[slot] = i;
            for (const BoundArgument& arg : step.args) for_each_slot(arg, [&](std::uint32_t slot) { last[slot] = i; });
        }
        for (const Argument& output : plan_->graph_->outputs)
            for_each_value(output, [&](ValueRef ref) { last[alias_[ref.id]] = never; });
        for (std::uint32_t slot = 0; slot < count; ++slot)
            if (last[slot] != never) plan_->steps_[last[slot]].released.push_back(slot);
        for (Step& step : plan_->steps_) mark_last_uses(step);
        plan_->alias_ = std::move(alias_);
    }

    static void mark_last_uses(Step& step) {
        std::map<std::uint32_t, std::size_t> reads;
        for (const BoundArgument& arg : step.args) for_each_slot(arg, [&](std::uint32_t slot) { ++reads[slot]; });
        for (std::size_t i = 0; i < std::min<std::size_t>(step.args.size(), 64); ++i)
            if (const std::uint32_t slot = step.args[i].slot;
                slot != BoundArgument::no_slot && reads[slot] == 1 &&
                std::find(step.released.begin(), step.released.end(), slot) != step.released.end())
                step.last_uses |= std::uint64_t{1} << i;
    }

    std::shared_ptr<Plan> plan_;
    const Registry& registry_;
    PlanOptions options_;
    std::vector<std::uint32_t> alias_;  // the slot that holds each value
};

std::shared_ptr<const Plan> Plan::compile(std::shared_ptr<const Graph> graph, const Registry& registry,
                                          const PlanOptions& options) {
    if (const auto missing = missing_ops(*graph, registry); !missing.empty())
        throw UnsupportedError(describe_missing(missing));
    return PlanBuilder(lower(std::move(graph), registry), registry, options).build();
}

namespace {

/// The values of one run.
class Frame {
  public:
    explicit Frame(std::size_t slots) : slots_(slots) {}

    IValue& operator[](std::uint32_t slot) { return slots_[slot]; }

    /// Pointers to the arguments of a step, made in `temporaries_` where they are not there yet.
    std::span<const IValue* const> arguments(const Step& step) {
        temporaries_.clear();
        temporaries_.resize(step.args.size());
        pointers_.clear();
        for (std::size_t i = 0; i < step.args.size(); ++i) pointers_.push_back(argument(step, i));
        return pointers_;
    }

    void release(const Step& step) {
        temporaries_.clear();
        for (const std::uint32_t slot : step.released) slots_[slot] = None{};
    }

  private:
    const IValue* argument(const Step& step, std::size_t i) {
        const BoundArgument& bound = step.args[i];
        if (bound.slot == BoundArgument::no_slot && !bound.is_list) return &bound.constant;
        const IValue* value = nullptr;
        if (bound.is_list) {
            temporaries_[i] = bind_list(bound, [&](std::uint32_t slot) -> const IValue& { return slots_[slot]; });
            value = &temporaries_[i];
        } else {
            value = &slots_[bound.slot];
        }
        if (!bound.type || has_form(*value, *bound.type)) return value;
        return with_context([&] { return "argument '" + step.op->schema.parameters[i].name + "'"; },
                            [&]() -> const IValue* {
                                temporaries_[i] = coerce(*value, *bound.type);
                                return &temporaries_[i];
                            });
    }

    std::vector<IValue> slots_;
    std::vector<IValue> temporaries_;
    std::vector<const IValue*> pointers_;
};

void store_results(Frame& frame, const Step& step, std::vector<IValue>& results) {
    if (results.size() < step.outputs.size())
        throw SchemaError("returned " + std::to_string(results.size()) + " values, the graph has " +
                          std::to_string(step.outputs.size()));
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
        const auto& slots = step.outputs[i];
        if (!step.output_is_list[i]) {
            if (!slots.empty()) frame[slots[0]] = std::move(results[i]);
            continue;
        }
        const auto* list = std::get_if<TensorList>(&results[i]);
        if (!list || list->size() != slots.size())
            throw SchemaError("returned " +
                              (list ? std::to_string(list->size()) + " tensors" : std::string(kind(results[i]))) +
                              ", the graph has a list of " + std::to_string(slots.size()));
        for (std::size_t k = 0; k < slots.size(); ++k) frame[slots[k]] = (*list)[k];
    }
}

/// Adds the results of a step that are not as the graph declares them.
void compare_declared(Frame& frame, const Graph& graph, const Step& step, std::vector<Undeclared>& undeclared) {
    for (const auto& slots : step.outputs)
        for (const std::uint32_t slot : slots) {
            const Value& value = graph.values[slot];
            const auto* tensor = std::get_if<Tensor>(&frame[slot]);
            if (value.kind == ValueKind::Tensor && (!tensor || !tensor->defined() || !fits(value.meta, *tensor)))
                undeclared.push_back({step.node->name, step.node->op_type, value.name, detail::meta_text(value.meta),
                                      tensor ? describe(*tensor) : std::string(kind(frame[slot]))});
        }
}

/// A symbolic scalar that came in as a 0-d tensor becomes a number.
IValue to_input(const Value& value, IValue input) {
    if (value.kind == ValueKind::Tensor || value.kind == ValueKind::CustomObject ||
        !std::holds_alternative<Tensor>(input))
        return input;
    return to_ivalue(std::get<Tensor>(input).item());
}

IValue output_value(Frame& frame, const std::vector<std::uint32_t>& alias, const Argument& output) {
    if (const auto* ref = output.get_if<ValueRef>()) return frame[alias[ref->id]];
    if (const auto* v = output.get_if<bool>()) return *v;
    if (const auto* v = output.get_if<std::int64_t>()) return *v;
    if (const auto* v = output.get_if<double>()) return *v;
    if (const auto* v = output.get_if<std::string>()) return *v;
    return None{};
}

}  // namespace

bool fits(const TensorMeta& meta, const Tensor& tensor) {
    if (meta.dtype != tensor.dtype() || meta.shape.size() != tensor.shape().size()) return false;
    for (std::size_t i = 0; i < meta.shape.size(); ++i)
        if (meta.shape[i].is_static() && meta.shape[i].value() != tensor.shape()[i]) return false;
    return true;
}

std::vector<IValue> Plan::run(std::vector<IValue> inputs, const RunOptions& options,
                              std::vector<Undeclared>* undeclared) const {
    Frame frame(graph_->values.size());
    if (inputs.size() != graph_->inputs.size())
        throw ArgumentError("expected " + std::to_string(graph_->inputs.size()) + " inputs, found " +
                            std::to_string(inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i)
        if (const auto* ref = graph_->inputs[i].get_if<ValueRef>())
            frame[ref->id] = to_input(graph_->value(*ref), std::move(inputs[i]));
    inputs.clear();

    std::vector<IValue> results;
    for (const Step& step : steps_) {
        with_context([&] { return "node '" + step.node->name + "' (" + step.node->op_type + ")"; },
                     [&] {
                         Context context{step.state.get(), options.generator, step.last_uses, memory_seen_};
                         const auto args = frame.arguments(step);
                         results.clear();
                         with_errors([&] { (step.op ? step.op->kernel : *step.function)(context, args, results); });
                         if (options.observer) options.observer->node_ran(*step.node, args, results);
                         store_results(frame, step, results);
                         if (undeclared) compare_declared(frame, *graph_, step, *undeclared);
                     });
        frame.release(step);
    }
    std::vector<IValue> outputs;
    for (const Argument& output : graph_->outputs) outputs.push_back(output_value(frame, alias_, output));
    return outputs;
}

}  // namespace torch_ir
