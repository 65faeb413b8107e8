// SPDX-License-Identifier: MIT
// What oneDNN's products and convolutions run on.
#pragma once

#include <dnnl.hpp>

namespace torch_ir::backend {

/// AVX2 is the widest that this build has: with packed matrices, our own loops are faster than oneDNN's then.
#if defined(__AVX2__) && !defined(__AVX512F__)
inline constexpr bool without_avx512 = true;
#else
inline constexpr bool without_avx512 = false;
#endif

inline const dnnl::engine& engine() {
    static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
    return instance;
}

inline dnnl::stream& stream() {
    thread_local dnnl::stream instance(engine());
    return instance;
}

}  // namespace torch_ir::backend
