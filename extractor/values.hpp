// SPDX-License-Identifier: MIT
// The nested inputs and outputs of a program: their leaves, and pytree specs as torch.export writes them.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "recorder.hpp"

namespace torch_ir::extractor {

/// The value as an argument of that type: 0-d tensors become the number that it wants, an int a float. Throws
/// ArgumentError naming the input, the type and what was found.
c10::IValue fitted(const c10::IValue& value, const c10::TypePtr& type, const std::string& name);

/// The value with every tensor in it made an input of the recording, called after the place: `x`, `past_0`, `past_1`.
c10::IValue add_inputs(Recorder& recorder, const c10::IValue& value, const std::string& name);

/// Makes the leaves of the value the outputs of the recording.
void add_outputs(Recorder& recorder, const c10::IValue& value);

/// `{"type": "builtins.tuple", "context": "null", "children_spec": […]}`.
std::string spec_of(const c10::IValue& value);

/// The specs of a call with these positional arguments, and of what it returns.
void set_specs(Model& model, const std::vector<c10::IValue>& inputs, const c10::IValue& output);

}  // namespace torch_ir::extractor
