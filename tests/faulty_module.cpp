// SPDX-License-Identifier: MIT
// Libraries for `torch-ir-extract --module` that go wrong.
#include <stdexcept>

#ifdef TORCH_IR_DATA
extern "C" const int torch_ir_module;
const int torch_ir_module = 0;
#else
extern "C" void torch_ir_module(void*) { throw std::runtime_error("no licence"); }
#endif
