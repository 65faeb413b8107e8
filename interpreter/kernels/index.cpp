// SPDX-License-Identifier: MIT
// Rows and elements picked or replaced by tensors of indices: index, index_put, index_select, embedding, take, put.
#include <algorithm>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/move.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"
#include "parallel.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

namespace {

/// `self[..., index, ...]` taken apart: the result is [before…, index…, after…], and the k-th index adds offsets[k].
struct Picked {
    Tensor self;  // dimensions in the order [before…, indexed…, after…]
    std::size_t before = 0;
    std::size_t indexed = 0;
    Ints index_shape;
    Ints offsets;        // in elements, one per index
    TensorList indices;  // expanded to index_shape

    std::span<const std::int64_t> after_shape() const { return std::span(self.shape()).subspan(before + indexed); }
    std::span<const std::int64_t> after_strides() const { return std::span(self.strides()).subspan(before + indexed); }
    std::span<const std::int64_t> before_shape() const { return std::span(self.shape()).first(before); }
    std::int64_t count() const { return static_cast<std::int64_t>(offsets.size()); }

    Ints result_shape() const {
        Ints shape(self.shape().begin(), self.shape().begin() + static_cast<std::ptrdiff_t>(before));
        shape.insert(shape.end(), index_shape.begin(), index_shape.end());
        shape.insert(shape.end(), after_shape().begin(), after_shape().end());
        return shape;
    }

    /// Element offset of the i-th position of the dimensions before.
    std::int64_t before_offset(std::int64_t i) const {
        std::int64_t offset = 0;
        for (std::size_t d = before; d-- > 0;) {
            offset += i % self.shape()[d] * self.strides()[d];
            i /= self.shape()[d];
        }
        return offset;
    }
};

/// One index tensor per dimension of self: masks become the coordinates of their true elements. Undefined: all of it.
TensorList expand_masks(In self, const TensorList& indices) {
    TensorList expanded;
    for (const Tensor& index : indices) {
        if (!index.defined()) {
            expanded.emplace_back();
            continue;
        }
        if (index.dtype() != DType::Bool && index.dtype() != DType::UInt8) {
            if (index.dtype() != DType::Int64 && index.dtype() != DType::Int32)
                throw ArgumentError("index: tensors used as indices must be long, int, byte or bool tensors, found " +
                                    describe(index));
            expanded.push_back(index.to(DType::Int64));
            continue;
        }
        for (std::int64_t d = 0; d < index.dim(); ++d) {
            const auto place = expanded.size();
            if (static_cast<std::int64_t>(place) + index.dim() - d > self.dim() || self.shape()[place] != index.size(d))
                throw ArgumentError("index: the shape of the mask " + to_string(index.shape()) + " at index " +
                                    std::to_string(d) + " does not match the shape of the indexed tensor " +
                                    to_string(self.shape()) + " at index " + std::to_string(place));
            expanded.emplace_back();
        }
        const Tensor coordinates = nonzero(index);
        for (std::int64_t d = 0; d < index.dim(); ++d)
            expanded[expanded.size() - static_cast<std::size_t>(index.dim() - d)] = coordinates.select(1, d);
    }
    if (static_cast<std::int64_t>(expanded.size()) > self.dim())
        throw ArgumentError("index: too many indices for tensor of dimension " + std::to_string(self.dim()) + " (got " +
                            std::to_string(expanded.size()) + ")");
    expanded.resize(static_cast<std::size_t>(self.dim()));
    return expanded;
}

Picked pick(In self, const TensorList& indices) {
    const TensorList expanded = expand_masks(self, indices);
    Ints order;
    Ints indexed;
    TensorList tensors;
    Picked picked;
    for (std::int64_t d = 0; d < self.dim(); ++d) {
        const Tensor& index = expanded[static_cast<std::size_t>(d)];
        if (!index.defined()) continue;
        indexed.push_back(d);
        tensors.push_back(index);
        try {
            picked.index_shape = broadcast_shapes(picked.index_shape, index.shape());
        } catch (const ArgumentError&) {
            throw ArgumentError(
                "index: shape mismatch: indexing tensors could not be broadcast together, found shapes " +
                to_string(picked.index_shape) + " and " + to_string(index.shape()));
        }
    }
    const bool adjacent =
        !indexed.empty() && indexed.back() - indexed.front() + 1 == static_cast<std::int64_t>(indexed.size());
    picked.indexed = indexed.size();
    picked.before = adjacent ? static_cast<std::size_t>(indexed.front()) : 0;
    for (std::int64_t d = 0; d < static_cast<std::int64_t>(picked.before); ++d) order.push_back(d);
    order.insert(order.end(), indexed.begin(), indexed.end());
    for (std::int64_t d = static_cast<std::int64_t>(picked.before); d < self.dim(); ++d)
        if (!expanded[static_cast<std::size_t>(d)].defined()) order.push_back(d);
    picked.self = self.permute(order);
    picked.offsets.assign(static_cast<std::size_t>(numel_of(picked.index_shape)), 0);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        picked.indices.push_back(tensors[i].expand(picked.index_shape));
        const Tensor index = picked.indices.back().contiguous();
        const auto* values = index.data<std::int64_t>();
        const std::int64_t size = self.size(indexed[i]);
        const std::int64_t stride = self.stride(indexed[i]);
        for (std::size_t k = 0; k < picked.offsets.size(); ++k)
            picked.offsets[k] += checked_index(values[k], size, true, indexed[i]) * stride;
    }
    return picked;
}

