// SPDX-License-Identifier: MIT
#include "tensor.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <complex>
#include <limits>

#include "elementwise.hpp"
#include "parallel.hpp"
#include "support/graphs.hpp"
#include "xt.hpp"

using namespace torch_ir;
using test::floats;
using test::values;

TEST_CASE("views share memory and have the strides of PyTorch") {
    const Tensor t = floats({2, 3}, {0, 1, 2, 3, 4, 5});
    const Tensor transposed = t.transpose(0, 1);
    CHECK(transposed.strides() == Ints{1, 3});
    CHECK(values(transposed) == std::vector<double>{0, 3, 1, 4, 2, 5});
    CHECK(values(t.select(1, -1)) == std::vector<double>{2, 5});
    CHECK(values(t.narrow(1, 1, 2)) == std::vector<double>{1, 2, 4, 5});
    t.select(0, 1).fill(9);
    CHECK(values(transposed) == std::vector<double>{0, 9, 1, 9, 2, 9});
    CHECK(t.expand(Ints{4, -1, 3}).strides() == Ints{0, 3, 1});
    CHECK(t.expand(Ints{1, 4, 1, 2, 3}).strides() == Ints{0, 0, 6, 3, 1});
    CHECK(t.expand(Ints{1, 1, 2, 3}).strides() == Ints{6, 6, 3, 1});
}

