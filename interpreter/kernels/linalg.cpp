// SPDX-License-Identifier: MIT
// Determinants, inverses, and what solves linear equations: LU and Cholesky factors, triangular matrices.
#include "kernels/linalg.hpp"

#include <cmath>

#include "elementwise.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"

namespace torch_ir::kernels {

using dense::Complex;
using dense::Matrix;

Matrices::Matrices(const char* op, const Tensor& t) {
    if (!is_floating_point(t.dtype()) && !is_complex(t.dtype()))
        throw ArgumentError(std::string(op) + ": expected a floating point or complex tensor, found " + describe(t));
    if (item_size(to_real(t.dtype())) < 4 && t.numel() != 0)
        throw UnsupportedError(std::string(op) + " is not defined for low precision, found " + describe(t));
    if (t.dim() < 2)
        throw ArgumentError(std::string(op) + ": expected a tensor of at least 2 dimensions, found " + describe(t));
    memory_ = t.to(DType::Complex128).contiguous();
    batch_ = Ints(t.shape().begin(), t.shape().end() - 2);
}

void require_full_precision(const char* op, const Tensor& t) {
    if (is_floating_point(t.dtype()) && item_size(t.dtype()) < 4)
        throw ArgumentError(std::string(op) + " is not defined for low precision, found " + describe(t));
}

Matrix Matrices::operator[](std::int64_t i) const {
    Matrix m(rows(), columns());
    std::copy_n(memory_.data<Complex>() + i * rows() * columns(), rows() * columns(), m.data());
    return m;
}

void Matrices::require_square(const char* op) const {
    if (rows() != columns())
        throw ArgumentError(std::string(op) + ": expected square matrices, found shape " + to_string(memory_.shape()));
}

MatrixResults::MatrixResults(const Ints& batch, std::int64_t rows, std::int64_t columns) {
    Ints shape = batch;
    shape.push_back(columns);
    shape.push_back(rows);
    memory_ = Tensor::zeros(shape, DType::Complex128).transpose(-2, -1);
}

void MatrixResults::set(std::int64_t i, const Matrix& m) {
    const std::int64_t rows = memory_.size(-2);
    if (m.rows() > rows || m.columns() != memory_.size(-1)) throw ArgumentError("a matrix of another size");
    Complex* const to = memory_.data<Complex>() + i * rows * m.columns();
    for (std::int64_t c = 0; c < m.columns(); ++c)
        for (std::int64_t r = 0; r < m.rows(); ++r) to[c * rows + r] = m(r, c);
}

std::pair<Tensor, Tensor> broadcast_batches(const Tensor& a, const Tensor& b) {
    const auto batch = [](const Tensor& t) { return Ints(t.shape().begin(), t.shape().end() - 2); };
    const Ints common = broadcast_shapes(batch(a), batch(b));
    const auto expand = [&](const Tensor& t) {
        Ints shape = common;
        shape.insert(shape.end(), t.shape().end() - 2, t.shape().end());
        return t.expand(shape);
    };
    return {expand(a), expand(b)};
}

Tensor map_matrices(const char* op, const Tensor& a, std::int64_t rows, std::int64_t columns,
                    const std::function<Matrix(const Matrix&)>& f) {
    const Matrices in(op, a);
    MatrixResults out(in.batch(), rows, columns);
    for (std::int64_t i = 0; i < in.count(); ++i) out.set(i, f(in[i]));
    return out.to(a.dtype());
}

namespace {

using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;

void require_dtype(const char* op, const Tensor& a, const Tensor& b) {
    if (a.dtype() != b.dtype())
        throw ArgumentError(std::string(op) + ": expected matrices of one dtype, found " + describe(a) + " and " +
                            describe(b));
}

/// Throws ArgumentError for the first matrix whose info is not 0.
void check_info(const char* op, const Tensor& info, const char* problem) {
    const Tensor wide = info.to(DType::Int64).contiguous();
    for (std::int64_t i = 0; i < wide.numel(); ++i)
        if (wide.data<std::int64_t>()[i] != 0)
            throw ArgumentError(std::string(op) + ": " + problem + " (batch element " + std::to_string(i) + ", " +
                                std::to_string(wide.data<std::int64_t>()[i]) + ")");
}
constexpr const char* singular = "the matrix is singular";

struct LuTensors {
    Tensor lu;
    Tensor pivots;  // int32, counted from 1
    Tensor info;    // int32
};

LuTensors factor(const char* op, const Tensor& a, bool pivot) {
    const Matrices in(op, a);
    const std::int64_t k = std::min(in.rows(), in.columns());
    MatrixResults lu(in.batch(), in.rows(), in.columns());
    VectorResults<std::int64_t> pivots(in.batch(), k, DType::Int64);
    VectorResults<std::int64_t> info(in.batch(), 1, DType::Int64);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        dense::Lu f = dense::lu(in[i], pivot);
        for (auto& p : f.pivots) ++p;
        lu.set(i, f.lu);
        pivots.set(i, f.pivots);
        info.set(i, Ints{f.info});
    }
    return {lu.to(a.dtype()), pivots.to(DType::Int32), info.to(DType::Int32).squeeze(-1)};
}

/// Pivots as dense::Lu has them.
dense::Lu factors_at(const char* op, const Matrices& lu, const Tensor& pivots, std::int64_t i) {
    dense::Lu f;
    f.lu = lu[i];
    const std::int64_t k = pivots.size(-1);
    for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t p = pivots.data<std::int64_t>()[i * k + j];
        if (p < 1 || p > lu.rows())
            throw ArgumentError(std::string(op) + ": 'pivots' holds " + std::to_string(p) + ", expected 1 to " +
                                std::to_string(lu.rows()));
        f.pivots.push_back(p - 1);
        if (p - 1 != j) f.sign = -f.sign;
    }
    return f;
}