template <class Word>
void gather_words(std::byte* dst, const std::byte* src, const std::int64_t* offsets, std::int64_t n) {
    auto* out = reinterpret_cast<Word*>(dst);
    const auto* in = reinterpret_cast<const Word*>(src);
    for (std::int64_t i = 0; i < n; ++i) out[i] = in[offsets[i]];
}

void gather_items(std::size_t item, std::byte* dst, const std::byte* src, const std::int64_t* offsets, std::int64_t n) {
    switch (item) {
        case 1:
            return gather_words<std::uint8_t>(dst, src, offsets, n);
        case 2:
            return gather_words<std::uint16_t>(dst, src, offsets, n);
        case 4:
            return gather_words<std::uint32_t>(dst, src, offsets, n);
        case 8:
            return gather_words<std::uint64_t>(dst, src, offsets, n);
        default:
            return gather_words<std::complex<double>>(dst, src, offsets, n);
    }
}

Tensor gather_picked(const Picked& picked) {
    Tensor result = Tensor::empty(picked.result_shape(), picked.self.dtype());
    if (result.numel() == 0) return result;
    const auto item = static_cast<std::int64_t>(item_size(result.dtype()));
    const Ints after_strides = contiguous_strides(picked.after_shape());
    const BlockCopier copy(result.dtype(), picked.after_shape(), after_strides, picked.after_strides());
    const std::int64_t count = picked.count();
    const std::int64_t block = copy.count();
    parallel_for(numel_of(picked.before_shape()) * count, std::max<std::int64_t>(1, parallel_grain / block),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end;) {
                         const std::int64_t k = i % count;
                         const std::int64_t n = std::min(count - k, end - i);
                         const std::byte* src = picked.self.raw() + picked.before_offset(i / count) * item;
                         std::byte* dst = result.raw() + i * block * item;
                         const std::int64_t* offsets = picked.offsets.data() + k;
                         if (block == 1)
                             gather_items(static_cast<std::size_t>(item), dst, src, offsets, n);
                         else
                             for (std::int64_t j = 0; j < n; ++j) copy(dst + j * block * item, src + offsets[j] * item);
                         i += n;
                     }
                 });
    return result;
}

/// `result` with the strides that PyTorch's iterator over self and the indices gives it.
Tensor laid_out(In result, const Picked& picked) {
    Ints strides(picked.self.strides().begin(),
                 picked.self.strides().begin() + static_cast<std::ptrdiff_t>(picked.before));
    strides.insert(strides.end(), picked.index_shape.size(), 0);
    strides.insert(strides.end(), picked.after_strides().begin(), picked.after_strides().end());
    const Tensor source = picked.self.as_strided(result.shape(), strides, picked.self.offset());
    TensorList indices;
    for (In index : picked.indices) {
        Ints shape(picked.before, 1);
        shape.insert(shape.end(), picked.index_shape.begin(), picked.index_shape.end());
        shape.insert(shape.end(), picked.after_shape().size(), 1);
        indices.push_back(index.try_view(shape));
    }
    std::vector<const Tensor*> operands{&source};
    for (In index : indices) operands.push_back(&index);
    Tensor out = elementwise_output(result.dtype(), operands);
    if (out.is_contiguous()) return result;
    out.copy_from(result);
    return out;
}

