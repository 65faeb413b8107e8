// SPDX-License-Identifier: MIT
#include "verification/reduce.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/json.hpp"

namespace torch_ir {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// FNV-1a in 64 bits: names a candidate in the state file.
class Hash {
  public:
    void add(const void* data, std::size_t bytes) {
        const auto* byte = static_cast<const unsigned char*>(data);
        for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ byte[i]) * 1099511628211U;
    }
    void add(const std::string& text) { add(text.data(), text.size()); }
    void add(const TensorPairs& tensors) {
        for (const auto& [name, tensor] : tensors) {
            add(name);
            const Tensor dense = tensor.contiguous();
            if (dense.bytes()) add(dense.raw(), dense.bytes());
        }
    }
    std::string text() const {
        char text[17];
        std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value_));
        return text;
    }

  private:
    std::uint64_t value_ = 14695981039346656037U;
};

FailureKind kind_of(const BackendRun& run) {
    switch (run.status) {
        case BackendStatus::TimedOut:
            return FailureKind::TimeOut;
        case BackendStatus::Crashed:
        case BackendStatus::NoOutput:
            return FailureKind::Crash;
        default:
            return FailureKind::None;
    }
}

struct TestResult {
    FailureKind kind = FailureKind::None;
    std::string message;
};

/// Too many tests: what was found so far is the result.
struct Exhausted {};

/// Runs candidates, remembering what came out.
class Tester {
  public:
    Tester(const ReduceOptions& options, const fs::path& state, const std::string& subject)
        : options_(options), state_(state) {
        Hash hash;
        hash.add(json{options.backend.command, options.backend.timeout, options.rtol.value_or(-1),
                      options.atol.value_or(-1), subject}
                     .dump(-1, ' ', false, json::error_handler_t::replace));
        const std::string key = hash.text();
        std::ifstream file(state);
        std::string line;
        if (std::getline(file, line)) {
            const json head = json::parse(line, nullptr, false);
            if (!head.is_object() || head.value("subject", std::string()) != key)
                throw ArgumentError(state.string() +
                                    ": belongs to a reduction of another model, or with another command, time limit or "
                                    "tolerance; remove it, or give another directory");
            while (std::getline(file, line)) {
                const json entry = json::parse(line, nullptr, false);  // the last line may be cut short
                if (entry.is_object() && entry.contains("case") && entry.contains("kind"))
                    known_[entry["case"].get<std::string>()] = {static_cast<FailureKind>(entry["kind"].get<int>()),
                                                                entry.value("message", std::string())};
            }
        } else {
            append({{"subject", key}, {"backend", options.backend.command}});
        }
    }

    TestResult test(const CaseFiles& files) {
        Hash hash;
        hash.add(to_json(files.model));
        hash.add(files.inputs);
        hash.add(files.weights);
        const std::string key = hash.text();
        if (const auto found = known_.find(key); found != known_.end()) return found->second;
        if (tests_ >= options_.max_tests) throw Exhausted{};
        ++tests_;
        const TestResult verdict = run(files);
        known_.emplace(key, verdict);
        append({{"case", key}, {"kind", static_cast<int>(verdict.kind)}, {"message", verdict.message}});
        return verdict;
    }

    int tests() const { return tests_; }

  private:
    TestResult run(const CaseFiles& files) const {
        const TemporaryDirectory scratch;
        const fs::path place = scratch.path() / "case";
        fs::create_directory(place);
        write_case_files(place, files);
        const BackendRun run = run_backend(options_.backend, place);
        if (!run.started && tests_ == 1) throw ArgumentError("--backend: there is no such command: " + run.message);
        if (run.status != BackendStatus::Ok) return {kind_of(run), std::string(name(run.status)) + ": " + run.message};
        std::vector<std::string> missing;
        const RunResult outputs = backend_result(files.model, run.outputs, missing);
        if (!missing.empty()) return {FailureKind::Crash, missing_text(missing[0], run.outputs)};
        const NamedTensors expected(files.expected.begin(), files.expected.end());
        for (const OutputVerdict& verdict : judge(outputs, expected, options_.rtol, options_.atol))
            if (!verdict.comparison.passed)
                return {FailureKind::WrongNumbers, verdict.name + ": " + verdict.comparison.message};
        return {};
    }

    void append(const json& entry) const {
        std::ofstream file(state_, std::ios::app);
        file << entry.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
        file.flush();
        if (!file) throw IoError(state_.string() + ": cannot be written");
    }

    const ReduceOptions& options_;
    fs::path state_;
    std::map<std::string, TestResult> known_;
    int tests_ = 0;
};

using Nodes = std::vector<std::uint32_t>;

/// One reduction of one input set.
class Reducer {
  public:
    Reducer(const Tape& tape, Tester& tester, const ReduceOptions& options, ReduceResult& result)
        : tape_(tape), tester_(tester), options_(options), result_(result) {}

    void run(const Nodes& all) {
        nodes_ = all;
        shorten_end();
        shorten_start();
        remove_nodes();
        result_.steps.push_back(std::to_string(all.size()) + " nodes became " + std::to_string(nodes_.size()));
        remove_outputs();
        repeat("sizes", smaller_sizes);
        repeat("arguments", plainer_arguments);
        repeat("values", plainer_values);
        repeat("sizes", smaller_sizes);
    }

