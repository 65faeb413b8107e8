// SPDX-License-Identifier: MIT
#include "verification/caps.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/impl/argument_text.hpp"
#include "torch_ir/impl/costs.hpp"

namespace torch_ir {
namespace {

using nlohmann::json;

std::vector<DType> read_dtypes(const json& list, const std::string& where) {
    if (!list.is_array()) throw ParseError(where + ": expected a list of dtype names");
    std::vector<DType> dtypes;
    for (const json& item : list) {
        const auto dtype = item.is_string() ? parse_dtype(item.get<std::string>()) : std::nullopt;
        if (!dtype) throw ParseError(where + ": expected the name of a dtype, found " + item.dump());
        dtypes.push_back(*dtype);
    }
    return dtypes;
}

Argument read_value(const json& value, const std::string& where) {
    if (value.is_null()) return None{};
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number()) return value.get<double>();
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_array()) throw ParseError(where + ": expected a value or a list, found " + value.dump());
    ArgumentList list;
    for (const json& element : value) list.push_back(read_value(element, where));
    return list;
}

ArgumentLimit read_limit(const json& item, const std::string& where) {
    if (!item.is_object()) throw ParseError(where + ": expected an object with 'values', 'min' or 'max'");
    ArgumentLimit limit;
    if (item.contains("values")) {
        if (!item["values"].is_array()) throw ParseError(where + ".values: expected a list");
        for (const json& value : item["values"]) limit.values.push_back(read_value(value, where + ".values"));
    }
    for (const auto& [key, target] : {std::pair{"min", &limit.min}, std::pair{"max", &limit.max}})
        if (item.contains(key)) {
            if (!item[key].is_number()) throw ParseError(where + "." + key + ": expected a number");
            *target = item[key].get<double>();
        }
    return limit;
}

OpCapability read_op(const json& item, const std::string& where) {
    OpCapability op;
    if (item.is_string()) {
        op.op = item.get<std::string>();
        return op;
    }
    if (!item.is_object() || !item.contains("op") || !item["op"].is_string())
        throw ParseError(where + ": expected the name of an op, or an object with 'op'");
    op.op = item["op"].get<std::string>();
    if (item.contains("dtypes")) op.dtypes = read_dtypes(item["dtypes"], where + ".dtypes");
    if (item.contains("max_rank")) {
        if (!item["max_rank"].is_number_integer()) throw ParseError(where + ".max_rank: expected an integer");
        op.max_rank = item["max_rank"].get<std::int64_t>();
    }
    if (item.contains("symbolic_sizes")) {
        if (!item["symbolic_sizes"].is_boolean()) throw ParseError(where + ".symbolic_sizes: expected true or false");
        op.symbolic_sizes = item["symbolic_sizes"].get<bool>();
    }
    if (item.contains("arguments")) {
        if (!item["arguments"].is_object()) throw ParseError(where + ".arguments: expected an object");
        for (const auto& [key, value] : item["arguments"].items())
            op.arguments.emplace(key, read_limit(value, where + ".arguments." + key));
    }
    return op;
}

/// `*` stands for any text.
bool fits(std::string_view pattern, std::string_view text) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == text;
    if (!text.starts_with(pattern.substr(0, star))) return false;
    const std::string_view rest = pattern.substr(star + 1);
    for (std::size_t i = star; i <= text.size(); ++i)
        if (fits(rest, text.substr(i))) return true;
    return false;
}

/// A number and a list of such numbers may stand for each other, as in `stride=2`.
bool same_value(const Argument& a, const Argument& b) {
    const auto number = [](const Argument& value) {
        return value.is<bool>() || value.is<std::int64_t>() || value.is<double>();
    };
    if (number(a) && number(b)) return a.to_double() == b.to_double();
    const auto* x = a.get_if<ArgumentList>();
    const auto* y = b.get_if<ArgumentList>();
    if (x && y) return x->size() == y->size() && std::equal(x->begin(), x->end(), y->begin(), same_value);
    if (x && number(b)) return std::ranges::all_of(*x, [&](const Argument& e) { return same_value(e, b); });
    if (y && number(a)) return std::ranges::all_of(*y, [&](const Argument& e) { return same_value(e, a); });
    return a == b;
}

