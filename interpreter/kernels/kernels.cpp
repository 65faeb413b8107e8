// SPDX-License-Identifier: MIT
#include "kernels/kernels.hpp"

#include "kernels/families.hpp"

namespace torch_ir {

void register_kernels(Registry& registry) {
    using namespace kernels;
    register_attention(registry);
    register_binary(registry);
    register_conv(registry);
    register_matmul(registry);
    register_softmax(registry);
}

}  // namespace torch_ir
