// SPDX-License-Identifier: MIT
// Losses of an input and a target of the same kind, and those of distances between embeddings.
#include "kernels/loss.hpp"

#include <cmath>
#include <numbers>

#include "half.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/distance.hpp"
#include "kernels/families.hpp"
#include "kernels/move.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/reduce.hpp"
#include "kernels/row_math.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

Tensor reduce_loss(const char* op, const Tensor& losses, std::int64_t reduction) {
    if (reduction == 0) return losses;
    if (reduction != 1 && reduction != 2)
        throw ArgumentError(std::string(op) + ": expected reduction to be 0 (none), 1 (mean) or 2 (sum), found " +
                            std::to_string(reduction));
    return visit_rule<InAny>(losses.dtype(), op, [&]<class C>(C) {
        const Tensor dense = losses.to(dtype_of<C>()).contiguous();
        C total = sum_of(dense.data<C>(), dense.numel(), [](C v) { return v; });
        const Tensor out = Tensor::empty({}, dtype_of<C>());
        if (reduction == 1) {
            if constexpr (std::is_same_v<C, std::int64_t>)
                unsupported_dtype(op, losses.dtype());
            else
                total /= static_cast<C>(static_cast<double>(losses.numel()));
        }
        *out.data<C>() = total;
        return std::is_same_v<C, std::int64_t> ? out : out.to(losses.dtype());  // sums of integers are int64
    });
}

