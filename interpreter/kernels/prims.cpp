// SPDX-License-Identifier: MIT
// PyTorch's primitive ops (torch/_prims), which decompositions leave in graphs. Most are ATen ops under another name.
#include <algorithm>
#include <functional>

#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using OptInts = std::optional<Ints>;

/// Prims whose parameters are the first ones of an ATen op of that overload. Names are separated by spaces; `name=op`
/// where they differ.
struct SameParameters {
    const char* overload;
    std::string_view names;
};
constexpr SameParameters same_parameters[] = {
    {"default",
     "abs acos acosh asin asinh atan atan2 atanh bessel_i0=special_i0 bessel_i0e=special_i0e bessel_i1=special_i1 "
     "bessel_i1e=special_i1e bessel_j0=special_bessel_j0 bessel_j1=special_bessel_j1 bitwise_not cat ceil clone conj "
     "conj_physical cos cosh digamma erf erf_inv=erfinv erfc erfcx=special_erfcx exp exp2 expm1 floor "
     "fmax fmin gcd hypot igamma igammac imag isfinite item=_local_scalar_dense lgamma log log10 log1p log2 maximum "
     "minimum ndtri=special_ndtri neg nextafter real reciprocal rev=flip round rsqrt sign signbit sin "
     "sinh spherical_bessel_j0=special_spherical_bessel_j0 sqrt tan tanh transpose=permute trunc view_of=alias "
     "zeta=special_zeta as_strided as_strided_scatter"},
    {"Tensor",
     "add bitwise_and bitwise_or bitwise_xor eq fmod frexp ge gt le lt mul ne remainder shift_left=bitwise_left_shift "
     "shift_right_arithmetic=bitwise_right_shift sub"},
    {"Tensor_Tensor", "pow"},
    {"Scalar", "fill"},
    {"self", "where"},
    {"dims", "squeeze"},
    {"dtype", "view_of_dtype=view"},
};

void add_same(Registry& r, const std::string& prim, std::string aten) {
    r.add_boxed(
        *find_schema("prims." + prim + ".default"),
        [aten = std::move(aten)](Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
            std::vector<IValue> values;
            for (const IValue* arg : args) values.push_back(*arg);
            for (IValue& result : call_op(context, aten, std::move(values))) results.push_back(std::move(result));
        });
}

Tensor div(In self, In other) {
    if (is_integral(self.dtype(), true)) return call("aten.div.Tensor_mode", {self, other, std::string("trunc")});
    return call("aten.div.Tensor", {self, other});
}

Tensor cbrt(In self) {
    const Tensor root = call("aten.pow.Tensor_Scalar", {call("aten.abs.default", {self}), 1.0 / 3});
    return call("aten.copysign.Tensor", {root, self});
}

Tensor broadcast_in_dim(In a, const Ints& shape, const Ints& broadcast_dimensions) {
    if (static_cast<std::int64_t>(broadcast_dimensions.size()) != a.dim())
        throw ArgumentError("broadcast_in_dim: expected " + std::to_string(a.dim()) + " broadcast_dimensions for " +
                            describe(a) + ", found " + to_string(broadcast_dimensions));
    Ints wide(shape.size(), 1);
    std::int64_t last = -1;
    for (std::size_t i = 0; i < broadcast_dimensions.size(); ++i) {
        const std::int64_t d = broadcast_dimensions[i];
        if (d <= last || d >= static_cast<std::int64_t>(shape.size()))
            throw ArgumentError("broadcast_in_dim: expected increasing broadcast_dimensions below " +
                                std::to_string(shape.size()) + ", found " + to_string(broadcast_dimensions));
        last = d;
        wide[static_cast<std::size_t>(d)] = a.shape()[i];
    }
    return view(a, wide).expand(shape);
}

