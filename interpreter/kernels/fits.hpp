// SPDX-License-Identifier: MIT
// The check of numbers that fill tensors.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

/// Throws ArgumentError naming `op` when a tensor of `dtype` cannot hold `number`, as PyTorch does: negative integers
/// wrap in unsigned dtypes, anything else out of range is refused.
void check_fits(const char* op, const Scalar& number, DType dtype);

/// The same of a number that becomes a tensor of its own: of 16-bit floats it may be infinite.
inline void check_fits_tensor(const char* op, const Scalar& number, DType dtype) {
    if (dtype != DType::Float16 && dtype != DType::BFloat16) check_fits(op, number, dtype);
}

/// `number` as a tensor of `dtype` holds it; throws as check_fits.
template <class C>
C fitted(const char* op, const Scalar& number, DType dtype) {
    // Nearly always 0 or 1, which need no tensor.
    if (number.is_integral() && (number.to<std::uint64_t>() >> 1) == 0) return number.to<C>();
    check_fits(op, number, dtype);
    return Tensor::scalar(number, dtype).item().to<C>();
}

/// The same where PyTorch computes 16-bit floats with any float32.
template <class C>
C fitted_wide(const char* op, const Scalar& number, DType dtype) {
    return fitted<C>(op, number, is_half(dtype) ? DType::Float32 : dtype);
}

/// The 0-d tensor `value` in `dtype`; throws as check_fits.
Tensor fitting(const char* op, const Tensor& value, DType dtype);

}  // namespace torch_ir::kernels
