// SPDX-License-Identifier: MIT
// One tensor into several views, and several tensors expanded to one shape.
#include <algorithm>
#include <numeric>

#include "kernels/families.hpp"
#include "kernels/view.hpp"

namespace torch_ir::kernels {

TensorList unbind(In self, std::int64_t dim) {
    if (self.dim() == 0)
        throw ArgumentError("unbind: dimension specified as " + std::to_string(dim) + " but self has no dimensions");
    TensorList result;
    const std::int64_t count = self.size(dim);
    for (std::int64_t i = 0; i < count; ++i) result.push_back(self.select(dim, i));
    return result;
}

TensorList split_with_sizes(In self, const Ints& split_sizes, std::int64_t dim) {
    if (self.dim() == 0) throw ArgumentError("split: expected self with at least one dimension, found a 0-d tensor");
    TensorList result;
    const std::int64_t length = self.size(dim);
    std::int64_t start = 0;
    for (const std::int64_t size : split_sizes) {
        if (size < 0)
            throw ArgumentError("split_with_sizes: split_sizes must be non-negative, found " + to_string(split_sizes));
        if (size > length - start) break;
        result.push_back(self.narrow(dim, start, size));
        start += size;
    }
    if (start != length || result.size() != split_sizes.size())
        throw ArgumentError("split_with_sizes: expected split_sizes to sum to " + std::to_string(length) +
                            " (the size of dimension " + std::to_string(dim) + "), found " + to_string(split_sizes));
    return result;
}

TensorList split(In self, std::int64_t split_size, std::int64_t dim) {
    if (self.dim() == 0) throw ArgumentError("split: expected self with at least one dimension, found a 0-d tensor");
    const std::int64_t length = self.size(dim);
    if (split_size < 0 || (split_size == 0 && length != 0))
        throw ArgumentError("split: expected split_size to be positive, found " + std::to_string(split_size));
    TensorList result;
    if (length == 0) return {self};
    for (std::int64_t start = 0; start < length; start += std::min(split_size, length - start))
        result.push_back(self.narrow(dim, start, std::min(split_size, length - start)));
    return result;
}

TensorList chunk(In self, std::int64_t chunks, std::int64_t dim) {
    if (self.dim() == 0) throw ArgumentError("chunk: expected self with at least one dimension, found a 0-d tensor");
    if (chunks <= 0)
        throw ArgumentError("chunk: expected chunks to be greater than 0, found " + std::to_string(chunks));
    const std::int64_t length = self.size(dim);
    if (length == 0) return TensorList(static_cast<std::size_t>(chunks), self);
    return split(self, (length - 1) / chunks + 1, dim);
}

TensorList broadcast_tensors(const TensorList& tensors) {
    Ints shape;
    for (const Tensor& tensor : tensors) shape = broadcast_shapes(shape, tensor.shape());
    TensorList result;
    for (const Tensor& tensor : tensors) result.push_back(tensor.expand(shape));
    return result;
}

TensorList meshgrid(const TensorList& tensors, const std::string& indexing) {
    if (tensors.empty()) throw ArgumentError("meshgrid: expected a non-empty list of tensors");
    if (indexing != "ij" && indexing != "xy")
        throw ArgumentError("meshgrid: expected indexing to be 'xy' or 'ij', found '" + indexing + "'");
    TensorList inputs = tensors;
    const bool swap = indexing == "xy" && inputs.size() > 1;
    if (swap) std::swap(inputs[0], inputs[1]);
    Ints shape;
    for (const Tensor& tensor : inputs) {
        if (tensor.dim() > 1) throw ArgumentError("meshgrid: expected 0-d or 1-d tensors, found " + describe(tensor));
        if (tensor.dtype() != inputs.front().dtype())
            throw ArgumentError("meshgrid: expected all tensors to have the same dtype");
        shape.push_back(tensor.numel());
    }
    TensorList grids;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        Ints place(shape.size(), 1);
        place[i] = shape[i];
        grids.push_back(inputs[i].reshape(place).expand(shape));
    }
    if (swap) std::swap(grids[0], grids[1]);
    return grids;
}

