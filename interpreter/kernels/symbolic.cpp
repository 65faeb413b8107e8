// SPDX-License-Identifier: MIT
// Python's operators, math.* and torch.sym_* on numbers: what exported graphs compute with sizes.
#include <cmath>
#include <string>

#include "kernels/families.hpp"

namespace torch_ir::kernels {
namespace {

using Int = std::int64_t;

[[noreturn]] void overflow(const char* name) {
    throw ArgumentError(std::string(name) + ": the result does not fit 64 bits");
}

bool integers(const Scalar& a, const Scalar& b) { return a.is_integral() && b.is_integral(); }

/// Ints by `on_ints(a, b, &result)`, which says whether it overflowed; anything else by `on_floats`.
template <class OnInts, class OnFloats>
Scalar arithmetic(const char* name, const Scalar& a, const Scalar& b, OnInts on_ints, OnFloats on_floats) {
    if (!integers(a, b)) return on_floats(a.to<double>(), b.to<double>());
    Int result = 0;
    if (on_ints(a.to<Int>(), b.to<Int>(), &result)) overflow(name);
    return result;
}

Scalar add(const Scalar& a, const Scalar& b) {
    return arithmetic(
        "add", a, b, [](Int x, Int y, Int* z) { return __builtin_add_overflow(x, y, z); },
        [](double x, double y) { return x + y; });
}

Scalar sub(const Scalar& a, const Scalar& b) {
    return arithmetic(
        "sub", a, b, [](Int x, Int y, Int* z) { return __builtin_sub_overflow(x, y, z); },
        [](double x, double y) { return x - y; });
}

Scalar mul(const Scalar& a, const Scalar& b) {
    return arithmetic(
        "mul", a, b, [](Int x, Int y, Int* z) { return __builtin_mul_overflow(x, y, z); },
        [](double x, double y) { return x * y; });
}

void check_divisor(const char* name, const Scalar& b) {
    if (!b.to<bool>()) throw ArgumentError(std::string(name) + ": division by zero");
}

Scalar truediv(const Scalar& a, const Scalar& b) {
    check_divisor("truediv", b);
    return a.to<double>() / b.to<double>();
}

double float_mod(double x, double y) {
    const double rest = std::fmod(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

Scalar floordiv(const Scalar& a, const Scalar& b) {
    check_divisor("floordiv", b);
    return arithmetic(
        "floordiv", a, b,
        [](Int x, Int y, Int* z) {
            if (y == -1) return __builtin_sub_overflow(Int{0}, x, z);
            *z = x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0);
            return false;
        },
        [](double x, double y) { return std::floor((x - float_mod(x, y)) / y + 0.5); });
}

Scalar mod(const Scalar& a, const Scalar& b) {
    check_divisor("mod", b);
    return arithmetic(
        "mod", a, b,
        [](Int x, Int y, Int* z) {
            *z = y == -1 ? 0 : x % y;
            if (*z != 0 && (*z < 0) != (y < 0)) *z += y;
            return false;
        },
        float_mod);
}

Scalar pow(const Scalar& a, const Scalar& b) {
    if (!integers(a, b) || b.to<Int>() < 0) return std::pow(a.to<double>(), b.to<double>());
    Int base = a.to<Int>();
    Int result = 1;
    for (Int exponent = b.to<Int>(); exponent > 0; exponent >>= 1) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) overflow("pow");
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) overflow("pow");
    }
    return result;
}

