// SPDX-License-Identifier: MIT
// Quantisation of values to integers and back: quantized_decomposed (torch/ao/quantization/fx/_decomposed.py) and fake
// quantisation.
#include <algorithm>
#include <cmath>
#include <limits>

#include "half.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/pointwise.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

/// The range of quantised values.
struct Range {
    std::int64_t min;
    std::int64_t max;
};

Range make_range(const char* op, std::int64_t quant_min, std::int64_t quant_max) {
    if (quant_min > quant_max)
        throw ArgumentError(std::string(op) + ": expected quant_min <= quant_max, found " + std::to_string(quant_min) +
                            " and " + std::to_string(quant_max));
    return {quant_min, quant_max};
}

void require_integers(const char* op, In input, DType dtype) {
    if (input.dtype() != dtype)
        throw ArgumentError(std::string(op) + ": expected input of dtype '" + std::string(name(dtype)) + "', found " +
                            describe(input));
}

In require_one(const char* op, const char* argument, In tensor) {
    if (tensor.numel() != 1)
        throw ArgumentError(std::string(op) + ": expected " + argument + " to have one element, found " +
                            describe(tensor));
    return tensor;
}

/// A vector along dimension `axis` of `like`, ready to broadcast.
Tensor along(const char* op, In vector, In like, std::int64_t axis) {
    const std::int64_t d = like.wrap_dim(axis);
    if (like.dim() == 0 || vector.dim() != 1 || (vector.numel() != like.size(d) && vector.numel() != 1))
        throw ArgumentError(std::string(op) + ": expected one parameter for each of the channels of " + describe(like) +
                            " along axis " + std::to_string(axis) + ", found " + describe(vector));
    Ints shape(static_cast<std::size_t>(like.dim()), 1);
    shape[static_cast<std::size_t>(d)] = vector.numel();
    return vector.reshape(shape);
}

DType compute_dtype(In scales) {
    return scales.dtype() == DType::Float64 && !scales.is_wrapped_number() ? DType::Float64 : DType::Float32;
}

void require_floating_point(const char* op, In input) {
    if (!is_floating_point(input.dtype()))
        throw ArgumentError(std::string(op) + ": expected input of a floating point dtype, found " + describe(input));
}

/// round(input / scale + zero_point) within the range; before that, every step is rounded to its promoted dtype.
Tensor quantize_sum(const char* op, In input, In scales, In zero_points, Range range, DType dtype) {
    require_floating_point(op, input);
    const Tensor inverse = divided(number(1.0), scales);
    const Tensor sum = plus(times(input, inverse), zero_points);
    return elementwise<double>(
        dtype,
        [low = static_cast<double>(range.min), high = static_cast<double>(range.max)](double x) {
            const double q = std::rint(x);
            return q < low ? low : (q > high ? high : q);
        },
        sum);
}

/// round(input / scale) + zero_point within the range.
Tensor quantize(const char* op, In input, In scales, In zero_points, Range range, DType dtype) {
    require_floating_point(op, input);
    return visit_float(compute_dtype(scales), op, [&]<class C>(C) {
        const Tensor inverse = elementwise<double>(
            dtype_of<C>(), [](double s) { return 1 / s; }, scales);
        return elementwise<C>(
            dtype,
            [low = static_cast<C>(range.min), high = static_cast<C>(range.max)](C x, C s, C z) {
                const C q = std::rint(x * s) + z;
                return q < low ? low : (q > high ? high : q);
            },
            input, inverse, zero_points);
    });
}

/// (input - zero_point) · scale.
Tensor dequantize(In input, In scales, In zero_points, DType out) {
    return elementwise<double>(
        out, [](double x, double s, double z) { return (x - z) * s; }, input, scales, zero_points);
}

/// The same, every step rounded to its promoted dtype.
Tensor dequantize_in_steps(In input, In scales, In zero_points, DType out) {
    return times(minus(input, zero_points), scales).to(out);
}

