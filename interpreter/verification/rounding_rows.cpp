// SPDX-License-Identifier: MIT
// Rounding of softmax and of normalisations.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "parallel.hpp"
#include "promote.hpp"
#include "scratch.hpp"
#include "verification/rounding.hpp"

namespace torch_ir::detail {
namespace {

double square(double x) { return x * x; }

/// One row, or a piece of one, as float64, in and out.
struct Row {
    std::int64_t n;
    double* x;
    double* y;
    double* sigma;
    double* bound;
};

/// Calls `f(row, number)` for all rows of `n` elements of a row-major tensor, side by side, and gives `sink` what it
/// writes. Rows longer than `most` come in pieces.
template <class F>
void for_each_row(const Tensor& x, std::int64_t n, std::int64_t most, const BlockSink& sink, F f) {
    const std::int64_t pieces = (n + most - 1) / most;
    const std::int64_t size = std::min(n, most);
    parallel_for(x.numel() / n * pieces, std::max<std::int64_t>(1, 8192 / size),
                 [&](std::int64_t begin, std::int64_t end) {
                     const Scratch<double> room(4 * size);
                     double* data = room.data();
                     for (std::int64_t i = begin; i < end; ++i) {
                         const std::int64_t first = i % pieces * most;
                         const Row row{std::min(most, n - first), data, data + size, data + 2 * size, data + 3 * size};
                         const std::int64_t at = i / pieces * n + first;
                         load(Compute::Double, row.x, x.dtype(),
                              x.raw() + at * static_cast<std::int64_t>(item_size(x.dtype())), 1, row.n);
                         f(row, i / pieces);
                         sink({at, row.n, row.y, row.sigma, row.bound});
                     }
                 });
}

/// A sum whose terms go to eight lanes, so that it vectorises.
template <class F>
double sum_of(std::int64_t n, F term) {
    double lanes[8] = {};
    std::int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (std::int64_t j = 0; j < 8; ++j) lanes[j] += term(i + j);
    for (; i < n; ++i) lanes[0] += term(i);
    return std::accumulate(std::begin(lanes), std::end(lanes), 0.0);
}

/// The normalised row whose element `i` has the weight w[i] and bias b[i]. `centred`: a layer norm; else a root mean
/// square norm.
void normalise(const Row& row, double eps, bool centred, const Precision& p, const double* w, const double* b) {
    const std::int64_t n = row.n;
    const double* x = row.x;
    const auto count = static_cast<double>(n);
    const double sum = sum_of(n, [=](std::int64_t i) { return x[i]; });
    const double squares = sum_of(n, [=](std::int64_t i) { return x[i] * x[i]; });
    const double total = sum_of(n, [=](std::int64_t i) { return std::fabs(x[i]); });
    const double mean = centred ? sum / count : 0;
    const double variance = sum_of(n, [=](std::int64_t i) { return square(x[i] - mean); }) / count;
    const double r = 1 / std::sqrt(variance + eps);
    const double u = p.u;
    const double of_mean = centred ? r * u * std::sqrt(sum_variance(count, sum, squares, sum)) / count : 0;
    const double ratio = (variance + 2 * mean * mean) / (variance + eps);
    const double of_scale = u * u * (count / 36 * ratio * ratio + 3);
    const double most_of_mean = centred ? r * u * total : 0;
    const double most_of_scale = u * (count * (variance + mean * mean) / (variance + eps) + 3);
    double* y = row.y;
    double* sigma = row.sigma;
    double* bound = row.bound;
    const Precision precision = p;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
        const double scale = r * w[i];
        const double scaled = (x[i] - mean) * scale;
        const Rounded rounded =
            precision.rounded(scaled + b[i],
                              square(w[i] * of_mean) +
                                  u * u * (1.0 / 3) * (square(x[i] * scale) + 2 * square(mean * scale) + b[i] * b[i]) +
                                  scaled * scaled * of_scale,
                              std::fabs(w[i]) * most_of_mean +
                                  u * (std::fabs(x[i] * scale) + 2 * std::fabs(mean * scale) + std::fabs(b[i])) +
                                  std::fabs(scaled) * most_of_scale);
        y[i] = rounded.value;
        sigma[i] = rounded.sigma;
        bound[i] = rounded.bound;
    }
}

/// A parameter of a norm in float64, `count` numbers that all are `otherwise` where there is none.
std::vector<double> parameter(const Tensor& tensor, std::int64_t count, double otherwise) {
    std::vector<double> values(static_cast<std::size_t>(count), otherwise);
    if (!tensor.defined()) return values;
    const Tensor dense = tensor.to(wide).contiguous();
    std::copy_n(dense.data<double>(), std::min(count, dense.numel()), values.begin());
    return values;
}

bool layer_norm_spread(const OpCall& call, std::int64_t n, bool centred, const Precision& p, Reference& result) {
    const Tensor x = call.tensor("input").contiguous();
    if (n == 0) return false;
    const double eps = call.number("eps", centred ? 1e-5 : std::numeric_limits<float>::epsilon());
    result.shape = x.shape();
    result.blocks = [=, weight = parameter(call.tensor("weight"), n, 1),
                     bias = parameter(call.tensor("bias"), n, 0)](const BlockSink& sink) {
        for_each_row(x, n, n, sink, [&](const Row& row, std::int64_t) {
            normalise(row, eps, centred, p, weight.data(), bias.data());
        });
    };
    return true;
}

bool group_norm_spread(const OpCall& call, std::int64_t groups, const Precision& p, Reference& result) {
    const Tensor x = call.tensor("input").contiguous();
    if (x.dim() < 2 || groups == 0 || x.size(1) % groups != 0 || x.numel() == 0) return false;
    const std::int64_t pixels = x.numel() / (x.size(0) * x.size(1));
    const std::int64_t n = x.size(1) / groups * pixels;
    const double eps = call.number("eps", 1e-5);
    const auto per_pixel = [&](const char* name, double otherwise) {
        const auto values = parameter(call.tensor(name), x.size(1), otherwise);
        std::vector<double> repeated;
        for (const double value : values) repeated.insert(repeated.end(), static_cast<std::size_t>(pixels), value);
        return repeated;
    };
    result.shape = x.shape();
    result.blocks = [=, weight = per_pixel("weight", 1), bias = per_pixel("bias", 0)](const BlockSink& sink) {
        for_each_row(x, n, n, sink, [&](const Row& row, std::int64_t i) {
            const std::int64_t first = i % groups * n;
            normalise(row, eps, true, p, weight.data() + first, bias.data() + first);
        });
    };
    return true;
}

/// Mean and biased variance of each channel of a row-major tensor.
struct BatchMoments {
    std::vector<double> mean;
    std::vector<double> variance;
};

BatchMoments batch_moments(const Tensor& x) {
    const std::int64_t channels = x.size(1);
    const std::int64_t n = x.numel() / (x.size(0) * channels);
    const Tensor values = x.to(wide);
    const auto average = [&](auto term) {
        std::vector<double> sums(static_cast<std::size_t>(channels));
        for (std::int64_t i = 0; i < x.size(0) * channels; ++i) {
            const auto c = static_cast<std::size_t>(i % channels);
            const double* in = values.data<double>() + i * n;
            sums[c] += sum_of(n, [&](std::int64_t k) { return term(in[k], c); });
        }
        for (double& sum : sums) sum /= static_cast<double>(x.size(0) * n);
        return sums;
    };
    BatchMoments moments{average([](double v, std::size_t) { return v; }), {}};
    moments.variance = average([&](double v, std::size_t c) { return square(v - moments.mean[c]); });
    return moments;
}

/// With given statistics; and with the batch's own, where these are kept in half precision: its rounding is then all
/// that counts. PyTorch rounds the mean, 1 / sqrt(variance) and, in bfloat16, the sum of squares and the variance.
/// `per_image`: an instance norm, for which the images of a batch are channels.
bool batch_norm_spread(const OpCall& call, bool training, bool per_image, const Precision& p, Reference& result) {
    const Tensor input = call.tensor("input").contiguous();
    const Tensor mean = call.tensor("running_mean");
    const Tensor variance = call.tensor("running_var");
    if (input.dim() < 2 || input.numel() == 0) return false;
    if (!training && (!mean.defined() || !variance.defined())) return false;
    const std::int64_t images = per_image ? input.size(0) : 1;
    const std::int64_t channels = images * input.size(1);
    const Tensor x = per_image ? input.reshape({1, channels, input.numel() / channels}) : input;
    double kept = 0;  // unit roundoff of the statistics
    if (training) {
        const Tensor first = call.tensor("weight").defined() ? call.tensor("weight") : mean;
        const DType dtype = first.defined() ? promote_types(x.dtype(), first.dtype()) : x.dtype();
        if (dtype != DType::BFloat16 && dtype != DType::Float16) return false;
        kept = unit_roundoff(dtype);
    }
    const double eps = call.number("eps", 1e-5);
    const auto per_channel = [&](const Tensor& tensor, double otherwise) {
        const std::vector<double> once = parameter(tensor, input.size(1), otherwise);
        std::vector<double> repeated;
        for (std::int64_t i = 0; i < images; ++i) repeated.insert(repeated.end(), once.begin(), once.end());
        return repeated;
    };
    const BatchMoments moments =
        training ? batch_moments(x) : BatchMoments{per_channel(mean, 0), per_channel(variance, 1)};
    result.shape = input.shape();
    result.independent = channels;  // scale and shift of a channel are rounded once
    result.blocks = [=, w = per_channel(call.tensor("weight"), 1),
                     b = per_channel(call.tensor("bias"), 0)](const BlockSink& sink) {
        const auto normalise_row = [&](const Row& row, std::int64_t number) {
            const auto c = static_cast<std::size_t>(number % channels);
            const double alpha = w[c] / std::sqrt(moments.variance[c] + eps);
            const double centre = moments.mean[c];
            const double bias = b[c];
            const double u = p.u;
            const Precision precision = p;
            const auto [n, in, y, sigma, bound] = row;
#pragma GCC ivdep
            for (std::int64_t i = 0; i < n; ++i) {
                const double centred = (in[i] - centre) * alpha;
                const Rounded rounded = precision.rounded(
                    centred + bias,
                    u * u / 3 * (3 * square(in[i] * alpha) + 3 * square(centre * alpha) + bias * bias) +
                        kept * kept / 3 * (square(centre * alpha) + 1.5 * square(centred)),
                    u * (3 * std::fabs(in[i] * alpha) + 3 * std::fabs(centre * alpha) + std::fabs(bias)) +
                        kept * (std::fabs(centre * alpha) + 2 * std::fabs(centred)));
                y[i] = rounded.value;
                sigma[i] = rounded.sigma;
                bound[i] = rounded.bound;
            }
        };
        for_each_row(x, x.numel() / (x.size(0) * channels), block_size, sink, normalise_row);
    };
    return true;
}

}  // namespace

