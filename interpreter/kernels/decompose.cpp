// SPDX-License-Identifier: MIT
// QR, eigenvalue and singular value decompositions, and what is made from them.
#include <cmath>
#include <limits>

#include "elementwise.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/linalg.hpp"
#include "kernels/matmul.hpp"
#include "kernels/reduce.hpp"
#include "kernels/view.hpp"

namespace torch_ir::kernels {
namespace {

using dense::Complex;
using dense::Matrix;
using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;
using Number = std::optional<double>;

// QR.

Two linalg_qr(const Tensor& a, const std::string& mode) {
    if (mode != "reduced" && mode != "complete" && mode != "r")
        throw ArgumentError("linalg.qr: expected 'mode' reduced, complete or r, found '" + mode + "'");
    const Matrices in("linalg.qr", a);
    const std::int64_t k = mode == "complete" ? in.rows() : std::min(in.rows(), in.columns());
    MatrixResults q(in.batch(), in.rows(), k);
    MatrixResults r(in.batch(), k, in.columns());
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Qr f = dense::qr(in[i]);
        Matrix upper(k, in.columns());
        for (std::int64_t row = 0; row < k; ++row)
            for (std::int64_t c = row; c < in.columns(); ++c) upper(row, c) = f.a(row, c);
        r.set(i, upper);
        q.set(i, dense::apply_q(f, dense::top_left(Matrix::identity(in.rows()), in.rows(), k), false));
    }
    return {mode == "r" ? Tensor::empty({0}, a.dtype()) : q.to(a.dtype()), r.to(a.dtype())};
}
Two qr(const Tensor& a, bool some) { return linalg_qr(a, some ? "reduced" : "complete"); }
Two geqrf(const Tensor& a) {
    const Matrices in("geqrf", a);
    MatrixResults out(in.batch(), in.rows(), in.columns());
    VectorResults<Complex> tau(in.batch(), std::min(in.rows(), in.columns()), DType::Complex128);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Qr f = dense::qr(in[i]);
        out.set(i, f.a);
        tau.set(i, f.tau);
    }
    return {out.to(a.dtype()), tau.to(a.dtype())};
}

/// The reflectors of matrix i.
dense::Qr reflectors(const Matrices& a, const Tensor& tau, std::int64_t i) {
    dense::Qr f;
    f.a = a[i];
    const std::int64_t k = tau.size(-1);
    f.tau.assign(tau.data<Complex>() + i * k, tau.data<Complex>() + (i + 1) * k);
    return f;
}
Tensor checked_tau(const char* op, const Matrices& a, DType dtype, const Tensor& tau, std::int64_t most) {
    Ints shape = a.batch();
    shape.push_back(tau.dim() == 0 ? 0 : tau.size(-1));
    if (tau.dim() == 0 || tau.shape() != shape || tau.size(-1) > most || tau.dtype() != dtype)
        throw ArgumentError(std::string(op) + ": expected 'tau' of dtype " + std::string(name(dtype)) +
                            " and at most " + std::to_string(most) + " elements a matrix, found " + describe(tau));
    return tau.to(DType::Complex128).contiguous();
}
Tensor householder_product(const Tensor& input, const Tensor& tau_in) {
    const char* op = "linalg.householder_product";
    const Matrices a(op, input);
    if (a.rows() < a.columns())
        throw ArgumentError(std::string(op) + ": expected at least as many rows as columns, found " + describe(input));
    const Tensor tau = checked_tau(op, a, input.dtype(), tau_in, a.columns());
    MatrixResults q(a.batch(), a.rows(), a.columns());
    for (std::int64_t i = 0; i < a.count(); ++i)
        q.set(i, dense::apply_q(reflectors(a, tau, i),
                                dense::top_left(Matrix::identity(a.rows()), a.rows(), a.columns()), false));
    return q.to(input.dtype());
}
Tensor ormqr(const Tensor& input, const Tensor& tau_in, const Tensor& other, bool left, bool transpose) {
    const char* op = "ormqr";
    const Matrices a(op, input);
    const Matrices c(op, other);
    if (input.dtype() != other.dtype())
        throw ArgumentError(std::string(op) + ": expected 'other' of the dtype of 'input', found " + describe(other) +
                            " and " + describe(input));
    if (a.batch() != c.batch() || (left ? c.rows() : c.columns()) != a.rows())
        throw ArgumentError(std::string(op) + ": " + describe(input) + " does not fit 'other' " + describe(other));
    const Tensor tau = checked_tau(op, a, input.dtype(), tau_in, std::min(a.rows(), a.columns()));
    MatrixResults out(c.batch(), c.rows(), c.columns());
    for (std::int64_t i = 0; i < c.count(); ++i) {
        const dense::Qr f = reflectors(a, tau, i);
        out.set(i, left ? dense::apply_q(f, c[i], transpose)
                        : dense::adjoint(dense::apply_q(f, dense::adjoint(c[i]), !transpose)));
    }
    return out.to(other.dtype());
}

