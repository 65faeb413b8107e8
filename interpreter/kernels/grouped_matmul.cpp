// SPDX-License-Identifier: MIT
// Products of groups of rows or columns with a matrix each, as mixtures of experts have them.
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"

namespace torch_ir::kernels {
namespace {

/// Where each group ends along the dimension of `size` entries that is cut.
std::vector<std::int64_t> group_ends(const char* op, const Tensor& offs, std::int64_t groups, std::int64_t size) {
    if (!offs.defined() || offs.dim() != 1 || (groups >= 0 && offs.size(0) != groups) ||
        (offs.dtype() != DType::Int32 && offs.dtype() != DType::Int64))
        throw ArgumentError(std::string(op) + ": expected 'offs' to be integers, one per group" +
                            (groups >= 0 ? " (" + std::to_string(groups) + ")" : "") + ", found " + describe(offs));
    const Tensor dense = offs.to(DType::Int64).contiguous();
    std::vector<std::int64_t> ends(dense.data<std::int64_t>(), dense.data<std::int64_t>() + dense.numel());
    std::int64_t last = 0;
    for (const std::int64_t end : ends) {
        if (end < last || end > size)
            throw ArgumentError(std::string(op) + ": expected 'offs' to rise from 0 to at most " +
                                std::to_string(size) + ", found " + std::to_string(end) + " after " +
                                std::to_string(last));
        last = end;
    }
    return ends;
}

/// Calls `f(group, begin, length)` for every group that is not empty.
template <class F>
void for_each_group(const std::vector<std::int64_t>& ends, F&& f) {
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        if (ends[i] > begin) f(static_cast<std::int64_t>(i), begin, ends[i] - begin);
        begin = ends[i];
    }
}

/// rows [S, k] sorted by group, matrices [G, k, n] → [S, n]; rows behind the last group are 0.
Tensor rows_by_group(const char* op, const Tensor& rows, const Tensor& matrices, const Tensor& offs) {
    if (rows.size(1) != matrices.size(1))
        throw ArgumentError(std::string(op) + ": rows of shape " + to_string(rows.shape()) +
                            " do not fit matrices of shape " + to_string(matrices.shape()));
    const Tensor y = Tensor::zeros({rows.size(0), matrices.size(2)}, rows.dtype());
    for_each_group(group_ends(op, offs, matrices.size(0), rows.size(0)), [&](std::int64_t group, std::int64_t begin,
                                                                             std::int64_t length) {
        y.narrow(0, begin, length).copy_from(matmul(rows.narrow(0, begin, length), matrices.select(0, group)));
    });
    return y;
}

Tensor grouped_mm(const Tensor& self, const Tensor& mat2, const Tensor& offs, const Tensor& bias,
                  std::optional<DType> out_dtype) {
    const char* const op = "_grouped_mm";
    if (bias.defined()) throw ArgumentError("_grouped_mm: 'bias' is not supported");
    if (out_dtype && *out_dtype != self.dtype())
        throw ArgumentError("_grouped_mm: expected 'out_dtype' to be that of 'self', " +
                            std::string(name(self.dtype())) + ", found " + std::string(name(*out_dtype)));
    if (self.dim() < 2 || self.dim() > 3 || mat2.dim() < 2 || mat2.dim() > 3)
        throw ArgumentError("_grouped_mm: expected matrices or batches of matrices, found " + describe(self) + " and " +
                            describe(mat2));
    if (self.size(-1) != mat2.size(-2))
        throw ArgumentError("_grouped_mm: 'self' of shape " + to_string(self.shape()) +
                            " does not fit 'mat2' of shape " + to_string(mat2.shape()));
    if (self.dim() == 3 && mat2.dim() == 3) return matmul(self, mat2);
    if (mat2.dim() == 3) return rows_by_group(op, self, mat2, offs);
    if (self.dim() == 3) {  // the columns of mat2 are cut
        const Tensor y = Tensor::zeros({self.size(1), mat2.size(1)}, self.dtype());
        for_each_group(group_ends(op, offs, self.size(0), mat2.size(1)), [&](std::int64_t group, std::int64_t begin,
                                                                             std::int64_t length) {
            y.narrow(1, begin, length).copy_from(matmul(self.select(0, group), mat2.narrow(1, begin, length)));
        });
        return y;
    }
    const auto ends = group_ends(op, offs, -1, self.size(1));  // what is summed over is cut
    const Tensor y = Tensor::zeros({static_cast<std::int64_t>(ends.size()), self.size(0), mat2.size(1)}, self.dtype());
    for_each_group(ends, [&](std::int64_t group, std::int64_t begin, std::int64_t length) {
        y.select(0, group).copy_from(matmul(self.narrow(1, begin, length), mat2.narrow(0, begin, length)));
    });
    return y;
}

/// The op that the Python package transformers brings along for experts.
Tensor grouped_mm_fallback(const Tensor& input, const Tensor& weight, const Tensor& offs) {
    if (input.dim() != 2 || weight.dim() != 3)
        throw ArgumentError("grouped_mm_fallback: expected 'input' [rows, k] and 'weight' [groups, k, n], found " +
                            describe(input) + " and " + describe(weight));
    return rows_by_group("grouped_mm_fallback", input, weight, offs);
}

}  // namespace

void register_grouped_matmul(Registry& r) {
    r.add(
        "_grouped_mm(Tensor self, Tensor mat2, Tensor? offs=None, Tensor? bias=None, ScalarType? out_dtype=None) -> "
        "Tensor",
        grouped_mm);
    r.add("transformers::grouped_mm_fallback(Tensor input, Tensor weight, Tensor offs) -> Tensor", grouped_mm_fallback);
}

}  // namespace torch_ir::kernels
