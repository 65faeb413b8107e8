// SPDX-License-Identifier: MIT
// Everything that is wrong with a model, as a list.
#pragma once

#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/issue.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir {

/// Checks names, producers and the order of definitions and uses, arguments and returns against the ATen schema, the
/// signature and the constants; subgraphs, too. Never throws for a bad graph, whatever its indices point to. An op
/// without a known schema is no error.
///
/// Shapes are recomputed for about a hundred ops: elementwise arithmetic and activations, matrix products,
/// convolutions, normalisations, embedding, views and transposes, cat, split, reductions over dimensions. The dtype is
/// compared for those of them that keep it, or return bool. Of every other op only the schema is checked, and that
/// `dim` is a dimension of `self`: a wrong shape after it goes unnoticed until an op with a rule reads it. Symbolic
/// sizes are compared at their values at export time, strides not at all. What no issue is found in can run; whether it
/// computes what it should only `torch-ir verify` tells.
std::vector<Issue> validate(const Model& model);

/// The same, and whether `weights` has every weight of the model with its shape and dtype. A weight that nothing uses
/// may be missing, and one that the model does not know may be there: warnings.
std::vector<Issue> validate(const Model& model, const Weights& weights);

/// True when an issue is an error, not only a warning.
bool has_errors(const std::vector<Issue>& issues);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/validate_inl.hpp"  // IWYU pragma: export
#endif
