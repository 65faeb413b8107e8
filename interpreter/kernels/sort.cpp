// SPDX-License-Identifier: MIT
// Sorting, the k largest, and order statistics of rows. NaN counts as the largest value; where the order of equal
// values is left open, they are where PyTorch leaves them.
#include "kernels/sort.hpp"

#include <cmath>
#include <limits>

#include "kernels/families.hpp"
#include "kernels/view.hpp"
#include "parallel.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using Values = std::tuple<Tensor, Tensor>;

/// All values of a row with their indices.
struct CollectAll {
    template <class C>
    void operator()(std::span<const C> values, std::vector<Ranked<C>>& row) const {
        row.clear();
        for (std::size_t j = 0; j < values.size(); ++j) row.push_back({values[j], static_cast<std::int64_t>(j)});
    }
};

/// Those among which the `k` first of an order are: most of a long row is passed over.
template <bool Largest>
struct CollectBest {
    std::size_t k;

    template <class C>
    void operator()(std::span<const C> values, std::vector<Ranked<C>>& row) const {
        const std::size_t most = 2 * k + 64;
        row.clear();
        std::size_t j = 0;
        for (; j < values.size() && row.size() < most; ++j) row.push_back({values[j], static_cast<std::int64_t>(j)});
        if (j == values.size() || k == 0) return;
        C worst = keep_best(row);
        for (; j < values.size(); ++j) {
            const C v = values[j];
            if (Largest ? v <= worst : v >= worst) continue;  // NaN is looked at closely
            row.push_back({v, static_cast<std::int64_t>(j)});
            if (row.size() == most) worst = keep_best(row);
        }
    }

    template <class C>
    static bool before(const Ranked<C>& a, const Ranked<C>& b) {
        return Largest ? ranks_above(a, b) : ranks_below(a, b);
    }

  private:
    /// Leaves the best `k`; returns the value of the last of them.
    template <class C>
    C keep_best(std::vector<Ranked<C>>& row) const {
        const auto last = row.begin() + static_cast<std::ptrdiff_t>(k) - 1;
        std::nth_element(row.begin(), last, row.end(), before<C>);
        row.resize(k);
        return row.back().value;
    }
};

/// The first `k` of an order of values alone, in the places where PyTorch's use of partial_sort or nth_element leaves
/// equal values. Where values differ, that is the order by value, which is found faster.
template <bool Largest>
struct CollectTop {
    std::size_t k;
    bool sorted;

    template <class C>
    void operator()(std::span<const C> values, std::vector<Ranked<C>>& row) const {
        const bool partial = k <= values.size() / 64;
        const auto last = [&] { return row.begin() + static_cast<std::ptrdiff_t>(k); };
        if (sorted || partial) {
            CollectBest<Largest>{k}(values, row);
            std::partial_sort(row.begin(), last(), row.end(), CollectBest<Largest>::template before<C>);
            if (differ(values, row)) return;
        }
        CollectAll()(values, row);
        if (partial) {
            std::partial_sort(row.begin(), last(), row.end(), before<C>);
        } else {
            std::nth_element(row.begin(), last() - 1, row.end(), before<C>);
            if (sorted) std::sort(row.begin(), last() - 1, before<C>);
        }
    }

  private:
    template <class C>
    static bool before(const Ranked<C>& a, const Ranked<C>& b) {
        return Largest ? less_nan_last(b.value, a.value) : less_nan_last(a.value, b.value);
    }
    /// Has each of the first `k` of `row`, which are in order, a value of its own?
    template <class C>
    bool differ(std::span<const C> values, const std::vector<Ranked<C>>& row) const {
        const auto equal = [](C a, C b) { return a == b || (a != a && b != b); };
        for (std::size_t i = 1; i < k; ++i)
            if (equal(row[i - 1].value, row[i].value)) return false;
        const C worst = row[k - 1].value;
        return std::count_if(values.begin(), values.end(), [&](C v) { return equal(v, worst); }) == 1;
    }
};