Tensor checked_pivots(const char* op, const Matrices& lu, const Tensor& pivots) {
    Ints shape = lu.batch();
    shape.push_back(std::min(lu.rows(), lu.columns()));
    if (pivots.shape() != shape || !is_integral(pivots.dtype(), false))
        throw ArgumentError(std::string(op) + ": expected integer 'pivots' of shape " + to_string(shape) + ", found " +
                            describe(pivots));
    return pivots.to(DType::Int64).contiguous();
}

/// PyTorch factors the transpose of a contiguous real matrix, which is cheaper for it; the factors show it.
Tensor factored_form(const Tensor& a) { return a.is_contiguous() && !is_complex(a.dtype()) ? a.transpose(-2, -1) : a; }

struct Determinants {
    Tensor sign;
    Tensor log;
    Tensor det;
};

Determinants determinants(const char* op, const Tensor& a) {
    const Matrices in(op, factored_form(a));
    in.require_square(op);
    VectorResults<Complex> sign(in.batch(), 1, DType::Complex128);
    VectorResults<double> log(in.batch(), 1, DType::Float64);
    VectorResults<Complex> det(in.batch(), 1, DType::Complex128);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Lu f = dense::lu(in[i]);
        Complex s = f.sign;
        Complex product = f.sign;
        double total = 0;
        for (std::int64_t k = 0; k < in.rows(); ++k) {
            const Complex d = f.lu(k, k);
            const double size = std::abs(d);
            s *= is_complex(a.dtype()) && size != 0 ? d / size : Complex((d.real() > 0) - (d.real() < 0));
            total += std::log(size);
            product = is_complex(a.dtype()) ? product * d : Complex(product.real() * d.real());
        }
        sign.set(i, std::vector{s});
        log.set(i, std::vector{total});
        det.set(i, std::vector{product});
    }
    return {sign.to(a.dtype()).squeeze(-1), log.to(to_real(a.dtype())).squeeze(-1), det.to(a.dtype()).squeeze(-1)};
}

