// SPDX-License-Identifier: MIT
// Gradients of activation functions and of softmax.
#include <cmath>
#include <numbers>

#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/row_math.hpp"
#include "parallel.hpp"
#include "rows.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

/// `f(gradient, x)` in floating point; `make(C)` gives the formula for a compute type.
template <class F>
Tensor gradient(const char* op, In grad, In x, F make) {
    const DType dtype = result_type(grad, x);
    return visit_float(dtype, op, [&]<class C>(C c) { return elementwise<C>(dtype, make(c), grad, x); });
}

template <class F>
constexpr BinaryFn plain(F) {
    return [](const char* op, In grad, In x) { return gradient(op, grad, x, [](auto) { return F{}; }); };
}

/// Of the function's result.
constexpr BinaryEntry by_output[] = {
    {"tanh_backward", binary<InFloatOrComplex>([](auto g, auto y) {
         using C = decltype(y);
         if constexpr (is_complex_compute<C>)
             return g * std::conj(C(1) - y * y);
         else
             return g * (C(1) - y * y);
     })},
    {"sigmoid_backward",
     [](const char* op, In grad, In output) {
         if (result_type(grad, output) == DType::Float16)  // unlike bfloat16, rounded at every step
             return elementwise<float>(
                 DType::Float16,
                 [](float g, float y) {
                     using A = Stepwise<Float16>;
                     return static_cast<float>(A(g) * (A(1) - A(y)) * A(y));
                 },
                 grad, output);
         return binary<InFloatOrComplex>([](auto g, auto y) {
             using C = decltype(y);
             if constexpr (is_complex_compute<C>)
                 return g * std::conj((C(1) - y) * y);
             else
                 return g * (C(1) - y) * y;
         })(op, grad, output);
     }},
};

/// Of the function's argument.
constexpr BinaryEntry by_input[] = {
    {"silu_backward", plain([](auto g, auto x) {
         using C = decltype(x);
         const C s = vmath::sigmoid(x);
         return g * s * (C(1) + x * (C(1) - s));
     })},
    {"mish_backward", plain([](auto g, auto x) {
         using C = decltype(x);
         const C s = vmath::sigmoid(x), t = vmath::tanh(x > C(20) ? x : vmath::log1p(vmath::exp(x)));
         return g * (t + x * s * (C(1) - t * t));
     })},
    {"hardswish_backward", plain([](auto g, auto x) {
         using C = decltype(x);
         return x <= C(-3) ? C(0) : (x < C(3) ? g * (x / C(3) + C(.5)) : g);
     })},
    {"hardsigmoid_backward", plain([](auto g, auto x) {
         using C = decltype(x);
         return x > C(-3) && x < C(3) ? g * C(1.0F / 6.0F) : C(0);  // of float64, too
     })},
};

