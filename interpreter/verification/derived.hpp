// SPDX-License-Identifier: MIT
// `verify --tolerance derived`: outputs judged by what rounding may do, instead of by a guessed tolerance.
#pragma once

#include <string>
#include <vector>

#include "verification/locate.hpp"

namespace torch_ir {

/// The verdict on one output: on what was expected, and on what this interpreter computes in the model's precision.
struct DerivedVerdict {
    std::string name;  // `output_N`
    RoundingVerdict expected;
    RoundingVerdict ours;
    /// Which of the two is nearer the float64 result (by rms of q): "expected", "ours" or "equal".
    std::string nearer;
};

/// One per expected output, in order; `run` is what the model gives for these inputs. A missing or superfluous expected
/// tensor is `wrong`.
std::vector<DerivedVerdict> judge_derived(const Interpreter& model, const std::vector<IValue>& user_inputs,
                                          const RunResult& run, const NamedTensors& expected,
                                          const LocateOptions& options);

}  // namespace torch_ir
