// SPDX-License-Identifier: MIT
#include "verification/rounding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "alias.hpp"
#include "elementwise.hpp"
#include "generator.hpp"
#include "parallel.hpp"
#include "scratch.hpp"

namespace torch_ir {
namespace {

using Names = std::set<std::string, std::less<>>;

bool is_float(const Tensor& tensor) {
    return tensor.defined() && (is_floating_point(tensor.dtype()) || is_complex(tensor.dtype()));
}

bool is_float_tensor(const IValue& value) {
    const auto* tensor = std::get_if<Tensor>(&value);
    return tensor && is_float(*tensor);
}

/// Ops that move, select or compare, besides those that return views or no floats.
bool is_exact_name(const std::string& op) {
    static constexpr std::string_view names =
        " _to_copy _unsafe_index _unsafe_view abs adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d alias "
        "amax amin as_strided broadcast_tensors cat ceil channel_shuffle clamp clamp_max clamp_min clip clone concat "
        "concatenate constant_pad_nd contiguous convert_element_type copy copysign diag_embed dropout embedding "
        "empty empty_like fill flatten flip floor full full_like gather hardtanh histc im2col index index_copy "
        "index_fill index_put index_select lift_fresh_copy masked_fill masked_scatter masked_select max max_pool1d "
        "max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum "
        "meshgrid min minimum nan_to_num neg new_empty new_full new_ones new_zeros one_hot ones ones_like pad "
        "pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 repeat "
        "repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape roll round scalar_tensor "
        "scatter select_scatter sgn sign slice_scatter sort split split_with_sizes stack take take_along_dim "
        "threshold tile to topk tril triu trunc type_as unfold_copy upsample_nearest1d upsample_nearest2d "
        "upsample_nearest3d where zero zeros zeros_like ";
    return names.find(" " + op + " ") != std::string_view::npos;
}

/// Whether an op of those computes all the same: sums, products, scaled numbers, absolute values of complex numbers.
bool computes(const OpCall& call) {
    const Tensor self = call.tensor("self");
    const std::string op = call.base_name();
    return call.number("accumulate", 0) != 0 || call.number("decimals", 0) != 0 || call.find("reduce") ||
           ((op == "abs" || op == "sgn") && self.defined() && is_complex(self.dtype()));
}

/// Running statistics are written in training although the schemas do not say so. (A hypothesis may train where the
/// node does not.)
bool is_written(const SchemaParameter& parameter) {
    return may_change(parameter) || parameter.name == "running_mean" || parameter.name == "running_var";
}

/// A deviation of `sigma(x, y)` and a bound of `bound(x, y)` for a pointwise op of one operand `x`.
template <class A, class B>
Reference pointwise(const OpCall& call, const Tensor& y, const detail::Precision& p, A sigma, B bound) {
    Tensor x = call.tensor("self");
    if (!x.defined()) x = call.tensor("input");
    return detail::spread_around(
        y,
        [=](double v, double w) {
            const double s = sigma(v, w);
            return p.rounded(w, s * s, bound(v, w));
        },
        x);
}

/// A relative error of at most `k` roundings, one of them of a normal size.
Reference relative(const Tensor& y, const detail::Precision& p, double k) {
    return detail::spread_around(y, [=](double v) {
        const double bound = p.u * k * std::fabs(v);
        return p.rounded(v, bound * bound / 4, bound);
    });
}

/// How many times what rounding of the operands makes of it the error of an op's own float32 arithmetic may be. Where
/// coordinates are computed, they are off by their size in roundings, and so are the weights of their neighbours.
double most_own_error(const OpCall& call, const Tensor& y) {
    const std::string op = call.base_name();
    const bool coordinates = op.find("upsample_") != std::string::npos || op.starts_with("grid_sampler");
    if (!coordinates) return 4;
    std::int64_t size = 4;
    for (const Tensor& t : {call.tensor("input"), call.tensor("self"), y})
        if (t.defined() && t.dim() > 2)
            size = std::max(size, *std::max_element(t.shape().begin() + 2, t.shape().end()));
    return 2 * static_cast<double>(size);
}

/// At least: factorisations go over every element as often as a matrix has columns. The exponent is that of the growth
/// of elements in Gaussian elimination (Trefethen, Schreiber: Average-case stability of Gaussian elimination, 1990).
double least_own_error(const OpCall& call) {
    const std::string op = call.base_name();
    static const Names plain{"cholesky", "cholesky_inverse", "cholesky_solve", "det", "geqrf",
                             "inverse",  "lu_solve",         "pinverse",       "qr",  "logdet",
                             "svd",      "triangular_solve"};
    if (op.find("norm") != std::string::npos || (op.find("linalg_") == std::string::npos && !plain.contains(op)))
        return 1;
    const IValue& first = call.args().front();
    const auto* matrix = std::get_if<Tensor>(&first);
    return matrix && matrix->defined() && matrix->dim() >= 2
               ? std::pow(static_cast<double>(std::max({matrix->size(-1), matrix->size(-2), std::int64_t{1}})), 2.0 / 3)
               : 1;
}

/// The error of the op's own float32 arithmetic in units of `sigma`: what an algorithm loses beside the rounding of its
/// operands. Rms, or a quarter of the largest.
double own_error(const OpCall& call, std::size_t index, const Tensor& y, const Tensor& sigma) {
    const OpCall narrow = call.map_tensors(
        [](const Tensor& tensor) { return is_complex(tensor.dtype()) ? tensor : tensor.to(DType::Float32); });
    const IValue result = narrow.run()[index];
    const auto* found = std::get_if<Tensor>(&result);
    if (!found || found->shape() != y.shape() || y.numel() == 0) return 1;
    const Tensor ratios = elementwise<double>(
        wide,
        [](double a, double b, double s) {
            const double q = (a - b) / s;
            return q * q < 1e6 ? q * q : 0;  // neither NaN nor an error of another kind
        },
        *found, y, sigma);
    const Tensor dense = ratios.contiguous();
    const double* q = dense.data<double>();
    const double mean = std::accumulate(q, q + dense.numel(), 0.0) / static_cast<double>(dense.numel());
    const double least = least_own_error(call);
    return std::clamp(std::sqrt(std::max(mean, *std::max_element(q, q + dense.numel()) / 16)), least,
                      std::max(least, most_own_error(call, y)));
}

/// For ops without a model of their own: what relative errors of one rounding in the operands do to the result.
Reference perturbed(const OpCall& call, std::size_t index, const Tensor& y, const detail::Precision& p) {
    constexpr std::size_t probes = 4;
    const double u = p.u;
    Generator generator(index + 1);
    detail::Scatter scatter(y);
    for (std::size_t probe = 0; probe < probes; ++probe) {
        const OpCall shaken = call.map_tensors([&](const Tensor& tensor) {
            const Tensor noisy = to_double(tensor).contiguous().clone();
            const Tensor parts = real_view(noisy);
            for (std::int64_t i = 0; i < parts.numel(); ++i) {
                double& x = parts.data<double>()[i];
                const double most = std::fabs(x) <= 1 ? 1 : std::numeric_limits<double>::infinity();
                x = std::clamp(x * (1 + 2 * u * std::clamp(generator.normal(), -3.0, 3.0)), -most, most);
            }
            return noisy.to(tensor.dtype());
        });
        const IValue result = shaken.run()[index];
        const auto* tensor = std::get_if<Tensor>(&result);
        if (!tensor || real_view(*tensor).shape() != y.shape()) break;
        scatter.add(*tensor);
    }
    const Tensor sigma = elementwise<double>(
        wide, [=](double s, double v) { return s + 4 * u * std::fabs(v); }, scatter.sigma(probes), y);
    const double factor =
        p.result == unit_roundoff(DType::Float32) && call.step().op ? own_error(call, index, y, sigma) : 1;
    return detail::spread_around(
        y, [=](double s, double v) { return p.rounded(v, factor * factor * s * s, 100 * factor * s); }, sigma);
}

/// An operand that is a number which a dtype with roundings of `u` does not hold exactly, else 0.
double inexact_number(const OpCall& call, double u) {
    for (const std::string_view name : {"self", "other"}) {
        const IValue* operand = call.find(name);
        if (!operand) continue;
        const auto* tensor = std::get_if<Tensor>(operand);
        if (tensor && (!tensor->defined() || !tensor->is_wrapped_number() || is_complex(tensor->dtype()))) continue;
        if (!tensor && !std::holds_alternative<double>(*operand)) continue;
        const double number = to_scalar(*operand).to<double>();
        int exponent = 0;
        const double digits = std::frexp(number, &exponent) / u;
        if (digits != std::trunc(digits)) return number;
    }
    return 0;
}

/// The squares of the lengths of rows, one per row.
Tensor squared_lengths(const Tensor& x) {
    const Tensor dense = x.to(wide).contiguous();
    const std::int64_t n = x.size(-1);
    Tensor result = Tensor::zeros(Ints(x.shape().begin(), x.shape().end() - 1), wide);
    for (std::int64_t i = 0; i < result.numel(); ++i) {
        const double* row = dense.data<double>() + i * n;
        result.data<double>()[i] = std::inner_product(row, row + n, row, 0.0);
    }
    return result;
}

/// Whether PyTorch computes the distances as |x|² - 2 x·y + |y|² (cdist_impl in aten/src/ATen/native/Distance.cpp).
bool is_distance_by_products(const OpCall& call) {
    const std::string op = call.base_name();
    if (op == "_euclidean_dist") return true;
    if ((op != "cdist" && op != "_cdist_forward") || call.number("p", 2) != 2) return false;
    const double mode = call.number("compute_mode", 0);
    return mode == 1 || (mode == 0 && (call.tensor("x1").size(-2) > 25 || call.tensor("x2").size(-2) > 25));
}

/// The squares of small distances are differences of large numbers.
Reference distance_by_products(const OpCall& call, const Tensor& y, const detail::Precision& p) {
    const Tensor a = squared_lengths(call.tensor("x1")).unsqueeze(-1);
    const Tensor b = squared_lengths(call.tensor("x2")).unsqueeze(-2);
    const auto n = static_cast<double>(call.tensor("x1").size(-1));
    return detail::spread_around(
        y,
        [=, u = p.u](double x, double z, double d) {
            const double error = u * (x + z) * (1 + std::sqrt(n) / 4);
            const double most = u * (x + z) * (4 + n);
            const double sigma = error / std::max({2 * d, std::sqrt(error), 0x1p-500});
            return p.rounded(d, sigma * sigma, most / std::max({2 * d, std::sqrt(most), 0x1p-500}));
        },
        a, b);
}

/// The classes whose error is a formula of operand and result.
bool formula_spread(const OpCall& call, const Tensor& y, const detail::Precision& p, Reference& spread) {
    const std::string op = call.base_name();
    static const Names rounded{"add", "sub", "rsub", "mul", "square"};
    static const Names quotients{"div", "sqrt", "rsqrt", "reciprocal", "true_divide", "divide"};
    static const Names functions{"tanh", "erf",  "log",   "log2",  "log10", "log1p",     "sin",
                                 "cos",  "atan", "asinh", "expm1", "erfc",  "hardswish", "atan2"};
    static const Names sigmoids{"sigmoid", "silu", "softplus", "mish", "elu", "selu", "log_sigmoid", "exp", "exp2"};
    const double u = p.u;
    if (rounded.contains(op)) {  // the rounding of the result is all, but for alpha, which scales one operand
        const double alpha = call.number("alpha", 1);
        // A number may be rounded to the tensor's dtype first.
        const double step = std::max(u, p.result);
        const double number = inexact_number(call, step);
        const double of_result = op == "mul" && number != 0 ? step : 0;
        const double constant = op != "mul" ? step * std::fabs(alpha * number) : 0;
        const Tensor other = alpha != 1 ? call.tensor("other") : Tensor{};
        const double of_other = other.defined() ? step * std::fabs(alpha) : 0;
        spread = detail::spread_around(
            y,
            [=](double o, double v) {
                const double more = constant + of_other * std::fabs(o) + of_result * std::fabs(v);
                return p.rounded(v, more * more, more);
            },
            other.defined() ? other : Tensor::zeros({}, wide));
        if (number != 0) spread.independent = 1;  // its rounding moves all elements alike
    } else if (is_distance_by_products(call)) {
        spread = distance_by_products(call, y, p);
    } else if (quotients.contains(op)) {
        spread = relative(y, p, 2);
    } else if (functions.contains(op)) {
        spread = relative(y, p, 4);
    } else if (sigmoids.contains(op)) {
        spread = pointwise(
            call, y, p, [=](double x, double v) { return u * std::fabs(v) * (2 + std::fabs(x)); },
            [=](double x, double v) { return u * (std::fabs(v) * (6 + 2 * std::fabs(x)) + 0x1p-100); });
    } else if (op == "logit") {
        const double eps = call.number("eps", 0);
        const double of_clamp = eps > 0 ? 1 / eps : 0;  // what the rounding of 1 - eps does
        const double step = std::max(u, p.result);
        spread = pointwise(
            call, y, p, [=](double, double v) { return step * (2 + std::fabs(v) + of_clamp); },
            [=](double, double v) { return step * (8 + 4 * std::fabs(v) + of_clamp); });
    } else if (op == "pow" && call.tensor("self").defined()) {  // the exponent may be rounded
        const Tensor exponent = call.tensor("exponent");
        const double number = exponent.defined() ? 0 : call.number("exponent", 1);
        spread = detail::spread_around(
            y,
            [=](double x, double e, double v) {
                const double size = std::fabs(v);
                const double logs = x == 0 ? 0 : std::fabs((e + number) * std::log(std::fabs(x)));
                return p.rounded(v, u * u * size * size * (2 + logs) * (2 + logs), u * size * (4 + logs));
            },
            call.tensor("self"), exponent.defined() ? exponent : Tensor::zeros({}, wide));
    } else if (op == "gelu") {
        spread = pointwise(
            call, y, p, [=](double x, double v) { return u * std::sqrt(4 * v * v + 4 * x * x); },
            [=](double x, double v) { return u * (4 * std::fabs(v) + 8 * std::fabs(x)); });
    } else if (op == "hardsigmoid") {
        spread = pointwise(
            call, y, p, [=](double x, double v) { return u * (std::fabs(v) + (std::fabs(x) + 3) / 6); },
            [=](double x, double v) { return u * (4 * std::fabs(v) + (std::fabs(x) + 3) / 2); });
    } else if (op == "norm" || op == "linalg_vector_norm") {  // roots of plain sums; of squares there are lanes
        const double order = std::fabs(call.number(op == "norm" ? "p" : "ord", 2));
        const double n = static_cast<double>(call.tensor("self").numel()) / static_cast<double>(y.numel());
        if (order == 0 || order == 2 || std::isinf(order)) return false;
        spread = detail::spread_around(y, [=](double v) {
            const double sigma = u * std::fabs(v) * (2 + std::sqrt(n) / (3 * order));
            return p.rounded(v, sigma * sigma, u * std::fabs(v) * (4 + n / order));
        });
    } else if (op == "leaky_relu" || op == "prelu") {
        spread = relative(y, p, 1);
    } else {
        return false;
    }
    return true;
}

/// What a call whose result has `dtype` rounds to.
detail::Precision precision_of(DType dtype, const RoundingProfile& profile) {
    const bool in_double = dtype == wide;
    detail::Precision p;
    p.u = in_double ? 0x1p-52 : profile.accumulator;  // float64 is checked against float64
    p.result = std::max(in_double ? p.u : unit_roundoff(dtype), profile.storage);
    p.operand = profile.operand;
    // Attention and biases of 16-bit tensors see what was stored in between.
    p.stored = unit_roundoff(dtype) > p.u ? std::max(profile.storage, unit_roundoff(dtype)) : profile.storage;
    p.convolution = profile.convolution;
    return p;
}

}  // namespace

double unit_roundoff(DType dtype) {
    switch (dtype) {
        case DType::Float64:
        case DType::Complex128:
            return 0x1p-53;
        case DType::Float32:
        case DType::Complex64:
            return 0x1p-24;
        case DType::Float16:
            return 0x1p-11;
        case DType::BFloat16:
            return 0x1p-8;
        default:
            return category(dtype) == DTypeCategory::Float8 ? 0x1p-3 : 0;
    }
}

std::string OpCall::base_name() const {
    std::string_view name = torch_ir::base_name(step_->node->op_type);
    if (name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') name.remove_suffix(1);
    return std::string(name);
}

const IValue* OpCall::find(std::string_view name) const {
    if (!step_->op) return nullptr;
    const auto& parameters = step_->op->schema.parameters;
    for (std::size_t i = 0; i < std::min(parameters.size(), args_.size()); ++i)
        if (parameters[i].name == name) return &args_[i];
    return nullptr;
}

Tensor OpCall::tensor(std::string_view name) const {
    const IValue* value = find(name);
    const auto* tensor = value ? std::get_if<Tensor>(value) : nullptr;
    return tensor ? *tensor : Tensor{};
}

double OpCall::number(std::string_view name, double otherwise) const {
    const IValue* value = find(name);
    if (!value || std::holds_alternative<None>(*value)) return otherwise;
    return to_scalar(*value).to<double>();
}

OpCall OpCall::with(std::string_view name, IValue value) const {
    OpCall copy = *this;
    if (const IValue* found = find(name)) copy.args_[static_cast<std::size_t>(found - args_.data())] = std::move(value);
    return copy;
}

OpCall OpCall::map_tensors(const std::function<Tensor(const Tensor&)>& f) const {
    OpCall copy = *this;
    for (IValue& value : copy.args_) {
        if (is_float_tensor(value)) {
            if (!std::get<Tensor>(value).is_wrapped_number()) value = f(std::get<Tensor>(value));
        } else if (auto* list = std::get_if<TensorList>(&value)) {
            for (Tensor& tensor : *list)
                if (is_float(tensor)) tensor = f(tensor);
        }
    }
    return copy;
}

OpCall OpCall::in_double() const { return map_tensors(to_double); }

std::vector<IValue> OpCall::writable_arguments() const {
    const bool all = body_writes(*step_);
    std::vector<IValue> args = args_;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (!all && (!step_->op || !is_written(step_->op->schema.parameters[i]))) continue;
        if (auto* tensor = std::get_if<Tensor>(&args[i]); tensor && tensor->defined()) *tensor = tensor->clone();
        if (auto* list = std::get_if<TensorList>(&args[i]))
            for (Tensor& tensor : *list)
                if (tensor.defined()) tensor = tensor.clone();
    }
    return args;
}

std::vector<IValue> OpCall::run_on(const std::vector<IValue>& args) const {
    Generator generator = *generator_;
    return run_on(args, generator);
}

std::vector<IValue> OpCall::run_on(const std::vector<IValue>& args, Generator& generator) const {
    std::vector<const IValue*> pointers;
    for (const IValue& arg : args) pointers.push_back(&arg);
    std::vector<IValue> results;
    CallState state;
    Context context;
    context.state = &state;
    context.generator = &generator;
    (step_->op ? step_->op->kernel : *step_->function)(context, pointers, results);
    return results;
}

Tensor to_double(const Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (is_floating_point(tensor.dtype())) return tensor.to(wide);
    return is_complex(tensor.dtype()) ? tensor.to(DType::Complex128) : tensor;
}

void Reference::for_each_block(const BlockSink& sink) const {
    if (blocks) return blocks(sink);
    const Tensor operands[] = {real_view(std::get<Tensor>(value)), sigma, bound};
    detail::for_each_operand_block(operands, sigma.numel(),
                                   [&](std::int64_t at, std::int64_t n, const double* const* in) {
                                       sink({at, n, in[0], in[1], in[2]});
                                   });
}

void Reference::compute() {
    if (!blocks) return;
    const Tensor all[] = {Tensor::empty(shape, wide), Tensor::empty(shape, wide), Tensor::empty(shape, wide)};
    blocks({[&](const RoundedBlock& block) {
        const double* const from[] = {block.value, block.sigma, block.bound};
        for (std::size_t i = 0; i < 3; ++i) std::copy_n(from[i], block.n, all[i].data<double>() + block.at);
    }});
    value = all[0];
    sigma = all[1];
    bound = all[2];
    blocks = nullptr;
}

namespace detail {

void for_each_operand_block(std::span<const Tensor> operands, std::int64_t count,
                            const std::function<void(std::int64_t, std::int64_t, const double* const*)>& f) {
    std::vector<Tensor> dense;
    for (const Tensor& operand : operands) dense.push_back(operand.contiguous());
    parallel_for(
        (count + block_size - 1) / block_size, parallel_grain / block_size, [&](std::int64_t begin, std::int64_t end) {
            const Scratch<double> converted(block_size * static_cast<std::int64_t>(dense.size()));
            std::vector<const double*> in(dense.size());
            for (std::int64_t at = begin * block_size; at < std::min(count, end * block_size); at += block_size) {
                const std::int64_t n = std::min(block_size, count - at);
                for (std::size_t k = 0; k < dense.size(); ++k) {
                    const Tensor& x = dense[k];
                    const std::int64_t step = x.numel() == 1 ? 0 : 1;
                    if (x.dtype() == wide && step == 1) {
                        in[k] = x.data<double>() + at;
                        continue;
                    }
                    double* to = converted.data() + static_cast<std::int64_t>(k) * block_size;
                    load(Compute::Double, to, x.dtype(),
                         x.raw() + at * step * static_cast<std::int64_t>(item_size(x.dtype())), step, n);
                    in[k] = to;
                }
                f(at, n, in.data());
            }
        });
}

Scatter::Scatter(Tensor reference)
    : reference_(std::move(reference)), squares_(Tensor::zeros(reference_.shape(), wide)) {}

void Scatter::add(const Tensor& result) {
    squares_ = elementwise<double>(
        wide,
        [](double s, double a, double b) {
            const double d = a - b;
            return std::isfinite(d) ? s + d * d : s;
        },
        squares_, reference_, real_view(result));
}

Tensor Scatter::sigma(std::size_t runs) const {
    const auto k = static_cast<double>(runs);
    const Tensor dense = squares_.contiguous();
    double mean = std::accumulate(dense.data<double>(), dense.data<double>() + dense.numel(), 0.0);
    mean /= std::max<double>(1, static_cast<double>(dense.numel())) * k;
    return elementwise<double>(
        wide, [=](double s) { return std::sqrt((s + 4 * mean) / (k + 4)); }, squares_);
}

}  // namespace detail

Tensor real_view(const Tensor& tensor) {
    if (!tensor.defined() || !is_complex(tensor.dtype())) return tensor;
    const Tensor whole = tensor.to(DType::Complex128);
    Ints shape = whole.shape();
    Ints strides = whole.strides();
    for (std::int64_t& stride : strides) stride *= 2;
    shape.push_back(2);
    strides.push_back(1);
    return {whole.storage(), wide, std::move(shape), std::move(strides), whole.offset() * 2};
}

bool body_writes(const Step& step) {
    if (step.op) return false;
    return std::any_of(step.node->args.begin(), step.node->args.end(), [](const NamedArgument& argument) {
        const auto* body = argument.value.get_if<Subgraph>();
        if (!body || !body->graph) return false;
        const std::vector<bool> written = find_written_inputs(*body->graph);
        return std::find(written.begin(), written.end(), true) != written.end();
    });
}

bool is_exact(const OpCall& call, std::span<const DType> output_dtypes) {
    const Step& step = call.step();
    if (!output_dtypes.empty() && std::none_of(output_dtypes.begin(), output_dtypes.end(), [](DType dtype) {
            return is_floating_point(dtype) || is_complex(dtype);
        }))
        return true;
    if (!step.op)
        return !step.node->op_type.starts_with("torch.vmap") &&
               step.node->op_type.find("higher_order") == std::string::npos;
    if (is_exact_name(call.base_name())) return !computes(call);
    const auto& returns = step.op->schema.returns;
    const bool view = !returns.empty() && std::all_of(returns.begin(), returns.end(), [](const SchemaParameter& r) {
        return !r.alias.empty() && !r.is_write;
    });
    return view || std::none_of(call.args().begin(), call.args().end(), [](const IValue& value) {
               const auto* list = std::get_if<TensorList>(&value);
               return is_float_tensor(value) || (list && std::any_of(list->begin(), list->end(), is_float));
           });
}

std::vector<Reference> reference(const OpCall& original, std::span<const DType> output_dtypes,
                                 const RoundingProfile& profile) {
    std::vector<Reference> references;
    if (is_exact(original, output_dtypes)) {
        for (IValue& value : original.run()) references.push_back({std::move(value)});
        return references;
    }
    const DType dtype = output_dtypes.empty() ? DType::Float32 : output_dtypes[0];
    const detail::Precision p = precision_of(dtype, profile);
    Reference spread;
    bool modelled = detail::dot_spread(original, p, spread) || detail::softmax_spread(original, p, spread) ||
                    detail::norm_spread(original, p, spread) || detail::attention_spread(original, p, spread);
    if (modelled && original.step().outputs.size() == 1) return {std::move(spread)};
    const OpCall call = original.step().op ? original.in_double() : original;
    modelled = modelled || detail::sum_spread(call, p, spread);
    std::vector<IValue> values;
    if (!modelled || original.step().outputs.size() > 1) values = call.run();
    if (modelled && values.empty()) return {std::move(spread)};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto* tensor = std::get_if<Tensor>(&values[i]);
        const DType own_dtype = i < output_dtypes.size() ? output_dtypes[i] : DType::Float32;
        if (!tensor || !is_float_tensor(values[i]) || !(is_floating_point(own_dtype) || is_complex(own_dtype))) {
            references.push_back({values[i]});
            continue;
        }
        if (i > 0 || !modelled) {
            detail::Precision own = precision_of(own_dtype, profile);
            own.u = p.u;
            const Tensor y = to_double(real_view(*tensor));
            const bool known = i == 0 && (detail::fft_spread(call, *tensor, own, spread) ||
                                          (!is_complex(tensor->dtype()) && formula_spread(original, y, own, spread)));
            own.u = std::max(p.u, own.result);  // steps in between may be rounded to the dtype
            if (!known) spread = perturbed(call, i, y, own);
        }
        if (is_complex(tensor->dtype())) {
            spread.compute();
            spread.value = values[i];
        }
        references.push_back(spread);
    }
    return references;
}

}  // namespace torch_ir
