// SPDX-License-Identifier: MIT
// The op families; each file of this folder registers one.
#pragma once

namespace torch_ir {

class Registry;

/// Registers all families.
void register_kernels(Registry& registry);

}  // namespace torch_ir
