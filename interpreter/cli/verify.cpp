// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "generator.hpp"
#include "parallel.hpp"
#include "plugin.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "verification/backend.hpp"
#include "verification/case_files.hpp"
#include "verification/derived.hpp"
#include "verification/model_report.hpp"
#include "verification/profile.hpp"
#include "verification/recorder.hpp"
#include "verification/report.hpp"
#include "verification/suite.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct VerifyFlags {
    std::string model;
    std::vector<std::string> plugins;
    std::string suite;
    std::vector<std::string> weights;
    std::string inputs;
    std::string expected;
    std::optional<double> rtol;
    std::optional<double> atol;
    std::string tolerance;
    std::string profile;
    bool json = false;
    std::string report;
    std::string junit;
    std::string intermediates;
    std::string backend;
    double timeout = 300;
    std::string filter;
    std::string category;
    std::string only_model;
    bool list_models = false;
    bool list_categories = false;
    std::optional<int> jobs;
    std::optional<std::uint64_t> seed;
};

/// Compares every value that a run computes with those of a file; values that the file lacks are skipped.
class ValueJudge : public Observer {
  public:
    ValueJudge(const Graph& graph, NamedTensors expected, const VerifyFlags& options)
        : graph_(graph), expected_(std::move(expected)), options_(options) {}

    void node_ran(const Node& node, std::span<const IValue* const>, std::span<const IValue> results) override {
        for_each_result(graph_, node, results, [&](ValueRef ref, const Tensor& tensor) {
            const auto found = expected_.find(graph_.value(ref).name);
            if (found == expected_.end()) return;
            if (leaves_values_undefined(node.op_type)) {
                expected_.erase(found);
                return;
            }
            Tolerance tolerance = model_tolerance(found->second.dtype());
            tolerance.rtol = options_.rtol.value_or(tolerance.rtol);
            tolerance.atol = options_.atol.value_or(tolerance.atol);
            verdicts_.push_back(judge_tensor(found->first, tensor, found->second, tolerance));
            verdicts_.back().origin = origin_of(node);
            expected_.erase(found);
        });
    }

    std::vector<OutputVerdict> verdicts() {
        for (const auto& [name, tensor] : expected_) {
            OutputVerdict verdict;
            verdict.name = name;
            verdict.comparison.message = "expected, but no node computes a value of this name";
            verdicts_.push_back(std::move(verdict));
        }
        expected_.clear();
        return std::move(verdicts_);
    }

  private:
    const Graph& graph_;
    NamedTensors expected_;
    const VerifyFlags& options_;
    std::vector<OutputVerdict> verdicts_;
};

/// The 16-bit dtype, if any, of a value on the way to each output of the graph.
std::vector<std::optional<DType>> halves_on_the_way(const Graph& graph) {
    std::vector<std::optional<DType>> seen(graph.values.size());
    for (const Node& node : graph.nodes) {
        std::optional<DType> half;
        for (const ValueRef input : node.input_values())
            if (!half) half = seen[input.id];
        for (const ValueRef output : node.output_values()) {
            const Value& value = graph.value(output);
            if (value.kind != ValueKind::Tensor || !is_floating_point(value.meta.dtype)) continue;
            seen[output.id] = is_half(value.meta.dtype) ? value.meta.dtype : half;
        }
    }
    std::vector<std::optional<DType>> outputs;
    for (const Argument& output : graph.outputs) {
        const auto* ref = output.get_if<ValueRef>();
        outputs.push_back(ref ? seen[ref->id] : std::nullopt);
    }
    return outputs;
}

