// SPDX-License-Identifier: MIT
#include "parallel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <vector>

using namespace torch_ir;

namespace {

/// Sets the number of threads for a test.
struct Threads {
    explicit Threads(int count) { set_threads(count); }
    ~Threads() { set_threads(before); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    int before = get_threads();
};

}  // namespace

TEST_CASE("parallel_for visits every index once, in pieces that do not depend on the number of threads") {
    for (const int threads : {1, 2, 3, 8})
        for (const std::int64_t count : {0, 1, 9, 10, 11, 1003}) {
            const Threads setting(threads);
            std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
            std::atomic<bool> whole_pieces = true;
            parallel_for(count, 10, [&](std::int64_t begin, std::int64_t end) {
                if (begin % 10 != 0 || end != std::min(count, begin + 10)) whole_pieces = false;
                for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
            });
            CHECK(whole_pieces);
            for (const auto& visited : visits) CHECK(visited == 1);
        }
}

TEST_CASE("a thread that is held up leaves its pieces to the others") {
    const Threads setting(2);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::atomic<int> others = 0;
    int seen_by_first = 0;
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t) {
        if (begin > 0) {
            ++others;
            return;
        }
        do seen_by_first = others;
        while (seen_by_first < 99 && std::chrono::steady_clock::now() < patience);
    });
    CHECK(seen_by_first == 99);
}

TEST_CASE("an exception in a piece reaches the caller of parallel_for") {
    for (const int threads : {1, 2}) {
        const Threads setting(threads);
        CHECK_THROWS_WITH_AS(parallel_for(100, 1,
                                          [](std::int64_t begin, std::int64_t) {
                                              if (begin == 77) throw std::runtime_error("piece 77");
                                          }),
                             "piece 77", std::runtime_error);
    }
}

TEST_CASE("a loop inside a parallel loop runs in its thread") {
    const Threads setting(2);
    std::atomic<std::int64_t> sum = 0;
    std::atomic<bool> moved = false;
    parallel_for(4, 1, [&](std::int64_t outer, std::int64_t) {
        const int thread = omp_get_thread_num();
        parallel_for(5, 1, [&](std::int64_t inner, std::int64_t) {
            if (omp_get_thread_num() != thread) moved = true;
            sum += 5 * outer + inner;
        });
    });
    CHECK(sum == 190);
    CHECK(!moved);
}
