// SPDX-License-Identifier: MIT
#include "generator.hpp"

#include <cstring>
#include <string>

#include "torch_ir/error.hpp"

namespace torch_ir {

MersenneTwister::MersenneTwister(std::uint32_t seed) {
    words[0] = seed;
    for (std::uint32_t i = 1; i < size; ++i) words[i] = 1812433253U * (words[i - 1] ^ words[i - 1] >> 30) + i;
}

void MersenneTwister::twist() {
    constexpr std::size_t shift = 397;
    const auto twisted = [&](std::size_t i, std::size_t after) {
        const std::uint32_t word = (words[i] & 0x80000000U) | (words[after] & 0x7fffffffU);
        return word >> 1 ^ ((words[after] & 1U) != 0 ? 0x9908b0dfU : 0U);
    };
    for (std::size_t i = 0; i < size - shift; ++i) words[i] = words[i + shift] ^ twisted(i, i + 1);
    for (std::size_t i = size - shift; i < size - 1; ++i) words[i] = words[i + shift - size] ^ twisted(i, i + 1);
    words[size - 1] = words[shift - 1] ^ twisted(size - 1, 0);
    next = 0;
}

namespace {

/// The layout that PyTorch writes; the other fields of normals were used by PyTorch 0.3 and by normals in float32.
struct State {
    std::uint64_t seed;
    std::int32_t left;  // words that are left of this block, and one
    std::int32_t seeded;
    std::uint64_t next;
    std::uint64_t words[MersenneTwister::size];
    double normal_x;
    double next_normal;
    double normal_rho;
    std::int32_t has_next_normal;
    std::int32_t padding;
    float next_float_normal;
    std::uint32_t has_next_float_normal;
};
static_assert(sizeof(State) == Generator::state_size && offsetof(State, next_float_normal) == 5048);

}  // namespace

void Generator::get_state(std::span<std::byte> state) const {
    State s{};
    s.seed = seed_;
    s.left = static_cast<std::int32_t>(MersenneTwister::size + 1 - engine_.next);
    s.seeded = 1;
    s.next = engine_.next;
    for (std::size_t i = 0; i < MersenneTwister::size; ++i) s.words[i] = engine_.words[i];
    s.next_normal = next_normal_.value_or(0);
    s.has_next_normal = next_normal_.has_value();
    std::memcpy(state.data(), &s, sizeof(s));
}

void Generator::set_state(std::span<const std::byte> state) {
    State s;
    if (state.size() != sizeof(s))
        throw ArgumentError("the state of a generator has " + std::to_string(sizeof(s)) + " bytes, found " +
                            std::to_string(state.size()));
    std::memcpy(&s, state.data(), sizeof(s));
    // A generator that nothing was drawn from has `next` 0.
    const std::uint64_t next = s.left == 1 ? MersenneTwister::size : s.next;
    if (s.left < 1 || next + static_cast<std::uint64_t>(s.left) != MersenneTwister::size + 1)
        throw ArgumentError("the state of a generator is not one of PyTorch's on the CPU: position " +
                            std::to_string(s.next) + ", " + std::to_string(s.left) + " left");
    seed_ = s.seed;
    engine_.next = static_cast<std::size_t>(next);
    for (std::size_t i = 0; i < MersenneTwister::size; ++i) engine_.words[i] = static_cast<std::uint32_t>(s.words[i]);
    next_normal_.reset();
    if (s.has_next_normal != 0) next_normal_ = s.next_normal;
}

Generator& default_generator() {
    static Generator generator;
    return generator;
}

}  // namespace torch_ir
