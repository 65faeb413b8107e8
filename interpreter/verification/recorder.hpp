// SPDX-License-Identifier: MIT
// Seeing and keeping the values that a run computes.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "plan.hpp"
#include "verification/compare.hpp"

namespace torch_ir {

/// Calls `f(ValueRef, Tensor)` for every result of a node that has a value in the graph; numbers as 0-d tensors. (A
/// plan may run nodes that the graph does not have; their values have numbers beyond it.)
template <class F>
void for_each_result(const Graph& graph, const Node& node, std::span<const IValue> results, F&& f) {
    const std::vector<ValueRef> refs = node.output_values();
    std::size_t next = 0;
    const auto see = [&](const Tensor& tensor) {
        if (next >= refs.size()) return;
        if (tensor.defined() && refs[next].id < graph.values.size()) f(refs[next], tensor);
        ++next;
    };
    for (const IValue& result : results) {
        if (const auto* list = std::get_if<TensorList>(&result))
            for (const Tensor& tensor : *list) see(tensor);
        else if (!std::holds_alternative<None>(result))
            see(value_tensor(result));
    }
}

/// `aten.relu.default in encoder.act`, for reports.
inline std::string origin_of(const Node& node) {
    return node.op_type + (node.provenance.module_path.empty() ? "" : " in " + node.provenance.module_path);
}

/// Keeps copies of chosen values. A value that nodes change in place has several states, each with the node after which
/// it holds.
class Recorder : public Observer {
  public:
    /// `wanted` is indexed by ValueRef::id.
    Recorder(const Graph& graph, std::vector<bool> wanted);

    void node_ran(const Node& node, std::span<const IValue* const> args, std::span<const IValue> results) override;

    /// The value before the given node runs (an index into the graph's nodes); nullptr when it was not kept. An input
    /// of the graph is there only when some node before changed it.
    const Tensor* before(ValueRef ref, std::size_t node) const;

    /// The last state of every value that was kept, by ValueRef::id.
    std::map<std::uint32_t, Tensor> values() const;

  private:
    struct State {
        std::size_t after;  // holds once this node has run
        Tensor tensor;
    };
    void see_arguments(const Node& node, std::span<const IValue* const> args);
    void see_writes(const Node& node, std::span<const IValue* const> args);

    const Graph& graph_;
    std::vector<bool> wanted_;
    std::map<std::string, std::size_t, std::less<>> index_;  // of nodes by name
    std::size_t current_ = 0;
    std::map<std::uint32_t, std::vector<State>> states_;
    bool writes_ = false;                   // some node changes what it is given
    std::map<std::uint32_t, Tensor> live_;  // the tensors themselves, to see which of them a write changes
};

}  // namespace torch_ir