Tensor gelu_backward(In grad_output, In self, const std::string& approximate) {
    if (approximate != "none" && approximate != "tanh")
        throw ArgumentError("gelu_backward: expected approximate to be 'none' or 'tanh', found '" + approximate + "'");
    if (approximate == "none")
        return gradient("gelu_backward", grad_output, self, [](auto) {
            return [](auto g, auto x) {
                using C = decltype(x);
                constexpr C density = C(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
                const C cdf = C(.5) * (C(1) + vmath::erf(x * C(std::numbers::sqrt2 / 2)));
                return g * (cdf + x * density * vmath::exp(C(-.5) * x * x));
            };
        });
    return gradient("gelu_backward", grad_output, self, [](auto) {
        return [](auto g, auto x) {
            using C = decltype(x);
            constexpr C beta = C(std::numbers::sqrt2 * std::numbers::inv_sqrtpi), kappa = C(.044715);
            const C t = vmath::tanh(beta * (x + kappa * x * x * x));
            return g * (C(.5) * (C(1) + t) + C(.5) * x * (C(1) - t * t) * beta * (C(1) + C(3) * kappa * x * x));
        };
    });
}

Tensor threshold_backward(In grad_output, In self, const Scalar& threshold) {
    const DType dtype = result_type(grad_output, self);
    return visit_real(dtype, "threshold_backward", [&]<class C>(C) {
        return elementwise<C>(
            dtype, [t = threshold.to<C>()](C x, C g) { return x <= t ? C(0) : g; }, self, grad_output);
    });
}

Tensor hardtanh_backward(In grad_output, In self, const Scalar& min_val, const Scalar& max_val) {
    return gradient("hardtanh_backward", grad_output, self, [&]<class C>(C) {
        return [low = min_val.to<C>(), high = max_val.to<C>()](C g, C x) { return x <= low || x >= high ? C(0) : g; };
    });
}

Tensor leaky_relu_backward(In grad_output, In self, const Scalar& negative_slope, bool) {
    return gradient("leaky_relu_backward", grad_output, self, [&]<class C>(C) {
        return [k = negative_slope.to<C>()](C g, C x) { return x > C(0) ? g : g * k; };
    });
}

Tensor rrelu_with_noise_backward(In grad_output, In self, In noise, const Scalar& lower, const Scalar& upper,
                                 bool training, bool self_is_result) {
    const auto low = lower.to<double>(), high = upper.to<double>();
    if (training && high - low > 1e-6)
        return gradient("rrelu_with_noise_backward", grad_output, noise,
                        [](auto) { return [](auto g, auto n) { return g * n; }; });
    return leaky_relu_backward(grad_output, self, Scalar((low + high) / 2), self_is_result);
}

Tensor elu_backward(In grad_output, const Scalar& alpha, const Scalar& scale, const Scalar& input_scale, bool is_result,
                    In self_or_result) {
    return gradient("elu_backward", grad_output, self_or_result, [&]<class C>(C) {
        return [negative = alpha.to<C>() * scale.to<C>(), positive = scale.to<C>(), k = input_scale.to<C>(), is_result](
                   C g, C x) {
            if (x > C(0)) return g * positive;
            return is_result ? g * k * (x + negative) : g * k * negative * vmath::exp(x * k);
        };
    });
}

Tensor softplus_backward(In grad_output, In self, const Scalar& beta, const Scalar& threshold) {
    return gradient("softplus_backward", grad_output, self, [&]<class C>(C) {
        return
            [b = beta.to<C>(), t = threshold.to<C>()](C g, C x) { return x * b > t ? g : g * vmath::sigmoid(x * b); };
    });
}

/// Of softshrink and hardshrink: nothing passes between -lambd and lambd.
Tensor shrink_backward(In grad, In self, const Scalar& lambd) {
    return gradient("shrink_backward", grad, self, [&]<class C>(C) {
        return
            [k = fitted<C>("shrink_backward", lambd, self.dtype())](C g, C x) { return x >= -k && x <= k ? C(0) : g; };
    });
}

Tensor log_sigmoid_backward(In grad_output, In self, In) {
    return gradient("log_sigmoid_backward", grad_output, self,
                    [](auto) { return [](auto g, auto x) { return g * vmath::sigmoid(-x); }; });
}

Tensor logit_backward(In grad_output, In self, std::optional<double> eps) {
    const DType dtype = result_type(grad_output, self);
    return visit_stepwise(dtype, "logit_backward", [&]<class C, class A>(C, A) {
        const C low = static_cast<C>(eps.value_or(0));
        return elementwise<C>(
            dtype,
            [low, clamps = eps.has_value()](C g, C x) {
                if (!(x >= low && x <= C(1) - low)) return clamps ? C(0) : std::numeric_limits<C>::quiet_NaN();
                return static_cast<C>(A(g) / (A(x) * (A(1) - A(x))));
            },
            grad_output, self);
    });
}

std::tuple<Tensor, Tensor> prelu_kernel_backward(In grad_output, In self, In weight) {
    return visit_float(self.dtype(), "_prelu_kernel_backward", [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        return {elementwise<C>(
                    self.dtype(), [](C g, C x, C w) { return x > C(0) ? g : g * w; }, grad_output, self, weight),
                elementwise<C>(
                    self.dtype(), [](C g, C x) { return x > C(0) ? C(0) : g * x; }, grad_output, self)};
    });
}

/// `f(gradient row, result row, n, out row)` along a dimension.
template <class F>
Tensor rowwise(const char* op, In grad_output, In output, std::int64_t dim, DType input_dtype, F f) {
    if (grad_output.shape() != output.shape())
        throw ArgumentError(std::string(op) + ": expected grad_output to have the shape of output, found " +
                            describe(grad_output) + " and " + describe(output));
    return visit_float(output.dtype(), op, [&]<class C>(C) {
        const Rows<C> g = rows<C>(grad_output, dim), y = rows<C>(output, dim);
        const Tensor out = Tensor::empty(y.memory.shape(), dtype_of<C>());
        parallel_for(y.count, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, y.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i)
                             f(g[i].data(), y[i].data(), y.length, out.data<C>() + i * y.length);
                     });
        const Ints dims = output.dim() == 0 ? Ints{} : Ints{output.wrap_dim(dim)};
        return unrows(out, Tensor::empty(output.shape(), output.dtype()), dims).to(input_dtype);
    });
}

