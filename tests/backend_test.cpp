// SPDX-License-Identifier: MIT
// Matrix products and convolutions against plain loops in double; built once for each back end.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "backend/conv.hpp"
#include "backend/conv_loop.hpp"
#include "backend/gemm.hpp"
#include "parallel.hpp"

using namespace torch_ir::backend;

namespace {

template <class T>
std::vector<T> numbers(std::int64_t count, unsigned seed) {
    std::vector<T> result(static_cast<std::size_t>(count));
    unsigned state = seed * 2654435761U + 1U;
    for (T& value : result) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<T>(state >> 8) / T(8388608) - T(1);
    }
    return result;
}

template <class T>
double gemm_error(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T beta, int calls = 1,
                  bool with_bias = false) {
    const std::int64_t lda = (trans_a ? m : k) + 3;
    const std::int64_t ldb = (trans_b ? k : n) + 1;
    const std::int64_t ldc = n + 2;
    const std::vector<T> a = numbers<T>((trans_a ? k : m) * lda, 1);
    const std::vector<T> b = numbers<T>((trans_b ? n : k) * ldb, 2);
    const std::vector<T> before = numbers<T>(m * ldc, 3);
    const std::vector<T> bias = with_bias ? numbers<T>(n, 4) : std::vector<T>(static_cast<std::size_t>(n));
    std::vector<T> c;
    PackCache constant_b(b.size() * sizeof(T));
    for (int call = 0; call < calls; ++call) {
        c = before;
        if constexpr (std::is_same_v<T, float>)
            gemm(trans_a, trans_b, m, n, k, a.data(), lda, b.data(), ldb, beta, c.data(), ldc, &constant_b,
                 with_bias ? bias.data() : nullptr);
        else
            gemm(trans_a, trans_b, m, n, k, a.data(), lda, b.data(), ldb, beta, c.data(), ldc);
    }
    double worst = 0;
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < ldc; ++j) {
            const auto at = static_cast<std::size_t>(i * ldc + j);
            double sum = before[at];  // columns beyond n stay
            if (j < n) sum = static_cast<double>(beta) * before[at] + bias[static_cast<std::size_t>(j)];
            for (std::int64_t p = 0; j < n && p < k; ++p)
                sum += static_cast<double>(a[static_cast<std::size_t>(trans_a ? p * lda + i : i * lda + p)]) *
                       b[static_cast<std::size_t>(trans_b ? j * ldb + p : p * ldb + j)];
            worst = std::max(worst, std::fabs(sum - c[at]));
        }
    return worst;
}

ConvGeometry geometry(std::int64_t groups, std::int64_t in, std::int64_t out, std::vector<std::int64_t> input,
                      std::vector<std::int64_t> kernel, std::int64_t stride, std::int64_t padding,
                      std::int64_t dilation) {
    ConvGeometry g;
    g.batch = 2;
    g.groups = groups;
    g.in_channels = in;
    g.out_channels = out;
    g.input = std::move(input);
    g.kernel = std::move(kernel);
    for (std::size_t i = 0; i < g.input.size(); ++i) {
        g.stride.push_back(stride);
        g.padding.push_back(padding);
        g.dilation.push_back(dilation);
        g.output.push_back((g.input[i] + 2 * padding - dilation * (g.kernel[i] - 1) - 1) / stride + 1);
    }
    return g;
}

std::int64_t product(const std::vector<std::int64_t>& sizes) {
    std::int64_t result = 1;
    for (const std::int64_t size : sizes) result *= size;
    return result;
}

/// Straight from the definition, in double.
std::vector<double> reference(const ConvGeometry& g, const std::vector<float>& src, const std::vector<float>& weight) {
    const detail::Window window(g);
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    std::vector<double> result(static_cast<std::size_t>(g.batch * window.pixels() * g.out_channels));
    for (std::int64_t n = 0; n < g.batch; ++n)
        for (std::int64_t pixel = 0; pixel < window.pixels(); ++pixel)
            window.for_each_tap(pixel, [&](std::int64_t tap, std::int64_t source) {
                for (std::int64_t o = 0; source >= 0 && o < g.out_channels; ++o)
                    for (std::int64_t c = 0; c < in; ++c)
                        result[static_cast<std::size_t>((n * window.pixels() + pixel) * g.out_channels + o)] +=
                            static_cast<double>(src[static_cast<std::size_t>(
                                (n * product(g.input) + source) * g.in_channels + o / out * in + c)]) *
                            weight[static_cast<std::size_t>((o * in + c) * window.taps() + tap)];
            });
    return result;
}

void check_conv(const ConvGeometry& g) {
    CAPTURE(g.groups);
    CAPTURE(g.kernel.size());
    const std::vector<float> src = numbers<float>(g.batch * product(g.input) * g.in_channels, 1);
    const std::vector<float> weight = numbers<float>(g.out_channels * g.in_channels / g.groups * product(g.kernel), 2);
    const std::vector<float> scale = numbers<float>(g.out_channels, 3);
    const std::vector<float> bias = numbers<float>(g.out_channels, 4);
    const std::vector<double> sums = reference(g, src, weight);
    const std::vector<float> held = numbers<float>(static_cast<std::int64_t>(sums.size()), 5);

    ConvEpilogue plain;
    ConvEpilogue full;
    full.scale = scale.data();
    full.bias = bias.data();
    full.add_to_output = true;
    full.low = 0;
    full.high = 0.75F;
    ConvCache cache;
    cache.keep_weights = true;
    for (int call = 0; call < 3; ++call) {  // the second call keeps packed weights, the third uses them
        std::vector<float> y(sums.size());
        conv(g, src.data(), weight.data(), plain, y.data(), nullptr);
        std::vector<float> z = held;
        conv(g, src.data(), weight.data(), full, z.data(), &cache);
        double worst = 0;
        double worst_full = 0;
        for (std::size_t i = 0; i < sums.size(); ++i) {
            const auto channel = i % static_cast<std::size_t>(g.out_channels);
            worst = std::max(worst, std::fabs(y[i] - sums[i]));
            const double expected = std::clamp(sums[i] * scale[channel] + bias[channel] + held[i], 0.0, 0.75);
            worst_full = std::max(worst_full, std::fabs(z[i] - expected));
        }
        CHECK(worst < 1e-4);
        CHECK(worst_full < 1e-4);
    }
}

}  // namespace

