// SPDX-License-Identifier: MIT
// Runs of elementwise ops on tensors of one shape, computed slice by slice: what lies between them stays in the cache.
#include <algorithm>
#include <map>
#include <set>

#include "parallel.hpp"
#include "plan.hpp"

namespace torch_ir {
namespace {

/// Elements of a slice: the few values that are alive at a time fit a core's cache, and a call costs little beside it.
constexpr std::int64_t slice_elements = 16384;

/// Ops without side effects whose every result element depends on the elements at its place alone.
bool is_elementwise(const Step& step) {
    static const std::set<std::string, std::less<>> names{
        "aten.add.Tensor",        "aten.sub.Tensor",     "aten.mul.Tensor",      "aten.div.Tensor",
        "aten.add.Scalar",        "aten.sub.Scalar",     "aten.mul.Scalar",      "aten.div.Scalar",
        "aten.pow.Tensor_Scalar", "aten.tanh.default",   "aten.sigmoid.default", "aten.exp.default",
        "aten.neg.default",       "aten.erf.default",    "aten.relu.default",    "aten.silu.default",
        "aten.gelu.default",      "aten.sqrt.default",   "aten.rsqrt.default",   "aten.square.default",
        "aten.maximum.default",   "aten.minimum.default"};
    return step.op && !step.owned_op && names.contains(step.node->op_type) && step.outputs.size() == 1 &&
           step.outputs[0].size() == 1 && !step.output_is_list[0];
}

/// Steps that run as one. Values are numbered: first one result per step, then what comes in.
struct Chain {
    struct Call {
        const Op* op;
        std::vector<BoundArgument> args;    // slots are numbers of values
        std::vector<std::size_t> released;  // values that nothing reads after it
    };
    std::vector<Call> calls;
    std::vector<std::size_t> results;  // of these calls are read elsewhere

    /// All calls on the values that came in, or on slices of them; `done(i, tensor)` takes result i.
    template <class Done>
    void run(std::vector<IValue> inputs, Done done) const {
        std::vector<IValue> values(calls.size());
        std::move(inputs.begin(), inputs.end(), std::back_inserter(values));
        std::vector<const IValue*> args;
        std::vector<IValue> returned;
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const Call& call = calls[i];
            args.clear();
            for (const BoundArgument& arg : call.args)
                args.push_back(arg.slot == BoundArgument::no_slot ? &arg.constant : &values[arg.slot]);
            Context context;
            returned.clear();
            call.op->kernel(context, args, returned);
            values[i] = std::move(returned.at(0));
            for (std::size_t r = 0; r < results.size(); ++r)
                if (results[r] == i) done(r, std::get<Tensor>(values[i]));
            for (const std::size_t value : call.released) values[value] = None{};
        }
    }

    std::vector<Tensor> operator()(std::span<const IValue* const> args) const {
        std::vector<Tensor> found(results.size());
        std::vector<IValue> values;
        for (const IValue* arg : args) values.push_back(*arg);
        const Tensor& first = std::get<Tensor>(values[0]);
        const bool alike = std::all_of(values.begin(), values.end(), [&](const IValue& value) {
            const Tensor& t = std::get<Tensor>(value);
            return t.dtype() == DType::Float32 && t.shape() == first.shape() && t.strides() == first.strides();
        });
        if (!alike || !first.is_dense() || first.numel() <= slice_elements) {
            run(std::move(values), [&](std::size_t i, const Tensor& result) { found[i] = result; });
            return found;
        }
        for (Tensor& result : found) result = Tensor::empty_like(first, DType::Float32);
        const auto slice = [](const Tensor& t, std::int64_t begin, std::int64_t end) {
            return t.as_strided({end - begin}, {1}, t.offset() + begin);
        };
        parallel_for(first.numel(), slice_elements, [&](std::int64_t begin, std::int64_t end) {
            std::vector<IValue> slices;
            for (const IValue& value : values) slices.emplace_back(slice(std::get<Tensor>(value), begin, end));
            run(std::move(slices),
                [&](std::size_t i, const Tensor& result) { slice(found[i], begin, end).copy_from(result); });
        });
        return found;
    }
};

class Chainer {
  public:
    Chainer(std::vector<Step>& steps, const Graph& graph, const std::vector<std::uint32_t>& uses)
        : steps_(steps), graph_(graph), uses_(uses) {}

