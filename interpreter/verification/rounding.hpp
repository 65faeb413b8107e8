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
#include "generator.hpp"
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
    /// Every run draws the same random numbers: those that `generator`, which must outlive the call, is about to give.
    OpCall(const Step& step, std::vector<IValue> args, const Generator& generator = default_generator())
        : step_(&step), args_(std::move(args)), generator_(&generator) {}

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
    /// The same with the numbers that `generator` gives, which goes on.
    std::vector<IValue> run(Generator& generator) const { return run_on(writable_arguments(), generator); }

  private:
    std::vector<IValue> run_on(const std::vector<IValue>& args, Generator& generator) const;

    const Step* step_;
    std::vector<IValue> args_;
    const Generator* generator_;
};

/// Some elements of a result that rounds, in row-major order from element `at` on.
struct RoundedBlock {
    std::int64_t at;
    std::int64_t n;
    const double* value;
    const double* sigma;
    const double* bound;  // nullptr: there is none, or nobody asks for it
};

/// What becomes of blocks. Not all look at the bounds, which take time.
struct BlockSink {
    std::function<void(const RoundedBlock&)> take;
    bool needs_bounds = true;

    void operator()(const RoundedBlock& block) const { take(block); }
};

/// One result of a call. Where the op rounds, its value, sigma and bound are computed block by block when they are
/// asked for: most are judged on the spot, and kept nowhere. All but a complex value are float64 then.
struct Reference {
    IValue value;    // as returned where the op is exact; None as long as only `blocks` is there
    Tensor sigma{};  // of the shape of real_view of the value; undefined where the op is exact: the bits must agree
    Tensor bound{};
    Ints shape{};                                                         // of what `blocks` gives
    std::function<void(const BlockSink&)> blocks{};                       // side by side on several threads
    std::int64_t independent = std::numeric_limits<std::int64_t>::max();  // errors, when fewer than elements

    bool is_exact() const { return !blocks && !sigma.defined(); }
    /// Gives a result that rounds to `sink`, block by block.
    void for_each_block(const BlockSink& sink) const;
    /// Puts the blocks into `value`, `sigma` and `bound`, if that has not been done.
    void compute();
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
    double u = 0x1p-24;       // of sums and functions
    double result = 0x1p-24;  // of what is stored in the end
    double operand = 0;       // of the operands of products
    double stored = 0;        // of what is stored in between
    double convolution = 1;   // factor on what a convolution may lose

    /// With the rounding of the result itself on top of the variance and the bound of what went before.
    Rounded rounded(double value, double variance, double bound) const {
        return {value, std::sqrt(variance + result * result * (1.0 / 3) * value * value),
                bound + result * std::fabs(value)};
    }
};

/// Elements that are computed at once: what belongs to them stays in the cache.
inline constexpr std::int64_t block_size = 1024;

/// Calls `f(at, n, in)` for blocks of a row-major result of `count` elements, side by side; in[k] are the elements of
/// operand k, which has as many or is one number, as float64.
void for_each_operand_block(std::span<const Tensor> operands, std::int64_t count,
                            const std::function<void(std::int64_t, std::int64_t, const double* const*)>& f);

/// `f(inputs…, y)`, as float64, for every element of a result `y` that is known; inputs broadcast to it.
template <class F, class... In>
Reference spread_around(const Tensor& y, const F& f, const In&... inputs) {
    Reference result;
    result.shape = y.shape();
    [[maybe_unused]] const auto operand = [&](const Tensor& t) { return t.numel() == 1 ? t : t.expand(y.shape()); };
    result.blocks = [f, count = y.numel(),
                     operands = std::vector<Tensor>{operand(inputs)..., y}](const BlockSink& sink) {
        for_each_operand_block(operands, count, [&](std::int64_t at, std::int64_t n, const double* const* in) {
            double value[block_size];
            double sigma[block_size];
            double bound[block_size];
            const F g = f;
            const auto loop = [&](const auto*... x) {
#pragma GCC ivdep
                for (std::int64_t i = 0; i < n; ++i) {
                    const Rounded r = g(x[i]...);
                    value[i] = r.value;
                    sigma[i] = r.sigma;
                    bound[i] = r.bound;
                }
            };
            const auto call = [&]<std::size_t... I>(std::index_sequence<I...>) { loop(in[I]...); };
            call(std::make_index_sequence<sizeof...(In) + 1>{});
            sink({at, n, value, sigma, bound});
        });
    };
    return result;
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
    const double apart = squares - sum * sum * (1 / n);  // no division in a loop
    const double alike = std::fabs(apart) < 1e-5 * squares ? n * n * sum * sum : 0;
    return (n * sum * sum * 2 + n * std::max(0.0, apart) + alike) * (1.0 / 18) +
           (order + squares + 2 * result * result) * (1.0 / 3);
}

// The classes of ops whose error is more than a formula of input and output; each returns false for other ops.
bool dot_spread(const OpCall& call, const Precision& p, Reference& result);
bool sum_spread(const OpCall& call, const Precision& p, Reference& result);  // of a call in float64
bool softmax_spread(const OpCall& call, const Precision& p, Reference& result);
bool norm_spread(const OpCall& call, const Precision& p, Reference& result);
bool attention_spread(const OpCall& call, const Precision& p, Reference& result);
/// Of a call that has the result `result`.
bool fft_spread(const OpCall& call, const Tensor& result, const Precision& p, Reference& spread);

}  // namespace detail

}  // namespace torch_ir
