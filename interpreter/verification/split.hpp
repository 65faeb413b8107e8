// SPDX-License-Identifier: MIT
// The distinct calls of a model as cases: a test suite for a backend.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "verification/tape.hpp"

namespace torch_ir {

/// Some nodes of which each set of equal ones is one case.
struct SplitCase {
    std::string category;              // the op, or `group.conv_batch_norm_relu`
    std::vector<std::uint32_t> nodes;  // the first occurrence
    std::size_t count = 1;             // how often it occurs
};

/// The distinct nodes that compute a tensor: by op, dtypes, shapes and strides of what they read and compute, and
/// constant arguments. With `group` also the distinct occurrences of: convolution, batch norm and activation; linear
/// and GELU (views between them allowed); product, softmax and product of attention with what lies between.
std::vector<SplitCase> find_split_cases(const Model& model, bool group);

struct SplitResult {
    std::size_t written = 0;
    std::vector<std::string> left_out;  // `NAME: why`
};

/// Writes `CATEGORY/N` for each case below a directory that exists: ir.json, inputs, expected, and meta.json with
/// `count`, `node` and `module_path` of the first occurrence. A case that does not repeat by itself (random ops, dtypes
/// that safetensors lacks) is left out.
SplitResult write_split_cases(const std::filesystem::path& directory, const Tape& tape,
                              const std::vector<SplitCase>& cases,
                              const std::function<void(std::size_t done, std::size_t total)>& progress);

}  // namespace torch_ir
