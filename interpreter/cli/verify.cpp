// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "parallel.hpp"
#include "plugin.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "verification/suite.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
    std::string model;
    std::vector<std::string> plugins;
    std::string suite;
    std::vector<std::string> weights;
    std::string inputs;
    std::string expected;
    double rtol = -1;
    double atol = -1;
    bool json = false;
    std::string report;
    std::string filter;
    std::string category;
    int jobs = 0;
};

std::optional<double> given(double value) { return value < 0 ? std::nullopt : std::optional(value); }

std::string number(double value) {
    std::ostringstream text;
    text << std::setprecision(3) << value;
    return text.str();
}

/// JSON has no infinities.
ordered_json json_number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

ordered_json to_json(const OutputVerdict& verdict) {
    const Comparison& c = verdict.comparison;
    return {{"name", verdict.name},
            {"passed", c.passed},
            {"dtype", verdict.dtype},
            {"shape", verdict.shape},
            {"elements", c.elements},
            {"mismatches", c.mismatches},
            {"max_abs", json_number(c.max_abs)},
            {"max_rel", json_number(c.max_rel)},
            {"mean_abs", json_number(c.mean_abs)},
            {"message", c.message}};
}

std::string report_text(const LoadedModel& loaded, const std::vector<OutputVerdict>& verdicts, bool passed) {
    std::string text =
        "# Verification of " + loaded.path.string() + "\n\n" + (passed ? "**passed**" : "**failed**") +
        "\n\n| output | verdict | type | max abs | max rel | mean abs | remark |\n|---|---|---|---|---|---|---|\n";
    for (const OutputVerdict& v : verdicts)
        text += "| " + v.name + " | " + (v.comparison.passed ? "passed" : "failed") + " | " + v.dtype + v.shape +
                " | " + number(v.comparison.max_abs) + " | " + number(v.comparison.max_rel) + " | " +
                number(v.comparison.mean_abs) + " | " + v.comparison.message + " |\n";
    return text;
}

int verify_model(const Options& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(load_weights(loaded, options.weights));
    const auto inputs = interpreter.bind_inputs(load_inputs(loaded, options.inputs));
    const NamedTensors expected = load_expected(loaded, options.expected);
    const std::vector<OutputVerdict> verdicts =
        judge(interpreter.run(inputs), expected, given(options.rtol), given(options.atol));
    const bool passed =
        std::all_of(verdicts.begin(), verdicts.end(), [](const OutputVerdict& v) { return v.comparison.passed; });
    if (!options.report.empty()) write_file(options.report, report_text(loaded, verdicts, passed));
    if (options.json) {
        ordered_json json{{"passed", passed}, {"model", loaded.path.string()}, {"outputs", ordered_json::array()}};
        for (const OutputVerdict& verdict : verdicts) json["outputs"].push_back(to_json(verdict));
        std::cout << json.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
        return passed ? ok : check_failed;
    }
    for (const OutputVerdict& v : verdicts) {
        std::cout << "  " << v.name << "  " << v.dtype << v.shape << "  ";
        if (v.comparison.passed)
            std::cout << "agrees: largest difference " << number(v.comparison.max_abs) << " in "
                      << grouped(v.comparison.elements) << " values\n";
        else
            std::cout << "DIFFERS: " << v.comparison.message << '\n';
    }
    std::cout << colored(passed ? "passed" : "FAILED", passed, globals) << ": " << loaded.model->name << ", "
              << loaded.model->graph.nodes.size() << " nodes, " << verdicts.size()
              << (verdicts.size() == 1 ? " output\n" : " outputs\n");
    return passed ? ok : check_failed;
}

