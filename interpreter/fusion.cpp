// SPDX-License-Identifier: MIT
// Merges a convolution with the batch norm, addition and activation that follow it, where nothing else reads the values
// between.
#include <algorithm>
#include <limits>
#include <set>

#include "alias.hpp"
#include "kernels/conv.hpp"
#include "plan.hpp"

namespace torch_ir {
namespace {

constexpr std::size_t none = SIZE_MAX;

/// What was found behind one convolution.
struct ConvChain {
    std::size_t conv = none;
    std::vector<std::size_t> merged;  // steps that become part of the convolution, in order
    std::size_t batch_norm = none;
    BoundArgument addend;
    bool has_addend = false;
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    std::uint32_t result = 0;  // the slot of the last merged step
};

template <class T>
const T* constant(const BoundArgument& argument) {
    return argument.slot == BoundArgument::no_slot && !argument.is_list ? std::get_if<T>(&argument.constant) : nullptr;
}

class Fuser {
  public:
    Fuser(std::vector<Step>& steps, const Graph& graph, std::vector<std::uint32_t> uses)
        : steps_(steps),
          graph_(graph),
          uses_(std::move(uses)),
          aliases_(graph),
          removed_(steps.size()),
          consumer_(graph.values.size(), none),
          producer_(graph.values.size(), none) {
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            for (const BoundArgument& argument : steps_[i].args) note_consumer(argument, i);
            for (const auto& slots : steps_[i].outputs)
                for (const std::uint32_t slot : slots) producer_[slot] = i;
        }
    }

    /// Later convolutions first: of two that are added, the one that runs last takes the addition.
    void run() {
        for (std::size_t i = steps_.size(); i-- > 0;) {
            if (removed_[i] || !is_convolution(steps_[i])) continue;
            ConvChain chain = follow(i);
            if (!chain.merged.empty()) rewrite(std::move(chain));
        }
        std::size_t kept = 0;
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            if (removed_[i]) continue;
            if (kept != i) steps_[kept] = std::move(steps_[i]);
            ++kept;
        }
        steps_.resize(kept);
    }

  private:
    void note_consumer(const BoundArgument& argument, std::size_t step) {
        if (argument.slot != BoundArgument::no_slot) consumer_[argument.slot] = step;
        for (const BoundArgument& element : argument.elements) note_consumer(element, step);
    }

    const TensorMeta& meta(std::uint32_t slot) const { return graph_.values[slot].meta; }

    bool is_convolution(const Step& step) const {
        static const std::set<std::string, std::less<>> names{"aten.conv1d.default", "aten.conv2d.default",
                                                              "aten.conv3d.default", "aten.convolution.default"};
        if (!step.op || !names.contains(step.node->op_type) || step.outputs[0].size() != 1) return false;
        if (meta(step.outputs[0][0]).dtype != DType::Float32) return false;
        const std::uint32_t weight = step.args[1].slot;
        if (weight == BoundArgument::no_slot || meta(weight).shape.size() != meta(step.outputs[0][0]).shape.size())
            return false;  // unbatched
        const bool* transposed = step.args.size() > 7 ? constant<bool>(step.args[6]) : nullptr;
        return !(transposed && *transposed);
    }

    ConvChain follow(std::size_t conv) const {
        ConvChain chain;
        chain.conv = conv;
        chain.result = steps_[conv].outputs[0][0];
        bool has_activation = false;
        while (!has_activation && uses_[chain.result] == 1) {
            const std::size_t next = consumer_[chain.result];
            if (next == none || removed_[next] || !steps_[next].op) break;
            if (take_batch_norm(next, chain) || take_addition(next, chain)) {
                // go on behind it
            } else if (take_activation(next, chain)) {
                has_activation = true;
            } else {
                break;
            }
            chain.merged.push_back(next);
            chain.result = steps_[next].outputs[0][0];
        }
        if (!chain.merged.empty() && !may_move(conv, chain)) return {};
        return chain;
    }

    bool take_batch_norm(std::size_t index, ConvChain& chain) const {
        const Step& step = steps_[index];
        const std::string& op = step.node->op_type;
        const bool legit = op == "aten._native_batch_norm_legit_no_training.default";
        if ((op != "aten.batch_norm.default" && !legit) || chain.batch_norm != none || chain.has_addend) return false;
        if (step.args[0].slot != chain.result) return false;
        if (!legit) {
            const bool* training = constant<bool>(step.args[5]);
            if (!training || *training) return false;
        }
        for (std::size_t i = 1; i < step.outputs.size(); ++i)
            for (const std::uint32_t slot : step.outputs[i])
                if (uses_[slot] != 0) return false;
        for (std::size_t i = 1; i <= 4; ++i)
            if (step.args[i].slot != BoundArgument::no_slot && meta(step.args[i].slot).dtype != DType::Float32)
                return false;
        if (step.args[3].slot == BoundArgument::no_slot || step.args[4].slot == BoundArgument::no_slot) return false;
        if (!constant<double>(step.args[legit ? 6 : 7])) return false;
        chain.batch_norm = index;
        return true;
    }

    bool take_addition(std::size_t index, ConvChain& chain) const {
        const Step& step = steps_[index];
        const std::string& op = step.node->op_type;
        const bool in_place = op == "aten.add_.Tensor";
        if ((op != "aten.add.Tensor" && !in_place) || chain.has_addend) return false;
        const auto* alpha = constant<std::int64_t>(step.args[2]);
        if (!alpha || *alpha != 1) return false;
        const std::size_t own = step.args[0].slot == chain.result ? 0 : 1;
        const BoundArgument& other = step.args[1 - own];
        if (step.args[own].slot != chain.result || other.slot == BoundArgument::no_slot || other.slot == chain.result)
            return false;
        if (!(meta(other.slot).shape == meta(chain.result).shape) || meta(other.slot).dtype != DType::Float32)
            return false;
        // Writing into the other operand may be left out only when it is a value of its own that nobody reads
        // afterwards.
        if (in_place && own == 1 && !(uses_[other.slot] == 1 && owns_memory(other.slot))) return false;
        chain.addend = other;
        chain.has_addend = true;
        return true;
    }

