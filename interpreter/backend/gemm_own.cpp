// SPDX-License-Identifier: MIT
#include "backend/deterministic.hpp"
#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"

namespace torch_ir::backend {

std::string gemm_name() { return "own loops"; }

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
          const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc, PackCache* constant_b,
          const float* bias) {
    if (constant_b && !trans_a && m >= 16 && k > 0 && !deterministic &&
        gemm_loop_packed(trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc, *constant_b, bias))
        return;
    beta = start_with(bias, m, n, beta, c, ldc);
    gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
          const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
    gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace torch_ir::backend
