// SPDX-License-Identifier: MIT
// Layer, RMS, group, instance and batch normalisation.
#include <cmath>

#include "elementwise.hpp"
#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/reduce.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

/// A contiguous tensor of the compute type, or undefined.
template <class C>
Tensor vector_of(const Tensor& t) {
    return t.defined() ? t.to(dtype_of<C>()).contiguous() : Tensor{};
}

template <class C>
const C* data_or_null(const Tensor& t) {
    return t.defined() ? t.data<C>() : nullptr;
}

/// y[j] = (x[j] - mean) · rstd · weight[j] + bias[j] of one row.
template <class C>
void normalize_row(const C* x, C* y, std::int64_t n, C mean, C rstd, const C* weight, const C* bias) {
    if (weight && bias)
        for (std::int64_t j = 0; j < n; ++j) y[j] = (x[j] - mean) * rstd * weight[j] + bias[j];
    else if (weight)
        for (std::int64_t j = 0; j < n; ++j) y[j] = (x[j] - mean) * rstd * weight[j];
    else
        for (std::int64_t j = 0; j < n; ++j) y[j] = (x[j] - mean) * rstd + (bias ? bias[j] : C(0));
}

struct Normalized {
    Tensor output;
    Tensor mean;
    Tensor rstd;
};

void check_normalized_shape(const char* op, const Tensor& input, const Ints& normalized_shape, const Tensor& weight,
                            const Tensor& bias) {
    const std::size_t n = normalized_shape.size();
    if (n == 0) throw ArgumentError(std::string(op) + ": normalized_shape must not be empty");
    const bool fits = n <= input.shape().size() && std::equal(normalized_shape.begin(), normalized_shape.end(),
                                                              input.shape().end() - static_cast<std::ptrdiff_t>(n));
    if (!fits)
        throw ArgumentError(std::string(op) + ": normalized_shape " + to_string(normalized_shape) +
                            " does not fit input of shape " + to_string(input.shape()));
    for (const Tensor* t : {&weight, &bias})
        if (t->defined() && t->shape() != normalized_shape)
            throw ArgumentError(std::string(op) + ": expected weight and bias of shape " + to_string(normalized_shape) +
                                ", found " + to_string(t->shape()));
}

using NamedTensors = std::initializer_list<std::pair<const char*, const Tensor*>>;

/// Parameters have the input's dtype, or are float32 next to half types.
void check_parameter_dtypes(const char* op, const Tensor& input, NamedTensors parameters) {
    for (const auto& [name, t] : parameters)
        if (t->defined() && t->dtype() != input.dtype() && (t->dtype() != DType::Float32 || !is_half(input.dtype())))
            throw ArgumentError(std::string(op) + ": expected '" + name + "' of dtype " +
                                std::string(torch_ir::name(input.dtype())) + ", found " + describe(*t));
}

/// Of the statistics that are saved: float32 next to half types where a parameter is.
DType statistics_dtype(const Tensor& input, std::initializer_list<const Tensor*> parameters) {
    for (const Tensor* t : parameters)
        if (t->defined()) return promote_types(input.dtype(), t->dtype());
    return input.dtype();
}

