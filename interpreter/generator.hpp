// SPDX-License-Identifier: MIT
// The random numbers of PyTorch's CPU generator (aten/src/ATen/CPUGeneratorImpl.cpp, core/DistributionsHelper.h):
// the same seed gives the same numbers.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <numbers>
#include <optional>
#include <span>

namespace torch_ir {

/// MT19937 (Matsumoto, Nishimura: Mersenne Twister, 1998), the same numbers as std::mt19937, which hides its state.
struct MersenneTwister {
    static constexpr std::size_t size = 624;

    explicit MersenneTwister(std::uint32_t seed);

    std::uint32_t operator()() {
        if (next == size) twist();
        std::uint32_t word = words[next++];
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c5680U;
        word ^= word << 15 & 0xefc60000U;
        return word ^ word >> 18;
    }

    std::array<std::uint32_t, size> words;
    std::size_t next = size;  // the word that is drawn next; size: none of these

  private:
    void twist();
};

/// A Mersenne twister and what is drawn from it. Callers that draw several numbers hold `mutex`.
class Generator {
  public:
    static constexpr std::uint64_t default_seed = 67280421310721;

    explicit Generator(std::uint64_t seed = default_seed) { manual_seed(seed); }

    Generator(const Generator& other) : seed_(other.seed_), engine_(other.engine_), next_normal_(other.next_normal_) {}
    Generator& operator=(const Generator& other) {
        seed_ = other.seed_;
        engine_ = other.engine_;
        next_normal_ = other.next_normal_;
        return *this;
    }

    void manual_seed(std::uint64_t seed) {
        seed_ = seed;
        engine_ = MersenneTwister(static_cast<std::uint32_t>(seed));
        next_normal_.reset();
    }

    /// Bytes of a state: what torch.Generator.get_state gives (CPUGeneratorImplState in CPUGeneratorImpl.cpp).
    static constexpr std::size_t state_size = 5056;
    void get_state(std::span<std::byte> state) const;
    /// Throws ArgumentError for bytes that are no state.
    void set_state(std::span<const std::byte> state);

    std::uint32_t random() { return engine_(); }
    std::uint64_t random64() {
        const std::uint64_t high = random();
        return high << 32 | random();
    }

    /// In [0, 1) with `bits` random bits (at most 32).
    float uniform_float(int bits = 24) {
        const std::uint32_t mask = bits >= 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << bits) - 1;
        return static_cast<float>(random() & mask) * std::ldexp(1.0F, -bits);
    }
    /// In [0, 1) with 53 random bits.
    double uniform() {
        constexpr std::uint64_t mask = (std::uint64_t{1} << 53) - 1;
        return static_cast<double>(random64() & mask) * 0x1p-53;
    }
    /// Of the standard normal distribution; they come in pairs.
    double normal() {
        if (next_normal_) {
            const double value = *next_normal_;
            next_normal_.reset();
            return value;
        }
        const double u1 = uniform();
        const double u2 = uniform();
        const double radius = std::sqrt(-2 * std::log1p(-u2));
        const double theta = 2 * std::numbers::pi * u1;
        next_normal_ = radius * std::sin(theta);
        return radius * std::cos(theta);
    }

    std::mutex mutex;

  private:
    std::uint64_t seed_ = default_seed;
    MersenneTwister engine_{0};
    std::optional<double> next_normal_;
};

/// The generator of kernels that are given none.
Generator& default_generator();

}  // namespace torch_ir
