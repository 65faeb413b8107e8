// SPDX-License-Identifier: MIT
#include "kernels/arithmetic.hpp"

#include <cmath>

#include "elementwise.hpp"
#include "kernels/pointwise.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

template <class F>
Tensor in_common(const Tensor& a, const Tensor& b, const F& f) {
    const DType dtype = result_type(a, b);
    return visit_compute(dtype, [&]<class C>(C) { return elementwise_in_own<C>(dtype, f, a, b); });
}

}  // namespace

Tensor plus(const Tensor& a, const Tensor& b) {
    return in_common(a, b, [](auto x, auto y) { return x + y; });
}
Tensor minus(const Tensor& a, const Tensor& b) {
    return in_common(a, b, [](auto x, auto y) { return x - y; });
}
Tensor times(const Tensor& a, const Tensor& b) {
    return in_common(a, b, [](auto x, auto y) { return multiplied(x, y); });
}
Tensor divided(const Tensor& a, const Tensor& b) {
    const DType dtype = to_float(result_type(a, b));
    return apply_in_own<InFloatOrComplex>(
        "div", dtype, [](auto x, auto y) { return over(x, y); }, a, b);
}
Tensor not_equal(const Tensor& a, const Tensor& b) {
    const DType dtype = result_type(a, b);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            DType::Bool, [](C x, C y) { return x != y; }, wrapped(a, dtype), wrapped(b, dtype));
    });
}

}  // namespace torch_ir::kernels