TEST_CASE("gemm agrees with the plain sum for every transposition and edge size") {
    for (const bool trans_a : {false, true})
        for (const bool trans_b : {false, true})
            for (const auto& sizes : {std::array{1, 1, 1},
                                      {5, 17, 3},
                                      {64, 64, 64},
                                      {67, 130, 300},
                                      {1, 300, 40},
                                      {3, 2, 0},
                                      {16, 1023, 260},
                                      {260, 70, 400}}) {
                const int m = sizes[0];
                const int n = sizes[1];
                const int k = sizes[2];
                CAPTURE(m);
                CAPTURE(n);
                CAPTURE(k);
                CHECK(gemm_error<float>(trans_a, trans_b, m, n, k, 0) < 1e-4);
                CHECK(gemm_error<float>(trans_a, trans_b, m, n, k, 0.5) < 1e-4);
                CHECK(gemm_error<double>(trans_a, trans_b, m, n, k, 0) < 1e-12);
                CHECK(gemm_error<double>(trans_a, trans_b, m, n, k, 2) < 1e-12);
            }
}

TEST_CASE("products with a constant matrix agree when it is packed, from the second on") {
    for (const bool trans_b : {false, true})
        for (const auto& sizes : {std::array{23, 270, 700}, {260, 65, 330}, {509, 33, 260}})
            for (const float beta : {0.0F, 0.5F, 1.0F})
                for (const int calls : {2, 3})
                    CHECK(gemm_error<float>(false, trans_b, sizes[0], sizes[1], sizes[2], beta, calls) < 2e-4);
}

TEST_CASE("a bias is added to every row of a product") {
    for (const bool trans_b : {false, true})
        for (const auto& sizes : {std::array{1, 7, 5}, {23, 270, 700}, {9, 40, 0}, {260, 65, 1030}})
            for (const int calls : {1, 2})
                CHECK(gemm_error<float>(false, trans_b, sizes[0], sizes[1], sizes[2], 0, calls, true) < 2e-4);
}

TEST_CASE("packed matrices are kept as far as there is room") {
    const std::array<float, 12> memory{};
    PackCache cache(sizeof memory);
    int packed = 0;
    const auto get = [&](std::int64_t n, std::int64_t k) {
        return cache.get({memory.data(), false, n, k, n}, [&] {
            ++packed;
            return std::make_shared<const torch_ir::Scratch<float>>(n * k);
        });
    };
    CHECK(get(2, 4) == nullptr);  // a product alone does not pay for packing
    const auto kept = get(2, 4);
    REQUIRE(kept != nullptr);
    CHECK(get(2, 4) == kept);
    get(4, 2);
    CHECK(get(4, 2) == nullptr);  // 8 of 12 numbers are kept already
    get(2, 2);
    CHECK(get(2, 2) != nullptr);
    CHECK(packed == 2);
}

TEST_CASE("conv agrees with its definition, with and without its epilogue") {
    check_conv(geometry(1, 3, 5, {7, 6}, {3, 3}, 1, 1, 1));
    check_conv(geometry(1, 16, 8, {9, 9}, {1, 1}, 2, 0, 1));
    check_conv(geometry(2, 6, 4, {8, 5}, {3, 2}, 1, 2, 2));
    check_conv(geometry(6, 6, 6, {9, 7}, {3, 3}, 2, 1, 1));
    check_conv(geometry(4, 4, 8, {6, 6}, {3, 3}, 1, 0, 1));
    check_conv(geometry(1, 130, 37, {6, 5}, {3, 3}, 1, 1, 1));
    check_conv(geometry(1, 40, 64, {9, 8}, {5, 3}, 2, 2, 1));
    check_conv(geometry(1, 4, 6, {20}, {5}, 3, 2, 1));
    // Windows that see nothing but padding.
    check_conv(geometry(1, 40, 24, {5, 7}, {1, 3}, 1, 1, 1));
    check_conv(geometry(2, 10, 12, {9, 5}, {1, 3}, 2, 1, 1));
    check_conv(geometry(1, 2, 29, {6, 1, 4}, {3, 2, 3}, 1, 1, 2));
    check_conv(geometry(3, 3, 3, {5, 7}, {1, 3}, 1, 1, 1));
    check_conv(geometry(1, 2, 3, {4, 5, 6}, {3, 2, 3}, 1, 1, 1));
}

TEST_CASE("results do not depend on the number of threads") {
    torch_ir::set_threads(1);
    const double one = gemm_error<double>(false, true, 200, 150, 64, 0.0);
    torch_ir::set_threads(3);
    CHECK(gemm_error<double>(false, true, 200, 150, 64, 0.0) == one);
}
