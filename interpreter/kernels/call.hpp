// SPDX-License-Identifier: MIT
// Ops made of other ops, called as a graph calls them.
#pragma once

#include <string_view>
#include <vector>

#include "registry.hpp"

namespace torch_ir::kernels {

/// Calls a built-in op with its first arguments; those left out take the schema's defaults. Returns its results. Throws
/// ArgumentError when an argument without a default is missing or of the wrong kind, UnsupportedError when there is no
/// such op.
std::vector<IValue> call_op(Context& context, std::string_view op_type, std::vector<IValue> args);

/// The first result of an op that does not draw random numbers, as a tensor.
Tensor call(std::string_view op_type, std::vector<IValue> args);

}  // namespace torch_ir::kernels
