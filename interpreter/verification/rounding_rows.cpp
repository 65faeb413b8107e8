// SPDX-License-Identifier: MIT
// Rounding of softmax, of normalisations and of attention.
#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel.hpp"
#include "verification/rounding.hpp"

namespace torch_ir::detail {
namespace {

constexpr DType wide = DType::Float64;
constexpr double infinity = std::numeric_limits<double>::infinity();

double square(double x) { return x * x; }

/// Room for three row-major results of the shape of `like`.
Spread room_for(const Tensor& like) {
    const auto empty = [&] { return Tensor::empty(like.shape(), wide); };
    return {empty(), empty(), empty()};
}

/// The normalised result of one row `x` of `n` elements whose element `i` has the weight `w(i)` and bias `b(i)`.
/// `centred`: a layer norm; else a root mean square norm.
template <class W, class B>
void normalise(const double* x, std::int64_t n, double eps, bool centred, double u, W w, B b, double* y, double* sigma,
               double* bound) {
    const double count = static_cast<double>(n);
    double sum = 0;
    double squares = 0;
    double total = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        sum += x[i];
        squares += x[i] * x[i];
        total += std::fabs(x[i]);
    }
    const double mean = centred ? sum / count : 0;
    double variance = 0;
    for (std::int64_t i = 0; i < n; ++i) variance += square(x[i] - mean);
    variance /= count;
    const double r = 1 / std::sqrt(variance + eps);
    const double sigma_sum = centred ? u * std::sqrt(sum_variance(count, sum, squares, sum)) : 0;
    const double ratio = (variance + 2 * mean * mean) / (variance + eps);
    for (std::int64_t i = 0; i < n; ++i) {
        const double weight = w(i);
        const double bias = b(i);
        y[i] = (x[i] - mean) * r * weight + bias;
        const double scaled = y[i] - bias;
        sigma[i] = std::sqrt(square(weight * r * sigma_sum / count) +
                             u * u / 3 * (square(x[i] * r * weight) + 2 * square(mean * r * weight) + bias * bias) +
                             scaled * scaled * u * u * (count / 36 * ratio * ratio + 3));
        bound[i] = (centred ? std::fabs(weight) * r * count * u * total / count : 0) +
                   u * (std::fabs(x[i] * r * weight) + 2 * std::fabs(mean * r * weight) + std::fabs(bias)) +
                   std::fabs(scaled) * u * (count * (variance + mean * mean) / (variance + eps) + 3);
    }
}

bool layer_norm_spread(const OpCall& call, std::int64_t n, bool centred, double u, Spread& result) {
    const Tensor x = call.tensor("input").contiguous();
    const Tensor weight = call.tensor("weight").defined() ? call.tensor("weight").to(wide).contiguous() : Tensor{};
    const Tensor bias = call.tensor("bias").defined() ? call.tensor("bias").to(wide).contiguous() : Tensor{};
    if (n == 0) return false;
    const double eps = call.number("eps", centred ? 1e-5 : std::numeric_limits<float>::epsilon());
    const Spread rows = room_for(x);
    for (std::int64_t row = 0; row < x.numel() / n; ++row)
        normalise(
            x.data<double>() + row * n, n, eps, centred, u,
            [&](std::int64_t i) { return weight.defined() ? weight.data<double>()[i] : 1.0; },
            [&](std::int64_t i) { return bias.defined() ? bias.data<double>()[i] : 0.0; },
            rows.value.data<double>() + row * n, rows.sigma.data<double>() + row * n,
            rows.bound.data<double>() + row * n);
    result = rows;
    return true;
}

bool group_norm_spread(const OpCall& call, std::int64_t groups, double u, Spread& result) {
    const Tensor x = call.tensor("input").contiguous();
    if (x.dim() < 2 || groups == 0 || x.size(1) % groups != 0 || x.numel() == 0) return false;
    const Tensor weight = call.tensor("weight").defined() ? call.tensor("weight").to(wide).contiguous() : Tensor{};
    const Tensor bias = call.tensor("bias").defined() ? call.tensor("bias").to(wide).contiguous() : Tensor{};
    const std::int64_t pixels = x.numel() / (x.size(0) * x.size(1));
    const std::int64_t channels = x.size(1) / groups;
    const std::int64_t n = channels * pixels;
    const Spread rows = room_for(x);
    for (std::int64_t row = 0; row < x.size(0) * groups; ++row) {
        const auto channel = [&](std::int64_t i) { return row % groups * channels + i / pixels; };
        normalise(
            x.data<double>() + row * n, n, call.number("eps", 1e-5), true, u,
            [&](std::int64_t i) { return weight.defined() ? weight.data<double>()[channel(i)] : 1.0; },
            [&](std::int64_t i) { return bias.defined() ? bias.data<double>()[channel(i)] : 0.0; },
            rows.value.data<double>() + row * n, rows.sigma.data<double>() + row * n,
            rows.bound.data<double>() + row * n);
    }
    result = rows;
    return true;
}

/// With given statistics.
bool batch_norm_spread(const OpCall& call, double u, Spread& result) {
    const Tensor x = call.tensor("input").contiguous();
    const Tensor mean = call.tensor("running_mean");
    const Tensor variance = call.tensor("running_var");
    if (!mean.defined() || !variance.defined() || x.dim() < 2 || call.number("training", 0) != 0) return false;
    const double eps = call.number("eps", 1e-5);
    const auto channel_values = [&](const Tensor& tensor, double otherwise) {
        std::vector<double> values(static_cast<std::size_t>(x.size(1)), otherwise);
        if (tensor.defined()) {
            const Tensor dense = tensor.to(wide).contiguous();
            std::copy_n(dense.data<double>(), values.size(), values.begin());
        }
        return values;
    };
    const auto m = channel_values(mean, 0);
    const auto v = channel_values(variance, 1);
    const auto w = channel_values(call.tensor("weight"), 1);
    const auto b = channel_values(call.tensor("bias"), 0);
    const std::int64_t pixels = x.numel() / std::max<std::int64_t>(1, x.size(0) * x.size(1));
    const Spread rows = room_for(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        const auto c = static_cast<std::size_t>(i / pixels % x.size(1));
        const double alpha = w[c] / std::sqrt(v[c] + eps);
        const double input = x.data<double>()[i];
        rows.value.data<double>()[i] = (input - m[c]) * alpha + b[c];
        rows.sigma.data<double>()[i] =
            u * std::sqrt((3 * square(input * alpha) + 3 * square(m[c] * alpha) + b[c] * b[c]) / 3);
        rows.bound.data<double>()[i] =
            u * (3 * std::fabs(input * alpha) + 3 * std::fabs(m[c] * alpha) + std::fabs(b[c]));
    }
    result = rows;
    return true;
}

}  // namespace

