// SPDX-License-Identifier: MIT
// Ops from shared libraries: `torch-ir run --plugin libmy_ops.so`.
#pragma once

#include <string>
#include <vector>

#include "registry.hpp"

/// What a plugin defines: it registers its ops with `Registry::add`.
extern "C" void torch_ir_register(torch_ir::Registry& registry);

namespace torch_ir {

/// The built-in ops and those of the given shared libraries, which stay loaded. Without any, builtin_registry(). Throws
/// IoError for a library that cannot be loaded or has no torch_ir_register, SchemaError for an op that is there
/// already.
const Registry& registry_with(const std::vector<std::string>& plugins);

}  // namespace torch_ir
