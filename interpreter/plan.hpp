// SPDX-License-Identifier: MIT
// A graph made ready to run: values are slots, kernels resolved, constant arguments bound and checked, last uses known.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ivalue.hpp"
#include "registry.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Sees every node as it runs. Called in the order of the graph, from the running thread.
class Observer {
  public:
    virtual ~Observer() = default;
    /// `results` has one element per return value of the op; `args` one per argument bound. Neither may be kept by
    /// reference; a tensor that is kept must be cloned, as a later in-place op may change it.
    virtual void node_ran(const Node& node, std::span<const IValue* const> args, std::span<const IValue> results) = 0;
};

/// An op that a graph needs and that cannot run here.
struct MissingOp {
    std::string op_type;
    std::size_t count = 0;
    std::string reason;
};

struct PlanOptions {
    /// Merge convolution, batch norm, addition and activation into one step where nothing else sees the values between,
    /// and compute runs of elementwise ops slice by slice.
    bool fuse = true;
    /// Results lie in memory as PyTorch's even where another order costs less. Set by itself for a graph in which that
    /// would show.
    bool memory_seen = false;
};

/// Where an argument of a step comes from.
struct BoundArgument {
    static constexpr std::uint32_t no_slot = UINT32_MAX;

    IValue constant;
    std::uint32_t slot = no_slot;
    bool is_list = false;  // with at least one element that is a slot
    std::vector<BoundArgument> elements;
    const SchemaType* type = nullptr;  // nullptr: passed on as it is
};

/// One call.
struct Step {
    const Node* node = nullptr;
    const Op* op = nullptr;                // either an op with a schema
    const FunctionFn* function = nullptr;  // or a plain function
    std::shared_ptr<const Op> owned_op;    // keeps the op of a rewritten step
    std::vector<BoundArgument> args;
    std::vector<std::vector<std::uint32_t>> outputs;  // slots per return value; several for a list, none for None
    std::vector<bool> output_is_list;
    std::vector<std::uint32_t> released;  // slots last used here
    std::uint64_t last_uses = 0;          // bit i: argument i is such a slot, and no other argument is the same
    std::unique_ptr<CallState> state = std::make_unique<CallState>();
};

/// What a run may be given besides its inputs.
struct RunOptions {
    Observer* observer = nullptr;
    Generator* generator = nullptr;
};

/// Whether a tensor has the dtype and the sizes that are declared; a symbolic size is any.
bool fits(const TensorMeta& meta, const Tensor& tensor);

/// A result whose dtype or sizes are not those that the graph declares. What reads the graph only is misled by it.
struct Undeclared {
    std::string node;
    std::string op_type;
    std::string value;     // its name in the graph
    std::string declared;  // `float32[2, s0]`
    std::string computed;  // `float32[2, 3]`
};

/// May run many times, from several threads at once.
class Plan {
  public:
    /// Throws UnsupportedError listing every op that cannot run, with counts; SchemaError for a node that does not
    /// conform to its schema. The registry must outlive the plan.
    static std::shared_ptr<const Plan> compile(std::shared_ptr<const Graph> graph, const Registry& registry,
                                               const PlanOptions& options = {});

    /// Runs with one value per graph input and returns one per graph output. Inputs that a node writes to in place
    /// (see `written_inputs`) are changed. Errors carry the node's name and op. What is not as declared is added to
    /// `undeclared` where that is given; the run goes on with what was computed.
    std::vector<IValue> run(std::vector<IValue> inputs, const RunOptions& options = {},
                            std::vector<Undeclared>* undeclared = nullptr) const;

    const Graph& graph() const { return *graph_; }
    const std::vector<Step>& steps() const { return steps_; }
    /// Where a value lies: its own slot, or that of the value it is another name of.
    std::uint32_t slot(ValueRef value) const { return alias_[value.id]; }

    /// For each graph input: whether some node may write to it or to a view of it.
    const std::vector<bool>& written_inputs() const { return written_inputs_; }

  private:
    friend class PlanBuilder;
    std::shared_ptr<const Graph> graph_;
    std::vector<Step> steps_;
    std::vector<bool> written_inputs_;
    std::vector<std::uint32_t> alias_;  // the slot that holds each value
    bool memory_seen_ = false;
};

/// The argument at `position` of a call in the form that the kernel takes, with the values of slots from `value_of`.
IValue bind_argument(const Step& step, std::size_t position,
                     const std::function<const IValue&(std::uint32_t)>& value_of);

/// A constant argument (no graph value inside) as a run-time value; lists become lists of what their elements are.
IValue to_ivalue(const Argument& argument);

/// Every op of the graph and its subgraphs that cannot run, with how often it occurs, most frequent first.
std::vector<MissingOp> missing_ops(const Graph& graph, const Registry& registry);

/// Rewrites steps (fusion.cpp). `uses` counts the reads of every slot, graph outputs included.
void fuse_steps(std::vector<Step>& steps, const Graph& graph, std::vector<std::uint32_t> uses);

/// Merges runs of elementwise steps (chain.cpp); `uses` as for fuse_steps.
void chain_steps(std::vector<Step>& steps, const Graph& graph, const std::vector<std::uint32_t>& uses);

}  // namespace torch_ir
