// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "load.hpp"
#include "plan.hpp"
#include "plugin.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
    std::string model;
    std::vector<std::string> plugins;
    bool json = false;
};

void count_ops(const Graph& graph, std::map<std::string, std::size_t>& counts) {
    for (const Node& node : graph.nodes) {
        ++counts[node.op_type];
        for (const NamedArgument& arg : node.args)
            if (const auto* body = arg.value.get_if<Subgraph>(); body && body->graph) count_ops(*body->graph, counts);
    }
}

int list_model(const Options& options) {
    const LoadedModel loaded = load_model(options.model);
    std::map<std::string, std::size_t> counts;
    count_ops(loaded.model->graph, counts);
    const std::vector<MissingOp> missing = missing_ops(loaded.model->graph, registry_with(options.plugins));
    std::map<std::string, std::string> reasons;
    for (const MissingOp& op : missing) reasons.emplace(op.op_type, op.reason);
    if (options.json) {
        ordered_json json{
            {"model", loaded.path.string()}, {"complete", missing.empty()}, {"ops", ordered_json::array()}};
        for (const auto& [op_type, count] : counts) {
            const auto reason = reasons.find(op_type);
            ordered_json op{{"op_type", op_type}, {"count", count}, {"supported", reason == reasons.end()}};
            if (reason != reasons.end() && !reason->second.empty()) op["reason"] = reason->second;
            json["ops"].push_back(std::move(op));
        }
        std::cout << json.dump(2) << '\n';
    } else {
        for (const auto& [op_type, count] : counts)
            std::cout << (reasons.contains(op_type) ? "missing  " : "ok       ") << op_type << "  x" << count << '\n';
        std::cout << counts.size() << " ops, " << missing.size() << " missing\n";
    }
    return missing.empty() ? ok : check_failed;
}

/// Every ATen op that runs, by its own kernel or derived, and those that do not.
int list_all(const Options& options) {
    const Registry& registry = registry_with(options.plugins);
    const std::vector<std::string> registered = registry.names();
    std::map<std::string, bool> ops;
    for (const std::string& op_type : registered) ops.emplace(op_type, true);
    for (const std::string_view line : aten_schema_lines()) {
        const std::string op_type = parse_schema(line).op_type();
        ops.emplace(op_type, registry.find(op_type) != nullptr);
    }
    std::size_t supported = 0;
    for (const auto& [op_type, runs] : ops) supported += runs ? 1U : 0U;
    if (options.json) {
        // "derived" are those of the supported ones that run their functional twin and copy the result.
        ordered_json json{{"supported", ordered_json::array()},
                          {"derived", ordered_json::array()},
                          {"unsupported", ordered_json::array()}};
        for (const auto& [op_type, runs] : ops) {
            json[runs ? "supported" : "unsupported"].push_back(op_type);
            if (runs && !std::binary_search(registered.begin(), registered.end(), op_type))
                json["derived"].push_back(op_type);
        }
        std::cout << json.dump(2) << '\n';
    } else {
        for (const auto& [op_type, runs] : ops)
            if (runs) std::cout << op_type << '\n';
        std::cout << supported << " ops supported of " << ops.size() << " known\n";
    }
    return ok;
}

}  // namespace

Command make_ops() {
    auto options = std::make_shared<Options>();
    return {"ops",
            "List the ops that can run, or those a model needs",
            "With MODEL, the exit status is 1 when an op is missing.\n"
            "Example: torch-ir ops model.pt2",
            {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model},
             {"--plugin", "shared library with more ops; may be repeated", &options->plugins, "LIB"},
             {"--json", "print one JSON value", &options->json}},
            [options](const Globals&) { return options->model.empty() ? list_all(*options) : list_model(*options); }};
}

}  // namespace torch_ir::cli