/// Calls `f(row)` for all rows along `dim` in parallel: `row` holds the collected (value, index) pairs to be reordered,
/// whose first `k` become the results.
template <class F, class Collect = CollectAll>
Values along(const char* op, const Tensor& self, std::int64_t dim, std::int64_t k, F f, Collect collect = {}) {
    static_cast<void>(self.wrap_dim(dim));
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dim);
        Ints shape = in.memory.shape();
        if (!shape.empty()) shape.back() = k;
        Tensor values = Tensor::empty(shape, dtype_of<C>());
        Tensor indices = Tensor::empty(shape, DType::Int64);
        if (values.numel() > 0)
            parallel_for(in.count, std::max<std::int64_t>(1, 2048 / std::max<std::int64_t>(1, in.length)),
                         [&](std::int64_t begin, std::int64_t end) {
                             std::vector<Ranked<C>> row;
                             for (std::int64_t i = begin; i < end; ++i) {
                                 collect(in[i], row);
                                 f(row);
                                 for (std::int64_t j = 0; j < k; ++j) {
                                     values.data<C>()[i * k + j] = row[static_cast<std::size_t>(j)].value;
                                     indices.data<std::int64_t>()[i * k + j] = row[static_cast<std::size_t>(j)].index;
                                 }
                             }
                         });
        const Ints dims = self.dim() == 0 ? Ints{} : Ints{self.wrap_dim(dim)};
        if (self.dim() == 0) return Values(values.to(self.dtype()), indices);
        Ints like = self.shape();
        like[static_cast<std::size_t>(dims[0])] = k;
        // A sorted tensor lies like self, a part of it in the order of its dimensions.
        const bool sorted = std::is_same_v<Collect, CollectAll> && k == self.size(dims[0]);
        const Tensor x = sorted ? self : Tensor::empty(like, self.dtype());
        return Values(unrows(values.to(self.dtype()), x, dims), unrows(indices, x, dims));
    });
}

/// Does PyTorch keep equal values in order without being asked to? It does not sort what is expanded along `dim`, and
/// sorts many integers by radix (can_use_radix_sort in aten/src/ATen/native/cpu/SortingKernel.cpp).
bool is_stable_anyway(const Tensor& self, std::int64_t dim, bool descending) {
    constexpr std::int64_t grain_size = 32768;
    if (self.dim() == 0 || self.stride(dim) == 0) return true;
    return self.dim() == 1 && !descending && is_integral(self.dtype(), false) && self.numel() >= grain_size;
}

Values sort_stable(const Tensor& self, std::optional<bool> stable, std::int64_t dim, bool descending) {
    const std::int64_t n = self.dim() == 0 ? 1 : self.size(dim);
    if (!stable.value_or(false) && !is_stable_anyway(self, self.wrap_dim(dim), descending))
        return along("sort", self, dim, n, [descending](auto& row) { sort_as_torch(row, descending); });
    return along("sort", self, dim, n, [descending](auto& row) {
        if (descending)
            std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return ranks_above(a, b); });
        else
            std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return ranks_below(a, b); });
    });
}
Values sort(const Tensor& self, std::int64_t dim, bool descending) { return sort_stable(self, {}, dim, descending); }
Tensor argsort_stable(const Tensor& self, bool stable, std::int64_t dim, bool descending) {
    return std::get<1>(sort_stable(self, stable, dim, descending));
}
Tensor argsort(const Tensor& self, std::int64_t dim, bool descending) {
    return std::get<1>(sort(self, dim, descending));
}
Tensor msort(const Tensor& self) { return std::get<0>(sort(self, 0, false)); }