Tensor quantize_per_tensor(In input, double scale, std::int64_t zero_point, std::int64_t quant_min,
                           std::int64_t quant_max, DType dtype) {
    return quantize("quantize_per_tensor", input, number(scale), number(zero_point),
                    make_range("quantize_per_tensor", quant_min, quant_max), dtype);
}
Tensor quantize_per_tensor_tensor(In input, In scale, In zero_point, std::int64_t quant_min, std::int64_t quant_max,
                                  DType dtype) {
    const char* const op = "quantize_per_tensor";
    return quantize_per_tensor(input, require_one(op, "scale", scale).item().to<double>(),
                               require_one(op, "zero_point", zero_point).item().to<std::int64_t>(), quant_min,
                               quant_max, dtype);
}
Tensor quantize_per_tensor_tensor2(In input, In scale, In zero_point, In quant_min, In quant_max, DType dtype) {
    const char* const op = "quantize_per_tensor";
    return quantize_per_tensor_tensor(input, scale, zero_point,
                                      require_one(op, "quant_min", quant_min).item().to<std::int64_t>(),
                                      require_one(op, "quant_max", quant_max).item().to<std::int64_t>(), dtype);
}

Tensor dequantize_per_tensor(In input, double scale, std::int64_t zero_point, std::int64_t, std::int64_t, DType dtype,
                             OptDType out_dtype) {
    require_integers("dequantize_per_tensor", input, dtype);
    const DType out = out_dtype.value_or(DType::Float32);
    return visit_float(out, "dequantize_per_tensor", [&]<class C>(C) {
        return elementwise<C>(
            out, [s = static_cast<C>(scale), z = static_cast<C>(zero_point)](C x) { return (x - z) * s; }, input);
    });
}
Tensor dequantize_per_tensor_tensor(In input, In scale, In zero_point, std::int64_t quant_min, std::int64_t quant_max,
                                    DType dtype, OptDType out_dtype) {
    const char* const op = "dequantize_per_tensor";
    return dequantize_per_tensor(input, require_one(op, "scale", scale).item().to<double>(),
                                 require_one(op, "zero_point", zero_point).item().to<std::int64_t>(), quant_min,
                                 quant_max, dtype, out_dtype);
}
Tensor dequantize_per_tensor_tensor2(In input, In scale, In zero_point, In, In, DType dtype, OptDType out_dtype) {
    return dequantize_per_tensor_tensor(input, scale, zero_point, 0, 0, dtype, out_dtype);
}

Tensor quantize_per_channel(In input, In scales, In zero_points, std::int64_t axis, std::int64_t quant_min,
                            std::int64_t quant_max, DType dtype) {
    const char* const op = "quantize_per_channel";
    return quantize(op, input, along(op, scales, input, axis), along(op, zero_points, input, axis),
                    make_range(op, quant_min, quant_max), dtype);
}
Tensor dequantize_per_channel(In input, In scales, In zero_points, std::int64_t axis, std::int64_t, std::int64_t,
                              DType dtype, OptDType out_dtype) {
    const char* const op = "dequantize_per_channel";
    require_integers(op, input, dtype);
    return dequantize(input, along(op, scales, input, axis),
                      zero_points.defined() ? along(op, zero_points, input, axis) : number(std::int64_t{0}),
                      out_dtype.value_or(DType::Float32));
}

/// [rows, columns] as [groups, group_size].
Tensor grouped(const char* op, In input, In scales, std::int64_t group_size) {
    if (input.dim() != 2)
        throw ArgumentError(std::string(op) + ": expected input of 2 dimensions, found " + describe(input));
    if (group_size <= 1)
        throw ArgumentError(std::string(op) + ": expected group_size greater than 1, found " +
                            std::to_string(group_size));
    if (group_size > input.size(-1) && scales.dim() > 0 && scales.size(-1) == 1) group_size = input.size(-1);
    if (group_size == 0 || input.size(-1) % group_size != 0)
        throw ArgumentError(std::string(op) + ": expected rows of a multiple of group_size " +
                            std::to_string(group_size) + ", found " + describe(input));
    const Tensor groups = input.reshape({input.numel() / group_size, group_size});
    if (scales.numel() != groups.size(0))
        throw ArgumentError(std::string(op) + ": expected " + std::to_string(groups.size(0)) + " scales, found " +
                            describe(scales));
    return groups;
}
Tensor as_column(In tensor) { return tensor.reshape({tensor.numel(), 1}); }

