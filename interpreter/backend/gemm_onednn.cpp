// SPDX-License-Identifier: MIT
#include <map>
#include <tuple>

#include "backend/deterministic.hpp"
#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"
#include "backend/onednn.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::backend {
namespace {

using dnnl::memory;

/// Products of at least this many multiplications are worth a primitive, or dividing among threads.
constexpr std::int64_t large_product = std::int64_t{1} << 22;
/// Elements of a constant matrix that is packed.
constexpr std::int64_t packing_pays = std::int64_t{1} << 16;

void sgemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
           const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
    const auto status =
        dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, 1.0F, a, lda, b, ldb, beta, c, ldc);
    if (status != dnnl_success) throw Error("oneDNN refused a matrix product (status " + std::to_string(status) + ")");
}

/// Strips of the longer side of C side by side: faster than oneDNN's own division for the flat matrices of
/// transformers.
void sgemm_in_strips(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                     std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
    constexpr std::int64_t strips = 4;
    const bool by_rows = m >= n;
    const std::int64_t width = ((by_rows ? m : n) / strips + 16) / 16 * 16;
    parallel_for(by_rows ? m : n, width, [&](std::int64_t begin, std::int64_t end) {
        if (by_rows)
            sgemm(trans_a, trans_b, end - begin, n, k, a + (trans_a ? begin : begin * lda), lda, b, ldb, beta,
                  c + begin * ldc, ldc);
        else
            sgemm(trans_a, trans_b, m, end - begin, k, a, lda, b + (trans_b ? begin * ldb : begin), ldb, beta,
                  c + begin, ldc);
    });
}

/// Without AVX-512, oneDNN packs B for each product, which few rows of A do not make up for: our own loop, which packs
/// a few columns at a time, is faster where B is transposed, and twice as fast where the rows of B are a multiple of 4
/// KiB apart, so that its columns fall into the same cache sets.
bool loop_is_faster(bool trans_b, std::int64_t m, std::int64_t ldb) {
    return without_avx512 && m <= 256 && (trans_b || ldb % 1024 == 0);
}

/// C = A · B + beta · C as a matmul primitive, for B [k, n] of any layout.
dnnl::matmul::primitive_desc describe(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t lda,
                                      const memory::desc& b, float beta, std::int64_t ldc) {
    constexpr auto f32 = memory::data_type::f32;
    dnnl::primitive_attr attributes;
    dnnl::post_ops post;
    if (beta != 0) post.append_sum(beta);
    attributes.set_post_ops(post);
    const dnnl::matmul::desc descriptor(memory::desc({m, k}, f32, memory::dims{lda, 1}), b,
                                        memory::desc({m, n}, f32, memory::dims{ldc, 1}));
    return {descriptor, attributes, engine()};
}

void execute(const dnnl::matmul::primitive_desc& description, const dnnl::matmul& primitive, const float* a,
             const void* b, float* c) {
    primitive.execute(stream(), {{DNNL_ARG_SRC, memory(description.src_desc(), engine(), const_cast<float*>(a))},
                                 {DNNL_ARG_WEIGHTS, memory(description.weights_desc(), engine(), const_cast<void*>(b))},
                                 {DNNL_ARG_DST, memory(description.dst_desc(), engine(), c)}});
    stream().wait();
}

/// A · Bᵀ by the matmul primitive, which reads B where it lies (the layout of linear's weights) up to a sixth faster
/// than sgemm.
void multiply_transposed(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                         const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
    using Key =
        std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float, int>;
    struct Prepared {
        dnnl::matmul::primitive_desc description;
        dnnl::matmul primitive;
    };
    thread_local std::map<Key, Prepared> cache;
    try {
        const Key key{m, n, k, lda, ldb, ldc, beta, get_threads()};
        auto found = cache.find(key);
        if (found == cache.end()) {
            const memory::desc transposed({k, n}, memory::data_type::f32, memory::dims{1, ldb});
            const auto description = describe(m, n, k, lda, transposed, beta, ldc);
            if (cache.size() >= 256) cache.clear();
            found = cache.emplace(key, Prepared{description, dnnl::matmul(description)}).first;
        }
        execute(found->second.description, found->second.primitive, a, b, c);
    } catch (const dnnl::error& error) {
        throw Error("oneDNN refused a matrix product: " + std::string(error.what()));
    }
}

}  // namespace

std::string gemm_name() {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
}

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
          const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc, PackCache* constant_b,
          const float* bias) {
    if (m == 0 || n == 0) return;
    const bool large = m * n * k >= large_product && m >= 16 && !omp_in_parallel();
    const bool packs = !trans_a && constant_b && !deterministic;
    if (packs && m > 1 && n * k >= packing_pays &&
        gemm_loop_packed(trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc, *constant_b, bias))
        return;
    beta = start_with(bias, m, n, beta, c, ldc);
    if (k == 0) return gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    if (large && !trans_a && loop_is_faster(trans_b, m, ldb))
        return gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    if (deterministic && !omp_in_parallel()) {
        if (large) return sgemm_in_strips(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
        const OneThread alone;
        return sgemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    }
    if (large && !trans_a && trans_b) return multiply_transposed(m, n, k, a, lda, b, ldb, beta, c, ldc);
    if (large && get_threads() > 1) return sgemm_in_strips(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    sgemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

// oneDNN has no double precision.
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
          const double* b, std::int64_t ldb, double beta, double* c, std::int64_t ldc) {
    gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace torch_ir::backend