    /// Made by a step that returns fresh memory.
    bool owns_memory(std::uint32_t slot) const {
        if (producer_[slot] == none) return false;
        const Step& step = steps_[producer_[slot]];
        return step.op && std::all_of(step.op->schema.returns.begin(), step.op->schema.returns.end(),
                                      [](const SchemaParameter& r) { return r.alias.empty(); });
    }

    bool take_activation(std::size_t index, ConvChain& chain) const {
        const Step& step = steps_[index];
        std::string op = step.node->op_type;
        if (step.args.empty() || step.args[0].slot != chain.result) return false;
        if (op == "aten.relu.default" || op == "aten.relu_.default") {
            chain.low = 0;
            return true;
        }
        if (op == "aten.relu6.default" || op == "aten.relu6_.default") {
            chain.low = 0;
            chain.high = 6;
            return true;
        }
        if (op != "aten.hardtanh.default" && op != "aten.hardtanh_.default" && op != "aten.clamp.default" &&
            op != "aten.clamp_.default")
            return false;
        for (std::size_t i : {std::size_t{1}, std::size_t{2}}) {
            const BoundArgument& bound = step.args[i];
            if (bound.slot != BoundArgument::no_slot) return false;
            if (std::holds_alternative<None>(bound.constant)) continue;
            (i == 1 ? chain.low : chain.high) = to_scalar(bound.constant).to<double>();
        }
        return true;
    }

    /// The convolution runs where its last merged step ran; nothing in between may write to what it reads.
    bool may_move(std::size_t conv, const ConvChain& chain) const {
        std::set<std::uint32_t> read;
        for (const BoundArgument& argument : steps_[conv].args)
            if (argument.slot != BoundArgument::no_slot) read.insert(aliases_.find(argument.slot));
        for (std::size_t i = conv + 1; i < chain.merged.back(); ++i) {
            if (removed_[i] || std::find(chain.merged.begin(), chain.merged.end(), i) != chain.merged.end()) continue;
            const Step& step = steps_[i];
            if (!step.op) return false;
            for (std::size_t k = 0; k < step.args.size(); ++k)
                if (step.op->schema.parameters[k].is_write && step.args[k].slot != BoundArgument::no_slot &&
                    read.contains(aliases_.find(step.args[k].slot)))
                    return false;
        }
        return true;
    }

    void rewrite(ConvChain chain) {
        Step fused = std::move(steps_[chain.conv]);
        const std::size_t conv_args = fused.args.size();
        const std::size_t groups_at = conv_args > 7 ? 8 : 6;
        double eps = 0;
        if (chain.batch_norm != none) {
            Step& norm = steps_[chain.batch_norm];
            for (std::size_t i = 1; i <= 4; ++i) fused.args.push_back(std::move(norm.args[i]));
            eps = *constant<double>(norm.args[norm.args.size() == 7 ? 6 : 7]);
        }
        if (chain.has_addend) fused.args.push_back(chain.addend);
        const bool has_norm = chain.batch_norm != none;
        const bool has_addend = chain.has_addend;
        const double low = chain.low;
        const double high = chain.high;
        auto kernel = [=](Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
            const auto tensor = [&](std::size_t i) -> const Tensor& {
                return detail::Parameter<Tensor>::get(*args[i]);
            };
            kernels::FixedBatchNorm norm;
            kernels::ConvTail tail;
            std::size_t next = conv_args;
            if (has_norm) {
                norm = {tensor(next), tensor(next + 1), tensor(next + 2), tensor(next + 3), eps};
                tail.batch_norm = &norm;
                next += 4;
            }
            if (has_addend) {
                tail.addend = &tensor(next);
                tail.addend_dies = (context.last_uses >> next & 1) != 0;
            }
            tail.low = low;
            tail.high = high;
            const auto& ints = [&](std::size_t i) -> const Ints& { return std::get<Ints>(*args[i]); };
            results.emplace_back(
                kernels::convolution(context, tensor(0), tensor(1), tensor(2),
                                     {ints(3), ints(4), ints(5), std::get<std::int64_t>(*args[groups_at])}, tail));
        };
        Op op{fused.op->schema, std::move(kernel)};
        op.schema.parameters.resize(fused.args.size());  // names for messages only
        fused.owned_op = std::make_shared<const Op>(std::move(op));
        fused.op = fused.owned_op.get();
        fused.outputs = {{chain.result}};
        fused.output_is_list = {false};
        producer_[chain.result] = chain.merged.back();
        removed_[chain.conv] = true;
        for (const std::size_t i : chain.merged) removed_[i] = true;
        removed_[chain.merged.back()] = false;
        steps_[chain.merged.back()] = std::move(fused);
    }

    std::vector<Step>& steps_;
    const Graph& graph_;
    std::vector<std::uint32_t> uses_;
    AliasSets aliases_;
    std::vector<bool> removed_;
    std::vector<std::size_t> consumer_;  // of slots with one use: the step that reads it
    std::vector<std::size_t> producer_;
};

}  // namespace

void fuse_steps(std::vector<Step>& steps, const Graph& graph, std::vector<std::uint32_t> uses) {
    Fuser(steps, graph, std::move(uses)).run();
}

}  // namespace torch_ir
