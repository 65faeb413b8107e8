// SPDX-License-Identifier: MIT
// What oneDNN's products and convolutions run on.
#pragma once

#include <dnnl.hpp>

namespace torch_ir::backend {

inline const dnnl::engine& engine() {
    static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
    return instance;
}

inline dnnl::stream& stream() {
    thread_local dnnl::stream instance(engine());
    return instance;
}

}  // namespace torch_ir::backend
