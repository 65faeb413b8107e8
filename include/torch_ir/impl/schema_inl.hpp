// SPDX-License-Identifier: MIT
// Bodies of schema.hpp: a recursive descent parser for schema lines, and the lazily parsed table of all of them.
#pragma once

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>

#include "torch_ir/impl/aten_schema_table.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {
namespace detail {

inline constexpr std::string_view schema_ident = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

inline SchemaKind schema_kind(std::string_view base) {
    constexpr std::pair<std::string_view, SchemaKind> kinds[] = {
        {"Tensor", SchemaKind::Tensor},
        {"int", SchemaKind::Int},
        {"SymInt", SchemaKind::Int},
        {"float", SchemaKind::Float},
        {"SymFloat", SchemaKind::Float},
        {"bool", SchemaKind::Bool},
        {"SymBool", SchemaKind::Bool},
        {"Scalar", SchemaKind::Scalar},
        {"complex", SchemaKind::Complex},
        {"str", SchemaKind::String},
        {"ScalarType", SchemaKind::ScalarType},
        {"Layout", SchemaKind::Layout},
        {"Device", SchemaKind::Device},
        {"MemoryFormat", SchemaKind::MemoryFormat},
        {"Generator", SchemaKind::Generator},
    };
    for (const auto& [name, kind] : kinds)
        if (name == base) return kind;
    return SchemaKind::Other;
}

/// c10::ScalarType and c10::MemoryFormat as numbers: this is how schema lines print such defaults.
inline std::optional<DType> scalar_type_of_number(std::int64_t number) {
    constexpr DType dtypes[] = {DType::UInt8,     DType::Int8,      DType::Int16,      DType::Int32,
                                DType::Int64,     DType::Float16,   DType::Float32,    DType::Float64,
                                DType::Complex32, DType::Complex64, DType::Complex128, DType::Bool,
                                DType::QInt8,     DType::QUInt8,    DType::QInt32,     DType::BFloat16};
    if (number < 0 || number >= std::ssize(dtypes)) return std::nullopt;
    return dtypes[number];
}

inline std::optional<MemoryFormat> memory_format_of_number(std::int64_t number) {
    constexpr MemoryFormat formats[] = {MemoryFormat::Contiguous, MemoryFormat::Preserve, MemoryFormat::ChannelsLast,
                                        MemoryFormat::ChannelsLast3d};
    if (number < 0 || number >= std::ssize(formats)) return std::nullopt;
    return formats[number];
}

class SchemaParser {
  public:
    explicit SchemaParser(std::string_view line) : line_(line) {}

    Schema parse() {
        Schema schema;
        parse_name(schema);
        schema.parameters = parse_parameters();
        expect("->");
        schema.returns = parse_returns();
        if (!at_end()) fail("end of line");
        return schema;
    }

  private:
    void parse_name(Schema& schema) {
        schema.name_space = "aten";
        schema.name = word("an operator name");
        if (accept("::")) schema.name_space = std::exchange(schema.name, std::string(word("an operator name")));
        if (accept(".")) schema.overload = word("an overload name");
    }

    std::vector<SchemaParameter> parse_parameters() {
        std::vector<SchemaParameter> parameters;
        bool keyword_only = false;
        expect("(");
        if (accept(")")) return parameters;
        do {
            if (accept("*")) {
                keyword_only = true;
                continue;
            }
            SchemaParameter parameter = parse_typed();
            parameter.keyword_only = keyword_only;
            parameter.name = word("a parameter name");
            if (accept("=")) parameter.default_value = parse_default(parameter.type);
            parameters.push_back(std::move(parameter));
        } while (accept(","));
        expect(")");
        return parameters;
    }

    std::vector<SchemaParameter> parse_returns() {
        std::vector<SchemaParameter> returns;
        if (!accept("(")) {
            returns.push_back(parse_return());
            return returns;
        }
        if (accept(")")) return returns;
        do returns.push_back(parse_return());
        while (accept(","));
        expect(")");
        return returns;
    }

    SchemaParameter parse_return() {
        SchemaParameter value = parse_typed();
        skip_space();
        if (schema_ident.find(peek()) != std::string_view::npos && !at_end()) value.name = word("a name");
        return value;
    }

    /// A type with its alias mark: `Tensor(a!)[]?`, `int[2]`, `__torch__.torch.classes.rnn.CellParamsBase[]`.
    SchemaParameter parse_typed() {
        SchemaParameter parameter;
        SchemaType& type = parameter.type;
        std::string base(word("a type"));
        while (accept(".")) base += "." + std::string(word("a type"));
        type.kind = schema_kind(base);
        type.text = base;
        if (base == "Dict")
            type.text += bracketed();
        else
            parse_alias(parameter);
        for (bool more = true; more;) {
            if (accept("?")) {
                type.text += "?";
                type.optional = true;
            } else if (accept("[")) {
                if (type.list) fail("at most one pair of brackets");
                type.optional_elements = std::exchange(type.optional, false);
                type.list = true;
                if (peek() != ']') type.list_size = static_cast<int>(integer("a list size"));
                expect("]");
                type.text += type.list_size ? "[" + std::to_string(*type.list_size) + "]" : "[]";
            } else {
                more = false;
            }
        }
        return parameter;
    }

    /// `(a)`, `(a!)`, `(a -> *)`, `(a|b)`: the set before the arrow.
    void parse_alias(SchemaParameter& parameter) {
        if (peek() != '(') return;
        const std::string mark = bracketed();
        const std::string before(mark, 1, mark.find_first_of(" )", 1) - 1);
        parameter.is_write = before.ends_with('!');
        parameter.alias = before.substr(0, before.size() - (parameter.is_write ? 1 : 0));
    }

