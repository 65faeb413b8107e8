// SPDX-License-Identifier: MIT
// Gradients of losses.
#include <cmath>

#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/loss.hpp"
#include "kernels/pointwise.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

/// 2 (x - y) · gradient, with the mean over the elements of self. As in PyTorch, the result has self's dtype.
Tensor mse_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target, std::int64_t reduction) {
    const double norm = reduction == 1 ? 2.0 / static_cast<double>(self.numel()) : 2.0;
    return visit_stepwise_real(self.dtype(), "mse_loss_backward", [&]<class C, class A>(C, A) {
        const A factor = static_cast<A>(norm);  // an integer's mean is therefore mostly 0
        return elementwise<C>(
            self.dtype(), [factor](C x, C y, C g) { return static_cast<C>(factor * (A(x) - A(y)) * A(g)); }, self,
            target, grad_output);
    });
}

/// `f(x, y, gradient)` in the dtype of self, times the mean over its elements. `steps`: 16-bit floats are rounded at
/// every step.
template <class F>
Tensor loss_gradient(const char* op, const Tensor& grad_output, const Tensor& self, const Tensor& target,
                     std::int64_t reduction, bool steps, F f) {
    check_reduction(op, reduction);
    for (const Tensor* t : {&grad_output, &target})
        if (broadcast_shapes(self.shape(), t->shape()) != self.shape())
            throw ArgumentError(std::string(op) + ": " + describe(*t) + " does not broadcast to the shape of 'self' " +
                                describe(self));
    const double norm = reduction == 1 ? 1.0 / static_cast<double>(self.numel()) : 1.0;
    const auto compute = [&]<class C, class A>(C, A) {
        return elementwise<C>(
            self.dtype(),
            [f, norm = static_cast<A>(norm)](C x, C y, C g) { return static_cast<C>(f(A(x), A(y), norm, A(g))); }, self,
            target, grad_output);
    };
    return visit_stepwise(self.dtype(), op, compute, steps);
}

Tensor smooth_l1_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target,
                               std::int64_t reduction, double beta) {
    return loss_gradient("smooth_l1_loss_backward", grad_output, self, target, reduction, false,
                         [beta](auto x, auto y, auto norm, auto g) {
                             using C = decltype(x);
                             const C d = x - y, b = static_cast<C>(beta);
                             return norm * (d <= -b ? C(-1) : d >= b ? C(1) : d / b) * g;
                         });
}

Tensor huber_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target, std::int64_t reduction,
                           double delta) {
    return loss_gradient("huber_loss_backward", grad_output, self, target, reduction, true,
                         [delta](auto x, auto y, auto norm, auto g) {
                             using C = decltype(x);
                             const C d = x - y, limit = static_cast<C>(delta);
                             return norm * (d <= -limit ? -limit : d >= limit ? limit : d) * g;
                         });
}

Tensor soft_margin_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target,
                                 std::int64_t reduction) {
    return loss_gradient("soft_margin_loss_backward", grad_output, self, target, reduction, true,
                         [](auto x, auto y, auto norm, auto g) {
                             using C = decltype(x);
                             using std::exp;
                             const C z = exp(-y * x);
                             return y * z * -norm / (z + C(1)) * g;
                         });
}

/// The denominator is cut off at 1e-12.
Tensor binary_cross_entropy_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target,
                                     const Tensor& weight, std::int64_t reduction) {
    const char* const op = "binary_cross_entropy_backward";
    if (self.shape() != target.shape())
        throw ArgumentError(std::string(op) + ": expected 'target' of the shape of 'self', found " + describe(target) +
                            " and " + describe(self));
    const Tensor grad =
        loss_gradient(op, grad_output, self, target, reduction, true, [](auto x, auto y, auto norm, auto g) {
            using C = decltype(x);
            return norm * (g * (x - y) / std::max((C(1) - x) * x, C(1e-12F)));
        });
    return weight.defined() ? times(grad, weight).to(self.dtype()) : grad;
}