Ints collapsed(In a, std::int64_t start, std::int64_t end) {
    const std::int64_t rank = std::max<std::int64_t>(a.dim(), 1);
    if (start < 0 || end < start || end >= rank)
        throw ArgumentError("collapse: expected 0 <= start <= end < " + std::to_string(rank) + ", found " +
                            std::to_string(start) + " and " + std::to_string(end));
    if (a.dim() == 0) return {1};
    Ints shape(a.shape().begin(), a.shape().begin() + start);
    shape.push_back(numel_of(
        std::span(a.shape()).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1))));
    shape.insert(shape.end(), a.shape().begin() + end + 1, a.shape().end());
    return shape;
}

Tensor split_dim(In a, std::int64_t dim, std::int64_t outer_length) {
    const std::int64_t size = a.size(dim);
    if (outer_length < 1 || size % outer_length != 0)
        throw ArgumentError("split_dim: expected outer_length to divide size " + std::to_string(size) +
                            " of dimension " + std::to_string(dim) + ", found " + std::to_string(outer_length));
    Ints shape = a.shape();
    const auto at = shape.begin() + a.wrap_dim(dim);
    *at = size / outer_length;
    shape.insert(at, outer_length);
    return view(a, shape);
}

template <class T>
IValue optional(const std::optional<T>& value) {
    return value ? IValue(*value) : IValue(None{});
}

Tensor in_dtype(In x, OptDType dtype) { return dtype ? x.to(*dtype) : x; }

Tensor prod(In x, const OptInts& dims, OptDType dtype) {
    const IValue wanted = optional(dtype);
    if (!dims) return call("aten.prod.default", {x, wanted});
    Ints sorted = *dims;
    std::sort(sorted.begin(), sorted.end(), std::greater<>{});
    Tensor result = x.clone();
    for (const std::int64_t d : sorted) result = call("aten.prod.dim_int", {result, d, false, wanted});
    return result;
}

template <bool largest>
Scalar bound_of(DType dtype) {
    const int bits = 8 * static_cast<int>(item_size(dtype));
    switch (category(dtype)) {
        case DTypeCategory::Bool:
            return Scalar(largest);
        case DTypeCategory::Unsigned:
            if (bits == 64) break;  // beyond a Scalar
            return Scalar(largest ? (std::int64_t{1} << bits) - 1 : std::int64_t{0});
        case DTypeCategory::Signed: {
            const auto high = static_cast<std::int64_t>(~std::uint64_t{0} >> (65 - bits));
            return Scalar(largest ? high : -high - 1);
        }
        case DTypeCategory::Float:
        case DTypeCategory::Complex:
            return Scalar(largest ? largest_finite(dtype) : -largest_finite(dtype));
        default:
            break;
    }
    throw UnsupportedError("the bounds of dtype '" + std::string(name(dtype)) + "' are not supported");
}

Tensor iota(std::int64_t length, std::int64_t start, std::int64_t step, DType dtype, const Device&, bool) {
    std::int64_t span = 0;
    std::int64_t end = 0;
    if (length < 0 || __builtin_mul_overflow(length, step, &span) || __builtin_add_overflow(start, span, &end))
        throw ArgumentError("iota: length " + std::to_string(length) + ", start " + std::to_string(start) +
                            " and step " + std::to_string(step) + " give no range");
    return call("aten.arange.start_step", {start, end, step, dtype});
}

Tensor copy_strided(In a, const Ints& stride) {
    const Tensor out = call("aten.empty_strided.default", {a.shape(), stride, a.dtype()});
    out.copy_from(a);
    return out;
}

Tensor drawn(Context& context, const char* op_type, In target, const Scalar& first, const Scalar& second) {
    return std::get<Tensor>(call_op(context, op_type, {target, first.to<double>(), second.to<double>()}).at(0));
}

}  // namespace

