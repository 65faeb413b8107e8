// SPDX-License-Identifier: MIT
// Working memory of a kernel.
#pragma once

#include <cstdint>
#include <type_traits>

#include "allocator.hpp"

namespace torch_ir {

/// `count` uninitialised numbers from the memory that is kept for tensors: fresh pages would cost more than the work.
template <class T>
class Scratch {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    explicit Scratch(std::int64_t count)
        : bytes_(static_cast<std::size_t>(count) * sizeof(T)), data_(reinterpret_cast<T*>(allocate(bytes_))) {}
    ~Scratch() { deallocate(reinterpret_cast<std::byte*>(data_), bytes_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    T* data() const { return data_; }

  private:
    std::size_t bytes_;
    T* data_;
};

}  // namespace torch_ir
