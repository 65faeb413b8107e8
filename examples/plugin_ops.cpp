// SPDX-License-Identifier: MIT
// Ops for the tool, as a shared library: torch-ir run model.pt2 --plugin libplugin_ops.so
//
// They are those of examples/plugin_model, which in Python are
//
//     @torch.library.custom_op("example::clip_norm", mutates_args=())
//     def clip_norm(x: torch.Tensor, limit: float) -> torch.Tensor:
//         return x * torch.clamp(limit / x.norm(dim=-1, keepdim=True), max=1.0)
//
//     @torch.library.custom_op("example::accumulate_", mutates_args={"total"})
//     def accumulate_(total: torch.Tensor, x: torch.Tensor, weight: float = 1.0) -> None:
//         total.add_(x, alpha=weight)
#include <algorithm>
#include <cmath>

#include "plugin.hpp"

namespace {

using torch_ir::Tensor;

/// The rows of `x` (the last dimension), none longer than `limit`.
Tensor clip_norm(const Tensor& x, double limit) {
    const Tensor in = x.to(torch_ir::DType::Float32).contiguous();
    Tensor result = Tensor::empty(in.shape(), in.dtype());
    const std::int64_t size = in.size(-1);
    for (std::int64_t row = 0; row < in.numel() / std::max<std::int64_t>(size, 1); ++row) {
        const float* from = in.data<float>() + row * size;
        float* to = result.data<float>() + row * size;
        double sum = 0;
        for (std::int64_t i = 0; i < size; ++i) sum += static_cast<double>(from[i]) * from[i];
        const double factor = std::min(limit / std::sqrt(sum), 1.0);
        for (std::int64_t i = 0; i < size; ++i) to[i] = static_cast<float>(from[i] * factor);
    }
    return result.to(x.dtype());
}

/// Writes to its first argument, as `(a!)` in the schema says: the same tensor is changed.
void accumulate(const Tensor& total, const Tensor& x, double weight) {
    const Tensor sum = total.to(torch_ir::DType::Float32).contiguous();
    const Tensor added = x.to(torch_ir::DType::Float32).contiguous();
    Tensor result = Tensor::empty(sum.shape(), sum.dtype());
    for (std::int64_t i = 0; i < sum.numel(); ++i)
        result.data<float>()[i] = sum.data<float>()[i] + static_cast<float>(weight) * added.data<float>()[i];
    total.copy_from(result);
}

}  // namespace

extern "C" void torch_ir_register(torch_ir::Registry& registry) {
    registry.add("example::clip_norm(Tensor x, float limit) -> Tensor", clip_norm);
    registry.add("example::accumulate_(Tensor(a!) total, Tensor x, float weight=1.0) -> ()", accumulate);
}