  private:
    /// Whether the candidate fails like the model does; it is then the smallest case so far.
    bool fails(const std::string& phase, const CaseFiles& files) {
        const TestResult verdict = tester_.test(files);
        if (options_.progress) options_.progress(phase, tester_.tests(), result_.smallest.model.graph.nodes.size());
        if (verdict.kind != result_.kind) return false;
        result_.message = verdict.message;
        result_.smallest = files;
        return true;
    }

    /// Whether some nodes alone fail, with recorded values at their edges.
    bool nodes_fail(const Nodes& nodes) {
        if (nodes.empty()) return false;
        CaseFiles files;
        try {
            files = tape_.cut(nodes);
        } catch (const Error&) {
            return false;  // a value at the edge that cannot be passed on
        }
        if (files.expected.empty() || !fails("nodes", files)) return false;
        nodes_ = nodes;
        return true;
    }

    void shorten_end() {
        const Nodes all = nodes_;
        std::size_t passes = 0, fails = all.size();
        while (fails - passes > 1) {
            const std::size_t middle = passes + (fails - passes) / 2;
            (nodes_fail({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(middle)}) ? fails : passes) = middle;
        }
    }

    void shorten_start() {
        const Nodes all = nodes_;
        std::size_t fails = 0, passes = all.size();
        while (passes - fails > 1) {
            const std::size_t middle = fails + (passes - fails) / 2;
            (nodes_fail({all.begin() + static_cast<std::ptrdiff_t>(middle), all.end()}) ? fails : passes) = middle;
        }
    }

    /// ddmin (Zeller, Hildebrandt: Simplifying and isolating failure-inducing input, 2002), complements only.
    void remove_nodes() {
        for (std::size_t chunk = std::max<std::size_t>(1, nodes_.size() / 2); !nodes_.empty();) {
            bool smaller = false;
            for (std::size_t start = 0; start < nodes_.size() && nodes_.size() > 1;) {
                Nodes rest(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(start));
                const std::size_t end = std::min(nodes_.size(), start + chunk);
                rest.insert(rest.end(), nodes_.begin() + static_cast<std::ptrdiff_t>(end), nodes_.end());
                if (nodes_fail(rest))
                    smaller = true;
                else
                    start = end;
            }
            if (chunk == 1 && !smaller) return;
            if (chunk > 1) chunk /= 2;
        }
    }

    void remove_outputs() {
        for (std::size_t i = result_.smallest.expected.size(); i-- > 0 && result_.smallest.expected.size() > 1;) {
            CaseFiles files = result_.smallest;
            Model& model = files.model;
            const auto at = static_cast<std::ptrdiff_t>(i);
            model.graph.outputs.erase(model.graph.outputs.begin() + at);
            model.outputs.erase(model.outputs.begin() + at);
            files.expected.erase(files.expected.begin() + at);
            for (std::size_t k = 0; k < files.expected.size(); ++k)
                files.expected[k].first = "output_" + std::to_string(k);
            fails("outputs", files);
        }
    }

    using Proposals = std::vector<std::pair<std::string, CaseFiles>> (*)(const CaseFiles&);

    /// Takes the first proposal that fails, and asks for new ones, until none does.
    void repeat(const std::string& phase, Proposals propose) {
        for (bool smaller = true; smaller;) {
            smaller = false;
            for (auto& [what, changed] : propose(result_.smallest)) {
                const std::optional<CaseFiles> files = run_again(std::move(changed), *options_.registry);
                if (!files || !fails(phase, *files)) continue;
                result_.steps.push_back(what);
                smaller = true;
                break;
            }
        }
    }

    const Tape& tape_;
    Tester& tester_;
    const ReduceOptions& options_;
    ReduceResult& result_;
    Nodes nodes_;
};

}  // namespace

std::string_view name(FailureKind kind) {
    constexpr std::string_view names[] = {"none", "wrong numbers", "crash", "time-out"};
    return names[static_cast<int>(kind)];
}

ReduceResult reduce(const std::shared_ptr<const Model>& model, const Weights& weights,
                    const std::vector<NamedTensors>& input_sets, const fs::path& state, const ReduceOptions& options) {
    check_backend(options.backend);
    Tester tester(options, state, to_json(*model));
    Nodes all(model->graph.nodes.size());
    std::iota(all.begin(), all.end(), 0U);
    std::vector<ValueRef> outputs;
    for (std::size_t i = 0; i < model->graph.outputs.size(); ++i)
        if (const auto* ref = model->graph.outputs[i].get_if<ValueRef>();
            ref && model->graph.value(*ref).producer != Value::no_producer)
            outputs.push_back(*ref);
    ReduceResult result;
    try {
        for (const NamedTensors& inputs : input_sets) {
            const Tape tape(model, weights, inputs, {}, *options.registry);
            const CaseFiles whole = tape.cut(all, outputs);
            const TestResult verdict = tester.test(whole);
            if (options.progress) options.progress("model", tester.tests(), all.size());
            result.message = verdict.message;
            if (verdict.kind == FailureKind::None) continue;
            result.kind = verdict.kind;
            result.smallest = whole;
            Reducer(tape, tester, options, result).run(all);
            break;
        }
        result.complete = true;
    } catch (const Exhausted&) {
        result.complete = false;
    }
    result.tests = tester.tests();
    return result;
}

}  // namespace torch_ir
