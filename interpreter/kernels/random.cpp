// SPDX-License-Identifier: MIT
// Random tensors: equal, number for number, to PyTorch's on the CPU (aten/src/ATen/native/cpu/DistributionTemplates.h).
#include "kernels/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "elementwise.hpp"
#include "half.hpp"
#include "kernels/box_muller.hpp"
#include "kernels/families.hpp"
#include "overlap.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

/// Bits of a float type's significand.
int significand_bits(DType dtype) {
    switch (dtype) {
        case DType::Float64:
            return 53;
        case DType::Float32:
            return 24;
        case DType::Float16:
            return 11;
        case DType::BFloat16:
            return 8;
        default:
            throw UnsupportedError("random numbers of dtype '" + std::string(name(dtype)) + "' are not supported");
    }
}

/// One number in [from, to) of the dtype. Fused multiply-adds here and below are those that PyTorch's compiler makes;
/// what rounds up to `to` becomes `from`.
double draw_uniform(Generator& g, DType dtype, double from, double to) {
    double value;
    if (dtype == DType::Float64) {
        value = std::fma(g.uniform(), to - from, from);
    } else {
        const auto low = static_cast<float>(from);
        value = round_to(dtype, std::fma(g.uniform_float(), static_cast<float>(to) - low, low));
    }
    return value >= round_to(dtype, to) ? round_to(dtype, from) : value;
}

/// The real and imaginary parts of a dense complex tensor, as a tensor of their own.
Tensor parts_of(In out) {
    return Tensor(out.storage(), to_real(out.dtype()), {2 * out.numel()}, {1}, 2 * out.offset());
}

void fill_uniform(Context& context, In out, double from, double to) {
    if (is_complex(out.dtype())) return fill_uniform(context, parts_of(out), from, to);
    significand_bits(out.dtype());
    if (!(from <= to))
        throw ArgumentError("uniform: expected from <= to, found from " + std::to_string(from) + " and to " +
                            std::to_string(to));
    if (!std::isfinite(round_to(out.dtype(), to) - round_to(out.dtype(), from)))
        throw ArgumentError("uniform: expected a finite range in " + std::string(name(out.dtype())) + ", found from " +
                            std::to_string(from) + " and to " + std::to_string(to));
    fill_random(context, out, [&](Generator& g) { return draw_uniform(g, out.dtype(), from, to); });
}

/// As PyTorch fills a small tensor, or one that is not contiguous.
void fill_normal_serially(Context& context, In out, double mean, double std) {
    fill_random(context, out, [=](Generator& g) { return std::fma(g.normal(), std, mean); });
}

void fill_normal(Context& context, In out, double mean, double std) {
    const DType dtype = out.dtype();
    if (!(std >= 0)) throw ArgumentError("normal: expected std to be at least 0, found " + std::to_string(std));
    if (is_complex(dtype))  // both parts share the variance and have this mean
        return (out.is_contiguous() ? fill_normal : fill_normal_serially)(context, parts_of(out), mean,
                                                                          std / std::numbers::sqrt2);
    significand_bits(dtype);
    if (out.numel() < 16 || !out.is_contiguous()) return fill_normal_serially(context, out, mean, std);
    const auto fill = [&]<class C>(C) {
        std::vector<C> values(static_cast<std::size_t>(out.numel()));
        {
            Generator& generator = generator_of(context);
            const std::scoped_lock lock(generator.mutex);
            fill_normal_blocks<C>(generator, values, static_cast<C>(mean), static_cast<C>(std), item_size(dtype) == 2);
        }
        store(dtype, out.raw(), 1, compute_of<C>(), values.data(), out.numel());
    };
    if (dtype == DType::Float64)
        fill(double{});
    else
        fill(float{});
}

/// Whole numbers in [low, low + range); range 0 stands for 2^64.
void fill_integers(Context& context, In out, std::int64_t low, std::uint64_t range) {
    const bool wide = range == 0 || range >= std::uint64_t{1} << 28;
    fill_random(context, out, [=](Generator& g) {
        const std::uint64_t value = wide ? g.random64() : g.random();
        if (range == 0) return static_cast<std::int64_t>(value);
        return static_cast<std::int64_t>(value % range + static_cast<std::uint64_t>(low));
    });
}

