// SPDX-License-Identifier: MIT
// What is known of a tensor without looking at its elements, its single element as a number, and assertions.
#include "kernels/families.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {

namespace {

std::int64_t size(In self, std::int64_t dim) {
    if (self.dim() == 0)
        throw ArgumentError("dimension specified as " + std::to_string(dim) + " but self has no dimensions");
    return self.size(dim);
}

std::int64_t stride(In self, std::int64_t dim) {
    if (self.dim() == 0)
        throw ArgumentError("dimension specified as " + std::to_string(dim) + " but self has no dimensions");
    return self.stride(dim);
}

bool is_nonzero(In self) { return self.item().to<bool>(); }

template <bool Value>
bool always(In) {
    return Value;
}

void assert_true(bool condition, const std::string& message) {
    if (!condition) throw ArgumentError(message.empty() ? "the assertion of the graph does not hold" : message);
}

void assert_metadata(In a, const std::optional<Ints>& size, const std::optional<Ints>& stride, OptDType dtype,
                     OptDevice, OptLayout) {
    const auto check = [&](bool holds, const char* what, const std::string& expected) {
        if (!holds)
            throw ArgumentError("_assert_tensor_metadata: expected 'a' of " + std::string(what) + " " + expected +
                                ", found " + describe(a) + " with strides " + to_string(a.strides()));
    };
    if (size) check(a.shape() == *size, "size", to_string(*size));
    if (stride) check(a.strides() == *stride, "stride", to_string(*stride));
    if (dtype) check(a.dtype() == *dtype, "dtype", std::string(name(*dtype)));
}

void constrain_range(const Scalar& value, OptInt min, OptInt max) {
    const auto x = value.to<std::int64_t>();
    if ((min && x < *min) || (max && x > *max))
        throw ArgumentError("value " + std::to_string(x) + " is outside its range [" +
                            (min ? std::to_string(*min) : "-inf") + ", " + (max ? std::to_string(*max) : "inf") + "]");
}

Tensor constrain_with_token(const Scalar& size, OptInt min, OptInt max, In dep_token) {
    constrain_range(size, min, max);
    return dep_token.clone();
}

DType result_of_numbers(const Scalar& a, const Scalar& b) {
    const Tensor x = Tensor::wrapped_number(a);
    const Tensor y = Tensor::wrapped_number(b);
    return result_type(x, y);
}

}  // namespace

