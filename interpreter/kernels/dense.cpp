// SPDX-License-Identifier: MIT
#include "kernels/dense.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>

#include "backend/gemm.hpp"

namespace torch_ir::dense {
namespace {

/// Of real numbers they are real: no infinity becomes NaN by the imaginary zeros.
Complex times(Complex a, Complex b) { return a.imag() == 0 && b.imag() == 0 ? Complex(a.real() * b.real()) : a * b; }
Complex over(Complex a, Complex b) { return a.imag() == 0 && b.imag() == 0 ? Complex(a.real() / b.real()) : a / b; }
double times(double a, double b) { return a * b; }
double over(double a, double b) { return a / b; }

/// y += factor x.
template <class T>
void add_scaled(T* __restrict y, T factor, const T* __restrict x, Index n) {
    for (Index i = 0; i < n; ++i) y[i] += times(factor, x[i]);
}

template <class T>
void swap_rows(MatrixOf<T>& a, Index i, Index j) {
    if (i != j) std::swap_ranges(a.row(i), a.row(i) + a.columns(), a.row(j));
}

/// c[m, n] -= a[m, k] b[k, n], each with the distance of its rows.
template <class T>
void subtract_product(Index m, Index n, Index k, const T* a, Index lda, const T* b, Index ldb, T* c, Index ldc) {
    if (m == 0 || n == 0 || k == 0) return;
    if constexpr (std::is_same_v<T, double>) {
        std::vector<double> negative(static_cast<std::size_t>(m * k));
        for (Index i = 0; i < m; ++i)
            std::transform(a + i * lda, a + i * lda + k, &negative[static_cast<std::size_t>(i * k)], std::negate());
        backend::gemm(false, false, m, n, k, negative.data(), k, b, ldb, 1, c, ldc);
    } else {
        for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < k; ++j) add_scaled(c + i * ldc, -a[i * lda + j], b + j * ldb, n);
    }
}

/// Columns or rows that are factored and solved at once; what is beyond them follows by products.
constexpr Index block = 64;

template <class T>
MatrixOf<T> product(const MatrixOf<T>& a, const MatrixOf<T>& b) {
    MatrixOf<T> c(a.rows(), b.columns());
    if constexpr (std::is_same_v<T, double>) {
        if (c.size() > 0 && a.columns() >= block) {
            backend::gemm(false, false, a.rows(), b.columns(), a.columns(), a.data(), a.columns(), b.data(),
                          b.columns(), 0, c.data(), c.columns());
            return c;
        }
    }
    for (Index i = 0; i < a.rows(); ++i)
        for (Index k = 0; k < a.columns(); ++k) add_scaled(c.row(i), a(i, k), b.row(k), b.columns());
    return c;
}

/// Sets everything of `f` but the matrix of factors, which it returns.
template <class T>
MatrixOf<T> factors(MatrixOf<T> a, bool pivot, Lu& f) {
    const auto size = [](T v) { return std::abs(std::real(v)) + std::abs(std::imag(v)); };
    const Index n = a.columns();
    for (Index begin = 0; begin < std::min(a.rows(), n); begin += block) {
        const Index end = std::min({begin + block, a.rows(), n});
        for (Index k = begin; k < end; ++k) {
            Index p = k;
            if (pivot)
                for (Index i = k + 1; i < a.rows(); ++i)
                    if (size(a(i, k)) > size(a(p, k))) p = i;
            f.pivots.push_back(p);
            if (p != k) f.sign = -f.sign;
            swap_rows(a, k, p);
            if (a(k, k) == T(0)) {
                if (f.info == 0) f.info = k + 1;
                if (pivot) continue;
            }
            for (Index i = k + 1; i < a.rows(); ++i) {
                const T factor = over(a(i, k), a(k, k));
                a(i, k) = factor;
                add_scaled(a.row(i) + k + 1, -factor, a.row(k) + k + 1, end - k - 1);
            }
        }
        for (Index k = begin; k < end; ++k)
            for (Index i = k + 1; i < end; ++i) add_scaled(a.row(i) + end, -a(i, k), a.row(k) + end, n - end);
        if (end < a.rows())
            subtract_product(a.rows() - end, n - end, end - begin, a.row(end) + begin, n, a.row(begin) + end, n,
                             a.row(end) + end, n);
    }
    return a;
}

template <class T>
void solve(const MatrixOf<T>& t, MatrixOf<T>& b, bool upper, bool unit) {
    const Index n = t.rows();
    for (Index done = 0; done < n; done += block) {
        const Index rows = std::min(block, n - done);
        const Index begin = upper ? n - done - rows : done, end = begin + rows;
        const Index first = upper ? end : 0;  // of the rows that are solved
        if (done > 0)
            subtract_product(rows, b.columns(), done, t.row(begin) + first, n, b.row(first), b.columns(), b.row(begin),
                             b.columns());
        for (Index step = 0; step < rows; ++step) {
            const Index i = upper ? end - 1 - step : begin + step;
            for (Index k = upper ? i + 1 : begin; k < (upper ? end : i); ++k)
                add_scaled(b.row(i), -t(i, k), b.row(k), b.columns());
            if (!unit)
                for (Index j = 0; j < b.columns(); ++j) b(i, j) = over(b(i, j), t(i, i));
        }
    }
}

template <class T>
MatrixOf<T> cholesky_factor(const MatrixOf<T>& a, Index& info) {
    const Index n = a.rows();
    MatrixOf<T> l(n, n);
    info = 0;
    for (Index begin = 0; begin < n; begin += block) {
        const Index columns = std::min(block, n - begin);
        MatrixOf<T> rest(n - begin, columns);  // of these columns, without what the ones before make up
        for (Index i = begin; i < n; ++i)
            std::copy_n(a.row(i) + begin, std::min(columns, i - begin + 1), rest.row(i - begin));
        MatrixOf<T> before(begin, columns);
        for (Index k = 0; k < begin; ++k)
            for (Index j = 0; j < columns; ++j) before(k, j) = conjugate(l(begin + j, k));
        subtract_product(n - begin, columns, begin, l.row(begin), n, before.data(), columns, rest.data(), columns);
        for (Index j = begin; j < begin + columns; ++j) {
            double d = std::real(rest(j - begin, j - begin));
            for (Index k = begin; k < j; ++k) d -= std::norm(l(j, k));
            if (!(d > 0)) {  // the rest stays as it was
                info = j + 1;
                for (Index i = j; i < n; ++i)
                    for (Index k = j; k <= i; ++k) l(i, k) = a(i, k);
                l(j, j) = d;
                return l;
            }
            const double root = std::sqrt(d);
            l(j, j) = root;
            for (Index i = j + 1; i < n; ++i) {
                T v = rest(i - begin, j - begin);
                for (Index k = begin; k < j; ++k) v -= l(i, k) * conjugate(l(j, k));
                l(i, j) = v / root;
            }
        }
    }
    return l;
}

/// c - tau v vᴴ c from row `row` and column `column` on; v[0] stands for 1.
template <class T>
void reflect(const T* v, T tau, MatrixOf<T>& c, Index row, Index column) {
    const Index n = c.columns() - column;
    if (n <= 0) return;
    std::vector<T> dots(c.row(row) + column, c.row(row) + column + n);
    for (Index i = row + 1; i < c.rows(); ++i) add_scaled(dots.data(), conjugate(v[i - row]), c.row(i) + column, n);
    for (T& dot : dots) dot *= tau;
    for (Index i = row; i < c.rows(); ++i)
        add_scaled(c.row(i) + column, i == row ? T(-1) : -v[i - row], dots.data(), n);
}

/// Column k from row k on.
template <class T>
std::vector<T> below(const MatrixOf<T>& a, Index k) {
    std::vector<T> v;
    for (Index i = k; i < a.rows(); ++i) v.push_back(a(i, k));
    return v;
}

template <class T>
MatrixOf<T> reflectors(MatrixOf<T> a, std::vector<Complex>& taus) {
    for (Index k = 0; k < std::min(a.rows(), a.columns()); ++k) {
        double rest = 0;
        for (Index i = k + 1; i < a.rows(); ++i) rest += std::norm(a(i, k));
        const T alpha = a(k, k);
        if (rest == 0 && std::imag(alpha) == 0) {
            taus.emplace_back(0);
            continue;
        }
        const double beta = -std::copysign(std::sqrt(std::norm(alpha) + rest), std::real(alpha));
        const T tau = (beta - alpha) / beta;
        for (Index i = k + 1; i < a.rows(); ++i) a(i, k) /= alpha - beta;
        a(k, k) = beta;
        taus.emplace_back(tau);
        reflect(below(a, k).data(), conjugate(tau), a, k, k + 1);
    }
    return a;
}

template <class T>
MatrixOf<T> reflected(const MatrixOf<T>& vectors, const std::vector<Complex>& taus, MatrixOf<T> c, bool adjoint) {
    const auto n = static_cast<Index>(taus.size());
    for (Index step = 0; step < n; ++step) {
        const Index k = adjoint ? step : n - 1 - step;
        T tau;
        if constexpr (std::is_same_v<T, double>)
            tau = taus[static_cast<std::size_t>(k)].real();
        else
            tau = adjoint ? std::conj(taus[static_cast<std::size_t>(k)]) : taus[static_cast<std::size_t>(k)];
        reflect(below(vectors, k).data(), tau, c, k, 0);
    }
    return c;
}

/// By Taylor's series of the matrix scaled down, in powers of its fourth power; then squared up.
template <class T>
MatrixOf<T> exponential_of(MatrixOf<T> a) {
    const Index n = a.rows();
    if (n == 1) {
        a(0, 0) = std::exp(a(0, 0));
        return a;
    }
    double norm = 0;
    for (Index j = 0; j < n; ++j) {
        double column = 0;
        for (Index i = 0; i < n; ++i) column += std::abs(a(i, j));
        norm = std::max(norm, column);
    }
    const auto multiply = [](MatrixOf<T>& x, double factor) {
        for (Index i = 0; i < x.size(); ++i) x.data()[i] *= factor;
    };
    if (!std::isfinite(norm)) {
        multiply(a, std::numeric_limits<double>::quiet_NaN());
        return a;
    }
    const int squarings = norm > 0.25 ? static_cast<int>(std::ceil(std::log2(norm / 0.25))) : 0;
    multiply(a, std::ldexp(1.0, -squarings));
    const MatrixOf<T> a2 = product(a, a), a3 = product(a2, a), a4 = product(a2, a2);
    double factorials[17] = {1};
    for (int k = 1; k <= 16; ++k) factorials[k] = factorials[k - 1] * k;
    MatrixOf<T> sum = a4;
    multiply(sum, 1 / factorials[16]);
    for (int k = 12; k >= 0; k -= 4) {
        if (k < 12) sum = product(sum, a4);
        const double* f = factorials + k;
        for (Index i = 0; i < a.size(); ++i)
            sum.data()[i] += a.data()[i] / f[1] + a2.data()[i] / f[2] + a3.data()[i] / f[3];
        for (Index i = 0; i < n; ++i) sum(i, i) += 1 / f[0];
    }
    for (int k = 0; k < squarings; ++k) sum = product(sum, sum);
    return sum;
}

/// Whether all is real, and enough of it that the copies are worth their time.
bool in_reals(const Matrix& a) { return a.size() >= 64 && is_real(a); }

bool is_real(const std::vector<Complex>& values) {
    return std::all_of(values.begin(), values.end(), [](Complex z) { return z.imag() == 0; });
}

}  // namespace

