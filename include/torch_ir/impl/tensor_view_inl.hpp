// SPDX-License-Identifier: MIT
// Bodies of tensor_view.hpp.
#pragma once

#include <cstring>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/make_view.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir {

namespace detail {

/// Copies the elements row-major; the innermost dimension in one piece when it is dense.
inline void copy_elements(const TensorView& view, std::byte* target) {
    const std::size_t item = item_size(view.dtype);
    const std::size_t rank = view.shape.size();
    const std::int64_t inner = rank > 0 ? view.shape.back() : 1;
    const std::int64_t step = rank > 0 ? view.strides.back() : 1;
    std::vector<std::int64_t> index(rank);
    std::int64_t offset = view.storage_offset;
    for (std::int64_t row = view.numel() / inner; row > 0; --row) {
        const std::byte* source = view.storage.data() + static_cast<std::size_t>(offset) * item;
        if (step == 1) {
            std::memcpy(target, source, static_cast<std::size_t>(inner) * item);
        } else {
            for (std::int64_t i = 0; i < inner; ++i)
                std::memcpy(target + static_cast<std::size_t>(i) * item,
                            source + static_cast<std::size_t>(i * step) * item, item);
        }
        target += static_cast<std::size_t>(inner) * item;
        for (std::size_t i = rank; i-- > 1;) {  // the next row: dimension i - 1 is the next outer one
            offset += view.strides[i - 1];
            if (++index[i - 1] < view.shape[i - 1]) break;
            offset -= view.strides[i - 1] * view.shape[i - 1];
            index[i - 1] = 0;
        }
    }
}

/// Flips the sign of every `every`-th component of `size` bytes, starting with component `first`.
inline void flip_signs(std::span<std::byte> bytes, std::size_t size, std::size_t first, std::size_t every) {
    for (std::size_t i = first; (i + 1) * size <= bytes.size(); i += every)
        bytes[(i + 1) * size - 1] ^= std::byte{0x80};
}

}  // namespace detail

TORCH_IR_INLINE std::int64_t TensorView::numel() const {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    return count;
}

TORCH_IR_INLINE bool TensorView::is_contiguous() const {
    if (strides.size() != shape.size())
        throw ArgumentError("a view of shape " + detail::format_shape(shape) + " needs as many strides, found " +
                            detail::format_shape(strides));
    if (numel() == 0) return true;
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0; expected *= shape[i])
        if (shape[i] != 1 && strides[i] != expected) return false;
    return true;
}

TORCH_IR_INLINE std::optional<std::span<const std::byte>> TensorView::dense_bytes() const {
    const bool contiguous = is_contiguous();
    const std::size_t item = item_size(dtype);
    std::size_t size = 0;
    try {
        size = static_cast<std::size_t>(detail::checked_byte_size(dtype, shape));
        detail::check_reach(shape, strides, storage_offset, static_cast<std::int64_t>(storage.size() / item));
    } catch (const ParseError& error) {  // not of a file, but of whoever made the view
        throw ArgumentError(error.what());
    }
    if (size == 0) return std::span<const std::byte>();
    if (!contiguous || conjugate || negative) return std::nullopt;
    return storage.subspan(static_cast<std::size_t>(storage_offset) * item, size);
}

TORCH_IR_INLINE std::vector<std::byte> TensorView::to_bytes() const {
    if (const auto dense = dense_bytes()) return {dense->begin(), dense->end()};
    const std::size_t item = item_size(dtype);
    std::vector<std::byte> bytes(static_cast<std::size_t>(numel()) * item);
    detail::copy_elements(*this, bytes.data());
    const std::size_t component = is_complex(dtype) ? item / 2 : item;
    if (conjugate && is_complex(dtype)) detail::flip_signs(bytes, component, 1, 2);
    if (negative && (is_complex(dtype) || is_floating_point(dtype))) detail::flip_signs(bytes, component, 0, 1);
    return bytes;
}

TORCH_IR_INLINE const TensorView* Weights::find(std::string_view name) const {
    const auto found = tensors_.find(name);
    return found != tensors_.end() ? &found->second : nullptr;
}

TORCH_IR_INLINE void Weights::merge(Weights other) {
    for (const auto& [name, tensor] : other.tensors_)
        if (tensors_.contains(name)) throw ArgumentError("weight '" + name + "' is given twice");
    tensors_.merge(other.tensors_);
}

}  // namespace torch_ir
