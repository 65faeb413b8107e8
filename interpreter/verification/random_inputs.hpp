// SPDX-License-Identifier: MIT
// Inputs for a model that has none: drawn by dtype, and by what the graph does with them.
#pragma once

#include <cstdint>

#include "load.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir {

struct RandomOptions {
    std::uint64_t seed = 0;
    bool zero_integers = false;  // 0 for every integer that is no mask
    SymbolValues sizes;  // of symbols; the others have their size at export time, else their least of at least 2
};

/// Inputs by graph input name. Floats are standard normal, bools are true three times in four, integers that index
/// something (embedding, gather, class targets, …) lie in its range, masks are 0 or 1, uint8 0 to 255, other integers 0
/// to 9. The same seed gives the same numbers everywhere. Throws ArgumentError for a size outside its range.
NamedTensors random_inputs(const Model& model, const RandomOptions& options);

}  // namespace torch_ir
