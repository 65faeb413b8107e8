// SPDX-License-Identifier: MIT
// Rounding of sums of products (matrix products, convolutions) and of plain sums, by second moments of the partial
// sums: those of a random order of the terms plus those of the natural order.
#include "verification/rounding_dot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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

    const auto rows = [=](const SumSink& sink) {
        const double scale_a = scale_of(a);
        const double scale_b = scale_of(b);
        const double unit = 1 / (scale_a * scale_a * scale_b * scale_b);
        const std::int64_t groups = group_count(k);
        visit_float(a.dtype(), "multiply", [&]<class X>(X) {
            const Scratch<float> a_squares(batch * m * groups);
            const Scratch<float> b_squares(batch * groups * n);
            square_rows(a_squares.data(), a.data<X>(), batch * m, k, scale_a, Grouped::Sum);
            if (transposed) square_rows(b_squares.data(), b.data<X>(), batch * n, k, scale_b, Grouped::Mean);
            parallel_for(batch, 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                    const X* right = b.data<X>() + i * k * n;
                    float* right_squares = b_squares.data() + i * groups * n;
                    if (!transposed) square_lines(right_squares, right, n, k, n, scale_b, Grouped::Mean);
                    multiply_tiles(transposed, m, n, k, a.data<X>() + i * m * k, right, transposed ? k : n,
                                   a_squares.data() + i * m * groups, right_squares, unit, i * m * n, n, sink);
                }
            });
        });
    };
    return {shape, rows};
}

/// By the op itself, on the operands and on their squares.
Sums by_op(const OpCall& call, const DotOp& op) {
    const OpCall products = call.with(op.addend, None{});
    const Tensor sum = first(products.in_double()).contiguous();
    const Tensor squares = first(products.map_tensors([](const Tensor& tensor) {
                               return elementwise<float>(
                                   DType::Float32, [](float x) { return x * x; }, tensor);
                           }))
                               .to(DType::Float32)
                               .contiguous();
    const auto rows = [=](const SumSink& sink) {
        parallel_for(sum.numel(), parallel_grain, [&](std::int64_t begin, std::int64_t end) {
            const Scratch<double> copy(end - begin);
            std::copy(sum.data<double>() + begin, sum.data<double>() + end, copy.data());
            sink({begin, end - begin, copy.data(), squares.data<float>() + begin, 1, nullptr});
        });
    };
    return {sum.shape(), rows};
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
    if (single) sums.shape.erase(sums.shape.begin());
    return sums;
}

/// What makes results of sums of products.
struct DotRounding {
    Precision p{};
    double n = 0;       // products of a sum
    double alpha = 1;   // factor of the sum
    double factor = 1;  // on what the sum loses
    double stored = 0;  // unit roundoff of the sum where the addend joins it
    Tensor addend{};    // of the shape of the result; undefined: none
    std::int64_t width = std::numeric_limits<std::int64_t>::max();  // elements on which it goes on in steps
    std::int64_t step = 0;

    void find_width() {
        if (!addend.defined() || addend.dim() == 0) return;
        std::int64_t d = addend.dim() - 1;
        width = addend.size(d);
        step = addend.stride(d);
        while (d > 0 && step == 0 && addend.stride(d - 1) == 0) width *= addend.size(--d);
    }

    /// Where the addend of element `at` is.
    const double* addend_at(std::int64_t at) const {
        const double* c = addend.data<double>();
        for (std::int64_t d = addend.dim() - 1; d >= 0; at /= addend.size(d--))
            c += at % addend.size(d) * addend.stride(d);
        return c;
    }

    TORCH_IR_ALWAYS_INLINE Rounded round(double sum, double squares, double partial, double c) const {
        sum *= alpha;
        squares = std::fabs(squares);
        const double y = sum + c;
        // The sum of the magnitudes is at most sqrt(n q).
        const double total = std::sqrt(n * squares);
        // Sums may start from the addend, which is then in all partial sums.
        const double order = alpha * alpha * partial + std::max(0.0, n * c * y);
        const double variance = factor * factor * p.u * p.u * sum_variance(n, sum, squares, y, order) +
                                p.operand * p.operand * (2.0 / 3) * squares + stored * stored * (1.0 / 3) * sum * sum;
        return p.rounded(y, variance,
                         factor * n * p.u * (total + std::fabs(c)) + 2 * p.operand * total + stored * total);
    }