Values topk(const Tensor& self, std::int64_t k, std::int64_t dim, bool largest, bool sorted) {
    const std::int64_t n = self.dim() == 0 ? 1 : self.size(dim);
    if (k < 0 || k > n)
        throw ArgumentError("topk: expected 'k' between 0 and " + std::to_string(n) + " (the size of dimension " +
                            std::to_string(dim) + "), found " + std::to_string(k));
    if (self.dtype() == DType::Bool || is_complex(self.dtype()))
        throw ArgumentError("topk is not defined for dtype '" + std::string(name(self.dtype())) + "'");
    if (self.wrap_dim(dim); self.dim() == 0) return {self.clone(), Tensor::zeros({}, DType::Int64)};
    const auto count = static_cast<std::size_t>(k);
    const auto keep = [](auto&) {};
    return largest ? along("topk", self, dim, k, keep, CollectTop<true>{count, sorted})
                   : along("topk", self, dim, k, keep, CollectTop<false>{count, sorted});
}

/// One value and index of every row along `dim`: `pick(row)` leaves it first.
template <class F>
Values pick_dim(const char* op, const Tensor& self, std::int64_t dim, bool keepdim, F pick) {
    const std::int64_t d = self.wrap_dim(dim);
    if (self.dim() > 0 && self.size(d) == 0)
        throw ArgumentError(std::string(op) + ": expected dimension " + std::to_string(d) +
                            " to have elements, found " + describe(self));
    auto [values, indices] = along(op, self, d, 1, pick);
    if (!keepdim && self.dim() > 0) return {values.squeeze(d), indices.squeeze(d)};
    return {values, indices};
}

template <class Row>
void bring_to_front(Row& row, std::int64_t k) {
    std::nth_element(row.begin(), row.begin() + k, row.end(),
                     [](const auto& a, const auto& b) { return ranks_below(a, b); });
    std::swap(row[0], row[static_cast<std::size_t>(k)]);
}

/// Swaps a row until the element that ordering would bring to `k` is there. The choice of pivots decides which of equal
/// values that is: it is PyTorch's (quick_select_template in aten/src/ATen/native/Sorting.cpp), the median of three.
template <class C>
void quick_select(std::span<Ranked<C>> row, std::int64_t k) {
    const auto at = [&](std::int64_t i) -> Ranked<C>& { return row[static_cast<std::size_t>(i)]; };
    const auto order = [&](std::int64_t a, std::int64_t b) {
        if (less_nan_last(at(b).value, at(a).value)) std::swap(at(a), at(b));
    };
    std::int64_t left = 0, right = static_cast<std::int64_t>(row.size()) - 1;
    while (right > left) {
        if (right == left + 1) return order(left, right);
        std::swap(at(left + (right - left) / 2), at(left + 1));
        order(left + 1, right);
        order(left, right);
        order(left + 1, left);
        const C pivot = at(left).value;
        std::int64_t i = left + 1, j = right;
        for (;;) {
            do ++i;
            while (less_nan_last(at(i).value, pivot));
            do --j;
            while (less_nan_last(pivot, at(j).value));
            if (j < i) break;
            std::swap(at(i), at(j));
        }
        std::swap(at(left), at(j));
        if (j <= k) left = i;
        if (j >= k) right = j - 1;
    }
}

Values kthvalue(const Tensor& self, std::int64_t k, std::int64_t dim, bool keepdim) {
    const std::int64_t n = self.dim() == 0 ? 1 : self.size(dim);
    if (k < 1 || k > n)
        throw ArgumentError("kthvalue: expected 'k' between 1 and " + std::to_string(n) + ", found " +
                            std::to_string(k));
    return pick_dim("kthvalue", self, dim, keepdim, [k](auto& row) {
        quick_select(std::span(row), k - 1);
        std::swap(row[0], row[static_cast<std::size_t>(k - 1)]);
    });
}

