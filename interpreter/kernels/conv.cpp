// SPDX-License-Identifier: MIT
// Convolutions, also transposed, in one to three dimensions. float32 runs in the back end, channels-last; other types
// in our loops.
#include "kernels/conv.hpp"

#include <cmath>
#include <cstring>

#include "backend/conv.hpp"
#include "backend/conv_loop.hpp"
#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"
#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "parallel.hpp"
#include "scratch.hpp"

namespace torch_ir::kernels {
namespace {

/// The list with one entry per spatial dimension; one entry stands for all. No sum of sizes overflows with 32 bits.
Ints per_dimension(const char* argument, const Ints& values, std::size_t rank, std::int64_t least) {
    Ints result = values.size() == 1 ? Ints(rank, values[0]) : values;
    if (result.size() != rank)
        throw ArgumentError("convolution: argument '" + std::string(argument) + "' needs 1 or " + std::to_string(rank) +
                            " values, found " + to_string(values));
    for (const std::int64_t v : result)
        if (v < least || v > std::numeric_limits<std::int32_t>::max())
            throw ArgumentError("convolution: argument '" + std::string(argument) + "' must be at least " +
                                std::to_string(least) + " and of 32 bits, found " + to_string(values));
    return result;
}

void check_operands(const Tensor& input, const Tensor& weight, const Tensor& bias, std::int64_t groups,
                    bool is_transposed) {
    if (weight.dim() < 3 || weight.dim() > 5 || input.dim() != weight.dim())
        throw ArgumentError("convolution: input of shape " + to_string(input.shape()) +
                            " does not fit weight of shape " + to_string(weight.shape()));
    if (input.dtype() != weight.dtype() || (bias.defined() && bias.dtype() != weight.dtype()))
        throw ArgumentError("convolution: input, weight and bias must have the same dtype, found " + describe(input) +
                            ", " + describe(weight) + " and " + describe(bias));
    if (groups < 1 || groups > std::max<std::int64_t>(1, weight.size(0)) || weight.size(0) % groups != 0)
        throw ArgumentError("convolution: groups (" + std::to_string(groups) +
                            ") must divide the weight's first size " + std::to_string(weight.size(0)));
    if (const std::span kernel = std::span(weight.shape()).subspan(2); std::ranges::find(kernel, 0) != kernel.end())
        throw ArgumentError("convolution: expected a kernel with elements, found weight of shape " +
                            to_string(weight.shape()));
    const std::int64_t in_channels = is_transposed ? weight.size(0) : weight.size(1) * groups;
    const std::int64_t out_channels = is_transposed ? weight.size(1) * groups : weight.size(0);
    if (input.size(1) != in_channels)
        throw ArgumentError("convolution: expected input with " + std::to_string(in_channels) +
                            " channels, found shape " + to_string(input.shape()));
    if (bias.defined() && (bias.dim() != 1 || bias.size(0) != out_channels))
        throw ArgumentError("convolution: expected bias of shape [" + std::to_string(out_channels) + "], found " +
                            to_string(bias.shape()));
}

/// The shape [N, C, spatial…] and the strides of the order [N, spatial…, C].
Tensor empty_channels_last(std::int64_t batch, std::int64_t channels, const Ints& spatial, DType dtype) {
    Ints shape{batch, channels};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    Ints strides(shape.size());
    std::int64_t stride = 1;
    strides[1] = stride;
    stride *= channels;
    for (std::size_t i = shape.size(); i-- > 2;) {
        strides[i] = stride;
        stride *= shape[i];
    }
    strides[0] = stride;
    return Tensor::empty_strided(std::move(shape), std::move(strides), dtype);
}

Tensor to_channels_last(const Tensor& x) {
    if (x.is_channels_last()) return x;
    Tensor result = empty_channels_last(x.size(0), x.size(1), Ints(x.shape().begin() + 2, x.shape().end()), x.dtype());
    result.copy_from(x);
    return result;
}

/// Batch norm and bias as one factor and one addend per channel.
struct Folded {
    Tensor scale;
    Tensor bias;
};

Folded fold(const Tensor& bias, const FixedBatchNorm* norm, std::int64_t channels) {
    if (!norm) return {{}, bias.defined() ? bias.contiguous() : Tensor{}};
    Folded folded{Tensor::empty({channels}, DType::Float32), Tensor::empty({channels}, DType::Float32)};
    const auto value = [](const Tensor& t, std::int64_t c, double otherwise) {
        return t.defined() ? static_cast<double>(t.data<float>()[c * t.stride(0)]) : otherwise;
    };
    for (std::int64_t c = 0; c < channels; ++c) {
        const double scale = value(norm->weight, c, 1) / std::sqrt(value(norm->variance, c, 1) + norm->eps);
        folded.scale.data<float>()[c] = static_cast<float>(scale);
        folded.bias.data<float>()[c] =
            static_cast<float>(value(norm->bias, c, 0) + (value(bias, c, 0) - value(norm->mean, c, 0)) * scale);
    }
    return folded;
}

/// What a call site keeps: valid as long as the same constant tensors come in.
struct ConvState {
    Tensor weight;
    Folded folded;
    backend::ConvCache cache;
};

bool is_constant(const Tensor& t) { return !t.defined() || t.storage()->is_constant(); }

bool all_constant(const Tensor& weight, const Tensor& bias, const FixedBatchNorm* norm) {
    return is_constant(weight) && is_constant(bias) &&
           (!norm || (is_constant(norm->weight) && is_constant(norm->bias) && is_constant(norm->mean) &&
                      is_constant(norm->variance)));
}

/// Runs `f(state)` with the call site's state, or with a fresh one when another thread is using it.
template <class F>
void with_state(Context& context, const Tensor& weight, F f) {
    ConvState fresh;
    if (!context.state) return f(fresh);
    std::unique_lock lock(context.state->mutex, std::try_to_lock);
    if (!lock.owns_lock()) return f(fresh);
    auto state = std::static_pointer_cast<ConvState>(context.state->value);
    if (!state || state->weight.raw() != weight.raw()) {
        state = std::make_shared<ConvState>();
        state->weight = weight;
        context.state->value = state;
    }
    f(*state);
}

/// Whether the sum may be written over the addend: it owns its memory alone and lies as the result will.
bool may_become_result(const ConvTail& tail) {
    if (!tail.addend || !tail.addend_dies || !tail.addend->is_channels_last()) return false;
    const std::shared_ptr<Storage>& storage = tail.addend->storage();
    return storage.use_count() == 1 && !storage->is_borrowed() && !storage->is_constant();
}

/// A sum over more channels than this in another type than float32 is still exact enough: accumulate in the compute
/// type.
template <class C>
Tensor convolve_other(const Tensor& input, const Tensor& weight, const Tensor& bias, const backend::ConvGeometry& g,
                      DType dtype) {
    const Tensor x = to_channels_last(input.to(dtype_of<C>()));
    const Tensor w = weight.to(dtype_of<C>()).contiguous();
    Tensor y = empty_channels_last(g.batch, g.out_channels, g.output, dtype_of<C>());
    if (g.is_depthwise())
        backend::depthwise_loop(g, x.data<C>(), w.data<C>(), y.data<C>());
    else
        backend::conv_loop<C>(g, x.data<C>(), backend::pack_conv_weights<C>(g, w.data<C>(), nullptr)->data(), false,
                              nullptr, y.data<C>());
    if (bias.defined()) {
        Ints shape(static_cast<std::size_t>(y.dim()), 1);
        shape[1] = g.out_channels;
        elementwise_into<C>(
            y, [](C v, C b) { return v + b; }, y, bias.reshape(shape));
    }
    return y.to(dtype);
}

bool is_finite(const Tensor& dense) {
    return std::all_of(dense.data<float>(), dense.data<float>() + dense.numel(),
                       [](float v) { return std::isfinite(v); });
}

/// Pointwise and depthwise convolutions of x[N, C, pixels…] as it lies: what pays where no form of the weights is kept.
Tensor convolve_planes(const Tensor& x, const Tensor& weight, const Tensor& bias, const backend::ConvGeometry& g) {
    Ints shape{g.batch, g.out_channels};
    shape.insert(shape.end(), g.output.begin(), g.output.end());
    Tensor y = Tensor::empty(shape, DType::Float32);
    const float* addend = bias.defined() ? bias.data<float>() : nullptr;
    if (g.is_depthwise()) {
        backend::depthwise_planes(g, x.data<float>(), weight.data<float>(), addend, y.data<float>());
        return y;
    }
    const std::int64_t pixels = numel_of(g.output);
    for (std::int64_t n = 0; n < g.batch; ++n) {
        float* to = y.data<float>() + n * g.out_channels * pixels;
        for (std::int64_t c = 0; c < g.out_channels && addend; ++c) std::fill_n(to + c * pixels, pixels, addend[c]);
        backend::gemm(false, false, g.out_channels, pixels, g.in_channels, weight.data<float>(), g.in_channels,
                      x.data<float>() + n * g.in_channels * pixels, pixels, addend ? 1.0F : 0.0F, to, pixels);
    }
    return y;
}

}  // namespace

backend::ConvGeometry conv_geometry(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                    const ConvParameters& p) {
    check_operands(input, weight, bias, p.groups, false);
    const auto rank = static_cast<std::size_t>(weight.dim()) - 2;
    backend::ConvGeometry g;
    g.batch = input.size(0);
    g.groups = p.groups;
    g.in_channels = input.size(1);
    g.out_channels = weight.size(0);
    g.stride = per_dimension("stride", p.stride, rank, 1);
    g.padding = per_dimension("padding", p.padding, rank, 0);
    g.dilation = per_dimension("dilation", p.dilation, rank, 1);
    for (std::size_t i = 0; i < rank; ++i) {
        g.input.push_back(input.size(static_cast<std::int64_t>(i) + 2));
        g.kernel.push_back(weight.size(static_cast<std::int64_t>(i) + 2));
        const std::int64_t reach = (g.kernel[i] - 1) * g.dilation[i] + 1;
        const std::int64_t padded = g.input[i] + 2 * g.padding[i];
        if (padded < reach)
            throw ArgumentError("convolution: the kernel reaches over " + std::to_string(reach) +
                                " positions, the padded input has " + std::to_string(padded));
        g.output.push_back((padded - reach) / g.stride[i] + 1);
    }
    return g;
}

Tensor convolution(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias,
                   const ConvParameters& parameters, const ConvTail& tail) {
    const backend::ConvGeometry g = conv_geometry(input, weight, bias, parameters);
    Tensor y;
    if (input.numel() == 0 || weight.numel() == 0 || g.batch * numel_of(g.output) == 0) {
        y = empty_channels_last(g.batch, g.out_channels, g.output, input.dtype());
        y.fill(0);
        if (bias.defined())
            y.copy_from(bias.reshape({1, -1}).expand(Ints{g.batch, g.out_channels}).reshape([&] {
                Ints shape{g.batch, g.out_channels};
                shape.resize(shape.size() + g.output.size(), 1);
                return shape;
            }()));
        return y;
    }
    const bool constant = all_constant(weight, bias, tail.batch_norm);
    const bool channels_last = suggests_channels_last(input) || suggests_channels_last(weight);
    const bool in_planes = (g.is_pointwise() && g.groups == 1) || g.is_depthwise();
    if (in_planes && input.dtype() == DType::Float32 && !constant && !channels_last && input.is_contiguous() &&
        tail.is_empty()) {
        const Tensor dense = weight.contiguous();
        if (!g.is_depthwise() || is_finite(dense))
            return convolve_planes(input, dense, bias.defined() ? bias.contiguous() : bias, g);
    }
    if (input.dtype() == DType::Float32) {
        with_state(context, weight, [&](ConvState& state) {
            if (!constant || (!state.folded.bias.defined() && !state.folded.scale.defined()))
                state.folded = fold(bias, tail.batch_norm, g.out_channels);
            state.cache.keep_weights = constant;
            const Tensor x = to_channels_last(input);
            const Tensor w = weight.contiguous();
            backend::ConvEpilogue epilogue;
            if (state.folded.scale.defined()) epilogue.scale = state.folded.scale.data<float>();
            if (state.folded.bias.defined()) epilogue.bias = state.folded.bias.data<float>();
            epilogue.low = static_cast<float>(tail.low);
            epilogue.high = static_cast<float>(tail.high);
            epilogue.add_to_output = tail.addend != nullptr;
            if (may_become_result(tail)) {
                y = *tail.addend;
            } else {
                y = empty_channels_last(g.batch, g.out_channels, g.output, DType::Float32);
                if (tail.addend) y.copy_from(*tail.addend);
            }
            backend::conv(g, x.data<float>(), w.data<float>(), epilogue, y.data<float>(), &state.cache);
        });
    } else {
        y = visit_compute(input.dtype(),
                          [&]<class C>(C) { return convolve_other<C>(input, weight, bias, g, input.dtype()); });
    }
    const bool any_order = context.state && !context.memory_seen;
    return any_order || channels_last ? y : y.contiguous();
}

namespace {

/// Adds and removes the batch dimension of an unbatched input.
template <class F>
Tensor with_batch(const Tensor& input, const Tensor& weight, F f) {
    if (weight.dim() > 0 && input.dim() == weight.dim() - 1) return f(input.unsqueeze(0)).squeeze(0);
    return f(input);
}

Tensor conv(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias, const Ints& stride,
            const Ints& padding, const Ints& dilation, std::int64_t groups) {
    return with_batch(input, weight, [&](const Tensor& x) {
        return convolution(context, x, weight, bias, {stride, padding, dilation, groups});
    });
}

/// padding='valid' is none; 'same' keeps the size, the odd position goes behind.
Tensor conv_padding(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias, const Ints& stride,
                    const std::string& padding, const Ints& dilation, std::int64_t groups) {
    if (padding != "valid" && padding != "same")
        throw ArgumentError("convolution: expected padding 'valid' or 'same', found '" + padding + "'");
    return with_batch(input, weight, [&](const Tensor& x) {
        check_operands(x, weight, bias, groups, false);
        const auto rank = static_cast<std::size_t>(weight.dim()) - 2;
        if (padding == "valid") return convolution(context, x, weight, bias, {stride, Ints(rank, 0), dilation, groups});
        for (const std::int64_t s : stride)
            if (s != 1) throw ArgumentError("convolution: padding='same' is not supported for strided convolutions");
        const Ints d = per_dimension("dilation", dilation, rank, 1);
        Ints before(rank);
        Tensor padded = x;
        for (std::size_t i = 0; i < rank; ++i) {
            const std::int64_t total = d[i] * (weight.size(static_cast<std::int64_t>(i) + 2) - 1);
            before[i] = total / 2;
            if (total % 2 != 0) {  // one more position behind than in front
                Ints shape = padded.shape();
                shape[i + 2] += 1;
                const Tensor wider = Tensor::zeros(shape, x.dtype());
                wider.narrow(static_cast<std::int64_t>(i) + 2, 0, padded.size(static_cast<std::int64_t>(i) + 2))
                    .copy_from(padded);
                padded = wider;
            }
        }
        return convolution(context, padded, weight, bias, {stride, before, dilation, groups});
    });
}

/// image[channels, input pixels] = the sums of columns[channels, taps, pixels] where the windows read.
template <class C>
void add_columns(const backend::detail::Window& window, std::int64_t channels, const C* columns, C* image) {
    // What the pixels of a line are added to lies `step` apart; the sums of one residue lie side by side instead.
    const std::int64_t step = window.stride[2];
    const std::int64_t lines = window.input[0] * window.input[1];
    const std::int64_t width = window.input[2];
    const std::int64_t phase_width = (width + step - 1) / step;
    const std::int64_t line_size = step * phase_width;
    const std::int64_t work = window.taps() * window.pixels() + 1;
    parallel_for(channels, std::max<std::int64_t>(1, parallel_grain / work), [&](std::int64_t begin, std::int64_t end) {
        const Scratch<C> phases(lines * line_size);
        for (std::int64_t channel = begin; channel < end; ++channel) {
            std::fill_n(phases.data(), lines * line_size, C(0));
            for (std::int64_t line = 0; line < window.lines(); ++line)
                window.for_each_line_tap(line, [&](std::int64_t tap, std::int64_t target, std::int64_t shift,
                                                   std::int64_t i0, std::int64_t i1) {
                    if (i0 >= i1) return;
                    const std::int64_t column = shift + i0 * step;
                    const C* sum =
                        columns + ((channel * window.taps() + tap) * window.lines() + line) * window.output[2] + i0;
                    C* to = phases.data() + target * line_size + column % step * phase_width + column / step;
#pragma GCC ivdep
                    for (std::int64_t i = 0; i < i1 - i0; ++i) to[i] += sum[i];
                });
            for (std::int64_t line = 0; line < lines; ++line)
                for (std::int64_t phase = 0; phase < std::min(step, width); ++phase) {
                    const C* sum = phases.data() + line * line_size + phase * phase_width;
                    C* to = image + (channel * lines + line) * width + phase;
                    for (std::int64_t i = 0; i < (width - phase + step - 1) / step; ++i) to[i * step] = sum[i];
                }
        }
    });
}

/// The adjoint of a convolution: every input pixel is multiplied with the kernel and added where it would have been
/// read from.
template <class C>
Tensor transposed(const Tensor& input, const Tensor& weight, const Tensor& bias, const backend::ConvGeometry& forward,
                  DType dtype) {
    // `forward` is the convolution whose input is our output.
    const backend::detail::Window window(forward);
    const std::int64_t taps = window.taps();
    const std::int64_t pixels = window.pixels();
    const std::int64_t out_pixels = window.input_pixels();
    const std::int64_t in = forward.out_channels / forward.groups;
    const std::int64_t out = forward.in_channels / forward.groups;
    const Tensor x = input.to(dtype_of<C>()).contiguous();   // [N, groups · in, pixels]
    const Tensor w = weight.to(dtype_of<C>()).contiguous();  // [groups · in, out, taps]
    Ints shape{forward.batch, forward.in_channels};
    shape.insert(shape.end(), forward.input.begin(), forward.input.end());
    Tensor y = Tensor::empty(shape, dtype_of<C>());
    parallel_for(forward.batch * forward.groups, 1, [&](std::int64_t begin, std::int64_t end) {
        const Scratch<C> columns(out * taps * pixels);
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t group = piece % forward.groups;
            const C* a = w.data<C>() + group * in * out * taps;
            const C* b = x.data<C>() + piece * in * pixels;
            if constexpr (std::is_same_v<C, float> || std::is_same_v<C, double>)
                backend::gemm(true, false, out * taps, pixels, in, a, out * taps, b, pixels, C(0), columns.data(),
                              pixels);
            else
                backend::gemm_loop(true, false, out * taps, pixels, in, a, out * taps, b, pixels, C(0), columns.data(),
                                   pixels);
            add_columns(window, out, columns.data(), y.data<C>() + piece * out * out_pixels);
        }
    });
    if (bias.defined()) {
        Ints bias_shape(shape.size(), 1);
        bias_shape[1] = shape[1];
        elementwise_into<C>(
            y, [](C v, C b) { return v + b; }, y, bias.reshape(bias_shape));
    }
    return y.to(dtype);
}

}  // namespace

