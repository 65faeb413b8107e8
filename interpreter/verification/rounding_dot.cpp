// SPDX-License-Identifier: MIT
// Rounding of sums of products (matrix products, convolutions) and of plain sums, by second moments of the partial
// sums: those of a random order of the terms plus those of the natural order.
#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "verification/rounding.hpp"

namespace torch_ir::detail {
namespace {

constexpr DType wide = DType::Float64;

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

/// The call without what is added to the products.
OpCall products_only(const OpCall& call, const DotOp& op) {
    if (op.addend.empty()) return call;
    return op.name == "addmm" || op.name == "baddbmm" ? call.with("beta", Scalar(std::int64_t{0}).to<std::int64_t>())
                                                      : call.with(op.addend, None{});
}

/// What is added, broadcast to the shape of the result; undefined when nothing is.
Tensor addend_of(const OpCall& call, const DotOp& op, const Ints& shape, std::int64_t channel) {
    Tensor addend = op.addend.empty() ? Tensor{} : call.tensor(op.addend);
    if (!addend.defined()) return {};
    if (op.kind == DotOp::Convolution || op.kind == DotOp::Transposed) {
        Ints sizes(shape.size(), 1);
        sizes[static_cast<std::size_t>(channel)] = addend.numel();
        addend = addend.reshape(std::span<const std::int64_t>(sizes));
    }
    const double beta = call.number("beta", 1);
    return each([=](double x) { return beta * x; }, addend).expand(shape);
}

/// The products summed piece by piece along the contracted dimension: the whole sum, and the sum of the squares of all
/// partial sums as far as the pieces show them.
struct PartialSums {
    Tensor sum;
    Tensor squares;  // undefined: not known
};

PartialSums partial_sums(const OpCall& call, const DotOp& op, std::int64_t n) {
    constexpr std::int64_t pieces = 8;
    const Tensor a = call.tensor(op.a);
    const Tensor b = call.tensor(op.b);
    std::int64_t dim_a = -1;
    std::int64_t dim_b = op.kind == DotOp::Linear ? -1 : -2;
    if (op.kind == DotOp::Convolution) {
        dim_a = a.dim() == b.dim() ? 1 : 0;
        dim_b = 1;
    }
    const bool cuts = op.kind != DotOp::Transposed && call.number("groups", 1) == 1 && a.dim() >= 2 && b.dim() >= 2 &&
                      a.size(dim_a) == b.size(dim_b) && a.size(dim_a) >= 4 * pieces;
    if (!cuts) return {first(call), {}};
    const std::int64_t length = a.size(dim_a);
    const std::int64_t step = (length + pieces - 1) / pieces;
    PartialSums sums;
    for (std::int64_t begin = 0; begin < length; begin += step) {
        const std::int64_t size = std::min(step, length - begin);
        const Tensor piece =
            first(call.with(op.a, a.narrow(dim_a, begin, size)).with(op.b, b.narrow(dim_b, begin, size)));
        sums.sum = sums.sum.defined() ? each([](double s, double p) { return s + p; }, sums.sum, piece) : piece;
        const double weight = static_cast<double>(n) * static_cast<double>(size) / static_cast<double>(length);
        sums.squares = sums.squares.defined()
                           ? each([=](double q, double s) { return q + weight * s * s; }, sums.squares, sums.sum)
                           : each([=](double s) { return weight * s * s; }, sums.sum);
    }
    return sums;
}

/// The sum of the squares of the products, in float32: a few digits will do.
Tensor sum_of_squares(const OpCall& call) {
    const OpCall narrow = call.map_tensors([](const Tensor& tensor) {
        return elementwise<float>(
            DType::Float32, [](float x) { return x * x; }, tensor);
    });
    return first(narrow).to(wide);
}

}  // namespace

bool dot_spread(const OpCall& call, const RoundingProfile& profile, double u, Spread& result) {
    const std::string name = call.base_name();
    const auto* op =
        std::find_if(std::begin(dot_ops), std::end(dot_ops), [&](const DotOp& o) { return o.name == name; });
    if (op == std::end(dot_ops)) return false;
    const Tensor a = call.tensor(op->a);
    const Tensor b = call.tensor(op->b);
    if (!a.defined() || !b.defined() || a.dtype() != wide || b.dtype() != wide || a.dim() == 0 || b.dim() == 0)
        return false;
    const bool convolution = op->kind == DotOp::Convolution || op->kind == DotOp::Transposed;
    std::int64_t terms = a.size(-1);
    if (convolution) terms = b.size(0) == 0 ? 0 : b.numel() / b.size(op->kind == DotOp::Convolution ? 0 : 1);
    if (terms == 0 || a.numel() == 0 || b.numel() == 0) return false;
    const double n = static_cast<double>(terms);

    const OpCall products = products_only(call, *op);
    const PartialSums sums = partial_sums(products, *op, terms);
    const Tensor& s = sums.sum;
    const double alpha = call.number("alpha", 1);
    const Tensor q = sum_of_squares(products);
    const std::int64_t channel = convolution && s.dim() == b.dim() ? 1 : 0;
    Tensor addend = addend_of(call, *op, s.shape(), channel);
    const bool adds = addend.defined();
    if (!adds) addend = Tensor::zeros({}, wide).expand(s.shape());
    const Tensor y = adds ? each([](double x, double c) { return x + c; }, s, addend) : s;
    const double ui = profile.operand;
    const double factor = convolution ? profile.convolution : 1;
    const double stored = adds ? profile.storage : 0;  // the sum may be rounded before the addend joins it
    // What the pieces show of the natural order; 0 where they show nothing.
    const Tensor order = sums.squares.defined() ? sums.squares : Tensor::zeros({}, wide).expand(s.shape());
    const Tensor variance = each(
        [=](double sum, double squares, double value, double natural) {
            const double terms_squared = std::fabs(alpha) * std::fabs(squares);
            return factor * factor * u * u * sum_variance(n, sum, terms_squared, value, natural) +
                   2 * ui * ui / 3 * terms_squared + stored * stored / 3 * sum * sum;
        },
        s, q, y, order);
    result.value = y;
    result.sigma = each([](double v) { return std::sqrt(v); }, variance);
    // The sum of the magnitudes is at most sqrt(n q).
    result.bound = each(
        [=](double squares, double c) {
            const double total = std::sqrt(n * std::fabs(alpha * squares));
            return factor * n * u * (total + std::fabs(c)) + 2 * ui * total + stored * total;
        },
        q, addend);
    return true;
}

bool sum_spread(const OpCall& call, double u, Spread& result) {
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
    result.value = y;
    result.sigma = each(
        [=](double sum, double squares) { return u * std::sqrt(sum_variance(n, sum, squares / scale, sum)); }, y, q);
    result.bound = each([=](double total) { return n * u * total; }, size);
    return true;
}

}  // namespace torch_ir::detail
