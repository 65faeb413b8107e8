// SPDX-License-Identifier: MIT
// Bodies of svg.hpp: a layered layout. A node's layer is one below the lowest of what it reads; within a layer, nodes
// stand in the order of the middle of their predecessors, so that most arrows go straight down.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "torch_ir/impl/drawing.hpp"
#include "torch_ir/svg.hpp"

namespace torch_ir {
namespace detail {

struct SvgBox {
    const DrawingItem* item = nullptr;
    std::size_t layer = 0;
    double x = 0;  // centre
    double y = 0;  // top
    double width = 0;
    double height = 0;
    std::vector<std::size_t> sources;
    std::vector<std::size_t> targets;
};

struct SvgArrow {
    const DrawingItem* item;
    std::size_t from;
    std::size_t to;
};

class SvgLayout {
  public:
    explicit SvgLayout(const std::vector<DrawingItem>& items) {
        using Kind = DrawingItem::Kind;
        for (const DrawingItem& item : items)
            if (item.kind != Kind::Arrow && item.kind != Kind::WeightArrow && item.kind != Kind::EndGroup)
                add_box(item);
        for (const DrawingItem& item : items)
            if (item.kind == Kind::Arrow || item.kind == Kind::WeightArrow) add_arrow(item);
        assign_layers();
        place();
    }

    std::string text() const {
        std::string svg =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width_) + " " + number(height_) +
            "\" width=\"" + number(width_) + "\" height=\"" + number(height_) +
            "\" font-family=\"sans-serif\" font-size=\"12\" text-anchor=\"middle\">\n"
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
            "orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#667\"/></marker></defs>\n"
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
        for (const SvgArrow& arrow : arrows_) svg += arrow_text(arrow);
        for (const SvgBox& box : boxes_) svg += box_text(box);
        return svg + "</svg>\n";
    }

  private:
    static constexpr double line_height = 15;
    static constexpr double layer_gap = 48;
    static constexpr double column_gap = 18;

    static std::string number(double value) {
        std::string text = std::to_string(value);
        return text.substr(0, text.find('.') + 2);
    }

    static std::string escape(const std::string& text) {
        std::string escaped;
        for (const char c : text) {
            if (c == '<')
                escaped += "&lt;";
            else if (c == '>')
                escaped += "&gt;";
            else if (c == '&')
                escaped += "&amp;";
            else
                escaped += c;
        }
        return escaped;
    }

    void add_box(const DrawingItem& item) {
        if (index_.contains(item.id)) return;  // a weight that two nodes read is listed twice
        SvgBox box;
        box.item = &item;
        std::size_t longest = 4;
        for (const std::string& line : item.label) longest = std::max(longest, line.size());
        box.width = 7.0 * static_cast<double>(longest) + 20;
        box.height = line_height * static_cast<double>(std::max<std::size_t>(1, item.label.size())) + 10;
        index_.emplace(item.id, boxes_.size());
        boxes_.push_back(std::move(box));
    }

    void add_arrow(const DrawingItem& item) {
        const auto from = index_.find(item.id);
        const auto to = index_.find(item.to);
        if (from == index_.end() || to == index_.end() || from->second == to->second) return;
        arrows_.push_back({&item, from->second, to->second});
        boxes_[to->second].sources.push_back(from->second);
        boxes_[from->second].targets.push_back(to->second);
    }

    /// Longest path from the sources (Kahn's order); weights and inputs then move down to just above their first
    /// reader.
    void assign_layers() {
        std::vector<std::size_t> waiting;
        for (const SvgBox& box : boxes_) waiting.push_back(box.sources.size());
        std::vector<std::size_t> ready;
        for (std::size_t i = 0; i < boxes_.size(); ++i)
            if (waiting[i] == 0) ready.push_back(i);
        for (std::size_t at = 0; at < ready.size(); ++at)
            for (const std::size_t target : boxes_[ready[at]].targets) {
                boxes_[target].layer = std::max(boxes_[target].layer, boxes_[ready[at]].layer + 1);
                if (--waiting[target] == 0) ready.push_back(target);
            }
        for (SvgBox& box : boxes_) {
            if (!box.sources.empty() || box.targets.empty()) continue;
            std::size_t first = boxes_[box.targets[0]].layer;
            for (const std::size_t target : box.targets) first = std::min(first, boxes_[target].layer);
            if (first > 0) box.layer = first - 1;
        }
    }

