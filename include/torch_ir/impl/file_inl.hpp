// SPDX-License-Identifier: MIT
// POSIX bodies of file.hpp.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "torch_ir/file.hpp"

namespace torch_ir {

namespace detail {

[[noreturn]] inline void throw_io_error(std::string_view what, const std::filesystem::path& path, int error_number) {
    throw IoError(std::string(what) + " '" + path.string() + "': " + std::generic_category().message(error_number));
}

/// Closes a descriptor on scope exit.
struct Descriptor {
    int value;
    explicit Descriptor(int descriptor) : value(descriptor) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
};

}  // namespace detail

TORCH_IR_INLINE MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

TORCH_IR_INLINE std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a pipe without a writer must not hang before it can be refused.
    const detail::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.value < 0) detail::throw_io_error("cannot open", path, errno);
    struct stat status {};
    if (::fstat(file.value, &status) != 0) detail::throw_io_error("cannot read", path, errno);
    if (S_ISDIR(status.st_mode)) detail::throw_io_error("cannot read", path, EISDIR);
    if (!S_ISREG(status.st_mode)) throw IoError("cannot read '" + path.string() + "': expected a regular file");

    std::span<const std::byte> bytes;
    if (const auto size = static_cast<std::size_t>(status.st_size); size > 0) {
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value, 0);
        if (address == MAP_FAILED) detail::throw_io_error("cannot map", path, errno);
        bytes = {static_cast<const std::byte*>(address), size};
    }
    return std::shared_ptr<const MappedFile>(new MappedFile(path, bytes));
}

TORCH_IR_INLINE bool are_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (fs::exists(a, error) && fs::exists(b, error))
        return fs::is_regular_file(a, error) && fs::equivalent(a, b, error);
    // A path that is empty, or that the system cannot look at, stays empty here.
    const auto resolved = [&](const fs::path& path) {
        return path.empty() ? path : fs::weakly_canonical(fs::absolute(path, error), error);
    };
    const fs::path target = resolved(a);
    return !target.empty() && target == resolved(b);
}

TORCH_IR_INLINE FileWriter::FileWriter(std::filesystem::path path) : path_(std::move(path)), target_(path_) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (fs::is_directory(path_, ignored)) detail::throw_io_error("cannot write", path_, EISDIR);
    if (fs::exists(path_, ignored) && !fs::is_regular_file(path_, ignored)) {
        descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    } else {
        if (fs::is_symlink(path_, ignored)) target_ = fs::weakly_canonical(path_, ignored);
        open_temporary();
    }
    if (descriptor_ < 0) detail::throw_io_error("cannot write", path_, errno);
}

TORCH_IR_INLINE FileWriter::~FileWriter() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

TORCH_IR_INLINE void FileWriter::open_temporary() {
    // Not mkstemp: it creates files that nobody else may read, whatever the user's umask says.
    for (int attempt = 0; descriptor_ < 0 && attempt < 1000; ++attempt) {
        temporary_ = target_;
        temporary_ += "." + std::to_string(::getpid()) + "." + std::to_string(attempt) + ".tmp";
        descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor_ < 0 && errno != EEXIST) return;
    }
}

TORCH_IR_INLINE void FileWriter::write(std::span<const std::byte> bytes) {
    constexpr std::size_t buffer_size = 1 << 16;
    if (bytes.size() < buffer_size) {
        buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (buffer_.size() >= buffer_size) flush();
    } else {
        flush();
        put(bytes);
    }
}

TORCH_IR_INLINE void FileWriter::flush() {
    put(std::as_bytes(std::span(buffer_)));
    buffer_.clear();
}

TORCH_IR_INLINE void FileWriter::put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) detail::throw_io_error("cannot write", path_, errno);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

TORCH_IR_INLINE void FileWriter::commit() {
    flush();
    const int descriptor = std::exchange(descriptor_, -1);
    const bool closed = ::close(descriptor) == 0;  // some file systems report a full disk only here
    if (closed && (temporary_.empty() || ::rename(temporary_.c_str(), target_.c_str()) == 0)) return;
    const int error_number = errno;
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    detail::throw_io_error("cannot write", path_, error_number);
}

TORCH_IR_INLINE void write_file(const std::filesystem::path& path, std::string_view text) {
    FileWriter writer(path);
    writer.write(text);
    writer.commit();
}

}  // namespace torch_ir
