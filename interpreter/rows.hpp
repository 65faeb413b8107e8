// SPDX-License-Identifier: MIT
// A tensor seen as a matrix whose rows run over given dimensions: what reductions, softmax, norms, scans and sorts work
// on.
#pragma once

#include <algorithm>
#include <span>

#include "convert.hpp"
#include "tensor.hpp"

namespace torch_ir {

/// [count, length], contiguous, in the compute type. Shares the tensor's memory when it already lies so, else owns a
/// copy.
template <class C>
struct Rows {
    Tensor memory;
    std::int64_t count = 0;
    std::int64_t length = 0;

    const C* data() const { return memory.data<C>(); }
    std::span<const C> operator[](std::int64_t i) const {
        return {data() + i * length, static_cast<std::size_t>(length)};
    }
};

/// `dims` wrapped, sorted and checked; all dimensions when empty. Throws ArgumentError on a repeated or wrong one.
inline Ints normalize_dims(const Tensor& x, std::span<const std::int64_t> dims) {
    Ints wrapped;
    for (const std::int64_t d : dims) wrapped.push_back(x.wrap_dim(d));
    std::sort(wrapped.begin(), wrapped.end());
    if (const auto twice = std::adjacent_find(wrapped.begin(), wrapped.end()); twice != wrapped.end())
        throw ArgumentError("dim " + std::to_string(*twice) + " appears multiple times in the list of dims");
    if (x.dim() == 0) return {};
    if (dims.empty())
        for (std::int64_t d = 0; d < x.dim(); ++d) wrapped.push_back(d);
    return wrapped;
}

/// The dimensions of `x` not in `dims` (sorted), then those in it.
inline Ints rows_order(const Tensor& x, std::span<const std::int64_t> dims) {
    Ints order;
    for (std::int64_t d = 0; d < x.dim(); ++d)
        if (std::find(dims.begin(), dims.end(), d) == dims.end()) order.push_back(d);
    order.insert(order.end(), dims.begin(), dims.end());
    return order;
}

/// Rows over `dims` (normalised: see normalize_dims); the other dimensions, in order, number the rows.
template <class C>
Rows<C> rows(const Tensor& x, std::span<const std::int64_t> dims) {
    Rows<C> result;
    result.length = 1;
    for (const std::int64_t d : dims) result.length *= x.size(d);
    result.count = 1;
    for (std::int64_t d = 0; d < x.dim(); ++d)
        if (std::find(dims.begin(), dims.end(), d) == dims.end()) result.count *= x.size(d);
    const Ints order = rows_order(x, dims);
    const Tensor permuted = x.permute(order);
    if (x.dtype() == dtype_of<C>()) {
        result.memory = permuted.contiguous();
    } else {
        result.memory = Tensor::empty(permuted.shape(), dtype_of<C>());
        result.memory.copy_from(permuted);
    }
    return result;
}

/// Rows along one dimension.
template <class C>
Rows<C> rows(const Tensor& x, std::int64_t dim) {
    const Ints dims = x.dim() == 0 ? Ints{} : Ints{x.wrap_dim(dim)};
    return rows<C>(x, dims);
}

/// The shape left when `dims` (normalised) are reduced.
inline Ints reduced_shape(const Tensor& x, std::span<const std::int64_t> dims, bool keepdim) {
    Ints shape;
    for (std::int64_t d = 0; d < x.dim(); ++d) {
        if (std::find(dims.begin(), dims.end(), d) == dims.end())
            shape.push_back(x.size(d));
        else if (keepdim)
            shape.push_back(1);
    }
    return shape;
}

/// The inverse of the permutation behind `rows`: a tensor of shape [kept…, reduced…] back in the order of `x`, laid out
/// as a result of an elementwise op on `x` would be.
inline Tensor unrows(const Tensor& permuted, const Tensor& x, std::span<const std::int64_t> dims) {
    const Ints order = rows_order(x, dims);
    Ints inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    Tensor y = permuted.permute(inverse);
    if (y.is_contiguous() && x.is_contiguous()) return y;
    Tensor result = Tensor::empty_like(x, y.dtype());
    if (result.strides() == y.strides()) return y;
    result.copy_from(y);
    return result;
}

}  // namespace torch_ir
