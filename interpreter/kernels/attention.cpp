// SPDX-License-Identifier: MIT
// Scaled dot product attention: softmax(q·kᵀ·scale + mask)·v, a block of query rows of one head at a time, so that no
// tensor of [heads, L, S] is made.
#include "kernels/attention.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "backend/gemm.hpp"
#include "elementwise.hpp"
#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/random.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"

namespace torch_ir::kernels {
namespace {

/// Inputs as [batch, heads, rows, columns] of the compute type with unit stride in the last dimension.
template <class C>
struct Heads {
    Tensor tensor;
    explicit Heads(const Tensor& t) : tensor(t.to(dtype_of<C>())) {
        if (tensor.stride(-1) != 1 && tensor.size(-1) != 1) tensor = tensor.contiguous();
    }
    std::int64_t ld() const { return std::max(tensor.stride(-2), std::max<std::int64_t>(tensor.size(-1), 1)); }
    C* at(std::int64_t batch, std::int64_t head, std::int64_t row) const {
        return tensor.data<C>() + batch * tensor.stride(0) + head * tensor.stride(1) + row * tensor.stride(2);
    }
};

/// What becomes of the products of queries and keys before softmax.
template <class C>
struct Scores {
    C factor;
    Tensor bias;  // [batch, heads, L, S]; undefined: none
    bool is_causal;

    /// Of one query and `n` keys from `at` on, in place.
    void finish(C* row, std::int64_t batch, std::int64_t head, std::int64_t query, std::int64_t at,
                std::int64_t n) const {
        for (std::int64_t j = 0; j < n; ++j) row[j] *= factor;
        if (bias.defined()) {
            const std::int64_t stride = bias.stride(3);
            const C* b =
                bias.data<C>() + batch * bias.stride(0) + head * bias.stride(1) + query * bias.stride(2) + at * stride;
            if (stride == 1)
                for (std::int64_t j = 0; j < n; ++j) row[j] += b[j];
            else
                for (std::int64_t j = 0; j < n; ++j) row[j] += b[j * stride];
        }
        if (is_causal)
            for (std::int64_t j = std::max<std::int64_t>(0, query + 1 - at); j < n; ++j)
                row[j] = -std::numeric_limits<C>::infinity();
    }
};

struct Result {
    Tensor output;     // [batch, heads, L, Ev]
    Tensor logsumexp;  // [batch, heads, L], only when asked for
};

/// Softmax of one row in place; returns its logsumexp. A row without any number above -inf (masked out entirely, or all
/// NaN) gives zeros and a logsumexp of 0, as PyTorch's flash kernel.
template <class C>
C masked_softmax_row(C* row, std::int64_t n) {
    constexpr C lowest = -std::numeric_limits<C>::infinity();
    const C largest = max_of(row, n);
    if (largest == lowest) {
        std::fill(row, row + n, C(0));
        return 0;
    }
    C total = 0;
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
        row[i] = vmath::exp(row[i] - largest);
        total += row[i];
    }
    const C factor = C(1) / total;
    for (std::int64_t i = 0; i < n; ++i) row[i] *= factor;
    return largest + std::log(total);
}

template <class C>
Result attend(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask, bool is_causal,
              double scale, bool want_logsumexp) {
    const Heads<C> q(query);
    const Heads<C> k(key);
    const Heads<C> v(value);
    const std::int64_t batches = query.size(0);
    const std::int64_t heads = query.size(1);
    const std::int64_t length = query.size(2);
    const std::int64_t source = key.size(2);
    const std::int64_t depth = query.size(3);
    const std::int64_t depth_v = value.size(3);
    // As PyTorch: like the query, so that merging heads that were split from one matrix is a view.
    Tensor out = depth_v == depth ? Tensor::empty_like(query, dtype_of<C>()) : Tensor{};
    if (!out.defined() || out.stride(3) != 1) out = Tensor::empty({batches, heads, length, depth_v}, dtype_of<C>());
    Tensor logsumexp =
        want_logsumexp ? Tensor::empty({batches, length, heads}, dtype_of<C>()).transpose(1, 2) : Tensor{};
    const Scores<C> rules{static_cast<C>(scale), additive_mask<C>(mask, {batches, heads, length, source}), is_causal};
    if (out.numel() == 0) return {out, logsumexp};

    constexpr std::int64_t rows = 128;  // query rows a piece: its scores stay in the cache
    const std::int64_t blocks = (length + rows - 1) / rows;
    parallel_for(batches * heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<C> scores(static_cast<std::size_t>(std::min(rows, length) * source));
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t first = piece % blocks * rows;
            const std::int64_t head = piece / blocks % heads;
            const std::int64_t batch = piece / blocks / heads;
            const std::int64_t count = std::min(rows, length - first);
            const std::int64_t visible = is_causal ? std::min(source, first + count) : source;
            C* o = out.data<C>() + batch * out.stride(0) + head * out.stride(1) + first * out.stride(2);
            backend::gemm(false, true, count, visible, depth, q.at(batch, head, first), q.ld(), k.at(batch, head, 0),
                          k.ld(), C(0), scores.data(), visible);
            for (std::int64_t i = 0; i < count; ++i) {
                C* row = scores.data() + i * visible;
                rules.finish(row, batch, head, first + i, 0, visible);
                const C lse = masked_softmax_row(row, visible);
                if (want_logsumexp) logsumexp.data<C>()[(batch * length + first + i) * heads + head] = lse;
            }
            backend::gemm(false, false, count, depth_v, visible, scores.data(), std::max<std::int64_t>(visible, 1),
                          v.at(batch, head, 0), v.ld(), C(0), o, out.stride(2));
        }
    });
    return {out, logsumexp};
}

