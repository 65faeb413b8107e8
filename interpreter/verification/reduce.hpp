// SPDX-License-Identifier: MIT
// Delta debugging of a model on which a backend fails: the smallest case found that still fails in the same way.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "verification/backend.hpp"
#include "verification/tape.hpp"

namespace torch_ir {

/// What a backend does wrong. A result that is missing or cannot be read is a crash.
enum class FailureKind { None, WrongNumbers, Crash, TimeOut };
/// `none`, `wrong numbers`, `crash`, `time-out`.
std::string_view name(FailureKind kind);

struct ReduceOptions {
    Backend backend;
    int max_tests = 500;  // runs of the backend; those known from an earlier reduction do not count
    std::optional<double> rtol;
    std::optional<double> atol;
    const Registry* registry = &builtin_registry();
    /// Called after each test: what is tried, how many tests ran, nodes left.
    std::function<void(const std::string& phase, int tests, std::size_t nodes)> progress;
};

struct ReduceResult {
    FailureKind kind = FailureKind::None;  // None: the backend agrees on every input set
    std::string message;                   // how the smallest case fails; with None: why the backend did not run
    CaseFiles smallest;
    int tests = 0;
    bool complete = false;           // false: stopped by max_tests
    std::vector<std::string> steps;  // what was made smaller, for people
};

/// Tests the model on each input set with the backend and, on the first that fails, makes the case smaller: nodes (by
/// halves, then by delta debugging, with recorded values at the edges), sizes, arguments towards their defaults, values
/// towards zeros, ones and whole numbers. `state` is a file that gains a line per test; results in it are not computed
/// again, so that a reduction that was stopped goes on where it was. Throws ArgumentError when the file is of another
/// model, command, time limit or tolerance.
ReduceResult reduce(const std::shared_ptr<const Model>& model, const Weights& weights,
                    const std::vector<NamedTensors>& input_sets, const std::filesystem::path& state,
                    const ReduceOptions& options);

/// The case run again with the interpreter after a change of its tensors or arguments: shapes in the graph and expected
/// outputs are those of the run (sizes that are symbolic stay so). Nothing when it cannot run.
std::optional<CaseFiles> run_again(CaseFiles files, const Registry& registry = builtin_registry());

/// Ways to make a case smaller, one change each, most promising first; none has been run.
std::vector<std::pair<std::string, CaseFiles>> smaller_sizes(const CaseFiles& files);
std::vector<std::pair<std::string, CaseFiles>> plainer_arguments(const CaseFiles& files);
std::vector<std::pair<std::string, CaseFiles>> plainer_values(const CaseFiles& files);

}  // namespace torch_ir