// Eigenvalues.

/// The Hermitian matrix that one triangle of `m` stands for.
Matrix hermitian_from(Matrix m, char side) {
    for (std::int64_t r = 0; r < m.rows(); ++r) {
        m(r, r) = m(r, r).real();
        for (std::int64_t c = 0; c < std::min(r, m.columns()); ++c)
            if (side == 'L')
                m(c, r) = std::conj(m(r, c));
            else
                m(r, c) = std::conj(m(c, r));
    }
    return m;
}

Two linalg_eigh(const Tensor& a, const std::string& uplo, bool vectors) {
    const char* op = "linalg.eigh";
    const Matrices in(op, a);
    in.require_square(op);
    const char side = uplo.size() == 1 ? static_cast<char>(std::toupper(static_cast<unsigned char>(uplo[0]))) : '?';
    if (side != 'L' && side != 'U')
        throw ArgumentError(std::string(op) + ": expected 'UPLO' L or U, found '" + uplo + "'");
    const std::int64_t n = in.rows();
    VectorResults<double> values(in.batch(), n, DType::Float64);
    MatrixResults v(in.batch(), n, n);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Eigen e = dense::eigh(hermitian_from(in[i], side));
        std::vector<double> real;
        for (const Complex& x : e.values) real.push_back(x.real());
        values.set(i, real);
        v.set(i, e.vectors);
    }
    return {values.to(to_real(a.dtype())), vectors ? v.to(a.dtype()) : Tensor::empty({0}, a.dtype())};
}
Two eigh(const Tensor& a, const std::string& uplo) { return linalg_eigh(a, uplo, true); }
Tensor eigvalsh(const Tensor& a, const std::string& uplo) { return std::get<0>(linalg_eigh(a, uplo, false)); }

Two eigen(const Tensor& a) {
    const char* op = "linalg.eig";
    const Matrices in(op, a);
    in.require_square(op);
    VectorResults<Complex> values(in.batch(), in.rows(), DType::Complex128);
    MatrixResults v(in.batch(), in.rows(), in.rows());
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Eigen e = dense::eig(in[i]);
        values.set(i, e.values);
        v.set(i, e.vectors);
    }
    return {values.to(to_complex(a.dtype())), v.to(to_complex(a.dtype()))};
}
Two eig(const Tensor& a) {
    const Matrices in("linalg.eig", a);
    for (std::int64_t i = 0; i < in.count(); ++i)
        if (!dense::is_finite(in[i])) throw ArgumentError("linalg.eig: expected 'self' to be finite");
    return eigen(a);
}
Tensor eigvals(const Tensor& a) { return std::get<0>(eigen(a)); }

// Singular values.