/// The last `normalized_shape.size()` dimensions of every row have mean 0 and (biased) variance 1 before weight and
/// bias.
Normalized layer_norm_rows(const Tensor& input, const Ints& normalized_shape, const Tensor& weight, const Tensor& bias,
                           double eps) {
    check_normalized_shape("layer_norm", input, normalized_shape, weight, bias);
    check_parameter_dtypes("layer_norm", input, {{"weight", &weight}, {"bias", &bias}});
    return visit_float(input.dtype(), "layer_norm", [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous();
        const Tensor w = vector_of<C>(weight);
        const Tensor b = vector_of<C>(bias);
        const std::int64_t n = numel_of(normalized_shape);
        Ints stat_shape = input.shape();
        std::fill(stat_shape.end() - static_cast<std::ptrdiff_t>(normalized_shape.size()), stat_shape.end(), 1);
        Normalized result{Tensor::empty(input.shape(), dtype_of<C>()), Tensor::empty(stat_shape, dtype_of<C>()),
                          Tensor::empty(stat_shape, dtype_of<C>())};
        const std::int64_t count = result.mean.numel();
        parallel_for(count, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(n, 1)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const Moments<C> moments = moments_of(x.data<C>() + i * n, n);
                             const C rstd = C(1) / std::sqrt(moments.variance + static_cast<C>(eps));
                             normalize_row(x.data<C>() + i * n, result.output.data<C>() + i * n, n, moments.mean, rstd,
                                           data_or_null<C>(w), data_or_null<C>(b));
                             result.mean.data<C>()[i] = moments.mean;
                             result.rstd.data<C>()[i] = rstd;
                         }
                     });
        result.output = result.output.to(input.dtype());
        return result;
    });
}

Tensor layer_norm(const Tensor& input, const Ints& normalized_shape, const Tensor& weight, const Tensor& bias,
                  double eps, bool) {
    return layer_norm_rows(input, normalized_shape, weight, bias, eps).output;
}

std::tuple<Tensor, Tensor, Tensor> native_layer_norm(const Tensor& input, const Ints& normalized_shape,
                                                     const Tensor& weight, const Tensor& bias, double eps) {
    const Normalized r = layer_norm_rows(input, normalized_shape, weight, bias, eps);
    const DType stat_dtype = statistics_dtype(input, {&weight, &bias});
    return {r.output, r.mean.to(stat_dtype), r.rstd.to(stat_dtype)};
}

Ints last_dims(const Ints& normalized_shape) {
    Ints dims;
    for (std::size_t i = 0; i < normalized_shape.size(); ++i) dims.push_back(-1 - static_cast<std::int64_t>(i));
    return dims;
}

/// Where none is given, the machine epsilon of the type that is computed in.
double rms_epsilon(std::optional<double> eps, DType dtype) {
    const bool is_double = dtype == DType::Float64 || dtype == DType::Complex128;
    return eps.value_or(is_double ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon());
}

/// As rms_norm; the square of a complex number is not that of its magnitude.
Tensor rms_norm_complex(const Tensor& input, const Ints& normalized_shape, const Tensor& weight,
                        std::optional<double> eps) {
    using C = std::complex<double>;
    const double epsilon = rms_epsilon(eps, input.dtype());
    const Tensor squares = elementwise<C>(
        DType::Complex128, [](C v) { return v * v; }, input);
    const Tensor square = mean(squares, last_dims(normalized_shape), true, {});
    const auto divide = [epsilon](C v, C m) { return v / std::sqrt(m + epsilon); };
    if (!weight.defined()) return elementwise<C>(input.dtype(), divide, input, square);
    return elementwise<C>(
        promote_types(input.dtype(), weight.dtype()), [divide](C v, C m, C w) { return divide(v, m) * w; }, input,
        square, weight);
}

/// x / sqrt(mean(x²) + eps) · weight over the last dimensions.
Tensor rms_norm(const Tensor& input, const Ints& normalized_shape, const Tensor& weight, std::optional<double> eps) {
    check_normalized_shape("rms_norm", input, normalized_shape, weight, {});
    if (is_complex(input.dtype())) return rms_norm_complex(input, normalized_shape, weight, eps);
    return visit_float(input.dtype(), "rms_norm", [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous();
        const Tensor w = vector_of<C>(weight);
        const std::int64_t n = numel_of(normalized_shape);
        const double epsilon = rms_epsilon(eps, input.dtype());
        Tensor y = Tensor::empty(input.shape(), dtype_of<C>());
        const std::int64_t count = n == 0 ? 0 : input.numel() / n;
        parallel_for(count, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(n, 1)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const C* row = x.data<C>() + i * n;
                             const C mean_square = sum_of(row, n, [](C v) { return v * v; }) / static_cast<C>(n);
                             normalize_row(row, y.data<C>() + i * n, n, C(0),
                                           C(1) / std::sqrt(mean_square + static_cast<C>(epsilon)), data_or_null<C>(w),
                                           static_cast<const C*>(nullptr));
                         }
                     });
        return in_format(y.to(weight.defined() ? promote_types(input.dtype(), weight.dtype()) : input.dtype()),
                         suggested_format(input));
    });
}

