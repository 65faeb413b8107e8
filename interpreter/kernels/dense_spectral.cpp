// SPDX-License-Identifier: MIT
// Eigenvalues and singular values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/dense.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir::dense {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// What rotates columns works on the transpose, where each of them lies in one piece.

/// The columns, given as rows, in the order of `order`.
template <class T>
Matrix ordered(const MatrixOf<T>& rows, const std::vector<Index>& order) {
    Matrix b(rows.columns(), static_cast<Index>(order.size()));
    for (Index j = 0; j < b.columns(); ++j)
        for (Index i = 0; i < b.rows(); ++i) b(i, j) = rows(order[static_cast<std::size_t>(j)], i);
    return b;
}

/// Σ conj(x) y, by several sums side by side.
template <class T>
T dot(const T* x, const T* y, Index n) {
    constexpr Index lanes = 8;
    T sums[lanes] = {};
    Index i = 0;
    for (; i + lanes <= n; i += lanes)
        for (Index l = 0; l < lanes; ++l) sums[l] += conjugate(x[i + l]) * y[i + l];
    T sum = 0;
    for (; i < n; ++i) sum += conjugate(x[i]) * y[i];
    for (const T s : sums) sum += s;
    return sum;
}

/// x, y become c x - conj(s) y, s x + c y.
template <class T>
void rotate(T* __restrict x, T* __restrict y, Index n, double c, T s) {
    const T other = conjugate(s);
    for (Index i = 0; i < n; ++i) {
        const T from = x[i];
        x[i] = c * from - other * y[i];
        y[i] = s * from + c * y[i];
    }
}

/// A = Q T Qᴴ with T real and tridiagonal, by Householder's reflections as LAPACK's hetrd.
template <class T>
struct Tridiagonal {
    std::vector<double> diagonal;
    std::vector<double> off;  // off[i] next to diagonal[i] and diagonal[i + 1]; one 0 more
    MatrixOf<T> q;            // the columns of Q in its rows
};

template <class T>
Tridiagonal<T> tridiagonal(MatrixOf<T> a) {  // the columns in its rows; Hermitian
    const Index n = a.rows();
    Tridiagonal<T> t{{}, std::vector<double>(static_cast<std::size_t>(n)), MatrixOf<T>::identity(n)};
    std::vector<T> taus(static_cast<std::size_t>(n));
    std::vector<T> w(static_cast<std::size_t>(n));
    for (Index k = 0; k + 1 < n; ++k) {
        const Index m = n - k - 1;
        T* const v = a.row(k) + k + 1;
        const double rest = std::real(dot(v + 1, v + 1, m - 1));
        const T alpha = v[0];
        double beta = std::real(alpha);
        T tau = 0;
        if (rest != 0 || alpha != T(beta)) {
            beta = -std::copysign(std::sqrt(std::norm(alpha) + rest), beta);
            tau = (beta - alpha) / beta;
            for (Index i = 1; i < m; ++i) v[i] /= alpha - beta;
        }
        v[0] = 1;
        taus[static_cast<std::size_t>(k)] = tau;
        t.off[static_cast<std::size_t>(k)] = beta;
        if (tau == T(0)) continue;
        // A - v wᴴ - w vᴴ with w = τ A v - (|τ|² vᴴ A v / 2) v.
        for (Index i = 0; i < m; ++i) w[static_cast<std::size_t>(i)] = tau * dot(a.row(k + 1 + i) + k + 1, v, m);
        const T half = -0.5 * tau * dot(w.data(), v, m);
        for (Index i = 0; i < m; ++i) w[static_cast<std::size_t>(i)] += half * v[i];
        for (Index j = 0; j < m; ++j) {
            T* const column = a.row(k + 1 + j) + k + 1;
            const T vj = conjugate(v[j]);
            const T wj = conjugate(w[static_cast<std::size_t>(j)]);
            for (Index i = 0; i < m; ++i) column[i] -= v[i] * wj + w[static_cast<std::size_t>(i)] * vj;
        }
    }
    for (Index k = 0; k < n; ++k) t.diagonal.push_back(std::real(a(k, k)));
    for (Index k = n - 1; k-- > 0;) {
        const T tau = taus[static_cast<std::size_t>(k)];
        if (tau == T(0)) continue;
        const T* const v = a.row(k) + k + 1;
        for (Index j = k + 1; j < n; ++j) {
            T* const column = t.q.row(j) + k + 1;
            const T factor = tau * dot(v, column, n - k - 1);
            for (Index i = 0; i < n - k - 1; ++i) column[i] -= v[i] * factor;
        }
    }
    return t;
}