bool softmax_spread(const OpCall& call, double u, Spread& result) {
    const std::string name = call.base_name();
    const bool logarithm = name == "log_softmax" || name == "_log_softmax";
    if (!logarithm && name != "softmax" && name != "_softmax" && name != "_safe_softmax") return false;
    const Tensor x = call.tensor("self");
    if (!x.defined() || x.dim() == 0 || x.numel() == 0) return false;
    const std::int64_t dim = x.wrap_dim(static_cast<std::int64_t>(call.number("dim", -1)));
    const Tensor rows_of_x = x.transpose(dim, -1).contiguous();
    const std::int64_t n = rows_of_x.size(-1);
    const Spread rows = room_for(rows_of_x);
    const double count = static_cast<double>(n);
    parallel_for(rows_of_x.numel() / n, std::max<std::int64_t>(1, 8192 / n), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            const double* in = rows_of_x.data<double>() + row * n;
            double* y = rows.value.data<double>() + row * n;
            double* sigma = rows.sigma.data<double>() + row * n;
            double* bound = rows.bound.data<double>() + row * n;
            const double top = *std::max_element(in, in + n);
            const bool empty = top == -infinity;
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) sum += empty ? 0 : std::exp(in[i] - top);
            for (std::int64_t i = 0; i < n; ++i) {
                const double below = in[i] == -infinity ? 0 : top - in[i];
                if (logarithm) {
                    y[i] = in[i] - top - std::log(sum);
                    const double size = std::isfinite(y[i]) ? std::fabs(y[i]) : 0;
                    sigma[i] = u * std::sqrt(4 + below * below + size * size + count / 9);
                    bound[i] = u * (4 + 2 * below + 2 * size + count);
                } else {
                    y[i] = empty ? (name == "_safe_softmax" ? 0 : std::numeric_limits<double>::quiet_NaN())
                                 : std::exp(in[i] - top) / sum;
                    sigma[i] = y[i] * u * std::sqrt(4 + below * below + count / 9);
                    bound[i] = y[i] * u * (4 + 2 * below + count);
                }
            }
        }
    });
    const auto back = [&](const Tensor& tensor) { return tensor.transpose(dim, -1); };
    result = {back(rows.value), back(rows.sigma), back(rows.bound)};
    return true;
}