/// With 1 / sqrt(mean(x²) + eps) of the rows.
std::tuple<Tensor, Tensor> fused_rms_norm(const Tensor& input, const Ints& normalized_shape, const Tensor& weight,
                                          std::optional<double> eps) {
    const Tensor y = rms_norm(input, normalized_shape, weight, eps);
    return visit_float(input.dtype(), "_fused_rms_norm", [&]<class C>(C) {
        const C epsilon = static_cast<C>(rms_epsilon(eps, input.dtype()));
        const Tensor squares = elementwise<C>(
            dtype_of<C>(), [](C v) { return v * v; }, input);
        const Tensor rstd = elementwise<C>(
            dtype_of<C>(), [epsilon](C m) { return C(1) / std::sqrt(m + epsilon); },
            mean(squares, last_dims(normalized_shape), true, {}));
        return std::tuple(y, rstd);
    });
}

/// Per-channel vectors reshaped to broadcast over [N, C, …].
Tensor per_channel(const Tensor& t, const Tensor& input) {
    Ints shape(static_cast<std::size_t>(std::max<std::int64_t>(input.dim(), 2)), 1);
    shape[1] = t.numel();
    return t.reshape(shape);
}

void check_channels(const char* op, const Tensor& input, NamedTensors vectors) {
    if (input.dim() < 2)
        throw ArgumentError(std::string(op) + ": expected input of at least 2 dimensions, found shape " +
                            to_string(input.shape()));
    for (const auto& [name, t] : vectors)
        if (t->defined() && t->numel() != input.size(1))
            throw ArgumentError(std::string(op) + ": expected '" + name + "' of " + std::to_string(input.size(1)) +
                                " elements, found shape " + to_string(t->shape()));
    check_parameter_dtypes(op, input, vectors);
}

/// With fixed statistics: one factor and one addend per channel, any layout.
template <class C>
Tensor apply_fixed(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                   const Tensor& rstd) {
    const std::int64_t channels = input.size(1);
    Tensor scale = Tensor::empty({channels}, dtype_of<C>());
    Tensor shift = Tensor::empty({channels}, dtype_of<C>());
    const Tensor w = vector_of<C>(weight);
    const Tensor b = vector_of<C>(bias);
    for (std::int64_t c = 0; c < channels; ++c) {
        const C factor = rstd.data<C>()[c] * (w.defined() ? w.data<C>()[c] : C(1));
        scale.data<C>()[c] = factor;
        shift.data<C>()[c] = (b.defined() ? b.data<C>()[c] : C(0)) - mean.data<C>()[c] * factor;
    }
    const auto format = suggested_format(input);
    const Tensor out = has_format(input, format) ? Tensor::empty_like(input, input.dtype())
                                                 : empty_format(input.shape(), input.dtype(), format);
    elementwise_into<C>(
        out, [](C x, C a, C s) { return x * a + s; }, input, per_channel(scale, input), per_channel(shift, input));
    return out;
}

/// Mean and biased variance of each channel.
template <class C>
std::pair<Tensor, Tensor> channel_moments(const Tensor& input) {
    Ints dims;
    for (std::int64_t d = 0; d < input.dim(); ++d)
        if (d != 1) dims.push_back(d);
    const Rows<C> x = rows<C>(input, dims);
    std::pair<Tensor, Tensor> result{Tensor::empty({x.count}, dtype_of<C>()), Tensor::empty({x.count}, dtype_of<C>())};
    parallel_for(x.count, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const Moments<C> m = moments_of(x[i].data(), x.length);
            result.first.data<C>()[i] = m.mean;
            result.second.data<C>()[i] = m.variance;
        }
    });
    return result;
}

