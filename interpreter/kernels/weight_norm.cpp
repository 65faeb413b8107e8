// SPDX-License-Identifier: MIT
// Weights scaled by their norms over all dimensions but one.
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/reduce.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

Ints all_but(const Tensor& t, std::int64_t dim) {
    Ints dims;
    for (std::int64_t d = 0; d < t.dim(); ++d)
        if (d != dim) dims.push_back(d);
    return dims;
}

/// The norm of each slice along `dim` (-1: of the whole tensor), shaped to broadcast.
Tensor norm_except_dim(const Tensor& v, std::int64_t pow, std::int64_t dim) {
    const Scalar p(pow);
    if (dim == -1 || v.dim() == 0) return vector_norm(v, p, std::optional<Ints>{}, false, {});
    const std::int64_t d = v.wrap_dim(dim);
    if (v.dim() == 1) return vector_norm(v.unsqueeze(1), p, Ints{1}, false, {});
    return vector_norm(v, p, all_but(v, d), true, {});
}

std::tuple<Tensor, Tensor> weight_norm_interface(const Tensor& v, const Tensor& g, std::int64_t dim) {
    if (v.dim() == 0 || v.dtype() != g.dtype())
        throw ArgumentError("weight_norm: expected v and g of one dtype, v with dimensions, found " + describe(v) +
                            " and " + describe(g));
    const bool half = is_half(v.dtype());
    if (half && (dim == 0 || dim == v.dim() - 1)) {  // PyTorch has one kernel, which rounds once
        const auto [w, norm] = weight_norm_interface(v.to(DType::Float32), g.to(DType::Float32), dim);
        return {w.to(v.dtype()), norm};
    }
    const Tensor norm = norm_except_dim(v, 2, dim);
    return {times(v, divided(g, norm)), norm};
}
Tensor weight_norm(const Tensor& v, const Tensor& g, std::int64_t dim) {
    return std::get<0>(weight_norm_interface(v, g, dim));
}

std::tuple<Tensor, Tensor> weight_norm_backward(const Tensor& grad_w, const Tensor& saved_v, const Tensor& saved_g,
                                                const Tensor& saved_norms, std::int64_t dim) {
    const std::int64_t d = saved_v.wrap_dim(dim);
    if (grad_w.shape() != saved_v.shape() || broadcast_shapes(saved_v.shape(), saved_g.shape()) != saved_v.shape() ||
        saved_norms.numel() != saved_g.numel() || saved_g.numel() != saved_v.size(d))
        throw ArgumentError("weight_norm_backward: 'grad_w' " + describe(grad_w) + ", 'saved_g' " + describe(saved_g) +
                            " or 'saved_norms' " + describe(saved_norms) + " do not fit 'saved_v' " +
                            describe(saved_v));
    return visit_float(saved_v.dtype(), "weight_norm_backward", [&]<class C>(C) {
        const Ints dims = all_but(saved_v, d);
        const Rows<C> v = rows<C>(saved_v, dims), grad = rows<C>(grad_w, dims);
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor g = plain(saved_g), norms = plain(saved_norms);
        const Tensor dv = Tensor::empty(v.memory.shape(), dtype_of<C>());
        const Tensor dg = Tensor::empty(saved_g.shape(), dtype_of<C>());
        for (std::int64_t i = 0; i < v.count; ++i) {
            const C norm = norms.data<C>()[i];
            C dot = 0;
            for (std::int64_t k = 0; k < v.length; ++k)
                dot += v.data()[i * v.length + k] * grad.data()[i * v.length + k];
            dg.data<C>()[i] = dot / norm;
            for (std::int64_t k = 0; k < v.length; ++k)
                dv.data<C>()[i * v.length + k] =
                    g.data<C>()[i] / norm *
                    (grad.data()[i * v.length + k] - v.data()[i * v.length + k] * dot / (norm * norm));
        }
        return std::tuple(unrows(dv, saved_v, dims).to(saved_v.dtype()), dg.to(saved_g.dtype()));
    });
}

/// Slices along `dim` whose p-norm is above `maxnorm` are scaled down to it.
Tensor renorm(const Tensor& self, const Scalar& p, std::int64_t dim, const Scalar& maxnorm) {
    const std::int64_t d = self.wrap_dim(dim);
    if (self.dim() < 2)
        throw ArgumentError("renorm: expected 'self' of at least 2 dimensions, found " + describe(self));
    if (!(p.to<double>() > 0)) throw ArgumentError("renorm: expected 'p' greater than 0");
    const auto limit = maxnorm.to<double>();
    if (!(limit >= 0)) throw ArgumentError("renorm: expected 'maxnorm' of at least 0");
    const bool half = item_size(to_real(self.dtype())) < 4;
    const Tensor norm =
        vector_norm(self, p, all_but(self, d), true, half ? std::optional(DType::Float32) : std::nullopt);
    const Tensor factor = elementwise<double>(
        DType::Float64, [limit](double n) { return n > limit ? limit / (n + 1e-7) : 1.0; }, norm);
    return times(self, factor.to(to_real(self.dtype()))).to(self.dtype()).contiguous();
}

}  // namespace

void register_weight_norm(Registry& r) {
    r.add("norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor", norm_except_dim);
    r.add("_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor", weight_norm);
    r.add("_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)",
          [](const Tensor& v, const Tensor& g, std::int64_t dim) {
              if (dim != 0 && dim != v.dim() - 1)
                  throw ArgumentError("_weight_norm_interface: expected 'dim' 0 or " + std::to_string(v.dim() - 1) +
                                      ", found " + std::to_string(dim));
              return weight_norm_interface(v, g, dim);
          });
    for (const char* op : {"_weight_norm_interface_backward", "_weight_norm_differentiable_backward"})
        r.add(std::string(op) +
                  "(Tensor grad_w, Tensor saved_v, Tensor saved_g, Tensor saved_norms, int dim) -> (Tensor, Tensor)",
              weight_norm_backward);
    r.add("renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor", renorm);
}

}  // namespace torch_ir::kernels
