// SPDX-License-Identifier: MIT
// Bags of embeddings, gradients and renormalisation of embeddings; places in sorted sequences.
#include <algorithm>
#include <cmath>

#include "convert.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/view.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

namespace {

enum class BagMode { Sum, Mean, Max };

struct Bags {
    Tensor indices;  // int64 [n]
    Tensor offsets;  // int64 [bags], with include_last_offset one more
    std::int64_t count = 0;
    BagMode mode = BagMode::Sum;
    std::int64_t padding_idx = -1;
    /// Indices behind the last offset: PyTorch's fast paths for sums do not add them up, but a mean counts them.
    bool heeds_last_offset = false;

    std::int64_t begin(std::int64_t bag) const { return offsets.data<std::int64_t>()[bag]; }
    std::int64_t end(std::int64_t bag) const {
        const std::int64_t ends = heeds_last_offset ? offsets.numel() : count;
        return bag + 1 < ends ? offsets.data<std::int64_t>()[bag + 1] : indices.numel();
    }
};

Bags make_bags(In weight, In indices, In offsets, std::int64_t mode, In per_sample_weights, bool include_last_offset,
               std::int64_t padding_idx) {
    if (weight.dim() != 2 || !is_floating_point(weight.dtype()))
        throw ArgumentError("embedding_bag: expected weight to be a 2-d floating point tensor, found " +
                            describe(weight));
    if (indices.dim() != 1 || offsets.dim() != 1)
        throw ArgumentError("embedding_bag: expected indices and offsets to be 1-d, found " + describe(indices) +
                            " and " + describe(offsets));
    if (mode < 0 || mode > 2)
        throw ArgumentError("embedding_bag: expected mode 0 (sum), 1 (mean) or 2 (max), found " + std::to_string(mode));
    const DType dtype = promote_types(indices.dtype(), offsets.dtype());
    Bags bags{to_indices("embedding_bag", indices.to(dtype)), to_indices("embedding_bag", offsets.to(dtype)),
              offsets.numel() - (include_last_offset ? 1 : 0), static_cast<BagMode>(mode), padding_idx};
    if (bags.count < 0) throw ArgumentError("embedding_bag: include_last_offset needs at least one offset");
    bags.heeds_last_offset =
        bags.mode != BagMode::Max && weight.dtype() != DType::Float64 && weight.stride(1) == 1 && padding_idx < 0 &&
        (!per_sample_weights.defined() || per_sample_weights.dim() != 1 || per_sample_weights.stride(0) == 1);
    for (std::int64_t i = 0; i < bags.offsets.numel(); ++i)
        if (bags.begin(i) < (i == 0 ? 0 : bags.begin(i - 1)) || bags.begin(i) > bags.indices.numel() ||
            (i == 0 && bags.begin(0) != 0))
            throw ArgumentError(
                "embedding_bag: expected offsets to start at 0, not to decrease and to end within the " +
                std::to_string(bags.indices.numel()) + " indices");
    for (std::int64_t i = 0; i < bags.indices.numel(); ++i)
        checked_index(bags.indices.data<std::int64_t>()[i], weight.size(0), false, 0);
    return bags;
}

/// One bag into `out`, a sum as `dtype` holds it before it becomes a mean; returns how many embeddings count. `winners`
/// gets the index of each maximum.
template <class C>
std::int64_t fill_bag(const Bags& bags, std::int64_t bag, const C* weight, std::int64_t width, const C* per_sample,
                      DType dtype, C* out, std::int64_t* winners) {
    std::fill_n(out, width, C(0));
    std::int64_t used = 0;
    for (std::int64_t i = bags.begin(bag); i < bags.end(bag); ++i) {
        const std::int64_t row = bags.indices.data<std::int64_t>()[i];
        if (row == bags.padding_idx) continue;
        const C* x = weight + row * width;
        const C scale = per_sample ? per_sample[i] : C(1);
        if (bags.mode != BagMode::Max) {
            for (std::int64_t j = 0; j < width; ++j) out[j] += scale * x[j];
        } else {
            for (std::int64_t j = 0; j < width; ++j)
                if (used == 0 || x[j] > out[j]) {
                    out[j] = x[j];
                    winners[j] = row;
                }
        }
        ++used;
    }
    if (bags.mode == BagMode::Mean && bag + 1 == bags.count) used += bags.indices.numel() - bags.end(bag);
    if (bags.mode == BagMode::Mean && used > 1)
        for (std::int64_t j = 0; j < width; ++j)
            out[j] = static_cast<C>(round_to(dtype, static_cast<double>(out[j]))) / static_cast<C>(used);
    return used;
}

using BagResult = std::tuple<Tensor, Tensor, Tensor, Tensor>;

/// Without a gradient, as PyTorch's forward_only, the sizes of sums count the last offset as a bag.
template <bool forward_only>
BagResult embedding_bag(In weight, In indices, In offsets, bool, std::int64_t mode, bool, In per_sample_weights,
                        bool include_last_offset, std::int64_t padding_idx) {
    const Bags bags = make_bags(weight, indices, offsets, mode, per_sample_weights, include_last_offset, padding_idx);
    if (per_sample_weights.defined() && (bags.mode != BagMode::Sum || per_sample_weights.shape() != indices.shape() ||
                                         per_sample_weights.dtype() != weight.dtype()))
        throw ArgumentError(
            "embedding_bag: expected per_sample_weights of the shape of indices and the dtype of weight, with mode "
            "sum, found " +
            describe(per_sample_weights));
    const std::int64_t width = weight.size(1);
    const DType index_dtype = promote_types(indices.dtype(), offsets.dtype());
    Tensor output = Tensor::empty({bags.count, width}, weight.dtype());
    Tensor sizes = Tensor::zeros({bags.count}, DType::Int64);
    Tensor winners = Tensor::zeros({bags.count, bags.mode == BagMode::Max ? width : 0}, DType::Int64);
    visit_float(weight.dtype(), "embedding_bag", [&]<class C>(C) {
        const Tensor table = weight.to(dtype_of<C>()).contiguous();
        const Tensor scales =
            per_sample_weights.defined() ? per_sample_weights.to(dtype_of<C>()).contiguous() : Tensor();
        const Tensor work = output.dtype() == dtype_of<C>() ? output : Tensor::empty(output.shape(), dtype_of<C>());
        parallel_for(bags.count, 16, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t bag = begin; bag < end; ++bag)
                sizes.data<std::int64_t>()[bag] = fill_bag<C>(
                    bags, bag, table.data<C>(), width, scales.defined() ? scales.data<C>() : nullptr, weight.dtype(),
                    work.data<C>() + bag * width, winners.data<std::int64_t>() + bag * width);
        });
        if (work.storage() != output.storage()) output.copy_from(work);
    });
    // The shapes of what only the gradient needs follow PyTorch's fast paths.
    const bool fast = bags.mode == BagMode::Sum && bags.heeds_last_offset;
    Tensor offset2bag = Tensor::zeros({fast ? 0 : indices.numel()}, index_dtype);
    if (!fast)
        for (std::int64_t bag = 0; bag < bags.count; ++bag) {
            // The last one's even where heeds_last_offset ends it before.
            const std::int64_t end = bag + 1 < bags.count ? bags.begin(bag + 1) : indices.numel();
            offset2bag.narrow(0, bags.begin(bag), end - bags.begin(bag)).fill(bag);
        }
    const Ints unused = forward_only ? offsets.shape() : Ints{bags.count};
    const Tensor bag_size = bags.mode == BagMode::Sum ? Tensor::zeros(unused, DType::Int64) : sizes;
    const Tensor max_indices = bags.mode == BagMode::Max ? winners : bag_size;
    return {output, offset2bag, bag_size.to(index_dtype), max_indices.to(index_dtype)};
}

