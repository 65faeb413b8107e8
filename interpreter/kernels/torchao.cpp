// SPDX-License-Identifier: MIT
// Affine quantisation in blocks as torchao exports it (torchao/quantization/quant_primitives.py). Each step is the ATen
// op that torchao calls, so that 16-bit types round where they do there.
#include <limits>
#include <tuple>

#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"

namespace torch_ir::kernels {
namespace {

using Two = std::tuple<Tensor, Tensor>;
using OptTensor = std::optional<Tensor>;
using OptScalar = std::optional<Scalar>;

Tensor round(In x) { return call("aten.round.default", {x}); }

/// Every dimension that has several blocks becomes two: blocks, and elements of a block.
struct Blocks {
    Ints shape;       // of the input
    Ints parameters;  // of the scales, to broadcast
    Ints reduced;     // dimensions within blocks
};

Blocks blocks_of(const char* op, In input, const Ints& block_size) {
    if (static_cast<std::int64_t>(block_size.size()) != input.dim())
        throw ArgumentError(std::string(op) + ": expected a block size for each dimension of " + describe(input));
    Blocks blocks;
    const auto add = [&](std::int64_t size, bool reduce) {
        if (reduce) blocks.reduced.push_back(static_cast<std::int64_t>(blocks.shape.size()));
        blocks.shape.push_back(size);
        blocks.parameters.push_back(reduce ? 1 : size);
    };
    for (std::size_t i = 0; i < block_size.size(); ++i) {
        const std::int64_t size = input.shape()[i];
        const std::int64_t block = block_size[i];
        if (block < 1 || size % block != 0)
            throw ArgumentError(std::string(op) + ": expected size " + std::to_string(size) + " of dimension " +
                                std::to_string(i) + " to be a multiple of its block size, found " +
                                std::to_string(block));
        if (block != size && block > 1) {
            add(size / block, false);
            add(block, true);
        } else {
            add(size, block != 1);
        }
    }
    return blocks;
}

struct Range {
    double min;
    double max;
};

Range range_of(const char* op, DType dtype, const OptScalar& min, const OptScalar& max) {
    Range range{};
    switch (dtype) {
        case DType::Int8:
            range = {-128, 127};
            break;
        case DType::UInt8:
            range = {0, 255};
            break;
        case DType::Int16:
            range = {-32768, 32767};
            break;
        case DType::Int32:
            range = {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
            break;
        default:
            throw UnsupportedError(std::string(op) + ": not supported for dtype '" + std::string(name(dtype)) + "'");
    }
    if (min) range.min = min->to<double>();
    if (max) range.max = max->to<double>();
    return range;
}

Tensor clamp(In x, const Range& range) {
    return call("aten.clamp.default", {x, static_cast<std::int64_t>(range.min), static_cast<std::int64_t>(range.max)});
}

Tensor quantize_affine(In input, const Ints& block_size, In scale, const OptTensor& zero_point, DType output_dtype,
                       const OptScalar& quant_min, const OptScalar& quant_max) {
    const char* op = "quantize_affine";
    const Blocks blocks = blocks_of(op, input, block_size);
    const Range range = range_of(op, output_dtype, quant_min, quant_max);
    if (!zero_point || zero_point->numel() == 0) throw ArgumentError("quantize_affine: expected a zero_point");
    const Tensor inverse = call("aten.reciprocal.default", {scale.reshape(blocks.parameters)});
    const Tensor rounded = round(times(input.reshape(blocks.shape), inverse));
    const Tensor shifted = plus(rounded, zero_point->reshape(blocks.parameters));
    return clamp(shifted, range).reshape(input.shape()).to(output_dtype);
}

Tensor dequantize_affine(In input, const Ints& block_size, In scale, const OptTensor& zero_point, DType,
                         const OptScalar&, const OptScalar&, DType output_dtype) {
    const Blocks blocks = blocks_of("dequantize_affine", input, block_size);
    Tensor result = input.to(output_dtype).reshape(blocks.shape);
    if (zero_point) result = minus(result, zero_point->reshape(blocks.parameters).to(output_dtype));
    result = times(result, scale.reshape(blocks.parameters));
    return result.reshape(input.shape()).to(output_dtype);
}

/// (scale, zero point) of each block from its smallest and largest value.
Two choose_qparams_affine(const OptTensor& values, const std::string& mapping_type, const Ints& block_size,
                          DType target_dtype, const OptScalar& quant_min, const OptScalar& quant_max,
                          std::optional<double> eps, OptDType scale_dtype, OptDType zero_point_dtype, bool keepdim) {
    const char* op = "choose_qparams_affine";
    if (!values) throw ArgumentError("choose_qparams_affine: expected an input");
    const Tensor& input = *values;
    const Blocks blocks = blocks_of(op, input, block_size);
    const Range range = range_of(op, target_dtype, quant_min, quant_max);
    // finfo.smallest_normal
    const double smallest = input.dtype() == DType::Float16   ? 6.103515625e-05
                            : input.dtype() == DType::Float64 ? std::numeric_limits<double>::min()
                                                              : std::numeric_limits<float>::min();
    const Tensor x = input.reshape(blocks.shape);
    const Tensor low = call("aten.amin.default", {x, blocks.reduced, keepdim});
    const Tensor high = call("aten.amax.default", {x, blocks.reduced, keepdim});
    const Tensor zeros = Tensor::zeros(low.shape(), low.dtype());
    const Tensor least = call("aten.minimum.default", {low, zeros});
    const Tensor most = call("aten.maximum.default", {high, zeros});
    const auto at_least_eps = [&](In scale) {
        return call("aten.clamp.default", {scale, eps.value_or(smallest), None{}});
    };
    Tensor scale;
    Tensor zero_point;
    if (mapping_type == "ASYMMETRIC") {
        scale = at_least_eps(divided(minus(most, least), number(range.max - range.min)));
        zero_point = clamp(minus(number(range.min), round(divided(least, scale))), range);
    } else if (mapping_type == "SYMMETRIC" || mapping_type == "SYMMETRIC_NO_CLIPPING_ERR") {
        if (mapping_type == "SYMMETRIC") {
            const Tensor largest = call("aten.maximum.default", {times(least, -1), most});
            scale = divided(largest, number((range.max - range.min) / 2));
        } else {
            const Tensor negative = divided(least, number(range.min));
            scale = call("aten.maximum.default", {negative, divided(most, number(range.max))});
        }
        zero_point = Tensor::full(scale.shape(), Scalar(std::trunc((range.max + range.min + 1) / 2)), scale.dtype());
        scale = at_least_eps(scale);
    } else {
        throw ArgumentError(
            "choose_qparams_affine: expected a mapping type ASYMMETRIC, SYMMETRIC or "
            "SYMMETRIC_NO_CLIPPING_ERR, found '" +
            mapping_type + "'");
    }
    if (keepdim) {
        Ints shape;
        for (std::size_t i = 0; i < block_size.size(); ++i) shape.push_back(input.shape()[i] / block_size[i]);
        scale = scale.reshape(shape);
        zero_point = zero_point.reshape(shape);
    }
    const DType zeros_dtype = mapping_type == "ASYMMETRIC" ? DType::Int32 : zero_point.dtype();
    return {scale.to(scale_dtype.value_or(input.dtype())), zero_point.to(zero_point_dtype.value_or(zeros_dtype))};
}

}  // namespace

void register_torchao(Registry& r) {
    r.add(
        "torchao::quantize_affine(Tensor input, SymInt[] block_size, Tensor scale, Tensor? zero_point, ScalarType "
        "output_dtype, Scalar? quant_min=None, Scalar? quant_max=None) -> Tensor",
        quantize_affine);
    r.add(
        "torchao::dequantize_affine(Tensor input, SymInt[] block_size, Tensor scale, Tensor? zero_point, ScalarType "
        "input_dtype, Scalar? quant_min=None, Scalar? quant_max=None, ScalarType output_dtype=6) -> Tensor",
        dequantize_affine);
    r.add(
        "torchao::choose_qparams_affine(Tensor? input, str mapping_type, SymInt[] block_size, ScalarType target_dtype, "
        "Scalar? quant_min=None, Scalar? quant_max=None, float? eps=None, ScalarType? scale_dtype=None, ScalarType? "
        "zero_point_dtype=None, bool keepdim=False) -> (Tensor, Tensor)",
        choose_qparams_affine);
}

}  // namespace torch_ir::kernels
