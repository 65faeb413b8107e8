// SPDX-License-Identifier: MIT
// Extremes, where they are, and truth values.
#include <limits>

#include "kernels/families.hpp"
#include "kernels/reduce.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {
namespace {

using Dims = std::optional<Ints>;

/// The extreme in an order; NaN wins.
template <class C, bool Max>
struct ExtremeOf {
    using Acc = C;
    static constexpr bool maps_vectors = true;
    template <class T>
    static T map(const ExtremeOf&, T x) {
        return x;
    }
    template <class T>
    static T join(T a, T b) {
        return Max ? vmath::larger(b, a) : vmath::smaller(b, a);
    }
    template <class T>
    static T init() {
        using Limits = std::numeric_limits<T>;
        if constexpr (Limits::has_infinity) return Max ? -Limits::infinity() : Limits::infinity();
        return Max ? Limits::lowest() : Limits::max();
    }
};

/// Extremes of truth values: any (largest) and all (smallest).
template <class C, bool Any>
struct TruthOf {
    using Acc = decltype(to_truth(C{}));
    static constexpr bool maps_vectors = false;
    static Acc map(const TruthOf&, C x) { return to_truth(x); }
    template <class T>
    static T join(T a, T b) {
        return Any ? (b > a ? b : a) : (b < a ? b : a);
    }
    template <class T>
    static T init() {
        return T(Any ? 0 : 1);
    }
};

void require_elements(const char* op, const Tensor& self, const Ints& dims) {
    if (self.numel() == 0 && length_of(self, dims) == 0)
        throw ArgumentError(std::string(op) + ": reduction over no elements has no value ('self' is " + describe(self) +
                            ")");
}

template <bool Max>
Tensor extreme(const char* op, const Tensor& self, const Dims& dim, bool keepdim) {
    if (self.dim() > 64)
        throw ArgumentError(std::string(op) + ": expected 'self' of at most 64 dimensions, found " + describe(self));
    const Ints dims = dims_of(self, dim);
    require_elements(op, self, dims);
    return visit_real(self.dtype(), op,
                      [&]<class C>(C) { return reduce<C>(self, dims, keepdim, ExtremeOf<C, Max>{}).to(self.dtype()); });
}

Tensor max_all(const Tensor& self) { return extreme<true>("max", self, {}, false); }
Tensor min_all(const Tensor& self) { return extreme<false>("min", self, {}, false); }
std::tuple<Tensor, Tensor> aminmax(const Tensor& self, std::optional<std::int64_t> dim, bool keepdim) {
    const Dims dims = dim ? Dims(Ints{*dim}) : Dims();
    return {extreme<false>("aminmax", self, dims, keepdim), extreme<true>("aminmax", self, dims, keepdim)};
}
std::tuple<Tensor, Tensor> aminmax_all(const Tensor& self) { return aminmax(self, {}, false); }
std::tuple<Tensor, Tensor> aminmax_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return aminmax(self, dim, keepdim);
}

/// Index of the first extreme of a row; the first NaN wins.
template <bool Max, class C>
std::int64_t first_extreme(std::span<const C> row) {
    std::int64_t best = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (row[i] != row[i]) return static_cast<std::int64_t>(i);
        const C b = row[static_cast<std::size_t>(best)];
        if (Max ? row[i] > b : row[i] < b) best = static_cast<std::int64_t>(i);
    }
    return best;
}

/// Values (when asked for) and indices of extremes along dimensions that number the positions in order.
template <bool Max>
std::tuple<Tensor, Tensor> arg_extreme(const char* op, const Tensor& self, const Dims& dim, bool keepdim, bool values) {
    const Ints dims = dims_of(self, dim);
    require_elements(op, self, dims);
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dims);
        const Ints shape = reduced_shape(self, dims, keepdim);
        Tensor index = Tensor::empty(shape, DType::Int64);
        Tensor value = values ? Tensor::empty(shape, dtype_of<C>()) : Tensor{};
        parallel_for(index.numel(), std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, in.length)),
                     [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const std::int64_t at = first_extreme<Max, C>(in[i]);
                             index.data<std::int64_t>()[i] = at;
                             if (values) value.data<C>()[i] = in[i][static_cast<std::size_t>(at)];
                         }
                     });
        return std::tuple(values ? value.to(self.dtype()) : value, index);
    });
}

