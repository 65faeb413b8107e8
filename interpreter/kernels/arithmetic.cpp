// SPDX-License-Identifier: MIT
#include "kernels/arithmetic.hpp"

#include <cmath>

#include "elementwise.hpp"
#include "kernels/pointwise.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

template <class F>
Tensor in_common(DType dtype, const Tensor& a, const Tensor& b, const F& f) {
    return visit_compute(dtype, [&]<class C>(C) { return elementwise_in_own<C>(dtype, f, a, b); });
}

/// The second operand of a product or quotient: PyTorch computes with a single number as it is.
Tensor factor(const Tensor& b, DType dtype) { return b.numel() == 1 ? b : converted(b, dtype); }

}  // namespace

Tensor plus(const Tensor& a, const Tensor& b) {
    const DType dtype = result_type(a, b);
    return in_common(dtype, converted(a, dtype), converted(b, dtype), [](auto x, auto y) { return x + y; });
}
Tensor minus(const Tensor& a, const Tensor& b) {
    const DType dtype = result_type(a, b);
    return in_common(dtype, converted(a, dtype), converted(b, dtype), [](auto x, auto y) { return x - y; });
}
Tensor times(const Tensor& a, const Tensor& b) {
    const DType dtype = result_type(a, b);
    return in_common(dtype, converted(a, dtype), factor(b, dtype), [](auto x, auto y) { return multiplied(x, y); });
}
Tensor divided(const Tensor& a, const Tensor& b) {
    const DType dtype = to_float(result_type(a, b));
    return apply_in_own<InFloatOrComplex>(
        "div", dtype, [](auto x, auto y) { return over(x, y); }, converted(a, dtype), factor(b, dtype));
}
Tensor not_equal(const Tensor& a, const Tensor& b) {
    const DType dtype = result_type(a, b);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            DType::Bool, [](C x, C y) { return x != y; }, converted(a, dtype), converted(b, dtype));
    });
}

}  // namespace torch_ir::kernels
