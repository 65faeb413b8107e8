// SPDX-License-Identifier: MIT
// Numbers that symbolic expressions are evaluated with, and the table of all functions an expression may call.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir::detail {

__extension__ using Int128 = __int128;

/// An exact fraction of 64-bit integers (booleans are 0 and 1), or a float where an inexact function came in between.
class Number {
  public:
    Number(std::int64_t value = 0) : numerator_(value) {}
    Number(bool value) : numerator_(value ? 1 : 0) {}
    Number(double value) : denominator_(0), real_(value) {}

    /// In lowest terms; throws ArgumentError for a zero denominator and on overflow.
    static Number fraction(Int128 numerator, Int128 denominator) {
        if (denominator == 0) throw ArgumentError("division by zero");
        if (denominator < 0) numerator = -numerator, denominator = -denominator;
        Int128 a = numerator < 0 ? -numerator : numerator, b = denominator;
        while (b != 0) a = std::exchange(b, a % b);
        Number result;
        result.numerator_ = narrow(numerator / a);
        result.denominator_ = narrow(denominator / a);
        return result;
    }

    bool is_float() const { return denominator_ == 0; }
    bool is_integer() const { return denominator_ == 1; }
    bool truth() const { return is_float() ? real_ != 0 : numerator_ != 0; }
    double real() const {
        return is_float() ? real_ : static_cast<double>(numerator_) / static_cast<double>(denominator_);
    }

    /// The integer it is; throws ArgumentError otherwise.
    std::int64_t integer() const {
        if (is_integer()) return numerator_;
        constexpr double limit = 9223372036854775808.0;  // 2^63
        if (is_float() && real_ == std::trunc(real_) && real_ >= -limit && real_ < limit)
            return static_cast<std::int64_t>(real_);
        char text[32];
        const std::string shown(text, std::to_chars(text, std::end(text), real()).ptr);
        throw ArgumentError("the value " + shown + " is not a 64-bit integer");
    }

    /// The greatest integer that is not above it.
    Number floor() const {
        if (is_float()) return Number(std::floor(real_)).integer();
        const std::int64_t quotient = numerator_ / denominator_;
        return quotient - (numerator_ % denominator_ < 0 ? 1 : 0);
    }

    friend Number operator+(const Number& a, const Number& b) {
        if (a.is_float() || b.is_float()) return a.real() + b.real();
        return fraction(Int128{a.numerator_} * b.denominator_ + Int128{b.numerator_} * a.denominator_,
                        Int128{a.denominator_} * b.denominator_);
    }
    friend Number operator*(const Number& a, const Number& b) {
        if (a.is_float() || b.is_float()) return a.real() * b.real();
        return fraction(Int128{a.numerator_} * b.numerator_, Int128{a.denominator_} * b.denominator_);
    }
    friend Number operator/(const Number& a, const Number& b) {
        if (!b.truth()) throw ArgumentError("division by zero");
        if (a.is_float() || b.is_float()) return a.real() / b.real();
        return fraction(Int128{a.numerator_} * b.denominator_, Int128{a.denominator_} * b.numerator_);
    }
    friend Number operator-(const Number& a) { return a * Number(std::int64_t{-1}); }
    friend Number operator-(const Number& a, const Number& b) { return a + -b; }
    friend bool operator<(const Number& a, const Number& b) {
        if (a.is_float() || b.is_float()) return a.real() < b.real();
        return Int128{a.numerator_} * b.denominator_ < Int128{b.numerator_} * a.denominator_;
    }
    friend bool operator==(const Number& a, const Number& b) {
        if (a.is_float() || b.is_float()) return a.real() == b.real();
        return a.numerator_ == b.numerator_ && a.denominator_ == b.denominator_;
    }

  private:
    static std::int64_t narrow(Int128 value) {
        if (value < std::numeric_limits<std::int64_t>::min() || value > std::numeric_limits<std::int64_t>::max())
            throw ArgumentError("the result overflows 64 bits");
        return static_cast<std::int64_t>(value);
    }

    std::int64_t numerator_ = 0;
    std::int64_t denominator_ = 1;  // positive; 0 marks a float
    double real_ = 0;
};

Number evaluate_number(const Expr& expr, const SymbolValues& values);

/// The arguments of a call, evaluated when asked for: a branch that is not taken must not divide by zero.
class CallArgs {
  public:
    CallArgs(const Expr& call, const SymbolValues& values) : call_(call), values_(values) {}

    std::size_t size() const { return call_.args.size(); }
    Number operator[](std::size_t i) const { return evaluate_number(*call_.args[i], values_); }

    /// The arguments of the i-th argument, which is a call itself.
    CallArgs nested(std::size_t i) const { return {*call_.args[i], values_}; }

    template <class F>
    Number fold(F f) const {
        Number result = (*this)[0];
        for (std::size_t i = 1; i < size(); ++i) result = f(result, (*this)[i]);
        return result;
    }

