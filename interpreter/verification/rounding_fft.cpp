// SPDX-License-Identifier: MIT
// Rounding of Fourier transforms: of the stages that a fast one goes through, in whatever order.
#include <cmath>
#include <vector>

#include "verification/rounding.hpp"

namespace torch_ir::detail {
namespace {

/// The dimensions of a result that were transformed, and the length of the last of them before it was halved.
struct Transform {
    Ints dims;
    std::int64_t last_size;
};

/// Of the transforms of torch.fft, of what they are lowered to, and of stft; no dimensions for another op.
Transform transform_of(const OpCall& call, const Tensor& result) {
    const std::string name = call.base_name();
    const Tensor self = call.tensor("self");
    const auto list = [&](std::string_view argument) -> const Ints* {
        const IValue* value = call.find(argument);
        return value ? std::get_if<Ints>(value) : nullptr;
    };
    Transform t{{}, 0};
    if (name == "stft") {
        t.dims = {result.dim() - (is_complex(result.dtype()) ? 2 : 3)};
        t.last_size = static_cast<std::int64_t>(call.number("n_fft", 0));
        return t;
    }
    if (!name.starts_with("fft_") && !name.starts_with("_fft_")) return t;
    if (name.ends_with("freq") || name.ends_with("shift") || !self.defined() || self.dim() != result.dim()) return t;
    const bool several = name.starts_with("_fft_") || name.ends_with("2") || name.ends_with("n");
    const Ints* sizes = list("s");
    if (const Ints* dims = list("dim"))
        t.dims = *dims;
    else if (!several)
        t.dims = {static_cast<std::int64_t>(call.number("dim", -1))};
    else if (name.ends_with("2"))
        t.dims = {-2, -1};
    else
        for (std::int64_t d = sizes ? -static_cast<std::int64_t>(sizes->size()) : -self.dim(); d < 0; ++d)
            t.dims.push_back(d);
    if (t.dims.empty()) return t;
    for (std::int64_t& dim : t.dims) dim = self.wrap_dim(dim);
    const bool halved = name.find("rfft") == 4 || name.find("ihfft") == 4 || name == "_fft_r2c";
    t.last_size = (halved ? self : result).size(t.dims.back());
    if (halved && sizes && !sizes->empty() && sizes->back() > 0) t.last_size = sizes->back();
    if (halved && !several) t.last_size = static_cast<std::int64_t>(call.number("n", static_cast<double>(t.last_size)));
    return t;
}

/// Every element replaced by the mean of those whose position along `dim` is the same modulo `m`.
Tensor averaged(const Tensor& x, std::int64_t dim, std::int64_t m) {
    const std::int64_t n = x.size(dim);
    const std::int64_t inner = numel_of(std::span(x.shape()).subspan(static_cast<std::size_t>(dim) + 1));
    Tensor y = Tensor::empty(x.shape(), wide);
    std::vector<double> sums(static_cast<std::size_t>(m * inner));
    for (std::int64_t first = 0; first < x.numel(); first += n * inner) {
        std::fill(sums.begin(), sums.end(), 0.0);
        const auto each = [&](auto f) {
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < inner; ++j)
                    f(first + i * inner + j, sums[static_cast<std::size_t>(i % m * inner + j)], i);
        };
        each([&](std::int64_t at, double& sum, std::int64_t) { sum += x.data<double>()[at]; });
        each([&](std::int64_t at, double& sum, std::int64_t i) {
            y.data<double>()[at] = sum / static_cast<double>((n - i % m + m - 1) / m);
        });
    }
    return y;
}

void add(const Tensor& total, const Tensor& x, double factor) {
    for (std::int64_t i = 0; i < total.numel(); ++i) total.data<double>()[i] += factor * x.data<double>()[i];
}

}  // namespace

bool fft_spread(const OpCall& call, const Tensor& result, const Precision& p, Reference& spread) {
    const Transform transform = transform_of(call, result);
    if (transform.dims.empty() || result.numel() == 0 || transform.last_size <= 0) return false;
    const Tensor y = to_double(real_view(result)).contiguous();
    const std::int64_t parts = y.numel() / result.numel();
    const Tensor power = Tensor::zeros(result.shape(), wide);
    for (std::int64_t i = 0; i < y.numel(); ++i)
        power.data<double>()[i / parts] += y.data<double>()[i] * y.data<double>()[i];

    // A stage has partial transforms of every m-th element, of m that divides the size, along one dimension; others are
    // done or still to do. By Parseval's theorem the errors of a stage come to each result from the mean square of the
    // results that are alike modulo m.
    Tensor all = power;
    for (const std::int64_t dim : transform.dims) all = averaged(all, dim, 1);
    const Tensor variance = Tensor::zeros(result.shape(), wide);
    add(variance, all, 2);
    add(variance, power, 2);
    for (const std::int64_t dim : transform.dims) {
        Tensor others = power;  // where these are still to do
        for (const std::int64_t other : transform.dims)
            if (other != dim) others = averaged(others, other, 1);
        const std::int64_t size = dim == transform.dims.back() ? transform.last_size : result.size(dim);
        for (std::int64_t m = 1; m < size; ++m) {
            if (size % m != 0) continue;
            add(variance, averaged(power, dim, m), 1);
            if (transform.dims.size() > 1) add(variance, averaged(others, dim, m), 1);
        }
    }
    Tensor deviation = elementwise<double>(
        wide, [u = p.u](double v) { return u * std::sqrt(v); }, variance);
    if (parts > 1) {
        Ints shape = result.shape();
        shape.push_back(parts);
        deviation = deviation.unsqueeze(-1).expand(shape);
    }
    spread = spread_around(
        y, [p](double s, double v) { return p.rounded(v, s * s, 100 * s); }, deviation.contiguous());
    return true;
}

}  // namespace torch_ir::detail
