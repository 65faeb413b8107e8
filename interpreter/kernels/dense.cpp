// SPDX-License-Identifier: MIT
#include "kernels/dense.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "torch_ir/error.hpp"

namespace torch_ir::dense {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

void swap_rows(Matrix& a, Index i, Index j) {
    if (i != j)
        for (Index k = 0; k < a.columns(); ++k) std::swap(a(i, k), a(j, k));
}

/// The columns of `a` in the order of `order`.
Matrix columns_of(const Matrix& a, const std::vector<Index>& order) {
    Matrix b(a.rows(), static_cast<Index>(order.size()));
    for (Index i = 0; i < b.rows(); ++i)
        for (Index j = 0; j < b.columns(); ++j) b(i, j) = a(i, order[static_cast<std::size_t>(j)]);
    return b;
}

/// Of real numbers they are real: no infinity becomes NaN by the imaginary zeros.
Complex times(Complex a, Complex b) { return a.imag() == 0 && b.imag() == 0 ? Complex(a.real() * b.real()) : a * b; }
Complex over(Complex a, Complex b) { return a.imag() == 0 && b.imag() == 0 ? Complex(a.real() / b.real()) : a / b; }

}  // namespace

Matrix Matrix::identity(Index n) {
    Matrix a(n, n);
    for (Index i = 0; i < n; ++i) a(i, i) = 1;
    return a;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
    Matrix c(a.rows(), b.columns());
    for (Index i = 0; i < a.rows(); ++i)
        for (Index k = 0; k < a.columns(); ++k)
            for (Index j = 0; j < b.columns(); ++j) c(i, j) += times(a(i, k), b(k, j));
    return c;
}
Matrix operator+(const Matrix& a, const Matrix& b) {
    Matrix c = a;
    for (Index i = 0; i < a.rows() * a.columns(); ++i) c.data()[i] += b.data()[i];
    return c;
}
Matrix scaled(Matrix a, Complex factor) {
    for (Index i = 0; i < a.rows() * a.columns(); ++i) a.data()[i] *= factor;
    return a;
}
Matrix transpose(const Matrix& a) {
    Matrix b(a.columns(), a.rows());
    for (Index i = 0; i < a.rows(); ++i)
        for (Index j = 0; j < a.columns(); ++j) b(j, i) = a(i, j);
    return b;
}
Matrix adjoint(const Matrix& a) {
    Matrix b = transpose(a);
    for (Index i = 0; i < a.rows() * a.columns(); ++i) b.data()[i] = std::conj(b.data()[i]);
    return b;
}
Matrix top_left(const Matrix& a, Index rows, Index columns) {
    Matrix b(rows, columns);
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j) b(i, j) = a(i, j);
    return b;
}

bool has_nan(const Matrix& a) {
    return std::any_of(a.data(), a.data() + a.rows() * a.columns(),
                       [](Complex x) { return std::isnan(x.real()) || std::isnan(x.imag()); });
}
bool is_finite(const Matrix& a) {
    return std::all_of(a.data(), a.data() + a.rows() * a.columns(),
                       [](Complex x) { return std::isfinite(x.real()) && std::isfinite(x.imag()); });
}

Lu lu(Matrix a, bool pivot) {
    Lu f;
    const auto size = [](Complex v) { return std::abs(v.real()) + std::abs(v.imag()); };
    for (Index k = 0; k < std::min(a.rows(), a.columns()); ++k) {
        Index p = k;
        if (pivot)
            for (Index i = k + 1; i < a.rows(); ++i)
                if (size(a(i, k)) > size(a(p, k))) p = i;
        f.pivots.push_back(p);
        if (p != k) f.sign = -f.sign;
        swap_rows(a, k, p);
        if (a(k, k) == 0.0) {
            if (f.info == 0) f.info = k + 1;
            if (pivot) continue;
        }
        for (Index i = k + 1; i < a.rows(); ++i) {
            const Complex factor = over(a(i, k), a(k, k));
            a(i, k) = factor;
            for (Index j = k + 1; j < a.columns(); ++j) a(i, j) -= times(factor, a(k, j));
        }
    }
    f.lu = std::move(a);
    return f;
}

void solve_triangular(const Matrix& t, Matrix& b, bool upper, bool unit) {
    const Index n = t.rows();
    for (Index step = 0; step < n; ++step) {
        const Index i = upper ? n - 1 - step : step;
        for (Index k = upper ? i + 1 : 0; k < (upper ? n : i); ++k)
            for (Index j = 0; j < b.columns(); ++j) b(i, j) -= times(t(i, k), b(k, j));
        if (!unit)
            for (Index j = 0; j < b.columns(); ++j) b(i, j) = over(b(i, j), t(i, i));
    }
}

Matrix lu_solve(const Lu& f, Matrix b, bool adjoint) {
    const auto n = static_cast<Index>(f.pivots.size());
    if (!adjoint) {
        for (Index i = 0; i < n; ++i) swap_rows(b, i, f.pivots[static_cast<std::size_t>(i)]);
        solve_triangular(f.lu, b, false, true);
        solve_triangular(f.lu, b, true, false);
        return b;
    }
    const Matrix h = dense::adjoint(f.lu);
    solve_triangular(h, b, false, false);
    solve_triangular(h, b, true, true);
    for (Index i = n; i-- > 0;) swap_rows(b, i, f.pivots[static_cast<std::size_t>(i)]);
    return b;
}