/// Says of outputs that differ by the default tolerance of float32 that they were computed in a coarser dtype.
void add_hints(const Model& model, const VerifyFlags& options, std::vector<OutputVerdict>& verdicts) {
    if (options.rtol || options.atol || options.tolerance == "derived") return;
    if (std::ranges::all_of(verdicts, [](const OutputVerdict& v) { return v.comparison.passed; })) return;
    const std::vector<std::optional<DType>> halves = halves_on_the_way(model.graph);
    std::size_t position = 0;
    for (std::size_t i = 0; i < halves.size(); ++i) {
        if (!is_user_output(model.outputs[i].kind)) continue;
        const std::string name = "output_" + std::to_string(position++);
        if (!halves[i]) continue;
        for (OutputVerdict& verdict : verdicts)
            if (verdict.name == name && !verdict.comparison.passed && verdict.dtype == DType::Float32)
                verdict.comparison.message += "; it comes from " + std::string(torch_ir::name(*halves[i])) +
                                              " values: --tolerance derived knows what that may do, --rtol " +
                                              short_number(default_tolerance(*halves[i]).rtol) + " is their own";
    }
}

void print(const OutputVerdict& v) {
    const Comparison& c = v.comparison;
    std::cout << "  " << v.name << "  " << v.type() << "  ";
    if (c.passed)
        std::cout << "agrees: largest difference " << short_number(c.max_abs) << " in " << grouped(c.elements)
                  << (c.elements == 1 ? " value\n" : " values\n");
    else
        std::cout << "DIFFERS: " << failure_text(v) << '\n';
}

/// What --tolerance derived has found of an output.
void print(const DerivedVerdict& derived) {
    if (derived.nearer.empty()) return;  // nothing that rounds
    const auto distance = [](const RoundingVerdict& verdict) {
        return "at most " + short_number(verdict.max_q) + ", " + short_number(verdict.rms_q) + " rms";
    };
    std::cout << "      " << name(derived.expected.verdict) << ": in standard deviations of rounding, "
              << distance(derived.expected) << " from the float64 result (this interpreter: " << distance(derived.ours)
              << "; nearer: " << derived.nearer << ")\n";
}

ordered_json to_json(const DerivedVerdict& derived) {
    return {{"verdict", name(derived.expected.verdict)},
            {"rms_q", derived.expected.rms_q},
            {"max_q", derived.expected.max_q},
            {"ours", name(derived.ours.verdict)},
            {"nearer", derived.nearer}};
}

/// With --tolerance derived: the verdicts by what rounding may do, which take the place of those by tolerance.
std::vector<DerivedVerdict> derive(const VerifyFlags& options, const Interpreter& interpreter,
                                   const std::vector<IValue>& inputs, const RunResult& run,
                                   const NamedTensors& expected, std::vector<OutputVerdict>& verdicts) {
    if (options.tolerance.empty()) return {};
    WalkOptions walk_options;
    if (!options.profile.empty()) walk_options.profile = load_profile(options.profile);
    if (options.seed) walk_options.seed = *options.seed;
    std::vector<DerivedVerdict> derived = judge_derived(interpreter, inputs, run, expected, walk_options);
    for (OutputVerdict& verdict : verdicts)
        for (const DerivedVerdict& d : derived)
            if (d.name == verdict.name) {
                const bool explained = d.expected.verdict == Verdict::Explained;
                verdict.comparison.passed = explained && d.ours.verdict != Verdict::Wrong;
                verdict.comparison.message =
                    !explained ? std::string(name(d.expected.verdict)) + ": " + d.expected.reason
                    : d.ours.verdict == Verdict::Wrong
                        ? "what is expected is explained by rounding, but not what this interpreter computes (" +
                              d.ours.reason + "): that is a fault of it, please report it with the model"
                        : "";
            }
    return derived;
}

/// What a model is given and has to answer.
struct Pair {
    std::string prefix;  // of the names of its outputs
    NamedTensors inputs;
    NamedTensors expected;
};

/// The files of the flags; without any, every pair beside the model, as in a suite.
std::vector<Pair> pairs_of(const VerifyFlags& options, const LoadedModel& loaded) {
    std::vector<Pair> pairs;
    pairs.push_back({"", load_inputs(loaded, options.inputs), load_expected(loaded, options.expected)});
    if (!options.inputs.empty() || !options.expected.empty()) return pairs;
    for (int i = 2;; ++i) {
        const std::filesystem::path inputs = pair_file(loaded.directory, "inputs", i);
        const std::filesystem::path expected = pair_file(loaded.directory, "expected", i);
        if (!std::filesystem::exists(expected)) return pairs;
        pairs.push_back({"inputs" + std::to_string(i) + ".",
                         load_inputs(loaded, std::filesystem::exists(inputs) ? inputs.string() : ""),
                         load_tensors(expected)});
    }
}

