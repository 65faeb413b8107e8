// SPDX-License-Identifier: MIT
// Transforms that others build on. Normalisation: 0 none, 1 by the square root of the size, 2 by the size.
#pragma once

#include "tensor.hpp"

namespace torch_ir::kernels {

Tensor fft_c2c(const Tensor& self, const Ints& dim, std::int64_t normalization, bool forward);
/// The last of `dim` is halved when `onesided`.
Tensor fft_r2c(const Tensor& self, const Ints& dim, std::int64_t normalization, bool onesided);
Tensor fft_c2r(const Tensor& self, const Ints& dim, std::int64_t normalization, std::int64_t last_dim_size);

}  // namespace torch_ir::kernels
