// SPDX-License-Identifier: MIT
// Includes the whole library.
#pragma once

#include "torch_ir/archive.hpp"
#include "torch_ir/argument.hpp"
#include "torch_ir/builder.hpp"
#include "torch_ir/checkpoint.hpp"
#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/issue.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/safetensors.hpp"
#include "torch_ir/schema.hpp"
#include "torch_ir/symbolic.hpp"
#include "torch_ir/tensor_view.hpp"
#include "torch_ir/text.hpp"
#include "torch_ir/traverse.hpp"
#include "torch_ir/version.hpp"
#include "torch_ir/weights.hpp"
#include "torch_ir/zip.hpp"