void register_prims(Registry& r) {
    for (const auto& [overload, names] : same_parameters)
        for_each_name(names.data(), [&, overload = overload](const std::string& entry) {
            const std::size_t equals = entry.find('=');
            const std::string aten = equals == std::string::npos ? entry : entry.substr(equals + 1);
            add_same(r, entry.substr(0, equals), "aten." + aten + "." + overload);
        });
    r.add("prims::div(Tensor self, Tensor other) -> Tensor", div);
    r.add("prims::cbrt(Tensor self) -> Tensor", cbrt);
    r.add("prims::broadcast_in_dim(Tensor(a) a, SymInt[] shape, int[] broadcast_dimensions) -> Tensor(a)",
          broadcast_in_dim);
    r.add("prims::collapse_view(Tensor(a) a, int start, int end) -> Tensor(a)",
          [](In a, std::int64_t start, std::int64_t end) { return view(a, collapsed(a, start, end)); });
    r.add("prims::collapse(Tensor a, int start, int end) -> Tensor",
          [](In a, std::int64_t start, std::int64_t end) { return a.reshape(collapsed(a, start, end)).clone(); });
    r.add("prims::split_dim(Tensor(a) a, int dim, SymInt outer_length) -> Tensor(a)", split_dim);
    r.add("prims::reshape(Tensor a, SymInt[] shape) -> Tensor",
          [](In a, const Ints& shape) { return a.reshape(shape).contiguous().clone(); });
    r.add("prims::convert_element_type(Tensor a, ScalarType dtype) -> Tensor",
          [](In a, DType dtype) { return copy_to(a, dtype, MemoryFormat::Preserve); });
    r.add("prims::device_put(Tensor a, Device device, bool non_blocking=False) -> Tensor",
          [](In a, const Device&, bool) { return a.clone(); });
    r.add("prims::copy_strided(Tensor a, SymInt[] stride) -> Tensor", copy_strided);
    r.add("prims::copy_to(Tensor(a!) a, Tensor b) -> Tensor(a!)", [](In a, In b) {
        a.copy_from(b);
        return a;
    });
    r.add("prims::sum(Tensor inp, int[]? dims, *, ScalarType? output_dtype=None) -> Tensor",
          [](In x, const OptInts& dims, OptDType dtype) {
              return call("aten.sum.dim_IntList", {x, optional(dims), false, optional(dtype)});
          });
    r.add("prims::prod(Tensor inp, int[]? dims, *, ScalarType? output_dtype=None) -> Tensor", prod);
    r.add("prims::amax(Tensor inp, int[]? dims, *, ScalarType? output_dtype=None) -> Tensor",
          [](In x, const OptInts& dims, OptDType dtype) {
              return in_dtype(call("aten.amax.default", {x, dims.value_or(Ints{})}), dtype);
          });
    r.add("prims::amin(Tensor inp, int[]? dims, *, ScalarType? output_dtype=None) -> Tensor",
          [](In x, const OptInts& dims, OptDType dtype) {
              return in_dtype(call("aten.amin.default", {x, dims.value_or(Ints{})}), dtype);
          });
    r.add("prims::var(Tensor inp, int[]? dims, float? correction=1, *, ScalarType? output_dtype=None) -> Tensor",
          [](In x, const OptInts& dims, std::optional<double> correction, OptDType dtype) {
              return in_dtype(call("aten.var.correction", {x, optional(dims), correction.value_or(1), false}), dtype);
          });
    r.add("prims::maximum_value(ScalarType dtype) -> Scalar", bound_of<true>);
    r.add("prims::minimum_value(ScalarType dtype) -> Scalar", bound_of<false>);
    r.add(
        "prims::iota(SymInt length, *, SymInt start, SymInt step, ScalarType dtype, Device device, bool requires_grad) "
        "-> Tensor",
        iota);
    r.add("prims::empty(SymInt[] shape, *, ScalarType dtype, Device device, bool requires_grad) -> Tensor",
          [](const Ints& shape, DType dtype, const Device&, bool) { return Tensor::zeros(shape, dtype); });
    r.add(
        "prims::empty_strided(SymInt[] shape, SymInt[] strides, *, ScalarType dtype, Device device, bool "
        "requires_grad) -> Tensor",
        [](const Ints& shape, const Ints& strides, DType dtype, const Device&, bool) {
            return call("aten.empty_strided.default", {shape, strides, dtype});
        });
    r.add(
        "prims::empty_permuted(SymInt[] shape, int[] physical_layout, *, ScalarType dtype, Device device, bool "
        "requires_grad) -> Tensor",
        [](const Ints& shape, const Ints& physical_layout, DType dtype, const Device&, bool) {
            return call("aten.empty_permuted.default", {shape, physical_layout, dtype});
        });
    r.add(
        "prims::full(SymInt[] shape, Scalar fill_value, *, ScalarType dtype, Device device, bool requires_grad) -> "
        "Tensor",
        [](const Ints& shape, const Scalar& value, DType dtype, const Device&, bool) {
            return Tensor::full(shape, value, dtype);
        });
    r.add(
        "prims::full_like(Tensor a, Scalar fill_value, *, ScalarType dtype, Device device, bool requires_grad) -> "
        "Tensor",
        [](In a, const Scalar& value, DType dtype, const Device&, bool) {
            return call("aten.full_like.default", {a, to_ivalue(value), dtype});
        });
    r.add("prims::scalar_tensor(Scalar s, *, ScalarType? dtype=None, Device? device=None) -> Tensor",
          [](const Scalar& s, OptDType dtype, const std::optional<Device>&) {
              return call("aten.scalar_tensor.default", {to_ivalue(s), optional(dtype)});
          });
    r.add(
        "prims::normal(SymInt[] shape, *, Scalar mean, Scalar std, ScalarType dtype, Device device, bool "
        "requires_grad, Generator? generator=None) -> Tensor",
        [](Context& context, const Ints& shape, const Scalar& mean, const Scalar& std, DType dtype, const Device&, bool,
           None) { return drawn(context, "aten.normal_.default", Tensor::empty(shape, dtype), mean, std); });
    r.add(
        "prims::uniform(SymInt[] shape, *, Scalar low, Scalar high, ScalarType dtype, Device device, SymInt[] stride, "
        "Generator? generator=None) -> Tensor",
        [](Context& context, const Ints& shape, const Scalar& low, const Scalar& high, DType dtype, const Device&,
           const Ints& stride, None) {
            const Tensor target = call("aten.empty_strided.default", {shape, stride, dtype});
            return drawn(context, "aten.uniform_.default", target, low, high);
        });
    r.add("prims::fft_c2c(Tensor self, *, int[] dim, bool forward) -> Tensor",
          [](In self, const Ints& dim, bool forward) {
              return call("aten._fft_c2c.default", {self, dim, std::int64_t{0}, forward});
          });
    r.add("prims::fft_r2c(Tensor self, *, int[] dim, bool onesided) -> Tensor",
          [](In self, const Ints& dim, bool onesided) {
              return call("aten._fft_r2c.default", {self, dim, std::int64_t{0}, onesided});
          });
    r.add("prims::fft_c2r(Tensor self, *, int[] dim, SymInt last_dim_size) -> Tensor",
          [](In self, const Ints& dim, std::int64_t last_dim_size) {
              return call("aten._fft_c2r.default", {self, dim, std::int64_t{0}, last_dim_size});
          });
    r.add("prims::svd(Tensor A, *, bool full_matrices) -> (Tensor U, Tensor S, Tensor Vh)", [](Context& context, In a,
                                                                                               bool full_matrices) {
        std::vector<IValue> results = call_op(context, "aten.linalg_svd.default", {a, full_matrices});
        return std::tuple(std::get<Tensor>(results[0]), std::get<Tensor>(results[1]), std::get<Tensor>(results[2]));
    });
}

}  // namespace torch_ir::kernels