Three svd_of(const Tensor& a, bool full_matrices, bool vectors) {
    const Matrices in("linalg.svd", a);
    const std::int64_t k = std::min(in.rows(), in.columns());
    MatrixResults u(in.batch(), in.rows(), full_matrices ? in.rows() : k);
    MatrixResults vh(in.batch(), full_matrices ? in.columns() : k, in.columns());
    VectorResults<double> s(in.batch(), k, DType::Float64);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Svd f = dense::svd(in[i]);
        s.set(i, f.s);
        u.set(i, full_matrices ? dense::completed(f.u) : f.u);
        vh.set(i, dense::adjoint(full_matrices ? dense::completed(f.v) : f.v));
    }
    const Tensor none = Tensor::empty({0}, a.dtype());
    return {vectors ? u.to(a.dtype()) : none, s.to(to_real(a.dtype())), vectors ? vh.to(a.dtype()) : none};
}
/// Which driver of a device computes them changes nothing.
void check_driver(const std::optional<std::string>& driver) {
    if (driver && *driver != "gesvd" && *driver != "gesvdj" && *driver != "gesvda")
        throw ArgumentError("linalg.svd: expected 'driver' gesvd, gesvdj or gesvda, found '" + *driver + "'");
}
Three linalg_svd(const Tensor& a, bool full_matrices, const std::optional<std::string>& driver) {
    check_driver(driver);
    return svd_of(a, full_matrices, true);
}
Three svd_leaf(const Tensor& a, bool full_matrices, bool compute_uv, const std::optional<std::string>& driver) {
    check_driver(driver);
    return svd_of(a, full_matrices, compute_uv);
}
Tensor svdvals(const Tensor& a, const std::optional<std::string>& driver) {
    check_driver(driver);
    return linalg_svdvals(a);
}
/// The old form: V instead of its adjoint, zeros when vectors are not asked for.
Three svd(const Tensor& a, bool some, bool compute_uv) {
    auto [u, s, vh] = svd_of(a, !some || !compute_uv, true);
    if (!compute_uv) {
        u.fill(Scalar(0));
        vh.fill(Scalar(0));
    }
    const Tensor v = vh.transpose(-2, -1);
    if (!is_complex(a.dtype())) return {u, s, v};
    return {u, s,
            elementwise<Complex>(
                a.dtype(), [](Complex x) { return std::conj(x); }, v)};
}

// Norms of matrices.

std::pair<std::int64_t, std::int64_t> matrix_dims(const char* op, const Tensor& a, const Ints& dim) {
    if (a.dim() < 2 || dim.size() != 2 || a.wrap_dim(dim[0]) == a.wrap_dim(dim[1]))
        throw ArgumentError(std::string(op) +
                            ": expected two different dimensions in 'dim' and a tensor with at least two, found " +
                            to_string(dim) + " and " + describe(a));
    return {a.wrap_dim(dim[0]), a.wrap_dim(dim[1])};
}
void require_float(const char* op, const Tensor& a) {
    if (is_integral(a.dtype(), true))
        throw ArgumentError(std::string(op) + ": expected a floating point or complex tensor, found " + describe(a));
}
Tensor kept_dims(Tensor t, std::int64_t d0, std::int64_t d1, bool keepdim) {
    if (!keepdim) return t;
    return t.unsqueeze(std::min(d0, d1)).unsqueeze(std::max(d0, d1));
}

/// The largest, or smallest, along `dim`; the largest of no norms is 0.
Tensor extreme_norm(const Tensor& norms, std::int64_t dim, bool keepdim, bool largest) {
    if (!largest) return amin(norms, {dim}, keepdim);
    return norms.size(dim) == 0 ? sum(norms, Ints{dim}, keepdim, {}) : amax(norms, {dim}, keepdim);
}

void check_norm_dtype(const char* op, const Tensor& self, std::optional<DType> dtype) {
    if (dtype && is_complex(*dtype) != is_complex(self.dtype()))
        throw ArgumentError(std::string(op) + ": expected 'dtype' to be " +
                            (is_complex(self.dtype()) ? "complex" : "real") + ", found " + std::string(name(*dtype)));
}

