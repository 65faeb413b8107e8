// SPDX-License-Identifier: MIT
// The closed set of values that a pickle can denote here.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "torch_ir/argument.hpp"
#include "torch_ir/dtype.hpp"

namespace torch_ir::detail::pickle {

/// Index into Program::values. Containers may refer to themselves, so nothing here owns anything else.
using Ref = std::uint32_t;

struct Binary {
    std::string bytes;
};

/// A tuple, list or set.
struct Sequence {
    enum class Kind : std::uint8_t { Tuple, List, Set } kind;
    std::vector<Ref> items;
};

/// A dict of any kind, in insertion order.
struct Dict {
    std::vector<std::pair<Ref, Ref>> items;
};

/// A name that the pickle mentions; never looked up.
struct Global {
    std::string module;
    std::string name;
    std::string text() const { return module + "." + name; }
};

/// A storage, or (in legacy files) a part of one, in elements of its dtype.
struct StorageRef {
    std::uint32_t index;  // into Program::storages
    std::int64_t offset;
    std::int64_t numel;
};

/// Where a tensor lies in its storage; checked only when it is made a view.
struct Tensor {
    StorageRef storage;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
    std::int64_t offset;
    bool conjugate;
    bool negative;
};

/// An instance of an unknown class: its constructor arguments and state, inert.
struct Record {
    Ref type;  // a Global
    Ref arguments;
    Ref state;
};

/// A value that checkpoints contain and weights do not need, or a tensor that cannot be read; `what` says which.
struct Opaque {
    std::string what;
    bool is_tensor = false;
};

using Value = std::variant<None, bool, std::int64_t, double, std::complex<double>, std::string, Binary, Sequence, Dict,
                           Global, DType, StorageRef, Tensor, Record, Opaque>;

/// What the persistent ids say about a storage.
struct Storage {
    std::string key;
    DType dtype;
    std::int64_t numel;
};

struct Program {
    std::vector<Value> values;
    std::vector<Storage> storages;
    Ref root = 0;
    std::size_t consumed = 0;  // bytes up to and including STOP
};

inline std::string_view kind_name(const Value& value) {
    constexpr std::array names{"None", "bool",   "int",   "float",   "complex", "string", "bytes",       "sequence",
                               "dict", "global", "dtype", "storage", "tensor",  "object", "opaque value"};
    static_assert(names.size() == std::variant_size_v<Value>);
    return names[value.index()];
}

}  // namespace torch_ir::detail::pickle
