// SPDX-License-Identifier: MIT
#include "kernels/kernels.hpp"

#include "kernels/families.hpp"

namespace torch_ir {

void register_kernels(Registry& registry) {
    using namespace kernels;
    register_binary(registry);
}

}  // namespace torch_ir
