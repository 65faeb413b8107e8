// SPDX-License-Identifier: MIT
// Bodies of json.hpp: a Model as JSON text.
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>

#include "torch_ir/file.hpp"
#include "torch_ir/impl/constant_values.hpp"
#include "torch_ir/impl/json_names.hpp"
#include "torch_ir/impl/json_writer.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/traverse.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir {
namespace detail {

/// A node's arguments split as the format wants them: flat tensors, and everything else by name.
struct SplitArguments {
    std::vector<std::pair<std::string, ValueRef>> inputs;  // with their places: `self`, `tensors[0]`, `2`
    std::vector<std::pair<std::string, const Argument*>> attrs;
    std::vector<std::size_t> list_sizes;
    std::vector<std::vector<bool>> none_masks;
};

class GraphJsonWriter {
  public:
    /// `weights`: the values whose uses name no producer.
    GraphJsonWriter(JsonWriter& json, const Graph& graph, std::vector<bool> weights = {})
        : json_(json), graph_(graph), is_user_input_(graph.values.size(), false) {
        weights.resize(graph.values.size());
        for (const ValueRef ref : values_in(graph.inputs)) is_user_input_[ref.id] = !weights[ref.id];
    }

    static std::vector<ValueRef> values_in(const std::vector<Argument>& arguments) {
        std::vector<ValueRef> refs;
        for (const Argument& argument : arguments)
            if (const auto* ref = argument.get_if<ValueRef>()) refs.push_back(*ref);
        return refs;
    }

    void write_tensors(std::string_view key, const std::vector<ValueRef>& refs) {
        json_.key(key);
        json_.begin_array();
        for (const ValueRef ref : refs) write_value(graph_.value(ref), graph_.value(ref).name);
        json_.end_array();
    }

    void write_weight(const Value& value, const std::string& name) { write_value(value, name); }

    void write_nodes() {
        json_.key("nodes");
        json_.begin_array();
        for (const Node& node : graph_.nodes) write_node(node);
        json_.end_array();
    }