/// Writes `values`, broadcast to the result's shape, to where they are picked.
void scatter_picked(const Picked& picked, In values) {
    const Tensor source = values.to(picked.self.dtype()).expand(picked.result_shape());
    if (source.numel() == 0) return;
    const auto item = static_cast<std::int64_t>(item_size(source.dtype()));
    const bool constant = values.numel() == 1;
    const Tensor contiguous = constant ? source : source.contiguous();
    Ints source_strides = contiguous_strides(picked.after_shape());
    if (constant) std::fill(source_strides.begin(), source_strides.end(), 0);
    const BlockCopier copy(source.dtype(), picked.after_shape(), picked.after_strides(), source_strides);
    const std::int64_t step = constant ? 0 : copy.count() * item;
    const std::byte* src = contiguous.raw();
    for (std::int64_t b = 0; b < numel_of(picked.before_shape()); ++b) {
        std::byte* base = picked.self.raw() + picked.before_offset(b) * item;
        for (const std::int64_t offset : picked.offsets) {
            copy(base + offset * item, src);
            src += step;
        }
    }
}

/// As scatter_picked, but adds, in arithmetic A on the compute type.
template <class C, class A>
void add_picked(In self, const TensorList& indices, In values) {
    const Tensor work = Tensor::empty(self.shape(), dtype_of<C>());
    work.copy_from(self);
    const Picked picked = pick(work, indices);
    const Tensor source = values.to(self.dtype()).to(dtype_of<C>()).expand(picked.result_shape()).contiguous();
    const std::int64_t block = numel_of(picked.after_shape());
    const C* src = source.data<C>();
    Ints places;  // offsets within a block
    const Tensor after = work.as_strided(Ints(picked.after_shape().begin(), picked.after_shape().end()),
                                         Ints(picked.after_strides().begin(), picked.after_strides().end()), 0);
    places.reserve(static_cast<std::size_t>(block));
    for (std::int64_t i = 0; i < block; ++i) {
        std::int64_t rest = i;
        std::int64_t offset = 0;
        for (std::size_t d = after.shape().size(); d-- > 0;) {
            offset += rest % after.shape()[d] * after.strides()[d];
            rest /= after.shape()[d];
        }
        places.push_back(offset);
    }
    for (std::int64_t b = 0; source.numel() > 0 && b < numel_of(picked.before_shape()); ++b) {
        C* base = picked.self.data<C>() + picked.before_offset(b);
        for (const std::int64_t offset : picked.offsets)
            for (const std::int64_t place : places) add_to(base[offset + place], A(*src++));
    }
    self.copy_from(work);
}

Tensor index_put_into(In self, const TensorList& indices, In values, bool accumulate) {
    check_overlap(self, values, Sharing::Nothing);
    for (const Tensor& index : indices)
        if (index.defined() && index.dtype() != DType::Bool &&
            index.dtype() != DType::UInt8)  // of masks a copy is made
            check_overlap(self, index, Sharing::Nothing);
    if (values.dtype() != self.dtype() && values.numel() != 1)
        throw ArgumentError("index_put: expected values to have the dtype of self, found " + describe(values) +
                            " and " + describe(self));
    if (accumulate) {
        visit_stepwise(self.dtype(), [&]<class C, class A>(C, A) { add_picked<C, A>(self, indices, values); });
        return self;
    }
    const Picked picked = pick(self, indices);
    // Leading dimensions of size 1 do not count.
    Tensor source = values;
    while (source.dim() > static_cast<std::int64_t>(picked.result_shape().size()) && source.size(0) == 1)
        source = source.select(0, 0);
    scatter_picked(picked, source);
    return self;
}

Tensor index_put(In self, const TensorList& indices, In values, bool accumulate) {
    return index_put_into(self.clone(), indices, values, accumulate);
}