/// The largest whole number that random_ draws for a dtype.
std::int64_t largest_whole(DType dtype) {
    if (dtype == DType::Bool) return 1;
    if (is_floating_point(dtype)) return std::int64_t{1} << significand_bits(dtype);
    const int bits = 8 * static_cast<int>(item_size(dtype));
    const bool is_signed = category(dtype) == DTypeCategory::Signed;
    return is_signed || bits == 64 ? std::numeric_limits<std::int64_t>::max() >> (64 - bits)
                                   : (std::int64_t{1} << bits) - 1;
}

/// Any whole number that the dtype holds, from 0 on.
Tensor random(Context& context, In self, None) {
    const Tensor out = Tensor::empty_like(self, self.dtype());
    const DType dtype = self.dtype();
    const std::uint64_t range = static_cast<std::uint64_t>(largest_whole(dtype)) + 1;
    const bool wide = dtype == DType::Float64 || dtype == DType::Int64 || dtype == DType::UInt64;
    fill_random(context, out,
                [=](Generator& g) { return static_cast<std::int64_t>((wide ? g.random64() : g.random()) % range); });
    return out;
}

void check_range(const char* op, std::int64_t low, std::int64_t high) {
    if (low >= high)
        throw ArgumentError(std::string(op) + ": expected low to be less than high, found " + std::to_string(low) +
                            " and " + std::to_string(high));
}

/// Integers of [low, high) as a dtype.
void check_integers(const char* op, std::int64_t low, std::int64_t high, DType dtype) {
    check_range(op, low, high);
    if (is_complex(dtype) || (dtype == DType::Bool && (low < 0 || high > 2)))
        throw ArgumentError(std::string(op) + ": numbers from " + std::to_string(low) + " to " +
                            std::to_string(high - 1) + " do not fit dtype '" + std::string(name(dtype)) + "'");
}

std::uint64_t width(std::int64_t low, std::int64_t high) {
    return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
}

Tensor random_from(Context& context, In self, std::int64_t from, std::optional<std::int64_t> to, None) {
    const Tensor out = Tensor::empty_like(self, self.dtype());
    if (to) {
        check_range("random", from, *to);
        fill_integers(context, out, from, width(from, *to));
    } else {
        fill_integers(context, out, from, width(from, largest_whole(self.dtype())) + 1);
    }
    return out;
}
Tensor random_to(Context& context, In self, std::int64_t to, None none) {
    return random_from(context, self, 0, to, none);
}

Tensor rand(Context& context, const Ints& size, OptDType dtype) {
    const Tensor out = Tensor::empty(size, dtype.value_or(DType::Float32));
    fill_uniform(context, out, 0, 1);
    return out;
}
Tensor randn(Context& context, const Ints& size, OptDType dtype) {
    const Tensor out = Tensor::empty(size, dtype.value_or(DType::Float32));
    fill_normal(context, out, 0, 1);
    return out;
}
Tensor randint(Context& context, std::int64_t low, std::int64_t high, const Ints& size, OptDType dtype) {
    check_integers("randint", low, high, dtype.value_or(DType::Float32));
    const Tensor out = Tensor::empty(size, dtype.value_or(DType::Float32));
    fill_integers(context, out, low, width(low, high));
    return out;
}

Tensor empty_like(In self, OptDType dtype, OptFormat format) {
    const DType out = dtype.value_or(self.dtype());
    return format == MemoryFormat::Contiguous ? Tensor::empty(self.shape(), out) : Tensor::empty_like(self, out);
}

Tensor rand_like(Context& context, In self, OptDType dtype, OptLayout, OptDevice, OptBool, OptFormat format) {
    const Tensor out = empty_like(self, dtype, format);
    fill_uniform(context, out, 0, 1);
    return out;
}
Tensor randn_like(Context& context, In self, OptDType dtype, OptLayout, OptDevice, OptBool, OptFormat format) {
    const Tensor out = empty_like(self, dtype, format);
    fill_normal(context, out, 0, 1);
    return out;
}
Tensor randint_like_low(Context& context, In self, std::int64_t low, std::int64_t high, OptDType dtype, OptLayout,
                        OptDevice, OptBool, OptFormat format) {
    check_integers("randint_like", low, high, dtype.value_or(self.dtype()));
    const Tensor out = empty_like(self, dtype, format);
    fill_integers(context, out, low, width(low, high));
    return out;
}
Tensor randint_like(Context& context, In self, std::int64_t high, OptDType dtype, OptLayout layout, OptDevice device,
                    OptBool pin, OptFormat format) {
    return randint_like_low(context, self, 0, high, dtype, layout, device, pin, format);
}

