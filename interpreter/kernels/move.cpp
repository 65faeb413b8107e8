// SPDX-License-Identifier: MIT
#include "kernels/move.hpp"

namespace torch_ir::kernels {

BlockCopier::BlockCopier(DType dtype, std::span<const std::int64_t> shape, std::span<const std::int64_t> dst_strides,
                         std::span<const std::int64_t> src_strides)
    : dtype_(dtype), count_(numel_of(shape)) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == 1) continue;
        if (!sizes_.empty() && dst_strides_.back() == dst_strides[i] * shape[i] &&
            src_strides_.back() == src_strides[i] * shape[i]) {
            sizes_.back() *= shape[i];
            dst_strides_.back() = dst_strides[i];
            src_strides_.back() = src_strides[i];
        } else {
            sizes_.push_back(shape[i]);
            dst_strides_.push_back(dst_strides[i]);
            src_strides_.push_back(src_strides[i]);
        }
    }
    if (sizes_.empty()) {
        sizes_ = {1};
        dst_strides_ = {1};
        src_strides_ = {1};
    }
}

void BlockCopier::copy(std::size_t dimension, std::byte* dst, const std::byte* src) const {
    if (dimension + 1 == sizes_.size())
        return convert(dtype_, dst, dst_strides_[dimension], dtype_, src, src_strides_[dimension], sizes_[dimension]);
    const auto item = static_cast<std::int64_t>(item_size(dtype_));
    for (std::int64_t i = 0; i < sizes_[dimension]; ++i)
        copy(dimension + 1, dst + i * dst_strides_[dimension] * item, src + i * src_strides_[dimension] * item);
}

void refuse_index(std::int64_t value, std::int64_t size, std::int64_t dim) {
    throw ArgumentError("index " + std::to_string(value) + " is out of bounds for dimension " + std::to_string(dim) +
                        " with size " + std::to_string(size));
}

Tensor to_indices(const char* op, const Tensor& index) {
    if (index.dtype() != DType::Int64 && index.dtype() != DType::Int32 && index.numel() > 0)
        throw ArgumentError(std::string(op) + ": expected index to be an int64 or int32 tensor, found " +
                            describe(index));
    return index.to(DType::Int64).contiguous();
}

}  // namespace torch_ir::kernels