backend::ConvGeometry transposed_geometry(const Tensor& input, const Tensor& weight, const Tensor& bias,
                                          const ConvParameters& parameters, const Ints& output_padding) {
    check_operands(input, weight, bias, parameters.groups, true);
    const auto rank = static_cast<std::size_t>(weight.dim()) - 2;
    backend::ConvGeometry g;
    g.batch = input.size(0);
    g.groups = parameters.groups;
    g.in_channels = weight.size(1) * parameters.groups;
    g.out_channels = weight.size(0);
    g.stride = per_dimension("stride", parameters.stride, rank, 1);
    g.padding = per_dimension("padding", parameters.padding, rank, 0);
    g.dilation = per_dimension("dilation", parameters.dilation, rank, 1);
    const Ints extra = per_dimension("output_padding", output_padding, rank, 0);
    for (std::size_t i = 0; i < rank; ++i) {
        if (extra[i] >= std::max(g.stride[i], g.dilation[i]))
            throw ArgumentError("convolution: output_padding " + to_string(extra) +
                                " must be smaller than stride or dilation");
        g.kernel.push_back(weight.size(static_cast<std::int64_t>(i) + 2));
        g.output.push_back(input.size(static_cast<std::int64_t>(i) + 2));
        g.input.push_back((g.output[i] - 1) * g.stride[i] - 2 * g.padding[i] + g.dilation[i] * (g.kernel[i] - 1) +
                          extra[i] + 1);
        if (g.input[i] < 0 || (g.input[i] == 0 && g.output[i] > 0))
            throw ArgumentError("convolution: the output would have size " + std::to_string(g.input[i]));
    }
    return g;
}