bool in_range(const Argument& value, const ArgumentLimit& limit) {
    if (!limit.min && !limit.max) return true;
    if (const auto* list = value.get_if<ArgumentList>())
        return std::ranges::all_of(*list, [&](const Argument& element) { return in_range(element, limit); });
    if (!value.is<bool>() && !value.is<std::int64_t>() && !value.is<double>()) return false;
    const double number = value.to_double();
    return !(limit.min && number < *limit.min) && !(limit.max && number > *limit.max);
}

std::string reason_against(const OpCapability& op, const BackendCaps& caps, const Graph& graph, const Node& node) {
    const auto& dtypes = op.dtypes ? op.dtypes : caps.dtypes;
    std::vector<ValueRef> values = node.input_values();
    for (const ValueRef ref : node.output_values()) values.push_back(ref);
    for (const ValueRef ref : values) {
        const Value& value = graph.value(ref);
        if (value.kind != ValueKind::Tensor) continue;
        if (dtypes && std::ranges::find(*dtypes, value.meta.dtype) == dtypes->end())
            return "dtype " + std::string(name(value.meta.dtype));
        if (op.max_rank && static_cast<std::int64_t>(value.meta.shape.size()) > *op.max_rank)
            return "rank " + std::to_string(value.meta.shape.size());
        if (!op.symbolic_sizes && !std::ranges::all_of(value.meta.shape, &Dim::is_static)) return "symbolic sizes";
    }
    for (const auto& [key, limit] : op.arguments) {
        Argument value;
        try {
            value = node.arg(key);
        } catch (const SchemaError&) {
            continue;  // another overload without this argument
        }
        const bool listed = limit.values.empty() || std::ranges::any_of(limit.values, [&](const Argument& allowed) {
                                return same_value(allowed, value);
                            });
        if (!listed || !in_range(value, limit))
            return key + " = " + detail::argument_text(value, [&](ValueRef ref) { return graph.value(ref).name; });
    }
    return "";
}

bool computes_sizes_only(const Graph& graph, const Node& node) {
    const auto outputs = node.output_values();
    return !outputs.empty() && std::ranges::all_of(outputs, [&](ValueRef ref) {
        return graph.value(ref).kind != ValueKind::Tensor && graph.value(ref).kind != ValueKind::CustomObject;
    });
}

/// Levels make pieces convex: on every path the level only grows, and it grows at each change between supported and
/// not, so that what leaves a piece never comes back to its level.
std::vector<Partition> partition(const Graph& graph, const std::vector<bool>& supported,
                                 const std::vector<std::int64_t>& flops) {
    const std::size_t count = graph.nodes.size();
    std::vector<std::size_t> level(count, 0);
    std::vector<std::uint32_t> piece(count);
    std::iota(piece.begin(), piece.end(), 0U);
    const auto root = [&](std::uint32_t i) {
        while (piece[i] != i) i = piece[i] = piece[piece[i]];
        return i;
    };
    for (std::uint32_t i = 0; i < count; ++i) {
        level[i] = supported[i] ? 1 : 0;
        for (const ValueRef ref : graph.nodes[i].input_values()) {
            const std::uint32_t producer = graph.value(ref).producer;
            if (producer == Value::no_producer) continue;
            level[i] = std::max(level[i], level[producer] + (supported[producer] != supported[i] ? 1U : 0U));
        }
        for (const ValueRef ref : graph.nodes[i].input_values()) {
            const std::uint32_t producer = graph.value(ref).producer;
            if (producer != Value::no_producer && supported[i] && supported[producer] && level[producer] == level[i])
                piece[root(i)] = root(producer);
        }
    }
    std::map<std::uint32_t, Partition> pieces;
    for (std::uint32_t i = 0; i < count; ++i)
        if (supported[i]) {
            pieces[root(i)].nodes.push_back(i);
            pieces[root(i)].flops += flops[i];
        }
    std::vector<Partition> result;
    for (auto& [key, part] : pieces) result.push_back(std::move(part));
    std::ranges::sort(result, {}, [](const Partition& part) { return part.nodes[0]; });
    return result;
}

}  // namespace