  private:
    const Expr& call_;
    const SymbolValues& values_;
};

inline Number floor_div(const Number& a, const Number& b) { return (a / b).floor(); }
inline Number python_mod(const Number& a, const Number& b) { return a - b * floor_div(a, b); }

inline Number power(Number base, const Number& exponent) {
    if (base.is_float() || !exponent.is_integer()) return std::pow(base.real(), exponent.real());
    const std::int64_t n = exponent.integer();
    const Number one(std::int64_t{1});
    if (n < 0) base = one / base;
    if (base == one || (base == -one && n % 2 == 0) || n == 0) return one;
    if (base == -one || !base.truth()) return base;
    Number result = base;  // any other base overflows within 64 steps
    for (std::int64_t i = n < 0 ? -1 : 1; i != n; i += n < 0 ? -1 : 1) result = result * base;
    return result;
}

/// Python's round(x, digits): the decimal text of a double is correctly rounded, halves to even.
inline Number round_decimal(double x, std::int64_t digits) {
    if (digits < 0) {
        const double unit = std::pow(10.0, static_cast<double>(-digits));
        return std::nearbyint(x / unit) * unit;
    }
    char text[400];
    const char* end = std::to_chars(text, std::end(text), x, std::chars_format::fixed,
                                    static_cast<int>(std::min<std::int64_t>(digits, 50)))
                          .ptr;
    double rounded = 0;
    std::from_chars(text, end, rounded);
    return rounded;
}

/// torch.fx's test of `sizes..., strides...`: some order of the dimensions is contiguous.
inline Number is_dense(const CallArgs& args) {
    const std::size_t rank = args.size() / 2;
    std::vector<std::pair<std::int64_t, std::int64_t>> dims;  // stride, size
    for (std::size_t i = 0; i < rank; ++i) dims.emplace_back(args[rank + i].integer(), args[i].integer());
    if (rank == 1) return dims[0].first == 1 || dims[0].second < 2;
    std::sort(dims.begin(), dims.end());
    Number expected(std::int64_t{1});
    for (const auto& [stride, size] : dims) {
        if (size == 1) continue;
        if (!(Number(stride) == expected)) return false;
        expected = expected * Number(size);
    }
    return true;
}

inline Number piecewise(const CallArgs& args) {
    for (std::size_t i = 0; i < args.size(); ++i)
        if (const CallArgs pair = args.nested(i); pair[1].truth()) return pair[0];
    throw ArgumentError("no case of Piecewise applies");
}

/// A function by sympy's name, with the number of arguments it takes (no `max_args`: any number).
struct SymbolicFunction {
    static constexpr std::size_t any = static_cast<std::size_t>(-1);

    std::string_view name;
    std::size_t min_args;
    std::size_t max_args;
    Number (*evaluate)(const CallArgs&);
};

template <double (*F)(double)>
Number call_real(const CallArgs& args) {
    return F(args[0].real());
}

