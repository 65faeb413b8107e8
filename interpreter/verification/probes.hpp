// SPDX-License-Identifier: MIT
// Runs with random rounding beside the float64 result: their spread says what rounding does to what the candidate does
// not show.
#pragma once

#include <cstdint>
#include <vector>

#include "verification/rounding.hpp"

namespace torch_ir {

/// Where the random numbers of one result's probes come from: verdicts repeat.
struct NoiseStream {
    std::uint64_t number;     // of the result
    std::size_t first_probe;  // probes before it are those of an earlier run
};

/// Adds the rounding of a result to its probes: in a region to what they hold, else to the result. They come out in
/// `dtype`. A result that is only there in blocks is kept on the way, without its sigma.
void shake_probes(Reference& reference, std::vector<IValue>& probes, bool region, const NoiseStream& stream,
                  DType dtype);

/// Gives a result in floats the sigma, and as a bound the same, that the spread of its probes says: at least one
/// rounding to `dtype`, which may leave all probes of a few elements as they are.
void widen(Reference& reference, const std::vector<IValue>& probes, DType dtype);

}  // namespace torch_ir
