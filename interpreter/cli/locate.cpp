// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "plugin.hpp"
#include "torch_ir/file.hpp"
#include "verification/profile.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct LocateFlags {
    std::string model;
    std::vector<std::string> plugins;
    std::vector<std::string> weights;
    std::string inputs;
    std::string candidate;
    std::string map;
    std::string profile = "f32";
    bool json = false;
};

/// The candidate's tensors under the names of the graph. The file is one JSON object: names in the dump to names in
/// the graph.
NamedTensors renamed(NamedTensors tensors, const std::string& file) {
    if (file.empty()) return tensors;
    const auto mapped = map_file(file);
    const auto map = with_context(file, [&] {
        const auto* text = reinterpret_cast<const char*>(mapped->bytes().data());
        const auto json = nlohmann::json::parse(text, text + mapped->bytes().size(), nullptr, false);
        if (!json.is_object()) throw ParseError("expected a JSON object of names in the dump to names in the graph");
        for (const auto& [from, to] : json.items())
            if (!to.is_string()) throw ParseError("'" + from + "': expected a string, the name in the graph");
        return json;
    });
    NamedTensors result;
    for (const auto& [from, to] : map.items())
        if (auto entry = tensors.extract(from)) {
            entry.key() = to.get<std::string>();
            result.insert(std::move(entry));
        }
    if (result.empty() && !map.empty())
        throw ArgumentError(file + ": expected names in the dump to names in the graph, but the dump has no '" +
                            map.begin().key() + "' nor any other of its names");
    result.merge(std::move(tensors));
    return result;
}

ordered_json to_json(const Finding& finding) {
    ordered_json json{{"node", finding.node ? finding.node->name : finding.value},
                      {"op_type", finding.node ? finding.node->op_type : "placeholder"},
                      {"verdict", name(finding.rounding.verdict)},
                      {"value", finding.value},
                      {"reason", finding.rounding.reason},
                      {"module_path", finding.node ? finding.node->provenance.module_path : ""},
                      {"source", finding.node ? finding.node->provenance.source : ""},
                      {"max_q", finding.rounding.max_q},
                      {"rms_q", finding.rounding.rms_q},
                      {"bias", finding.rounding.bias},
                      {"max_abs", finding.rounding.max_abs},
                      {"worst_index", finding.rounding.worst_index},
                      {"layout", finding.layout},
                      {"absent", ordered_json::array()},
                      {"hypotheses", ordered_json::array()}};
    for (const Node* node : finding.absent) json["absent"].push_back(node->name);
    for (const Hypothesis& hypothesis : finding.hypotheses)
        json["hypotheses"].push_back(
            {{"name", hypothesis.name}, {"verdict", name(hypothesis.verdict)}, {"rms_q", hypothesis.rms_q}});
    return json;
}

void print(const Finding& finding, const Globals& globals) {
    std::cout << "  " << colored(std::string(name(finding.rounding.verdict)), false, globals) << "  "
              << (finding.node ? finding.node->name : finding.value) << "  "
              << (finding.node ? finding.node->op_type : "input of the graph") << '\n';
    if (finding.node && !finding.node->provenance.module_path.empty())
        std::cout << "      in " << finding.node->provenance.module_path << '\n';
    if (finding.node && !finding.node->provenance.source.empty())
        std::cout << "      at " << finding.node->provenance.source << '\n';
    std::cout << "      " << finding.rounding.reason << '\n';
    if (!finding.absent.empty())
        std::cout << "      or in one of the " << finding.absent.size()
                  << " nodes before it that the candidate does not show, from " << finding.absent.front()->name
                  << " on\n";
    if (!finding.layout.empty()) std::cout << "      the candidate stores it " << finding.layout << '\n';
    for (const Hypothesis& hypothesis : finding.hypotheses)
        std::cout << "      " << (hypothesis.verdict == Verdict::Explained ? "explained by: " : "nearer with: ")
                  << hypothesis.name << '\n';
}

/// One finding for each node.
std::vector<const Finding*> origin_nodes(const LocateResult& result) {
    std::vector<const Finding*> origins;
    for (const Finding* finding : result.origins())
        if (origins.empty() || !finding->node || origins.back()->node != finding->node) origins.push_back(finding);
    return origins;
}

int run(const LocateFlags& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(load_weights(loaded, options.weights));
    const auto inputs = interpreter.bind_inputs(load_inputs(loaded, options.inputs));
    LocateOptions locate_options;
    locate_options.profile = load_profile(options.profile);
    const LocateResult result =
        locate(interpreter, inputs, renamed(load_tensors(options.candidate), options.map), locate_options);
    const std::vector<const Finding*> origins = origin_nodes(result);
    const Verdict verdict = result.verdict();
    if (!globals.quiet && !result.unknown.empty())
        std::cerr << "torch-ir: " << result.unknown.size() << " of the candidate's tensors are no values of the graph, "
                  << "the first is '" << result.unknown.front() << "' (--map gives other names)\n";
    if (options.json) {
        ordered_json json{{"verdict", name(verdict)}, {"origins", ordered_json::array()}};
        for (const Finding* origin : origins) json["origins"].push_back(to_json(*origin));
        json["compared"] = result.findings.size();
        json["absent"] = result.absent;
        json["unknown"] = result.unknown;
        json["profile"] = locate_options.profile.name;
        std::cout << dump(json) << '\n';
        return verdict == Verdict::Explained ? ok : check_failed;
    }
    for (const Finding* origin : origins) print(*origin, globals);
    std::cout << colored(std::string(name(verdict)), verdict == Verdict::Explained, globals) << ": "
              << result.findings.size() << " values compared, " << result.absent << " not shown, " << origins.size()
              << (origins.size() == 1 ? " node introduces error\n" : " nodes introduce error\n");
    return verdict == Verdict::Explained ? ok : check_failed;
}

}  // namespace

Command make_locate() {
    auto options = std::make_shared<LocateFlags>();
    return {"locate",
            "Find the node where a backend's run went wrong first",
            "The candidate is a safetensors file of the values that the backend computed, any subset, keyed by their "
            "names in the\ngraph (outputs also as output_0, output_1, ...). Every node is computed again in float64 on "
            "the candidate's own\noperands, so that error made there is told apart from error inherited, and judged by "
            "what rounding may do:\nexplained, suspicious or wrong. Exit status 0: everything is explained; 1: not.\n"
            "Example: torch-ir locate model.pt2 --candidate dump.safetensors",
            {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model, "", true},
             {"--candidate", "the backend's values", &options->candidate, "FILE", true},
             {"--map", "JSON object of names in the dump to names in the graph", &options->map, "FILE"},
             {"--weights", "weight file; may be repeated", &options->weights, "FILE"},
             {"--inputs", "input tensors (default: inputs.safetensors beside the model)", &options->inputs, "FILE"},
             {"--plugin", "shared library with more ops; may be repeated", &options->plugins, "LIB"},
             {"--profile", "precision of the backend's arithmetic: f32, tf32, bf16, f16, ... or a JSON file",
              &options->profile, "NAME"},
             {"--json", "print one JSON value", &options->json}},
            [options](const Globals& globals) { return run(*options, globals); }};
}

}  // namespace torch_ir::cli
