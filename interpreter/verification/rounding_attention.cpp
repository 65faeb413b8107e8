// SPDX-License-Identifier: MIT
// Rounding of attention: of the scores, through softmax, and of the second product.
#include <limits>
#include <vector>

#include "verification/rounding_dot.hpp"

namespace torch_ir::detail {
namespace {

constexpr DType wide = DType::Float64;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// What is added to the scores: undefined, or float64 of a shape that broadcasts to them.
Tensor additive(Tensor mask) {
    if (!mask.defined() || mask.dtype() != DType::Bool) return mask.defined() ? mask.to(wide) : mask;
    mask = mask.contiguous();
    Tensor result = Tensor::zeros(mask.shape(), wide);
    for (std::int64_t i = 0; i < mask.numel(); ++i) result.data<double>()[i] = mask.data<bool>()[i] ? 0 : -infinity;
    return result;
}

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
        for (auto* list : {&score_, &partial_, &weight_}) list->resize(static_cast<std::size_t>(scores));
        for (auto* list : {&squares_, &plain_, &squared_, &moved_, &reach_})
            list->resize(static_cast<std::size_t>(scores));
        for (auto* list : {&of_products_, &of_weights_, &most_, &total_})
            list->resize(static_cast<std::size_t>(results));
        order_.resize(static_cast<std::size_t>(results));
        const bool ordered = h.depth >= fewest_terms;
        add_products(true, h.rows, h.keys, h.depth, h.query, h.depth, h.key, h.depth, score_.data(),
                     ordered ? partial_.data() : nullptr, h.keys);
        backend::gemm(false, true, h.rows, h.keys, h.depth, h.query_squares, h.depth, h.key_squares, h.depth, 0,
                      squares_.data(), h.keys);
        spread_.assign(static_cast<std::size_t>(h.rows), 0);
        limit_.assign(static_cast<std::size_t>(h.rows), 0);
        empty_.assign(static_cast<std::size_t>(h.rows), 0);
        for (std::int64_t i = 0; i < h.rows; ++i) weigh(h, i, ordered, extra);

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
        for (std::int64_t i = 0; i < h.rows; ++i)
            for (std::int64_t d = 0; d < h.width; ++d) {
                const std::int64_t to = i * h.width + d;
                const auto at = static_cast<std::size_t>(to);
                const auto row = static_cast<std::size_t>(i);
                if (empty_[row]) y[to] = 0;  // PyTorch gives zeros for a row that may look at nothing
                const double out = y[to];
                const double squares = of_products_[at] * h.value_unit;
                const double product =
                    p_.u * p_.u * sum_variance(count, out, squares, out, long_rows ? order_[at] : 0) +
                    2 * p_.operand * p_.operand / 3 * squares;
                const double inherited = p_.u * p_.u * (of_weights_[at] * h.value_unit + spread_[row] * out * out);
                const Rounded rounded =
                    p_.rounded(out, inherited + product,
                               p_.u * (most_[at] + limit_[row] * std::fabs(out)) +
                                   (count * p_.u + 2 * p_.operand) * static_cast<double>(total_[at]));
                sigma[to] = rounded.sigma;
                bound[to] = rounded.bound;
            }
    }

  private:
    /// The weights of row `i` and, in units of u, what rounding does to them.
    template <class X, class Extra>
    void weigh(const Head<X>& h, std::int64_t i, bool ordered, Extra extra) {
        const auto row = static_cast<std::size_t>(i);
        const auto count = static_cast<double>(h.keys);
        const auto terms = static_cast<double>(h.depth);
        const double u = p_.u;
        double* score = score_.data() + i * h.keys;
        double top = -infinity;
        for (std::int64_t j = 0; j < h.keys; ++j) {
            weight_[static_cast<std::size_t>(i * h.keys + j)] = score[j];  // before scale and mask
            score[j] = score[j] * scale_ + extra(i, j);
            top = std::max(top, score[j]);
        }
        empty_[row] = top == -infinity;
        double sum = 0;
        for (std::int64_t j = 0; j < h.keys && top != -infinity; ++j) sum += std::exp(score[j] - top);
        for (std::int64_t j = 0; j < h.keys; ++j) {
            const auto at = static_cast<std::size_t>(i * h.keys + j);
            const double dot = weight_[at];
            if (empty_[row] || score[j] == -infinity) {
                weight_[at] = 0;
                plain_[at] = squared_[at] = moved_[at] = reach_[at] = 0;
                continue;
            }
            const double squares = squares_[at] * h.score_unit;
            const double operand = p_.operand / u;
            const double stored = p_.stored / u;
            const double below = top - score[j];
            const double size = std::fabs(score[j]);
            const double variance = (sum_variance(terms, dot, squares, dot, ordered ? partial_[at] : 0) +
                                     2 * operand * operand / 3 * squares) *
                                        scale_ * scale_ +
                                    4 + below * below + size * size + count / 9 +
                                    stored * stored / 3 * (1 + size * size);
            const double most = (terms + 2 * operand) * std::sqrt(terms * squares) * std::fabs(scale_) + 4 + 2 * below +
                                2 * size + count + stored * (1 + size);
            const double w = std::exp(score[j] - top) / sum;
            weight_[at] = w;
            plain_[at] = static_cast<float>(w);
            squared_[at] = static_cast<float>(w * w);
            moved_[at] = static_cast<float>(w * w * variance);
            reach_[at] = static_cast<float>(w * most);
            spread_[row] += w * w * variance;
            limit_[row] += w * most;
        }
    }

    const double* widened(const double* values, std::int64_t) { return values; }
    const double* widened(const float* values, std::int64_t n) {
        wide_.assign(values, values + n);
        return wide_.data();
    }

    const Precision& p_;
    double scale_;
    std::vector<double> score_, partial_, weight_, order_, spread_, limit_, wide_;
    std::vector<float> squares_, plain_, squared_, moved_, reach_, of_products_, of_weights_, most_, total_;
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
    Tensor mask = additive(call.tensor(call.find("attn_mask") ? "attn_mask" : "mask"));
    Ints shape = batch;
    shape.insert(shape.end(), {heads, rows, width});
    if (mask.defined()) {
        Ints scores = batch;
        scores.insert(scores.end(), {heads, rows, keys});
        mask = mask.expand(scores);
    }
    const double scale_q = scale_of(q);
    const double scale_k = scale_of(k);
    const double scale_v = scale_of(v);
    const Tensor q_squares = squared(q, scale_q);
    const Tensor k_squares = squared(k, scale_k);
    const Tensor v_squares = squared(v, scale_v);
    const Tensor v_sizes = elementwise<float>(
        DType::Float32, [](float x) { return std::fabs(x); }, v);
    result = {Tensor::empty(shape, wide), Tensor::empty(shape, p.dtype), Tensor::empty(shape, p.dtype)};
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
                const auto keep = [&](const Tensor& tensor, const std::vector<double>& values) {
                    store(tensor.dtype(),
                          tensor.raw() + row * width * static_cast<std::int64_t>(item_size(tensor.dtype())), 1,
                          Compute::Double, values.data(), count * width);
                };
                keep(result.sigma, sigma);
                keep(result.bound, bound);
            }
        });
    });
    return true;
}

}  // namespace torch_ir::detail
