// SPDX-License-Identifier: MIT
// Case directories: a model with inputs and expected outputs, judged; and whole trees of them.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "load.hpp"
#include "verification/compare.hpp"

namespace torch_ir {

/// The verdict on one output.
struct OutputVerdict {
    std::string name;
    std::string dtype;
    std::string shape;
    Comparison comparison;
};

/// Compares the outputs of a run with tensors keyed `output_N` or by graph output name. `rtol` and `atol`, where given,
/// replace the defaults of model_tolerance. A missing or superfluous expected tensor is a failed verdict.
std::vector<OutputVerdict> judge(const RunResult& result, const NamedTensors& expected, std::optional<double> rtol,
                                 std::optional<double> atol);

enum class Status { Passed, Failed, Unsupported, Error };
std::string_view name(Status status);

struct CaseResult {
    std::string name;
    Status status = Status::Error;
    std::string message;  // why it did not pass
    double seconds = 0;
};

struct SuiteOptions {
    std::string filter;                              // only cases whose name contains this
    std::string category;                            // only cases of this category (meta.json)
    int jobs = 1;                                    // cases at a time
    const Registry* registry = &builtin_registry();  // for model cases
    /// Called after each case, from any thread but one at a time.
    std::function<void(const CaseResult&, std::size_t done, std::size_t total)> progress;
};

/// Every case below `directory`, model cases and op cases, in order of their names. Throws IoError when there is none.
std::vector<CaseResult> run_suite(const std::filesystem::path& directory, const SuiteOptions& options);

}  // namespace torch_ir