int verify_suite(const Options& options, const Globals& globals) {
    Progress progress(globals);
    SuiteOptions suite;
    suite.filter = options.filter;
    suite.category = options.category;
    suite.registry = &registry_with(options.plugins);
    suite.jobs = options.jobs > 0 ? options.jobs : get_threads();
    suite.progress = [&](const CaseResult& result, std::size_t done, std::size_t total) {
        progress.show(done, total, result.name);
    };
    const std::vector<CaseResult> results = run_suite(options.suite, suite);

    std::size_t counts[4] = {};
    for (const CaseResult& result : results) ++counts[static_cast<int>(result.status)];
    const bool passed = counts[0] == results.size();
    ordered_json json{{"passed", counts[0]},
                      {"failed", counts[1]},
                      {"unsupported", counts[2]},
                      {"error", counts[3]},
                      {"cases", ordered_json::array()}};
    std::string table;
    for (const CaseResult& result : results) {
        json["cases"].push_back({{"name", result.name},
                                 {"status", name(result.status)},
                                 {"message", result.message},
                                 {"seconds", result.seconds}});
        if (result.status != Status::Passed)
            table += "| " + result.name + " | " + std::string(name(result.status)) + " | " + result.message + " |\n";
    }
    const std::string summary = std::to_string(counts[0]) + " passed, " + std::to_string(counts[1]) + " failed, " +
                                std::to_string(counts[2]) + " unsupported, " + std::to_string(counts[3]) + " errors";
    const std::string json_text = json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
    if (!options.report.empty()) {
        std::filesystem::create_directories(options.report);
        write_file(std::filesystem::path(options.report) / "report.json", json_text + "\n");
        write_file(std::filesystem::path(options.report) / "report.md",
                   "# " + summary + "\n\n| case | status | message |\n|---|---|---|\n" + table);
    }
    if (options.json) {
        std::cout << json_text << '\n';
    } else {
        for (const CaseResult& result : results)
            if (result.status != Status::Passed)
                std::cout << colored(std::string(name(result.status)), false, globals) << "  " << result.name << ": "
                          << result.message << '\n';
        std::cout << summary << '\n';
    }
    return passed ? ok : check_failed;
}

}  // namespace

Command make_verify() {
    auto options = std::make_shared<Options>();
    return {
        "verify",
        "Run a model, or a suite of cases, and compare with expected outputs",
        "Compares |actual - expected| <= atol + rtol * |expected|, NaN equal to NaN; shapes and dtypes must be equal.\n"
        "Exit status 0: all agree; 1: something differs; 3: something could not be read or run.\n"
        "Examples: torch-ir verify examples/digits_cnn\n"
        "          torch-ir verify model.pt2 --inputs x.safetensors --expected y.safetensors --rtol 1e-3\n"
        "          torch-ir verify --suite cases/ --filter conv --report out/",
        {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model},
         {"--suite", "judge every case below this directory instead of one model", &options->suite, "DIR"},
         {"--weights", "weight file; may be repeated", &options->weights, "FILE"},
         {"--inputs", "input tensors (default: inputs.safetensors beside the model)", &options->inputs, "FILE"},
         {"--expected", "expected outputs (default: expected.safetensors beside the model)", &options->expected,
          "FILE"},
         {"--plugin", "shared library with more ops; may be repeated", &options->plugins, "LIB"},
         {"--rtol", "relative tolerance (default: by dtype; 1e-4 for float32)", &options->rtol, "R"},
         {"--atol", "absolute tolerance (default: by dtype; 1e-4 for float32)", &options->atol, "A"},
         {"--json", "print one JSON value", &options->json},
         {"--report", "write a Markdown report; with --suite, a directory for report.md and report.json",
          &options->report, "PATH"},
         {"--filter", "with --suite: only cases whose name contains this", &options->filter, "NAME"},
         {"--category", "with --suite: only cases of this category", &options->category, "C"},
         {"-j,--jobs", "with --suite: cases at a time (default: the number of threads)", &options->jobs, "N"}},
        [options](const Globals& globals) {
            if (options->model.empty() == options->suite.empty()) {
                std::cerr << "torch-ir: verify needs either MODEL or --suite DIR\n";
                return static_cast<int>(usage);
            }
            return options->suite.empty() ? verify_model(*options, globals) : verify_suite(*options, globals);
        }};
}

}  // namespace torch_ir::cli