/// The diagonal becomes the eigenvalues and Q the eigenvectors: the implicit QL algorithm (tql2 of EISPACK).
template <class T>
void diagonalize(Tridiagonal<T>& t) {
    const auto n = static_cast<Index>(t.diagonal.size());
    double* const d = t.diagonal.data();
    double* const e = t.off.data();
    double size = 0;
    for (Index i = 0; i < n; ++i) size = std::max({size, std::abs(d[i]), std::abs(e[i])});
    for (Index low = 0; low < n; ++low)
        for (int iteration = 0;; ++iteration) {
            Index high = low;
            while (high + 1 < n && std::abs(e[high]) > epsilon * (std::abs(d[high]) + std::abs(d[high + 1])) &&
                   std::abs(e[high]) > epsilon * epsilon * size)
                ++high;
            if (high == low) break;
            if (iteration > 300) throw ArgumentError("linalg.eigh: the iteration did not converge");
            double g = (d[low + 1] - d[low]) / (2 * e[low]);
            double r = std::hypot(g, 1.0);
            g = d[high] - d[low] + e[low] / (g + std::copysign(r, g));
            double s = 1;
            double c = 1;
            double p = 0;
            Index i = high;
            while (i-- > low) {
                const double f = s * e[i];
                const double b = c * e[i];
                r = std::hypot(f, g);
                e[i + 1] = r;
                if (r == 0) break;
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                rotate(t.q.row(i), t.q.row(i + 1), n, c, T(s));
            }
            if (r == 0 && i >= low) {  // an element next to the diagonal vanished on the way
                d[i + 1] -= p;
                e[high] = 0;
                continue;
            }
            d[low] -= p;
            e[low] = g;
            e[high] = 0;
        }
}

template <class T>
Eigen eigh_of(const MatrixOf<T>& a) {
    Tridiagonal<T> t = tridiagonal(transpose(a));
    diagonalize(t);
    std::vector<Index> order(t.diagonal.size());
    std::iota(order.begin(), order.end(), Index{0});
    const auto value = [&](Index i) { return t.diagonal[static_cast<std::size_t>(i)]; };
    std::sort(order.begin(), order.end(), [&](Index i, Index j) { return value(i) < value(j); });
    Eigen e;
    for (const Index i : order) e.values.emplace_back(value(i));
    e.vectors = ordered(t.q, order);
    return e;
}

