// SPDX-License-Identifier: MIT
// `verify --tolerance derived`: outputs judged by what rounding may do, instead of by a guessed tolerance.
#pragma once

#include <string>
#include <vector>

#include "verification/locate.hpp"

namespace torch_ir {

/// What an output of a model should be in float64, with the sigma that rounding everywhere in the model gives it.
struct OutputReference {
    std::string name;            // in the graph
    Reference reference;         // `value` is None for an output that is no value of the graph
    std::vector<IValue> probes;  // the output with random rounding; empty when it needs none
};

/// One per user output. The probes of `earlier` ones, from the same inputs, count too, and come first.
std::vector<OutputReference> output_references(const Interpreter& model, std::vector<IValue> user_inputs,
                                               const WalkOptions& options = {},
                                               const std::vector<OutputReference>& earlier = {});

/// Judges a candidate's output.
RoundingVerdict judge_output(const Tensor& candidate, const OutputReference& output, const RoundingProfile& profile);

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
                                          const WalkOptions& options);

}  // namespace torch_ir
