// SPDX-License-Identifier: MIT
// Everything that is wrong with a model, as a list.
#pragma once

#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/issue.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir {

/// Checks names, producers and the order of definitions and uses, arguments and returns against the ATen schema, shapes
/// and dtypes where they follow easily from the inputs, the signature and the constants; subgraphs, too. Never throws
/// for a bad graph, whatever its indices point to. An op without a known schema is no error.
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