Tensor convolution_adjoint(const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const backend::ConvGeometry& forward) {
    return visit_compute(input.dtype(),
                         [&]<class C>(C) { return transposed<C>(input, weight, bias, forward, input.dtype()); });
}

namespace {

Tensor conv_transpose(const Tensor& input, const Tensor& weight, const Tensor& bias, const Ints& stride,
                      const Ints& padding, const Ints& output_padding, std::int64_t groups, const Ints& dilation) {
    return with_batch(input, weight, [&](const Tensor& x) {
        const ConvParameters parameters{stride, padding, dilation, groups};
        const Tensor y =
            convolution_adjoint(x, weight, bias, transposed_geometry(x, weight, bias, parameters, output_padding));
        const bool last = suggests_channels_last(x) || (x.dtype() == DType::Float32 && suggests_channels_last(weight));
        return last ? in_format(y, channels_last_format(y.dim())) : y;
    });
}

Tensor convolution_op(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias,
                      const Ints& stride, const Ints& padding, const Ints& dilation, bool is_transposed,
                      const Ints& output_padding, std::int64_t groups) {
    if (is_transposed) return conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation);
    if (weight.dim() > 2)
        per_dimension("output_padding", output_padding, static_cast<std::size_t>(weight.dim()) - 2, 0);
    return conv(context, input, weight, bias, stride, padding, dilation, groups);
}

