// SPDX-License-Identifier: MIT
// Softmax and its logarithm along one dimension.
#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

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

constexpr auto log_softmax_f = []<class C>(const C* x, C* y, std::int64_t n) {
    const C largest = max_of(x, n);
    const C total = sum_of(x, n, [largest](C v) { return vmath::exp(v - largest); });
    const C log_total = std::log(total);
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] - largest - log_total;
};

Tensor softmax(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return along_rows("softmax", self, dim, dtype.value_or(self.dtype()), softmax_f);
}
Tensor log_softmax(const Tensor& self, std::int64_t dim, std::optional<DType> dtype) {
    return along_rows("log_softmax", self, dim, dtype.value_or(self.dtype()), log_softmax_f);
}
Tensor softmax_leaf(const Tensor& self, std::int64_t dim, bool half_to_float) {
    return along_rows("_softmax", self, dim, half_to_float ? DType::Float32 : self.dtype(), softmax_f);
}
Tensor log_softmax_leaf(const Tensor& self, std::int64_t dim, bool half_to_float) {
    return along_rows("_log_softmax", self, dim, half_to_float ? DType::Float32 : self.dtype(), log_softmax_f);
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
