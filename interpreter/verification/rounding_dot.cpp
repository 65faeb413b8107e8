// SPDX-License-Identifier: MIT
// Rounding of sums of products (matrix products, convolutions) and of plain sums, by second moments of the partial
// sums: those of a random order of the terms plus those of the natural order.
#include "verification/rounding_dot.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "backend/conv_loop.hpp"
#include "elementwise.hpp"
#include "kernels/conv.hpp"
#include "vmath.hpp"

namespace torch_ir::detail {
namespace {

/// Where a sum of products finds its operands.
struct DotOp {
    std::string_view name;
    std::string_view a;
    std::string_view b;
    std::string_view addend;  // empty: none
    enum Kind { Matrix, Linear, Convolution, Transposed } kind;
};

constexpr DotOp dot_ops[] = {
    {"linear", "input", "weight", "bias", DotOp::Linear},
    {"addmm", "mat1", "mat2", "self", DotOp::Matrix},
    {"mm", "self", "mat2", "", DotOp::Matrix},
    {"bmm", "self", "mat2", "", DotOp::Matrix},
    {"baddbmm", "batch1", "batch2", "self", DotOp::Matrix},
    {"matmul", "self", "other", "", DotOp::Matrix},
    {"mv", "self", "vec", "", DotOp::Matrix},
    {"dot", "self", "tensor", "", DotOp::Matrix},
    {"conv1d", "input", "weight", "bias", DotOp::Convolution},
    {"conv2d", "input", "weight", "bias", DotOp::Convolution},
    {"conv3d", "input", "weight", "bias", DotOp::Convolution},
    {"convolution", "input", "weight", "bias", DotOp::Convolution},
    {"conv_transpose1d", "input", "weight", "bias", DotOp::Transposed},
    {"conv_transpose2d", "input", "weight", "bias", DotOp::Transposed},
    {"conv_transpose3d", "input", "weight", "bias", DotOp::Transposed},
};

Tensor first(const OpCall& call) { return std::get<Tensor>(call.run()[0]); }

template <class F, class... T>
Tensor each(F f, const T&... tensors) {
    return elementwise<double>(wide, f, tensors...);
}

/// What is added, broadcast to the shape of the result; undefined when nothing is.
Tensor addend_of(const OpCall& call, const DotOp& op, const Ints& shape) {
    Tensor addend = op.addend.empty() ? Tensor{} : call.tensor(op.addend);
    if (!addend.defined()) return {};
    addend = addend.to(wide);
    if (op.kind == DotOp::Convolution || op.kind == DotOp::Transposed) {
        const std::size_t channel = call.tensor(op.a).dim() == call.tensor(op.b).dim() ? 1 : 0;
        Ints sizes(shape.size(), 1);
        sizes[channel] = addend.numel();
        addend = addend.reshape(std::span<const std::int64_t>(sizes));
    }
    const double beta = call.number("beta", 1);
    if (beta != 1) addend = each([=](double x) { return beta * x; }, addend);
    return addend.expand(shape);
}

/// As matmul multiplies: leading dimensions are a batch and broadcast, vectors are rows or columns.
Sums multiply(Tensor a, Tensor b, bool trans_b) {
    const bool in_double = a.dtype() == wide || b.dtype() == wide;
    a = computable(a, in_double);
    b = computable(b, in_double);
    if (trans_b) b = b.transpose(-1, -2);
    const bool row = a.dim() == 1;
    const bool column = b.dim() == 1;
    if (row) a = a.unsqueeze(0);
    if (column) b = b.unsqueeze(1);
    const auto lead = [](const Tensor& t) { return Ints(t.shape().begin(), t.shape().end() - 2); };
    const Ints batch_shape = broadcast_shapes(lead(a), lead(b));
    std::int64_t m = a.size(-2);
    const std::int64_t n = b.size(-1);
    const std::int64_t k = a.size(-1);
    Ints shape = batch_shape;
    if (!row) shape.push_back(m);
    if (!column) shape.push_back(n);
    std::int64_t batch = numel_of(batch_shape);
    if (numel_of(lead(b)) == 1) {  // the batch of A is more rows
        m *= batch;
        batch = 1;
        a = a.contiguous();
        b = b.reshape({k, n});
    } else {
        const auto whole = [&](const Tensor& t, std::int64_t rows, std::int64_t columns) {
            Ints expanded = batch_shape;
            expanded.insert(expanded.end(), {rows, columns});
            return t.expand(expanded).reshape({batch, rows, columns});
        };
        a = whole(a, m, k).contiguous();
        b = whole(b, k, n);
    }
    const bool transposed = b.stride(-1) != 1 && b.stride(-2) == 1;  // as it lies, so that nothing is copied
    b = (transposed ? b.transpose(-1, -2) : b).contiguous();
    const std::int64_t ldb = transposed ? k : n;

    Sums sums(shape, k >= fewest_terms);
    const double scale_a = scale_of(a);
    const double scale_b = scale_of(b);
    sums.unit = 1 / (scale_a * scale_a * scale_b * scale_b);
    const std::int64_t groups = group_count(k);
    visit_float(a.dtype(), "multiply", [&]<class X>(X) {
        const Scratch<float> a_squares(batch * m * groups);
        const Scratch<float> b_squares(batch * groups * n);
        square_rows(a_squares.data(), a.data<X>(), batch * m, k, scale_a, Grouped::Sum);
        if (transposed) square_rows(b_squares.data(), b.data<X>(), batch * n, k, scale_b, Grouped::Mean);
        parallel_for(batch, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const std::int64_t at = i * m * n;
                const X* right = b.data<X>() + i * k * n;
                float* right_squares = b_squares.data() + i * groups * n;
                if (!transposed) square_lines(right_squares, right, n, k, n, scale_b, Grouped::Mean);
                add_products(transposed, m, n, k, a.data<X>() + i * m * k, k, right, ldb, sums.sum.data<double>() + at,
                             sums.partial.defined() ? sums.partial.data<double>() + at : nullptr, n);
                backend::gemm(false, transposed, m, n, groups, a_squares.data() + i * m * groups, groups, right_squares,
                              transposed ? groups : n, 0, sums.squares.data<float>() + at, n);
            }
        });
    });
    return sums;
}

