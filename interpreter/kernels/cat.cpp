// SPDX-License-Identifier: MIT
// Several tensors into one: cat, stack and what is built of them.
#include <algorithm>

#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/move.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {

namespace {

void check_not_empty(const char* op, const TensorList& tensors) {
    if (tensors.empty()) throw ArgumentError(std::string(op) + ": expected a non-empty list of tensors");
}

DType common_dtype(const TensorList& tensors) {
    std::vector<const Tensor*> pointers;
    for (const Tensor& tensor : tensors) pointers.push_back(&tensor);
    return result_type(pointers);
}

/// PyTorch lets 1-d tensors of size 0 pass whatever the other shapes are.
bool is_skipped(In tensor) { return tensor.dim() == 1 && tensor.size(0) == 0; }

}  // namespace

Tensor cat(const TensorList& tensors, std::int64_t dim) {
    check_not_empty("cat", tensors);
    const DType dtype = common_dtype(tensors);
    const Tensor* lead = nullptr;
    for (const Tensor& tensor : tensors) {
        if (tensor.dim() == 0) throw ArgumentError("cat: zero-dimensional tensors cannot be concatenated");
        if (!lead && !is_skipped(tensor)) lead = &tensor;
    }
    if (!lead) return Tensor::empty({0}, dtype);
    const auto d = static_cast<std::size_t>(lead->wrap_dim(dim));
    Ints shape = lead->shape();
    shape[d] = 0;
    bool channels_last = true;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Tensor& tensor = tensors[i];
        if (is_skipped(tensor)) continue;
        Ints other = tensor.shape();
        const std::int64_t length = other.size() == shape.size() ? other[d] : 0;
        if (other.size() == shape.size()) other[d] = shape[d];
        if (other != shape)
            throw ArgumentError("cat: sizes of tensors must match except in dimension " + std::to_string(d) +
                                ", found " + describe(*lead) + " and, at position " + std::to_string(i) + ", " +
                                describe(tensor));
        channels_last = channels_last && suggests_channels_last(tensor);
        shape[d] += length;
    }
    Tensor result =
        empty_format(shape, dtype, channels_last ? channels_last_format(lead->dim()) : MemoryFormat::Contiguous);
    std::int64_t start = 0;
    for (const Tensor& tensor : tensors) {
        if (is_skipped(tensor)) continue;
        result.narrow(static_cast<std::int64_t>(d), start, tensor.shape()[d]).copy_from(tensor);
        start += tensor.shape()[d];
    }
    return result;
}

Tensor stack(const TensorList& tensors, std::int64_t dim) {
    check_not_empty("stack", tensors);
    for (const Tensor& tensor : tensors)
        if (tensor.shape() != tensors.front().shape())
            throw ArgumentError("stack: expected all tensors to be of equal size, found " + describe(tensors.front()) +
                                " and " + describe(tensor));
    const Tensor& first = tensors.front();
    const std::int64_t at = dim < 0 ? dim + first.dim() + 1 : dim;
    if (at == first.dim() || at < 0 || at > first.dim()) {
        TensorList rows;
        for (const Tensor& tensor : tensors) rows.push_back(tensor.unsqueeze(dim));
        return cat(rows, at);
    }
    // One behind the other, then apart: the result has the strides that PyTorch's has.
    Ints shape = first.shape();
    shape.insert(shape.begin() + at, static_cast<std::int64_t>(tensors.size()));
    return cat(tensors, at).reshape(std::span<const std::int64_t>(shape));
}

