// SPDX-License-Identifier: MIT
// Activation functions and their derivatives.
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

template <class C>
constexpr C sqrt_half = static_cast<C>(std::numbers::sqrt2 / 2);
template <class C>
constexpr C sqrt_2_over_pi = static_cast<C>(std::numbers::sqrt2* std::numbers::inv_sqrtpi);

// Written so that NaN passes through: a comparison with NaN is false.
template <class C>
C at_least(C x, C low) {
    return x < low ? low : x;
}
template <class C>
C at_most(C x, C high) {
    return x > high ? high : x;
}

/// Floating point inputs only: unlike elementary functions, activations do not promote integers.
template <class F>
Tensor activate(const char* op, const Tensor& self, F f) {
    return visit_float(self.dtype(), op, [&]<class C>(C) { return elementwise<C>(self.dtype(), f, self); });
}
/// `f(C)` makes the formula for a compute type.
template <class F>
Tensor activate_with(const char* op, const Tensor& self, F make) {
    return visit_float(self.dtype(), op, [&]<class C>(C c) { return elementwise<C>(self.dtype(), make(c), self); });
}
template <class F>
constexpr UnaryFn activation(F) {
    return [](const char* op, const Tensor& self) { return activate(op, self, F{}); };
}

/// In the order of its dimensions, whatever the strides.
Tensor log_sigmoid(const char* op, const Tensor& self) {
    if (!is_floating_point(self.dtype()))
        throw ArgumentError(std::string(op) + ": expected a tensor of floating point, found " + describe(self));
    return activate(op, self.contiguous(), [](auto x) {
        using C = decltype(x);
        return at_most(x, C(0)) - vmath::log1p(vmath::exp(-std::fabs(x)));
    });
}

constexpr UnaryEntry unary_activations[] = {
    {"relu",
     [](const char* op, const Tensor& self) {
         refuse_bool(op, self.dtype());
         return unary<InReal>([](auto x) { return at_least(x, decltype(x)(0)); })(op, self);
     }},
    {"relu6",
     [](const char* op, const Tensor& self) {
         refuse_bool(op, self.dtype());
         return unary<InReal>([](auto x) {
             using C = decltype(x);
             return at_most(at_least(x, C(0)), C(6));
         })(op, self);
     }},
    {"silu", unary_in_own<InFloatOrComplex>([](auto x) {
         using C = decltype(x);
         if constexpr (is_complex_compute<C>)
             return over(x, C(1) + std::exp(-x));
         else
             return x / (C(1) + vmath::exp(-x));
     })},
    {"mish", activation([](auto x) {
         using C = decltype(x);
         return x * vmath::tanh(x > C(20) ? x : vmath::log1p(vmath::exp(x)));
     })},
    {"selu", activation([](auto x) {
         using C = decltype(x);
         constexpr C alpha = C(1.6732632423543772848170429916717), scale = C(1.0507009873554804934193349852946);
         return x <= C(0) ? vmath::expm1(x) * (alpha * scale) : x * scale;
     })},
    {"hardswish", activation([](auto x) {
         using C = decltype(x);
         return x * at_most(at_least(x + C(3), C(0)), C(6)) / C(6);
     })},
    {"hardsigmoid", activation([](auto x) {
         using C = decltype(x);
         return at_most(at_least(x + C(3), C(0)), C(6)) / C(6);
     })},
    {"log_sigmoid", log_sigmoid},
};

std::tuple<Tensor, Tensor> log_sigmoid_forward(const Tensor& self) {
    return {log_sigmoid("log_sigmoid_forward", self),
            activate("log_sigmoid_forward", self.contiguous(), [](auto x) { return vmath::exp(-std::fabs(x)); })};
}

bool is_tanh(const char* op, const std::string& approximate) {
    if (approximate == "tanh") return true;
    if (approximate == "none") return false;
    throw ArgumentError(std::string(op) + ": expected approximate to be 'none' or 'tanh', found '" + approximate + "'");
}

Tensor gelu(const Tensor& self, const std::string& approximate) {
    if (is_tanh("gelu", approximate))
        return activate("gelu", self, [](auto x) {
            using C = decltype(x);
            return C(.5) * x * (C(1) + vmath::tanh(sqrt_2_over_pi<C> * (x + C(.044715) * x * x * x)));
        });
    return activate("gelu", self, [](auto x) {
        using C = decltype(x);
        return C(.5) * x * (C(1) + vmath::fast_erf(x * sqrt_half<C>));
    });
}

Tensor elu(const Tensor& self, const Scalar& alpha, const Scalar& scale, const Scalar& input_scale) {
    return activate_with("elu", self, [&]<class C>(C) {
        const auto fit = [&](const Scalar& number) { return fitted_wide<C>("elu", number, self.dtype()); };
        return [negative = fit(alpha) * fit(scale), positive = fit(scale), k = fit(input_scale)](C x) {
            return x >= C(0) ? x * positive : vmath::expm1(x * k) * negative;
        };
    });
}

Tensor celu(const Tensor& self, const Scalar& alpha) {
    if (alpha.to<double>() == 0) throw ArgumentError("celu: argument 'alpha' must not be 0");
    return elu(self, alpha, Scalar(1.0), Scalar(1 / alpha.to<double>()));
}

Tensor leaky_relu(const Tensor& self, const Scalar& negative_slope) {
    return activate_with("leaky_relu", self, [&]<class C>(C) {
        return [k = fitted_wide<C>("leaky_relu", negative_slope, self.dtype())](C x) { return x > C(0) ? x : x * k; };
    });
}