/// The lines (of the last dimension) of an image's output that one piece of work computes, and its patches.
class Patches {
  public:
    explicit Patches(const backend::ConvGeometry& g) : window_(g), width_(window_.output[2]) {}

    std::int64_t lines() const { return window_.output[0] * window_.output[1]; }
    std::int64_t width() const { return width_; }
    /// About a thousand pixels at once.
    std::int64_t lines_at_once() const { return std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, width_)); }

    /// Calls `f(tap, source, begin, end)` for an output line and every tap of the kernel: the pixels begin to end of
    /// the line see x[source + pixel * stride()]; the others see padding.
    template <class F>
    void for_each_tap(std::int64_t line, F f) const {
        const backend::detail::Window& w = window_;
        const std::int64_t at[2] = {line / w.output[1], line % w.output[1]};
        std::int64_t tap = 0;
        for (std::int64_t a = 0; a < w.kernel[0]; ++a)
            for (std::int64_t b = 0; b < w.kernel[1]; ++b) {
                const std::int64_t x = at[0] * w.stride[0] - w.padding[0] + a * w.dilation[0];
                const std::int64_t y = at[1] * w.stride[1] - w.padding[1] + b * w.dilation[1];
                const bool inside = x >= 0 && x < w.input[0] && y >= 0 && y < w.input[1];
                for (std::int64_t c = 0; c < w.kernel[2]; ++c, ++tap) {
                    const std::int64_t shift = c * w.dilation[2] - w.padding[2];
                    const std::int64_t begin = shift >= 0 ? 0 : (-shift + w.stride[2] - 1) / w.stride[2];
                    const std::int64_t last = w.input[2] - 1 - shift;  // of the input, seen from pixel 0
                    const std::int64_t end = inside && last >= 0 ? std::min(width_, last / w.stride[2] + 1) : 0;
                    f(tap, (x * w.input[1] + y) * w.input[2] + shift, std::min(begin, end), end);
                }
            }
    }
    std::int64_t stride() const { return window_.stride[2]; }
    std::int64_t taps() const { return window_.taps(); }
    std::int64_t pixels() const { return window_.pixels(); }
    std::int64_t input_pixels() const { return window_.input_pixels(); }

  private:
    backend::detail::Window window_;
    std::int64_t width_;
};