    void place() {
        std::vector<std::vector<std::size_t>> layers;
        for (std::size_t i = 0; i < boxes_.size(); ++i) {
            if (layers.size() <= boxes_[i].layer) layers.resize(boxes_[i].layer + 1);
            layers[boxes_[i].layer].push_back(i);
        }
        double y = 20;
        for (std::vector<std::size_t>& layer : layers) {
            const auto wanted = [&](std::size_t i) {
                if (boxes_[i].sources.empty()) return 1e9;  // weights stand at the right
                double sum = 0;
                for (const std::size_t source : boxes_[i].sources) sum += boxes_[source].x;
                return sum / static_cast<double>(boxes_[i].sources.size());
            };
            std::ranges::stable_sort(layer, {}, wanted);
            double total = -column_gap;
            double tallest = 0;
            for (const std::size_t i : layer) {
                total += boxes_[i].width + column_gap;
                tallest = std::max(tallest, boxes_[i].height);
            }
            double x = -total / 2;
            for (const std::size_t i : layer) {
                boxes_[i].x = x + boxes_[i].width / 2;
                boxes_[i].y = y;
                x += boxes_[i].width + column_gap;
            }
            width_ = std::max(width_, total + 40);
            y += tallest + layer_gap;
        }
        height_ = y;
        for (SvgBox& box : boxes_) box.x += width_ / 2;
    }

    std::string arrow_text(const SvgArrow& arrow) const {
        const SvgBox& from = boxes_[arrow.from];
        const SvgBox& to = boxes_[arrow.to];
        const double y0 = from.y + from.height;
        const double bend = std::max(20.0, (to.y - y0) / 2);
        const std::string dashes =
            arrow.item->kind == DrawingItem::Kind::WeightArrow ? " stroke-dasharray=\"4 3\"" : "";
        return "<path d=\"M" + number(from.x) + "," + number(y0) + " C" + number(from.x) + "," + number(y0 + bend) +
               " " + number(to.x) + "," + number(to.y - bend) + " " + number(to.x) + "," + number(to.y) +
               "\" fill=\"none\" stroke=\"#667\"" + dashes + " marker-end=\"url(#tip)\"/>\n";
    }

    static const char* fill(DrawingItem::Kind kind) {
        using Kind = DrawingItem::Kind;
        switch (kind) {
            case Kind::Input:
                return "#dff0d8";
            case Kind::Weight:
                return "#f5f0dc";
            case Kind::Output:
                return "#fbe0dc";
            case Kind::Note:
            case Kind::BeginGroup:
                return "#eeeeee";
            default:
                return "#dde8f8";
        }
    }

    std::string box_text(const SvgBox& box) const {
        std::string text = "<g><rect x=\"" + number(box.x - box.width / 2) + "\" y=\"" + number(box.y) + "\" width=\"" +
                           number(box.width) + "\" height=\"" + number(box.height) + "\" rx=\"4\" fill=\"" +
                           fill(box.item->kind) + "\" stroke=\"#667\"/>";
        for (std::size_t i = 0; i < box.item->label.size(); ++i)
            text += "<text x=\"" + number(box.x) + "\" y=\"" +
                    number(box.y + 5 + line_height * (static_cast<double>(i) + 0.75)) + "\">" +
                    escape(box.item->label[i]) + "</text>";
        return text + "</g>\n";
    }

    std::map<std::string, std::size_t> index_;
    std::vector<SvgBox> boxes_;
    std::vector<SvgArrow> arrows_;
    double width_ = 100;
    double height_ = 40;
};

}  // namespace detail

TORCH_IR_INLINE std::string to_svg(const Model& model, const DrawingOptions& options) {
    const std::vector<detail::DrawingItem> items = detail::draw(model, options);
    return detail::SvgLayout(items).text();
}

TORCH_IR_INLINE std::string to_html(const Model& model, const DrawingOptions& options) {
    std::string title;
    for (const char c : model.name) title += c == '<' ? ' ' : c;
    return "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>" + title +
           "</title>\n<style>body{margin:0;font-family:sans-serif}header{position:fixed;padding:6px;background:#fffc}</"
           "style>\n"
           "<header><button onclick=\"zoom(1.25)\">+</button> <button onclick=\"zoom(0.8)\">&minus;</button> " +
           title + "</header>\n" + to_svg(model, options) +
           "<script>\nfunction zoom(f){const s=document.querySelector('svg');"
           "for(const a of ['width','height'])s.setAttribute(a,f*s.getAttribute(a));}\n</script>\n</html>\n";
}

}  // namespace torch_ir