Tensor matrix_norm(const Tensor& self, const Scalar& ord, const Ints& dim, bool keepdim, std::optional<DType> dtype) {
    const char* op = "linalg.matrix_norm";
    require_float(op, self);
    check_norm_dtype(op, self, dtype);
    const auto [d0, d1] = matrix_dims(op, self, dim);
    const Tensor a = dtype ? self.to(*dtype) : self;
    const auto p = ord.to<double>();
    const double size = std::abs(p);
    if (size == 2) {
        const Tensor s = linalg_svdvals(movedim(a, {d0, d1}, {-2, -1}));
        return kept_dims(extreme_norm(s, -1, false, p > 0), d0, d1, keepdim);
    }
    if (size != 1 && !std::isinf(size))
        throw ArgumentError(std::string(op) + ": expected 'ord' 1, 2, inf or their negatives, found " +
                            std::to_string(p));
    const std::int64_t first = size == 1 ? d0 : d1;
    const std::int64_t second = size == 1 ? d1 : d0;
    const Tensor sums = vector_norm(a, Scalar(1), Ints{first}, true, {});
    const Tensor extreme = extreme_norm(sums, second, true, p > 0);
    return keepdim ? extreme : extreme.squeeze(std::max(d0, d1)).squeeze(std::min(d0, d1));
}
Tensor matrix_norm_named(const Tensor& self, const std::string& ord, const Ints& dim, bool keepdim,
                         std::optional<DType> dtype) {
    const char* op = "linalg.matrix_norm";
    require_float(op, self);
    const auto [d0, d1] = matrix_dims(op, self, dim);
    check_norm_dtype(op, self, dtype);
    if (ord == "fro") return vector_norm(self, Scalar(2), Ints{d0, d1}, keepdim, dtype);
    if (ord != "nuc") throw ArgumentError(std::string(op) + ": expected 'ord' fro or nuc, found '" + ord + "'");
    const Tensor a = dtype ? self.to(*dtype) : self;
    const Tensor s = linalg_svdvals(movedim(a, {d0, d1}, {-2, -1}));
    return kept_dims(sum(s, Ints{-1}, false, {}), d0, d1, keepdim);
}
Tensor nuclear_norm_dim(const Tensor& self, const Ints& dim, bool keepdim) {
    return matrix_norm_named(self, "nuc", dim, keepdim, {});
}
Tensor nuclear_norm(const Tensor& self, bool keepdim) { return nuclear_norm_dim(self, {-2, -1}, keepdim); }

Tensor linalg_norm(const Tensor& self, const std::optional<Scalar>& ord, const std::optional<Ints>& dim, bool keepdim,
                   std::optional<DType> dtype) {
    const char* op = "linalg.norm";
    if (dim && dim->size() != 1 && dim->size() != 2 && ord)
        throw ArgumentError(std::string(op) + ": expected 'dim' of 1 or 2 elements with 'ord', found " +
                            to_string(*dim));
    if (ord && !dim && self.dim() != 1 && self.dim() != 2)
        throw ArgumentError(std::string(op) + ": expected 'dim', or 'self' of 1 or 2 dimensions, found " +
                            describe(self));
    if (ord && (dim ? dim->size() == 2 : self.dim() == 2))
        return matrix_norm(self, *ord, dim.value_or(Ints{0, 1}), keepdim, dtype);
    return vector_norm(self, ord.value_or(Scalar(2)), dim, keepdim, dtype);
}
Tensor linalg_norm_named(const Tensor& self, const std::string& ord, const std::optional<Ints>& dim, bool keepdim,
                         std::optional<DType> dtype) {
    if (!dim && self.dim() != 2)
        throw ArgumentError("linalg.norm: expected 'dim', or 'self' of 2 dimensions, found " + describe(self));
    return matrix_norm_named(self, ord, dim.value_or(Ints{0, 1}), keepdim, dtype);
}

/// Infinity for singular matrices.
Tensor inverse_or_infinity(const Tensor& a) {
    const Matrices in("linalg.cond", a);
    in.require_square("linalg.cond");
    return map_matrices("linalg.cond", a, in.rows(), in.rows(), [](const Matrix& m) {
        const dense::Lu f = dense::lu(m);
        Matrix x = Matrix::identity(m.rows());
        if (f.info == 0) return dense::lu_solve(f, x);
        for (std::int64_t i = 0; i < m.rows() * m.rows(); ++i) x.data()[i] = std::numeric_limits<double>::infinity();
        return x;
    });
}
Tensor linalg_cond(const Tensor& self, const std::optional<Scalar>& p) {
    if (self.dim() < 2)
        throw ArgumentError("linalg.cond: expected 'self' of at least 2 dimensions, found " + describe(self));
    const Scalar ord = p.value_or(Scalar(2));
    if (self.numel() == 0)
        return Tensor::zeros(Ints(self.shape().begin(), self.shape().end() - 2), to_real(self.dtype()));
    if (std::abs(ord.to<double>()) == 2) {
        const Tensor s = linalg_svdvals(self);
        const Tensor high = s.select(-1, 0);
        const Tensor low = s.select(-1, s.size(-1) - 1);
        return ord.to<double>() > 0 ? divided(high, low) : divided(low, high);
    }
    return times(matrix_norm(self, ord, {-2, -1}, false, {}),
                 matrix_norm(inverse_or_infinity(self), ord, {-2, -1}, false, {}));
}
Tensor cond_named(const Tensor& self, const std::string& p) {
    if (self.dim() < 2)
        throw ArgumentError("linalg.cond: expected 'self' of at least 2 dimensions, found " + describe(self));
    if (self.numel() == 0)
        return Tensor::zeros(Ints(self.shape().begin(), self.shape().end() - 2), to_real(self.dtype()));
    return times(matrix_norm_named(self, p, {-2, -1}, false, {}),
                 matrix_norm_named(inverse_or_infinity(self), p, {-2, -1}, false, {}));
}

