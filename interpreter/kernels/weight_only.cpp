// SPDX-License-Identifier: MIT
// Products with weights of 8 or 4 bits, and of 8-bit integers.
#include <algorithm>
#include <cmath>

#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/move.hpp"
#include "kernels/pointwise.hpp"
#include "parallel.hpp"

namespace torch_ir::kernels {
namespace {

void require_matrix(const char* op, const char* argument, In tensor, DType dtype) {
    if (tensor.dim() != 2 || tensor.dtype() != dtype)
        throw ArgumentError(std::string(op) + ": expected " + argument + " to be a matrix of dtype '" +
                            std::string(name(dtype)) + "', found " + describe(tensor));
}

template <class A>
void add_products(const A* a, const std::int8_t* b, std::int64_t k, std::int64_t n, std::int32_t* row) {
    for (std::int64_t j = 0; j < k; ++j) {
        const std::int32_t x = a[j];
        const std::int8_t* const y = b + j * n;
        for (std::int64_t c = 0; c < n; ++c) row[c] += x * y[c];
    }
}

/// int8 or uint8 · int8, summed in int32.
Tensor int_mm(In self, In mat2) {
    const bool is_unsigned = self.dtype() == DType::UInt8;
    require_matrix("_int_mm", "self", self, is_unsigned ? DType::UInt8 : DType::Int8);
    require_matrix("_int_mm", "mat2", mat2, DType::Int8);
    if (self.size(1) != mat2.size(0))
        throw ArgumentError("_int_mm: expected mat2 to have " + std::to_string(self.size(1)) + " rows, found " +
                            describe(mat2));
    const std::int64_t m = self.size(0), k = self.size(1), n = mat2.size(1);
    const Tensor a = self.contiguous(), b = mat2.contiguous(), out = Tensor::zeros({m, n}, DType::Int32);
    parallel_for(m, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, n * k)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                         std::int32_t* const row = out.data<std::int32_t>() + i * n;
                         const auto* const y = b.data<std::int8_t>();
                         if (is_unsigned)
                             add_products(a.data<std::uint8_t>() + i * k, y, k, n, row);
                         else
                             add_products(a.data<std::int8_t>() + i * k, y, k, n, row);
                     }
                 });
    return out;
}

/// self [m, k] · (mat2 [n, k] of int8)ᵀ, each column scaled.
Tensor weight_int8pack_mm(In self, In mat2, In scales) {
    const char* const op = "_weight_int8pack_mm";
    if (self.dim() != 2 || !is_floating_point(self.dtype()))
        throw ArgumentError("_weight_int8pack_mm: expected self to be a floating point matrix, found " +
                            describe(self));
    require_matrix(op, "mat2", mat2, DType::Int8);
    if (mat2.size(1) != self.size(1) || scales.numel() != mat2.size(0))
        throw ArgumentError("_weight_int8pack_mm: shapes of self " + describe(self) + ", mat2 " + describe(mat2) +
                            " and scales " + describe(scales) + " do not fit");
    const Tensor product = linear(self.to(DType::Float32), mat2.to(DType::Float32), {});
    return elementwise<float>(
        self.dtype(), [](float x, float s) { return x * s; }, product, scales.reshape({scales.numel()}));
}

// The layout of PyTorch's CPU kernels with 512-bit vectors: blocks of 64 rows, of which a byte holds two, 32 apart; in
// a last block of fewer rows, neighbours.
constexpr std::int64_t block_rows = 64;

/// Where a weight lies: its byte and whether it is the upper half.
struct Nibble {
    std::int64_t byte;
    bool upper;
};
Nibble nibble_of(std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns) {
    const std::int64_t first = row / block_rows * block_rows, height = std::min(block_rows, rows - first);
    const std::int64_t start = first * columns / 2 + column * (height / 2), r = row - first;
    if (height == block_rows) return {start + r % 32, r >= 32};
    return {start + r / 2, r % 2 != 0};
}

