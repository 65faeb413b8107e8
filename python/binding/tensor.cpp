// SPDX-License-Identifier: MIT
#include "binding/tensor.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>

namespace torch_ir::python {
namespace {

/// DLPack's code and bits of a dtype, by PyTorch's name.
struct DlpackType {
    DType dtype;
    std::uint8_t code;
    std::uint8_t bits;
};
constexpr std::array<DlpackType, 21> dlpack_types{{
    {DType::Bool, 6, 8},         {DType::UInt8, 1, 8},           {DType::UInt16, 1, 16},
    {DType::UInt32, 1, 32},      {DType::UInt64, 1, 64},         {DType::Int8, 0, 8},
    {DType::Int16, 0, 16},       {DType::Int32, 0, 32},          {DType::Int64, 0, 64},
    {DType::Float16, 2, 16},     {DType::BFloat16, 4, 16},       {DType::Float32, 2, 32},
    {DType::Float64, 2, 64},     {DType::Complex32, 5, 32},      {DType::Complex64, 5, 64},
    {DType::Complex128, 5, 128}, {DType::Float8E4M3FN, 10, 8},   {DType::Float8E4M3FNUZ, 11, 8},
    {DType::Float8E5M2, 12, 8},  {DType::Float8E5M2FNUZ, 13, 8}, {DType::Float8E8M0FNU, 14, 8},
}};

DType dtype_called(const std::string& text) {
    if (const auto dtype = parse_dtype(text)) return *dtype;
    throw ArgumentError("unknown dtype '" + text + "'");
}

/// Numbers of the strides and sizes must fit the memory that `address` is the first element of; the caller says so.
PyTensor over_memory(std::uintptr_t address, DType dtype, Ints shape, Ints strides, std::shared_ptr<const void> owner,
                     bool readonly) {
    if (strides.size() != shape.size()) throw ArgumentError("as many strides as sizes are expected");
    std::int64_t last = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (strides[i] < 0) throw ArgumentError("negative strides are not supported");
        last += strides[i] * std::max<std::int64_t>(shape[i] - 1, 0);
    }
    const std::size_t bytes = numel_of(shape) == 0 ? 0 : static_cast<std::size_t>(last + 1) * item_size(dtype);
    auto storage = std::make_shared<Storage>(reinterpret_cast<std::byte*>(address), bytes, std::move(owner));
    return {Tensor(std::move(storage), dtype, std::move(shape), std::move(strides), 0), readonly};
}

PyTensor from_address(std::uintptr_t address, const std::string& dtype, Ints shape, Ints strides, nb::object owner,
                      bool readonly) {
    return over_memory(address, dtype_called(dtype), std::move(shape), std::move(strides), keep_alive(std::move(owner)),
                       readonly);
}

PyTensor from_dlpack(const nb::ndarray<nb::ro, nb::device::cpu>& array) {
    for (const DlpackType& type : dlpack_types) {
        if (type.code != array.dtype().code || type.bits != array.dtype().bits || array.dtype().lanes != 1) continue;
        Ints shape;
        Ints strides;
        for (std::size_t i = 0; i < array.ndim(); ++i) {
            shape.push_back(static_cast<std::int64_t>(array.shape(i)));
            strides.push_back(array.stride(i));
        }
        using Array = nb::ndarray<nb::ro, nb::device::cpu>;
        const std::shared_ptr<const void> owner(new Array(array), [](const void* held) {
            const nb::gil_scoped_acquire gil;
            delete static_cast<const Array*>(held);
        });
        return over_memory(reinterpret_cast<std::uintptr_t>(array.data()), type.dtype, std::move(shape),
                           std::move(strides), owner, true);
    }
    throw ArgumentError("DLPack type code " + std::to_string(array.dtype().code) + " with " +
                        std::to_string(array.dtype().bits) + " bits has no PyTorch dtype");
}

nb::object to_dlpack(nb::handle self) {
    const auto& [tensor, readonly] = nb::cast<const PyTensor&>(self);
    if (readonly) throw nb::buffer_error("the memory is read-only: copy it to a NumPy array first");
    for (const DlpackType& type : dlpack_types) {
        if (type.dtype != tensor.dtype()) continue;
        const std::vector<std::size_t> shape(tensor.shape().begin(), tensor.shape().end());
        nb::ndarray<> array(tensor.raw(), shape.size(), shape.data(), self, tensor.strides().data(),
                            nb::dlpack::dtype{type.code, type.bits, 1}, nb::device::cpu::value);
        return nb::cast(std::move(array));  // without a framework, a capsule
    }
    throw nb::buffer_error("DLPack has no type for this dtype");
}

/// NumPy's array interface (version 3) with `typestr` for the elements.
nb::dict array_interface(const PyTensor& self, const std::string& typestr) {
    const Tensor& tensor = self.tensor;
    const auto size = static_cast<std::int64_t>(item_size(tensor.dtype()));
    nb::list shape;
    nb::list strides;
    for (const std::int64_t n : tensor.shape()) shape.append(n);
    for (const std::int64_t n : tensor.strides()) strides.append(n * size);
    nb::dict interface;
    interface["version"] = 3;
    interface["typestr"] = typestr;
    interface["data"] = nb::make_tuple(reinterpret_cast<std::uintptr_t>(tensor.raw()), self.readonly);
    interface["shape"] = nb::tuple(shape);
    interface["strides"] = nb::tuple(strides);
    return interface;
}

}  // namespace

