// SPDX-License-Identifier: MIT
#include "promote.hpp"

#include <doctest/doctest.h>

#include "elementwise.hpp"
#include "support/graphs.hpp"

using namespace torch_ir;
using test::values;

TEST_CASE("promote_types is PyTorch's table") {
    CHECK(promote_types(DType::UInt8, DType::Int8) == DType::Int16);
    CHECK(promote_types(DType::UInt8, DType::Int64) == DType::Int64);
    CHECK(promote_types(DType::Int64, DType::Float16) == DType::Float16);
    CHECK(promote_types(DType::BFloat16, DType::Float16) == DType::Float32);
    CHECK(promote_types(DType::Float64, DType::Complex64) == DType::Complex128);
    CHECK(promote_types(DType::Int32, DType::Complex32) == DType::Complex32);
    CHECK(promote_types(DType::Bool, DType::UInt8) == DType::UInt8);
}

TEST_CASE("numbers and 0-d tensors yield to tensors with dimensions of their category") {
    const Tensor ints = Tensor::zeros({2}, DType::Int32);
    const Tensor halves = Tensor::zeros({2}, DType::Float16);
    CHECK(result_type(ints, Scalar(2.5)) == DType::Float32);
    CHECK(result_type(halves, Scalar(2.5)) == DType::Float16);
    CHECK(result_type(ints, Scalar(std::int64_t{1} << 40)) == DType::Int32);
    CHECK(result_type(halves, Tensor::zeros({}, DType::Float64)) == DType::Float16);
    CHECK(result_type(ints, Tensor::zeros({}, DType::Float64)) == DType::Float64);
    CHECK(result_type(halves, Scalar(std::complex<double>(0, 1))) == DType::Complex32);
}

TEST_CASE("an elementwise result has the strides of TensorIterator") {
    // torch.empty(2, 3, 4, 5).to(memory_format=channels_last) + torch.empty(3, 1, 1)
    const Tensor image = Tensor::empty_strided({2, 3, 4, 5}, {60, 1, 15, 3}, DType::Float32);
    image.fill(1);
    const Tensor bias = test::floats({3, 1, 1}, {1, 2, 3});
    const Tensor sum = elementwise<float>(
        DType::Float32, [](float a, float b) { return a + b; }, image, bias);
    CHECK(sum.strides() == Ints{60, 1, 15, 3});
    CHECK(values(sum.select(1, 2))[0] == 4);
    const Tensor t = test::noise({3, 4}, 1).transpose(0, 1);
    CHECK(elementwise<float>(
              DType::Float32, [](float a) { return a; }, t)
              .strides() == Ints{1, 4});
}

TEST_CASE("blocks agree with the plain loop whatever the strides and dtypes") {
    for (const std::int64_t inner : {1, 3, 70, 2000}) {
        const Tensor a = test::noise({5, inner, 4}, 1).transpose(0, 2);
        const Tensor b = test::noise({inner, 1}, 2).to(DType::BFloat16);
        const Tensor sum = elementwise<float>(
            DType::Float64, [](float x, float y) { return x - 2 * y; }, a, b);
        REQUIRE(sum.shape() == Ints{4, inner, 5});
        const std::vector<double> as = values(a);
        const std::vector<double> bs = values(b);
        const std::vector<double> sums = values(sum);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < sums.size(); ++i)
            if (sums[i] != static_cast<double>(static_cast<float>(as[i]) -
                                               2 * static_cast<float>(bs[i / 5 % static_cast<std::size_t>(inner)])))
                ++wrong;
        CHECK(wrong == 0);
    }
}
