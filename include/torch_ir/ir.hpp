// SPDX-License-Identifier: MIT
// The graph of a model as plain structs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/argument.hpp"
#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir {

using Shape = std::vector<Dim>;

/// Shape, dtype and strides of a tensor; never its values.
struct TensorMeta {
    DType dtype = DType::Float32;
    Shape shape;
    /// In elements; absent when row-major contiguous.
    std::optional<Shape> strides;

    bool operator==(const TensorMeta&) const = default;
};

/// What a graph value is. Symbolic scalars come from the shapes of the inputs or from `item`.
enum class ValueKind : std::uint8_t { Tensor, SymInt, SymFloat, SymBool, CustomObject };

/// As the JSON IR writes it: `tensor`, `sym_int`, …
constexpr std::string_view name(ValueKind kind) {
    constexpr std::string_view names[] = {"tensor", "sym_int", "sym_float", "sym_bool", "custom_object"};
    static_assert(std::size(names) == static_cast<std::size_t>(ValueKind::CustomObject) + 1);
    return names[static_cast<std::size_t>(kind)];
}

/// A value of a graph: produced by one node, or an input of the graph. The nodes' outputs say which node produces what;
/// `producer` and `producer_output_idx` repeat it, and relink() in rewrite.hpp sets them after nodes have changed.
struct Value {
    static constexpr std::uint32_t no_producer = UINT32_MAX;

    std::string name;
    ValueKind kind = ValueKind::Tensor;
    TensorMeta meta;                        // Tensor; of any other kind it says nothing (see value_dtype)
    ExprPtr expr;                           // SymInt, SymFloat, SymBool: what it is, where the source tells
    std::uint32_t producer = no_producer;   // index into Graph::nodes
    std::uint32_t producer_output_idx = 0;  // among the flattened outputs of the producer

    bool operator==(const Value& other) const;
};

/// The dtype of a tensor, or of a symbolic scalar as a 0-d tensor; a custom object has none, and float32 is returned.
constexpr DType value_dtype(const Value& value) {
    switch (value.kind) {
        case ValueKind::SymInt:
            return DType::Int64;
        case ValueKind::SymFloat:
            return DType::Float64;
        case ValueKind::SymBool:
            return DType::Bool;
        default:
            return value.meta.dtype;
    }
}

/// An argument with its name in the op's schema; the positional operands of higher-order ops have an empty name.
struct NamedArgument {
    std::string name;
    Argument value;
    bool operator==(const NamedArgument&) const = default;
};

/// Where a node comes from; every field may be empty.
struct Provenance {
    std::string module_path;  // `encoder.layer.0.attention`
    std::string module_type;  // `torch.nn.modules.linear.Linear`
    std::string source;       // `model.py:16`, the innermost line of the stack trace
    std::string original;     // the Python function that was called: `torch.nn.functional.relu`
    bool operator==(const Provenance&) const = default;
};

/// One call of an op.
struct Node {
    std::string name;
    std::string op_type;              // `aten.conv2d.default`, `higher_order.cond`, `_operator.add`
    std::vector<NamedArgument> args;  // what the source wrote, in its order; defaults are left out
    std::vector<Argument> outputs;    // one per return value: a ValueRef, a list of them, or None
    Provenance provenance;

    bool operator==(const Node&) const = default;

    /// The argument as written, or nullptr when the source left it out.
    const Argument* find(std::string_view argument) const;

    /// The argument called so; its default from the ATen schema when the source left it out.
    /// Throws SchemaError when the op has no such parameter, or the parameter has no default.
    Argument arg(std::string_view argument) const;

    /// All values it reads, in order of the arguments; the captured operands of subgraphs are arguments like any other.
    std::vector<ValueRef> input_values() const;

    /// All values it produces, lists flattened, None left out; position = Value::producer_output_idx.
    std::vector<ValueRef> output_values() const;
};

/// Nodes in topological order over a table of values. A subgraph has a table of its own: a ValueRef means something
/// only together with the graph that it was taken from.
///
/// Of a well-formed graph, which validate() checks: every ValueRef lies inside `values`; a value is an input or an
/// output of one node, which its producer fields name; a node reads only inputs and outputs of nodes before it; names
/// of values are unique, and so are names of nodes.
struct Graph {
    std::vector<Value> values;
    std::vector<Argument> inputs;   // a ValueRef, or a constant where the exported function had one
    std::vector<Argument> outputs;  // ValueRefs and constants
    std::vector<Node> nodes;

    bool operator==(const Graph&) const = default;

    /// What `ref` stands for in this graph; throws ArgumentError when there is no such value.
    const Value& value(ValueRef ref) const {
        if (ref.id >= values.size())
            throw ArgumentError("there is no value number " + std::to_string(ref.id) + ", the graph has " +
                                std::to_string(values.size()));
        return values[ref.id];
    }
    Value& value(ValueRef ref) { return const_cast<Value&>(std::as_const(*this).value(ref)); }

    /// The value called so; linear in the number of values (see traverse.hpp for a map).
    std::optional<ValueRef> find_value(std::string_view value_name) const;
};

/// The role of a graph input.
enum class InputKind : std::uint8_t { Parameter, Buffer, TensorConstant, UserInput, CustomObject, Token };

/// Says what Graph::inputs[i] is.
struct InputSpec {
    InputKind kind = InputKind::UserInput;
    std::string
        target;  // state_dict key, constant name or FQN; for a user input that is a constant, its name; else empty
    bool persistent = true;  // Buffer: whether it is in the state_dict
    bool operator==(const InputSpec&) const = default;
};

