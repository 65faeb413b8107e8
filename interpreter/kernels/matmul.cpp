// SPDX-License-Identifier: MIT
// Matrix products: mm, bmm, matmul, linear and what adds to them. Products run in float, double, int64 or complex128;
// 16-bit floats are converted, accumulated in float and rounded once.
#include "kernels/matmul.hpp"

#include <cstring>

#include "backend/gemm.hpp"
#include "backend/gemm_loop.hpp"
#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "parallel.hpp"
#include "promote.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {
namespace {

/// How the last two dimensions of a tensor lie in memory, as gemm wants it.
struct MatrixLayout {
    bool trans = false;
    std::int64_t ld = 0;
    bool usable = false;
};

MatrixLayout layout_of(const Tensor& t) {
    const std::int64_t rows = t.size(-2);
    const std::int64_t columns = t.size(-1);
    const std::int64_t row_stride = t.stride(-2);
    const std::int64_t column_stride = t.stride(-1);
    if ((column_stride == 1 || columns == 1) && (rows == 1 || row_stride >= std::max<std::int64_t>(columns, 1)))
        return {false, rows == 1 ? std::max<std::int64_t>(columns, 1) : row_stride, true};
    if ((row_stride == 1 || rows == 1) && (columns == 1 || column_stride >= std::max<std::int64_t>(rows, 1)))
        return {true, columns == 1 ? std::max<std::int64_t>(rows, 1) : column_stride, true};
    return {};
}

template <class C>
void multiply(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, const C* a, std::int64_t lda,
              const C* b, std::int64_t ldb, C beta, C* c, std::int64_t ldc,
              [[maybe_unused]] backend::PackCache* constant_b, [[maybe_unused]] const C* bias) {
    if constexpr (std::is_same_v<C, float>)
        backend::gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc, constant_b, bias);
    else if constexpr (std::is_same_v<C, double>)
        backend::gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
    else
        backend::gemm_loop(trans_a, trans_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

/// Element offset of batch `index` (row-major over all but the last two dimensions).
std::int64_t batch_offset(const Tensor& t, std::int64_t index) {
    std::int64_t offset = 0;
    for (std::int64_t d = t.dim() - 3; d >= 0; --d) {
        offset += index % t.size(d) * t.stride(d);
        index /= t.size(d);
    }
    return offset;
}

/// c[..., m, n] = a[..., m, k] · b[..., k, n] + beta · c; all of compute type C with equal leading dimensions, c
/// row-major in its last two. `bias`, of float, is as for gemm.
template <class C>
void multiply_batches(const Tensor& a_in, const Tensor& b_in, C beta, const Tensor& c, const C* bias) {
    const MatrixLayout la = layout_of(a_in);
    const MatrixLayout lb = layout_of(b_in);
    const Tensor a = la.usable ? a_in : a_in.contiguous();
    const Tensor b = lb.usable ? b_in : b_in.contiguous();
    const MatrixLayout layout_a = la.usable ? la : layout_of(a);
    const MatrixLayout layout_b = lb.usable ? lb : layout_of(b);
    const std::int64_t m = c.size(-2);
    const std::int64_t n = c.size(-1);
    const std::int64_t k = a.size(-1);
    if (c.numel() == 0) return;
    const std::int64_t batches = c.numel() / (m * n);
    const std::int64_t ldc = m == 1 ? n : c.stride(-2);
    const auto run = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            multiply<C>(layout_a.trans, layout_b.trans, m, n, k, a.data<C>() + batch_offset(a, i), layout_a.ld,
                        b.data<C>() + batch_offset(b, i), layout_b.ld, beta, c.data<C>() + batch_offset(c, i), ldc,
                        b.storage()->packed(), bias);
    };
    if (batches == 1)
        run(0, 1);
    else
        parallel_for(batches, std::max<std::int64_t>(1, 262144 / std::max<std::int64_t>(1, m * n * k)), run);
}

void check_same_dtype(const char* op, const Tensor& a, const Tensor& b) {
    if (a.dtype() != b.dtype())
        throw ArgumentError(std::string(op) + ": expected both operands to have the same dtype, found " +
                            std::string(name(a.dtype())) + " and " + std::string(name(b.dtype())));
}

/// Tensor of the compute type's dtype with the same strides where nothing needs converting.
template <class C>
Tensor as_compute(const Tensor& t) {
    return t.to(dtype_of<C>());
}

/// beta · start + alpha · a·b, with `start` broadcast to the result (undefined: none), for matrices or equal batches of
/// them.
Tensor product(const char* op, const Tensor& a, const Tensor& b, const Tensor& start = {}, const Scalar& beta = 1,
               const Scalar& alpha = 1) {
    check_same_dtype(op, a, b);
    if (a.size(-1) != b.size(-2))
        throw ArgumentError(std::string(op) + ": shapes " + to_string(a.shape()) + " and " + to_string(b.shape()) +
                            " cannot be multiplied");
    Ints shape = a.shape();
    shape.back() = b.size(-1);
    return visit_compute(a.dtype(), [&]<class C>(C) {
        // Of products of vectors PyTorch rounds the numbers to the dtype.
        const auto fit = [&](const Scalar& number) {
            return b.size(-1) == 1 ? fitted<C>(op, number, a.dtype()) : fitted_wide<C>(op, number, a.dtype());
        };
        const C alpha_value = fit(alpha), beta_value = fit(beta);
        Tensor c = Tensor::empty(shape, dtype_of<C>());
        const bool starts = start.defined() && beta_value != C(0) && alpha_value == C(1);
        const bool is_bias = std::is_same_v<C, float> && starts && beta_value == C(1) && c.dim() == 2 &&
                             start.dim() == 1 && start.size(0) == c.size(1) && start.is_contiguous();
        const bool accumulate = starts && !is_bias;
        const Tensor bias = is_bias ? as_compute<C>(start) : Tensor{};
        if (accumulate) {
            if (beta_value == C(1))
                c.copy_from(start);
            else
                elementwise_into<C>(
                    c, [beta_value](C x) { return beta_value * x; }, start);
        }
        multiply_batches<C>(as_compute<C>(a), as_compute<C>(b), C(accumulate ? 1 : 0), c,
                            is_bias ? bias.data<C>() : nullptr);
        if (alpha_value != C(1)) {
            if (start.defined() && beta_value != C(0))
                elementwise_into<C>(
                    c, [=](C x, C s) { return alpha_value * x + beta_value * s; }, c, start);
            else
                elementwise_into<C>(
                    c, [=](C x) { return alpha_value * x; }, c);
        }
        return c.to(a.dtype());
    });
}

void check_dim(const char* op, const char* argument, const Tensor& t, std::int64_t dim) {
    if (t.dim() != dim)
        throw ArgumentError(std::string(op) + ": argument '" + argument + "' must have " + std::to_string(dim) +
                            " dimensions, found shape " + to_string(t.shape()));
}

void check_expands(const char* op, const Tensor& t, const Ints& shape) {
    with_context(std::string(op), [&] { return t.expand(shape); });
}

Tensor mm(const Tensor& self, const Tensor& mat2) {
    check_dim("mm", "self", self, 2);
    check_dim("mm", "mat2", mat2, 2);
    return product("mm", self, mat2);
}

Tensor bmm(const Tensor& self, const Tensor& mat2) {
    check_dim("bmm", "self", self, 3);
    check_dim("bmm", "mat2", mat2, 3);
    if (self.size(0) != mat2.size(0))
        throw ArgumentError("bmm: batch sizes " + std::to_string(self.size(0)) + " and " +
                            std::to_string(mat2.size(0)) + " differ");
    return product("bmm", self, mat2);
}

Tensor addmm(const Tensor& self, const Tensor& mat1, const Tensor& mat2, const Scalar& beta, const Scalar& alpha) {
    check_dim("addmm", "mat1", mat1, 2);
    check_dim("addmm", "mat2", mat2, 2);
    check_same_dtype("addmm", self, mat1);
    check_expands("addmm", self, {mat1.size(0), mat2.size(1)});
    return product("addmm", mat1, mat2, self, beta, alpha);
}

Tensor baddbmm(const Tensor& self, const Tensor& batch1, const Tensor& batch2, const Scalar& beta,
               const Scalar& alpha) {
    check_dim("baddbmm", "batch1", batch1, 3);
    check_dim("baddbmm", "batch2", batch2, 3);
    check_same_dtype("baddbmm", self, batch1);
    if (batch1.size(0) != batch2.size(0))
        throw ArgumentError("baddbmm: batch sizes " + std::to_string(batch1.size(0)) + " and " +
                            std::to_string(batch2.size(0)) + " differ");
    check_expands("baddbmm", self, {batch1.size(0), batch1.size(1), batch2.size(2)});
    return product("baddbmm", batch1, batch2, self, beta, alpha);
}

Tensor addbmm(const Tensor& self, const Tensor& batch1, const Tensor& batch2, const Scalar& beta, const Scalar& alpha) {
    check_dim("addbmm", "batch1", batch1, 3);
    check_dim("addbmm", "batch2", batch2, 3);
    if (batch1.size(0) != batch2.size(0) || batch1.size(2) != batch2.size(1))
        throw ArgumentError("addbmm: shapes " + to_string(batch1.shape()) + " and " + to_string(batch2.shape()) +
                            " cannot be multiplied");
    if (is_half(self.dtype()) && batch1.size(0) > 0) {  // each sum is rounded
        Tensor sum = self;
        for (std::int64_t i = 0; i < batch1.size(0); ++i)
            sum = addmm(sum, batch1.select(0, i), batch2.select(0, i), i == 0 ? beta : Scalar(1), alpha);
        return sum;
    }
    // sum_b A_b B_b is one product over the concatenated inner dimension.
    const Tensor a = batch1.transpose(0, 1).reshape({batch1.size(1), batch1.size(0) * batch1.size(2)});
    const Tensor b = batch2.reshape({batch2.size(0) * batch2.size(1), batch2.size(2)});
    return addmm(self, a, b, beta, alpha);
}

Tensor mv(const Tensor& self, const Tensor& vec) {
    check_dim("mv", "self", self, 2);
    check_dim("mv", "vec", vec, 1);
    return product("mv", self, vec.unsqueeze(1)).squeeze(1);
}

Tensor addmv(const Tensor& self, const Tensor& mat, const Tensor& vec, const Scalar& beta, const Scalar& alpha) {
    check_dim("addmv", "mat", mat, 2);
    check_dim("addmv", "vec", vec, 1);
    check_expands("addmv", self, {mat.size(0)});
    return product("addmv", mat, vec.unsqueeze(1), self.expand(Ints{mat.size(0)}).unsqueeze(1), beta, alpha).squeeze(1);
}

Tensor dot(const Tensor& self, const Tensor& tensor) {
    check_dim("dot", "self", self, 1);
    check_dim("dot", "tensor", tensor, 1);
    return product("dot", self.unsqueeze(0), tensor.unsqueeze(1)).reshape({});
}

Tensor vdot(const Tensor& self, const Tensor& other) {
    if (!is_complex(self.dtype())) return dot(self, other);
    return dot(elementwise<std::complex<double>>(
                   self.dtype(), [](std::complex<double> x) { return std::conj(x); }, self),
               other);
}

Tensor outer(const Tensor& self, const Tensor& vec2) {
    check_dim("outer", "self", self, 1);
    check_dim("outer", "vec2", vec2, 1);
    const DType dtype = result_type(self, vec2);
    return visit_compute(dtype, [&]<class C>(C) {
        return elementwise<C>(
            dtype, [](C x, C y) { return x * y; }, self.unsqueeze(1), vec2.unsqueeze(0));
    });
}

Tensor addr(const Tensor& self, const Tensor& vec1, const Tensor& vec2, const Scalar& beta, const Scalar& alpha) {
    check_dim("addr", "vec1", vec1, 1);
    check_dim("addr", "vec2", vec2, 1);
    const Tensor* const operands[] = {&self, &vec1, &vec2};
    const DType dtype = result_type(operands);
    for (const auto& [argument, number] : {std::pair{"alpha", alpha}, std::pair{"beta", beta}})
        if (number.kind() == Scalar::Kind::Bool && dtype != DType::Bool)
            throw ArgumentError(std::string("addr: argument '") + argument + "' may only be a bool when the result is");
    const Tensor column = vec1.unsqueeze(1), row = vec2.unsqueeze(0);
    return visit_stepwise(dtype, [&]<class C, class A>(C, A) {
        const A a(fitted<C>("addr", alpha, dtype)), b(fitted<C>("addr", beta, dtype));
        if (b == A(0))
            return elementwise<C>(
                dtype, [a](C x, C y) { return static_cast<C>(a * A(x) * A(y)); }, column, row);
        return elementwise<C>(
            dtype, [a, b](C x, C y, C s) { return static_cast<C>(b * A(s) + a * A(x) * A(y)); }, column, row, self);
    });
}

}  // namespace

