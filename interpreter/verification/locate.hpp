// SPDX-License-Identifier: MIT
// Where a run of a backend went wrong: every node is computed again in float64 on the values that the backend itself
// had, so that error made there is told apart from error inherited, and judged by what rounding may do.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "load.hpp"
#include "verification/part.hpp"
#include "verification/rounding.hpp"
#include "verification/walk.hpp"

namespace torch_ir {

/// What a difference is: rounding; more than rounding is likely to give; more than it can give.
enum class Verdict : std::uint8_t { Explained, Suspicious, Wrong };
std::string_view name(Verdict verdict);

/// How a tensor relates to its reference. With q = (candidate - reference) / sigma, element by element.
struct RoundingVerdict {
    Verdict verdict = Verdict::Explained;
    std::string reason;  // why not explained; empty otherwise
    double max_q = 0;
    double rms_q = 0;
    double bias = 0;     // |mean(sign(reference) q)|
    double max_abs = 0;  // largest |candidate - reference|
    std::int64_t worst_index = 0;
    double used = 0;  // the largest share of what is allowed that max_q, rms_q and bias take; above 1: not explained
};

/// Judges a tensor of the reference's shape. `region`: sigma comes from probes and there is no hard bound.
RoundingVerdict judge_rounding(const Tensor& candidate, const Reference& reference, bool region,
                               const RoundingProfile& profile);

/// A change of the node that would explain what the candidate has.
struct Hypothesis {
    std::string name;  // `eps=1e-06`
    Verdict verdict = Verdict::Wrong;
    double rms_q = 0;
};

/// The verdict on one value of the candidate. Nodes are those of the model, which must outlive it.
struct Finding {
    std::string value;                // its name in the graph
    const Node* node = nullptr;       // that makes it; nullptr: an input of the graph
    std::vector<const Node*> absent;  // nodes before it whose results the candidate does not show
    std::string layout;               // how the candidate stores it, when not as the graph says
    std::string other_name;           // of a tensor of the candidate that holds the numbers expected here
    RoundingVerdict rounding;
    Part part;                           // that is off, of what is not explained
    std::vector<Hypothesis> hypotheses;  // best first; for nodes that are not explained
};

struct LocateOptions : WalkOptions {
    bool hypotheses = true;  // try the catalogue on what is not explained
};

struct LocateResult {
    std::vector<Finding> findings;             // one per value compared, in the order of the graph
    std::size_t absent = 0;                    // values of the graph that the candidate does not show
    std::vector<std::string> unknown;          // names of the candidate that are no values of the graph
    std::map<std::string, std::string> names;  // what some of them are in the graph, by their numbers
    std::string stored;         // `float16`: all of the candidate's floats are such numbers, and judged as such
    bool written_only = false;  // as rounded when they were written: what was computed went on unrounded

    /// The worst verdict.
    Verdict verdict() const;
    /// The findings that are not explained: where error is introduced.
    std::vector<const Finding*> origins() const;
};

/// True for ops that allocate without writing, such as `aten.empty.memory_format`: no two runs need agree on what their
/// results hold.
bool leaves_values_undefined(std::string_view op_type);

/// Compares a candidate's values, by their names in the graph (outputs also as `output_N`), with `model` run on
/// `user_inputs` (see Interpreter::bind_inputs). Where not all is explained and all of the candidate's floats are
/// 16-bit numbers, they are judged as such, if that explains more. Throws ArgumentError when nothing can be compared.
LocateResult locate(const Interpreter& model, std::vector<IValue> user_inputs, const NamedTensors& candidate,
                    const LocateOptions& options = {});

/// The catalogue of `locate`, tried on one call: changes of it under which `candidate`, its result number `index`, is
/// explained. `reference` is what the result should be, and `finding` what has been found out so far.
std::vector<Hypothesis> explain(const OpCall& call, std::span<const DType> output_dtypes, std::size_t index,
                                const Tensor& candidate, const Finding& finding, const Reference& reference);

/// Whether `candidate` has other indices than `expected`, a result of a call that looks for extremes, but such as point
/// to equal values.
bool is_tie(const OpCall& call, const Tensor& candidate, const Tensor& expected);

}  // namespace torch_ir