bool softmax_spread(const OpCall& call, const Precision& p, Reference& result) {
    const std::string name = call.base_name();
    const bool logarithm = name == "log_softmax" || name == "_log_softmax";
    if (!logarithm && name != "softmax" && name != "_softmax" && name != "_safe_softmax") return false;
    const Tensor x = call.tensor("self");
    if (!x.defined() || !is_floating_point(x.dtype()) || x.dim() == 0 || x.numel() == 0) return false;
    const std::int64_t dim = x.wrap_dim(static_cast<std::int64_t>(call.number("dim", -1)));
    const Tensor rows = x.transpose(dim, -1).contiguous();
    const std::int64_t n = rows.size(-1);
    const double count = static_cast<double>(n);
    const double u = p.u;
    const bool safe = name == "_safe_softmax";
    result.shape = rows.shape();
    result.blocks = [=](const BlockSink& sink) {
        for_each_row(rows, n, n, sink, [&](const Row& row, std::int64_t) {
            const double* in = row.x;
            double* y = row.y;
            const double top = *std::max_element(in, in + n);
            const bool empty = top == -infinity;
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) sum += y[i] = empty ? 0 : std::exp(in[i] - top);
            const double log_sum = std::log(sum);
            for (std::int64_t i = 0; i < n; ++i) {
                const double below = in[i] == -infinity ? 0 : top - in[i];
                double value = 0;
                double error = 0;  // its variance and bound
                double most = 0;
                if (logarithm) {
                    value = in[i] - top - log_sum;
                    const double size = std::isfinite(value) ? std::fabs(value) : 0;
                    error = u * u * (4 + below * below + size * size + count / 9);
                    most = u * (4 + 2 * below + 2 * size + count);
                } else {
                    value = empty ? (safe ? 0 : std::numeric_limits<double>::quiet_NaN()) : y[i] / sum;
                    error = square(value * u) * (4 + below * below + count / 9);
                    most = value * u * (4 + 2 * below + count);
                }
                const Rounded rounded = p.rounded(value, error, most);
                y[i] = rounded.value;
                row.sigma[i] = rounded.sigma;
                row.bound[i] = rounded.bound;
            }
        });
    };
    if (dim != x.dim() - 1) {
        result.compute();
        result.value = std::get<Tensor>(result.value).transpose(dim, -1);
        for (Tensor* tensor : {&result.sigma, &result.bound}) *tensor = tensor->transpose(dim, -1);
    }
    return true;
}

