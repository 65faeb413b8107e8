// SPDX-License-Identifier: MIT
// Matrix products. One of gemm_onednn.cpp, gemm_blas.cpp and gemm_own.cpp is built in, by the Meson option `compute`.
#pragma once

#include <cstdint>
#include <string>

#include "backend/pack_cache.hpp"

namespace torch_ir::backend {

/// Which library computes, with its version, for `--version`: `oneDNN 2.6.3`.
std::string gemm_name();

/// Row-major C[m, n] = op(A)[m, k] * op(B)[k, n] + beta * C, where op transposes if asked to; the leading dimensions
/// are row strides of the matrices as stored. With beta = 0, C is only written. Inside a parallel region it runs on the
/// calling thread. `constant_b` belongs to B's memory when that does not change; nullptr when it may. `bias`: with beta
/// = 0, n numbers to add to every row; nullptr: none.
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
          const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc, PackCache* constant_b = nullptr,
          const float* bias = nullptr);
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
          const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc);

}  // namespace torch_ir::backend
