// SPDX-License-Identifier: MIT
// Runs a graph that uses an op of its own: registered with its schema line and a function on tensors, here written with
// xtensor.
#include <cmath>
#include <cstdio>

#include "interpreter.hpp"
#include "kernels/kernels.hpp"
#include "torch_ir/torch_ir.hpp"
#include "xt.hpp"

namespace {

using torch_ir::Tensor;

/// Distance of every row of `points` [n, d] from the origin.
Tensor row_norms(const Tensor& points) {
    Tensor result = Tensor::empty({points.size(0)}, points.dtype());
    const auto in = points.view<float, 2>();
    auto out = result.view<float, 1>();
    for (std::size_t i = 0; i < in.shape(0); ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < in.shape(1); ++j) sum += static_cast<double>(in(i, j)) * in(i, j);
        out(i) = static_cast<float>(std::sqrt(sum));
    }
    return result;
}

}  // namespace

int main() {
    using namespace torch_ir;
    Registry registry;
    register_kernels(registry);
    registry.add("example::row_norms(Tensor points) -> Tensor", row_norms);

    GraphBuilder builder("Norms");
    const auto x = builder.input("x", {{2, 2}});
    builder.output(builder.call("example.row_norms.default", {x}, {{2}}));
    const auto model = std::make_shared<const Model>(builder.build());

    const Interpreter interpreter(model, registry);
    Tensor points = Tensor::empty({2, 2}, DType::Float32);
    auto values = points.view<float, 2>();
    values(0, 0) = 3;
    values(0, 1) = 4;
    values(1, 0) = 0;
    values(1, 1) = 1;
    const RunResult result = interpreter.run(interpreter.bind_inputs({{"x", points}}));
    const Tensor norms = std::get<Tensor>(result.outputs[0].value);
    std::printf("%g %g\n", static_cast<double>(norms.data<float>()[0]), static_cast<double>(norms.data<float>()[1]));
    return norms.data<float>()[0] == 5.0F && norms.data<float>()[1] == 1.0F ? 0 : 1;
}