TEST_CASE("try_view finds the strides of a view where there is one") {
    const Tensor t = floats({2, 3, 4}, std::vector<float>(24));
    CHECK(t.transpose(0, 1).try_view(Ints{3, 2, 2, 2}).strides() == Ints{4, 12, 2, 1});
    CHECK_FALSE(t.transpose(0, 1).try_view(Ints{6, 4}).defined());
    CHECK(t.transpose(0, 1).reshape({6, 4}).is_contiguous());
    CHECK_THROWS_WITH_AS(t.try_view(Ints{5, -1}), "shape [5, -1] is invalid for float32[2, 3, 4] of 24 elements",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(t.try_view(Ints{-1, -1}), "only one dimension can be inferred in [-1, -1]", ArgumentError);
}

TEST_CASE("wrong dimensions and shapes are named") {
    const Tensor t = floats({2, 3}, std::vector<float>(6));
    CHECK_THROWS_WITH_AS(t.size(2), "dimension out of range (expected to be in range of [-2, 1], but got 2)",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(Tensor::scalar(1, DType::Float32).size(0),
                         "dimension specified as 0 but tensor has no dimensions", ArgumentError);
    CHECK_THROWS_AS(Tensor::scalar(std::complex<double>(1, 2), DType::Float32), ArgumentError);
    CHECK_THROWS_AS(Tensor::scalar(std::numeric_limits<double>::infinity(), DType::Int64), ArgumentError);
    CHECK_THROWS_WITH_AS(t.select(0, 2), "index 2 is out of bounds for dimension 0 with size 2", ArgumentError);
    CHECK_THROWS_WITH_AS(t.expand(Ints{2, 4}), "cannot expand float32[2, 3] to [2, 4]", ArgumentError);
    CHECK_THROWS_WITH_AS(broadcast_shapes(Ints{2, 3}, Ints{4}), "shapes [2, 3] and [4] do not broadcast",
                         ArgumentError);
    CHECK_THROWS_AS(numel_of(Ints{1LL << 40, 1LL << 40}), ArgumentError);
    CHECK_THROWS_AS(Tensor::empty({1LL << 40, 1LL << 20}, DType::Float64), ArgumentError);
}

TEST_CASE("conversions round, wrap and truncate as PyTorch's do") {
    const Tensor t = floats({4}, {1.5F, -2.7F, 300.0F, 0.1F});
    CHECK(values(t.to(DType::Int64)) == std::vector<double>{1, -2, 300, 0});
    CHECK(values(t.to(DType::UInt8)) == std::vector<double>{1, 254, 44, 0});
    CHECK(values(t.to(DType::Bool)) == std::vector<double>{1, 1, 1, 1});
    CHECK(values(t.to(DType::BFloat16))[3] == 0.10009765625);
    CHECK(values(t.to(DType::Float16))[3] == 0.0999755859375);
    CHECK(values(t.to(DType::Float8E4M3FN)) == std::vector<double>{1.5, -2.75, 288, 0.1015625});
    CHECK(values(floats({4}, {464, 465, -1e9F, INFINITY}).to(DType::Float8E4M3FN)) ==
          std::vector<double>{448, 448, -448, 448});
    CHECK(values(t.to(DType::Float8E5M2)) == std::vector<double>{1.5, -2.5, 320, 0.09375});
}

TEST_CASE("xtensor adaptors write through strides") {
    const Tensor t = floats({2, 3}, {0, 1, 2, 3, 4, 5});
    auto view = t.transpose(0, 1).view<float, 2>();
    CHECK(view(2, 0) == 2);
    view(2, 0) = 7;
    CHECK(values(t)[2] == 7);
    CHECK(t.view<float>().dimension() == 2);
    CHECK_THROWS_WITH_AS((t.view<float, 3>()), "expected a tensor of 3 dimensions, found shape [2, 3]", ArgumentError);
}

TEST_CASE("truths of long rows are counted") {
    for (const DType dtype : {DType::Bool, DType::UInt8, DType::Int64, DType::Float32, DType::Float64}) {
        CAPTURE(name(dtype));
        const Tensor rows = Tensor::empty({3, 100}, dtype);
        rows.fill(2);
        rows.select(0, 1).fill(0);
        rows.select(0, 2).narrow(0, 50, 1).fill(0);
        const auto of_rows = [&](const char* op, DType result) {
            GraphBuilder b("Truths");
            b.output(b.call(op, {b.input("x", {{3, 100}, dtype}), 1}, {{3}, result}));
            return values(test::run(b, {{"x", rows}}));
        };
        CHECK(of_rows("aten.count_nonzero.default", DType::Int64) == std::vector<double>{100, 0, 99});
        const DType truth = dtype == DType::UInt8 ? dtype : DType::Bool;
        CHECK(of_rows("aten.any.dim", truth) == std::vector<double>{1, 0, 1});
        CHECK(of_rows("aten.all.dim", truth) == std::vector<double>{1, 0, 0});
    }
}

TEST_CASE("operands broadcast to short rows, into an output of any layout, whatever the threads take") {
    constexpr std::int64_t n = 701;
    constexpr std::int64_t m = 33;
    constexpr std::int64_t k = 7;
    const Tensor a = test::noise({n, m, k}, 1);
    const Tensor row = test::noise({k}, 2);
    const Tensor column = test::noise({n, m, 1}, 3).to(DType::Float64);
    const auto term = [](float x, float r, float c) { return x * r + c; };
    const int threads = get_threads();
    for (const int count : {1, 3}) {
        set_threads(count);
        const Tensor dense = Tensor::empty({n, m, k}, DType::Float32);
        const Tensor strided = Tensor::empty({k, n, m}, DType::Float64).permute(Ints{1, 2, 0});
        elementwise_into<float>(dense, term, a, row, column);
        elementwise_into<float>(strided, term, a, row, column);
        std::int64_t wrong = 0;
        for (std::int64_t i = 0; i < n * m * k; ++i) {
            const float expected =
                term(a.data<float>()[i], row.data<float>()[i % k], static_cast<float>(column.data<double>()[i / k]));
            const double other = strided.select(0, i / (m * k)).data<double>()[i / k % m + i % k * n * m];
            wrong += std::fabs(dense.data<float>()[i] - expected) > 1e-6F || std::fabs(other - expected) > 1e-6 ? 1 : 0;
        }
        CHECK(wrong == 0);
    }
    set_threads(threads);
}

TEST_CASE("pairs of doubles are rounded to float, so that spaced numbers have the last bits of PyTorch's") {
    const auto spaced = [](const char* op, double start, double end, std::int64_t steps) {
        GraphBuilder b("Spaced");
        b.output(b.call(op, {start, end, steps}, {{steps}}, {{"dtype", DType::Float32}}));
        return test::values(test::run(b, {}));
    };
    const auto line = spaced("aten.linspace.default", 0.1, 3.7, 64);
    CHECK(std::array{line[2], line[27], line[34]} ==
          std::array{0.2142857313156128, 1.642857313156128, 2.0428571701049805});
    const auto powers = spaced("aten.logspace.default", -2, 2, 101);
    CHECK(std::array{powers[1], powers[5], powers[51]} ==
          std::array{0.010964781977236271, 0.015848932787775993, 1.0964782238006592});
}
