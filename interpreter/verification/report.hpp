// SPDX-License-Identifier: MIT
// What a check found, as JSON, Markdown, one HTML file or JUnit XML.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "verification/suite.hpp"

namespace torch_ir {

/// The result of comparing some tensors, or of running a suite of cases.
struct Report {
    std::string title;    // `Verification of model.pt2`
    std::string summary;  // `passed`, `3 passed, 1 failed, …`
    bool passed = false;
    std::vector<std::string> remarks;    // one line each, e.g. names on one side only
    std::vector<OutputVerdict> tensors;  // of a comparison
    std::vector<CaseResult> cases;       // of a suite
};

/// All figures of a verdict. What JSON has no number for (NaN, infinities, complex) is null in figures and text in
/// elements.
nlohmann::ordered_json to_json(const OutputVerdict& verdict);
nlohmann::ordered_json to_json(const CaseResult& result);

/// Indented text of a JSON value; bytes that are no UTF-8 are replaced.
std::string dump(const nlohmann::ordered_json& json);

/// Summary, a table of the tensors or cases, and details of those that differ.
std::string to_markdown(const Report& report);
/// The same as one HTML page that needs no other file.
std::string to_html(const Report& report);
/// A test suite for CI systems: a test case per tensor or case.
std::string to_junit(const Report& report);

/// Writes HTML when the name ends in `.html` or `.htm`, else Markdown; throws IoError.
void write_report(const std::filesystem::path& path, const Report& report);

/// A figure with three digits.
std::string short_number(double value);

/// Why a tensor does not agree, in one line with the figures: for people.
std::string failure_text(const OutputVerdict& verdict);

}  // namespace torch_ir
