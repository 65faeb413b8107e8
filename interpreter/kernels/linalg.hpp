// SPDX-License-Identifier: MIT
// Batches of matrices between tensors and dense.hpp.
#pragma once

#include <functional>
#include <optional>

#include "ivalue.hpp"
#include "kernels/dense.hpp"
#include "promote.hpp"
#include "tensor.hpp"

namespace torch_ir::kernels {

/// The matrices in the last two dimensions.
class Matrices {
  public:
    /// Throws ArgumentError naming `op` unless `t` is of floating point or complex dtype and has two dimensions,
    /// UnsupportedError for 16-bit types unless it is empty.
    Matrices(const char* op, const Tensor& t);
    const Ints& batch() const { return batch_; }
    std::int64_t count() const { return numel_of(batch_); }
    std::int64_t rows() const { return memory_.size(-2); }
    std::int64_t columns() const { return memory_.size(-1); }
    dense::Matrix operator[](std::int64_t i) const;
    /// Throws ArgumentError naming `op` unless the matrices are square.
    void require_square(const char* op) const;

  private:
    Tensor memory_;
    Ints batch_;
};

/// Throws ArgumentError naming `op` for 16-bit floats, of which some ops take empty matrices.
void require_full_precision(const char* op, const Tensor& t);

/// A batch being filled, in complex128; `to(dtype)` takes real parts where the dtype is real. Column by column in
/// memory, as LAPACK leaves them and most results of PyTorch lie.
class MatrixResults {
  public:
    MatrixResults(const Ints& batch, std::int64_t rows, std::int64_t columns);
    /// Rows that `m` lacks are 0.
    void set(std::int64_t i, const dense::Matrix& m);
    Tensor to(DType dtype) const { return memory_.to(dtype); }

  private:
    Tensor memory_;
};

/// One vector per matrix of a batch.
template <class T>
class VectorResults {
  public:
    VectorResults(Ints batch, std::int64_t n, DType dtype) : n_(n) {
        batch.push_back(n);
        memory_ = Tensor::zeros(batch, dtype);
    }
    template <class V>
    void set(std::int64_t i, const V& values) {
        for (std::int64_t j = 0; j < n_ && j < static_cast<std::int64_t>(values.size()); ++j)
            memory_.data<T>()[i * n_ + j] = static_cast<T>(values[static_cast<std::size_t>(j)]);
    }
    Tensor to(DType dtype) const { return memory_.to(dtype); }

  private:
    std::int64_t n_;
    Tensor memory_;
};

/// Matrices expanded to a common batch.
std::pair<Tensor, Tensor> broadcast_batches(const Tensor& a, const Tensor& b);

/// f of each matrix, [rows, columns].
Tensor map_matrices(const char* op, const Tensor& a, std::int64_t rows, std::int64_t columns,
                    const std::function<dense::Matrix(const dense::Matrix&)>& f);

Tensor linalg_inv(const Tensor& a);
/// Singular values, descending.
Tensor linalg_svdvals(const Tensor& a);

}  // namespace torch_ir::kernels
