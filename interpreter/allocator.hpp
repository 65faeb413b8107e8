// SPDX-License-Identifier: MIT
// Memory for activations: what is freed goes to the next tensor that fits, as it is still in the cache and its pages
// are there; fresh ones cost more than the arithmetic of a small op.
#pragma once

#include <cstddef>

namespace torch_ir {

/// Whether freed memory goes to other tensors. Not under AddressSanitizer, which knows the bounds of malloc's blocks
/// only.
extern const bool pools_memory;

/// 64-byte aligned memory of at least `bytes`, uninitialised. Thread-safe. Throws std::bad_alloc.
std::byte* allocate(std::size_t bytes);

/// Gives back what allocate returned; `bytes` must be the same.
void deallocate(std::byte* data, std::size_t bytes) noexcept;

/// Bytes in live blocks now, and the most there ever were.
std::size_t allocated_bytes();
std::size_t peak_allocated_bytes();

}  // namespace torch_ir
