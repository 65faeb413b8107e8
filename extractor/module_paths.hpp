// SPDX-License-Identifier: MIT
// Which module of a C++ program makes a call. LibTorch's modules have no hooks, so this is found out from the outside.
#pragma once

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <vector>

#include "torch_ir/ir.hpp"

namespace torch_ir::extractor {

/// A call that reads a parameter or buffer comes from the module that owns it. Of another one the stack tells the
/// type of the module (the innermost `X::forward` frame; one of the program itself where it is linked with -rdynamic),
/// and the instance is the nearest of that type above the last call's, or the next child of that type in the order of
/// calls.
class ModulePaths {
  public:
    explicit ModulePaths(const torch::nn::Module& root);

    Provenance operator()(const std::vector<std::string>& keys);

  private:
    std::string path_of(const std::vector<std::string>& keys);
    std::string child_of_type(const std::string& type);

    std::map<std::string, std::string> types_;  // by path; the root's is empty
    std::string last_;                          // path of the last call
    std::map<std::string, std::size_t> calls_;  // of children without weights, by parent and type
};

}  // namespace torch_ir::extractor