/// Rows `index` of dimension `dim`.
Picked pick_rows(const char* op, In self, std::int64_t dim, In index) {
    if (index.dim() > 1)
        throw ArgumentError(std::string(op) + ": expected index to be a 0-d or 1-d tensor, found " + describe(index));
    const Tensor values = to_indices(op, index);
    Picked picked;
    picked.self = self.dim() == 0 ? self.unsqueeze(0) : self;
    const std::int64_t d = self.wrap_dim(dim);
    picked.before = static_cast<std::size_t>(d);
    picked.indexed = 1;
    picked.index_shape = {values.numel()};
    picked.offsets.resize(static_cast<std::size_t>(values.numel()));
    for (std::size_t k = 0; k < picked.offsets.size(); ++k)
        picked.offsets[k] =
            checked_index(values.data<std::int64_t>()[k], picked.self.size(d), false, d) * picked.self.stride(d);
    return picked;
}

}  // namespace

Tensor index(In self, const TensorList& indices) {
    if (indices.empty()) throw ArgumentError("index: expected at least one index");
    const Picked picked = pick(self, indices);
    return picked.indexed == 0 ? self.clone() : laid_out(gather_picked(picked), picked);
}

Tensor index_select(In self, std::int64_t dim, In index) {
    const Picked picked = pick_rows("index_select", self, dim, index);
    if (self.dim() == 0 && index.numel() != 1)
        throw ArgumentError("index_select: index to a 0-d tensor can have only 1 value, found " +
                            std::to_string(index.numel()));
    const Tensor result = gather_picked(picked);
    return self.dim() == 0 ? result.reshape({}) : result;
}

namespace {

void require_int64(const char* op, In index) {
    if (index.dtype() != DType::Int64)
        throw ArgumentError(std::string(op) + ": expected 'index' to be an int64 tensor, found " + describe(index));
}

Tensor index_copy_into(In self, std::int64_t dim, In index, In source) {
    require_int64("index_copy", index);
    check_overlap(self);
    check_overlap(self, index, Sharing::Nothing);
    check_overlap(self, source, Sharing::Nothing);
    const Picked picked = pick_rows("index_copy", self, dim, index);
    if (source.dtype() != self.dtype())
        throw ArgumentError("index_copy: expected source to have the dtype of self, found " + describe(source) +
                            " and " + describe(self));
    const Tensor rows = source.dim() == 0 ? source.unsqueeze(0) : source;
    if (self.dim() == 0 ? rows.numel() != 1 || index.numel() != 1 : rows.shape() != picked.result_shape())
        throw ArgumentError("index_copy: expected source of shape " + to_string(picked.result_shape()) + ", found " +
                            describe(source));
    scatter_picked(picked, rows);
    return self;
}

Tensor index_fill_into(In self, std::int64_t dim, In index, In value) {
    require_int64("index_fill", index);
    check_overlap(self, index, Sharing::Nothing);
    if (value.dim() != 0)
        throw ArgumentError("index_fill: expected value to be a 0-d tensor, found " + describe(value));
    const Tensor number = fitting("index_fill", value, self.dtype());
    scatter_picked(pick_rows("index_fill", self, dim, index), number);
    return self;
}

Tensor embedding(In weight, In indices, std::int64_t, bool, bool) {
    if (weight.dim() != 2) throw ArgumentError("embedding: expected weight to be 2-d, found " + describe(weight));
    Ints shape = indices.shape();
    shape.push_back(weight.size(1));
    return gather_picked(pick_rows("embedding", weight, 0, indices.reshape({-1}))).reshape(shape);
}

Tensor take(In self, In index) {
    if (index.dtype() != DType::Int64)
        throw ArgumentError("take: expected index to be an int64 tensor, found " + describe(index));
    const Tensor flat = self.reshape({-1});
    const Tensor values = index.contiguous();
    Picked picked;
    picked.self = flat;
    picked.indexed = 1;
    picked.index_shape = index.shape();
    for (std::int64_t k = 0; k < values.numel(); ++k)
        picked.offsets.push_back(checked_index(values.data<std::int64_t>()[k], flat.numel(), true, 0) * flat.stride(0));
    return gather_picked(picked);
}

Tensor put(In self, In index, In source, bool accumulate) {
    if (index.dtype() != DType::Int64)
        throw ArgumentError("put: expected index to be an int64 tensor, found " + describe(index));
    if (source.dtype() != self.dtype() || source.numel() != index.numel())
        throw ArgumentError("put: expected source to have the dtype of self and as many elements as index, found " +
                            describe(source));
    const Tensor result = copy_to(self, self.dtype(), MemoryFormat::Contiguous);
    index_put_into(result.reshape({-1}), {index.reshape({-1})}, source.reshape({-1}), accumulate);
    const Tensor ordered = Tensor::empty_like(self, self.dtype());
    if (ordered.strides() == result.strides()) return result;
    ordered.copy_from(result);
    return ordered;
}

Tensor unsafe_masked_index(In self, In mask_in, const TensorList& indices, const Scalar& fill) {
    const Tensor mask = mask_in.to(DType::Bool);
    TensorList safe;
    for (std::size_t d = 0; d < indices.size(); ++d) {
        if (!indices[d].defined()) {
            safe.emplace_back();
            continue;
        }
        // Masked places may point anywhere.
        const std::int64_t size = self.size(static_cast<std::int64_t>(d));
        safe.push_back(elementwise<std::int64_t>(
            DType::Int64,
            [size](std::int64_t i) { return std::clamp<std::int64_t>(i, -size, std::max<std::int64_t>(size, 1) - 1); },
            indices[d]));
    }
    if (self.numel() == 0) {
        Ints shape = mask.shape();
        return Tensor::full(std::move(shape), fill, self.dtype());
    }
    return where(mask, index(self, safe), Tensor::scalar(fill, self.dtype()));
}

Tensor unsafe_masked_index_put_accumulate(In self, In mask, const TensorList& indices, In values) {
    if (self.numel() == 0) return self.clone();
    TensorList safe;
    for (std::size_t d = 0; d < indices.size(); ++d) {
        const std::int64_t size = indices[d].defined() ? self.size(static_cast<std::int64_t>(d)) : 0;
        safe.push_back(indices[d].defined()
                           ? elementwise<std::int64_t>(
                                 DType::Int64,
                                 [size](std::int64_t i) { return std::clamp<std::int64_t>(i, -size, size - 1); },
                                 indices[d])
                           : Tensor());
    }
    return index_put(self, safe, where(mask.to(DType::Bool), values, Tensor::scalar(0, values.dtype())), true);
}

}  // namespace

