// SPDX-License-Identifier: MIT
#include <cblas.h>

#include <algorithm>

#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"

namespace torch_ir::backend {
namespace {

/// BLAS runs on the calling thread; rows are divided here, so that one pool of threads serves everything.
template <class T, class Call>
void gemm_by_rows(bool trans_a, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, T* c,
                  std::int64_t ldc, Call call) {
    [[maybe_unused]] static const bool single_threaded = [] {
#ifdef OPENBLAS_VERSION
        openblas_set_num_threads(1);
#endif
        return true;
    }();
    const std::int64_t grain = m * n * k < 1000000 ? m : std::max<std::int64_t>(32, (m + 7) / 8);
    parallel_for(m, grain, [&](std::int64_t begin, std::int64_t end) {
        call(end - begin, a + (trans_a ? begin : begin * lda), c + begin * ldc);
    });
}

CBLAS_TRANSPOSE flag(bool trans) { return trans ? CblasTrans : CblasNoTrans; }

}  // namespace

std::string gemm_name() {
#ifdef OPENBLAS_VERSION
    return openblas_get_config();
#else
    return "BLAS";
#endif
}

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
          const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc, PackCache* /*constant_b*/,
          const float* bias) {
    beta = start_with(bias, m, n, beta, c, ldc);
    if (m == 0 || n == 0 || k == 0) return gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    gemm_by_rows(trans_a, m, n, k, a, lda, c, ldc, [&](std::int64_t rows, const float* a_rows, float* c_rows) {
        cblas_sgemm(CblasRowMajor, flag(trans_a), flag(trans_b), static_cast<int>(rows), static_cast<int>(n),
                    static_cast<int>(k), 1.0F, a_rows, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c_rows,
                    static_cast<int>(ldc));
    });
}

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
          const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
    if (m == 0 || n == 0 || k == 0) return gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    gemm_by_rows(trans_a, m, n, k, a, lda, c, ldc, [&](std::int64_t rows, const double* a_rows, double* c_rows) {
        cblas_dgemm(CblasRowMajor, flag(trans_a), flag(trans_b), static_cast<int>(rows), static_cast<int>(n),
                    static_cast<int>(k), 1.0, a_rows, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c_rows,
                    static_cast<int>(ldc));
    });
}

}  // namespace torch_ir::backend
