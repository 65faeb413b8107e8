// SPDX-License-Identifier: MIT
// Gradients of convolutions, also transposed: of the input by the adjoint, of the weight by products of patches.
#include <algorithm>
#include <optional>
#include <vector>

#include "backend/conv_loop.hpp"
#include "backend/gemm.hpp"
#include "convert.hpp"
#include "kernels/conv.hpp"
#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/reduce.hpp"
#include "parallel.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;

/// Adds to sums[taps] what pairs of an input plane and a gradient plane give: the products along their lines.
template <class C>
void add_line_products(const backend::detail::Window& window, const C* input, const C* grad, C* sums) {
    const std::int64_t step = window.stride[2];
    for (std::int64_t line = 0; line < window.lines(); ++line) {
        const C* y = grad + line * window.output[2];
        const auto add = [&](std::int64_t tap, std::int64_t source, std::int64_t shift, std::int64_t begin,
                             std::int64_t end) {
            if (begin >= end) return;
            const C* x = input + source * window.input[2] + shift;
            C sum = 0;
            if (step == 1) {
#pragma omp simd reduction(+ : sum)
                for (std::int64_t i = begin; i < end; ++i) sum += y[i] * x[i];
            } else {
                for (std::int64_t i = begin; i < end; ++i) sum += y[i] * x[i * step];
            }
            sums[tap] += sum;
        };
        window.for_each_line_tap(line, add);
    }
}

/// The weight's gradient: source [N, in channels, …] is what convolution `g` reads, grad [N, out channels, …] belongs
/// to what it writes. With transposed convolutions the two change places.
template <class C>
Tensor weight_gradient(const Tensor& source, const Tensor& grad, const backend::ConvGeometry& g, const Ints& shape) {
    const Tensor result = Tensor::zeros(shape, dtype_of<C>());
    if (source.numel() == 0 || grad.numel() == 0 || result.numel() == 0) return result;
    const backend::detail::Window window(g);
    const std::int64_t taps = window.taps();
    const std::int64_t pixels = window.pixels();
    const std::int64_t source_pixels = window.input_pixels();
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t width = in * taps;
    const Tensor x = source.to(dtype_of<C>()).contiguous();
    const Tensor y = grad.to(dtype_of<C>()).contiguous();
    if (out <= 4) {  // patches would take longer to copy than to multiply
        parallel_for(g.groups * out * in, std::max<std::int64_t>(1, parallel_grain / (g.batch * pixels * taps)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t filter = begin; filter < end; ++filter) {
                             const std::int64_t group = filter / (out * in);
                             for (std::int64_t n = 0; n < g.batch; ++n)
                                 add_line_products(
                                     window, x.data<C>() + ((n * g.groups + group) * in + filter % in) * source_pixels,
                                     y.data<C>() + (n * g.out_channels + filter / in) * pixels,
                                     result.data<C>() + filter * taps);
                         }
                     });
        return result;
    }
    // As many patches at a time as stay in the cache.
    const std::int64_t block = std::min(pixels, std::max<std::int64_t>(64, 262144 / width));
    parallel_for(g.groups, 1, [&](std::int64_t begin, std::int64_t end) {
        std::vector<C> patches(static_cast<std::size_t>(block * width));
        for (std::int64_t group = begin; group < end; ++group)
            for (std::int64_t n = 0; n < g.batch; ++n)
                for (std::int64_t first = 0; first < pixels; first += block) {
                    const std::int64_t count = std::min(block, pixels - first);
                    const C* image = x.data<C>() + (n * g.groups + group) * in * source_pixels;
                    parallel_for(count, 64, [&](std::int64_t from, std::int64_t to) {
                        for (std::int64_t i = from; i < to; ++i)
                            window.for_each_tap(first + i, [&](std::int64_t tap, std::int64_t pixel) {
                                C* patch = patches.data() + i * width + tap;
                                for (std::int64_t c = 0; c < in; ++c)
                                    patch[c * taps] = pixel < 0 ? C(0) : image[c * source_pixels + pixel];
                            });
                    });
                    backend::gemm(false, false, out, width, count,
                                  y.data<C>() + (n * g.groups + group) * out * pixels + first, pixels, patches.data(),
                                  width, C(1), result.data<C>() + group * out * width, width);
                }
    });
    return result;
}

/// Sums over all dimensions but that of the channels.
Tensor bias_gradient(const Tensor& grad) {
    Ints dims{0};
    for (std::int64_t d = 2; d < grad.dim(); ++d) dims.push_back(d);
    return sum(grad, dims, false, {});
}