namespace {

/// `f(x, y)` of the promoted floating point dtype, reduced. `steps`: 16-bit floats are rounded at every step.
template <class F>
Tensor pointwise(const char* op, const Tensor& self, const Tensor& target, std::int64_t reduction, bool steps, F f) {
    const DType dtype = to_float(result_type(self, target));
    const auto losses = [&]<class C, class A>(C, A) {
        return elementwise<C>(
            dtype, [f](C x, C y) { return static_cast<C>(f(A(x), A(y))); }, self, target);
    };
    return reduce_loss(op, visit_stepwise(dtype, op, losses, steps), reduction);
}

/// `f(x, y)` in the dtype of self, which PyTorch has of losses that it writes over a copy of self. `steps` as above.
template <class F>
Tensor pointwise_over(const char* op, const Tensor& self, const Tensor& target, bool steps, F f) {
    const DType dtype = result_type(self, target);
    if (!is_floating_point(self.dtype()) || is_complex(dtype))
        throw ArgumentError(std::string(op) + ": expected self of a floating point dtype and a real target, found " +
                            describe(self) + " and " + describe(target));
    const Ints shape = broadcast_shapes(self.shape(), target.shape());
    Tensor result = shape == self.shape() ? Tensor::empty_like(self, self.dtype()) : Tensor::empty(shape, self.dtype());
    const auto compute = [&]<class C, class A>(C, A) {
        elementwise_into<C>(
            result, [f](C x, C y) { return static_cast<C>(f(A(x), A(y))); }, self, target);
    };
    visit_stepwise(dtype, op, compute, steps);
    return result;
}

void require_same_shape(const char* op, const Tensor& self, const Tensor& target) {
    if (self.shape() != target.shape())
        throw ArgumentError(std::string(op) + ": expected target to have the shape of the input, found " +
                            to_string(target.shape()) + " and " + to_string(self.shape()));
}

Tensor mse_loss(const Tensor& self, const Tensor& target, std::int64_t reduction) {
    if (!is_floating_point(result_type(self, target)))
        throw ArgumentError("mse_loss: expected tensors of floating point, found " + describe(self) + " and " +
                            describe(target));
    return pointwise("mse_loss", self, target, reduction, true, [](auto x, auto y) { return (x - y) * (x - y); });
}

Tensor l1_loss(const Tensor& self, const Tensor& target, std::int64_t reduction) {
    if (self.dtype() == DType::Bool || target.dtype() == DType::Bool)
        throw ArgumentError("l1_loss is not defined for bool tensors, found " + describe(self) + " and " +
                            describe(target));
    const DType dtype = result_type(self, target);
    if (is_complex(dtype))
        return reduce_loss("l1_loss",
                           elementwise<std::complex<double>>(
                               to_real(dtype), [](auto x, auto y) { return std::abs(x - y); }, self, target),
                           reduction);
    return reduce_loss("l1_loss",
                       binary<InReal>([](auto x, auto y) { return x < y ? y - x : x - y; })("l1_loss", self, target),
                       reduction);
}

Tensor smooth_l1_loss(const Tensor& self, const Tensor& target, std::int64_t reduction, double beta) {
    if (!(beta >= 0))
        throw ArgumentError("smooth_l1_loss: expected beta to be at least 0, found " + std::to_string(beta));
    if (beta == 0) return l1_loss(self, target, reduction);
    const bool steps = result_type(self, target) == DType::Float16;
    return pointwise("smooth_l1_loss", self, target, reduction, steps, [beta](auto x, auto y) {
        using C = decltype(x);
        using std::fabs;
        const C z = fabs(x - y), b = static_cast<C>(beta);
        return z < b ? C(.5) * z * z / b : z - C(.5) * b;
    });
}

Tensor huber_loss(const Tensor& self, const Tensor& target, std::int64_t reduction, double delta) {
    if (!(delta > 0))
        throw ArgumentError("huber_loss: expected delta to be greater than 0, found " + std::to_string(delta));
    const auto f = [delta](auto x, auto y) {
        using C = decltype(x);
        using std::fabs;
        const C z = fabs(x - y), d = static_cast<C>(delta);
        return z <= d ? C(.5) * z * z : d * (z - C(.5) * d);
    };
    const bool steps = result_type(self, target) == DType::BFloat16;
    return reduce_loss("huber_loss", pointwise_over("huber_loss", self, target, steps, f), reduction);
}

void check_weight(const char* op, const Tensor& self, const Tensor& weight) {
    if (weight.defined() && broadcast_shapes(self.shape(), weight.shape()) != self.shape())
        throw ArgumentError(std::string(op) + ": weight " + describe(weight) + " does not broadcast to the shape of " +
                            describe(self));
}

/// Logarithms are cut off at -100; every step is rounded to the dtype.
Tensor binary_cross_entropy(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction) {
    const char* const op = "binary_cross_entropy";
    require_same_shape(op, self, target);
    check_weight(op, self, weight);
    const DType dtype = self.dtype();
    if (target.dtype() != dtype)
        throw ArgumentError(std::string(op) + ": expected target to have the dtype of the input, found " +
                            describe(target) + " and " + describe(self));
    const Tensor losses = visit_float(dtype, op, [&]<class C>(C) {
        return elementwise<C>(
            dtype,
            [dtype](C x, C y) {
                for (const auto& [argument, v] : {std::pair{"input", x}, std::pair{"target", y}})
                    if (!(v >= 0 && v <= 1))
                        throw ArgumentError(std::string("binary_cross_entropy: expected ") + argument +
                                            " between 0 and 1, found " + std::to_string(v));
                const auto rounded = [dtype](C v) { return static_cast<C>(round_to(dtype, v)); };
                const C log_x = rounded(std::fmax(std::log(x), C(-100)));
                const C log_rest = rounded(std::fmax(std::log1p(-x), C(-100)));
                return rounded(rounded(y - C(1)) * log_rest) - rounded(y * log_x);
            },
            self, target);
    });
    return reduce_loss(op, weight.defined() ? call("aten.mul_.Tensor", {losses, weight}) : losses, reduction);
}

/// (1 - target) self - (1 + (pos_weight - 1) target) log_sigmoid(self), as PyTorch writes one step over another.
Tensor binary_cross_entropy_with_logits(const Tensor& self, const Tensor& target, const Tensor& weight,
                                        const Tensor& pos_weight, std::int64_t reduction) {
    const Tensor log_sigmoid = call("aten.log_sigmoid.default", {self});
    if (pos_weight.defined())
        call("aten.mul_.Tensor",
             {log_sigmoid, call("aten.add_.Scalar", {times(minus(pos_weight, number(1)), target), 1})});
    const Tensor losses = minus(number(1), target);
    call("aten.mul_.Tensor", {losses, self});
    call("aten.sub_.Tensor", {losses, log_sigmoid});
    if (weight.defined()) call("aten.mul_.Tensor", {losses, weight});
    return reduce_loss("binary_cross_entropy_with_logits", losses, reduction);
}

Tensor kl_div(const Tensor& self, const Tensor& target, std::int64_t reduction, bool log_target) {
    if (!is_floating_point(self.dtype()) || !is_floating_point(target.dtype()))
        throw ArgumentError("kl_div: expected floating point tensors, found " + describe(self) + " and " +
                            describe(target));
    const Tensor losses = log_target ? times(call("aten.exp.default", {target}), minus(target, self))
                                     : minus(call("aten.xlogy.Tensor", {target, target}), times(target, self));
    return reduce_loss("kl_div", losses, reduction);
}

/// e^input - target · input, or input - target · log(input + eps), and with `full` Stirling's approximation of
/// log(target!) where target > 1, as PyTorch writes one step over another.
Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, bool log_input, bool full, double eps,
                        std::int64_t reduction) {
    if (!log_input) refuse_bool("poisson_nll_loss", input.dtype());
    const auto log = [](const Tensor& x) { return call("aten.log.default", {x}); };
    const Tensor losses = log_input ? minus(call("aten.exp.default", {input}), times(target, input))
                                    : minus(input, times(target, log(plus(input, number(eps)))));
    if (full) {
        const Tensor stirling = plus(minus(times(target, log(target)), target),
                                     times(number(.5), log(times(number(2 * std::numbers::pi), target))));
        const Tensor small = call("aten.le.Scalar", {target, number(1)});
        call("aten.add_.Tensor", {losses, call("aten.masked_fill.Scalar", {stirling, small, number(0)})});
    }
    return reduce_loss("poisson_nll_loss", losses, reduction);
}

