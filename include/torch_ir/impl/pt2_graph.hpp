// SPDX-License-Identifier: MIT
// Builds a Graph from the pieces of a Graph object of torch/_export/serde/schema.py. Included by _inl files only.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/json_arguments.hpp"
#include "torch_ir/impl/pt2_json.hpp"
#include "torch_ir/impl/pt2_metadata.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir::detail::pt2 {

/// Expressions by their text: equal sizes share one tree.
using ExprCache = std::unordered_map<std::string, ExprPtr>;

inline DType serialized_dtype(const Json& json) {
    const std::int64_t number = to_int(json);
    if (const auto dtype = export_dtype(number)) return *dtype;
    throw ParseError("unknown dtype number " + std::to_string(number));
}

template <class Enum>
Argument serialized_enum(const Json& json, std::int64_t last, const char* what) {
    const std::int64_t number = to_int(json);
    if (number < 0 || number > last)
        throw ParseError("unknown " + std::string(what) + " number " + std::to_string(number));
    return static_cast<Enum>(number);
}

/// An export on the meta device says `meta` where one with real weights says `cpu`: the graph is the same.
inline Argument serialized_device(const Json& json) {
    Device device{to_text(member(json, "type")), std::nullopt};
    if (device.type == "meta") device.type = "cpu";
    if (const Json* index = find_member(json, "index")) {
        const std::int64_t number = to_int(*index);
        if (number < 0 || number > 32767)
            throw ParseError("device index " + std::to_string(number) + " is out of range");
        device.index = static_cast<int>(number);
    }
    return device;
}

/// Whether a custom object (CustomObjArgument) is a random generator. Its state stands for it in the graph: a tensor of
/// bytes that ops draw from and write to, as torch.Generator.get_state gives it.
inline bool is_generator(const Json& json) {
    const Json* type = find_member(json, "class_fqn");
    return type && *type == "torch._C.Generator";
}

/// Assembles one graph. The pieces may come in any order: a value is made where it is first mentioned and described
/// later; what must hold over the whole (defined once, before use, and described) is checked by finish().
class Pt2GraphReader {
  public:
    /// `path` goes in front of the places in messages (`graph_module.graph.`).
    Pt2GraphReader(std::string path, ExprCache& exprs) : path_(std::move(path)), exprs_(exprs) {}

    void read_inputs(const Json& json) {
        with_context(path_ + "inputs", [&] {
            for_each_element(json, [&](const Json& input, std::size_t) {
                Argument argument = read_argument(input);
                for_each_value(argument, [&](ValueRef ref) { define(ref, Value::no_producer, 0); });
                graph_.inputs.push_back(std::move(argument));
            });
        });
    }

    void read_outputs(const Json& json) {
        with_context(path_ + "outputs", [&] {
            for_each_element(json,
                             [&](const Json& output, std::size_t) { graph_.outputs.push_back(read_argument(output)); });
        });
    }

    void read_node(const Json& json) {
        with_context([&] { return node_place(graph_.nodes.size(), label_of(json)); }, [&] { append_node(json); });
    }

    /// An entry of one of the value tables; other tables are ignored.
    void read_value(std::string_view table, const std::string& name, const Json& json) {
        static constexpr std::pair<std::string_view, ValueKind> tables[] = {
            {"tensor_values", ValueKind::Tensor},
            {"sym_int_values", ValueKind::SymInt},
            {"sym_float_values", ValueKind::SymFloat},
            {"sym_bool_values", ValueKind::SymBool},
            {"custom_obj_values", ValueKind::CustomObject}};
        for (const auto& known : tables) {
            if (known.first != table) continue;
            with_context([&] { return path_ + std::string(table) + "." + name; },
                         [&] { describe(name, known.second, json); });
        }
    }

    /// The graph, whole and checked.
    Graph finish() {
        check_values();
        name_nodes();
        check_order();
        return std::move(graph_);
    }

    /// A Graph object read as a whole, as subgraphs are.
    static Graph read_whole(const Json& json, ExprCache& exprs) {
        Pt2GraphReader reader("", exprs);
        reader.read_inputs(member(json, "inputs"));
        for (const Json& node : to_array(member(json, "nodes"))) reader.read_node(node);
        reader.read_outputs(member(json, "outputs"));
        for (const auto& [key, table] : json.items())
            if (table.is_object())
                for (const auto& [name, value] : table.items()) reader.read_value(key, name, value);
        return reader.finish();
    }

    /// The class of the exported module (`SelfAttention`), where the nodes tell; else empty.
    const std::string& root_class() const { return root_class_; }

