// SPDX-License-Identifier: MIT
// Op cases: many calls of one op in a directory with cases.json and tensors.safetensors (docs/verification.md has the
// format).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "ivalue.hpp"
#include "load.hpp"
#include "verification/compare.hpp"

namespace torch_ir {

/// An expected value; `check` is `values` or `meta` (only shape and dtype are compared).
struct ExpectedValue {
    IValue value;
    bool only_meta = false;
};

/// One call.
struct OpCase {
    std::string name;  // `<op_type>/<id>`
    std::string op_type;
    std::map<std::string, IValue> args;            // by schema name; what is left out has its default
    std::vector<ExpectedValue> outputs;            // one per return
    std::map<std::string, ExpectedValue> mutated;  // arguments after the call
    Tolerance tolerance;
};

/// Reads a directory. Throws IoError or ParseError naming the file and case.
std::vector<OpCase> read_op_cases(const std::filesystem::path& directory);

/// Runs one call on the built-in registry, which may change the case's tensors; returns why it does not agree, or an
/// empty string. Throws UnsupportedError when the op cannot run, and what the op throws.
std::string run_op_case(const OpCase& op_case);

}  // namespace torch_ir