namespace {

TensorList all_atleast(const TensorList& tensors, std::int64_t dims) {
    TensorList result;
    for (const Tensor& tensor : tensors) result.push_back(atleast(tensor, dims));
    return result;
}

Tensor hstack(const TensorList& tensors) {
    check_not_empty("hstack", tensors);
    const TensorList rows = all_atleast(tensors, 1);
    return cat(rows, rows.front().dim() == 1 ? 0 : 1);
}

Tensor vstack(const TensorList& tensors) {
    check_not_empty("vstack", tensors);
    return cat(all_atleast(tensors, 2), 0);
}

Tensor dstack(const TensorList& tensors) {
    check_not_empty("dstack", tensors);
    return cat(all_atleast(tensors, 3), 2);
}

Tensor column_stack(const TensorList& tensors) {
    check_not_empty("column_stack", tensors);
    TensorList columns;
    for (const Tensor& tensor : tensors)
        columns.push_back(tensor.dim() <= 1 ? tensor.reshape({tensor.numel(), 1}) : tensor);
    return hstack(columns);
}

Tensor block_diag(const TensorList& tensors) {
    TensorList blocks;
    Ints shape{0, 0};
    for (const Tensor& tensor : tensors) {
        if (tensor.dim() > 2)
            throw ArgumentError("block_diag: expected tensors of at most 2 dimensions, found " + describe(tensor));
        blocks.push_back(atleast(tensor, 2));
        shape[0] += blocks.back().size(0);
        shape[1] += blocks.back().size(1);
    }
    if (blocks.empty()) return Tensor::zeros({1, 0}, DType::Float32);
    Tensor result = Tensor::zeros(shape, common_dtype(tensors));
    std::int64_t row = 0;
    std::int64_t column = 0;
    for (const Tensor& block : blocks) {
        result.narrow(0, row, block.size(0)).narrow(1, column, block.size(1)).copy_from(block);
        row += block.size(0);
        column += block.size(1);
    }
    return result;
}

Tensor cartesian_prod(const TensorList& tensors) {
    check_not_empty("cartesian_prod", tensors);
    for (const Tensor& tensor : tensors)
        if (tensor.dim() != 1) throw ArgumentError("cartesian_prod: expected 1-d tensors, found " + describe(tensor));
    if (tensors.size() == 1) return tensors.front();
    TensorList columns;
    for (const Tensor& grid : meshgrid(tensors, "ij")) columns.push_back(grid.reshape({-1}));
    return stack(columns, 1);
}

/// Each tensor padded to a multiple of `num_chunks` along `dim`, cut into chunks, and the i-th chunks joined.
Tensor chunk_cat(const TensorList& tensors, std::int64_t dim, std::int64_t num_chunks) {
    check_not_empty("_chunk_cat", tensors);
    if (num_chunks < 1)
        throw ArgumentError("_chunk_cat: expected num_chunks to be positive, found " + std::to_string(num_chunks));
    const std::int64_t d = tensors.front().wrap_dim(dim);
    TensorList parts;
    for (const Tensor& tensor : tensors) {
        if (tensor.dim() <= d)
            throw ArgumentError("_chunk_cat: expected dim to be a dimension of all tensors, found " + describe(tensor));
        if (tensor.dtype() != tensors.front().dtype())
            throw ArgumentError("_chunk_cat: expected tensors of one dtype, found " + describe(tensor) + " and " +
                                describe(tensors.front()));
        if (tensor.numel() == 0)
            throw ArgumentError("_chunk_cat: expected non-empty tensors, found " + describe(tensor));
        Ints padded = tensor.shape();
        const std::int64_t length = padded[static_cast<std::size_t>(d)];
        padded[static_cast<std::size_t>(d)] = (length + num_chunks - 1) / num_chunks * num_chunks;
        Tensor whole = Tensor::zeros(padded, tensor.dtype());
        whole.narrow(d, 0, length).copy_from(tensor);
        Ints shape(padded.begin(), padded.begin() + d);
        shape.push_back(num_chunks);
        shape.push_back(whole.numel() / numel_of(shape));
        parts.push_back(whole.reshape(shape));
    }
    return cat(parts, d + 1);
}

Tensor flatten_dense_tensors(const TensorList& tensors) {
    TensorList flat;
    for (const Tensor& tensor : tensors) flat.push_back(tensor.reshape({-1}));
    return cat(flat, 0);
}

}  // namespace

void register_cat(Registry& r) {
    r.add("cat(Tensor[] tensors, int dim=0) -> Tensor", cat);
    r.add("concat(Tensor[] tensors, int dim=0) -> Tensor", cat);
    r.add("concatenate(Tensor[] tensors, int dim=0) -> Tensor", cat);
    r.add("stack(Tensor[] tensors, int dim=0) -> Tensor", stack);
    r.add("_stack(Tensor[] tensors, int dim=0) -> Tensor", stack);
    r.add("hstack(Tensor[] tensors) -> Tensor", hstack);
    r.add("vstack(Tensor[] tensors) -> Tensor", vstack);
    r.add("row_stack(Tensor[] tensors) -> Tensor", vstack);
    r.add("dstack(Tensor[] tensors) -> Tensor", dstack);
    r.add("column_stack(Tensor[] tensors) -> Tensor", column_stack);
    r.add("block_diag(Tensor[] tensors) -> Tensor", block_diag);
    r.add("cartesian_prod(Tensor[] tensors) -> Tensor", cartesian_prod);
    r.add("_chunk_cat(Tensor[] tensors, int dim, int num_chunks) -> Tensor", chunk_cat);
    r.add("flatten_dense_tensors(Tensor[] tensors) -> Tensor", flatten_dense_tensors);
}

}  // namespace torch_ir::kernels
