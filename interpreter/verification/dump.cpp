// SPDX-License-Identifier: MIT
#include "verification/dump.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "torch_ir/text.hpp"
#include "verification/compare.hpp"

namespace torch_ir {
namespace {

bool is_real_float(const Tensor& tensor) { return tensor.defined() && is_floating_point(tensor.dtype()); }

/// Mean |a - b| over mean |b| of some hundred elements; infinite where nothing can be said.
double sampled_distance(const Tensor& a, const Tensor& b) {
    constexpr double nothing = std::numeric_limits<double>::infinity();
    if (!is_real_float(a) || !is_real_float(b) || a.numel() != b.numel() || a.numel() < 4) return nothing;
    const std::int64_t step = std::max<std::int64_t>(1, a.numel() / 509);
    const auto samples = [&](const Tensor& t) {
        const std::int64_t count = (t.numel() + step - 1) / step;
        return t.contiguous().as_strided({count}, {step}, 0).to(DType::Float64).contiguous();
    };
    const Tensor x = samples(a);
    const Tensor y = samples(b);
    double difference = 0;
    double size = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        difference += std::fabs(x.data<double>()[i] - y.data<double>()[i]);
        size += std::fabs(y.data<double>()[i]);
    }
    return size > 0 && std::isfinite(difference) ? difference / size : nothing;
}

/// The same, in whatever layout the first is.
double distance_to(const Tensor& candidate, const Tensor& tensor) {
    if (candidate.shape() == tensor.shape()) return sampled_distance(candidate, tensor);
    if (!is_real_float(candidate) || !is_real_float(tensor) || candidate.numel() != tensor.numel())
        return std::numeric_limits<double>::infinity();
    return sampled_distance(match_layout(candidate, tensor).first, tensor);
}

}  // namespace

std::pair<Tensor, std::string> match_layout(const Tensor& candidate, const Tensor& expected) {
    const Ints& shape = expected.shape();
    if (candidate.shape() == shape) return {candidate, ""};
    if (candidate.dim() == expected.dim() && candidate.dim() <= 6) {
        std::vector<std::int64_t> order(shape.size());
        std::iota(order.begin(), order.end(), 0);
        std::pair<Tensor, std::string> best;
        double least = 0;
        do {
            bool fits = true;
            for (std::size_t d = 0; d < order.size(); ++d)
                fits = fits && candidate.shape()[static_cast<std::size_t>(order[d])] == shape[d];
            if (!fits) continue;
            const Tensor permuted = candidate.permute(order);
            const Comparison found = compare(permuted.to(DType::Float64), expected.to(DType::Float64), {0, 0});
            if (best.first.defined() && found.mean_abs >= least) continue;
            least = found.mean_abs;
            best = {permuted, "permuted " + to_string(order)};
        } while (std::next_permutation(order.begin(), order.end()));
        if (best.first.defined()) return best;
        // Padded to a larger size at the end.
        if (std::equal(shape.begin(), shape.end(), candidate.shape().begin(),
                       [](std::int64_t a, std::int64_t b) { return a <= b; })) {
            Tensor cut = candidate;
            for (std::size_t d = 0; d < shape.size(); ++d) cut = cut.narrow(static_cast<std::int64_t>(d), 0, shape[d]);
            return {cut, "padded to " + to_string(candidate.shape())};
        }
    }
    if (candidate.numel() == expected.numel())
        return {candidate.reshape(std::span<const std::int64_t>(shape)), "of shape " + to_string(candidate.shape())};
    return {};
}

std::optional<DType> narrow_dtype(std::span<const Tensor> tensors) {
    for (const DType dtype : {DType::BFloat16, DType::Float16})
        if (!tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) {
                return compare(tensor.to(dtype).to(tensor.dtype()), tensor, {0, 0}).passed;
            }))
            return dtype;
    return std::nullopt;
}

NameFinder::NameFinder(const NamedTensors& dump, const std::vector<std::string>& unknown) : dump_(dump) {
    for (const std::string& name : unknown) unknown_.emplace(name, Match{std::numeric_limits<double>::infinity(), {}});
}

void NameFinder::look_for(const std::string& value, const Tensor& tensor) {
    constexpr double near = 0.05;
    for (auto& [name, match] : unknown_) {
        const double distance = distance_to(dump_.at(name), tensor);
        if (distance > std::min(near, match.distance)) continue;
        if (distance < match.distance) match = {distance, {}};
        match.values.insert(value);
    }
}

std::map<std::string, std::string> NameFinder::found() const {
    std::map<std::string, std::string> names;
    for (const auto& [name, match] : unknown_) {
        if (match.values.empty()) continue;
        const std::string similar = closest(name, match.values);
        names.emplace(name, similar.empty() ? *match.values.begin() : similar);
    }
    return names;
}

std::string NameFinder::other_name(const std::string& own, const Tensor& tensor) const {
    const auto found = dump_.find(own);
    const double here = found == dump_.end() ? 1 : distance_to(found->second, tensor);
    for (const auto& [name, other] : dump_)
        if (name != own && distance_to(other, tensor) < std::min(5e-3, here / 20)) return name;
    return {};
}

std::string map_text(const std::map<std::string, std::string>& names) {
    return "a map for --map of the names that the numbers tell: " +
           nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace torch_ir
