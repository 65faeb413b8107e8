// SPDX-License-Identifier: MIT
// Comparisons, logical ops, closeness, and what picks one of its operands by comparing them.
#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/pointwise.hpp"

namespace torch_ir::kernels {
namespace {

/// `f(x, y)` as bool; uint64 values compare as such.
template <class Rule, class F>
constexpr BinaryFn comparison(F) {
    return [](const char* op, const Tensor& self, const Tensor& other) {
        const DType dtype = result_type(self, other);
        const Tensor x = converted(self, dtype), y = converted(other, dtype);
        if (dtype == DType::UInt64)
            return elementwise<std::int64_t>(
                DType::Bool,
                [](std::int64_t a, std::int64_t b) {
                    return F{}(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
                },
                x, y);
        return visit_rule<Rule>(dtype, op, [&]<class C>(C) { return elementwise<C>(DType::Bool, F{}, x, y); });
    };
}

constexpr BinaryEntry comparisons[] = {
    {"eq", comparison<InAny>([](auto x, auto y) { return x == y; })},
    {"ne not_equal", comparison<InAny>([](auto x, auto y) { return x != y; })},
    {"lt less", comparison<InReal>([](auto x, auto y) { return x < y; })},
    {"le less_equal", comparison<InReal>([](auto x, auto y) { return x <= y; })},
    {"gt greater", comparison<InReal>([](auto x, auto y) { return x > y; })},
    {"ge greater_equal", comparison<InReal>([](auto x, auto y) { return x >= y; })},
};

constexpr BinaryEntry logical[] = {
    {"logical_and", comparison<InAny>([](auto x, auto y) { return (x != decltype(x)(0)) && (y != decltype(y)(0)); })},
    {"logical_or", comparison<InAny>([](auto x, auto y) { return (x != decltype(x)(0)) || (y != decltype(y)(0)); })},
    {"logical_xor", comparison<InAny>([](auto x, auto y) { return (x != decltype(x)(0)) != (y != decltype(y)(0)); })},
};

constexpr auto larger = []<class C>(C x, C y) { return vmath::larger(x, y); };
constexpr auto smaller = []<class C>(C x, C y) { return vmath::smaller(x, y); };
/// The other one when either is NaN.
constexpr auto larger_number = []<class C>(C x, C y) {
    const C number = x > y ? x : y;
    return y != y ? x : number;
};
constexpr auto smaller_number = []<class C>(C x, C y) {
    const C number = x < y ? x : y;
    return y != y ? x : number;
};

/// `f` picks one of two; uint64 values compare as such.
template <class F>
constexpr BinaryFn picking(F) {
    return [](const char* op, const Tensor& self, const Tensor& other) {
        if (result_type(self, other) == DType::UInt64)
            return elementwise<std::int64_t>(
                DType::UInt64,
                [](std::int64_t a, std::int64_t b) {
                    return static_cast<std::int64_t>(F{}(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
                },
                self, other);
        return binary<InReal>(F{})(op, self, other);
    };
}

constexpr BinaryEntry extremes[] = {
    {"maximum", picking(larger)},
    {"minimum", picking(smaller)},
    {"fmax", picking(larger_number)},
    {"fmin", picking(smaller_number)},
};

/// Either bound may be missing; NaN in any operand gives NaN. With one tensor as bound it is the larger or smaller of two,
/// of bool, too.
Tensor clamp(const Tensor& self, const Tensor& min, const Tensor& max) {
    if (!min.defined() && !max.defined())
        throw ArgumentError("clamp: expected at least one of min and max, found none");
    if (!max.defined() && !min.is_wrapped_number()) return extremes[0].kernel("clamp", self, min);
    if (!min.defined() && !max.is_wrapped_number()) return extremes[1].kernel("clamp", self, max);
    const Tensor* operands[] = {&self, &self, &self};
    if (min.defined()) operands[1] = &min;
    if (max.defined()) operands[2] = &max;
    const DType dtype = result_type(operands);
    refuse_bool("clamp", dtype);
    for (const Tensor* bound : {&min, &max})
        if (bound->defined() && bound->is_wrapped_number()) check_fits("clamp", bound->item(), dtype);
    const Tensor lowest = min.defined() ? converted(min, dtype) : min,
                 highest = max.defined() ? converted(max, dtype) : max;
    return visit_rule<InReal>(dtype, "clamp", [&]<class C>(C) {
        if (min.defined() && max.defined() && min.dim() == 0 && max.dim() == 0) {
            const C low = lowest.item().to<C>(), high = highest.item().to<C>();
            if (low == low && high == high)  // the bounds stay in registers, and a NaN in self passes both
                return elementwise<C>(
                    dtype,
                    [low, high](C x) {
                        const C raised = x < low ? low : x;
                        return raised > high ? high : raised;
                    },
                    self);
        }
        if (!max.defined()) return elementwise<C>(dtype, larger, self, lowest);
        if (!min.defined()) return elementwise<C>(dtype, smaller, self, highest);
        return elementwise<C>(
            dtype, [](C x, C low, C high) { return smaller(larger(x, low), high); }, self, lowest, highest);
    });
}
Tensor clamp_min(const Tensor& self, const Tensor& min) { return clamp(self, min, {}); }
Tensor clamp_max(const Tensor& self, const Tensor& max) { return clamp(self, {}, max); }

void require_same_dtype(const char* op, const Tensor& self, const Tensor& other) {
    if (self.dtype() != other.dtype())
        throw ArgumentError(std::string(op) + ": expected other to have the dtype of self, found " + describe(other) +
                            " and " + describe(self));
}

/// |self - other| <= atol + rtol |other|, or equal.
Tensor isclose(const Tensor& self, const Tensor& other, double rtol, double atol, bool equal_nan) {
    require_same_dtype("isclose", self, other);
    if (!(rtol >= 0) || !(atol >= 0)) throw ArgumentError("isclose: expected rtol and atol to be at least 0");
    const auto close = [=]<class C>(C x, C y) {
        if (x == y || (equal_nan && x != x && y != y)) return true;
        const auto error = static_cast<double>(std::abs(x - y));
        return error <= std::numeric_limits<double>::max() && error <= atol + std::abs(rtol * std::abs(y));
    };
    if (is_complex(self.dtype())) return elementwise<std::complex<double>>(DType::Bool, close, self, other);
    if (is_integral(self.dtype(), true))
        return elementwise<std::int64_t>(
            DType::Bool,
            [=](std::int64_t x, std::int64_t y) {
                if (x == y) return true;
                const double error = std::fabs(static_cast<double>(x) - static_cast<double>(y));
                return error <= atol + rtol * std::fabs(static_cast<double>(y));
            },
            self, other);
    return elementwise<double>(DType::Bool, close, self, other);
}

/// Is every element of a bool tensor true?
bool all_true(const Tensor& tensor) {
    const Tensor dense = tensor.contiguous();
    const bool* const values = dense.data<bool>();
    for (std::int64_t i = 0; i < dense.numel(); ++i)
        if (!values[i]) return false;
    return true;
}

bool allclose(const Tensor& self, const Tensor& other, double rtol, double atol, bool equal_nan) {
    return all_true(isclose(self, other, rtol, atol, equal_nan));
}

bool equal(const Tensor& self, const Tensor& other) {
    return self.shape() == other.shape() && all_true(comparisons[0].kernel("equal", self, other));
}

}  // namespace

void register_compare(Registry& r) {
    for (const BinaryEntry& entry : comparisons)
        for_each_name(entry.names, [&](const std::string& op) {
            const auto kernel = [op, f = entry.kernel](const Tensor& self, const Tensor& other) {
                return f(op.c_str(), self, other);
            };
            r.add(op + ".Tensor(Tensor self, Tensor other) -> Tensor", kernel);
            r.add(op + ".Scalar(Tensor self, Scalar other) -> Tensor", kernel);
        });
    add_binary(r, logical);
    add_binary(r, extremes);
    r.add("max.other(Tensor self, Tensor other) -> Tensor", bound(extremes[0]));
    r.add("min.other(Tensor self, Tensor other) -> Tensor", bound(extremes[1]));
    r.add("clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", clamp);
    r.add("clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", clamp);
    r.add("clip(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", clamp);
    r.add("clip.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", clamp);
    r.add("clamp_min(Tensor self, Scalar min) -> Tensor", clamp_min);
    r.add("clamp_min.Tensor(Tensor self, Tensor min) -> Tensor", clamp_min);
    r.add("clamp_max(Tensor self, Scalar max) -> Tensor", clamp_max);
    r.add("clamp_max.Tensor(Tensor self, Tensor max) -> Tensor", clamp_max);
    r.add(
        "isclose(Tensor self, Tensor other, float rtol=1.0000000000000001e-05, float atol=1e-08, "
        "bool equal_nan=False) -> Tensor",
        isclose);
    r.add(
        "allclose(Tensor self, Tensor other, float rtol=1.0000000000000001e-05, float atol=1e-08, "
        "bool equal_nan=False) -> bool",
        allclose);
    r.add("equal(Tensor self, Tensor other) -> bool", equal);
}

}  // namespace torch_ir::kernels