bool is_real(const Matrix& a) {
    return std::all_of(a.data(), a.data() + a.size(), [](Complex z) { return z.imag() == 0; });
}
RealMatrix to_real(const Matrix& a) {
    RealMatrix b(a.rows(), a.columns());
    for (Index i = 0; i < a.size(); ++i) b.data()[i] = a.data()[i].real();
    return b;
}
Matrix to_complex(const RealMatrix& a) {
    Matrix b(a.rows(), a.columns());
    std::copy_n(a.data(), a.size(), b.data());
    return b;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
    return in_reals(a) && is_real(b) ? to_complex(product(to_real(a), to_real(b))) : product(a, b);
}
Matrix operator+(const Matrix& a, const Matrix& b) {
    Matrix c = a;
    for (Index i = 0; i < a.size(); ++i) c.data()[i] += b.data()[i];
    return c;
}
Matrix scaled(Matrix a, Complex factor) {
    for (Index i = 0; i < a.size(); ++i) a.data()[i] *= factor;
    return a;
}
Matrix adjoint(const Matrix& a) {
    Matrix b = transpose(a);
    for (Index i = 0; i < a.size(); ++i) b.data()[i] = std::conj(b.data()[i]);
    return b;
}
Matrix top_left(const Matrix& a, Index rows, Index columns) {
    Matrix b(rows, columns);
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < columns; ++j) b(i, j) = a(i, j);
    return b;
}