namespace {

TensorList tensor_split_sections(In self, std::int64_t sections, std::int64_t dim) {
    if (self.dim() == 0)
        throw ArgumentError("tensor_split: expected self with at least one dimension, found a 0-d tensor");
    if (sections <= 0)
        throw ArgumentError("tensor_split: expected sections to be greater than 0, found " + std::to_string(sections));
    constexpr std::int64_t most = std::int64_t{1} << 24;
    if (sections > most) throw ArgumentError("tensor_split: " + std::to_string(sections) + " sections are too many");
    const std::int64_t length = self.size(dim);
    TensorList result;
    std::int64_t start = 0;
    for (std::int64_t i = 0; i < sections; ++i) {
        const std::int64_t size = length / sections + (i < length % sections ? 1 : 0);
        result.push_back(self.narrow(dim, start, size));
        start += size;
    }
    return result;
}

TensorList tensor_split_indices(In self, const Ints& indices, std::int64_t dim) {
    if (self.dim() == 0)
        throw ArgumentError("tensor_split: expected self with at least one dimension, found a 0-d tensor");
    TensorList result;
    std::int64_t start = 0;
    for (const std::int64_t end : indices) {
        result.push_back(slice(self, dim, start, end, 1));
        start = end;
    }
    result.push_back(slice(self, dim, start, std::nullopt, 1));
    return result;
}

TensorList tensor_split(In self, In tensor_indices_or_sections, std::int64_t dim) {
    In given = tensor_indices_or_sections;
    if (given.dtype() != DType::Int64 || given.dim() > 1)
        throw ArgumentError(
            "tensor_split: expected tensor_indices_or_sections to be a 0-d or 1-d int64 tensor, found " +
            describe(given));
    if (given.dim() == 0) return tensor_split_sections(self, given.item().to<std::int64_t>(), dim);
    Ints indices;
    for (const Tensor& index : unbind(given, 0)) indices.push_back(index.item().to<std::int64_t>());
    return tensor_split_indices(self, indices, dim);
}

/// The dimension that hsplit, vsplit or dsplit cut.
std::int64_t split_dim(In self, std::int64_t dim) {
    const bool flat = dim == 1 && self.dim() == 1;
    const std::int64_t needed = dim == 1 ? 1 : dim == 0 ? 2 : 3;
    if (self.dim() < needed)
        throw ArgumentError("expected self with at least " + std::to_string(needed) + " dimensions, found " +
                            describe(self));
    return flat ? 0 : dim;
}

template <std::int64_t Dim>
TensorList split_along(In self, std::int64_t sections) {
    const std::int64_t dim = split_dim(self, Dim);
    if (sections <= 0 || self.size(dim) % sections != 0)
        throw ArgumentError("attempting to split dimension " + std::to_string(dim) + " of " + describe(self) +
                            ", which sections (" + std::to_string(sections) + ") does not divide");
    return tensor_split_sections(self, sections, dim);
}

template <std::int64_t Dim>
TensorList split_along_indices(In self, const Ints& indices) {
    return tensor_split_indices(self, indices, split_dim(self, Dim));
}

TensorList copies(TensorList views) {
    for (Tensor& tensor : views) tensor = copy_to(tensor, tensor.dtype(), MemoryFormat::Contiguous);
    return views;
}

}  // namespace

void register_split(Registry& r) {
    r.add("unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]", unbind);
    r.add("split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", split);
    r.add("split.sizes(Tensor(a -> *) self, SymInt[] split_size, int dim=0) -> Tensor(a)[]", split_with_sizes);
    r.add("split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]", split_with_sizes);
    r.add("chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", chunk);
    r.add("tensor_split.sections(Tensor(a -> *) self, SymInt sections, int dim=0) -> Tensor(a)[]",
          tensor_split_sections);
    r.add("tensor_split.indices(Tensor(a -> *) self, SymInt[] indices, int dim=0) -> Tensor(a)[]",
          tensor_split_indices);
    r.add(
        "tensor_split.tensor_indices_or_sections(Tensor(a -> *) self, Tensor tensor_indices_or_sections, int dim=0) -> "
        "Tensor(a)[]",
        tensor_split);
    r.add("hsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]", split_along<1>);
    r.add("vsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]", split_along<0>);
    r.add("dsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]", split_along<2>);
    r.add("hsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]", split_along_indices<1>);
    r.add("vsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]", split_along_indices<0>);
    r.add("dsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]", split_along_indices<2>);
    r.add("unsafe_split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]", split);
    r.add("unsafe_split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]", split_with_sizes);
    r.add("unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", chunk);
    r.add("broadcast_tensors(Tensor[] tensors) -> Tensor[]", broadcast_tensors);
    r.add("meshgrid(Tensor[] tensors) -> Tensor[]", [](const TensorList& tensors) { return meshgrid(tensors, "ij"); });
    r.add("meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]", meshgrid);
    r.add("unbind_copy.int(Tensor self, int dim=0) -> Tensor[]",
          [](In self, std::int64_t dim) { return copies(unbind(self, dim)); });
    r.add("split_copy.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]",
          [](In self, std::int64_t split_size, std::int64_t dim) { return copies(split(self, split_size, dim)); });
    r.add("split_with_sizes_copy(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]",
          [](In self, const Ints& split_sizes, std::int64_t dim) {
              return copies(split_with_sizes(self, split_sizes, dim));
          });
}

}  // namespace torch_ir::kernels