/// The gradient of a transposed convolution's input is a convolution of the gradient with the same weight.
Tensor input_gradient(const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                      const ConvParameters& parameters, bool transposed, const backend::ConvGeometry& g) {
    if (grad_output.numel() == 0 || weight.numel() == 0 || input.numel() == 0)
        return Tensor::zeros(input.shape(), input.dtype());
    if (!transposed) return convolution_adjoint(grad_output, weight, {}, g);
    Context none;  // the weight is not this call's to keep
    // Output padding leaves room for further positions behind; nothing was read from them.
    const Tensor full = convolution(none, grad_output, weight, {}, parameters);
    Tensor result = full;
    for (std::size_t i = 0; i < g.output.size(); ++i)
        result = result.narrow(static_cast<std::int64_t>(i) + 2, 0, g.output[i]);
    return result.contiguous();
}

Three convolution_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                           const std::optional<Ints>&, const Ints& stride, const Ints& padding, const Ints& dilation,
                           bool transposed, const Ints& output_padding, std::int64_t groups, const Bools& output_mask) {
    const char* op = "convolution_backward";
    if (output_mask.size() != 3) throw ArgumentError(std::string(op) + ": expected 'output_mask' of 3 elements");
    if (grad_output.dtype() != input.dtype())
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of the dtype of 'input', found " +
                            describe(grad_output) + " and " + describe(input));
    const ConvParameters parameters{stride, padding, dilation, groups};
    const backend::ConvGeometry g = transposed ? transposed_geometry(input, weight, {}, parameters, output_padding)
                                               : conv_geometry(input, weight, {}, parameters);
    Ints expected{input.size(0), transposed ? g.in_channels : g.out_channels};
    const Ints& spatial = transposed ? g.input : g.output;
    expected.insert(expected.end(), spatial.begin(), spatial.end());
    if (grad_output.shape() != expected)
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of shape " + to_string(expected) + ", found " +
                            to_string(grad_output.shape()));
    const bool last = suggests_channels_last(input) || suggests_channels_last(weight);
    const auto laid_out = [&](const Tensor& t) { return last ? in_format(t, channels_last_format(t.dim())) : t; };
    Three result;
    // PyTorch's library of kernels for the shorter dtypes has the bias's gradient only together with the weight's.
    const bool together = output_mask[2] && input.dtype() != DType::Float64 && input.numel() > 0;
    if (output_mask[1] || together)
        std::get<1>(result) = visit_float(input.dtype(), op, [&]<class C>(C) {
            return laid_out(weight_gradient<C>(transposed ? grad_output : input, transposed ? input : grad_output, g,
                                               weight.shape())
                                .to(weight.dtype()));
        });
    if (!output_mask[1] && together && weight.dim() == 3)  // that of one dimension as it is computed, in two
        std::get<1>(result) = std::get<1>(result).unsqueeze(2);
    if (output_mask[0])
        std::get<0>(result) = visit_float(input.dtype(), op, [&](auto) {
            return laid_out(input_gradient(grad_output, input, weight, parameters, transposed, g));
        });
    if (output_mask[2]) std::get<2>(result) = bias_gradient(grad_output);
    return result;
}

Three convolution_backward_overrideable(const Tensor& grad_output, const Tensor& input, const Tensor& weight,
                                        const Ints& stride, const Ints& padding, const Ints& dilation, bool transposed,
                                        const Ints& output_padding, std::int64_t groups, const Bools& output_mask) {
    return convolution_backward(grad_output, input, weight, {}, stride, padding, dilation, transposed, output_padding,
                                groups, output_mask);
}

/// Time, batch, channel, as conv_tbc.
Three conv_tbc_backward(const Tensor& self, const Tensor& input, const Tensor& weight, const Tensor&,
                        std::int64_t pad) {
    for (const Tensor* t : {&self, &input, &weight})
        if (t->dim() != 3)
            throw ArgumentError("conv_tbc_backward: expected 'self', 'input' and 'weight' of 3 dimensions, found " +
                                describe(*t));
    const auto [dx, dw, db] =
        convolution_backward(self.permute(Ints{1, 2, 0}), input.permute(Ints{1, 2, 0}), weight.permute(Ints{2, 1, 0}),
                             {}, {1}, {pad}, {1}, false, {0}, 1, {true, true, true});
    return {dx.permute(Ints{2, 0, 1}).contiguous(), dw.permute(Ints{2, 1, 0}).contiguous(), db};
}

}  // namespace

void register_conv_backward(Registry& r) {
    r.add(
        "convolution_backward(Tensor grad_output, Tensor input, Tensor weight, SymInt[]? bias_sizes, SymInt[] stride, "
        "SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool[3] "
        "output_mask) -> (Tensor, Tensor, Tensor)",
        convolution_backward);
    r.add(
        "convolution_backward_overrideable(Tensor grad_output, Tensor input, Tensor weight, SymInt[] stride, SymInt[] "
        "padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool[3] output_mask) -> "
        "(Tensor grad_input, Tensor grad_weight, Tensor grad_bias)",
        convolution_backward_overrideable);
    r.add(
        "conv_tbc_backward(Tensor self, Tensor input, Tensor weight, Tensor bias, int pad) -> (Tensor, Tensor, "
        "Tensor)",
        conv_tbc_backward);
}

}  // namespace torch_ir::kernels