bool norm_spread(const OpCall& call, const Precision& p, Reference& result) {
    const std::string name = call.base_name();
    const Tensor x = call.tensor("input");
    if (!x.defined() || !is_floating_point(x.dtype()) || x.numel() == 0) return false;
    const auto trailing = [&] {
        const IValue* shape = call.find("normalized_shape");
        return shape ? numel_of(std::get<Ints>(*shape)) : 0;
    };
    if (name == "layer_norm" || name == "native_layer_norm")
        return layer_norm_spread(call, trailing(), true, p, result);
    if (name == "rms_norm" || name == "_fused_rms_norm") return layer_norm_spread(call, trailing(), false, p, result);
    if (name == "group_norm")
        return group_norm_spread(call, static_cast<std::int64_t>(call.number("num_groups", 1)), p, result);
    if (name == "native_group_norm")
        return group_norm_spread(call, static_cast<std::int64_t>(call.number("group", 1)), p, result);
    if (name == "instance_norm" && x.dim() >= 2) {
        const bool own = call.number("use_input_stats", 1) != 0;
        return batch_norm_spread(call, own, own, p, result) || (own && group_norm_spread(call, x.size(1), p, result));
    }
    if (name == "batch_norm" || name == "native_batch_norm" || name.starts_with("_native_batch_norm_legit"))
        return batch_norm_spread(call, call.number("training", 0) != 0, false, p, result);
    return false;
}

}  // namespace torch_ir::detail