/// self: log probabilities [N, C, …], or [C] of one sample. Only the target's class has a gradient: -weight · gradient.
Tensor nll(const char* name, const Tensor& grad_output, const Tensor& self, const Tensor& target, const Tensor& weight,
           std::int64_t reduction, std::int64_t ignore_index, const Tensor& total_weight) {
    const std::string op = name;
    check_reduction(name, reduction);
    const std::int64_t dim = self.dim() < 2 ? 0 : 1;
    const std::int64_t classes = self.size(dim);
    Ints expected = self.shape();
    expected.erase(expected.begin() + dim);
    if (target.shape() != expected || !is_integral(target.dtype(), false))
        throw ArgumentError(op + ": expected 'target' of class numbers of shape " + to_string(expected) + ", found " +
                            describe(target));
    if (weight.defined() && (weight.dim() != 1 || weight.numel() != classes))
        throw ArgumentError(op + ": expected 'weight' of " + std::to_string(classes) + " elements, found " +
                            describe(weight));
    const bool per_sample = reduction == 0 && self.dim() > 1;
    if (per_sample ? grad_output.shape() != expected : grad_output.numel() != 1)
        throw ArgumentError(op + ": expected 'grad_output' of " +
                            (per_sample ? "shape " + to_string(expected) : std::string("one element")) + ", found " +
                            describe(grad_output));
    if (total_weight.numel() != 1)
        throw ArgumentError(op + ": expected 'total_weight' of one element, found " + describe(total_weight));
    return visit_float(self.dtype(), name, [&]<class C>(C) {
        const Tensor result = Tensor::zeros(self.shape(), dtype_of<C>());
        const Tensor index = target.to(DType::Int64).contiguous();
        const Tensor w = weight.defined() ? weight.to(dtype_of<C>()).contiguous() : Tensor();
        Tensor grad = grad_output.to(dtype_of<C>()).contiguous();
        if (reduction == 1)  // rounded to the dtype before the weights come in
            grad = elementwise<C>(
                       self.dtype(), [](C g, C total) { return g / total; }, grad, total_weight)
                       .to(dtype_of<C>())
                       .contiguous();
        const std::int64_t inner = self.dim() > 2 ? numel_of(std::span(self.shape()).subspan(2)) : 1;
        for (std::int64_t i = 0; i < index.numel(); ++i) {
            const std::int64_t c = index.data<std::int64_t>()[i];
            if (c == ignore_index) continue;
            if (c < 0 || c >= classes)
                throw ArgumentError(op + ": expected 'target' between 0 and " + std::to_string(classes - 1) +
                                    ", found " + std::to_string(c));
            const C factor = w.defined() ? w.data<C>()[c] : C(1);
            result.data<C>()[(i / inner * classes + c) * inner + i % inner] =
                -factor * grad.data<C>()[per_sample ? i : 0];
        }
        return result.to(self.dtype());
    });
}

Tensor nll_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target, const Tensor& weight,
                         std::int64_t reduction, std::int64_t ignore_index, const Tensor& total_weight) {
    if (self.dim() < 1 || self.dim() > 2)
        throw ArgumentError("nll_loss_backward: expected 'self' of 1 or 2 dimensions, found " + describe(self));
    // One sample may come with as many class numbers as there are classes; the first is the sample's.
    const bool first = self.dim() == 1 && target.dim() == 1 && target.shape() == self.shape() && target.numel() > 0;
    return nll("nll_loss_backward", grad_output, self, first ? target.select(0, 0) : target, weight, reduction,
               ignore_index, total_weight);
}

Tensor nll_loss2d_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target, const Tensor& weight,
                           std::int64_t reduction, std::int64_t ignore_index, const Tensor& total_weight) {
    if (self.dim() != 4)
        throw ArgumentError("nll_loss2d_backward: expected 'self' of 4 dimensions, found " + describe(self));
    return nll("nll_loss2d_backward", grad_output, self, target, weight, reduction, ignore_index, total_weight);
}

}  // namespace

void register_loss_backward(Registry& r) {
    r.add("mse_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor",
          mse_loss_backward);
    r.add(
        "smooth_l1_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float beta) -> Tensor",
        smooth_l1_loss_backward);
    r.add("huber_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float delta) -> Tensor",
          huber_loss_backward);
    r.add("soft_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor",
          soft_margin_loss_backward);
    r.add(
        "binary_cross_entropy_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight=None, int "
        "reduction=1) -> Tensor",
        binary_cross_entropy_backward);
    const std::string parameters =
        "(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index, Tensor "
        "total_weight) -> Tensor";
    r.add("nll_loss_backward" + parameters, nll_loss_backward);
    r.add("nll_loss2d_backward" + parameters, nll_loss2d_backward);
}

}  // namespace torch_ir::kernels