/// As PyTorch has it for dense tensors: the sum of squares is rounded, and so is the quotient.
Tensor variance_in_bfloat16(const Tensor& variance, std::int64_t count) {
    const auto n = static_cast<float>(count);
    const Tensor squares = elementwise<float>(
        DType::BFloat16, [n](float v) { return v * n; }, variance);
    return elementwise<float>(
               DType::BFloat16, [n](float v) { return v / n; }, squares)
        .to(DType::Float32);
}

struct BatchNorm {
    Tensor output;
    Tensor save_mean;  // training: the batch's; else empty
    Tensor save_rstd;
    Tensor running_mean;  // what the running statistics become; undefined when they stay
    Tensor running_var;
};

/// With `training`, the batch's own statistics; the new running ones are (1 - momentum) · old + momentum · batch
/// (variance unbiased).
BatchNorm normalize_batch(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                          const Tensor& running_mean, const Tensor& running_var, bool training, double momentum,
                          double eps) {
    check_channels(
        op, input,
        {{"weight", &weight}, {"bias", &bias}, {"running_mean", &running_mean}, {"running_var", &running_var}});
    if (!training && (!running_mean.defined() || !running_var.defined()))
        throw ArgumentError(std::string(op) + ": running_mean and running_var are needed when training is False");
    return visit_float(input.dtype(), op, [&]<class C>(C) {
        BatchNorm result;
        const std::int64_t channels = input.size(1);
        const std::int64_t per = channels == 0 ? 0 : input.numel() / channels;
        Tensor mean;
        Tensor variance;
        if (training) {
            if (per == 0 && input.numel() == 0 && channels > 0)
                throw ArgumentError(std::string(op) +
                                    ": expected more than 1 value per channel when training, found input of shape " +
                                    to_string(input.shape()));
            std::tie(mean, variance) = channel_moments<C>(input);
            const C unbiased =
                per > 1 ? static_cast<C>(per) / static_cast<C>(per - 1) : std::numeric_limits<C>::quiet_NaN();
            const C m = static_cast<C>(momentum);
            if (running_mean.defined())
                result.running_mean = elementwise<C>(
                    running_mean.dtype(), [m](C old, C now) { return (1 - m) * old + m * now; }, running_mean, mean);
            if (running_var.defined())
                result.running_var = elementwise<C>(
                    running_var.dtype(), [m, unbiased](C old, C now) { return (1 - m) * old + m * (now * unbiased); },
                    running_var, variance);
        } else {
            mean = vector_of<C>(running_mean);
            variance = vector_of<C>(running_var);
        }
        const C epsilon = static_cast<C>(eps);
        const DType stat_dtype = statistics_dtype(input, {&weight, &bias, &running_mean, &running_var});
        if (training && stat_dtype == DType::BFloat16 && has_format(input, suggested_format(input)))
            variance = variance_in_bfloat16(variance, per);
        Tensor rstd = elementwise<C>(
            dtype_of<C>(), [epsilon](C v) { return C(1) / std::sqrt(v + epsilon); }, variance);
        result.save_mean = training ? mean.to(stat_dtype) : Tensor::empty({0}, stat_dtype);
        result.save_rstd = training ? rstd.to(stat_dtype) : Tensor::empty({0}, stat_dtype);
        if (training) {  // PyTorch normalises by the statistics that it saves, rounded where they are of half precision
            mean = result.save_mean.to(dtype_of<C>());
            rstd = result.save_rstd.to(dtype_of<C>());
        }
        result.output = apply_fixed<C>(input, weight, bias, mean, rstd);
        return result;
    });
}

