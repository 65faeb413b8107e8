// SPDX-License-Identifier: MIT
// Which of two layouts a result gets: row-major, or with the channels last.
#pragma once

#include "kernels/view.hpp"

namespace torch_ir::kernels {

/// Does PyTorch take a tensor's strides for those of channels last? Gaps are allowed; only tensors of 4 and 5
/// dimensions have channels.
inline bool suggests_channels_last(const Tensor& t) {
    if ((t.dim() != 4 && t.dim() != 5) || t.strides()[1] == 0) return false;
    std::int64_t least = 0;
    const auto in_order = [&](std::size_t d) {
        if (t.shape()[d] == 0 || t.strides()[d] < least || (d == 0 && least == t.strides()[1])) return false;
        least = t.strides()[d] * std::max<std::int64_t>(1, t.shape()[d]);
        return true;
    };
    if (!in_order(1)) return false;
    for (std::size_t d = t.shape().size(); d-- > 2;)
        if (!in_order(d)) return false;
    return in_order(0);
}

inline MemoryFormat channels_last_format(std::int64_t dims) {
    return dims == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
}

/// The format that PyTorch suggests for what is made of `t`.
inline MemoryFormat suggested_format(const Tensor& t) {
    return suggests_channels_last(t) ? channels_last_format(t.dim()) : MemoryFormat::Contiguous;
}

/// Itself when it lies so, else a copy.
inline Tensor in_format(const Tensor& t, MemoryFormat format) {
    return has_format(t, format) ? t : copy_to(t, t.dtype(), format);
}

}  // namespace torch_ir::kernels
