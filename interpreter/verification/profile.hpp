// SPDX-License-Identifier: MIT
// Profiles of the arithmetic of backends, as data.
#pragma once

#include <string>
#include <vector>

#include "verification/rounding.hpp"

namespace torch_ir {

/// The profile of that name among those built in, else the one in the JSON file of that name: an object with any of
/// `name`, `accumulator`, `operand`, `storage`, `convolution` (see RoundingProfile). Throws ArgumentError or
/// ParseError.
RoundingProfile load_profile(const std::string& name_or_file);

/// Names of the profiles built in.
std::vector<std::string> profile_names();

}  // namespace torch_ir