/// log(1 + e^(-target · self)), as PyTorch writes one step over another.
Tensor soft_margin_loss(const Tensor& self, const Tensor& target, std::int64_t reduction) {
    Tensor losses = call("aten.mul_.Tensor", {call("aten.neg.default", {self}), target});
    for (const char* op : {"aten.exp_.default", "aten.log1p_.default"}) losses = call(op, {losses});
    return reduce_loss("soft_margin_loss", losses, reduction);
}

/// The input where the target is 1, max(0, margin - input) where it is -1.
Tensor hinge_embedding_loss(const Tensor& self, const Tensor& target, double margin, std::int64_t reduction) {
    const char* op = "hinge_embedding_loss";
    const Tensor rest = minus(Tensor::full({}, margin, self.dtype()), self);  // integers stay integers
    const Tensor apart = not_equal(target, Tensor::wrapped_number(1));
    const Tensor alike = not_equal(target, Tensor::wrapped_number(-1));
    return reduce_loss(op,
                       visit_rule<InReal>(self.dtype(), op,
                                          [&]<class C>(C) {
                                              return elementwise<C>(
                                                  self.dtype(),
                                                  [](C x, C r, C a, C b) {
                                                      return (a == C(0) || r < C(0) ? C(0) : r) +
                                                             (b == C(0) ? C(0) : x);
                                                  },
                                                  self, rest, apart, alike);
                                          }),
                       reduction);
}

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target, double margin,
                           std::int64_t reduction) {
    const Tensor number = Tensor::wrapped_number(margin);
    const Tensor* const operands[] = {&input1, &input2, &target, &number};
    const DType dtype = result_type(operands);
    const char* const op = "margin_ranking_loss";
    for (const Tensor* x : {&input1, &input2, &target})
        if (x->dtype() == DType::Bool) throw ArgumentError(std::string(op) + " is not defined for bool tensors");
    // The difference is taken in the inputs' dtype, -target in its own: integers wrap.
    const Tensor difference = binary<InAny>([](auto a, auto b) { return a - b; })(op, input1, input2);
    const Tensor negative = unary<InAny>([](auto y) { return -y; })(op, target);
    const Tensor product = binary<InAny>([](auto y, auto d) { return y * d; })(op, negative, difference);
    const auto losses = [&]<class C>(C) {
        return elementwise<C>(
            dtype,
            [m = static_cast<C>(round_to(dtype, margin))](C d) {
                const C z = d + m;
                return z < C(0) ? C(0) : z;
            },
            product);
    };
    return reduce_loss(op, visit_rule<InFloat>(dtype, op, losses), reduction);
}

