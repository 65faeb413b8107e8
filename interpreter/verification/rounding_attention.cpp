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
    const double* value_sizes;  // the largest magnitude of each column
    double score_unit;          // of the products of squares
    double value_unit;          // of value_squares
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
        const std::int64_t groups = group_count(h.keys);
        squared_.resize(static_cast<std::size_t>(scores));
        for (auto* list : {&squares_, &moved_}) list->resize(static_cast<std::size_t>(h.rows * groups));
        for (auto* list : {&of_products_, &of_weights_}) list->resize(static_cast<std::size_t>(results));
        order_.assign(static_cast<std::size_t>(results), 0);
        const bool ordered = h.depth >= fewest_terms;
        for_each_tile(h.rows, h.keys, h.depth,
                      [&](std::int64_t i, std::int64_t rows, std::int64_t j, std::int64_t keys) {
                          const std::int64_t at = i * h.keys + j;
                          add_products(true, rows, keys, h.depth, h.query + i * h.depth, h.depth, h.key + j * h.depth,
                                       h.depth, score_.data() + at, ordered ? partial_.data() + at : nullptr, h.keys);
                      });
        const std::int64_t of_depth = group_count(h.depth);
        backend::gemm(false, true, h.rows, h.keys, of_depth, h.query_squares, of_depth, h.key_squares, of_depth, 0,
                      squared_.data(), h.keys);
        spread_.assign(static_cast<std::size_t>(h.rows), 0);
        limit_.assign(static_cast<std::size_t>(h.rows), 0);
        empty_.assign(static_cast<std::size_t>(h.rows), 0);
        for (std::int64_t i = 0; i < h.rows; ++i) weigh(h, i, extra);

        const bool long_rows = h.keys >= fewest_terms;
        add_products(false, h.rows, h.width, h.keys, weight_.data(), h.keys, widened(h.value, h.keys * h.width),
                     h.width, y, long_rows ? order_.data() : nullptr, h.width);
        const auto times_squares = [&](const std::vector<float>& weights, std::vector<float>& result) {
            backend::gemm(false, false, h.rows, h.width, groups, weights.data(), groups, h.value_squares, h.width, 0,
                          result.data(), h.width);
        };
        times_squares(squares_, of_products_);
        times_squares(moved_, of_weights_);
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
            const double* most = h.value_sizes;
            const double* order = order_.data() + first;
            double* row_sigma = sigma + first;
            double* row_bound = bound + first;
#pragma GCC ivdep
            for (std::int64_t d = 0; d < h.width; ++d) {
                const double squares = of_products[d] * unit;
                const double variance = u * u * sum_variance(count, out[d], squares, out[d], order[d]) +
                                        2 * operand * operand / 3 * squares +
                                        u * u * (of_weights[d] * unit + spread * out[d] * out[d]);
                const Rounded rounded = precision.rounded(
                    out[d], variance, u * limit * (most[d] + std::fabs(out[d])) + (count * u + 2 * operand) * most[d]);
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
        const std::int64_t groups = group_count(h.keys);
        double* score = score_.data() + first;
        double* weight = weight_.data() + first;
        double* partial = partial_.data() + first;  // then what the score may lose at most
        float* squared = squared_.data() + first;   // squares of the products; then the variance of the score
        double top = -infinity;
        for (std::int64_t j = 0; j < h.keys; ++j) {
            weight[j] = score[j];  // before scale and mask
            score[j] = score[j] * scale_ + extra(i, j);
            top = score[j] > top ? score[j] : top;
        }
        empty_[row] = top == -infinity;
        if (empty_[row]) {
            std::fill_n(weight, h.keys, 0.0);
            for (auto* list : {&squares_, &moved_}) std::fill_n(list->data() + i * groups, groups, 0.0F);
            return;
        }
        const double unit = h.score_unit;
        const double operand = p_.operand / u;
        const double stored = p_.stored / u;
        const double scale = scale_;
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
            squared[j] = static_cast<float>(variance);
            partial[j] = most;
        }
        double sum = 0;
        for (std::int64_t j = 0; j < h.keys; ++j)
            sum += weight[j] = score[j] == -infinity ? 0 : std::exp(score[j] - top);
        double spread = 0;
        double limit = 0;
        double weight_squares = 0;
        const std::int64_t size = group_size(h.keys);
        float* squares = squares_.data() + i * groups;
        float* moved = moved_.data() + i * groups;
        for (std::int64_t j = 0; j < h.keys; j += size, ++squares, ++moved) {
            double of_group = 0;
            double moved_of_group = 0;
            for (std::int64_t l = j; l < std::min(j + size, h.keys); ++l) {
                const double w = weight[l] / sum;
                weight[l] = w;
                of_group += w * w;
                moved_of_group += w * w * squared[l];
                limit += w * partial[l];
            }
            *squares = static_cast<float>(of_group);
            *moved = static_cast<float>(moved_of_group);
            spread += moved_of_group;
            weight_squares += of_group;
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

    const Precision p_;
    double scale_;
    std::vector<double> score_, partial_, weight_, order_, spread_, limit_, wide_;
    std::vector<float> squared_, squares_, moved_, of_products_, of_weights_;
    std::vector<char> empty_;
};

}  // namespace

bool attention_spread(const OpCall& call, const Precision& p, Reference& result) {
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
    result.shape = shape;
    result.blocks = [=](const BlockSink& sink) {
        constexpr std::int64_t most_rows = 128;
        const std::int64_t blocks = (rows + most_rows - 1) / most_rows;
        visit_float(q.dtype(), "attention_spread", [&]<class X>(X) {
            const std::int64_t of_depth = group_count(depth);
            const std::int64_t of_keys = group_count(keys);
            const std::int64_t all_keys = numel_of(batch) * kv_heads * keys;
            const Scratch<float> q_squares(numel_of(batch) * heads * rows * of_depth);
            const Scratch<float> k_squares(all_keys * of_depth);
            const Scratch<float> v_squares(numel_of(batch) * kv_heads * of_keys * width);
            std::vector<double> v_sizes(static_cast<std::size_t>(numel_of(batch) * kv_heads * width));
            square_rows(q_squares.data(), q.data<X>(), numel_of(batch) * heads * rows, depth, scale_q, Grouped::Sum);
            square_rows(k_squares.data(), k.data<X>(), all_keys, depth, scale_k, Grouped::Mean);
            for (std::int64_t group = 0; group < numel_of(batch) * kv_heads; ++group) {
                const X* values = v.data<X>() + group * keys * width;
                square_lines(v_squares.data() + group * of_keys * width, values, width, keys, width, scale_v,
                             Grouped::Mean);
                double* sizes = v_sizes.data() + group * width;
                for (std::int64_t j = 0; j < keys; ++j)
                    for (std::int64_t d = 0; d < width; ++d) {
                        const double size = std::fabs(values[j * width + d]);
                        sizes[d] = size > sizes[d] ? size : sizes[d];
                    }
            }
            parallel_for(numel_of(batch) * heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
                Attention attention(p, scale);
                std::vector<double> y(static_cast<std::size_t>(most_rows * width));
                std::vector<double> sigma(y.size());
                std::vector<double> bound(y.size());
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
                                       q_squares.data() + row * of_depth,
                                       k_squares.data() + group * keys * of_depth,
                                       v_squares.data() + group * of_keys * width,
                                       v_sizes.data() + group * width,
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
                        y.data(), sigma.data(), bound.data());
                    sink({row * width, count * width, y.data(), sigma.data(), bound.data()});
                }
            });
        });
    };
    return true;
}

}  // namespace torch_ir::detail
