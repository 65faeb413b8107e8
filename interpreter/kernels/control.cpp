// SPDX-License-Identifier: MIT
// Higher-order ops: calls of subgraphs. Their inputs bind to operands by position.
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "plan.hpp"

namespace torch_ir::kernels {
namespace {

using Args = std::span<const IValue* const>;
using Results = std::vector<IValue>;

/// Appends a value, or the elements of a list of operands.
void append_operands(std::vector<IValue>& operands, const IValue& value) {
    const auto each = [&](const auto& list) {
        for (const auto& element : list) detail::append_result(operands, element);
    };
    if (const auto* tensors = std::get_if<TensorList>(&value))
        each(*tensors);
    else if (const auto* ints = std::get_if<Ints>(&value))
        each(*ints);
    else if (const auto* scalars = std::get_if<ScalarList>(&value))
        each(*scalars);
    else if (const auto* doubles = std::get_if<Doubles>(&value))
        each(*doubles);
    else
        operands.push_back(value);
}

std::vector<IValue> operands_of(const char* op, Args args, std::size_t i) {
    if (i >= args.size())
        throw ArgumentError(std::string(op) + ": expected operands as argument " + std::to_string(i + 1));
    std::vector<IValue> operands;
    if (!std::holds_alternative<None>(*args[i])) append_operands(operands, *args[i]);
    return operands;
}

const Plan& graph_of(const char* op, Args args, std::size_t i) {
    const auto* plan = i < args.size() ? std::get_if<std::shared_ptr<const Plan>>(args[i]) : nullptr;
    if (!plan || !*plan)
        throw ArgumentError(std::string(op) + ": expected a graph as argument " + std::to_string(i + 1) + ", found " +
                            std::string(i < args.size() ? kind(*args[i]) : "nothing"));
    return **plan;
}

std::vector<IValue> call_graph(const char* op, Context& context, const Plan& plan, std::vector<IValue> inputs) {
    if (inputs.size() != plan.graph().inputs.size())
        throw ArgumentError(std::string(op) + ": the graph takes " + std::to_string(plan.graph().inputs.size()) +
                            " inputs, found " + std::to_string(inputs.size()) + " operands");
    return plan.run(std::move(inputs), {nullptr, context.generator});
}

/// Subgraphs may return their inputs, and write to them: what is fed back is a value of its own.
void move_into(Results& results, std::vector<IValue> values) {
    for (IValue& value : values) results.push_back(std::move(value));
}

void cond(Context& context, Args args, Results& results) {
    if (args.empty()) throw ArgumentError("cond: expected a predicate");
    const bool taken = to_scalar(*args[0]).to<bool>();
    const Plan& branch = graph_of("cond", args, taken ? 1 : 2);
    move_into(results, call_graph("cond", context, branch, operands_of("cond", args, 3)));
}

const Tensor& tensor_of(const char* op, const IValue& value) {
    const auto* tensor = std::get_if<Tensor>(&value);
    if (!tensor) throw ArgumentError(std::string(op) + ": expected a tensor, found " + std::string(kind(value)));
    return *tensor;
}

/// Collects the results of steps and stacks them along a new dimension 0.
class Stacks {
  public:
    void append(const char* op, std::span<IValue> values) {
        lists_.resize(std::max(lists_.size(), values.size()));
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (std::holds_alternative<None>(values[i]))
                lists_[i].clear();
            else
                lists_[i].push_back(tensor_of(op, values[i]));
        }
    }
    void finish(Results& results) const {
        for (const TensorList& list : lists_)
            if (list.empty())
                results.emplace_back(None{});
            else
                results.emplace_back(stack(list, 0));
    }

