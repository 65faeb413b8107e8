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

/// Keeps copies of chosen values.
class Recorder : public Observer {
  public:
    /// `wanted` is indexed by ValueRef::id.
    Recorder(const Graph& graph, std::vector<bool> wanted) : graph_(graph), wanted_(std::move(wanted)) {}

    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue> results) override {
        for_each_result(graph_, node, results, [&](ValueRef ref, const Tensor& tensor) {
            if (wanted_[ref.id]) values_[ref.id] = tensor.clone();
        });
    }

    /// By ValueRef::id.
    const std::map<std::uint32_t, Tensor>& values() const { return values_; }

  private:
    const Graph& graph_;
    std::vector<bool> wanted_;
    std::map<std::uint32_t, Tensor> values_;
};

}  // namespace torch_ir
