// SPDX-License-Identifier: MIT
// Tensors between Python and the interpreter: memory is shared, never copied, unless a function says so.
#pragma once

#include <nanobind/nanobind.h>

#include "ivalue.hpp"
#include "tensor.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir::python {

namespace nb = nanobind;

/// A tensor as Python sees it.
struct PyTensor {
    Tensor tensor;
    bool readonly = false;  // memory that must not be written to: a mapped file
};

/// Keeps a Python object alive for as long as C++ uses its memory; may be dropped by any thread.
std::shared_ptr<const void> keep_alive(nb::object object);

/// What a run gives to Python: memory of its own. A tensor that lies in borrowed memory (an input or a weight that is
/// handed through) is copied.
PyTensor to_result(const Tensor& tensor);

/// None, a number, text, a tensor or a list of these as a Python object.
nb::object to_python(const IValue& value);

/// The reverse, for the results of Python functions. Throws ArgumentError for another kind of object.
IValue from_python(nb::handle object);

void bind_tensor(nb::module_& module);

}  // namespace torch_ir::python
