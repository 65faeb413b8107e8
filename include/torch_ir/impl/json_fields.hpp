// SPDX-License-Identifier: MIT
// Typed access to parsed JSON with errors that say what was expected. Included by _inl files only.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/json_names.hpp"
#include "torch_ir/impl/json_stream.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

[[noreturn]] inline void expected(std::string_view what, const Json& found) {
    throw ParseError("expected " + std::string(what) + ", found " + std::string(found.type_name()));
}

inline const std::string& to_text(const Json& json) {
    if (!json.is_string()) expected("a string", json);
    return json.get_ref<const std::string&>();
}

inline std::int64_t to_int(const Json& json) {
    if (!json.is_number_integer()) expected("an integer", json);
    return json.get<std::int64_t>();
}

inline bool to_bool(const Json& json) {
    if (!json.is_boolean()) expected("a boolean", json);
    return json.get<bool>();
}

inline const Json& to_array(const Json& json) {
    if (!json.is_array()) expected("an array", json);
    return json;
}

inline const Json& to_object(const Json& json) {
    if (!json.is_object()) expected("an object", json);
    return json;
}

/// The member called `key`, or nullptr when it is absent or null.
inline const Json* find_member(const Json& object, const char* key) {
    const auto found = to_object(object).find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

inline const Json& member(const Json& object, const char* key) {
    if (const Json* found = find_member(object, key)) return *found;
    throw ParseError("key '" + std::string(key) + "' is missing");
}

/// An integer between 0 and `limit`.
inline std::uint32_t as_index(const Json& json, std::uint32_t limit = std::numeric_limits<std::uint32_t>::max() - 1) {
    const std::int64_t value = to_int(json);
    if (value < 0 || value > limit) throw ParseError("index " + std::to_string(value) + " is out of range");
    return static_cast<std::uint32_t>(value);
}

inline const std::string& string_member(const Json& object, const char* key) {
    const Json& found = member(object, key);
    return with_context(key, [&]() -> const std::string& { return to_text(found); });
}

/// An absent member is an empty string.
inline std::string optional_string(const Json& object, const char* key) {
    return find_member(object, key) ? string_member(object, key) : std::string();
}

/// Calls `f(element, index)` for each element; errors get `key[index]` in front.
template <class F>
void for_each_element(const Json& array, std::string_view key, F&& f) {
    std::size_t index = 0;
    with_context(std::string(key), [&] { to_array(array); });
    for (const Json& element : array) {
        with_context([&] { return std::string(key) + "[" + std::to_string(index) + "]"; }, [&] { f(element, index); });
        ++index;
    }
}

inline DType as_dtype(const Json& json) {
    const std::string& text = to_text(json);
    if (const auto dtype = parse_dtype(text)) return *dtype;
    throw ParseError("unknown dtype '" + text + "'");
}

/// A size: a number, or the text of an expression over symbols.
inline Dim as_dim(const Json& json) {
    if (json.is_string()) {
        ExprPtr expr = parse_expr(to_text(json));
        return expr->kind == Expr::Kind::Integer ? Dim(expr->integer) : Dim(std::move(expr));
    }
    if (!json.is_number_integer()) expected("an integer or an expression", json);
    return {json.get<std::int64_t>()};
}

/// The number of elements; symbolic sizes count as one. Throws ParseError for a negative size, or when the bytes of
/// the tensor cannot be counted.
inline std::int64_t checked_numel(const Shape& shape, DType dtype) {
    std::optional<std::int64_t> bytes = static_cast<std::int64_t>(item_size(dtype));
    bool is_empty = false;
    for (const Dim& dim : shape) {
        if (!dim.is_static()) continue;
        if (dim.value() < 0) throw ParseError("negative size " + std::to_string(dim.value()));
        is_empty |= dim.value() == 0;
        if (bytes) bytes = checked_mul(*bytes, std::max<std::int64_t>(dim.value(), 1));
    }
    if (!bytes) throw ParseError("the tensor's size in bytes overflows");
    return is_empty ? 0 : *bytes / static_cast<std::int64_t>(item_size(dtype));
}

inline Shape as_shape(const Json& json, std::string_view key) {
    Shape shape;
    for_each_element(json, key, [&](const Json& element, std::size_t) { shape.push_back(as_dim(element)); });
    return shape;
}

/// A tensor entry's kind, shape, dtype and strides; no producer yet.
inline Value as_value(const Json& json) {
    Value value;
    value.name = string_member(json, "name");
    if (value.name.empty()) throw ParseError("a tensor has an empty name");
    with_context("'" + value.name + "'", [&] {
        if (const Json* type = find_member(json, "type")) {
            const auto kind = parse_value_kind(to_text(*type));
            if (!kind) throw ParseError("unknown type '" + to_text(*type) + "'");
            value.kind = *kind;
        }
        if (const Json* expr = find_member(json, "expr")) value.expr = parse_expr(to_text(*expr));
        if (value.kind == ValueKind::CustomObject) return;
        Shape shape = as_shape(member(json, "shape"), "shape");
        const DType dtype = with_context("dtype", [&] { return as_dtype(member(json, "dtype")); });
        if (value.kind != ValueKind::Tensor) return;
        value.meta.shape = std::move(shape);
        value.meta.dtype = dtype;
        checked_numel(value.meta.shape, dtype);
        if (const Json* strides = find_member(json, "strides")) value.meta.strides = as_shape(*strides, "strides");
        if (value.meta.strides && value.meta.strides->size() != value.meta.shape.size())
            throw ParseError("has " + std::to_string(value.meta.shape.size()) + " sizes and " +
                             std::to_string(value.meta.strides->size()) + " strides");
    });
    return value;
}

}  // namespace torch_ir::detail
