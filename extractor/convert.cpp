// SPDX-License-Identifier: MIT
#include "convert.hpp"

#include <ATen/TensorGeometry.h>
#include <ATen/core/jit_type.h>

#include <cstring>

namespace torch_ir::extractor {
namespace {

Argument list_of(const c10::IValue& value, const c10::Type& element,
                 const std::function<Argument(const at::Tensor&)>& tensor) {
    ArgumentList list;
    for (const c10::IValue& item : value.toListRef()) list.push_back(argument_of(item, element, tensor));
    return list;
}

Argument int_of(std::int64_t number, c10::TypeKind kind) {
    switch (kind) {
        case c10::TypeKind::ScalarTypeType:
            return dtype_of(static_cast<c10::ScalarType>(number));
        case c10::TypeKind::LayoutType:
            if (static_cast<c10::Layout>(number) != c10::kStrided)
                throw UnsupportedError("only strided tensors can be extracted, found another layout");
            return Layout::Strided;
        case c10::TypeKind::MemoryFormatType:
            switch (static_cast<c10::MemoryFormat>(number)) {
                case c10::MemoryFormat::Contiguous:
                    return MemoryFormat::Contiguous;
                case c10::MemoryFormat::Preserve:
                    return MemoryFormat::Preserve;
                case c10::MemoryFormat::ChannelsLast:
                    return MemoryFormat::ChannelsLast;
                default:
                    return MemoryFormat::ChannelsLast3d;
            }
        default:
            return number;
    }
}

Argument device_of(const c10::Device& device) {
    Device result{c10::DeviceTypeName(device.type(), true), std::nullopt};
    if (device.is_meta()) result.type = "cpu";
    if (device.has_index()) result.index = device.index();
    return result;
}

}  // namespace

DType dtype_of(c10::ScalarType type) {
    switch (type) {
        case c10::kBool:
            return DType::Bool;
        case c10::kByte:
            return DType::UInt8;
        case c10::kUInt16:
            return DType::UInt16;
        case c10::kUInt32:
            return DType::UInt32;
        case c10::kUInt64:
            return DType::UInt64;
        case c10::kChar:
            return DType::Int8;
        case c10::kShort:
            return DType::Int16;
        case c10::kInt:
            return DType::Int32;
        case c10::kLong:
            return DType::Int64;
        case c10::kHalf:
            return DType::Float16;
        case c10::kBFloat16:
            return DType::BFloat16;
        case c10::kFloat:
            return DType::Float32;
        case c10::kDouble:
            return DType::Float64;
        case c10::kFloat8_e4m3fn:
            return DType::Float8E4M3FN;
        case c10::kFloat8_e5m2:
            return DType::Float8E5M2;
        case c10::kFloat8_e4m3fnuz:
            return DType::Float8E4M3FNUZ;
        case c10::kFloat8_e5m2fnuz:
            return DType::Float8E5M2FNUZ;
        case c10::kFloat8_e8m0fnu:
            return DType::Float8E8M0FNU;
        case c10::kComplexHalf:
            return DType::Complex32;
        case c10::kComplexFloat:
            return DType::Complex64;
        case c10::kComplexDouble:
            return DType::Complex128;
        default:
            throw UnsupportedError(std::string("dtype ") + c10::toString(type) + " cannot be extracted");
    }
}

TensorMeta meta_of(const at::Tensor& tensor) {
    if (tensor.layout() != c10::kStrided) throw UnsupportedError("only strided tensors can be extracted");
    return meta_of(tensor.scalar_type(), tensor.sizes(), tensor.strides());
}

TensorMeta meta_of(c10::ScalarType dtype, at::IntArrayRef sizes, at::IntArrayRef strides) {
    TensorMeta meta{dtype_of(dtype), {sizes.begin(), sizes.end()}, std::nullopt};
    if (!at::geometry_is_contiguous(sizes, strides)) meta.strides = Shape(strides.begin(), strides.end());
    return meta;
}

Constant constant_of(const at::Tensor& tensor) {
    const at::Tensor dense = tensor.detach().resolve_conj().resolve_neg().contiguous();
    Constant constant{meta_of(dense), std::vector<std::byte>(dense.nbytes())};
    if (dense.nbytes() > 0) std::memcpy(constant.data.data(), dense.const_data_ptr(), dense.nbytes());
    return constant;
}

std::string op_type_of(const c10::OperatorName& name) {
    std::string text = name.name;
    if (const std::size_t colons = text.find("::"); colons != std::string::npos) text.replace(colons, 2, ".");
    return text + "." + (name.overload_name.empty() ? "default" : name.overload_name);
}

Argument argument_of(const c10::IValue& value, const c10::Type& type,
                     const std::function<Argument(const at::Tensor&)>& tensor) {
    if (value.isNone()) return None{};
    if (const auto* optional = type.castRaw<c10::OptionalType>())
        return argument_of(value, *optional->getElementType(), tensor);
    if (value.isTensor()) return value.toTensor().defined() ? tensor(value.toTensor()) : Argument(None{});
    if (value.isBool()) return value.toBool();
    if (value.isInt()) {
        // A number where the schema wants a float is one.
        if (type.kind() == c10::TypeKind::FloatType) return static_cast<double>(value.toInt());
        return int_of(value.toInt(), type.kind());
    }
    if (value.isDouble()) return value.toDouble();
    if (value.isComplexDouble()) {
        const auto number = value.toComplexDouble();
        return std::complex<double>(number.real(), number.imag());
    }
    if (value.isString()) return value.toStringRef();
    if (value.isDevice()) return device_of(value.toDevice());
    if (value.isList()) {
        const auto* list = type.castRaw<c10::ListType>();
        return list_of(value, list ? *list->getElementType() : *c10::AnyType::get(), tensor);
    }
    if (value.isGenerator()) throw UnsupportedError("a random generator of one's own cannot be extracted");
    throw UnsupportedError("an argument of type " + value.tagKind() + " cannot be extracted");
}

void for_each_tensor(c10::IValue& value, const std::function<void(at::Tensor&)>& f) {
    if (value.isTensor()) {
        at::Tensor tensor = value.toTensor();
        if (!tensor.defined()) return;
        f(tensor);
        value = std::move(tensor);
    } else if (value.isTensorList()) {
        std::vector<at::Tensor> list = value.toTensorVector();
        for (at::Tensor& tensor : list)
            if (tensor.defined()) f(tensor);
        value = c10::IValue(std::move(list));
    } else if (value.isOptionalTensorList()) {
        c10::List<std::optional<at::Tensor>> list;
        for (const std::optional<at::Tensor>& element : value.toOptionalTensorVector()) {
            at::Tensor tensor = element.value_or(at::Tensor());
            if (tensor.defined()) f(tensor);
            list.push_back(tensor.defined() ? std::optional(tensor) : std::nullopt);
        }
        value = c10::IValue(std::move(list));
    }
}

}  // namespace torch_ir::extractor
