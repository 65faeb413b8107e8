// SPDX-License-Identifier: MIT
// One run of a model with chosen values kept, from which smaller cases are cut.
#pragma once

#include <memory>
#include <vector>

#include "load.hpp"
#include "torch_ir/slice.hpp"
#include "verification/case_files.hpp"
#include "verification/recorder.hpp"

namespace torch_ir {

/// What a run computed, with the inputs and weights that went into it.
class Tape {
  public:
    /// Runs the model, keeping the values marked in `wanted` (by ValueRef::id; empty: all). Throws as Interpreter does.
    /// The registry must outlive the tape.
    Tape(std::shared_ptr<const Model> model, Weights weights, const NamedTensors& inputs, std::vector<bool> wanted = {},
         const Registry& registry = builtin_registry());

    const Model& model() const { return *model_; }
    const Registry& registry() const { return registry_; }

    /// A value of the graph as it is before a node (by index) runs: an input, a weight, or what a node computed. Throws
    /// ArgumentError when it was not kept or its node did not compute it.
    Tensor value(ValueRef ref, std::size_t before) const;

    /// The nodes as a case of their own (see slice), with the values of this run at its edges.
    CaseFiles cut(const std::vector<std::uint32_t>& nodes, const std::vector<ValueRef>& outputs = {},
                  const SliceOptions& options = {}) const;

  private:
    std::shared_ptr<const Model> model_;
    Weights weights_;
    const Registry& registry_;
    std::map<std::uint32_t, Tensor> inputs_;
    Recorder recorder_;
};

/// Every value that is at the edge of one of the node sets: for Tape.
void mark_edges(const Model& model, const std::vector<std::uint32_t>& nodes, std::vector<bool>& wanted);

/// Runs a case in memory with the interpreter; empty when it gives what it expects, else why not.
std::string check_case(const CaseFiles& files, const Registry& registry = builtin_registry());

}  // namespace torch_ir