Tensor det(const Tensor& a) { return determinants("linalg.det", a).det; }
Three det_factors(const Tensor& a) {
    const LuTensors f = factor("_linalg_det", factored_form(a), true);
    return {det(a), f.lu, f.pivots};
}
Two slogdet(const Tensor& a) {
    require_full_precision("linalg.slogdet", a);
    const Determinants d = determinants("linalg.slogdet", a);
    return {d.sign, d.log};
}
Four slogdet_factors(const Tensor& a) {
    require_full_precision("linalg.slogdet", a);
    const Determinants d = determinants("_linalg_slogdet", a);
    const LuTensors f = factor("_linalg_slogdet", factored_form(a), true);
    return {d.sign, d.log, f.lu, f.pivots};
}
Tensor logdet(const Tensor& a) {
    require_full_precision("logdet", a);
    const Determinants d = determinants("logdet", a);
    if (is_complex(a.dtype()))
        return elementwise<Complex>(
            a.dtype(), [](Complex s, Complex l) { return std::log(s) + l; }, d.sign, d.log);
    return elementwise<double>(
        a.dtype(), [](double s, double l) { return s < 0 ? std::numeric_limits<double>::quiet_NaN() : l; }, d.sign,
        d.log);
}

// LU.

Three lu(const Tensor& a, bool pivot) {
    const Matrices in("linalg.lu", a);
    const std::int64_t k = std::min(in.rows(), in.columns());
    MatrixResults p(in.batch(), pivot ? in.rows() : 0, pivot ? in.rows() : 0);
    MatrixResults l(in.batch(), in.rows(), k);
    MatrixResults u(in.batch(), k, in.columns());
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Lu f = dense::lu(in[i], pivot);
        Matrix lower = dense::top_left(f.lu, in.rows(), k);
        Matrix upper = dense::top_left(f.lu, k, in.columns());
        for (std::int64_t r = 0; r < in.rows(); ++r)
            for (std::int64_t c = r; c < k; ++c) lower(r, c) = r == c ? 1 : 0;
        for (std::int64_t r = 0; r < k; ++r)
            for (std::int64_t c = 0; c < std::min(r, in.columns()); ++c) upper(r, c) = 0;
        l.set(i, lower);
        u.set(i, upper);
        if (pivot) {
            // P = the transposed row swaps.
            Ints order(static_cast<std::size_t>(in.rows()));
            for (std::size_t r = 0; r < order.size(); ++r) order[r] = static_cast<std::int64_t>(r);
            for (std::size_t r = 0; r < f.pivots.size(); ++r)
                std::swap(order[r], order[static_cast<std::size_t>(f.pivots[r])]);
            Matrix permutation(in.rows(), in.rows());
            for (std::size_t r = 0; r < order.size(); ++r) permutation(order[r], static_cast<std::int64_t>(r)) = 1;
            p.set(i, permutation);
        }
    }
    const Tensor permutations = pivot ? p.to(a.dtype()).contiguous() : Tensor::empty({0}, a.dtype());
    return {permutations, l.to(a.dtype()).contiguous(), u.to(a.dtype()).contiguous()};
}
Three lu_unpack(const Tensor& data, const Tensor& pivots, bool unpack_data, bool unpack_pivots) {
    const char* op = "lu_unpack";
    const Matrices in(op, data);
    const std::int64_t k = std::min(in.rows(), in.columns());
    if (pivots.dtype() != DType::Int32)
        throw ArgumentError(std::string(op) + ": expected 'LU_pivots' of int32, found " + describe(pivots));
    const Tensor steps = unpack_pivots ? checked_pivots(op, in, pivots) : Tensor{};
    MatrixResults p(in.batch(), in.rows(), in.rows());
    MatrixResults l(in.batch(), in.rows(), k);
    MatrixResults u(in.batch(), k, in.columns());
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const Matrix both = in[i];
        Matrix lower(in.rows(), k);
        Matrix upper(k, in.columns());
        for (std::int64_t r = 0; r < in.rows(); ++r)
            for (std::int64_t c = 0; c < in.columns(); ++c) {
                if (c < r && c < k) lower(r, c) = both(r, c);
                if (c == r) lower(r, c) = 1;
                if (c >= r) upper(r, c) = both(r, c);
            }
        l.set(i, lower);
        u.set(i, upper);
        if (unpack_pivots) {
            const dense::Lu f = factors_at(op, in, steps, i);
            Matrix permutation = Matrix::identity(in.rows());
            for (std::int64_t r = k; r-- > 0;)
                for (std::int64_t c = 0; c < in.rows(); ++c)
                    std::swap(permutation(r, c), permutation(f.pivots[static_cast<std::size_t>(r)], c));
            p.set(i, permutation);
        }
    }
    const Tensor none = Tensor::empty({0}, data.dtype());
    const auto rows = [&](const MatrixResults& m) { return m.to(data.dtype()).contiguous(); };
    return {unpack_pivots ? rows(p) : none, unpack_data ? rows(l) : none, unpack_data ? rows(u) : none};
}
Three lu_factor_ex(const Tensor& a, bool pivot, bool check_errors) {
    const LuTensors f = factor("linalg.lu_factor", a, pivot);
    if (check_errors) check_info("linalg.lu_factor", f.info, singular);
    return {f.lu, f.pivots, f.info};
}
Two lu_factor(const Tensor& a, bool pivot) {
    const LuTensors f = factor("linalg.lu_factor", a, pivot);
    check_info("linalg.lu_factor", f.info, singular);
    return {f.lu, f.pivots};
}

