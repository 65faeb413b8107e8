// SPDX-License-Identifier: MIT
// Softmax and its logarithm along one dimension.
#include "elementwise.hpp"
#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

constexpr std::int64_t columns_at_once = 64;

/// y = softmax(x), or its logarithm, along the first dimension of [length, n <= columns_at_once], whose rows are
/// `stride` apart: what softmax_row does, for columns side by side.
template <class C>
void softmax_columns(const C* __restrict x, C* __restrict y, std::int64_t length, std::int64_t n, std::int64_t stride,
                     bool logarithm) {
    C largest[columns_at_once];
    C total[columns_at_once] = {};
    std::copy_n(x, n, largest);
    for (std::int64_t k = 1; k < length; ++k)
        for (std::int64_t i = 0; i < n; ++i)
            largest[i] = x[k * stride + i] > largest[i] ? x[k * stride + i] : largest[i];
    for (std::int64_t k = 0; k < length; ++k)
        for (std::int64_t i = 0; i < n; ++i) {
            const C power = vmath::exp(x[k * stride + i] - largest[i]);
            total[i] += power;
            y[k * stride + i] = power;
        }
    for (std::int64_t i = 0; i < n; ++i) total[i] = logarithm ? vmath::log(total[i]) : C(1) / total[i];
    for (std::int64_t k = 0; k < length; ++k)
        for (std::int64_t i = 0; i < n; ++i)
            y[k * stride + i] = logarithm ? x[k * stride + i] - largest[i] - total[i] : y[k * stride + i] * total[i];
}

/// Along a dimension that others follow, `inner` elements in all.
template <class C>
Tensor along_columns(const Tensor& self, std::int64_t dim, std::int64_t inner, bool logarithm) {
    const Tensor x = self.to(dtype_of<C>()).contiguous();
    Tensor y = Tensor::empty(x.shape(), x.dtype());
    const std::int64_t length = x.size(dim);
    const std::int64_t blocks = (inner + columns_at_once - 1) / columns_at_once;
    parallel_for(x.numel() / (length * inner) * blocks, std::max<std::int64_t>(1, 8192 / (length * columns_at_once)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                         const std::int64_t column = i % blocks * columns_at_once;
                         const std::int64_t offset = i / blocks * length * inner + column;
                         softmax_columns(x.data<C>() + offset, y.data<C>() + offset, length,
                                         std::min(columns_at_once, inner - column), inner, logarithm);
                     }
                 });
    return y;
}

/// `f(x, y, n)` computes one row in the compute type.
template <class F>
Tensor along_rows(const char* op, const Tensor& self, std::int64_t dim, DType out, F f) {
    self.wrap_dim(dim);
    if (self.numel() == 0) return Tensor::empty(self.shape(), out);
    return visit_float(out, op, [&]<class C>(C) {
        const Tensor x = self.to(out);
        const Rows<C> in = rows<C>(x, dim);
        Tensor y = Tensor::empty(in.memory.shape(), dtype_of<C>());
        if (in.length > 0)
            parallel_for(in.count, std::max<std::int64_t>(1, 8192 / in.length),
                         [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t i = begin; i < end; ++i)
                                 f(in[i].data(), y.data<C>() + i * in.length, in.length);
                         });
        const Ints dims = x.dim() == 0 ? Ints{} : Ints{x.wrap_dim(dim)};
        return unrows(y, x, dims).to(out).contiguous();
    });
}

constexpr auto softmax_f = []<class C>(const C* x, C* y, std::int64_t n) { softmax_row(x, y, n); };

/// As PyTorch along the last dimension, the sum and its logarithm are rounded to `dtype`.
struct LogSoftmax {
    DType dtype;

    template <class C>
    void operator()(const C* x, C* y, std::int64_t n) const {
        const auto rounded = [this](C v) { return static_cast<C>(round_to(dtype, static_cast<double>(v))); };
        const C largest = max_of(x, n);
        const C total = rounded(sum_of(x, n, [largest](C v) { return vmath::exp(v - largest); }));
        const C log_total = rounded(std::log(total));
        for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] - largest - log_total;
    }
};

Tensor softmax_of(const char* op, const Tensor& self, std::int64_t dim, DType out, bool logarithm) {
    const std::int64_t d = self.wrap_dim(dim);
    const std::int64_t inner =
        self.dim() == 0 ? 1 : numel_of(std::span(self.shape()).subspan(static_cast<std::size_t>(d) + 1));
    if (inner >= 8 && self.numel() > 0)
        return visit_float(out, op,
                           [&]<class C>(C) { return along_columns<C>(self.to(out), d, inner, logarithm).to(out); });
    return logarithm ? along_rows(op, self, dim, out, LogSoftmax{inner == 1 ? out : DType::Float64})
                     : along_rows(op, self, dim, out, softmax_f);
}

