// SPDX-License-Identifier: MIT
// Dropout in all forms, and the leaky ReLU with random slopes. Without training they are the identity or leaky.
#include <cmath>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/random.hpp"
#include "overlap.hpp"

namespace torch_ir::kernels {
namespace {

struct Form {
    const char* op;
    bool feature = false;  // drops whole channels
    bool alpha = false;    // keeps mean and variance of a SELU network
};

Tensor product(const Tensor& x, const Tensor& y) {
    return binary<InAny>([](auto a, auto b) { return a * b; })("dropout", x, y);
}

/// noise · factor + shift, rounded to the dtype.
Tensor scaled(const Tensor& noise, double factor, double shift) {
    return visit_rule<InFloatOrComplex>(noise.dtype(), "dropout", [&]<class C>(C) {
        return elementwise<C>(
            noise.dtype(), [k = C(factor), b = C(shift)](C n) { return n * k + b; }, noise);
    });
}

/// noise / probability, rounded to the dtype.
Tensor divided_noise(const Tensor& noise, DType dtype, double probability) {
    return visit_rule<InFloatOrComplex>(dtype, "dropout", [&]<class C>(C) {
        return elementwise<C>(
            dtype, [p = C(probability)](C n) { return n / p; }, noise);
    });
}

void check_probability(const char* op, double p) {
    if (!(p >= 0 && p <= 1))
        throw ArgumentError(std::string(op) + ": expected p between 0 and 1, found " + std::to_string(p));
}

/// input · noise (+ b), the noise 0 with probability p.
Tensor drop(Context& context, const Form& form, const Tensor& input, double p, bool train) {
    check_probability(form.op, p);
    if (p == 0 || !train || input.numel() == 0) return input;
    if (p == 1) return product(input, Tensor::zeros({}, input.dtype()));
    Tensor noise;
    if (form.feature) {
        if (input.dim() < 2)
            throw ArgumentError(std::string(form.op) + ": expected input to have at least 2 dimensions, found " +
                                describe(input));
        Ints shape(static_cast<std::size_t>(input.dim()), 1);
        shape[0] = input.size(0);
        shape[1] = input.size(1);
        noise = Tensor::empty(shape, input.dtype());
    } else {
        noise = Tensor::empty_like(input, input.dtype());
    }
    fill_bernoulli(context, noise, 1 - p);
    // Every step is rounded to the dtype.
    const DType dtype = input.dtype();
    if (!form.alpha) return product(input, divided_noise(noise, dtype, 1 - p));
    constexpr double alpha = 1.7580993408473766;
    const double a = 1 / std::sqrt((alpha * alpha * p + 1) * (1 - p));
    const Tensor shift = scaled(scaled(scaled(noise, 1, -1), alpha * a, 0), 1, alpha * a * p);
    return binary<InAny>([](auto x, auto b) { return x + b; })(form.op, product(input, scaled(noise, a, 0)), shift);
}

/// The result and the bool mask of what was kept.
std::tuple<Tensor, Tensor> native_dropout(Context& context, const Tensor& input, double p, std::optional<bool> train) {
    if (input.numel() == 0) return {input, Tensor::empty_like(input, input.dtype())};
    check_probability("native_dropout", p);
    const Tensor mask = Tensor::empty_like(input, DType::Bool);
    if (!train.value_or(true)) {
        mask.fill(true);
        return {input.clone(), mask};
    }
    fill_bernoulli(context, mask, 1 - p);
    if (p == 1) return {product(input, Tensor::zeros({}, input.dtype())), mask};
    return {product(input, divided_noise(mask, input.dtype(), 1 - p)), mask};
}

Tensor native_dropout_backward(const Tensor& grad_output, const Tensor& mask, double scale) {
    return visit_rule<InFloatOrComplex>(grad_output.dtype(), "native_dropout_backward", [&]<class C>(C) {
        return elementwise<C>(
            grad_output.dtype(), [k = C(scale)](C g, C keep) { return g * (keep * k); }, grad_output, mask);
    });
}

/// Not fused with an addition that follows.
[[gnu::noinline]] double rounded_product(double a, double b) { return a * b; }

/// self where positive, else self · noise; in training the noise is drawn, otherwise the mean slope stands for it.
Tensor leaky(Context& context, const Tensor& self, const Tensor& noise, const Scalar& lower, const Scalar& upper,
             bool training) {
    const double low = lower.to<double>(), high = upper.to<double>();
    if ((training || !noise.defined()) && !(low <= high)) throw ArgumentError("rrelu: expected lower <= upper");
    if (!std::isfinite(low) || !std::isfinite(high)) throw ArgumentError("rrelu: expected finite lower and upper");
    if (noise.defined() && noise.shape() != self.shape())
        throw ArgumentError("rrelu: expected noise of the shape of self, found " + describe(noise) + " and " +
                            describe(self));
    if (training && noise.defined() && noise.dtype() != self.dtype())
        throw ArgumentError("rrelu: expected noise of the dtype of self, found " + describe(noise) + " and " +
                            describe(self));
    return visit_float(self.dtype(), "rrelu", [&]<class C>(C) {
        if (!training)
            return elementwise<C>(
                self.dtype(), [k = static_cast<C>((low + high) / 2)](C x) { return x > C(0) ? x : x * k; }, self);
        const Tensor input = self.to(DType::Float64).contiguous();
        const Tensor slopes = Tensor::empty(self.shape(), dtype_of<C>());  // not rounded in a product
        const double* next = input.data<double>();
        const double first = static_cast<C>(low), last = static_cast<C>(high);
        fill_random(context, slopes, [&](Generator& g) {
            return *next++ <= 0 ? rounded_product(g.uniform(), last - first) + first : 1.0;
        });
        if (noise.defined() && noise.is_dense())  // as in PyTorch, in the order of memory
            Tensor(noise.storage(), noise.dtype(), {noise.numel()}, {1}, noise.offset())
                .copy_from(slopes.reshape({-1}));
        else if (noise.defined())
            noise.copy_from(slopes);
        return elementwise<C>(
            self.dtype(), [](C x, C k) { return x * k; }, self, slopes);
    });
}

}  // namespace

void register_dropout(Registry& r) {
    static constexpr Form forms[] = {
        {"dropout"}, {"feature_dropout", true}, {"alpha_dropout", false, true}, {"feature_alpha_dropout", true, true}};
    for (const Form& form : forms)
        r.add(std::string(form.op) + "(Tensor input, float p, bool train) -> Tensor",
              [&form](Context& context, const Tensor& input, double p, bool train) {
                  return drop(context, form, input, p, train);
              });
    r.add("native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)", native_dropout);
    r.add("native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor", native_dropout_backward);
    r.add(
        "rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.33333333333333331, bool training=False, "
        "Generator? generator=None) -> Tensor",
        [](Context& context, const Tensor& self, const Scalar& lower, const Scalar& upper, bool training, None) {
            return leaky(context, self, {}, lower, upper, training);
        });
    const auto with_noise = [](Context& context, const Tensor& self, const Tensor& noise, const Scalar& lower,
                               const Scalar& upper, bool training,
                               None) { return leaky(context, self, noise, lower, upper, training); };
    r.add(
        "rrelu_with_noise(Tensor self, Tensor(b!) noise, Scalar lower=0.125, Scalar upper=0.33333333333333331, "
        "bool training=False, Generator? generator=None) -> Tensor",
        with_noise);
    r.add(
        "rrelu_with_noise_functional(Tensor self, Tensor noise, Scalar lower=0.125, Scalar upper=0.33333333333333331, "
        "bool training=False, Generator? generator=None) -> (Tensor, Tensor noise_out)",
        [](Context& context, const Tensor& self, const Tensor& noise, const Scalar& lower, const Scalar& upper,
           bool training, None) -> std::tuple<Tensor, Tensor> {
            const Tensor noise_out = noise.clone();
            return {leaky(context, self, noise_out, lower, upper, training), noise_out};
        });
    r.add(
        "rrelu_with_noise_(Tensor(a!) self, Tensor(b!) noise, Scalar lower=0.125, Scalar upper=0.33333333333333331, "
        "bool training=False, Generator? generator=None) -> Tensor(a!)",
        [](Context& context, const Tensor& self, const Tensor& noise, const Scalar& lower, const Scalar& upper,
           bool training, None) {
            check_overlap(self);
            self.copy_from(leaky(context, self, noise, lower, upper, training));
            return self;
        });
}

}  // namespace torch_ir::kernels
