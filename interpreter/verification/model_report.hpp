// SPDX-License-Identifier: MIT
// A suite's report as a directory of Markdown: a page for each model, and a summary.
#pragma once

#include <filesystem>

#include "verification/report.hpp"

namespace torch_ir {

/// Makes the directory and writes `NAME.md` for every model case (how it went, its size, the figures of its outputs,
/// the graph and the distribution of its ops as Mermaid, its nodes and weights; only the first when it cannot be read)
/// and SUMMARY.md: totals, a table of the cases with links to these pages, totals of each category, what did not pass.
/// Throws IoError.
void write_model_reports(const std::filesystem::path& directory, const Report& report);

}  // namespace torch_ir
