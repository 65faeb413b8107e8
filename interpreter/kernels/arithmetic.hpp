// SPDX-License-Identifier: MIT
// Arithmetic with type promotion, for ops that are written in terms of other ops.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// A number as an operand: its dtype gives way to that of a tensor.
inline Tensor number(const Scalar& value) { return Tensor::wrapped_number(value); }

Tensor plus(const Tensor& a, const Tensor& b);
Tensor minus(const Tensor& a, const Tensor& b);
Tensor times(const Tensor& a, const Tensor& b);
/// True division: integers give float32.
Tensor divided(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
inline Tensor times(const Tensor& a, double b) { return times(a, number(b)); }

}  // namespace torch_ir::kernels