Tensor lu_solve_left(const char* op, const Tensor& lu_in, const Tensor& pivots_in, const Tensor& b_in, bool adjoint) {
    require_dtype(op, lu_in, b_in);
    if (lu_in.dim() < 2 || b_in.dim() < 2 || lu_in.size(-2) != lu_in.size(-1) || b_in.size(-2) != lu_in.size(-1))
        throw ArgumentError(std::string(op) + ": factors " + describe(lu_in) + " do not fit " + describe(b_in));
    if (pivots_in.shape() != Ints(lu_in.shape().begin(), lu_in.shape().end() - 1))
        throw ArgumentError(std::string(op) + ": factors " + describe(lu_in) + " do not fit pivots " +
                            describe(pivots_in));
    if (pivots_in.dtype() != DType::Int32)
        throw ArgumentError(std::string(op) + ": expected 'pivots' of int32, found " + describe(pivots_in));
    const auto [lu_all, b_all] = broadcast_batches(lu_in, b_in);
    const Matrices lu(op, lu_all);
    const Matrices b(op, b_all);
    Ints shape = lu.batch();
    shape.push_back(lu.rows());
    const Tensor pivots = checked_pivots(op, lu, pivots_in.expand(shape));
    MatrixResults x(b.batch(), b.rows(), b.columns());
    for (std::int64_t i = 0; i < b.count(); ++i)
        x.set(i, dense::lu_solve(factors_at(op, lu, pivots, i), b[i], adjoint));
    return x.to(b_in.dtype());
}
Tensor adjoint_of(const Tensor& t) {
    const Tensor x = t.transpose(-2, -1);
    return is_complex(t.dtype()) ? elementwise<Complex>(
                                       t.dtype(), [](Complex v) { return std::conj(v); }, x)
                                 : x;
}
Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left, bool adjoint) {
    if (left) return lu_solve_left("linalg.lu_solve", lu, pivots, b, adjoint);
    // X A = B is Aᴴ Xᴴ = Bᴴ.
    return adjoint_of(lu_solve_left("linalg.lu_solve", lu, pivots, adjoint_of(b), !adjoint));
}
Tensor lu_solve_old(const Tensor& self, const Tensor& lu, const Tensor& pivots) {
    return lu_solve_left("lu_solve", lu, pivots, self, false);
}

// Inverses and solutions.

Two inv_info(const char* op, const Tensor& a) {
    const Matrices in(op, a);
    in.require_square(op);
    MatrixResults out(in.batch(), in.rows(), in.rows());
    VectorResults<std::int64_t> info(in.batch(), 1, DType::Int64);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        const dense::Lu f = dense::lu(in[i]);
        out.set(i, dense::lu_solve(f, Matrix::identity(in.rows())));
        info.set(i, Ints{f.info});
    }
    return {out.to(a.dtype()), info.to(DType::Int32).squeeze(-1)};
}
Two inv_ex(const Tensor& a, bool check_errors) {
    const Two r = inv_info("linalg.inv", a);
    if (check_errors) check_info("linalg.inv", std::get<1>(r), singular);
    return r;
}