/// Of a finite matrix with at least as many rows as columns.
template <class T>
Svd svd_of(const MatrixOf<T>& input) {
    MatrixOf<T> a = transpose(input);
    const Index m = input.rows();
    const Index n = input.columns();
    MatrixOf<T> v = MatrixOf<T>::identity(n);
    const auto square = [&](Index j) { return std::real(dot(a.row(j), a.row(j), m)); };
    // One-sided Jacobi: columns are made orthogonal in pairs.
    bool changed = true;
    for (int sweep = 0; changed && sweep < 60; ++sweep) {
        changed = false;
        for (Index p = 0; p < n; ++p) {
            double x = square(p);
            for (Index q = p + 1; q < n; ++q) {
                const double y = square(q);
                const T product = dot(a.row(p), a.row(q), m);
                const double r = std::abs(product);
                if (!(r > epsilon * std::sqrt(x * y)) || r == 0) continue;
                changed = true;
                const double theta = (y - x) / (2 * r);
                const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1));
                const double c = 1 / std::sqrt(t * t + 1);
                const T s = t * c * (product / r);
                rotate(a.row(p), a.row(q), m, c, s);
                rotate(v.row(p), v.row(q), n, c, s);
                x = square(p);
            }
        }
    }
    std::vector<double> norms;
    for (Index j = 0; j < n; ++j) norms.push_back(std::sqrt(square(j)));
    std::vector<Index> order(norms.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) {
        return norms[static_cast<std::size_t>(i)] > norms[static_cast<std::size_t>(j)];
    });
    Svd f;
    f.u = ordered(a, order);
    f.v = ordered(v, order);
    for (const Index j : order) f.s.push_back(norms[static_cast<std::size_t>(j)]);
    const double smallest = f.s.empty() ? 0 : f.s[0] * epsilon * 1e-3;
    Index rank = 0;
    for (Index j = 0; j < n; ++j) {
        const double s = f.s[static_cast<std::size_t>(j)];
        if (!(s > smallest)) break;
        rank = j + 1;
        for (Index i = 0; i < m; ++i) f.u(i, j) /= s;
    }
    // Columns without a singular value: any that complete the basis.
    if (rank < n) f.u = top_left(completed(top_left(f.u, m, rank)), m, n);
    return f;
}

/// A = Q T Qᴴ with T upper triangular: Hessenberg form, then QR steps with Wilkinson's shift.
void schur(Matrix& a, Matrix& q) {
    const Index n = a.rows();
    q = Matrix::identity(n);
    const auto rotate = [&](Index p, Index r, double c, Complex s, Index first) {
        // Rows p, r times [[c, s], [-conj(s), c]]; columns by its adjoint, in q as well.
        for (Index k = first; k < n; ++k) {
            const Complex x = a(p, k);
            const Complex y = a(r, k);
            a(p, k) = c * x + s * y;
            a(r, k) = -std::conj(s) * x + c * y;
        }
        for (Matrix* m : {&a, &q})
            for (Index k = 0; k < n; ++k) {
                const Complex x = (*m)(k, p);
                const Complex y = (*m)(k, r);
                (*m)(k, p) = c * x + std::conj(s) * y;
                (*m)(k, r) = -s * x + c * y;
            }
    };
    /// The rotation that takes (x, y) to (r, 0).
    const auto rotation = [](Complex x, Complex y, double& c, Complex& s) {
        const double size = std::hypot(std::abs(x), std::abs(y));
        c = size == 0 ? 1 : std::abs(x) / size;
        s = size == 0 ? 0 : (std::abs(x) == 0 ? std::conj(y) / size : x / std::abs(x) * std::conj(y) / size);
    };
    double c = 1;
    Complex s = 0;
    for (Index k = 0; k + 2 < n; ++k)
        for (Index i = n - 1; i > k + 1; --i) {
            if (a(i, k) == 0.0) continue;
            rotation(a(i - 1, k), a(i, k), c, s);
            rotate(i - 1, i, c, s, 0);
            a(i, k) = 0;
        }
    Index high = n - 1;
    int iterations = 0;
    while (high > 0) {
        Index low = high;
        while (low > 0 && std::abs(a(low, low - 1)) > epsilon * (std::abs(a(low, low)) + std::abs(a(low - 1, low - 1))))
            --low;
        if (low > 0) a(low, low - 1) = 0;
        if (low == high) {
            --high;
            iterations = 0;
            continue;
        }
        if (++iterations > 300) throw ArgumentError("linalg.eig: the iteration did not converge");
        const Complex half = (a(high - 1, high - 1) - a(high, high)) / 2.0;
        const Complex product = a(high, high - 1) * a(high - 1, high);
        const Complex root = std::sqrt(half * half + product);
        const Complex denominator = std::abs(half + root) > std::abs(half - root) ? half + root : half - root;
        Complex shift = denominator == 0.0 ? a(high, high) : a(high, high) - product / denominator;
        if (iterations % 11 == 10) shift += std::abs(a(high, high - 1));
        // A bulge chased from low to high.
        Complex x = a(low, low) - shift;
        Complex y = a(low + 1, low);
        for (Index k = low; k < high; ++k) {
            rotation(x, y, c, s);
            rotate(k, k + 1, c, s, 0);
            if (k + 1 < high) {
                x = a(k + 1, k);
                y = a(k + 2, k);
            }
        }
        for (Index k = low; k + 2 <= high; ++k) a(k + 2, k) = 0;
    }
}