Tensor quantize_per_channel_group(In input, In scales, In zero_points, std::int64_t quant_min, std::int64_t quant_max,
                                  DType dtype, std::int64_t group_size) {
    const char* const op = "quantize_per_channel_group";
    return quantize_sum(op, grouped(op, input, scales, group_size), as_column(scales), as_column(zero_points),
                        make_range(op, quant_min, quant_max), dtype)
        .reshape(input.shape());
}
Tensor dequantize_per_channel_group(In input, In scales, In zero_points, std::int64_t, std::int64_t, DType,
                                    std::int64_t group_size, DType output_dtype) {
    return dequantize_in_steps(grouped("dequantize_per_channel_group", input, scales, group_size), as_column(scales),
                               zero_points.defined() ? as_column(zero_points) : number(std::int64_t{0}), output_dtype)
        .reshape(input.shape());
}

Tensor quantize_per_token(In input, In scales, In zero_points, std::int64_t quant_min, std::int64_t quant_max,
                          DType dtype) {
    return quantize_sum("quantize_per_token", input, scales, zero_points,
                        make_range("quantize_per_token", quant_min, quant_max), dtype);
}
Tensor dequantize_per_token(In input, In scales, In zero_points, std::int64_t, std::int64_t, DType,
                            DType output_dtype) {
    return dequantize_in_steps(input, scales, zero_points, output_dtype);
}

/// The smallest and largest element of every row over `dims`, with 0 among them.
template <class F>
std::tuple<Tensor, Tensor> choose(const char* op, In input, const Ints& dims, const Ints& shape, DType scale_dtype,
                                  F f) {
    return visit_float(input.dtype(), op, [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        const Rows<C> in = rows<C>(input, dims);
        if (in.length == 0)
            throw ArgumentError(std::string(op) + ": expected input to have elements, found " + describe(input));
        const Tensor scales = Tensor::empty(shape, dtype_of<C>()), zero_points = Tensor::empty(shape, DType::Int64);
        for (std::int64_t i = 0; i < in.count; ++i) {
            C low = 0, high = 0;
            for (const C x : in[i]) {
                low = x < low ? x : low;
                high = x > high ? x : high;
            }
            f(low, high, scales.data<C>()[i], zero_points.data<std::int64_t>()[i]);
        }
        return {scales.to(scale_dtype), zero_points};
    });
}

std::tuple<Tensor, Tensor> choose_qparams(In input, std::int64_t quant_min, std::int64_t quant_max, double eps, DType) {
    make_range("choose_qparams", quant_min, quant_max);
    return choose("choose_qparams", input, normalize_dims(input, {}), {1}, DType::Float64,
                  [=]<class C>(C low, C high, C& scale, std::int64_t& zero_point) {
                      scale = std::max((high - low) / static_cast<C>(quant_max - quant_min), static_cast<C>(eps));
                      zero_point = std::clamp(quant_min - static_cast<std::int64_t>(std::rint(low / scale)), quant_min,
                                              quant_max);
                  });
}

std::tuple<Tensor, Tensor> choose_qparams_symmetric(In input, std::int64_t quant_min, std::int64_t quant_max,
                                                    double eps, DType dtype) {
    make_range("choose_qparams_symmetric", quant_min, quant_max);
    return choose("choose_qparams_symmetric", input, normalize_dims(input, {}), {1}, DType::Float64,
                  [=]<class C>(C low, C high, C& scale, std::int64_t& zero_point) {
                      const C half = static_cast<C>(static_cast<double>(quant_max - quant_min) / 2);
                      scale = std::max(std::max(-low, high) / half, static_cast<C>(eps));
                      zero_point = dtype == DType::UInt8 ? 128 : 0;
                  });
}

Ints last_dim(const char* op, In input) {
    if (input.dim() == 0) throw ArgumentError(std::string(op) + ": expected input to have at least one dimension");
    return {input.dim() - 1};
}