/// What one product adds to the pixels begin to end of an output line: weight * from[pixel * stride].
template <class X>
struct LineTap {
    double weight;
    const X* from;
    std::int64_t begin;
    std::int64_t end;
};

/// The sums of the products of a line, and of their squares times `unit`, pixel by pixel.
template <class X, bool dense>
void add_taps(std::span<const LineTap<X>> taps, std::int64_t stride, double unit, std::int64_t width, double* sum,
              float* squares) {
    constexpr std::int64_t lanes = 4;
    using Wide = vmath::Vector<double, lanes>;
    std::int64_t first = 0;  // of the pixels that all taps see
    std::int64_t last = width;
    for (const LineTap<X>& tap : taps) {
        first = std::max(first, tap.begin);
        last = std::min(last, tap.end);
    }
    const auto add_pixel = [&](std::int64_t i) {
        double s = 0;
        double q = 0;
        for (const LineTap<X>& tap : taps) {
            const double product =
                i >= tap.begin && i < tap.end ? tap.weight * static_cast<double>(tap.from[i * stride]) : 0;
            s += product;
            q += product * product;
        }
        sum[i] = s;
        squares[i] = static_cast<float>(q * unit);
    };
    std::int64_t i = 0;
    for (; i < std::min(first, width); ++i) add_pixel(i);
    for (; i + 2 * lanes <= last; i += 2 * lanes) {
        Wide s[2] = {};
        Wide q[2] = {};
        for (const LineTap<X>& tap : taps)
            for (std::int64_t half = 0; half < 2; ++half) {
                const X* from = tap.from + (i + half * lanes) * stride;
                Wide x;
                if constexpr (dense)
                    x = __builtin_convertvector(*reinterpret_cast<const vmath::Vector<X, lanes>*>(from), Wide);
                else
                    for (std::int64_t lane = 0; lane < lanes; ++lane) x[lane] = from[lane * stride];
                const Wide product = tap.weight * x;
                s[half] += product;
                q[half] += product * product;
            }
        for (std::int64_t half = 0; half < 2; ++half)
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                sum[i + half * lanes + lane] = s[half][lane];
                squares[i + half * lanes + lane] = static_cast<float>(q[half][lane] * unit);
            }
    }
    for (; i < width; ++i) add_pixel(i);
}

/// Convolution with so few terms per element that products are added one by one: x[channels, pixels] of one group,
/// y of one output channel.
template <class X>
void convolve_directly(const Patches& patches, std::int64_t channels, const X* x, const X* weight, double unit,
                       double* sum, float* squares) {
    std::vector<LineTap<X>> taps;
    for (std::int64_t line = 0; line < patches.lines(); ++line) {
        taps.clear();
        patches.for_each_tap(line, [&](std::int64_t tap, std::int64_t source, std::int64_t begin, std::int64_t end) {
            for (std::int64_t c = 0; c < channels && begin < end; ++c)
                taps.push_back({static_cast<double>(weight[c * patches.taps() + tap]),
                                x + c * patches.input_pixels() + source, begin, end});
        });
        const std::int64_t at = line * patches.width();
        const auto add = patches.stride() == 1 ? add_taps<X, true> : add_taps<X, false>;
        add(taps, patches.stride(), unit, patches.width(), sum + at, squares + at);
    }
}

