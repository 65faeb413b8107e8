// SPDX-License-Identifier: MIT
// Figures about a model: sizes, ops, work and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Counts and byte sizes take a symbolic size at its value at export time; they are empty when that is unknown or the
/// number does not fit.
struct ModelInfo {
    template <class T>
    using ByName = std::vector<std::pair<std::string, T>>;

    std::string model_name;
    std::string pytorch_version;
    std::size_t num_nodes = 0;
    std::size_t num_inputs = 0;   // of the user, constants left out
    std::size_t num_outputs = 0;  // seen by the user, constants left out
    std::size_t num_weights = 0;
    std::optional<std::int64_t> total_parameters;  // elements of all weights, buffers included
    ByName<Shape> input_shapes;
    ByName<Shape> output_shapes;
    std::vector<std::string> input_paths;  // see pytree.hpp
    std::vector<std::string> output_paths;
    ByName<std::size_t> op_distribution;  // most frequent first
    ByName<std::size_t> dtypes;           // tensors of each dtype: weights, inputs and what nodes compute
    /// Two for each multiplication with addition of matmul, linear, convolution, attention and their kin; all else
    /// counts as nothing (as torch.utils.flop_counter counts). A subgraph counts once.
    std::optional<std::int64_t> flops;
    std::optional<std::int64_t> weight_bytes;
    /// The most that values computed by nodes occupy at one time, when each is freed after its last use and views share
    /// the memory of what they view. Inputs, weights and scratch memory do not count.
    std::optional<std::int64_t> peak_activation_bytes;
    std::vector<SymbolRange> symbols;

    bool operator==(const ModelInfo&) const = default;
};

/// Throws ArgumentError for a graph that refers to a value that it does not have.
ModelInfo collect_info(const Model& model);

/// JSON text, indented by two: the keys of pytorch-ir's `info --json`, then ours.
std::string to_json(const ModelInfo& info);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/info_inl.hpp"  // IWYU pragma: export
#endif
