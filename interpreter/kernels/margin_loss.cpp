// SPDX-License-Identifier: MIT
// Losses with a margin between a sample's classes, and connectionist temporal classification.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/loss.hpp"
#include "kernels/pointwise.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

/// [N, C] (or [C]) scores of float32 or float64, and the shape of one loss a sample.
template <class C>
struct Samples {
    Tensor scores;
    std::int64_t count = 1;
    std::int64_t classes = 1;
    Ints shape;

    Samples(const char* op, const Tensor& self) : scores(self.contiguous()) {
        refuse_halves(op, self.dtype());
        if (self.dim() > 2 || (self.dim() > 0 && self.size(-1) == 0))
            throw ArgumentError(std::string(op) + ": expected self of shape [C] or [N, C], found " + describe(self));
        if (self.dim() > 0) classes = self.size(-1);
        if (self.dim() == 2) {
            count = self.size(0);
            shape = {count};
        }
    }
    const C* operator[](std::int64_t i) const { return scores.template data<C>() + i * classes; }
};

/// The class of each sample, and the weights of classes.
template <class C>
class MarginTargets {
  public:
    MarginTargets(const char* op, const Samples<C>& x, const Tensor& target, const Tensor& weight)
        : index_(target.to(DType::Int64).contiguous()) {
        if (target.numel() != x.count || target.dim() > 1 || target.dtype() != DType::Int64)
            throw ArgumentError(std::string(op) + ": expected target of " + std::to_string(x.count) +
                                " class numbers of int64, found " + describe(target));
        if (weight.defined() && (weight.numel() != x.classes || weight.dtype() != x.scores.dtype()))
            throw ArgumentError(std::string(op) + ": expected weight to have " + std::to_string(x.classes) +
                                " elements of the dtype of self, found " + describe(weight));
        for (std::int64_t i = 0; i < x.count; ++i)
            if ((*this)[i] < 0 || (*this)[i] >= x.classes)
                throw ArgumentError(std::string(op) + ": expected target between 0 and " +
                                    std::to_string(x.classes - 1) + ", found " + std::to_string((*this)[i]));
        if (weight.defined()) weight_ = weight.contiguous();
    }
    std::int64_t operator[](std::int64_t i) const { return index_.data<std::int64_t>()[i]; }
    C weight(std::int64_t c) const { return weight_.defined() ? weight_.template data<C>()[c] : C(1); }

  private:
    Tensor index_;
    Tensor weight_;
};

double check_margin_arguments(const char* op, const Scalar& p) {
    const double power = p.to<double>();
    if (power != 1 && power != 2)
        throw ArgumentError(std::string(op) + ": expected p to be 1 or 2, found " + std::to_string(power));
    return power;
}

/// Σ over the other classes of max(0, margin - x[y] + x[c])^p, divided by the number of classes.
Tensor multi_margin_loss(const Tensor& self, const Tensor& target, const Scalar& p, const Scalar& margin,
                         const Tensor& weight, std::int64_t reduction) {
    const char* const op = "multi_margin_loss";
    const double power = check_margin_arguments(op, p);
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Samples<C> x(op, self);
        const MarginTargets<C> targets(op, x, target, weight);
        const Tensor losses = Tensor::empty(target.dim() == 0 ? Ints{} : Ints{x.count}, dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            const std::int64_t y = targets[i];
            C total = 0;
            for (std::int64_t c = 0; c < x.classes; ++c) {
                const C z = margin.to<C>() - x[i][y] + x[i][c];
                if (c == y || !(z > C(0))) continue;
                total += (power == 1 ? z : z * z) * targets.weight(y);
            }
            losses.data<C>()[i] = total / static_cast<C>(x.classes);
        }
        return reduce_loss(op, losses, reduction).to(self.dtype());
    });
}