Tensor softmax(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return softmax_of("softmax", self, dim, dtype.value_or(self.dtype()), false);
}
Tensor log_softmax(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return softmax_of("log_softmax", self, dim, dtype.value_or(self.dtype()), true);
}
Tensor softmax_leaf(const Tensor& self, std::int64_t dim, bool half_to_float) {
    return softmax_of("_softmax", self, dim, half_to_float ? DType::Float32 : self.dtype(), false);
}
Tensor log_softmax_leaf(const Tensor& self, std::int64_t dim, bool half_to_float) {
    return softmax_of("_log_softmax", self, dim, half_to_float ? DType::Float32 : self.dtype(), true);
}

/// Rows that are masked out entirely give zeros instead of NaN.
Tensor safe_softmax(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return along_rows("_safe_softmax", self, dim, dtype.value_or(self.dtype()),
                      []<class C>(const C* x, C* y, std::int64_t n) {
                          if (std::all_of(x, x + n, [](C v) { return v == -std::numeric_limits<C>::infinity(); }))
                              std::fill(y, y + n, C(0));
                          else
                              softmax_row(x, y, n);
                      });
}

/// Where `mask` is true, nothing takes part. mask_type 0: one [length, length] mask for all; 1: [batch, length] for the
/// keys; 2 or None: a mask of the shape of `self`.
Tensor masked_softmax(const Tensor& self, const Tensor& mask, std::optional<std::int64_t> dim,
                      std::optional<std::int64_t> mask_type) {
    if (mask.dtype() != DType::Bool)
        throw ArgumentError("_masked_softmax: expected 'mask' of dtype bool, found " + describe(mask));
    if (mask_type && (*mask_type < 0 || *mask_type > 2))
        throw ArgumentError("_masked_softmax: expected 'mask_type' 0, 1 or 2, found " + std::to_string(*mask_type));
    const bool expands = mask.dim() == 2 && self.dim() == 4 && mask_type.value_or(2) != 2;
    if (!expands && mask.shape() != self.shape())
        throw ArgumentError("_masked_softmax: expected 'mask' of the shape of 'self', found " + describe(mask) +
                            " and " + describe(self));
    Tensor full = mask;
    if (mask_type == 1 && expands) full = mask.unsqueeze(1).unsqueeze(1);
    const Tensor low = Tensor::wrapped_number(Scalar(-std::numeric_limits<double>::infinity()));
    return softmax(where(full.expand(self.shape()), low, self), dim.value_or(self.dim() - 1), self.dtype());
}

/// Softmax's gradient over the elements that the mask (true: out) leaves in.
Tensor masked_softmax_backward(const Tensor& grad_output, const Tensor& output, const Tensor& mask,
                               std::optional<std::int64_t> dim) {
    const std::string op = "_masked_softmax_backward";
    if (grad_output.shape() != output.shape() || mask.shape() != output.shape() || mask.dtype() != DType::Bool)
        throw ArgumentError(op + ": expected 'grad_output' and a bool 'mask' of the shape of 'output', found " +
                            describe(grad_output) + ", " + describe(mask) + " and " + describe(output));
    const std::int64_t d = output.wrap_dim(dim.value_or(output.dim() - 1));
    const Ints dims = output.dim() == 0 ? Ints{} : Ints{d};
    return visit_float(output.dtype(), op.c_str(), [&]<class C>(C) {
        const Rows<C> y = rows<C>(output, dims), g = rows<C>(grad_output, dims), out = rows<C>(mask, dims);
        const Tensor result = Tensor::zeros(y.memory.shape(), dtype_of<C>());
        for (std::int64_t i = 0; i < y.count; ++i) {
            C dot = 0;
            for (std::int64_t k = i * y.length; k < (i + 1) * y.length; ++k)
                if (out.data()[k] == C(0)) dot += g.data()[k] * y.data()[k];
            for (std::int64_t k = i * y.length; k < (i + 1) * y.length; ++k)
                if (out.data()[k] == C(0)) result.data<C>()[k] = y.data()[k] * (g.data()[k] - dot);
        }
        return unrows(result, output, dims).to(output.dtype());
    });
}

}  // namespace

void register_softmax(Registry& r) {
    r.add("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", softmax);
    r.add("special_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", softmax);
    r.add("log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", log_softmax);
    r.add("special_log_softmax(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", log_softmax);
    r.add("_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", softmax_leaf);
    r.add("_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", log_softmax_leaf);
    r.add("_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", safe_softmax);
    r.add("_masked_softmax_backward(Tensor grad_output, Tensor output, Tensor mask, int? dim=None) -> Tensor",
          masked_softmax_backward);
    r.add("_masked_softmax(Tensor self, Tensor mask, int? dim=None, int? mask_type=None) -> Tensor", masked_softmax);
}

}  // namespace torch_ir::kernels