// Rank and pseudo-inverse: singular values above a tolerance.

double epsilon_of(DType dtype) {
    return to_real(dtype) == DType::Float64 ? std::numeric_limits<double>::epsilon()
                                            : static_cast<double>(std::numeric_limits<float>::epsilon());
}
/// The tolerances of every matrix: `atol` or 0; `rtol`, or where there is no atol, the size times the machine epsilon.
struct Tolerances {
    Tensor atol;
    Tensor rtol;
    Tolerances(const Tensor& a, const Tensor& atol_in, const Tensor& rtol_in) {
        if (a.dim() < 2)
            throw ArgumentError("linalg.pinv: expected a tensor of at least 2 dimensions, found " + describe(a));
        const Ints batch(a.shape().begin(), a.shape().end() - 2);
        for (const Tensor* t : {&atol_in, &rtol_in})
            if (t->defined() && is_complex(t->dtype()))
                throw ArgumentError("linalg.pinv: expected real 'atol' and 'rtol', found " + describe(*t));
        const auto expanded = [&](const Tensor& t, Tensor& to) {
            if (!t.defined()) return;
            to = t.to(DType::Float64).expand(broadcast_shapes(batch, t.shape())).contiguous();
        };
        expanded(atol_in, atol);
        expanded(rtol_in, rtol);
        automatic = epsilon_of(a.dtype()) * static_cast<double>(std::max(a.size(-1), a.size(-2)));
    }
    double operator()(std::int64_t i, double largest) const {
        const double a = atol.defined() ? atol.data<double>()[i] : 0;
        const double r = rtol.defined() ? rtol.data<double>()[i] : (a > 0 ? 0 : automatic);
        const double relative = r * largest;
        return relative <= a ? a : relative;  // NaN stays
    }
    double automatic = 0;
};
Tensor number_or_none(Number v) { return v ? Tensor::scalar(Scalar(*v), DType::Float64) : Tensor{}; }

Tensor matrix_rank(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
    const Tolerances tolerance(a, atol, rtol);
    const Tensor s = (hermitian ? eigvalsh(a, "L") : linalg_svdvals(a)).to(DType::Float64).contiguous();
    Ints shape(s.shape().begin(), s.shape().end() - 1);
    for (const Tensor* t : {&tolerance.atol, &tolerance.rtol})
        if (t->defined()) shape = t->shape();
    Tensor rank = Tensor::zeros(shape, DType::Int64);
    const std::int64_t n = s.size(-1);
    const std::int64_t own = n == 0 ? 0 : s.numel() / n;
    for (std::int64_t i = 0; i < rank.numel() && own > 0; ++i) {
        const double* v = s.data<double>() + i % own * n;
        double largest = 0;
        for (std::int64_t j = 0; j < n; ++j) largest = std::max(largest, std::abs(v[j]));
        for (std::int64_t j = 0; j < n; ++j) rank.data<std::int64_t>()[i] += std::abs(v[j]) > tolerance(i, largest);
    }
    return rank;
}
Tensor matrix_rank_float(const Tensor& a, Number atol, Number rtol, bool hermitian) {
    return matrix_rank(a, number_or_none(atol), number_or_none(rtol), hermitian);
}
Tensor matrix_rank_tol_tensor(const Tensor& a, const Tensor& tol, bool hermitian) {
    return matrix_rank(a, tol, Tensor::scalar(Scalar(0.0), DType::Float64), hermitian);
}
Tensor matrix_rank_tol(const Tensor& a, double tol, bool hermitian) {
    return matrix_rank_tol_tensor(a, Tensor::scalar(Scalar(tol), DType::Float64), hermitian);
}

