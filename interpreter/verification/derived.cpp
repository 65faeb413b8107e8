// SPDX-License-Identifier: MIT
#include "verification/derived.hpp"

#include <algorithm>

#include "verification/suite.hpp"

namespace torch_ir {
namespace {

RoundingVerdict wrong(std::string reason) {
    RoundingVerdict verdict;
    verdict.verdict = Verdict::Wrong;
    verdict.reason = std::move(reason);
    return verdict;
}

std::vector<DerivedVerdict> judge_outputs(const std::vector<OutputReference>& references, const RunResult& run,
                                          const NamedTensors& expected, const LocateOptions& options) {
    std::vector<DerivedVerdict> verdicts;
    std::size_t used = 0;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
        const Tensor ours = value_tensor(run.outputs[i].value);
        if (!ours.defined()) continue;
        DerivedVerdict verdict;
        verdict.name = "output_" + std::to_string(i);
        const auto found = find_output(expected, i, run.outputs[i].name);
        const Tensor reference = value_tensor(references[i].reference.value);
        if (found == expected.end()) {
            verdict.expected = wrong("nothing is expected for this output");
        } else if (!reference.defined()) {
            ++used;
            const Comparison comparison = compare(found->second, ours, {0, 0});
            if (!comparison.passed) verdict.expected = wrong(comparison.message);
        } else {
            ++used;
            verdict.expected = judge_output(found->second, references[i], options.profile);
            verdict.ours = judge_output(ours, references[i], options.profile);
            const double a = verdict.expected.rms_q;
            const double b = verdict.ours.rms_q;
            verdict.nearer = a == b ? "equal" : a < b ? "expected" : "ours";
        }
        verdicts.push_back(std::move(verdict));
    }
    if (used < expected.size()) {
        DerivedVerdict verdict;
        verdict.name = "others";
        verdict.expected =
            wrong(std::to_string(expected.size() - used) + " expected tensors are no outputs of the model");
        verdicts.push_back(std::move(verdict));
    }
    return verdicts;
}

/// Probes that are likely to be enough: of large outputs, one says as much of the mean of the deviations as four.
int first_probes(const RunResult& run) {
    const bool large = std::all_of(run.outputs.begin(), run.outputs.end(), [](const NamedValue& output) {
        const Tensor tensor = value_tensor(output.value);
        return !tensor.defined() || tensor.numel() >= 256;
    });
    return large ? 1 : 2;
}

/// With more probes it would be explained, too.
bool is_clear(const RoundingVerdict& verdict) { return verdict.verdict == Verdict::Explained && verdict.used <= 0.6; }

}  // namespace

std::vector<DerivedVerdict> judge_derived(const Interpreter& model, const std::vector<IValue>& user_inputs,
                                          const RunResult& run, const NamedTensors& expected,
                                          const LocateOptions& options) {
    LocateOptions probing = options;
    probing.probes = std::min(options.probes, first_probes(run));
    const std::vector<OutputReference> references = output_references(model, user_inputs, probing);
    std::vector<DerivedVerdict> verdicts = judge_outputs(references, run, expected, options);
    const bool clear = std::all_of(verdicts.begin(), verdicts.end(), [](const DerivedVerdict& verdict) {
        return is_clear(verdict.expected) && is_clear(verdict.ours);
    });
    probing.probes = options.probes - probing.probes;
    if (!clear && probing.probes > 0)
        verdicts = judge_outputs(output_references(model, user_inputs, probing, references), run, expected, options);
    return verdicts;
}

}  // namespace torch_ir