/// Weights 0 … 15 of int32 [n, k], packed into bytes [n, k / 2].
Tensor pack_int4(In self, std::int64_t) {
    const char* const op = "_convert_weight_to_int4pack_for_cpu";
    require_matrix(op, "self", self, DType::Int32);
    const std::int64_t n = self.size(0), k = self.size(1);
    if (n % 16 != 0 || k % 2 != 0)
        throw ArgumentError(std::string(op) + ": expected a multiple of 16 rows and of 2 columns, found " +
                            describe(self));
    const Tensor w = self.contiguous(), out = Tensor::zeros({n, k / 2}, DType::UInt8);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < k; ++j) {
            const Nibble place = nibble_of(i, j, n, k);
            const auto value = static_cast<std::uint8_t>(w.data<std::int32_t>()[i * k + j] & 15);
            out.data<std::uint8_t>()[place.byte] |= static_cast<std::uint8_t>(place.upper ? value << 4 : value);
        }
    return out;
}

/// self [m, k] · Wᵀ with W [n, k] = (weight - 8) · scale + zero, scale and zero [k / group, n, 2].
Tensor weight_int4pack_mm(In self, In mat2, std::int64_t group, In scales_and_zeros) {
    const char* const op = "_weight_int4pack_mm_for_cpu";
    if (self.dim() != 2 || !is_floating_point(self.dtype()))
        throw ArgumentError("_weight_int4pack_mm_for_cpu: expected self to be a floating point matrix, found " +
                            describe(self));
    require_matrix(op, "mat2", mat2, DType::UInt8);
    const std::int64_t k = self.size(1), n = mat2.size(0);
    if (mat2.size(1) * 2 != k || n % 16 != 0)
        throw ArgumentError("_weight_int4pack_mm_for_cpu: expected mat2 with a multiple of 16 rows and " +
                            std::to_string(k / 2) + " columns, found " + describe(mat2));
    if (group < 1 || k % group != 0 || scales_and_zeros.shape() != Ints{k / group, n, 2})
        throw ArgumentError(
            "_weight_int4pack_mm_for_cpu: expected qScaleAndZeros of shape [k / qGroupSize, n, 2] for k " +
            std::to_string(k) + " and qGroupSize " + std::to_string(group) + ", found " + describe(scales_and_zeros));
    const Tensor packed = mat2.contiguous(), parameters = scales_and_zeros.to(DType::Float32).contiguous();
    const Tensor weight = Tensor::empty({n, k}, DType::Float32);
    parallel_for(n, std::max<std::int64_t>(1, parallel_grain / std::max<std::int64_t>(1, k)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i)
                         for (std::int64_t j = 0; j < k; ++j) {
                             const Nibble place = nibble_of(i, j, n, k);
                             const std::uint8_t byte = packed.data<std::uint8_t>()[place.byte];
                             const int value = (place.upper ? byte >> 4 : byte & 15) - 8;
                             const float* const p = parameters.data<float>() + (j / group * n + i) * 2;
                             weight.data<float>()[i * k + j] = static_cast<float>(value) * p[0] + p[1];
                         }
                 });
    return linear(self.to(DType::Float32), weight, {}).to(self.dtype());
}

/// The geometry of a product with 4-bit weights and activations quantised on the way.
struct Dynamic4Bit {
    std::int64_t block, k, n;
    std::int64_t groups = 0;

    Dynamic4Bit(const char* op, std::int64_t block_size, std::int64_t in_features, std::int64_t out_features)
        : block(block_size), k(in_features), n(out_features) {
        if (k < 1 || n < 1 || block < 1 || k % block != 0 || k % 2 != 0)
            throw ArgumentError(std::string(op) +
                                ": expected in_features to be even and a multiple of block_size, "
                                "found " +
                                std::to_string(k) + " and " + std::to_string(block));
        groups = k / block;
    }
    std::int64_t bytes() const { return n * k / 2; }
    std::int64_t scales() const { return n * groups; }
};

