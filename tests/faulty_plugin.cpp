// SPDX-License-Identifier: MIT
// Ops that go wrong; TORCH_IR_FAULT says what goes wrong when they are registered.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "plugin.hpp"

using torch_ir::DType;
using torch_ir::Tensor;

extern "C" void torch_ir_register(torch_ir::Registry& registry) {
    const char* variable = std::getenv("TORCH_IR_FAULT");
    const std::string fault = variable ? variable : "";
    if (fault == "message") throw std::runtime_error("no licence");
    if (fault == "number") throw 42;
    if (fault == "returns") registry.add("faulty::two() -> (Tensor, Tensor)", [] { return Tensor(); });
    registry.add("faulty::message() -> Tensor", []() -> Tensor { throw std::runtime_error("my kernel failed"); });
    registry.add("faulty::number() -> Tensor", []() -> Tensor { throw 42; });
    registry.add("faulty::float64() -> Tensor", [] { return Tensor::zeros({2}, DType::Float64); });
    registry.add("faulty::nothing() -> Tensor", [] { return Tensor(); });
    registry.add("faulty::in_float32(Tensor x) -> Tensor", [](const Tensor& x) {
        return x.dtype() == DType::Float32 ? Tensor::zeros(x.shape(), DType::Float32) : x;
    });
}
