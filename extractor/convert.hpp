// SPDX-License-Identifier: MIT
// PyTorch's dtypes, tensors and call arguments as those of the IR.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include <functional>
#include <string>

#include "torch_ir/ir.hpp"

namespace torch_ir::extractor {

/// Throws UnsupportedError for dtypes that torch.export cannot write either.
DType dtype_of(c10::ScalarType type);

/// Shape, dtype, and strides unless row-major. Throws UnsupportedError for tensors that are not strided.
TensorMeta meta_of(const at::Tensor& tensor);
TensorMeta meta_of(c10::ScalarType dtype, at::IntArrayRef sizes, at::IntArrayRef strides);

/// The elements row-major, little endian: a copy. The tensor must be on the CPU.
Constant constant_of(const at::Tensor& tensor);

/// `aten.add.Tensor`, `aten.relu.default`.
std::string op_type_of(const c10::OperatorName& name);

/// An argument of a call as one of the IR; `tensor` says what stands for a tensor. `type` is the schema's: dtypes,
/// layouts and memory formats are plain integers at run time. The device `meta` becomes `cpu`. Throws UnsupportedError
/// naming the kind of value otherwise.
Argument argument_of(const c10::IValue& value, const c10::Type& type,
                     const std::function<Argument(const at::Tensor&)>& tensor);

/// Calls `f(at::Tensor&)` for a tensor or each defined tensor of a list, and puts back what `f` made of it.
void for_each_tensor(c10::IValue& value, const std::function<void(at::Tensor&)>& f);

}  // namespace torch_ir::extractor
