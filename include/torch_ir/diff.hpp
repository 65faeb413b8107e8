// SPDX-License-Identifier: MIT
// What changed between two graphs, by structure: names do not count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// One thing about a pair of nodes that are the same call in both graphs.
struct NodeChange {
    std::uint32_t a = 0;  // index into the nodes of A
    std::uint32_t b = 0;
    std::string what;  // `eps`, `output 0`
    std::string from;  // `1e-05`, `float32[2, 3]`
    std::string to;
};

/// A change of the model's inputs, weights or outputs.
struct EdgeChange {
    std::string what;  // `input 0`, `weight 'fc.bias'`, `output 1`
    std::string from;  // empty: only in B
    std::string to;    // empty: only in A
};

struct ModelDiff {
    std::vector<std::uint32_t> only_a;  // nodes, ascending
    std::vector<std::uint32_t> only_b;
    std::vector<NodeChange> changed;
    std::vector<EdgeChange> edges;
    std::size_t matched = 0;  // nodes in both, changed ones included

    bool equal() const { return only_a.empty() && only_b.empty() && changed.empty() && edges.empty(); }
};

/// Nodes are the same when op, arguments, types and what they read are, down to the inputs (by position) and weights
/// (by state_dict key). Of the others, those with the same op between matched neighbours are paired in order as changed
/// nodes. An argument that is left out equals its default. Throws ArgumentError for a graph that refers to a value or
/// node that it does not have.
ModelDiff diff(const Model& a, const Model& b);

/// JSON text, indented by two: `{"equal", "matched", "only_a": [{"name", "op_type", …}], "only_b", "changed",
/// "edges"}`.
std::string to_json(const ModelDiff& diff, const Model& a, const Model& b);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/diff_inl.hpp"  // IWYU pragma: export
#endif
