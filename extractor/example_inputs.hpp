// SPDX-License-Identifier: MIT
// Example inputs from a file or from the command line.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "torchscript.hpp"

namespace torch_ir {

/// The tensors of a safetensors file, by name; `input_N` in their order. Throws IoError and ParseError.
std::vector<NamedInput> read_inputs(const std::filesystem::path& path);

/// `x=1,3,224,224`, `ids=1,16:int64` (a tensor of zeros; float32 without a dtype), `sr:16000`, `flag:true`,
/// `mask:none`; without a name `1,3,224,224` and `:16000`. Throws ArgumentError.
NamedInput parse_input(const std::string& text);

}  // namespace torch_ir
