// SPDX-License-Identifier: MIT
#include "verification/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "torch_ir/file.hpp"
#include "verification/markdown.hpp"

namespace torch_ir {
namespace {

using nlohmann::ordered_json;

ordered_json figure(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

ordered_json element_value(const Scalar& value, DType dtype) {
    if (value.is_integral()) return value.to<std::int64_t>();
    if (value.kind() == Scalar::Kind::Float && std::isfinite(value.to<double>())) return value.to<double>();
    return number_text(value, dtype);
}

ordered_json element_json(const ElementPair& element, const OutputVerdict& verdict) {
    if (element.index < 0) return nullptr;
    return {{"index", verdict.position(element.index)},
            {"actual", element_value(element.actual, *verdict.dtype)},
            {"expected", element_value(element.expected, *verdict.dtype)}};
}

ordered_json census_json(const Census& census) { return {{"nan", census.nan}, {"inf", census.inf}}; }

std::string bin_name(std::size_t bin) {
    if (bin == 0) return "0";
    if (bin == Comparison::histogram_ends.size()) return ">= " + short_number(Comparison::histogram_ends.back());
    return "< " + short_number(Comparison::histogram_ends[bin]);
}

double share(const Comparison& c) {
    return c.elements ? static_cast<double>(c.mismatches) / static_cast<double>(c.elements) : 0;
}

std::string index_of(const OutputVerdict& verdict, std::int64_t flat) { return to_string(verdict.position(flat)); }

std::string element_text(const OutputVerdict& verdict, const ElementPair& element) {
    return index_of(verdict, element.index) + ": " + number_text(element.actual, *verdict.dtype) + " instead of " +
           number_text(element.expected, *verdict.dtype);
}

std::string census_text(const Comparison& c) {
    return std::to_string(c.actual_census.nan) + " NaN, " + std::to_string(c.actual_census.inf) +
           " infinite; expected " + std::to_string(c.expected_census.nan) + " NaN, " +
           std::to_string(c.expected_census.inf) + " infinite";
}

Table tensor_table(const Report& report) {
    Table table{{"tensor", "verdict", "type", "max abs", "max rel", "mean abs", "max ulp", "cosine", "SQNR dB",
                 "PSNR dB", "mismatches", "remark"},
                {}};
    for (const OutputVerdict& v : report.tensors) {
        const Comparison& c = v.comparison;
        Row row{v.name + (v.origin.empty() ? "" : " (" + v.origin + ")"), c.passed ? "passed" : "failed", v.type()};
        if (c.compared)
            row.insert(row.end(),
                       {short_number(c.max_abs), short_number(c.max_rel), short_number(c.mean_abs),
                        std::to_string(c.max_ulp), short_number(c.cosine), short_number(c.sqnr_db),
                        short_number(c.psnr_db), std::to_string(c.mismatches) + " of " + std::to_string(c.elements)});
        else
            row.insert(row.end(), 8, "");
        row.push_back(c.message);
        table.rows.push_back(std::move(row));
    }
    return table;
}

Table case_table(const Report& report) {
    Table table{{"case", "status", "seconds", "message"}, {}};
    for (const CaseResult& result : report.cases)
        table.rows.push_back(
            {result.name, std::string(name(result.status)), short_number(result.seconds), result.message});
    return table;
}

/// Name and value of what is worth knowing about a tensor that differs.
std::vector<std::pair<std::string, std::string>> details(const OutputVerdict& v) {
    const Comparison& c = v.comparison;
    std::vector<std::pair<std::string, std::string>> lines;
    if (c.first.index >= 0) lines.emplace_back("first mismatch", element_text(v, c.first));
    if (c.worst.index >= 0) lines.emplace_back("worst element", element_text(v, c.worst));
    if (!c.part.empty()) lines.emplace_back("all mismatches in", c.part);
    lines.emplace_back("allowed",
                       "atol " + short_number(c.tolerance.atol) + ", rtol " + short_number(c.tolerance.rtol));
    lines.emplace_back("mismatching share", short_number(100 * share(c)) + " %");
    lines.emplace_back("not finite", census_text(c));
    std::string bins;
    for (std::size_t bin = 0; bin < c.histogram.size(); ++bin)
        if (c.histogram[bin])
            bins += (bins.empty() ? "" : ", ") + bin_name(bin) + ": " + std::to_string(c.histogram[bin]);
    lines.emplace_back("elements by error", bins);
    return lines;
}

/// For text and attributes of HTML and XML; control characters, which XML forbids, become spaces.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        switch (c) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
        }
    }
    return result;
}