/// Semantics: torch/utils/_sympy/functions.py.
inline const SymbolicFunction* find_symbolic_function(std::string_view name) {
    using Args = const CallArgs&;
    constexpr std::size_t any = SymbolicFunction::any;
    static const SymbolicFunction functions[] = {
        {"Add", 1, any, [](Args x) { return x.fold([](const Number& a, const Number& b) { return a + b; }); }},
        {"Mul", 1, any, [](Args x) { return x.fold([](const Number& a, const Number& b) { return a * b; }); }},
        {"Max", 1, any, [](Args x) { return x.fold([](const Number& a, const Number& b) { return a < b ? b : a; }); }},
        {"Min", 1, any, [](Args x) { return x.fold([](const Number& a, const Number& b) { return b < a ? b : a; }); }},
        {"Pow", 2, 2, [](Args x) { return power(x[0], x[1]); }},
        {"PowByNatural", 2, 2, [](Args x) { return power(x[0], x[1]); }},
        {"FloatPow", 2, 2, [](Args x) { return Number(std::pow(x[0].real(), x[1].real())); }},
        {"Rational", 2, 2, [](Args x) { return x[0] / x[1]; }},
        {"FloorDiv", 2, 2, [](Args x) { return floor_div(x[0], x[1]); }},
        {"CleanDiv", 2, 2, [](Args x) { return floor_div(x[0], x[1]); }},
        {"CeilDiv", 2, 2, [](Args x) { return -floor_div(-x[0], x[1]); }},
        {"IntTrueDiv", 2, 2, [](Args x) { return Number((x[0] / x[1]).real()); }},
        {"FloatTrueDiv", 2, 2, [](Args x) { return Number((x[0] / x[1]).real()); }},
        {"Mod", 2, 2, [](Args x) { return python_mod(x[0], x[1]); }},
        {"PythonMod", 2, 2, [](Args x) { return python_mod(x[0], x[1]); }},
        {"ModularIndexing", 3, 3, [](Args x) { return python_mod(floor_div(x[0], x[1]), x[2]); }},
        {"LShift", 2, 2, [](Args x) { return x[0] * power(std::int64_t{2}, x[1]); }},
        {"RShift", 2, 2, [](Args x) { return floor_div(x[0], power(std::int64_t{2}, x[1])); }},
        {"BitwiseFn_bitwise_and", 2, 2, [](Args x) { return Number(x[0].integer() & x[1].integer()); }},
        {"BitwiseFn_bitwise_or", 2, 2, [](Args x) { return Number(x[0].integer() | x[1].integer()); }},
        {"BitwiseFn_bitwise_xor", 2, 2, [](Args x) { return Number(x[0].integer() ^ x[1].integer()); }},
        {"Equality", 2, 2, [](Args x) { return Number(x[0] == x[1]); }},
        {"Unequality", 2, 2, [](Args x) { return Number(!(x[0] == x[1])); }},
        {"StrictLessThan", 2, 2, [](Args x) { return Number(x[0] < x[1]); }},
        {"StrictGreaterThan", 2, 2, [](Args x) { return Number(x[1] < x[0]); }},
        {"LessThan", 2, 2, [](Args x) { return Number(!(x[1] < x[0])); }},
        {"GreaterThan", 2, 2, [](Args x) { return Number(!(x[0] < x[1])); }},
        {"And", 1, any,
         [](Args x) {
             for (std::size_t i = 0; i < x.size(); ++i)
                 if (!x[i].truth()) return Number(false);
             return Number(true);
         }},
        {"Or", 1, any,
         [](Args x) {
             for (std::size_t i = 0; i < x.size(); ++i)
                 if (x[i].truth()) return Number(true);
             return Number(false);
         }},
        {"Not", 1, 1, [](Args x) { return Number(!x[0].truth()); }},
        {"ITE", 3, 3, [](Args x) { return x[0].truth() ? x[1] : x[2]; }},
        {"Where", 3, 3, [](Args x) { return x[0].truth() ? x[1] : x[2]; }},
        {"Piecewise", 1, any, piecewise},
        {"ExprCondPair", 2, 2, [](Args x) { return x[0]; }},
        {"Identity", 1, 1, [](Args x) { return x[0]; }},
        {"Abs", 1, 1, [](Args x) { return x[0] < Number(std::int64_t{0}) ? -x[0] : x[0]; }},
        {"floor", 1, 1, [](Args x) { return x[0].floor(); }},
        {"ceiling", 1, 1, [](Args x) { return -(-x[0]).floor(); }},
        {"FloorToInt", 1, 1, [](Args x) { return x[0].floor(); }},
        {"CeilToInt", 1, 1, [](Args x) { return -(-x[0]).floor(); }},
        {"TruncToInt", 1, 1, [](Args x) { return Number(Number(std::trunc(x[0].real())).integer()); }},
        {"RoundToInt", 1, 1, [](Args x) { return Number(Number(std::nearbyint(x[0].real())).integer()); }},
        {"ToFloat", 1, 1, [](Args x) { return Number(x[0].real()); }},
        {"TruncToFloat", 1, 1, [](Args x) { return Number(std::trunc(x[0].real())); }},
        {"RoundDecimal", 2, 2, [](Args x) { return round_decimal(x[0].real(), x[1].integer()); }},
        {"IsNonOverlappingAndDenseIndicator", 2, any, is_dense},
        {"OpaqueUnaryFn_sqrt", 1, 1, call_real<std::sqrt>},
        {"OpaqueUnaryFn_cos", 1, 1, call_real<std::cos>},
        {"OpaqueUnaryFn_cosh", 1, 1, call_real<std::cosh>},
        {"OpaqueUnaryFn_sin", 1, 1, call_real<std::sin>},
        {"OpaqueUnaryFn_sinh", 1, 1, call_real<std::sinh>},
        {"OpaqueUnaryFn_tan", 1, 1, call_real<std::tan>},
        {"OpaqueUnaryFn_tanh", 1, 1, call_real<std::tanh>},
        {"OpaqueUnaryFn_asin", 1, 1, call_real<std::asin>},
        {"OpaqueUnaryFn_acos", 1, 1, call_real<std::acos>},
        {"OpaqueUnaryFn_atan", 1, 1, call_real<std::atan>},
        {"OpaqueUnaryFn_exp", 1, 1, call_real<std::exp>},
        {"OpaqueUnaryFn_log", 1, 1, call_real<std::log>},
        {"OpaqueUnaryFn_asinh", 1, 1, call_real<std::asinh>},
        {"OpaqueUnaryFn_log2", 1, 1, call_real<std::log2>},
    };
    for (const SymbolicFunction& function : functions)
        if (function.name == name) return &function;
    return nullptr;
}

}  // namespace torch_ir::detail
