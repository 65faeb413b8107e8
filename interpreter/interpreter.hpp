// SPDX-License-Identifier: MIT
// A model ready to run: a plan, the weights bound to it, and checks of what a user gives and gets.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plan.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir {

/// A user input or output by position. `name` is the graph's name of it; a literal has `output_N` or `input_N`.
struct NamedValue {
    std::string name;
    IValue value;
};

/// Values by state_dict key (buffers, parameters) or graph input name (inputs).
using State = std::map<std::string, Tensor, std::less<>>;

/// What a run gives.
struct RunResult {
    std::vector<NamedValue> outputs;  // one per user output, None included
    State mutations;  // new values of the buffers, parameters and inputs that the graph declares mutated or writes to
    std::vector<Undeclared> undeclared;
};

/// A tensor over the memory of a view; it is copied only when it is unaligned for its dtype or marked conjugate or
/// negative.
Tensor to_tensor(const TensorView& view);
/// A view of a tensor's elements, row-major (copied when it is not).
TensorView to_view(const Tensor& tensor);

/// Runs a model. After load_weights it is immutable and may be used from several threads.
class Interpreter {
  public:
    /// Throws UnsupportedError listing all ops and dtypes that cannot run.
    explicit Interpreter(std::shared_ptr<const Model> model, const Registry& registry = builtin_registry());

    /// Binds weights by state_dict key. Throws ArgumentError listing every missing or misshapen one, with the closest
    /// name found.
    void load_weights(const Weights& weights);

    /// The user inputs in order from tensors keyed by graph input name, by position as `input_N`, or by path
    /// (pytree.hpp). Checks dtypes, shapes, symbols and their ranges. Throws ArgumentError listing everything missing,
    /// extra or wrong.
    std::vector<IValue> bind_inputs(const std::map<std::string, Tensor, std::less<>>& tensors) const;

    /// Runs with one value per user input (see bind_inputs). Fused steps are used when no observer asks to see every
    /// node.
    RunResult run(std::vector<IValue> user_inputs, const RunOptions& options = {}) const;

    /// The same with state carried from run to run (a KV cache, a counter, running statistics): what `state` holds
    /// takes the place of weights and inputs, and the run's mutations are written back to it. An empty state starts
    /// from the weights. Each caller has its own.
    RunResult run(std::vector<IValue> user_inputs, State& state, const RunOptions& options = {}) const;

    const Model& model() const { return *model_; }
    const Registry& registry() const { return registry_; }

    /// The plan with one step for every node, compiled when it is first asked for.
    const Plan& unfused_plan() const { return plan(true); }
    /// One value for every input of the graph: the weights, and the user inputs given.
    std::vector<IValue> graph_inputs(std::vector<IValue> user_inputs) const;

  private:
    const Plan& plan(bool observed) const;
    std::string state_key(std::size_t input) const;
    void check_carried(std::size_t input, const Tensor& tensor) const;

    std::shared_ptr<const Model> model_;
    const Registry& registry_;
    std::shared_ptr<const Plan> fused_;
    mutable std::mutex unfused_mutex_;
    mutable std::shared_ptr<const Plan> unfused_;  // compiled when an observer first asks for it
    std::vector<IValue> weights_;                  // per graph input; None for user inputs
};

}  // namespace torch_ir