bool norm_spread(const OpCall& call, double u, Spread& result) {
    const std::string name = call.base_name();
    const Tensor x = call.tensor("input");
    if (!x.defined() || x.dtype() != wide || x.numel() == 0) return false;
    const auto trailing = [&] {
        const IValue* shape = call.find("normalized_shape");
        return shape ? numel_of(std::get<Ints>(*shape)) : 0;
    };
    if (name == "layer_norm" || name == "native_layer_norm")
        return layer_norm_spread(call, trailing(), true, u, result);
    if (name == "rms_norm" || name == "_fused_rms_norm") return layer_norm_spread(call, trailing(), false, u, result);
    if (name == "group_norm")
        return group_norm_spread(call, static_cast<std::int64_t>(call.number("num_groups", 1)), u, result);
    if (name == "native_group_norm")
        return group_norm_spread(call, static_cast<std::int64_t>(call.number("group", 1)), u, result);
    if (name == "instance_norm" && call.number("use_input_stats", 1) != 0 && x.dim() >= 2)
        return group_norm_spread(call, x.size(1), u, result);
    if (name == "batch_norm" || name == "native_batch_norm" || name == "_native_batch_norm_legit_no_training")
        return batch_norm_spread(call, u, result);
    return false;
}

bool attention_spread(const OpCall& call, const RoundingProfile& profile, double u, Spread& result) {
    const std::string name = call.base_name();
    if (name != "scaled_dot_product_attention" && name != "_scaled_dot_product_flash_attention_for_cpu") return false;
    Tensor q = call.tensor("query");
    Tensor k = call.tensor("key");
    Tensor v = call.tensor("value");
    if (q.dim() < 3 || call.number("dropout_p", 0) != 0 || q.numel() == 0 || k.numel() == 0) return false;
    const std::int64_t heads = q.size(-3);
    const std::int64_t kv_heads = k.size(-3);
    if (kv_heads == 0 || heads % kv_heads != 0 || v.size(-3) != kv_heads) return false;
    Ints batch(q.shape().begin(), q.shape().end() - 3);
    for (const Tensor* tensor : {&k, &v})
        if (Ints(tensor->shape().begin(), tensor->shape().end() - 3) != batch) return false;
    q = q.contiguous();
    k = k.contiguous();
    v = v.contiguous();
    const std::int64_t rows = q.size(-2);
    const std::int64_t keys = k.size(-2);
    const std::int64_t depth = q.size(-1);
    const std::int64_t width = v.size(-1);
    const std::int64_t batches = numel_of(batch);
    const double scale = call.number("scale", 1 / std::sqrt(static_cast<double>(depth)));
    const bool causal = call.number("is_causal", 0) != 0;
    Ints mask_shape = batch;
    mask_shape.insert(mask_shape.end(), {heads, rows, keys});
    Tensor mask = call.tensor(call.find("attn_mask") ? "attn_mask" : "mask");
    if (mask.defined()) {
        if (mask.dtype() == DType::Bool) {
            const Tensor additive = Tensor::zeros(mask.shape(), wide);
            const Tensor dense = mask.contiguous();
            for (std::int64_t i = 0; i < dense.numel(); ++i)
                additive.data<double>()[i] = dense.data<bool>()[i] ? 0 : -infinity;
            mask = additive;
        }
        mask = mask.to(wide).expand(mask_shape).contiguous();
    }
    Ints shape = batch;
    shape.insert(shape.end(), {heads, rows, width});
    const Tensor y = Tensor::empty(shape, wide);
    const Tensor sigma = Tensor::empty(shape, wide);
    const Tensor bound = Tensor::empty(shape, wide);
    const double count = static_cast<double>(keys);
    const double terms = static_cast<double>(depth);
    const double ui = profile.operand;
    const double uo = profile.storage;
    parallel_for(
        batches * heads * rows, std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(1, keys * depth)),
        [&](std::int64_t begin, std::int64_t end) {
            std::vector<double> s(static_cast<std::size_t>(keys));
            std::vector<double> r(s.size());
            std::vector<double> hard(s.size());
            std::vector<double> partial(static_cast<std::size_t>(width));
            std::vector<double> squares(partial.size());
            std::vector<double> order(partial.size());
            std::vector<double> total(partial.size());
            std::vector<double> spread(partial.size());
            std::vector<double> limit(partial.size());
            for (std::int64_t row = begin; row < end; ++row) {
                const std::int64_t i = row % rows;
                const std::int64_t head = row / rows % heads;
                const std::int64_t group = row / rows / heads * kv_heads + head / (heads / kv_heads);
                const double* query = q.data<double>() + row * depth;
                double top = -infinity;
                for (std::int64_t j = 0; j < keys; ++j) {
                    const auto at = static_cast<std::size_t>(j);
                    const double* key = k.data<double>() + (group * keys + j) * depth;
                    double sum = 0;
                    double terms_squared = 0;
                    double natural = 0;
                    double size = 0;
                    for (std::int64_t d = 0; d < depth; ++d) {
                        const double p = query[d] * key[d];
                        sum += p;
                        natural += sum * sum;
                        terms_squared += p * p;
                        size += std::fabs(p);
                    }
                    const double extra = mask.defined() ? mask.data<double>()[row * keys + j] : 0;
                    s[at] = sum * scale + extra;
                    if (causal && j > i) s[at] = -infinity;
                    const double dot =
                        u * u * sum_variance(terms, sum, terms_squared, sum, natural) + 2 * ui * ui / 3 * terms_squared;
                    r[at] = dot * scale * scale;
                    hard[at] = (terms * u + 2 * ui) * size * std::fabs(scale);
                    top = std::max(top, s[at]);
                }
                double sum = 0;
                for (double& value : s) sum += top == -infinity ? 0 : std::exp(value - top);
                std::fill(partial.begin(), partial.end(), 0.0);
                for (auto* list : {&squares, &order, &total, &spread, &limit})
                    std::fill(list->begin(), list->end(), 0.0);
                double weight_spread = 0;
                double weight_limit = 0;
                for (std::int64_t j = 0; j < keys; ++j) {
                    const auto at = static_cast<std::size_t>(j);
                    if (s[at] == -infinity || top == -infinity) continue;
                    const double p = std::exp(s[at] - top) / sum;
                    const double below = top - s[at];
                    const double r2 = r[at] + u * u * (4 + below * below + s[at] * s[at] + count / 9) +
                                      uo * uo / 3 * (1 + s[at] * s[at]);
                    const double rb =
                        hard[at] + u * (4 + 2 * below + 2 * std::fabs(s[at]) + count) + uo * (1 + std::fabs(s[at]));
                    weight_spread += p * p * r2;
                    weight_limit += p * rb;
                    const double* value = v.data<double>() + (group * keys + j) * width;
                    for (std::size_t d = 0; d < partial.size(); ++d) {
                        const double t = p * value[d];
                        partial[d] += t;
                        squares[d] += t * t;
                        order[d] += partial[d] * partial[d];
                        total[d] += std::fabs(t);
                        spread[d] += t * t * r2;
                        limit[d] += std::fabs(t) * rb;
                    }
                }
                for (std::size_t d = 0; d < partial.size(); ++d) {
                    const double out = partial[d];
                    const double dot =
                        u * u * sum_variance(count, out, squares[d], out, order[d]) + 2 * ui * ui / 3 * squares[d];
                    const std::int64_t at = row * width + static_cast<std::int64_t>(d);
                    const bool empty = top == -infinity;  // PyTorch gives zeros for a row that may look at nothing
                    y.data<double>()[at] = empty ? 0 : out;
                    sigma.data<double>()[at] = std::sqrt(spread[d] + weight_spread * out * out + dot);
                    bound.data<double>()[at] =
                        limit[d] + weight_limit * std::fabs(out) + (count * u + 2 * ui) * total[d];
                }
            }
        });
    result = {y, sigma, bound};
    return true;
}

}  // namespace torch_ir::detail
