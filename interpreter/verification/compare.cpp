// SPDX-License-Identifier: MIT
#include "verification/compare.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>

#include "convert.hpp"
#include "promote.hpp"
#include "verification/part.hpp"

namespace torch_ir {

Tolerance default_tolerance(DType dtype) {
    switch (dtype) {
        case DType::Float16:
        case DType::Complex32:
            return {1e-3, 1e-5};
        case DType::BFloat16:
            return {1.6e-2, 1e-5};
        case DType::Float32:
        case DType::Complex64:
            return {1.3e-6, 1e-5};
        case DType::Float64:
        case DType::Complex128:
            return {1e-7, 1e-7};
        default:
            return {0, 0};
    }
}

Tolerance model_tolerance(DType dtype) {
    if (dtype == DType::Float32 || dtype == DType::Complex64) return {1e-4, 1e-4};
    return default_tolerance(dtype);
}

namespace {

template <class C>
bool finite(C value) {
    if constexpr (std::is_same_v<C, std::complex<double>>)
        return std::isfinite(value.real()) && std::isfinite(value.imag());
    else if constexpr (std::is_floating_point_v<C>)
        return std::isfinite(value);
    else
        return true;
}

template <class C>
bool is_nan(C value) {
    if constexpr (std::is_same_v<C, std::complex<double>>)
        return std::isnan(value.real()) || std::isnan(value.imag());
    else
        return value != value;
}

template <class C>
double distance(C a, C e) {
    if constexpr (std::is_same_v<C, std::int64_t>)
        return std::fabs(
            static_cast<double>(static_cast<std::uint64_t>(a > e ? a : e) - static_cast<std::uint64_t>(a > e ? e : a)));
    else
        return std::abs(a - e);
}

template <class C>
double magnitude(C x) {
    if constexpr (std::is_same_v<C, std::int64_t>)
        return std::fabs(static_cast<double>(x));
    else
        return std::abs(x);
}

/// The position of a float's bits in the order of its values: neighbours differ by 1, both zeros are 0.
template <class Bits>
std::int64_t ordered(const std::byte* value) {
    Bits bits;
    std::memcpy(&bits, value, sizeof bits);
    constexpr Bits sign = static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));
    const auto magnitude = static_cast<std::int64_t>(bits & static_cast<Bits>(~sign));
    return bits & sign ? -magnitude : magnitude;
}

template <class Bits>
std::uint64_t steps_between(const std::byte* a, const std::byte* b) {
    const std::int64_t x = ordered<Bits>(a);
    const std::int64_t y = ordered<Bits>(b);
    return x > y ? static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y)
                 : static_cast<std::uint64_t>(y) - static_cast<std::uint64_t>(x);
}

/// The number of representable steps between element `i` of two contiguous float or complex tensors of one dtype; of
/// complex numbers that of the part that differs more.
std::uint64_t ulp_distance(const Tensor& a, const Tensor& e, std::int64_t i) {
    const std::size_t parts = is_complex(e.dtype()) ? 2 : 1;
    const std::size_t size = item_size(e.dtype()) / parts;
    std::uint64_t most = 0;
    for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t at = (static_cast<std::size_t>(i) * parts + part) * size;
        const std::byte* x = a.raw() + at;
        const std::byte* y = e.raw() + at;
        most = std::max(most, size == 1   ? steps_between<std::uint8_t>(x, y)
                              : size == 2 ? steps_between<std::uint16_t>(x, y)
                              : size == 4 ? steps_between<std::uint32_t>(x, y)
                                          : steps_between<std::uint64_t>(x, y));
    }
    return most;
}

template <class C>
Scalar scalar_of(C value) {
    if constexpr (std::is_same_v<C, float>)
        return static_cast<double>(value);
    else
        return value;
}

template <class C>
void count_special(C value, Census& census) {
    if (is_nan(value))
        ++census.nan;
    else if (!finite(value))
        ++census.inf;
}

