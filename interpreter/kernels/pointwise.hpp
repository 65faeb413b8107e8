// SPDX-License-Identifier: MIT
// How pointwise ops become kernels: a formula (a generic lambda) and a rule for the dtypes. Each rule is one function,
// so that a family is a table of formulas.
#pragma once

#include <cmath>
#include <complex>
#include <string>
#include <type_traits>

#include "elementwise.hpp"
#include "promote.hpp"
#include "registry.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {

template <class C>
inline constexpr bool is_complex_compute =
    std::is_same_v<C, std::complex<double>> || std::is_same_v<C, std::complex<float>>;

/// As elementwise; complex64 is computed in float, so that it overflows where PyTorch's does.
template <class C, class F, class... In>
Tensor elementwise_in_own(DType out, const F& f, const In&... inputs) {
    if constexpr (is_complex_compute<C>)
        if (out == DType::Complex64)
            return elementwise<C>(
                out, [f](decltype((void)inputs, C{})... x) { return C(f(std::complex<float>(x)...)); }, inputs...);
    return elementwise<C>(out, f, inputs...);
}

/// Part by part, and exactly as written: where a compiler fuses one of two infinite products with their difference,
/// there is a number instead of PyTorch's NaN. Comparing the products keeps it from that; of equal ones the signs of
/// zeros count.
template <class T>
std::complex<T> complex_product(std::complex<T> x, std::complex<T> y) {
    const auto difference = [](T p, T q) {
        return p == q ? std::fabs(p) * (std::signbit(p) && !std::signbit(q) ? -T(0) : T(0)) : p - q;
    };
    return {difference(x.real() * y.real(), x.imag() * y.imag()),
            difference(x.real() * y.imag(), -(x.imag() * y.real()))};
}

/// By zero: infinite part by part, as in c10/util/complex.h.
template <class T>
std::complex<T> complex_quotient(std::complex<T> x, std::complex<T> y) {
    const T c = y.real(), d = y.imag();
    const T abs_c = std::fabs(c), abs_d = std::fabs(d);
    if (abs_c == 0 && abs_d == 0) return {x.real() / abs_c, x.imag() / abs_d};
    if (abs_c >= abs_d) {
        const T ratio = d / c, scale = T(1) / (c + d * ratio);
        return {(x.real() + x.imag() * ratio) * scale, (x.imag() - x.real() * ratio) * scale};
    }
    const T ratio = c / d, scale = T(1) / (c * ratio + d);
    return {(x.real() * ratio + x.imag()) * scale, (x.imag() * ratio - x.real()) * scale};
}

/// Of any compute type, integers apart from division by zero.
template <class C>
C multiplied(C x, C y) {
    if constexpr (is_complex_compute<C>)
        return complex_product(x, y);
    else
        return x * y;
}
template <class C>
C over(C x, C y) {
    if constexpr (is_complex_compute<C>)
        return complex_quotient(x, y);
    else
        return x / y;
}

[[noreturn]] inline void unsupported_dtype(const char* op, DType dtype) {
    throw UnsupportedError(std::string(op) + " is not defined for dtype '" + std::string(name(dtype)) + "'");
}

/// Throws ArgumentError when `dtype` is bool.
inline void refuse_bool(const char* op, DType dtype) {
    if (dtype == DType::Bool) throw ArgumentError(std::string(op) + " is not defined for bool tensors");
}

/// Throws ArgumentError when `dtype` is a 16-bit float, for which PyTorch does not have `op`.
inline void refuse_halves(const char* op, DType dtype) {
    if (is_half(dtype))
        throw ArgumentError(std::string(op) + " is not defined for tensors of '" + std::string(name(dtype)) + "'");
}

using UnaryFn = Tensor (*)(const char* op, const Tensor& self);
using BinaryFn = Tensor (*)(const char* op, const Tensor& self, const Tensor& other);

/// The rules by compute type: in which of them formulas exist.
struct InFloat {};           // float and double; integers become float32
struct InDouble {};          // double, whatever the dtype: for rare functions, where accuracy counts more than speed
struct InFloatOrComplex {};  // float, double and complex
struct InDoubleOrComplex {};
struct InReal {};  // integers too
struct InInt {};   // integers only
struct InAny {};

/// Calls `f` with the compute type that the rule gives for `dtype`; throws UnsupportedError naming `op` when there is
/// none.
template <class Rule, class F>
Tensor visit_rule(DType dtype, const char* op, F&& f) {
    constexpr bool with_complex = std::is_same_v<Rule, InFloatOrComplex> || std::is_same_v<Rule, InDoubleOrComplex> ||
                                  std::is_same_v<Rule, InAny>;
    constexpr bool with_int =
        std::is_same_v<Rule, InReal> || std::is_same_v<Rule, InAny> || std::is_same_v<Rule, InInt>;
    constexpr bool with_float = !std::is_same_v<Rule, InDouble> && !std::is_same_v<Rule, InDoubleOrComplex>;
    const Compute compute = compute_for(dtype);
    if constexpr (with_complex)
        if (compute == Compute::Complex) return f(std::complex<double>{});
    if constexpr (with_int)
        if (compute == Compute::Int64) return f(std::int64_t{});
    if constexpr (!std::is_same_v<Rule, InInt>) {
        if constexpr (with_float)
            if (compute == Compute::Float) return f(float{});
        if (compute == Compute::Double || compute == Compute::Float) return f(double{});
    }
    unsupported_dtype(op, dtype);
}

