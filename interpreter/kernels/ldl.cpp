// SPDX-License-Identifier: MIT
// Factors L D Lᵀ or L D Lᴴ of symmetric and Hermitian matrices, with what is stored where and the pivots as LAPACK's
// sytrf, hetrf, sytrs and hetrs have them for the lower triangle (Bunch and Kaufman's diagonal pivoting).
#include <cmath>
#include <cstdlib>

#include "kernels/families.hpp"
#include "kernels/linalg.hpp"

namespace torch_ir::kernels {
namespace {

using dense::Complex;
using dense::Index;
using dense::Matrix;
using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

/// A block of D at [k, k + size), whose last row changed places with row `swap`.
struct Step {
    Index k;
    Index size;
    Index swap;
};

struct Ldl {
    Matrix a;  // L below the blocks of D
    std::vector<Step> steps;
    Index info = 0;  // 1 + the first column whose block is zero
};

/// LAPACK's magnitude.
double size1(Complex z) { return std::abs(z.real()) + std::abs(z.imag()); }

/// What makes a symmetric matrix' algorithm that of a Hermitian one.
Complex mirrored(Complex z, bool hermitian) { return hermitian ? std::conj(z) : z; }

double diagonal_size(const Matrix& a, Index i, bool hermitian) {
    return hermitian ? std::abs(a(i, i).real()) : size1(a(i, i));
}

/// Which block comes next: keeps the growth of the elements bounded.
Step choose_step(const Matrix& a, Index k, bool hermitian) {
    const double alpha = (1 + std::sqrt(17.0)) / 8;
    const Index n = a.rows();
    const double pivot = diagonal_size(a, k, hermitian);
    Index largest = k;
    double column = 0;
    for (Index i = k + 1; i < n; ++i)
        if (size1(a(i, k)) > column) {
            column = size1(a(i, k));
            largest = i;
        }
    if (largest == k || std::isnan(pivot) || pivot >= alpha * column) return {k, 1, k};
    double row = 0;  // the largest element off the diagonal of that row
    for (Index j = k; j < largest; ++j) row = std::max(row, size1(a(largest, j)));
    for (Index i = largest + 1; i < n; ++i) row = std::max(row, size1(a(i, largest)));
    if (pivot >= alpha * column * (column / row)) return {k, 1, k};
    if (diagonal_size(a, largest, hermitian) >= alpha * row) return {k, 1, largest};
    return {k, 2, largest};
}

/// Exchanges rows and columns p < q of what is left, in the lower triangle.
void exchange(Matrix& a, Index p, Index q, bool hermitian) {
    for (Index i = q + 1; i < a.rows(); ++i) std::swap(a(i, p), a(i, q));
    for (Index j = p + 1; j < q; ++j) {
        const Complex t = a(j, p);
        a(j, p) = mirrored(a(q, j), hermitian);
        a(q, j) = mirrored(t, hermitian);
    }
    a(q, p) = mirrored(a(q, p), hermitian);
    std::swap(a(p, p), a(q, q));
}

/// Divides column k by its pivot after subtracting its square from what is left.
void eliminate_one(Matrix& a, Index k, bool hermitian) {
    const Complex inverse = hermitian ? Complex(1 / a(k, k).real()) : 1.0 / a(k, k);
    for (Index j = k + 1; j < a.rows(); ++j) {
        const Complex w = inverse * mirrored(a(j, k), hermitian);
        for (Index i = j; i < a.rows(); ++i) a(i, j) -= a(i, k) * w;
        if (hermitian) a(j, j) = a(j, j).real();
    }
    for (Index i = k + 1; i < a.rows(); ++i) a(i, k) *= inverse;
}

/// The same with columns k and k + 1.
void eliminate_two(Matrix& a, Index k, bool hermitian) {
    // D = d [ [d22, u*], [u, d11] ] with u of magnitude 1; for symmetric matrices d takes all of the off-diagonal.
    const Complex off = a(k + 1, k);
    const Complex d = hermitian ? Complex(std::abs(off)) : off;
    const Complex u = off / d;
    const Complex d11 = a(k + 1, k + 1) / d;
    const Complex d22 = a(k, k) / d;
    const Complex factor = 1.0 / (d11 * d22 - 1.0) / d;
    for (Index j = k + 2; j < a.rows(); ++j) {
        const Complex first = factor * (d11 * a(j, k) - u * a(j, k + 1));
        const Complex second = factor * (d22 * a(j, k + 1) - mirrored(u, hermitian) * a(j, k));
        for (Index i = j; i < a.rows(); ++i)
            a(i, j) -= a(i, k) * mirrored(first, hermitian) + a(i, k + 1) * mirrored(second, hermitian);
        a(j, k) = first;
        a(j, k + 1) = second;
        if (hermitian) a(j, j) = a(j, j).real();
    }
}

Ldl factor(Matrix a, bool hermitian) {
    Ldl f;
    const Index n = a.rows();
    for (Index i = 0; i < n; ++i)
        for (Index j = i + 1; j < n; ++j) a(i, j) = 0;  // the upper triangle is never read
    for (Index k = 0; k < n;) {
        const Step step = choose_step(a, k, hermitian);
        const Index last = k + step.size - 1;
        if (step.swap != last) {
            exchange(a, last, step.swap, hermitian);
            if (step.size == 2) std::swap(a(k + 1, k), a(step.swap, k));
        }
        if (hermitian)
            for (Index i = k; i <= last; ++i) a(i, i) = a(i, i).real();
        bool zero = step.size == 1 && (a(k, k) == 0.0 || std::isnan(size1(a(k, k))));
        for (Index i = k + 1; zero && a(k, k) == 0.0 && i < n; ++i) zero = a(i, k) == 0.0;
        if (zero) {
            if (f.info == 0) f.info = k + 1;
        } else if (step.size == 1) {
            eliminate_one(a, k, hermitian);
        } else {
            eliminate_two(a, k, hermitian);
        }
        f.steps.push_back(step);
        k += step.size;
    }
    f.a = std::move(a);
    return f;
}

/// Row numbers from 1; both of a 2 × 2 block negative.
Ints lapack_pivots(const Ldl& f) {
    Ints pivots;
    for (const Step& step : f.steps)
        pivots.insert(pivots.end(), static_cast<std::size_t>(step.size),
                      step.size == 1 ? step.swap + 1 : -(step.swap + 1));
    return pivots;
}

std::vector<Step> steps_of(const std::int64_t* pivots, Index n) {
    std::vector<Step> steps;
    for (Index k = 0; k < n;) {
        const Index size = pivots[k] < 0 ? 2 : 1;
        const bool in_range = pivots[k] >= -n && pivots[k] <= n && k + size <= n;
        const Index swap = in_range ? std::abs(pivots[k]) - 1 : -1;
        if (swap < k + size - 1 || pivots[k + size - 1] != pivots[k])
            throw ArgumentError("linalg.ldl_solve: 'pivots' holds " + std::to_string(pivots[k]) + " at " +
                                std::to_string(k) + ", which linalg.ldl_factor does not give");
        steps.push_back({k, size, swap});
        k += size;
    }
    return steps;
}

void swap_rows(Matrix& b, Index p, Index q) {
    for (Index j = 0; p != q && j < b.columns(); ++j) std::swap(b(p, j), b(q, j));
}

/// B = D⁻¹ B for one block.
void divide(const Matrix& a, const Step& step, Matrix& b, bool hermitian) {
    const Index k = step.k;
    const Complex pivot = hermitian ? Complex(a(k, k).real()) : a(k, k);
    if (step.size == 1) {
        for (Index j = 0; j < b.columns(); ++j) b(k, j) /= pivot;
        return;
    }
    const Complex below = a(k + 1, k);
    const Complex beside = mirrored(below, hermitian);
    const Complex d1 = a(k, k) / beside;
    const Complex d2 = a(k + 1, k + 1) / below;
    const Complex denominator = d1 * d2 - 1.0;
    for (Index j = 0; j < b.columns(); ++j) {
        const Complex b1 = b(k, j) / beside;
        const Complex b2 = b(k + 1, j) / below;
        b(k, j) = (d2 * b1 - b2) / denominator;
        b(k + 1, j) = (d1 * b2 - b1) / denominator;
    }
}

Matrix solve(const Matrix& a, const std::vector<Step>& steps, Matrix b, bool hermitian) {
    for (const Step& step : steps) {
        const Index next = step.k + step.size;
        swap_rows(b, next - 1, step.swap);
        for (Index i = next; i < a.rows(); ++i)
            for (Index k = step.k; k < next; ++k)
                for (Index j = 0; j < b.columns(); ++j) b(i, j) -= a(i, k) * b(k, j);
        divide(a, step, b, hermitian);
    }
    for (std::size_t s = steps.size(); s-- > 0;) {
        const Step& step = steps[s];
        const Index next = step.k + step.size;
        for (Index k = step.k; k < next; ++k)
            for (Index i = next; i < a.rows(); ++i)
                for (Index j = 0; j < b.columns(); ++j) b(k, j) -= mirrored(a(i, k), hermitian) * b(i, j);
        swap_rows(b, next - 1, step.swap);
    }
    return b;
}

Three ldl_factor_ex(const Tensor& self, bool hermitian, bool check_errors) {
    const char* op = "linalg.ldl_factor";
    const Matrices in(op, self);
    in.require_square(op);
    MatrixResults factors(in.batch(), in.rows(), in.rows());
    VectorResults<std::int64_t> pivots(in.batch(), in.rows(), DType::Int64);
    VectorResults<std::int64_t> info(in.batch(), 1, DType::Int64);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const Ldl f = factor(in[i], hermitian && is_complex(self.dtype()));
        if (check_errors && f.info != 0)
            throw ArgumentError(std::string(op) + ": the matrix is singular (batch element " + std::to_string(i) +
                                ", " + std::to_string(f.info) + ")");
        factors.set(i, f.a);
        pivots.set(i, lapack_pivots(f));
        info.set(i, Ints{f.info});
    }
    return {factors.to(self.dtype()), pivots.to(DType::Int32), info.to(DType::Int32).squeeze(-1)};
}

Two ldl_factor(const Tensor& self, bool hermitian) {
    const auto [factors, pivots, info] = ldl_factor_ex(self, hermitian, true);
    return {factors, pivots};
}

Tensor ldl_solve(const Tensor& factors, const Tensor& pivots, const Tensor& b_in, bool hermitian) {
    const std::string op = "linalg.ldl_solve";
    Matrices(op.c_str(), factors).require_square(op.c_str());
    const Index n = factors.size(-1);
    if (b_in.dim() < 2 || b_in.size(-2) != n || b_in.dtype() != factors.dtype())
        throw ArgumentError(op + ": 'B' " + describe(b_in) + " does not fit 'LD' " + describe(factors));
    const Ints pivot_shape(factors.shape().begin(), factors.shape().end() - 1);
    if (pivots.shape() != pivot_shape || !is_integral(pivots.dtype(), false))
        throw ArgumentError(op + ": expected integer 'pivots' of shape " + to_string(pivot_shape) + ", found " +
                            describe(pivots));
    const auto [a_all, b_all] = broadcast_batches(factors, b_in);
    const Matrices a(op.c_str(), a_all);
    const Matrices b(op.c_str(), b_all);
    Ints shape = a.batch();
    shape.push_back(n);
    const Tensor p = pivots.to(DType::Int64).expand(shape).contiguous();
    MatrixResults x(b.batch(), b.rows(), b.columns());
    for (std::int64_t i = 0; i < b.count(); ++i)
        x.set(i,
              solve(a[i], steps_of(p.data<std::int64_t>() + i * n, n), b[i], hermitian && is_complex(factors.dtype())));
    return x.to(b_in.dtype());
}

}  // namespace

void register_ldl(Registry& r) {
    r.add("linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)", ldl_factor);
    r.add(
        "linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor "
        "pivots, Tensor info)",
        ldl_factor_ex);
    r.add("linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor", ldl_solve);
}

}  // namespace torch_ir::kernels
