// SPDX-License-Identifier: MIT
// Number sequences: arange, linspace, windows, triangle indices. Layout, device and pinning arguments are taken and do
// not matter.
#include <algorithm>
#include <cmath>

#include "convert.hpp"
#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "parallel.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

namespace {

using std::cos;

/// A tensor of that dtype whose i-th element is `f(i)`, computed in C.
template <class C, class F>
Tensor generate(std::int64_t count, DType dtype, F f) {
    Tensor result = Tensor::empty({count}, dtype);
    constexpr std::int64_t block = 1024;
    const auto item = static_cast<std::int64_t>(item_size(dtype));
    parallel_for((count + block - 1) / block, 32, [&](std::int64_t begin, std::int64_t end) {
        C values[block];
        for (std::int64_t b = begin; b < end; ++b) {
            const std::int64_t n = std::min(block, count - b * block);
            for (std::int64_t i = 0; i < n; ++i) values[i] = f(b * block + i);
            store(dtype, result.raw() + b * block * item, 1, compute_of<C>(), values, n);
        }
    });
    return result;
}

std::int64_t checked_count(const char* op, double count) {
    if (!(count >= 0) || count > 9e15)
        throw ArgumentError(std::string(op) + ": the number of elements is out of range");
    return static_cast<std::int64_t>(count);
}

void check_bounds(const char* op, const Scalar& start, const Scalar& end, const Scalar& step) {
    for (const Scalar* value : {&start, &end, &step})
        if (value->kind() == Scalar::Kind::Complex)
            throw ArgumentError(std::string(op) + ": complex bounds are not supported");
    if (step.to<double>() == 0) throw ArgumentError(std::string(op) + ": step must be nonzero");
    if (!std::isfinite(start.to<double>()) || !std::isfinite(end.to<double>()))
        throw ArgumentError(std::string(op) + ": unsupported range " + std::to_string(start.to<double>()) + " -> " +
                            std::to_string(end.to<double>()));
    if (step.to<double>() > 0 ? start.to<double>() > end.to<double>() : start.to<double>() < end.to<double>())
        throw ArgumentError(std::string(op) + ": upper bound and lower bound are inconsistent with the sign of step");
}

/// `start + i * step`.
Tensor progression(std::int64_t count, DType dtype, const Scalar& start, const Scalar& step) {
    if (is_integral(dtype, true)) {
        const auto first = start.to<std::int64_t>();
        const auto by = step.to<std::int64_t>();
        return generate<std::int64_t>(count, dtype, [=](std::int64_t i) {
            return static_cast<std::int64_t>(static_cast<std::uint64_t>(first) +
                                             static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(by));
        });
    }
    const auto first = start.to<double>();
    const auto by = step.to<double>();
    return generate<double>(count, dtype, [=](std::int64_t i) { return first + static_cast<double>(i) * by; });
}

Tensor arange_step(const Scalar& start, const Scalar& end, const Scalar& step, OptDType dtype, OptLayout, OptDevice,
                   OptBool) {
    const bool integral = start.is_integral() && end.is_integral() && step.is_integral();
    const DType out = dtype.value_or(integral ? DType::Int64 : default_dtype);
    check_bounds("arange", start, end, step);
    std::int64_t count = 0;
    if (out == DType::Int64) {
        const auto first = start.to<std::int64_t>();
        const auto by = step.to<std::int64_t>();
        if (by == 0) throw ArgumentError("arange: step must be nonzero");
        std::int64_t span = 0;
        if (__builtin_sub_overflow(end.to<std::int64_t>(), first, &span))
            throw ArgumentError("arange: the range is too large");
        count = std::max<std::int64_t>(0, span / by + (span % by != 0 && (span < 0) == (by < 0) ? 1 : 0));
    } else {
        count = checked_count("arange", std::ceil((end.to<double>() - start.to<double>()) / step.to<double>()));
    }
    return progression(count, out, start, step);
}

Tensor arange_start(const Scalar& start, const Scalar& end, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return arange_step(start, end, 1, dtype, {}, {}, {});
}

Tensor arange(const Scalar& end, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return arange_step(0, end, 1, dtype, {}, {}, {});
}

/// Like arange, but `end` belongs to it and the default dtype is float32.
Tensor range_step(const Scalar& start, const Scalar& end, const Scalar& step, OptDType dtype, OptLayout, OptDevice,
                  OptBool) {
    check_bounds("range", start, end, step);
    const double count = std::floor((end.to<double>() - start.to<double>()) / step.to<double>()) + 1;
    return progression(checked_count("range", count), dtype.value_or(default_dtype), start, step);
}

Tensor range(const Scalar& start, const Scalar& end, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return range_step(start, end, 1, dtype, {}, {}, {});
}

void check_steps(const char* op, std::int64_t steps) {
    if (steps < 0)
        throw ArgumentError(std::string(op) + ": number of steps must be non-negative, found " + std::to_string(steps));
}

DType space_dtype(const Scalar& start, const Scalar& end, OptDType dtype) {
    const bool complex = start.kind() == Scalar::Kind::Complex || end.kind() == Scalar::Kind::Complex;
    const DType out = dtype.value_or(complex ? DType::Complex64 : default_dtype);
    if (complex && !is_complex(out))
        throw ArgumentError("expected a complex dtype for complex bounds, found '" + std::string(name(out)) + "'");
    return out;
}

/// `steps` values from `start` to `end`, counted from the nearer end as PyTorch does, through `f`. The bounds and their
/// distance have the precision of the dtype. `in_dtype`: so has the step, and 16-bit floats are rounded at every step.
template <class F>
Tensor spaced(const char* op, const Scalar& start, const Scalar& end, std::int64_t steps, DType dtype, bool in_dtype,
              F f) {
    if (steps > 1)
        for (const Scalar& bound : {start, end}) check_fits(op, bound, dtype);
    const auto values = [&]<class C>(C) {
        C first = start.to<C>();
        C last = end.to<C>();
        if (is_integral(dtype, true)) {
            first = static_cast<C>(start.to<std::int64_t>());
            last = static_cast<C>(end.to<std::int64_t>());
        }
        const auto rounded = [dtype](C x) {
            if constexpr (std::is_same_v<C, double>) return round_to(dtype, x);
            return x;
        };
        const bool stepwise = in_dtype && is_half(dtype);
        first = rounded(first);
        last = rounded(last);
        const auto whole = [=](std::int64_t i) { return rounded(static_cast<C>(static_cast<double>(i))); };
        const C exact_step = steps > 1 ? rounded(last - first) / whole(steps - 1) : C(0);
        const C step = in_dtype ? rounded(exact_step) : exact_step;
        return generate<C>(steps, dtype, [=](std::int64_t i) {
            const auto way = [&](std::int64_t n) { return stepwise ? rounded(step * whole(n)) : step * whole(n); };
            return f(i < steps / 2 || steps == 1 ? first + way(i) : last - way(steps - i - 1));
        });
    };
    return is_complex(dtype) ? values(std::complex<double>{}) : values(double{});
}

Tensor linspace(const Scalar& start, const Scalar& end, std::int64_t steps, OptDType dtype, OptLayout, OptDevice,
                OptBool) {
    check_steps("linspace", steps);
    return spaced("linspace", start, end, steps, space_dtype(start, end, dtype), true, [](auto x) { return x; });
}

Tensor logspace(const Scalar& start, const Scalar& end, std::int64_t steps, double base, OptDType dtype, OptLayout,
                OptDevice, OptBool) {
    check_steps("logspace", steps);
    return spaced("logspace", start, end, steps, space_dtype(start, end, dtype), false, [base](auto x) {
        if constexpr (std::is_same_v<decltype(x), double>)
            return std::pow(base, x);
        else
            return std::exp(x * std::log(std::complex<double>(base)));
    });
}

Scalar scalar_of(const char* op, const char* argument, In tensor) {
    if (tensor.dim() != 0)
        throw ArgumentError(std::string(op) + ": expected " + argument + " to be a 0-d tensor, found " +
                            describe(tensor));
    return tensor.item();
}

Tensor linspace_tensors(In start, In end, std::int64_t steps, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return linspace(scalar_of("linspace", "start", start), scalar_of("linspace", "end", end), steps, dtype, {}, {}, {});
}

Tensor logspace_tensors(In start, In end, std::int64_t steps, double base, OptDType dtype, OptLayout, OptDevice,
                        OptBool) {
    return logspace(scalar_of("logspace", "start", start), scalar_of("logspace", "end", end), steps, base, dtype, {},
                    {}, {});
}

/// [2, count]: rows and columns of the elements on and below (lower) or on and above the diagonal `offset`.
Tensor triangle_indices(bool lower, std::int64_t row, std::int64_t col, std::int64_t offset, OptDType dtype) {
    if (row < 0 || col < 0)
        throw ArgumentError("row and col must be non-negative, found " + std::to_string(row) + " and " +
                            std::to_string(col));
    const DType out = dtype.value_or(DType::Int64);
    if (out != DType::Int64 && out != DType::Int32)
        throw ArgumentError("expected dtype int32 or int64, found '" + std::string(name(out)) + "'");
    offset = std::clamp(offset, -row, col);
    Ints rows;
    Ints columns;
    if (numel_of(Ints{row, col}) > std::int64_t{1} << 32)
        throw ArgumentError("a matrix of " + std::to_string(row) + " rows and " + std::to_string(col) +
                            " columns is too large");
    if (numel_of(Ints{row, col}) == 0) row = 0;
    for (std::int64_t i = 0; i < row; ++i) {
        const std::int64_t diagonal = std::clamp<std::int64_t>(lower ? i + offset + 1 : i + offset, 0, col);
        for (std::int64_t j = lower ? 0 : diagonal; j < (lower ? diagonal : col); ++j) {
            rows.push_back(i);
            columns.push_back(j);
        }
    }
    const auto count = static_cast<std::int64_t>(rows.size());
    rows.insert(rows.end(), columns.begin(), columns.end());
    return Tensor::from_ints(rows).reshape({2, count}).to(out);
}

Tensor tril_indices(std::int64_t row, std::int64_t col, std::int64_t offset, OptDType dtype, OptLayout, OptDevice,
                    OptBool) {
    return triangle_indices(true, row, col, offset, dtype);
}

Tensor triu_indices(std::int64_t row, std::int64_t col, std::int64_t offset, OptDType dtype, OptLayout, OptDevice,
                    OptBool) {
    return triangle_indices(false, row, col, offset, dtype);
}

/// `f(i, n - 1)` of double for a symmetric window of n points, of which a periodic one drops the last; of 16-bit floats
/// every step of `f` is rounded.
template <class F>
Tensor window(const char* op, std::int64_t window_length, bool periodic, OptDType dtype, F f) {
    const DType out = dtype.value_or(default_dtype);
    if (!is_floating_point(out))
        throw ArgumentError(std::string(op) + ": expected a floating point dtype, found '" + std::string(name(out)) +
                            "'");
    if (window_length < 0)
        throw ArgumentError(std::string(op) + ": window_length must be non-negative, found " +
                            std::to_string(window_length));
    if (window_length == 1) return Tensor::full({1}, 1, out);
    const auto last = static_cast<double>(periodic ? window_length : window_length - 1);
    if (item_size(out) > 2)
        return generate<double>(window_length, out, [=](std::int64_t i) { return f(static_cast<double>(i), last); });
    return visit_stepwise(out, op, [&]<class C, class A>(C, A) {
        return generate<C>(window_length, out,
                           [=](std::int64_t i) { return static_cast<C>(f(static_cast<A>(i), last)); });
    });
}

Tensor cosine_window(const char* op, std::int64_t length, bool periodic, double alpha, double beta, OptDType dtype) {
    return window(op, length, periodic, dtype,
                  [=]<class A>(A i, double last) { return cos(i * A(2 * M_PI / last)) * A(-beta) + A(alpha); });
}

Tensor bartlett(std::int64_t window_length, bool periodic, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return window("bartlett_window", window_length, periodic, dtype, []<class A>(A i, double last) {
        const A x = i * A(2 / last);
        return static_cast<double>(i) <= std::floor(last / 2) ? x : A(2) - x;
    });
}

Tensor blackman(std::int64_t window_length, bool periodic, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return window("blackman_window", window_length, periodic, dtype, []<class A>(A i, double last) {
        const A x = i * A(M_PI / last);
        return cos(x * A(4)) * A(0.08) - cos(x * A(2)) * A(0.5) + A(0.42);
    });
}

/// Modified Bessel function of order 0, by its series.
double bessel_i0(double x) {
    double sum = 1;
    double term = 1;
    for (int k = 1; term > sum * 1e-17 && k < 2000; ++k) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

Tensor kaiser(std::int64_t window_length, bool periodic, double beta, OptDType dtype, OptLayout, OptDevice, OptBool) {
    const double scale = bessel_i0(beta);
    return window("kaiser_window", window_length, periodic, dtype, [=]<class A>(A i, double last) {
        const double x = 2 * static_cast<double>(i) / last - 1;
        return static_cast<A>(bessel_i0(beta * std::sqrt(std::fabs(1 - x * x))) / scale);
    });
}

Tensor hann(std::int64_t window_length, bool periodic, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return cosine_window("hann_window", window_length, periodic, 0.5, 0.5, dtype);
}

Tensor hamming(std::int64_t window_length, bool periodic, double alpha, double beta, OptDType dtype, OptLayout,
               OptDevice, OptBool) {
    return cosine_window("hamming_window", window_length, periodic, alpha, beta, dtype);
}

void register_windows(Registry& r) {
    r.add(
        "hann_window(int window_length, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        [](std::int64_t n, OptDType t, OptLayout, OptDevice, OptBool) { return hann(n, true, t, {}, {}, {}); });
    r.add(
        "hann_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        hann);
    r.add(
        "hamming_window(int window_length, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        [](std::int64_t n, OptDType t, OptLayout, OptDevice, OptBool) {
            return hamming(n, true, 0.54, 0.46, t, {}, {}, {});
        });
    r.add(
        "hamming_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        [](std::int64_t n, bool periodic, OptDType t, OptLayout, OptDevice, OptBool) {
            return hamming(n, periodic, 0.54, 0.46, t, {}, {}, {});
        });
    r.add(
        "hamming_window.periodic_alpha(int window_length, bool periodic, float alpha, *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        [](std::int64_t n, bool periodic, double alpha, OptDType t, OptLayout, OptDevice, OptBool) {
            return hamming(n, periodic, alpha, 0.46, t, {}, {}, {});
        });
    r.add(
        "hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha, float beta, *, ScalarType? "
        "dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        hamming);
    r.add(
        "bartlett_window(int window_length, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        [](std::int64_t n, OptDType t, OptLayout, OptDevice, OptBool) { return bartlett(n, true, t, {}, {}, {}); });
    r.add(
        "bartlett_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        bartlett);
    r.add(
        "blackman_window(int window_length, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        [](std::int64_t n, OptDType t, OptLayout, OptDevice, OptBool) { return blackman(n, true, t, {}, {}, {}); });
    r.add(
        "blackman_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        blackman);
    r.add(
        "kaiser_window(int window_length, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        [](std::int64_t n, OptDType t, OptLayout, OptDevice, OptBool) { return kaiser(n, true, 12, t, {}, {}, {}); });
    r.add(
        "kaiser_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        [](std::int64_t n, bool periodic, OptDType t, OptLayout, OptDevice, OptBool) {
            return kaiser(n, periodic, 12, t, {}, {}, {});
        });
    r.add(
        "kaiser_window.beta(int window_length, bool periodic, float beta, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        kaiser);
}

}  // namespace

void register_sequence(Registry& r) {
    register_windows(r);
    r.add(
        "arange(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        arange);
    r.add(
        "arange.start(Scalar start, Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None) -> Tensor",
        arange_start);
    r.add(
        "arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        arange_step);
    r.add(
        "range(Scalar start, Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        range);
    r.add(
        "range.step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, Device? "
        "device=None, bool? pin_memory=None) -> Tensor",
        range_step);
    r.add(
        "linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, Layout? layout=None, Device? "
        "device=None, bool? pin_memory=None) -> Tensor",
        linspace);
    r.add(
        "linspace.Tensor_Tensor(Tensor start, Tensor end, int steps, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        linspace_tensors);
    r.add(
        "linspace.Tensor_Scalar(Tensor start, Scalar end, int steps, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        linspace_tensors);
    r.add(
        "linspace.Scalar_Tensor(Scalar start, Tensor end, int steps, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        linspace_tensors);
    r.add(
        "logspace(Scalar start, Scalar end, int steps, float base=10., *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        logspace);
    r.add(
        "logspace.Tensor_Tensor(Tensor start, Tensor end, int steps, float base=10., *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        logspace_tensors);
    r.add(
        "logspace.Tensor_Scalar(Tensor start, Scalar end, int steps, float base=10., *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        logspace_tensors);
    r.add(
        "logspace.Scalar_Tensor(Scalar start, Tensor end, int steps, float base=10., *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        logspace_tensors);
    r.add(
        "tril_indices(int row, int col, int offset=0, *, ScalarType? dtype=4, Layout? layout=None, Device? "
        "device=None, bool? pin_memory=None) -> Tensor",
        tril_indices);
    r.add(
        "triu_indices(int row, int col, int offset=0, *, ScalarType? dtype=4, Layout? layout=None, Device? "
        "device=None, bool? pin_memory=None) -> Tensor",
        triu_indices);
}

}  // namespace torch_ir::kernels
