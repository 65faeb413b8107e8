// SPDX-License-Identifier: MIT
// Bodies of diff.hpp.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "torch_ir/diff.hpp"
#include "torch_ir/impl/argument_text.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {
namespace detail {

/// Pairs the nodes of two graphs.
class Differ {
  public:
    Differ(const Model& a, const Model& b) : a_(a), b_(b) {}

    ModelDiff run() {
        Side a = describe(a_);
        Side b = describe(b_);
        match_equal(a, b);
        match_changed(a, b);
        compare_edges(a, b);
        std::ranges::sort(result_.changed, {}, &NodeChange::a);
        return std::move(result_);
    }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;

    /// One of the two graphs: what stands for each value, and the partner of each node.
    struct Side {
        const Model* model;
        std::map<std::string, std::string, std::less<>> symbols;  // by the order in which they appear
        std::map<std::uint32_t, std::string> inputs;              // place of each graph input
        std::vector<std::uint64_t> values;                        // identity of each value by structure
        std::vector<std::uint64_t> nodes;
        std::vector<std::uint32_t> partner;
    };

    static std::uint64_t hash(const std::string& text) {
        std::uint64_t h = 14695981039346656037U;  // FNV-1a, then mixed: the identities are hashed again and again
        for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
        h ^= h >> 32;
        h *= 0xd6e8feb86659fd93U;
        return h ^ (h >> 32);
    }

    /// The arguments with defaults left out, as (name, text); `value` says what stands for a value.
    static std::map<std::string, std::string> arguments(const Node& node, const ValueText& value) {
        std::map<std::string, std::string> texts;
        const Schema* schema = find_schema(node.op_type);
        for (std::size_t i = 0; i < node.args.size(); ++i) {
            const NamedArgument& named = node.args[i];
            const SchemaParameter* parameter = schema ? schema->find(named.name) : nullptr;
            if (parameter && parameter->default_value && *parameter->default_value == named.value) continue;
            // The same for a tensor that is not there, which JSON leaves out.
            if (parameter && parameter->type.kind == SchemaKind::Tensor && named.value.is_none()) continue;
            std::string text = argument_text(named.value, value);
            for_each_subgraph_text(named.value, text);
            texts.emplace(named.name.empty() ? "argument " + std::to_string(i) : named.name, std::move(text));
        }
        return texts;
    }

    /// A subgraph counts by its contents.
    static void for_each_subgraph_text(const Argument& argument, std::string& text) {
        if (const auto* body = argument.get_if<Subgraph>(); body && body->graph) {
            Model inner;
            inner.graph = *body->graph;
            const Side side = describe(inner);
            for (const Argument& output : inner.graph.outputs)
                text += " " + argument_text(output, [&](ValueRef ref) { return std::to_string(side.values[ref.id]); });
        } else if (const auto* list = argument.get_if<ArgumentList>()) {
            for (const Argument& element : *list) for_each_subgraph_text(element, text);
        }
    }

    static ExprPtr renamed(const ExprPtr& expr, std::map<std::string, std::string, std::less<>>& symbols) {
        Expr copy = *expr;
        if (copy.kind == Expr::Kind::Symbol)
            copy.name = symbols.emplace(copy.name, "symbol" + std::to_string(symbols.size())).first->second;
        for (ExprPtr& argument : copy.args) argument = renamed(argument, symbols);
        return std::make_shared<const Expr>(std::move(copy));
    }

    static void rename(Shape& shape, std::map<std::string, std::string, std::less<>>& symbols) {
        for (Dim& dim : shape)
            if (dim.expr()) dim = Dim(renamed(dim.expr(), symbols), dim.hint());
    }

    /// The type with symbols called by their order, since their names are the exporter's.
    static std::string type_of(Side& side, ValueRef ref) {
        Value value = side.model->graph.value(ref);
        rename(value.meta.shape, side.symbols);
        if (value.meta.strides) rename(*value.meta.strides, side.symbols);
        return value_type_text(value);
    }

