// SPDX-License-Identifier: MIT
#include "ivalue.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace torch_ir {

std::string_view kind(const IValue& value) {
    constexpr std::array<std::string_view, 17> names{
        "None",         "tensor",         "bool",          "int",
        "float",        "complex",        "string",        "dtype",
        "layout",       "device",         "memory format", "list of tensors",
        "list of ints", "list of floats", "list of bools", "list of numbers",
        "graph"};
    static_assert(names.size() == std::variant_size_v<IValue>);
    return names[value.index()];
}

IValue to_ivalue(const Scalar& scalar) {
    switch (scalar.kind()) {
        case Scalar::Kind::Bool:
            return scalar.to<bool>();
        case Scalar::Kind::Int:
            return scalar.to<std::int64_t>();
        case Scalar::Kind::Float:
            return scalar.to<double>();
        case Scalar::Kind::Complex:
            break;
    }
    return scalar.to<std::complex<double>>();
}

Scalar to_scalar(const IValue& value) {
    if (const auto* v = std::get_if<bool>(&value)) return *v;
    if (const auto* v = std::get_if<std::int64_t>(&value)) return *v;
    if (const auto* v = std::get_if<double>(&value)) return *v;
    if (const auto* v = std::get_if<std::complex<double>>(&value)) return *v;
    if (const auto* v = std::get_if<Tensor>(&value)) return v->item();
    throw ArgumentError("expected a number, found " + std::string(kind(value)));
}

namespace detail {

Scalar Parameter<Scalar>::get(const IValue& value) { return to_scalar(value); }

void append_result(std::vector<IValue>& results, const Scalar& value) { results.push_back(to_ivalue(value)); }

}  // namespace detail

namespace {

bool is_number(const IValue& value) { return value.index() >= 2 && value.index() <= 5; }

bool element_has_form(const IValue& value, SchemaKind kind) {
    switch (kind) {
        case SchemaKind::Tensor:
            return std::holds_alternative<Tensor>(value);
        case SchemaKind::Int:
            return std::holds_alternative<std::int64_t>(value);
        case SchemaKind::Float:
            return std::holds_alternative<double>(value);
        case SchemaKind::Bool:
            return std::holds_alternative<bool>(value);
        case SchemaKind::Scalar:
        case SchemaKind::Complex:
            return is_number(value);
        case SchemaKind::String:
            return std::holds_alternative<std::string>(value);
        case SchemaKind::ScalarType:
            return std::holds_alternative<DType>(value);
        case SchemaKind::Layout:
            return std::holds_alternative<Layout>(value);
        case SchemaKind::Device:
            return std::holds_alternative<Device>(value);
        case SchemaKind::MemoryFormat:
            return std::holds_alternative<MemoryFormat>(value);
        case SchemaKind::Generator:
        case SchemaKind::Other:
            return true;
    }
    return false;
}

bool list_has_form(const IValue& value, SchemaKind kind) {
    switch (kind) {
        case SchemaKind::Tensor:
            return std::holds_alternative<TensorList>(value);
        case SchemaKind::Int:
            return std::holds_alternative<Ints>(value);
        case SchemaKind::Float:
            return std::holds_alternative<Doubles>(value);
        case SchemaKind::Bool:
            return std::holds_alternative<Bools>(value);
        case SchemaKind::Scalar:
            return std::holds_alternative<ScalarList>(value);
        default:
            return true;
    }
}

[[noreturn]] void fail(const IValue& value, const SchemaType& type) {
    throw ArgumentError("expected " + type.text + ", found " + std::string(kind(value)));
}

IValue coerce_element(const IValue& value, const SchemaType& type) {
    if (element_has_form(value, type.kind)) return value;
    switch (type.kind) {
        case SchemaKind::Tensor:
            if (is_number(value)) return Tensor::wrapped_number(to_scalar(value));
            break;
        case SchemaKind::Int:
        case SchemaKind::Float:
        case SchemaKind::Bool:
        case SchemaKind::Scalar:
        case SchemaKind::Complex:
            if (is_number(value) || std::holds_alternative<Tensor>(value)) {
                const Scalar scalar = to_scalar(value);
                if (type.kind == SchemaKind::Float) return scalar.to<double>();
                if (type.kind == SchemaKind::Scalar || type.kind == SchemaKind::Complex) return to_ivalue(scalar);
                if (type.kind == SchemaKind::Bool) return scalar.to<bool>();
                if (scalar.is_integral()) return scalar.to<std::int64_t>();
                const double number = scalar.to<double>();
                if (std::abs(number) < 0x1p63 && std::trunc(number) == number) return scalar.to<std::int64_t>();
            }
            break;
        default:
            break;
    }
    fail(value, type);
}

/// The elements of a list IValue of any kind.
std::vector<IValue> elements_of(const IValue& value, const SchemaType& type) {
    std::vector<IValue> elements;
    if (const auto* tensors = std::get_if<TensorList>(&value))
        elements.assign(tensors->begin(), tensors->end());
    else if (const auto* ints = std::get_if<Ints>(&value))
        elements.assign(ints->begin(), ints->end());
    else if (const auto* doubles = std::get_if<Doubles>(&value))
        elements.assign(doubles->begin(), doubles->end());
    else if (const auto* bools = std::get_if<Bools>(&value))
        for (const bool b : *bools) elements.emplace_back(b);
    else if (const auto* scalars = std::get_if<ScalarList>(&value))
        for (const Scalar& s : *scalars) elements.push_back(to_ivalue(s));
    else
        elements.assign(static_cast<std::size_t>(type.list_size.value_or(1)), value);  // one number for the whole list
    return elements;
}

template <class T>
std::vector<T> collect(const std::vector<IValue>& elements, const SchemaType& type) {
    std::vector<T> list;
    list.reserve(elements.size());
    for (const IValue& element : elements) {
        const IValue coerced = coerce_element(element, type);
        if constexpr (std::is_same_v<T, Scalar>)
            list.push_back(to_scalar(coerced));
        else
            list.push_back(std::get<T>(coerced));
    }
    return list;
}

}  // namespace

bool has_form(const IValue& value, const SchemaType& type) {
    if (std::holds_alternative<None>(value)) return type.optional;
    return type.list ? list_has_form(value, type.kind) : element_has_form(value, type.kind);
}

IValue coerce(const IValue& value, const SchemaType& type) {
    if (has_form(value, type)) return value;
    if (std::holds_alternative<None>(value)) fail(value, type);
    if (!type.list) return coerce_element(value, type);
    const std::vector<IValue> elements = elements_of(value, type);
    switch (type.kind) {
        case SchemaKind::Tensor:
            return collect<Tensor>(elements, type);
        case SchemaKind::Int:
            return collect<std::int64_t>(elements, type);
        case SchemaKind::Float:
            return collect<double>(elements, type);
        case SchemaKind::Bool:
            return collect<bool>(elements, type);
        case SchemaKind::Scalar:
            return collect<Scalar>(elements, type);
        default:
            fail(value, type);
    }
}

}  // namespace torch_ir
