// SPDX-License-Identifier: MIT
// Filling tensors with random numbers, for the families that draw them.
#pragma once

#include <type_traits>

#include "convert.hpp"
#include "generator.hpp"
#include "registry.hpp"

namespace torch_ir::kernels {

/// The call's generator, or the process's.
inline Generator& generator_of(Context& context) {
    return context.generator ? *context.generator : default_generator();
}

/// Calls `draw(generator)` (a double or an int64) for every element of a dense tensor, in the order of memory.
template <class F>
void fill_random(Context& context, const Tensor& out, F draw) {
    Generator& generator = generator_of(context);
    const std::scoped_lock lock(generator.mutex);
    using R = std::invoke_result_t<F&, Generator&>;
    constexpr std::int64_t block = 1024;
    R values[block];
    for (std::int64_t done = 0; done < out.numel(); done += block) {
        const std::int64_t n = std::min(block, out.numel() - done);
        for (std::int64_t i = 0; i < n; ++i) values[i] = draw(generator);
        store(out.dtype(), out.raw() + done * static_cast<std::int64_t>(item_size(out.dtype())), 1, compute_of<R>(),
              values, n);
    }
}

/// 1 with probability `p`, else 0.
inline void fill_bernoulli(Context& context, const Tensor& out, double p) {
    fill_random(context, out, [p](Generator& g) -> std::int64_t { return g.uniform() < p; });
}

}  // namespace torch_ir::kernels