  private:
    std::vector<TensorList> lists_;
};

Tensor copied(const Tensor& tensor) { return tensor.defined() ? tensor.clone() : tensor; }

/// The values after the last turn or, stacked, those after each turn; without a turn the carried values themselves.
void run_while(Context& context, Args args, Results& results, bool stacked) {
    const Plan& condition = graph_of("while_loop", args, 0);
    const Plan& body = graph_of("while_loop", args, 1);
    std::vector<IValue> carried = operands_of("while_loop", args, 2);
    const std::vector<IValue> additional = args.size() > 3 ? operands_of("while_loop", args, 3) : std::vector<IValue>{};
    Stacks stacks;
    for (std::size_t turn = 0;; ++turn) {
        std::vector<IValue> inputs = carried;
        inputs.insert(inputs.end(), additional.begin(), additional.end());
        const std::vector<IValue> verdict = call_graph("while_loop", context, condition, inputs);
        if (verdict.empty()) throw ArgumentError("while_loop: the condition returned nothing");
        if (!to_scalar(verdict[0]).to<bool>()) {
            if (turn == 0)  // results have memory of their own
                for (IValue& value : carried)
                    if (auto* tensor = std::get_if<Tensor>(&value)) value = copied(*tensor);
            if (turn == 0 && stacked) stacks.append("while_loop", carried);
            break;
        }
        std::vector<IValue> next = call_graph("while_loop", context, body, std::move(inputs));
        if (next.size() != carried.size())
            throw ArgumentError("while_loop: the body returned " + std::to_string(next.size()) + " values, " +
                                std::to_string(carried.size()) + " are carried");
        carried = std::move(next);
        if (stacked) stacks.append("while_loop", carried);
    }
    if (stacked)
        stacks.finish(results);
    else
        move_into(results, std::move(carried));
}

/// The common size of dimension 0.
std::int64_t steps_of(const char* op, const std::vector<IValue>& xs) {
    if (xs.empty()) throw ArgumentError(std::string(op) + ": expected tensors to go over");
    std::int64_t steps = -1;
    for (const IValue& x : xs) {
        const Tensor& t = tensor_of(op, x);
        if (t.dim() == 0 || (steps >= 0 && t.size(0) != steps))
            throw ArgumentError(std::string(op) + ": expected tensors with the same size of dimension 0, found " +
                                describe(t));
        steps = t.size(0);
    }
    if (steps == 0) throw ArgumentError(std::string(op) + ": expected dimension 0 to have elements");
    return steps;
}

void append_slices(std::vector<IValue>& inputs, const char* op, const std::vector<IValue>& xs, std::int64_t i) {
    for (const IValue& x : xs) inputs.emplace_back(tensor_of(op, x).select(0, i));
}

void scan(Context& context, Args args, Results& results) {
    const Plan& combine = graph_of("scan", args, 0);
    std::vector<IValue> carry = operands_of("scan", args, 1);
    const std::vector<IValue> xs = operands_of("scan", args, 2);
    const std::vector<IValue> additional = args.size() > 3 ? operands_of("scan", args, 3) : std::vector<IValue>{};
    const std::int64_t steps = steps_of("scan", xs);
    Stacks stacks;
    for (std::int64_t i = 0; i < steps; ++i) {
        std::vector<IValue> inputs = carry;
        append_slices(inputs, "scan", xs, i);
        inputs.insert(inputs.end(), additional.begin(), additional.end());
        std::vector<IValue> out = call_graph("scan", context, combine, std::move(inputs));
        if (out.size() < carry.size()) throw ArgumentError("scan: the graph returned fewer values than are carried");
        stacks.append("scan", std::span(out).subspan(carry.size()));
        out.resize(carry.size());
        carry = std::move(out);
    }
    move_into(results, std::move(carry));
    stacks.finish(results);
}

void associative_scan(Context& context, Args args, Results& results) {
    const char* op = "associative_scan";
    const Plan& combine = graph_of(op, args, 0);
    const std::vector<IValue> xs = operands_of(op, args, 1);
    const std::vector<IValue> additional = args.size() > 2 ? operands_of(op, args, 2) : std::vector<IValue>{};
    const std::int64_t steps = steps_of(op, xs);
    Stacks stacks;
    std::vector<IValue> total;
    append_slices(total, op, xs, 0);
    stacks.append(op, total);
    for (std::int64_t i = 1; i < steps; ++i) {
        append_slices(total, op, xs, i);
        total.insert(total.end(), additional.begin(), additional.end());
        total = call_graph(op, context, combine, std::move(total));
        stacks.append(op, total);
    }
    stacks.finish(results);
}

void map(Context& context, Args args, Results& results) {
    const Plan& body = graph_of("map", args, 0);
    const std::vector<IValue> xs = operands_of("map", args, 1);
    const std::vector<IValue> other = args.size() > 2 ? operands_of("map", args, 2) : std::vector<IValue>{};
    const std::int64_t steps = steps_of("map", xs);
    Stacks stacks;
    for (std::int64_t i = 0; i < steps; ++i) {
        std::vector<IValue> inputs;
        append_slices(inputs, "map", xs, i);
        inputs.insert(inputs.end(), other.begin(), other.end());
        std::vector<IValue> out = call_graph("map", context, body, std::move(inputs));
        stacks.append("map", out);
    }
    stacks.finish(results);
}

/// Runs the first graph among the arguments on the operands after it; names and settings are passed over.
void call_graph(const char* op, Context& context, Args args, Results& results) {
    std::size_t i = 0;
    while (i < args.size() && !std::holds_alternative<std::shared_ptr<const Plan>>(*args[i])) ++i;
    const Plan& body = graph_of(op, args, i);
    std::vector<IValue> operands;
    for (++i; i < args.size(); ++i)
        if (!std::holds_alternative<std::string>(*args[i])) append_operands(operands, *args[i]);
    // Dictionaries of keyword arguments and of hints arrive as None.
    while (operands.size() > body.graph().inputs.size() && std::holds_alternative<None>(operands.back()))
        operands.pop_back();
    move_into(results, call_graph(op, context, body, std::move(operands)));
}

Ints dims_of(const char* op, Args args, std::size_t i) {
    const auto* dims = i < args.size() ? std::get_if<Ints>(args[i]) : nullptr;
    return dims ? *dims : Ints(operands_of(op, args, i).size());
}

/// vmap(body, size, in_dims, out_dims, batched, captured), as lower_vmap writes it: the body runs for each element of
/// the batch. For an empty batch it runs once on zeros, as the shapes of its results are wanted.
void vmap(Context& context, Args args, Results& results) {
    const char* op = "vmap";
    const Plan& body = graph_of(op, args, 0);
    if (args.size() != 6) throw ArgumentError("vmap: expected 6 arguments, found " + std::to_string(args.size()));
    const auto size = to_scalar(*args[1]).to<std::int64_t>();
    const Ints in_dims = dims_of(op, args, 2);
    const Ints out_dims = dims_of(op, args, 3);
    const std::vector<IValue> batched = operands_of(op, args, 4);
    const std::vector<IValue> captured = operands_of(op, args, 5);
    std::vector<TensorList> lists(out_dims.size());
    for (std::int64_t i = 0; i < std::max<std::int64_t>(size, 1); ++i) {
        std::vector<IValue> inputs;
        for (std::size_t k = 0; k < batched.size(); ++k) {
            const Tensor& all = tensor_of(op, batched[k]);
            const std::int64_t dim = all.wrap_dim(in_dims.at(k));
            if (all.size(dim) != size)
                throw ArgumentError("vmap: expected a batch of " + std::to_string(size) + ", found " +
                                    std::to_string(all.size(dim)));
            if (size > 0) {
                inputs.emplace_back(all.select(dim, i));
            } else {
                Ints shape = all.shape();
                shape.erase(shape.begin() + dim);
                inputs.emplace_back(Tensor::zeros(shape, all.dtype()));
            }
        }
        inputs.insert(inputs.end(), captured.begin(), captured.end());
        const std::vector<IValue> values = call_graph(op, context, body, std::move(inputs));
        for (std::size_t k = 0; k < lists.size(); ++k) lists[k].push_back(tensor_of(op, values.at(k)));
    }
    for (std::size_t k = 0; k < lists.size(); ++k) {
        const std::int64_t dim = out_dims[k] < 0 ? out_dims[k] + lists[k][0].dim() + 1 : out_dims[k];
        if (size > 0) {
            results.emplace_back(stack(lists[k], dim));
        } else {
            Ints shape = lists[k][0].shape();
            shape.insert(shape.begin() + dim, 0);
            results.emplace_back(Tensor::empty(shape, lists[k][0].dtype()));
        }
    }
}

/// A node of this kind becomes others before the graph runs (lower.hpp).
void rewritten(Context&, Args, Results&) { throw ArgumentError("expected a well-formed call, which is rewritten"); }

}  // namespace

