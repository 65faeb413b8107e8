// SPDX-License-Identifier: MIT
// Type promotion as PyTorch does it (c10/core/ScalarType.cpp, aten/src/ATen/native/TypeProperties.cpp).
#pragma once

#include <initializer_list>
#include <span>

#include "tensor.hpp"

namespace torch_ir {

/// torch.promote_types. Throws ArgumentError for pairs without a common type (float8 with another type, opaque types).
DType promote_types(DType a, DType b);

/// torch.result_type over any number of tensors: tensors with dimensions outrank 0-d ones, which outrank numbers,
/// within a category.
DType result_type(std::span<const Tensor* const> tensors);
DType result_type(const Tensor& a, const Tensor& b);
DType result_type(const Tensor& a, const Scalar& b);

/// torch.can_cast: whether a result of dtype `from` may be written to a tensor of dtype `to`. No complex number becomes
/// real, no real one an integer, no number a bool.
bool can_cast(DType from, DType to);

/// Throws ArgumentError unless `value` may be written to `target`: converted only as can_cast allows (to any dtype when
/// the op `converts`), in place of the same shape only, and never real magnitudes of complex numbers.
void check_written(bool in_place, bool converts, const Tensor& value, const Tensor& target);

/// The largest finite value of a floating point or complex dtype of 16 bits a number or more.
double largest_finite(DType dtype);

/// float32 for bool and integers, else the dtype itself: what division, exp, mean and the like compute in.
inline DType to_float(DType dtype) { return is_integral(dtype, true) ? DType::Float32 : dtype; }

/// complex64 → float32 and so on; real dtypes stay.
DType to_real(DType dtype);
/// float32 → complex64 and so on; complex dtypes stay.
DType to_complex(DType dtype);

}  // namespace torch_ir
