// SPDX-License-Identifier: MIT
// A graph's values as a candidate may have them, and what locate says of them.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/graphs.hpp"
#include "verification/locate.hpp"
#include "verification/recorder.hpp"

namespace torch_ir::test {

using Inputs = std::map<std::string, Tensor, std::less<>>;

/// Every value that a network computes in float32.
inline NamedTensors dump(const GraphBuilder& builder, const Inputs& tensors) {
    const auto model = model_of(builder);
    const Interpreter interpreter(model);
    Recorder recorder(model->graph, std::vector<bool>(model->graph.values.size(), true));
    RunOptions options;
    options.observer = &recorder;
    interpreter.run(interpreter.bind_inputs(tensors), options);
    NamedTensors values;
    for (const auto& [id, tensor] : recorder.values()) values.emplace(model->graph.values[id].name, tensor);
    return values;
}

inline LocateResult locate_in(const GraphBuilder& builder, const Inputs& tensors, const NamedTensors& candidate,
                              const LocateOptions& options = {}) {
    static std::vector<std::shared_ptr<const Interpreter>> kept;  // findings point into their models
    kept.push_back(std::make_shared<const Interpreter>(model_of(builder)));
    return locate(*kept.back(), kept.back()->bind_inputs(tensors), candidate, options);
}

/// The only origin.
inline const Finding& only_origin(const LocateResult& result) {
    REQUIRE(result.origins().size() == 1);
    return *result.origins()[0];
}

}  // namespace torch_ir::test
