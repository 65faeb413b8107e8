// SPDX-License-Identifier: MIT
#include "verification/conformance.hpp"

#include <array>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "parallel.hpp"
#include "torch_ir/file.hpp"
#include "verification/backend.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct ConformanceFlags {
    std::string directory;
    std::string backend;
    std::string ops;
    double timeout = 60;
    std::optional<int> jobs;
    bool json = false;
    std::string report;
    std::string junit;
};

/// Cases by their status.
using Counts = std::array<std::size_t, 4>;

std::string summary_of(const Counts& counts) {
    return std::to_string(counts[0]) + " passed, " + std::to_string(counts[1]) + " failed, " +
           std::to_string(counts[2]) + " unsupported, " + counted(counts[3], "error");
}

ordered_json to_json(const Counts& counts) {
    return {{"passed", counts[0]}, {"failed", counts[1]}, {"unsupported", counts[2]}, {"error", counts[3]}};
}

int conformance(const ConformanceFlags& options, const Globals& globals) {
    check_report_file(options.report);
    ConformanceOptions run;
    run.backend = {options.backend, options.timeout};
    check_backend(run.backend);
    run.ops = options.ops;
    run.jobs = options.jobs.value_or(get_threads());
    Progress progress(globals);
    run.progress = [&](const CaseResult& result, std::size_t done, std::size_t total) {
        progress.show(done, total, result.name);
    };
    const std::vector<ConformanceCase> cases = run_conformance(options.directory, run);

    Counts total{};
    std::map<std::pair<std::string, std::string>, Counts> table;
    Report report;
    for (const ConformanceCase& item : cases) {
        const auto status = static_cast<std::size_t>(item.result.status);
        ++total[status];
        ++table[{item.op_type, item.dtype}][status];
        report.cases.push_back(item.result);
    }
    const bool passed = total[0] + total[2] == cases.size();
    report.title = "Conformance of " + options.backend;
    report.summary = summary_of(total);
    report.passed = passed;
    if (!options.report.empty()) write_report(options.report, report);
    if (!options.junit.empty()) write_file(options.junit, to_junit(report));
    if (options.json) {
        ordered_json json = to_json(total);
        json["ops"] = ordered_json::array();
        for (const auto& [key, counts] : table) {
            ordered_json row{{"op_type", key.first}, {"dtype", key.second}};
            row.update(to_json(counts));
            json["ops"].push_back(std::move(row));
        }
        json["cases"] = ordered_json::array();
        for (const CaseResult& result : report.cases) json["cases"].push_back(torch_ir::to_json(result));
        std::cout << dump(json) << '\n';
    } else {
        std::cout << std::left << std::setw(52) << "op" << std::setw(12) << "dtype"
                  << "passed  failed  unsupported  error\n";
        for (const auto& [key, counts] : table)
            std::cout << std::setw(52) << key.first << std::setw(12) << key.second << std::right << std::setw(6)
                      << counts[0] << std::setw(8) << counts[1] << std::setw(13) << counts[2] << std::setw(7)
                      << counts[3] << std::left << '\n';
        for (const CaseResult& result : report.cases)
            if (result.status == Status::Failed || result.status == Status::Error)
                std::cout << colored(std::string(name(result.status)), false, globals) << "  " << result.name << ": "
                          << result.message << '\n';
        std::cout << report.summary << '\n';
    }
    return passed ? ok : check_failed;
}

}  // namespace

Command make_conformance() {
    auto options = std::make_shared<ConformanceFlags>();
    return {
        "conformance",
        "Run calls of single ops with PyTorch's results through a backend",
        "Each call in a cases.json below DIR becomes a case directory with a graph of one node; the backend's outputs\n"
        "are judged by the tolerances of the call. Exit status 77 of the backend means that it lacks the op, which is\n"
        "no failure. Exit status 0: no call failed; 1: some did.\n"
        "Example: torch-ir conformance --backend 'mine {case} {out}' tests/data/ops --ops 'aten\\.(add|mul)\\.'",
        {{"DIR", "directory of op cases: cases.json and tensors.safetensors at any depth, as in tests/data/ops",
          &options->directory, "", true},
         backend_option(options->backend),
         {"--ops", "only ops that this regular expression matches somewhere", &options->ops, "REGEX"},
         timeout_option(options->timeout, "one call"),
         jobs_option(options->jobs, "calls"),
         json_option(options->json),
         report_option(options->report),
         junit_option(options->junit)},
        [options](const Globals& globals) { return conformance(*options, globals); }};
}

}  // namespace torch_ir::cli
