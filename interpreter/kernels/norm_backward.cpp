// SPDX-License-Identifier: MIT
// Gradients of layer, group and batch normalisation.
#include <cmath>

#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;

/// Rows of `channels` · `inner` elements that were normalised together, `groups` of them a sample; the weight and bias
/// of a row's k-th channel are those of channel (row mod groups) · channels + k.
struct Shape {
    std::int64_t rows;
    std::int64_t groups;
    std::int64_t channels;
    std::int64_t inner;
};

Three normalize_backward(const char* op, const Tensor& grad_out, const Tensor& input, const Tensor& mean,
                         const Tensor& rstd, const Tensor& weight, const Shape& s, const Ints& parameter_shape,
                         const Bools& output_mask) {
    const std::int64_t n = s.channels * s.inner;
    if (grad_out.shape() != input.shape() || mean.numel() != s.rows || rstd.numel() != s.rows ||
        (weight.defined() && weight.numel() != s.groups * s.channels))
        throw ArgumentError(std::string(op) + ": 'grad_out', 'mean', 'rstd' or 'weight' do not fit 'input' " +
                            describe(input));
    if (output_mask.size() != 3) throw ArgumentError(std::string(op) + ": expected 'output_mask' of 3 elements");
    return visit_float(input.dtype(), op, [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.defined() ? t.to(dtype_of<C>()).contiguous() : t; };
        const Tensor g = plain(grad_out);
        const Tensor x = plain(input);
        const Tensor mu = plain(mean);
        const Tensor r = plain(rstd);
        const Tensor w = plain(weight);
        const Tensor dx = Tensor::empty(input.shape(), dtype_of<C>());
        const Tensor dw = Tensor::zeros(parameter_shape, DType::Float64);
        const Tensor db = Tensor::zeros(parameter_shape, DType::Float64);
        for (std::int64_t i = 0; i < s.rows; ++i) {
            const C m = mu.data<C>()[i];
            const C scale = r.data<C>()[i];
            const C* from = x.data<C>() + i * n;
            const C* grad = g.data<C>() + i * n;
            const std::int64_t first = i % s.groups * s.channels;
            double sum = 0;
            double dot = 0;
            for (std::int64_t j = 0; j < n; ++j) {
                const std::int64_t channel = first + j / s.inner;
                const C normal = (from[j] - m) * scale;
                const C weighted = w.defined() ? grad[j] * w.data<C>()[channel] : grad[j];
                sum += static_cast<double>(weighted);
                dot += static_cast<double>(weighted) * static_cast<double>(normal);
                dw.data<double>()[channel] += static_cast<double>(grad[j]) * static_cast<double>(normal);
                db.data<double>()[channel] += static_cast<double>(grad[j]);
            }
            const C a = static_cast<C>(sum / static_cast<double>(n));
            const C b = static_cast<C>(dot / static_cast<double>(n));
            for (std::int64_t j = 0; j < n; ++j) {
                const C normal = (from[j] - m) * scale;
                const C weighted = w.defined() ? grad[j] * w.data<C>()[first + j / s.inner] : grad[j];
                dx.data<C>()[i * n + j] = scale * (weighted - a - normal * b);
            }
        }
        const DType dtype = weight.defined() ? weight.dtype() : input.dtype();
        return Three(output_mask[0] ? dx.to(input.dtype()) : Tensor{}, output_mask[1] ? dw.to(dtype) : Tensor{},
                     output_mask[2] ? db.to(dtype) : Tensor{});
    });
}

Three layer_norm_backward(const Tensor& grad_out, const Tensor& input, const Ints& normalized_shape, const Tensor& mean,
                          const Tensor& rstd, const Tensor& weight, const Tensor& bias, const Bools& output_mask) {
    const char* op = "native_layer_norm_backward";
    if (bias.defined() && bias.shape() != normalized_shape)
        throw ArgumentError(std::string(op) + ": expected 'bias' of shape " + to_string(normalized_shape) + ", found " +
                            describe(bias));
    const auto count = static_cast<std::ptrdiff_t>(normalized_shape.size());
    if (count == 0 || count > input.dim() ||
        !std::equal(normalized_shape.begin(), normalized_shape.end(), input.shape().end() - count))
        throw ArgumentError(std::string(op) + ": 'normalized_shape' " + to_string(normalized_shape) +
                            " does not fit 'input' " + describe(input));
    const std::int64_t n = numel_of(normalized_shape);
    const std::int64_t rows = numel_of(std::span(input.shape()).first(input.shape().size() - normalized_shape.size()));
    return normalize_backward(op, grad_out, input, mean, rstd, weight, {rows, 1, n, 1}, normalized_shape, output_mask);
}

Three group_norm_backward(const Tensor& grad_out, const Tensor& input, const Tensor& mean, const Tensor& rstd,
                          const Tensor& weight, std::int64_t n, std::int64_t c, std::int64_t hxw, std::int64_t group,
                          const Bools& output_mask) {
    const char* op = "native_group_norm_backward";
    if (n < 0 || c < 0 || hxw < 0 || group < 1 || c % group != 0 || input.dim() < 2 || input.size(0) != n ||
        input.size(1) != c || input.numel() != numel_of(Ints{n, c, hxw}))
        throw ArgumentError(std::string(op) + ": 'N', 'C', 'HxW' or 'group' do not fit 'input' " + describe(input));
    return normalize_backward(op, grad_out, input, mean, rstd, weight, {n * group, group, c / group, hxw}, {c},
                              output_mask);
}