/// What PyTorch's other back ends are told makes no difference here.
Tensor convolution_flags(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias,
                         const Ints& stride, const Ints& padding, const Ints& dilation, bool is_transposed,
                         const Ints& output_padding, std::int64_t groups, bool, bool, bool) {
    return convolution_op(context, input, weight, bias, stride, padding, dilation, is_transposed, output_padding,
                          groups);
}
Tensor convolution_flags_tf32(Context& context, const Tensor& input, const Tensor& weight, const Tensor& bias,
                              const Ints& stride, const Ints& padding, const Ints& dilation, bool is_transposed,
                              const Ints& output_padding, std::int64_t groups, bool, bool, bool, bool) {
    return convolution_op(context, input, weight, bias, stride, padding, dilation, is_transposed, output_padding,
                          groups);
}

/// Time, batch, channel: self [T, B, C], weight [kernel, C, O].
Tensor conv_tbc(Context& context, const Tensor& self, const Tensor& weight, const Tensor& bias, std::int64_t pad) {
    if (self.dim() != 3 || weight.dim() != 3)
        throw ArgumentError("conv_tbc: expected 'self' and 'weight' of 3 dimensions, found " + describe(self) +
                            " and " + describe(weight));
    return convolution(context, self.permute(Ints{1, 2, 0}), weight.permute(Ints{2, 1, 0}), bias, {{1}, {pad}, {1}, 1})
        .permute(Ints{2, 0, 1})
        .contiguous();
}

}  // namespace