/// One right-hand side instead of columns?
bool is_vector(const Tensor& a, const Tensor& b) {
    return b.dim() == 1 ||
           (a.dim() - 1 == b.dim() && std::equal(b.shape().begin(), b.shape().end(), a.shape().begin()));
}

Two solve_info(const char* op, const Tensor& a_in, const Tensor& b_in, bool left) {
    require_dtype(op, a_in, b_in);
    const bool vector = is_vector(a_in, b_in);
    const Tensor columns = vector ? b_in.unsqueeze(-1) : b_in;
    const Tensor b_left = left ? columns : columns.transpose(-2, -1);
    const Tensor a_left = left ? a_in : a_in.transpose(-2, -1);
    if (a_in.dim() < 2 || b_left.dim() < 2 || a_left.size(-1) != a_left.size(-2) || b_left.size(-2) != a_left.size(-1))
        throw ArgumentError(std::string(op) + ": 'A' " + describe(a_in) + " does not fit 'B' " + describe(b_in));
    const auto [a_all, b_all] = broadcast_batches(a_left, b_left);
    const Matrices a(op, a_all);
    const Matrices b(op, b_all);
    MatrixResults x(b.batch(), b.rows(), b.columns());
    for (std::int64_t i = 0; i < b.count(); ++i) x.set(i, dense::lu_solve(dense::lu(a[i]), b[i]));
    const Matrices own(op, a_in);
    VectorResults<std::int64_t> info(own.batch(), 1, DType::Int64);
    for (std::int64_t i = 0; i < own.count(); ++i) info.set(i, Ints{dense::lu(own[i]).info});
    Tensor result = x.to(b_in.dtype());
    if (vector)
        result =
            b_in.dim() == 1 ? result.squeeze(-1) : result.squeeze(-1).transpose(-2, -1).contiguous().transpose(-2, -1);
    else if (!left)
        result = result.transpose(-2, -1);
    return {result, info.to(DType::Int32).squeeze(-1)};
}
Tensor linalg_solve(const Tensor& a, const Tensor& b, bool left) {
    const auto [x, info] = solve_info("linalg.solve", a, b, left);
    check_info("linalg.solve", info, singular);
    return x;
}
Two solve_ex(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
    const Two r = solve_info("linalg.solve", a, b, left);
    if (check_errors) check_info("linalg.solve", std::get<1>(r), singular);
    return r;
}
Four solve_factors(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
    const auto [x, info] = solve_ex(a, b, left, check_errors);
    const LuTensors f = factor("_linalg_solve_ex", a, true);
    return {x, f.lu, f.pivots, info};
}

Tensor solve_triangular_left(const char* op, const Tensor& a_in, const Tensor& b_in, bool upper, bool unit) {
    require_dtype(op, a_in, b_in);
    if (a_in.dim() < 2 || b_in.dim() < 2 || a_in.size(-1) != a_in.size(-2) || b_in.size(-2) != a_in.size(-1))
        throw ArgumentError(std::string(op) + ": triangular " + describe(a_in) + " does not fit " + describe(b_in));
    const auto [a_all, b_all] = broadcast_batches(a_in, b_in);
    const Matrices a(op, a_all);
    const Matrices b(op, b_all);
    MatrixResults x(b.batch(), b.rows(), b.columns());
    for (std::int64_t i = 0; i < b.count(); ++i) {
        Matrix solution = b[i];
        dense::solve_triangular(a[i], solution, upper, unit);
        x.set(i, solution);
    }
    return x.to(b_in.dtype());
}
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unit) {
    const char* op = "linalg.solve_triangular";
    if (left) return solve_triangular_left(op, a, b, upper, unit);
    if (b.dim() < 2 || a.dim() < 2) throw ArgumentError(std::string(op) + ": expected matrices, found " + describe(a));
    const Tensor x = solve_triangular_left(op, a.transpose(-2, -1), b.transpose(-2, -1), !upper, unit);
    return x.contiguous().transpose(-2, -1);
}
Two triangular_solve(const Tensor& self, const Tensor& a, bool upper, bool transpose, bool unit) {
    if (a.dim() < 2)
        throw ArgumentError("triangular_solve: expected 'A' of at least 2 dimensions, found " + describe(a));
    const Tensor m = transpose ? adjoint_of(a) : a;
    const Tensor x = solve_triangular_left("triangular_solve", m, self, upper != transpose, unit);
    Ints shape(x.shape().begin(), x.shape().end() - 2);
    shape.insert(shape.end(), a.shape().end() - 2, a.shape().end());
    return {x, a.expand(shape).transpose(-2, -1).contiguous().clone().transpose(-2, -1)};
}

