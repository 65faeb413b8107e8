// SPDX-License-Identifier: MIT
// The parts of the extension module torch_ir._core.
#pragma once

#include <memory>
#include <vector>

#include "binding/tensor.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/issue.hpp"

namespace torch_ir::python {

/// A model, and what contradicts itself in the text that it was read from.
struct PyModel {
    std::shared_ptr<const Model> model;
    std::vector<Issue> conflicts;
};

void bind_fingerprint(nb::module_& module);
void bind_model(nb::module_& module);
void bind_interpreter(nb::module_& module);

}  // namespace torch_ir::python
