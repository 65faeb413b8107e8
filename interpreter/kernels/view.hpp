// SPDX-License-Identifier: MIT
// Views and copies of views that other families build on.
#pragma once

#include <optional>

#include "ivalue.hpp"
#include "tensor.hpp"

namespace torch_ir::kernels {

/// `self[start:end:step]` along `dim`, bounds clamped as Python does.
Tensor slice(const Tensor& self, std::int64_t dim, std::optional<std::int64_t> start, std::optional<std::int64_t> end,
             std::int64_t step);
Tensor diagonal(const Tensor& self, std::int64_t offset, std::int64_t dim1, std::int64_t dim2);
/// Dimensions `source` moved to the places `destination`.
Tensor movedim(const Tensor& self, const Ints& source, const Ints& destination);
Tensor flatten(const Tensor& self, std::int64_t start_dim, std::int64_t end_dim);
/// Sliding windows along `dimension` as a new last dimension.
Tensor unfold(const Tensor& self, std::int64_t dimension, std::int64_t size, std::int64_t step);
/// Checked against the bounds of the storage.
Tensor as_strided(const Tensor& self, const Ints& size, const Ints& stride, std::optional<std::int64_t> storage_offset);
Tensor view(const Tensor& self, const Ints& size);
Tensor view_dtype(const Tensor& self, DType dtype);
Tensor view_as_real(const Tensor& self);
Tensor view_as_complex(const Tensor& self);
Tensor permute(const Tensor& self, const Ints& dims);
Tensor transpose(const Tensor& self, std::int64_t dim0, std::int64_t dim1);
Tensor t(const Tensor& self);
Tensor expand(const Tensor& self, const Ints& size, bool implicit);
Tensor squeeze_all(const Tensor& self);
Tensor squeeze_dim(const Tensor& self, std::int64_t dim);
Tensor squeeze_dims(const Tensor& self, const Ints& dim);
Tensor unsqueeze(const Tensor& self, std::int64_t dim);
Tensor select(const Tensor& self, std::int64_t dim, std::int64_t index);
Tensor narrow(const Tensor& self, std::int64_t dim, std::int64_t start, std::int64_t length);
/// Complex conjugate, computed: tensors carry no conjugate bit.
Tensor conj(const Tensor& self);

TensorList unbind(const Tensor& self, std::int64_t dim);
TensorList split(const Tensor& self, std::int64_t split_size, std::int64_t dim);
TensorList split_with_sizes(const Tensor& self, const Ints& split_sizes, std::int64_t dim);
TensorList chunk(const Tensor& self, std::int64_t chunks, std::int64_t dim);
TensorList broadcast_tensors(const TensorList& tensors);
TensorList meshgrid(const TensorList& tensors, const std::string& indexing);
Tensor atleast(const Tensor& self, std::int64_t dims);

/// Uninitialised, of that shape and format; Preserve and Contiguous are row-major here.
Tensor empty_format(const Ints& shape, DType dtype, MemoryFormat format);
/// True when the strides are those of the format.
bool has_format(const Tensor& self, MemoryFormat format);
/// A copy in another dtype and format; Preserve keeps dense strides.
Tensor copy_to(const Tensor& self, DType dtype, MemoryFormat format);
/// A copy with all strides kept, gaps included, where elements do not overlap.
Tensor clone_preserve_strides(const Tensor& self);

/// A tensor of the shape and the dense strides of `layout` on the storage of `self`, as resize_ makes it; a storage
/// that is too small is replaced by a larger one, whose first elements are the old ones and whose others are zero.
Tensor resized(const Tensor& self, const Tensor& layout);
/// Makes `self`, a kernel's `Tensor(a!)` argument, which is the variable of the caller and never a constant, the tensor
/// `view`; returns it.
Tensor become(const Tensor& self, Tensor view);

}  // namespace torch_ir::kernels
