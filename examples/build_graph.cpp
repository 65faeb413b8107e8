// SPDX-License-Identifier: MIT
// Builds y = relu(x · wᵀ + b) by hand, validates it and prints it as JSON.
#include <cstdio>

#include "torch_ir/torch_ir.hpp"

int main() {
    using namespace torch_ir;
    GraphBuilder builder("TwoByThree");
    const auto x = builder.input("x", {{4, 3}});
    const auto w = builder.parameter("p_weight", "weight", {{2, 3}});
    const auto b = builder.parameter("p_bias", "bias", {{2}});
    const auto y = builder.call("aten.linear.default", {x, w, b}, {{4, 2}});
    builder.output(builder.call("aten.relu.default", {y}, {{4, 2}}));
    const Model model = builder.build();

    for (const Issue& issue : validate(model)) std::printf("%s\n", issue.text().c_str());
    std::printf("%s\n", to_json(model).c_str());
    return has_errors(validate(model)) ? 1 : 0;
}
