// SPDX-License-Identifier: MIT
// Arithmetic with type promotion, for ops that are written in terms of other ops. Numbers are passed as
// Tensor::wrapped_number.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

Tensor plus(const Tensor& a, const Tensor& b);
Tensor minus(const Tensor& a, const Tensor& b);
Tensor times(const Tensor& a, const Tensor& b);
/// True division: integers give float32.
Tensor divided(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
inline Tensor times(const Tensor& a, double b) { return times(a, Tensor::wrapped_number(Scalar(b))); }

}  // namespace torch_ir::kernels
