// SPDX-License-Identifier: MIT
#include "parallel.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <vector>

namespace torch_ir::detail {
namespace {

/// Pieces that one thread begins with; in a line of the cache of its own.
struct alignas(64) Share {
    std::atomic<std::int64_t> next = 0;
    std::int64_t end = 0;
};

}  // namespace

void run_pieces(std::int64_t count, std::int64_t grain, void (*run)(void*, std::int64_t, std::int64_t), void* context) {
    if (count <= 0) return;
    grain = std::max<std::int64_t>(1, grain);
    const std::int64_t pieces = (count + grain - 1) / grain;
    const std::int64_t threads = get_threads();
    if (pieces == 1 || threads == 1 || omp_in_parallel()) {
        for (std::int64_t i = 0; i < count; i += grain) run(context, i, std::min(count, i + grain));
        return;
    }
    std::vector<Share> shares(static_cast<std::size_t>(threads));
    for (std::int64_t t = 0; t < threads; ++t) {
        shares[static_cast<std::size_t>(t)].next = pieces * t / threads;
        shares[static_cast<std::size_t>(t)].end = pieces * (t + 1) / threads;
    }
    std::exception_ptr failure;
    std::mutex mutex;
    // A thread takes its own share first, which was in its cache after the step before, then what is left of the
    // others': a processor that other work slows down holds up nobody.
#pragma omp parallel
    for (std::int64_t k = 0; k < threads; ++k) {
        Share& share = shares[static_cast<std::size_t>((omp_get_thread_num() + k) % threads)];
        for (;;) {
            const std::int64_t piece = share.next.fetch_add(1, std::memory_order_relaxed);
            if (piece >= share.end) break;
            try {
                run(context, piece * grain, std::min(count, (piece + 1) * grain));
            } catch (...) {
                const std::scoped_lock lock(mutex);
                failure = std::current_exception();
            }
        }
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace torch_ir::detail