/// Row-major [N, O, pixels…], of operands of one dtype, float32 or float64.
Sums convolve(const Tensor& input, const Tensor& filter, const backend::ConvGeometry& g) {
    const Tensor x = input.contiguous();
    const Tensor weight = filter.contiguous();
    const Patches patches(g);
    const std::int64_t in = g.in_channels / g.groups;
    const std::int64_t out = g.out_channels / g.groups;
    const std::int64_t pixels = patches.pixels();
    const std::int64_t terms = in * patches.taps();
    Ints shape{g.batch, g.out_channels};
    shape.insert(shape.end(), g.output.begin(), g.output.end());
    Sums sums(shape, terms >= fewest_terms);
    const double scale_x = scale_of(x);
    const double scale_w = scale_of(weight);
    sums.unit = 1 / (scale_x * scale_x * scale_w * scale_w);
    const bool directly = terms < fewest_terms && out < 4;
    const std::int64_t groups = group_count(terms);
    const std::int64_t lines = directly ? patches.lines() : patches.lines_at_once();
    const std::int64_t blocks = (patches.lines() + lines - 1) / lines;
    // A 1 x 1 kernel multiplies the image as it lies.
    const bool as_it_lies = patches.taps() == 1 && patches.input_pixels() == pixels;
    visit_float(x.dtype(), "convolve", [&]<class X>(X) {
        const Scratch<float> weight_squares(directly ? 0 : g.out_channels * groups);
        if (!directly)
            square_rows(weight_squares.data(), weight.data<X>(), g.out_channels, terms, scale_w, Grouped::Mean);
        parallel_for(g.batch * g.groups * blocks, 1, [&](std::int64_t first, std::int64_t last) {
            const std::int64_t most = directly ? 0 : terms * lines * patches.width();
            const Scratch<X> columns(as_it_lies ? 0 : most);
            const Scratch<float> column_squares(directly ? 0 : groups * lines * patches.width());
            for (std::int64_t piece = first; piece < last; ++piece) {
                const std::int64_t block = piece % blocks;
                const std::int64_t group = piece / blocks % g.groups;
                const std::int64_t image = piece / blocks / g.groups;
                const X* source = x.data<X>() + (image * g.in_channels + group * in) * patches.input_pixels();
                const X* w = weight.data<X>() + group * out * terms;
                const std::int64_t at = (image * g.out_channels + group * out) * pixels;
                if (directly) {
                    for (std::int64_t o = 0; o < out; ++o)
                        convolve_directly(patches, in, source, w + o * terms, 1 / sums.unit,
                                          sums.sum.data<double>() + at + o * pixels,
                                          sums.squares.data<float>() + at + o * pixels);
                    continue;
                }
                const std::int64_t begin = block * lines;
                const std::int64_t count = (std::min(begin + lines, patches.lines()) - begin) * patches.width();
                const std::int64_t shift = begin * patches.width();
                const X* b = source + shift;
                std::int64_t ldb = pixels;
                if (!as_it_lies) {
                    for (std::int64_t line = begin; line * patches.width() < shift + count; ++line)
                        patches.for_each_tap(
                            line, [&](std::int64_t tap, std::int64_t from, std::int64_t i0, std::int64_t i1) {
                                for (std::int64_t c = 0; c < in; ++c) {
                                    const X* row = source + c * patches.input_pixels() + from;
                                    X* to = columns.data() + (c * patches.taps() + tap) * count +
                                            (line - begin) * patches.width();
                                    std::fill_n(to, i0, X(0));
                                    if (patches.stride() == 1)
                                        std::copy(row + i0, row + i1, to + i0);
                                    else
                                        for (std::int64_t i = i0; i < i1; ++i) to[i] = row[i * patches.stride()];
                                    std::fill_n(to + i1, patches.width() - i1, X(0));
                                }
                            });
                    b = columns.data();
                    ldb = count;
                }
                add_products(false, out, count, terms, w, terms, b, ldb, sums.sum.data<double>() + at + shift,
                             sums.partial.defined() ? sums.partial.data<double>() + at + shift : nullptr, pixels);
                square_lines(column_squares.data(), b, ldb, terms, count, scale_x, Grouped::Sum);
                backend::gemm(false, false, out, count, groups, weight_squares.data() + group * out * groups, groups,
                              column_squares.data(), count, 0, sums.squares.data<float>() + at + shift, pixels);
            }
        });
    });
    return sums;
}

/// By the op itself, on the operands and on their squares.
Sums by_op(const OpCall& call, const DotOp& op) {
    const OpCall products = call.with(op.addend, None{});
    Sums sums({}, false);
    sums.sum = first(products.in_double());
    sums.squares = first(products.map_tensors([](const Tensor& tensor) {
        return elementwise<float>(
            DType::Float32, [](float x) { return x * x; }, tensor);
    }));
    return sums;
}

