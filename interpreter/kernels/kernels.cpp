// SPDX-License-Identifier: MIT
#include "kernels/kernels.hpp"

#include "kernels/families.hpp"

namespace torch_ir {

void register_kernels(Registry& registry) {
    using namespace kernels;
    register_activation(registry);
    register_activation_backward(registry);
    register_attention(registry);
    register_attention_backward(registry);
    register_binary(registry);
    register_bitwise(registry);
    register_cast(registry);
    register_cat(registry);
    register_compare(registry);
    register_contract(registry);
    register_control(registry);
    register_conv(registry);
    register_conv_backward(registry);
    register_covariance(registry);
    register_create(registry);
    register_decompose(registry);
    register_distance(registry);
    register_distributions(registry);
    register_double_backward(registry);
    register_dropout(registry);
    register_embedding(registry);
    register_extreme(registry);
    register_fft(registry);
    register_fused(registry);
    register_grid(registry);
    register_grouped_matmul(registry);
    register_index(registry);
    register_ldl(registry);
    register_linalg(registry);
    register_loss(registry);
    register_loss_backward(registry);
    register_margin_loss(registry);
    register_mask(registry);
    register_matmul(registry);
    register_meta(registry);
    register_moments(registry);
    register_nll_loss(registry);
    register_norm(registry);
    register_norm_backward(registry);
    register_observer(registry);
    register_optimizer(registry);
    register_packed_sequence(registry);
    register_pad(registry);
    register_pool(registry);
    register_pool_backward(registry);
    register_power(registry);
    register_prims(registry);
    register_quantize(registry);
    register_quantize_backward(registry);
    register_random(registry);
    register_rearrange(registry);
    register_reduce(registry);
    register_rnn(registry);
    register_scan(registry);
    register_scatter(registry);
    register_segment(registry);
    register_sequence(registry);
    register_sobol(registry);
    register_softmax(registry);
    register_sort(registry);
    register_special(registry);
    register_split(registry);
    register_stft(registry);
    register_symbolic(registry);
    register_torchao(registry);
    register_torchvision(registry);
    register_unary(registry);
    register_unique(registry);
    register_upsample(registry);
    register_view(registry);
    register_view_copy(registry);
    register_weight_norm(registry);
    register_weight_only(registry);
    register_foreach(registry);  // looks up the ops of elements
}

}  // namespace torch_ir
