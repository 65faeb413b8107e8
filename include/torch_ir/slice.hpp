// SPDX-License-Identifier: MIT
// Cutting a part out of a model: some of its nodes as a model of their own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// The nodes (ascending) that read, over any number of steps, a value of `from` and on whose results a value of `to`
/// depends; with an empty `from` everything that `to` depends on, with an empty `to` everything that depends on `from`.
/// What lies beyond a value of `from` is never part of it. A node that writes to a value in place counts as a producer
/// of it for the nodes after it.
std::vector<std::uint32_t> nodes_between(const Graph& graph, const std::vector<ValueRef>& from,
                                         const std::vector<ValueRef>& to);

/// The nodes (ascending) of a module and the modules inside it: `encoder.layer.0` also takes
/// `encoder.layer.0.attention`.
std::vector<std::uint32_t> nodes_of_module(const Graph& graph, std::string_view module_path);

struct SliceOptions {
    /// Parameters, buffers and constants become user inputs too, so that the slice needs no weights.
    bool weights_as_inputs = false;
};

/// The given nodes as a model; nodes and values keep their names. Its inputs are the graph inputs that the nodes read,
/// with their roles, then as user inputs the values that other nodes compute, in their order. Its user outputs are
/// `outputs`, or without any the values that other nodes or the graph's outputs use (all results when nothing uses
/// one). Symbols are kept where sizes mention them. Throws ArgumentError for a node that does not exist and an output
/// that none of the nodes computes, UnsupportedError for a custom object between the nodes and the rest.
Model slice(const Model& model, const std::vector<std::uint32_t>& nodes, const std::vector<ValueRef>& outputs = {},
            const SliceOptions& options = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/slice_inl.hpp"  // IWYU pragma: export
#endif