template <bool Max>
std::tuple<Tensor, Tensor> extreme_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return arg_extreme<Max>(Max ? "max" : "min", self, Ints{dim}, keepdim, true);
}
template <bool Max>
Tensor arg(const Tensor& self, std::optional<std::int64_t> dim, bool keepdim) {
    if (is_complex(self.dtype()) || self.dtype() == DType::Bool)
        throw ArgumentError(std::string(Max ? "argmax" : "argmin") + " is not defined for " + describe(self));
    if (!dim && self.numel() == 0)
        throw ArgumentError(std::string(Max ? "argmax" : "argmin") + ": 'self' must have elements, found " +
                            describe(self));
    return std::get<1>(
        arg_extreme<Max>(Max ? "argmax" : "argmin", self, dim ? Dims(Ints{*dim}) : Dims(), keepdim, false));
}

/// bool; uint8 for uint8 input, as in PyTorch.
template <bool Any>
Tensor truth(const Tensor& self, const Dims& dim, bool keepdim) {
    const DType out = self.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool;
    return visit_compute(self.dtype(), [&]<class C>(C) {
        return reduce<C>(self, dims_of(self, dim), keepdim, TruthOf<C, Any>{}).to(out);
    });
}
template <bool Any>
Tensor truth_all(const Tensor& self) {
    return truth<Any>(self, {}, false);
}
template <bool Any>
Tensor truth_dim(const Tensor& self, std::int64_t dim, bool keepdim) {
    return truth<Any>(self, Ints{dim}, keepdim);
}
/// An empty list of dims reduces nothing here.
template <bool Any>
Tensor truth_dims(const Tensor& self, const Dims& dim, bool keepdim) {
    if (dim && dim->empty()) {
        const Tensor values = self.to(DType::Bool);
        return self.dtype() == DType::UInt8 ? values.to(DType::UInt8) : values.clone();
    }
    return truth<Any>(self, dim, keepdim);
}
template <bool Any>
Tensor is_true(const Tensor& self) {
    if (self.dtype() != DType::Bool)
        throw ArgumentError(std::string(Any ? "_is_any_true" : "_is_all_true") + ": expected a bool tensor, found " +
                            describe(self));
    return truth<Any>(self, {}, false);
}

}  // namespace

Tensor amax(const Tensor& self, const Ints& dim, bool keepdim) { return extreme<true>("amax", self, dim, keepdim); }
Tensor amin(const Tensor& self, const Ints& dim, bool keepdim) { return extreme<false>("amin", self, dim, keepdim); }

void register_extreme(Registry& r) {
    r.add("amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", amax);
    r.add("amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", amin);
    r.add("aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", aminmax);
    r.add("_aminmax(Tensor self) -> (Tensor, Tensor)", aminmax_all);
    r.add("_aminmax.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor, Tensor)", aminmax_dim);
    r.add("max(Tensor self) -> Tensor", max_all);
    r.add("min(Tensor self) -> Tensor", min_all);
    r.add("max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", extreme_dim<true>);
    r.add("min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", extreme_dim<false>);
    r.add("argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", arg<true>);
    r.add("argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", arg<false>);

    r.add("any(Tensor self) -> Tensor", truth_all<true>);
    r.add("any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", truth_dim<true>);
    r.add("any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", truth_dims<true>);
    r.add("all(Tensor self) -> Tensor", truth_all<false>);
    r.add("all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", truth_dim<false>);
    r.add("all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", truth_dims<false>);
    r.add("_is_all_true(Tensor self) -> Tensor", is_true<false>);
    r.add("_is_any_true(Tensor self) -> Tensor", is_true<true>);
}

}  // namespace torch_ir::kernels