    /// Gives `sink` a row, whose values take the place of the sums.
    void give(const SumRow& row, const BlockSink& sink) const {
        double sigma[block_size];
        double bound[block_size];
        const double nothing = 0;
        const double unit = alpha * alpha * row.unit;
        for (std::int64_t first = 0, n = 0; first < row.n; first += n) {
            const std::int64_t at = row.at + first;
            n = std::min({block_size, row.n - first, width - at % width});
            const double* c = addend.defined() ? addend_at(at) : &nothing;
            double* value = row.sum + first;
            const float* squares = row.squares + first;
            const auto run = [&, stride = step, rounding = *this]<bool bounds>(auto order, std::bool_constant<bounds>) {
#pragma GCC ivdep
                for (std::int64_t i = 0; i < n; ++i) {
                    const Rounded r = rounding.round(value[i], squares[i] * unit, order(i), c[i * stride]);
                    value[i] = r.value;
                    sigma[i] = r.sigma;
                    if constexpr (bounds) bound[i] = r.bound;
                }
            };
            const auto run_in = [&](auto order) {
                if (sink.needs_bounds)
                    run(order, std::true_type());
                else
                    run(order, std::false_type());
            };
            if (row.partial)
                run_in([partial = row.partial + first](std::int64_t i) { return partial[i]; });
            else
                run_in([](std::int64_t) { return 0.0; });
            sink({at, n, value, sigma, sink.needs_bounds ? bound : nullptr});
        }
    }
};

}  // namespace

bool dot_spread(const OpCall& call, const Precision& p, Reference& result) {
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
    const Sums sums = sums_of(call, *op);
    DotRounding rounding;
    rounding.p = p;
    // PyTorch adds what the places of the kernel give in the dtype itself.
    if (transposed && p.stored > p.u) rounding.p.u = p.stored;
    rounding.n = static_cast<double>(convolution ? b.numel() / b.size(transposed ? 1 : 0) : a.size(-1));
    rounding.alpha = call.number("alpha", 1);
    rounding.factor = convolution ? p.convolution : 1;
    rounding.addend = addend_of(call, *op, sums.shape);
    rounding.stored = rounding.addend.defined() ? p.stored : 0;
    rounding.find_width();
    result.shape = sums.shape;
    result.blocks = [rows = sums.rows, rounding](const BlockSink& sink) {
        rows([&](const SumRow& row) { rounding.give(row, sink); });
    };
    return true;
}

bool sum_spread(const OpCall& call, const Precision& p, Reference& result) {
    const std::string name = call.base_name();
    const bool adaptive = name.starts_with("adaptive_avg_pool") || name.starts_with("_adaptive_avg_pool");
    const bool pool = (adaptive || name.starts_with("avg_pool")) && !name.ends_with("_backward");
    if (name != "sum" && name != "mean" && name != "cumsum" && !pool) return false;
    const Tensor x = call.tensor(call.find("self") ? "self" : "input");
    if (!x.defined() || x.dtype() != wide || x.numel() == 0) return false;
    if (const IValue* dtype = call.find("dtype"))
        if (const auto* asked = std::get_if<DType>(dtype); asked && is_complex(*asked)) return false;
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
    // PyTorch adds up volumes in the dtype itself.
    const double u = adaptive && name.ends_with("3d") ? std::max(p.u, p.result) : p.u;
    const double scale = name == "sum" || name == "cumsum" ? 1 : n;
    const Tensor q = first(plain.map_tensors([](const Tensor& t) { return each([](double x) { return x * x; }, t); }));
    const Tensor size =
        first(plain.map_tensors([](const Tensor& t) { return each([](double x) { return std::fabs(x); }, t); }));
    result = spread_around(
        y,
        [=](double squares, double total, double sum) {
            return p.rounded(sum, u * u * sum_variance(n, sum, squares / scale, sum), n * u * total);
        },
        q, size);
    return true;
}

}  // namespace torch_ir::detail
