// SPDX-License-Identifier: MIT
// Reading numbers and text out of untrusted bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace torch_ir::detail {

static_assert(std::endian::native == std::endian::little, "the files are little endian and are read in place");

using Bytes = std::span<const std::byte>;

/// The number at `offset`, which the caller has checked to lie inside.
template <class T>
T load(Bytes bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// True when [offset, offset + size) lies inside `total` bytes, without overflow.
constexpr bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t total) {
    return offset <= total && size <= total - offset;
}

template <class T>
constexpr std::optional<T> checked_add(T a, T b) {
    T sum;
    return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional<T>(sum);
}

template <class T>
constexpr std::optional<T> checked_mul(T a, T b) {
    T product;
    return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional<T>(product);
}

}  // namespace torch_ir::detail
