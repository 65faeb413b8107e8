// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "torch_ir/ir.hpp"
