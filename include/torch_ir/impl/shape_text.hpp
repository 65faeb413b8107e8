// SPDX-License-Identifier: MIT
// Shapes as text, for messages and graphs.
#pragma once

#include <string>
#include <string_view>

#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

/// `1x3x224`, with any separator; a scalar's shape is empty.
inline std::string join_shape(const Shape& shape, std::string_view separator) {
    std::string text;
    for (const Dim& dim : shape) {
        if (&dim != shape.data()) text += separator;
        text += dim.is_static() ? std::to_string(dim.value()) : to_string(dim);
    }
    return text;
}

/// `[1, 3, 224]`
inline std::string shape_text(const Shape& shape) { return "[" + join_shape(shape, ", ") + "]"; }

/// `float32[1, 3, 224]`
inline std::string meta_text(const TensorMeta& meta) { return std::string(name(meta.dtype)) + shape_text(meta.shape); }

}  // namespace torch_ir::detail
