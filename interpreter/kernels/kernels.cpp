// SPDX-License-Identifier: MIT
#include "kernels/kernels.hpp"

#include "kernels/families.hpp"

namespace torch_ir {

void register_kernels(Registry& registry) {
    using namespace kernels;
    register_activation(registry);
    register_attention(registry);
    register_binary(registry);
    register_bitwise(registry);
    register_compare(registry);
    register_conv(registry);
    register_matmul(registry);
    register_norm(registry);
    register_power(registry);
    register_softmax(registry);
    register_unary(registry);
}

}  // namespace torch_ir