std::shared_ptr<const void> keep_alive(nb::object object) {
    return {object.release().ptr(), [](const void* pointer) {
                if (!nb::is_alive()) return;
                const nb::gil_scoped_acquire gil;
                nb::handle(static_cast<PyObject*>(const_cast<void*>(pointer))).dec_ref();
            }};
}

PyTensor to_result(const Tensor& tensor) {
    const bool shared = tensor.storage()->is_borrowed() || tensor.storage()->is_constant();
    return {shared ? tensor.clone() : tensor, false};
}

nb::object to_python(const IValue& value) {
    return std::visit(
        []<class T>(const T& alternative) -> nb::object {
            if constexpr (std::is_same_v<T, Tensor>) {
                return alternative.defined() ? nb::cast(PyTensor{alternative, false}) : nb::none();
            } else if constexpr (std::is_same_v<T, TensorList>) {
                nb::list list;
                for (const Tensor& tensor : alternative) list.append(to_python(tensor));
                return list;
            } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> ||
                                 std::is_same_v<T, double> || std::is_same_v<T, std::complex<double>> ||
                                 std::is_same_v<T, std::string> || std::is_same_v<T, Ints>) {
                return nb::cast(alternative);
            } else {
                return nb::none();
            }
        },
        value);
}

IValue from_python(nb::handle object) {
    if (object.is_none()) return None{};
    if (nb::isinstance<PyTensor>(object)) return nb::cast<const PyTensor&>(object).tensor;
    if (nb::isinstance<nb::bool_>(object)) return nb::cast<bool>(object);
    if (nb::isinstance<nb::int_>(object)) return nb::cast<std::int64_t>(object);
    if (nb::isinstance<nb::float_>(object)) return nb::cast<double>(object);
    throw ArgumentError("expected a tensor or a number, found " +
                        nb::cast<std::string>(nb::str(object.type().attr("__name__"))));
}

void bind_tensor(nb::module_& module) {
    nb::class_<PyTensor>(module, "Tensor", "A strided window of memory that the interpreter computes on.")
        .def_static("from_address", &from_address, nb::arg("address"), nb::arg("dtype"), nb::arg("shape"),
                    nb::arg("strides"), nb::arg("owner"), nb::arg("readonly") = false,
                    "A tensor over memory that `owner` keeps alive; strides in elements.")
        .def_static("from_dlpack", &from_dlpack, nb::arg("array"),
                    "A tensor over the memory of an object with __dlpack__.")
        .def_prop_ro("dtype", [](const PyTensor& self) { return std::string(name(self.tensor.dtype())); })
        .def_prop_ro("shape", [](const PyTensor& self) { return nb::tuple(nb::cast(self.tensor.shape())); })
        .def_prop_ro("strides", [](const PyTensor& self) { return nb::tuple(nb::cast(self.tensor.strides())); })
        .def_prop_ro("address",
                     [](const PyTensor& self) { return reinterpret_cast<std::uintptr_t>(self.tensor.raw()); })
        .def_prop_ro("readonly", [](const PyTensor& self) { return self.readonly; })
        .def("copy",
             [](const PyTensor& self) {
                 return PyTensor{self.tensor.clone(), false};
             })
        .def(
            "to",
            [](const PyTensor& self, const std::string& dtype) {
                const Tensor converted = self.tensor.to(dtype_called(dtype));
                return PyTensor{converted, self.readonly && converted.storage() == self.tensor.storage()};
            },
            nb::arg("dtype"), "Itself, or a copy converted with PyTorch's rounding.")
        .def("array_interface", &array_interface, nb::arg("typestr"))
        .def("__dlpack__", [](nb::handle self, const nb::kwargs&) { return to_dlpack(self); })
        .def("__dlpack_device__", [](const PyTensor&) { return nb::make_tuple(1, 0); });
}

}  // namespace torch_ir::python