std::tuple<Tensor, Tensor> choose_qparams_per_token(In input, DType dtype) {
    const char* const op = "choose_qparams_per_token";
    if (dtype != DType::Int8)
        throw UnsupportedError(std::string(op) + ": expected dtype 'int8', found '" + std::string(name(dtype)) + "'");
    const Ints dims = last_dim(op, input);
    const DType scale_dtype = input.dtype() == DType::Float16 ? DType::Float32 : input.dtype();
    const auto [scales, zero_points] = choose(op, input, dims, reduced_shape(input, dims, true), scale_dtype,
                                              []<class C>(C low, C high, C& scale, std::int64_t& zero_point) {
                                                  scale = std::max(std::max(-low, high), C(1e-5)) / C(127);
                                                  zero_point = 0;
                                              });
    return {scales, zero_points.to(scale_dtype)};
}

std::tuple<Tensor, Tensor> choose_qparams_per_token_asymmetric(In input, DType) {
    const char* const op = "choose_qparams_per_token_asymmetric";
    const Ints dims = last_dim(op, input);
    return choose(op, input, dims, reduced_shape(input, dims, true), DType::Float64,
                  [dtype = input.dtype()]<class C>(C low, C high, C& scale, std::int64_t& zero_point) {
                      const auto r = [dtype](C v) { return static_cast<C>(round_to(dtype, static_cast<double>(v))); };
                      constexpr C quant_min = -128, quant_max = 127;
                      scale = r(std::max(r(r(high - low) / C(255)), C(std::numeric_limits<float>::epsilon())));
                      const C min = r(low / scale), max = r(high / scale);
                      const C error = r(r(quant_min + min) + r(quant_max + max));
                      const C zero = r(error > C(0) ? quant_min - min : quant_max - max);
                      zero_point = static_cast<std::int64_t>(std::rint(std::clamp(zero, quant_min, quant_max)));
                  });
}

/// What quantising and dequantising does to a value, and whether it lay in the range. Of float64 values, too, the scale
/// is a float32, and so is the result where one scale is that of all.
std::tuple<Tensor, Tensor> fake_quantize(const char* op, In self, In scale, In zero_point, Range range,
                                         bool together = false) {
    return visit_float(self.dtype(), op, [&]<class C>(C) -> std::tuple<Tensor, Tensor> {
        const C low = static_cast<C>(range.min), high = static_cast<C>(range.max);
        const bool narrow = scale.dim() == 0;
        const auto quantized = [together](C x, C s, C z) {
            const C steps = x * C(1.0F / static_cast<float>(s));
            return together ? std::rint(steps + z) : std::rint(steps) + z;
        };
        return {elementwise<C>(
                    self.dtype(),
                    [=](C x, C s, C z) {
                        const C q = quantized(x, s, z);
                        const C value = ((q >= low ? (q > high ? high : q) : low) - z) * C(static_cast<float>(s));
                        return narrow ? C(static_cast<float>(value)) : value;
                    },
                    self, scale, zero_point),
                elementwise<C>(
                    DType::Bool,
                    [=](C x, C s, C z) {
                        const C q = quantized(x, s, z);
                        return q >= low && q <= high;
                    },
                    self, scale, zero_point)};
    });
}

std::tuple<Tensor, Tensor> fake_per_tensor(In self, double scale, std::int64_t zero_point, std::int64_t quant_min,
                                           std::int64_t quant_max) {
    const char* const op = "fake_quantize_per_tensor_affine";
    const Range range = make_range(op, quant_min, quant_max);
    if (zero_point < quant_min || zero_point > quant_max)
        throw ArgumentError(
            "fake_quantize_per_tensor_affine: expected zero_point between quant_min and quant_max, found " +
            std::to_string(zero_point));
    return fake_quantize(op, self, number(scale), number(zero_point), range);
}
std::tuple<Tensor, Tensor> fake_per_channel(In self, In scale, In zero_point, std::int64_t axis, std::int64_t quant_min,
                                            std::int64_t quant_max) {
    const char* const op = "fake_quantize_per_channel_affine";
    return fake_quantize(op, self, along(op, scale, self, axis), along(op, zero_point, self, axis),
                         make_range(op, quant_min, quant_max), is_floating_point(zero_point.dtype()));
}

