// SPDX-License-Identifier: MIT
// xtensor views of tensors, for kernels and users' ops that read best as index expressions. Includes both layouts of
// xtensor's headers.
#pragma once

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xview.hpp>
#endif

#include <array>
#include <string>

#include "tensor.hpp"

namespace torch_ir {

namespace detail {

/// The strides that xtensor expects: 0 for sizes of 1.
template <class Sizes>
void fill_sizes(const Tensor& tensor, Sizes& shape, Sizes& strides) {
    for (std::size_t d = 0; d < tensor.shape().size(); ++d) {
        shape[d] = tensor.shape()[d];
        strides[d] = tensor.shape()[d] == 1 ? 0 : tensor.strides()[d];
    }
}

inline std::size_t reach(const Tensor& tensor) {
    std::int64_t last = tensor.numel() == 0 ? -1 : 0;
    for (std::size_t d = 0; last >= 0 && d < tensor.shape().size(); ++d)
        last += (tensor.shape()[d] - 1) * tensor.strides()[d];
    return static_cast<std::size_t>(last + 1);
}

}  // namespace detail

/// An xtensor adaptor of fixed rank over the tensor's memory; writing to it writes to the tensor. T must be the stored
/// type. Throws ArgumentError when the rank differs.
template <class T, std::size_t Rank>
auto Tensor::view() const {
    if (shape().size() != Rank)
        throw ArgumentError("expected a tensor of " + std::to_string(Rank) + " dimensions, found shape " +
                            to_string(shape()));
    std::array<std::int64_t, Rank> sizes{};
    std::array<std::int64_t, Rank> steps{};
    detail::fill_sizes(*this, sizes, steps);
    return xt::adapt(data<T>(), detail::reach(*this), xt::no_ownership(), sizes, steps);
}

/// The same with the rank at run time.
template <class T>
auto Tensor::view() const {
    Ints sizes(shape().size());
    Ints steps(shape().size());
    detail::fill_sizes(*this, sizes, steps);
    return xt::adapt(data<T>(), detail::reach(*this), xt::no_ownership(), sizes, steps);
}

}  // namespace torch_ir