int verify_model(VerifyFlags options, const Globals& globals) {
    // Of a case directory; what flags say goes before.
    const CaseMeta meta = std::filesystem::is_directory(options.model) ? read_meta(options.model) : CaseMeta{};
    if (!options.rtol) options.rtol = meta.rtol;
    if (!options.atol) options.atol = meta.atol;
    if (!options.seed) options.seed = meta.seed;
    check_report_file(options.report);
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(weights_for(loaded, options.weights, globals));
    std::vector<OutputVerdict> values;
    std::optional<ValueJudge> judge_values;  // of the first pair
    if (!options.intermediates.empty())
        judge_values.emplace(loaded.model->graph, load_tensors(options.intermediates), options);
    std::vector<OutputVerdict> verdicts;
    std::vector<DerivedVerdict> derived;
    std::vector<Undeclared> undeclared;  // of the first pair
    const std::vector<Pair> pairs = pairs_of(options, loaded);
    for (const Pair& pair : pairs) {
        const auto inputs = interpreter.bind_inputs(pair.inputs);
        Generator generator(options.seed.value_or(Generator::default_seed));  // for each pair anew
        RunOptions run_options;
        run_options.generator = &generator;
        if (judge_values && &pair == &pairs.front()) run_options.observer = &*judge_values;
        const RunResult run = interpreter.run(inputs, run_options);
        if (&pair == &pairs.front()) undeclared = run.undeclared;
        std::vector<OutputVerdict> judged = judge(run, pair.expected, options.rtol, options.atol);
        for (OutputVerdict& verdict : judged)
            if (!verdict.dtype && loaded.model->graph.find_value(verdict.name))
                verdict.comparison.message += "; --intermediates FILE compares values of nodes";
        add_hints(*loaded.model, options, judged);
        for (DerivedVerdict& d : derive(options, interpreter, inputs, run, pair.expected, judged)) {
            d.name = pair.prefix + d.name;
            derived.push_back(std::move(d));
        }
        for (OutputVerdict& verdict : judged) {
            verdict.name = pair.prefix + verdict.name;
            verdicts.push_back(std::move(verdict));
        }
    }
    warn_of_undeclared(undeclared);
    if (judge_values) values = judge_values->verdicts();
    const auto agrees = [](const OutputVerdict& v) { return v.comparison.passed; };
    const bool passed = std::ranges::all_of(verdicts, agrees) && std::ranges::all_of(values, agrees);
    Report report{"Verification of " + loaded.path.string(), passed ? "passed" : "failed", passed, {}, values, {}};
    report.tensors.insert(report.tensors.end(), verdicts.begin(), verdicts.end());
    if (!options.report.empty()) write_report(options.report, report);
    if (!options.junit.empty()) write_file(options.junit, to_junit(report));
    if (options.json) {
        ordered_json json{{"passed", passed}, {"model", loaded.path.string()}, {"outputs", ordered_json::array()}};
        for (const OutputVerdict& verdict : verdicts) {
            json["outputs"].push_back(to_json(verdict));
            for (const DerivedVerdict& d : derived)
                if (d.name == verdict.name) json["outputs"].back().update(to_json(d));
        }
        if (judge_values) json["intermediates"] = ordered_json::array();
        for (const OutputVerdict& verdict : values) json["intermediates"].push_back(to_json(verdict));
        json["undeclared"] = ordered_json::array();
        for (const Undeclared& u : undeclared)
            json["undeclared"].push_back({{"value", u.value},
                                          {"node", u.node},
                                          {"op_type", u.op_type},
                                          {"declared", u.declared},
                                          {"computed", u.computed}});
        std::cout << dump(json) << '\n';
        return passed ? ok : check_failed;
    }
    for_each_shown(report.tensors, [&](const OutputVerdict& verdict) {
        print(verdict);
        for (const DerivedVerdict& d : derived)
            if (d.name == verdict.name) print(d);
    });
    std::cout << colored(passed ? "passed" : "FAILED", passed, globals) << ": " << loaded.model->name << ", "
              << counted(loaded.model->graph.nodes.size(), "node") << ", " << counted(verdicts.size(), "output");
    if (pairs.size() > 1) std::cout << " in " << pairs.size() << " pairs";
    if (judge_values) std::cout << ", " << counted(values.size(), "intermediate");
    std::cout << '\n';
    return passed ? ok : check_failed;
}