/// How much of each sample's loss counts: the gradient itself, over the number of samples when they were averaged.
template <class C>
Tensor sample_gradients(const char* op, const Tensor& grad_output, const Samples<C>& x, const Ints& loss_shape,
                        std::int64_t reduction) {
    check_reduction(op, reduction);
    const bool per_sample = reduction == 0;
    if (per_sample ? grad_output.shape() != loss_shape : grad_output.numel() != 1)
        throw ArgumentError(std::string(op) + ": expected 'grad_output' of " +
                            (per_sample ? "shape " + to_string(loss_shape) : std::string("one element")) + ", found " +
                            describe(grad_output));
    const C norm = C(1) / static_cast<C>(x.classes * (reduction == 1 ? x.count : 1));
    const Tensor g = elementwise<C>(
        dtype_of<C>(), [norm](C v) { return v * norm; }, grad_output);
    return g.reshape({-1}).expand(Ints{x.count}).contiguous();
}

Tensor multi_margin_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target, const Scalar& p,
                                  const Scalar& margin, const Tensor& weight, std::int64_t reduction) {
    const char* const op = "multi_margin_loss_backward";
    const double power = check_margin_arguments(op, p);
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Samples<C> x(op, self);
        const MarginTargets<C> y(op, x, target, weight);
        const Tensor grad = sample_gradients(op, grad_output, x, target.dim() == 0 ? Ints{} : Ints{x.count}, reduction);
        const Tensor result = Tensor::zeros(self.shape(), dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            const std::int64_t label = y[i];
            C* const dx = result.data<C>() + i * x.classes;
            for (std::int64_t c = 0; c < x.classes; ++c) {
                const C z = margin.to<C>() - x[i][label] + x[i][c];
                if (c == label || !(z > C(0))) continue;
                const C slope = (power == 1 ? C(1) : C(2) * z) * y.weight(label) * grad.data<C>()[i];
                dx[c] += slope;
                dx[label] -= slope;
            }
        }
        return result.to(self.dtype());
    });
}

/// Σ over the target's classes (up to the first -1) and the classes not in it of max(0, 1 - x[y] + x[c]).
std::tuple<Tensor, Tensor> multilabel_margin_loss_forward(const Tensor& self, const Tensor& target,
                                                          std::int64_t reduction) {
    const char* const op = "multilabel_margin_loss";
    if (target.shape() != self.shape())
        throw ArgumentError("multilabel_margin_loss: expected target to have the shape of self, found " +
                            describe(target) + " and " + describe(self));
    if (target.dtype() != DType::Int64)
        throw ArgumentError("multilabel_margin_loss: expected target of int64, found " + describe(target));
    return visit_float(self.dtype(), op, [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        const Samples<C> x(op, self);
        const Tensor labels = target.contiguous();
        for (const std::int64_t label :
             std::span(labels.data<std::int64_t>(), static_cast<std::size_t>(labels.numel())))
            if (label < -1 || label >= x.classes)
                throw ArgumentError("multilabel_margin_loss: expected target from -1 to " +
                                    std::to_string(x.classes - 1) + ", found " + std::to_string(label));
        const Tensor is_target = Tensor::zeros(target.shape(), dtype_of<C>());
        const Tensor losses = Tensor::empty(x.shape, dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            const std::int64_t* const y = labels.data<std::int64_t>() + i * x.classes;
            C* const used = is_target.data<C>() + i * x.classes;
            const std::int64_t* const end = std::find_if(y, y + x.classes, [](std::int64_t c) { return c < 0; });
            for (const std::int64_t* label = y; label != end; ++label) used[*label] = 1;
            C total = 0;
            for (const std::int64_t* label = y; label != end; ++label)
                for (std::int64_t c = 0; c < x.classes; ++c)
                    if (used[c] == C(0)) total += std::max(C(0), C(1) - x[i][*label] + x[i][c]);
            losses.data<C>()[i] = total / static_cast<C>(x.classes);
        }
        return {reduce_loss(op, losses, reduction).to(self.dtype()), is_target.to(self.dtype())};
    });
}
Tensor multilabel_margin_loss(const Tensor& self, const Tensor& target, std::int64_t reduction) {
    return std::get<0>(multilabel_margin_loss_forward(self, target, reduction));
}

