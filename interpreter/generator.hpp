// SPDX-License-Identifier: MIT
// The random numbers of PyTorch's CPU generator (aten/src/ATen/CPUGeneratorImpl.cpp, core/DistributionsHelper.h):
// the same seed gives the same numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <mutex>
#include <numbers>
#include <optional>
#include <random>

namespace torch_ir {

/// A Mersenne twister (MT19937). Callers that draw several numbers hold `mutex`.
class Generator {
  public:
    static constexpr std::uint64_t default_seed = 67280421310721;

    explicit Generator(std::uint64_t seed = default_seed) { manual_seed(seed); }

    void manual_seed(std::uint64_t seed) {
        engine_.seed(static_cast<std::uint32_t>(seed));
        next_normal_.reset();
    }

    std::uint32_t random() { return static_cast<std::uint32_t>(engine_()); }
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
    std::mt19937 engine_;
    std::optional<double> next_normal_;
};

/// The generator of kernels that are given none.
Generator& default_generator();

}  // namespace torch_ir
