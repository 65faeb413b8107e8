// SPDX-License-Identifier: MIT
// Ops that other devices, older exports and fast paths put in the place of plain ones, computed by those.
#include <cmath>

#include "kernels/arithmetic.hpp"
#include "kernels/attention.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"

namespace torch_ir::kernels {
namespace {

using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;
using OptDouble = std::optional<double>;

IValue maybe(In t) { return t.defined() ? IValue(t) : IValue(None{}); }
IValue maybe(OptDouble value) { return value ? IValue(*value) : IValue(None{}); }

// Attention.

/// (output, logsumexp)
Two attention(Context& context, In query, In key, In value, In bias, double dropout_p, bool is_causal,
              OptDouble scale) {
    std::vector<IValue> results = call_op(context, "aten._scaled_dot_product_flash_attention_for_cpu.default",
                                          {query, key, value, dropout_p, is_causal, maybe(bias), maybe(scale)});
    return {std::get<Tensor>(results[0]), std::get<Tensor>(results[1])};
}

/// Random state that nothing reads without dropout.
Tensor no_state() { return Tensor::zeros({}, DType::Int64); }

using Flash = std::tuple<Tensor, Tensor, Tensor, Tensor, std::int64_t, std::int64_t, Tensor, Tensor, Tensor>;
Flash cudnn_attention(Context& context, In query, In key, In value, In attn_bias, bool, double dropout_p,
                      bool is_causal, bool, OptDouble scale) {
    auto [output, logsumexp] = attention(context, query, key, value, attn_bias, dropout_p, is_causal, scale);
    return {output,     logsumexp,     Tensor{},
            Tensor{},   query.size(2), key.size(2),
            no_state(), no_state(),    Tensor::empty({0}, query.dtype())};
}
Flash flash_attention(Context& context, In query, In key, In value, double dropout_p, bool is_causal, bool,
                      OptDouble scale) {
    return cudnn_attention(context, query, key, value, {}, true, dropout_p, is_causal, false, scale);
}
Four efficient_attention(Context& context, In query, In key, In value, In attn_bias, bool compute_log_sumexp,
                         double dropout_p, bool is_causal, OptDouble scale) {
    auto [output, logsumexp] = attention(context, query, key, value, attn_bias, dropout_p, is_causal, scale);
    if (!compute_log_sumexp) logsumexp = Tensor::empty({query.size(0), query.size(1), 0}, logsumexp.dtype());
    return {output, logsumexp, no_state(), no_state()};
}

/// Queries, keys and values [B, heads, T, D / heads] of one projection [B, T, 3 D], the queries divided by the root of
/// their length.
Three transform_bias_rescale_qkv(In qkv, In qkv_bias, std::int64_t num_heads) {
    if (qkv.dim() != 3 || qkv_bias.dim() != 1 || qkv.size(2) != qkv_bias.size(0) || num_heads < 1 ||
        qkv.size(2) % (3 * num_heads) != 0)
        throw ArgumentError("_transform_bias_rescale_qkv: " + describe(qkv) + " and bias " + describe(qkv_bias) +
                            " do not fit 3 projections of " + std::to_string(num_heads) + " heads");
    const std::int64_t head_size = qkv.size(2) / 3 / num_heads;
    const Tensor heads = plus(qkv, qkv_bias)
                             .reshape({qkv.size(0), qkv.size(1), 3, num_heads, head_size})
                             .permute(Ints{2, 0, 3, 1, 4})
                             .contiguous();
    const double root = std::sqrt(static_cast<double>(head_size));
    return {divided(heads.select(0, 0), number(root)), heads.select(0, 1), heads.select(0, 2)};
}

/// Multi-head attention as aten/src/ATen/native/transformers/attention.cpp computes it; the weights only when asked
/// for.
Two native_multi_head_attention(In query, In key, In value, std::int64_t embed_dim, std::int64_t num_head,
                                In qkv_weight, In qkv_bias, In proj_weight, In proj_bias, In mask, bool need_weights,
                                bool average_attn_weights, std::optional<std::int64_t> mask_type) {
    for (const Tensor* t : {&query, &key, &value})
        if (t->dim() != 3 || t->size(2) != embed_dim)
            throw ArgumentError("_native_multi_head_attention: expected inputs [batch, length, " +
                                std::to_string(embed_dim) + "], found " + describe(*t));
    const auto projected = [&](In x, std::int64_t part) {
        return linear(x, qkv_weight.narrow(0, part * embed_dim, embed_dim), {});
    };
    const Tensor qkv = call("aten.cat.default",
                            {TensorList{projected(query, 0), projected(key, 1), projected(value, 2)}, std::int64_t{2}});
    const auto [q, k, v] = transform_bias_rescale_qkv(qkv, qkv_bias, num_head);
    Tensor weights = matmul(q, k.transpose(-2, -1));
    if (mask.defined()) {
        const IValue type = mask_type ? IValue(*mask_type) : IValue(None{});
        weights = call("aten._masked_softmax.default", {weights, mask, std::int64_t{3}, type});
    } else {
        weights = call("aten._softmax.default", {weights, std::int64_t{3}, false});
    }
    const Tensor merged = matmul(weights, v).transpose(1, 2).reshape({query.size(0), query.size(1), embed_dim});
    if (need_weights && average_attn_weights) weights = call("aten.mean.dim", {weights, Ints{1}});
    return {linear(merged, proj_weight, proj_bias), need_weights ? weights : Tensor{}};
}

Tensor transformer_encoder_layer(In src, std::int64_t embed_dim, std::int64_t num_heads, In qkv_weight, In qkv_bias,
                                 In proj_weight, In proj_bias, bool use_gelu, bool norm_first, double eps,
                                 In norm_weight_1, In norm_bias_1, In norm_weight_2, In norm_bias_2, In ffn_weight_1,
                                 In ffn_bias_1, In ffn_weight_2, In ffn_bias_2, In mask,
                                 std::optional<std::int64_t> mask_type) {
    const auto norm = [&](In x, In weight, In bias) {
        return call("aten.layer_norm.default", {x, Ints{embed_dim}, weight, bias, eps});
    };
    const auto attend = [&](In x) {
        return std::get<0>(native_multi_head_attention(x, x, x, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight,
                                                       proj_bias, mask, false, true, mask_type));
    };
    const auto feed_forward = [&](In x) {
        const Tensor hidden =
            call(use_gelu ? "aten.gelu.default" : "aten.relu.default", {linear(x, ffn_weight_1, ffn_bias_1)});
        return linear(hidden, ffn_weight_2, ffn_bias_2);
    };
    if (norm_first) {
        const Tensor x = plus(attend(norm(src, norm_weight_1, norm_bias_1)), src);
        return plus(feed_forward(norm(x, norm_weight_2, norm_bias_2)), x);
    }
    const Tensor x = norm(plus(attend(src), src), norm_weight_1, norm_bias_1);
    return norm(plus(feed_forward(x), x), norm_weight_2, norm_bias_2);
}

// Products.

Tensor addmm_activation(In self, In mat1, In mat2, const Scalar& beta, const Scalar& alpha, bool use_gelu) {
    const Tensor sum = call("aten.addmm.default", {self, mat1, mat2, to_ivalue(beta), to_ivalue(alpha)});
    return use_gelu ? call("aten.gelu.default", {sum, std::string("tanh")}) : call("aten.relu.default", {sum});
}

Tensor add_relu(In self, In other, const Scalar& alpha) {
    return call("aten.relu.default", {call("aten.add.Tensor", {self, other, to_ivalue(alpha)})});
}

/// The sum of |x|^ord, a vector norm without its root.
Tensor powsum(In self, const Scalar& ord, const std::optional<Ints>& dim, bool keepdim, std::optional<DType> dtype) {
    const Tensor x = dtype ? self.to(*dtype) : self;
    const Tensor powers = call("aten.pow.Tensor_Scalar", {call("aten.abs.default", {x}), to_ivalue(ord)});
    return call("aten.sum.dim_IntList", {powers, dim ? IValue(*dim) : IValue(None{}), keepdim});
}

/// A product of 16-bit matrices with a float32 result.
Tensor product_in(const char* op_type, In a, In b, DType out_dtype) {
    return call(op_type, {a.to(out_dtype), b.to(out_dtype)});
}

// Convolutions by the names of their algorithms.

Tensor convolve(In self, In weight, In bias, const Ints& kernel_size, Ints stride, Ints padding, Ints dilation,
                bool transposed, Ints output_padding) {
    const std::size_t rank = kernel_size.size();
    if (static_cast<std::size_t>(weight.dim()) != rank + 2 ||
        !std::equal(kernel_size.begin(), kernel_size.end(), weight.shape().begin() + 2))
        throw ArgumentError("convolution: expected a weight of kernel_size " + to_string(kernel_size) + ", found " +
                            describe(weight));
    const bool depthwise = !transposed && weight.size(1) == 1 && self.dim() > 1;
    const std::int64_t groups = depthwise ? self.size(-1 - static_cast<std::int64_t>(rank)) : 1;
    return call("aten.convolution.default", {self, weight, maybe(bias), std::move(stride), std::move(padding),
                                             std::move(dilation), transposed, std::move(output_padding), groups});
}

Tensor conv_plain(In self, In weight, const Ints& kernel_size, In bias, const Ints& stride, const Ints& padding) {
    const Ints ones(kernel_size.size(), 1);
    return convolve(self, weight, bias, kernel_size, stride, padding, ones, false, Ints(kernel_size.size(), 0));
}
Tensor conv_dilated(In self, In weight, const Ints& kernel_size, In bias, const Ints& stride, const Ints& padding,
                    const Ints& dilation) {
    return convolve(self, weight, bias, kernel_size, stride, padding, dilation, false, Ints(kernel_size.size(), 0));
}
Tensor conv_transposed(In self, In weight, const Ints& kernel_size, In bias, const Ints& stride, const Ints& padding,
                       const Ints& output_padding, const Ints& dilation) {
    return convolve(self, weight, bias, kernel_size, stride, padding, dilation, true, output_padding);
}

// Batch norm with the choice of a library in front.

using FiveOfNorm = std::tuple<Tensor, Tensor, Tensor, Tensor, std::int64_t>;
FiveOfNorm batch_norm_impl_index(Context& context, In input, In weight, In bias, In running_mean, In running_var,
                                 bool training, double momentum, double eps, bool) {
    const std::vector<IValue> results =
        call_op(context, "aten.native_batch_norm.default",
                {input, maybe(weight), maybe(bias), maybe(running_mean), maybe(running_var), training, momentum, eps});
    return {std::get<Tensor>(results[0]), std::get<Tensor>(results[1]), std::get<Tensor>(results[2]),
            Tensor::empty({0}, DType::UInt8), 0};
}
Three batch_norm_impl_index_backward(Context& context, std::int64_t impl_index, In input, In grad_output, In weight,
                                     In running_mean, In running_var, In save_mean, In save_var_transform, bool train,
                                     double eps, const Bools& output_mask, In) {
    if (impl_index != 0)
        throw ArgumentError("_batch_norm_impl_index_backward: expected 'impl_index' 0, PyTorch's own, found " +
                            std::to_string(impl_index));
    const std::vector<IValue> results =
        call_op(context, "aten.native_batch_norm_backward.default",
                {grad_output, input, maybe(weight), maybe(running_mean), maybe(running_var), maybe(save_mean),
                 maybe(save_var_transform), train, eps, output_mask});
    const auto tensor = [&](std::size_t i) {
        return std::holds_alternative<Tensor>(results[i]) ? std::get<Tensor>(results[i]) : Tensor{};
    };
    return {tensor(0), tensor(1), tensor(2)};
}

}  // namespace

void register_fused(Registry& r) {
    r.add(
        "_batch_norm_impl_index(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
        "bool training, float momentum, float eps, bool cudnn_enabled) -> (Tensor, Tensor, Tensor, Tensor, int)",
        batch_norm_impl_index);
    r.add(
        "_batch_norm_impl_index_backward(int impl_index, Tensor input, Tensor grad_output, Tensor? weight, Tensor? "
        "running_mean, Tensor? running_var, Tensor? save_mean, Tensor? save_var_transform, bool train, float eps, "
        "bool[3] output_mask, Tensor reservedSpace) -> (Tensor, Tensor, Tensor)",
        batch_norm_impl_index_backward);
    r.add("_cholesky_solve_helper(Tensor self, Tensor A, bool upper) -> Tensor", [](In self, In a, bool upper) {
        return call("aten.cholesky_solve.default", {self, a, upper});
    });
    r.add("_compute_linear_combination(Tensor input, Tensor coefficients) -> Tensor", [](In input, In coefficients) {
        return call("aten.tensordot.default", {coefficients, input, Ints{1}, Ints{0}});
    });
    r.add("_linalg_check_errors(Tensor info, str api_name, *, bool is_matrix) -> ()",
          [](In info, const std::string& api_name, bool) {
              if (call("aten.any.default", {info}).item().to<bool>())
                  throw ArgumentError(api_name + ": the algorithm failed for at least one matrix, see 'info' " +
                                      describe(info));
          });
    r.add("unflatten_dense_tensors(Tensor flat, Tensor[] tensors) -> Tensor[]", [](In flat, const TensorList& tensors) {
        TensorList parts;
        std::int64_t start = 0;
        for (In like : tensors) {
            parts.push_back(flat.narrow(0, start, like.numel()).reshape(like.shape()));
            start += like.numel();
        }
        return parts;
    });
    r.add("_dim_arange(Tensor like, int dim) -> Tensor",
          [](In like, std::int64_t dim) { return call("aten.arange.default", {like.size(dim)}); });
    r.add("_neg_view_copy(Tensor self) -> Tensor", [](In self) { return call("aten.neg.default", {self}); });
    r.add("dequantize.self(Tensor self) -> Tensor", [](In self) { return self.to(DType::Float32); });
    r.add(
        "_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value, float dropout_p=0., bool "
        "is_causal=False, bool return_debug_mask=False, *, float? scale=None) -> (Tensor output, Tensor logsumexp, "
        "Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, Tensor rng_state, Tensor unused, Tensor "
        "debug_attn_mask)",
        flash_attention);
    r.add(
        "_scaled_dot_product_cudnn_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_bias, bool "
        "compute_log_sumexp, float dropout_p=0., bool is_causal=False, bool return_debug_mask=False, *, float? "
        "scale=None) -> (Tensor output, Tensor logsumexp, Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt "
        "max_k, Tensor philox_seed, Tensor philox_offset, Tensor debug_attn_mask)",
        cudnn_attention);
    r.add(
        "_scaled_dot_product_efficient_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_bias, bool "
        "compute_log_sumexp, float dropout_p=0., bool is_causal=False, *, float? scale=None) -> (Tensor output, Tensor "
        "log_sumexp, Tensor philox_seed, Tensor philox_offset)",
        efficient_attention);
    r.add("_transform_bias_rescale_qkv(Tensor qkv, Tensor qkv_bias, int num_heads) -> (Tensor, Tensor, Tensor)",
          transform_bias_rescale_qkv);
    r.add(
        "_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, Tensor "
        "qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask=None, bool need_weights=True, "
        "bool average_attn_weights=True, int? mask_type=None) -> (Tensor, Tensor)",
        native_multi_head_attention);
    r.add(
        "_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, Tensor qkv_bias, "
        "Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, Tensor norm_weight_1, Tensor "
        "norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, Tensor "
        "ffn_weight_2, Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor",
        transformer_encoder_layer);
    r.add(
        "_addmm_activation(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1, bool "
        "use_gelu=False) -> Tensor",
        addmm_activation);
    r.add(
        "linalg__powsum(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> "
        "Tensor",
        powsum);
    r.add("_add_relu.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", add_relu);
    r.add("_add_relu.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", add_relu);
    r.add("mm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor",
          [](In a, In b, DType out_dtype) { return product_in("aten.mm.default", a, b, out_dtype); });
    r.add("bmm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor",
          [](In a, In b, DType out_dtype) { return product_in("aten.bmm.default", a, b, out_dtype); });
    for (const char* op : {"addmm", "baddbmm"}) {
        const std::string names =
            std::string(op) == "addmm" ? "Tensor mat1, Tensor mat2" : "Tensor batch1, Tensor batch2";
        r.add(std::string(op) + ".dtype(Tensor self, " + names +
                  ", ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
              [op_type = "aten." + std::string(op) + ".default"](In self, In a, In b, DType out_dtype,
                                                                 const Scalar& beta, const Scalar& alpha) {
                  return call(op_type, {self.to(out_dtype), a.to(out_dtype), b.to(out_dtype), to_ivalue(beta),
                                        to_ivalue(alpha)});
              });
    }
    const std::string plain2 =
        "(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] "
        "padding=[0, 0]";
    const std::string plain3 =
        "(Tensor self, Tensor weight, SymInt[3] kernel_size, Tensor? bias=None, SymInt[3] stride=[1, 1, 1], SymInt[3] "
        "padding=[0, 0, 0]";
    const std::string dilation2 = ", SymInt[2] dilation=[1, 1]) -> Tensor";
    const std::string dilation3 = ", SymInt[3] dilation=[1, 1, 1]) -> Tensor";
    r.add("thnn_conv2d" + plain2 + ") -> Tensor", conv_plain);
    r.add("slow_conv3d" + plain3 + ") -> Tensor", conv_plain);
    r.add(
        "_slow_conv2d_forward(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias, SymInt[2] stride, "
        "SymInt[2] padding) -> Tensor",
        conv_plain);
    r.add(
        "slow_conv3d_forward(Tensor self, Tensor weight, SymInt[3] kernel_size, Tensor? bias, SymInt[3] stride, "
        "SymInt[3] padding) -> Tensor",
        conv_plain);
    r.add("slow_conv_dilated2d" + plain2 + dilation2, conv_dilated);
    r.add("slow_conv_dilated3d" + plain3 + dilation3, conv_dilated);
    r.add(
        "_conv_depthwise2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias, SymInt[2] stride, "
        "SymInt[2] "
        "padding, SymInt[2] dilation) -> Tensor",
        conv_dilated);
    r.add(
        "conv_depthwise3d(Tensor self, Tensor weight, SymInt[3] kernel_size, Tensor? bias, SymInt[3] stride, SymInt[3] "
        "padding, SymInt[3] dilation) -> Tensor",
        conv_dilated);
    r.add("slow_conv_transpose2d" + plain2 + ", SymInt[2] output_padding=[0, 0]" + dilation2, conv_transposed);
    r.add("slow_conv_transpose3d" + plain3 + ", SymInt[3] output_padding=[0, 0, 0]" + dilation3, conv_transposed);
}

}  // namespace torch_ir::kernels