/// -1, 0 or 1; 2 when one is NaN.
int compare(const Scalar& a, const Scalar& b) {
    if (integers(a, b)) return a.to<Int>() < b.to<Int>() ? -1 : a.to<Int>() > b.to<Int>();
    const auto x = a.to<double>();
    const auto y = b.to<double>();
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

template <class F>
Scalar bitwise(const char* name, const Scalar& a, const Scalar& b, F f) {
    if (!integers(a, b)) throw ArgumentError(std::string(name) + ": expected ints or bools, found a float");
    const Int result = f(a.to<Int>(), b.to<Int>());
    if (a.kind() == Scalar::Kind::Bool && b.kind() == Scalar::Kind::Bool) return result != 0;
    return result;
}

Int shift_count(const char* name, const Scalar& a, const Scalar& b) {
    if (!integers(a, b) || b.to<Int>() < 0)
        throw ArgumentError(std::string(name) + ": expected a non-negative int to shift by");
    return b.to<Int>();
}

Scalar lshift(const Scalar& a, const Scalar& b) {
    const Int count = shift_count("lshift", a, b);
    const Int x = a.to<Int>();
    if (x == 0) return Int{0};
    Int result = 0;
    if (count > 62 || __builtin_mul_overflow(x, Int{1} << count, &result)) overflow("lshift");
    return result;
}

Scalar rshift(const Scalar& a, const Scalar& b) {
    return a.to<Int>() >> std::min<Int>(shift_count("rshift", a, b), 63);
}

Scalar maximum(const Scalar& a, const Scalar& b) {
    const bool second = compare(b, a) == 1;
    return integers(a, b) ? Scalar(second ? b.to<Int>() : a.to<Int>())
                          : Scalar(second ? b.to<double>() : a.to<double>());
}

Scalar minimum(const Scalar& a, const Scalar& b) {
    const bool second = compare(b, a) == -1;
    return integers(a, b) ? Scalar(second ? b.to<Int>() : a.to<Int>())
                          : Scalar(second ? b.to<double>() : a.to<double>());
}

/// A float that is a whole number as an int.
Scalar to_int(double x) {
    constexpr double limit = 9223372036854775808.0;  // 2^63
    if (!(x >= -limit && x < limit)) throw ArgumentError("cannot convert " + std::to_string(x) + " to an int");
    return static_cast<Int>(x);
}

template <double (*F)(double)>
Scalar rounded(const Scalar& a) {
    return a.is_integral() ? Scalar(a.to<Int>()) : to_int(F(a.to<double>()));
}

template <double (*F)(double)>
Scalar real_function(const Scalar& a) {
    const auto x = a.to<double>();
    const double y = F(x);
    if (std::isnan(y) && !std::isnan(x)) throw ArgumentError("math domain error");
    return y;
}

Scalar neg(const Scalar& a) { return sub(Int{0}, a); }
Scalar float_neg(const Scalar& a) { return a.is_integral() ? neg(a) : Scalar(-a.to<double>()); }
Scalar pos(const Scalar& a) { return a.is_integral() ? Scalar(a.to<Int>()) : a; }
Scalar absolute(const Scalar& a) {
    return a.is_integral() && a.to<Int>() >= 0 ? pos(a) : a.is_integral() ? neg(a) : Scalar(std::fabs(a.to<double>()));
}
Scalar logical_not(const Scalar& a) { return !a.to<bool>(); }
Scalar to_float(const Scalar& a) { return a.to<double>(); }

using Unary = Scalar (*)(const Scalar&);
using Binary = Scalar (*)(const Scalar&, const Scalar&);

void check_count(const std::string& name, std::size_t found, std::size_t expected) {
    if (found != expected)
        throw ArgumentError(name + ": expected " + std::to_string(expected) + " arguments, found " +
                            std::to_string(found));
}

void add_unary(Registry& r, const std::string& name, Unary f) {
    r.add_function(name, [name, f](Context&, std::span<const IValue* const> args, std::vector<IValue>& results) {
        check_count(name, args.size(), 1);
        results.push_back(to_ivalue(f(to_scalar(*args[0]))));
    });
}

void add_binary(Registry& r, const std::string& name, Binary f) {
    r.add_function(name, [name, f](Context&, std::span<const IValue* const> args, std::vector<IValue>& results) {
        check_count(name, args.size(), 2);
        results.push_back(to_ivalue(f(to_scalar(*args[0]), to_scalar(*args[1]))));
    });
}

void sym_ite(Context&, std::span<const IValue* const> args, std::vector<IValue>& results) {
    check_count("torch.sym_ite", args.size(), 3);
    results.push_back(*args[to_scalar(*args[0]).to<bool>() ? 1 : 2]);
}

/// torch.sym_sum: of one list, or of all arguments.
void sym_sum(Context&, std::span<const IValue* const> args, std::vector<IValue>& results) {
    Scalar total;
    for (const IValue* arg : args) {
        if (const auto* ints = std::get_if<Ints>(arg))
            for (const Int value : *ints) total = add(total, value);
        else if (const auto* scalars = std::get_if<ScalarList>(arg))
            for (const Scalar& value : *scalars) total = add(total, value);
        else if (const auto* doubles = std::get_if<Doubles>(arg))
            for (const double value : *doubles) total = add(total, value);
        else
            total = add(total, to_scalar(*arg));
    }
    results.push_back(to_ivalue(total));
}

void register_operators(Registry& r) {
    const std::pair<const char*, Binary> binary[] = {
        {"add", add},
        {"sub", sub},
        {"mul", mul},
        {"truediv", truediv},
        {"floordiv", floordiv},
        {"mod", mod},
        {"pow", pow},
        {"lshift", lshift},
        {"rshift", rshift},
        {"eq", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) == 0); }},
        {"ne", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) != 0); }},
        {"lt", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) == -1); }},
        {"le", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) <= 0); }},
        {"gt", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) == 1); }},
        {"ge", [](const Scalar& a, const Scalar& b) { return Scalar(compare(a, b) == 0 || compare(a, b) == 1); }},
        {"and_",
         [](const Scalar& a, const Scalar& b) { return bitwise("and_", a, b, [](Int x, Int y) { return x & y; }); }},
        {"or_",
         [](const Scalar& a, const Scalar& b) { return bitwise("or_", a, b, [](Int x, Int y) { return x | y; }); }},
        {"xor",
         [](const Scalar& a, const Scalar& b) { return bitwise("xor", a, b, [](Int x, Int y) { return x ^ y; }); }}};
    for (const auto& [name, f] : binary) add_binary(r, std::string("_operator.") + name, f);
    const std::pair<const char*, Unary> unary[] = {{"neg", float_neg},
                                                   {"pos", pos},
                                                   {"abs", absolute},
                                                   {"not_", logical_not},
                                                   {"truth", [](const Scalar& a) { return Scalar(a.to<bool>()); }},
                                                   {"index", pos},
                                                   {"invert", [](const Scalar& a) { return Scalar(~a.to<Int>()); }}};
    for (const auto& [name, f] : unary) add_unary(r, std::string("_operator.") + name, f);
}