BagResult embedding_bag_plain(In weight, In indices, In offsets, bool scale_grad_by_freq, std::int64_t mode,
                              bool sparse, In per_sample_weights, bool include_last_offset) {
    return embedding_bag<true>(weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights,
                               include_last_offset, -1);
}

BagResult embedding_bag_padded(In weight, In indices, In offsets, bool scale_grad_by_freq, std::int64_t mode,
                               bool sparse, In per_sample_weights, bool include_last_offset,
                               std::optional<std::int64_t> padding_idx) {
    std::int64_t padding = -1;
    if (padding_idx) {
        const std::int64_t rows = weight.dim() > 0 ? weight.size(0) : 0;
        if (*padding_idx < -rows || *padding_idx >= rows)
            throw ArgumentError("embedding_bag: padding_idx must be within the number of embeddings " +
                                std::to_string(rows) + ", found " + std::to_string(*padding_idx));
        padding = *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
    }
    return embedding_bag<true>(weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights,
                               include_last_offset, padding);
}

Tensor embedding_dense_backward(In grad_output, In indices, std::int64_t num_weights, std::int64_t padding_idx,
                                bool scale_grad_by_freq) {
    const Tensor rows = to_indices("embedding_dense_backward", indices.reshape({-1}));
    if (grad_output.dim() == 0 || num_weights < 0)
        throw ArgumentError(
            "embedding_dense_backward: expected grad_output with dimensions and num_weights not negative, found " +
            describe(grad_output));
    const std::int64_t width = grad_output.size(-1);
    if (grad_output.numel() != rows.numel() * width)
        throw ArgumentError("embedding_dense_backward: grad_output " + describe(grad_output) +
                            " does not fit indices " + describe(indices));
    Tensor result = Tensor::empty({num_weights, width}, grad_output.dtype());
    visit_stepwise(grad_output.dtype(), "embedding_dense_backward", [&]<class C, class A>(C, A) {
        const Tensor work = Tensor::zeros({num_weights, width}, dtype_of<C>());
        const Tensor grad = grad_output.to(dtype_of<C>()).contiguous();
        const auto* index = rows.data<std::int64_t>();
        std::vector<std::int64_t> counts(static_cast<std::size_t>(num_weights), 0);
        for (std::int64_t k = 0; k < rows.numel(); ++k)
            ++counts[static_cast<std::size_t>(checked_index(index[k], num_weights, false, 0))];
        for (std::int64_t k = 0; k < rows.numel(); ++k) {
            if (index[k] == padding_idx) continue;
            const A scale(scale_grad_by_freq ? C(1) / static_cast<C>(counts[static_cast<std::size_t>(index[k])])
                                             : C(1));
            for (std::int64_t j = 0; j < width; ++j)
                add_to(work.data<C>()[index[k] * width + j], scale * A(grad.data<C>()[k * width + j]));
        }
        result.copy_from(work);
    });
    return result;
}

