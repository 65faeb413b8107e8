// SPDX-License-Identifier: MIT
// Negative log likelihood and cross entropy over classes.
#include <array>
#include <cmath>
#include <optional>

#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/loss.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/reduce.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

using Losses = std::tuple<Tensor, Tensor>;

/// Is dimension 1 that of the classes? In a vector it is the only one.
std::int64_t class_dim(const Tensor& self) { return self.dim() < 2 ? 0 : 1; }

/// PyTorch's sum in several levels, each of which adds up 16 sums of the one below.
template <class A>
class CascadeSum {
  public:
    /// Adds the i-th number, with i in ascending order.
    void add(std::int64_t i, A value) {
        sums_[0] = sums_[0] + value;
        for (std::size_t j = 0; j + 1 < levels; ++j) {
            if ((i >> 4 * j & 15) != 0) break;
            sums_[j + 1] = sums_[j + 1] + sums_[j];
            sums_[j] = A(0);
        }
    }

    A total() const {
        A sum(0);
        for (const A s : sums_) sum = sum + s;
        return sum;
    }

  private:
    static constexpr std::size_t levels = 8;

    std::array<A, levels> sums_{};
};

/// [N, C, …] log probabilities and [N, …] class numbers: -weight[c] · log p(c), and the sum of the weights used.
Losses nll(const char* op, const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
           std::int64_t ignore_index) {
    check_reduction(op, reduction);
    if (self.dim() == 0) throw ArgumentError(std::string(op) + ": expected self to have at least one dimension");
    const std::int64_t dim = class_dim(self), classes = self.size(dim);
    Ints expected = self.shape();
    expected.erase(expected.begin() + dim);
    if (target.shape() != expected)
        throw ArgumentError(std::string(op) + ": expected target of shape " + to_string(expected) + ", found " +
                            to_string(target.shape()));
    if (target.dtype() != DType::Int64 && target.dtype() != DType::UInt8)
        throw ArgumentError(std::string(op) + ": expected target of int64 or uint8, found " + describe(target));
    if (weight.defined() && (weight.dim() != 1 || weight.numel() != classes))
        throw ArgumentError(std::string(op) + ": expected weight to have " + std::to_string(classes) +
                            " elements, found " + describe(weight));
    if (weight.defined() && weight.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected weight of the dtype of self, found " + describe(weight) +
                            " and " + describe(self));
    return visit_stepwise(self.dtype(), op, [&]<class C, class A>(C, A) -> Losses {
        const Tensor wide = self.to(dtype_of<C>());
        const Tensor index = target.to(DType::Int64).contiguous();
        const Tensor w = weight.defined() ? weight.to(dtype_of<C>()).contiguous() : Tensor();
        const Tensor losses = Tensor::empty(target.shape(), dtype_of<C>());
        CascadeSum<A> sum, weights;
        std::int64_t used = 0;
        const std::int64_t inner = self.dim() > 2 ? numel_of(std::span(self.shape()).subspan(2)) : 1;
        const Tensor x = wide.contiguous();
        for (std::int64_t i = 0; i < index.numel(); ++i) {
            const std::int64_t c = index.data<std::int64_t>()[i];
            losses.data<C>()[i] = 0;
            if (c == ignore_index) continue;
            if (c < 0 || c >= classes)
                throw ArgumentError(std::string(op) + ": expected target between 0 and " + std::to_string(classes - 1) +
                                    ", found " + std::to_string(c));
            const A factor(w.defined() ? w.data<C>()[c] : C(1));
            const A loss = -A(x.data<C>()[(i / inner * classes + c) * inner + i % inner]) * factor;
            losses.data<C>()[i] = static_cast<C>(loss);
            sum.add(i, loss);
            weights.add(i, factor);
            ++used;
        }
        const A weight_sum = reduction == 0 && self.dim() > 1 ? A(0) : w.defined() ? weights.total() : A(used);
        const Tensor total_weight = Tensor::scalar(static_cast<double>(weight_sum), self.dtype());
        if (reduction == 0) return {losses.to(self.dtype()), total_weight};
        const A total = reduction == 1 ? sum.total() / weight_sum : sum.total();
        return {Tensor::scalar(static_cast<double>(total), self.dtype()), total_weight};
    });
}

Losses nll_loss_forward(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                        std::int64_t ignore_index) {
    if (self.dim() > 2)
        throw ArgumentError("nll_loss_forward: expected self to have 1 or 2 dimensions, found " + describe(self));
    // One sample's target may have no dimension or one element.
    const bool single = self.dim() == 1 && target.dim() == 1 && target.numel() == 1;
    return nll("nll_loss_forward", self, single ? target.reshape({}) : target, weight, reduction, ignore_index);
}
Losses nll_loss2d_forward(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                          std::int64_t ignore_index) {
    if (self.dim() != 4)
        throw ArgumentError("nll_loss2d_forward: expected self to have 4 dimensions, found " + describe(self));
    return nll("nll_loss2d_forward", self, target, weight, reduction, ignore_index);
}
Tensor nll_loss(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                std::int64_t ignore_index) {
    return std::get<0>(nll_loss_forward(self, target, weight, reduction, ignore_index));
}
Tensor nll_loss2d(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                  std::int64_t ignore_index) {
    return std::get<0>(nll_loss2d_forward(self, target, weight, reduction, ignore_index));
}
Tensor nll_loss_nd(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                   std::int64_t ignore_index) {
    return std::get<0>(nll("nll_loss_nd", self, target, weight, reduction, ignore_index));
}