/// Training changes the running statistics in place, though the schema does not say so.
BatchNorm normalize_batch_in_place(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                   const Tensor& running_mean, const Tensor& running_var, bool training,
                                   double momentum, double eps) {
    BatchNorm result = normalize_batch(op, input, weight, bias, running_mean, running_var, training, momentum, eps);
    if (result.running_mean.defined()) running_mean.copy_from(result.running_mean);
    if (result.running_var.defined()) running_var.copy_from(result.running_var);
    return result;
}

Tensor batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, bool training, double momentum, double eps, bool) {
    if (input.numel() == 0 && (training || input.dim() == 1)) return input.clone();  // no statistics to take
    return normalize_batch_in_place("batch_norm", input, weight, bias, running_mean, running_var, training, momentum,
                                    eps)
        .output;
}

std::tuple<Tensor, Tensor, Tensor> native_batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                                     const Tensor& running_mean, const Tensor& running_var,
                                                     bool training, double momentum, double eps) {
    const BatchNorm r = normalize_batch_in_place("native_batch_norm", input, weight, bias, running_mean, running_var,
                                                 training, momentum, eps);
    return {r.output, r.save_mean, r.save_rstd};
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_no_stats(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                                       bool, double momentum, double eps) {
    const BatchNorm r = normalize_batch("_native_batch_norm_legit", input, weight, bias, {}, {}, true, momentum, eps);
    return {r.output, r.save_mean, r.save_rstd};
}

std::tuple<Tensor, Tensor, Tensor> batch_norm_no_training(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                                          const Tensor& running_mean, const Tensor& running_var,
                                                          double momentum, double eps) {
    const BatchNorm r = normalize_batch("_native_batch_norm_legit_no_training", input, weight, bias, running_mean,
                                        running_var, false, momentum, eps);
    return {r.output, r.save_mean, r.save_rstd};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> batch_norm_functional(const Tensor& input, const Tensor& weight,
                                                                         const Tensor& bias, const Tensor& running_mean,
                                                                         const Tensor& running_var, bool training,
                                                                         double momentum, double eps) {
    const BatchNorm r = normalize_batch("_native_batch_norm_legit_functional", input, weight, bias, running_mean,
                                        running_var, training, momentum, eps);
    return {r.output, r.save_mean, r.save_rstd, r.running_mean.defined() ? r.running_mean : running_mean.clone(),
            r.running_var.defined() ? r.running_var : running_var.clone()};
}

/// As the other forms, with an (empty) reserve of a back end.
std::tuple<Tensor, Tensor, Tensor, Tensor> with_reserve(const BatchNorm& r) {
    return {r.output, r.save_mean, r.save_rstd, Tensor::empty({0}, DType::UInt8)};
}
std::tuple<Tensor, Tensor, Tensor, Tensor> batch_norm_with_update(const Tensor& input, const Tensor& weight,
                                                                  const Tensor& bias, const Tensor& running_mean,
                                                                  const Tensor& running_var, double momentum,
                                                                  double eps) {
    return with_reserve(normalize_batch_in_place("_batch_norm_with_update", input, weight, bias, running_mean,
                                                 running_var, true, momentum, eps));
}
std::tuple<Tensor, Tensor, Tensor, Tensor> batch_norm_no_update(const Tensor& input, const Tensor& weight,
                                                                const Tensor& bias, const Tensor& running_mean,
                                                                const Tensor& running_var, double momentum,
                                                                double eps) {
    return with_reserve(
        normalize_batch("_batch_norm_no_update", input, weight, bias, running_mean, running_var, false, momentum, eps));
}
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> batch_norm_with_update_functional(
    const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
    const Tensor& running_var, double momentum, double eps) {
    const BatchNorm r = normalize_batch("_batch_norm_with_update_functional", input, weight, bias, running_mean,
                                        running_var, true, momentum, eps);
    return {r.output, r.save_mean, r.save_rstd, Tensor::empty({0}, DType::UInt8), r.running_mean, r.running_var};
}

/// Each of `groups` groups of channels of each sample is normalised as a whole.
Normalized group_norm_rows(const char* op, const Tensor& input, std::int64_t groups, const Tensor& weight,
                           const Tensor& bias, double eps) {
    check_channels(op, input, {{"weight", &weight}, {"bias", &bias}});
    const std::int64_t batch = input.size(0);
    const std::int64_t channels = input.size(1);
    if ((weight.defined() && weight.dim() != 1) || (bias.defined() && bias.dim() != 1))
        throw ArgumentError(std::string(op) + ": expected weight and bias of 1 dimension, found " + describe(weight) +
                            " and " + describe(bias));
    if (groups < 1 || channels % groups != 0)
        throw ArgumentError(std::string(op) + ": the number of channels (" + std::to_string(channels) +
                            ") must be divisible by num_groups (" + std::to_string(groups) + ")");
    return visit_float(input.dtype(), op, [&]<class C>(C) {
        const Tensor x = input.to(dtype_of<C>()).contiguous();
        const Tensor w = vector_of<C>(weight);
        const Tensor b = vector_of<C>(bias);
        const std::int64_t per_group = channels / groups;
        const std::int64_t inner = batch * channels == 0 ? 0 : input.numel() / (batch * channels);
        const std::int64_t n = per_group * inner;
        Normalized result{Tensor::empty(input.shape(), dtype_of<C>()), Tensor::empty({batch, groups}, dtype_of<C>()),
                          Tensor::empty({batch, groups}, dtype_of<C>())};
        parallel_for(batch * groups, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const C* from = x.data<C>() + i * n;
                C* to = result.output.data<C>() + i * n;
                const Moments<C> moments = moments_of(from, n);
                const C rstd = C(1) / std::sqrt(moments.variance + static_cast<C>(eps));
                result.mean.data<C>()[i] = moments.mean;
                result.rstd.data<C>()[i] = rstd;
                for (std::int64_t k = 0; k < per_group; ++k) {
                    const std::int64_t channel = i % groups * per_group + k;
                    const C factor = rstd * (w.defined() ? w.data<C>()[channel] : C(1));
                    const C shift = b.defined() ? b.data<C>()[channel] : C(0);
                    for (std::int64_t j = 0; j < inner; ++j)
                        to[k * inner + j] = (from[k * inner + j] - moments.mean) * factor + shift;
                }
            }
        });
        result.output = in_format(result.output.to(input.dtype()), suggested_format(input));
        return result;
    });
}