/// The role of a graph output.
enum class OutputKind : std::uint8_t {
    UserOutput,
    LossOutput,
    BufferMutation,
    ParameterMutation,
    UserInputMutation,
    GradientToParameter,
    GradientToUserInput,
    Token,
};

/// What the caller of the model gets; the other outputs are new values of its state, and tokens.
inline bool is_user_output(OutputKind kind) {
    return kind != OutputKind::BufferMutation && kind != OutputKind::ParameterMutation &&
           kind != OutputKind::UserInputMutation && kind != OutputKind::Token;
}

/// Says what Graph::outputs[i] is.
struct OutputSpec {
    OutputKind kind = OutputKind::UserOutput;
    std::string target;  // the buffer, parameter or user input that is mutated; empty for user outputs
    bool operator==(const OutputSpec&) const = default;
};

/// The values of a lifted tensor constant: row-major, little endian.
struct Constant {
    TensorMeta meta;
    std::vector<std::byte> data;
    bool operator==(const Constant&) const = default;
};

/// A model: the graph with what its inputs and outputs are. Weights are names, shapes and dtypes; their values are in a
/// Weights (weights.hpp).
struct Model {
    std::string name;
    std::string pytorch_version;
    Graph graph;
    std::vector<InputSpec> inputs;              // parallel to graph.inputs
    std::vector<OutputSpec> outputs;            // parallel to graph.outputs
    std::map<std::string, Constant> constants;  // by InputSpec::target
    std::vector<SymbolRange> symbols;
    std::vector<std::string> guards;  // Python expressions over the inputs, as torch.export writes them
    std::string in_spec;              // pytree specs, as torch.export writes them; empty when unknown
    std::string out_spec;
    std::vector<std::string> forward_arg_names;                         // of the Python forward; empty when unknown
    std::map<std::string, std::vector<std::string>> namedtuple_fields;  // by the type's name in the specs

    bool operator==(const Model&) const = default;
};

/// What the graph input `ref` of the model's outermost graph is: `input_spec(model, ref)->target` is the name of a
/// weight. nullptr when it is no input; linear in the number of inputs.
inline const InputSpec* input_spec(const Model& model, ValueRef ref) {
    for (std::size_t i = 0; i < model.inputs.size() && i < model.graph.inputs.size(); ++i)
        if (model.graph.inputs[i] == Argument(ref)) return &model.inputs[i];
    return nullptr;
}

/// True for the inputs whose values come from the weights: parameters, buffers and tensor constants.
constexpr bool is_weight(InputKind kind) {
    return kind == InputKind::Parameter || kind == InputKind::Buffer || kind == InputKind::TensorConstant;
}

inline bool Subgraph::operator==(const Subgraph& other) const {
    return name == other.name && (graph == other.graph || (graph && other.graph && *graph == *other.graph));
}

inline bool Value::operator==(const Value& other) const {
    const bool same_expr = expr == other.expr || (expr && other.expr && *expr == *other.expr);
    return name == other.name && kind == other.kind && meta == other.meta && same_expr && producer == other.producer &&
           producer_output_idx == other.producer_output_idx;
}

/// Calls `f(ValueRef)` for every value referred to in `argument`, lists and dicts included, subgraphs excluded.
template <class F>
void for_each_value(const Argument& argument, F&& f) {
    if (const auto* ref = argument.get_if<ValueRef>()) {
        f(*ref);
    } else if (const auto* list = argument.get_if<ArgumentList>()) {
        for (const Argument& element : *list) for_each_value(element, f);
    } else if (const auto* map = argument.get_if<ArgumentMap>()) {
        for (const auto& [key, element] : *map) for_each_value(element, f);
    }
}

/// `argument` with `f(ValueRef) -> ValueRef` for every value referred to in it, subgraphs excluded.
template <class F>
Argument map_values(const Argument& argument, F&& f) {
    if (const auto* ref = argument.get_if<ValueRef>()) return f(*ref);
    if (const auto* list = argument.get_if<ArgumentList>()) {
        ArgumentList copy;
        for (const Argument& element : *list) copy.push_back(map_values(element, f));
        return copy;
    }
    if (const auto* map = argument.get_if<ArgumentMap>()) {
        ArgumentMap copy;
        for (const auto& [key, element] : *map) copy.emplace_back(key, map_values(element, f));
        return copy;
    }
    return argument;
}

inline const Argument* Node::find(std::string_view argument) const {
    for (const NamedArgument& named : args)
        if (named.name == argument) return &named.value;
    return nullptr;
}

inline Argument Node::arg(std::string_view argument) const {
    if (const Argument* found = find(argument)) return *found;
    const Schema* schema = find_schema(op_type);
    const SchemaParameter* parameter = schema ? schema->find(argument) : nullptr;
    if (!parameter)
        throw SchemaError("node '" + name + "' (" + op_type + ") has no argument '" + std::string(argument) + "'");
    if (!parameter->default_value)
        throw SchemaError("node '" + name + "' (" + op_type + ") lacks its argument '" + std::string(argument) + "'");
    return *parameter->default_value;
}

inline std::vector<ValueRef> Node::input_values() const {
    std::vector<ValueRef> refs;
    for (const NamedArgument& named : args) for_each_value(named.value, [&](ValueRef ref) { refs.push_back(ref); });
    return refs;
}

inline std::vector<ValueRef> Node::output_values() const {
    std::vector<ValueRef> refs;
    for (const Argument& output : outputs) for_each_value(output, [&](ValueRef ref) { refs.push_back(ref); });
    return refs;
}

inline std::optional<ValueRef> Graph::find_value(std::string_view value_name) const {
    for (std::uint32_t i = 0; i < values.size(); ++i)
        if (values[i].name == value_name) return ValueRef{i};
    return std::nullopt;
}

}  // namespace torch_ir