/// The power of two that brings the largest element near 1 where squares of elements might overflow or vanish, else 1.
double safe_scale(const Matrix& a) {
    double largest = 0;
    for (Index i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a.data()[i]));
    return largest == 0 || (largest > 1e-100 && largest < 1e100)
               ? 1
               : std::ldexp(1.0, std::min(1000, -std::ilogb(largest)));
}

}  // namespace

Eigen eigh(const Matrix& a) {
    if (a.rows() == 1) return {{a(0, 0).real()}, Matrix::identity(1)};
    if (!is_finite(a)) return {std::vector<Complex>(static_cast<std::size_t>(a.rows()), unknown), scaled(a, unknown)};
    if (const double scale = safe_scale(a); scale != 1) {
        Eigen e = eigh(scaled(a, scale));
        for (Complex& value : e.values) value /= scale;
        return e;
    }
    return is_real(a) ? eigh_of(to_real(a)) : eigh_of(a);
}

Svd svd(const Matrix& a) {
    if (a.rows() < a.columns()) {
        Svd f = svd(adjoint(a));
        std::swap(f.u, f.v);
        return f;
    }
    if (has_nan(a)) throw Error("linalg.svd: the matrix holds NaN, so that the iteration would not converge");
    if (!is_finite(a))
        return {top_left(Matrix::identity(a.rows()), a.rows(), a.columns()),
                std::vector<double>(static_cast<std::size_t>(a.columns()), unknown), Matrix::identity(a.columns())};
    if (const double scale = safe_scale(a); scale != 1) {
        Svd f = svd(scaled(a, scale));
        for (double& s : f.s) s /= scale;
        return f;
    }
    return is_real(a) ? svd_of(to_real(a)) : svd_of(a);
}

Eigen eig(const Matrix& input) {
    const Index n = input.rows();
    Matrix t = input;
    Matrix q;
    schur(t, q);
    Eigen e;
    Matrix v(n, n);
    double size = 0;
    for (Index i = 0; i < n * n; ++i) size = std::max(size, std::abs(t.data()[i]));
    for (Index k = 0; k < n; ++k) {
        e.values.push_back(t(k, k));
        v(k, k) = 1;
        for (Index i = k; i-- > 0;) {
            Complex sum = 0;
            for (Index j = i + 1; j <= k; ++j) sum += t(i, j) * v(j, k);
            Complex d = t(k, k) - t(i, i);
            if (std::abs(d) < epsilon * size) d = epsilon * std::max(size, std::numeric_limits<double>::min());
            v(i, k) = sum / d;
        }
    }
    e.vectors = q * v;
    // Unit length, the largest element real.
    for (Index k = 0; k < n; ++k) {
        double norm = 0;
        Complex largest = 0;
        for (Index i = 0; i < n; ++i) {
            norm += std::norm(e.vectors(i, k));
            if (std::norm(e.vectors(i, k)) > std::norm(largest) * (1 + 1e-9)) largest = e.vectors(i, k);
        }
        if (norm == 0) continue;
        const Complex factor = std::conj(largest) / std::abs(largest) / std::sqrt(norm);
        for (Index i = 0; i < n; ++i) e.vectors(i, k) *= factor;
    }
    return e;
}

}  // namespace torch_ir::dense
