// SPDX-License-Identifier: MIT
// Elements chosen by masks: where, masked_*, nonzero.
#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/move.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {

namespace {

void check_mask(const char* op, In mask) {
    if (mask.dtype() != DType::Bool)
        throw ArgumentError(std::string(op) + ": expected mask to be a bool tensor, found " + describe(mask));
}

}  // namespace

Tensor where(In condition, In self, In other) {
    if (condition.dtype() != DType::Bool && condition.dtype() != DType::UInt8)
        throw ArgumentError("where: expected condition to be a bool tensor, found " + describe(condition));
    const DType dtype = result_type(self, other);
    for (const Tensor* x : {&self, &other})
        if (x->is_wrapped_number()) check_fits_tensor("where", x->item(), dtype);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C c, C x, C y) { return c != C(0) ? x : y; }, condition, self, other);
    });
}

namespace {

template <class C>
auto fill_function(In value, DType dtype) {
    return [v = fitted<C>("masked_fill", value.item(), dtype)](C x, C m) { return m != C(0) ? v : x; };
}

void check_masked_fill(In mask, In value) {
    check_mask("masked_fill", mask);
    if (value.dim() != 0)
        throw ArgumentError("masked_fill: expected value to be a 0-d tensor, found " + describe(value));
}

}  // namespace

Tensor masked_fill(In self, In mask, In value) {
    check_masked_fill(mask, value);
    const Tensor result = Tensor::empty(broadcast_shapes(self.shape(), mask.shape()), self.dtype());
    visit_compute(self.dtype(),
                  [&]<class C>(C) { elementwise_into<C>(result, fill_function<C>(value, self.dtype()), self, mask); });
    return result;
}

Tensor nonzero(In self) {
    const Tensor truth = self.to(DType::Bool).contiguous();
    const auto* values = truth.data<std::uint8_t>();
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < truth.numel(); ++i) count += values[i] != 0;
    const auto rank = static_cast<std::size_t>(self.dim());
    // Column by column, as PyTorch has it.
    Tensor result = Tensor::empty({self.dim(), count}, DType::Int64).transpose(0, 1);
    auto* out = result.data<std::int64_t>();
    for (std::int64_t i = 0; i < truth.numel(); ++i) {
        if (!values[i]) continue;
        std::int64_t rest = i;
        for (std::size_t d = rank; d-- > 0;) {
            out[static_cast<std::int64_t>(d) * count] = rest % self.shape()[d];
            rest /= self.shape()[d];
        }
        ++out;
    }
    return result;
}

namespace {

Tensor masked_fill_into(In self, In mask, In value) {
    check_overlap(self, mask, Sharing::Same);
    check_masked_fill(mask, value);
    if (broadcast_shapes(self.shape(), mask.shape()) != self.shape())
        throw ArgumentError("masked_fill_: mask " + to_string(mask.shape()) + " does not broadcast to self " +
                            to_string(self.shape()));
    visit_compute(self.dtype(),
                  [&]<class C>(C) { elementwise_into<C>(self, fill_function<C>(value, self.dtype()), self, mask); });
    return self;
}

Tensor masked_select(In self, In mask) {
    check_mask("masked_select", mask);
    const Ints shape = broadcast_shapes(self.shape(), mask.shape());
    const Tensor chosen = mask.to(DType::Bool).expand(shape).contiguous();
    const Tensor flat = self.expand(shape).reshape({-1});
    return index(flat, {chosen.reshape({-1})});
}

/// `self` where mask is true replaced by the elements of `source`, in order.
Tensor masked_scatter(In self, In mask, In source) {
    check_mask("masked_scatter", mask);
    if (self.dtype() != source.dtype())
        throw ArgumentError("masked_scatter: expected self and source to have the same dtype, found " + describe(self) +
                            " and " + describe(source));
    const Ints shape = broadcast_shapes(self.shape(), mask.shape());
    Tensor result = Tensor::empty(shape, self.dtype());
    result.copy_from(self);
    const Tensor chosen = mask.to(DType::Bool).expand(shape).contiguous();
    const Tensor values = source.contiguous();
    const auto item = static_cast<std::int64_t>(item_size(self.dtype()));
    const auto* flags = chosen.data<std::uint8_t>();
    std::int64_t taken = 0;
    for (std::int64_t i = 0; i < chosen.numel(); ++i) {
        if (!flags[i]) continue;
        if (taken == values.numel())
            throw ArgumentError("masked_scatter: source has only " + std::to_string(taken) +
                                " elements, fewer than mask selects");
        std::copy_n(values.raw() + taken++ * item, item, result.raw() + i * item);
    }
    return result;
}

Tensor masked_scatter_backward(In grad_output, In mask, const Ints& sizes) {
    const Tensor chosen = masked_select(grad_output, mask);
    Tensor result = Tensor::zeros({numel_of(sizes)}, grad_output.dtype());
    const std::int64_t count = std::min(result.numel(), chosen.numel());
    result.narrow(0, 0, count).copy_from(chosen.narrow(0, 0, count));
    return result.reshape(sizes);
}

Tensor masked_select_backward(In grad, In input, In mask) {
    const Ints shape = broadcast_shapes(input.shape(), mask.shape());
    return masked_scatter(Tensor::zeros(shape, grad.dtype()), mask, grad);
}

TensorList nonzero_numpy(In self) { return unbind(nonzero(atleast(self, 1)), 1); }

Tensor nonzero_static(In self, std::int64_t size, std::int64_t fill_value) {
    if (size < 0) throw ArgumentError("nonzero_static: size must be non-negative, found " + std::to_string(size));
    const Tensor found = nonzero(self);
    Tensor result = Tensor::full({size, self.dim()}, fill_value, DType::Int64);
    const std::int64_t count = std::min(size, found.size(0));
    result.narrow(0, 0, count).copy_from(found.narrow(0, 0, count));
    return result;
}

}  // namespace

void register_mask(Registry& r) {
    r.add("where.self(Tensor condition, Tensor self, Tensor other) -> Tensor", where);
    r.add("where.Scalar(Tensor condition, Scalar self, Scalar other) -> Tensor", where);
    r.add("where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor", where);
    r.add("where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> Tensor", where);
    r.add("where(Tensor condition) -> Tensor[]", nonzero_numpy);
    r.add("masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor", masked_fill);
    r.add("masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor", masked_fill);
    r.add("masked_fill_.Scalar(Tensor(a!) self, Tensor mask, Scalar value) -> Tensor(a!)", masked_fill_into);
    r.add("masked_fill_.Tensor(Tensor(a!) self, Tensor mask, Tensor value) -> Tensor(a!)", masked_fill_into);
    r.add("masked_select(Tensor self, Tensor mask) -> Tensor", masked_select);
    r.add("masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor", masked_scatter);
    r.add("masked_scatter_backward(Tensor grad_output, Tensor mask, SymInt[] sizes) -> Tensor",
          masked_scatter_backward);
    r.add("masked_select_backward(Tensor grad, Tensor input, Tensor mask) -> Tensor", masked_select_backward);
    r.add("nonzero(Tensor self) -> Tensor", nonzero);
    r.add("argwhere(Tensor self) -> Tensor", nonzero);
    r.add("nonzero_numpy(Tensor self) -> Tensor[]", nonzero_numpy);
    r.add("nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor", nonzero_static);
}

}  // namespace torch_ir::kernels