Tensor multilabel_margin_loss_backward(const Tensor& grad_output, const Tensor& self, const Tensor& target,
                                       std::int64_t reduction, const Tensor& is_target) {
    const char* const op = "multilabel_margin_loss_backward";
    if (target.shape() != self.shape() || is_target.shape() != self.shape())
        throw ArgumentError(std::string(op) + ": expected 'target' and 'is_target' of the shape of 'self', found " +
                            describe(target) + ", " + describe(is_target) + " and " + describe(self));
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Samples<C> x(op, self);
        const Tensor grad = sample_gradients(op, grad_output, x, x.shape, reduction);
        const Tensor labels = target.to(DType::Int64).contiguous();
        const Tensor member = is_target.to(dtype_of<C>()).contiguous();
        const Tensor result = Tensor::zeros(self.shape(), dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            C* const dx = result.data<C>() + i * x.classes;
            for (std::int64_t k = 0; k < x.classes; ++k) {
                const std::int64_t label = labels.data<std::int64_t>()[i * x.classes + k];
                if (label < 0) break;
                if (label >= x.classes)
                    throw ArgumentError(std::string(op) + ": expected target below " + std::to_string(x.classes) +
                                        ", found " + std::to_string(label));
                for (std::int64_t c = 0; c < x.classes; ++c) {
                    if (member.data<C>()[i * x.classes + c] != C(0) || !(C(1) - x[i][label] + x[i][c] > C(0))) continue;
                    dx[label] -= grad.data<C>()[i];
                    dx[c] += grad.data<C>()[i];
                }
            }
        }
        return result.to(self.dtype());
    });
}

/// log(e^a + e^b + e^c).
template <class C>
C log_sum(C a, C b, C c) {
    const C largest = std::max({a, b, c});
    if (largest == -std::numeric_limits<C>::infinity()) return largest;
    return largest + std::log(std::exp(a - largest) + std::exp(b - largest) + std::exp(c - largest));
}

/// The alignments of one batch: [T, N, C] log probabilities, targets padded ([N, S]) or one after another.
class Alignments {
  public:
    Alignments(const Tensor& log_probs, const Tensor& targets, Ints input_lengths, Ints target_lengths,
               std::int64_t blank)
        : targets_(targets.to(DType::Int64)), inputs_(std::move(input_lengths)), lengths_(std::move(target_lengths)) {
        if (log_probs.dim() != 3) fail("log_probs of 3 dimensions", describe(log_probs));
        const std::int64_t time = log_probs.size(0), batch = log_probs.size(1), labels = log_probs.size(2);
        if (blank < 0 || blank >= labels)
            fail("blank between 0 and " + std::to_string(labels - 1), std::to_string(blank));
        if (static_cast<std::int64_t>(inputs_.size()) != batch)
            fail("as many input_lengths as samples", std::to_string(inputs_.size()));
        if (static_cast<std::int64_t>(lengths_.size()) != batch)
            fail("as many target_lengths as samples", std::to_string(lengths_.size()));
        if (targets.dtype() != DType::Int32 && targets.dtype() != DType::Int64)
            fail("targets of int32 or int64", describe(targets));
        if (targets.dim() != 1 && targets.dim() != 2) fail("targets of 1 or 2 dimensions", describe(targets));
        if (targets.dim() == 2 && targets.size(0) != batch)
            fail("as many rows of targets as samples", describe(targets));
        std::int64_t start = 0;
        for (std::size_t i = 0; i < inputs_.size(); ++i) {
            if (inputs_[i] < 0 || inputs_[i] > time)
                fail("input_lengths of at most " + std::to_string(time), std::to_string(inputs_[i]));
            if (lengths_[i] < 0) fail("target_lengths of at least 0", std::to_string(lengths_[i]));
            longest_ = std::max(longest_, lengths_[i]);
            starts_.push_back(start);
            if (targets.dim() == 1) start += lengths_[i];
        }
        if (targets.dim() == 1 ? start > targets.numel() : longest_ > targets.size(1))
            fail("targets as long as target_lengths say", describe(targets));
        for (std::size_t i = 0; i < inputs_.size(); ++i)
            for (std::int64_t k = 0; k < lengths_[i]; ++k)
                if (label(i, k) < 0 || label(i, k) >= labels)
                    fail("targets between 0 and " + std::to_string(labels - 1), std::to_string(label(i, k)));
    }

