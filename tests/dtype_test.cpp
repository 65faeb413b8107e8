// SPDX-License-Identifier: MIT
#include "torch_ir/dtype.hpp"

#include <doctest/doctest.h>

using namespace torch_ir;

TEST_CASE("every dtype is found by its own name") {
    for (std::size_t i = 0; i < detail::dtype_table.size(); ++i) {
        const auto dtype = static_cast<DType>(i);
        CHECK(parse_dtype(name(dtype)) == dtype);
    }
    CHECK(parse_dtype("torch.bfloat16") == DType::BFloat16);
    CHECK(parse_dtype("long") == DType::Int64);
    CHECK(!parse_dtype("float31"));
}

TEST_CASE("sizes and categories are PyTorch's") {
    CHECK(item_size(DType::Complex64) == 8);
    CHECK(item_size(DType::BFloat16) == 2);
    CHECK(is_floating_point(DType::Float8E5M2));
    CHECK_FALSE(is_floating_point(DType::Complex64));
    CHECK(is_half(DType::BFloat16));
    CHECK_FALSE(is_half(DType::Int16));
    CHECK(is_integral(DType::UInt64));
    CHECK_FALSE(is_integral(DType::Bool));
    CHECK(is_integral(DType::Bool, true));
}
