// SPDX-License-Identifier: MIT
// `_fused_*`: a step of an optimizer over lists of tensors, as PyTorch's CPU kernels take it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"

namespace torch_ir::kernels {
namespace {

/// The arguments of a call by name: lists of tensors (the parameters `self`, `grads`, the optimizer's state), numbers
/// of which `lr` may be a tensor, flags.
class OptimizerStep {
  public:
    OptimizerStep(const Schema& schema, std::span<const IValue* const> args) : schema_(schema), args_(args) {}

    const std::string& op() const { return schema_.name; }
    const IValue& arg(const char* name) const {
        return *args_[static_cast<std::size_t>(schema_.find(name) - schema_.parameters.data())];
    }
    const TensorList& list(const char* name) const { return std::get<TensorList>(arg(name)); }
    double number(const char* name) const { return to_scalar(arg(name)).to<double>(); }
    bool flag(const char* name) const { return std::get<bool>(arg(name)); }
    /// The number of an optional tensor.
    std::optional<double> optional(const char* name) const {
        const Tensor* const t = std::get_if<Tensor>(&arg(name));
        return t ? std::optional(t->item().to<double>()) : std::nullopt;
    }
    /// Counted from 1.
    double steps(std::size_t i) const {
        const TensorList& counts = list("state_steps");
        if (i >= counts.size()) throw ArgumentError(op() + ": expected 'state_steps' as long as 'self'");
        return counts[i].item().to<double>();
    }