Sums sums_of(const OpCall& call, const DotOp& op) {
    const Tensor a = call.tensor(op.a);
    const Tensor b = call.tensor(op.b);
    if (op.kind == DotOp::Matrix) return multiply(a, b, false);
    if (op.kind == DotOp::Linear && b.dim() == 2) return multiply(a, b, true);
    const IValue* padding = call.find("padding");
    if (op.kind != DotOp::Convolution || call.number("transposed", 0) != 0 || !padding ||
        !std::holds_alternative<Ints>(*padding))
        return by_op(call, op);
    const auto list = [&](std::string_view name) { return std::get<Ints>(*call.find(name)); };
    const bool in_double = a.dtype() == wide || b.dtype() == wide;
    const bool single = a.dim() < b.dim();
    const Tensor images = computable(single ? a.unsqueeze(0) : a, in_double);
    const Tensor weight = computable(b, in_double);
    Sums sums = convolve(images, weight,
                         kernels::conv_geometry(images, weight, {},
                                                {list("stride"), list("padding"), list("dilation"),
                                                 static_cast<std::int64_t>(call.number("groups", 1))}));
    if (single)
        for (Tensor* tensor : {&sums.sum, &sums.squares, &sums.partial})
            if (tensor->defined()) *tensor = tensor->squeeze(0);
    return sums;
}

/// `f(sum, squares, partial, addend)` for every element of a result; the values take the place of the sums.
template <class F>
Spread spread_sums(const Precision& p, const Sums& sums, const Tensor& addend, const F& f) {
    const Tensor sum = sums.sum.contiguous();
    const Tensor squares = sums.squares.contiguous();
    const Spread spread{sum, Tensor::empty(sum.shape(), p.dtype), Tensor::empty(sum.shape(), p.dtype)};
    // Rows on which the addend stays the same or goes on in steps.
    std::int64_t lead = addend.defined() ? addend.dim() : 0;
    std::int64_t width = addend.defined() ? 1 : std::min<std::int64_t>(8192, sum.numel());
    const std::int64_t step = lead > 0 ? addend.stride(-1) : 0;
    if (lead > 0) width = addend.size(--lead);
    while (lead > 0 && step == 0 && addend.stride(lead - 1) == 0) width *= addend.size(--lead);
    width = std::max<std::int64_t>(1, width);
    const std::int64_t rows = (sum.numel() + width - 1) / width;
    visit_float(p.dtype, "spread_sums", [&]<class S>(S) {
        parallel_for(
            rows, std::max<std::int64_t>(1, parallel_grain / width), [&](std::int64_t begin, std::int64_t end) {
                const F function = f;  // in registers
                const double nothing = 0;
                for (std::int64_t row = begin; row < end; ++row) {
                    const double* c = addend.defined() ? addend.data<double>() : &nothing;
                    for (std::int64_t d = lead - 1, rest = row; d >= 0; rest /= addend.size(d--))
                        c += rest % addend.size(d) * addend.stride(d);
                    const std::int64_t at = row * width;
                    const std::int64_t n = std::min(width, sum.numel() - at);
                    double* value = sum.data<double>() + at;
                    const float* q = squares.data<float>() + at;
                    S* sigma = spread.sigma.data<S>() + at;
                    S* bound = spread.bound.data<S>() + at;
                    const auto run = [&](auto order) {
#pragma GCC ivdep
                        for (std::int64_t i = 0; i < n; ++i) {
                            const Rounded r = function(value[i], static_cast<double>(q[i]), order(i), c[i * step]);
                            value[i] = r.value;
                            sigma[i] = static_cast<S>(r.sigma);
                            bound[i] = static_cast<S>(r.bound);
                        }
                    };
                    if (const double* partial = sums.partial.defined() ? sums.partial.data<double>() + at : nullptr)
                        run([=](std::int64_t i) { return partial[i]; });
                    else
                        run([](std::int64_t) { return 0.0; });
                }
            });
    });
    return spread;
}

}  // namespace

