// SPDX-License-Identifier: MIT
// Convolutions of float tensors in channels-last layout. conv_onednn.cpp or conv_own.cpp is built in, by the Meson
// option `compute`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "scratch.hpp"

namespace torch_ir::backend {

/// Sizes of a convolution; the vectors have one entry per spatial dimension (1 to 3).
struct ConvGeometry {
    std::int64_t batch = 0;
    std::int64_t groups = 1;
    std::int64_t in_channels = 0;
    std::int64_t out_channels = 0;
    std::vector<std::int64_t> input;
    std::vector<std::int64_t> kernel;
    std::vector<std::int64_t> output;
    std::vector<std::int64_t> stride;
    std::vector<std::int64_t> dilation;
    std::vector<std::int64_t> padding;  // in front; behind as much as the output needs

    bool operator==(const ConvGeometry&) const = default;
    /// Every output pixel sees the input pixel in its place, and no other.
    bool is_pointwise() const {
        const auto all = [](const std::vector<std::int64_t>& values, std::int64_t v) {
            return std::all_of(values.begin(), values.end(), [v](std::int64_t x) { return x == v; });
        };
        return all(kernel, 1) && all(stride, 1) && all(padding, 0);
    }
    bool is_depthwise() const { return groups == in_channels && out_channels == in_channels && groups > 1; }
};

/// What happens to each sum: y = clamp(scale[c]·sum + bias[c] (+ what dst held), low, high).
struct ConvEpilogue {
    const float* scale = nullptr;  // [out_channels]; nullptr: 1
    const float* bias = nullptr;   // [out_channels]; nullptr: 0
    bool add_to_output = false;
    float low = -std::numeric_limits<float>::infinity();
    float high = std::numeric_limits<float>::infinity();

    bool clamps() const {
        return low > -std::numeric_limits<float>::infinity() || high < std::numeric_limits<float>::infinity();
    }
};

/// What one convolution keeps between calls.
struct ConvCache {
    /// The weights and the scale will be the same at every later call, so that their packed form may be kept.
    bool keep_weights = false;
    /// One forward alone is faster without keeping them: it pays from the second call on.
    bool called = false;
    std::shared_ptr<const Scratch<float>> packed;  // by pack_conv_weights
    std::shared_ptr<void> prepared;                // of the library that computes
};

/// Which library computes, for `--version`.
std::string conv_name();

/// dst[n, spatial…, out_channels] = convolution of src[n, spatial…, in_channels] with weight[out_channels, in_channels
/// / groups, kernel…], all dense and row-major in that order. `cache` may be nullptr and must not be used by two
/// threads at once.
void conv(const ConvGeometry& geometry, const float* src, const float* weight, const ConvEpilogue& epilogue, float* dst,
          ConvCache* cache);

}  // namespace torch_ir::backend