Tensor randperm(Context& context, std::int64_t n, OptDType dtype) {
    if (n < 0) throw ArgumentError("randperm: expected n to be at least 0, found " + std::to_string(n));
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Generator& generator = generator_of(context);
    const std::scoped_lock lock(generator.mutex);
    const bool wide = n >= std::numeric_limits<std::uint32_t>::max() / 20;
    for (std::int64_t i = 0; i < n - 1; ++i) {
        const std::uint64_t value = wide ? generator.random64() : generator.random();
        const auto step = static_cast<std::int64_t>(value % static_cast<std::uint64_t>(n - i));
        std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(i + step)]);
    }
    return Tensor::from_ints(order).to(dtype.value_or(DType::Int64));
}

Tensor uniform(Context& context, In self, double from, double to, None) {
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_uniform(context, out, from, to);
    return out;
}

Tensor normal_like(Context& context, In self, double mean, double std, None) {
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_normal(context, out, mean, std);
    return out;
}

/// Standard normal numbers times std, rounded, plus mean, over the shape both broadcast to.
Tensor normal(Context& context, In mean, In std) {
    const Tensor out = Tensor::empty(broadcast_shapes(mean.shape(), std.shape()),
                                     mean.is_wrapped_number() ? std.dtype() : mean.dtype());
    if (is_complex(std.dtype())) throw ArgumentError("normal: expected std of real dtype, found " + describe(std));
    fill_normal(context, out, 0, std.is_wrapped_number() ? std.item().to<double>() : 1);
    visit_float(out.dtype(), "normal", [&]<class C>(C) {
        if (!std.is_wrapped_number())
            elementwise_into<C>(
                out,
                [](C z, C s) {
                    if (!(s >= C(0)))
                        throw ArgumentError("normal: expected std to be at least 0, found " + std::to_string(s));
                    return z * s;
                },
                out, std);
        elementwise_into<C>(
            out, [](C z, C m) { return z + m; }, out, mean);
    });
    return out;
}

/// `draw(generator)` for every element of a tensor like `self`.
template <class F>
Tensor draw_like(Context& context, const char* op, In self, F draw) {
    if (!is_floating_point(self.dtype()))
        throw UnsupportedError(std::string(op) + " is not defined for " + describe(self));
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_random(context, out, draw);
    return out;
}

Tensor exponential(Context& context, In self, double lambd, None) {
    if (!(lambd > 0))
        throw ArgumentError("exponential: expected lambd to be greater than 0, found " + std::to_string(lambd));
    return draw_like(context, "exponential", self, [=](Generator& g) { return -1 / lambd * std::log1p(-g.uniform()); });
}
Tensor cauchy(Context& context, In self, double median, double sigma, None) {
    if (!(sigma > 0))
        throw ArgumentError("cauchy: expected sigma to be greater than 0, found " + std::to_string(sigma));
    return draw_like(context, "cauchy", self, [=](Generator& g) {
        constexpr double eps = std::numeric_limits<double>::epsilon();
        return std::fma(sigma, std::tan(std::numbers::pi * (std::clamp(g.uniform(), eps, 1 - eps) - .5)), median);
    });
}
Tensor log_normal(Context& context, In self, double mean, double std, None) {
    if (!(std > 0)) throw ArgumentError("log_normal: expected std to be greater than 0, found " + std::to_string(std));
    return draw_like(context, "log_normal", self,
                     [=](Generator& g) { return std::exp(std::fma(g.normal(), std, mean)); });
}
Tensor geometric(Context& context, In self, double p, None) {
    if (!(p > 0 && p < 1)) throw ArgumentError("geometric: expected p between 0 and 1, found " + std::to_string(p));
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_random(context, out, [=](Generator& g) { return std::ceil(std::log(g.uniform()) / std::log1p(-p)); });
    return out;
}

