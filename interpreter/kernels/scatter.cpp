// SPDX-License-Identifier: MIT
// Along one dimension by an index tensor: gather, scatter in all modes, and reductions into rows (index_add,
// index_reduce).
#include <algorithm>
#include <cmath>
#include <limits>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/move.hpp"
#include "kernels/reduce_mode.hpp"
#include "kernels/view.hpp"
#include "overlap.hpp"
#include "parallel.hpp"
#include "stepwise.hpp"

namespace torch_ir::kernels {

namespace {

/// A walk over all elements of an index tensor: for each, where it points to in `target` and where its own place is in
/// `other`.
struct IndexWalk {
    Tensor index;  // int64, contiguous, at least 1-d
    Tensor target;
    Tensor other;
    std::size_t dim = 0;

    /// Calls `f(target element offset, other element offset)`; rows in parallel when asked for.
    template <class F>
    void run(bool parallel, F f) const {
        const std::size_t last = index.shape().size() - 1;
        const std::int64_t n = index.shape()[last];
        if (index.numel() == 0) return;
        const std::int64_t size = target.shape()[dim];
        const std::int64_t along = target.strides()[dim];
        const std::int64_t target_step = dim == last ? 0 : target.strides()[last];
        const std::int64_t other_step = other.strides()[last];
        const auto* values = index.data<std::int64_t>();
        const std::int64_t rows = index.numel() / n;
        const auto run_rows = [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
                std::int64_t to = 0;
                std::int64_t from = 0;
                std::int64_t rest = row;
                for (std::size_t d = last; d-- > 0;) {
                    const std::int64_t i = rest % index.shape()[d];
                    rest /= index.shape()[d];
                    from += i * other.strides()[d];
                    if (d != dim) to += i * target.strides()[d];
                }
                const std::int64_t* at = values + row * n;
                bool inside = true;
                for (std::int64_t j = 0; j < n; ++j)
                    inside &= static_cast<std::uint64_t>(at[j]) < static_cast<std::uint64_t>(size);
                if (!inside)
                    for (std::int64_t j = 0; j < n; ++j)
                        checked_index(at[j], size, false, static_cast<std::int64_t>(dim));
                if (along == 1 && target_step == 0 && other_step == 1)
                    for (std::int64_t j = 0; j < n; ++j) f(to + at[j], from + j);
                else
                    for (std::int64_t j = 0; j < n; ++j) f(to + at[j] * along + j * target_step, from + j * other_step);
            }
        };
        if (parallel)
            parallel_for(rows, std::max<std::int64_t>(1, parallel_grain / n), run_rows);
        else
            run_rows(0, rows);
    }
};

Tensor at_least_1d(In x) { return x.dim() == 0 ? x.unsqueeze(0) : x; }

/// Checks the shapes: `index` must fit into `target` except along `dim`, and into `other` everywhere.
IndexWalk index_walk(const char* op, In target, std::int64_t dim, In index, In other) {
    IndexWalk walk{at_least_1d(to_indices(op, index)), at_least_1d(target), at_least_1d(other),
                   static_cast<std::size_t>(target.wrap_dim(dim))};
    if (walk.index.numel() == 0) return walk;
    const auto fail = [&](const char* what, In tensor) {
        throw ArgumentError(
            std::string(op) + ": expected index " + to_string(index.shape()) + " to be no larger than " + what + " " +
            to_string(tensor.shape()) +
            (what == std::string("self") ? " apart from dimension " + std::to_string(walk.dim) : std::string()));
    };
    if (walk.index.dim() != walk.target.dim())
        throw ArgumentError(std::string(op) + ": expected index to have the same number of dimensions as self, found " +
                            to_string(index.shape()) + " and " + to_string(target.shape()));
    if (walk.index.dim() != walk.other.dim())
        throw ArgumentError(std::string(op) + ": expected index to have the same number of dimensions as src, found " +
                            to_string(index.shape()) + " and " + to_string(other.shape()));
    for (std::size_t d = 0; d < walk.index.shape().size(); ++d) {
        if (d != walk.dim && walk.index.shape()[d] > walk.target.shape()[d]) fail("self", target);
        if (walk.index.shape()[d] > walk.other.shape()[d]) fail("src", other);
    }
    return walk;
}

/// Calls `f` with an unsigned word of that size.
template <class F>
void visit_item(DType dtype, F&& f) {
    switch (item_size(dtype)) {
        case 1:
            return f(std::uint8_t{});
        case 2:
            return f(std::uint16_t{});
        case 4:
            return f(std::uint32_t{});
        case 8:
            return f(std::uint64_t{});
        default:
            return f(std::complex<double>{});
    }
}

}  // namespace