bool dot_spread(const OpCall& call, const Precision& p, Spread& result) {
    const std::string name = call.base_name();
    const auto* op =
        std::find_if(std::begin(dot_ops), std::end(dot_ops), [&](const DotOp& o) { return o.name == name; });
    if (op == std::end(dot_ops)) return false;
    const Tensor a = call.tensor(op->a);
    const Tensor b = call.tensor(op->b);
    for (const Tensor* operand : {&a, &b})
        if (!operand->defined() || !is_floating_point(operand->dtype()) || operand->dim() == 0 || operand->numel() == 0)
            return false;
    const bool convolution = op->kind == DotOp::Convolution || op->kind == DotOp::Transposed;
    const bool transposed = op->kind == DotOp::Transposed || call.number("transposed", 0) != 0;
    const double n = static_cast<double>(convolution ? b.numel() / b.size(transposed ? 1 : 0) : a.size(-1));
    const Sums sums = sums_of(call, *op);
    const double alpha = call.number("alpha", 1);
    const Tensor addend = addend_of(call, *op, sums.sum.shape());
    const double factor = convolution ? p.convolution : 1;
    const double stored = addend.defined() ? p.stored : 0;  // the sum may be rounded before the addend joins it
    const double unit = alpha * alpha * sums.unit;
    const auto spread = [=](double sum, double squares, double partial, double c) {
        sum *= alpha;
        squares = std::fabs(squares) * unit;
        const double y = sum + c;
        // The sum of the magnitudes is at most sqrt(n q).
        const double total = std::sqrt(n * squares);
        // Sums may start from the addend, which is then in all partial sums.
        const double order = alpha * alpha * partial + std::max(0.0, n * c * y);
        const double variance = factor * factor * p.u * p.u * sum_variance(n, sum, squares, y, order) +
                                2 * p.operand * p.operand / 3 * squares + stored * stored / 3 * sum * sum;
        return p.rounded(y, variance,
                         factor * n * p.u * (total + std::fabs(c)) + 2 * p.operand * total + stored * total);
    };
    result = spread_sums(p, sums, addend, spread);
    return true;
}

bool sum_spread(const OpCall& call, const Precision& p, Spread& result) {
    const std::string name = call.base_name();
    const bool pool =
        name.starts_with("avg_pool") || name.starts_with("adaptive_avg_pool") || name.starts_with("_adaptive_avg_pool");
    if (name != "sum" && name != "mean" && name != "cumsum" && !pool) return false;
    const Tensor x = call.tensor(call.find("self") ? "self" : "input");
    if (!x.defined() || x.dtype() != wide || x.numel() == 0) return false;
    const OpCall plain = call.find("dtype") ? call.with("dtype", None{}) : call;
    const Tensor y = first(plain);
    if (y.numel() == 0) return false;
    double n = static_cast<double>(x.numel()) / static_cast<double>(y.numel());
    if (name == "cumsum")
        n = static_cast<double>(x.dim() == 0 ? 1 : x.size(static_cast<std::int64_t>(call.number("dim", 0))));
    if (pool) {
        if (const IValue* kernel = call.find("kernel_size")) {
            n = 1;
            const auto& sizes = std::get<Ints>(*kernel);
            for (std::size_t d = 0; d < static_cast<std::size_t>(name[8] - '0'); ++d)
                n *= static_cast<double>(sizes[std::min(d, sizes.size() - 1)]);
        } else {
            n = std::ceil(n) * 2;  // windows of an adaptive pool overlap
        }
    }
    const double scale = name == "sum" || name == "cumsum" ? 1 : n;
    const Tensor q = first(plain.map_tensors([](const Tensor& t) { return each([](double x) { return x * x; }, t); }));
    const Tensor size =
        first(plain.map_tensors([](const Tensor& t) { return each([](double x) { return std::fabs(x); }, t); }));
    result = spread_around(
        p, y,
        [=](double squares, double total, double sum) {
            return p.rounded(sum, p.u * p.u * sum_variance(n, sum, squares / scale, sum), n * p.u * total);
        },
        q, size);
    return true;
}

}  // namespace torch_ir::detail