void register_decomposed(Registry& r) {
    const std::string ns = "quantized_decomposed::", range = "int quant_min, int quant_max, ScalarType dtype";
    const std::string tensors = "Tensor quant_min, Tensor quant_max, ScalarType dtype";
    const std::string out = ", *, ScalarType? out_dtype=None) -> Tensor";
    r.add(ns + "quantize_per_tensor(Tensor input, float scale, int zero_point, " + range + ") -> Tensor",
          quantize_per_tensor);
    r.add(ns + "quantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor zero_point, " + range + ") -> Tensor",
          quantize_per_tensor_tensor);
    r.add(ns + "quantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor zero_point, " + tensors + ") -> Tensor",
          quantize_per_tensor_tensor2);
    r.add(ns + "dequantize_per_tensor(Tensor input, float scale, int zero_point, " + range + out,
          dequantize_per_tensor);
    r.add(ns + "dequantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor zero_point, " + range + out,
          dequantize_per_tensor_tensor);
    r.add(ns + "dequantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor zero_point, " + tensors + out,
          dequantize_per_tensor_tensor2);
    r.add(
        ns + "quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, " + range + ") -> Tensor",
        quantize_per_channel);
    r.add(ns + "dequantize_per_channel(Tensor input, Tensor scales, Tensor? zero_points, int axis, " + range + out,
          dequantize_per_channel);
    r.add(ns + "quantize_per_channel_group(Tensor input, Tensor scales, Tensor zero_points, " + range +
              ", int group_size) -> Tensor",
          quantize_per_channel_group);
    r.add(ns + "dequantize_per_channel_group(Tensor input, Tensor scales, Tensor? zero_points, " + range +
              ", int group_size, ScalarType output_dtype) -> Tensor",
          dequantize_per_channel_group);
    r.add(ns + "quantize_per_token(Tensor input, Tensor scales, Tensor zero_points, " + range + ") -> Tensor",
          quantize_per_token);
    r.add(ns + "dequantize_per_token(Tensor input, Tensor scales, Tensor zero_points, " + range +
              ", ScalarType output_dtype) -> Tensor",
          dequantize_per_token);
    const std::string bounds =
        "(Tensor input, int quant_min, int quant_max, float eps, ScalarType dtype) -> (Tensor, Tensor)";
    r.add(ns + "choose_qparams.tensor" + bounds, choose_qparams);
    r.add(ns + "choose_qparams_symmetric.tensor" + bounds, choose_qparams_symmetric);
    const std::string token = "(Tensor input, ScalarType dtype) -> (Tensor, Tensor)";
    r.add(ns + "choose_qparams_per_token" + token, choose_qparams_per_token);
    r.add(ns + "choose_qparams_per_token_asymmetric" + token, choose_qparams_per_token_asymmetric);
    r.add(ns + "_choose_qparams_per_token_asymmetric_impl" + token, choose_qparams_per_token_asymmetric);
    r.add(ns + "convert_element_type.no_fuse(Tensor input, ScalarType dtype) -> Tensor",
          [](In input, DType dtype) { return input.to(dtype); });
    r.add(ns + "fake_quant_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, int quant_min, int "
               "quant_max) -> Tensor",
          [](In input, In scales, In zero_points, std::int64_t axis, std::int64_t quant_min, std::int64_t quant_max) {
              return std::get<0>(
                  fake_per_channel(input, scales, zero_points.to(DType::Int32), axis, quant_min, quant_max));
          });
}

}  // namespace

