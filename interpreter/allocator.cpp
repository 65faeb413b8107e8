// SPDX-License-Identifier: MIT
#include "allocator.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

namespace torch_ir {
namespace {

constexpr std::size_t alignment = 64;

/// Sizes in steps of 1/8 of a power of two, so that a kept block fits the next tensor with little waste.
std::size_t size_class(std::size_t bytes) {
    if (bytes <= 512) return std::max<std::size_t>(alignment, (bytes + alignment - 1) / alignment * alignment);
    std::size_t step = alignment;
    while (step * 16 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

/// Memory that is not initialised. Large blocks are offered to the kernel for huge pages, of which there are 512 times
/// fewer to fault in and to look up; only those pages that a block fills, so that it takes no more memory. Throws
/// std::bad_alloc.
std::byte* fresh_block(std::size_t size) {
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    void* data = nullptr;
    if (posix_memalign(&data, size < huge_page ? alignment : huge_page, size) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (size >= huge_page) madvise(data, size / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return static_cast<std::byte*>(data);
}

/// Kept blocks never make the process larger than 1.25 times its peak of live blocks (plus a little).
class Pool {
  public:
    std::byte* allocate(std::size_t bytes) {
        const std::size_t size = size_class(bytes);
        {
            const std::scoped_lock lock(mutex_);
            live_ += size;
            peak_ = std::max(peak_, live_);
            if (const auto kept = kept_.lower_bound(size); kept != kept_.end() && kept->first == size) {
                std::byte* data = kept->second;
                kept_.erase(kept);
                kept_bytes_ -= size;
                return data;
            }
            while (!kept_.empty() && live_ + kept_bytes_ > peak_ + peak_ / 4 + slack) release_largest();
        }
        return fresh_block(size);
    }

    void deallocate(std::byte* data, std::size_t bytes) noexcept {
        const std::size_t size = size_class(bytes);
        const std::scoped_lock lock(mutex_);
        live_ -= size;
        try {
            kept_.emplace(size, data);
            kept_bytes_ += size;
        } catch (const std::bad_alloc&) {
            std::free(data);
        }
    }

    std::size_t live() {
        const std::scoped_lock lock(mutex_);
        return live_;
    }
    std::size_t peak() {
        const std::scoped_lock lock(mutex_);
        return peak_;
    }

  private:
    static constexpr std::size_t slack = std::size_t{16} << 20;

    void release_largest() {
        const auto last = std::prev(kept_.end());
        kept_bytes_ -= last->first;
        std::free(last->second);
        kept_.erase(last);
    }

    std::mutex mutex_;
    std::multimap<std::size_t, std::byte*> kept_;
    std::size_t kept_bytes_ = 0;
    std::size_t live_ = 0;
    std::size_t peak_ = 0;
};

/// Never destroyed: tensors in static storage may outlive it otherwise.
Pool& pool() {
    static Pool& instance = *new Pool;
    return instance;
}

}  // namespace

std::byte* allocate(std::size_t bytes) { return pool().allocate(bytes); }
void deallocate(std::byte* data, std::size_t bytes) noexcept { pool().deallocate(data, bytes); }
std::size_t allocated_bytes() { return pool().live(); }
std::size_t peak_allocated_bytes() { return pool().peak(); }

}  // namespace torch_ir