/// The model cases of a suite by name, or its categories with their models.
int list_suite(const VerifyFlags& options, const SuiteOptions& suite) {
    ordered_json models = ordered_json::array();
    std::map<std::string, std::vector<std::string>> categories;
    for (const Case& item : find_cases(options.suite, suite)) {
        if (item.directory.empty()) continue;
        models.push_back({{"name", item.name}, {"categories", item.categories}, {"description", item.description}});
        for (const std::string& category : item.categories) categories[category].push_back(item.name);
    }
    if (options.json) {
        std::cout << dump(options.list_models ? ordered_json{{"models", models}}
                                              : ordered_json{{"categories", ordered_json(categories)}})
                  << '\n';
    } else if (options.list_models) {
        for (const auto& model : models) {
            std::cout << model["name"].get<std::string>() << "  [";
            for (std::size_t i = 0; i < model["categories"].size(); ++i)
                std::cout << (i ? ", " : "") << model["categories"][i].get<std::string>();
            std::cout << "]  " << model["description"].get<std::string>() << '\n';
        }
    } else {
        for (const auto& [category, names] : categories) {
            std::cout << category << " (" << names.size() << ")\n";
            for (const std::string& name : names) std::cout << "  " << name << '\n';
        }
    }
    return ok;
}

int verify_suite(const VerifyFlags& options, const Globals& globals) {
    check_report(options.report);
    Progress progress(globals);
    SuiteOptions suite;
    suite.filter = options.filter;
    suite.category = options.category;
    suite.model = options.only_model;
    suite.rtol = options.rtol;
    suite.atol = options.atol;
    suite.seed = options.seed;
    if (options.list_models || options.list_categories) return list_suite(options, suite);
    suite.registry = &registry_with(options.plugins);
    suite.backend = {options.backend, options.timeout};
    if (!options.backend.empty()) check_backend(suite.backend);
    suite.jobs = options.jobs.value_or(get_threads());
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
    for (const CaseResult& result : results) json["cases"].push_back(to_json(result));
    const std::string summary = std::to_string(counts[0]) + " passed, " + std::to_string(counts[1]) + " failed, " +
                                std::to_string(counts[2]) + " unsupported, " + counted(counts[3], "error");
    const std::string json_text = dump(json);
    if (!options.report.empty() || !options.junit.empty()) {
        const Report report{"Verification of " + options.suite, summary, passed, {}, {}, results};
        if (is_report_file(options.report)) {
            write_report(options.report, report);
        } else if (!options.report.empty()) {
            const std::filesystem::path directory = options.report;
            write_model_reports(directory, report);
            write_file(directory / "report.json", json_text + "\n");
            write_file(directory / "report.html", to_html(report));
        }
        if (!options.junit.empty()) write_file(options.junit, to_junit(report));
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

/// Why an option says nothing where it stands; empty when all is well.
std::string misplaced(const VerifyFlags& o) {
    if (o.model.empty() == o.suite.empty()) return "verify needs either MODEL or --suite DIR";
    struct Flag {
        bool given;
        const char* name;
    };
    const Flag of_suites[] = {{!o.only_model.empty(), "--model"},       {o.list_models, "--list-models"},
                              {o.list_categories, "--list-categories"}, {!o.filter.empty(), "--filter"},
                              {!o.category.empty(), "--category"},      {o.jobs.has_value(), "--jobs"},
                              {!o.backend.empty(), "--backend"}};
    const Flag of_models[] = {{!o.weights.empty(), "--weights"},
                              {!o.inputs.empty(), "--inputs"},
                              {!o.expected.empty(), "--expected"},
                              {!o.intermediates.empty(), "--intermediates"},
                              {!o.tolerance.empty(), "--tolerance"}};
    if (o.suite.empty()) {
        for (const Flag& flag : of_suites)
            if (flag.given) return std::string(flag.name) + " needs --suite DIR";
    } else {
        for (const Flag& flag : of_models)
            if (flag.given) return std::string(flag.name) + " goes with MODEL, not with --suite";
    }
    if (!o.tolerance.empty() && o.tolerance != "derived")
        return "--tolerance takes 'derived'; --rtol and --atol take numbers";
    if (!o.tolerance.empty() && (o.rtol || o.atol)) return "--tolerance derived takes the place of --rtol and --atol";
    if (!o.profile.empty() && o.tolerance.empty()) return "--profile goes with --tolerance derived";
    return {};
}

}  // namespace

Command make_verify() {
    auto options = std::make_shared<VerifyFlags>();
    Option model = model_option(options->model);
    model.required = false;  // not with --suite
    Option backend = backend_option(options->backend);
    backend.help = "with --suite (one case directory is a suite of one): " + backend.help;
    backend.required = false;
    Option report = report_option(options->report);
    report.help += "; with --suite also a directory for SUMMARY.md, a page for each model, report.html and report.json";
    return {
        "verify",
        "Run a model, or a suite of cases, and compare with expected outputs",
        "Compares |actual - expected| <= atol + rtol * |expected|, NaN equal to NaN; shapes and dtypes must be equal.\n"
        "Exit status 0: all agree; 1: something differs; 3: something could not be read or run.\n"
        "Examples: torch-ir verify examples/digits_cnn\n"
        "          torch-ir verify model.pt2 --inputs x.safetensors --expected y.safetensors --rtol 1e-3\n"
        "          torch-ir verify --suite cases/ --filter conv --report out/\n"
        "          torch-ir verify --suite cases/ --list-categories\n"
        "          torch-ir verify --suite cases/ --backend 'mine {case} {out}'\n"
        "A backend reads the case directory and writes the outputs to {out} as safetensors, keyed output_0, output_1, "
        "…\n"
        "or by graph output name. Exit status 77 means that it does not support the case.",
        {std::move(model),
         {"--suite", "judge every case below this directory instead of one model", &options->suite, "DIR"},
         weights_option(options->weights),
         inputs_option(options->inputs),
         reads({"--expected", "expected outputs (default: expected.safetensors beside the model)", &options->expected,
                "FILE"}),
         plugin_option(options->plugins),
         rtol_option(options->rtol),
         atol_option(options->atol),
         {"--tolerance", "'derived': judge by what rounding may do instead of by --rtol and --atol",
          &options->tolerance, "derived"},
         {"--profile", "with --tolerance derived: precision of the arithmetic behind what is expected (see locate)",
          &options->profile, "NAME"},
         json_option(options->json),
         reads({"--intermediates", "expected values of nodes by name; all in the file are compared too",
                &options->intermediates, "FILE"}),
         std::move(report),
         junit_option(options->junit),
         std::move(backend),
         timeout_option(options->timeout, "one case of --backend"),
         {"--filter", "with --suite: only cases whose name contains this", &options->filter, "NAME"},
         {"--category", "with --suite: only cases of this category", &options->category, "C"},
         {"--model", "with --suite: only the model of this name", &options->only_model, "NAME"},
         {"--list-models", "with --suite: print its models, with --category those of one", &options->list_models},
         {"--list-categories", "with --suite: print the categories of its models", &options->list_categories},
         {"--seed", "random ops draw what PyTorch draws after torch.manual_seed(N), in a suite each model",
          &options->seed, "N"},
         jobs_option(options->jobs, "with --suite: cases")},
        [options](const Globals& globals) {
            if (const std::string wrong = misplaced(*options); !wrong.empty()) throw UsageError(wrong);
            return options->suite.empty() ? verify_model(*options, globals) : verify_suite(*options, globals);
        }};
}

}  // namespace torch_ir::cli
