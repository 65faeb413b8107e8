// SPDX-License-Identifier: MIT
// Dense linear algebra on matrices of complex doubles. What takes time is done in real numbers where all are real.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

namespace torch_ir::dense {

using Complex = std::complex<double>;
using Index = std::int64_t;

/// Row-major.
template <class T>
class MatrixOf {
  public:
    MatrixOf() = default;
    MatrixOf(Index rows, Index columns)
        : rows_(rows), columns_(columns), a_(static_cast<std::size_t>(rows * columns)) {}
    static MatrixOf identity(Index n) {
        MatrixOf a(n, n);
        for (Index i = 0; i < n; ++i) a(i, i) = 1;
        return a;
    }

    Index rows() const { return rows_; }
    Index columns() const { return columns_; }
    Index size() const { return rows_ * columns_; }
    T& operator()(Index i, Index j) { return a_[static_cast<std::size_t>(i * columns_ + j)]; }
    const T& operator()(Index i, Index j) const { return a_[static_cast<std::size_t>(i * columns_ + j)]; }
    T* row(Index i) { return a_.data() + i * columns_; }
    const T* row(Index i) const { return a_.data() + i * columns_; }
    T* data() { return a_.data(); }
    const T* data() const { return a_.data(); }

  private:
    Index rows_ = 0;
    Index columns_ = 0;
    std::vector<T> a_;
};
using Matrix = MatrixOf<Complex>;
using RealMatrix = MatrixOf<double>;

/// As std::conj, which makes real numbers complex.
inline double conjugate(double x) { return x; }
inline Complex conjugate(Complex z) { return std::conj(z); }

/// Whether no element has an imaginary part.
bool is_real(const Matrix& a);
RealMatrix to_real(const Matrix& a);
Matrix to_complex(const RealMatrix& a);

Matrix operator*(const Matrix& a, const Matrix& b);
Matrix operator+(const Matrix& a, const Matrix& b);
Matrix scaled(Matrix a, Complex factor);
template <class T>
MatrixOf<T> transpose(const MatrixOf<T>& a) {
    MatrixOf<T> b(a.columns(), a.rows());
    for (Index i = 0; i < a.rows(); ++i)
        for (Index j = 0; j < a.columns(); ++j) b(j, i) = a(i, j);
    return b;
}
Matrix adjoint(const Matrix& a);
/// Rows and columns from 0.
Matrix top_left(const Matrix& a, Index rows, Index columns);

bool has_nan(const Matrix& a);
bool is_finite(const Matrix& a);

/// A = P L U with unit lower L; step i swapped rows i and pivots[i].
struct Lu {
    Matrix lu;
    std::vector<Index> pivots;
    Index info = 0;  // 1 + the first column without a pivot
    double sign = 1;
};
Lu lu(Matrix a, bool pivot = true);
/// A⁻¹ B, or with `adjoint` (Aᴴ)⁻¹ B.
Matrix lu_solve(const Lu& f, Matrix b, bool adjoint = false);
/// T X = B in place.
void solve_triangular(const Matrix& t, Matrix& b, bool upper, bool unit);

/// A = L Lᴴ from the lower triangle; info as LAPACK's: the order of the first minor that is not positive, or 0.
Matrix cholesky(const Matrix& a, Index& info);

/// Householder vectors below R, as LAPACK's geqrf.
struct Qr {
    Matrix a;
    std::vector<Complex> tau;
};
Qr qr(Matrix a);
/// Q · c, or Qᴴ · c; Q from the reflectors in f.
Matrix apply_q(const Qr& f, Matrix c, bool adjoint);

/// A Hermitian; values ascending, vectors in columns. All of them are NaN when A is not finite, unless it is a number.
struct Eigen {
    std::vector<Complex> values;
    Matrix vectors;
};
Eigen eigh(const Matrix& a);
/// Any square matrix. Throws Error when the iteration does not converge.
Eigen eig(const Matrix& a);

/// A = U diag(s) Vᴴ with min(m, n) columns in U and V; s descending.
struct Svd {
    Matrix u;
    std::vector<double> s;
    Matrix v;
};
Svd svd(const Matrix& a);
/// Orthonormal columns completed to a square matrix.
Matrix completed(const Matrix& q);

Matrix exponential(const Matrix& a);

}  // namespace torch_ir::dense
