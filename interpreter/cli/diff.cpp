// SPDX-License-Identifier: MIT
#include "torch_ir/diff.hpp"

#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"

namespace torch_ir::cli {
namespace {

struct DiffFlags {
    std::string a;
    std::string b;
    bool json = false;
};

void print_node(const char* mark, const Node& node) {
    std::cout << mark << node.name << " = " << node.op_type
              << (node.provenance.module_path.empty() ? "" : "  in " + node.provenance.module_path) << '\n';
}

int diff_models(const DiffFlags& options) {
    const std::shared_ptr<const Model> a = load_model(options.a).model;
    const std::shared_ptr<const Model> b = load_model(options.b).model;
    const ModelDiff found = diff(*a, *b);
    if (options.json) {
        std::cout << to_json(found, *a, *b) << '\n';
        return found.equal() ? ok : check_failed;
    }
    for (const EdgeChange& change : found.edges)
        std::cout << "~ " << change.what << ": " << (change.from.empty() ? "(none)" : change.from) << " -> "
                  << (change.to.empty() ? "(none)" : change.to) << '\n';
    for (const std::uint32_t i : found.only_a) print_node("- ", a->graph.nodes[i]);
    for (const std::uint32_t i : found.only_b) print_node("+ ", b->graph.nodes[i]);
    for (const NodeChange& change : found.changed)
        std::cout << "~ " << a->graph.nodes[change.a].name << " (" << a->graph.nodes[change.a].op_type << ") "
                  << change.what << ": " << change.from << " -> " << change.to << '\n';
    std::cout << (found.equal() ? "equal: " : "different: ") << counted(found.matched, "node") << " in both, "
              << found.only_a.size() << " only in the first, " << found.only_b.size() << " only in the second, "
              << counted(found.changed.size() + found.edges.size(), "change") << "\n";
    return found.equal() ? ok : check_failed;
}

}  // namespace

Command make_diff() {
    auto options = std::make_shared<DiffFlags>();
    return {
        "diff",
        "Show what changed between two graphs, by structure and not by name",
        "Nodes are the same when op, arguments, types and what they read are; inputs count by position, weights by\n"
        "state_dict key. Values of weights are not compared. Exit status 0: equal; 1: different.\n"
        "Example: torch-ir diff before.pt2 after.pt2",
        {model_option(options->a, "A"), model_option(options->b, "B"), json_option(options->json)},
        [options](const Globals&) { return diff_models(*options); }};
}

}  // namespace torch_ir::cli
