// SPDX-License-Identifier: MIT
// Gradients of fake quantisation with learnt scales and zero points (aten/src/ATen/native/quantized/cpu).
#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/reduce.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;

void check(const std::string& op, In grad, In self, In scale, In zero_point, double quant_min, double quant_max) {
    for (const auto& [name, t] :
         {std::pair{"grad", &grad}, {"self", &self}, {"scale", &scale}, {"zero_point", &zero_point}})
        if (t->dtype() != DType::Float32)
            throw ArgumentError(op + ": expected '" + name + "' of dtype float32, found " + describe(*t));
    if (grad.shape() != self.shape())
        throw ArgumentError(op + ": expected 'grad' of the shape of 'self', found " + describe(grad) + " and " +
                            describe(self));
    if (quant_min > 0 || quant_max < 0)
        throw ArgumentError(op + ": expected 'quant_min' of at most 0 and 'quant_max' of at least 0");
}

/// The gradients of every element by x, by the scale and by the zero point, both of which broadcast to x. Outside of
/// the range only the bounds count; inside, what rounding adds to x.
Three gradients(In grad, In self, In scale, In zero_point, double quant_min, double quant_max, double grad_factor) {
    const auto low = static_cast<float>(quant_min), high = static_cast<float>(quant_max);
    const auto factor = static_cast<float>(grad_factor);
    const auto position = [](float x, float s, float z) { return std::nearbyint(z + x * (1 / s)); };
    return {elementwise<float>(
                DType::Float32,
                [=](float g, float x, float s, float z) {
                    const float q = position(x, s, z);
                    return q >= low && q <= high ? g : 0.0F;
                },
                grad, self, scale, zero_point),
            elementwise<float>(
                DType::Float32,
                [=](float g, float x, float s, float z) {
                    const float q = position(x, s, z);
                    if (q < low) return g * (low - z) * factor;
                    if (q > high) return g * (high - z) * factor;
                    return g * ((q - z) * s - x) * (1 / s) * factor;
                },
                grad, self, scale, zero_point),
            elementwise<float>(
                DType::Float32,
                [=](float g, float x, float s, float z) {
                    const float q = position(x, s, z);
                    return q < low || q > high ? g * -1 * s * factor : 0.0F;
                },
                grad, self, scale, zero_point)};
}

Three learnable_per_tensor(In grad, In self, In scale, In zero_point, std::int64_t quant_min, std::int64_t quant_max,
                           double grad_factor) {
    const char* op = "_fake_quantize_learnable_per_tensor_affine_backward";
    const auto low = static_cast<double>(quant_min), high = static_cast<double>(quant_max);
    check(op, grad, self, scale, zero_point, low, high);
    for (const auto& [name, t] : {std::pair{"scale", &scale}, {"zero_point", &zero_point}})
        if (t->dim() != 1 || t->numel() == 0)
            throw ArgumentError(std::string(op) + ": expected '" + name + "' of one element, found " + describe(*t));
    if (self.numel() == 0) return {self, scale, zero_point};
    const float zero = std::clamp(zero_point.select(0, 0).item().to<float>() + 0.5F, static_cast<float>(low),
                                  static_cast<float>(high));
    const auto [dx, ds, dz] =
        gradients(grad, self, scale.select(0, 0), Tensor::scalar(double{std::trunc(zero)}, DType::Float32), low, high,
                  grad_factor);
    return {dx, sum(ds, {}, false, {}).unsqueeze(0), sum(dz, {}, false, {}).unsqueeze(0)};
}

Three learnable_per_channel(In grad, In self, In scale, In zero_point, std::int64_t axis, std::int64_t quant_min,
                            std::int64_t quant_max, double grad_factor) {
    const char* op = "_fake_quantize_learnable_per_channel_affine_backward";
    if (self.dtype() == DType::BFloat16) {
        const auto wide = [](In t) { return t.to(DType::Float32); };
        return learnable_per_channel(wide(grad), wide(self), wide(scale), wide(zero_point), axis, quant_min, quant_max,
                                     grad_factor);
    }
    const auto low = static_cast<double>(quant_min), high = static_cast<double>(quant_max);
    check(op, grad, self, scale, zero_point, low, high);
    if (axis < 0 || axis >= self.dim())
        throw ArgumentError(std::string(op) + ": expected 'axis' of 0 to " + std::to_string(self.dim() - 1) +
                            ", found " + std::to_string(axis));
    if (scale.shape() != Ints{self.size(axis)} || zero_point.shape() != scale.shape())
        throw ArgumentError(std::string(op) + ": expected 'scale' and 'zero_point' of " +
                            std::to_string(self.size(axis)) + " elements, found " + describe(scale) + " and " +
                            describe(zero_point));
    if (self.numel() == 0) return {self, scale, zero_point};
    Ints shape(static_cast<std::size_t>(self.dim()), 1), others;
    shape[static_cast<std::size_t>(axis)] = self.size(axis);
    for (std::int64_t d = 0; d < self.dim(); ++d)
        if (d != axis) others.push_back(d);
    const Tensor zero = elementwise<float>(
        DType::Float32,
        [l = static_cast<float>(low), h = static_cast<float>(high)](float z) {
            return std::min(std::max(std::nearbyint(z), l), h);
        },
        zero_point);
    const auto [dx, ds, dz] = gradients(grad, self, scale.reshape(shape), zero.reshape(shape), low, high, grad_factor);
    return {dx, sum(ds, others, false, {}), sum(dz, others, false, {})};
}

}  // namespace

void register_quantize_backward(Registry& r) {
    const std::string tail = "int quant_min, int quant_max, float grad_factor=1.0) -> (Tensor, Tensor, Tensor)";
    const std::string tensors = "_affine_backward(Tensor grad, Tensor self, Tensor scale, Tensor zero_point, ";
    r.add("_fake_quantize_learnable_per_tensor" + tensors + tail, learnable_per_tensor);
    r.add("_fake_quantize_learnable_per_channel" + tensors + "int axis, " + tail, learnable_per_channel);
}

}  // namespace torch_ir::kernels