    std::int64_t longest() const { return longest_; }
    std::int64_t input_length(std::size_t i) const { return inputs_[i]; }
    std::int64_t target_length(std::size_t i) const { return lengths_[i]; }
    std::int64_t label(std::size_t i, std::int64_t k) const {
        const std::int64_t* const data = targets_.data<std::int64_t>();
        if (targets_.dim() == 1) return data[(starts_[i] + k) * targets_.stride(0)];
        return data[static_cast<std::int64_t>(i) * targets_.stride(0) + k * targets_.stride(1)];
    }

  private:
    [[noreturn]] static void fail(const std::string& expected, const std::string& found) {
        throw ArgumentError("ctc_loss: expected " + expected + ", found " + found);
    }

    Tensor targets_;
    Ints inputs_;
    Ints lengths_;
    Ints starts_;
    std::int64_t longest_ = 0;
};

/// Losses [N] and log alpha [N, T, 2 S + 1], after A. Graves et al., Connectionist temporal classification, 2006.
std::tuple<Tensor, Tensor> ctc_forward(const Tensor& log_probs, const Tensor& targets, const Ints& input_lengths,
                                       const Ints& target_lengths, std::int64_t blank, bool zero_infinity) {
    const Alignments alignments(log_probs, targets, input_lengths, target_lengths, blank);
    return visit_float(log_probs.dtype(), "ctc_loss", [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        constexpr C none = -std::numeric_limits<C>::infinity();
        const Tensor p = log_probs.to(dtype_of<C>()).contiguous();
        const std::int64_t time = p.size(0), batch = p.size(1), labels = p.size(2),
                           width = 2 * alignments.longest() + 1;
        const Tensor losses = Tensor::empty({batch}, dtype_of<C>());
        const Tensor alpha = Tensor::full({batch, time, width}, Scalar(static_cast<double>(none)), dtype_of<C>());
        for (std::int64_t b = 0; b < batch; ++b) {
            const auto sample = static_cast<std::size_t>(b);
            const std::int64_t steps = alignments.input_length(sample), length = alignments.target_length(sample);
            const auto state = [&](std::int64_t s) { return s % 2 == 0 ? blank : alignments.label(sample, s / 2); };
            const auto at = [&](std::int64_t t, std::int64_t s) {
                return p.data<C>()[(t * batch + b) * labels + state(s)];
            };
            C* const a = alpha.data<C>() + b * time * width;
            C loss = length == 0 ? C(0) : std::numeric_limits<C>::infinity();
            if (steps > 0) {
                a[0] = at(0, 0);
                if (length > 0) a[1] = at(0, 1);
                for (std::int64_t t = 1; t < steps; ++t)
                    for (std::int64_t s = 0; s < 2 * length + 1; ++s) {
                        const C* const before = a + (t - 1) * width;
                        const C skip = s > 1 && state(s) != state(s - 2) && s % 2 == 1 ? before[s - 2] : none;
                        a[t * width + s] = log_sum(before[s], s > 0 ? before[s - 1] : none, skip) + at(t, s);
                    }
                const C* const last = a + (steps - 1) * width;
                loss = -log_sum(last[2 * length], length > 0 ? last[2 * length - 1] : none, none);
            }
            losses.data<C>()[b] = zero_infinity && std::isinf(loss) ? C(0) : loss;
        }
        return {losses.to(log_probs.dtype()), alpha.to(log_probs.dtype())};
    });
}