/// y (g - Σ g y).
Tensor softmax_backward(In grad_output, In output, std::int64_t dim, DType input_dtype) {
    return rowwise("_softmax_backward_data", grad_output, output, dim, input_dtype,
                   []<class C>(const C* g, const C* y, std::int64_t n, C* out) {
                       C sum = 0;
                       for (std::int64_t i = 0; i < n; ++i) sum += g[i] * y[i];
                       for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] * (g[i] - sum);
                   });
}

/// g - e^y Σ g.
Tensor log_softmax_backward(In grad_output, In output, std::int64_t dim, DType input_dtype) {
    return rowwise("_log_softmax_backward_data", grad_output, output, dim, input_dtype,
                   []<class C>(const C* g, const C* y, std::int64_t n, C* out) {
                       const C sum = sum_of(g, n, [](C v) { return v; });
                       for (std::int64_t i = 0; i < n; ++i) out[i] = g[i] - vmath::exp(y[i]) * sum;
                   });
}

/// Of the halves a · sigmoid(b). The sigmoid is rounded to the dtype in between, as PyTorch's is.
Tensor glu_backward(In grad_output, In self, std::int64_t dim) {
    if (self.dim() == 0) throw ArgumentError("glu_backward: expected 'self' with dimensions, found " + describe(self));
    const std::int64_t d = self.wrap_dim(dim);
    const std::int64_t half = self.size(d) / 2;
    Ints expected = self.shape();
    expected[static_cast<std::size_t>(d)] = half;
    if (self.size(d) % 2 != 0)
        throw ArgumentError("glu_backward: expected 'self' of even size in dimension " + std::to_string(d) +
                            ", found " + describe(self));
    if (grad_output.shape() != expected)
        throw ArgumentError("glu_backward: expected 'grad_output' of shape " + to_string(expected) + ", found " +
                            describe(grad_output));
    return visit_float(self.dtype(), "glu_backward", [&]<class C>(C) {
        const Tensor a = self.narrow(d, 0, half);
        const Tensor b = self.narrow(d, half, half);
        Tensor result = Tensor::empty(self.shape(), self.dtype());
        const Tensor first = result.narrow(d, 0, half);
        const Tensor second = result.narrow(d, half, half);
        elementwise_into<C>(
            first, [](C x) { return vmath::sigmoid(x); }, b);
        elementwise_into<C>(
            second, [](C s, C x, C g) { return (C(1) - s) * s * x * g; }, first, a, grad_output);
        elementwise_into<C>(
            first, [](C s, C g) { return s * g; }, first, grad_output);
        return result;
    });
}

/// How glu(x) moves when x moves by dx.
Tensor glu_jvp(In glu, In x, In dx, std::int64_t dim) {
    const std::int64_t d = x.wrap_dim(dim);
    const std::int64_t half = x.dim() == 0 ? 0 : x.size(d) / 2;
    Ints expected = x.shape();
    if (x.dim() > 0) expected[static_cast<std::size_t>(d)] = half;
    if (x.dim() == 0 || x.size(d) % 2 != 0 || dx.shape() != x.shape() || glu.shape() != expected)
        throw ArgumentError("glu_jvp: 'glu' " + describe(glu) + " or 'dx' " + describe(dx) + " do not fit 'x' " +
                            describe(x));
    return visit_float(x.dtype(), "glu_jvp", [&]<class C>(C) {
        return elementwise<C>(
            x.dtype(),
            [](C y, C b, C da, C db) {
                const C s = vmath::sigmoid(b);
                return da * s + y * (db - s * db);
            },
            glu, x.narrow(d, half, half), dx.narrow(d, 0, half), dx.narrow(d, half, half));
    });
}