    Argument read_argument(const Json& json) {
        struct Tag {
            std::string_view name;
            Argument (Pt2GraphReader::*read)(const Json&);
            int list_depth = 0;
        };
        using R = Pt2GraphReader;
        static constexpr Tag tags[] = {
            {"as_tensor", &R::read_reference},
            {"as_tensors", &R::read_reference, 1},
            {"as_nested_tensors", &R::read_reference, 2},
            {"as_optional_tensor", &R::read_argument},
            {"as_optional_tensors", &R::read_argument, 1},
            {"as_none", &R::read_none},
            {"as_int", &R::read_int},
            {"as_ints", &R::read_int, 1},
            {"as_int_lists", &R::read_int, 2},
            {"as_float", &R::read_float},
            {"as_floats", &R::read_float, 1},
            {"as_float_lists", &R::read_float, 2},
            {"as_bool", &R::read_bool},
            {"as_bools", &R::read_bool, 1},
            {"as_string", &R::read_string},
            {"as_strings", &R::read_string, 1},
            {"as_sym_int", &R::read_symbolic},
            {"as_sym_ints", &R::read_symbolic, 1},
            {"as_sym_float", &R::read_symbolic},
            {"as_sym_floats", &R::read_symbolic, 1},
            {"as_sym_bool", &R::read_symbolic},
            {"as_sym_bools", &R::read_symbolic, 1},
            {"as_name", &R::read_name},
            {"as_complex", &R::read_complex},
            {"as_scalar_type", &R::read_dtype},
            {"as_layout", &R::read_layout},
            {"as_memory_format", &R::read_memory_format},
            {"as_device", &R::read_device},
            {"as_operator", &R::read_operator},
            {"as_graph", &R::read_graph},
            {"as_string_to_argument", &R::read_map},
            {"as_custom_obj", &R::read_reference},
        };
        const auto& [tag, content] = union_of(json);
        for (const Tag& known : tags)
            if (known.name == tag)
                return with_context(tag,
                                    [&, &value = content] { return read_list(value, known.list_depth, known.read); });
        throw ParseError("unknown kind of argument '" + tag + "'");
    }

  private:
    std::string node_place(std::size_t index, const std::string& label) const {
        return path_ + "nodes[" + std::to_string(index) + "]" + (label.empty() ? "" : " '" + label + "'");
    }

    std::string node_place(std::size_t index) const { return node_place(index, graph_.nodes[index].name); }

    /// What a person would call the node, as far as it can be read.
    static std::string label_of(const Json& node) {
        if (!node.is_object()) return "";
        for (const char* key : {"name", "target"})
            if (const auto found = node.find(key); found != node.end() && found->is_string())
                return found->get<std::string>();
        return "";
    }

    Argument read_list(const Json& json, int depth, Argument (Pt2GraphReader::*read)(const Json&)) {
        if (depth == 0) return (this->*read)(json);
        ArgumentList list;
        list.reserve(json.size());
        for_each_element(
            json, [&](const Json& element, std::size_t) { list.push_back(read_list(element, depth - 1, read)); });
        return list;
    }

    Argument read_none(const Json&) { return None{}; }
    Argument read_int(const Json& json) { return to_int(json); }
    Argument read_float(const Json& json) { return to_double(json); }
    Argument read_bool(const Json& json) { return to_bool(json); }
    Argument read_string(const Json& json) { return to_text(json); }
    Argument read_name(const Json& json) { return mention(to_text(json)); }
    Argument read_reference(const Json& json) { return mention(to_text(member(json, "name"))); }
    Argument read_dtype(const Json& json) { return serialized_dtype(json); }
    Argument read_device(const Json& json) { return serialized_device(json); }
    Argument read_layout(const Json& json) { return serialized_enum<Layout>(json, 7, "layout"); }
    Argument read_memory_format(const Json& json) { return serialized_enum<MemoryFormat>(json, 4, "memory format"); }
    Argument read_operator(const Json& json) { return OperatorName{op_type_of(to_text(json))}; }

    Argument read_complex(const Json& json) {
        return std::complex<double>(to_double(member(json, "real")), to_double(member(json, "imag")));
    }

    /// A symbolic value by name, or a constant in its place.
    Argument read_symbolic(const Json& json) {
        const std::string& tag = union_of(json).first;
        if (tag != "as_name" && tag != "as_int" && tag != "as_float" && tag != "as_bool")
            throw ParseError("unknown kind of symbolic argument '" + tag + "'");
        return read_argument(json);
    }

    Argument read_map(const Json& json) {
        ArgumentMap map;
        for (const auto& [key, value] : to_object(json).items())
            with_context(key, [&, &key = key, &value = value] { map.emplace_back(key, read_argument(value)); });
        return map;
    }

    Argument read_graph(const Json& json) {
        const std::string& name = to_text(member(json, "name"));
        return with_context("graph '" + name + "'", [&] {
            return Subgraph{name, std::make_shared<Graph>(read_whole(member(json, "graph"), exprs_))};
        });
    }

