// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iostream>
#include <memory>
#include <sstream>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "plugin.hpp"
#include "torch_ir/traverse.hpp"
#include "verification/tape.hpp"

namespace torch_ir::cli {
namespace {

struct SliceFlags {
    std::string model;
    std::vector<std::string> weights;
    std::vector<std::string> plugins;
    std::string inputs;
    std::string output;
    std::vector<std::string> from;
    std::vector<std::string> to;
    std::vector<std::string> nodes;
    std::string module;
};

/// `a,b` is `a` and `b`.
std::vector<std::string> names_in(const std::vector<std::string>& texts) {
    std::vector<std::string> names;
    for (const std::string& text : texts) {
        std::istringstream stream(text);
        for (std::string name; std::getline(stream, name, ',');)
            if (!name.empty()) names.push_back(name);
    }
    return names;
}

[[noreturn]] void throw_unknown(const char* what, const std::string& name, const std::vector<std::string>& known) {
    throw ArgumentError(std::string("the graph has no ") + what + " '" + name + "'" + closest_hint(name, known));
}

/// Paths of modules whose last parts are `module`, else the closest one.
[[noreturn]] void throw_unknown_module(const Graph& graph, const std::string& module) {
    std::vector<std::string> paths;  // of modules with nodes, and of those around them
    std::vector<std::string> inner;
    for (const Node& node : graph.nodes)
        for (std::string path = node.provenance.module_path; !path.empty();) {
            if (std::ranges::find(paths, path) != paths.end()) break;
            paths.push_back(path);
            if (path.ends_with("." + module)) inner.push_back(path);
            const std::size_t dot = path.rfind('.');
            path.resize(dot == std::string::npos ? 0 : dot);
        }
    throw ArgumentError("no node belongs to module '" + module + "'" +
                        (!inner.empty()  ? "; there is " + listed(inner)
                         : paths.empty() ? "; the model does not say which module its nodes come from"
                                         : closest_hint(module, paths)));
}

/// The values called so; the name of a node stands for all its results.
std::vector<ValueRef> values_called(const Graph& graph, const std::vector<std::string>& texts) {
    const ValueNames names = value_names(graph);
    std::vector<ValueRef> values;
    for (const std::string& name : names_in(texts)) {
        const auto node = std::ranges::find(graph.nodes, name, &Node::name);
        if (const auto value = names.find(name); value != names.end()) {
            values.push_back(value->second);
        } else if (node != graph.nodes.end()) {
            for (const ValueRef ref : node->output_values()) values.push_back(ref);
        } else {
            std::vector<std::string> known;
            for (const auto& [key, ref] : names) known.emplace_back(key);
            throw_unknown("value", name, known);
        }
    }
    return values;
}

std::vector<std::uint32_t> nodes_called(const Graph& graph, const std::vector<std::string>& texts) {
    std::vector<std::uint32_t> nodes;
    for (const std::string& name : names_in(texts)) {
        const auto node = std::ranges::find(graph.nodes, name, &Node::name);
        if (node == graph.nodes.end()) {
            std::vector<std::string> known;
            for (const Node& other : graph.nodes) known.push_back(other.name);
            throw_unknown("node", name, known);
        }
        nodes.push_back(static_cast<std::uint32_t>(node - graph.nodes.begin()));
    }
    return nodes;
}

int slice_model(const SliceFlags& options, const Globals& globals) {
    const bool by_values = !options.from.empty() || !options.to.empty();
    if (by_values + !options.nodes.empty() + !options.module.empty() != 1)
        throw UsageError("slice needs one of: --from and --to, --node, --module");
    const LoadedModel loaded = load_model(options.model);
    const Graph& graph = loaded.model->graph;
    const std::vector<ValueRef> to = values_called(graph, options.to);
    std::vector<std::uint32_t> nodes = nodes_called(graph, options.nodes);
    if (by_values) nodes = nodes_between(graph, values_called(graph, options.from), to);
    if (!options.module.empty()) nodes = nodes_of_module(graph, options.module);
    if (nodes.empty() && !by_values) throw_unknown_module(graph, options.module);
    if (nodes.empty()) throw ArgumentError("no node lies between the values of --from and --to");
    std::vector<bool> wanted;
    mark_edges(*loaded.model, nodes, wanted);
    OutputDirectory directory(options.output);
    const Tape tape(loaded.model, weights_for(loaded, options.weights, globals), load_inputs(loaded, options.inputs),
                    std::move(wanted), registry_with(options.plugins));
    const CaseFiles files = tape.cut(nodes, to);
    write_case_files(directory.path(), files);
    directory.commit();
    if (!globals.quiet) {
        if (const std::string problem = check_case(files, tape.registry()); !problem.empty())
            std::cerr << "torch-ir: warning: the slice does not repeat what the whole model computed: " << problem
                      << '\n';
        std::cerr << options.output << ": " << nodes.size() << " of " << counted(graph.nodes.size(), "node") << ", "
                  << counted(files.inputs.size(), "input") << ", " << counted(files.expected.size(), "output") << '\n';
    }
    return ok;
}

}  // namespace

Command make_slice() {
    auto options = std::make_shared<SliceFlags>();
    return {
        "slice",
        "Cut some nodes out of a model as a case of their own",
        "The nodes that depend on a value of --from and that a value of --to depends on; without --from all that --to\n"
        "needs, without --to all that depends on --from. Other values that they read become inputs, with what the\n"
        "whole model computed for them. The name of a node stands for its results.\n"
        "Examples: torch-ir slice model.pt2 --from relu_3 --to add_7 -o case\n"
        "          torch-ir slice model.pt2 --module encoder.layer.0.attention -o case",
        {model_option(options->model),
         new_directory_option(options->output),
         {"--from", "values to cut at; several, or with commas between them", &options->from, "V", false, true},
         {"--to", "values to compute", &options->to, "V", false, true},
         {"--node", "these nodes instead", &options->nodes, "N", false, true},
         {"--module", "the nodes of this module and those inside it", &options->module, "PATH"},
         weights_option(options->weights),
         plugin_option(options->plugins),
         inputs_option(options->inputs)},
        [options](const Globals& globals) { return slice_model(*options, globals); }};
}

}  // namespace torch_ir::cli
