// SPDX-License-Identifier: MIT
// Random ops give, bit for bit, the numbers of PyTorch's CPU generator (recurrent nets but for the rounding of sums).
// tools/make_random_cases.py writes the calls.
#include <doctest/doctest.h>

#include <array>
#include <random>

#include "generator.hpp"
#include "verification/op_case.hpp"

using namespace torch_ir;

TEST_CASE("random ops draw the numbers that PyTorch draws for a seed") {
    std::size_t count = 0;
    for (const auto& seed : std::filesystem::directory_iterator("tests/data/random"))
        for (const auto& op : std::filesystem::directory_iterator(seed))
            for (const OpCase& call : read_op_cases(op)) {
                default_generator().manual_seed(std::stoull(seed.path().filename()));
                CAPTURE(call.name);
                std::string message;
                CHECK_NOTHROW(message = run_op_case(call));
                CHECK(message == "");
                ++count;
            }
    CHECK(count > 700);
}

TEST_CASE("a generator goes on from its state") {
    MersenneTwister twister(5489);
    std::mt19937 standard;  // seeded with 5489
    for (int i = 0; i < 2000; ++i) CHECK(twister() == standard());

    std::array<std::byte, Generator::state_size> state{};
    for (const int drawn : {0, 1, 311, 312, 5000}) {
        Generator generator(3);
        for (int i = 0; i < drawn; ++i) generator.uniform();
        generator.normal();  // leaves a second number
        generator.get_state(state);
        Generator other;
        other.set_state(state);
        for (int i = 0; i < 700; ++i) CHECK(other.normal() == generator.normal());
    }
    CHECK_THROWS_WITH_AS(Generator().set_state(std::span(state).first(10)),
                         "the state of a generator has 5056 bytes, found 10", ArgumentError);
    state.fill(std::byte{1});
    CHECK_THROWS_AS(Generator().set_state(state), ArgumentError);
}
