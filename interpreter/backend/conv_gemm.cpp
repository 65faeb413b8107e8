// SPDX-License-Identifier: MIT
#include "backend/conv_loop.hpp"
#include "backend/gemm.hpp"

namespace torch_ir::backend {

std::string conv_name() { return "patches and " + gemm_name(); }

void conv(const ConvGeometry& g, const float* src, const float* weight, const ConvEpilogue& epilogue, float* dst,
          ConvCache* /*cache*/) {
    const detail::Window window(g);
    const std::int64_t channels = g.out_channels;
    const std::int64_t rows = g.batch * window.pixels();
    std::vector<float> held;
    float* sums = dst;
    if (epilogue.add_to_output) {
        held.resize(static_cast<std::size_t>(rows * channels));
        sums = held.data();
    }
    conv_loop(g, src, weight, sums,
              [](std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                 std::int64_t ldb, float* c,
                 std::int64_t ldc) { gemm(false, false, m, n, k, a, lda, b, ldb, 0.0F, c, ldc); });
    if (!epilogue.scale && !epilogue.bias && !epilogue.add_to_output && !epilogue.clamps()) return;
    parallel_for(rows, std::max<std::int64_t>(1, parallel_grain / channels), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            for (std::int64_t c = 0; c < channels; ++c) {
                float y = sums[i * channels + c];
                if (epilogue.scale) y *= epilogue.scale[c];
                if (epilogue.bias) y += epilogue.bias[c];
                if (epilogue.add_to_output) y += dst[i * channels + c];
                y = y < epilogue.low ? epilogue.low : (y > epilogue.high ? epilogue.high : y);
                dst[i * channels + c] = y;
            }
    });
}

}  // namespace torch_ir::backend