/// Weights, scales and bias one after another as floats.
Tensor dyn_quant_pack(In weights, In scales_zeros, In bias, std::int64_t block_size, std::int64_t in_features,
                      std::int64_t out_features) {
    const char* const op = "_dyn_quant_pack_4bit_weight";
    const Dynamic4Bit g(op, block_size, in_features, out_features);
    if (weights.dtype() != DType::UInt8 || weights.numel() != g.bytes() || scales_zeros.numel() != g.scales() ||
        (bias.defined() && bias.numel() != g.n))
        throw ArgumentError(std::string(op) + ": expected " + std::to_string(g.bytes()) + " uint8 weights, " +
                            std::to_string(g.scales()) + " scales and " + std::to_string(g.n) +
                            " elements of bias, found " + describe(weights) + ", " + describe(scales_zeros) +
                            (bias.defined() ? " and " + describe(bias) : ""));
    TensorList parts;
    for (const Tensor* part : {&weights, &scales_zeros, &bias})
        if (part->defined()) parts.push_back(part->to(DType::Float32).reshape({-1}));
    return cat(parts, 0);
}

/// A row as int8 values v with row = (v - zero) · scale, asymmetric over its range and 0.
struct QuantizedRow {
    std::vector<std::int32_t> values;
    std::int32_t zero = 0;
    float scale = 1;

    QuantizedRow(const float* x, std::int64_t n) {
        const auto [low_at, high_at] = std::minmax_element(x, x + n);
        const float low = std::min(0.0F, *low_at), high = std::max(0.0F, *high_at);
        const float inverse = low == high ? 1.0F : 255.0F / (high - low);
        scale = inverse != 0 ? 1 / inverse : 0.0F;
        const float min = low * inverse, max = high * inverse;
        const float at = (-128 + min) + (127 + max) > 0 ? -128 - min : 127 - max;
        zero = static_cast<std::int32_t>(std::lrint(std::clamp(at, -128.0F, 127.0F)));
        for (std::int64_t i = 0; i < n; ++i)
            values.push_back(
                std::clamp<std::int32_t>(static_cast<std::int32_t>(std::round(x[i] * inverse)) + zero, -128, 127));
    }
};

/// inp [m, k] · Wᵀ + bias with W as packed above; a weight w stands for w - 8, the first of two in the lower half.
Tensor dyn_quant_matmul(In inp, In packed_weights, std::int64_t block_size, std::int64_t in_features,
                        std::int64_t out_features) {
    const char* const op = "_dyn_quant_matmul_4bit";
    const Dynamic4Bit g(op, block_size, in_features, out_features);
    const std::int64_t without = g.bytes() + g.scales();
    if (inp.dim() != 2 || inp.size(1) != g.k || inp.dtype() != DType::Float32)
        throw ArgumentError(std::string(op) + ": expected inp to be a float32 matrix of " + std::to_string(g.k) +
                            " columns, found " + describe(inp));
    if (packed_weights.dtype() != DType::Float32 ||
        (packed_weights.numel() != without && packed_weights.numel() != without + g.n))
        throw ArgumentError(std::string(op) + ": expected packed_weights of " + std::to_string(without) +
                            " elements and the bias, found " + describe(packed_weights));
    const Tensor x = inp.contiguous(), packed = packed_weights.reshape({-1}).contiguous();
    const Tensor out = Tensor::empty({inp.size(0), g.n}, DType::Float32);
    const float* const scales = packed.data<float>() + g.bytes();
    for (std::int64_t i = 0; i < x.size(0); ++i) {
        const QuantizedRow row(x.data<float>() + i * g.k, g.k);
        for (std::int64_t c = 0; c < g.n; ++c) {
            float total = 0;
            for (std::int64_t group = 0; group < g.groups; ++group) {
                std::int32_t sum = 0;
                for (std::int64_t j = group * g.block; j < (group + 1) * g.block; ++j) {
                    const auto byte = static_cast<int>(packed.data<float>()[(c * g.k + j) / 2]);
                    sum += (row.values[static_cast<std::size_t>(j)] - row.zero) *
                           ((j % 2 == 0 ? byte & 15 : byte >> 4) - 8);
                }
                total += static_cast<float>(sum) * scales[c * g.groups + group];
            }
            out.data<float>()[i * g.n + c] =
                total * row.scale + (packed.numel() > without ? scales[g.scales() + c] : 0);
        }
    }
    return out;
}

