// SPDX-License-Identifier: MIT
// Random rounding for probes.
#pragma once

#include <cstdint>

#include "verification/rounding.hpp"

namespace torch_ir {

/// A stream of random numbers of mean 0 and variance 1. Number `i` depends on nothing else, so that verdicts repeat.
class Noise {
  public:
    explicit Noise(std::uint64_t stream) {
        std::uint64_t z = (stream + 1) * 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        start_ = static_cast<std::uint32_t>(z);
        key_ = static_cast<std::uint32_t>(z >> 32);
    }

    /// Four uniforms of a byte each, of one well mixed number: arithmetic that vectorises.
    float operator()(std::uint32_t i) const {
        std::uint32_t z = i * 0x9E3779B1U + start_;
        z = (z ^ (z >> 16)) * 0x7FEB352DU;
        z = ((z ^ key_) ^ (z >> 15)) * 0x846CA68BU;
        z ^= z >> 16;
        const std::uint32_t pairs = (z & 0x00FF00FFU) + (z >> 8 & 0x00FF00FFU);
        const auto sum = static_cast<std::int32_t>((pairs & 0xFFFFU) + (pairs >> 16));
        return static_cast<float>(sum - 510) * 0.0067659F;  // 1 / sqrt(4 (256² - 1) / 12)
    }

  private:
    std::uint32_t start_;
    std::uint32_t key_;
};

/// to[i] = value[i] + sigma[i] * noise; what is not finite stays as it is.
template <class To, class From>
void shake(To* to, const From* value, const RoundedBlock& block, const Noise& stream) {
    const Noise noise = stream;
    const double* sigma = block.sigma;
    const auto first = static_cast<std::uint32_t>(block.at);
    const auto n = static_cast<std::uint32_t>(block.n);
#pragma GCC ivdep
    for (std::uint32_t i = 0; i < n; ++i) {
        const From before = value[i];
        const From shaken = before + static_cast<From>(static_cast<float>(sigma[i]) * noise(first + i));
        to[i] = static_cast<To>(shaken - shaken == 0 ? shaken : before);
    }
}

}  // namespace torch_ir
