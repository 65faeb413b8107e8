// SPDX-License-Identifier: MIT
// Rounding of attention: of the scores, through softmax, and of the second product.
#include <limits>
#include <vector>

#include "kernels/attention.hpp"
#include "verification/rounding_dot.hpp"

namespace torch_ir::detail {
namespace {

/// One piece of work: some rows of one head.
template <class X>
struct Head {
    std::int64_t rows, keys, depth, width;
    const X* query;
    const X* key;
    const X* value;
    const float* query_squares;
    const float* key_squares;
    const float* value_squares;
    const float* value_sizes;
    double score_unit;  // of the products of squares
    double value_unit;  // of value_squares
};

class Attention {
  public:
    Attention(const Precision& p, double scale) : p_(p), scale_(scale) {}

    /// `extra(i, j)` is added to a score. y, sigma and bound are row-major [rows, width].
    template <class X, class Extra>
    void run(const Head<X>& h, Extra extra, double* y, double* sigma, double* bound) {
        const std::int64_t scores = h.rows * h.keys;
        const std::int64_t results = h.rows * h.width;
        for (auto* list : {&score_, &weight_}) list->resize(static_cast<std::size_t>(scores));
        partial_.assign(static_cast<std::size_t>(scores), 0);
        for (auto* list : {&plain_, &squared_, &moved_, &reach_}) list->resize(static_cast<std::size_t>(scores));
        for (auto* list : {&of_products_, &of_weights_, &most_, &total_})
            list->resize(static_cast<std::size_t>(results));
        order_.assign(static_cast<std::size_t>(results), 0);
        const bool ordered = h.depth >= fewest_terms;
        add_products(true, h.rows, h.keys, h.depth, h.query, h.depth, h.key, h.depth, score_.data(),
                     ordered ? partial_.data() : nullptr, h.keys);
        backend::gemm(false, true, h.rows, h.keys, h.depth, h.query_squares, h.depth, h.key_squares, h.depth, 0,
                      squared_.data(), h.keys);
        spread_.assign(static_cast<std::size_t>(h.rows), 0);
        limit_.assign(static_cast<std::size_t>(h.rows), 0);
        empty_.assign(static_cast<std::size_t>(h.rows), 0);
        for (std::int64_t i = 0; i < h.rows; ++i) weigh(h, i, extra);

        const bool long_rows = h.keys >= fewest_terms;
        add_products(false, h.rows, h.width, h.keys, weight_.data(), h.keys, widened(h.value, h.keys * h.width),
                     h.width, y, long_rows ? order_.data() : nullptr, h.width);
        const auto times = [&](const std::vector<float>& weights, const float* values, std::vector<float>& result) {
            backend::gemm(false, false, h.rows, h.width, h.keys, weights.data(), h.keys, values, h.width, 0,
                          result.data(), h.width);
        };
        times(squared_, h.value_squares, of_products_);
        times(moved_, h.value_squares, of_weights_);
        times(reach_, h.value_sizes, most_);
        times(plain_, h.value_sizes, total_);
        const auto count = static_cast<double>(h.keys);
        const double u = p_.u;
        const double operand = p_.operand;
        const double unit = h.value_unit;
        const Precision precision = p_;
        for (std::int64_t i = 0; i < h.rows; ++i) {
            const auto row = static_cast<std::size_t>(i);
            double* out = y + i * h.width;
            if (empty_[row]) std::fill_n(out, h.width, 0.0);  // PyTorch gives zeros for a row that may look at nothing
            const double spread = spread_[row];
            const double limit = limit_[row];
            const auto first = row * static_cast<std::size_t>(h.width);
            const float* of_products = of_products_.data() + first;
            const float* of_weights = of_weights_.data() + first;
            const float* most = most_.data() + first;
            const float* total = total_.data() + first;
            const double* order = order_.data() + first;
            double* row_sigma = sigma + first;
            double* row_bound = bound + first;
#pragma GCC ivdep
            for (std::int64_t d = 0; d < h.width; ++d) {
                const double squares = of_products[d] * unit;
                const double variance = u * u * sum_variance(count, out[d], squares, out[d], order[d]) +
                                        2 * operand * operand / 3 * squares +
                                        u * u * (of_weights[d] * unit + spread * out[d] * out[d]);
                const Rounded rounded =
                    precision.rounded(out[d], variance,
                                      u * (most[d] + limit * std::fabs(out[d])) +
                                          (count * u + 2 * operand) * static_cast<double>(total[d]));
                row_sigma[d] = rounded.sigma;
                row_bound[d] = rounded.bound;
            }
        }
    }

