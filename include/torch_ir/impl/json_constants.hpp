// SPDX-License-Identifier: MIT
// Lifted constants: nested lists of numbers to bytes. Included by _inl files only.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "torch_ir/impl/constant_values.hpp"
#include "torch_ir/impl/json_arguments.hpp"
#include "torch_ir/impl/json_fields.hpp"
#include "torch_ir/impl/shape_text.hpp"

namespace torch_ir::detail {

class ConstantReader {
  public:
    explicit ConstantReader(const Json& json) : json_(json) {}

    Constant read() {
        constant_.meta.dtype = with_context("dtype", [&] { return as_dtype(member(json_, "dtype")); });
        const Json* shape = find_member(json_, "shape");
        if (shape) constant_.meta.shape = as_shape(*shape, "shape");
        if (!has_numeric_text(constant_.meta.dtype)) return read_bytes();
        const Json& data = member(json_, "data");
        if (!shape)  // pytorch-ir leaves it out; it is that of the first elements
            for (const Json* level = &data; level->is_array(); level = &level->front()) {
                constant_.meta.shape.emplace_back(static_cast<std::int64_t>(level->size()));
                if (level->empty()) break;
            }
        checked_numel(constant_.meta.shape, constant_.meta.dtype);
        with_context("data", [&] { read_level(data, 0); });
        return std::move(constant_);
    }

  private:
    Constant read_bytes() {
        const std::int64_t numel = checked_numel(constant_.meta.shape, constant_.meta.dtype);
        for (const Json& byte : to_array(member(json_, "bytes")))
            constant_.data.push_back(static_cast<std::byte>(as_index(byte, 255)));
        const std::size_t expected = static_cast<std::size_t>(numel) * item_size(constant_.meta.dtype);
        if (constant_.data.size() != expected)
            throw ParseError("expected " + std::to_string(expected) + " bytes, found " +
                             std::to_string(constant_.data.size()));
        return std::move(constant_);
    }

    void read_level(const Json& level, std::size_t depth) {
        const Shape& shape = constant_.meta.shape;
        if (depth == shape.size()) return put(level);
        const std::int64_t size = shape[depth].is_static() ? shape[depth].value() : -1;
        if (!level.is_array() || static_cast<std::int64_t>(level.size()) != size)
            throw ParseError("does not have the shape " + shape_text(shape));
        for (const Json& element : level) read_level(element, depth + 1);
    }

    void put(const Json& element) {
        const DType dtype = constant_.meta.dtype;
        with_storage(dtype, [&]<class T>(T) {
            if (dtype == DType::Bool) {
                append<std::uint8_t>(to_bool(element) ? 1 : 0);
            } else if (is_complex(dtype)) {
                const Json& parts = member(element, "complex");
                if (to_array(parts).size() != 2) throw ParseError("expected [real, imaginary]");
                append(static_cast<T>(as_double(parts[0])));
                append(static_cast<T>(as_double(parts[1])));
            } else if (dtype == DType::Float16) {
                append(half_of_double(as_double(element)));
            } else if (dtype == DType::BFloat16) {
                append(bfloat16_of_double(as_double(element)));
            } else if constexpr (std::is_floating_point_v<T>) {
                append(static_cast<T>(as_double(element)));
            } else {
                const std::int64_t value = to_int(element);
                if (!std::in_range<T>(value))
                    throw ParseError(std::to_string(value) + " does not fit " + std::string(name(dtype)));
                append(static_cast<T>(value));
            }
        });
    }

    template <class T>
    void append(T value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        constant_.data.insert(constant_.data.end(), bytes, bytes + sizeof(T));
    }

    const Json& json_;
    Constant constant_;
};

inline Constant read_constant(const Json& json) { return ConstantReader(json).read(); }

}  // namespace torch_ir::detail
