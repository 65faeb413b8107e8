// SPDX-License-Identifier: MIT
// Precompiled: what nearly every test includes.
#include <doctest/doctest.h>

#include "torch_ir/torch_ir.hpp"
