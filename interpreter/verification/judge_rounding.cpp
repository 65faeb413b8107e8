// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "parallel.hpp"
#include "promote.hpp"
#include "verification/compare.hpp"
#include "verification/locate.hpp"
#include "verification/report.hpp"

namespace torch_ir {
namespace {

/// What may be flushed to zero.
constexpr double floor_value = 0x1p-126;

/// Half the distance between neighbours of `value` in a format of unit roundoff `u`.
double half_ulp(double value, double u) {
    if (value == 0 || !std::isfinite(value)) return 0;
    return std::ldexp(u, std::ilogb(value));
}

RoundingVerdict judge_exact(const Tensor& candidate, const IValue& value) {
    RoundingVerdict result;
    const Tensor expected = value_tensor(value);
    if (same_bits(candidate, expected)) return result;
    const Comparison comparison = compare(candidate.to(expected.dtype()), expected, {0, floor_value});
    result.max_abs = comparison.max_abs;
    result.worst_index = comparison.worst_index;
    if (!comparison.passed) {
        result.verdict = Verdict::Wrong;
        result.reason = std::to_string(comparison.mismatches) + " of " + std::to_string(comparison.elements) +
                        " elements differ from the result of an op that does not round";
        result.max_q = result.rms_q = infinity;
    }
    return result;
}

/// Of what is judged element by element.
struct Statistics {
    std::int64_t count = 0;
    std::int64_t beyond_bound = 0;
    std::int64_t other_pattern = 0;  // NaN or infinity on one side only
    double squares = 0;
    double signed_sum = 0;
    double max_q = 0;
    double max_abs = 0;
    std::int64_t worst = 0;  // -1: not looked for

    /// True when the worst element of the two is the other's.
    bool add(const Statistics& other) {
        const bool worse = other_pattern == 0 && (other.other_pattern > 0 || other.max_q > max_q);
        if (worse) worst = other.worst;
        count += other.count;
        beyond_bound += other.beyond_bound;
        other_pattern += other.other_pattern;
        squares += other.squares;
        signed_sum += other.signed_sum;
        max_q = std::max(max_q, other.max_q);
        max_abs = std::max(max_abs, other.max_abs);
        return worse;
    }
};

/// Some elements in the order in which they lie in memory: what was found, the value, its sigma and its bound.
template <class Found, class Spread>
struct Block {
    std::int64_t n;
    const Found* found;
    const double* value;
    const Spread* sigma;
    const Spread* bound;  // infinite where there is none
};

/// All are finite and stored as precisely as they are computed.
template <class Found, class Spread>
Statistics judge_plain(const Block<Found, Spread>& block) {
    double squares = 0;
    double signed_sum = 0;
    double max_q = 0;
    double max_abs = 0;
    std::int64_t beyond = 0;
    const auto [n, found, value, sigma, bound] = block;
#pragma omp simd reduction(+ : squares, signed_sum, beyond) reduction(max : max_q, max_abs)
    for (std::int64_t i = 0; i < n; ++i) {
        const double difference = static_cast<double>(found[i]) - value[i];
        const double q = difference / (static_cast<double>(sigma[i]) + floor_value);
        const double size = std::fabs(difference);
        const double q_size = std::fabs(q);
        squares += q * q;
        signed_sum += value[i] < 0 ? -q : q;
        beyond += size > 1.05 * (bound[i] + floor_value) ? 1 : 0;
        max_q = q_size > max_q ? q_size : max_q;
        max_abs = size > max_abs ? size : max_abs;
    }
    return {n, beyond, 0, squares, signed_sum, max_q, max_abs, -1};
}

/// The position of a q of that size, which judge_plain found.
template <class Found, class Spread>
std::int64_t find_q(const Block<Found, Spread>& block, double size) {
    for (std::int64_t i = 0; i < block.n; ++i)
        if (std::fabs((static_cast<double>(block.found[i]) - block.value[i]) /
                      (static_cast<double>(block.sigma[i]) + floor_value)) == size)
            return i;
    return 0;
}

/// How candidates are stored.
struct Format {
    double stored;   // the unit roundoff of what is stored coarser than it is computed, else 0
    double half;     // half the distance between numbers near 0
    double largest;  // beyond it all is infinite
};

Format format_of(DType dtype, double stored) {
    const bool narrow = category(dtype) == DTypeCategory::Float8;
    return {stored, dtype == DType::Float16 ? 0x1p-25 : 0x1p-134,
            narrow || !(is_floating_point(dtype) || is_complex(dtype)) ? infinity : largest_finite(dtype)};
}

/// Results that are stored coarser than they are computed are compared with the interval that rounds to them, and their
/// sigma is without that rounding; `least` of its square stays in any case.
template <class Found, class Spread>
Statistics judge_block(const Block<Found, Spread>& block, const Format& format, double accumulator, double least) {
    Statistics all;
    for (std::int64_t i = 0; i < block.n; ++i) {
        const double value = block.value[i];
        const double found = block.found[i];
        if (!std::isfinite(value) || !std::isfinite(found)) {
            const bool overflow = std::isinf(found) && std::fabs(value) > format.largest && (value < 0) == (found < 0);
            const bool same = value == found || (std::isnan(value) && std::isnan(found)) || overflow;
            if (!same && all.other_pattern++ == 0) all.worst = i;
            continue;
        }
        double sigma = block.sigma[i];
        double difference = found - value;
        all.max_abs = std::max(all.max_abs, std::fabs(difference));
        if (format.stored > 0) {
            const double half = std::max(format.half, half_ulp(found, format.stored));
            difference = difference > half ? difference - half : difference < -half ? difference + half : 0;
            const double own = format.stored * value;
            const double rest = 2 * accumulator * value;
            sigma = std::sqrt(std::max(least * sigma * sigma, sigma * sigma - own * own / 3) + rest * rest);
        }
        const double q = difference / (sigma + floor_value);
        all.squares += q * q;
        all.signed_sum += value < 0 ? -q : q;
        if (std::fabs(difference) > 1.05 * (block.bound[i] + floor_value)) ++all.beyond_bound;
        if (std::fabs(q) > all.max_q) {
            all.max_q = std::fabs(q);
            if (all.other_pattern == 0) all.worst = i;
        }
        ++all.count;
    }
    return all;
}

template <class Found>
bool all_finite(const Found* x, const double* y, std::int64_t n) {
    double sum = 0;  // of zeros, or NaN
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i] - x[i]) + (y[i] - y[i]);
    return sum == 0;
}