/// Sums over the finite pairs.
struct Sums {
    double abs = 0, rel = 0, dot = 0, actual = 0, expected = 0, error = 0, peak = 0;
    std::int64_t pairs = 0, with_size = 0;
};

template <class C>
double product(C a, C e) {
    if constexpr (std::is_same_v<C, std::complex<double>>)
        return a.real() * e.real() + a.imag() * e.imag();
    else
        return static_cast<double>(a) * static_cast<double>(e);
}

void finish(const Sums& sums, Comparison& result) {
    const auto ratio = [](double total, std::int64_t count) {
        return count ? total / static_cast<double>(count) : 0.0;
    };
    result.mean_abs = ratio(sums.abs, sums.pairs);
    result.mean_rel = ratio(sums.rel, sums.with_size);
    if (sums.actual > 0 && sums.expected > 0)
        result.cosine = sums.dot / (std::sqrt(sums.actual) * std::sqrt(sums.expected));
    else
        result.cosine = sums.actual == sums.expected ? 1 : 0;
    constexpr double infinite = std::numeric_limits<double>::infinity();
    const auto decibel = [&](double signal, double noise) {
        return noise > 0 ? 10 * std::log10(signal / noise) : infinite;
    };
    result.sqnr_db = decibel(sums.expected, sums.error);
    result.psnr_db = decibel(sums.peak * sums.peak, ratio(sums.error, sums.pairs));
}

template <class C>
void compare_values(const Tensor& actual, const Tensor& expected, Comparison& result) {
    const Tensor stored_a = actual.contiguous();
    const Tensor stored_e = expected.contiguous();
    const Tensor a = stored_a.to(dtype_of<C>()).contiguous();
    const Tensor e = stored_e.to(dtype_of<C>()).contiguous();
    const Tolerance& tolerance = result.tolerance;
    double worst = -std::numeric_limits<double>::infinity();
    Sums sums;
    Box box(expected.shape());
    for (std::int64_t i = 0; i < result.elements; ++i) {
        const C x = a.data<C>()[i];
        const C y = e.data<C>()[i];
        double excess = -1;
        if (finite(x) && finite(y)) {
            const double error = distance(x, y);
            const double size = magnitude(y);
            excess = error - (tolerance.atol + tolerance.rtol * size);
            result.max_abs = std::max(result.max_abs, error);
            if (size > 0) {
                result.max_rel = std::max(result.max_rel, error / size);
                sums.rel += error / size;
                ++sums.with_size;
            }
            sums.abs += error;
            sums.error += error * error;
            sums.actual += product(x, x);
            sums.expected += size * size;
            sums.dot += product(x, y);
            sums.peak = std::max(sums.peak, size);
            ++sums.pairs;
            std::size_t bin = 0;
            if (error > 0) {
                while (bin < Comparison::histogram_ends.size() && error >= Comparison::histogram_ends[bin]) ++bin;
                result.max_ulp = std::max(result.max_ulp, std::is_same_v<C, std::int64_t>
                                                              ? static_cast<std::uint64_t>(std::min(error, 0x1p63))
                                                              : ulp_distance(stored_a, stored_e, i));
            }
            ++result.histogram[bin];
        } else {
            count_special(x, result.actual_census);
            count_special(y, result.expected_census);
            if (!(x == y || (is_nan(x) && is_nan(y)))) excess = std::numeric_limits<double>::infinity();
        }
        if (excess > 0) {
            if (result.mismatches == 0) result.first = {i, scalar_of(x), scalar_of(y)};
            ++result.mismatches;
            box.add(i);
        }
        if (excess > worst) {
            worst = excess;
            result.worst_index = i;
            result.worst = {i, scalar_of(x), scalar_of(y)};
        }
    }
    if (box.is_part()) result.part = box.text();
    finish(sums, result);
}