/// Is integer input to be taken as float32?
template <class Rule>
inline constexpr bool rule_promotes =
    !std::is_same_v<Rule, InReal> && !std::is_same_v<Rule, InAny> && !std::is_same_v<Rule, InInt>;

/// `f(x)` in the dtype of x (float32 for integers when the rule is of floats).
template <class Rule, class F>
constexpr UnaryFn unary(F) {
    return [](const char* op, const Tensor& self) {
        const DType dtype = rule_promotes<Rule> ? to_float(self.dtype()) : self.dtype();
        return visit_rule<Rule>(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, F{}, self); });
    };
}

/// Applies `f` to the inputs in `dtype`; complex64 is computed in float.
template <class Rule, class F, class... In>
Tensor apply_in_own(const char* op, DType dtype, const F& f, const In&... inputs) {
    return visit_rule<Rule>(dtype, op, [&]<class C>(C) { return elementwise_in_own<C>(dtype, f, inputs...); });
}

/// As unary; complex64 is computed in float.
template <class Rule, class F>
constexpr UnaryFn unary_in_own(F) {
    return [](const char* op, const Tensor& self) {
        return apply_in_own<Rule>(op, rule_promotes<Rule> ? to_float(self.dtype()) : self.dtype(), F{}, self);
    };
}

/// `f(x)` as bool.
template <class Rule, class F>
constexpr UnaryFn predicate(F) {
    return [](const char* op, const Tensor& self) {
        return visit_rule<Rule>(self.dtype(), op, [&]<class C>(C) { return elementwise<C>(DType::Bool, F{}, self); });
    };
}

/// An operand in the promoted dtype where the conversion shows: a number next to integers wraps, all that is next to
/// 16-bit floats is rounded.
inline Tensor converted(const Tensor& x, DType dtype) {
    if (x.dtype() == dtype) return x;
    const bool rounds = is_floating_point(dtype) && item_size(dtype) < 4;
    return rounds || (x.dim() == 0 && is_integral(dtype, true)) ? x.to(dtype) : x;
}

/// A number as a tensor of that dtype holds it, rounded or wrapped.
template <class C>
C held(const Scalar& number, DType dtype) {
    return Tensor::scalar(number, dtype).item().to<C>();
}

/// `f(x, y)` in the promoted dtype.
template <class Rule, class F>
constexpr BinaryFn binary(F) {
    return [](const char* op, const Tensor& self, const Tensor& other) {
        const DType promoted = result_type(self, other);
        const DType dtype = rule_promotes<Rule> ? to_float(promoted) : promoted;
        const Tensor x = converted(self, dtype), y = converted(other, dtype);
        return visit_rule<Rule>(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, F{}, x, y); });
    };
}

/// Applies `f` (which may capture numbers) to `self` in `dtype`.
template <class Rule, class F>
Tensor apply(const char* op, DType dtype, const F& f, const Tensor& self) {
    return visit_rule<Rule>(dtype, op, [&]<class C>(C) { return elementwise<C>(dtype, f, self); });
}

struct UnaryEntry {
    const char* names;  // separated by spaces: aliases
    UnaryFn kernel;
};
struct BinaryEntry {
    const char* names;
    BinaryFn kernel;
};

/// Calls `f(name)` for every name in a list separated by spaces.
template <class F>
void for_each_name(const char* names, F&& f) {
    std::string_view rest(names);
    while (!rest.empty()) {
        const std::size_t space = std::min(rest.find(' '), rest.size());
        f(std::string(rest.substr(0, space)));
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
}

/// Registers `name(Tensor self) -> Tensor` for every entry, or with another name of the argument.
template <std::size_t n>
void add_unary(Registry& r, const UnaryEntry (&entries)[n], const std::string& argument = "self") {
    for (const UnaryEntry& entry : entries)
        for_each_name(entry.names, [&](const std::string& op) {
            r.add(op + "(Tensor " + argument + ") -> Tensor",
                  [op, kernel = entry.kernel](const Tensor& self) { return kernel(op.c_str(), self); });
        });
}

/// A table's kernel on its own.
inline auto bound(const BinaryEntry& entry) {
    return [entry](const Tensor& self, const Tensor& other) { return entry.kernel(entry.names, self, other); };
}

/// Registers `name(Tensor self, Tensor other) -> Tensor` for every entry.
template <std::size_t n>
void add_binary(Registry& r, const BinaryEntry (&entries)[n]) {
    for (const BinaryEntry& entry : entries)
        for_each_name(entry.names, [&](const std::string& op) {
            r.add(op + "(Tensor self, Tensor other) -> Tensor",
                  [op, kernel = entry.kernel](const Tensor& self, const Tensor& other) {
                      return kernel(op.c_str(), self, other);
                  });
        });
}

}  // namespace torch_ir::kernels
