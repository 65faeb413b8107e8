// SPDX-License-Identifier: MIT
// The graph of a TorchScript file: traced, scripted, frozen or not.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "extraction.hpp"

namespace torch_ir {

/// An input of forward, by its name there or, with an empty name, by position.
using NamedInput = std::pair<std::string, c10::IValue>;

/// Runs a method of the file once and records it. Numbers fit the types of the method's arguments: 0-d tensors become
/// int, float or bool where it wants those. Tensors that the method puts in an attribute's place (`self.state = …`) are
/// new values of a buffer. `warmup` runs come first, on the values of the inputs, for modules that make their state in
/// the first call. Throws IoError for a file that cannot be read, and like extract.
Extraction extract_torchscript(const std::filesystem::path& path, const std::vector<NamedInput>& inputs,
                               const ExtractOptions& options = {}, int warmup = 0);

}  // namespace torch_ir
