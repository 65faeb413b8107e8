// SPDX-License-Identifier: MIT
#include "allocator.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>

namespace torch_ir {

#ifdef __SANITIZE_ADDRESS__
const bool pools_memory = false;
#elif defined(__clang__)
const bool pools_memory = !__has_feature(address_sanitizer);
#else
const bool pools_memory = true;
#endif

namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t slack = std::size_t{16} << 20;

// Blocks from this size on come from the pool, smaller ones from malloc.
constexpr std::size_t pool_from = pools_memory ? std::size_t{64} << 10 : SIZE_MAX;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

/// Pieces of memory in no use; neighbours are one piece.
class FreeBlocks {
  public:
    void add(std::byte* data, std::size_t size) {
        bytes_ += size;
        auto next = by_address_.lower_bound(data);
        if (next != by_address_.begin()) {
            if (const auto previous = std::prev(next); previous->first + previous->second == data) {
                data = previous->first;
                size += previous->second;
                erase(previous);
            }
        }
        if (next != by_address_.end() && data + size == next->first) {
            size += next->second;
            next = erase(next);
        }
        by_address_.emplace_hint(next, data, size);
        by_size_.emplace(size, data);
    }

    /// The first `size` bytes of the smallest piece that has them; nullptr when none has.
    std::byte* take(std::size_t size) {
        const auto found = by_size_.lower_bound({size, nullptr});
        if (found == by_size_.end()) return nullptr;
        const auto [whole, data] = *found;
        erase(by_address_.find(data));
        bytes_ -= whole;
        if (whole > size) add(data + size, whole - size);
        return data;
    }

    /// The largest piece; there must be one.
    std::pair<std::byte*, std::size_t> take_largest() {
        const auto [size, data] = *by_size_.rbegin();
        erase(by_address_.find(data));
        bytes_ -= size;
        return {data, size};
    }

    std::size_t bytes() const { return bytes_; }

  private:
    using ByAddress = std::map<std::byte*, std::size_t>;

    ByAddress::iterator erase(ByAddress::iterator piece) {
        by_size_.erase({piece->second, piece->first});
        return by_address_.erase(piece);
    }

    ByAddress by_address_;
    std::set<std::pair<std::size_t, std::byte*>> by_size_;
    std::size_t bytes_ = 0;
};

/// Pages of freed blocks are kept, but never make the process larger than 1.25 times its peak of live blocks (plus a
/// little).
class Pool {
  public:
    std::byte* allocate(std::size_t bytes) {
        const std::size_t size = round_up(bytes, alignment);
        const std::scoped_lock lock(mutex_);
        std::byte* data = size < pool_from ? from_malloc(bytes) : take(size);
        live_ += size;
        peak_ = std::max(peak_, live_);
        return data;
    }

    void deallocate(std::byte* data, std::size_t bytes) noexcept {
        const std::size_t size = round_up(bytes, alignment);
        const std::scoped_lock lock(mutex_);
        live_ -= size;
        if (size < pool_from) return std::free(data);
        try {
            kept_.add(data, size);
        } catch (const std::bad_alloc&) {  // lost
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
    static std::byte* from_malloc(std::size_t bytes) {
        void* data = nullptr;
        if (posix_memalign(&data, alignment, std::max<std::size_t>(bytes, 1)) != 0) throw std::bad_alloc();
        return static_cast<std::byte*>(data);
    }

    std::byte* take(std::size_t size) {
        if (std::byte* data = kept_.take(size)) return data;
        const std::size_t live = live_ + size;
        const std::size_t peak = std::max(peak_, live);
        while (kept_.bytes() > 0 && live + kept_.bytes() > peak + peak / 4 + slack) release_largest();
        std::byte* data = fresh_.take(size);
        if (!data) {
            map_more(size);
            data = fresh_.take(size);
        }
        return data;
    }

    /// Address space for at least `size` bytes, offered to the kernel for huge pages, of which there are 512 times
    /// fewer to fault in and to look up. Throws std::bad_alloc.
    void map_more(std::size_t size) {
        constexpr std::size_t least = std::size_t{32} << 20;
        if (size > SIZE_MAX / 2) throw std::bad_alloc();
        const std::size_t mapped = std::max(least, round_up(size, huge_page)) + huge_page;
        void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) throw std::bad_alloc();
        const std::size_t skipped = (huge_page - reinterpret_cast<std::uintptr_t>(start) % huge_page) % huge_page;
#ifdef MADV_HUGEPAGE
        madvise(start, mapped, MADV_HUGEPAGE);
#endif
        fresh_.add(static_cast<std::byte*>(start) + skipped, mapped - skipped);
    }

    /// Gives the pages of the largest kept piece back to the kernel.
    void release_largest() {
        static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const auto [data, size] = kept_.take_largest();
        const std::size_t head = (page - reinterpret_cast<std::uintptr_t>(data) % page) % page;
        if (size >= head + page) madvise(data + head, (size - head) / page * page, MADV_DONTNEED);
        fresh_.add(data, size);
    }

    std::mutex mutex_;
    FreeBlocks kept_;   // with pages behind them
    FreeBlocks fresh_;  // without
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