/// The lower median; a NaN is the median of its row unless they are ignored.
template <bool IgnoreNan>
Values median_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return pick_dim("median", self, dim, keepdim, [](auto& row) {
        const auto is_nan = [](const auto& v) { return v.value != v.value; };
        auto n = static_cast<std::int64_t>(row.size());
        if (const auto nan = std::find_if(row.begin(), row.end(), is_nan); nan != row.end()) {
            const std::int64_t count = std::count_if(row.begin(), row.end(), is_nan);
            if (!IgnoreNan || count == n) {
                std::swap(row[0], *nan);
                return;
            }
            n -= count;
        }
        bring_to_front(row, (n - 1) / 2);
    });
}
template <bool IgnoreNan>
Tensor median(const Tensor& self) {
    if (self.numel() == 0) {  // NaN, or what x86 processors make of it as an integer
        const DType dtype = self.dtype();
        if (dtype == DType::Int64) return Tensor::scalar(std::numeric_limits<std::int64_t>::min(), dtype);
        if (dtype == DType::Int32) return Tensor::scalar(std::numeric_limits<std::int32_t>::min(), dtype);
        if (is_integral(dtype, true)) return Tensor::scalar(dtype == DType::Bool, dtype);
        return Tensor::scalar(std::numeric_limits<double>::quiet_NaN(), dtype);
    }
    return std::get<0>(median_dim<IgnoreNan>(self.reshape({-1}), 0, false));
}

/// The most frequent value, the smallest of several, and the index that PyTorch's sorting leaves last.
Values mode(const Tensor& self, std::int64_t dim, bool keepdim) {
    return pick_dim("mode", self, dim, keepdim, [](auto& row) {
        sort_unordered(row, {std::numeric_limits<decltype(row[0].value)>::quiet_NaN(), -1},
                       [](const auto& a, const auto& b) { return a.value < b.value; });
        std::size_t best = 0;
        std::size_t longest = 0;
        std::size_t run = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
            ++run;
            if (i + 1 < row.size() && row[i].value == row[i + 1].value) continue;
            if (run > longest) {
                longest = run;
                best = i;
            }
            run = 0;
        }
        std::swap(row[0], row[best]);
    });
}

enum class Interpolation { Linear, Lower, Higher, Midpoint, Nearest };

Interpolation interpolation_of(const std::string& name) {
    constexpr std::pair<const char*, Interpolation> all[] = {{"linear", Interpolation::Linear},
                                                             {"lower", Interpolation::Lower},
                                                             {"higher", Interpolation::Higher},
                                                             {"midpoint", Interpolation::Midpoint},
                                                             {"nearest", Interpolation::Nearest}};
    for (const auto& [text, value] : all)
        if (name == text) return value;
    throw ArgumentError("quantile: expected 'interpolation' linear, lower, higher, midpoint or nearest, found '" +
                        name + "'");
}

template <class C>
C quantile_of(std::span<const C> sorted, std::int64_t valid, bool ignore_nan, C q, Interpolation interpolation) {
    const auto n = static_cast<std::int64_t>(sorted.size());
    if (valid < n && (!ignore_nan || valid == 0)) return std::numeric_limits<C>::quiet_NaN();
    const C rank = q * static_cast<C>(valid - 1);
    const auto value = [&](C at) { return sorted[static_cast<std::size_t>(at)]; };
    switch (interpolation) {
        case Interpolation::Lower:
            return value(std::floor(rank));
        case Interpolation::Higher:
            return value(std::ceil(rank));
        case Interpolation::Nearest:
            return value(std::nearbyint(rank));
        default:
            break;
    }
    const C low = value(std::floor(rank));
    const C high = value(std::ceil(rank));
    const C w = interpolation == Interpolation::Midpoint ? C(0.5) : rank - std::floor(rank);
    return w < C(0.5) ? low + w * (high - low) : high - (high - low) * (C(1) - w);
}

