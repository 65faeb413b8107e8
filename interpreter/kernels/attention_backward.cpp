// SPDX-License-Identifier: MIT
// Gradients of scaled dot product attention from its result and logsumexp: the weights are computed again, a block of
// query rows at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "backend/gemm.hpp"
#include "convert.hpp"
#include "kernels/attention.hpp"
#include "kernels/families.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;

struct HeadSizes {
    std::int64_t batches;
    std::int64_t heads;
    std::int64_t length;
    std::int64_t depth;
    std::int64_t key_heads;  // each serves heads / key_heads heads of the query
    std::int64_t source;
    std::int64_t depth_v;
};

/// What a call gets, as rows of the compute type.
struct Inputs {
    Tensor grad;  // [batches, heads, length, depth_v]
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor out;
    Tensor logsumexp;  // [batches, heads, length]
    Tensor mask;       // expanded to [batches, heads, length, source], or undefined
};

/// A matrix in the middle of a tensor.
template <class C>
struct Block {
    C* data;
    std::int64_t ld;
};
template <class C>
Block<C> block_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) {
    // The stride of a dimension of one element may be anything.
    return {t.data<C>() + batch * t.stride(0) + head * t.stride(1) + row * t.stride(2),
            std::max(t.stride(2), t.size(3))};
}

/// exp(scale · score + mask - logsumexp) in place: the row of weights of one query.
template <class C>
void weights_row(C* row, std::int64_t n, C scale, const C* mask, std::int64_t mask_stride, C logsumexp) {
    for (std::int64_t j = 0; j < n; ++j) {
        const C score = row[j] * scale + (mask ? mask[j * mask_stride] : C(0));
        // A row that is masked out entirely has a logsumexp of -inf, too.
        row[j] = score == -std::numeric_limits<C>::infinity() ? C(0) : vmath::exp(score - logsumexp);
    }
}

/// Adds what one head of the query contributes; only this call writes to its gradients.
template <class C>
void add_head(const Inputs& in, const HeadSizes& s, std::int64_t batch, std::int64_t head, bool is_causal, C scale,
              const Three& grads) {
    constexpr std::int64_t rows = 128;
    const std::int64_t own = head / (s.heads / s.key_heads);
    const Block<C> k = block_of<C>(in.key, batch, own, 0);
    const Block<C> v = block_of<C>(in.value, batch, own, 0);
    const Block<C> dk = block_of<C>(std::get<1>(grads), batch, own, 0);
    const Block<C> dv = block_of<C>(std::get<2>(grads), batch, own, 0);
    std::vector<C> weights(static_cast<std::size_t>(std::min(rows, s.length) * s.source));
    std::vector<C> slopes(weights.size());
    for (std::int64_t first = 0; first < s.length; first += rows) {
        const std::int64_t count = std::min(rows, s.length - first);
        const std::int64_t visible = is_causal ? std::min(s.source, first + count) : s.source;
        const Block<C> q = block_of<C>(in.query, batch, head, first);
        const Block<C> g = block_of<C>(in.grad, batch, head, first);
        const Block<C> o = block_of<C>(in.out, batch, head, first);
        const Block<C> dq = block_of<C>(std::get<0>(grads), batch, head, first);
        backend::gemm(false, true, count, visible, s.depth, q.data, q.ld, k.data, k.ld, C(0), weights.data(), visible);
        for (std::int64_t i = 0; i < count; ++i) {
            C* row = weights.data() + i * visible;
            const C* mask = in.mask.defined() ? block_of<C>(in.mask, batch, head, first + i).data : nullptr;
            weights_row(row, visible, scale, mask, mask ? in.mask.stride(3) : 0,
                        in.logsumexp.data<C>()[(batch * s.heads + head) * s.length + first + i]);
            if (is_causal) std::fill(row + std::min(visible, first + i + 1), row + visible, C(0));
        }
        backend::gemm(true, false, visible, s.depth_v, count, weights.data(), visible, g.data, g.ld, C(1), dv.data,
                      dv.ld);
        backend::gemm(false, true, count, visible, s.depth_v, g.data, g.ld, v.data, v.ld, C(0), slopes.data(), visible);
        for (std::int64_t i = 0; i < count; ++i) {
            C total = 0;  // Σ weight · slope of the row
            for (std::int64_t e = 0; e < s.depth_v; ++e) total += g.data[i * g.ld + e] * o.data[i * o.ld + e];
            for (std::int64_t j = i * visible; j < (i + 1) * visible; ++j) {
                const auto at = static_cast<std::size_t>(j);
                slopes[at] = weights[at] == C(0) ? C(0) : scale * weights[at] * (slopes[at] - total);
            }
        }
        backend::gemm(false, false, count, s.depth, visible, slopes.data(), visible, k.data, k.ld, C(0), dq.data,
                      dq.ld);
        backend::gemm(true, false, visible, s.depth, count, slopes.data(), visible, q.data, q.ld, C(1), dk.data, dk.ld);
    }
}

/// Zeros [batch, heads, rows, columns], laid out as PyTorch's: with the heads of a row side by side.
Tensor zeros_by_row(std::int64_t batches, std::int64_t heads, std::int64_t rows, std::int64_t columns, DType dtype) {
    return Tensor::zeros({batches, rows, heads, columns}, dtype).transpose(1, 2);
}