std::string BackendCaps::reason_against(const Graph& graph, const Node& node) const {
    std::string reason = "no entry for the op";
    for (const OpCapability& op : ops) {
        if (!fits(op.op, node.op_type)) continue;
        reason = torch_ir::reason_against(op, *this, graph, node);
        if (reason.empty()) return "";
    }
    return reason;
}

BackendCaps read_caps(const std::filesystem::path& path) {
    return with_context(path.string(), [&] {
        const auto file = map_file(path);
        const auto* text = reinterpret_cast<const char*>(file->bytes().data());
        const json document = json::parse(text, text + file->bytes().size(), nullptr, false);
        if (!document.is_object()) throw ParseError("expected a JSON object");
        if (document.value("format_version", json(1)) != json(1))
            throw UnsupportedError("format_version " + document["format_version"].dump() + "; this library reads 1");
        if (!document.contains("ops") || !document["ops"].is_array()) throw ParseError("expected a list 'ops'");
        BackendCaps caps;
        if (document.contains("name") && document["name"].is_string()) caps.name = document["name"].get<std::string>();
        if (document.contains("dtypes")) caps.dtypes = read_dtypes(document["dtypes"], "dtypes");
        std::size_t index = 0;
        for (const json& item : document["ops"])
            caps.ops.push_back(read_op(item, "ops[" + std::to_string(index++) + "]"));
        return caps;
    });
}

Coverage cover(const Model& model, const BackendCaps& caps) {
    const Graph& graph = model.graph;
    Coverage result;
    result.nodes = graph.nodes.size();
    std::vector<bool> supported;
    std::vector<std::int64_t> flops;
    std::map<std::string, LackingOp> lacking;
    for (const Node& node : graph.nodes) {
        const auto multiplications = detail::MultiplyCount(graph, node).count();
        flops.push_back(multiplications ? detail::times(multiplications, 2).value_or(0) : 0);
        result.flops += flops.back();
        const std::string reason = computes_sizes_only(graph, node) ? "" : caps.reason_against(graph, node);
        supported.push_back(reason.empty());
        if (reason.empty()) {
            ++result.supported_nodes;
            result.supported_flops += flops.back();
            continue;
        }
        LackingOp& op = lacking.try_emplace(node.op_type, LackingOp{node.op_type, reason, 0, 0}).first->second;
        ++op.count;
        op.flops += flops.back();
    }
    for (auto& [key, op] : lacking) result.lacking.push_back(std::move(op));
    std::ranges::stable_sort(result.lacking, [](const LackingOp& a, const LackingOp& b) {
        return std::pair(a.flops, a.count) > std::pair(b.flops, b.count);
    });
    result.partitions = partition(graph, supported, flops);
    return result;
}

std::vector<Unblock> plan_ops(const std::vector<Coverage>& models) {
    std::vector<std::set<std::string>> needs;
    std::size_t complete = 0;
    for (const Coverage& model : models) {
        std::set<std::string> ops;
        for (const LackingOp& op : model.lacking) ops.insert(op.op_type);
        if (ops.empty())
            ++complete;
        else
            needs.push_back(std::move(ops));
    }
    std::vector<Unblock> steps;
    while (!needs.empty()) {
        const std::set<std::string>* best = nullptr;
        std::size_t best_models = 0;
        for (const std::set<std::string>& ops : needs) {
            const auto completed = static_cast<std::size_t>(
                std::ranges::count_if(needs, [&](const auto& other) { return std::ranges::includes(ops, other); }));
            if (!best || completed * best->size() > best_models * ops.size() ||
                (completed * best->size() == best_models * ops.size() && ops < *best)) {
                best = &ops;
                best_models = completed;
            }
        }
        const std::set<std::string> added = *best;
        complete += best_models;
        steps.push_back({{added.begin(), added.end()}, best_models, complete});
        std::erase_if(needs, [&](auto& ops) {
            for (const std::string& op : added) ops.erase(op);
            return ops.empty();
        });
    }
    return steps;
}

}  // namespace torch_ir
