// SPDX-License-Identifier: MIT
// The nested inputs and outputs of a program: their leaves, and pytree specs as torch.export writes them.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "extraction.hpp"
#include "recorder.hpp"

namespace torch_ir::extractor {

/// The value as an argument of that type: 0-d tensors become the number that it wants, an int a float. Throws
/// ArgumentError naming the input, the type and what was found.
c10::IValue fitted(const c10::IValue& value, const c10::TypePtr& type, const std::string& name);

/// The value with every tensor in it made an input of the recording, called after the place: `x`, `past_0`, `past_1`.
c10::IValue add_inputs(Recorder& recorder, const c10::IValue& value, const std::string& name);

/// What was recorded: the leaves of `output` are the graph's outputs, `inputs` the positional arguments of the call.
/// The recorder is done with then.
Extraction finish(Recorder& recorder, const std::vector<c10::IValue>& inputs, const c10::IValue& output);

}  // namespace torch_ir::extractor
