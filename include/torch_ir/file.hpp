// SPDX-License-Identifier: MIT
// Files: read through a read-only mapping, written so that they appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "torch_ir/error.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

/// A regular file mapped read-only for as long as the object lives. The file must not be shortened meanwhile.
class MappedFile {
  public:
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return bytes_; }
    const std::filesystem::path& path() const { return path_; }

  private:
    MappedFile(std::filesystem::path path, std::span<const std::byte> bytes) : path_(std::move(path)), bytes_(bytes) {}
    friend std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path);

    std::filesystem::path path_;
    std::span<const std::byte> bytes_;
};

/// Maps a file; an empty file gives an empty span. Throws IoError (with the system's reason) when it cannot be opened
/// or is not a regular file.
std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path);

/// Both paths name one file, or would once it is written: links are followed. Devices, pipes and folders are never the
/// same file, for nothing in them would be lost; nor is an empty path.
bool are_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// Writes a file that replaces its target at commit(). Until then the bytes go to a temporary file beside it, which the
/// destructor removes. A target that exists and is not a regular file (`/dev/stdout`, a pipe) is written directly.
/// All members throw IoError naming the target.
class FileWriter {
  public:
    explicit FileWriter(std::filesystem::path path);
    FileWriter(const FileWriter&) = delete;
    FileWriter& operator=(const FileWriter&) = delete;
    ~FileWriter();

    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

    /// Everything written becomes visible under the target's name; the writer is then closed.
    void commit();

  private:
    void open_temporary();
    void flush();
    void put(std::span<const std::byte> bytes);

    std::filesystem::path path_;       // as given, for messages
    std::filesystem::path target_;     // with a symbolic link resolved
    std::filesystem::path temporary_;  // empty when written directly
    std::string buffer_;
    int descriptor_ = -1;
};

/// Writes a whole file through FileWriter.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/file_inl.hpp"  // IWYU pragma: export
#endif
