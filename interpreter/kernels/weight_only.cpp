// SPDX-License-Identifier: MIT
// Products with weights of 8 or 4 bits, and of 8-bit integers.
#include <algorithm>

#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/pointwise.hpp"
#include "parallel.hpp"

namespace torch_ir::kernels {
namespace {

using In = const Tensor&;

void require_matrix(const char* op, const char* argument, In tensor, DType dtype) {
    if (tensor.dim() != 2 || tensor.dtype() != dtype)
        throw ArgumentError(std::string(op) + ": expected " + argument + " to be a matrix of dtype '" +
                            std::string(name(dtype)) + "', found " + describe(tensor));
}

/// int8 · int8, summed in int32.
Tensor int_mm(In self, In mat2) {
    require_matrix("_int_mm", "self", self, DType::Int8);
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
                         for (std::int64_t j = 0; j < k; ++j) {
                             const std::int32_t x = a.data<std::int8_t>()[i * k + j];
                             const std::int8_t* const y = b.data<std::int8_t>() + j * n;
                             for (std::int64_t c = 0; c < n; ++c) row[c] += x * y[c];
                         }
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

}  // namespace

void register_weight_only(Registry& r) {
    r.add("_int_mm(Tensor self, Tensor mat2) -> Tensor", int_mm);
    r.add("_weight_int8pack_mm(Tensor self, Tensor mat2, Tensor scales) -> Tensor", weight_int8pack_mm);
    r.add("_convert_weight_to_int4pack_for_cpu(Tensor self, int innerKTiles) -> Tensor", pack_int4);
    r.add("_weight_int4pack_mm_for_cpu(Tensor self, Tensor mat2, int qGroupSize, Tensor qScaleAndZeros) -> Tensor",
          weight_int4pack_mm);
}

}  // namespace torch_ir::kernels