Tensor embedding_backward(In grad, In indices, std::int64_t num_weights, std::int64_t padding_idx,
                          bool scale_grad_by_freq, bool sparse) {
    if (sparse) throw UnsupportedError("embedding_backward: sparse gradients are not supported");
    return embedding_dense_backward(grad, indices, num_weights, padding_idx, scale_grad_by_freq);
}

/// The bag that each of the `count` indices is in.
Tensor bag_numbers(const char* op, In offsets, std::int64_t count) {
    const Tensor starts = to_indices(op, offsets);
    const Tensor result = Tensor::empty({count}, DType::Int64);
    const auto* begin = starts.data<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i)
        result.data<std::int64_t>()[i] = std::upper_bound(begin, begin + starts.numel(), i) - begin - 1;
    return result;
}

/// By what PyTorch divides the gradient of each row: for the i-th row that occurs, the count of the i-th of the sorted
/// indices (not of the row itself).
std::vector<std::int64_t> bag_frequencies(In index, const std::vector<std::int64_t>& counts) {
    Ints sorted(index.data<std::int64_t>(), index.data<std::int64_t>() + index.numel());
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::int64_t> result(counts.size(), 1);
    std::size_t i = 0;
    for (std::size_t row = 0; row < counts.size(); ++row)
        if (counts[row] > 0) result[row] = counts[static_cast<std::size_t>(sorted[i++])];
    return result;
}

