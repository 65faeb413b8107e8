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

/// [N, C] (or [C]) scores, and the shape of one loss a sample.
template <class C>
struct Samples {
    Tensor scores;
    std::int64_t count = 1;
    std::int64_t classes = 1;
    Ints shape;

    Samples(const char* op, const Tensor& self) : scores(self.to(dtype_of<C>()).contiguous()) {
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

/// Σ over the other classes of max(0, margin - x[y] + x[c])^p, divided by the number of classes.
Tensor multi_margin_loss(const Tensor& self, const Tensor& target, const Scalar& p, const Scalar& margin,
                         const Tensor& weight, std::int64_t reduction) {
    const char* const op = "multi_margin_loss";
    const double power = p.to<double>();
    if (power != 1 && power != 2)
        throw ArgumentError("multi_margin_loss: expected p to be 1 or 2, found " + std::to_string(power));
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Samples<C> x(op, self);
        if (target.numel() != x.count || target.dim() > 1 || !is_integral(target.dtype(), false))
            throw ArgumentError("multi_margin_loss: expected target of " + std::to_string(x.count) +
                                " class numbers, found " + describe(target));
        if (weight.defined() && weight.numel() != x.classes)
            throw ArgumentError("multi_margin_loss: expected weight to have " + std::to_string(x.classes) +
                                " elements, found " + describe(weight));
        const Tensor index = target.to(DType::Int64).contiguous();
        const Tensor w = weight.defined() ? weight.to(dtype_of<C>()).contiguous() : Tensor();
        const Tensor losses = Tensor::empty(target.dim() == 0 ? Ints{} : Ints{x.count}, dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            const std::int64_t y = index.data<std::int64_t>()[i];
            if (y < 0 || y >= x.classes)
                throw ArgumentError("multi_margin_loss: expected target between 0 and " +
                                    std::to_string(x.classes - 1) + ", found " + std::to_string(y));
            C total = 0;
            for (std::int64_t c = 0; c < x.classes; ++c) {
                const C z = margin.to<C>() - x[i][y] + x[i][c];
                if (c == y || !(z > C(0))) continue;
                total += (power == 1 ? z : z * z) * (w.defined() ? w.data<C>()[y] : C(1));
            }
            losses.data<C>()[i] = total / static_cast<C>(x.classes);
        }
        return reduce_loss(op, losses, reduction).to(self.dtype());
    });
}

/// Σ over the target's classes (up to the first -1) and the classes not in it of max(0, 1 - x[y] + x[c]).
std::tuple<Tensor, Tensor> multilabel_margin_loss_forward(const Tensor& self, const Tensor& target,
                                                          std::int64_t reduction) {
    const char* const op = "multilabel_margin_loss";
    if (target.shape() != self.shape())
        throw ArgumentError("multilabel_margin_loss: expected target to have the shape of self, found " +
                            describe(target) + " and " + describe(self));
    return visit_float(self.dtype(), op, [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        const Samples<C> x(op, self);
        const Tensor labels = target.to(DType::Int64).contiguous();
        const Tensor is_target = Tensor::zeros(target.shape(), dtype_of<C>());
        const Tensor losses = Tensor::empty(x.shape, dtype_of<C>());
        for (std::int64_t i = 0; i < x.count; ++i) {
            const std::int64_t* const y = labels.data<std::int64_t>() + i * x.classes;
            C* const used = is_target.data<C>() + i * x.classes;
            const std::int64_t* const end = std::find_if(y, y + x.classes, [](std::int64_t c) { return c < 0; });
            for (const std::int64_t* label = y; label != end; ++label) {
                if (*label >= x.classes)
                    throw ArgumentError("multilabel_margin_loss: expected target below " + std::to_string(x.classes) +
                                        ", found " + std::to_string(*label));
                used[*label] = 1;
            }
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
    const Tensor losses = std::get<0>(ctc_forward(p, targets, input_lengths, target_lengths, blank, zero_infinity));
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