Tensor prelu_kernel(const Tensor& self, const Tensor& weight) {
    if (self.dtype() != weight.dtype())
        throw ArgumentError("prelu: expected weight to have the dtype of self, found " + describe(weight) + " and " +
                            describe(self));
    return visit_float(self.dtype(), "prelu", [&]<class C>(C) {
        return elementwise<C>(
            self.dtype(), [](C x, C w) { return x > C(0) ? x : x * w; }, self, weight);
    });
}

/// One weight, or one for every channel (dimension 1).
Tensor prelu(const Tensor& self, const Tensor& weight) {
    if (weight.numel() == 1 && weight.dim() <= 1) return prelu_kernel(self, weight.reshape({}));
    if (weight.dim() != 1)
        throw ArgumentError("prelu: expected weight to have 0 or 1 dimensions, found " + describe(weight));
    if (self.dim() == 0)
        throw ArgumentError("prelu: expected self to have dimensions for a weight of more than one element");
    const std::int64_t channels = self.dim() > 1 ? self.size(1) : 1;
    if (channels != weight.numel())
        throw ArgumentError("prelu: expected weight to have " + std::to_string(channels) + " elements, found " +
                            describe(weight));
    Ints shape(static_cast<std::size_t>(self.dim()), 1);
    shape[1] = channels;
    return prelu_kernel(self, weight.reshape(shape));
}

Tensor hardtanh(const Tensor& self, const Scalar& min_val, const Scalar& max_val) {
    const DType dtype = self.dtype();
    refuse_bool("hardtanh", dtype);
    if (category(dtype) == DTypeCategory::Unsigned &&
        (min_val.to<std::int64_t>() < 0 || max_val.to<std::int64_t>() < 0))
        throw ArgumentError("hardtanh: expected limits of an unsigned dtype to be at least 0");
    return visit_real(dtype, "hardtanh", [&]<class C>(C) {
        return elementwise<C>(
            dtype,
            [low = fitted<C>("hardtanh", min_val, dtype), high = fitted<C>("hardtanh", max_val, dtype)](C x) {
                return vmath::smaller(vmath::larger(x, low), high);
            },
            self);
    });
}

Tensor hardshrink(const Tensor& self, const Scalar& lambd) {
    return activate_with("hardshrink", self, [&]<class C>(C) {
        return [k = fitted<C>("hardshrink", lambd, self.dtype())](C x) { return x >= -k && x <= k ? C(0) : x; };
    });
}

Tensor softshrink(const Tensor& self, const Scalar& lambd) {
    if (!(lambd.to<double>() >= 0 && lambd.to<double>() <= std::numeric_limits<double>::max()))
        throw ArgumentError("softshrink: expected lambd to be at least 0 and finite");
    return activate_with("softshrink", self, [&]<class C>(C) {
        return [k = fitted_wide<C>("softshrink", lambd, self.dtype())](C x) {
            return x > k ? x - k : (x < -k ? x + k : x * C(0));
        };
    });
}

Tensor softplus(const Tensor& self, const Scalar& beta, const Scalar& threshold) {
    return activate_with("softplus", self, [&]<class C>(C) {
        const auto fit = [&](const Scalar& number) { return fitted_wide<C>("softplus", number, self.dtype()); };
        return [b = fit(beta), t = fit(threshold)](C x) { return x * b > t ? x : vmath::log1p(vmath::exp(x * b)) / b; };
    });
}

Tensor threshold(const Tensor& self, const Scalar& threshold, const Scalar& value) {
    refuse_bool("threshold", self.dtype());
    return visit_real(self.dtype(), "threshold", [&]<class C>(C) {
        const C t = fitted_wide<C>("threshold", threshold, self.dtype());
        const C v = fitted<C>("threshold", value, self.dtype());
        return elementwise<C>(
            self.dtype(), [t, v](C x) { return x <= t ? v : x; }, self);
    });
}

/// The halves of `self` along `dim`.
std::pair<Tensor, Tensor> halves(const Tensor& self, std::int64_t dim) {
    if (self.dim() == 0) throw ArgumentError("glu: expected self to have at least one dimension");
    const std::int64_t size = self.size(dim);
    if (size % 2 != 0)
        throw ArgumentError("glu: expected an even size along dim " + std::to_string(dim) + ", found " +
                            std::to_string(size));
    return {self.narrow(dim, 0, size / 2), self.narrow(dim, size / 2, size / 2)};
}

Tensor glu(const Tensor& self, std::int64_t dim) {
    const auto both = halves(self, dim);
    return visit_float(self.dtype(), "glu", [&]<class C>(C) {
        return elementwise<C>(
            self.dtype(), [](C x, C gate) { return x * vmath::sigmoid(gate); }, both.first, both.second);
    });
}

}  // namespace

void register_activation(Registry& r) {
    add_unary(r, unary_activations);
    r.add("log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer)", log_sigmoid_forward);
    r.add("gelu(Tensor self, *, str approximate=\"none\") -> Tensor", gelu);
    r.add("elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", elu);
    r.add("celu(Tensor self, Scalar alpha=1.) -> Tensor", celu);
    r.add("leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", leaky_relu);
    r.add("prelu(Tensor self, Tensor weight) -> Tensor", prelu);
    r.add("_prelu_kernel(Tensor self, Tensor weight) -> Tensor", prelu_kernel);
    r.add("hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", hardtanh);
    r.add("hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", hardshrink);
    r.add("softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", softshrink);
    r.add("softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", softplus);
    r.add("threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", threshold);
    r.add("glu(Tensor self, int dim=-1) -> Tensor", glu);
}

}  // namespace torch_ir::kernels