    void write_signature(const std::vector<InputSpec>& inputs, const std::vector<OutputSpec>& outputs) {
        json_.key("signature");
        json_.begin_object();
        json_.key("inputs");
        json_.begin_array();
        for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
            const InputSpec spec = i < inputs.size() ? inputs[i] : InputSpec{};
            begin_spec(input_kind_name(spec.kind), graph_.inputs[i], spec.target);
            if (!spec.persistent) json_.member("persistent", false);
            json_.end_object();
        }
        json_.end_array();
        json_.key("outputs");
        json_.begin_array();
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            const OutputSpec spec = i < outputs.size() ? outputs[i] : OutputSpec{};
            begin_spec(output_kind_name(spec.kind), graph_.outputs[i], spec.target);
            json_.end_object();
        }
        json_.end_array();
        json_.end_object();
    }

  private:
    void begin_spec(std::string_view kind, const Argument& argument, const std::string& target) {
        json_.begin_object();
        json_.member("kind", kind);
        if (const auto* ref = argument.get_if<ValueRef>()) {
            json_.member("name", graph_.value(*ref).name);
        } else {
            json_.key("value");
            write_argument(argument);
        }
        if (!target.empty()) json_.member("target", target);
    }

    void write_value(const Value& value, const std::string& name, bool with_producer = false) {
        json_.begin_object();
        json_.member("name", name);
        if (value.kind != ValueKind::CustomObject) {
            write_shape("shape", value.kind == ValueKind::Tensor ? value.meta.shape : Shape{});
            json_.member("dtype", torch_ir::name(value_dtype(value)));
            if (value.meta.strides) write_shape("strides", *value.meta.strides);
        }
        if (value.kind != ValueKind::Tensor) json_.member("type", torch_ir::name(value.kind));
        if (value.expr) json_.member("expr", to_string(*value.expr));
        if (with_producer) write_producer(value);
        json_.end_object();
    }

    void write_producer(const Value& value) {
        if (value.producer < graph_.nodes.size()) {
            json_.member("producer_node", graph_.nodes[value.producer].name);
            json_.member("producer_output_idx", value.producer_output_idx);
        } else if (is_user_input_[static_cast<std::size_t>(&value - graph_.values.data())]) {
            json_.member("producer_node", value.name);  // pytorch-ir's convention
            json_.member("producer_output_idx", 0);
        }
    }

    void write_shape(std::string_view key, const Shape& shape) {
        json_.key(key);
        json_.begin_array();
        for (const Dim& dim : shape)
            if (dim.is_static())
                json_.value(dim.value());
            else
                json_.value(to_string(dim));
        json_.end_array();
    }

    void write_node(const Node& node) {
        const Schema* schema = find_schema(node.op_type);
        const SplitArguments split = split_arguments(node, schema);
        json_.begin_object();
        json_.member("name", node.name);
        json_.member("op_type", node.op_type);
        json_.key("inputs");
        json_.begin_array();
        for (const auto& [place, ref] : split.inputs) write_value(graph_.value(ref), graph_.value(ref).name, true);
        json_.end_array();
        write_tensors("outputs", node.output_values());
        write_attrs(split);
        if (!split.inputs.empty()) {
            json_.key("input_args");
            json_.begin_array();
            for (const auto& [place, ref] : split.inputs) json_.value(place);
            json_.end_array();
        }
        write_returns(node);
        write_provenance(node.provenance);
        json_.end_object();
    }

    /// Arguments in the order of the schema; without one: tensors in the source's order, the others by name.
    static std::vector<const NamedArgument*> sorted_arguments(const Node& node, const Schema* schema) {
        std::vector<const NamedArgument*> sorted;
        for (const NamedArgument& argument : node.args) sorted.push_back(&argument);
        if (!schema) return sorted;
        std::ranges::stable_sort(sorted, {}, [&](const NamedArgument* argument) {
            return argument->name.empty() ? nullptr : position(*schema, argument->name);
        });
        return sorted;
    }

    static const SchemaParameter* position(const Schema& schema, std::string_view name) {
        const SchemaParameter* found = schema.find(name);
        return found ? found : schema.parameters.data() + schema.parameters.size();
    }

    SplitArguments split_arguments(const Node& node, const Schema* schema) const {
        SplitArguments split;
        std::size_t unnamed = 0;
        for (const NamedArgument* argument : sorted_arguments(node, schema)) {
            const SchemaParameter* parameter = schema ? schema->find(argument->name) : nullptr;
            const std::string place = argument->name.empty() ? std::to_string(unnamed++) : argument->name;
            split_argument(place, argument->value, parameter, split);
        }
        const auto known = [&](const auto& attr) { return schema && schema->find(attr.first); };
        const auto others = std::stable_partition(split.attrs.begin(), split.attrs.end(), known);
        std::sort(others, split.attrs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        return split;
    }

    void split_argument(const std::string& place, const Argument& value, const SchemaParameter* parameter,
                        SplitArguments& split) const {
        const bool wants_tensor = parameter && parameter->type.kind == SchemaKind::Tensor;
        if (is_tensor(value)) {
            split.inputs.emplace_back(place, value.get<ValueRef>());
        } else if (wants_tensor && !parameter->keyword_only && value.is_none()) {
            return;  // pytorch-ir leaves these out
        } else if (const auto* list = value.get_if<ArgumentList>(); list && (is_tensor_list(*list) || wants_tensor)) {
            const auto first = split.inputs.size();
            std::vector<bool> mask;
            for (std::size_t i = 0; i < list->size(); ++i) {
                mask.push_back((*list)[i].is_none());
                if (is_tensor((*list)[i]))
                    split.inputs.emplace_back(place + "[" + std::to_string(i) + "]", (*list)[i].get<ValueRef>());
            }
            split.list_sizes.push_back(split.inputs.size() - first);
            if (split.inputs.size() == first) split.attrs.emplace_back(place, &value);
            if (std::ranges::find(mask, true) != mask.end()) split.none_masks.push_back(std::move(mask));
        } else {
            split.attrs.emplace_back(place, &value);
        }
    }

    bool is_tensor(const Argument& argument) const {
        const auto* ref = argument.get_if<ValueRef>();
        if (!ref) return false;
        const ValueKind kind = graph_.value(*ref).kind;
        return kind == ValueKind::Tensor || kind == ValueKind::CustomObject;
    }

    /// Only tensors and None, with at least one tensor.
    bool is_tensor_list(const ArgumentList& list) const {
        return std::ranges::all_of(list, [&](const Argument& a) { return a.is_none() || is_tensor(a); }) &&
               std::ranges::any_of(list, [&](const Argument& a) { return is_tensor(a); });
    }

    void write_attrs(const SplitArguments& split) {
        json_.key("attrs");
        json_.begin_object();
        if (!split.list_sizes.empty()) {
            json_.key("_tensor_list_sizes");
            json_.begin_array();
            for (const std::size_t size : split.list_sizes) json_.value(size);
            json_.end_array();
        }
        if (!split.none_masks.empty()) {
            json_.key("_tensor_list_none_masks");
            json_.begin_array();
            for (const auto& mask : split.none_masks) {
                json_.begin_array();
                for (const bool is_none : mask) json_.value(is_none);
                json_.end_array();
            }
            json_.end_array();
        }
        for (const auto& [name, value] : split.attrs) {
            json_.key(name);
            write_argument(*value);
        }
        json_.end_object();
    }

    void write_argument(const Argument& argument) {
        std::visit([&](const auto& value) { write_alternative(value); }, argument.variant());
    }

    template <class T>
    void write_alternative(const T& value) {
        json_.value(value);
    }
    void write_alternative(const std::complex<double>& value) {
        json_.begin_object();
        json_.key("complex");
        json_.begin_array();
        json_.value(value.real());
        json_.value(value.imag());
        json_.end_array();
        json_.end_object();
    }
    void write_alternative(DType value) { json_.tagged("dtype", torch_ir::name(value)); }
    void write_alternative(Layout value) { json_.tagged("layout", torch_ir::name(value)); }
    void write_alternative(MemoryFormat value) { json_.tagged("memory_format", torch_ir::name(value)); }
    void write_alternative(const Device& value) {
        // A model exported on the meta device is the same model: pytorch-ir executes its `meta` as `cpu`, too.
        const std::string type = value.type == "meta" ? "cpu" : value.type;
        json_.tagged("device", value.index ? type + ":" + std::to_string(*value.index) : type);
    }
    void write_alternative(const OperatorName& value) { json_.tagged("operator", value.op_type); }
    void write_alternative(ValueRef ref) {
        const Value& value = graph_.value(ref);
        json_.tagged(is_tensor(ref) ? "tensor" : "sym", value.name);
    }
    void write_alternative(const ArgumentList& list) {
        json_.begin_array();
        for (const Argument& element : list) write_argument(element);
        json_.end_array();
    }
    void write_alternative(const ArgumentMap& map) {
        json_.begin_object();
        json_.key("dict");
        json_.begin_array();
        for (const auto& [key, element] : map) {
            json_.begin_array();
            json_.value(key);
            write_argument(element);
            json_.end_array();
        }
        json_.end_array();
        json_.end_object();
    }
    void write_alternative(const Subgraph& subgraph) {
        json_.begin_object();
        json_.key("graph");
        json_.begin_object();
        json_.member("name", subgraph.name);
        const Graph empty;
        write_subgraph(subgraph.graph ? *subgraph.graph : empty);
        json_.end_object();
        json_.end_object();
    }

    void write_subgraph(const Graph& graph) {
        GraphJsonWriter inner(json_, graph);
        const auto is_value = [](const Argument& argument) { return argument.is<ValueRef>(); };
        if (!std::ranges::all_of(graph.inputs, is_value) || !std::ranges::all_of(graph.outputs, is_value))
            inner.write_signature({}, {});
        inner.write_tensors("graph_inputs", values_in(graph.inputs));
        inner.write_tensors("graph_outputs", values_in(graph.outputs));
        inner.write_nodes();
    }

    void write_returns(const Node& node) {
        const auto is_value = [](const Argument& output) { return output.is<ValueRef>(); };
        if (std::ranges::all_of(node.outputs, is_value)) return;
        std::size_t next = 0;
        json_.key("returns");
        json_.begin_array();
        for (const Argument& output : node.outputs) write_return(output, next);
        json_.end_array();
    }

    void write_return(const Argument& output, std::size_t& next) {
        if (output.is<ValueRef>()) {
            json_.value(next++);
        } else if (const auto* list = output.get_if<ArgumentList>()) {
            json_.begin_array();
            for (const Argument& element : *list) write_return(element, next);
            json_.end_array();
        } else {
            json_.value(None{});
        }
    }

    void write_provenance(const Provenance& provenance) {
        if (provenance == Provenance{}) return;
        json_.key("source");
        json_.begin_object();
        if (!provenance.module_path.empty()) json_.member("module_path", provenance.module_path);
        if (!provenance.module_type.empty()) json_.member("module_type", provenance.module_type);
        if (!provenance.source.empty()) json_.member("location", provenance.source);
        if (!provenance.original.empty()) json_.member("function", provenance.original);
        json_.end_object();
    }

    JsonWriter& json_;
    const Graph& graph_;
    std::vector<bool> is_user_input_;
};