/// 1 with the probability that `p` holds for the element.
void fill_bernoulli_from(Context& context, In out, In p) {
    if (!is_floating_point(p.dtype()))
        throw UnsupportedError("bernoulli is not defined for probabilities " + describe(p));
    const Tensor probabilities = Tensor::empty_strided(out.shape(), out.strides(), DType::Float64);
    probabilities.copy_from(p);
    const double* next = probabilities.data<double>();
    const bool wide = p.dtype() == DType::Float64;
    fill_random(context, out, [&](Generator& g) -> std::int64_t {
        if (!(*next >= 0 && *next <= 1))
            throw ArgumentError("bernoulli: expected p between 0 and 1, found " + std::to_string(*next));
        return wide ? g.uniform() < *next++ : g.uniform_float() < static_cast<float>(*next++);
    });
}
void check_bernoulli(double p) {
    if (!(p >= 0 && p <= 1)) throw ArgumentError("bernoulli: expected p between 0 and 1, found " + std::to_string(p));
}

Tensor bernoulli_tensor(Context& context, In self, In p, None) {
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_bernoulli_from(context, out, p);
    return out;
}
// These two give row-major tensors.
Tensor bernoulli(Context& context, In self, None) {
    const Tensor out = Tensor::empty(self.shape(), self.dtype());
    fill_bernoulli_from(context, out, self);
    return out;
}
Tensor bernoulli_p(Context& context, In self, double p, None) {
    check_bernoulli(p);
    const Tensor out = Tensor::empty(self.shape(), self.dtype());
    fill_bernoulli(context, out, p);
    return out;
}
Tensor bernoulli_into(Context& context, In self, double p, None) {
    check_bernoulli(p);
    const Tensor out = Tensor::empty_like(self, self.dtype());
    fill_bernoulli(context, out, p);
    check_overlap(self);
    self.copy_from(out);
    return self;
}

/// Draws without replacement: the elements whose p / q are largest, q exponentially distributed.
void draw_distinct(Context& context, In p, std::int64_t row_length, std::int64_t samples, std::int64_t* out) {
    const Tensor q = exponential(context, p, 1, None{});
    const DType dtype = p.dtype();
    const Tensor weights = p.to(DType::Float64), divisors = q.to(DType::Float64);
    std::vector<double> score(static_cast<std::size_t>(row_length));
    std::vector<std::int64_t> order(score.size());
    for (std::int64_t begin = 0; begin < p.numel(); begin += row_length, out += samples) {
        for (std::int64_t j = 0; j < row_length; ++j)
            score[static_cast<std::size_t>(j)] =
                round_to(dtype, weights.data<double>()[begin + j] / divisors.data<double>()[begin + j]);
        std::iota(order.begin(), order.end(), std::int64_t{0});
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
            return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
        });
        std::copy_n(order.begin(), samples, out);
    }
}

void draw_repeated(Context& context, In p, std::int64_t row_length, std::int64_t samples, std::int64_t* out) {
    Generator& generator = generator_of(context);
    const std::scoped_lock lock(generator.mutex);
    const Tensor weights = p.to(DType::Float64);
    const DType dtype = p.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
    std::vector<double> cumulative(static_cast<std::size_t>(row_length));
    for (std::int64_t begin = 0; begin < p.numel(); begin += row_length) {
        double sum = 0;
        for (std::int64_t j = 0; j < row_length; ++j) {
            sum = round_to(dtype, sum + weights.data<double>()[begin + j]);
            cumulative[static_cast<std::size_t>(j)] = sum;
        }
        for (double& value : cumulative) value = round_to(dtype, value / sum);
        cumulative.back() = 1;
        for (std::int64_t i = 0; i < samples; ++i) {
            const auto found = std::lower_bound(cumulative.begin(), cumulative.end(), generator.uniform());
            *out++ = std::min<std::int64_t>(found - cumulative.begin(), row_length - 1);
        }
    }
}