Tensor pinv(const Tensor& a, const Tensor& atol, const Tensor& rtol, bool hermitian) {
    require_full_precision("linalg.pinv", a);
    const Tolerances tolerance(a, atol, rtol);
    for (const Tensor* t : {&tolerance.atol, &tolerance.rtol})
        if (t->defined() && t->shape() != Ints(a.shape().begin(), a.shape().end() - 2))
            throw ArgumentError("linalg.pinv: expected 'atol' and 'rtol' to broadcast to the batch of " + describe(a));
    const Matrices in("linalg.pinv", a);
    if (hermitian) in.require_square("linalg.pinv");
    std::int64_t i = 0;
    const Tensor inverse = map_matrices("linalg.pinv", a, in.columns(), in.rows(), [&](const Matrix& m) {
        const dense::Svd f = dense::svd(hermitian ? hermitian_from(m, 'L') : m);
        const double limit = tolerance(i++, f.s.empty() ? 0 : f.s[0]);
        Matrix v = f.v;
        for (std::int64_t c = 0; c < v.columns(); ++c) {
            const double s = f.s[static_cast<std::size_t>(c)];
            for (std::int64_t r = 0; r < v.rows(); ++r) v(r, c) *= s > limit ? 1 / s : 0;
        }
        return v * dense::adjoint(f.u);
    });
    return inverse.contiguous();
}
Tensor pinv_float(const Tensor& a, Number atol, Number rtol, bool hermitian) {
    return pinv(a, number_or_none(atol), number_or_none(rtol), hermitian);
}
Tensor pinv_rcond_tensor(const Tensor& a, const Tensor& rcond, bool hermitian) {
    return pinv(a, Tensor::scalar(Scalar(0.0), DType::Float64), rcond, hermitian);
}
Tensor pinv_rcond(const Tensor& a, double rcond, bool hermitian) {
    return pinv_rcond_tensor(a, Tensor::scalar(Scalar(rcond), DType::Float64), hermitian);
}
Tensor pinverse(const Tensor& a, double rcond) { return pinv_rcond(a, rcond, false); }

// Least squares: the solution of smallest norm.

