// SPDX-License-Identifier: MIT
// The one walk behind all elementwise ops: broadcasting, strides, dtype conversion and threads are solved here, in
// code that knows no op; an op contributes a loop over a contiguous block of its compute type.
#pragma once

#include <span>
#include <type_traits>
#include <utility>

#include "convert.hpp"
#include "tensor.hpp"

namespace torch_ir {

namespace detail {

/// Computes `n` elements: `out[k]` and `in[k]` point to contiguous arrays of the operands' compute types.
using BlockFn = void (*)(const void* f, std::byte* const* out, const std::byte* const* in, std::int64_t n);

/// An operand of a walk: elements are converted between its dtype and `compute` block by block.
struct Operand {
    const Tensor* tensor;
    Compute compute;
    bool as_bool = false;  // outputs: the block holds bool, not the compute type
};

/// Runs `block` over all elements of the outputs (which share one shape); inputs broadcast to it.
void walk(std::span<const Operand> outputs, std::span<const Operand> inputs, BlockFn block, const void* f);

/// Flattened: a body that is called element by element is not vectorised.
template <class C, class F, std::size_t... I>
[[gnu::flatten]] void run_block(const void* f, std::byte* const* out, const std::byte* const* in, std::int64_t n,
                                std::index_sequence<I...>) {
    // A copy where that is cheap: captured numbers then stay in registers, and the loop vectorises.
    using Function = std::conditional_t<std::is_trivially_copyable_v<F>, const F, const F&>;
    Function function = *static_cast<const F*>(f);
    using R = std::invoke_result_t<const F&, decltype((void)I, std::declval<C>())...>;
    R* result = reinterpret_cast<R*>(out[0]);
    const auto loop = [&]<class... P>(const P*... a) {
#pragma GCC ivdep
        for (std::int64_t i = 0; i < n; ++i) result[i] = function(a[i]...);
    };
    loop(reinterpret_cast<const C*>(in[I])...);
}

template <class R>
constexpr Operand output_operand(const Tensor& tensor) {
    if constexpr (std::is_same_v<R, bool>)
        return {&tensor, Compute::Int64, true};
    else
        return {&tensor, compute_of<R>(), false};
}

}  // namespace detail

/// Writes `f(a, b, …)` of the broadcast inputs, each as compute type C, to the existing tensor `out` (converted to its
/// dtype). `f` must be pure and may return another compute type than C, or bool.
template <class C, class F, class... In>
void elementwise_into(const Tensor& out, const F& f, const In&... inputs) {
    constexpr std::size_t n = sizeof...(In);
    using R = std::invoke_result_t<const F&, decltype((void)inputs, std::declval<C>())...>;
    const detail::Operand outs[] = {detail::output_operand<R>(out)};
    const detail::Operand ins[] = {detail::Operand{&inputs, compute_of<C>()}...};
    detail::walk(
        outs, std::span(ins, n),
        [](const void* fn, std::byte* const* o, const std::byte* const* in, std::int64_t count) {
            detail::run_block<C, F>(fn, o, in, count, std::make_index_sequence<n>{});
        },
        &f);
}

/// An uninitialised tensor of the broadcast shape of the inputs, with the strides that PyTorch's TensorIterator would
/// give it.
Tensor elementwise_output(DType dtype, std::span<const Tensor* const> inputs);

/// `f` over the broadcast inputs, each as compute type C, as a new tensor of dtype `out`.
template <class C, class F, class... In>
Tensor elementwise(DType out, const F& f, const In&... inputs) {
    const Tensor* const tensors[] = {&inputs...};
    Tensor result = elementwise_output(out, tensors);
    elementwise_into<C>(result, f, inputs...);
    return result;
}

/// Converts and broadcasts `source` into all elements of `destination`. Throws ArgumentError when it does not
/// broadcast.
void copy_elements(const Tensor& destination, const Tensor& source);

/// Sets every element of `destination` to the item_size bytes at `element`.
void fill_elements(const Tensor& destination, const std::byte* element);

}  // namespace torch_ir
