// SPDX-License-Identifier: MIT
#include "allocator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

using namespace torch_ir;

TEST_CASE("live blocks of memory keep their contents whatever is freed and allocated beside them") {
    struct Block {
        std::byte* data;
        std::size_t bytes;
        std::byte value;
    };
    const auto is_intact = [](const Block& block) {
        return std::all_of(block.data, block.data + block.bytes, [&](std::byte b) { return b == block.value; });
    };
    std::vector<Block> live;
    std::mt19937 random(1);
    const std::size_t before = allocated_bytes();
    std::size_t most = 0;
    for (int i = 0; i < 400; ++i) {
        if (live.size() < 8 || (live.size() < 24 && random() % 2)) {
            const std::size_t bytes = std::size_t{1} << random() % 22;
            Block block{nullptr, bytes + random() % bytes, std::byte(i)};
            block.data = allocate(block.bytes);
            CHECK(reinterpret_cast<std::uintptr_t>(block.data) % 64 == 0);
            std::memset(block.data, i, block.bytes);
            live.push_back(block);
        } else {
            const std::size_t at = random() % live.size();
            CHECK(is_intact(live[at]));
            deallocate(live[at].data, live[at].bytes);
            live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
        }
        most = std::max(most, allocated_bytes() - before);
    }
    CHECK(most > std::size_t{4} << 20);
    CHECK(peak_allocated_bytes() >= before + most);
    for (const Block& block : live) {
        CHECK(is_intact(block));
        deallocate(block.data, block.bytes);
    }
    CHECK(allocated_bytes() == before);
}

TEST_CASE("neighbours that are freed serve a larger tensor" * doctest::skip(!pools_memory)) {
    constexpr std::size_t bytes = std::size_t{40} << 20;  // no other test leaves as much
    std::byte* whole = allocate(2 * bytes);
    deallocate(whole, 2 * bytes);
    std::byte* first = allocate(bytes);
    std::byte* second = allocate(bytes);
    CHECK(first == whole);
    CHECK(second == whole + bytes);
    deallocate(first, bytes);
    deallocate(second, bytes);
    CHECK(allocate(2 * bytes) == whole);
    deallocate(whole, 2 * bytes);
}
