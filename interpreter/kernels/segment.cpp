// SPDX-License-Identifier: MIT
// Reductions over consecutive segments of a dimension, and hashes.
#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/reduce_mode.hpp"
#include "promote.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {
namespace {

Reduce reduction_of(const std::string& name) {
    if (name == "max" || name == "amax") return Reduce::Amax;
    if (name == "min" || name == "amin") return Reduce::Amin;
    if (name == "mean") return Reduce::Mean;
    if (name == "sum") return Reduce::Sum;
    if (name == "prod") return Reduce::Prod;
    throw ArgumentError("segment_reduce: expected 'reduce' to be sum, prod, mean, amax or amin, found '" + name + "'");
}

/// Begin and end of every segment, one row of segments for each index of the dimensions before the axis.
struct Segments {
    std::int64_t rows = 1;
    std::int64_t per_row = 0;
    Ints begin;
    Ints end;
};

Segments make_segments(const Tensor& data, const Tensor& lengths, const Tensor& offsets, std::int64_t axis,
                       bool unsafe) {
    const std::string op = "segment_reduce";
    const char* argument = offsets.defined() ? "offsets" : "lengths";
    const Tensor& given = offsets.defined() ? offsets : lengths;
    if (!given.defined()) throw ArgumentError(op + ": expected 'lengths' or 'offsets', found None");
    if (!is_integral(given.dtype(), false) || given.dim() == 0 || given.dim() > data.dim() ||
        !std::equal(given.shape().begin(), given.shape().end() - 1, data.shape().begin()))
        throw ArgumentError(op + ": '" + argument + "' " + describe(given) + " does not fit 'data' " + describe(data));
    if (axis != given.dim() - 1)
        throw ArgumentError(op + ": expected 'axis' to be the last dimension of '" + argument + "', found " +
                            std::to_string(axis));
    if (offsets.defined() && offsets.size(-1) == 0)
        throw ArgumentError(op + ": expected 'offsets' of at least one element in the last dimension");
    const Tensor values = given.to(DType::Int64).contiguous();
    const std::int64_t width = given.size(-1);
    const std::int64_t size = data.size(axis);
    Segments s;
    s.per_row = offsets.defined() ? width - 1 : width;
    s.rows = numel_of(std::span(given.shape()).first(given.shape().size() - 1));
    for (std::int64_t row = 0; row < s.rows; ++row) {
        const std::int64_t* v = values.data<std::int64_t>() + row * width;
        std::int64_t at = offsets.defined() ? v[0] : 0;
        for (std::int64_t i = 0; i < s.per_row; ++i) {
            const bool valid =
                offsets.defined() ? at >= 0 && v[i + 1] >= at && v[i + 1] <= size : v[i] >= 0 && v[i] <= size - at;
            if (!valid)
                throw ArgumentError(op + ": expected '" + argument + "' of segments within the " +
                                    std::to_string(size) + " elements, found " +
                                    std::to_string(offsets.defined() ? v[i + 1] : v[i]));
            s.begin.push_back(at);
            at = offsets.defined() ? v[i + 1] : at + v[i];
            s.end.push_back(at);
        }
        if (!offsets.defined() && !unsafe && at != size)
            throw ArgumentError(op + ": expected 'lengths' that sum to " + std::to_string(size) + ", found " +
                                std::to_string(at));
    }
    return s;
}

Tensor segment_reduce(const Tensor& data, const std::string& reduce, const Tensor& lengths, const Tensor& indices,
                      const Tensor& offsets, std::int64_t axis, bool unsafe, const std::optional<Scalar>& initial) {
    const Reduce reduction = reduction_of(reduce);
    if (indices.defined())
        throw ArgumentError("segment_reduce: expected 'indices' of None, found " + describe(indices));
    const std::int64_t dim = data.wrap_dim(axis);
    const Segments s = make_segments(data, lengths, offsets, dim, unsafe);
    const std::int64_t size = data.size(dim);
    const std::int64_t inner = numel_of(std::span(data.shape()).subspan(static_cast<std::size_t>(dim) + 1));
    Ints shape = data.shape();
    shape[static_cast<std::size_t>(dim)] = s.per_row;
    return visit_float(data.dtype(), "segment_reduce", [&]<class C>(C) {
        const Tensor x = data.to(dtype_of<C>()).contiguous();
        const Tensor y = Tensor::empty(shape, dtype_of<C>());
        const auto rounded = [&](C v) { return static_cast<C>(round_to(data.dtype(), static_cast<double>(v))); };
        const C start = rounded(initial ? static_cast<C>(initial->to<double>()) : identity_of<C>(reduction));
        for (std::int64_t i = 0; i < s.rows * s.per_row; ++i) {
            const std::int64_t begin = s.begin[static_cast<std::size_t>(i)];
            const std::int64_t end = s.end[static_cast<std::size_t>(i)];
            const C* from = x.data<C>() + i / s.per_row * size * inner;
            for (std::int64_t j = 0; j < inner; ++j) {
                C sum = start;
                for (std::int64_t k = begin; k < end; ++k) {
                    combine(reduction, sum, from[k * inner + j]);
                    sum = rounded(sum);  // PyTorch stores every partial result
                }
                if (reduction == Reduce::Mean) {
                    if (end > begin)
                        sum /= static_cast<C>(end - begin);
                    else if (!initial)
                        sum = std::numeric_limits<C>::quiet_NaN();
                }
                y.data<C>()[i * inner + j] = sum;
            }
        }
        return y.to(data.dtype());
    });
}

Tensor segment_reduce_backward(const Tensor& grad, const Tensor& output, const Tensor& data, const std::string& reduce,
                               const Tensor& lengths, const Tensor& offsets, std::int64_t axis,
                               const std::optional<Scalar>& initial) {
    const std::string op = "_segment_reduce_backward";
    const Reduce reduction = reduction_of(reduce);
    const std::int64_t dim = data.wrap_dim(axis);
    const Segments s = make_segments(data, lengths, offsets, dim, true);
    Ints shape = data.shape();
    shape[static_cast<std::size_t>(dim)] = s.per_row;
    if (grad.shape() != shape || output.shape() != shape)
        throw ArgumentError(op + ": expected 'grad' and 'output' of shape " + to_string(shape) + ", found " +
                            describe(grad) + " and " + describe(output));
    const std::int64_t size = data.size(dim);
    const std::int64_t inner = numel_of(std::span(data.shape()).subspan(static_cast<std::size_t>(dim) + 1));
    return visit_float(data.dtype(), op.c_str(), [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        const Tensor x = plain(data), g = plain(grad), y = plain(output);
        const Tensor result = Tensor::zeros(data.shape(), dtype_of<C>());
        const C start = initial ? static_cast<C>(initial->to<double>()) : C(1);
        for (std::int64_t i = 0; i < s.rows * s.per_row; ++i)
            for (std::int64_t j = 0; j < inner; ++j) {
                const std::int64_t begin = s.begin[static_cast<std::size_t>(i)];
                const std::int64_t end = s.end[static_cast<std::size_t>(i)];
                const std::int64_t base = i / s.per_row * size * inner + j;
                const C factor = g.data<C>()[i * inner + j], value = y.data<C>()[i * inner + j];
                const auto in = [&](std::int64_t k) { return x.data<C>()[base + k * inner]; };
                std::int64_t chosen = 0;
                for (std::int64_t k = begin; k < end; ++k) {
                    C& slope = result.data<C>()[base + k * inner];
                    if (reduction == Reduce::Sum) slope = factor;
                    if (reduction == Reduce::Mean) slope = factor / static_cast<C>(end - begin);
                    if (reduction == Reduce::Prod) {
                        slope = factor * value / in(k);
                        if (in(k) == C(0) || std::isnan(in(k))) {  // the others' product
                            slope = factor * start;
                            for (std::int64_t l = begin; l < end; ++l)
                                if (l != k) slope *= in(l);
                        }
                    }
                    if (reduction != Reduce::Amax && reduction != Reduce::Amin) continue;
                    if (!std::isnan(in(k)) && in(k) != value) continue;
                    slope = factor;
                    ++chosen;
                }
                // Equal extremes share the gradient; PyTorch shares only positive ones.
                if (chosen > 1 && factor > C(0))
                    for (std::int64_t k = begin; k < end; ++k)
                        result.data<C>()[base + k * inner] /= static_cast<C>(chosen);
            }
        return result.to(data.dtype());
    });
}

/// The exclusive or of the elements as 64-bit integers, floats as the bits of a float64.
Tensor hash_tensor(const Tensor& self, const Ints& dim, bool keepdim, std::int64_t mode) {
    if (mode != 0) throw ArgumentError("hash_tensor: expected 'mode' to be 0 (xor), found " + std::to_string(mode));
    if (is_complex(self.dtype())) throw UnsupportedError("hash_tensor is not defined for complex dtypes");
    const Ints dims = normalize_dims(self, dim);
    const bool chosen = !dim.empty();
    for (const std::int64_t d : dims)
        if (self.size(d) == 0)
            throw ArgumentError("hash_tensor: expected 'dim' of " + std::string(chosen ? "" : "an empty tensor, or ") +
                                "dimensions of non-zero size, found " + describe(self));
    const Tensor result = Tensor::zeros(reduced_shape(self, dims, keepdim), DType::Int64);
    const auto reduce = [&]<class C>(C) {
        const Rows<C> in = rows<C>(self, dims);
        for (std::int64_t i = 0; i < in.count; ++i) {
            std::uint64_t hash = 0;
            for (const C v : in[i]) hash ^= std::bit_cast<std::uint64_t>(v);
            result.data<std::int64_t>()[i] = static_cast<std::int64_t>(hash);
        }
    };
    if (is_floating_point(self.dtype()))
        reduce(double{});
    else
        reduce(std::int64_t{});
    return result.reinterpret(DType::UInt64);
}

}  // namespace

void register_segment(Registry& r) {
    r.add(
        "segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, Tensor? offsets=None, "
        "int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor",
        segment_reduce);
    r.add(
        "_segment_reduce_backward(Tensor grad, Tensor output, Tensor data, str reduce, *, Tensor? lengths=None, "
        "Tensor? offsets=None, int axis=0, Scalar? initial=None) -> Tensor",
        segment_reduce_backward);
    r.add("hash_tensor(Tensor self, int[1] dim=[], *, bool keepdim=False, int mode=0) -> Tensor", hash_tensor);
}

}  // namespace torch_ir::kernels