  private:
    const Schema& schema_;
    std::span<const IValue* const> args_;
};

/// Calls `f(i, x, n)` for the i-th tensors of the named lists, x[k] being the n numbers of the k-th one in the compute
/// type; then they are written. Gradients, the second, come divided by grad_scale. Does nothing where found_inf is 1.
template <class F>
void update(const OptimizerStep& step, std::initializer_list<const char*> names, const F& f) {
    std::vector<const TensorList*> lists;
    for (const char* name : names) lists.push_back(&step.list(name));
    const TensorList& params = *lists[0];
    for (const TensorList* list : lists)
        if (list->size() != params.size())
            throw ArgumentError(step.op() + ": expected lists of " + std::to_string(params.size()) +
                                " tensors like 'self', found one of " + std::to_string(list->size()));
    if (step.optional("found_inf") == 1.0) return;
    const std::optional<double> scale = step.optional("grad_scale");
    for (std::size_t i = 0; i < params.size(); ++i) {
        for (const TensorList* list : lists)
            if ((*list)[i].shape() != params[i].shape() || (*list)[i].dtype() != params[i].dtype())
                throw ArgumentError(step.op() + ": expected tensors of the shape and dtype of the parameter " +
                                    describe(params[i]) + ", found " + describe((*list)[i]));
        visit_float(params[i].dtype(), step.op().c_str(), [&]<class C>(C) {
            TensorList memory;
            std::vector<C*> x;
            for (const TensorList* list : lists) {
                memory.push_back((*list)[i].to(dtype_of<C>()).contiguous());
                x.push_back(memory.back().data<C>());
            }
            const std::int64_t n = params[i].numel();
            for (std::int64_t j = 0; scale && j < n; ++j) x[1][j] /= static_cast<C>(*scale);
            f(i, x, n);
            for (std::size_t k = 0; k < lists.size(); ++k) (*lists[k])[i].copy_from(memory[k]);
            return params[i];
        });
    }
}

/// Adam; the weight decay of AdamW shrinks the parameter, that of Adam is part of the gradient.
template <bool decoupled>
void adam(const OptimizerStep& step) {
    const double lr = step.number("lr"), beta1 = step.number("beta1"), beta2 = step.number("beta2");
    const double eps = step.number("eps"), weight_decay = step.number("weight_decay");
    const bool amsgrad = step.flag("amsgrad"), maximize = step.flag("maximize");
    const auto f = [&]<class C>(std::size_t i, const std::vector<C*>& x, std::int64_t n) {
        const C size = static_cast<C>(lr / (1 - std::pow(beta1, step.steps(i))));
        const C root = static_cast<C>(std::sqrt(1 - std::pow(beta2, step.steps(i))));
        const C decay = static_cast<C>(weight_decay), shrinking = static_cast<C>(lr * weight_decay);
        const C w = static_cast<C>(1 - beta1), kept = static_cast<C>(beta2), added = static_cast<C>(1 - beta2);
        const C e = static_cast<C>(eps);
        for (std::int64_t j = 0; j < n; ++j) {
            C grad = maximize ? -x[1][j] : x[1][j];
            if (decoupled)
                x[0][j] -= shrinking * x[0][j];
            else if (weight_decay != 0)
                grad += decay * x[0][j];
            C& average = x[2][j];
            average = std::fabs(w) < C(.5) ? average + w * (grad - average) : grad - (grad - average) * (C(1) - w);
            C& square = x[3][j];
            square = square * kept + added * grad * grad;
            C largest = square;
            if (amsgrad) largest = x[4][j] = vmath::larger(x[4][j], square);
            x[0][j] -= size * average / (std::sqrt(largest) / root + e);
        }
    };
    if (amsgrad)
        update(step, {"self", "grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"}, f);
    else
        update(step, {"self", "grads", "exp_avgs", "exp_avg_sqs"}, f);
}

void sgd(const OptimizerStep& step) {
    const double lr = step.number("lr"), weight_decay = step.number("weight_decay");
    const double momentum = step.number("momentum"), dampening = step.number("dampening");
    const bool nesterov = step.flag("nesterov"), is_first = step.flag("is_first_step"),
               maximize = step.flag("maximize");
    const auto f = [&]<class C>(std::size_t, const std::vector<C*>& x, std::int64_t n) {
        const C rate = static_cast<C>(lr), decay = static_cast<C>(weight_decay);
        const C m = static_cast<C>(momentum), added = static_cast<C>(1 - dampening);
        for (std::int64_t j = 0; j < n; ++j) {
            C grad = maximize ? -x[1][j] : x[1][j];
            if (weight_decay != 0) grad += decay * x[0][j];
            if (momentum != 0) {
                C& buffer = x[2][j];
                buffer = is_first ? grad : m * buffer + added * grad;
                grad = nesterov ? grad + m * buffer : buffer;
            }
            x[0][j] -= rate * grad;
        }
    };
    if (momentum != 0) return update(step, {"self", "grads", "momentum_buffer_list"}, f);
    if (!step.list("momentum_buffer_list").empty() && step.optional("found_inf") != 1.0)
        throw ArgumentError(step.op() + ": expected no tensors in 'momentum_buffer_list' without 'momentum'");
    update(step, {"self", "grads"}, f);
}

void adagrad(const OptimizerStep& step) {
    const double lr = step.number("lr"), lr_decay = step.number("lr_decay");
    const double eps = step.number("eps"), weight_decay = step.number("weight_decay");
    const bool maximize = step.flag("maximize");
    update(step, {"self", "grads", "state_sums"},
           [&]<class C>(std::size_t i, const std::vector<C*>& x, std::int64_t n) {
               const C rate = static_cast<C>(lr / (1 + (step.steps(i) - 1) * lr_decay)), e = static_cast<C>(eps);
               const C decay = static_cast<C>(weight_decay);
               for (std::int64_t j = 0; j < n; ++j) {
                   C grad = maximize ? -x[1][j] : x[1][j];
                   if (weight_decay != 0) grad += decay * x[0][j];
                   x[2][j] += grad * grad;
                   x[0][j] -= rate * grad / (std::sqrt(x[2][j]) + e);
               }
           });
}

/// The step on copies of the lists, which are returned.
void on_copies(void (*take)(const OptimizerStep&), const Schema& schema, std::span<const IValue* const> args,
               std::vector<IValue>& results) {
    std::vector<IValue> own;
    for (const IValue* arg : args) {
        own.push_back(*arg);
        if (auto* const list = std::get_if<TensorList>(&own.back()))
            for (Tensor& t : *list) t = t.clone();
    }
    std::vector<const IValue*> given;
    for (const IValue& value : own) given.push_back(&value);
    take(OptimizerStep(schema, given));
    for (std::size_t i = 0; i < schema.returns.size(); ++i) results.push_back(own[i]);
}

}  // namespace

void register_optimizer(Registry& r) {
    constexpr std::pair<std::string_view, void (*)(const OptimizerStep&)> steps[] = {
        {"_fused_adam", adam<false>}, {"_fused_adamw", adam<true>}, {"_fused_sgd", sgd}, {"_fused_adagrad", adagrad}};
    for (const auto& [name, take] : steps)
        for (const std::string form : {"", "_"})
            for (const std::string overload : {"default", "tensor_lr"}) {
                const Schema& schema = *find_schema("aten." + std::string(name) + form + "." + overload);
                r.add_boxed(schema, [&schema, take = take](Context&, std::span<const IValue* const> args,
                                                           std::vector<IValue>& results) {
                    if (schema.returns.empty())
                        take(OptimizerStep(schema, args));
                    else
                        on_copies(take, schema, args, results);
                });
            }
}

}  // namespace torch_ir::kernels