Tensor multinomial(Context& context, In self, std::int64_t num_samples, bool replacement, None) {
    if (self.dim() != 1 && self.dim() != 2)
        throw ArgumentError("multinomial: expected self to have 1 or 2 dimensions, found " + describe(self));
    if (!is_floating_point(self.dtype()))
        throw ArgumentError("multinomial: expected floating point probabilities, found " + describe(self));
    const std::int64_t n = self.size(-1);
    if (num_samples <= 0)
        throw ArgumentError("multinomial: expected num_samples to be greater than 0, found " +
                            std::to_string(num_samples));
    if (n == 0 || (!replacement && num_samples > n))
        throw ArgumentError("multinomial: cannot draw " + std::to_string(num_samples) + " samples of " +
                            std::to_string(n) + " categories without replacement");
    const Tensor p = self.contiguous();
    const Tensor wide = p.to(DType::Float64);
    for (std::int64_t begin = 0; begin < p.numel(); begin += n) {
        double sum = 0;
        for (std::int64_t j = 0; j < n; ++j) {
            const double value = wide.data<double>()[begin + j];
            if (!(value >= 0 && value <= std::numeric_limits<double>::max()))
                throw ArgumentError("multinomial: expected probabilities to be finite and at least 0, found " +
                                    std::to_string(value));
            sum += value;
        }
        if (sum == 0) throw ArgumentError("multinomial: expected a row of probabilities to have a sum greater than 0");
    }
    Ints shape = self.shape();
    shape.back() = num_samples;
    const Tensor out = Tensor::empty(shape, DType::Int64);
    if (replacement && num_samples != 1)
        draw_repeated(context, p, n, num_samples, out.data<std::int64_t>());
    else
        draw_distinct(context, p, n, num_samples, out.data<std::int64_t>());
    return out;
}

/// W. Hörmann, The transformed rejection method for generating Poisson random variables, 1993.
std::int64_t draw_poisson(Generator& g, double lambda) {
    if (!(lambda >= 0)) throw ArgumentError("poisson: expected rates of at least 0, found " + std::to_string(lambda));
    if (lambda == 0) return 0;
    if (lambda < 10) {
        const double limit = std::exp(-lambda);
        std::int64_t count = 0;
        for (double product = g.uniform(); product > limit; product *= g.uniform()) ++count;
        return count;
    }
    const double slam = std::sqrt(lambda), loglam = std::log(lambda), b = 0.931 + 2.53 * slam;
    const double a = -0.059 + 0.02483 * b, invalpha = 1.1239 + 1.1328 / (b - 3.4), vr = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        const double u = g.uniform() - 0.5, v = g.uniform(), us = 0.5 - std::fabs(u);
        const double k = std::floor((2 * a / us + b) * u + lambda + 0.43);
        if (us >= 0.07 && v <= vr) return static_cast<std::int64_t>(k);
        if (k < 0 || (us < 0.013 && v > us)) continue;
        int sign = 0;
        if (std::log(v) + std::log(invalpha) - std::log(a / (us * us) + b) <=
            -lambda + k * loglam - lgamma_r(k + 1, &sign))
            return static_cast<std::int64_t>(k);
    }
}

Tensor poisson(Context& context, In self, None) {
    const Tensor out = Tensor::empty(self.shape(), self.dtype());
    const Tensor rates = self.to(DType::Float64).contiguous();
    const double* next = rates.data<double>();
    fill_random(context, out, [&](Generator& g) { return draw_poisson(g, *next++); });
    return out;
}

constexpr const char* options =
    "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None";
constexpr const char* int_options =
    "ScalarType? dtype=4, Layout? layout=None, Device? device=None, bool? pin_memory=None";

void register_sized(Registry& r) {
    const std::string tail = std::string(", *, ") + options + ") -> Tensor";
    const std::string int_tail = std::string(", *, ") + int_options + ") -> Tensor";
    r.add("rand(SymInt[] size" + tail,
          [](Context& c, const Ints& size, OptDType d, OptLayout, OptDevice, OptBool) { return rand(c, size, d); });
    r.add("randn(SymInt[] size" + tail,
          [](Context& c, const Ints& size, OptDType d, OptLayout, OptDevice, OptBool) { return randn(c, size, d); });
    r.add("randint(SymInt high, SymInt[] size" + int_tail,
          [](Context& c, std::int64_t high, const Ints& size, OptDType d, OptLayout, OptDevice, OptBool) {
              return randint(c, 0, high, size, d);
          });
    r.add("randint.low(SymInt low, SymInt high, SymInt[] size" + int_tail,
          [](Context& c, std::int64_t low, std::int64_t high, const Ints& size, OptDType d, OptLayout, OptDevice,
             OptBool) { return randint(c, low, high, size, d); });
    r.add("randperm(SymInt n" + int_tail,
          [](Context& c, std::int64_t n, OptDType d, OptLayout, OptDevice, OptBool) { return randperm(c, n, d); });
}

}  // namespace