  private:
    /// The weights of row `i` and, in units of u, what rounding does to them.
    template <class X, class Extra>
    void weigh(const Head<X>& h, std::int64_t i, Extra extra) {
        const auto row = static_cast<std::size_t>(i);
        const auto count = static_cast<double>(h.keys);
        const auto terms = static_cast<double>(h.depth);
        const double u = p_.u;
        const auto first = static_cast<std::size_t>(i * h.keys);
        double* score = score_.data() + first;
        double* weight = weight_.data() + first;
        const double* partial = partial_.data() + first;
        float* squared = squared_.data() + first;  // squares of the products; then of the weights
        double top = -infinity;
        for (std::int64_t j = 0; j < h.keys; ++j) {
            weight[j] = score[j];  // before scale and mask
            score[j] = score[j] * scale_ + extra(i, j);
            top = score[j] > top ? score[j] : top;
        }
        empty_[row] = top == -infinity;
        if (empty_[row]) {
            std::fill_n(weight, h.keys, 0.0);
            for (auto* list : {&plain_, &squared_, &moved_, &reach_}) std::fill_n(list->data() + first, h.keys, 0.0F);
            return;
        }
        const double unit = h.score_unit;
        const double operand = p_.operand / u;
        const double stored = p_.stored / u;
        const double scale = scale_;
        float* plain = plain_.data() + first;
        float* moved = moved_.data() + first;
        float* reach = reach_.data() + first;
#pragma GCC ivdep
        for (std::int64_t j = 0; j < h.keys; ++j) {
            const double squares = squared[j] * unit;
            const bool hidden = score[j] == -infinity;
            const double below = hidden ? 0 : top - score[j];
            const double size = hidden ? 0 : std::fabs(score[j]);
            const double dot = weight[j];
            const double variance =
                (sum_variance(terms, dot, squares, dot, partial[j]) + 2 * operand * operand / 3 * squares) * scale *
                    scale +
                4 + below * below + size * size + stored * stored / 3 * (1 + size * size);
            const double most = (terms + 2 * operand) * std::sqrt(terms * squares) * std::fabs(scale) + 4 + 2 * below +
                                2 * size + count + stored * (1 + size);
            moved[j] = static_cast<float>(variance);
            reach[j] = static_cast<float>(most);
        }
        double sum = 0;
        for (std::int64_t j = 0; j < h.keys; ++j)
            sum += weight[j] = score[j] == -infinity ? 0 : std::exp(score[j] - top);
        double spread = 0;
        double limit = 0;
        double weight_squares = 0;
        for (std::int64_t j = 0; j < h.keys; ++j) {
            const double w = weight[j] / sum;
            weight[j] = w;
            plain[j] = static_cast<float>(w);
            squared[j] = static_cast<float>(w * w);
            moved[j] = static_cast<float>(w * w * moved[j]);
            reach[j] = static_cast<float>(w * reach[j]);
            spread += moved[j];
            limit += reach[j];
            weight_squares += w * w;
        }
        // All weights are divided by the same sum.
        spread_[row] = spread + sum_variance(count, 1, weight_squares, 1);
        limit_[row] = limit;
    }

    const double* widened(const double* values, std::int64_t) { return values; }
    const double* widened(const float* values, std::int64_t n) {
        wide_.assign(values, values + n);
        return wide_.data();
    }