void register_index(Registry& r) {
    r.add("index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", index);
    r.add("_unsafe_index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", index);
    r.add("_unsafe_masked_index(Tensor self, Tensor mask, Tensor?[] indices, Scalar fill) -> Tensor",
          unsafe_masked_index);
    r.add("_unsafe_masked_index_put_accumulate(Tensor self, Tensor mask, Tensor?[] indices, Tensor values) -> Tensor",
          unsafe_masked_index_put_accumulate);
    r.add("index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor", index_put);
    r.add("index_put_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor(a!)",
          index_put_into);
    r.add("_unsafe_index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
          index_put);
    r.add(
        "_index_put_impl(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False, bool unsafe=False) -> "
        "Tensor",
        [](In self, const TensorList& indices, In values, bool accumulate, bool) {
            return index_put(self, indices, values, accumulate);
        });
    r.add(
        "_index_put_impl_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False, bool unsafe=False) "
        "-> Tensor(a!)",
        [](In self, const TensorList& indices, In values, bool accumulate, bool) {
            return index_put_into(self, indices, values, accumulate);
        });
    r.add("index_select(Tensor self, int dim, Tensor index) -> Tensor", index_select);
    r.add("index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor",
          [](In self, std::int64_t dim, In index, In source) {
              return index_copy_into(copy_to(self, self.dtype(), MemoryFormat::Contiguous), dim, index, source);
          });
    r.add("index_copy_(Tensor(a!) self, int dim, Tensor index, Tensor source) -> Tensor(a!)", index_copy_into);
    r.add(
        "index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
        [](In self, std::int64_t dim, In index, In value) { return index_fill_into(self.clone(), dim, index, value); });
    r.add(
        "index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
        [](In self, std::int64_t dim, In index, In value) { return index_fill_into(self.clone(), dim, index, value); });
    r.add("index_fill_.int_Scalar(Tensor(a!) self, int dim, Tensor index, Scalar value) -> Tensor(a!)",
          index_fill_into);
    r.add("index_fill_.int_Tensor(Tensor(a!) self, int dim, Tensor index, Tensor value) -> Tensor(a!)",
          index_fill_into);
    r.add(
        "embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool "
        "sparse=False) -> Tensor",
        embedding);
    r.add("take(Tensor self, Tensor index) -> Tensor", take);
    r.add("put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor", put);
}

}  // namespace torch_ir::kernels
