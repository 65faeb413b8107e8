// SPDX-License-Identifier: MIT
// Other dtypes and memory formats: to, clone, contiguous, copies. Devices, layouts and pinning do not matter here.
#include <algorithm>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/layout.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"

namespace torch_ir::kernels {

namespace {

std::int64_t format_rank(MemoryFormat format) { return format == MemoryFormat::ChannelsLast3d ? 5 : 4; }

void check_rank(const Ints& shape, MemoryFormat format) {
    if (format != MemoryFormat::ChannelsLast && format != MemoryFormat::ChannelsLast3d) return;
    if (static_cast<std::int64_t>(shape.size()) != format_rank(format))
        throw ArgumentError("memory_format " + std::string(name(format)) + " needs " +
                            std::to_string(format_rank(format)) + " dimensions, found shape " + to_string(shape));
}

}  // namespace

Tensor empty_format(const Ints& shape, DType dtype, MemoryFormat format) {
    check_rank(shape, format);
    if (format != MemoryFormat::ChannelsLast && format != MemoryFormat::ChannelsLast3d)
        return Tensor::empty(shape, dtype);
    Ints memory = shape;  // channels last
    std::rotate(memory.begin() + 1, memory.begin() + 2, memory.end());
    Ints strides = contiguous_strides(memory);
    std::rotate(strides.begin() + 1, strides.end() - 1, strides.end());
    return Tensor::empty_strided(shape, std::move(strides), dtype);
}

bool has_format(In self, MemoryFormat format) {
    if (format == MemoryFormat::Contiguous) return self.is_contiguous();
    if (format == MemoryFormat::ChannelsLast || format == MemoryFormat::ChannelsLast3d)
        return self.dim() == format_rank(format) && self.is_channels_last();
    return true;
}

Tensor copy_to(In self, DType dtype, MemoryFormat format) {
    Tensor result =
        format == MemoryFormat::Preserve ? Tensor::empty_like(self, dtype) : empty_format(self.shape(), dtype, format);
    result.copy_from(self);
    return result;
}

namespace {

Tensor contiguous(In self, MemoryFormat memory_format) {
    if (memory_format == MemoryFormat::Preserve)
        throw ArgumentError("contiguous: preserve_format is not a value for memory_format");
    check_rank(self.shape(), memory_format);
    return has_format(self, memory_format) ? self : copy_to(self, self.dtype(), memory_format);
}

Tensor clone(In self, OptFormat memory_format) {
    return copy_to(self, self.dtype(), memory_format.value_or(MemoryFormat::Preserve));
}

/// Itself when nothing changes and no copy is asked for.
Tensor to(In self, DType dtype, bool copy, OptFormat memory_format) {
    const MemoryFormat format = memory_format.value_or(MemoryFormat::Preserve);
    const bool fits = format == MemoryFormat::Preserve || format == suggested_format(self);
    if (!copy && dtype == self.dtype() && fits) return self;
    return copy_to(self, dtype, format);
}

Tensor to_copy(In self, OptDType dtype, OptLayout, OptDevice, OptBool, bool, OptFormat memory_format) {
    return to(self, dtype.value_or(self.dtype()), true, memory_format);
}

Tensor to_dtype_layout(In self, OptDType dtype, OptLayout, OptDevice, OptBool, bool, bool copy,
                       OptFormat memory_format) {
    return to(self, dtype.value_or(self.dtype()), copy, memory_format);
}

Tensor to_device(In self, const Device&, DType dtype, bool, bool copy, OptFormat memory_format) {
    return to(self, dtype, copy, memory_format);
}

Tensor to_dtype(In self, DType dtype, bool, bool copy, OptFormat memory_format) {
    return to(self, dtype, copy, memory_format);
}

Tensor to_other(In self, In other, bool, bool copy, OptFormat memory_format) {
    return to(self, other.dtype(), copy, memory_format);
}

Tensor copy_into(In self, In src, bool) {
    check_overlap(self);
    check_overlap(self, src, Sharing::Same);
    self.copy_from(src);
    return self;
}

Tensor copy(In self, In src, bool) {
    const Tensor result = self.is_dense() ? Tensor::empty_like(self, self.dtype()) : clone_preserve_strides(self);
    result.copy_from(src);
    return result;
}

template <DType dtype>
Tensor cast(In self, bool) {
    return self.to(dtype);
}

}  // namespace

void register_cast(Registry& r) {
    r.add("contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)", contiguous);
    r.add("clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", clone);
    r.add("_lazy_clone(Tensor self) -> Tensor", [](In self) { return self.clone(); });
    r.add(
        "to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool copy=False, MemoryFormat? "
        "memory_format=None) -> Tensor(a)",
        to_dtype);
    r.add(
        "to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
        to_dtype_layout);
    r.add(
        "to.device(Tensor(a) self, Device device, ScalarType dtype, bool non_blocking=False, bool copy=False, "
        "MemoryFormat? memory_format=None) -> Tensor(a)",
        to_device);
    r.add(
        "to.other(Tensor(a) self, Tensor other, bool non_blocking=False, bool copy=False, MemoryFormat? "
        "memory_format=None) -> Tensor(a)",
        to_other);
    r.add(
        "_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        "pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor",
        to_copy);
    r.add("type_as(Tensor self, Tensor other) -> Tensor", [](In self, In other) { return self.to(other.dtype()); });
    r.add("copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", copy);
    r.add("copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)", copy_into);
    r.add("_copy_from(Tensor self, Tensor dst, bool non_blocking=False) -> Tensor", [](In self, In dst, bool) {
        dst.copy_from(self);
        return dst;
    });
    r.add("to_dense(Tensor self, ScalarType? dtype=None, *, bool? masked_grad=None) -> Tensor",
          [](In self, OptDType dtype, OptBool) { return self.to(dtype.value_or(self.dtype())); });
    r.add("_to_cpu(Tensor[] tensors) -> Tensor[]", [](const TensorList& tensors) { return tensors; });
    r.add("_cast_Byte(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::UInt8>);
    r.add("_cast_Char(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Int8>);
    r.add("_cast_Short(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Int16>);
    r.add("_cast_Int(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Int32>);
    r.add("_cast_Long(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Int64>);
    r.add("_cast_Half(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Float16>);
    r.add("_cast_Float(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Float32>);
    r.add("_cast_Double(Tensor self, bool non_blocking=False) -> Tensor", cast<DType::Float64>);
    r.add("_autocast_to_full_precision(Tensor(a) self, bool cuda_enabled, bool cpu_enabled) -> Tensor(a)",
          [](In self, bool, bool cpu_enabled) {
              const bool reduced = is_half(self.dtype());
              return reduced && cpu_enabled ? self.to(DType::Float32) : self;
          });
    r.add(
        "_autocast_to_reduced_precision(Tensor(a) self, bool cuda_enabled, bool cpu_enabled, ScalarType cuda_dtype, "
        "ScalarType cpu_dtype) -> Tensor(a)",
        [](In self, bool, bool cpu_enabled, DType, DType cpu_dtype) {
            return self.dtype() == DType::Float32 && cpu_enabled ? self.to(cpu_dtype) : self;
        });
}

}  // namespace torch_ir::kernels
