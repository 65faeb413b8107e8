// SPDX-License-Identifier: MIT
#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/dot.hpp"
#include "torch_ir/mermaid.hpp"
#include "torch_ir/svg.hpp"

namespace torch_ir::cli {
namespace {

struct VisualizeFlags {
    std::string model;
    std::string output;
    int max_nodes = 30;
    bool no_weights = false;
    bool pie = false;
};

int visualize(const VisualizeFlags& options, const Globals& globals) {
    check_extension("--output", options.output,
                    options.pie ? std::vector<std::string>{".mmd"}
                                : std::vector<std::string>{".mmd", ".dot", ".gv", ".svg", ".html", ".htm"});
    const LoadedModel loaded = load_model(options.model);
    DrawingOptions drawing;
    drawing.max_nodes = static_cast<std::size_t>(options.max_nodes);
    drawing.weights = !options.no_weights;
    const std::string extension = std::filesystem::path(options.output).extension().string();
    const Model& model = *loaded.model;
    std::string text;
    if (options.pie)
        text = to_mermaid_pie(model);
    else if (extension == ".dot" || extension == ".gv")
        text = to_dot(model, drawing);
    else if (extension == ".svg")
        text = to_svg(model, drawing);
    else if (extension == ".html" || extension == ".htm")
        text = to_html(model, drawing);
    else
        text = to_mermaid(model, drawing);
    print_or_write(text, options.output);
    if (const std::size_t nodes = model.graph.nodes.size(); !options.pie && nodes > drawing.max_nodes)
        remark(std::to_string(drawing.max_nodes) + " of " + std::to_string(nodes) +
                   " nodes are drawn; --max-nodes N draws more",
               globals);
    return ok;
}

}  // namespace

Command make_visualize() {
    auto options = std::make_shared<VisualizeFlags>();
    return {
        "visualize",
        "Draw a graph as Mermaid, Graphviz, SVG or HTML",
        "The extension of -o decides: .mmd (Mermaid, also on stdout), .dot (Graphviz, whose `dot -Tpng` makes other "
        "images), .svg, .html.\n"
        "Example: torch-ir visualize model.pt2 -o graph.mmd --max-nodes 100",
        {model_option(options->model),
         writes({"-o,--output", "file to write", &options->output, "FILE"}),
         at_least(1, {"--max-nodes", "draw at most N nodes (default 30)", &options->max_nodes, "N"}),
         {"--no-weights", "leave weights out", &options->no_weights},
         {"--pie", "draw the distribution of ops instead, as Mermaid", &options->pie}},
        [options](const Globals& globals) { return visualize(*options, globals); }};
}

}  // namespace torch_ir::cli
