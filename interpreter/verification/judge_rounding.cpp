// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <limits>

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
    const Comparison comparison = compare(candidate.to(expected.dtype()), expected, {0, floor_value});
    result.max_abs = comparison.max_abs;
    result.worst_index = comparison.worst_index;
    if (!comparison.passed) {
        result.verdict = Verdict::Wrong;
        result.reason = std::to_string(comparison.mismatches) + " of " + std::to_string(comparison.elements) +
                        " elements differ from the result of an op that does not round";
        result.max_q = result.rms_q = std::numeric_limits<double>::infinity();
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
    std::int64_t worst = 0;
};

}  // namespace

std::string_view name(Verdict verdict) {
    constexpr std::string_view names[] = {"explained", "suspicious", "wrong"};
    return names[static_cast<int>(verdict)];
}

RoundingVerdict judge_rounding(const Tensor& candidate, const Reference& reference, bool region,
                               const RoundingProfile& profile) {
    if (reference.is_exact()) return judge_exact(candidate, reference.value);
    const double stored = std::max(unit_roundoff(candidate.dtype()), profile.storage);
    // Results that are stored coarser than they are computed are compared with the interval that rounds to them.
    const bool coarse = stored > profile.accumulator;
    const Tensor c = real_view(candidate).to(DType::Float64).contiguous();
    const Tensor y = real_view(std::get<Tensor>(reference.value)).contiguous();
    const Tensor s = reference.sigma.contiguous();
    const Tensor b = region ? Tensor{} : reference.bound.contiguous();
    Statistics all;
    for (std::int64_t i = 0; i < y.numel(); ++i) {
        const double value = y.data<double>()[i];
        const double found = c.data<double>()[i];
        if (!std::isfinite(value) || !std::isfinite(found)) {
            const bool same = value == found || (std::isnan(value) && std::isnan(found));
            if (!same && all.other_pattern++ == 0) all.worst = i;
            continue;
        }
        double sigma = s.data<double>()[i];
        double bound = region ? std::numeric_limits<double>::infinity() : b.data<double>()[i];
        double difference = found - value;
        all.max_abs = std::max(all.max_abs, std::fabs(difference));
        if (coarse) {
            const double half = half_ulp(found, stored);
            difference = difference > half ? difference - half : difference < -half ? difference + half : 0;
            const double own = stored * value;
            const double rest = 2 * profile.accumulator * value;
            sigma = std::sqrt(std::max(0.0, sigma * sigma - own * own / 3) + rest * rest);
        }
        sigma += floor_value;
        const double q = difference / sigma;
        all.squares += q * q;
        all.signed_sum += value < 0 ? -q : q;
        if (std::fabs(difference) > 1.05 * (bound + floor_value)) ++all.beyond_bound;
        if (std::fabs(q) > all.max_q) {
            all.max_q = std::fabs(q);
            if (all.other_pattern == 0) all.worst = i;
        }
        ++all.count;
    }
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
    } else if (all.count >= 64 && result.bias > 0.75) {
        result.verdict = Verdict::Suspicious;
        result.reason = "the elements are off in one direction, by " + short_number(result.bias) + " sigma on average";
    }
    // Without a hard bound, what no probe comes near to is wrong all the same.
    if (region && result.verdict == Verdict::Suspicious && (all.max_q > 1000 || result.rms_q > 100))
        result.verdict = Verdict::Wrong;
    return result;
}

}  // namespace torch_ir
