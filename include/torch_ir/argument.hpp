// SPDX-License-Identifier: MIT
// The typed values that a node's arguments can take.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir {

struct Graph;
class Argument;

/// Python's None.
struct None {
    bool operator==(const None&) const = default;
};

/// torch.device: `type` is `cpu`, `cuda`, `meta`, …; no index means the current one.
struct Device {
    std::string type;
    std::optional<int> index;
    bool operator==(const Device&) const = default;
};

/// torch.layout, numbered as torch.export numbers it.
enum class Layout : std::uint8_t { Unknown, SparseCoo, SparseCsr, SparseCsc, SparseBsr, SparseBsc, Mkldnn, Strided };

/// torch.memory_format, numbered as torch.export numbers it.
enum class MemoryFormat : std::uint8_t { Unknown, Contiguous, ChannelsLast, ChannelsLast3d, Preserve };

/// PyTorch's name without the `torch.` prefix: `strided`, `channels_last`, …
std::string_view name(Layout layout);
std::string_view name(MemoryFormat format);
std::optional<Layout> parse_layout(std::string_view text);
std::optional<MemoryFormat> parse_memory_format(std::string_view text);

/// A value of the enclosing graph: an index into Graph::values. Each subgraph counts its own; the same number means
/// another value there.
struct ValueRef {
    std::uint32_t id;
    bool operator==(const ValueRef&) const = default;
};

/// An operator as an argument, e.g. of auto_functionalized: `my.op.default`.
struct OperatorName {
    std::string op_type;
    bool operator==(const OperatorName&) const = default;
};

/// A graph as an argument of a higher-order op. Compared by content.
struct Subgraph {
    std::string name;
    std::shared_ptr<Graph> graph;
    bool operator==(const Subgraph& other) const;
};

using ArgumentList = std::vector<Argument>;
/// A dictionary argument; the order is the source's.
using ArgumentMap = std::vector<std::pair<std::string, Argument>>;

/// One argument: a constant, a reference to a graph value, or a list of these. A symbolic int, float or bool is a
/// ValueRef to a value of that kind. A list is homogeneous in well-formed graphs, None elements aside.
class Argument {
  public:
    using Variant = std::variant<None, bool, std::int64_t, double, std::complex<double>, std::string, DType, Layout,
                                 Device, MemoryFormat, ValueRef, OperatorName, Subgraph, ArgumentList, ArgumentMap>;

    Argument() = default;
    template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Argument> && std::is_constructible_v<Variant, T>)
        Argument(T&& value)  // NOLINT(bugprone-forwarding-reference-overload)
        : value_(std::forward<T>(value)) {}
    Argument(int value) : value_(std::int64_t{value}) {}
    Argument(const char* value) : value_(std::string(value)) {}
    Argument(std::nullptr_t) = delete;  // None{} is Python's None
    Argument(char) = delete;            // a string, or an int?

    bool operator==(const Argument&) const = default;

    const Variant& variant() const { return value_; }

    template <class T>
    bool is() const {
        return std::holds_alternative<T>(value_);
    }
    bool is_none() const { return is<None>(); }

    /// The value as T, or nullptr when it holds another alternative.
    template <class T>
    const T* get_if() const {
        return std::get_if<T>(&value_);
    }
    template <class T>
    T* get_if() {
        return std::get_if<T>(&value_);
    }

    /// The value as T; throws ArgumentError naming both kinds when it holds another alternative.
    template <class T>
    const T& get() const {
        if (const T* value = get_if<T>()) return *value;
        throw ArgumentError("expected " + std::string(kind_name(Argument(T{}).value_.index())) + ", found " +
                            std::string(kind()));
    }

    /// An int, a bool as 0 or 1, or an integral float; throws ArgumentError otherwise, as for a symbolic int, which is
    /// a ValueRef.
    std::int64_t to_int() const;
    /// A number as double; throws ArgumentError otherwise.
    double to_double() const;
    /// A list of ints; a single int is a list of one. Throws ArgumentError otherwise, naming the element.
    std::vector<std::int64_t> to_ints() const;

    /// What it holds, for messages: `int`, `tensor`, `list`, …
    std::string_view kind() const { return kind_name(value_.index()); }

  private:
    /// What was found instead of a number; for what is only known when the graph runs, what to do about it.
    std::string found_text() const {
        const auto* ref = get_if<ValueRef>();
        if (!ref) return std::string(kind());
        return "value number " + std::to_string(ref->id) +
               " of the graph, which is known only when it runs: take get<ValueRef>(), and Value::expr for what it is";
    }

    static constexpr std::string_view kind_name(std::size_t index) {
        constexpr std::string_view names[] = {"None",   "bool",          "int",    "float",  "complex",
                                              "string", "dtype",         "layout", "device", "memory format",
                                              "value",  "operator name", "graph",  "list",   "dict"};
        static_assert(std::size(names) == std::variant_size_v<Variant>);
        return names[index];
    }

    Variant value_;
};

inline std::string_view name(Layout layout) {
    constexpr std::string_view names[] = {"unknown",    "sparse_coo", "sparse_csr", "sparse_csc",
                                          "sparse_bsr", "sparse_bsc", "_mkldnn",    "strided"};
    static_assert(std::size(names) == static_cast<std::size_t>(Layout::Strided) + 1);
    return names[static_cast<std::size_t>(layout)];
}

inline std::string_view name(MemoryFormat format) {
    constexpr std::string_view names[] = {"unknown", "contiguous_format", "channels_last", "channels_last_3d",
                                          "preserve_format"};
    static_assert(std::size(names) == static_cast<std::size_t>(MemoryFormat::Preserve) + 1);
    return names[static_cast<std::size_t>(format)];
}

inline std::optional<Layout> parse_layout(std::string_view text) {
    if (text.starts_with("torch.")) text.remove_prefix(6);
    for (int i = 0; i < 8; ++i)
        if (name(static_cast<Layout>(i)) == text) return static_cast<Layout>(i);
    return std::nullopt;
}

inline std::optional<MemoryFormat> parse_memory_format(std::string_view text) {
    if (text.starts_with("torch.")) text.remove_prefix(6);
    for (int i = 0; i < 5; ++i)
        if (name(static_cast<MemoryFormat>(i)) == text) return static_cast<MemoryFormat>(i);
    return std::nullopt;
}

inline std::int64_t Argument::to_int() const {
    if (const auto* value = get_if<std::int64_t>()) return *value;
    if (const auto* value = get_if<bool>()) return *value ? 1 : 0;
    if (const auto* value = get_if<double>()) {
        constexpr double limit = 9223372036854775808.0;  // 2^63
        if (*value >= -limit && *value < limit && *value == static_cast<double>(static_cast<std::int64_t>(*value)))
            return static_cast<std::int64_t>(*value);
    }
    throw ArgumentError("expected int, found " + found_text());
}

inline double Argument::to_double() const {
    if (const auto* value = get_if<double>()) return *value;
    if (const auto* value = get_if<std::int64_t>()) return static_cast<double>(*value);
    if (const auto* value = get_if<bool>()) return *value ? 1.0 : 0.0;
    throw ArgumentError("expected float, found " + found_text());
}

inline std::vector<std::int64_t> Argument::to_ints() const {
    if (const auto* list = get_if<ArgumentList>()) {
        std::vector<std::int64_t> ints;
        ints.reserve(list->size());
        for (const Argument& element : *list)
            with_context([&] { return "element " + std::to_string(ints.size()); },
                         [&] { ints.push_back(element.to_int()); });
        return ints;
    }
    return {to_int()};
}

}  // namespace torch_ir
