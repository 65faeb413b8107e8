// SPDX-License-Identifier: MIT
// Rewrites of a graph before it is planned: nodes whose meaning lies in other nodes become these.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "registry.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// The graph with
/// - `auto_functionalized`, `auto_functionalized_v2`, `with_effects` and `out_dtype` as calls of the op that they name,
/// - the casts of enabled autocast regions as nodes,
/// - what `torch.vmap` left in it as a `torch.vmap` node with the body as a subgraph.
/// Subgraphs are rewritten when they are planned. Gives back `graph` itself when there is nothing to do; else values
/// keep their numbers. Every op that the nodes name must be in the registry. Throws SchemaError for a malformed node.
std::shared_ptr<const Graph> lower(std::shared_ptr<const Graph> graph, const Registry& registry);

namespace detail {

/// Calls of ops by other ops.
bool lower_calls(Graph& graph, const Registry& registry);
/// Autocast regions on the CPU; those of other devices change nothing here.
bool lower_autocast(Graph& graph);
/// The regions between torch._functorch.predispatch._vmap_increment_nesting and _vmap_decrement_nesting.
bool lower_vmap(Graph& graph);

/// A value that no node produces yet.
ValueRef add_value(Graph& graph, std::string name, const Value& like);

}  // namespace detail
}  // namespace torch_ir