Matrix cholesky(const Matrix& a, Index& info) {
    Matrix l(a.rows(), a.rows());
    info = 0;
    for (Index j = 0; j < a.rows(); ++j) {
        double d = a(j, j).real();
        for (Index k = 0; k < j; ++k) d -= std::norm(l(j, k));
        if (!(d > 0)) {  // the rest stays as it was
            info = j + 1;
            for (Index i = j; i < a.rows(); ++i)
                for (Index k = j; k <= i; ++k) l(i, k) = a(i, k);
            l(j, j) = d;
            return l;
        }
        const double root = std::sqrt(d);
        l(j, j) = root;
        for (Index i = j + 1; i < a.rows(); ++i) {
            Complex v = a(i, j);
            for (Index k = 0; k < j; ++k) v -= l(i, k) * std::conj(l(j, k));
            l(i, j) = v / root;
        }
    }
    return l;
}

Qr qr(Matrix a) {
    Qr f;
    for (Index k = 0; k < std::min(a.rows(), a.columns()); ++k) {
        double below = 0;
        for (Index i = k + 1; i < a.rows(); ++i) below += std::norm(a(i, k));
        const Complex alpha = a(k, k);
        if (below == 0 && alpha.imag() == 0) {
            f.tau.emplace_back(0);
            continue;
        }
        const double beta = -std::copysign(std::sqrt(std::norm(alpha) + below), alpha.real());
        const Complex tau = (beta - alpha) / beta;
        for (Index i = k + 1; i < a.rows(); ++i) a(i, k) /= alpha - beta;
        a(k, k) = beta;
        f.tau.push_back(tau);
        // (I - τ v vᴴ)ᴴ to the right of the column.
        for (Index j = k + 1; j < a.columns(); ++j) {
            Complex dot = a(k, j);
            for (Index i = k + 1; i < a.rows(); ++i) dot += std::conj(a(i, k)) * a(i, j);
            dot *= std::conj(tau);
            a(k, j) -= dot;
            for (Index i = k + 1; i < a.rows(); ++i) a(i, j) -= a(i, k) * dot;
        }
    }
    f.a = std::move(a);
    return f;
}

Matrix apply_q(const Qr& f, Matrix c, bool adjoint) {
    const auto n = static_cast<Index>(f.tau.size());
    for (Index step = 0; step < n; ++step) {
        const Index k = adjoint ? step : n - 1 - step;
        const Complex tau =
            adjoint ? std::conj(f.tau[static_cast<std::size_t>(k)]) : f.tau[static_cast<std::size_t>(k)];
        for (Index j = 0; j < c.columns(); ++j) {
            Complex dot = c(k, j);
            for (Index i = k + 1; i < c.rows(); ++i) dot += std::conj(f.a(i, k)) * c(i, j);
            dot *= tau;
            c(k, j) -= dot;
            for (Index i = k + 1; i < c.rows(); ++i) c(i, j) -= f.a(i, k) * dot;
        }
    }
    return c;
}

Eigen eigh(const Matrix& input) {
    Matrix a = input;
    const Index n = a.rows();
    Matrix v = Matrix::identity(n);
    if (n > 1 && !is_finite(input)) {
        constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
        return {std::vector<Complex>(static_cast<std::size_t>(n), unknown), scaled(a, unknown)};
    }
    // Jacobi rotations that make one pair of elements zero at a time.
    for (int sweep = 0; sweep < 60; ++sweep) {
        double off = 0;
        double all = 0;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) (i == j ? all : off) += std::norm(a(i, j));
        if (!(off > epsilon * epsilon * (all + off) * 1e-4)) break;
        for (Index p = 0; p < n; ++p)
            for (Index q = p + 1; q < n; ++q) {
                const double r = std::abs(a(p, q));
                if (r == 0) continue;
                const Complex phase = a(p, q) / r;
                const double theta = (a(q, q).real() - a(p, p).real()) / (2 * r);
                const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1));
                const double c = 1 / std::sqrt(t * t + 1);
                const double s = t * c;
                // Columns p, q times [[c, s·phase], [-s·conj(phase), c]], rows by the adjoint.
                for (Matrix* m : {&a, &v})
                    for (Index k = 0; k < n; ++k) {
                        const Complex x = (*m)(k, p);
                        const Complex y = (*m)(k, q);
                        (*m)(k, p) = c * x - s * std::conj(phase) * y;
                        (*m)(k, q) = s * phase * x + c * y;
                    }
                for (Index k = 0; k < n; ++k) {
                    const Complex x = a(p, k);
                    const Complex y = a(q, k);
                    a(p, k) = c * x - s * phase * y;
                    a(q, k) = s * std::conj(phase) * x + c * y;
                }
                a(p, q) = a(q, p) = 0;
            }
    }
    std::vector<Index> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(), [&](Index i, Index j) { return a(i, i).real() < a(j, j).real(); });
    Eigen e;
    for (const Index i : order) e.values.emplace_back(a(i, i).real());
    e.vectors = columns_of(v, order);
    return e;
}

