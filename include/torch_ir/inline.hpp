// SPDX-License-Identifier: MIT
// Headers whose bodies are heavy to compile declare here-marked functions and keep the bodies in impl/<name>_inl.hpp.
// By default the bodies are inline and nothing needs to be linked. A project that defines TORCH_IR_COMPILED everywhere
// and compiles one file that defines TORCH_IR_SOURCE and includes torch_ir/torch_ir.hpp pays for them once.
#pragma once

#if defined(TORCH_IR_COMPILED)
#define TORCH_IR_INLINE
#else
#define TORCH_IR_INLINE inline
#endif

#if !defined(TORCH_IR_COMPILED) || defined(TORCH_IR_SOURCE)
#define TORCH_IR_BODIES
#endif
