// SPDX-License-Identifier: MIT
// What an argument or result of an op can be at run time, and its conversion to the parameter types of kernels.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "scalar.hpp"
#include "tensor.hpp"
#include "torch_ir/argument.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {

class Plan;

/// An undefined element stands for None.
using TensorList = std::vector<Tensor>;
using Doubles = std::vector<double>;
using Bools = std::vector<bool>;
using ScalarList = std::vector<Scalar>;

/// A run-time value, after PyTorch's IValue.
using IValue =
    std::variant<None, Tensor, bool, std::int64_t, double, std::complex<double>, std::string, DType, Layout, Device,
                 MemoryFormat, TensorList, Ints, Doubles, Bools, ScalarList, std::shared_ptr<const Plan>>;

/// What it holds, for messages.
std::string_view kind(const IValue& value);

/// The value in the form that a parameter of that type takes: a number in a Tensor's place becomes a wrapped number, an
/// int in a float's place a float, one number in a list's place a list, a 0-d tensor in a Scalar's place its item.
/// Throws ArgumentError naming both kinds when it cannot be.
IValue coerce(const IValue& value, const SchemaType& type);

/// True when `coerce` would return the value as it is.
bool has_form(const IValue& value, const SchemaType& type);

namespace detail {

template <class P>
struct Parameter;  // accepts(type): may a kernel take this type so; get(value): the coerced value as P

template <class P, SchemaKind Kind, bool IsList = false>
struct PlainParameter {
    static bool accepts(const SchemaType& type) { return type.kind == Kind && type.list == IsList && !type.optional; }
    static const P& get(const IValue& value) { return std::get<P>(value); }
};

template <>
struct Parameter<std::int64_t> : PlainParameter<std::int64_t, SchemaKind::Int> {};
template <>
struct Parameter<double> : PlainParameter<double, SchemaKind::Float> {};
template <>
struct Parameter<bool> : PlainParameter<bool, SchemaKind::Bool> {};
template <>
struct Parameter<std::string> : PlainParameter<std::string, SchemaKind::String> {};
template <>
struct Parameter<DType> : PlainParameter<DType, SchemaKind::ScalarType> {};
template <>
struct Parameter<Layout> : PlainParameter<Layout, SchemaKind::Layout> {};
template <>
struct Parameter<Device> : PlainParameter<Device, SchemaKind::Device> {};
template <>
struct Parameter<MemoryFormat> : PlainParameter<MemoryFormat, SchemaKind::MemoryFormat> {};
template <>
struct Parameter<Ints> : PlainParameter<Ints, SchemaKind::Int, true> {};
template <>
struct Parameter<Doubles> : PlainParameter<Doubles, SchemaKind::Float, true> {};
template <>
struct Parameter<Bools> : PlainParameter<Bools, SchemaKind::Bool, true> {};
template <>
struct Parameter<ScalarList> : PlainParameter<ScalarList, SchemaKind::Scalar, true> {};

/// `Tensor` and `Tensor?`; the latter is undefined for None. A Scalar may be taken as a tensor too (a wrapped number),
/// so that
/// `.Scalar` and `.Tensor` overloads share a kernel.
template <>
struct Parameter<Tensor> {
    static bool accepts(const SchemaType& type) {
        return (type.kind == SchemaKind::Tensor || type.kind == SchemaKind::Scalar) && !type.list;
    }
    static const Tensor& get(const IValue& value) {
        static const Tensor undefined;
        return std::holds_alternative<None>(value) ? undefined : std::get<Tensor>(value);
    }
};

template <>
struct Parameter<TensorList> {
    static bool accepts(const SchemaType& type) { return type.kind == SchemaKind::Tensor && type.list; }
    static const TensorList& get(const IValue& value) {
        static const TensorList empty;
        return std::holds_alternative<None>(value) ? empty : std::get<TensorList>(value);
    }
};

template <>
struct Parameter<Scalar> {
    static bool accepts(const SchemaType& type) {
        return type.kind == SchemaKind::Scalar && !type.list && !type.optional;
    }
    static Scalar get(const IValue& value);
};

/// A random generator, which kernels have in their Context.
template <>
struct Parameter<None> {
    static bool accepts(const SchemaType& type) {
        return type.kind == SchemaKind::Generator || type.kind == SchemaKind::Other;
    }
    static None get(const IValue&) { return {}; }
};

template <class P>
struct Parameter<std::optional<P>> {
    static bool accepts(const SchemaType& type) {
        SchemaType plain = type;
        plain.optional = false;
        return type.optional && Parameter<P>::accepts(plain);
    }
    static std::optional<P> get(const IValue& value) {
        if (std::holds_alternative<None>(value)) return std::nullopt;
        return Parameter<P>::get(value);
    }
};

inline void append_result(std::vector<IValue>& results, Tensor tensor) {
    if (tensor.defined())
        results.emplace_back(std::move(tensor));
    else
        results.emplace_back(None{});
}
inline void append_result(std::vector<IValue>& results, TensorList list) { results.emplace_back(std::move(list)); }
inline void append_result(std::vector<IValue>& results, Ints list) { results.emplace_back(std::move(list)); }
inline void append_result(std::vector<IValue>& results, bool value) { results.emplace_back(value); }
inline void append_result(std::vector<IValue>& results, std::int64_t value) { results.emplace_back(value); }
inline void append_result(std::vector<IValue>& results, double value) { results.emplace_back(value); }
inline void append_result(std::vector<IValue>& results, DType value) { results.emplace_back(value); }
void append_result(std::vector<IValue>& results, const Scalar& value);
template <class... T>
void append_result(std::vector<IValue>& results, std::tuple<T...> values) {
    std::apply([&](auto&... value) { (append_result(results, std::move(value)), ...); }, values);
}

}  // namespace detail

/// A number IValue of the scalar's kind.
IValue to_ivalue(const Scalar& scalar);
/// A bool, int, float or complex IValue, or a 0-d tensor, as Scalar. Throws ArgumentError otherwise.
Scalar to_scalar(const IValue& value);

}  // namespace torch_ir
