// SPDX-License-Identifier: MIT
#include "verification/compare.hpp"

#include <cmath>
#include <complex>
#include <sstream>

#include "convert.hpp"

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
void compare_values(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance, Comparison& result) {
    const Tensor a = actual.to(dtype_of<C>()).contiguous();
    const Tensor e = expected.to(dtype_of<C>()).contiguous();
    double worst = -1;
    double total = 0;
    std::int64_t compared = 0;
    for (std::int64_t i = 0; i < result.elements; ++i) {
        const C x = a.data<C>()[i];
        const C y = e.data<C>()[i];
        double excess = -1;
        if (finite(x) && finite(y)) {
            const double error = distance(x, y);
            const double size =
                std::abs(std::is_same_v<C, std::int64_t> ? static_cast<double>(std::abs(y)) : std::abs(y));
            excess = error - (tolerance.atol + tolerance.rtol * size);
            result.max_abs = std::max(result.max_abs, error);
            if (size > 0) result.max_rel = std::max(result.max_rel, error / size);
            total += error;
            ++compared;
        } else if (!(x == y || (is_nan(x) && is_nan(y)))) {
            excess = std::numeric_limits<double>::infinity();
        }
        if (excess > 0) ++result.mismatches;
        if (excess > worst) {
            worst = excess;
            result.worst_index = i;
        }
    }
    result.mean_abs = compared ? total / static_cast<double>(compared) : 0;
}

std::string index_text(std::int64_t flat, const Ints& shape) {
    Ints index(shape.size());
    for (std::size_t d = shape.size(); d-- > 0;) {
        index[d] = flat % shape[d];
        flat /= shape[d];
    }
    return to_string(index);
}

}  // namespace

Comparison compare(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
    Comparison result;
    result.elements = expected.numel();
    if (actual.shape() != expected.shape()) {
        result.message = "expected shape " + to_string(expected.shape()) + ", found " + to_string(actual.shape());
        return result;
    }
    if (actual.dtype() != expected.dtype()) {
        result.message =
            "expected dtype " + std::string(name(expected.dtype())) + ", found " + std::string(name(actual.dtype()));
        return result;
    }
    visit_compute(expected.dtype(), [&]<class C>(C) { compare_values<C>(actual, expected, tolerance, result); });
    result.passed = result.mismatches == 0;
    if (!result.passed) {
        std::ostringstream text;
        text << result.mismatches << " of " << result.elements << " elements differ; largest absolute difference "
             << result.max_abs << ", relative " << result.max_rel << " (allowed: atol " << tolerance.atol << ", rtol "
             << tolerance.rtol << "), worst at index " << index_text(result.worst_index, expected.shape());
        result.message = text.str();
    }
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
