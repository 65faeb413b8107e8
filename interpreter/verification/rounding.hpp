// SPDX-License-Identifier: MIT
// What rounding may do to one call of an op: its result in float64, and for every element a standard deviation and a
// hard bound of the error that arithmetic of a given precision makes. docs/verification.md has the formulas and their
// sources.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elementwise.hpp"
#include "plan.hpp"

namespace torch_ir {

/// What references are computed in.
constexpr DType wide = DType::Float64;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The precision of the arithmetic that a candidate may have used, as unit roundoffs (2^-24 for float32).
struct RoundingProfile {
    std::string name = "f32";
    double accumulator = 0x1p-24;  // of sums and of functions
    double operand = 0;            // of the inputs of products; 0: none
    double storage = 0;            // of results, where coarser than their dtype; 0: the dtype's
    double convolution = 1;        // factor on what a convolution may lose (Winograd)
};

/// One call of an op on concrete values.
class OpCall {
  public:
    OpCall(const Step& step, std::vector<IValue> args) : step_(&step), args_(std::move(args)) {}

    const Step& step() const { return *step_; }
    /// `add` for `aten.add_.Tensor`.
    std::string base_name() const;
    const std::vector<IValue>& args() const { return args_; }

    /// The argument of that name in the schema, or nullptr.
    const IValue* find(std::string_view name) const;
    /// The tensor of that name; undefined when it is absent or None.
    Tensor tensor(std::string_view name) const;
    double number(std::string_view name, double otherwise) const;

    /// The same call with one argument replaced.
    OpCall with(std::string_view name, IValue value) const;
    /// The same call with every floating point tensor replaced by `f` of it.
    OpCall map_tensors(const std::function<Tensor(const Tensor&)>& f) const;
    /// The same call in float64.
    OpCall in_double() const;

    /// What the op returns, one value per return. Arguments that the op writes to are copied first; so are all of a
    /// higher-order op whose body writes to one of them.
    std::vector<IValue> run() const { return run_on(writable_arguments()); }
    /// The arguments as run() takes them.
    std::vector<IValue> writable_arguments() const;
    /// The same on such arguments, which are changed.
    std::vector<IValue> run_on(const std::vector<IValue>& args) const;

  private:
    const Step* step_;
    std::vector<IValue> args_;
};

/// One result of a call. `sigma` and `bound` have the shape of real_view of the result, undefined where the op is
/// exact: there the bits must agree. They are float32 tensors, float64 for a result of float64.
struct Reference {
    IValue value;  // float64 where the op rounds; as returned where it is exact
    Tensor sigma;
    Tensor bound;
    std::int64_t independent = std::numeric_limits<std::int64_t>::max();  // errors, when fewer than elements

    bool is_exact() const { return !sigma.defined(); }
};

/// The step is a higher-order op whose body writes to an argument.
bool body_writes(const Step& step);

/// True for ops that move, select or compare and never round, and for results that are no floats.
bool is_exact(const OpCall& call, std::span<const DType> output_dtypes);

/// The results of a call, one per return. `output_dtypes` are those that the graph declares, one per return.
std::vector<Reference> reference(const OpCall& call, std::span<const DType> output_dtypes,
                                 const RoundingProfile& profile);

/// A floating point tensor as float64, a complex one as complex128, any other as it is.
Tensor to_double(const Tensor& tensor);

/// A complex tensor as a real one with a last dimension of two; any other as it is.
Tensor real_view(const Tensor& tensor);

/// 2^-24 for float32, 2^-11 for float16, 2^-8 for bfloat16, 2^-53 for float64, 0 for what is no float.
double unit_roundoff(DType dtype);

namespace detail {

/// A result element with the deviation and the bound of its error.
struct Rounded {
    double value;
    double sigma;
    double bound;
};

/// The unit roundoffs of one call.
struct Precision {
    double u = 0x1p-24;            // of sums and functions
    double result = 0x1p-24;       // of what is stored in the end
    double operand = 0;            // of the operands of products
    double stored = 0;             // of what is stored in between
    double convolution = 1;        // factor on what a convolution may lose
    DType dtype = DType::Float32;  // in which sigma and bound are kept

