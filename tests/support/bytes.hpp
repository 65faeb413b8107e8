// SPDX-License-Identifier: MIT
// Byte strings for tests: numbers, whole files, zip archives with any field set wrong on purpose.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/zip.hpp"

namespace torch_ir::test {

/// Little-endian bytes of a number.
template <class T>
std::string le(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
}

inline std::string u16(std::uint64_t value) { return le(static_cast<std::uint16_t>(value)); }
inline std::string u32(std::uint64_t value) { return le(static_cast<std::uint32_t>(value)); }
inline std::string u64(std::uint64_t value) { return le(value); }

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// An entry as a test wants it; the defaults are right.
struct TestEntry {
    std::string name;
    std::string data;
    std::string local_name = name;
    std::uint16_t method = 0;
    std::uint16_t local_method = method;
    std::uint16_t flags = 0;
    std::uint64_t size = data.size();
    std::uint64_t compressed_size = data.size();
    std::uint32_t crc = crc32(as_bytes(data));
    std::int64_t offset_change = 0;  // of the header offset in the directory
};

struct TestArchive {
    std::vector<TestEntry> entries;
    std::string front;  // bytes before the first entry, which all offsets allow for
    std::string comment;
    bool zip64 = false;  // end records as PyTorch writes them
    std::int64_t count_change = 0;
};

inline std::string make_archive(const TestArchive& archive) {
    std::string bytes = archive.front, directory;
    for (const TestEntry& entry : archive.entries) {
        const std::uint64_t offset = bytes.size() + static_cast<std::uint64_t>(entry.offset_change);
        bytes += u32(0x04034b50) + u16(0) + u16(entry.flags) + u16(entry.local_method) + u32(0) + u32(0) + u32(0) +
                 u32(0) + u16(entry.local_name.size()) + u16(0) + entry.local_name + entry.data;
        directory += u32(0x02014b50) + u16(0) + u16(0) + u16(entry.flags) + u16(entry.method) + u32(0) +
                     u32(entry.crc) + u32(entry.compressed_size) + u32(entry.size) + u16(entry.name.size()) + u16(0) +
                     u16(0) + u16(0) + u16(0) + u32(0) + u32(offset) + entry.name;
    }
    const std::uint64_t start = bytes.size();
    const std::uint64_t count = archive.entries.size() + static_cast<std::uint64_t>(archive.count_change);
    bytes += directory;
    if (archive.zip64) {
        const std::uint64_t end = bytes.size();
        bytes += u32(0x06064b50) + u64(44) + u16(0) + u16(0) + u32(0) + u32(0) + u64(count) + u64(count) +
                 u64(directory.size()) + u64(start);
        bytes += u32(0x07064b50) + u32(0) + u64(end) + u32(1);
    }
    return bytes + u32(0x06054b50) + u16(0) + u16(0) + u16(count) + u16(count) + u32(directory.size()) + u32(start) +
           u16(archive.comment.size()) + archive.comment;
}

inline std::string make_zip(std::vector<TestEntry> entries) {
    return make_archive(TestArchive{std::move(entries), "", "", false, 0});
}

/// Opens an archive held in memory.
inline ZipArchive open_zip(std::string bytes) {
    const auto owner = std::make_shared<const std::string>(std::move(bytes));
    return {as_bytes(*owner), owner};
}

}  // namespace torch_ir::test
