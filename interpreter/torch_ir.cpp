// SPDX-License-Identifier: MIT
// The heavy bodies of the header-only library, compiled once.
#define TORCH_IR_SOURCE
#include "torch_ir/torch_ir.hpp"
