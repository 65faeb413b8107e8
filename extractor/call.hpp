// SPDX-License-Identifier: MIT
// One call of an op while it is recorded.
#pragma once

#include <ATen/core/stack.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "convert.hpp"
#include "op_info.hpp"

namespace torch_ir::extractor {

/// Constants of more elements are neither computed nor stored.
inline constexpr std::int64_t max_constant = 1 << 16;

struct Call {
    const OpInfo& op;
    torch::jit::Stack arguments;      // as the program gave them
    std::vector<at::Tensor> tensors;  // those in the arguments
    bool known = true;                // all of them have their values
    torch::jit::Stack executed;       // the arguments that it ran with
    torch::jit::Stack results;
    bool ran_on_values = false;  // the results have values
};

inline bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
}

inline void set_device(torch::jit::Stack& arguments, const OpInfo& op, c10::DeviceType type) {
    if (op.device) arguments[*op.device] = c10::Device(type);
}

/// Of all tensors together.
inline std::int64_t elements(const torch::jit::Stack& results) {
    std::int64_t total = 0;
    for (c10::IValue result : results) for_each_tensor(result, [&](at::Tensor& tensor) { total += tensor.numel(); });
    return total;
}

/// A number that LibTorch made a tensor of, as `2 * x` does.
inline bool is_number(const at::Tensor& tensor) {
    return tensor.unsafeGetTensorImpl()->is_wrapped_number() && tensor.is_cpu();
}

/// ` in layers.0 (model.py:16)`, as far as it is known.
inline std::string text_of(const Provenance& from) {
    std::string text;
    if (!from.module_path.empty()) text += " in " + from.module_path;
    if (!from.source.empty()) text += " (" + from.source + ")";
    return text;
}

}  // namespace torch_ir::extractor