Tensor embedding_bag_dense_backward(In grad, In indices, In offset2bag, In bag_size, In maximum_indices,
                                    std::int64_t num_weights, bool scale_grad_by_freq, std::int64_t mode,
                                    In per_sample_weights, std::int64_t padding_idx) {
    const char* const op = "_embedding_bag_dense_backward";
    const Tensor index = to_indices(op, indices), bags = to_indices(op, offset2bag);
    const std::int64_t count = index.numel();
    if (grad.dim() != 2 || mode < 0 || mode > 2 || num_weights < 0)
        throw ArgumentError(
            std::string(op) +
            ": expected grad to be 2-d, mode 0 (sum), 1 (mean) or 2 (max) and num_weights not negative, "
            "found " +
            describe(grad) + ", mode " + std::to_string(mode) + " and " + std::to_string(num_weights));
    if (mode != 2 && bags.numel() != count)
        throw ArgumentError(std::string(op) + ": expected offset2bag of " + std::to_string(count) +
                            " elements, found " + describe(offset2bag));
    if (per_sample_weights.defined() && (mode != 0 || per_sample_weights.numel() != count))
        throw ArgumentError(std::string(op) + ": expected per_sample_weights of " + std::to_string(count) +
                            " elements with mode sum, found " + describe(per_sample_weights));
    const std::int64_t width = grad.size(1);
    if (mode == 2 && maximum_indices.shape() != grad.shape())
        throw ArgumentError(std::string(op) + ": expected maximum_indices of the shape of grad, found " +
                            describe(maximum_indices));
    if (mode != 0 && bag_size.numel() < grad.size(0))
        throw ArgumentError(std::string(op) + ": expected bag_size of " + std::to_string(grad.size(0)) +
                            " elements, found " + describe(bag_size));
    // PyTorch adds up rows in the order of its sort.
    const Tensor order = mode == 2 ? Tensor() : call("aten.argsort.default", {index, 0, false});
    return visit_stepwise(grad.dtype(), op, [&]<class C, class A>(C, A) {
        const Tensor g = grad.to(dtype_of<C>()).contiguous();
        const Tensor sizes = to_indices(op, bag_size), winners = to_indices(op, maximum_indices);
        const Tensor scales =
            per_sample_weights.defined() ? per_sample_weights.to(dtype_of<C>()).contiguous() : Tensor();
        const Tensor result = Tensor::zeros({num_weights, width}, dtype_of<C>());
        const auto add = [&](std::int64_t row, std::int64_t j, A x) { add_to(result.data<C>()[row * width + j], x); };
        if (mode == 2) {
            for (std::int64_t i = 0; i < g.numel(); ++i)
                if (sizes.data<std::int64_t>()[i / width] > 0)
                    add(checked_index(winners.data<std::int64_t>()[i], num_weights, false, 0), i % width,
                        A(g.data<C>()[i]));
            return result.to(grad.dtype());
        }
        std::vector<std::int64_t> counts(static_cast<std::size_t>(num_weights), 0);
        for (std::int64_t k = 0; k < count; ++k)
            ++counts[static_cast<std::size_t>(checked_index(index.data<std::int64_t>()[k], num_weights, false, 0))];
        if (scale_grad_by_freq) counts = bag_frequencies(index, counts);
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t k = order.data<std::int64_t>()[i];
            const std::int64_t row = index.data<std::int64_t>()[k];
            if (row == padding_idx) continue;
            const std::int64_t bag = checked_index(bags.data<std::int64_t>()[k], g.size(0), false, 0);
            A scale(scales.defined() ? scales.data<C>()[k] : C(1));
            if (scale_grad_by_freq) scale = scale / A(counts[static_cast<std::size_t>(row)]);
            if (mode == 1) scale = scale / A(sizes.data<std::int64_t>()[bag]);
            for (std::int64_t j = 0; j < width; ++j) add(row, j, scale * A(g.data<C>()[bag * width + j]));
        }
        return result.to(grad.dtype());
    });
}

Tensor embedding_bag_backward(In grad, In indices, In offsets, In offset2bag, In bag_size, In maximum_indices,
                              std::int64_t num_weights, bool scale_grad_by_freq, std::int64_t mode, bool sparse,
                              In per_sample_weights, std::int64_t padding_idx) {
    if (sparse) throw UnsupportedError("_embedding_bag_backward: sparse gradients are not supported");
    const bool known = offset2bag.numel() == indices.numel();  // fast forward paths leave it out
    return embedding_bag_dense_backward(
        grad, indices, known ? offset2bag : bag_numbers("_embedding_bag_backward", offsets, indices.numel()), bag_size,
        maximum_indices, num_weights, scale_grad_by_freq, mode, per_sample_weights, padding_idx);
}

