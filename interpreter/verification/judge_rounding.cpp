// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

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
    std::int64_t worst = 0;  // its position in the result

    void add(const Statistics& other) {
        if (other_pattern == 0 && (other.other_pattern > 0 || other.max_q > max_q)) worst = other.worst;
        count += other.count;
        beyond_bound += other.beyond_bound;
        other_pattern += other.other_pattern;
        squares += other.squares;
        signed_sum += other.signed_sum;
        max_q = std::max(max_q, other.max_q);
        max_abs = std::max(max_abs, other.max_abs);
    }
};

/// All are finite, or `squares` is not, and stored as precisely as they are computed. Differences beyond `most` times
/// the bound are counted. The worst is looked for where it is as bad as `least_worst`.
template <class Found>
Statistics judge_plain(const RoundedBlock& block, const Found* found, double most, double least_worst) {
    double squares = 0;
    double signed_sum = 0;
    double max_q = 0;
    double max_abs = 0;
    std::int64_t beyond = 0;
    const std::int64_t n = block.n;
    const double* value = block.value;
    const double* sigma = block.sigma;
    const double* bound = block.bound;
#pragma omp simd reduction(+ : squares, signed_sum, beyond) reduction(max : max_q, max_abs)
    for (std::int64_t i = 0; i < n; ++i) {
        const double difference = static_cast<double>(found[i]) - value[i];
        const double q = difference / (sigma[i] + floor_value);
        const double size = std::fabs(difference);
        const double q_size = std::fabs(q);
        squares += q * q;
        signed_sum += value[i] < 0 ? -q : q;
        beyond += size > most * (bound[i] + floor_value) ? 1 : 0;
        max_q = q_size > max_q ? q_size : max_q;
        max_abs = size > max_abs ? size : max_abs;
    }
    std::int64_t worst = 0;
    if (max_q >= least_worst)
        while (worst + 1 < n &&
               std::fabs((static_cast<double>(found[worst]) - value[worst]) / (sigma[worst] + floor_value)) != max_q)
            ++worst;
    return {n, beyond, 0, squares, signed_sum, max_q, max_abs, block.at + worst};
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
template <class Found>
Statistics judge_block(const RoundedBlock& block, const Found* candidate, double most, const Format& format,
                       double accumulator, double least) {
    Statistics all;
    for (std::int64_t i = 0; i < block.n; ++i) {
        const double value = block.value[i];
        const double found = candidate[i];
        if (!std::isfinite(value) || !std::isfinite(found)) {
            const bool overflow = std::isinf(found) && std::fabs(value) > format.largest && (value < 0) == (found < 0);
            const bool same = value == found || (std::isnan(value) && std::isnan(found)) || overflow;
            if (!same && all.other_pattern++ == 0) all.worst = block.at + i;
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
        if (std::fabs(difference) > most * (block.bound[i] + floor_value)) ++all.beyond_bound;
        if (std::fabs(q) > all.max_q) {
            all.max_q = std::fabs(q);
            if (all.other_pattern == 0) all.worst = block.at + i;
        }
        ++all.count;
    }
    return all;
}

Statistics judge_elements(const Tensor& candidate, const Reference& reference, bool region, double stored,
                          double accumulator) {
    const Format format = format_of(candidate.dtype(), stored);
    const double least = region ? 0.25 : 0;  // a sigma from few probes is itself uncertain
    const double most = region ? infinity : 1.05;
    const Tensor dense = real_view(candidate).contiguous();
    std::mutex mutex;
    std::vector<std::pair<std::int64_t, Statistics>> blocks;
    double max_q = 0;  // of all so far
    const auto judge_all = [&]<class Found>(const Found* found) {
        reference.for_each_block({[&](const RoundedBlock& block) {
            const double least_worst = [&] {
                const std::scoped_lock lock(mutex);
                return max_q;
            }();
            const Found* of_block = found + block.at;
            Statistics one;
            if (stored == 0) one = judge_plain(block, of_block, most, least_worst);
            if (stored > 0 || !std::isfinite(one.squares))
                one = judge_block(block, of_block, most, format, accumulator, least);
            const std::scoped_lock lock(mutex);
            max_q = std::max(max_q, one.max_q);
            blocks.emplace_back(block.at, one);
        }});
    };
    if (dense.dtype() == DType::Float32)
        judge_all(dense.data<float>());
    else
        judge_all(dense.to(DType::Float64).data<double>());
    // Sums do not depend on the order in which threads come along.
    std::sort(blocks.begin(), blocks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Statistics all;
    for (const auto& [at, one] : blocks) all.add(one);
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

    const double max_allowed = region ? 8 : coarse ? 4 : 10;
    const double rms_allowed =
        region ? std::max(1.0, 0.8 * (1 + 6 / std::sqrt(2 * n))) : std::max(1.25, 0.8 * (1 + 6 / std::sqrt(2 * n)));
    const bool has_bias = std::min(all.count, reference.independent) >= 64;
    constexpr double bias_allowed = 0.75;
    result.used =
        std::max({all.max_q / max_allowed, result.rms_q / rms_allowed, has_bias ? result.bias / bias_allowed : 0});
    if (all.other_pattern > 0) {
        result.verdict = Verdict::Wrong;
        result.reason = std::to_string(all.other_pattern) +
                        " elements are NaN or infinite where the float64 result is not, or the other way round";
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