Svd svd(const Matrix& input) {
    if (input.rows() < input.columns()) {
        Svd f = svd(adjoint(input));
        std::swap(f.u, f.v);
        return f;
    }
    Matrix a = input;
    const Index m = a.rows();
    const Index n = a.columns();
    Matrix v = Matrix::identity(n);
    if (has_nan(input)) throw Error("linalg.svd: the matrix holds NaN, so that the iteration would not converge");
    if (!is_finite(input)) {
        const std::vector<double> unknown(static_cast<std::size_t>(n), std::numeric_limits<double>::quiet_NaN());
        return {top_left(Matrix::identity(m), m, n), unknown, v};
    }
    // One-sided Jacobi: columns are made orthogonal in pairs.
    bool changed = true;
    for (int sweep = 0; changed && sweep < 60; ++sweep) {
        changed = false;
        for (Index p = 0; p < n; ++p)
            for (Index q = p + 1; q < n; ++q) {
                double x = 0;
                double y = 0;
                Complex dot = 0;
                for (Index i = 0; i < m; ++i) {
                    x += std::norm(a(i, p));
                    y += std::norm(a(i, q));
                    dot += std::conj(a(i, p)) * a(i, q);
                }
                const double r = std::abs(dot);
                if (!(r > epsilon * std::sqrt(x * y)) || r == 0) continue;
                changed = true;
                const Complex phase = dot / r;
                const double theta = (y - x) / (2 * r);
                const double t = (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1));
                const double c = 1 / std::sqrt(t * t + 1);
                const double s = t * c;
                for (Matrix* matrix : {&a, &v})
                    for (Index i = 0; i < matrix->rows(); ++i) {
                        const Complex u = (*matrix)(i, p);
                        const Complex w = (*matrix)(i, q);
                        (*matrix)(i, p) = c * u - s * std::conj(phase) * w;
                        (*matrix)(i, q) = s * phase * u + c * w;
                    }
            }
    }
    std::vector<double> norms;
    std::vector<Index> order;
    for (Index j = 0; j < n; ++j) {
        double x = 0;
        for (Index i = 0; i < m; ++i) x += std::norm(a(i, j));
        norms.push_back(std::sqrt(x));
        order.push_back(j);
    }
    std::stable_sort(order.begin(), order.end(), [&](Index i, Index j) {
        return norms[static_cast<std::size_t>(i)] > norms[static_cast<std::size_t>(j)];
    });
    Svd f;
    f.u = columns_of(a, order);
    f.v = columns_of(v, order);
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

Matrix completed(const Matrix& q) {
    const Index m = q.rows();
    Matrix full(m, m);
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < q.columns(); ++j) full(i, j) = q(i, j);
    Index next = 0;
    for (Index j = q.columns(); j < m; ++j) {
        for (; next < m; ++next) {
            std::vector<Complex> x(static_cast<std::size_t>(m));
            x[static_cast<std::size_t>(next)] = 1;
            for (int pass = 0; pass < 2; ++pass)
                for (Index k = 0; k < j; ++k) {
                    Complex dot = 0;
                    for (Index i = 0; i < m; ++i) dot += std::conj(full(i, k)) * x[static_cast<std::size_t>(i)];
                    for (Index i = 0; i < m; ++i) x[static_cast<std::size_t>(i)] -= dot * full(i, k);
                }
            double norm = 0;
            for (const Complex& value : x) norm += std::norm(value);
            norm = std::sqrt(norm);
            // The unit vectors are m in number: one of the rest always has this much left.
            if (norm < 0.5 / std::sqrt(static_cast<double>(m))) continue;
            for (Index i = 0; i < m; ++i) full(i, j) = x[static_cast<std::size_t>(i)] / norm;
            ++next;
            break;
        }
    }
    return full;
}

namespace {

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

}  // namespace

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

Matrix exponential(const Matrix& input) {
    if (input.rows() == 1) {
        Matrix y = input;
        y(0, 0) = std::exp(input(0, 0));
        return y;
    }
    double norm = 0;
    for (Index j = 0; j < input.columns(); ++j) {
        double column = 0;
        for (Index i = 0; i < input.rows(); ++i) column += std::abs(input(i, j));
        norm = std::max(norm, column);
    }
    if (!std::isfinite(norm)) return scaled(input, std::numeric_limits<double>::quiet_NaN());
    // Taylor's series of a matrix scaled down, squared up.
    const int squarings = norm > 0.25 ? static_cast<int>(std::ceil(std::log2(norm / 0.25))) : 0;
    const Matrix a = scaled(input, std::ldexp(1.0, -squarings));
    Matrix sum = Matrix::identity(a.rows());
    Matrix term = sum;
    for (int k = 1; k <= 16; ++k) {
        term = scaled(term * a, 1.0 / k);
        sum = sum + term;
    }
    for (int k = 0; k < squarings; ++k) sum = sum * sum;
    return sum;
}

}  // namespace torch_ir::dense