/// e^x within 1e-4, by which PyTorch's vector loop computes weights of 16-bit floats (fexp_u20 in
/// aten/src/ATen/cpu/vec): a polynomial corrects the exponent, whose bits become the number's.
inline float fast_exp(float x) {
    const float exponent = x * 1.44269504F;
    const float fraction = exponent - std::floor(exponent);
    float p = __builtin_fmaf(fraction, -0.079204240219773236F, -0.22433836478672356F);
    p = __builtin_fmaf(fraction, p, 0.30354260500649682F);
    p = __builtin_fmaf(fraction, p, 0.00010703434948458272F);
    const float bits = __builtin_fmaf(0x1p23F, exponent - p, 0x1p23F * 127);
    const float y = std::bit_cast<float>(static_cast<std::int32_t>(x > -87.3F ? bits : 0.0F));
    return x == x ? y : x;
}

/// Of 16-bit floats, as PyTorch's flash kernel: some keys at a time, weights relative to the largest score so far,
/// which are rounded before the product with the values and divided by their sum in the end.
template <class Half>
Result attend_rounded(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask, bool is_causal,
                      double scale) {
    const Heads<float> q(query), k(key), v(value);
    const std::int64_t batches = query.size(0), heads = query.size(1), length = query.size(2), source = key.size(2);
    const std::int64_t depth = query.size(3);
    Tensor out = Tensor::empty_like(query, DType::Float32);
    if (out.stride(3) != 1) out = Tensor::empty(query.shape(), DType::Float32);
    Tensor logsumexp = Tensor::empty({batches, length, heads}, DType::Float32).transpose(1, 2);
    const Scores<float> rules{static_cast<float>(scale), additive_mask<float>(mask, {batches, heads, length, source}),
                              is_causal};
    constexpr float lowest = -std::numeric_limits<float>::infinity();

    constexpr std::int64_t keys = 512, lanes = 8;  // of PyTorch's kernel
    const std::int64_t rows = length >= 768 ? 256 : length >= 192 ? 64 : 32;
    const std::int64_t blocks = (length + rows - 1) / rows;
    parallel_for(batches * heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> scores(static_cast<std::size_t>(rows * keys));
        std::vector<float> largest(static_cast<std::size_t>(rows)), total(static_cast<std::size_t>(rows));
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t first = piece % blocks * rows;
            const std::int64_t head = piece / blocks % heads, batch = piece / blocks / heads;
            const std::int64_t count = std::min(rows, length - first);
            const std::int64_t visible = is_causal ? std::min(source, first + count) : source;
            float* o = out.data<float>() + batch * out.stride(0) + head * out.stride(1) + first * out.stride(2);
            std::fill(largest.begin(), largest.end(), lowest);
            std::fill(total.begin(), total.end(), 0.0F);
            for (std::int64_t at = 0; at < visible; at += keys) {
                const std::int64_t n = std::min(keys, visible - at);
                backend::gemm(false, true, count, n, depth, q.at(batch, head, first), q.ld(), k.at(batch, head, at),
                              k.ld(), 0.0F, scores.data(), n);
                for (std::int64_t i = 0; i < count; ++i) {
                    float* row = scores.data() + i * n;
                    const auto r = static_cast<std::size_t>(i);
                    rules.finish(row, batch, head, first + i, at, n);
                    const float top = std::max(largest[r], max_of(row, n));
                    if (top == lowest) {
                        std::fill(row, row + n, 0.0F);
                        continue;
                    }
                    float sum = 0;
                    const std::int64_t whole = n / lanes * lanes;
                    const auto weigh = [&](std::int64_t from, std::int64_t to, auto exp) {
#pragma omp simd reduction(+ : sum)
                        for (std::int64_t j = from; j < to; ++j) {
                            const float weight = exp(row[j] - top);
                            sum += weight;
                            row[j] = static_cast<float>(static_cast<Half>(weight));
                        }
                    };
                    weigh(0, whole, [](float x) { return fast_exp(x); });
                    weigh(whole, n, [](float x) { return vmath::exp(x); });
                    const float before = std::exp(largest[r] - top);
                    total[r] = sum + before * total[r];
                    largest[r] = top;
                    if (at > 0)
                        for (std::int64_t c = 0; c < depth; ++c) o[i * out.stride(2) + c] *= before;
                }
                backend::gemm(false, false, count, depth, n, scores.data(), n, v.at(batch, head, at), v.ld(),
                              at == 0 ? 0.0F : 1.0F, o, out.stride(2));
            }
            for (std::int64_t i = 0; i < count; ++i) {
                const auto r = static_cast<std::size_t>(i);
                const float inverse = 1 / (total[r] == 0 ? 1 : total[r]);
                for (std::int64_t c = 0; c < depth; ++c) o[i * out.stride(2) + c] *= inverse;
                logsumexp.data<float>()[(batch * length + first + i) * heads + head] =
                    total[r] == 0 ? 0 : largest[r] + std::log(total[r]);
            }
        }
    });
    return {out, logsumexp};
}