Tensor quantile_impl(const char* op, const Tensor& self, const Tensor& q, std::optional<std::int64_t> dim, bool keepdim,
                     const std::string& interpolation, bool ignore_nan) {
    const Interpolation method = interpolation_of(interpolation);
    if (self.numel() == 0) throw ArgumentError(std::string(op) + ": expected 'self' to have elements");
    if (q.dim() > 1) throw ArgumentError(std::string(op) + ": expected 'q' of 0 or 1 dimensions, found " + describe(q));
    if (self.dtype() != DType::Float32 && self.dtype() != DType::Float64)
        throw ArgumentError(std::string(op) + ": expected 'self' of dtype float32 or float64, found " + describe(self));
    if (q.dtype() != self.dtype())
        throw ArgumentError(std::string(op) + ": expected 'q' of the dtype of 'self', found " + describe(q));
    const Tensor x = dim ? self : self.reshape({-1});
    const std::int64_t d = dim ? self.wrap_dim(*dim) : 0;
    return visit_float(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(x, d);
        const Tensor qs = q.contiguous();
        for (std::int64_t i = 0; i < qs.numel(); ++i)
            if (!(qs.data<C>()[i] >= 0 && qs.data<C>()[i] <= 1))
                throw ArgumentError(std::string(op) + ": expected 'q' between 0 and 1, found " +
                                    std::to_string(qs.data<C>()[i]));
        const Ints dims = x.dim() == 0 ? Ints{} : Ints{d};
        Ints shape = reduced_shape(x, dims, keepdim);
        if (!dim && keepdim) shape.assign(static_cast<std::size_t>(self.dim()), 1);
        if (q.dim() == 1) shape.push_back(q.size(0));
        Tensor y = Tensor::empty(shape, self.dtype());
        parallel_for(in.count, std::max<std::int64_t>(1, 2048 / in.length), [&](std::int64_t begin, std::int64_t end) {
            std::vector<C> row;
            for (std::int64_t i = begin; i < end; ++i) {
                row.assign(in[i].begin(), in[i].end());
                const auto nan = std::partition(row.begin(), row.end(), [](C v) { return v == v; });
                std::sort(row.begin(), nan);
                for (std::int64_t j = 0; j < qs.numel(); ++j)
                    y.data<C>()[i * qs.numel() + j] =
                        quantile_of<C>(row, nan - row.begin(), ignore_nan, qs.data<C>()[j], method);
            }
        });
        return q.dim() == 1 ? movedim(y, {-1}, {0}) : y;  // which PyTorch leaves a view
    });
}

template <bool IgnoreNan>
Tensor quantile(const Tensor& self, const Tensor& q, std::optional<std::int64_t> dim, bool keepdim,
                const std::string& interpolation) {
    return quantile_impl(IgnoreNan ? "nanquantile" : "quantile", self, q, dim, keepdim, interpolation, IgnoreNan);
}
template <bool IgnoreNan>
Tensor quantile_scalar(const Tensor& self, double q, std::optional<std::int64_t> dim, bool keepdim,
                       const std::string& interpolation) {
    const DType dtype = self.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
    return quantile<IgnoreNan>(self, Tensor::scalar(Scalar(q), dtype), dim, keepdim, interpolation);
}

}  // namespace

void register_sort(Registry& r) {
    r.add("sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)", sort);
    r.add(
        "sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor "
        "indices)",
        sort_stable);
    r.add("argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", argsort);
    r.add("argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor", argsort_stable);
    r.add("msort(Tensor self) -> Tensor", msort);
    r.add(
        "topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor "
        "indices)",
        topk);
    r.add("kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
          kthvalue);
    r.add("median(Tensor self) -> Tensor", median<false>);
    r.add("median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", median_dim<false>);
    r.add("nanmedian(Tensor self) -> Tensor", median<true>);
    r.add("nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
          median_dim<true>);
    r.add("mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", mode);
    r.add(
        "quantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation=\"linear\") -> "
        "Tensor",
        quantile<false>);
    r.add(
        "quantile.scalar(Tensor self, float q, int? dim=None, bool keepdim=False, *, str interpolation=\"linear\") "
        "-> Tensor",
        quantile_scalar<false>);
    r.add(
        "nanquantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation=\"linear\") -> "
        "Tensor",
        quantile<true>);
    r.add(
        "nanquantile.scalar(Tensor self, float q, int? dim=None, bool keepdim=False, *, str "
        "interpolation=\"linear\") -> Tensor",
        quantile_scalar<true>);
}

}  // namespace torch_ir::kernels