/// grad · weight of each index's row.
Tensor per_sample_weights_backward(In grad, In weight, In indices, In offsets, In offset2bag, std::int64_t mode,
                                   std::int64_t padding_idx) {
    const char* const op = "_embedding_bag_per_sample_weights_backward";
    if (mode != 0) throw ArgumentError(std::string(op) + ": expected mode 0 (sum), found " + std::to_string(mode));
    if (grad.dim() != 2 || weight.dim() != 2 || grad.size(1) != weight.size(1))
        throw ArgumentError(std::string(op) + ": expected grad and weight to be 2-d and of the same width, found " +
                            describe(grad) + " and " + describe(weight));
    const Tensor index = to_indices(op, indices);
    const Tensor bags =
        offset2bag.numel() == index.numel() ? to_indices(op, offset2bag) : bag_numbers(op, offsets, index.numel());
    return visit_float(grad.dtype(), op, [&]<class C>(C) {
        const Tensor g = grad.to(dtype_of<C>()).contiguous(), w = weight.to(dtype_of<C>()).contiguous();
        const Tensor result = Tensor::zeros({index.numel()}, dtype_of<C>());
        for (std::int64_t k = 0; k < index.numel(); ++k) {
            const std::int64_t row = checked_index(index.data<std::int64_t>()[k], w.size(0), false, 0);
            if (row == padding_idx) continue;
            const std::int64_t bag = checked_index(bags.data<std::int64_t>()[k], g.size(0), false, 0);
            C dot = 0;
            for (std::int64_t j = 0; j < w.size(1); ++j)
                dot += g.data<C>()[bag * w.size(1) + j] * w.data<C>()[row * w.size(1) + j];
            result.data<C>()[k] = dot;
        }
        return result.to(grad.dtype());
    });
}

/// The rows that `indices` name scaled down to `max_norm`.
Tensor embedding_renorm(In self, In indices, double max_norm, double norm_type) {
    if (self.dim() != 2 || is_integral(self.dtype(), true))
        throw ArgumentError("embedding_renorm: expected self to be 2-d and of floating point, found " + describe(self));
    Tensor result = self.clone();
    const Tensor rows = to_indices("embedding_renorm", indices.reshape({-1}));
    Ints named(rows.data<std::int64_t>(), rows.data<std::int64_t>() + rows.numel());
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    for (const std::int64_t index : named) {
        const Tensor row = result.select(0, checked_index(index, self.size(0), false, 0));
        const Tensor values = row.to(DType::Float64).clone().contiguous();
        auto* x = values.data<double>();
        double norm = 0;
        for (std::int64_t j = 0; j < values.numel(); ++j)
            norm =
                std::isinf(norm_type) ? std::max(norm, std::fabs(x[j])) : norm + std::pow(std::fabs(x[j]), norm_type);
        if (!std::isinf(norm_type)) norm = std::pow(norm, 1 / norm_type);
        if (!(norm > max_norm)) continue;
        for (std::int64_t j = 0; j < values.numel(); ++j) x[j] *= max_norm / (norm + 1e-7);
        row.copy_from(values);
    }
    return result;
}

/// Place of `x` in a sorted row, read through `order` when there is one.
template <class C>
std::int64_t place_of(const C* row, const std::int64_t* order, std::int64_t n, C x, bool right) {
    std::int64_t low = 0;
    std::int64_t high = n;
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        const C value = row[order ? order[middle] : middle];
        if (right ? !(value > x) : !(value >= x))  // NaN in the row counts as smaller, NaN as x as larger
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

Tensor search(const char* op, In sorted_sequence, In self, bool out_int32, bool right, In sorter) {
    const bool shared = sorted_sequence.dim() == 1;  // one sequence for all values
    if (sorted_sequence.dim() == 0)
        throw ArgumentError(std::string(op) +
                            ": expected sorted_sequence with at least one dimension, found a 0-d tensor");
    if (!shared && (self.dim() != sorted_sequence.dim() ||
                    !std::equal(self.shape().begin(), self.shape().end() - 1, sorted_sequence.shape().begin())))
        throw ArgumentError(
            std::string(op) + ": boundaries tensor should be 1-d or the first N-1 dimensions of boundaries " +
            to_string(sorted_sequence.shape()) + " and input " + to_string(self.shape()) + " must match");
    Tensor order;
    const std::int64_t n = sorted_sequence.size(-1);
    if (sorter.defined()) {
        if (sorter.shape() != sorted_sequence.shape() || sorter.dtype() != DType::Int64)
            throw ArgumentError(std::string(op) +
                                ": expected sorter to be an int64 tensor of the shape of sorted_sequence, found " +
                                describe(sorter));
        order = sorter.contiguous();
        for (std::int64_t i = 0; i < order.numel(); ++i)
            checked_index(order.data<std::int64_t>()[i], n, false, order.dim() - 1);
    }
    Tensor result = Tensor::empty(self.shape(), DType::Int64);
    const DType dtype = result_type(sorted_sequence, self);
    visit_real(dtype, op, [&]<class C>(C) {
        const Tensor rows = sorted_sequence.to(dtype_of<C>()).contiguous();
        const Tensor values = converted(self, dtype).to(dtype_of<C>()).contiguous();
        const std::int64_t per_row =
            shared ? std::max<std::int64_t>(1, self.numel()) : std::max<std::int64_t>(1, self.size(-1));
        parallel_for(self.numel(), 2048, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const std::int64_t row = i / per_row * n;
                result.data<std::int64_t>()[i] =
                    place_of<C>(rows.data<C>() + row, order.defined() ? order.data<std::int64_t>() + row : nullptr, n,
                                values.data<C>()[i], right);
            }
        });
    });
    return out_int32 ? result.to(DType::Int32) : result;
}

