// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "plan.hpp"
#include "plugin.hpp"
#include "torch_ir/schema.hpp"
#include "verification/caps.hpp"
#include "verification/report.hpp"

namespace torch_ir::cli {
namespace {

using nlohmann::ordered_json;

struct OpsFlags {
    std::vector<std::string> models;
    std::string caps;
    std::vector<std::string> plugins;
    bool json = false;
};

void count_ops(const Graph& graph, std::map<std::string, std::size_t>& counts) {
    for (const Node& node : graph.nodes) {
        ++counts[node.op_type];
        for (const NamedArgument& arg : node.args)
            if (const auto* body = arg.value.get_if<Subgraph>(); body && body->graph)
                count_ops(*body->graph, counts);
            else if (const auto* op = arg.value.get_if<OperatorName>())  // that auto_functionalized calls
                ++counts[op->op_type];
    }
}

int list_model(const OpsFlags& options) {
    const LoadedModel loaded = load_model(options.models[0]);
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
        std::cout << counted(counts.size(), "op") << ", " << missing.size() << " missing\n";
    }
    return missing.empty() ? ok : check_failed;
}

/// Every ATen op that runs, by its own kernel or derived, and those that do not.
int list_all(const OpsFlags& options) {
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

ordered_json to_json(const LackingOp& op) {
    return {{"op_type", op.op_type}, {"count", op.count}, {"flops", op.flops}, {"reason", op.reason}};
}

ordered_json to_json(const Coverage& coverage, const Model& model, const std::string& path) {
    ordered_json json{{"model", path},
                      {"complete", coverage.lacking.empty()},
                      {"nodes", coverage.nodes},
                      {"supported_nodes", coverage.supported_nodes},
                      {"flops", coverage.flops},
                      {"supported_flops", coverage.supported_flops},
                      {"missing", ordered_json::array()},
                      {"partitions", ordered_json::array()}};
    for (const LackingOp& op : coverage.lacking) json["missing"].push_back(to_json(op));
    for (const Partition& part : coverage.partitions)
        json["partitions"].push_back({{"nodes", part.nodes.size()},
                                      {"first", model.graph.nodes[part.nodes.front()].name},
                                      {"last", model.graph.nodes[part.nodes.back()].name},
                                      {"flops", part.flops}});
    return json;
}

/// An op over all models.
struct LackingEverywhere {
    std::size_t count = 0;
    std::size_t models = 0;
    std::int64_t flops = 0;
};

std::string percent(std::int64_t part, std::int64_t whole) {
    return whole ? std::to_string(100 * part / whole) + " %" : "-";
}

void print_caps(const OpsFlags& options, const std::vector<Coverage>& models,
                const std::vector<std::pair<std::string, LackingEverywhere>>& lacking,
                const std::vector<Unblock>& steps) {
    for (std::size_t i = 0; i < models.size(); ++i) {
        const Coverage& coverage = models[i];
        std::cout << (coverage.lacking.empty() ? "complete  " : "blocked   ") << options.models[i] << ": "
                  << coverage.supported_nodes << " of " << counted(coverage.nodes, "node") << ", "
                  << percent(coverage.supported_flops, coverage.flops) << " of the FLOPs, in "
                  << counted(coverage.partitions.size(), "piece") << "\n";
        for (const LackingOp& op : coverage.lacking)
            std::cout << "    lacks " << op.op_type << "  x" << op.count << "  " << percent(op.flops, coverage.flops)
                      << " of the FLOPs  (" << op.reason << ")\n";
    }
    if (models.size() < 2) return;
    std::cout << "\nlacking in all models, most FLOPs first:\n";
    for (const auto& [op, sum] : lacking)
        std::cout << "    " << op << "  x" << sum.count << " in " << counted(sum.models, "model") << ", " << sum.flops
                  << " FLOPs\n";
    std::cout << '\n';
    for (const Unblock& step : steps) {
        if (step.ops.size() == 1)
            std::cout << "this op unblocks ";
        else
            std::cout << "these " << step.ops.size() << " ops unblock ";
        std::cout << step.models << " more (" << step.total << " of " << models.size() << "):";
        for (const std::string& op : step.ops) std::cout << ' ' << op;
        std::cout << '\n';
    }
}

/// What a backend lacks for the models.
int list_caps(const OpsFlags& options) {
    const BackendCaps caps = read_caps(options.caps);
    std::vector<Coverage> models;
    std::map<std::string, LackingEverywhere> sums;
    ordered_json json{{"backend", caps.name}, {"complete", true}, {"models", ordered_json::array()}};
    for (const std::string& path : options.models) {
        const LoadedModel loaded = load_model(path);
        models.push_back(cover(*loaded.model, caps));
        json["models"].push_back(to_json(models.back(), *loaded.model, path));
        for (const LackingOp& op : models.back().lacking) {
            LackingEverywhere& sum = sums[op.op_type];
            sum.count += op.count;
            sum.flops += op.flops;
            ++sum.models;
        }
    }
    std::vector<std::pair<std::string, LackingEverywhere>> lacking(sums.begin(), sums.end());
    std::ranges::stable_sort(lacking, [](const auto& a, const auto& b) {
        return std::pair(a.second.flops, a.second.count) > std::pair(b.second.flops, b.second.count);
    });
    const std::vector<Unblock> steps = plan_ops(models);
    json["complete"] = lacking.empty();
    json["missing"] = ordered_json::array();
    for (const auto& [op, sum] : lacking)
        json["missing"].push_back(
            {{"op_type", op}, {"count", sum.count}, {"models", sum.models}, {"flops", sum.flops}});
    json["unblock"] = ordered_json::array();
    for (const Unblock& step : steps)
        json["unblock"].push_back({{"ops", step.ops}, {"models", step.models}, {"total", step.total}});
    if (options.json)
        std::cout << dump(json) << '\n';
    else
        print_caps(options, models, lacking, steps);
    return lacking.empty() ? ok : check_failed;
}

}  // namespace

Command make_ops() {
    auto options = std::make_shared<OpsFlags>();
    return {
        "ops",
        "List the ops that can run, or those a model needs",
        "With MODEL, the exit status is 1 when an op is missing. With --backend-caps, what another backend lacks\n"
        "(schema/backend_caps.schema.json), in which pieces each model would run there, and which ops unblock most\n"
        "models. Examples: torch-ir ops model.pt2\n"
        "                  torch-ir ops --backend-caps caps.json a.pt2 b.pt2",
        {{"MODEL", "a .pt2, a JSON IR or a directory; several with --backend-caps", &options->models, "", false, true},
         reads({"--backend-caps", "list what this backend lacks for the models instead", &options->caps, "CAPS.json"}),
         plugin_option(options->plugins),
         json_option(options->json)},
        [options](const Globals&) {
            if (options->caps.empty() ? options->models.size() > 1 : options->models.empty()) {
                throw UsageError("ops takes one MODEL, and with --backend-caps one or more");
            }
            if (!options->caps.empty()) return list_caps(*options);
            return options->models.empty() ? list_all(*options) : list_model(*options);
        }};
}

}  // namespace torch_ir::cli