    static Side describe(const Model& model) {
        const Graph& graph = model.graph;
        Side side{&model, {}, {}, std::vector<std::uint64_t>(graph.values.size()), {}, {}};
        std::size_t position = 0;
        for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
            const bool weight = i < model.inputs.size() && is_weight(model.inputs[i].kind);
            const std::string place =
                weight ? "weight " + model.inputs[i].target : "input " + std::to_string(position++);
            if (const auto* ref = graph.inputs[i].get_if<ValueRef>()) {
                side.values[ref->id] = hash(place + " " + type_of(side, *ref));
                side.inputs.emplace(ref->id, place);
            }
        }
        for (const Node& node : graph.nodes) {
            std::string text = node.op_type;
            for (const auto& [name, argument] :
                 arguments(node, [&](ValueRef ref) { return "#" + std::to_string(side.values[ref.id]); }))
                text += "\n" + name + "=" + argument;
            for (const ValueRef ref : node.output_values()) text += "\n" + type_of(side, ref);
            side.nodes.push_back(hash(text));
            std::size_t output = 0;
            for (const ValueRef ref : node.output_values())
                side.values[ref.id] = hash(std::to_string(side.nodes.back()) + ":" + std::to_string(output++));
        }
        side.partner.assign(graph.nodes.size(), none);
        return side;
    }

    void match_equal(Side& a, Side& b) {
        std::map<std::uint64_t, std::vector<std::uint32_t>> waiting;
        for (std::uint32_t i = 0; i < b.nodes.size(); ++i) waiting[b.nodes[i]].push_back(i);
        for (auto& [key, nodes] : waiting) std::ranges::reverse(nodes);
        for (std::uint32_t i = 0; i < a.nodes.size(); ++i) {
            const auto found = waiting.find(a.nodes[i]);
            if (found == waiting.end() || found->second.empty()) continue;
            pair(a, i, b, found->second.back());
            found->second.pop_back();
        }
    }

    void pair(Side& a, std::uint32_t i, Side& b, std::uint32_t j) {
        a.partner[i] = j;
        b.partner[j] = i;
        ++result_.matched;
    }

    /// A node that changed makes all nodes after it unequal, so the rest is paired by op along the longest common
    /// subsequence of ops, within the gaps that the equal nodes leave.
    void match_changed(Side& a, Side& b) {
        std::uint32_t i = 0, j = 0;
        const auto count_a = static_cast<std::uint32_t>(a.nodes.size());
        const auto count_b = static_cast<std::uint32_t>(b.nodes.size());
        while (i < count_a || j < count_b) {
            std::vector<std::uint32_t> gap_a, gap_b;
            while (i < count_a && a.partner[i] == none) gap_a.push_back(i++);
            while (j < count_b && b.partner[j] == none) gap_b.push_back(j++);
            match_gap(a, gap_a, b, gap_b);
            if (i < count_a) ++i;
            if (j < count_b) ++j;
        }
        for (std::uint32_t k = 0; k < count_a; ++k)
            if (a.partner[k] == none)
                result_.only_a.push_back(k);
            else
                compare_nodes(a, k, b, a.partner[k]);
        for (std::uint32_t k = 0; k < count_b; ++k)
            if (b.partner[k] == none) result_.only_b.push_back(k);
    }

    void match_gap(Side& a, const std::vector<std::uint32_t>& gap_a, Side& b, const std::vector<std::uint32_t>& gap_b) {
        const auto same_op = [&](std::uint32_t i, std::uint32_t j) {
            return a_.graph.nodes[i].op_type == b_.graph.nodes[j].op_type;
        };
        std::size_t start = 0;
        std::size_t end_a = gap_a.size(), end_b = gap_b.size();
        for (; start < end_a && start < end_b && same_op(gap_a[start], gap_b[start]); ++start)
            pair(a, gap_a[start], b, gap_b[start]);
        for (; end_a > start && end_b > start && same_op(gap_a[end_a - 1], gap_b[end_b - 1]); --end_a, --end_b)
            pair(a, gap_a[end_a - 1], b, gap_b[end_b - 1]);
        const std::size_t rows = end_a - start, columns = end_b - start;
        if (rows == 0 || columns == 0) return;
        if (rows * columns > 25'000'000) return match_greedily(a, gap_a, b, gap_b, start, end_a, end_b);
        std::vector<std::uint32_t> length((rows + 1) * (columns + 1), 0);
        const auto at = [&](std::size_t r, std::size_t c) -> std::uint32_t& { return length[r * (columns + 1) + c]; };
        for (std::size_t r = rows; r-- > 0;)
            for (std::size_t c = columns; c-- > 0;)
                at(r, c) = same_op(gap_a[start + r], gap_b[start + c]) ? at(r + 1, c + 1) + 1
                                                                       : std::max(at(r + 1, c), at(r, c + 1));
        for (std::size_t r = 0, c = 0; r < rows && c < columns;) {
            if (same_op(gap_a[start + r], gap_b[start + c]))
                pair(a, gap_a[start + r++], b, gap_b[start + c++]);
            else if (at(r + 1, c) >= at(r, c + 1))
                ++r;
            else
                ++c;
        }
    }

