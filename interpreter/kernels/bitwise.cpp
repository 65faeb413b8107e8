// SPDX-License-Identifier: MIT
// Ops on integers as bits and as whole numbers.
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"

namespace torch_ir::kernels {
namespace {

constexpr std::int64_t left_shift(std::int64_t x, std::int64_t n) {
    return n < 0 || n > 63 ? 0 : static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << n);
}
/// Too far a shift leaves the sign.
constexpr std::int64_t right_shift(std::int64_t x, std::int64_t n) { return x >> (n < 0 || n > 63 ? 63 : n); }

/// `__lshift__` takes floating point numbers too: self · 2^other.
template <int sign>
Tensor shift(const char* op, const Tensor& self, const Tensor& other) {
    if (is_floating_point(result_type(self, other)))
        return binary<InFloat>([](auto x, auto n) { return x * std::exp2(decltype(x)(sign) * n); })(op, self, other);
    return binary<InInt>([](std::int64_t x, std::int64_t n) {
        return sign > 0 ? left_shift(x, n) : right_shift(x, n);
    })(op, self, other);
}

constexpr BinaryEntry logic[] = {
    {"and", binary<InInt>([](auto x, auto y) { return x & y; })},
    {"or", binary<InInt>([](auto x, auto y) { return x | y; })},
    {"xor", binary<InInt>([](auto x, auto y) { return x ^ y; })},
    {"left_shift", binary<InInt>([](auto x, auto n) { return left_shift(x, n); })},
    {"right_shift", binary<InInt>([](auto x, auto n) { return right_shift(x, n); })},
};

/// Euclid's algorithm on absolute values, where that of the dtype's smallest integer is itself, as in PyTorch.
struct GreatestDivisor {
    std::int64_t lowest;

    /// Products of int32 wrap before; narrower ones are of int in PyTorch, too.
    std::int64_t magnitude(std::int64_t x) const {
        if (lowest == std::numeric_limits<std::int32_t>::min()) x = static_cast<std::int32_t>(x);
        return x < 0 && x != lowest ? -x : x;
    }
    std::int64_t operator()(std::int64_t x, std::int64_t y) const {
        std::int64_t a = magnitude(x), b = magnitude(y);
        while (a != 0) {
            const std::int64_t left = a == -1 ? 0 : b % a;
            b = a;
            a = left;
        }
        return b;
    }
};

GreatestDivisor greatest_divisor(DType dtype) {
    const auto bits = static_cast<int>(8 * item_size(dtype));
    return {category(dtype) == DTypeCategory::Signed ? static_cast<std::int64_t>(~std::uint64_t{0} << (bits - 1)) : 0};
}

void require_integers(const char* op, DType dtype) {
    if (!is_integral(dtype, false)) unsupported_dtype(op, dtype);
}

Tensor gcd(const Tensor& self, const Tensor& other) {
    const DType dtype = result_type(self, other);
    require_integers("gcd", dtype);
    return elementwise<std::int64_t>(dtype, greatest_divisor(dtype), converted(self, dtype), converted(other, dtype));
}

Tensor lcm(const Tensor& self, const Tensor& other) {
    const DType dtype = result_type(self, other);
    require_integers("lcm", dtype);
    return elementwise<std::int64_t>(
        dtype,
        [divisor = greatest_divisor(dtype)](std::int64_t x, std::int64_t y) {
            const std::int64_t g = divisor(x, y);
            if (g == 0) return std::int64_t{0};
            const std::uint64_t quotient =
                g == -1 ? 0 - static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x / g);
            return divisor.magnitude(static_cast<std::int64_t>(quotient * static_cast<std::uint64_t>(y)));
        },
        converted(self, dtype), converted(other, dtype));
}

}  // namespace

void register_bitwise(Registry& r) {
    for (const BinaryEntry& entry : logic) {
        const std::string op = std::string("bitwise_") + entry.names;
        const bool is_shift = op.ends_with("shift");
        const auto kernel = [op, f = entry.kernel](const Tensor& self, const Tensor& other) {
            return f(op.c_str(), self, other);
        };
        r.add(op + ".Tensor(Tensor self, Tensor other) -> Tensor", kernel);
        r.add(op + (is_shift ? ".Tensor_Scalar" : ".Scalar") + "(Tensor self, Scalar other) -> Tensor", kernel);
        // A negative number is one of the tensor's dtype before it is shifted.
        r.add(op + ".Scalar_Tensor(Scalar self, Tensor other) -> Tensor",
              [kernel](const Tensor& self, const Tensor& other) {
                  return kernel(self.to(result_type(self, other)), other);
              });
    }
    const BinaryEntry operators[] = {{"__and__", logic[0].kernel},
                                     {"__or__", logic[1].kernel},
                                     {"__xor__", logic[2].kernel},
                                     {"__lshift__", shift<1>},
                                     {"__rshift__", shift<-1>}};
    for (const BinaryEntry& entry : operators) {
        const std::string op = entry.names;
        r.add(op + ".Tensor(Tensor self, Tensor other) -> Tensor", bound(entry));
        r.add(op + ".Scalar(Tensor self, Scalar other) -> Tensor", bound(entry));
    }
    r.add("gcd(Tensor self, Tensor other) -> Tensor", gcd);
    r.add("lcm(Tensor self, Tensor other) -> Tensor", lcm);
}

}  // namespace torch_ir::kernels