/// The dimensions from the outermost in memory to the innermost.
std::vector<std::int64_t> order_in_memory(const Tensor& tensor) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(tensor.dim()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return tensor.stride(a) > tensor.stride(b); });
    return order;
}

/// The row-major position in a tensor of `shape` of position `flat` in the tensor permuted to `order`.
std::int64_t row_major(std::int64_t flat, const Ints& shape, const std::vector<std::int64_t>& order) {
    const Ints strides = contiguous_strides(shape);
    std::int64_t position = 0;
    for (std::size_t d = order.size(); d-- > 0;) {
        const auto dim = static_cast<std::size_t>(order[d]);
        position += flat % shape[dim] * strides[dim];
        flat /= shape[dim];
    }
    return position;
}

Statistics judge_elements(const Tensor& candidate, const Reference& reference, bool region, double stored,
                          double accumulator) {
    constexpr std::int64_t block_size = 8192;
    const Format format = format_of(candidate.dtype(), stored);
    const double least = region ? 0.25 : 0;  // a sigma from few probes is itself uncertain
    const Tensor value = real_view(std::get<Tensor>(reference.value));
    const std::vector<std::int64_t> order = order_in_memory(value);
    const auto in_order = [&](const Tensor& tensor) { return tensor.permute(order).contiguous(); };
    const Tensor y = in_order(value);
    const Tensor c = in_order(real_view(candidate));
    const Tensor s = in_order(reference.sigma);
    const Tensor b = region ? Tensor{} : in_order(reference.bound);
    const std::int64_t n = y.numel();
    if (n == 0) return {};
    Statistics all;
    const auto judge_all = [&]<class Found, class Spread>(const Found* found, const Spread* sigma,
                                                          const Spread* bound) {
        const std::vector<Spread> unbounded(bound ? 0 : block_size, std::numeric_limits<Spread>::infinity());
        const auto block_at = [&](std::int64_t begin) {
            return Block<Found, Spread>{std::min(block_size, n - begin), found + begin, y.data<double>() + begin,
                                        sigma + begin, bound ? bound + begin : unbounded.data()};
        };
        std::vector<Statistics> blocks(static_cast<std::size_t>((n + block_size - 1) / block_size));
        parallel_for(n, block_size, [&](std::int64_t begin, std::int64_t) {
            const auto block = block_at(begin);
            blocks[static_cast<std::size_t>(begin / block_size)] =
                stored == 0 && all_finite(block.found, block.value, block.n)
                    ? judge_plain(block)
                    : judge_block(block, format, accumulator, least);
        });
        std::int64_t worst = 0;
        for (std::int64_t begin = 0; begin < n; begin += block_size)
            if (all.add(blocks[static_cast<std::size_t>(begin / block_size)])) worst = begin;
        all.worst = worst + (all.worst < 0 ? find_q(block_at(worst), all.max_q) : all.worst);
    };
    visit_float(s.dtype(), "judge_rounding", [&]<class Spread>(Spread) {
        const Spread* bound = region ? nullptr : b.data<Spread>();
        if (c.dtype() == DType::Float32)
            judge_all(c.data<float>(), s.data<Spread>(), bound);
        else
            judge_all(c.to(DType::Float64).data<double>(), s.data<Spread>(), bound);
    });
    all.worst = row_major(all.worst, value.shape(), order);
    return all;
}

}  // namespace