    static std::string op_type_of(const std::string& target) {
        constexpr std::string_view prefix = "torch.ops.";
        if (target.empty()) throw ParseError("the target is empty");
        return target.starts_with(prefix) ? target.substr(prefix.size()) : target;
    }

    void append_node(const Json& json) {
        Node node;
        node.op_type = with_context("target", [&] { return op_type_of(to_text(member(json, "target"))); });
        if (const Json* name = find_member(json, "name"))
            node.name = with_context("name", [&] { return to_text(*name); });
        with_context("inputs", [&] {
            for_each_element(member(json, "inputs"), [&](const Json& input, std::size_t) {
                const std::string& name = to_text(member(input, "name"));
                const auto read = [&] { return read_argument(member(input, "arg")); };
                node.args.push_back({name, name.empty() ? read() : with_context("'" + name + "'", read)});
            });
        });
        with_context("'device'", [&] { read_device_text(node); });
        with_context("outputs", [&] { read_node_outputs(json, node); });
        if (const Json* metadata = find_member(json, "metadata")) {
            node.provenance = provenance_of(*metadata);
            if (root_class_.empty()) root_class_ = root_class_of(*metadata);
        }
        graph_.nodes.push_back(std::move(node));
    }

    /// torch.export's move_to_device_pass leaves a device as text.
    static void read_device_text(Node& node) {
        const auto device = std::ranges::find(node.args, "device", &NamedArgument::name);
        const auto* text = device == node.args.end() ? nullptr : device->value.get_if<std::string>();
        const Schema* schema = text ? find_schema(node.op_type) : nullptr;
        const SchemaParameter* parameter = schema ? schema->find("device") : nullptr;
        if (parameter && parameter->type.kind == SchemaKind::Device) device->value = Argument(parse_device(*text));
    }

    void read_node_outputs(const Json& json, Node& node) {
        for_each_element(member(json, "outputs"),
                         [&](const Json& output, std::size_t) { node.outputs.push_back(read_argument(output)); });
        const bool higher_order = node.op_type.starts_with("higher_order.");
        const Json* bare_tensor = find_member(json, "is_hop_single_tensor_return");
        bool is_tuple = higher_order && bare_tensor && !to_bool(*bare_tensor);
        // torch 2.5 and 2.6 write the tuple of a higher-order op as one list.
        if (higher_order && !bare_tensor && node.outputs.size() == 1)
            if (const auto* list = node.outputs[0].get_if<ArgumentList>()) {
                node.outputs = ArgumentList(*list);
                is_tuple = true;
            }
        const auto index = static_cast<std::uint32_t>(graph_.nodes.size());
        std::uint32_t position = 0;
        for (const Argument& output : node.outputs) check_output(output);
        for (const ValueRef ref : node.output_values()) define(ref, index, position++);
        // A lone value carries the node's name, unless it is the element of a 1-tuple.
        if (node.name.empty() && !is_tuple && node.outputs.size() == 1)
            if (const auto* ref = node.outputs[0].get_if<ValueRef>()) node.name = graph_.value(*ref).name;
    }

    static void check_output(const Argument& output) {
        if (const auto* list = output.get_if<ArgumentList>())
            std::ranges::for_each(*list, check_output);
        else if (!output.is_none() && !output.is<ValueRef>())
            throw ParseError("expected a value, found a constant " + std::string(output.kind()));
    }

    /// What finish() has to know of a value besides the Value itself.
    struct Progress {
        bool defined = false;
        bool described = false;
    };

    ValueRef mention(const std::string& name) {
        const auto [entry, is_new] = ids_.try_emplace(name, static_cast<std::uint32_t>(graph_.values.size()));
        if (is_new) {
            if (name.empty()) throw ParseError("the name of a value is empty");
            graph_.values.emplace_back().name = name;
            progress_.emplace_back();
        }
        return {entry->second};
    }

    void define(ValueRef ref, std::uint32_t producer, std::uint32_t position) {
        Value& value = graph_.value(ref);
        if (std::exchange(progress_[ref.id].defined, true))
            throw ParseError("value '" + value.name + "' is defined twice");
        value.producer = producer;
        value.producer_output_idx = position;
    }

    void describe(const std::string& name, ValueKind kind, const Json& json) {
        const ValueRef ref = mention(name);
        if (std::exchange(progress_[ref.id].described, true))
            throw ParseError("value '" + name + "' is described by two tables");
        Value& value = graph_.value(ref);
        value.kind = kind;
        if (kind == ValueKind::Tensor) {
            value.meta = read_meta(json);
        } else if (kind == ValueKind::CustomObject && is_generator(json)) {
            value.kind = ValueKind::Tensor;
            value.meta = {DType::UInt8, {generator_state_size}, {}};
        } else if (kind != ValueKind::CustomObject) {
            value.expr = read_scalar_expr(json);
        }
    }

