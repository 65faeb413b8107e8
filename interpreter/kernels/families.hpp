// SPDX-License-Identifier: MIT
// One line per op family: the function that registers it, defined in the file of the same name.
#pragma once

#include "registry.hpp"

namespace torch_ir::kernels {

void register_binary(Registry& r);

}  // namespace torch_ir::kernels
