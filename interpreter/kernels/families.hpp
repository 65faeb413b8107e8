// SPDX-License-Identifier: MIT
// One line per op family: the function that registers it, defined in the file of the same name.
#pragma once

#include "registry.hpp"

namespace torch_ir::kernels {

void register_attention(Registry& r);
void register_binary(Registry& r);
void register_conv(Registry& r);
void register_matmul(Registry& r);
void register_softmax(Registry& r);

}  // namespace torch_ir::kernels
