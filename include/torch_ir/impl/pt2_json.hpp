// SPDX-License-Identifier: MIT
// Typed access to the JSON of torch.export: null counts as missing, unions are objects with one key. Included by _inl
// files only.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/json_stream.hpp"

namespace torch_ir::detail::pt2 {

[[noreturn]] inline void expected(const std::string& what, const Json& found) {
    throw ParseError("expected " + what + ", found " + found.type_name());
}

/// The member called `key`, or nullptr when it is missing or null.
inline const Json* find_member(const Json& object, const char* key) {
    if (!object.is_object()) expected("an object", object);
    const auto member = object.find(key);
    return member == object.end() || member->is_null() ? nullptr : &*member;
}

inline const Json& member(const Json& object, const char* key) {
    if (const Json* found = find_member(object, key)) return *found;
    throw ParseError(std::string("key '") + key + "' is missing");
}

inline const std::string& to_text(const Json& value) {
    if (!value.is_string()) expected("a string", value);
    return value.get_ref<const std::string&>();
}

inline std::int64_t to_int(const Json& value) {
    if (!value.is_number_integer()) expected("an integer", value);
    return value.get<std::int64_t>();
}

inline bool to_bool(const Json& value) {
    if (!value.is_boolean()) expected("a boolean", value);
    return value.get<bool>();
}

/// A number, or one of the strings that stand for the numbers JSON does not have.
inline double to_double(const Json& value) {
    if (value.is_number()) return value.get<double>();
    if (value == "Infinity") return std::numeric_limits<double>::infinity();
    if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
    if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
    expected("a number", value);
}

inline const Json& to_array(const Json& value) {
    if (!value.is_array()) expected("an array", value);
    return value;
}

inline const Json& to_object(const Json& value) {
    if (!value.is_object()) expected("an object", value);
    return value;
}

/// Tag and content of a tagged union: an object with exactly one key.
inline std::pair<const std::string&, const Json&> union_of(const Json& value) {
    if (!value.is_object()) expected("an object", value);
    if (value.size() != 1)
        throw ParseError("expected an object with one key, found " + std::to_string(value.size()) + " keys");
    return {value.begin().key(), value.begin().value()};
}

/// Calls `f(element, index)` for each element of an array; errors carry `[index]`.
template <class F>
void for_each_element(const Json& array, F&& f) {
    std::size_t index = 0;
    for (const Json& element : to_array(array)) {
        with_context([&] { return "[" + std::to_string(index) + "]"; }, [&] { f(element, index); });
        ++index;
    }
}

}  // namespace torch_ir::detail::pt2