// Cholesky.

Two cholesky_info(const char* op, const Tensor& a, bool upper) {
    const Matrices in(op, a);
    in.require_square(op);
    MatrixResults out(in.batch(), in.rows(), in.rows());
    VectorResults<std::int64_t> info(in.batch(), 1, DType::Int64);
    for (std::int64_t i = 0; i < in.count(); ++i) {
        std::int64_t code = 0;
        const Matrix l = dense::cholesky(upper ? dense::adjoint(in[i]) : in[i], code);
        out.set(i, upper ? dense::adjoint(l) : l);
        info.set(i, Ints{code});
    }
    return {out.to(a.dtype()), info.to(DType::Int32).squeeze(-1)};
}
constexpr const char* not_positive = "the matrix is not positive definite";
Tensor cholesky_named(const char* op, const Tensor& a, bool upper) {
    const auto [l, info] = cholesky_info(op, a, upper);
    check_info(op, info, not_positive);
    return l;
}
Tensor linalg_cholesky(const Tensor& a, bool upper) { return cholesky_named("linalg.cholesky", a, upper); }
Tensor cholesky(const Tensor& a, bool upper) { return cholesky_named("cholesky", a, upper); }
Two cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
    const Two r = cholesky_info("linalg.cholesky_ex", a, upper);
    if (check_errors) check_info("linalg.cholesky_ex", std::get<1>(r), not_positive);
    return r;
}
Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper) {
    const char* op = "cholesky_solve";
    if (factor.dim() < 2) throw ArgumentError(std::string(op) + ": expected matrices, found " + describe(factor));
    const Tensor l = upper ? adjoint_of(factor) : factor;
    return solve_triangular_left(op, adjoint_of(l), solve_triangular_left(op, l, b, false, false), true, false);
}
Tensor cholesky_inverse(const Tensor& factor, bool upper) {
    const Matrices in("cholesky_inverse", factor);
    in.require_square("cholesky_inverse");
    return map_matrices("cholesky_inverse", factor, in.rows(), in.rows(), [&](const Matrix& m) {
        for (std::int64_t i = 0; i < m.rows(); ++i)
            if (m(i, i) == 0.0)
                throw ArgumentError("cholesky_inverse: the factor is singular, its diagonal holds 0 at " +
                                    std::to_string(i));
        const Matrix l = upper ? dense::adjoint(m) : m;
        Matrix x = Matrix::identity(m.rows());
        dense::solve_triangular(l, x, false, false);
        dense::solve_triangular(dense::adjoint(l), x, true, false);
        return x;
    });
}

// Inverses of tensors seen as matrices.

