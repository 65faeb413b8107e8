// SPDX-License-Identifier: MIT
// Elementary functions of float written without branches, so that a loop over them vectorises. Errors are given in
// units in the last place (ULP) against the true value. The double versions are the C library's; of rarer functions
// (libm, rounded) the float versions are, too.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

/// A loop over a function vectorises only where the function is inlined, which GCC leaves to itself otherwise.
#define TORCH_IR_ALWAYS_INLINE [[gnu::always_inline]] inline

namespace torch_ir::vmath {

namespace detail {
/// In a struct, as clang forgets the alignment of an alias template.
template <class T, std::size_t lanes>
struct VectorType {
    using Type [[gnu::vector_size(lanes * sizeof(T)), gnu::aligned(alignof(T)), gnu::may_alias]] = T;
};
}  // namespace detail

/// GCC's vectors, wherever in memory they lie: operators and choices act on every element.
template <class T, std::size_t lanes>
using Vector = typename detail::VectorType<T, lanes>::Type;

/// NaN when either is. In two steps, the second of which gives x + x: a choice of x by two conditions becomes two
/// comparisons where the first step is one instruction.
template <class C>
constexpr C larger(C x, C y) {
    const C number = x > y ? x : y;
    return x != x ? x + x : number;
}
template <class C>
constexpr C smaller(C x, C y) {
    const C number = x < y ? x : y;
    return x != x ? x + x : number;
}

/// e^x, 1 ULP; subnormal results are exact to the subnormal's precision, overflow gives infinity, NaN stays.
TORCH_IR_ALWAYS_INLINE float exp(float x) {
    const float clamped = x > 89.0F ? 89.0F : (x < -104.0F ? -104.0F : x);
    const float n = __builtin_rintf(clamped * 1.44269504F);
    float r = __builtin_fmaf(-n, 0.693145751953125F, clamped);
    r = __builtin_fmaf(-n, 1.42860677e-6F, r);
    float p = 1.381422176e-3F;
    p = __builtin_fmaf(p, r, 8.368898680e-3F);
    p = __builtin_fmaf(p, r, 4.166840572e-2F);
    p = __builtin_fmaf(p, r, .1666651913F);
    p = __builtin_fmaf(p, r, .4999999335F);
    const float y = __builtin_fmaf(p, r * r, r) + 1.0F;
    // 2^n in two factors, as n reaches -150 and 128.
    const auto k = static_cast<std::int32_t>(n);
    const std::int32_t half = k >> 1;
    const auto scale0 = std::bit_cast<float>((half + 127) << 23);
    const auto scale1 = std::bit_cast<float>((k - half + 127) << 23);
    const float result = y * scale0 * scale1;
    return x != x ? x : result;
}
inline double exp(double x) { return std::exp(x); }

/// Natural logarithm, 0.9 ULP, subnormal arguments included.
TORCH_IR_ALWAYS_INLINE float log(float x) {
    const bool subnormal = x < std::numeric_limits<float>::min();
    const float scaled = subnormal ? x * 8388608.0F : x;  // 2^23
    const auto bits = std::bit_cast<std::uint32_t>(scaled);
    const std::uint32_t exponent = (bits - 0x3f2aaaabU) & 0xff800000U;
    const float m = std::bit_cast<float>(bits - exponent) - 1.0F;  // in [-1/3, 1/3]
    const float n =
        static_cast<float>(static_cast<std::int32_t>(exponent)) * 1.19209290e-7F - (subnormal ? 23.0F : 0.0F);
    const float s = m * m;
    float r = -.130310059F;
    float t = .140869141F;
    r = __builtin_fmaf(r, s, -.121484190F);
    t = __builtin_fmaf(t, s, .139814854F);
    r = __builtin_fmaf(r, s, -.166846052F);
    t = __builtin_fmaf(t, s, .200120345F);
    r = __builtin_fmaf(r, s, -.249996200F);
    r = __builtin_fmaf(t, m, r);
    r = __builtin_fmaf(r, m, .333331972F);
    r = __builtin_fmaf(r, m, -.5F);
    r = __builtin_fmaf(r, s, m);
    r = __builtin_fmaf(n, .693147182F, r);
    const float edge = x == 0.0F ? -std::numeric_limits<float>::infinity()
                                 : (x < 0.0F ? std::numeric_limits<float>::quiet_NaN() : x + x);
    return x > 0.0F && x <= std::numeric_limits<float>::max() ? r : edge;
}
inline double log(double x) { return std::log(x); }

namespace detail {

/// sin(x + quarters · π/2) for |x| <= trigonometric_range, 0.501 ULP: in double, where taking away multiples of π/2 is
/// exact enough. Polynomials of sin and cos on [-π/4, π/4].
TORCH_IR_ALWAYS_INLINE float sine(float x, std::int64_t quarters) {
    constexpr double to_integer = 0x1.8p52;  // adding it leaves the nearest integer in the lowest bits
    const double v = x;
    const double shifted = v * 0.63661977236758134308 + to_integer;
    const double n = shifted - to_integer;
    double r = __builtin_fma(-n, 1.57079632679489655800, v);
    r = __builtin_fma(-n, 6.12323399573676603587e-17, r);
    const double z = r * r;
    double s = 2.718311493989822e-6;
    s = __builtin_fma(s, z, -1.98393348360966317347e-4);
    s = __builtin_fma(s, z, 8.3333293858894631756e-3);
    s = __builtin_fma(s, z, -.166666666416265235595);
    s = __builtin_fma(s * z, r, r);
    double c = 2.43904487962774090654e-5;
    c = __builtin_fma(c, z, -1.38867637746099294692e-3);
    c = __builtin_fma(c, z, 4.16666233237390631894e-2);
    c = __builtin_fma(c, z, -.499999997251031003120);
    c = __builtin_fma(c, z, 1.0);
    const std::int64_t quadrant = std::bit_cast<std::int64_t>(shifted) + quarters;
    const double y = (quadrant & 1) != 0 ? c : s;
    return static_cast<float>((quadrant & 2) != 0 ? -y : y);
}

}  // namespace detail

/// The largest magnitude for which `sin` and `cos` of float hold.
constexpr float trigonometric_range = 1e9F;
TORCH_IR_ALWAYS_INLINE float sin(float x) { return detail::sine(x, 0); }
TORCH_IR_ALWAYS_INLINE float cos(float x) { return detail::sine(x, 1); }
inline double sin(double x) { return std::sin(x); }
inline double cos(double x) { return std::cos(x); }

/// log(1 + x), 2 ULP: the rounding error of 1 + x is made good.
TORCH_IR_ALWAYS_INLINE float log1p(float x) {
    const float u = 1.0F + x;
    const float y = log(u);
    const float corrected = y - ((u - 1.0F) - x) / u;
    return u > 0.0F && u <= std::numeric_limits<float>::max() ? (x == 0.0F ? x : corrected) : y;
}
inline double log1p(double x) { return std::log1p(x); }

/// e^x - 1, 2 ULP.
TORCH_IR_ALWAYS_INLINE float expm1(float x) {
    const float clamped = x > 88.0F ? 88.0F : (x < -26.0F ? -26.0F : x);
    const float n = __builtin_rintf(clamped * 1.44269504F);
    float r = __builtin_fmaf(-n, 0.693145751953125F, clamped);
    r = __builtin_fmaf(-n, 1.42860677e-6F, r);
    float p = 1.98423862e-4F;
    p = __builtin_fmaf(p, r, 1.39349862e-3F);
    p = __builtin_fmaf(p, r, 8.33322014e-3F);
    p = __builtin_fmaf(p, r, 4.16664854e-2F);
    p = __builtin_fmaf(p, r, .166666672F);
    p = __builtin_fmaf(p, r, .5F);
    const float y = __builtin_fmaf(p, r * r, r);
    const auto scale = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
    const float result = __builtin_fmaf(y, scale, scale - 1.0F);
    const float large = x > 88.0F ? exp(x) : result;
    return x != x || x == 0.0F ? x : large;
}
inline double expm1(double x) { return std::expm1(x); }

/// erf, 1.03 ULP.
TORCH_IR_ALWAYS_INLINE float erf(float x) {
    const float t = __builtin_fabsf(x);
    const float x2 = x * x;
    float p = 8.316775266e-5F;
    p = __builtin_fmaf(p, x2, -8.130012703e-4F);
    p = __builtin_fmaf(p, x2, 5.199906675e-3F);
    p = __builtin_fmaf(p, x2, -2.685894151e-2F);
    p = __builtin_fmaf(p, x2, .1128368719F);
    p = __builtin_fmaf(p, x2, -.3761263319F);
    p = __builtin_fmaf(p, x2, .1283791666F);
    const float small = __builtin_fmaf(p, x, x);
    const float u = t > 3.92F ? 3.92F : t;
    float q = -2.209622438e-6F;
    q = __builtin_fmaf(q, u, 3.534852475e-5F);
    q = __builtin_fmaf(q, u, -2.243645792e-4F);
    q = __builtin_fmaf(q, u, 5.369977732e-4F);
    q = __builtin_fmaf(q, u, 1.754956141e-3F);
    q = __builtin_fmaf(q, u, -2.120118599e-2F);
    q = __builtin_fmaf(q, u, .1041341343F);
    q = __builtin_fmaf(q, u, .6361089110F);
    q = __builtin_fmaf(q, u, .1284629223F);
    const float tail = 1.0F - exp(-__builtin_fmaf(q, u, u));
    const float large = __builtin_copysignf(t > 3.92F ? 1.0F : tail, x);
    const float result = t <= .93F ? small : large;
    return x != x ? x : result;
}
inline double erf(double x) { return std::erf(x); }

/// erf within 5.5 ULP at a third of the time, for sums in which a part of 1e-7 does not count: rational approximation
/// on [-4, 4] (coefficients of Eigen's generic_fast_erf_float).
TORCH_IR_ALWAYS_INLINE float fast_erf(float x) {
    const float u = x > 4.0F ? 4.0F : (x < -4.0F ? -4.0F : x);
    const float z = u * u;
    float p = -2.72614225801306e-10F;
    p = __builtin_fmaf(p, z, 2.77068142495902e-08F);
    p = __builtin_fmaf(p, z, -2.10102402082508e-06F);
    p = __builtin_fmaf(p, z, -5.69250639462346e-05F);
    p = __builtin_fmaf(p, z, -7.34990630326855e-04F);
    p = __builtin_fmaf(p, z, -2.95459980854025e-03F);
    p = __builtin_fmaf(p, z, -1.60960333262415e-02F);
    float q = -1.45660718464996e-05F;
    q = __builtin_fmaf(q, z, -2.13374055278905e-04F);
    q = __builtin_fmaf(q, z, -1.68282697438203e-03F);
    q = __builtin_fmaf(q, z, -7.37332916720468e-03F);
    q = __builtin_fmaf(q, z, -1.42647390514189e-02F);
    return p * u / q;
}
inline double fast_erf(double x) { return std::erf(x); }

/// tanh, 1.32 ULP.
TORCH_IR_ALWAYS_INLINE float tanh(float x) {
    const float t = __builtin_fabsf(x);
    const float x2 = x * x;
    float p = -5.895157650e-3F;
    p = __builtin_fmaf(p, x2, 2.079597127e-2F);
    p = __builtin_fmaf(p, x2, -5.378383015e-2F);
    p = __builtin_fmaf(p, x2, .1333192413F);
    p = __builtin_fmaf(p, x2, -.3333329800F);
    const float small = __builtin_fmaf(p * x2, x, x);
    const float u = t > 10.0F ? 10.0F : t;
    const float large = __builtin_copysignf(1.0F - 2.0F / (exp(2.0F * u) + 1.0F), x);
    const float result = t <= .6F ? small : large;
    return x != x ? x : result;
}
inline double tanh(double x) { return std::tanh(x); }

/// 1 / (1 + e^-x), 2.4 ULP.
template <class F>
F sigmoid(F x) {
    return F(1) / (F(1) + exp(-x));
}

// TORCH_IR_LIBM(function, parameters, arguments) declares a function of double of the C library as one of which glibc
// has a form for vectors (libmvec), so that loops over it vectorise; elsewhere it is the standard library's.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35)
#define TORCH_IR_LIBM(function, parameters, arguments) \
    [[gnu::simd("notinbranch"), gnu::const]] double function parameters noexcept __asm__(#function);
#endif
#endif
#ifndef TORCH_IR_LIBM
#define TORCH_IR_LIBM(function, parameters, arguments) \
    inline double function parameters { return std::function arguments; }
#endif

// libm: double within 4 ULP. rounded: of float, computed in double and rounded, so that all but one in 10^8 results are
// the nearest float; of other numbers the standard library's.
#define TORCH_IR_FUNCTION(function)                                                                  \
    namespace libm {                                                                                 \
    TORCH_IR_LIBM(function, (double x), (x))                                                         \
    }                                                                                                \
    namespace rounded {                                                                              \
    TORCH_IR_ALWAYS_INLINE float function(float x) { return static_cast<float>(libm::function(x)); } \
    template <class T>                                                                               \
    T function(T x) {                                                                                \
        return std::function(x);                                                                     \
    }                                                                                                \
    }
#define TORCH_IR_FUNCTION_OF_TWO(function)                                                                       \
    namespace libm {                                                                                             \
    TORCH_IR_LIBM(function, (double x, double y), (x, y))                                                        \
    }                                                                                                            \
    namespace rounded {                                                                                          \
    TORCH_IR_ALWAYS_INLINE float function(float x, float y) { return static_cast<float>(libm::function(x, y)); } \
    template <class T>                                                                                           \
    T function(T x, T y) {                                                                                       \
        return std::function(x, y);                                                                              \
    }                                                                                                            \
    }

TORCH_IR_FUNCTION(acos)
TORCH_IR_FUNCTION(acosh)
TORCH_IR_FUNCTION(asin)
TORCH_IR_FUNCTION(asinh)
TORCH_IR_FUNCTION(atan)
TORCH_IR_FUNCTION(atanh)
TORCH_IR_FUNCTION(cosh)
TORCH_IR_FUNCTION(erf)
TORCH_IR_FUNCTION(erfc)
TORCH_IR_FUNCTION(exp)
TORCH_IR_FUNCTION(exp2)
TORCH_IR_FUNCTION(expm1)
TORCH_IR_FUNCTION(log)
TORCH_IR_FUNCTION(log10)
TORCH_IR_FUNCTION(log1p)
TORCH_IR_FUNCTION(log2)
TORCH_IR_FUNCTION(sinh)
TORCH_IR_FUNCTION(tan)
TORCH_IR_FUNCTION_OF_TWO(atan2)
TORCH_IR_FUNCTION_OF_TWO(pow)

#undef TORCH_IR_FUNCTION_OF_TWO
#undef TORCH_IR_FUNCTION
#undef TORCH_IR_LIBM

}  // namespace torch_ir::vmath