Tensor group_norm(const Tensor& input, std::int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool) {
    return group_norm_rows("group_norm", input, num_groups, weight, bias, eps).output;
}

std::tuple<Tensor, Tensor, Tensor> native_group_norm(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                                     std::int64_t batch, std::int64_t channels, std::int64_t inner,
                                                     std::int64_t group, double eps) {
    if (input.dim() < 2 || input.size(0) != batch || input.size(1) != channels ||
        batch * channels * inner != input.numel())
        throw ArgumentError("native_group_norm: expected input of N " + std::to_string(batch) + ", C " +
                            std::to_string(channels) + " and HxW " + std::to_string(inner) + ", found " +
                            describe(input));
    const Normalized r = group_norm_rows("native_group_norm", input, group, weight, bias, eps);
    const DType stat_dtype = statistics_dtype(input, {&weight, &bias});
    return {r.output, r.mean.to(stat_dtype), r.rstd.to(stat_dtype)};
}

/// A group norm with one group per channel, or with fixed statistics a batch norm.
Tensor instance_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                     const Tensor& running_var, bool use_input_stats, double momentum, double eps, bool) {
    check_channels(
        "instance_norm", input,
        {{"weight", &weight}, {"bias", &bias}, {"running_mean", &running_mean}, {"running_var", &running_var}});
    if (!use_input_stats)
        return normalize_batch("instance_norm", input, weight, bias, running_mean, running_var, false, momentum, eps)
            .output;
    const std::int64_t batch = input.size(0);
    const std::int64_t channels = input.size(1);
    Ints merged = input.shape();
    merged[0] = 1;
    merged[1] = batch * channels;
    const auto repeat = [&](const Tensor& t) {
        return t.defined() ? t.expand(Ints{batch, channels}).reshape({batch * channels}) : Tensor{};
    };
    const BatchNorm r = normalize_batch("instance_norm", input.contiguous().reshape(merged), repeat(weight),
                                        repeat(bias), repeat(running_mean), repeat(running_var), true, momentum, eps);
    // The running statistics become the mean over the batch.
    const auto store = [&](const Tensor& running, const Tensor& updated) {
        if (!running.defined() || !updated.defined()) return;
        visit_float(running.dtype(), "instance_norm", [&]<class C>(C) {
            const Rows<C> values = rows<C>(updated.reshape({batch, channels}), 0);
            Tensor mean = Tensor::empty({channels}, dtype_of<C>());
            for (std::int64_t c = 0; c < channels; ++c)
                mean.data<C>()[c] = sum_of(values[c].data(), batch, [](C v) { return v; }) / static_cast<C>(batch);
            running.copy_from(mean);
        });
    };
    store(running_mean, r.running_mean);
    store(running_var, r.running_var);
    return r.output.reshape(input.shape());
}

}  // namespace