/// 1 - cos where the target is 1, max(0, cos - margin) where it is -1.
Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target, double margin,
                             std::int64_t reduction) {
    if (target.dim() > 1 || input1.dim() != target.dim() + 1 || input2.dim() != input1.dim())
        throw ArgumentError("cosine_embedding_loss: expected inputs of one dimension more than target, found " +
                            describe(input1) + ", " + describe(input2) + " and target " + describe(target));
    const auto inner = [](const Tensor& a, const Tensor& b) { return sum(times(a, b), Ints{-1}, false, {}); };
    const auto squares = [&](const Tensor& a) { return plus(inner(a, a), number(1e-12)); };
    const Tensor cosine =
        divided(inner(input1, input2), call("aten.sqrt.default", {times(squares(input1), squares(input2))}));
    const auto chosen = [&](int label, const Tensor& loss) {
        return where(call("aten.eq.Scalar", {target, number(label)}), loss, Tensor::zeros({}, cosine.dtype()));
    };
    const Tensor apart = call("aten.clamp_min.default", {minus(cosine, number(margin)), number(0)});
    const Tensor losses = plus(chosen(1, minus(number(1), cosine)), chosen(-1, apart));
    return reduce_loss("cosine_embedding_loss", losses, reduction);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
                           double p, double eps, bool swap, std::int64_t reduction) {
    if (anchor.dim() != positive.dim() || anchor.dim() != negative.dim())
        throw ArgumentError(
            "triplet_margin_loss: expected anchor, positive and negative to have as many dimensions, found " +
            describe(anchor) + ", " + describe(positive) + " and " + describe(negative));
    const Tensor near = pairwise_distance(anchor, positive, p, eps, false);
    Tensor far = pairwise_distance(anchor, negative, p, eps, false);
    if (swap)
        far = binary<InFloat>([](auto x, auto y) { return x < y || x != x ? x : y; })(
            "triplet_margin_loss", far, pairwise_distance(positive, negative, p, eps, false));
    return pointwise("triplet_margin_loss", near, far, reduction, true, [margin](auto x, auto y) {
        using C = decltype(x);
        const C z = static_cast<C>(margin) + x - y;
        return z < C(0) ? C(0) : z;
    });
}

}  // namespace

void register_loss(Registry& r) {
    r.add("mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", mse_loss);
    r.add("l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", l1_loss);
    r.add("smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.) -> Tensor", smooth_l1_loss);
    r.add("huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.) -> Tensor", huber_loss);
    r.add("binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor",
          binary_cross_entropy);
    r.add(
        "binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, "
        "int reduction=1) -> Tensor",
        binary_cross_entropy_with_logits);
    r.add("kl_div(Tensor self, Tensor target, int reduction=1, *, bool log_target=False) -> Tensor", kl_div);
    r.add(
        "poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) -> Tensor",
        poisson_nll_loss);
    r.add("soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", soft_margin_loss);
    r.add("hinge_embedding_loss(Tensor self, Tensor target, float margin=1., int reduction=1) -> Tensor",
          hinge_embedding_loss);
    r.add(
        "margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> Tensor",
        margin_ranking_loss);
    r.add(
        "cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> "
        "Tensor",
        cosine_embedding_loss);
    r.add(
        "triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1., float p=2., "
        "float eps=9.9999999999999995e-07, bool swap=False, int reduction=1) -> Tensor",
        triplet_margin_loss);
}

}  // namespace torch_ir::kernels