bool has_nan(const Matrix& a) {
    return std::any_of(a.data(), a.data() + a.size(),
                       [](Complex x) { return std::isnan(x.real()) || std::isnan(x.imag()); });
}
bool is_finite(const Matrix& a) {
    return std::all_of(a.data(), a.data() + a.size(),
                       [](Complex x) { return std::isfinite(x.real()) && std::isfinite(x.imag()); });
}

Lu lu(Matrix a, bool pivot) {
    Lu f;
    f.lu = in_reals(a) ? to_complex(factors(to_real(a), pivot, f)) : factors(std::move(a), pivot, f);
    return f;
}

void solve_triangular(const Matrix& t, Matrix& b, bool upper, bool unit) {
    if (!in_reals(t) || !is_real(b)) return solve(t, b, upper, unit);
    RealMatrix x = to_real(b);
    solve(to_real(t), x, upper, unit);
    b = to_complex(x);
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
    return in_reals(a) ? to_complex(cholesky_factor(to_real(a), info)) : cholesky_factor(a, info);
}

Qr qr(Matrix a) {
    Qr f;
    f.a = in_reals(a) ? to_complex(reflectors(to_real(a), f.tau)) : reflectors(std::move(a), f.tau);
    return f;
}

Matrix apply_q(const Qr& f, Matrix c, bool adjoint) {
    return in_reals(f.a) && is_real(f.tau) && is_real(c)
               ? to_complex(reflected(to_real(f.a), f.tau, to_real(c), adjoint))
               : reflected(f.a, f.tau, std::move(c), adjoint);
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

Matrix exponential(const Matrix& a) { return in_reals(a) ? to_complex(exponential_of(to_real(a))) : exponential_of(a); }

}  // namespace torch_ir::dense