void register_norm(Registry& r) {
    r.add(
        "layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, "
        "bool "
        "cudnn_enable=True) -> Tensor",
        layer_norm);
    r.add(
        "native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> "
        "(Tensor, Tensor, Tensor)",
        native_layer_norm);
    r.add("rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor",
          rms_norm);
    r.add(
        "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
        "training, float momentum, "
        "float eps, bool cudnn_enabled) -> Tensor",
        batch_norm);
    r.add(
        "native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
        "training, float "
        "momentum, float eps) -> (Tensor, Tensor, Tensor)",
        native_batch_norm);
    r.add(
        "_native_batch_norm_legit(Tensor input, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!) "
        "running_var, bool "
        "training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
        native_batch_norm);
    r.add(
        "_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, bool training, float momentum, "
        "float eps) -> "
        "(Tensor, Tensor, Tensor)",
        batch_norm_no_stats);
    r.add(
        "_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, Tensor "
        "running_var, float "
        "momentum, float eps) -> (Tensor, Tensor, Tensor)",
        batch_norm_no_training);
    r.add(
        "_native_batch_norm_legit_functional(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, Tensor "
        "running_var, bool "
        "training, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor running_mean_out, Tensor "
        "running_var_out)",
        batch_norm_functional);
    r.add(
        "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool "
        "cudnn_enabled=True) -> "
        "Tensor",
        group_norm);
    r.add(
        "native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, SymInt C, SymInt HxW, int group, "
        "float eps) -> (Tensor, "
        "Tensor, Tensor)",
        native_group_norm);
    r.add(
        "instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
        "use_input_stats, float "
        "momentum, float eps, bool cudnn_enabled) -> Tensor",
        instance_norm);
    r.add(
        "_batch_norm_with_update(Tensor input, Tensor? weight, Tensor? bias, Tensor(a!) running_mean, Tensor(b!) "
        "running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)",
        batch_norm_with_update);
    r.add(
        "_batch_norm_no_update(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
        "float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)",
        batch_norm_no_update);
    r.add(
        "_batch_norm_with_update_functional(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, Tensor "
        "running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor, Tensor running_mean_out, Tensor "
        "running_var_out)",
        batch_norm_with_update_functional);
    r.add("_fused_rms_norm(Tensor input, int[] normalized_shape, Tensor? weight, float? eps) -> (Tensor, Tensor)",
          fused_rms_norm);
}

}  // namespace torch_ir::kernels