/// Any number of leading dimensions, broadcast, as [batch, heads, rows, columns].
Tensor to_heads(const Tensor& t, const Ints& leading) {
    Ints shape = leading;
    shape.push_back(t.size(-2));
    shape.push_back(t.size(-1));
    Tensor x = t.expand(shape);
    while (x.dim() < 4) x = x.unsqueeze(0);
    if (x.dim() > 4)
        x = x.reshape({numel_of(std::span(leading).first(leading.size() - 1)), leading.back(), t.size(-2), t.size(-1)});
    return x;
}

/// Repeats every head of `t` so that there are `heads` (grouped query attention), as a view where possible.
Tensor repeat_heads(const Tensor& t, std::int64_t heads) {
    const std::int64_t own = t.size(-3);
    if (own == heads) return t;
    if (own == 0 || heads % own != 0)
        throw ArgumentError("scaled_dot_product_attention: the number of heads in key and value (" +
                            std::to_string(own) + ") must divide the number of heads in query (" +
                            std::to_string(heads) + ")");
    Ints shape = t.shape();
    const auto at = shape.end() - 2;
    shape.insert(at, heads / own);
    const Tensor expanded = t.unsqueeze(-3).expand(shape);
    Ints merged = t.shape();
    merged[merged.size() - 3] = heads;
    return expanded.reshape(merged);
}

