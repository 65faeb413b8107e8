// SPDX-License-Identifier: MIT
// Moving items by size: strided blocks copied from place to place, and the ops of this kind that others build on.
#pragma once

#include "convert.hpp"
#include "ivalue.hpp"
#include "tensor.hpp"

namespace torch_ir::kernels {

/// Copies a block of a fixed shape between strided places, again and again. The item size matters, the dtype does not.
class BlockCopier {
  public:
    BlockCopier(DType dtype, std::span<const std::int64_t> shape, std::span<const std::int64_t> dst_strides,
                std::span<const std::int64_t> src_strides);

    /// Items in the block.
    std::int64_t count() const { return count_; }

    void operator()(std::byte* dst, const std::byte* src) const {
        if (sizes_.size() == 1)
            convert(dtype_, dst, dst_strides_[0], dtype_, src, src_strides_[0], sizes_[0]);
        else
            copy(0, dst, src);
    }

  private:
    void copy(std::size_t dimension, std::byte* dst, const std::byte* src) const;

    DType dtype_;
    std::int64_t count_;
    Ints sizes_;  // outermost first, merged; at least one
    Ints dst_strides_;
    Ints src_strides_;
};

Tensor cat(const TensorList& tensors, std::int64_t dim);
Tensor stack(const TensorList& tensors, std::int64_t dim);

Tensor flip(const Tensor& self, const Ints& dims);
Tensor roll(const Tensor& self, const Ints& shifts, const Ints& dims);
Tensor repeat(const Tensor& self, const Ints& repeats);

/// Coordinates of the elements that are not 0: int64 [count, self.dim()].
Tensor nonzero(const Tensor& self);
Tensor index_select(const Tensor& self, std::int64_t dim, const Tensor& index);
Tensor gather(const Tensor& self, std::int64_t dim, const Tensor& index, bool sparse_grad);
/// `self[indices]`: undefined, bool and integer tensors mixed as in PyTorch.
Tensor index(const Tensor& self, const TensorList& indices);
Tensor where(const Tensor& condition, const Tensor& self, const Tensor& other);
Tensor masked_fill(const Tensor& self, const Tensor& mask, const Tensor& value);

/// `index` as int64, contiguous; throws ArgumentError naming `op` unless it is of int64 or int32, or empty.
Tensor to_indices(const char* op, const Tensor& index);

/// Throws ArgumentError.
[[noreturn]] void refuse_index(std::int64_t value, std::int64_t size, std::int64_t dim);

/// `value` (negative ones counted from the end when `wrap`) checked against [0, size).
inline std::int64_t checked_index(std::int64_t value, std::int64_t size, bool wrap, std::int64_t dim) {
    if (value < (wrap ? -size : 0) || value >= size) refuse_index(value, size, dim);
    return value < 0 ? value + size : value;
}

}  // namespace torch_ir::kernels
