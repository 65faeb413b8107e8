// SPDX-License-Identifier: MIT
// Op cases (op_case.hpp) as one-node models, for backends that know models only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "verification/case_files.hpp"
#include "verification/op_case.hpp"
#include "verification/suite.hpp"

namespace torch_ir {

/// A call as a case: one node whose tensor arguments are graph inputs named after the parameters, and whose graph
/// outputs are its results, then the arguments that it changes. Throws UnsupportedError for what a graph or a
/// safetensors file cannot hold.
struct OpCaseFiles {
    CaseFiles files;
    std::vector<bool> only_meta;  // per expected tensor: only shape and dtype count
};
OpCaseFiles op_case_files(const OpCase& op_case);

/// Writes the case into a temporary directory, runs the command on it and judges the outputs by the case's tolerances.
void run_backend_op_case(const Backend& backend, const OpCase& op_case, CaseResult& result);

/// The op of a case and the dtype of its first tensor argument, for tables.
struct ConformanceCase {
    std::string op_type;
    std::string dtype;
    CaseResult result;
};

struct ConformanceOptions {
    Backend backend;
    std::string ops;  // regular expression that some part of the op's name matches; empty: all
    int jobs = 1;
    CaseProgress progress;
};

/// All op cases below the directory through a backend, in order of their directories. Throws IoError when there is
/// none, ArgumentError for a bad regular expression.
std::vector<ConformanceCase> run_conformance(const std::filesystem::path& directory, const ConformanceOptions& options);

}  // namespace torch_ir