    TensorMeta read_meta(const Json& json) {
        TensorMeta meta;
        meta.dtype = with_context("dtype", [&] { return serialized_dtype(member(json, "dtype")); });
        meta.shape = with_context("sizes", [&] { return read_dims(member(json, "sizes")); });
        for (const Dim& dim : meta.shape)
            if (dim.is_static() && dim.value() < 0) throw ParseError("size " + to_string(dim) + " is negative");
        Shape strides = with_context("strides", [&] { return read_dims(member(json, "strides")); });
        if (strides.size() != meta.shape.size())
            throw ParseError("expected " + std::to_string(meta.shape.size()) + " strides, found " +
                             std::to_string(strides.size()));
        if (!is_row_major(meta.shape, strides)) meta.strides = std::move(strides);
        return meta;
    }

    Shape read_dims(const Json& json) {
        Shape dims;
        dims.reserve(json.size());
        for_each_element(json, [&](const Json& element, std::size_t) { dims.push_back(read_dim(element)); });
        return dims;
    }

    Dim read_dim(const Json& json) {
        const auto& [tag, content] = union_of(json);
        if (tag == "as_int") return to_int(content);
        if (tag != "as_expr") throw ParseError("unknown kind of size '" + tag + "'");
        std::optional<std::int64_t> value;
        if (const Json* hint = find_member(content, "hint"))
            if (const auto& [kind, number] = union_of(*hint); kind == "as_int") value = to_int(number);
        return Dim(cached_expr(content), value);
    }

    ExprPtr cached_expr(const Json& json) {
        const std::string& text = to_text(member(json, "expr_str"));
        ExprPtr& expr = exprs_[text];
        if (!expr) expr = parse_expr(text);
        return expr;
    }

    /// The expression of a symbolic scalar, which may be a constant; nullptr where there is none to write.
    ExprPtr read_scalar_expr(const Json& json) {
        const auto& [tag, content] = union_of(json);
        if (tag == "as_expr") return cached_expr(content);
        Expr expr;
        if (tag == "as_int") {
            expr.integer = to_int(content);
        } else if (tag == "as_bool") {
            expr.kind = Expr::Kind::Boolean;
            expr.integer = to_bool(content) ? 1 : 0;
        } else if (tag == "as_float") {
            expr.kind = Expr::Kind::Float;
            expr.number = to_double(content);
            if (!std::isfinite(expr.number)) return nullptr;
        } else {
            throw ParseError("unknown kind of symbolic value '" + tag + "'");
        }
        return std::make_shared<const Expr>(std::move(expr));
    }

    void check_values() const {
        for (std::size_t i = 0; i < graph_.values.size(); ++i) {
            const std::string& name = graph_.values[i].name;
            if (!progress_[i].defined)
                throw ParseError(path_ + "nodes: value '" + name + "' is mentioned, but no input or node defines it");
            if (!progress_[i].described)
                throw ParseError(path_ + "tensor_values: value '" + name + "' has no entry there nor in sym_*_values");
        }
    }

    void check_order() const {
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            for (const ValueRef ref : graph_.nodes[i].input_values()) {
                const Value& value = graph_.value(ref);
                if (value.producer != Value::no_producer && value.producer >= i)
                    throw ParseError(node_place(i) + ": value '" + value.name + "' is used before " +
                                     node_place(value.producer) + " defines it");
            }
    }

    /// Gives names to nodes that have none, as torch.fx would, and refuses names used twice.
    void name_nodes() {
        std::unordered_set<std::string> names;
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (const std::string& name = graph_.nodes[i].name; !name.empty() && !names.insert(name).second)
                throw ParseError(node_place(i) + ": two nodes have this name");
        std::unordered_map<std::string, int> counters;
        for (Node& node : graph_.nodes) {
            if (!node.name.empty()) continue;
            const std::string base = base_name(node);
            node.name = base;
            for (int& count = counters[base]; ids_.contains(node.name) || !names.insert(node.name).second;)
                node.name = base + "_" + std::to_string(++count);
        }
    }

    /// `topk` for aten.topk.default; an unused result is called after its node, which tells the name.
    std::string base_name(const Node& node) const {
        for (const ValueRef ref : node.output_values()) {
            const std::string& name = graph_.value(ref).name;
            if (const std::size_t end = name.rfind("_unused_"); end != std::string::npos && end > 0)
                return name.substr(0, end);
        }
        const std::string_view base = torch_ir::base_name(node.op_type);
        return base.empty() ? "node" : std::string(base);
    }

    std::string path_;
    ExprCache& exprs_;
    Graph graph_;
    std::unordered_map<std::string, std::uint32_t> ids_;
    std::vector<Progress> progress_;  // parallel to graph_.values
    std::string root_class_;
};

}  // namespace torch_ir::detail::pt2
