// SPDX-License-Identifier: MIT
#include "memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace torch_ir {
namespace {

/// Whether /proc/self/maps has one read-only file mapping around the range. MADV_DONTNEED would erase other memory.
bool is_file_mapped(std::uintptr_t begin, std::uintptr_t end) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        char permissions[5] = {};
        unsigned long inode = 0;
        if (std::sscanf(line.c_str(), "%zx-%zx %4s %*s %*s %lu", &from, &to, permissions, &inode) != 4) continue;
        if (from <= begin && end <= to) return inode != 0 && permissions[0] == 'r' && permissions[1] == '-';
    }
    return false;
}

}  // namespace

std::int64_t peak_resident_bytes() {
    // getrusage would count what the process was before exec, too.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
    return 0;
}

void release_mapped_pages(const void* data, std::size_t bytes) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / page * page;
    if (begin < end && is_file_mapped(begin, end))
        madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace torch_ir
