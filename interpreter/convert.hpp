// SPDX-License-Identifier: MIT
// Between stored dtypes and the four compute types int64_t, float, double, std::complex<double>.
#pragma once

#include <complex>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir {

/// The types that arithmetic is done in. Bool and all integers compute as int64 (a bool result stores `!= 0`), 16- and
/// 8-bit floats as float, complex64 as complex128.
enum class Compute : std::uint8_t { Int64, Float, Double, Complex };

template <class C>
constexpr Compute compute_of() {
    if constexpr (std::is_same_v<C, std::int64_t>)
        return Compute::Int64;
    else if constexpr (std::is_same_v<C, float>)
        return Compute::Float;
    else if constexpr (std::is_same_v<C, double>)
        return Compute::Double;
    else {
        static_assert(std::is_same_v<C, std::complex<double>>, "not a compute type");
        return Compute::Complex;
    }
}

/// The dtype whose stored form is the compute type itself.
constexpr DType dtype_of(Compute compute) {
    constexpr DType dtypes[] = {DType::Int64, DType::Float32, DType::Float64, DType::Complex128};
    return dtypes[static_cast<int>(compute)];
}
template <class C>
constexpr DType dtype_of() {
    return dtype_of(compute_of<C>());
}

/// The compute type for values of `dtype`. Throws UnsupportedError for opaque dtypes.
inline Compute compute_for(DType dtype) {
    switch (category(dtype)) {
        case DTypeCategory::Bool:
        case DTypeCategory::Unsigned:
        case DTypeCategory::Signed:
            return Compute::Int64;
        case DTypeCategory::Float:
        case DTypeCategory::Float8:
            return dtype == DType::Float64 ? Compute::Double : Compute::Float;
        case DTypeCategory::Complex:
            return Compute::Complex;
        case DTypeCategory::Opaque:
            break;
    }
    throw UnsupportedError("arithmetic on dtype '" + std::string(name(dtype)) + "' is not supported");
}

/// Calls `f` with a value-initialised compute type: `compute`, or the one for `dtype`.
template <class F>
decltype(auto) visit_compute(Compute compute, F&& f) {
    switch (compute) {
        case Compute::Int64:
            return f(std::int64_t{});
        case Compute::Float:
            return f(float{});
        case Compute::Double:
            return f(double{});
        case Compute::Complex:
            break;
    }
    return f(std::complex<double>{});
}
template <class F>
decltype(auto) visit_compute(DType dtype, F&& f) {
    return visit_compute(compute_for(dtype), std::forward<F>(f));
}

/// As visit_compute without complex: throws UnsupportedError naming `op` for complex dtypes.
template <class F>
decltype(auto) visit_real(DType dtype, const char* op, F&& f) {
    const Compute compute = compute_for(dtype);
    if (compute == Compute::Int64) return f(std::int64_t{});
    if (compute != Compute::Complex) return compute == Compute::Double ? f(double{}) : f(float{});
    throw UnsupportedError(std::string(op) + " is not defined for dtype '" + std::string(name(dtype)) + "'");
}

/// Floating point only: throws UnsupportedError naming `op` for other dtypes.
template <class F>
decltype(auto) visit_float(DType dtype, const char* op, F&& f) {
    if (is_floating_point(dtype)) return dtype == DType::Float64 ? f(double{}) : f(float{});
    throw UnsupportedError(std::string(op) + " is not defined for dtype '" + std::string(name(dtype)) + "'");
}

/// dst[i] = the i-th of `n` stored elements at `src` (stride in elements) as the compute type.
void load(Compute compute, void* dst, DType dtype, const std::byte* src, std::int64_t stride, std::int64_t n);

/// Stores `n` compute values. Floats round to nearest even, integers wrap, a real number stored as complex has no
/// imaginary part, a complex number stored as real loses it. Float to integer truncates as x86 does (out of range: the
/// lowest integer).
void store(DType dtype, std::byte* dst, std::int64_t stride, Compute compute, const void* src, std::int64_t n);

/// Copies `n` elements between strided arrays of any dtypes, strides in elements.
void convert(DType dst_dtype, std::byte* dst, std::int64_t dst_stride, DType src_dtype, const std::byte* src,
             std::int64_t src_stride, std::int64_t n);

}  // namespace torch_ir