Tensor matmul(const Tensor& self, const Tensor& other) {
    if (self.dim() == 0 || other.dim() == 0)
        throw ArgumentError("matmul: both operands must have at least one dimension, found shapes " +
                            to_string(self.shape()) + " and " + to_string(other.shape()));
    if (self.dim() == 1 && other.dim() == 1) return dot(self, other);
    if (self.dim() == 1) return matmul(self.unsqueeze(0), other).squeeze(-2);
    if (other.dim() == 1) return matmul(self, other.unsqueeze(1)).squeeze(-1);
    if (other.dim() == 2 && self.dim() > 2 && self.is_contiguous()) {  // one matrix for all rows
        Ints shape = self.shape();
        shape.back() = other.size(1);
        const std::int64_t inner = self.size(-1);
        if (inner != other.size(0))
            throw ArgumentError("matmul: shapes " + to_string(self.shape()) + " and " + to_string(other.shape()) +
                                " cannot be multiplied");
        const std::int64_t row_count =
            inner == 0 ? numel_of(std::span(shape).first(shape.size() - 1)) : self.numel() / inner;
        return product("matmul", self.reshape({row_count, inner}), other).reshape(shape);
    }
    const auto batch = [](const Tensor& t) { return std::span(t.shape()).first(t.shape().size() - 2); };
    const Ints leading = broadcast_shapes(batch(self), batch(other));
    const auto expand = [&](const Tensor& t) {
        Ints shape = leading;
        shape.push_back(t.size(-2));
        shape.push_back(t.size(-1));
        return t.expand(shape);
    };
    return product("matmul", expand(self), expand(other));
}

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
    if (weight.dim() == 1) {  // a single output without its dimension
        Tensor y = matmul(input, weight);
        return bias.defined() ? visit_compute(y.dtype(),
                                              [&]<class C>(C) {
                                                  return elementwise<C>(
                                                      y.dtype(), [](C a, C b) { return a + b; }, y, bias);
                                              })
                              : y;
    }
    check_dim("linear", "weight", weight, 2);
    if (input.dim() == 0 || input.size(-1) != weight.size(1))
        throw ArgumentError("linear: input of shape " + to_string(input.shape()) + " does not fit weight of shape " +
                            to_string(weight.shape()));
    Ints shape = input.shape();
    shape.back() = weight.size(0);
    const std::int64_t inner = weight.size(1);
    const std::int64_t row_count = numel_of(std::span(shape).first(shape.size() - 1));
    if (bias.defined()) check_same_dtype("linear", bias, weight);
    return product("linear", input.reshape({row_count, inner}), weight.transpose(0, 1), bias).reshape(shape);
}

void register_matmul(Registry& r) {
    r.add("mm(Tensor self, Tensor mat2) -> Tensor", mm);
    r.add("bmm(Tensor self, Tensor mat2) -> Tensor", bmm);
    r.add("matmul(Tensor self, Tensor other) -> Tensor", matmul);
    r.add("linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", linear);
    r.add("addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", addmm);
    r.add("_sparse_addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", addmm);
    r.add("baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", baddbmm);
    r.add("addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", addbmm);
    r.add("mv(Tensor self, Tensor vec) -> Tensor", mv);
    r.add("addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor", addmv);
    r.add("dot(Tensor self, Tensor tensor) -> Tensor", dot);
    r.add("vdot(Tensor self, Tensor other) -> Tensor", vdot);
    r.add("outer(Tensor self, Tensor vec2) -> Tensor", outer);
    r.add("ger(Tensor self, Tensor vec2) -> Tensor", outer);
    r.add("addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", addr);
}

}  // namespace torch_ir::kernels