std::string html_table(const Table& table) {
    std::string text = "<table>\n<tr>";
    for (const std::string& cell : table.header) text += "<th>" + escaped(cell) + "</th>";
    text += "</tr>\n";
    for (const Row& row : table.rows) {
        text += row[1] == "passed" ? "<tr>" : "<tr class=\"bad\">";
        for (const std::string& cell : row) text += "<td>" + escaped(cell) + "</td>";
        text += "</tr>\n";
    }
    return text + "</table>\n";
}

/// Bars of the number of elements per decade of the error, on a logarithmic scale.
std::string html_histogram(const Comparison& c) {
    std::string text = "<div class=\"hist\">";
    for (std::size_t bin = 0; bin < c.histogram.size(); ++bin) {
        const double height =
            c.histogram[bin] ? 6 + 10 * std::log2(1.0 + static_cast<double>(c.histogram[bin])) / 2 : 0;
        text += "<span title=\"" + escaped(bin_name(bin)) + ": " + std::to_string(c.histogram[bin]) +
                "\" style=\"height:" + std::to_string(static_cast<int>(height)) + "px\"></span>";
    }
    return text + "</div>\n";
}

bool differs(const OutputVerdict& v) { return !v.comparison.passed && v.comparison.compared; }

}  // namespace

ordered_json to_json(const OutputVerdict& verdict) {
    const Comparison& c = verdict.comparison;
    ordered_json json{{"name", verdict.name},
                      {"passed", c.passed},
                      {"dtype", nullptr},
                      {"shape", nullptr},
                      {"elements", c.elements},
                      {"mismatches", c.mismatches},
                      {"part", c.part},
                      {"max_abs", figure(c.max_abs)},
                      {"max_rel", figure(c.max_rel)},
                      {"mean_abs", figure(c.mean_abs)},
                      {"message", c.message}};
    if (verdict.dtype) {
        json["dtype"] = name(*verdict.dtype);
        json["shape"] = verdict.shape;
    }
    if (!verdict.origin.empty()) json["origin"] = verdict.origin;
    if (!c.compared) return json;
    json["mean_rel"] = figure(c.mean_rel);
    json["max_ulp"] = c.max_ulp;
    json["cosine"] = figure(c.cosine);
    json["sqnr_db"] = figure(c.sqnr_db);
    json["psnr_db"] = figure(c.psnr_db);
    json["mismatch_share"] = figure(share(c));
    json["rtol"] = figure(c.tolerance.rtol);
    json["atol"] = figure(c.tolerance.atol);
    json["first_mismatch"] = element_json(c.first, verdict);
    json["worst"] = element_json(c.worst, verdict);
    json["census"] = {{"actual", census_json(c.actual_census)}, {"expected", census_json(c.expected_census)}};
    json["histogram"] = ordered_json::array();
    for (std::size_t bin = 0; bin < c.histogram.size(); ++bin)
        json["histogram"].push_back({{"error", bin_name(bin)}, {"count", c.histogram[bin]}});
    return json;
}

ordered_json to_json(const CaseResult& result) {
    ordered_json json{{"name", result.name},
                      {"status", name(result.status)},
                      {"message", result.message},
                      {"seconds", result.seconds}};
    if (!result.outputs.empty()) {
        json["outputs"] = ordered_json::array();
        for (const OutputVerdict& verdict : result.outputs) json["outputs"].push_back(to_json(verdict));
    }
    return json;
}

std::string dump(const ordered_json& json) { return json.dump(2, ' ', false, ordered_json::error_handler_t::replace); }

std::string to_markdown(const Report& report) {
    std::string text = "# " + report.title + "\n\n**" + report.summary + "**\n";
    for (const std::string& remark : report.remarks) text += "\n- " + markdown_cell(remark);
    if (!report.remarks.empty()) text += "\n";
    if (!report.tensors.empty()) text += "\n" + to_markdown(tensor_table(report));
    for (const OutputVerdict& v : report.tensors) {
        if (!differs(v)) continue;
        text += "\n## " + v.name + "\n\n";
        for (const auto& [key, value] : details(v)) text += "- " + key + ": " + value + "\n";
    }
    if (!report.cases.empty()) text += "\n" + to_markdown(case_table(report));
    return text;
}

