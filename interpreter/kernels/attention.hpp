// SPDX-License-Identifier: MIT
// What attention and its gradients share.
#pragma once

#include <algorithm>
#include <limits>

#include "convert.hpp"
#include "tensor.hpp"

namespace torch_ir::kernels {

/// An additive mask expanded to [batch, heads, L, S], or nothing when everything is kept.
template <class C>
Tensor additive_mask(const Tensor& mask, const Ints& shape) {
    if (!mask.defined()) return {};
    Tensor distinct = mask;  // without the dimensions that only repeat
    for (std::int64_t d = 0; d < mask.dim(); ++d)
        if (mask.stride(d) == 0 && mask.size(d) > 1) distinct = distinct.narrow(d, 0, 1);
    if (mask.dtype() != DType::Bool) return distinct.to(dtype_of<C>()).expand(shape);
    distinct = distinct.contiguous();
    const bool* keep = distinct.data<bool>();
    if (std::all_of(keep, keep + distinct.numel(), [](bool kept) { return kept; })) return {};
    const Tensor additive = Tensor::empty(distinct.shape(), dtype_of<C>());
    for (std::int64_t i = 0; i < distinct.numel(); ++i)
        additive.data<C>()[i] = keep[i] ? C(0) : -std::numeric_limits<C>::infinity();
    return additive.expand(shape);
}

}  // namespace torch_ir::kernels
