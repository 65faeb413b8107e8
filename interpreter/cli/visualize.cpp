// SPDX-License-Identifier: MIT
#include <iostream>
#include <memory>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "load.hpp"
#include "torch_ir/dot.hpp"
#include "torch_ir/mermaid.hpp"

namespace torch_ir::cli {
namespace {

struct Options {
    std::string model;
    std::string output;
    int max_nodes = 30;
    bool no_weights = false;
    bool pie = false;
};

/// A page that draws the Mermaid text where the viewer has Mermaid, and shows the text itself otherwise.
std::string html_page(const std::string& title, const std::string& mermaid) {
    const auto escape = [](const std::string& text) {
        std::string escaped;
        for (const char c : text) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '>' ? "&gt;" : std::string(1, c);
        return escaped;
    };
    return "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + escape(title) + "</title>\n<pre class=\"mermaid\">\n" + escape(mermaid) +
           "\n</pre>\n<script type=\"module\">\n"
           "import mermaid from 'https://cdn.jsdelivr.net/npm/mermaid@11/dist/mermaid.esm.min.mjs';\n"
           "mermaid.initialize({startOnLoad: true, maxTextSize: 10000000, maxEdges: 100000});\n</script>";
}

int visualize(const Options& options) {
    if (options.max_nodes < 1) {
        std::cerr << "torch-ir: --max-nodes must be at least 1\n";
        return usage;
    }
    const LoadedModel loaded = load_model(options.model);
    DrawingOptions drawing;
    drawing.max_nodes = static_cast<std::size_t>(options.max_nodes);
    drawing.weights = !options.no_weights;
    const std::string extension = std::filesystem::path(options.output).extension().string();
    std::string text;
    if (extension == ".dot" || extension == ".gv")
        text = to_dot(*loaded.model, drawing);
    else if (extension == ".svg" || extension == ".png")
        throw UnsupportedError(options.output + ": images are not drawn here; write a .dot and run: dot -T" + extension.substr(1) +
                               " graph.dot -o graph" + extension);
    else
        text = options.pie ? to_mermaid_pie(*loaded.model) : to_mermaid(*loaded.model, drawing);
    if (extension == ".html") text = html_page(loaded.model->name, text);
    print_or_write(text, options.output);
    return ok;
}

}  // namespace

Command make_visualize() {
    auto options = std::make_shared<Options>();
    return {"visualize",
            "Draw a graph as Mermaid, Graphviz or HTML",
            "The extension of -o decides: .mmd (Mermaid, also on stdout), .dot (Graphviz), .html.\n"
            "Example: torch-ir visualize model.pt2 -o graph.mmd --max-nodes 100",
            {{"MODEL", "a .pt2, a JSON IR or a directory", &options->model, "", true},
             {"-o,--output", "file to write", &options->output, "FILE"},
             {"--max-nodes", "draw at most N nodes (default 30)", &options->max_nodes, "N"},
             {"--no-weights", "leave weights out", &options->no_weights},
             {"--pie", "draw the distribution of ops instead", &options->pie}},
            [options](const Globals&) { return visualize(*options); }};
}

}  // namespace torch_ir::cli