/// The elements of a constant from `data` on, nested like its shape; `data` moves past them.
inline void write_elements(JsonWriter& json, DType dtype, std::span<const std::int64_t> shape, const std::byte*& data) {
    if (!shape.empty()) {
        json.begin_array();
        for (std::int64_t i = 0; i < shape[0]; ++i) write_elements(json, dtype, shape.subspan(1), data);
        json.end_array();
        return;
    }
    with_storage(dtype, [&]<class T>(T number) {
        const auto next = [&] {
            std::memcpy(&number, data, sizeof(T));
            data += sizeof(T);
            return number;
        };
        if (dtype == DType::Bool) return json.value(next() != 0);
        if (is_complex(dtype)) {
            json.begin_object();
            json.key("complex");
            json.begin_array();
            json.value(static_cast<double>(next()));
            json.value(static_cast<double>(next()));
            json.end_array();
            json.end_object();
            return;
        }
        if (dtype == DType::Float16) return json.value(half_to_double(static_cast<std::uint16_t>(next())));
        if (dtype == DType::BFloat16) return json.value(bfloat16_to_double(static_cast<std::uint16_t>(next())));
        if constexpr (std::is_floating_point_v<T>)
            json.value(static_cast<double>(next()));
        else
            json.value(next());
    });
}

