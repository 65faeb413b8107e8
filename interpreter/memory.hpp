// SPDX-License-Identifier: MIT
// What the process occupies, and giving back pages of mapped files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace torch_ir {

/// The most memory the process has had resident, in bytes; 0 where the system does not tell.
std::int64_t peak_resident_bytes();

/// Tells the system that [data, data + bytes) will not be read soon, if it lies in a read-only mapping of a file: its
/// pages leave the process and come back from the file when they are read again. Other memory is left alone.
void release_mapped_pages(const void* data, std::size_t bytes);

}  // namespace torch_ir
