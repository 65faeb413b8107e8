// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/traverse.hpp"
#include "verification/backend.hpp"
#include "verification/recorder.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct CompareFlags {
    std::string a;
    std::string b;
    std::string model;
    std::optional<double> rtol;
    std::optional<double> atol;
    bool common = false;
    bool json = false;
    std::string report;
    std::string junit;
};

/// With a model, outputs under either of their names become `output_N`; values of nodes keep theirs.
NamedTensors with_output_names(const Model& model, NamedTensors tensors) {
    std::vector<std::string> ignored;
    const RunResult outputs = backend_result(model, {}, ignored);
    for (std::size_t i = 0; i < outputs.outputs.size(); ++i) {
        const std::string key = "output_" + std::to_string(i);
        if (tensors.contains(key)) continue;
        if (const auto found = tensors.find(outputs.outputs[i].name); found != tensors.end())
            tensors.emplace(key, found->second);
    }
    return tensors;
}

/// Where the values stand in the graph, and what computes them.
struct Place {
    std::size_t order = SIZE_MAX;
    std::string origin;
};

std::map<std::string, Place> places_of(const Model& model) {
    std::map<std::string, Place> places;
    for (std::size_t i = 0; i < model.graph.nodes.size(); ++i)
        for (const ValueRef ref : model.graph.nodes[i].output_values())
            places.emplace(model.graph.value(ref).name, Place{i, origin_of(model.graph.nodes[i])});
    return places;
}

std::vector<OutputVerdict> compare_all(const CompareFlags& options, const NamedTensors& a, const NamedTensors& b,
                                       const Model* model) {
    const std::map<std::string, Place> places = model ? places_of(*model) : std::map<std::string, Place>{};
    std::vector<std::pair<std::size_t, OutputVerdict>> found;
    for (const auto& [name, expected] : b) {
        const auto actual = a.find(name);
        if (actual == a.end()) continue;
        Tolerance tolerance = model ? model_tolerance(expected.dtype()) : default_tolerance(expected.dtype());
        tolerance.rtol = options.rtol.value_or(tolerance.rtol);
        tolerance.atol = options.atol.value_or(tolerance.atol);
        OutputVerdict verdict = judge_tensor(name, actual->second, expected, tolerance);
        const auto place = places.find(name);
        if (place != places.end()) verdict.origin = place->second.origin;
        found.emplace_back(place == places.end() ? SIZE_MAX : place->second.order, std::move(verdict));
    }
    std::ranges::stable_sort(found, {}, [](const auto& item) { return item.first; });
    std::vector<OutputVerdict> verdicts;
    for (auto& item : found) verdicts.push_back(std::move(item.second));
    return verdicts;
}

std::vector<std::string> only_in(const NamedTensors& these, const NamedTensors& others) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : these)
        if (!others.contains(name)) names.push_back(name);
    return names;
}

void print(const Report& report, const Globals& globals) {
    for_each_shown(report.tensors, [](const OutputVerdict& v) {
        const Comparison& c = v.comparison;
        std::cout << "  " << v.name << "  " << v.type() << (v.origin.empty() ? "" : "  " + v.origin) << "  ";
        if (c.passed)
            std::cout << "agrees: largest difference " << short_number(c.max_abs) << ", relative "
                      << short_number(c.max_rel) << ", " << c.max_ulp << " ulp, SQNR " << short_number(c.sqnr_db)
                      << " dB\n";
        else
            std::cout << "DIFFERS: " << failure_text(v) << '\n';
    });
    for (const std::string& remark : report.remarks) std::cout << "  " << remark << '\n';
    std::cout << colored(report.passed ? "passed" : "FAILED", report.passed, globals) << ": " << report.summary << '\n';
}

int compare_files(const CompareFlags& options, const Globals& globals) {
    check_report_file(options.report);
    NamedTensors a = load_tensors(options.a);
    NamedTensors b = load_tensors(options.b);
    std::shared_ptr<const Model> model;
    if (!options.model.empty()) {
        model = load_model(options.model).model;
        a = with_output_names(*model, std::move(a));
        b = with_output_names(*model, std::move(b));
    }
    Report report;
    report.tensors = compare_all(options, a, b, model.get());
    if (report.tensors.empty()) throw ArgumentError(options.a + " and " + options.b + " have no tensor name in common");
    const std::vector<std::string> only_a = only_in(a, b);
    const std::vector<std::string> only_b = only_in(b, a);
    for (const std::string& name : only_a) report.remarks.push_back(name + ": only in " + options.a);
    for (const std::string& name : only_b) report.remarks.push_back(name + ": only in " + options.b);
    const auto differ =
        std::ranges::count_if(report.tensors, [](const OutputVerdict& v) { return !v.comparison.passed; });
    report.passed = differ == 0 && (options.common || report.remarks.empty());
    report.title = "Comparison of " + options.a + " with " + options.b;
    report.summary = counted(report.tensors.size(), "tensor") + " compared, " + std::to_string(differ) + " differ, " +
                     std::to_string(report.remarks.size()) + " on one side only";
    if (!options.report.empty()) write_report(options.report, report);
    if (!options.junit.empty()) write_file(options.junit, to_junit(report));
    if (options.json) {
        ordered_json json{{"passed", report.passed}, {"outputs", ordered_json::array()}};
        for (const OutputVerdict& verdict : report.tensors) json["outputs"].push_back(to_json(verdict));
        json["only_in_a"] = only_a;
        json["only_in_b"] = only_b;
        std::cout << dump(json) << '\n';
    } else {
        print(report, globals);
    }
    return report.passed ? ok : check_failed;
}

}  // namespace

Command make_compare() {
    auto options = std::make_shared<CompareFlags>();
    Option model = model_option(options->model, "--model");
    model.help = "show what computes each value, in the order of this graph; outputs may have either name";
    model.value_name = "MODEL";
    model.required = false;
    return {"compare",
            "Compare two files of tensors by name",
            "A holds what was computed, B what is expected. Tolerances are those of verify; without --model those of\n"
            "torch.testing.assert_close. A name on one side only fails, unless --common is given.\n"
            "Exit status 0: all agree; 1: something differs.\n"
            "Example: torch-ir compare dump.safetensors reference.safetensors --model model.pt2",
            {reads({"A", "tensors that were computed", &options->a, "", true}),
             reads({"B", "tensors that are expected", &options->b, "", true}),
             std::move(model),
             rtol_option(options->rtol),
             atol_option(options->atol),
             {"--common", "names on one side only are listed, and no failure", &options->common},
             json_option(options->json),
             report_option(options->report),
             junit_option(options->junit)},
            [options](const Globals& globals) { return compare_files(*options, globals); }};
}

}  // namespace torch_ir::cli
