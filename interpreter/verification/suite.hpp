// SPDX-License-Identifier: MIT
// Case directories: a model with inputs and expected outputs, judged; and whole trees of them.
#pragma once

#include <cstdint>
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
    std::optional<DType> dtype;  // of what was computed; empty where there is no tensor
    Ints shape;
    Comparison comparison;
    std::string origin;  // op and module of a value inside a graph; else empty

    /// `float32[1, 10]`; empty where there is no tensor.
    std::string type() const;

    /// A row-major position as an index.
    Ints position(std::int64_t flat) const;
};

/// The verdict on one tensor.
OutputVerdict judge_tensor(std::string name, const Tensor& actual, const Tensor& expected, const Tolerance& tolerance);

/// The tensor for an output, keyed `output_N` or by its name in the graph; the end when there is none.
NamedTensors::const_iterator find_output(const NamedTensors& tensors, std::size_t position, const std::string& name);

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
    std::vector<OutputVerdict> outputs;  // of the first inputs of a model case
    std::filesystem::path directory;     // of a model case; empty for an op case
    std::vector<std::string> categories;
    std::string description;
};

/// A command that runs cases (see backend.hpp).
struct Backend {
    std::string command;   // with `{case}` and `{out}`; empty: the interpreter runs the cases
    double timeout = 300;  // seconds; 0: none
};

/// Called after each case, from any thread but one at a time.
using CaseProgress = std::function<void(const CaseResult&, std::size_t done, std::size_t total)>;

/// A case to run: a model directory, or one call of an op-case file. `run` is given a result that has passed.
struct Case {
    std::string name;
    std::function<void(CaseResult&)> run;
    std::filesystem::path directory = {};  // as in CaseResult
    std::vector<std::string> categories = {};
    std::string description = {};
};

/// Runs cases, `jobs` at a time; what they throw becomes their result.
std::vector<CaseResult> run_cases(const std::vector<Case>& cases, int jobs, const CaseProgress& progress);

struct SuiteOptions {
    std::string filter;          // only cases whose name contains this
    std::string category;        // only cases of this category (meta.json)
    std::string model;           // only the model case called so, with or without its folders
    std::optional<double> rtol;  // for model cases, instead of their own and the default
    std::optional<double> atol;
    std::optional<std::uint64_t> seed;               // of the random ops of each model case, instead of its own
    int jobs = 1;                                    // cases at a time
    const Registry* registry = &builtin_registry();  // for model cases
    Backend backend;
    CaseProgress progress;
};

/// Every case below `directory` that fits, model cases and op cases, in order of their names. Throws IoError when there
/// is none, and ArgumentError naming the closest model or category when there is none of the one asked for.
std::vector<Case> find_cases(const std::filesystem::path& directory, const SuiteOptions& options);

/// Runs what find_cases finds.
std::vector<CaseResult> run_suite(const std::filesystem::path& directory, const SuiteOptions& options);

}  // namespace torch_ir