Tensor gather(In self, std::int64_t dim, In index, bool /*sparse_grad*/) {
    Tensor result = Tensor::empty(index.shape(), self.dtype());
    const IndexWalk walk = index_walk("gather", self, dim, index, result);
    visit_item(self.dtype(), [&]<class Word>(Word) {
        const auto* from = self.data<Word>();
        auto* to = result.data<Word>();
        walk.run(true, [=](std::int64_t source, std::int64_t place) { to[place] = from[source]; });
    });
    return result;
}

namespace {

Tensor scatter_into(In self, std::int64_t dim, In index, In src) {
    if (src.dtype() != self.dtype())
        throw ArgumentError("scatter: expected self.dtype to be equal to src.dtype, found " + describe(self) + " and " +
                            describe(src));
    check_overlap(self);
    check_overlap(self, index, Sharing::Nothing);
    check_overlap(self, src, Sharing::Nothing);
    const IndexWalk walk = index_walk("scatter", self, dim, index, src);
    visit_item(self.dtype(), [&]<class Word>(Word) {
        auto* to = self.data<Word>();
        const auto* from = src.data<Word>();
        walk.run(false, [=](std::int64_t place, std::int64_t source) { to[place] = from[source]; });
    });
    return self;
}

/// The number at every place of the index.
Tensor everywhere(In value, In self, In index) {
    if (value.dim() != 0) throw ArgumentError("scatter: expected value to be a number, found " + describe(value));
    return fitting("scatter", value, self.dtype()).expand(index.shape());
}

Reduce parse_reduce(const char* op, const std::string& reduce) {
    if (reduce == "sum" || reduce == "add") return Reduce::Sum;
    if (reduce == "prod" || reduce == "multiply") return Reduce::Prod;
    if (reduce == "mean") return Reduce::Mean;
    if (reduce == "amax") return Reduce::Amax;
    if (reduce == "amin") return Reduce::Amin;
    throw ArgumentError(std::string(op) + ": expected reduce to be one of sum, prod, mean, amax, amin, found '" +
                        reduce + "'");
}

template <class C>
C divided_by_count(C sum, std::int64_t count) {
    if constexpr (std::is_same_v<C, std::int64_t>) {
        const C q = sum / count;
        return q * count != sum && sum < 0 ? q - 1 : q;
    } else {
        return sum / static_cast<C>(static_cast<double>(count));
    }
}

/// Combines the elements that a walk pairs, in arithmetic of type A: `visit(f)` calls `f(place in work, place in
/// source)`. What is divided for a mean is rounded to type Sum.
template <class C, class A, class Sum, class Visit>
void reduce_pairs(Reduce reduce, bool include_self, C* work, std::int64_t size, const C* source, Visit visit) {
    if (!include_self) visit([&](std::int64_t place, std::int64_t) { work[place] = identity_of<C>(reduce); });
    if (reduce != Reduce::Mean)
        return visit([&](std::int64_t place, std::int64_t from) {
            combine(reduce, work[place], source[from]);
            work[place] = static_cast<C>(A(work[place]));
        });
    std::vector<std::int64_t> counts(static_cast<std::size_t>(size), include_self ? 1 : 0);
    visit([&](std::int64_t place, std::int64_t from) {
        work[place] = static_cast<C>(A(work[place] + source[from]));
        ++counts[static_cast<std::size_t>(place)];
    });
    for (std::int64_t i = 0; i < size; ++i)
        if (counts[static_cast<std::size_t>(i)] > 1)
            work[i] = divided_by_count(static_cast<C>(Sum(work[i])), counts[static_cast<std::size_t>(i)]);
}

void check_order(const char* op, Reduce reduce, DType dtype) {
    if (is_complex(dtype) && (reduce == Reduce::Amax || reduce == Reduce::Amin))
        throw ArgumentError(std::string(op) + ": amax and amin are not defined for dtype '" + std::string(name(dtype)) +
                            "'");
}

/// A contiguous copy in the compute type.
template <class C>
Tensor computed(In x) {
    Tensor result = Tensor::empty(x.shape(), dtype_of<C>());
    result.copy_from(x);
    return result;
}

Tensor scatter_reduced(const char* op, In self, std::int64_t dim, In index, In src, Reduce reduce, bool include_self) {
    if (src.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected self.dtype to be equal to src.dtype, found " +
                            describe(self) + " and " + describe(src));
    check_order(op, reduce, self.dtype());
    Tensor result = Tensor::empty(self.shape(), self.dtype());
    visit_stepwise(self.dtype(), [&]<class C, class A>(C, A) {
        const Tensor work = computed<C>(self);
        const Tensor source = src.to(dtype_of<C>());
        const IndexWalk walk = index_walk(op, work, dim, index, source);
        reduce_pairs<C, C, A>(reduce, include_self, work.data<C>(), work.numel(), source.data<C>(),
                              [&](auto f) { walk.run(false, f); });
        result.copy_from(work);
    });
    return result;
}

Tensor scatter_add(In self, std::int64_t dim, In index, In src) {
    return scatter_reduced("scatter_add", self, dim, index, src, Reduce::Sum, true);
}

Tensor scatter_reduce_two(In self, std::int64_t dim, In index, In src, const std::string& reduce, bool include_self) {
    return scatter_reduced("scatter_reduce", self, dim, index, src, parse_reduce("scatter_reduce", reduce),
                           include_self);
}

Tensor scatter_reduce(In self, std::int64_t dim, In index, In src, const std::string& reduce) {
    if (reduce != "add" && reduce != "multiply")
        throw ArgumentError("scatter: expected reduce to be 'add' or 'multiply', found '" + reduce + "'");
    return scatter_reduced("scatter", self, dim, index, src, parse_reduce("scatter", reduce), true);
}

/// Rows of `source` along `dim` combined into the rows `index` of `self`.
Tensor reduce_rows(const char* op, In self, std::int64_t dim, In index, In source, Reduce reduce, bool include_self,
                   const Scalar& alpha) {
    const std::int64_t d = self.wrap_dim(dim);
    if (index.dim() > 1)
        throw ArgumentError(std::string(op) + ": expected index to be a 0-d or 1-d tensor, found " + describe(index));
    if (source.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected self and source to have the same dtype, found " +
                            describe(self) + " and " + describe(source));
    check_order(op, reduce, self.dtype());
    const Tensor target = at_least_1d(self);
    const Tensor rows = at_least_1d(source);
    const Tensor indices = to_indices(op, index);
    Ints shape = target.shape();
    shape[static_cast<std::size_t>(d)] = indices.numel();
    if (rows.shape() != shape || (self.dim() == 0 && source.dim() != 0))
        throw ArgumentError(std::string(op) + ": expected source of shape " + to_string(shape) + ", found " +
                            describe(source));
    Tensor result = Tensor::empty(target.shape(), target.dtype());
    visit_stepwise(self.dtype(), [&]<class C, class A>(C, A) {
        const Tensor work = computed<C>(movedim(target, {d}, {0}));
        const Tensor values = computed<C>(movedim(rows, {d}, {0}));
        const std::int64_t row = work.numel() == 0 ? 0 : work.numel() / work.size(0);
        auto* from = values.template data<C>();
        if (const C k = fitted<C>(op, alpha, self.dtype()); k != C(1))
            for (std::int64_t i = 0; i < values.numel(); ++i) from[i] = static_cast<C>(A(from[i] * k));
        reduce_pairs<C, A, A>(reduce, include_self, work.template data<C>(), work.numel(), from, [&](auto f) {
            for (std::int64_t k = 0; k < indices.numel(); ++k) {
                const std::int64_t to = checked_index(indices.data<std::int64_t>()[k], work.size(0), false, d) * row;
                for (std::int64_t j = 0; j < row; ++j) f(to + j, k * row + j);
            }
        });
        movedim(result, {d}, {0}).copy_from(work);
    });
    return self.dim() == 0 ? result.reshape({}) : result;
}

Tensor index_add(In self, std::int64_t dim, In index, In source, const Scalar& alpha) {
    // Like PyTorch, which rounds every step but those of scatter_add.
    const std::int64_t d = self.wrap_dim(dim);
    if (is_half(self.dtype()) && self.dim() > 1 && index.dim() == 1 && (d == 0 || d == self.dim() - 1) &&
        alpha.to<double>() == 1) {
        Ints shape(self.shape().size(), 1);
        shape[static_cast<std::size_t>(d)] = index.numel();
        Ints rows = self.shape();
        rows[static_cast<std::size_t>(d)] = index.numel();
        if (source.shape() == rows) return scatter_add(self, d, index.reshape(shape).expand(rows), source);
    }
    return reduce_rows("index_add", self, dim, index, source, Reduce::Sum, true, alpha);
}

Tensor index_reduce(In self, std::int64_t dim, In index, In source, const std::string& reduce, bool include_self) {
    const Reduce mode = parse_reduce("index_reduce", reduce);
    if (mode == Reduce::Sum)
        throw ArgumentError("index_reduce: expected reduce to be one of prod, mean, amax, amin, found '" + reduce +
                            "'");
    return reduce_rows("index_reduce", self, dim, index, source, mode, include_self, 1);
}

Tensor index_select_backward(In grad, const Ints& self_sizes, std::int64_t dim, In index) {
    return index_add(Tensor::zeros(self_sizes, grad.dtype()), dim, index, grad, 1);
}

Tensor gather_backward(In grad, In self, std::int64_t dim, In index, bool sparse_grad) {
    if (sparse_grad) throw UnsupportedError("gather_backward: sparse gradients are not supported");
    return scatter_add(Tensor::zeros(self.shape(), grad.dtype()), dim, index, grad);
}

/// Of a reduction that chooses elements (max, median, sort, topk): the gradient goes to where they were.
Tensor value_selecting_reduction_backward(In grad, std::int64_t dim, In indices, const Ints& sizes, bool keepdim) {
    const Tensor zeros = Tensor::zeros(sizes, grad.dtype());
    if (keepdim || sizes.empty()) return scatter_add(zeros, dim, indices, grad);
    const std::int64_t d = zeros.wrap_dim(dim);
    return scatter_add(zeros, d, indices.unsqueeze(d), grad.unsqueeze(d));
}

Tensor take_along_dim(In self, In indices, std::optional<std::int64_t> dim) {
    if (indices.dtype() != DType::Int64)
        throw ArgumentError("take_along_dim: expected indices to be an int64 tensor, found " + describe(indices));
    if (!dim) return gather(self.reshape({-1}), 0, indices.reshape({-1}), false);
    const std::int64_t length = self.dim() == 0 ? 1 : self.size(*dim);
    const Tensor wrapped = elementwise<std::int64_t>(  // modulo the length, as in PyTorch
        DType::Int64,
        [length](std::int64_t i) {
            const std::int64_t left = length == 0 ? i : i % length;
            return left < 0 ? left + length : left;
        },
        indices);
    if (self.dim() != indices.dim())
        throw ArgumentError("take_along_dim: expected indices to have the same number of dimensions as self, found " +
                            describe(indices) + " and " + describe(self));
    if (self.dim() == 0) return gather(self, 0, wrapped, false);
    const auto d = static_cast<std::size_t>(self.wrap_dim(*dim));
    Ints self_shape = self.shape();
    Ints index_shape = indices.shape();
    self_shape[d] = 1;
    index_shape[d] = 1;
    Ints shape = broadcast_shapes(self_shape, index_shape);
    self_shape = shape;
    index_shape = shape;
    self_shape[d] = self.shape()[d];
    index_shape[d] = indices.shape()[d];
    return gather(self.expand(self_shape), static_cast<std::int64_t>(d), wrapped.expand(index_shape), false);
}

}  // namespace