/// The textbook form, which keeps the weights: softmax(scale · q kᵀ + mask) v, and the weights. `keep` (or undefined)
/// says which weights dropout leaves; those are divided by 1 - p. Rows that are masked out entirely are zeros.
std::tuple<Tensor, Tensor> weigh(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                                 bool is_causal, double scale, double dropout_p, const Tensor& keep) {
    return visit_float(query.dtype(), "scaled_dot_product_attention", [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()); };
        const C factor = static_cast<C>(scale);
        Tensor scores = elementwise<C>(
            dtype_of<C>(), [factor](C v) { return v * factor; }, matmul(plain(query), plain(key).transpose(-2, -1)));
        if (mask.defined() && mask.dtype() == DType::Bool)
            scores = elementwise<C>(
                dtype_of<C>(), [](C v, C m) { return m != 0 ? v : v - std::numeric_limits<C>::infinity(); }, scores,
                mask);
        else if (mask.defined())
            scores = elementwise<C>(
                dtype_of<C>(), [](C v, C m) { return v + m; }, scores, mask);
        scores = scores.contiguous();
        const std::int64_t columns = scores.size(-1);
        const std::int64_t length = scores.size(-2);
        const std::int64_t rows = columns == 0 ? 0 : scores.numel() / columns;
        for (std::int64_t i = 0; i < rows; ++i) {
            C* row = scores.data<C>() + i * columns;
            if (is_causal)
                for (std::int64_t j = i % length + 1; j < columns; ++j) row[j] -= std::numeric_limits<C>::infinity();
            if (std::all_of(row, row + columns, [](C v) { return v == -std::numeric_limits<C>::infinity(); }))
                std::fill(row, row + columns, C(0));
            else
                softmax_row(row, row, columns);
        }
        Tensor kept = scores;
        if (keep.defined()) {
            const C gain = dropout_p < 1 ? C(1 / (1 - dropout_p)) : C(0);
            kept = elementwise<C>(
                dtype_of<C>(), [gain](C v, C k) { return k != 0 ? v * gain : C(0); }, scores, keep);
        }
        return std::tuple(matmul(kept, plain(value)).to(query.dtype()), kept.to(query.dtype()));
    });
}

void check_attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask, double dropout_p,
                     bool is_causal) {
    constexpr const char* op = "scaled_dot_product_attention";
    for (const Tensor* t : {&query, &key, &value})
        if (t->dim() < 2)
            throw ArgumentError(std::string(op) + ": query, key and value need at least 2 dimensions, found shape " +
                                to_string(t->shape()));
    if (query.dtype() != key.dtype() || query.dtype() != value.dtype())
        throw ArgumentError(std::string(op) + ": query, key and value must have the same dtype, found " +
                            std::string(name(query.dtype())) + ", " + std::string(name(key.dtype())) + " and " +
                            std::string(name(value.dtype())));
    if (query.size(-1) != key.size(-1) || key.size(-2) != value.size(-2))
        throw ArgumentError(std::string(op) + ": shapes " + to_string(query.shape()) + ", " + to_string(key.shape()) +
                            " and " + to_string(value.shape()) + " do not fit");
    if (mask.defined() && is_causal)
        throw ArgumentError(std::string(op) + ": attn_mask must be None when is_causal is True");
    if (!(dropout_p >= 0 && dropout_p <= 1))
        throw ArgumentError(std::string(op) + ": expected 'dropout_p' between 0 and 1, found " +
                            std::to_string(dropout_p));
}

Result attention(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask, bool is_causal,
                 std::optional<double> scale, bool enable_gqa, bool is_flash) {
    constexpr const char* op = "scaled_dot_product_attention";

    Tensor k = key;
    Tensor v = value;
    if (enable_gqa) {
        k = repeat_heads(k, query.size(-3));
        v = repeat_heads(v, query.size(-3));
    }
    const auto lead = [](const Tensor& t) { return std::span(t.shape()).first(t.shape().size() - 2); };
    const Ints leading = broadcast_shapes(broadcast_shapes(lead(query), lead(k)), lead(v));
    Tensor m = mask;
    if (m.defined()) {
        Ints shape = leading;
        shape.push_back(query.size(-2));
        shape.push_back(key.size(-2));
        m = with_context(std::string(op) + ": attn_mask", [&] { return m.expand(shape); });
        m = to_heads(m, leading);
    }
    const double factor = scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
    // PyTorch's choice of its flash kernel.
    const auto is_whole = [&](const Tensor& t) {
        return t.dim() == 4 && std::ranges::equal(lead(t), leading) && (is_flash || t.stride(-1) == 1);
    };
    const bool rounded = is_half(query.dtype()) && is_whole(query) && is_whole(k) && is_whole(v) &&
                         query.size(-1) == value.size(-1) && query.numel() > 0 && key.size(-2) > 0 &&
                         (is_flash || !mask.defined() || mask.dim() == 0 || mask.stride(-1) == 1);
    const auto stepwise = [&]<class Half>(Half) {
        return attend_rounded<Half>(query, to_heads(k, leading), to_heads(v, leading), m, is_causal, factor);
    };
    Result result = visit_float(query.dtype(), op, [&]<class C>(C) {
        if (rounded) return query.dtype() == DType::Float16 ? stepwise(Float16{}) : stepwise(BFloat16{});
        return attend<C>(to_heads(query, leading), to_heads(k, leading), to_heads(v, leading), m, is_causal, factor,
                         is_flash);
    });
    Ints shape = leading;
    shape.push_back(query.size(-2));
    shape.push_back(value.size(-1));
    if (leading.size() != 2) result.output = result.output.reshape(shape);
    result.output = result.output.to(query.dtype());
    return result;
}