/// The backward variables beta follow alpha's recurrence from the end; the gradient of a label at a time is
/// e^log_probs - Σ over its states of e^(log alpha + log beta + loss - log_probs).
Tensor ctc_backward(const Tensor& grad, const Tensor& log_probs, const Tensor& targets, const Ints& input_lengths,
                    const Ints& target_lengths, const Tensor& neg_log_likelihood, const Tensor& log_alpha,
                    std::int64_t blank, bool zero_infinity) {
    const char* const op = "_ctc_loss_backward";
    const Alignments alignments(log_probs, targets, input_lengths, target_lengths, blank);
    const std::int64_t time = log_probs.size(0), batch = log_probs.size(1), labels = log_probs.size(2),
                       width = 2 * alignments.longest() + 1;
    if (grad.numel() != batch || neg_log_likelihood.numel() != batch)
        throw ArgumentError(std::string(op) + ": expected 'grad' and 'neg_log_likelihood' of " + std::to_string(batch) +
                            " elements, found " + describe(grad) + " and " + describe(neg_log_likelihood));
    if (log_alpha.shape() != Ints{batch, time, width})
        throw ArgumentError(std::string(op) + ": expected 'log_alpha' of shape " + to_string(Ints{batch, time, width}) +
                            ", found " + describe(log_alpha));
    return visit_float(log_probs.dtype(), op, [&]<class C>(C) {
        constexpr C none = -std::numeric_limits<C>::infinity();
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor p = plain(log_probs), alphas = plain(log_alpha), losses = plain(neg_log_likelihood),
                     g = plain(grad);
        const Tensor result = Tensor::zeros(log_probs.shape(), dtype_of<C>());
        std::vector<C> beta(static_cast<std::size_t>(width)), next(beta.size()), sums(static_cast<std::size_t>(labels));
        for (std::int64_t b = 0; b < batch; ++b) {
            const auto sample = static_cast<std::size_t>(b);
            const std::int64_t steps = alignments.input_length(sample);
            const std::int64_t states = 2 * alignments.target_length(sample) + 1;
            const C loss = losses.data<C>()[b];
            if (zero_infinity && std::isinf(loss)) continue;
            const auto state = [&](std::int64_t s) { return s % 2 == 0 ? blank : alignments.label(sample, s / 2); };
            for (std::int64_t t = steps - 1; t >= 0; --t) {
                const C* const at = p.data<C>() + (t * batch + b) * labels;
                std::fill(sums.begin(), sums.end(), none);
                std::swap(beta, next);
                for (std::int64_t s = 0; s < states; ++s) {
                    const auto i = static_cast<std::size_t>(s);
                    if (t == steps - 1) {
                        beta[i] = s >= states - 2 ? at[state(s)] : none;
                    } else {
                        const bool skip = s % 2 == 1 && s + 2 < states && state(s) != state(s + 2);
                        beta[i] = log_sum(next[i], s + 1 < states ? next[i + 1] : none, skip ? next[i + 2] : none) +
                                  at[state(s)];
                    }
                    const C both = alphas.data<C>()[(b * time + t) * width + s] + beta[i];
                    C& sum = sums[static_cast<std::size_t>(state(s))];
                    sum = log_sum(sum, both, none);
                }
                C* const dx = result.data<C>() + (t * batch + b) * labels;
                for (std::int64_t c = 0; c < labels; ++c)
                    dx[c] =
                        (std::exp(at[c]) - std::exp(sums[static_cast<std::size_t>(c)] + loss - at[c])) * g.data<C>()[b];
            }
        }
        return result.to(log_probs.dtype());
    });
}

