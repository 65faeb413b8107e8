// SPDX-License-Identifier: MIT
#include "verification/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "elementwise.hpp"

namespace torch_ir {
namespace {

/// A stream of random numbers of mean 0 and variance 1. Number `i` depends on nothing else, so that verdicts repeat.
class Noise {
  public:
    explicit Noise(std::uint64_t stream) {
        std::uint64_t z = (stream + 1) * 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        start_ = static_cast<std::uint32_t>(z);
        key_ = static_cast<std::uint32_t>(z >> 32);
    }

    /// Four uniforms of a byte each, of one well mixed number: arithmetic that vectorises.
    float operator()(std::uint32_t i) const {
        std::uint32_t z = i * 0x9E3779B1U + start_;
        z = (z ^ (z >> 16)) * 0x7FEB352DU;
        z = ((z ^ key_) ^ (z >> 15)) * 0x846CA68BU;
        z ^= z >> 16;
        const std::uint32_t pairs = (z & 0x00FF00FFU) + (z >> 8 & 0x00FF00FFU);
        const auto sum = static_cast<std::int32_t>((pairs & 0xFFFFU) + (pairs >> 16));
        return static_cast<float>(sum - 510) * 0.0067659F;  // 1 / sqrt(4 (256² - 1) / 12)
    }

  private:
    std::uint32_t start_;
    std::uint32_t key_;
};

/// to[i] = value[i] + sigma[i] * noise; what is not finite stays as it is. What lies between -1 and 1 stays there, and
/// what is 0 becomes no less: there are ops that are not defined beyond.
template <class To, class From>
void shake(To* to, const From* value, const RoundedBlock& block, const Noise& stream) {
    const Noise noise = stream;
    const double* sigma = block.sigma;
    const auto first = static_cast<std::uint32_t>(block.at);
    const auto n = static_cast<std::uint32_t>(block.n);
#pragma GCC ivdep
    for (std::uint32_t i = 0; i < n; ++i) {
        const From before = value[i];
        const From shaken = before + static_cast<From>(static_cast<float>(sigma[i]) * noise(first + i));
        const From most = std::fabs(before) <= 1 ? From(1) : std::numeric_limits<From>::max();
        const From inside = shaken > most ? most : (shaken < -most ? -most : shaken);
        const From one_sided = before == 0 ? std::fabs(inside) : inside;
        to[i] = static_cast<To>(shaken - shaken == 0 ? one_sided : before);
    }
}

}  // namespace

void shake_probes(Reference& reference, std::vector<IValue>& probes, bool region, const NoiseStream& stream,
                  DType dtype) {
    if (reference.is_exact()) return;
    const auto* value = std::get_if<Tensor>(&reference.value);
    const Ints shape = reference.blocks ? reference.shape : value->shape();
    const DType computed = value && is_complex(value->dtype()) ? DType::Complex128
                           : dtype == wide                     ? wide
                                                               : DType::Float32;
    const bool fits = std::all_of(probes.begin(), probes.end(), [&](const IValue& probe) {
        const auto* tensor = std::get_if<Tensor>(&probe);
        return !region || (tensor && tensor->shape() == shape);
    });
    if (!fits) return reference.compute();
    std::vector<Tensor> noisy;
    for (IValue& probe : probes) {
        const auto* start = region ? std::get_if<Tensor>(&probe) : nullptr;
        const bool is_own = start && start->dtype() == computed && start->is_contiguous() &&
                            start->storage().use_count() == 1 && !start->storage()->is_borrowed();
        noisy.push_back(is_own ? *start : Tensor::empty(shape, computed));
        if (start && !is_own) noisy.back().copy_from(*start);
        probe = None{};
    }
    const Tensor kept = reference.blocks ? Tensor::empty(shape, computed) : Tensor{};
    visit_float(computed == DType::Float32 ? computed : wide, "shake_probes", [&]<class X>(X) {
        std::vector<X*> results;
        std::vector<Noise> noises;
        for (const Tensor& tensor : noisy) {
            noises.emplace_back(stream.number * 64 + stream.first_probe + results.size());
            results.push_back(real_view(tensor).template data<X>());
        }
        X* const values = kept.defined() ? kept.data<X>() : nullptr;
        const auto take = [&](const RoundedBlock& block) {
            if (values) std::copy_n(block.value, block.n, values + block.at);
            for (std::size_t p = 0; p < results.size(); ++p) {
                X* to = results[p] + block.at;
                if (region)
                    shake(to, to, block, noises[p]);
                else
                    shake(to, block.value, block, noises[p]);
            }
        };
        reference.for_each_block({take, false});
    });
    for (std::size_t p = 0; p < noisy.size(); ++p) probes[p] = noisy[p].to(dtype);
    if (kept.defined()) reference = {kept};
}

void widen(Reference& reference, const std::vector<IValue>& probes, DType dtype) {
    auto* base = std::get_if<Tensor>(&reference.value);
    if (!base || !(is_floating_point(base->dtype()) || is_complex(base->dtype()))) return;
    *base = to_double(*base);
    detail::Scatter scatter(real_view(*base));
    for (const IValue& probe : probes)
        if (const auto* other = std::get_if<Tensor>(&probe); other && other->shape() == base->shape())
            scatter.add(*other);
    reference.sigma = reference.bound = elementwise<double>(
        wide, [u = unit_roundoff(dtype)](double s, double v) { return std::hypot(s, u * v); },
        scatter.sigma(probes.size()), real_view(*base));
}

}  // namespace torch_ir
