// SPDX-License-Identifier: MIT
#include "verification/suite.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "generator.hpp"
#include "parallel.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/text.hpp"
#include "verification/backend.hpp"
#include "verification/case_files.hpp"
#include "verification/conformance.hpp"
#include "verification/op_case.hpp"

namespace torch_ir {

namespace fs = std::filesystem;

std::string_view name(Status status) {
    constexpr std::string_view names[] = {"passed", "failed", "unsupported", "error"};
    return names[static_cast<int>(status)];
}

Ints OutputVerdict::position(std::int64_t flat) const { return unravel_index(flat, shape); }

std::string OutputVerdict::type() const { return dtype ? std::string(torch_ir::name(*dtype)) + to_string(shape) : ""; }

OutputVerdict judge_tensor(std::string name, const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
    OutputVerdict verdict;
    verdict.name = std::move(name);
    verdict.comparison = compare(actual, expected, tolerance);
    verdict.dtype = actual.dtype();
    verdict.shape = actual.shape();
    return verdict;
}

NamedTensors::const_iterator find_output(const NamedTensors& tensors, std::size_t position, const std::string& name) {
    const auto found = tensors.find("output_" + std::to_string(position));
    return found == tensors.end() ? tensors.find(name) : found;
}

std::vector<OutputVerdict> judge(const RunResult& result, const NamedTensors& expected, std::optional<double> rtol,
                                 std::optional<double> atol) {
    std::vector<OutputVerdict> verdicts;
    std::set<std::string, std::less<>> used;
    for (std::size_t i = 0; i < result.outputs.size(); ++i) {
        const Tensor actual = value_tensor(result.outputs[i].value);
        OutputVerdict verdict;
        verdict.name = "output_" + std::to_string(i);
        const auto found = find_output(expected, i, result.outputs[i].name);
        if (found != expected.end()) used.insert(found->first);
        if (!actual.defined() && found == expected.end()) continue;
        if (!actual.defined()) {
            verdict.comparison.message = "expected a tensor, the model gives None";
        } else if (found == expected.end()) {
            verdict.dtype = actual.dtype();
            verdict.shape = actual.shape();
            verdict.comparison.message = "the expected outputs have no tensor of this name";
        } else {
            Tolerance tolerance = model_tolerance(found->second.dtype());
            tolerance.rtol = rtol.value_or(tolerance.rtol);
            tolerance.atol = atol.value_or(tolerance.atol);
            verdict = judge_tensor(verdict.name, actual, found->second, tolerance);
        }
        verdicts.push_back(std::move(verdict));
    }
    for (const auto& [key, tensor] : expected)
        if (!used.contains(key)) {
            OutputVerdict verdict;
            verdict.name = key;
            verdict.comparison.message = "expected, but the model has no such output";
            verdicts.push_back(std::move(verdict));
        }
    return verdicts;
}

namespace {

/// Runs a model case: every inputs/expected pair with one interpreter, each with random numbers of its own.
void run_model_case(const fs::path& directory, const CaseMeta& meta, const Registry& registry, CaseResult& result) {
    const LoadedModel loaded = load_model(directory);
    Interpreter interpreter(loaded.model, registry);
    interpreter.load_weights(load_weights(loaded, {}));
    for (int pair = 1;; ++pair) {
        const fs::path inputs = pair_file(directory, "inputs", pair);
        const fs::path expected = pair_file(directory, "expected", pair);
        if (pair > 1 && !fs::exists(expected)) return;
        const auto bound = interpreter.bind_inputs(load_inputs(loaded, fs::exists(inputs) ? inputs.string() : ""));
        Generator generator(meta.seed.value_or(Generator::default_seed));
        RunOptions run_options;
        run_options.generator = &generator;
        for (OutputVerdict& verdict : judge(interpreter.run(bound, run_options),
                                            load_expected(loaded, expected.string()), meta.rtol, meta.atol)) {
            if (!verdict.comparison.passed) {
                result.status = Status::Failed;
                result.message += (result.message.empty() ? "" : "; ") +
                                  (pair == 1 ? "" : "inputs" + std::to_string(pair) + ": ") + verdict.name + ": " +
                                  verdict.comparison.message;
            }
            if (pair == 1) result.outputs.push_back(std::move(verdict));
        }
    }
}

Case model_case(const fs::path& root, const fs::path& directory, const SuiteOptions& options) {
    std::string name = fs::relative(directory, root).generic_string();
    if (name == ".") name = fs::canonical(directory).filename().string();
    CaseMeta meta;
    try {
        meta = read_meta(directory);
    } catch (const ParseError& error) {  // an error of this case, not of the suite
        return {std::move(name), [error](CaseResult&) { throw error; }, directory};
    }
    if (options.rtol) meta.rtol = options.rtol;
    if (options.atol) meta.atol = options.atol;
    if (options.seed) meta.seed = options.seed;
    return {std::move(name),
            [directory, meta, registry = options.registry, backend = options.backend](CaseResult& result) {
                if (backend.command.empty())
                    run_model_case(directory, meta, *registry, result);
                else
                    run_backend_case(backend, directory, meta.rtol, meta.atol, result);
            },
            directory, meta.categories, meta.description};
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('/') + 1); }

bool fits(const Case& item, const SuiteOptions& options) {
    return item.name.find(options.filter) != std::string::npos &&
           (options.category.empty() ||
            std::ranges::find(item.categories, options.category) != item.categories.end()) &&
           (options.model.empty() ||
            (!item.directory.empty() && (item.name == options.model || last_part(item.name) == options.model)));
}

/// Says that a suite has no such model or category, and which name is close.
[[noreturn]] void refuse_name(const fs::path& directory, const char* what, const std::string& name,
                              const std::set<std::string>& names) {
    const std::string similar = closest(name, names);
    throw ArgumentError(directory.string() + ": no " + what + " '" + name + "' in this suite" +
                        (similar.empty() ? "" : "; the closest name is '" + similar + "'") + " (--list-" +
                        (std::string_view(what) == "model" ? "models" : "categories") + " shows all)");
}

void add_op_cases(const fs::path& directory, const SuiteOptions& options, std::vector<Case>& cases) {
    const auto read = std::make_shared<const std::vector<OpCase>>(read_op_cases(directory));
    for (const OpCase& op_case : *read)
        cases.push_back({op_case.name, [read, &op_case, backend = options.backend](CaseResult& result) {
                             if (!backend.command.empty()) return run_backend_op_case(backend, op_case, result);
                             result.message = run_op_case(op_case);
                             if (!result.message.empty()) result.status = Status::Failed;
                         }});
}

CaseResult run_case(const Case& item) {
    CaseResult result;
    result.name = item.name;
    result.directory = item.directory;
    result.categories = item.categories;
    result.description = item.description;
    const auto start = std::chrono::steady_clock::now();
    try {
        result.status = Status::Passed;
        item.run(result);
    } catch (const UnsupportedError& error) {
        result.status = Status::Unsupported;
        result.message = error.what();
    } catch (const std::exception& error) {
        result.status = Status::Error;
        result.message = error.what();
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

}  // namespace

std::vector<CaseResult> run_cases(const std::vector<Case>& cases, int jobs, const CaseProgress& progress) {
    std::vector<CaseResult> results(cases.size());
    std::atomic<std::size_t> next = 0;
    std::size_t done = 0;
    std::mutex progress_mutex;
    const auto work = [&] {
        if (jobs > 1) set_threads(1);  // this thread's own setting: cases run side by side instead
        for (std::size_t i = next++; i < cases.size(); i = next++) {
            results[i] = run_case(cases[i]);
            const std::scoped_lock lock(progress_mutex);
            ++done;
            if (progress) progress(results[i], done, cases.size());
        }
    };
    std::vector<std::jthread> workers;
    for (int i = 1; i < jobs; ++i) workers.emplace_back(work);
    work();
    workers.clear();
    return results;
}

std::vector<Case> find_cases(const fs::path& directory, const SuiteOptions& options) {
    if (!fs::is_directory(directory)) throw IoError(directory.string() + ": expected a directory of cases");
    std::vector<Case> cases;
    std::vector<fs::path> directories{directory};
    for (const auto& entry : fs::recursive_directory_iterator(directory))
        if (entry.is_directory()) directories.push_back(entry.path());
    std::sort(directories.begin(), directories.end());
    for (const fs::path& path : directories) {
        if (fs::exists(path / "model.pt2") || fs::exists(path / "ir.json"))
            cases.push_back(model_case(directory, path, options));
        if (fs::exists(path / "cases.json")) add_op_cases(path, options, cases);
    }
    std::set<std::string> models, categories;
    for (const Case& item : cases) {
        if (!item.directory.empty()) models.insert(last_part(item.name));
        categories.insert(item.categories.begin(), item.categories.end());
    }
    std::erase_if(cases, [&](const Case& item) { return !fits(item, options); });
    if (cases.empty() && !options.model.empty() && !models.contains(last_part(options.model)))
        refuse_name(directory, "model", options.model, models);
    if (cases.empty() && !options.category.empty() && !categories.contains(options.category))
        refuse_name(directory, "category", options.category, categories);
    if (cases.empty()) throw IoError(directory.string() + ": no case below this directory fits");
    return cases;
}

std::vector<CaseResult> run_suite(const fs::path& directory, const SuiteOptions& options) {
    return run_cases(find_cases(directory, options), options.jobs, options.progress);
}

}  // namespace torch_ir