void register_math(Registry& r) {
    const std::pair<const char*, Unary> rounding[] = {
        {"floor", rounded<std::floor>}, {"ceil", rounded<std::ceil>}, {"trunc", rounded<std::trunc>}};
    for (const auto& [name, f] : rounding) add_unary(r, std::string("math.") + name, f);
    add_unary(r, "builtins.round", rounded<std::nearbyint>);
    const std::pair<const char*, Unary> functions[] = {
        {"sqrt", real_function<std::sqrt>},   {"cos", real_function<std::cos>},   {"cosh", real_function<std::cosh>},
        {"sin", real_function<std::sin>},     {"sinh", real_function<std::sinh>}, {"tan", real_function<std::tan>},
        {"tanh", real_function<std::tanh>},   {"asin", real_function<std::asin>}, {"acos", real_function<std::acos>},
        {"atan", real_function<std::atan>},   {"log2", real_function<std::log2>}, {"log", real_function<std::log>},
        {"log10", real_function<std::log10>}, {"exp", real_function<std::exp>},   {"log1p", real_function<std::log1p>},
        {"expm1", real_function<std::expm1>}, {"fabs", real_function<std::fabs>}};
    for (const auto& [name, f] : functions) {
        add_unary(r, std::string("math.") + name, f);
        add_unary(r, std::string("torch._sym_") + name, f);
    }
    add_binary(r, "math.pow",
               [](const Scalar& a, const Scalar& b) { return Scalar(std::pow(a.to<double>(), b.to<double>())); });
}

}  // namespace

void register_symbolic(Registry& r) {
    register_operators(r);
    register_math(r);
    for (const char* name : {"torch.sym_max", "builtins.max"}) add_binary(r, name, maximum);
    for (const char* name : {"torch.sym_min", "builtins.min"}) add_binary(r, name, minimum);
    for (const char* name : {"torch.sym_int", "builtins.int"}) add_unary(r, name, rounded<std::trunc>);
    for (const char* name : {"torch.sym_float", "builtins.float"}) add_unary(r, name, to_float);
    add_unary(r, "torch.sym_not", logical_not);
    add_unary(r, "builtins.abs", absolute);
    r.add_function("torch.sym_ite", sym_ite);
    r.add_function("torch.sym_sum", sym_sum);
}

}  // namespace torch_ir::kernels
