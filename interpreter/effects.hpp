// SPDX-License-Identifier: MIT
// What a call does beside giving its results.
#pragma once

#include "registry.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {

/// Whether a call writes to what is given for this parameter of its op, running statistics in training mode included.
bool writes_to(const Node& node, const SchemaParameter& parameter);

/// Whether the op draws random numbers on these arguments: a dropout does in training only.
bool draws_numbers(const Node& node, const Registry& registry);

}  // namespace torch_ir