/// Statistics are of each channel over all samples: the batch's own (`train`) or fixed ones, which do not depend on the
/// input.
Three batch_norm_backward(const Tensor& grad_out, const Tensor& input, const Tensor& weight, const Tensor& running_mean,
                          const Tensor& running_var, const Tensor& save_mean, const Tensor& save_invstd, bool train,
                          double eps, const Bools& output_mask) {
    const std::string op = "native_batch_norm_backward";
    if (output_mask.size() != 3) throw ArgumentError(op + ": expected 'output_mask' of 3 elements");
    if (input.dim() < 2)
        throw ArgumentError(op + ": expected 'input' of at least 2 dimensions, found " + describe(input));
    if (grad_out.shape() != input.shape())
        throw ArgumentError(op + ": expected 'grad_out' of the shape of 'input', found " + describe(grad_out) +
                            " and " + describe(input));
    const std::int64_t batch = input.size(0);
    const std::int64_t channels = input.size(1);
    const auto check = [&](const char* argument, const Tensor& t) {
        if (!t.defined() || t.numel() != channels)
            throw ArgumentError(op + ": expected '" + argument + "' of " + std::to_string(channels) +
                                " elements, found " + (t.defined() ? describe(t) : "None"));
    };
    if (weight.defined()) check("weight", weight);
    check(train ? "save_mean" : "running_mean", train ? save_mean : running_mean);
    check(train ? "save_invstd" : "running_var", train ? save_invstd : running_var);
    const std::int64_t inner = batch * channels == 0 ? 0 : input.numel() / (batch * channels);
    return visit_float(input.dtype(), op.c_str(), [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.defined() ? t.to(dtype_of<C>()).contiguous() : t; };
        const Tensor g = plain(grad_out);
        const Tensor x = plain(input);
        const Tensor mean = plain(train ? save_mean : running_mean);
        const Tensor spread = plain(train ? save_invstd : running_var);
        const Tensor w = plain(weight);
        const Tensor dx = Tensor::empty(input.shape(), dtype_of<C>());
        const Tensor dw = Tensor::empty({channels}, dtype_of<C>());
        const Tensor db = Tensor::empty({channels}, dtype_of<C>());
        parallel_for(channels, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, batch * inner)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t c = begin; c < end; ++c) {
                             const C m = mean.data<C>()[c];
                             const C s = spread.data<C>()[c];
                             const C invstd = train ? s : C(1) / std::sqrt(s + static_cast<C>(eps));
                             double sum = 0;
                             double dot = 0;
                             for (std::int64_t n = 0; n < batch; ++n) {
                                 const std::int64_t at = (n * channels + c) * inner;
                                 for (std::int64_t j = at; j < at + inner; ++j) {
                                     const auto grad = static_cast<double>(g.data<C>()[j]);
                                     sum += grad;
                                     dot += static_cast<double>(x.data<C>()[j] - m) * grad;
                                 }
                             }
                             const auto count = static_cast<double>(batch * inner);
                             const C shift = train ? static_cast<C>(sum / count) : C(0);
                             const C slope = train ? static_cast<C>(dot / count) * invstd * invstd : C(0);
                             const C factor = w.defined() ? invstd * w.data<C>()[c] : invstd;
                             for (std::int64_t n = 0; n < batch; ++n) {
                                 const std::int64_t at = (n * channels + c) * inner;
                                 for (std::int64_t j = at; j < at + inner; ++j)
                                     dx.data<C>()[j] = (g.data<C>()[j] - shift - (x.data<C>()[j] - m) * slope) * factor;
                             }
                             dw.data<C>()[c] = static_cast<C>(dot) * invstd;
                             db.data<C>()[c] = static_cast<C>(sum);
                         }
                     });
        const DType dtype = (weight.defined() ? weight : train ? save_mean : running_mean).dtype();
        const bool last = suggests_channels_last(input) && suggests_channels_last(grad_out);
        const MemoryFormat format = last ? channels_last_format(input.dim()) : MemoryFormat::Contiguous;
        return Three(output_mask[0] ? in_format(dx.to(input.dtype()), format) : Tensor{},
                     output_mask[1] ? dw.to(dtype) : Tensor{}, output_mask[2] ? db.to(dtype) : Tensor{});
    });
}

}  // namespace

void register_norm_backward(Registry& r) {
    r.add(
        "native_layer_norm_backward(Tensor grad_out, Tensor input, SymInt[] normalized_shape, Tensor mean, Tensor "
        "rstd, Tensor? weight, Tensor? bias, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
        layer_norm_backward);
    r.add(
        "native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, SymInt N, "
        "SymInt C, SymInt HxW, int group, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
        group_norm_backward);
    r.add(
        "native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, Tensor? running_mean, Tensor? "
        "running_var, Tensor? save_mean, Tensor? save_invstd, bool train, float eps, bool[3] output_mask) -> (Tensor, "
        "Tensor, Tensor)",
        batch_norm_backward);
    r.add(
        "batch_norm_backward(Tensor grad_out, Tensor input, Tensor weight, Tensor? running_mean, Tensor? running_var, "
        "Tensor? save_mean, Tensor? save_var, bool update, float eps, bool[3] output_mask, Tensor reserve) -> (Tensor, "
        "Tensor, Tensor)",
        [](const Tensor& grad_out, const Tensor& input, const Tensor& weight, const Tensor& running_mean,
           const Tensor& running_var, const Tensor& save_mean, const Tensor& save_var, bool update, double eps,
           const Bools& mask, const Tensor&) {
            return batch_norm_backward(grad_out, input, weight, running_mean, running_var, save_mean, save_var, update,
                                       eps, mask);
        });
}

}  // namespace torch_ir::kernels