void register_conv(Registry& r) {
    r.add(
        "conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=[1], SymInt[1] padding=[0], SymInt[1] "
        "dilation=[1], SymInt groups=1) -> Tensor",
        conv);
    r.add(
        "conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] padding=[0, 0], "
        "SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tensor",
        conv);
    r.add(
        "conv3d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=[1, 1, 1], SymInt[3] padding=[0, 0, "
        "0], SymInt[3] dilation=[1, 1, 1], SymInt groups=1) -> Tensor",
        conv);
    r.add(
        "conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=[1], str padding=\"valid\", "
        "SymInt[1] dilation=[1], SymInt groups=1) -> Tensor",
        conv_padding);
    r.add(
        "conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], str "
        "padding=\"valid\", SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tensor",
        conv_padding);
    r.add(
        "conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=[1, 1, 1], str "
        "padding=\"valid\", SymInt[3] dilation=[1, 1, 1], SymInt groups=1) -> Tensor",
        conv_padding);
    r.add(
        "conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=[1], SymInt[1] padding=[0], "
        "SymInt[1] output_padding=[0], SymInt groups=1, SymInt[1] dilation=[1]) -> Tensor",
        conv_transpose);
    r.add(
        "conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] "
        "padding=[0, 0], SymInt[2] output_padding=[0, 0], SymInt groups=1, SymInt[2] dilation=[1, 1]) -> Tensor",
        conv_transpose);
    r.add(
        "conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=[1, 1, 1], SymInt[3] "
        "padding=[0, 0, 0], SymInt[3] output_padding=[0, 0, 0], SymInt groups=1, SymInt[3] dilation=[1, 1, 1]) -> "
        "Tensor",
        conv_transpose);
    r.add(
        "convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, SymInt[] dilation, "
        "bool transposed, SymInt[] output_padding, SymInt groups) -> Tensor",
        convolution_op);
    r.add(
        "convolution_overrideable(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, "
        "SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups) -> Tensor",
        convolution_op);
    r.add(
        "_convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, SymInt[] dilation, "
        "bool transposed, SymInt[] output_padding, SymInt groups, bool benchmark, bool deterministic, bool "
        "cudnn_enabled, bool allow_tf32) -> Tensor",
        convolution_flags_tf32);
    r.add(
        "_convolution.deprecated(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, "
        "SymInt[] dilation, bool transposed, int[] output_padding, SymInt groups, bool benchmark, bool deterministic, "
        "bool cudnn_enabled) -> Tensor",
        convolution_flags);
    r.add(
        "_convolution_mode(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, str padding, SymInt[] dilation, "
        "SymInt groups) -> Tensor",
        conv_padding);
    r.add("conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor", conv_tbc);
}

}  // namespace torch_ir::kernels
