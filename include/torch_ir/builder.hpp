// SPDX-License-Identifier: MIT
// Builds a Model by hand, for tests and for programs that make graphs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Adds inputs, calls and outputs in order; calls are checked against the ATen schema, shapes are the caller's:
///
///     GraphBuilder b("mlp");
///     const ValueRef x = b.input("x", {{2, 8}, DType::Float32});
///     const ValueRef w = b.parameter("p_w", "lin.weight", {{4, 8}, DType::Float32});
///     b.output(b.call("aten.linear.default", {x, w}, {{2, 4}, DType::Float32}));
///     Model model = b.build();
class GraphBuilder {
  public:
    /// What a tensor is, in the order people write it.
    struct Tensor {
        Shape shape;
        DType dtype = DType::Float32;
    };

    /// Arguments in braces. No vector, for which compilers disagree on what a list of one list is.
    using List = std::initializer_list<Argument>;

    explicit GraphBuilder(std::string model_name);

    /// A user input. All functions that take a value's name throw ArgumentError when it is empty or taken.
    ValueRef input(const std::string& name, Tensor tensor);
    /// An integer user input, or one of a subgraph.
    ValueRef int_input(const std::string& name);
    /// An input that the exported function had as a constant; throws ArgumentError for a value of the graph.
    void constant_input(Argument value);
    /// `target` is the key in the state_dict.
    ValueRef parameter(const std::string& name, const std::string& target, Tensor tensor);
    ValueRef buffer(const std::string& name, const std::string& target, Tensor tensor, bool persistent = true);
    /// A tensor with its values, row-major and little endian; throws ArgumentError when their number is wrong.
    ValueRef constant(const std::string& name, const std::string& target, Tensor tensor, std::vector<std::byte> data);

    /// Calls an op that returns one tensor. Positional arguments get their names from the schema, in whose order all of
    /// them are kept; ops without a known schema keep them unnamed. The node is called after the op (`relu`, `relu_1`),
    /// its value after the node. Throws SchemaError for too many, unknown, repeated and missing arguments, and
    /// ArgumentError for a reference to no value of this graph.
    ValueRef call(std::string_view op_type, std::span<const Argument> args, Tensor output,
                  std::vector<NamedArgument> named = {});
    ValueRef call(std::string_view op_type, List args, Tensor output, std::vector<NamedArgument> named = {}) {
        return call(op_type, std::span(args), std::move(output), std::move(named));
    }

    /// The same for any number of tensors: the returns of the op, or the elements of the list that it returns. With
    /// more than one, values are called `topk_0`, `topk_1`.
    std::vector<ValueRef> call_many(std::string_view op_type, std::span<const Argument> args,
                                    const std::vector<Tensor>& outputs, std::vector<NamedArgument> named = {});
    std::vector<ValueRef> call_many(std::string_view op_type, List args, const std::vector<Tensor>& outputs,
                                    std::vector<NamedArgument> named = {}) {
        return call_many(op_type, std::span(args), outputs, std::move(named));
    }

    /// The same for an op that returns a symbolic scalar.
    ValueRef call_scalar(std::string_view op_type, List args, ValueKind kind, ExprPtr expr = nullptr);

    /// Appends a graph output; throws ArgumentError for a reference to no value of this graph.
    void output(Argument value, OutputSpec spec = {});

    /// The last node called, for changes that have no function here (provenance, name). Throws ArgumentError before the
    /// first call.
    Node& last_node();

    /// The model so far.
    const Model& build() const { return model_; }

    /// The graph so far as an argument of a higher-order op.
    Subgraph subgraph() const;

  private:
    void check_values(const Argument& argument) const;
    ValueRef add_value(const std::string& name, ValueKind kind, Tensor tensor);
    ValueRef add_input(ValueRef value, InputSpec spec);
    Node& add_node(std::string_view op_type, std::span<const Argument> args, std::vector<NamedArgument> named);
    ValueRef add_result(const std::string& name, ValueKind kind, Tensor tensor, std::uint32_t position);
    std::string unused_name(const std::string& base);

    Model model_;
    std::unordered_set<std::string> names_;  // of values and nodes
};

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/builder_inl.hpp"  // IWYU pragma: export
#endif