template <class C>
Three gradients(const Inputs& inputs, const HeadSizes& s, bool is_causal, double scale) {
    const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
    const Inputs in{plain(inputs.grad), plain(inputs.query),     plain(inputs.key), plain(inputs.value),
                    plain(inputs.out),  plain(inputs.logsumexp), inputs.mask};
    Three grads{zeros_by_row(s.batches, s.heads, s.length, s.depth, dtype_of<C>()),
                zeros_by_row(s.batches, s.key_heads, s.source, s.depth, dtype_of<C>()),
                zeros_by_row(s.batches, s.key_heads, s.source, s.depth_v, dtype_of<C>())};
    if (s.depth == 0 || s.depth_v == 0 || s.source == 0 || s.length == 0 || s.heads == 0) return grads;
    const std::int64_t sharing = s.heads / s.key_heads;
    parallel_for(s.batches * s.key_heads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t piece = begin; piece < end; ++piece)
            for (std::int64_t i = 0; i < sharing; ++i)
                add_head<C>(in, s, piece / s.key_heads, piece % s.key_heads * sharing + i, is_causal,
                            static_cast<C>(scale), grads);
    });
    return grads;
}

/// 2-d masks are of every head, 4-d ones broadcast; those of bools say what is kept.
template <class C>
Tensor expanded_mask(const std::string& op, const Tensor& mask, const HeadSizes& s) {
    if (!mask.defined()) return {};
    const Ints shape{s.batches, s.heads, s.length, s.source};
    bool fits = mask.dim() == 2 || mask.dim() == 4;
    for (std::int64_t d = 1; fits && d <= mask.dim(); ++d)
        fits = mask.size(-d) == 1 || mask.size(-d) == shape[static_cast<std::size_t>(4 - d)];
    if (!fits)
        throw ArgumentError(op + ": 'attn_mask' " + describe(mask) + " does not broadcast to " + to_string(shape));
    return additive_mask<C>(mask, shape);
}

Three flash_attention_for_cpu_backward(const Tensor& grad_out, const Tensor& query, const Tensor& key,
                                       const Tensor& value, const Tensor& out, const Tensor& logsumexp,
                                       double dropout_p, bool is_causal, const Tensor& attn_mask,
                                       std::optional<double> scale) {
    const std::string op = "_scaled_dot_product_flash_attention_for_cpu_backward";
    if (dropout_p != 0) throw ArgumentError(op + ": expected 'dropout_p' of 0, found " + std::to_string(dropout_p));
    if (query.dim() != 4) throw ArgumentError(op + ": expected 'query' of 4 dimensions, found " + describe(query));
    if (key.dim() != 4 || key.size(0) != query.size(0) || key.size(3) != query.size(3) || key.dtype() != query.dtype())
        throw ArgumentError(op + ": 'key' " + describe(key) + " does not fit 'query' " + describe(query));
    if (value.dim() != 4 || value.size(0) != query.size(0) || value.size(1) != key.size(1) ||
        value.size(2) != key.size(2) || value.dtype() != query.dtype())
        throw ArgumentError(op + ": 'value' " + describe(value) + " does not fit 'key' " + describe(key));
    const HeadSizes s{query.size(0), query.size(1), query.size(2), query.size(3),
                      key.size(1),   key.size(2),   value.size(3)};
    if (s.key_heads == 0 ? s.heads != 0 : s.heads % s.key_heads != 0)
        throw ArgumentError(op + ": the heads of 'key' (" + std::to_string(s.key_heads) +
                            ") must divide those of 'query' (" + std::to_string(s.heads) + ")");
    const Ints expected{s.batches, s.heads, s.length, s.depth_v};
    for (const auto& [argument, t] : {std::pair("grad_out", &grad_out), std::pair("out", &out)})
        if (t->shape() != expected)
            throw ArgumentError(op + ": expected '" + argument + "' of shape " + to_string(expected) + ", found " +
                                describe(*t));
    const Ints rows{s.batches, s.heads, s.length};
    if (logsumexp.shape() != rows)
        throw ArgumentError(op + ": expected 'logsumexp' of shape " + to_string(rows) + ", found " +
                            describe(logsumexp));
    const double factor = scale.value_or(1 / std::sqrt(static_cast<double>(s.depth)));
    return visit_float(query.dtype(), op.c_str(), [&]<class C>(C) {
        const Tensor mask = expanded_mask<C>(op, attn_mask, s);
        const auto [dq, dk, dv] =
            gradients<C>({grad_out, query, key, value, out, logsumexp, mask}, s, is_causal, factor);
        return Three(dq.to(query.dtype()), dk.to(query.dtype()), dv.to(query.dtype()));
    });
}

}  // namespace

void register_attention_backward(Registry& r) {
    r.add(
        "_scaled_dot_product_flash_attention_for_cpu_backward(Tensor grad_out, Tensor query, Tensor key, Tensor value, "
        "Tensor out, Tensor logsumexp, float dropout_p, bool is_causal, *, Tensor? attn_mask=None, float? scale=None) "
        "-> (Tensor grad_query, Tensor grad_key, Tensor grad_value)",
        flash_attention_for_cpu_backward);
}

}  // namespace torch_ir::kernels