void register_control(Registry& r) {
    r.add_function("higher_order.cond", cond);
    r.add_function("higher_order.while_loop",
                   [](Context& context, Args args, Results& results) { run_while(context, args, results, false); });
    r.add_function("higher_order.while_loop_stack_output",
                   [](Context& context, Args args, Results& results) { run_while(context, args, results, true); });
    r.add_function("higher_order.scan", scan);
    r.add_function("higher_order.associative_scan", associative_scan);
    r.add_function("higher_order.map_impl", map);
    r.add_function("higher_order.map", map);
    r.add_function("torch.vmap", vmap);
    for (const char* name :
         {"_add_batch_dim", "_remove_batch_dim", "_vmap_increment_nesting", "_vmap_decrement_nesting"})
        r.add_function(std::string("torch._functorch.predispatch.") + name, rewritten);
    r.add_function("torch._functorch.predispatch.lazy_load_decompositions",
                   [](Context&, Args, Results& results) { results.emplace_back(None{}); });
    for (const char* name : {"auto_functionalized", "auto_functionalized_v2", "with_effects", "out_dtype"})
        r.add_function(std::string("higher_order.") + name, rewritten);
    r.add_function("higher_order.print", [](Context&, Args, Results& results) { results.emplace_back(None{}); });
    for (const char* name : {"invoke_subgraph", "wrap_with_set_grad_enabled", "wrap_with_autocast", "hints_wrapper",
                             "tag_activation_checkpoint", "wrap_activation_checkpoint", "wrap", "strict_mode",
                             "invoke_quant", "invoke_quant_packed", "run_const_graph", "foreach_map"})
        r.add_function(std::string("higher_order.") + name, [name](Context& context, Args args, Results& results) {
            call_graph(name, context, args, results);
        });
}

}  // namespace torch_ir::kernels
