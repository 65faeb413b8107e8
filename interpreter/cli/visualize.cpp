// SPDX-License-Identifier: MIT
#include <iostream>
#include <memory>

#include "cli/command.hpp"
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

int visualize(const VisualizeFlags& options) {
    if (options.max_nodes < 1) {
        std::cerr << "torch-ir: --max-nodes must be at least 1\n";
        return usage;
    }
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
    else if (extension == ".png" || extension == ".pdf")
        throw UnsupportedError(options.output +
                               ": expected .mmd, .dot, .svg or .html; Graphviz makes other images: dot -T" +
                               extension.substr(1) + " graph.dot");
    else
        text = to_mermaid(model, drawing);
    print_or_write(text, options.output);
    return ok;
}

}  // namespace

Command make_visualize() {
    auto options = std::make_shared<VisualizeFlags>();
    return {"visualize",
            "Draw a graph as Mermaid, Graphviz, SVG or HTML",
            "The extension of -o decides: .mmd (Mermaid, also on stdout), .dot (Graphviz), .svg, .html.\n"
            "Example: torch-ir visualize model.pt2 -o graph.mmd --max-nodes 100",
            {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model, "", true},
             {"-o,--output", "file to write", &options->output, "FILE"},
             {"--max-nodes", "draw at most N nodes (default 30)", &options->max_nodes, "N"},
             {"--no-weights", "leave weights out", &options->no_weights},
             {"--pie", "draw the distribution of ops instead", &options->pie}},
            [options](const Globals&) { return visualize(*options); }};
}

}  // namespace torch_ir::cli