std::string real_text(double value, DType dtype) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    const int digits = dtype == DType::Float64 || dtype == DType::Complex128  ? 17
                       : dtype == DType::Float32 || dtype == DType::Complex64 ? 9
                                                                              : 5;
    for (int precision = 1;; ++precision) {  // the shortest text that means the same number at that precision
        char text[40];
        std::snprintf(text, sizeof text, "%.*g", precision, value);
        const double read = std::strtod(text, nullptr);
        if (precision >= digits || read == value ||
            (digits == 9 && static_cast<float>(read) == static_cast<float>(value)))
            return text;
    }
}

/// What the figures leave out, where the sides have not as much of it.
std::string census_text(const Census& actual, const Census& expected) {
    const auto text = [](const Census& census) {
        return std::to_string(census.nan) + " NaN, " + std::to_string(census.inf) + " infinite";
    };
    if (actual.nan == expected.nan && actual.inf == expected.inf) return {};
    return "; besides the finite numbers " + text(actual) + " instead of " + text(expected);
}

}  // namespace

bool same_bits(const Tensor& a, const Tensor& b) {
    if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
    const Tensor x = a.contiguous();
    const Tensor y = b.contiguous();
    return std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

Ints unravel_index(std::int64_t flat, const Ints& shape) {
    Ints index(shape.size());
    for (std::size_t d = shape.size(); d-- > 0;) {
        index[d] = flat % shape[d];
        flat /= shape[d];
    }
    return index;
}

std::string number_text(const Scalar& value, DType dtype) {
    switch (value.kind()) {
        case Scalar::Kind::Bool:
        case Scalar::Kind::Int:
            if (dtype == DType::Bool) return value.to<bool>() ? "true" : "false";
            return std::to_string(value.to<std::int64_t>());
        case Scalar::Kind::Float:
            return real_text(value.to<double>(), dtype);
        case Scalar::Kind::Complex:
            break;
    }
    const auto number = value.to<std::complex<double>>();
    return std::string("(").append(real_text(number.real(), dtype)) + ", " + real_text(number.imag(), dtype) + ")";
}

Comparison compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
    Comparison result;
    result.tolerance = tolerance;
    result.elements = expected.numel();
    if (actual.shape() != expected.shape()) {
        result.message = "expected shape " + to_string(expected.shape()) + ", found " + to_string(actual.shape());
        return result;
    }
    const bool same = actual.dtype() == expected.dtype();
    const bool floats = is_floating_point(actual.dtype()) && is_floating_point(expected.dtype());
    const DType dtype = same || floats ? expected.dtype() : promote_types(actual.dtype(), expected.dtype());
    result.compared = true;
    visit_compute(dtype, [&]<class C>(C) { compare_values<C>(actual.to(dtype), expected.to(dtype), result); });
    result.passed = same && result.mismatches == 0;
    std::ostringstream text;
    if (!same)
        text << "expected dtype " << name(expected.dtype()) << ", found " << name(actual.dtype()) << "; as "
             << name(dtype) << " ";
    if (result.mismatches > 0)
        text << result.mismatches << " of " << result.elements << " elements differ"
             << (result.mismatches > 1 && !result.part.empty() ? ", all in " + result.part : "")
             << "; largest absolute difference " << result.max_abs << ", relative " << result.max_rel
             << " (allowed: atol " << tolerance.atol << ", rtol " << tolerance.rtol << "), worst at index "
             << to_string(unravel_index(result.worst_index, expected.shape())) << ": "
             << number_text(result.worst.actual, dtype) << " instead of " << number_text(result.worst.expected, dtype)
             << census_text(result.actual_census, result.expected_census);
    else if (!same)
        text << "all elements agree";
    result.message = text.str();
    return result;
}

Tensor value_tensor(const IValue& value) {
    if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
    if (value.index() >= 2 && value.index() <= 5) {
        const Scalar scalar = to_scalar(value);
        return Tensor::scalar(scalar, scalar.exact_dtype());
    }
    return {};
}

}  // namespace torch_ir
