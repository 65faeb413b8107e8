// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "plugin.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/text.hpp"
#include "verification/dump.hpp"
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

template <class Names>
std::string nearest(const std::string& name, const Names& names) {
    const std::string similar = closest(name, names);
    return similar.empty() ? "" : " (the closest name is '" + similar + "')";
}

/// The candidate's tensors under the names of the graph. The file is one JSON object: names in the dump to names in
/// the graph.
NamedTensors renamed(NamedTensors tensors, const std::string& file, const Globals& globals) {
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
    std::vector<std::string> names;  // of the dump
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    NamedTensors result;
    std::vector<std::string> absent;
    std::vector<std::string> twice;
    for (const auto& [from, to] : map.items()) {
        auto entry = tensors.extract(from);
        if (!entry) {
            absent.push_back(from);
            continue;
        }
        entry.key() = to.get<std::string>();
        if (result.contains(entry.key()))
            twice.push_back(entry.key());
        else
            result.insert(std::move(entry));
    }
    if (result.empty() && !map.empty())
        throw ArgumentError(file + ": expected names in the dump to names in the graph, but the dump has no '" +
                            absent.front() + "'" + nearest(absent.front(), names) + " nor any other of its names");
    for (const auto& [name, tensor] : tensors)
        if (result.contains(name)) twice.push_back(name);
    if (!absent.empty())
        remark(file + ": " + std::to_string(absent.size()) + " of " + std::to_string(map.size()) +
                   " names are not in the dump: " +
                   listed(absent, [&](const std::string& name) { return nearest(name, names); }),
               globals);
    if (!twice.empty())
        remark(file + ": two tensors are given the name " + listed(twice) + "; the first in the map is used", globals);
    result.merge(std::move(tensors));
    return result;
}

/// Names of the candidate that the graph does not have, and what they may be.
void remark_unknown(const LocateResult& result, const Graph& graph, std::size_t given, const Globals& globals) {
    if (result.unknown.empty()) return;
    std::vector<std::string> names;
    for (const Value& value : graph.values) names.push_back(value.name);
    remark(std::to_string(result.unknown.size()) + " of the candidate's " + std::to_string(given) +
               " tensors are no values of the graph and are not judged: " +
               listed(result.unknown,
                      [&](const std::string& name) {
                          const auto found = result.names.find(name);
                          return found == result.names.end() ? nearest(name, names)
                                                             : " (by its numbers '" + found->second + "')";
                      }),
           globals);
    if (!result.names.empty()) remark(map_text(result.names), globals);
}

std::string storage_text(const LocateResult& result) {
    return "all of the candidate's floats are " + result.stored + " numbers: they are judged " +
           (result.written_only ? "as rounded when they were written, computed from unrounded ones"
                                : "as rounded, and computed from rounded ones");
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
                      {"part", finding.part.box},
                      {"part_elements", finding.part.elements},
                      {"layout", finding.layout},
                      {"other_name", finding.other_name},
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
    if (finding.part.is_known()) std::cout << "      " << to_string(finding.part) << '\n';
    if (finding.absent.size() == 1)
        std::cout << "      or in the node before it that the candidate does not show, " << finding.absent[0]->name
                  << '\n';
    else if (!finding.absent.empty())
        std::cout << "      or in one of the " << finding.absent.size()
                  << " nodes before it that the candidate does not show, from " << finding.absent.front()->name
                  << " on\n";
    if (!finding.layout.empty()) std::cout << "      the candidate stores it " << finding.layout << '\n';
    if (!finding.other_name.empty())
        std::cout << "      the candidate's '" << finding.other_name
                  << "' holds the numbers expected here: are names mixed up?\n";
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

/// What was compared in another layout than the graph's, by name: a transposition by mistake looks the same.
ordered_json layouts_of(const LocateResult& result) {
    ordered_json layouts = ordered_json::object();
    for (const Finding& finding : result.findings)
        if (!finding.layout.empty()) layouts[finding.value] = finding.layout;
    return layouts;
}

int run(const LocateFlags& options, const Globals& globals) {
    const LoadedModel loaded = load_model(options.model);
    Interpreter interpreter(loaded.model, registry_with(options.plugins));
    interpreter.load_weights(weights_for(loaded, options.weights, globals));
    const auto inputs = interpreter.bind_inputs(load_inputs(loaded, options.inputs));
    LocateOptions locate_options;
    locate_options.profile = load_profile(options.profile);
    const NamedTensors candidate = renamed(load_tensors(options.candidate), options.map, globals);
    const LocateResult result = locate(interpreter, inputs, candidate, locate_options);
    const std::vector<const Finding*> origins = origin_nodes(result);
    const Verdict verdict = result.verdict();
    remark_unknown(result, loaded.model->graph, candidate.size(), globals);
    if (!result.stored.empty()) remark(storage_text(result), globals);
    const ordered_json layouts = layouts_of(result);
    std::vector<std::string> laid_out;
    for (const auto& item : layouts.items()) laid_out.push_back(item.key());
    if (!laid_out.empty())
        remark(
            "stored otherwise than the graph says, and compared as such: " +
                listed(laid_out, [&](const auto& value) { return " " + layouts[value].template get<std::string>(); }),
            globals);
    if (options.json) {
        ordered_json json{{"verdict", name(verdict)}, {"origins", ordered_json::array()}};
        for (const Finding* origin : origins) json["origins"].push_back(to_json(*origin));
        json["compared"] = result.findings.size();
        json["absent"] = result.absent;
        json["unknown"] = result.unknown;
        json["names"] = result.names;
        json["layouts"] = layouts;
        json["stored"] = result.stored;
        json["written_only"] = result.written_only;
        json["profile"] = locate_options.profile.name;
        std::cout << dump(json) << '\n';
        return verdict == Verdict::Explained ? ok : check_failed;
    }
    for (const Finding* origin : origins) print(*origin, globals);
    std::cout << colored(std::string(name(verdict)), verdict == Verdict::Explained, globals) << ": "
              << counted(result.findings.size(), "value") << " compared, " << result.absent << " not shown, "
              << (result.unknown.empty() ? "" : std::to_string(result.unknown.size()) + " of unknown name, ")
              << origins.size() << (origins.size() == 1 ? " node introduces error\n" : " nodes introduce error\n");
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
            {model_option(options->model),
             reads({"--candidate", "the backend's values", &options->candidate, "FILE", true}),
             reads({"--map", "JSON object of names in the dump to names in the graph", &options->map, "FILE"}),
             weights_option(options->weights),
             inputs_option(options->inputs),
             plugin_option(options->plugins),
             {"--profile", "precision of the backend's arithmetic: f32, tf32, bf16, f16, ... or a JSON file",
              &options->profile, "NAME"},
             json_option(options->json)},
            [options](const Globals& globals) { return run(*options, globals); }};
}

}  // namespace torch_ir::cli
