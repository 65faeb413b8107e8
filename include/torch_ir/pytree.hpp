// SPDX-License-Identifier: MIT
// Where the inputs and outputs of a model sit in the Python objects that its forward takes and returns.
#pragma once

#include <string>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// One path per user input, in order: `x`, `past[0].key`, `args[1]` where the argument has no known name. Empty when
/// the model does not tell how its inputs nest, or when that does not fit their number. Throws ParseError for a
/// malformed spec.
std::vector<std::string> input_paths(const Model& model);

/// One path per user output (losses included): `logits`, `[0]`, `[1].mask`; the only output of a model that returns it
/// bare is the empty path. Empty and throws as input_paths.
std::vector<std::string> output_paths(const Model& model);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/pytree_inl.hpp"  // IWYU pragma: export
#endif