Tensor log_probabilities(const Tensor& self) {
    return call("aten._log_softmax.default", {self, class_dim(self), false});
}

/// `logs` times the weights of their classes, where there are weights.
Tensor weighted(const Tensor& logs, const Tensor& weight) {
    if (!weight.defined()) return logs;
    Ints shape(logs.shape().size(), 1);
    shape[static_cast<std::size_t>(class_dim(logs))] = weight.numel();
    return times(logs, weight.reshape(shape));
}

Tensor sum_of_classes(const Tensor& x) { return sum(x, Ints{class_dim(x)}, false, {}); }
Tensor total(const Tensor& x) { return call("aten.sum.default", {x}); }
Tensor negative(const Tensor& x) { return call("aten.neg.default", {x}); }

// As PyTorch writes one step over another.

/// Targets that are probabilities: -Σ over classes of weight · target · log p; the mean is over samples.
Tensor soft_cross_entropy(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                          double smoothing) {
    const auto classes = static_cast<double>(self.size(class_dim(self)));
    const Tensor smooth = smoothing > 0 ? plus(times(target, 1 - smoothing), number(smoothing / classes)) : target;
    const Tensor products = weighted(times(log_probabilities(self), smooth), weight);
    if (reduction == 0) return negative(sum_of_classes(products));
    const Tensor loss = negative(total(products));
    return reduction == 1 ? divided(loss, number(static_cast<double>(self.numel()) / classes)) : loss;
}

/// Class numbers; with label smoothing, every class shares a part of the target.
Tensor hard_cross_entropy(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                          std::int64_t ignore_index, double smoothing) {
    const Tensor log_p = log_probabilities(self);
    const Tensor loss = std::get<0>(nll("cross_entropy_loss", log_p, target, weight, reduction, ignore_index));
    if (smoothing <= 0) return loss;
    const Tensor ignored = call("aten.eq.Scalar", {target, number(ignore_index)});
    Tensor smooth =
        call("aten.masked_fill.Scalar", {negative(sum_of_classes(weighted(log_p, weight))), ignored, number(0)});
    if (reduction != 0) smooth = total(smooth);
    if (reduction == 1) {
        Tensor counted = call("aten.logical_not.default", {ignored});
        if (weight.defined())
            counted = call("aten.index_select.default",
                           {weight, 0, call("aten.masked_select.default", {target.to(DType::Int64), counted})});
        smooth = divided(smooth, total(counted));
    }
    return plus(times(loss, 1 - smoothing), times(smooth, smoothing / static_cast<double>(self.size(class_dim(self)))));
}

Tensor cross_entropy_loss(const Tensor& self, const Tensor& target, const Tensor& weight, std::int64_t reduction,
                          std::int64_t ignore_index, double label_smoothing) {
    check_reduction("cross_entropy_loss", reduction);
    if (!(label_smoothing >= 0 && label_smoothing <= 1))
        throw ArgumentError("cross_entropy_loss: expected label_smoothing between 0 and 1, found " +
                            std::to_string(label_smoothing));
    if (self.dim() == 0) throw ArgumentError("cross_entropy_loss: expected self to have at least one dimension");
    const std::int64_t classes = self.size(class_dim(self));
    if (weight.defined() && (weight.dim() != 1 || weight.numel() != classes))
        throw ArgumentError("cross_entropy_loss: expected weight to have " + std::to_string(classes) +
                            " elements, found " + describe(weight));
    const bool soft = self.shape() == target.shape();
    if (soft && !is_floating_point(target.dtype()))
        throw ArgumentError("cross_entropy_loss: expected target probabilities to be of floating point, found " +
                            describe(target));
    if (soft && ignore_index >= 0)
        throw ArgumentError("cross_entropy_loss: ignore_index is not for target probabilities, found " +
                            std::to_string(ignore_index));
    if (!is_floating_point(self.dtype())) unsupported_dtype("cross_entropy_loss", self.dtype());
    return soft ? soft_cross_entropy(self, target, weight, reduction, label_smoothing)
                : hard_cross_entropy(self, target, weight, reduction, ignore_index, label_smoothing);
}

}  // namespace

void register_nll_loss(Registry& r) {
    const std::string parameters =
        "(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) -> Tensor";
    r.add("nll_loss" + parameters, nll_loss);
    r.add("nll_loss_nd" + parameters, nll_loss_nd);
    r.add("nll_loss2d" + parameters, nll_loss2d);
    const std::string forward =
        "(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor output, Tensor "
        "total_weight)";
    r.add("nll_loss_forward" + forward, nll_loss_forward);
    r.add("nll_loss2d_forward" + forward, nll_loss2d_forward);
    r.add(
        "cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt "
        "ignore_index=-100, float label_smoothing=0.) -> Tensor",
        cross_entropy_loss);
}

}  // namespace torch_ir::kernels