double scale_of(const Tensor& query, std::optional<double> scale) {
    return scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
}

/// With dropout the weights must be seen.
std::tuple<Tensor, Tensor> attention_math(Context& context, const Tensor& query, const Tensor& key, const Tensor& value,
                                          const Tensor& attn_mask, double dropout_p, bool is_causal,
                                          const Tensor& dropout_mask, std::optional<double> scale, bool enable_gqa) {
    check_attention(query, key, value, attn_mask, dropout_p, is_causal);
    const Tensor k = enable_gqa ? repeat_heads(key, query.size(-3)) : key;
    const Tensor v = enable_gqa ? repeat_heads(value, query.size(-3)) : value;
    Tensor keep = dropout_mask;
    if (!keep.defined() && dropout_p > 0) {
        const auto lead = [](const Tensor& t) { return std::span(t.shape()).first(t.shape().size() - 2); };
        Ints shape = broadcast_shapes(lead(query), lead(k));
        shape.push_back(query.size(-2));
        shape.push_back(key.size(-2));
        keep = Tensor::empty(shape, DType::Bool);
        fill_bernoulli(context, keep, 1 - dropout_p);
    }
    return weigh(query, k, v, attn_mask, is_causal, scale_of(query, scale), dropout_p, keep);
}

/// The op as PyTorch has it: a bool mask is added like any other.
std::tuple<Tensor, Tensor> attention_math_leaf(Context& context, const Tensor& query, const Tensor& key,
                                               const Tensor& value, const Tensor& attn_mask, double dropout_p,
                                               bool is_causal, const Tensor& dropout_mask, std::optional<double> scale,
                                               bool enable_gqa) {
    const Tensor added = attn_mask.defined() ? attn_mask.to(query.dtype()) : attn_mask;
    return attention_math(context, query, key, value, added, dropout_p, is_causal, dropout_mask, scale, enable_gqa);
}

Tensor scaled_dot_product_attention(Context& context, const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale, bool enable_gqa) {
    if (dropout_p > 0)
        return std::get<0>(
            attention_math(context, query, key, value, attn_mask, dropout_p, is_causal, {}, scale, enable_gqa));
    check_attention(query, key, value, attn_mask, dropout_p, is_causal);
    const Tensor output = attention(query, key, value, attn_mask, is_causal, scale, enable_gqa, false).output;
    return query.dim() == 4 ? output : output.contiguous();
}

std::tuple<Tensor, Tensor> flash_attention_for_cpu(const Tensor& query, const Tensor& key, const Tensor& value,
                                                   double dropout_p, bool is_causal, const Tensor& attn_mask,
                                                   std::optional<double> scale) {
    check_attention(query, key, value, attn_mask, dropout_p, is_causal);
    if (dropout_p > 0)
        throw ArgumentError("_scaled_dot_product_flash_attention_for_cpu: expected 'dropout_p' of 0, found " +
                            std::to_string(dropout_p));
    Result result = attention(query, key, value, attn_mask, is_causal, scale, false, true);
    return {result.output, result.logsumexp};
}

}  // namespace

void register_attention(Registry& r) {
    r.add(
        "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float "
        "dropout_p=0.0, "
        "bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
        scaled_dot_product_attention);
    r.add(
        "_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, "
        "bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor logsumexp)",
        flash_attention_for_cpu);
    r.add(
        "_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float "
        "dropout_p=0., bool is_causal=False, Tensor? dropout_mask=None, *, float? scale=None, bool enable_gqa=False) "
        "-> (Tensor, Tensor)",
        attention_math_leaf);
}

}  // namespace torch_ir::kernels