void register_scatter(Registry& r) {
    r.add("gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", gather);
    r.add("take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor", take_along_dim);
    r.add("scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
          [](In self, std::int64_t dim, In index, In src) {
              return scatter_into(copy_to(self, self.dtype(), MemoryFormat::Contiguous), dim, index, src);
          });
    r.add("scatter_.src(Tensor(a!) self, int dim, Tensor index, Tensor src) -> Tensor(a!)", scatter_into);
    r.add("scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
          [](In self, std::int64_t dim, In index, In value) {
              return scatter_into(copy_to(self, self.dtype(), MemoryFormat::Contiguous), dim, index,
                                  everywhere(value, self, index));
          });
    r.add("scatter_.value(Tensor(a!) self, int dim, Tensor index, Scalar value) -> Tensor(a!)",
          [](In self, std::int64_t dim, In index, In value) {
              return scatter_into(self, dim, index, everywhere(value, self, index));
          });
    r.add("scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor", scatter_reduce);
    r.add("scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor",
          [](In self, std::int64_t dim, In index, In value, const std::string& reduce) {
              return scatter_reduce(self, dim, index, everywhere(value, self, index), reduce);
          });
    r.add("scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", scatter_add);
    r.add(
        "scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> "
        "Tensor",
        scatter_reduce_two);
    r.add("index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor", index_add);
    r.add(
        "index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> "
        "Tensor",
        index_reduce);
    r.add("gather_backward(Tensor grad, Tensor self, int dim, Tensor index, bool sparse_grad) -> Tensor",
          gather_backward);
    r.add(
        "value_selecting_reduction_backward(Tensor grad, int dim, Tensor indices, SymInt[] sizes, bool keepdim) -> "
        "Tensor",
        value_selecting_reduction_backward);
    r.add("cummaxmin_backward(Tensor grad, Tensor input, Tensor indices, int dim) -> Tensor",
          [](In grad, In input, In indices, std::int64_t dim) {
              return scatter_add(Tensor::zeros(input.shape(), grad.dtype()), dim, indices, grad);
          });
    r.add("index_select_backward(Tensor grad, SymInt[] self_sizes, int dim, Tensor index) -> Tensor",
          index_select_backward);
}

}  // namespace torch_ir::kernels