Four lstsq(const Tensor& a_in, const Tensor& b_in, Number rcond, const std::optional<std::string>& driver) {
    const char* op = "linalg.lstsq";
    const std::string method = driver.value_or("gelsy");
    if (method != "gels" && method != "gelsy" && method != "gelsd" && method != "gelss")
        throw ArgumentError(std::string(op) + ": expected 'driver' gels, gelsy, gelsd or gelss, found '" + method +
                            "'");
    if (a_in.dtype() != b_in.dtype())
        throw ArgumentError(std::string(op) + ": expected matrices of one dtype, found " + describe(a_in) + " and " +
                            describe(b_in));
    const bool vector =
        b_in.dim() + 1 == a_in.dim() && std::equal(b_in.shape().begin(), b_in.shape().end(), a_in.shape().begin());
    const Tensor columns = vector ? b_in.unsqueeze(-1) : b_in;
    if (a_in.dim() < 2 || columns.dim() != a_in.dim() || a_in.size(-2) != columns.size(-2))
        throw ArgumentError(std::string(op) + ": " + describe(a_in) + " does not fit " + describe(b_in));
    const auto [a_all, b_all] = broadcast_batches(a_in, columns);
    const Matrices a(op, a_all);
    const Matrices b(op, b_all);
    const std::int64_t m = a.rows();
    const std::int64_t n = a.columns();
    const double cut = rcond.value_or(epsilon_of(a_in.dtype()) * static_cast<double>(std::max(m, n)));
    MatrixResults x(b.batch(), std::max(m, n), b.columns());  // a part of what LAPACK works on
    VectorResults<double> residuals(b.batch(), b.columns(), DType::Float64);
    VectorResults<std::int64_t> rank(b.batch(), 1, DType::Int64);
    VectorResults<double> values(b.batch(), std::min(m, n), DType::Float64);
    bool full_rank = true;
    for (std::int64_t i = 0; i < b.count(); ++i)
        if (dense::has_nan(b[i])) throw ArgumentError(std::string(op) + ": expected 'b' without NaN");
    for (std::int64_t i = 0; i < b.count(); ++i) {
        const dense::Svd f = dense::svd(a[i]);
        const double limit = method == "gels" || f.s.empty() ? 0 : cut * f.s[0];
        Matrix y = dense::adjoint(f.u) * b[i];
        std::int64_t count = 0;
        for (std::int64_t r = 0; r < y.rows(); ++r) {
            const double s = f.s[static_cast<std::size_t>(r)];
            count += s > limit;
            for (std::int64_t c = 0; c < y.columns(); ++c) y(r, c) *= s > limit ? 1 / s : 0;
        }
        full_rank = full_rank && count == n;
        Matrix solution = f.v * y;
        if (!dense::is_finite(a[i]) || !dense::is_finite(b[i]))
            solution = dense::scaled(solution, std::numeric_limits<double>::quiet_NaN());
        const Matrix rest = a[i] * solution + dense::scaled(b[i], -1);
        std::vector<double> sums(static_cast<std::size_t>(b.columns()));
        for (std::int64_t r = 0; r < m; ++r)
            for (std::int64_t c = 0; c < b.columns(); ++c) sums[static_cast<std::size_t>(c)] += std::norm(rest(r, c));
        x.set(i, solution);
        residuals.set(i, sums);
        rank.set(i, Ints{count});
        values.set(i, f.s);
    }
    const DType real = to_real(a_in.dtype());
    const bool with_residuals = m > n && method != "gelsy" && (method == "gels" || full_rank);
    const bool with_values = method == "gelsd" || method == "gelss";
    Tensor solution = x.to(b_in.dtype()).narrow(-2, 0, n);
    Tensor rest = with_residuals ? residuals.to(real) : Tensor::empty({0}, real);
    if (vector) {
        solution = solution.squeeze(-1);
        if (with_residuals) rest = rest.squeeze(-1);
    }
    return {solution, rest, method == "gels" ? Tensor::empty({0}, DType::Int64) : rank.to(DType::Int64).squeeze(-1),
            with_values ? values.to(real) : Tensor::empty({0}, real)};
}

// Functions of matrices.

Tensor matrix_exp(const Tensor& a) {
    if ((is_floating_point(a.dtype()) || is_complex(a.dtype())) && item_size(to_real(a.dtype())) < 4)
        return matrix_exp(a.to(is_complex(a.dtype()) ? DType::Complex128 : DType::Float64)).to(a.dtype());
    const Matrices in("linalg.matrix_exp", a);
    in.require_square("linalg.matrix_exp");
    return map_matrices("linalg.matrix_exp", a, in.rows(), in.rows(), dense::exponential).contiguous();
}
Tensor matrix_power(const Tensor& a, std::int64_t n) {
    if (a.dim() < 2 || a.size(-1) != a.size(-2))
        throw ArgumentError("linalg.matrix_power: expected square matrices, found " + describe(a));
    Tensor base = n < 0 ? linalg_inv(a) : a;
    if (n == 0) {
        const Tensor one = Tensor::zeros(a.shape(), a.dtype());
        diagonal(one, 0, -2, -1).fill(Scalar(1));
        return one;
    }
    Tensor result;
    for (auto left = n < 0 ? 0 - static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n); left > 0; left >>= 1) {
        if (left & 1U) result = result.defined() ? matmul(result, base) : base;
        if (left > 1) base = matmul(base, base);
    }
    return n == 1 ? result.clone() : result;
}

}  // namespace

Tensor linalg_svdvals(const Tensor& a) { return std::get<1>(svd_of(a, false, false)); }