Ints to_ints(const char* name, const Tensor& tensor) {
    if (!is_integral(tensor.dtype(), false))
        throw ArgumentError(std::string("ctc_loss: expected ") + name + " to be of integers, found " +
                            describe(tensor));
    const Tensor values = tensor.to(DType::Int64).contiguous();
    return Ints(values.data<std::int64_t>(), values.data<std::int64_t>() + values.numel());
}

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Ints& input_lengths, const Ints& target_lengths,
                std::int64_t blank, std::int64_t reduction, bool zero_infinity) {
    const bool single = log_probs.dim() == 2;
    const Tensor p = single ? log_probs.unsqueeze(1) : log_probs;
    const Tensor losses =
        std::get<0>(ctc_forward(p, targets.to(DType::Int64), input_lengths, target_lengths, blank, zero_infinity));
    if (reduction == 1) {
        Ints lengths = target_lengths;
        for (std::int64_t& length : lengths) length = std::max<std::int64_t>(1, length);
        const Tensor divisors = Tensor::from_ints(lengths);
        return reduce_loss("ctc_loss",
                           binary<InFloat>([](auto x, auto n) { return x / n; })("ctc_loss", losses, divisors), 1);
    }
    return reduce_loss("ctc_loss", single && reduction == 0 ? losses.squeeze(0) : losses, reduction);
}

}  // namespace

void register_margin_loss(Registry& r) {
    r.add(
        "multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int "
        "reduction=1) -> Tensor",
        multi_margin_loss);
    r.add("multilabel_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", multilabel_margin_loss);
    r.add(
        "multilabel_margin_loss_forward(Tensor self, Tensor target, int reduction) -> (Tensor output, Tensor "
        "is_target)",
        multilabel_margin_loss_forward);
    r.add(
        "multi_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, Scalar p, Scalar margin, Tensor? "
        "weight=None, int reduction=1) -> Tensor",
        multi_margin_loss_backward);
    r.add(
        "multilabel_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, Tensor "
        "is_target) -> Tensor",
        multilabel_margin_loss_backward);
    r.add(
        "_ctc_loss_backward(Tensor grad, Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, "
        "Tensor neg_log_likelihood, Tensor log_alpha, int blank, bool zero_infinity=False) -> Tensor",
        ctc_backward);
    r.add(
        "_ctc_loss_backward.Tensor(Tensor grad, Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor "
        "target_lengths, Tensor neg_log_likelihood, Tensor log_alpha, int blank, bool zero_infinity=False) -> Tensor",
        [](const Tensor& grad, const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
           const Tensor& target_lengths, const Tensor& loss, const Tensor& alpha, std::int64_t blank, bool zero) {
            return ctc_backward(grad, log_probs, targets, to_ints("input_lengths", input_lengths),
                                to_ints("target_lengths", target_lengths), loss, alpha, blank, zero);
        });
    r.add(
        "ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, "
        "int reduction=1, bool zero_infinity=False) -> Tensor",
        ctc_loss);
    r.add(
        "ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, "
        "int reduction=1, bool zero_infinity=False) -> Tensor",
        [](const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths, const Tensor& target_lengths,
           std::int64_t blank, std::int64_t reduction, bool zero_infinity) {
            return ctc_loss(log_probs, targets, to_ints("input_lengths", input_lengths),
                            to_ints("target_lengths", target_lengths), blank, reduction, zero_infinity);
        });
    r.add(
        "_ctc_loss(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, bool "
        "zero_infinity=False) -> (Tensor, Tensor)",
        ctc_forward);
    r.add(
        "_ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, "
        "bool zero_infinity=False) -> (Tensor, Tensor)",
        [](const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths, const Tensor& target_lengths,
           std::int64_t blank, bool zero_infinity) {
            return ctc_forward(log_probs, targets, to_ints("input_lengths", input_lengths),
                               to_ints("target_lengths", target_lengths), blank, zero_infinity);
        });
}

}  // namespace torch_ir::kernels
