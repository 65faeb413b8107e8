// SPDX-License-Identifier: MIT
// ATen schema lines (`add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`): parsed, and the table of
// all.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/argument.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

/// The base type of a parameter. SymInt is Int: whether a value is symbolic is a matter of the graph.
enum class SchemaKind : std::uint8_t {
    Tensor,
    Int,
    Float,
    Bool,
    Scalar,
    Complex,
    String,
    ScalarType,
    Layout,
    Device,
    MemoryFormat,
    Generator,
    Other,  // Storage, Stream, QScheme, custom classes: named in `text`, never executed
};

/// `Tensor?[]` is {Tensor, list, optional_elements}; `int[2]?` is {Int, list, optional, list_size 2}.
struct SchemaType {
    SchemaKind kind = SchemaKind::Other;
    bool optional = false;  // None is allowed
    bool list = false;
    bool optional_elements = false;  // None is allowed inside the list
    std::optional<int> list_size;    // a single number stands for so many equal ones
    std::string text;                // as written, without the alias mark
};

/// One parameter or return value of an op.
struct SchemaParameter {
    std::string name;  // may be empty for a return value
    SchemaType type;
    std::optional<Argument> default_value;
    bool keyword_only = false;
    std::string alias;      // `a` of `Tensor(a!)`; empty without a mark
    bool is_write = false;  // `!`
};

/// Whether a call may change what is given for `parameter`: an operand in place, an out tensor, a generator's state.
inline bool may_change(const SchemaParameter& parameter) {
    return parameter.is_write || parameter.type.kind == SchemaKind::Generator;
}

/// A parsed schema line.
struct Schema {
    std::string name_space;  // `aten`, unless the line says otherwise (`ns::name(...)`)
    std::string name;
    std::string overload;  // empty for the default overload
    std::vector<SchemaParameter> parameters;
    std::vector<SchemaParameter> returns;

    /// `aten.add.Tensor`, `aten.relu.default`.
    std::string op_type() const;

    /// The parameter called `name`, or nullptr.
    const SchemaParameter* find(std::string_view parameter) const;

    /// True when the only return value is a list, so that all outputs of a node belong to it.
    bool returns_list() const { return returns.size() == 1 && returns[0].type.list; }
};

/// Parses one line. Throws SchemaError with the position of what it did not understand.
Schema parse_schema(std::string_view line);

/// The schema of an ATen op of the built-in table (`aten.conv2d.default`), or nullptr. Parsed on first use,
/// thread-safe, valid for the life of the program.
const Schema* find_schema(std::string_view op_type);

/// The part of an op type that names the op: `conv2d` of `aten.conv2d.default`, `cond` of `higher_order.cond`.
inline std::string_view base_name(std::string_view op_type) {
    op_type.remove_prefix(op_type.find('.') + 1);  // npos + 1 is 0
    return op_type.substr(0, op_type.find('.'));
}

/// The same of an ATen op, empty for any other.
inline std::string_view aten_name(std::string_view op_type) {
    return op_type.starts_with("aten.") ? base_name(op_type) : std::string_view{};
}

/// All lines of the built-in table, sorted.
std::vector<std::string_view> aten_schema_lines();

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/schema_inl.hpp"  // IWYU pragma: export
#endif