void register_decompose(Registry& r) {
    r.add("linalg_qr(Tensor A, str mode=\"reduced\") -> (Tensor Q, Tensor R)", linalg_qr);
    r.add("qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)", qr);
    r.add("geqrf(Tensor self) -> (Tensor a, Tensor tau)", geqrf);
    r.add("linalg_householder_product(Tensor input, Tensor tau) -> Tensor", householder_product);
    r.add("orgqr(Tensor self, Tensor input2) -> Tensor", householder_product);
    r.add("ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor", ormqr);
    r.add("linalg_eigh(Tensor self, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)", eigh);
    r.add("linalg_eigvalsh(Tensor self, str UPLO=\"L\") -> Tensor", eigvalsh);
    r.add("_linalg_eigh(Tensor A, str UPLO=\"L\", bool compute_v=True) -> (Tensor eigenvalues, Tensor eigenvectors)",
          linalg_eigh);
    r.add("linalg_eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)", eig);
    r.add("linalg_eigvals(Tensor self) -> Tensor", eigvals);
    r.add("_linalg_eigvals(Tensor self) -> Tensor", eigvals);
    r.add("linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)",
          linalg_svd);
    r.add(
        "_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, *, str? driver=None) -> (Tensor U, "
        "Tensor S, Tensor Vh)",
        svd_leaf);
    r.add("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor", svdvals);
    r.add("svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)", svd);
    r.add(
        "linalg_matrix_norm(Tensor self, Scalar ord, int[] dim=[-2, -1], bool keepdim=False, *, ScalarType? "
        "dtype=None) -> Tensor",
        matrix_norm);
    r.add(
        "linalg_matrix_norm.str_ord(Tensor self, str ord=\"fro\", int[] dim=[-2, -1], bool keepdim=False, *, "
        "ScalarType? dtype=None) -> Tensor",
        matrix_norm_named);
    r.add("nuclear_norm(Tensor self, bool keepdim=False) -> Tensor", nuclear_norm);
    r.add("nuclear_norm.dim(Tensor self, int[2] dim, bool keepdim=False) -> Tensor", nuclear_norm_dim);
    r.add(
        "linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) "
        "-> Tensor",
        linalg_norm);
    r.add(
        "linalg_norm.ord_str(Tensor self, str ord, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> "
        "Tensor",
        linalg_norm_named);
    r.add("linalg_cond(Tensor self, Scalar? p=None) -> Tensor", linalg_cond);
    r.add("linalg_cond.p_str(Tensor self, str p) -> Tensor", cond_named);
    r.add("linalg_matrix_rank(Tensor self, float tol, bool hermitian=False) -> Tensor", matrix_rank_tol);
    r.add("linalg_matrix_rank.tol_tensor(Tensor input, Tensor tol, bool hermitian=False) -> Tensor",
          matrix_rank_tol_tensor);
    r.add(
        "linalg_matrix_rank.atol_rtol_float(Tensor self, *, float? atol=None, float? rtol=None, bool hermitian=False) "
        "-> Tensor",
        matrix_rank_float);
    r.add(
        "linalg_matrix_rank.atol_rtol_tensor(Tensor input, *, Tensor? atol=None, Tensor? rtol=None, bool "
        "hermitian=False) -> Tensor",
        matrix_rank);
    r.add("linalg_pinv(Tensor self, float rcond, bool hermitian=False) -> Tensor", pinv_rcond);
    r.add("linalg_pinv.rcond_tensor(Tensor self, Tensor rcond, bool hermitian=False) -> Tensor", pinv_rcond_tensor);
    r.add(
        "linalg_pinv.atol_rtol_float(Tensor self, *, float? atol=None, float? rtol=None, bool hermitian=False) -> "
        "Tensor",
        pinv_float);
    r.add(
        "linalg_pinv.atol_rtol_tensor(Tensor self, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False) -> "
        "Tensor",
        pinv);
    r.add("pinverse(Tensor self, float rcond=1.0000000000000001e-15) -> Tensor", pinverse);
    r.add(
        "linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor "
        "residuals, Tensor rank, Tensor singular_values)",
        lstsq);
    r.add("linalg_matrix_exp(Tensor self) -> Tensor", matrix_exp);
    r.add("matrix_exp(Tensor self) -> Tensor", matrix_exp);
    r.add("linalg_matrix_power(Tensor self, int n) -> Tensor", matrix_power);
    r.add("matrix_power(Tensor self, int n) -> Tensor", matrix_power);
}

}  // namespace torch_ir::kernels