std::string to_html(const Report& report) {
    std::string text = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>" +
                       escaped(report.title) +
                       "</title>\n<style>\nbody{font:14px sans-serif;margin:2em}\ntable{border-collapse:collapse}\n"
                       "td,th{border:1px solid #ccc;padding:3px 8px;text-align:left}\n.bad{background:#fdd}\n"
                       ".hist span{display:inline-block;width:18px;margin-right:2px;background:#48c}\n"
                       "</style>\n</head>\n<body>\n<h1>" +
                       escaped(report.title) + "</h1>\n<p><b>" + escaped(report.summary) + "</b></p>\n";
    for (const std::string& remark : report.remarks) text += "<p>" + escaped(remark) + "</p>\n";
    if (!report.tensors.empty()) text += html_table(tensor_table(report));
    for (const OutputVerdict& v : report.tensors) {
        if (!differs(v)) continue;
        text += "<h2>" + escaped(v.name) + "</h2>\n<ul>\n";
        for (const auto& [key, value] : details(v)) text += "<li>" + escaped(key + ": " + value) + "</li>\n";
        text += "</ul>\n" + html_histogram(v.comparison);
    }
    if (!report.cases.empty()) text += html_table(case_table(report));
    return text + "</body>\n</html>\n";
}

std::string to_junit(const Report& report) {
    std::size_t failures = 0, errors = 0, skipped = 0;
    double seconds = 0;
    std::string body;
    const auto add = [&](const std::string& test, double time, const char* kind, const std::string& message) {
        char formatted[32];
        std::snprintf(formatted, sizeof formatted, "%.6f", time);
        body += "  <testcase classname=\"torch-ir\" name=\"" + escaped(test) + "\" time=\"" + formatted + "\"";
        seconds += time;
        if (*kind)
            body += std::string(">\n    <") + kind + " message=\"" + escaped(message) + "\"/>\n  </testcase>\n";
        else
            body += "/>\n";
    };
    for (const OutputVerdict& v : report.tensors) {
        failures += v.comparison.passed ? 0U : 1U;
        add(v.name, 0, v.comparison.passed ? "" : "failure", v.comparison.message);
    }
    for (const CaseResult& result : report.cases) {
        constexpr const char* kinds[] = {"", "failure", "skipped", "error"};
        failures += result.status == Status::Failed ? 1U : 0U;
        skipped += result.status == Status::Unsupported ? 1U : 0U;
        errors += result.status == Status::Error ? 1U : 0U;
        add(result.name, result.seconds, kinds[static_cast<int>(result.status)], result.message);
    }
    for (const std::string& remark : report.remarks)  // e.g. a tensor on one side only
        if (!report.passed && report.cases.empty()) {
            ++failures;
            add(remark, 0, "failure", remark);
        }
    char time[32];
    std::snprintf(time, sizeof time, "%.6f", seconds);
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"" + escaped(report.title) +
           "\" tests=\"" +
           std::to_string(report.tensors.size() + report.cases.size() +
                          (report.passed || !report.cases.empty() ? 0 : report.remarks.size())) +
           "\" failures=\"" + std::to_string(failures) + "\" errors=\"" + std::to_string(errors) + "\" skipped=\"" +
           std::to_string(skipped) + "\" time=\"" + time + "\">\n" + body + "</testsuite>\n</testsuites>\n";
}

void write_report(const std::filesystem::path& path, const Report& report) {
    const bool html = path.extension() == ".html" || path.extension() == ".htm";
    write_file(path, html ? to_html(report) : to_markdown(report));
}

std::string short_number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
}

std::string failure_text(const OutputVerdict& verdict) {
    const Comparison& c = verdict.comparison;
    if (!c.compared) return c.message;
    std::string text = c.message;
    if (c.first.index >= 0)
        text += "; first at " + element_text(verdict, c.first);
    else if (c.worst.index >= 0)  // within the tolerances, but not explained by rounding
        text += "; worst at " + element_text(verdict, c.worst);
    text += "; cosine " + short_number(c.cosine) + ", SQNR " + short_number(c.sqnr_db) + " dB";
    if (c.actual_census.nan || c.actual_census.inf || c.expected_census.nan || c.expected_census.inf)
        text += "; not finite: " + census_text(c);
    return text;
}

}  // namespace torch_ir
