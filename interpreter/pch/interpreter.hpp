// SPDX-License-Identifier: MIT
// Precompiled: what nearly every file of the interpreter includes.
#include "elementwise.hpp"
#include "registry.hpp"