/// How glu_backward(grad_glu, x) moves when x moves by dx and grad_glu by dgrad_glu.
Tensor glu_backward_jvp(In grad_x, In grad_glu, In x, In dgrad_glu, In dx, std::int64_t dim) {
    const char* op = "glu_backward_jvp";
    const std::int64_t d = x.wrap_dim(dim);
    const std::int64_t half = x.dim() == 0 ? 0 : x.size(d) / 2;
    Ints expected = x.shape();
    if (x.dim() > 0) expected[static_cast<std::size_t>(d)] = half;
    if (x.dim() == 0 || x.size(d) % 2 != 0 || dx.shape() != x.shape() || grad_x.shape() != x.shape() ||
        grad_glu.shape() != expected || dgrad_glu.shape() != expected)
        throw ArgumentError(std::string(op) + ": 'grad_glu' " + describe(grad_glu) + " or 'dx' " + describe(dx) +
                            " do not fit 'x' " + describe(x));
    return visit_float(x.dtype(), op, [&]<class C>(C) {
        const auto halves = [&](In t) { return std::pair{t.narrow(d, 0, half), t.narrow(d, half, half)}; };
        const auto [a, b] = halves(x);
        const auto [da, db] = halves(dx);
        const Tensor result = Tensor::empty(x.shape(), x.dtype());
        const auto [first, second] = halves(result);
        elementwise_into<C>(
            first,
            [](C g, C dg, C y, C dy) {
                const C s = vmath::sigmoid(y);
                return s * (dg + (C(1) - s) * dy * g);
            },
            grad_glu, dgrad_glu, b, db);
        elementwise_into<C>(
            second,
            [](C g, C dg, C v, C dv, C y, C dy) {
                const C s = vmath::sigmoid(y);
                return s * (C(1) - s) * (g * dv + v * dg + g * v * (C(1) - 2 * s) * dy);
            },
            grad_glu, dgrad_glu, a, da, b, db);
        return result;
    });
}

}  // namespace

void register_activation_backward(Registry& r) {
    for (const BinaryEntry& entry : by_output)
        r.add(std::string(entry.names) + "(Tensor grad_output, Tensor output) -> Tensor", bound(entry));
    for (const BinaryEntry& entry : by_input)
        r.add(std::string(entry.names) + "(Tensor grad_output, Tensor self) -> Tensor", bound(entry));
    r.add("gelu_backward(Tensor grad_output, Tensor self, *, str approximate=\"none\") -> Tensor", gelu_backward);
    r.add("threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor", threshold_backward);
    r.add("hardtanh_backward(Tensor grad_output, Tensor self, Scalar min_val, Scalar max_val) -> Tensor",
          hardtanh_backward);
    r.add("leaky_relu_backward(Tensor grad_output, Tensor self, Scalar negative_slope, bool self_is_result) -> Tensor",
          leaky_relu_backward);
    r.add(
        "rrelu_with_noise_backward(Tensor grad_output, Tensor self, Tensor noise, Scalar lower, Scalar upper, bool "
        "training, bool self_is_result) -> Tensor",
        rrelu_with_noise_backward);
    r.add("infinitely_differentiable_gelu_backward(Tensor grad, Tensor self) -> Tensor",
          [](In grad, In self) { return gelu_backward(grad, self, "none"); });
    r.add("glu_jvp(Tensor glu, Tensor x, Tensor dx, int dim) -> Tensor", glu_jvp);
    r.add("glu_backward_jvp(Tensor grad_x, Tensor grad_glu, Tensor x, Tensor dgrad_glu, Tensor dx, int dim) -> Tensor",
          glu_backward_jvp);
    r.add(
        "elu_backward(Tensor grad_output, Scalar alpha, Scalar scale, Scalar input_scale, bool is_result, Tensor "
        "self_or_result) -> Tensor",
        elu_backward);
    r.add("softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor",
          softplus_backward);
    r.add("softshrink_backward(Tensor grad_output, Tensor self, Scalar lambd) -> Tensor", shrink_backward);
    r.add("hardshrink_backward(Tensor grad_out, Tensor self, Scalar lambd) -> Tensor", shrink_backward);
    r.add("log_sigmoid_backward(Tensor grad_output, Tensor self, Tensor buffer) -> Tensor", log_sigmoid_backward);
    r.add("logit_backward(Tensor grad_output, Tensor self, float? eps=None) -> Tensor", logit_backward);
    r.add("_prelu_kernel_backward(Tensor grad_output, Tensor self, Tensor weight) -> (Tensor, Tensor)",
          prelu_kernel_backward);
    r.add("_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor",
          softmax_backward);
    r.add("glu_backward(Tensor grad_output, Tensor self, int dim) -> Tensor", glu_backward);
    r.add("_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor",
          log_softmax_backward);
}

}  // namespace torch_ir::kernels