    /// For gaps where the table would be too large: the next node of the same op.
    void match_greedily(Side& a, const std::vector<std::uint32_t>& gap_a, Side& b,
                        const std::vector<std::uint32_t>& gap_b, std::size_t start, std::size_t end_a,
                        std::size_t end_b) {
        std::map<std::string_view, std::vector<std::uint32_t>> waiting;
        for (std::size_t c = end_b; c-- > start;) waiting[b_.graph.nodes[gap_b[c]].op_type].push_back(gap_b[c]);
        for (std::size_t r = start; r < end_a; ++r) {
            std::vector<std::uint32_t>& nodes = waiting[a_.graph.nodes[gap_a[r]].op_type];
            if (nodes.empty()) continue;
            pair(a, gap_a[r], b, nodes.back());
            nodes.pop_back();
        }
    }

    /// What a value is in terms that both graphs share: an input, or the output of a matched node.
    std::string place_of(const Side& side, ValueRef ref, bool is_a) const {
        const Value& value = side.model->graph.value(ref);
        if (value.producer == Value::no_producer) {
            const auto input = side.inputs.find(ref.id);
            return input == side.inputs.end() ? value.name : input->second;
        }
        if (value.producer >= side.partner.size())
            throw ArgumentError("value '" + value.name + "' is said to come from node number " +
                                std::to_string(value.producer) + ", the graph has " +
                                std::to_string(side.partner.size()) + ": call relink()");
        const std::uint32_t node = is_a ? value.producer : side.partner[value.producer];
        if (node == none || (is_a && side.partner[node] == none)) return "only " + value.name;
        return "node " + std::to_string(node) + ":" + std::to_string(value.producer_output_idx);
    }

    void compare_nodes(Side& a, std::uint32_t i, Side& b, std::uint32_t j) {
        if (a.nodes[i] == b.nodes[j]) return;
        const Node& x = a_.graph.nodes[i];
        const Node& y = b_.graph.nodes[j];
        const auto places_x = arguments(x, [&](ValueRef ref) { return place_of(a, ref, true); });
        const auto places_y = arguments(y, [&](ValueRef ref) { return place_of(b, ref, false); });
        const auto names_x = arguments(x, [&](ValueRef ref) { return a_.graph.value(ref).name; });
        const auto names_y = arguments(y, [&](ValueRef ref) { return b_.graph.value(ref).name; });
        const auto shown = [](const std::map<std::string, std::string>& texts, const std::string& name,
                              const Node& node) -> std::string {
            if (const auto found = texts.find(name); found != texts.end()) return found->second;
            const Schema* schema = find_schema(node.op_type);
            const SchemaParameter* parameter = schema ? schema->find(name) : nullptr;
            if (!parameter || !parameter->default_value) return "(none)";
            return argument_text(*parameter->default_value, [](ValueRef) { return std::string(); });
        };
        std::map<std::string, std::string> all = places_x;
        all.insert(places_y.begin(), places_y.end());
        for (const auto& [name, unused] : all) {
            const auto px = places_x.find(name);
            const auto py = places_y.find(name);
            if (px != places_x.end() && py != places_y.end() && px->second == py->second) continue;
            result_.changed.push_back({i, j, name, shown(names_x, name, x), shown(names_y, name, y)});
        }
        const auto outputs_x = x.output_values();
        const auto outputs_y = y.output_values();
        for (std::size_t k = 0; k < std::max(outputs_x.size(), outputs_y.size()); ++k) {
            const std::string from = k < outputs_x.size() ? type_of(a, outputs_x[k]) : "(none)";
            const std::string to = k < outputs_y.size() ? type_of(b, outputs_y[k]) : "(none)";
            if (from != to) result_.changed.push_back({i, j, "output " + std::to_string(k), from, to});
        }
    }

