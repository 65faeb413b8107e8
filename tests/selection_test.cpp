// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/call.hpp"
#include "support/graphs.hpp"

using namespace torch_ir;
using test::floats;
using test::values;

namespace {

const std::vector<float> row{0, 3, 1, 0, 3, 3, 3, 3, 1, 3, 1, 2, 0, 3, 2, 0, 0, 0, 2, 1};

std::vector<double> indices_of(std::string_view op, std::vector<IValue> args) {
    Context context;
    return values(std::get<Tensor>(kernels::call_op(context, op, std::move(args)).at(1)));
}

std::vector<double> topk(const Tensor& self, std::int64_t k, bool largest, bool sorted = true) {
    return indices_of("aten.topk.default", {self, k, std::int64_t{-1}, largest, sorted});
}

double kthvalue(const Tensor& self, std::int64_t k) { return indices_of("aten.kthvalue.default", {self, k}).at(0); }

}  // namespace

TEST_CASE("many integers in one dimension are sorted stably, as by PyTorch's radix sort, and so is what is expanded") {
    const auto is_stable = [](const Tensor& x, std::int64_t period, bool descending) {
        const auto order = indices_of("aten.sort.default", {x, std::int64_t{0}, descending});
        for (std::size_t i = 1; i < order.size(); ++i) {
            const auto a = static_cast<std::int64_t>(order[i - 1]), b = static_cast<std::int64_t>(order[i]);
            if (a % period == b % period && a > b) return false;
        }
        return true;
    };
    const auto periodic = [](std::int64_t n) {
        Tensor x = Tensor::empty({n}, DType::Int64);
        for (std::int64_t i = 0; i < n; ++i) x.data<std::int64_t>()[i] = i % 5;
        return x;
    };
    CHECK(is_stable(periodic(32768), 5, false));
    CHECK_FALSE(is_stable(periodic(32767), 5, false));
    CHECK_FALSE(is_stable(periodic(32768), 5, true));
    CHECK_FALSE(is_stable(periodic(32768).to(DType::Float32), 5, false));
    CHECK(is_stable(floats({1}, {2}).expand(Ints{100}), 1, false));
}

// Indices that PyTorch 2.13 gives.
TEST_CASE("topk and kthvalue name the same one of equal values as PyTorch") {
    const Tensor x = floats({20}, row);
    CHECK(topk(x, 5, true) == std::vector<double>{13, 6, 7, 1, 9});
    CHECK(topk(x, 5, true, false) == std::vector<double>{13, 6, 7, 1, 9});
    CHECK(topk(x, 5, false) == std::vector<double>{16, 0, 12, 15, 3});
    CHECK(kthvalue(x, 1) == 3);
    CHECK(kthvalue(x, 7) == 10);
    CHECK(kthvalue(x, 12) == 11);
    CHECK(kthvalue(x, 20) == 9);

    std::vector<float> periodic;
    for (int i = 0; i < 130; ++i) periodic.push_back(static_cast<float>(i % 5));
    CHECK(topk(floats({130}, periodic), 2, true) == std::vector<double>{9, 4});
    CHECK(topk(floats({130}, periodic), 2, false) == std::vector<double>{5, 0});

    const float nan = std::nanf("");
    const Tensor with_nan = floats({6}, {1, nan, 2, nan, 2, 2});
    CHECK(topk(with_nan, 4, true) == std::vector<double>{1, 3, 4, 5});
    CHECK(topk(with_nan, 3, false) == std::vector<double>{0, 2, 4});
    std::vector<double> order;
    for (std::int64_t k = 1; k <= 6; ++k) order.push_back(kthvalue(with_nan, k));
    CHECK(order == std::vector<double>{0, 4, 2, 5, 3, 1});
}

TEST_CASE("batch_norm of no samples leaves the running statistics alone") {
    const Tensor mean = floats({2}, {1, 2}), variance = floats({2}, {3, 4});
    const Tensor y = kernels::call("aten.batch_norm.default",
                                   {floats({0, 2, 3}, {}), None{}, None{}, mean, variance, true, 0.1, 1e-5, false});
    CHECK(y.shape() == Ints{0, 2, 3});
    CHECK(values(mean) == std::vector<double>{1, 2});
    CHECK(values(variance) == std::vector<double>{3, 4});
}