Tensor tensorinv(const Tensor& self, std::int64_t ind) {
    if (ind < 1 || ind > self.dim())
        throw ArgumentError("linalg.tensorinv: expected 'ind' between 1 and " + std::to_string(self.dim()) +
                            ", found " + std::to_string(ind));
    const Ints lead(self.shape().begin(), self.shape().begin() + ind);
    Ints shape(self.shape().begin() + ind, self.shape().end());
    if (numel_of(lead) != numel_of(shape))
        throw ArgumentError("linalg.tensorinv: 'ind' does not part " + describe(self) + " into equal halves");
    shape.insert(shape.end(), lead.begin(), lead.end());
    return linalg_inv(self.reshape({numel_of(lead), numel_of(lead)})).reshape(std::span<const std::int64_t>(shape));
}
Tensor tensorsolve(const Tensor& self, const Tensor& other, const std::optional<Ints>& dims) {
    Tensor a = self;
    if (dims) {
        Ints order;
        const Ints& last = *dims;
        for (std::int64_t d = 0; d < self.dim(); ++d)
            if (std::none_of(last.begin(), last.end(), [&](std::int64_t v) { return self.wrap_dim(v) == d; }))
                order.push_back(d);
        for (const std::int64_t d : last) order.push_back(self.wrap_dim(d));
        a = self.permute(order);
    }
    if (other.dim() > a.dim())
        throw ArgumentError("linalg.tensorsolve: " + describe(self) + " does not fit " + describe(other));
    const Ints shape(a.shape().begin() + other.dim(), a.shape().end());
    if (numel_of(shape) != other.numel() || a.numel() != other.numel() * other.numel())
        throw ArgumentError("linalg.tensorsolve: " + describe(self) + " does not fit " + describe(other));
    return linalg_solve(a.reshape({other.numel(), other.numel()}), other.reshape({-1}), true)
        .reshape(std::span<const std::int64_t>(shape));
}

}  // namespace

Tensor linalg_inv(const Tensor& a) {
    require_full_precision("linalg.inv", a);
    const auto [x, info] = inv_info("linalg.inv", a);
    check_info("linalg.inv", info, singular);
    return x;
}

void register_linalg(Registry& r) {
    r.add("linalg_det(Tensor A) -> Tensor", det);
    r.add("det(Tensor self) -> Tensor", det);
    r.add("_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)", det_factors);
    r.add("linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)", slogdet);
    r.add("slogdet(Tensor self) -> (Tensor sign, Tensor logabsdet)", slogdet);
    r.add("_linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet, Tensor LU, Tensor pivots)", slogdet_factors);
    r.add("logdet(Tensor self) -> Tensor", logdet);
    r.add("linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)", lu);
    r.add(
        "lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P, "
        "Tensor L, Tensor U)",
        lu_unpack);
    r.add("linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)", lu_factor);
    r.add(
        "linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, "
        "Tensor info)",
        lu_factor_ex);
    r.add(
        "_lu_with_info(Tensor self, bool pivot=True, bool check_errors=True) -> (Tensor LU, Tensor pivots, Tensor "
        "info)",
        lu_factor_ex);
    r.add("linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor",
          lu_solve);
    r.add("lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor", lu_solve_old);
    r.add("linalg_inv(Tensor A) -> Tensor", linalg_inv);
    r.add("inverse(Tensor self) -> Tensor", linalg_inv);
    r.add("linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)", inv_ex);
    r.add("linalg_solve(Tensor A, Tensor B, *, bool left=True) -> Tensor", linalg_solve);
    r.add(
        "linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor "
        "info)",
        solve_ex);
    r.add(
        "_linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor "
        "LU, Tensor pivots, Tensor info)",
        solve_factors);
    r.add(
        "linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> "
        "Tensor",
        solve_triangular);
    r.add(
        "triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> "
        "(Tensor solution, Tensor cloned_coefficient)",
        triangular_solve);
    r.add("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor", linalg_cholesky);
    r.add("cholesky(Tensor self, bool upper=False) -> Tensor", cholesky);
    r.add("linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)",
          cholesky_ex);
    r.add("cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor", cholesky_solve);
    r.add("cholesky_inverse(Tensor self, bool upper=False) -> Tensor", cholesky_inverse);
    r.add("linalg_tensorinv(Tensor self, int ind=2) -> Tensor", tensorinv);
    r.add("linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> Tensor", tensorsolve);
}

}  // namespace torch_ir::kernels