    static std::map<std::string, std::string> input_types(Side& side) {
        const Model& model = *side.model;
        std::map<std::string, std::string> types;
        std::size_t position = 0;
        for (std::size_t i = 0; i < model.graph.inputs.size(); ++i) {
            const bool weight = i < model.inputs.size() && is_weight(model.inputs[i].kind);
            const std::string what =
                weight ? "weight '" + model.inputs[i].target + "'" : "input " + std::to_string(position++);
            const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
            types.emplace(what, ref ? type_of(side, *ref)
                                    : argument_text(model.graph.inputs[i], [](ValueRef) { return std::string(); }));
        }
        return types;
    }

    void compare_edges(Side& a, Side& b) {
        const auto types_a = input_types(a);
        const auto types_b = input_types(b);
        for (const auto& [what, type] : types_a) {
            const auto other = types_b.find(what);
            const std::string to = other == types_b.end() ? "" : other->second;
            if (type != to) result_.edges.push_back({what, type, to});
        }
        for (const auto& [what, type] : types_b)
            if (!types_a.contains(what)) result_.edges.push_back({what, "", type});
        const std::size_t count = std::max(a_.graph.outputs.size(), b_.graph.outputs.size());
        for (std::size_t i = 0; i < count; ++i) {
            const auto place = [&](const Side& side, bool is_a) {
                return i < side.model->graph.outputs.size()
                           ? argument_text(side.model->graph.outputs[i],
                                           [&](ValueRef ref) { return place_of(side, ref, is_a); })
                           : std::string();
            };
            const auto shown = [&](const Model& model) {
                return i < model.graph.outputs.size()
                           ? argument_text(model.graph.outputs[i],
                                           [&](ValueRef ref) { return model.graph.value(ref).name; })
                           : std::string();
            };
            if (place(a, true) != place(b, false))
                result_.edges.push_back({"output " + std::to_string(i), shown(a_), shown(b_)});
        }
    }

    const Model& a_;
    const Model& b_;
    ModelDiff result_;
};

}  // namespace detail

TORCH_IR_INLINE ModelDiff diff(const Model& a, const Model& b) {
    with_context("first model", [&] { check_references(a.graph); });
    with_context("second model", [&] { check_references(b.graph); });
    return detail::Differ(a, b).run();
}

TORCH_IR_INLINE std::string to_json(const ModelDiff& diff, const Model& a, const Model& b) {
    using nlohmann::ordered_json;
    const auto node_json = [](const Model& model, std::uint32_t i) {
        const Node& node = model.graph.nodes[i];
        ordered_json json{{"name", node.name}, {"op_type", node.op_type}};
        if (!node.provenance.module_path.empty()) json["module_path"] = node.provenance.module_path;
        return json;
    };
    ordered_json json{{"equal", diff.equal()}, {"matched", diff.matched}};
    json["only_a"] = ordered_json::array();
    for (const std::uint32_t i : diff.only_a) json["only_a"].push_back(node_json(a, i));
    json["only_b"] = ordered_json::array();
    for (const std::uint32_t i : diff.only_b) json["only_b"].push_back(node_json(b, i));
    json["changed"] = ordered_json::array();
    for (const NodeChange& change : diff.changed)
        json["changed"].push_back({{"op_type", a.graph.nodes[change.a].op_type},
                                   {"a", a.graph.nodes[change.a].name},
                                   {"b", b.graph.nodes[change.b].name},
                                   {"what", change.what},
                                   {"from", change.from},
                                   {"to", change.to}});
    json["edges"] = ordered_json::array();
    for (const EdgeChange& change : diff.edges)
        json["edges"].push_back({{"what", change.what}, {"from", change.from}, {"to", change.to}});
    return json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace torch_ir