    /// With the rounding of the result itself on top of the variance and the bound of what went before.
    Rounded rounded(double value, double variance, double bound) const {
        return {value, std::sqrt(variance + result * result / 3 * value * value), bound + result * std::fabs(value)};
    }
};

/// The members of Reference, before they are one.
struct Spread {
    Tensor value;
    Tensor sigma;
    Tensor bound;
    std::int64_t independent = std::numeric_limits<std::int64_t>::max();

    /// Uninitialised and row-major.
    static Spread room(const Ints& shape, const Precision& p) {
        return {Tensor::empty(shape, DType::Float64), Tensor::empty(shape, p.dtype), Tensor::empty(shape, p.dtype)};
    }
};

/// Stores numbers from element `at` of a row-major tensor on.
inline void store_at(const Tensor& tensor, std::int64_t at, const double* values, std::int64_t n) {
    store(tensor.dtype(), tensor.raw() + at * static_cast<std::int64_t>(item_size(tensor.dtype())), 1, Compute::Double,
          values, n);
}

/// `f(inputs…, y)`, as float64, for every element of a result `y` that is known.
template <class F, class... In>
Spread spread_around(const Precision& p, const Tensor& y, const F& f, const In&... inputs) {
    const Spread spread{y, Tensor::empty_like(y, p.dtype), Tensor::empty_like(y, p.dtype)};
    const Operand outs[] = {{&spread.sigma, Compute::Double}, {&spread.bound, Compute::Double}};
    const Operand ins[] = {Operand{&inputs, Compute::Double}..., {&y, Compute::Double}};
    walk(
        outs, ins,
        [](const void* function, std::byte* const* o, const std::byte* const* in, std::int64_t n) {
            const F g = *static_cast<const F*>(function);
            auto* sigma = reinterpret_cast<double*>(o[0]);
            auto* bound = reinterpret_cast<double*>(o[1]);
            const auto loop = [&](const auto*... x) {
#pragma GCC ivdep
                for (std::int64_t i = 0; i < n; ++i) {
                    const Rounded r = g(x[i]...);
                    sigma[i] = r.sigma;
                    bound[i] = r.bound;
                }
            };
            const auto call = [&]<std::size_t... I>(std::index_sequence<I...>) {
                loop(reinterpret_cast<const double*>(in[I])...);
            };
            call(std::make_index_sequence<sizeof...(In) + 1>{});
        },
        &f);
    return spread;
}

/// The spread of repeated runs around a float64 result.
class Scatter {
  public:
    explicit Scatter(Tensor reference);
    /// One more result of the reference's shape. Differences that are not finite do not count.
    void add(const Tensor& result);
    /// sqrt((s + 4 m) / (runs + 4)): s is the sum of the squared differences of an element, m the mean over the tensor
    /// of s / runs.
    Tensor sigma(std::size_t runs) const;

  private:
    Tensor reference_;
    Tensor squares_;
};

/// The variance of a float sum of `n` terms with the given sum, sum of squared terms and result, in units of u²: of a
/// random order of the terms, plus `order`, the sum of the squares of the partial sums in the natural order. Terms that
/// are all alike are rounded alike, so that their errors add up instead of averaging out.
inline double sum_variance(double n, double sum, double squares, double result, double order = 0) {
    const double centred = std::max(0.0, squares - sum * sum / n);
    const double alike = std::fabs(squares - sum * sum / n) < 1e-5 * squares ? n * n * sum * sum / 6 : 0;
    return (n * sum * sum / 3 + n * centred / 6 + order + squares + 2 * result * result + alike) / 3;
}

// The classes of ops whose error is more than a formula of input and output; each returns false for other ops.
bool dot_spread(const OpCall& call, const Precision& p, Spread& result);
bool sum_spread(const OpCall& call, const Precision& p, Spread& result);  // of a call in float64
bool softmax_spread(const OpCall& call, const Precision& p, Spread& result);
bool norm_spread(const OpCall& call, const Precision& p, Spread& result);
bool attention_spread(const OpCall& call, const Precision& p, Spread& result);

}  // namespace detail

}  // namespace torch_ir
