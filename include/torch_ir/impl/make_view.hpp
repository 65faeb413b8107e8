// SPDX-License-Identifier: MIT
// Makes views from untrusted geometry: every size, product and reachable element is checked here, once for all formats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir::detail {

/// `[2, 3]`.
inline std::string format_shape(const std::vector<std::int64_t>& shape) {
    std::string text = "[";
    for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + "]";
}

/// Bytes of a dense tensor. Throws ParseError for a negative size, or a product beyond 2^63 bytes before any later
/// zero.
inline std::int64_t checked_byte_size(DType dtype, const std::vector<std::int64_t>& shape) {
    auto bytes = std::optional(static_cast<std::int64_t>(item_size(dtype)));
    for (const std::int64_t size : shape) {
        if (size < 0) throw ParseError("shape " + format_shape(shape) + " has a negative size");
        bytes = checked_mul(*bytes, size);
        if (!bytes) throw ParseError("shape " + format_shape(shape) + " has more bytes than fit in 63 bits");
    }
    return *bytes;
}

inline std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0; stride *= std::max<std::int64_t>(shape[i], 1)) strides[i] = stride;
    return strides;
}

/// The strides of a tensor of `shape` must keep every element inside `storage_items` elements; throws ParseError if
/// not.
inline void check_reach(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
                        std::int64_t offset, std::int64_t storage_items) {
    if (strides.size() != shape.size())
        throw ParseError("shape " + format_shape(shape) + " and strides " + format_shape(strides) +
                         " have different lengths");
    if (std::ranges::find(shape, 0) != shape.end()) return;  // no element is reachable
    auto last = std::optional(offset);
    for (std::size_t i = 0; last && i < shape.size(); ++i) {
        const auto step = strides[i] < 0 ? std::nullopt : checked_mul(strides[i], shape[i] - 1);
        last = step ? checked_add(*last, *step) : std::nullopt;
    }
    if (offset < 0 || !last || *last >= storage_items)
        throw ParseError("shape " + format_shape(shape) + " with strides " + format_shape(strides) + " and offset " +
                         std::to_string(offset) + " leaves its storage of " + std::to_string(storage_items) +
                         " elements");
}

/// A checked view. Throws ParseError naming what does not fit.
inline TensorView make_view(DType dtype, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides,
                            std::int64_t offset, Bytes storage, std::shared_ptr<const void> owner) {
    const std::int64_t size = checked_byte_size(dtype, shape);
    // Strides of 0 (torch.expand) let a few bytes stand for any number of elements: somebody would copy them.
    constexpr std::int64_t max_expanded = std::int64_t{1} << 32;
    if (size > max_expanded && static_cast<std::uint64_t>(size) > storage.size())
        throw ParseError("shape " + format_shape(shape) + " stands for " + std::to_string(size) +
                         " bytes, but its storage has " + std::to_string(storage.size()));
    check_reach(shape, strides, offset, static_cast<std::int64_t>(storage.size() / item_size(dtype)));
    return {dtype, std::move(shape), std::move(strides), offset, storage, std::move(owner), false, false};
}

/// A checked row-major view that fills its storage from the start.
inline TensorView make_contiguous_view(DType dtype, std::vector<std::int64_t> shape, Bytes storage,
                                       std::shared_ptr<const void> owner) {
    checked_byte_size(dtype, shape);
    auto strides = contiguous_strides(shape);
    return make_view(dtype, std::move(shape), std::move(strides), 0, storage, std::move(owner));
}

}  // namespace torch_ir::detail
