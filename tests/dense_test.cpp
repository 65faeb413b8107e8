// SPDX-License-Identifier: MIT
// Factors of matrices multiply to the matrix: of real and complex ones, small and large, with and without full rank.
#include "kernels/dense.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace torch_ir::dense {
namespace {

constexpr double tolerance = 1e-12;

/// The largest magnitude of an element of a - b.
double distance(const Matrix& a, const Matrix& b) {
    REQUIRE(a.rows() == b.rows());
    REQUIRE(a.columns() == b.columns());
    double largest = 0;
    for (Index i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a.data()[i] - b.data()[i]));
    return largest;
}

Matrix random_matrix(Index rows, Index columns, bool complex) {
    std::mt19937 generator(7);
    std::normal_distribution<double> normal;
    Matrix a(rows, columns);
    for (Index i = 0; i < a.size(); ++i) {
        const double real = normal(generator);
        a.data()[i] = {real, complex ? normal(generator) : 0};
    }
    return a;
}

Matrix diagonal(const std::vector<double>& values) {
    const auto n = static_cast<Index>(values.size());
    Matrix a(n, n);
    for (Index i = 0; i < n; ++i) a(i, i) = values[static_cast<std::size_t>(i)];
    return a;
}

bool is_orthonormal(const Matrix& q) { return distance(adjoint(q) * q, Matrix::identity(q.columns())) < tolerance; }

void check_svd(const Matrix& a, double scale = 1) {
    const Svd f = svd(a);
    CHECK(is_orthonormal(f.u));
    CHECK(is_orthonormal(f.v));
    CHECK(std::is_sorted(f.s.rbegin(), f.s.rend()));
    CHECK(distance(f.u * diagonal(f.s) * adjoint(f.v), a) < tolerance * scale);
}

void check_eigh(const Matrix& a) {
    const Eigen e = eigh(a);
    std::vector<double> values;
    for (const Complex& value : e.values) values.push_back(value.real());
    CHECK(is_orthonormal(e.vectors));
    CHECK(std::is_sorted(values.begin(), values.end()));
    CHECK(distance(e.vectors * diagonal(values) * adjoint(e.vectors), a) < tolerance * 10);
}

}  // namespace

TEST_CASE("LU, QR and Cholesky factors multiply to the matrix") {
    for (const bool complex : {false, true})
        for (const Index n : {1, 3, 8, 21}) {
            CAPTURE(n);
            CAPTURE(complex);
            const Matrix a = random_matrix(n, n, complex);
            const Matrix b = random_matrix(n, 2, complex);
            CHECK(distance(a * lu_solve(lu(a), b), b) < tolerance);
            CHECK(distance(adjoint(a) * lu_solve(lu(a), b, true), b) < tolerance);

            const Matrix tall = random_matrix(n + 4, n, complex);
            const Qr f = qr(tall);
            Matrix r = f.a;
            for (Index i = 0; i < r.rows(); ++i)
                for (Index j = 0; j < std::min(i, n); ++j) r(i, j) = 0;
            CHECK(distance(apply_q(f, r, false), tall) < tolerance);
            CHECK(is_orthonormal(apply_q(f, Matrix::identity(n + 4), false)));
            CHECK(distance(apply_q(f, tall, true), r) < tolerance);

            const Matrix gram = adjoint(tall) * tall;
            Index info = -1;
            const Matrix l = cholesky(gram, info);
            CHECK(info == 0);
            CHECK(distance(l * adjoint(l), gram) < tolerance * 10);
        }
}

TEST_CASE("eigenvalues and vectors of Hermitian matrices") {
    for (const bool complex : {false, true}) {
        for (const Index n : {1, 2, 9, 24}) {
            const Matrix a = random_matrix(n, n, complex);
            check_eigh(a + adjoint(a));
        }
        // Values that are there several times, and zero.
        const Matrix q = apply_q(qr(random_matrix(12, 12, complex)), Matrix::identity(12), false);
        check_eigh(q * diagonal({2, 2, 2, 2, 0, 0, 0, -1, -1, 5, 5, 5}) * adjoint(q));
    }
    check_eigh(Matrix(6, 6));
    check_eigh(Matrix::identity(6));
    const Eigen e = eigh(scaled(diagonal({3, -4, 1}), 1e200));
    CHECK(e.values[0].real() == doctest::Approx(-4e200));
    CHECK(e.values[2].real() == doctest::Approx(3e200));
}

TEST_CASE("singular values and vectors") {
    for (const bool complex : {false, true}) {
        for (const Index n : {1, 2, 9, 24}) {
            check_svd(random_matrix(n, n, complex));
            check_svd(random_matrix(n + 5, n, complex));
            check_svd(random_matrix(n, n + 5, complex));
        }
        check_svd(random_matrix(12, 2, complex) * random_matrix(2, 9, complex));  // rank 2
    }
    check_svd(Matrix(4, 3));
    check_svd(scaled(random_matrix(8, 8, false), 1e180), 1e180);
    check_svd(scaled(random_matrix(8, 8, false), 1e-180), 1e-180);
    // From first principles: the singular values of [[3, 0], [4, 5]] are sqrt(45) and sqrt(5).
    Matrix a(2, 2);
    a(0, 0) = 3;
    a(1, 0) = 4;
    a(1, 1) = 5;
    CHECK(svd(a).s[0] == doctest::Approx(std::sqrt(45.0)));
    CHECK(svd(a).s[1] == doctest::Approx(std::sqrt(5.0)));
}

TEST_CASE("matrices of several blocks are factored and solved as small ones are") {
    for (const bool complex : {false, true}) {
        const Index n = 150;
        const Matrix a = random_matrix(n, n, complex);
        const Lu f = lu(a);
        CHECK(f.info == 0);
        CHECK(distance(lu_solve(f, a), Matrix::identity(n)) < 1e-9);
        CHECK(distance(adjoint(a) * lu_solve(f, Matrix::identity(n), true), Matrix::identity(n)) < 1e-9);
        // Column by column, as a matrix of one block is.
        Matrix product(n, n);
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j)
                for (Index k = 0; k < n; ++k) product(i, j) += a(i, k) * a(k, j);
        CHECK(distance(a * a, product) < 1e-10);

        Matrix positive = a * adjoint(a);
        Index info = -1;
        Matrix l = cholesky(positive, info);
        CHECK(info == 0);
        CHECK(distance(l * adjoint(l), positive) < 1e-9);
        for (Index i = 0; i < n; ++i)
            for (Index j = i + 1; j < n; ++j) CHECK(l(i, j) == 0.0);
        positive(100, 100) = -1;
        const Matrix stopped = cholesky(positive, info);
        CHECK(info == 101);
        CHECK(distance(top_left(stopped, 100, 100), top_left(l, 100, 100)) == 0);
        CHECK(stopped(140, 120) == positive(140, 120));
    }
    Matrix singular = random_matrix(130, 130, false);
    for (Index i = 0; i < 130; ++i) singular(i, 90) = 0;
    CHECK(lu(singular).info == 91);
}

}  // namespace torch_ir::dense
