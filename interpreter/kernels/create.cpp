// SPDX-License-Identifier: MIT
// Tensors from sizes and numbers. Layout, device and pinning arguments are
// taken and do not matter.
#include <algorithm>
#include <cmath>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"

namespace torch_ir::kernels {

namespace {

/// `dtype`, or that of a number: bool, int64, float32 or complex64.
DType number_dtype(OptDType dtype, const Scalar& value) { return dtype.value_or(value.default_dtype()); }

Tensor full(const Ints& size, const Scalar& fill_value, OptDType dtype, OptLayout, OptDevice, OptBool) {
    check_fits("full", fill_value, number_dtype(dtype, fill_value));
    return Tensor::full(size, fill_value, number_dtype(dtype, fill_value));
}

template <int Value>
Tensor constant(const Ints& size, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return Tensor::full(size, Value, dtype.value_or(default_dtype));
}

/// What PyTorch leaves uninitialised is zero here, so that runs repeat.
Tensor empty(const Ints& size, OptDType dtype, OptLayout, OptDevice, OptBool, OptFormat memory_format) {
    Tensor result = empty_format(size, dtype.value_or(default_dtype), memory_format.value_or(MemoryFormat::Contiguous));
    result.fill(0);
    return result;
}

Tensor empty_strided(const Ints& size, const Ints& stride, OptDType dtype, OptLayout, OptDevice, OptBool) {
    if (size.size() != stride.size())
        throw ArgumentError("empty_strided: size " + to_string(size) + " and stride " + to_string(stride) +
                            " must have the same length");
    std::int64_t extent = numel_of(size) == 0 ? 0 : 1;
    for (std::size_t i = 0; i < size.size(); ++i) {
        if (stride[i] < 0)
            throw ArgumentError("empty_strided: negative strides are not supported, found " + to_string(stride));
        std::int64_t reach = 0;
        if (extent &&
            (__builtin_mul_overflow(size[i] - 1, stride[i], &reach) || __builtin_add_overflow(extent, reach, &extent)))
            throw ArgumentError("empty_strided: a tensor of size " + to_string(size) + " and stride " +
                                to_string(stride) + " is too large");
    }
    return Tensor::zeros({extent}, dtype.value_or(default_dtype)).as_strided(size, stride, 0);
}

Tensor empty_permuted(const Ints& size, const Ints& physical_layout, OptDType dtype, OptLayout, OptDevice, OptBool) {
    if (physical_layout.size() != size.size())
        throw ArgumentError("empty_permuted: physical_layout " + to_string(physical_layout) +
                            " must have one entry for each of " + std::to_string(size.size()) + " sizes");
    Ints strides(size.size(), -1);
    std::int64_t stride = 1;
    numel_of(size);
    for (std::size_t i = size.size(); i-- > 0;) {
        const std::int64_t d = physical_layout[i];
        if (d < 0 || d >= static_cast<std::int64_t>(size.size()) || strides[static_cast<std::size_t>(d)] != -1)
            throw ArgumentError("empty_permuted: physical_layout " + to_string(physical_layout) +
                                " is not a permutation");
        strides[static_cast<std::size_t>(d)] = stride;
        stride *= std::max<std::int64_t>(1, size[static_cast<std::size_t>(d)]);
    }
    return empty_strided(size, strides, dtype, {}, {}, {});
}

Tensor full_like(In self, const Scalar& fill_value, OptDType dtype, OptLayout, OptDevice, OptBool,
                 OptFormat memory_format) {
    const DType out = dtype.value_or(self.dtype());
    const MemoryFormat format = memory_format.value_or(MemoryFormat::Preserve);
    Tensor result =
        format == MemoryFormat::Preserve ? Tensor::empty_like(self, out) : empty_format(self.shape(), out, format);
    check_fits("full_like", fill_value, result.dtype());
    result.fill(fill_value);
    return result;
}

template <int Value>
Tensor constant_like(In self, OptDType dtype, OptLayout, OptDevice, OptBool, OptFormat memory_format) {
    return full_like(self, Value, dtype, {}, {}, {}, memory_format);
}

template <int Value>
Tensor new_constant(In self, const Ints& size, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return Tensor::full(size, Value, dtype.value_or(self.dtype()));
}

Tensor new_full(In self, const Ints& size, const Scalar& fill_value, OptDType dtype, OptLayout, OptDevice, OptBool) {
    check_fits("new_full", fill_value, dtype.value_or(self.dtype()));
    return Tensor::full(size, fill_value, dtype.value_or(self.dtype()));
}

Tensor new_empty_strided(In self, const Ints& size, const Ints& stride, OptDType dtype, OptLayout, OptDevice, OptBool) {
    return empty_strided(size, stride, dtype.value_or(self.dtype()), {}, {}, {});
}

Tensor scalar_tensor(const Scalar& s, OptDType dtype, OptLayout, OptDevice, OptBool) {
    const DType out = dtype.value_or(DType::Float32);
    check_fits_tensor("scalar_tensor", s, out);
    return Tensor::scalar(s, out);
}

Tensor eye_m(std::int64_t n, std::int64_t m, OptDType dtype, OptLayout, OptDevice, OptBool) {
    if (n < 0 || m < 0)
        throw ArgumentError("eye: n and m must be non-negative, found " + std::to_string(n) + " and " +
                            std::to_string(m));
    Tensor result = Tensor::zeros({n, m}, dtype.value_or(default_dtype));
    result.as_strided({std::min(n, m)}, {m + 1}, 0).fill(1);
    return result;
}

Tensor eye(std::int64_t n, OptDType dtype, OptLayout, OptDevice, OptBool) { return eye_m(n, n, dtype, {}, {}, {}); }

/// Both parts promoted to one of float16, float32, float64, combined to the
/// complex dtype of it.
template <class F>
Tensor make_complex(const char* op, In a, In b, F f) {
    if (a.dtype() != b.dtype() || !is_floating_point(a.dtype()) || a.dtype() == DType::BFloat16 ||
        item_size(a.dtype()) < 2)
        throw ArgumentError(std::string(op) +
                            ": expected two float16, float32 or float64 tensors of "
                            "one dtype, found " +
                            describe(a) + " and " + describe(b));
    const DType out = a.dtype() == DType::Float16   ? DType::Complex32
                      : a.dtype() == DType::Float32 ? DType::Complex64
                                                    : DType::Complex128;
    using C = std::complex<double>;
    return elementwise<C>(
        out, [f](C x, C y) { return f(x.real(), y.real()); }, a, b);
}

/// `self` in its own dtype filled with the 0-d `value`.
Tensor fill_value(In self, In value) {
    if (value.dim() != 0) throw ArgumentError("fill: expected value to be a 0-d tensor, found " + describe(value));
    Tensor result = Tensor::empty_like(self, self.dtype());
    result.copy_from(value);
    return result;
}

Tensor fill_value_in_place(In self, In value) {
    if (value.dim() != 0) throw ArgumentError("fill_: expected value to be a 0-d tensor, found " + describe(value));
    check_overlap(self);
    self.copy_from(value);
    return self;
}

}  // namespace

void register_create(Registry& r) {
    r.add(
        "eye(SymInt n, *, ScalarType? dtype=None, Layout? layout=None, Device? "
        "device=None, bool? pin_memory=None) -> Tensor",
        eye);
    r.add(
        "eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        eye_m);
    r.add(
        "full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
        "Tensor",
        full);
    r.add(
        "zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        constant<0>);
    r.add(
        "ones(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor",
        constant<1>);
    r.add(
        "_efficientzerotensor(SymInt[] size, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        constant<0>);
    r.add(
        "empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None, "
        "MemoryFormat? memory_format=None) -> Tensor",
        empty);
    r.add(
        "empty_strided(SymInt[] size, SymInt[] stride, *, ScalarType? "
        "dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        empty_strided);
    r.add(
        "empty_permuted(SymInt[] size, int[] physical_layout, *, ScalarType? "
        "dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None) -> Tensor",
        empty_permuted);
    r.add(
        "full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None, "
        "MemoryFormat? memory_format=None) -> Tensor",
        full_like);
    r.add(
        "zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None, "
        "MemoryFormat? memory_format=None) -> Tensor",
        constant_like<0>);
    r.add(
        "ones_like(Tensor self, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None, "
        "MemoryFormat? memory_format=None) -> Tensor",
        constant_like<1>);
    r.add(
        "empty_like(Tensor self, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None, "
        "MemoryFormat? memory_format=None) -> Tensor",
        constant_like<0>);
    r.add(
        "new_full(Tensor self, SymInt[] size, Scalar fill_value, *, "
        "ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None) -> Tensor",
        new_full);
    r.add(
        "new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
        "Tensor",
        new_constant<0>);
    r.add(
        "new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        new_constant<1>);
    r.add(
        "new_empty(Tensor self, SymInt[] size, *, ScalarType? dtype=None, "
        "Layout? layout=None, Device? device=None, bool? pin_memory=None) -> "
        "Tensor",
        new_constant<0>);
    r.add(
        "new_empty_strided(Tensor self, SymInt[] size, SymInt[] stride, *, "
        "ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None) -> Tensor",
        new_empty_strided);
    r.add(
        "scalar_tensor(Scalar s, *, ScalarType? dtype=None, Layout? "
        "layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        scalar_tensor);
    r.add("complex(Tensor real, Tensor imag) -> Tensor", [](In real, In imag) {
        return make_complex("complex", real, imag, [](double x, double y) { return std::complex<double>(x, y); });
    });
    r.add("polar(Tensor abs, Tensor angle) -> Tensor", [](In abs, In angle) {
        return make_complex("polar", abs, angle,
                            [](double x, double y) { return std::complex<double>(x * std::cos(y), x * std::sin(y)); });
    });
    r.add("fill.Scalar(Tensor self, Scalar value) -> Tensor",
          [](In self, const Scalar& value) { return full_like(self, value, {}, {}, {}, {}, {}); });
    r.add("fill.Tensor(Tensor self, Tensor value) -> Tensor", fill_value);
    r.add("fill_.Scalar(Tensor(a!) self, Scalar value) -> Tensor(a!)", [](In self, const Scalar& value) {
        check_fits("fill_", value, self.dtype());
        self.fill(value);
        return self;
    });
    r.add("fill_.Tensor(Tensor(a!) self, Tensor value) -> Tensor(a!)", fill_value_in_place);
    r.add("zero(Tensor self) -> Tensor", [](In self) { return constant_like<0>(self, {}, {}, {}, {}, {}); });
    r.add("zero_(Tensor(a!) self) -> Tensor(a!)", [](In self) {
        self.fill(0);
        return self;
    });
}

}  // namespace torch_ir::kernels
