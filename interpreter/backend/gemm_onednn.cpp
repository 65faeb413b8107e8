// SPDX-License-Identifier: MIT
#include <dnnl.h>

#include <algorithm>

#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::backend {

std::string gemm_name() {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
}

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
          const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
    if (m == 0 || n == 0) return;
    if (k == 0) return gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    const auto status =
        dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, 1.0F, a, lda, b, ldb, beta, c, ldc);
    if (status != dnnl_success) throw Error("oneDNN refused a matrix product (status " + std::to_string(status) + ")");
}

// oneDNN has no double precision.
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
          const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
    gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace torch_ir::backend
