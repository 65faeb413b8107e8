// SPDX-License-Identifier: MIT
// Tensors and interpreters for tests.
#pragma once

#include <initializer_list>
#include <memory>
#include <vector>

#include "interpreter.hpp"
#include "torch_ir/builder.hpp"

namespace torch_ir::test {

/// A float32 tensor of the given shape and values.
inline Tensor floats(Ints shape, const std::vector<float>& values) {
    Tensor tensor = Tensor::empty(std::move(shape), DType::Float32);
    for (std::size_t i = 0; i < values.size(); ++i) tensor.data<float>()[i] = values[i];
    return tensor;
}

/// Numbers from a small generator, in [-1, 1).
inline Tensor noise(Ints shape, unsigned seed) {
    Tensor tensor = Tensor::empty(std::move(shape), DType::Float32);
    unsigned state = seed * 2654435761U + 1U;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
        state = state * 1664525U + 1013904223U;
        tensor.data<float>()[i] = static_cast<float>(state >> 8) / 8388608.0F - 1.0F;
    }
    return tensor;
}

/// The elements, row-major, as double.
inline std::vector<double> values(const Tensor& tensor) {
    const Tensor dense = tensor.to(DType::Float64).contiguous();
    return {dense.data<double>(), dense.data<double>() + dense.numel()};
}

inline std::shared_ptr<const Model> model_of(const GraphBuilder& builder) {
    return std::make_shared<const Model>(builder.build());
}

/// The first output of a model without weights.
inline Tensor run(const GraphBuilder& builder, const std::map<std::string, Tensor, std::less<>>& inputs,
                  Observer* observer = nullptr) {
    const Interpreter interpreter(model_of(builder));
    RunOptions options;
    options.observer = observer;
    return std::get<Tensor>(interpreter.run(interpreter.bind_inputs(inputs), options).outputs[0].value);
}

}  // namespace torch_ir::test
