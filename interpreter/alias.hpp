// SPDX-License-Identifier: MIT
// Which values of a graph may share memory, by the alias marks of the schemas.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "registry.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Classes of graph values that may share memory.
class AliasSets {
  public:
    /// The registry has the schemas of ops outside ATen; without one they are taken to write nothing.
    explicit AliasSets(const Graph& graph, const Registry* registry = nullptr);

    /// The same number for two values that may share memory.
    std::uint32_t find(std::uint32_t value) const {
        while (parent_[value] != value) value = parent_[value];
        return value;
    }

    /// Values that some node, or the body of some higher-order node, may write to.
    const std::vector<std::uint32_t>& written() const { return written_; }

  private:
    void join(std::uint32_t a, std::uint32_t b) { parent_[find(a)] = find(b); }
    void add_node(const Node& node);

    const Registry* registry_;
    std::vector<std::uint32_t> parent_;
    std::vector<std::uint32_t> written_;
};

/// For each input of `graph`: whether a node may write to it, directly or through views.
std::vector<bool> find_written_inputs(const Graph& graph, const Registry* registry = nullptr);

}  // namespace torch_ir
