// SPDX-License-Identifier: MIT
#include "verification/derived.hpp"

#include <algorithm>
#include <set>

#include "verification/probes.hpp"
#include "verification/suite.hpp"

namespace torch_ir {
namespace {

/// A walk that keeps what the outputs of the graph should be.
class OutputWalk : Walk {
  public:
    OutputWalk(const Interpreter& model, const WalkOptions& options, const std::vector<OutputReference>& earlier)
        : Walk(model, options, most_probes(earlier)), earlier_(earlier) {
        for (const Argument& output : graph_.outputs)
            for_each_value(output, [&](ValueRef ref) { outputs_.insert(plan_.slot(ref)); });
    }

    std::vector<OutputReference> run(std::vector<IValue> user_inputs) {
        walk(std::move(user_inputs));
        std::vector<OutputReference> references;
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            if (!is_user_output(model_.model().outputs[i].kind)) continue;
            OutputReference reference;
            if (const auto* ref = graph_.outputs[i].get_if<ValueRef>()) {
                const Known& known = known_[plan_.slot(*ref)];
                reference = {graph_.value(*ref).name,
                             {known.values[0], known.sigma, known.bound},
                             {known.values.begin() + 1, known.values.end()}};
                if (!earlier_.empty()) {
                    const std::vector<IValue>& more = earlier_[references.size()].probes;
                    reference.probes.insert(reference.probes.begin(), more.begin(), more.end());
                }
                if (known.is_region() && !known.sigma.defined())
                    widen(reference.reference, reference.probes, graph_.value(*ref).meta.dtype);
            }
            references.push_back(std::move(reference));
        }
        return references;
    }

  private:
    static std::size_t most_probes(const std::vector<OutputReference>& outputs) {
        std::size_t most = 0;
        for (const OutputReference& output : outputs) most = std::max(most, output.probes.size());
        return most;
    }

    bool is_wanted(std::uint32_t slot) const override { return outputs_.contains(slot); }

    const std::vector<OutputReference>& earlier_;
    std::set<std::uint32_t> outputs_;
};

RoundingVerdict wrong(std::string reason) {
    RoundingVerdict verdict;
    verdict.verdict = Verdict::Wrong;
    verdict.reason = std::move(reason);
    return verdict;
}

std::vector<DerivedVerdict> judge_outputs(const std::vector<OutputReference>& references, const RunResult& run,
                                          const NamedTensors& expected, const WalkOptions& options) {
    std::vector<DerivedVerdict> verdicts;
    std::size_t used = 0;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
        const Tensor ours = value_tensor(run.outputs[i].value);
        if (!ours.defined()) continue;
        DerivedVerdict verdict;
        verdict.name = "output_" + std::to_string(i);
        const auto found = find_output(expected, i, run.outputs[i].name);
        const Tensor reference = value_tensor(references[i].reference.value);
        if (found != expected.end()) ++used;
        if (found == expected.end()) {
            verdict.expected = wrong("nothing is expected for this output");
        } else if (found->second.dtype() != ours.dtype()) {
            verdict.expected = wrong("expected dtype " + std::string(name(found->second.dtype())) + ", found " +
                                     std::string(name(ours.dtype())));
        } else if (found->second.shape() != ours.shape()) {
            verdict.expected =
                wrong("expected shape " + to_string(found->second.shape()) + ", found " + to_string(ours.shape()));
        } else if (!reference.defined() || reference.shape() != ours.shape()) {
            // A size that depends on data may come out otherwise in float64: nothing says then what rounding may do.
            const Tolerance tolerance = reference.defined() ? model_tolerance(ours.dtype()) : Tolerance{0, 0};
            const Comparison comparison = compare(ours, found->second, tolerance);
            if (!comparison.passed) verdict.expected = wrong(comparison.message);
        } else {
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

std::vector<OutputReference> output_references(const Interpreter& model, std::vector<IValue> user_inputs,
                                               const WalkOptions& options,
                                               const std::vector<OutputReference>& earlier) {
    return OutputWalk(model, options, earlier).run(std::move(user_inputs));
}

RoundingVerdict judge_output(const Tensor& candidate, const OutputReference& output, const RoundingProfile& profile) {
    const Tensor expected = value_tensor(output.reference.value);
    if (candidate.shape() != expected.shape()) {
        RoundingVerdict verdict;
        verdict.verdict = Verdict::Wrong;
        verdict.reason = "expected shape " + to_string(expected.shape()) + ", found " + to_string(candidate.shape());
        return verdict;
    }
    RoundingVerdict verdict = judge_rounding(candidate, output.reference, !output.probes.empty(), profile);
    // What does not round, an index for example, may still follow from values that do: any probe's will do.
    if (output.reference.is_exact() && verdict.verdict != Verdict::Explained)
        for (const IValue& probe : output.probes) {
            const RoundingVerdict other = judge_rounding(candidate, {probe}, true, profile);
            if (other.verdict == Verdict::Explained) return other;
            verdict.verdict = Verdict::Suspicious;
        }
    return verdict;
}

std::vector<DerivedVerdict> judge_derived(const Interpreter& model, const std::vector<IValue>& user_inputs,
                                          const RunResult& run, const NamedTensors& expected,
                                          const WalkOptions& options) {
    WalkOptions probing = options;
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
