// SPDX-License-Identifier: MIT
#include "convert.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "half.hpp"

namespace torch_ir {
namespace {

template <class T>
inline constexpr bool is_complex_type = false;
template <class T>
inline constexpr bool is_complex_type<std::complex<T>> = true;

/// Float to integer as cvttsd2si does: truncation, and the lowest integer for everything out of range and NaN. From
/// 2^63 on uint64 is what lies above that.
template <class I, class F>
I truncate(F value) {
    using Signed = std::make_signed_t<I>;
    constexpr F limit = static_cast<F>(sizeof(I) == 8 ? 0x1p63 : 0x1p31);
    constexpr Signed lowest = std::numeric_limits<Signed>::min();
    if constexpr (!std::is_same_v<I, Signed>)
        if (value >= limit) return static_cast<I>(truncate<Signed>(value - limit) ^ lowest);
    return static_cast<I>(value >= -limit && value < limit ? static_cast<Signed>(value) : lowest);
}

template <class To, class From>
To convert_one(From value) {
    if constexpr (is_complex_type<To>) {
        using Part = typename To::value_type;
        if constexpr (is_complex_type<From>)
            return To(static_cast<Part>(static_cast<double>(value.real())),
                      static_cast<Part>(static_cast<double>(value.imag())));
        else
            return To(convert_one<Part>(value), Part(0));
    } else if constexpr (is_complex_type<From>) {
        if constexpr (std::is_same_v<To, bool>)
            return value != From{};
        else
            return convert_one<To>(value.real());
    } else if constexpr (std::is_same_v<To, bool>) {
        if constexpr (std::is_arithmetic_v<From> || std::is_same_v<From, Float16>)
            return value != From(0);
        else
            return static_cast<float>(value) != 0.0F;
    } else if constexpr (std::is_integral_v<To> && !std::is_integral_v<From>) {
        if constexpr (!std::is_same_v<From, float> && !std::is_same_v<From, double>)
            return convert_one<To>(static_cast<float>(value));
        else if constexpr (sizeof(To) == 8)
            return truncate<To>(value);
        else if constexpr (std::is_same_v<To, std::uint32_t> || std::is_same_v<To, std::uint8_t>)
            return static_cast<To>(truncate<std::int64_t>(value));
        else
            return static_cast<To>(truncate<std::int32_t>(value));
    } else if constexpr (std::is_arithmetic_v<To> && (std::is_arithmetic_v<From> || std::is_same_v<From, Float16>)) {
        return static_cast<To>(value);
    } else if constexpr (std::is_same_v<To, Float16> && std::is_arithmetic_v<From>) {
        return static_cast<To>(value);
    } else {
        return static_cast<To>(static_cast<float>(value));  // a class type on one side: through float
    }
}

/// Integers that convert_one makes by way of 64 bits, for which AVX2 has no instruction as it has for 32.
template <class To>
inline constexpr bool is_made_of_64_bits = (std::is_integral_v<To> && sizeof(To) == 8) ||
                                           std::is_same_v<To, std::uint32_t> || std::is_same_v<To, std::uint8_t>;

/// dst[i] = src[i] truncated, if all of them fit into int32; false otherwise.
template <class To, class From>
bool convert_by_int32(To* dst, const From* src, std::int64_t n) {
    std::int32_t outside = 0;
    for (std::int64_t i = 0; i < n; ++i) outside |= std::abs(src[i]) < From(0x1p31) ? 0 : 1;
    if (outside != 0) return false;
    for (std::int64_t i = 0; i < n; ++i) dst[i] = static_cast<To>(static_cast<std::int32_t>(src[i]));
    return true;
}

#ifdef __F16C__
/// dst[i] = src[i], eight at a time, for which g++ 12 makes no loop; returns how many.
std::int64_t convert_eights(Float16* dst, const float* src, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i_u*>(dst + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}
std::int64_t convert_eights(float* dst, const Float16* src, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(src + i))));
    return i;
}
#endif
/// For other types none.
template <class To, class From>
std::int64_t convert_eights(To*, const From*, std::int64_t) {
    return 0;
}