void register_quantize(Registry& r) {
    register_decomposed(r);
    const std::string numbers = "(Tensor self, float scale, int zero_point, int quant_min, int quant_max) -> ";
    const std::string channels =
        "(Tensor self, Tensor scale, Tensor zero_point, int axis, int quant_min, int quant_max) -> ";
    const std::string masked = "(Tensor output, Tensor mask)";
    r.add("fake_quantize_per_tensor_affine_cachemask" + numbers + masked, fake_per_tensor);
    r.add("fake_quantize_per_tensor_affine" + numbers + "Tensor",
          [](In self, double scale, std::int64_t zero_point, std::int64_t quant_min, std::int64_t quant_max) {
              return std::get<0>(fake_per_tensor(self, scale, zero_point, quant_min, quant_max));
          });
    r.add(
        "fake_quantize_per_tensor_affine.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, int quant_min, "
        "int quant_max) -> Tensor",
        [](In self, In scale, In zero_point, std::int64_t quant_min, std::int64_t quant_max) {
            const char* const op = "fake_quantize_per_tensor_affine";
            return std::get<0>(fake_quantize(op, self, require_one(op, "scale", scale).reshape({}),
                                             require_one(op, "zero_point", zero_point).reshape({}).to(DType::Int64),
                                             make_range(op, quant_min, quant_max)));
        });
    r.add(
        "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, "
        "Tensor fake_quant_enabled, int quant_min, int quant_max) -> (Tensor output, Tensor mask)",
        [](In self, In scale, In zero_point, In enabled, std::int64_t quant_min,
           std::int64_t quant_max) -> std::tuple<Tensor, Tensor> {
            const char* const op = "fake_quantize_per_tensor_affine";
            if (require_one(op, "fake_quant_enabled", enabled).item().to<std::int64_t>() == 0)
                return {self.clone(), Tensor::full(self.shape(), true, DType::Bool)};
            return fake_quantize(op, self, require_one(op, "scale", scale).reshape({}),
                                 require_one(op, "zero_point", zero_point).reshape({}).to(DType::Int64),
                                 make_range(op, quant_min, quant_max));
        });
    for (const char* op :
         {"fake_quantize_per_tensor_affine_cachemask_backward", "fake_quantize_per_channel_affine_cachemask_backward"})
        r.add(std::string(op) + "(Tensor grad, Tensor mask) -> Tensor", [op](In grad, In mask) {
            if (mask.dtype() != DType::Bool || mask.shape() != grad.shape())
                throw ArgumentError(std::string(op) + ": expected mask to be bool and of the shape of grad, found " +
                                    describe(mask) + " and " + describe(grad));
            return times(grad, mask);
        });
    r.add(
        "_fake_quantize_learnable_per_tensor_affine(Tensor self, Tensor scale, Tensor zero_point, int quant_min, int "
        "quant_max, float grad_factor=1.0) -> Tensor",
        [](In self, In scale, In zero_point, std::int64_t quant_min, std::int64_t quant_max, double) {
            const char* const op = "_fake_quantize_learnable_per_tensor_affine";
            const double rounded = require_one(op, "zero_point", zero_point).item().to<double>() + 0.5;
            const double zero = std::clamp(rounded, static_cast<double>(quant_min), static_cast<double>(quant_max));
            return std::get<0>(fake_per_tensor(self, require_one(op, "scale", scale).item().to<double>(),
                                               static_cast<std::int64_t>(zero), quant_min, quant_max));
        });
    r.add(
        "_fake_quantize_learnable_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, int "
        "quant_min, int quant_max, float grad_factor=1.0) -> Tensor",
        [](In self, In scale, In zero_point, std::int64_t axis, std::int64_t quant_min, std::int64_t quant_max,
           double) {
            const Tensor zero = elementwise<double>(
                DType::Int32,
                [low = static_cast<double>(quant_min), high = static_cast<double>(quant_max)](double z) {
                    return std::min(std::max(std::rint(z), low), high);
                },
                zero_point);
            return std::get<0>(fake_per_channel(self, scale, zero, axis, quant_min, quant_max));
        });
    r.add("fake_quantize_per_channel_affine_cachemask" + channels + masked, fake_per_channel);
    r.add("fake_quantize_per_channel_affine" + channels + "Tensor",
          [](In self, In scale, In zero_point, std::int64_t axis, std::int64_t quant_min, std::int64_t quant_max) {
              return std::get<0>(fake_per_channel(self, scale, zero_point, axis, quant_min, quant_max));
          });
}

}  // namespace torch_ir::kernels