    std::string bracketed() {
        const std::size_t end = line_.find(')', at_);
        if (peek() != '(' || end == std::string_view::npos) fail("a closing bracket");
        const std::size_t begin = std::exchange(at_, end + 1);
        return std::string(line_.substr(begin, at_ - begin));
    }

    Argument parse_default(const SchemaType& type) {
        skip_space();
        if (accept("None")) return None{};
        if (accept("[")) {
            ArgumentList list;
            if (accept("]")) return list;
            do list.push_back(parse_scalar(type.kind));
            while (accept(","));
            expect("]");
            return list;
        }
        return parse_scalar(type.kind);
    }

    Argument parse_scalar(SchemaKind kind) {
        skip_space();
        if (accept("True")) return true;
        if (accept("False")) return false;
        if (peek() == '"' || peek() == '\'') return quoted();
        const std::string_view text = line_.substr(at_, line_.find_first_of(",])", at_) - at_);
        const bool is_integer = text.find_first_not_of("-0123456789") == std::string_view::npos;
        if (!is_integer || kind == SchemaKind::Float) return number<double>(text, "a default value");
        const auto value = number<std::int64_t>(text, "a default value");
        if (kind == SchemaKind::ScalarType)
            if (const auto dtype = scalar_type_of_number(value)) return *dtype;
        if (kind == SchemaKind::MemoryFormat)
            if (const auto format = memory_format_of_number(value)) return *format;
        return value;
    }

    std::string quoted() {
        const char quote = line_[at_++];
        std::string text;
        for (; !at_end() && peek() != quote; ++at_) {
            if (peek() == '\\') ++at_;
            text += peek();
        }
        expect(std::string_view(&quote, 1));
        return text;
    }

    std::int64_t integer(const char* what) {
        return number<std::int64_t>(line_.substr(at_, line_.find_first_not_of("0123456789", at_) - at_), what);
    }

    template <class T>
    T number(std::string_view text, const char* what) {
        T value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (text.empty() || error != std::errc() || end != text.data() + text.size()) fail(what);
        at_ += text.size();
        return value;
    }

    std::string_view word(const char* what) {
        skip_space();
        const std::string_view text = line_.substr(at_, line_.find_first_not_of(schema_ident, at_) - at_);
        if (text.empty()) fail(what);
        at_ += text.size();
        return text;
    }

    bool accept(std::string_view token) {
        skip_space();
        if (!line_.substr(at_).starts_with(token)) return false;
        at_ += token.size();
        return true;
    }

    void expect(std::string_view token) {
        if (!accept(token)) fail("'" + std::string(token) + "'");
    }

    void skip_space() {
        while (peek() == ' ') ++at_;
    }

    bool at_end() const { return at_ >= line_.size(); }
    char peek() const { return at_end() ? '\0' : line_[at_]; }

    [[noreturn]] void fail(const std::string& expected) const {
        const std::string found = at_end() ? "end of line" : "'" + std::string(line_.substr(at_, 20)) + "'";
        throw SchemaError("schema '" + std::string(line_) + "': expected " + expected + " at column " +
                          std::to_string(at_ + 1) + ", found " + found);
    }

    std::string_view line_;
    std::size_t at_ = 0;
};

/// The part of a table line before its parameters: `add.Tensor`, `quantized_decomposed::choose_qparams.tensor`.
inline std::string_view schema_head(std::string_view line) { return line.substr(0, line.find('(')); }

/// The head of the table line for an op type: `aten.relu.default` and `aten.relu` are `relu`.
inline std::string schema_head_of_op(std::string_view op_type) {
    if (op_type.ends_with(".default")) op_type.remove_suffix(8);
    const std::size_t dot = op_type.find('.');
    if (dot == std::string_view::npos) return {};
    const std::string_view name_space = op_type.substr(0, dot);
    const std::string name(op_type.substr(dot + 1));
    return name_space == "aten" ? name : std::string(name_space) + "::" + name;
}

}  // namespace detail

TORCH_IR_INLINE std::string Schema::op_type() const {
    return name_space + "." + name + "." + (overload.empty() ? "default" : overload);
}

TORCH_IR_INLINE const SchemaParameter* Schema::find(std::string_view parameter) const {
    const auto it = std::ranges::find(parameters, parameter, &SchemaParameter::name);
    return it == parameters.end() ? nullptr : &*it;
}

TORCH_IR_INLINE Schema parse_schema(std::string_view line) { return detail::SchemaParser(line).parse(); }

TORCH_IR_INLINE const Schema* find_schema(std::string_view op_type) {
    constexpr std::size_t count = std::size(detail::aten_schema_table);
    static std::mutex mutex;
    static std::vector<std::unique_ptr<const Schema>> parsed(count);

    const std::string head = detail::schema_head_of_op(op_type);
    const auto* const line = std::ranges::lower_bound(detail::aten_schema_table, head, {}, detail::schema_head);
    if (head.empty() || line == std::end(detail::aten_schema_table) || detail::schema_head(*line) != head)
        return nullptr;
    const std::lock_guard lock(mutex);
    auto& schema = parsed[static_cast<std::size_t>(line - detail::aten_schema_table)];
    if (!schema) schema = std::make_unique<const Schema>(parse_schema(*line));
    return schema.get();
}

TORCH_IR_INLINE std::vector<std::string_view> aten_schema_lines() {
    return {std::begin(detail::aten_schema_table), std::end(detail::aten_schema_table)};
}

}  // namespace torch_ir