template <class To, class From>
void convert_loop(To* dst, std::int64_t dst_stride, const From* src, std::int64_t src_stride, std::int64_t n) {
    if (dst_stride == 1 && src_stride == 1) {
        if constexpr (std::is_same_v<To, From>) {
            std::memcpy(dst, src, static_cast<std::size_t>(n) * sizeof(To));
        } else {
            if constexpr (is_made_of_64_bits<To> && std::is_floating_point_v<From>)
                if (convert_by_int32(dst, src, n)) return;
            for (std::int64_t i = convert_eights(dst, src, n); i < n; ++i) dst[i] = convert_one<To>(src[i]);
        }
    } else if (dst_stride == 1 && src_stride == 0 && n > 0) {
        std::fill_n(dst, n, convert_one<To>(*src));
    } else {
        for (std::int64_t i = 0; i < n; ++i) dst[i * dst_stride] = convert_one<To>(src[i * src_stride]);
    }
}

[[noreturn]] void throw_opaque(DType dtype) {
    throw UnsupportedError("dtype '" + std::string(name(dtype)) + "' cannot be converted");
}

template <class Word>
void copy_words(std::byte* dst, std::int64_t dst_stride, const std::byte* src, std::int64_t src_stride,
                std::int64_t n) {
    if (dst_stride == 1 && src_stride == -1) {
        const Word* const last = reinterpret_cast<const Word*>(src) + 1;
        std::reverse_copy(last - n, last, reinterpret_cast<Word*>(dst));
        return;
    }
    convert_loop(reinterpret_cast<Word*>(dst), dst_stride, reinterpret_cast<const Word*>(src), src_stride, n);
}

}  // namespace

void load(Compute compute, void* dst, DType dtype, const std::byte* src, std::int64_t stride, std::int64_t n) {
    visit_compute(compute, [&]<class C>(C) {
        if (!visit_stored(dtype, [&]<class T>(T) {
                convert_loop(static_cast<C*>(dst), 1, reinterpret_cast<const T*>(src), stride, n);
            }))
            throw_opaque(dtype);
    });
}

void store(DType dtype, std::byte* dst, std::int64_t stride, Compute compute, const void* src, std::int64_t n) {
    visit_compute(compute, [&]<class C>(C) {
        if (!visit_stored(dtype, [&]<class T>(T) {
                convert_loop(reinterpret_cast<T*>(dst), stride, static_cast<const C*>(src), 1, n);
            }))
            throw_opaque(dtype);
    });
}

void convert(DType dst_dtype, std::byte* dst, std::int64_t dst_stride, DType src_dtype, const std::byte* src,
             std::int64_t src_stride, std::int64_t n) {
    if (dst_dtype == src_dtype) {
        switch (item_size(dst_dtype)) {
            case 1:
                return copy_words<std::uint8_t>(dst, dst_stride, src, src_stride, n);
            case 2:
                return copy_words<std::uint16_t>(dst, dst_stride, src, src_stride, n);
            case 4:
                return copy_words<std::uint32_t>(dst, dst_stride, src, src_stride, n);
            case 8:
                return copy_words<std::uint64_t>(dst, dst_stride, src, src_stride, n);
            default:
                return copy_words<std::complex<double>>(dst, dst_stride, src, src_stride, n);
        }
    }
    // By way of the source's compute type; int64 does not hold all numbers of uint64.
    const Compute compute = compute_for(src_dtype == DType::UInt64 ? dst_dtype : src_dtype);
    constexpr std::int64_t block = 1024;
    alignas(64) std::byte scratch[block * sizeof(std::complex<double>)];
    const auto dst_item = static_cast<std::int64_t>(item_size(dst_dtype));
    const auto src_item = static_cast<std::int64_t>(item_size(src_dtype));
    for (std::int64_t i = 0; i < n; i += block) {
        const std::int64_t m = std::min(block, n - i);
        const std::byte* values = src + i * src_stride * src_item;
        if (src_stride != 1 || src_dtype != dtype_of(compute)) {
            load(compute, scratch, src_dtype, values, src_stride, m);
            values = scratch;
        }
        store(dst_dtype, dst + i * dst_stride * dst_item, dst_stride, compute, values, m);
    }
}

}  // namespace torch_ir
