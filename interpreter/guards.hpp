// SPDX-License-Identifier: MIT
// What torch.export assumed about the inputs: guards are Python expressions over them, `L['x'].size()[0] % 2 == 0`.
#pragma once

#include <string>
#include <vector>

#include "ivalue.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

/// Every guard that does not hold for these inputs (one value per user input), with the sizes in it: `guard
/// "x.size()[0] % 2 == 0" does not hold: x.size()[0] is 3`. A guard over anything but sizes, strides, offsets
/// and ints, or over an input that cannot be told, is passed over.
std::vector<std::string> broken_guards(const Model& model, const std::vector<IValue>& user_inputs);

}  // namespace torch_ir