Tensor searchsorted(In sorted_sequence, In self, bool out_int32, bool right, const std::optional<std::string>& side,
                    In sorter) {
    if (side && *side != "left" && *side != "right")
        throw ArgumentError("searchsorted: expected side to be 'left' or 'right', found '" + *side + "'");
    if (side && right && *side == "left")
        throw ArgumentError(
            "searchsorted: side and right can't be set to opposites, found side of left while right was True");
    return search("searchsorted", sorted_sequence, self, out_int32, right || (side && *side == "right"), sorter);
}

Tensor bucketize(In self, In boundaries, bool out_int32, bool right) {
    if (boundaries.dim() != 1)
        throw ArgumentError("bucketize: expected boundaries to be 1-d, found " + describe(boundaries));
    return search("bucketize", boundaries, self, out_int32, right, {});
}

}  // namespace

void register_embedding(Registry& r) {
    r.add(
        "embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool "
        "sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False) -> (Tensor, Tensor, Tensor, "
        "Tensor)",
        embedding_bag_plain);
    r.add(
        "embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq, int mode, "
        "bool sparse, Tensor? per_sample_weights, bool include_last_offset, int? padding_idx) -> (Tensor, Tensor, "
        "Tensor, Tensor)",
        embedding_bag_padded);
    r.add(
        "_embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool "
        "sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, int padding_idx=-1) -> "
        "(Tensor, Tensor, Tensor, Tensor)",
        embedding_bag<false>);
    r.add(
        "_embedding_bag_forward_only(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int "
        "mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, int "
        "padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)",
        embedding_bag<true>);
    r.add(
        "embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt num_weights, SymInt padding_idx, bool "
        "scale_grad_by_freq) -> Tensor",
        embedding_dense_backward);
    r.add(
        "embedding_backward(Tensor grad, Tensor indices, SymInt num_weights, SymInt padding_idx, bool "
        "scale_grad_by_freq, bool sparse) -> Tensor",
        embedding_backward);
    r.add(
        "_embedding_bag_dense_backward(Tensor grad, Tensor indices, Tensor offset2bag, Tensor bag_size, Tensor "
        "maximum_indices, SymInt num_weights, bool scale_grad_by_freq, int mode, Tensor? per_sample_weights, int "
        "padding_idx=-1) -> Tensor",
        embedding_bag_dense_backward);
    r.add(
        "_embedding_bag_backward(Tensor grad, Tensor indices, Tensor offsets, Tensor offset2bag, Tensor bag_size, "
        "Tensor maximum_indices, SymInt num_weights, bool scale_grad_by_freq, int mode, bool sparse, Tensor? "
        "per_sample_weights, int padding_idx=-1) -> Tensor",
        embedding_bag_backward);
    r.add(
        "_embedding_bag_per_sample_weights_backward(Tensor grad, Tensor weight, Tensor indices, Tensor offsets, Tensor "
        "offset2bag, int mode, int padding_idx=-1) -> Tensor",
        per_sample_weights_backward);
    r.add("embedding_renorm(Tensor self, Tensor indices, float max_norm, float norm_type) -> Tensor", embedding_renorm);
    r.add(
        "searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool right=False, str? "
        "side=None, Tensor? sorter=None) -> Tensor",
        searchsorted);
    r.add(
        "searchsorted.Scalar(Tensor sorted_sequence, Scalar self, *, bool out_int32=False, bool right=False, str? "
        "side=None, Tensor? sorter=None) -> Tensor",
        searchsorted);
    r.add("bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
          bucketize);
    r.add("bucketize.Scalar(Scalar self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
          bucketize);
}

}  // namespace torch_ir::kernels