std::string_view name(Verdict verdict) {
    constexpr std::string_view names[] = {"explained", "suspicious", "wrong"};
    return names[static_cast<int>(verdict)];
}

RoundingVerdict judge_rounding(const Tensor& candidate, const Reference& reference, bool region,
                               const RoundingProfile& profile) {
    if (reference.is_exact()) return judge_exact(candidate, reference.value);
    const double stored = std::max(unit_roundoff(candidate.dtype()), profile.storage);
    const bool coarse = stored > profile.accumulator;
    const Statistics all = judge_elements(candidate, reference, region, coarse ? stored : 0, profile.accumulator);
    const double n = std::max<double>(1, static_cast<double>(all.count));
    RoundingVerdict result;
    result.max_q = all.max_q;
    result.rms_q = std::sqrt(all.squares / n);
    result.bias = std::fabs(all.signed_sum / n);
    result.max_abs = all.max_abs;
    result.worst_index = all.worst;

    const double max_allowed = coarse ? 4 : region ? 8 : 10;
    const double rms_allowed =
        region ? std::max(1.0, 0.8 * (1 + 6 / std::sqrt(2 * n))) : std::max(1.25, 0.8 * (1 + 6 / std::sqrt(2 * n)));
    const bool has_bias = std::min(all.count, reference.independent) >= 64;
    constexpr double bias_allowed = 0.75;
    result.used =
        std::max({all.max_q / max_allowed, result.rms_q / rms_allowed, has_bias ? result.bias / bias_allowed : 0});
    if (all.other_pattern > 0) {
        result.verdict = Verdict::Wrong;
        result.reason = std::to_string(all.other_pattern) + " elements are NaN or infinite on one side only";
    } else if (all.beyond_bound > 0) {
        result.verdict = Verdict::Wrong;
        result.reason = std::to_string(all.beyond_bound) + " of " + std::to_string(all.count) +
                        " elements are further off than rounding can bring them; the worst by " +
                        short_number(all.max_q) + " sigma";
    } else if (all.max_q > max_allowed) {
        result.verdict = Verdict::Suspicious;
        result.reason = "one element is off by " + short_number(all.max_q) + " sigma";
    } else if (result.rms_q > rms_allowed) {
        result.verdict = Verdict::Suspicious;
        result.reason = "the elements are off by " + short_number(result.rms_q) + " sigma (rms)";
    } else if (has_bias && result.bias > bias_allowed) {
        result.verdict = Verdict::Suspicious;
        result.reason = "the elements are off in one direction, by " + short_number(result.bias) + " sigma on average";
    }
    // Without a hard bound, what no probe comes near to is wrong all the same.
    if (region && result.verdict == Verdict::Suspicious && (all.max_q > 1000 || result.rms_q > 100))
        result.verdict = Verdict::Wrong;
    return result;
}

}  // namespace torch_ir
