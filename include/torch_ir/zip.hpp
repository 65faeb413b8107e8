// SPDX-License-Identifier: MIT
// Zip archives over mapped bytes: the container of `.pt2`, torch.save and TorchScript files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

/// One file of an archive, as the central directory describes it.
struct ZipEntry {
    std::string name;
    std::uint64_t size = 0;             // of the contents
    std::uint64_t compressed_size = 0;  // in the archive; equal to size unless deflated
    std::uint64_t data_offset = 0;      // of the first byte of its data, from the start of the archive
    std::uint32_t crc32 = 0;
    bool deflated = false;
};

/// Contents of an entry, valid as long as `owner` lives.
struct ZipData {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;

    std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// Whether read() compares the contents with the archive's checksum. Skipping leaves the bytes of a stored entry
/// untouched.
enum class Checksum : std::uint8_t { Verify, Skip };

/// The directory of a zip archive, ZIP64 included, and access to its entries. Everything that makes two readers see
/// different contents is refused at opening: several directories, duplicate names, overlapping entries, local headers
/// that contradict the directory, bytes in front of the archive or behind its comment.
class ZipArchive {
  public:
    /// Reads the directory of an archive inside `bytes`, e.g. a nested one; `owner` keeps the bytes alive.
    /// Throws ParseError for malformed archives, UnsupportedError for encryption, other methods than stored and
    /// deflate, and for archives whose deflated entries are larger than `max_inflated` bytes together.
    ZipArchive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
               std::uint64_t max_inflated = std::uint64_t{4} << 30);

    static ZipArchive open(const std::shared_ptr<const MappedFile>& file) { return {file->bytes(), file}; }

    /// In the order of the central directory.
    const std::vector<ZipEntry>& entries() const { return entries_; }

    /// The entry called so, or nullptr.
    const ZipEntry* find(std::string_view name) const;

    /// The contents of an entry of this archive: stored ones in place, deflated ones inflated (UnsupportedError in a
    /// build without zlib). Throws ParseError naming the entry when the checksum or the inflated size differs.
    ZipData read(const ZipEntry& entry, Checksum checksum = Checksum::Verify) const;

    /// Reads every entry with its checksum, the names of those that are damaged; touches all bytes.
    std::vector<std::string> damaged_entries() const;

  private:
    struct Directory;
    Directory find_directory() const;
    void read_directory(const Directory& directory);
    void locate_data(const Directory& directory, std::vector<std::uint64_t> header_offsets);
    ZipData inflate(const ZipEntry& entry) const;

    std::span<const std::byte> bytes_;
    std::shared_ptr<const void> owner_;
    std::vector<ZipEntry> entries_;
    std::vector<std::size_t> by_name_;  // indices of entries_, sorted by name
};

/// True when the bytes begin as a zip archive does.
bool looks_like_zip(std::span<const std::byte> bytes);

/// CRC-32 as zip uses it (polynomial 0xEDB88320).
std::uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/zip_inl.hpp"  // IWYU pragma: export
#endif