void register_random(Registry& r) {
    register_sized(r);
    const std::string like = std::string(options) + ", MemoryFormat? memory_format=None) -> Tensor";
    r.add("rand_like(Tensor self, *, " + like, rand_like);
    r.add("randn_like(Tensor self, *, " + like, randn_like);
    r.add("randint_like(Tensor self, SymInt high, *, " + like, randint_like);
    r.add("randint_like.Tensor(Tensor self, Tensor high, *, " + like,
          [](Context& c, In self, In high, OptDType dtype, OptLayout layout, OptDevice device, OptBool pin,
             OptFormat format) {
              return randint_like(c, self, high.item().to<std::int64_t>(), dtype, layout, device, pin, format);
          });
    r.add("randint_like.low_dtype(Tensor self, SymInt low, SymInt high, *, " + like, randint_like_low);
    r.add("uniform(Tensor self, float from=0., float to=1., *, Generator? generator=None) -> Tensor", uniform);
    r.add("random(Tensor self, *, Generator? generator=None) -> Tensor", random);
    r.add("random.from(Tensor self, int from, int? to, *, Generator? generator=None) -> Tensor", random_from);
    r.add("random.to(Tensor self, int to, *, Generator? generator=None) -> Tensor", random_to);
    r.add("exponential(Tensor self, float lambd=1., *, Generator? generator=None) -> Tensor", exponential);
    r.add("cauchy(Tensor self, float median=0., float sigma=1., *, Generator? generator=None) -> Tensor", cauchy);
    r.add("log_normal(Tensor self, float mean=1., float std=2., *, Generator? generator=None) -> Tensor", log_normal);
    r.add("geometric(Tensor self, float p, *, Generator? generator=None) -> Tensor", geometric);
    r.add("bernoulli(Tensor self, *, Generator? generator=None) -> Tensor", bernoulli);
    r.add("bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor", bernoulli_p);
    r.add("bernoulli_.float(Tensor(a!) self, float p=0.5, *, Generator? generator=None) -> Tensor(a!)", bernoulli_into);
    r.add("bernoulli.Tensor(Tensor self, Tensor p, *, Generator? generator=None) -> Tensor", bernoulli_tensor);
    r.add(
        "multinomial(Tensor self, SymInt num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor",
        multinomial);
    r.add("poisson(Tensor self, Generator? generator=None) -> Tensor", poisson);
    r.add("normal_functional(Tensor self, float mean=0., float std=1., *, Generator? generator=None) -> Tensor",
          normal_like);
    r.add("normal_(Tensor(a!) self, float mean=0., float std=1., *, Generator? generator=None) -> Tensor(a!)",
          [](Context& c, In self, double mean, double std, None none) {
              check_overlap(self);
              self.copy_from(normal_like(c, self, mean, std, none));
              return self;
          });
    r.add("normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor",
          [](Context& c, In mean, In std, None) { return normal(c, mean, std); });
    r.add("normal.Tensor_float(Tensor mean, float std=1., *, Generator? generator=None) -> Tensor",
          [](Context& c, In mean, double std, None) { return normal(c, mean, Tensor::wrapped_number(std)); });
    r.add("normal.float_Tensor(float mean, Tensor std, *, Generator? generator=None) -> Tensor",
          [](Context& c, double mean, In std, None) { return normal(c, Tensor::wrapped_number(mean), std); });
    r.add(
        "normal.float_float(float mean, float std, SymInt[] size, *, Generator? generator=None, " +
            std::string(options) + ") -> Tensor",
        [](Context& c, double mean, double std, const Ints& size, None, OptDType dtype, OptLayout, OptDevice, OptBool) {
            const Tensor out = Tensor::empty(size, dtype.value_or(DType::Float32));
            fill_normal(c, out, mean, std);
            return out;
        });
}

}  // namespace torch_ir::kernels