    const Precision& p_;
    double scale_;
    std::vector<double> score_, partial_, weight_, order_, spread_, limit_, wide_;
    std::vector<float> plain_, squared_, moved_, reach_, of_products_, of_weights_, most_, total_;
    std::vector<char> empty_;
};

}  // namespace

bool attention_spread(const OpCall& call, const Precision& p, Spread& result) {
    const std::string name = call.base_name();
    if (name != "scaled_dot_product_attention" && name != "_scaled_dot_product_flash_attention_for_cpu") return false;
    Tensor q = call.tensor("query");
    Tensor k = call.tensor("key");
    Tensor v = call.tensor("value");
    for (const Tensor* tensor : {&q, &k, &v})
        if (!is_floating_point(tensor->dtype()) || tensor->dim() < 3 || tensor->numel() == 0) return false;
    if (call.number("dropout_p", 0) != 0) return false;
    const std::int64_t heads = q.size(-3);
    const std::int64_t kv_heads = k.size(-3);
    if (heads % kv_heads != 0 || v.size(-3) != kv_heads) return false;
    const Ints batch(q.shape().begin(), q.shape().end() - 3);
    for (const Tensor* tensor : {&k, &v})
        if (Ints(tensor->shape().begin(), tensor->shape().end() - 3) != batch) return false;
    const bool in_double = q.dtype() == wide;
    for (Tensor* tensor : {&q, &k, &v}) *tensor = computable(*tensor, in_double).contiguous();
    const std::int64_t rows = q.size(-2);
    const std::int64_t keys = k.size(-2);
    const std::int64_t depth = q.size(-1);
    const std::int64_t width = v.size(-1);
    const double scale = call.number("scale", 1 / std::sqrt(static_cast<double>(depth)));
    const bool causal = call.number("is_causal", 0) != 0;
    Ints shape = batch;
    shape.insert(shape.end(), {heads, rows, width});
    Ints scores = batch;
    scores.insert(scores.end(), {heads, rows, keys});
    const Tensor mask =
        kernels::additive_mask<double>(call.tensor(call.find("attn_mask") ? "attn_mask" : "mask"), scores);
    const double scale_q = scale_of(q);
    const double scale_k = scale_of(k);
    const double scale_v = scale_of(v);
    const Tensor q_squares = squared(q, scale_q);
    const Tensor k_squares = squared(k, scale_k);
    const Tensor v_squares = squared(v, scale_v);
    const Tensor v_sizes = elementwise<float>(
        DType::Float32, [](float x) { return std::fabs(x); }, v);
    result = Spread::room(shape, p);
    constexpr std::int64_t most_rows = 128;
    const std::int64_t blocks = (rows + most_rows - 1) / most_rows;
    visit_float(q.dtype(), "attention_spread", [&]<class X>(X) {
        parallel_for(numel_of(batch) * heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
            Attention attention(p, scale);
            std::vector<double> sigma(static_cast<std::size_t>(most_rows * width));
            std::vector<double> bound(sigma.size());
            for (std::int64_t piece = begin; piece < end; ++piece) {
                const std::int64_t image = piece / blocks;  // batch and head
                const std::int64_t group = image / heads * kv_heads + image % heads / (heads / kv_heads);
                const std::int64_t first = piece % blocks * most_rows;
                const std::int64_t count = std::min(most_rows, rows - first);
                const std::int64_t row = image * rows + first;
                const Head<X> head{count,
                                   keys,
                                   depth,
                                   width,
                                   q.data<X>() + row * depth,
                                   k.data<X>() + group * keys * depth,
                                   v.data<X>() + group * keys * width,
                                   q_squares.data<float>() + row * depth,
                                   k_squares.data<float>() + group * keys * depth,
                                   v_squares.data<float>() + group * keys * width,
                                   v_sizes.data<float>() + group * keys * width,
                                   1 / (scale_q * scale_q * scale_k * scale_k),
                                   1 / (scale_v * scale_v)};
                const double* extra = mask.defined() ? mask.data<double>() : nullptr;
                std::int64_t step = 0;
                std::int64_t row_step = 0;
                if (mask.defined()) {
                    std::int64_t rest = image;
                    for (std::int64_t d = mask.dim() - 3; d >= 0; rest /= mask.size(d--))
                        extra += rest % mask.size(d) * mask.stride(d);
                    step = mask.stride(-1);
                    row_step = mask.stride(-2);
                }
                attention.run(
                    head,
                    [=](std::int64_t i, std::int64_t j) {
                        if (causal && j > first + i) return -infinity;
                        return extra ? extra[(first + i) * row_step + j * step] : 0.0;
                    },
                    result.value.data<double>() + row * width, sigma.data(), bound.data());
                store_at(result.sigma, row * width, sigma.data(), count * width);
                store_at(result.bound, row * width, bound.data(), count * width);
            }
        });
    });
    return true;
}

}  // namespace torch_ir::detail
