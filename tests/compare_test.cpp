// SPDX-License-Identifier: MIT
#include "verification/compare.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/graphs.hpp"
#include "verification/report.hpp"

using namespace torch_ir;
using test::floats;

TEST_SUITE("compare") {
    TEST_CASE("figures are those of their definitions") {
        const Comparison c = compare(floats({2, 2}, {1, 2, 3, 4}), floats({2, 2}, {1, 2, 3, 5}), {0.1, 0});
        CHECK_FALSE(c.passed);
        CHECK(c.mismatches == 1);
        CHECK(c.max_abs == 1);
        CHECK(c.mean_abs == 0.25);
        CHECK(c.max_rel == doctest::Approx(0.2));
        CHECK(c.mean_rel == doctest::Approx(0.05));
        CHECK(c.cosine == doctest::Approx(34 / std::sqrt(30.0 * 39.0)));
        CHECK(c.sqnr_db == doctest::Approx(10 * std::log10(39.0)));
        CHECK(c.psnr_db == doctest::Approx(20));  // 10 log10(5^2 / (1 / 4))
        CHECK(c.max_ulp == 1U << 21);             // floats in [4, 8) lie 2^-21 apart
        CHECK(c.first.index == 3);
        CHECK(c.worst.index == 3);
        CHECK(c.worst.actual.to<double>() == 4);
        CHECK(c.worst.expected.to<double>() == 5);
        CHECK(c.histogram[0] == 3);
        CHECK(c.histogram[10] == 1);  // an error in [1, 10)
        CHECK(c.message.ends_with("worst at index [1, 1]: 4 instead of 5"));
    }

    TEST_CASE("the part that differs is named where it is at most half") {
        const auto compared = [](std::initializer_list<std::int64_t> off) {
            const Tensor expected = Tensor::zeros({2, 3, 4}, DType::Float32);
            const Tensor actual = expected.clone();
            for (const std::int64_t at : off) actual.data<float>()[at] = 1;
            return compare(actual, expected, {0, 0.5});
        };
        CHECK(compared({13, 22}).part == "[1, :, 1:3]");
        CHECK(compared({13, 22}).message.starts_with("2 of 24 elements differ, all in [1, :, 1:3]; largest"));
        CHECK(compared({4, 5, 7, 19}).part == "[:, 1, :]");
        CHECK(compared({23}).part == "[1, 2, 3]");
        CHECK(compared({23}).message.starts_with("1 of 24 elements differ; largest"));  // it is the worst
        CHECK(compared({0, 23}).part.empty());
        CHECK(compared({}).part.empty());
        CHECK(compare(Tensor::scalar(1.0, DType::Float64), Tensor::scalar(2.0, DType::Float64), {0, 0}).part.empty());
    }

    TEST_CASE("another dtype is wrong, and its figures are known") {
        const Comparison equal = compare(floats({2}, {1, 2}).to(DType::Float16), floats({2}, {1, 2}), {0, 0});
        CHECK_FALSE(equal.passed);
        CHECK(equal.compared);
        CHECK(equal.mismatches == 0);
        CHECK(equal.message == "expected dtype float32, found float16; as float32 all elements agree");
        const Comparison rounded = compare(floats({2}, {1, 2}), floats({2}, {1, 3}).to(DType::Float64), {0.1, 0});
        CHECK_FALSE(rounded.passed);
        CHECK(rounded.max_abs == 1);
        CHECK(rounded.message.starts_with("expected dtype float64, found float32; as float64 1 of 2 elements differ;"));
        const Comparison whole = compare(floats({2}, {1.5, 2}), floats({2}, {1, 2}).to(DType::Int64), {0, 0});
        CHECK(whole.max_abs == 0.5);
        CHECK(whole.worst.actual.to<double>() == 1.5);
        CHECK(compare(floats({0}, {}), floats({0}, {}).to(DType::Float64), {0, 0}).message.ends_with("elements agree"));
    }

    TEST_CASE("the smallest and the largest integer") {
        const Tensor low = Tensor::scalar(std::numeric_limits<std::int64_t>::min(), DType::Int64);
        const Tensor high = Tensor::scalar(std::numeric_limits<std::int64_t>::max(), DType::Int64);
        CHECK(compare(low, low, {0, 0}).passed);
        const Comparison c = compare(high, low, {0, 0});
        CHECK(c.max_abs == 0x1p64);  // 2^64 - 1 in float64
        CHECK(c.max_rel == 2);
        CHECK(c.max_ulp == std::uint64_t{1} << 63);
    }

    TEST_CASE("equal tensors have no error, infinite decibels and cosine 1") {
        const Comparison c = compare(floats({2}, {0, 3}), floats({2}, {-0.0F, 3}), {0, 0});
        CHECK(c.passed);
        CHECK(c.max_ulp == 0);
        CHECK(std::isinf(c.sqnr_db));
        CHECK(std::isinf(c.psnr_db));
        CHECK(c.cosine == doctest::Approx(1));
        CHECK(compare(floats({0}, {}), floats({0}, {}), {0, 0}).cosine == 1);
        CHECK(compare(floats({1}, {0}), floats({1}, {2}), {0, 9}).cosine == 0);
    }

    TEST_CASE("ulp counts the neighbours of each dtype") {
        const auto ulp = [](double a, double e, DType dtype) {
            return compare(Tensor::scalar(a, dtype), Tensor::scalar(e, dtype), {0, 0}).max_ulp;
        };
        CHECK(ulp(1.0, 1.0 + 0x1p-10, DType::Float16) == 1);
        CHECK(ulp(1.0, 1.0 + 0x1p-7, DType::BFloat16) == 1);
        CHECK(ulp(1.0, 1.0 - 0x1p-8, DType::BFloat16) == 1);  // below 1 they lie half as far apart
        CHECK(ulp(1.0, 1.0 + 0x1p-52, DType::Float64) == 1);
        CHECK(ulp(-0x1p-149, 0x1p-149, DType::Float32) == 2);  // the two smallest, zero between them
        CHECK(ulp(1.0, 1.125, DType::Float8E4M3FN) == 1);
        CHECK(ulp(3, 10, DType::Int32) == 7);
        const Tensor a = Tensor::scalar(std::complex<double>(1, 2), DType::Complex64);
        const Tensor b = Tensor::scalar(std::complex<double>(1, 2 + 0x1p-21), DType::Complex64);
        CHECK(compare(a, b, {0, 0}).max_ulp == 2);  // floats in [2, 4) lie 2^-22 apart
    }

    TEST_CASE("what is not finite is counted on each side") {
        constexpr float nan = std::numeric_limits<float>::quiet_NaN();
        constexpr float inf = std::numeric_limits<float>::infinity();
        const Comparison c = compare(floats({4}, {nan, nan, inf, 1}), floats({4}, {nan, 2, -inf, 1}), {0, 0});
        CHECK(c.mismatches == 2);
        CHECK(c.first.index == 1);
        CHECK(c.actual_census.nan == 2);
        CHECK(c.actual_census.inf == 1);
        CHECK(c.expected_census.nan == 1);
        CHECK(c.expected_census.inf == 1);
        CHECK(c.max_abs == 0);
    }

    TEST_CASE("numbers are written as short as they can be read back") {
        CHECK(number_text(static_cast<double>(0.1F), DType::Float32) == "0.1");
        CHECK(number_text(0.1, DType::Float64) == "0.1");
        CHECK(number_text(1.0 / 3, DType::Float64) == "0.3333333333333333");
        CHECK(number_text(true, DType::Bool) == "true");
        CHECK(number_text(std::int64_t{9007199254740993}, DType::Int64) == "9007199254740993");
        CHECK(number_text(-std::numeric_limits<double>::infinity(), DType::Float32) == "-inf");
        CHECK(number_text(std::complex<double>(1, -2), DType::Complex64) == "(1, -2)");
    }

    TEST_CASE("a failure within the tolerances shows the worst element") {
        OutputVerdict verdict;
        verdict.shape = {2, 2};
        verdict.dtype = DType::Float32;
        verdict.comparison = compare(floats({2, 2}, {1, 2, 3.5F, 4}), floats({2, 2}, {1, 2, 3, 4}), {0, 1});
        verdict.comparison.message = "suspicious";
        CHECK(failure_text(verdict).starts_with("suspicious; worst at [1, 0]: 3.5 instead of 3; cosine 0.99"));
        verdict.comparison = compare(floats({2, 2}, {1, 3, 3.5F, 4}), floats({2, 2}, {1, 2, 3, 4}), {0, 0.1});
        CHECK(failure_text(verdict).find("; first at [0, 1]: 3 instead of 2; cosine 0.9") != std::string::npos);
    }

    TEST_CASE("reports escape what their form needs") {
        Report report{"a < b", "1 differs", false, {}, {}, {}};
        report.cases.push_back({"x|\"y\"&", Status::Failed, "line one\nline <two>", 0.5, {}, {}, {}, {}});
        CHECK(to_markdown(report).find("| x\\|\"y\"& | failed | 0.5 | line one line &lt;two> |") != std::string::npos);
        CHECK(to_html(report).find("<td>x|&quot;y&quot;&amp;</td>") != std::string::npos);
        const std::string junit = to_junit(report);
        CHECK(junit.find("<testsuite name=\"a &lt; b\" tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\"") !=
              std::string::npos);
        CHECK(junit.find("<failure message=\"line one\nline &lt;two&gt;\"/>") != std::string::npos);
    }
}
