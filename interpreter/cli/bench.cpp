// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "memory.hpp"
#include "plugin.hpp"

namespace torch_ir::cli {
namespace {

struct BenchFlags {
    std::string model;
    std::vector<std::string> plugins;
    std::vector<std::string> weights;
    std::string inputs;
    int repeat = 10;
    int warmup = 2;
    bool json = false;
};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

int bench(const BenchFlags& options, const Globals& globals) {
    const auto start = std::chrono::steady_clock::now();
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(weights_for(loaded, options.weights, globals));
    auto inputs = interpreter.bind_inputs(load_inputs(loaded, options.inputs));
    for (IValue& input : inputs)  // in memory as a caller has them, not in a mapped file
        if (auto* tensor = std::get_if<Tensor>(&input)) *tensor = tensor->clone();
    const double load_ms = milliseconds_since(start);

    Progress progress(globals);
    std::vector<double> times;
    const int total = options.warmup + options.repeat;
    for (int i = 0; i < total; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        interpreter.run(inputs);
        if (i >= options.warmup) times.push_back(milliseconds_since(begin));
        progress.show(static_cast<std::size_t>(i) + 1, static_cast<std::size_t>(total), "runs");
    }
    std::sort(times.begin(), times.end());
    const double median = (times[times.size() / 2] + times[(times.size() - 1) / 2]) / 2;
    const std::int64_t peak = peak_resident_bytes();
    if (options.json)
        std::cout << nlohmann::ordered_json{{"median_ms", median},
                                            {"min_ms", times.front()},
                                            {"peak_rss_bytes", peak},
                                            {"load_ms", load_ms}}
                         .dump(2)
                  << '\n';
    else
        std::cout << "median " << median << " ms, fastest " << times.front() << " ms of "
                  << counted(times.size(), "run") << "; load " << load_ms << " ms; peak memory "
                  << bytes_text(static_cast<double>(peak)) << '\n';
    return ok;
}

}  // namespace

Command make_bench() {
    auto options = std::make_shared<BenchFlags>();
    return {
        "bench",
        "Time a model",
        "The time of one run (without loading) over --repeat runs after --warmup runs, and the peak memory of the "
        "process.\n"
        "Example: torch-ir bench model.pt2 --repeat 20 --threads 1",
        {model_option(options->model), weights_option(options->weights), inputs_option(options->inputs),
         plugin_option(options->plugins), at_least(1, {"--repeat", "timed runs (default 10)", &options->repeat, "N"}),
         at_least(0, {"--warmup", "runs before that (default 2)", &options->warmup, "N"}), json_option(options->json)},
        [options](const Globals& globals) { return bench(*options, globals); }};
}

}  // namespace torch_ir::cli