    void run() {
        std::vector<Step> kept;
        for (std::size_t i = 0; i < steps_.size();) {
            std::size_t end = i;
            while (end < steps_.size() && fits(steps_[end], steps_[i])) ++end;
            if (end - i < 2 || !merge(i, end, kept)) {
                end = std::max(end, i + 1);
                std::move(steps_.begin() + static_cast<std::ptrdiff_t>(i),
                          steps_.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(kept));
            }
            i = end;
        }
        steps_ = std::move(kept);
    }

  private:
    const Value& value(std::uint32_t slot) const { return graph_.values[slot]; }

    /// Whether it may stand in a chain with `first`: all tensors are float32 and of one shape.
    bool fits(const Step& step, const Step& first) const {
        if (!is_elementwise(step)) return false;
        const TensorMeta& expected = value(first.outputs[0][0]).meta;
        const auto is_alike = [&](std::uint32_t slot) {
            const Value& v = value(slot);
            return v.kind == ValueKind::Tensor && v.meta.dtype == DType::Float32 && v.meta.shape == expected.shape;
        };
        bool reads = false;
        for (std::size_t i = 0; i < step.args.size(); ++i) {
            const BoundArgument& arg = step.args[i];
            if (arg.is_list) return false;
            if (arg.slot == BoundArgument::no_slot) continue;
            if (step.op->schema.parameters[i].type.kind != SchemaKind::Tensor || !is_alike(arg.slot)) return false;
            reads = true;
        }
        return reads && is_alike(step.outputs[0][0]);
    }

    /// Steps [begin, end) as one step; false when none of them stays among themselves.
    bool merge(std::size_t begin, std::size_t end, std::vector<Step>& kept) const {
        Step merged;
        Chain chain;
        std::map<std::uint32_t, std::uint32_t> number;  // of the value in a slot
        std::map<std::uint32_t, std::uint32_t> inside;  // reads of it by these steps
        std::map<std::size_t, std::size_t> last;        // the call that reads a value last
        for (std::size_t i = begin; i < end; ++i) {
            const std::size_t at = i - begin;
            Chain::Call call{steps_[i].op, steps_[i].args, {}};
            for (BoundArgument& arg : call.args) {
                if (arg.slot == BoundArgument::no_slot) continue;
                ++inside[arg.slot];
                const auto next = static_cast<std::uint32_t>(end - begin + merged.args.size());
                const auto [found, comes_in] = number.emplace(arg.slot, next);
                if (comes_in) merged.args.push_back(arg);
                arg.slot = found->second;
                last[arg.slot] = at;
            }
            chain.calls.push_back(std::move(call));
            number[steps_[i].outputs[0][0]] = static_cast<std::uint32_t>(at);
            last[at] = at;
        }
        for (std::size_t i = begin; i < end; ++i) {
            const std::uint32_t result = steps_[i].outputs[0][0];
            if (uses_[result] <= inside[result]) continue;
            chain.results.push_back(i - begin);
            merged.outputs.push_back({result});
        }
        if (chain.results.size() == chain.calls.size()) return false;
        for (const auto& [number_of, call] : last) chain.calls[call].released.push_back(number_of);

        merged.node = steps_[end - 1].node;
        merged.output_is_list.assign(merged.outputs.size(), false);
        Op op{steps_[end - 1].op->schema, {}};
        op.schema.parameters.resize(merged.args.size());  // names for messages only
        op.kernel = [chain = std::move(chain)](Context&, std::span<const IValue* const> args,
                                               std::vector<IValue>& results) {
            for (Tensor& result : chain(args)) results.emplace_back(std::move(result));
        };
        merged.owned_op = std::make_shared<const Op>(std::move(op));
        merged.op = merged.owned_op.get();
        kept.push_back(std::move(merged));
        return true;
    }

    std::vector<Step>& steps_;
    const Graph& graph_;
    const std::vector<std::uint32_t>& uses_;
};

}  // namespace

void chain_steps(std::vector<Step>& steps, const Graph& graph, const std::vector<std::uint32_t>& uses) {
    Chainer(steps, graph, uses).run();
}

}  // namespace torch_ir
