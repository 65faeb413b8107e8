// SPDX-License-Identifier: MIT
// What op families share: short names for arguments, and one line per family, the function that registers it, defined
// in the file of the same name.
#pragma once

#include "registry.hpp"

namespace torch_ir::kernels {

using In = const Tensor&;
using OptBool = std::optional<bool>;
using OptDevice = const std::optional<Device>&;
using OptDType = std::optional<DType>;
using OptFormat = std::optional<MemoryFormat>;
using OptInt = std::optional<std::int64_t>;
using OptLayout = std::optional<Layout>;

/// Of tensors made from no other tensor, as torch.get_default_dtype() has it at first.
constexpr DType default_dtype = DType::Float32;

void register_activation(Registry& r);
void register_activation_backward(Registry& r);
void register_attention(Registry& r);
void register_attention_backward(Registry& r);
void register_binary(Registry& r);
void register_bitwise(Registry& r);
void register_cast(Registry& r);
void register_cat(Registry& r);
void register_compare(Registry& r);
void register_contract(Registry& r);
void register_control(Registry& r);
void register_conv(Registry& r);
void register_conv_backward(Registry& r);
void register_covariance(Registry& r);
void register_create(Registry& r);
void register_decompose(Registry& r);
void register_distance(Registry& r);
void register_distributions(Registry& r);
void register_double_backward(Registry& r);
void register_dropout(Registry& r);
void register_embedding(Registry& r);
void register_extreme(Registry& r);
void register_fft(Registry& r);
void register_foreach(Registry& r);
void register_fused(Registry& r);
void register_grid(Registry& r);
void register_grouped_matmul(Registry& r);
void register_index(Registry& r);
void register_ldl(Registry& r);
void register_linalg(Registry& r);
void register_loss(Registry& r);
void register_loss_backward(Registry& r);
void register_margin_loss(Registry& r);
void register_mask(Registry& r);
void register_matmul(Registry& r);
void register_meta(Registry& r);
void register_moments(Registry& r);
void register_nll_loss(Registry& r);
void register_norm(Registry& r);
void register_norm_backward(Registry& r);
void register_observer(Registry& r);
void register_optimizer(Registry& r);
void register_packed_sequence(Registry& r);
void register_pad(Registry& r);
void register_pool(Registry& r);
void register_pool_backward(Registry& r);
void register_power(Registry& r);
void register_prims(Registry& r);
void register_quantize(Registry& r);
void register_quantize_backward(Registry& r);
void register_random(Registry& r);
void register_rearrange(Registry& r);
void register_reduce(Registry& r);
void register_rnn(Registry& r);
void register_scan(Registry& r);
void register_scatter(Registry& r);
void register_segment(Registry& r);
void register_sequence(Registry& r);
void register_sobol(Registry& r);
void register_softmax(Registry& r);
void register_sort(Registry& r);
void register_special(Registry& r);
void register_split(Registry& r);
void register_stft(Registry& r);
void register_symbolic(Registry& r);
void register_torchao(Registry& r);
void register_torchvision(Registry& r);
void register_unary(Registry& r);
void register_unique(Registry& r);
void register_upsample(Registry& r);
void register_view(Registry& r);
void register_view_copy(Registry& r);
void register_weight_norm(Registry& r);
void register_weight_only(Registry& r);

}  // namespace torch_ir::kernels