inline void write_constant(JsonWriter& json, const Constant& constant) {
    std::vector<std::int64_t> shape;
    for (const Dim& dim : constant.meta.shape) shape.push_back(dim.value());
    json.begin_object();
    json.key(has_numeric_text(constant.meta.dtype) ? "data" : "bytes");
    if (has_numeric_text(constant.meta.dtype)) {
        const std::byte* data = constant.data.data();
        write_elements(json, constant.meta.dtype, shape, data);
    } else {
        json.begin_array();
        for (const std::byte byte : constant.data) json.value(std::to_integer<int>(byte));
        json.end_array();
    }
    json.member("dtype", name(constant.meta.dtype));
    json.key("shape");
    json.begin_array();
    for (const std::int64_t size : shape) json.value(size);
    json.end_array();
    json.end_object();
}

/// The size of each symbol at export time, as far as the shapes of `graph` tell.
inline SymbolValues symbol_hints(const Graph& graph) {
    SymbolValues hints;
    for (const Value& value : graph.values)
        for (const Dim& dim : value.meta.shape)
            if (dim.expr() && dim.expr()->kind == Expr::Kind::Symbol && dim.hint())
                hints.emplace(dim.expr()->name, *dim.hint());
    return hints;
}

inline void write_symbols(JsonWriter& json, const Model& model) {
    if (model.symbols.empty()) return;
    const SymbolValues hints = symbol_hints(model.graph);
    json.key("symbols");
    json.begin_array();
    for (const SymbolRange& symbol : model.symbols) {
        json.begin_object();
        json.member("name", symbol.name);
        if (symbol.min) json.member("min", *symbol.min);
        if (symbol.max) json.member("max", *symbol.max);
        if (const auto hint = hints.find(symbol.name); hint != hints.end()) json.member("hint", hint->second);
        json.end_object();
    }
    json.end_array();
}