/// (self · mat2) · scale_a · scale_b + bias of 8-bit floats; the scales are of one element, or per row and column.
Tensor scaled_mm(In self, In mat2, In scale_a, In scale_b, In bias, In scale_result, std::optional<DType> out_dtype,
                 bool) {
    const char* const op = "_scaled_mm";
    if (self.dim() != 2 || mat2.dim() != 2 || self.size(1) != mat2.size(0))
        throw ArgumentError(std::string(op) + ": expected matrices self and mat2 that fit, found " + describe(self) +
                            " and " + describe(mat2));
    if (item_size(self.dtype()) != 1 || item_size(mat2.dtype()) != 1 || !is_floating_point(self.dtype()) ||
        !is_floating_point(mat2.dtype()))
        throw ArgumentError(std::string(op) + ": expected self and mat2 of 8-bit floating point dtypes, found " +
                            describe(self) + " and " + describe(mat2));
    const std::int64_t m = self.size(0), n = mat2.size(1);
    const bool rows = scale_a.numel() == m && scale_b.numel() == n;
    if (!rows && (scale_a.numel() != 1 || scale_b.numel() != 1))
        throw ArgumentError(std::string(op) +
                            ": expected scale_a and scale_b of one element, or of one for each row of "
                            "self and column of mat2, found " +
                            describe(scale_a) + " and " + describe(scale_b));
    if (bias.defined() && bias.numel() != n)
        throw ArgumentError(std::string(op) + ": expected bias of " + std::to_string(n) + " elements, found " +
                            describe(bias));
    const Tensor product = linear(self.to(DType::Float32), mat2.to(DType::Float32).transpose(0, 1), {});
    const Tensor a = scale_a.reshape({scale_a.numel(), 1}), b = scale_b.reshape({1, scale_b.numel()});
    const Tensor shift = bias.defined() ? bias : Tensor::scalar(0.0, DType::Float32);
    const DType out = out_dtype.value_or(self.dtype());
    const Tensor result = elementwise<float>(
        DType::Float32, [](float x, float s, float t, float c) { return x * (s * t) + c; }, product, a, b, shift);
    if (!scale_result.defined() || item_size(out) != 1) return result.to(out);
    return elementwise<float>(
        out, [](float x, float s) { return x * s; }, result, scale_result.reshape({}));
}

}  // namespace

void register_weight_only(Registry& r) {
    r.add("_int_mm(Tensor self, Tensor mat2) -> Tensor", int_mm);
    r.add("_weight_int8pack_mm(Tensor self, Tensor mat2, Tensor scales) -> Tensor", weight_int8pack_mm);
    r.add("_convert_weight_to_int4pack_for_cpu(Tensor self, int innerKTiles) -> Tensor", pack_int4);
    r.add("_weight_int4pack_mm_for_cpu(Tensor self, Tensor mat2, int qGroupSize, Tensor qScaleAndZeros) -> Tensor",
          weight_int4pack_mm);
    r.add(
        "_dyn_quant_pack_4bit_weight(Tensor weights, Tensor scales_zeros, Tensor? bias, int block_size, int "
        "in_features, int out_features) -> Tensor",
        dyn_quant_pack);
    r.add(
        "_dyn_quant_matmul_4bit(Tensor inp, Tensor packed_weights, int block_size, int in_features, int out_features) "
        "-> Tensor",
        dyn_quant_matmul);
    r.add(
        "_scaled_mm(Tensor self, Tensor mat2, Tensor scale_a, Tensor scale_b, Tensor? bias=None, Tensor? "
        "scale_result=None, ScalarType? out_dtype=None, bool use_fast_accum=False) -> Tensor",
        scaled_mm);
}

}  // namespace torch_ir::kernels
