// SPDX-License-Identifier: MIT
#include "verification/model_report.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "load.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/info.hpp"
#include "torch_ir/mermaid.hpp"
#include "verification/markdown.hpp"

namespace torch_ir {
namespace {

namespace fs = std::filesystem;

/// The model of a case, or nothing when it cannot be read: its result says why.
std::shared_ptr<const Model> model_of(const CaseResult& result) {
    try {
        return load_model(result.directory).model;
    } catch (const Error&) {
        return nullptr;
    }
}

void make_directories(const fs::path& directory) {
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) throw IoError(directory.string() + ": a directory cannot be made here: " + error.message());
}

std::string count_text(const std::optional<std::int64_t>& count) {
    return count ? std::to_string(*count) : "unknown (symbolic sizes)";
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

/// `float32[1, 16]`; a symbolic scalar by its kind.
std::string type_text(const Value& value) {
    switch (value.kind) {
        case ValueKind::Tensor:
            return detail::meta_text(value.meta);
        case ValueKind::SymInt:
            return "int";
        case ValueKind::SymFloat:
            return "float";
        case ValueKind::SymBool:
            return "bool";
        case ValueKind::CustomObject:
            return "object";
    }
    return {};
}

std::string types_text(const Graph& graph, const std::vector<ValueRef>& refs) {
    std::vector<std::string> types;
    for (const ValueRef ref : refs) types.push_back(type_text(graph.value(ref)));
    return joined(types);
}

/// Whether each value is a weight, by ValueRef::id.
std::vector<bool> weight_values(const Model& model) {
    std::vector<bool> weights(model.graph.values.size());
    for (std::size_t i = 0; i < model.inputs.size(); ++i)
        if (const auto* ref = model.graph.inputs[i].get_if<ValueRef>())
            weights[ref->id] = is_weight(model.inputs[i].kind);
    return weights;
}

/// Values that go from an input or a node to a node.
std::size_t count_edges(const Model& model) {
    const std::vector<bool> weights = weight_values(model);
    std::size_t edges = 0;
    for (const Node& node : model.graph.nodes)
        for (const ValueRef ref : node.input_values()) edges += weights[ref.id] ? 0U : 1U;
    return edges;
}

Table size_table(const Model& model) {
    const ModelInfo info = collect_info(model);
    return {{"Figure", "Value"},
            {{"Nodes", std::to_string(info.num_nodes)},
             {"Edges", std::to_string(count_edges(model))},
             {"Inputs", std::to_string(info.num_inputs)},
             {"Outputs", std::to_string(info.num_outputs)},
             {"Weights", std::to_string(info.num_weights)},
             {"Parameters", count_text(info.total_parameters)},
             {"Bytes of weights", count_text(info.weight_bytes)},
             {"FLOPs of products", count_text(info.flops)}}};
}

Table node_table(const Graph& graph) {
    Table table{{"Name", "Op", "Reads", "Computes"}, {}};
    for (const Node& node : graph.nodes)
        table.rows.push_back(
            {node.name, node.op_type, types_text(graph, node.input_values()), types_text(graph, node.output_values())});
    return table;
}

Table weight_table(const Model& model) {
    Table table{{"Name", "Type"}, {}};
    for (std::size_t i = 0; i < model.inputs.size(); ++i)
        if (const auto* ref = model.graph.inputs[i].get_if<ValueRef>(); ref && is_weight(model.inputs[i].kind))
            table.rows.push_back({model.inputs[i].target, type_text(model.graph.value(*ref))});
    return table;
}

Table output_table(const CaseResult& result) {
    Table table{{"Output", "Type", "Verdict", "Max difference", "Mean difference", "Allowed"}, {}};
    for (const OutputVerdict& output : result.outputs) {
        const Comparison& c = output.comparison;
        table.rows.push_back(
            {output.name, output.type(), c.passed ? "passed" : "failed", c.compared ? short_number(c.max_abs) : "",
             c.compared ? short_number(c.mean_abs) : "",
             c.compared ? "atol " + short_number(c.tolerance.atol) + ", rtol " + short_number(c.tolerance.rtol) : ""});
    }
    return table;
}

std::string mermaid_block(const std::string& text) {
    std::string fence = "```";
    while (text.find(fence) != std::string::npos) fence += '`';  // a name in the graph must not end the block
    return fence + "mermaid\n" + text + "\n" + fence + "\n";
}

std::string details(const std::string& summary, const Table& table) {
    return "<details>\n<summary>" + summary + "</summary>\n\n" + to_markdown(table) + "\n</details>\n";
}

/// The largest difference of the outputs that could be compared.
std::string largest_difference(const CaseResult& result) {
    std::optional<double> largest;
    for (const OutputVerdict& output : result.outputs)
        if (output.comparison.compared) largest = std::max(largest.value_or(0), output.comparison.max_abs);
    return largest ? short_number(*largest) : "";
}

/// The name of a case, for a model as a link to its page.
std::string link(const CaseResult& result) {
    if (result.directory.empty()) return result.name;
    std::string target;
    for (const char c : result.name) {
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
        target += std::isalnum(static_cast<unsigned char>(c)) || std::strchr("/-_.", c) ? std::string(1, c) : escaped;
    }
    return "[" + result.name + "](" + target + ".md)";
}

/// The page of a model; `model` is null when it cannot be read.
std::string model_page(const CaseResult& result, const Model* model) {
    std::string text = "# " + markdown_cell(result.name) + "\n\n";
    if (!result.description.empty()) text += markdown_cell(result.description) + "\n\n";
    text += "- Status: **" + std::string(name(result.status)) + "**\n";
    if (!result.message.empty()) text += "- Message: " + markdown_cell(result.message) + "\n";
    if (!result.categories.empty()) text += "- Categories: " + markdown_cell(joined(result.categories)) + "\n";
    text += "- Seconds: " + short_number(result.seconds) + "\n";
    if (!model) return text;
    text += "\n## Summary\n\n" + to_markdown(size_table(*model));
    if (!result.outputs.empty()) text += "\n## Numerical verification\n\n" + to_markdown(output_table(result));
    text += "\n## Graph\n\n" + mermaid_block(to_mermaid(*model));
    if (!model->graph.nodes.empty()) {
        text += "\n## Distribution of ops\n\n" + mermaid_block(to_mermaid_pie(*model));
        text += "\n## Nodes\n\n" + details("all nodes", node_table(model->graph));
    }
    if (const Table weights = weight_table(*model); !weights.rows.empty())
        text += "\n## Weights\n\n" + details("all weights", weights);
    return text;
}

/// The row of a case in the summary.
Row case_row(const CaseResult& result, const Model* model) {
    return {link(result),
            std::string(name(result.status)),
            model ? std::to_string(model->graph.nodes.size()) : "",
            model ? count_text(collect_info(*model).total_parameters) : "",
            largest_difference(result),
            short_number(result.seconds)};
}

Table category_table(const Report& report) {
    std::map<std::string, std::pair<std::size_t, std::size_t>> counts;  // passed, all
    for (const CaseResult& result : report.cases)
        for (const std::string& category : result.categories) {
            counts[category].first += result.status == Status::Passed ? 1U : 0U;
            ++counts[category].second;
        }
    Table table{{"Category", "Passed", "Not passed", "All"}, {}};
    for (const auto& [category, count] : counts)
        table.rows.push_back({category, std::to_string(count.first), std::to_string(count.second - count.first),
                              std::to_string(count.second)});
    return table;
}

std::string summary_page(const Report& report, const Table& cases) {
    std::string failures;
    for (const CaseResult& result : report.cases)
        if (result.status != Status::Passed)
            failures += "- " + link(result) + ", " + std::string(name(result.status)) + ": " +
                        markdown_cell(result.message) + "\n";
    std::string text = "# " + markdown_cell(report.title) + "\n\n**" + report.summary + "** of " +
                       std::to_string(report.cases.size()) + "\n\n" + to_markdown(cases);
    if (const Table categories = category_table(report); !categories.rows.empty())
        text += "\n## Categories\n\n" + to_markdown(categories);
    if (!failures.empty()) text += "\n## Not passed\n\n" + failures;
    return text;
}

}  // namespace

void write_model_reports(const fs::path& directory, const Report& report) {
    make_directories(directory);
    Table cases{{"Case", "Status", "Nodes", "Parameters", "Max difference", "Seconds"}, {}};
    for (const CaseResult& result : report.cases) {
        const std::shared_ptr<const Model> model = result.directory.empty() ? nullptr : model_of(result);
        cases.rows.push_back(case_row(result, model.get()));
        if (result.directory.empty()) continue;
        const fs::path page = directory / (result.name + ".md");
        make_directories(page.parent_path());
        write_file(page, model_page(result, model.get()));
    }
    write_file(directory / "SUMMARY.md", summary_page(report, cases));
}

}  // namespace torch_ir
