// SPDX-License-Identifier: MIT
// Convolution with what may follow it in one step; used by the op family and by fused steps of a plan.
#pragma once

#include <limits>

#include "backend/conv.hpp"
#include "registry.hpp"

namespace torch_ir::kernels {

struct ConvParameters {
    Ints stride;
    Ints padding;
    Ints dilation;
    std::int64_t groups = 1;
};

/// Batch norm with fixed statistics; weight and bias may be undefined.
struct FixedBatchNorm {
    Tensor weight;
    Tensor bias;
    Tensor mean;
    Tensor variance;
    double eps = 1e-5;
};

/// What follows a convolution: an optional batch norm, an optional addend of the result's shape, a clamp.
struct ConvTail {
    const FixedBatchNorm* batch_norm = nullptr;
    const Tensor* addend = nullptr;
    bool addend_dies = false;  // nothing else reads it, so that its memory may become the result's
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();

    bool is_empty() const {
        constexpr double infinity = std::numeric_limits<double>::infinity();
        return !batch_norm && !addend && low == -infinity && high == infinity;
    }
};

/// float32 convolution of input [N, C, spatial…] with weight [O, C / groups, kernel…] and its tail. In a plan
/// (context.state set) where the order in memory does not show, the result lies channels-last, else as PyTorch's.
Tensor convolution(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias,
                   const ConvParameters& parameters, const ConvTail& tail = {});

/// Sizes of the convolution of `input` with `weight` and `bias` (or undefined). Throws ArgumentError naming what does
/// not fit.
backend::ConvGeometry conv_geometry(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                    const ConvParameters& parameters);

/// Sizes of the convolution whose adjoint is the transposed convolution of `input` with `weight`: its output is our
/// input. Throws ArgumentError naming what does not fit.
backend::ConvGeometry transposed_geometry(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                          const ConvParameters& parameters, const Ints& output_padding);

/// The adjoint of the convolution `forward`, from the shape of its output to that of its input; `bias` is added to the
/// result.
Tensor convolution_adjoint(const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const backend::ConvGeometry& forward);

}  // namespace torch_ir::kernels