/// True when a reader finds the same roles of inputs and outputs without the signature: weights come first, are of the
/// kind their placeholder's name suggests and persistent; the rest are tensors of the user.
inline bool signature_is_implied(const Model& model) {
    if (model.inputs.size() != model.graph.inputs.size() || model.outputs.size() != model.graph.outputs.size())
        return false;
    bool users_began = false;
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const InputSpec& spec = model.inputs[i];
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (!ref) return false;
        users_began |= spec.kind == InputKind::UserInput;
        const bool weight_as_implied = is_weight(spec.kind) && !users_began && spec.persistent &&
                                       spec.kind == implied_kind(model.graph.value(*ref).name);
        const bool user_as_implied = spec == InputSpec{};
        if (!weight_as_implied && !user_as_implied) return false;
    }
    for (std::size_t i = 0; i < model.outputs.size(); ++i)
        if (model.outputs[i] != OutputSpec{} || !model.graph.outputs[i].is<ValueRef>()) return false;
    return true;
}

inline void write_model(JsonWriter& json, const Model& model) {
    check_references(model.graph);
    const Graph& graph = model.graph;
    std::vector<std::pair<ValueRef, const InputSpec*>> weights;
    std::vector<ValueRef> inputs;
    std::vector<ValueRef> outputs;
    std::vector<bool> is_weight_value(graph.values.size(), false);
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
        const auto* ref = graph.inputs[i].get_if<ValueRef>();
        if (!ref) continue;
        if (i < model.inputs.size() && is_weight(model.inputs[i].kind)) {
            weights.emplace_back(*ref, &model.inputs[i]);
            is_weight_value[ref->id] = true;
        } else {
            inputs.push_back(*ref);
        }
    }
    for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
        const auto* ref = graph.outputs[i].get_if<ValueRef>();
        if (ref && (i >= model.outputs.size() || is_user_visible(model.outputs[i].kind))) outputs.push_back(*ref);
    }
    GraphJsonWriter writer(json, graph, std::move(is_weight_value));

    json.begin_object();
    json.member("format_version", std::to_string(format_major) + "." + std::to_string(format_minor));
    json.member("model_name", model.name);
    json.member("pytorch_version", model.pytorch_version);
    write_symbols(json, model);
    json.texts("guards", model.guards);
    if (!model.in_spec.empty()) json.member("in_spec", model.in_spec);
    if (!model.out_spec.empty()) json.member("out_spec", model.out_spec);
    json.texts("forward_arg_names", model.forward_arg_names);
    if (!model.namedtuple_fields.empty()) {
        json.key("namedtuple_fields");
        json.begin_object();
        for (const auto& [type, fields] : model.namedtuple_fields) json.texts(type, fields);
        json.end_object();
    }
    if (!signature_is_implied(model)) writer.write_signature(model.inputs, model.outputs);
    writer.write_tensors("graph_inputs", inputs);
    writer.write_tensors("graph_outputs", outputs);
    json.key("weights");
    json.begin_array();
    for (const auto& [ref, spec] : weights) writer.write_weight(graph.value(ref), spec->target);
    json.end_array();
    json.key("weight_name_mapping");
    json.begin_object();
    for (const auto& [ref, spec] : weights)
        if (graph.value(ref).name != spec->target) json.member(graph.value(ref).name, spec->target);
    json.end_object();
    writer.write_nodes();
    if (!model.constants.empty()) {
        json.key("constants");
        json.begin_object();
        for (const auto& [name, constant] : model.constants) {
            json.key(name);
            write_constant(json, constant);
        }
        json.end_object();
    }
    json.end_object();
}

}  // namespace detail

TORCH_IR_INLINE std::string to_json(const Model& model) {
    std::string text;
    detail::JsonWriter json([&](std::string_view piece) { text += piece; });
    detail::write_model(json, model);
    json.flush();
    return text;
}

TORCH_IR_INLINE void write_json(const std::filesystem::path& path, const Model& model) {
    FileWriter file(path);
    detail::JsonWriter json([&](std::string_view piece) { file.write(piece); });
    detail::write_model(json, model);
    json.flush();
    file.commit();
}

}  // namespace torch_ir