void register_meta(Registry& r) {
    r.add("sym_size.int(Tensor self, int dim) -> SymInt", size);
    r.add("size.int(Tensor self, int dim) -> int", size);
    r.add("sym_stride.int(Tensor self, int dim) -> SymInt", stride);
    r.add("stride.int(Tensor self, int dim) -> int", stride);
    r.add("sym_numel(Tensor self) -> SymInt", [](In self) { return self.numel(); });
    r.add("numel(Tensor self) -> int", [](In self) { return self.numel(); });
    r.add("sym_storage_offset(Tensor self) -> SymInt", [](In self) { return self.offset(); });
    r.add("storage_offset(Tensor self) -> int", [](In self) { return self.offset(); });
    r.add("dim(Tensor self) -> int", [](In self) { return self.dim(); });
    r.add("_dimI(Tensor self) -> int", [](In) { return std::int64_t{0}; });
    r.add("_dimV(Tensor self) -> int", [](In self) { return self.dim(); });
    r.add("dense_dim(Tensor self) -> int", [](In self) { return self.dim(); });
    r.add("sparse_dim(Tensor self) -> int", [](In) { return std::int64_t{0}; });
    r.add("get_device(Tensor self) -> int", [](In) { return std::int64_t{-1}; });
    r.add("output_nr(Tensor self) -> int", [](In) { return std::int64_t{0}; });
    r.add("_version(Tensor self) -> int", [](In) { return std::int64_t{0}; });
    r.add("sym_is_contiguous(Tensor self, MemoryFormat memory_format=0) -> SymBool", has_format);
    r.add("is_contiguous(Tensor self) -> bool", [](In self) { return self.is_contiguous(); });
    r.add("is_contiguous.memory_format(Tensor self, MemoryFormat memory_format) -> bool", has_format);
    r.add("is_complex(Tensor self) -> bool", [](In self) { return is_complex(self.dtype()); });
    r.add("is_floating_point(Tensor self) -> bool", [](In self) { return is_floating_point(self.dtype()); });
    r.add("is_signed(Tensor self) -> bool",
          [](In self) { return self.dtype() != DType::Bool && category(self.dtype()) != DTypeCategory::Unsigned; });
    r.add("is_nonzero(Tensor self) -> bool", is_nonzero);
    r.add("is_same_size(Tensor self, Tensor other) -> bool",
          [](In self, In other) { return self.shape() == other.shape(); });
    r.add("is_set_to(Tensor self, Tensor tensor) -> bool", [](In self, In tensor) {
        return self.storage() == tensor.storage() && self.offset() == tensor.offset() &&
               self.shape() == tensor.shape() && self.strides() == tensor.strides();
    });
    r.add("_has_same_storage_numel(Tensor self, Tensor other) -> bool", [](In self, In other) {
        return self.storage()->bytes() / item_size(self.dtype()) == other.storage()->bytes() / item_size(other.dtype());
    });
    r.add("_has_compatible_shallow_copy_type(Tensor self, Tensor from) -> bool", [](In, In) { return true; });
    r.add("is_conj(Tensor self) -> bool", always<false>);
    r.add("is_neg(Tensor self) -> bool", always<false>);
    r.add("is_coalesced(Tensor self) -> bool", always<false>);
    r.add("is_distributed(Tensor self) -> bool", always<false>);
    r.add("is_inference(Tensor self) -> bool", always<false>);
    r.add("_is_zerotensor(Tensor self) -> bool", always<false>);
    r.add("is_leaf(Tensor self) -> bool", always<true>);
    r.add("is_pinned(Tensor self, Device? device=None) -> bool",
          [](In, const std::optional<Device>&) { return false; });
    r.add("is_vulkan_available() -> bool", []() { return false; });
    r.add("requires_grad_(Tensor(a!) self, bool requires_grad=True) -> Tensor(a!)", [](In self, bool) { return self; });
    r.add("_shape_as_tensor(Tensor self) -> Tensor", [](In self) { return Tensor::from_ints(self.shape()); });
    r.add("item(Tensor self) -> Scalar", [](In self) { return self.item(); });
    r.add("_local_scalar_dense(Tensor self) -> Scalar", [](In self) { return self.item(); });
    r.add("can_cast(ScalarType from_, ScalarType to) -> bool", can_cast);
    r.add("promote_types(ScalarType type1, ScalarType type2) -> ScalarType", promote_types);
    r.add("result_type.Tensor(Tensor tensor, Tensor other) -> ScalarType",
          [](In tensor, In other) { return result_type(tensor, other); });
    r.add("result_type.Scalar(Tensor tensor, Scalar other) -> ScalarType",
          [](In tensor, In other) { return result_type(tensor, other); });
    r.add("result_type.Scalar_Tensor(Scalar scalar, Tensor tensor) -> ScalarType",
          [](In scalar, In tensor) { return result_type(scalar, tensor); });
    r.add("result_type.Scalar_Scalar(Scalar scalar1, Scalar scalar2) -> ScalarType", result_of_numbers);

    r.add("_assert_async(Tensor self) -> ()", [](In self) { assert_true(is_nonzero(self), ""); });
    r.add("_assert_async.msg(Tensor self, str assert_msg) -> ()",
          [](In self, const std::string& assert_msg) { assert_true(is_nonzero(self), assert_msg); });
    r.add(
        "_assert_tensor_metadata(Tensor a, SymInt[]? size=None, SymInt[]? stride=None, ScalarType? dtype=None, *, "
        "Device? device=None, Layout? layout=None) -> ()",
        assert_metadata);
    r.add("_assert_scalar(Scalar self, str assert_msg) -> ()",
          [](const Scalar& self, const std::string& assert_msg) { assert_true(self.to<bool>(), assert_msg); });
    r.add("_functional_assert_async.msg(Tensor self, str assert_msg, Tensor dep_token) -> Tensor",
          [](In self, const std::string& assert_msg, In dep_token) {
              assert_true(is_nonzero(self), assert_msg);
              return dep_token.clone();
          });
    r.add("_functional_assert_scalar(Scalar self, str assert_msg, Tensor dep_token) -> Tensor",
          [](const Scalar& self, const std::string& assert_msg, In dep_token) {
              assert_true(self.to<bool>(), assert_msg);
              return dep_token.clone();
          });
    r.add("_functional_sym_constrain_range(Scalar size, int? min, int? max, Tensor dep_token) -> Tensor",
          constrain_with_token);
    r.add("_functional_sym_constrain_range_for_size(Scalar size, int? min, int? max, Tensor dep_token) -> Tensor",
          constrain_with_token);
    r.add("sym_constrain_range(Scalar size, *, int? min=None, int? max=None) -> ()", constrain_range);
    r.add("sym_constrain_range_for_size(Scalar size, *, int? min=None, int? max=None) -> ()", constrain_range);
    r.add("_print(str s) -> ()", [](const std::string&) {});
}

}  // namespace torch_ir::kernels
