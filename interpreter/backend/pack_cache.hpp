// SPDX-License-Identifier: MIT
// Packed forms of constant matrices, kept between the products they take part in.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "scratch.hpp"

namespace torch_ir::backend {

/// A right operand of a product as it lies in memory: op(B)[k, n], row stride `ld`.
struct MatrixPlace {
    const float* data;
    bool trans;
    std::int64_t n;
    std::int64_t k;
    std::int64_t ld;
    auto operator<=>(const MatrixPlace&) const = default;
};

/// What is kept of the matrices in one memory that does not change. Packing costs about what it saves in one product,
/// so it waits for the second one. Thread-safe.
class PackCache {
  public:
    /// The most that the packed forms may occupy together.
    explicit PackCache(std::size_t bytes) : free_(bytes) {}

    /// The packed form of a matrix, made by `pack()`; nullptr at the first product and where there is no room.
    template <class Pack>
    std::shared_ptr<const Scratch<float>> get(const MatrixPlace& matrix, Pack pack) {
        const std::scoped_lock lock(mutex_);
        const auto [found, first] = entries_.try_emplace(matrix);
        Entry& entry = found->second;
        if (first) return nullptr;
        const auto bytes = static_cast<std::size_t>(matrix.n * matrix.k) * sizeof(float);
        if (!entry.tried && bytes <= free_) {
            entry.packed = pack();
            free_ -= bytes;
        }
        entry.tried = true;
        return entry.packed;
    }

  private:
    struct Entry {
        bool tried = false;
        std::shared_ptr<const Scratch<float>> packed;
    };
    std::mutex mutex_;
    std::map<MatrixPlace, Entry> entries_;
    std::size_t free_;
};

}  // namespace torch_ir::backend
