// SPDX-License-Identifier: MIT
// Quantisation parameters from the range of a tensor, as PyTorch's observers choose them
// (aten/src/ATen/native/quantized/cpu/QuantUtils.h, fused_obs_fake_quant.cpp).
#include <algorithm>
#include <cmath>

#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"

namespace torch_ir::kernels {
namespace {

using Two = std::tuple<Tensor, Tensor>;

struct QParams {
    double scale;
    std::int64_t zero_point;
};

QParams choose_qparams(float min, float max, std::int64_t qmin, std::int64_t qmax, bool symmetric) {
    constexpr float smallest_scale = 6.1e-5F;
    const bool both_signs = min < 0 && max > 0;
    if (both_signs && symmetric) {
        const auto low = -static_cast<int>((qmax - qmin) / 2 + 1);
        const auto high = static_cast<int>((qmax - qmin) / 2);
        const double largest =
            std::max(std::fabs(min / static_cast<float>(low)), std::fabs(max / static_cast<float>(high)));
        min = static_cast<float>(largest * low);
        max = static_cast<float>(largest * high);
    }
    min = std::min(min, 0.0F);  // zero is always in the range
    max = std::max(max, 0.0F);
    const auto steps = static_cast<double>(qmax - qmin);
    double scale = (static_cast<double>(max) - min) / steps;
    if (static_cast<float>(scale) == 0 || std::isinf(1.0F / static_cast<float>(scale))) scale = 0.1;
    if (scale < smallest_scale) {
        const auto chosen = static_cast<float>(scale);
        scale = smallest_scale;
        if (min == 0) {
            max = smallest_scale * static_cast<float>(steps);
        } else if (max == 0) {
            min = -smallest_scale * static_cast<float>(steps);
        } else {
            min *= smallest_scale / chosen;
            max *= smallest_scale / chosen;
        }
    }
    const auto low = static_cast<double>(qmin), high = static_cast<double>(qmax);
    const double error_min = std::fabs(low) - std::fabs(min / scale);
    const double error_max = std::fabs(high) - std::fabs(max / scale);
    double zero = error_min < error_max ? low - min / scale : high - max / scale;
    if (min < 0 && max > 0 && symmetric) zero = (low + high) / 2;
    return {scale, static_cast<std::int64_t>(std::clamp(std::nearbyint(zero), low, high))};
}

/// The smallest and largest value of the tensor, or of each slice along `axis`.
Two range_of(Context& context, In x, bool per_row, std::int64_t axis) {
    Tensor rows = x;
    if (per_row) rows = x.transpose(0, axis).contiguous().reshape({x.size(axis), -1});
    std::vector<IValue> results =
        call_op(context, "aten.aminmax.default", {rows, per_row ? IValue(std::int64_t{1}) : IValue(None{})});
    return {std::get<Tensor>(results[0]), std::get<Tensor>(results[1])};
}

/// Moves the running range towards that of `x`; the first range is taken as it is.
void observe(Context& context, In x, In running_min, In running_max, double averaging_const, bool per_row,
             std::int64_t axis) {
    const auto [min, max] = range_of(context, x, per_row, axis);
    const auto first = [](In t) {
        return t.numel() > 0 && std::isinf(t.reshape({-1}).select(0, 0).item().to<double>());
    };
    const bool fresh = first(running_min) || first(running_max);
    const auto moved = [&](In running, In value) {
        const Tensor target = value.reshape(running.numel() == value.numel() ? running.shape() : value.shape());
        if (fresh) return target;
        return plus(running, times(minus(target, running), number(averaging_const)));
    };
    const Tensor low = moved(running_min, min), high = moved(running_max, max);
    running_min.copy_from(low);
    running_max.copy_from(high);
}

bool is_on(const char* what, In flag) {
    if (flag.numel() != 1)
        throw ArgumentError(std::string("fused_moving_avg_obs_fake_quant: expected '") + what +
                            "' to have one element, found " + describe(flag));
    return flag.item().to<std::int64_t>() != 0;
}

/// (output, mask); writes the running range, scale and zero point while the observer is on.
Two observe_and_fake_quantize(Context& context, In self, In observer_on, In fake_quant_on, In running_min,
                              In running_max, In scale, In zero_point, double averaging_const, std::int64_t quant_min,
                              std::int64_t quant_max, std::int64_t ch_axis, bool per_row, bool symmetric) {
    if (per_row && (ch_axis < 0 || ch_axis >= self.dim()))
        throw ArgumentError("fused_moving_avg_obs_fake_quant: expected 'ch_axis' of 0 to " +
                            std::to_string(self.dim() - 1) + ", found " + std::to_string(ch_axis));
    const std::int64_t channels = per_row ? self.size(ch_axis) : 1;
    for (const Tensor* t : {&running_min, &running_max, &scale, &zero_point})
        if (t->numel() != channels)
            throw ArgumentError("fused_moving_avg_obs_fake_quant: expected a running range, scale and zero point of " +
                                std::to_string(channels) + " elements, found " + describe(*t));
    if (is_on("observer_on", observer_on)) {
        observe(context, self, running_min, running_max, averaging_const, per_row, ch_axis);
        const auto at = [](In t, std::int64_t i) { return t.reshape({-1}).select(0, i).item().to<float>(); };
        const Tensor scales = scale.reshape({-1}), zeros = zero_point.reshape({-1});
        for (std::int64_t i = 0; i < channels; ++i) {
            const QParams chosen =
                choose_qparams(at(running_min, i), at(running_max, i), quant_min, quant_max, symmetric);
            scales.select(0, i).fill(Scalar(chosen.scale));
            zeros.select(0, i).fill(Scalar(chosen.zero_point));
        }
    }
    if (!is_on("fake_quant_on", fake_quant_on)) return {self.clone(), Tensor::full(self.shape(), true, DType::Bool)};
    std::vector<IValue> results =
        per_row ? call_op(context, "aten.fake_quantize_per_channel_affine_cachemask.default",
                          {self, scale, zero_point, ch_axis, quant_min, quant_max})
                : call_op(context, "aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default",
                          {self, scale, zero_point, Tensor::full({1}, 1, DType::Int64), quant_min, quant_max});
    return {std::get<Tensor>(results[0]), std::get<Tensor>(results[1])};
}

}  // namespace

void register_observer(Registry& r) {
    const std::string numbers =
        ", float averaging_const, int quant_min, int quant_max, int ch_axis, bool per_row_fake_quant=False, bool "
        "symmetric_quant=False) -> ";
    const std::string written =
        "(Tensor self, Tensor observer_on, Tensor fake_quant_on, Tensor(a!) running_min, Tensor(b!) running_max, "
        "Tensor(c!) scale, Tensor(d!) zero_point";
    const std::string functional =
        "(Tensor self, Tensor observer_on, Tensor fake_quant_on, Tensor running_min, Tensor running_max, Tensor scale, "
        "Tensor zero_point";
    r.add("_fused_moving_avg_obs_fq_helper" + written + numbers + "(Tensor output, Tensor mask)",
          observe_and_fake_quantize);
    r.add("fused_moving_avg_obs_fake_quant" + written + numbers + "Tensor",
          [](Context& context, In self, In observer_on, In fake_quant_on, In running_min, In running_max, In scale,
             In zero_point, double averaging_const, std::int64_t quant_min, std::int64_t quant_max,
             std::int64_t ch_axis, bool per_row, bool symmetric) {
              return std::get<0>(observe_and_fake_quantize(context, self, observer_on, fake_quant_on, running_min,
                                                           running_max, scale, zero_point, averaging_const, quant_min,
                                                           quant_max, ch_axis, per_row, symmetric));
          });
    r.add("_fused_moving_avg_obs_fq_helper_functional" + functional + numbers +
              "(Tensor output, Tensor mask, Tensor running_min_out, Tensor running_max_out, Tensor scale_out, Tensor "
              "zero_point_out)",
          [](Context& context, In self, In observer_on, In fake_quant_on, In running_min, In running_max, In scale,
             In zero_point, double averaging_const, std::int64_t quant_min, std::int64_t quant_max,
             std::int64_t ch_axis, bool per_row, bool symmetric) {
              const Tensor low = running_min.clone(), high = running_max.clone(), scales = scale.clone(),
                           zeros = zero_point.clone();
              auto [output, mask] =
                  observe_and_fake_quantize(context, self, observer_on, fake_quant_on, low, high, scales, zeros,
                                            averaging_const, quant_min, quant_max, ch_axis, per_row, symmetric);
              return std::tuple(output, mask, low, high, scales, zeros);
          });
    r.add("_choose_qparams_per_tensor(Tensor self, bool reduce_range=False) -> (float, int)",
          [](Context& context, In self, bool reduce_range) {
              const auto [min, max] = range_of(context, self, false, 0);
              const QParams chosen =
                  choose_qparams(min.item().to<float>(), max.item().to<float>(), 0, reduce_range ? 127 : 255, false);
              return std::tuple(chosen.scale, chosen.zero_point);
          });
}

}  // namespace torch_ir::kernels
