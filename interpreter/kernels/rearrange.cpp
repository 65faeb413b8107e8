// SPDX-License-Identifier: MIT
// The elements of one tensor in another order or number: flip, roll, repeat, triangles, diagonals, shuffles.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/layout.hpp"
#include "kernels/move.hpp"
#include "kernels/view.hpp"
#include "parallel.hpp"
#include "rows.hpp"

namespace torch_ir::kernels {

Tensor flip(In self, const Ints& dims) {
    // Read backwards: the view that starts at the last element, with negative strides.
    const Ints wrapped = dims.empty() ? Ints{} : normalize_dims(self, dims);
    Ints strides = self.strides();
    std::int64_t offset = self.offset();
    Tensor result = Tensor::empty_like(self, self.dtype());
    if (self.numel() == 0) return result;
    for (const std::int64_t d : wrapped) {
        auto& stride = strides[static_cast<std::size_t>(d)];
        offset += (self.size(d) - 1) * stride;
        stride = -stride;
    }
    result.copy_from(self.as_strided(self.shape(), strides, offset));
    return result;
}

Tensor roll(In self, const Ints& shifts, const Ints& dims) {
    if (dims.empty() && shifts.size() == 1) return roll(self.reshape({-1}), shifts, {0}).reshape(self.shape());
    if (shifts.empty()) throw ArgumentError("roll: expected at least one value in shifts");
    if (shifts.size() != dims.size())
        throw ArgumentError("roll: shifts " + to_string(shifts) + " and dims " + to_string(dims) +
                            " must have the same length");
    Tensor x = self;
    for (std::size_t i = 0; i < dims.size(); ++i) {
        const std::int64_t length = x.size(dims[i]);  // a 0-d tensor has no dimension to roll
        const std::int64_t d = x.wrap_dim(dims[i]);
        if (x.numel() == 0) continue;
        const std::int64_t shift = (shifts[i] % length + length) % length;
        Tensor rolled = empty_format(x.shape(), x.dtype(), suggested_format(self));
        rolled.narrow(d, shift, length - shift).copy_from(x.narrow(d, 0, length - shift));
        rolled.narrow(d, 0, shift).copy_from(x.narrow(d, length - shift, shift));
        x = rolled;
    }
    return x.storage() == self.storage() ? x.clone() : x;
}

Tensor repeat(In self, const Ints& repeats) {
    if (static_cast<std::int64_t>(repeats.size()) < self.dim())
        throw ArgumentError("repeat: number of values in repeats " + to_string(repeats) +
                            " can not be smaller than the number of dimensions of " + describe(self));
    // [r0, s0, r1, s1, …] of which the source has size 1 at each r.
    Ints shape;
    Ints source;
    Ints pairs;
    const std::size_t added = repeats.size() - self.shape().size();
    for (std::size_t i = 0; i < repeats.size(); ++i) {
        const std::int64_t size = i < added ? 1 : self.shape()[i - added];
        if (repeats[i] < 0)
            throw ArgumentError("repeat: trying to create a tensor with a negative dimension, repeats " +
                                to_string(repeats));
        shape.push_back(repeats[i] * size);
        source.insert(source.end(), {1, size});
        pairs.insert(pairs.end(), {repeats[i], size});
    }
    Tensor result = Tensor::empty(shape, self.dtype());
    if (result.numel() != 0) result.reshape(pairs).copy_from(self.reshape(source));
    return result;
}

namespace {

Tensor tile(In self, const Ints& dims) {
    Ints repeats(std::max<std::int64_t>(0, self.dim() - static_cast<std::int64_t>(dims.size())), 1);
    repeats.insert(repeats.end(), dims.begin(), dims.end());
    return repeat(self, repeats);
}

Tensor rot90(In self, std::int64_t k, const Ints& dims) {
    if (dims.size() != 2 || self.dim() < 2)
        throw ArgumentError("rot90: expected 2 dims of a tensor with at least 2 dimensions, found dims " +
                            to_string(dims) + " of " + describe(self));
    const std::int64_t a = self.wrap_dim(dims[0]);
    const std::int64_t b = self.wrap_dim(dims[1]);
    if (a == b) throw ArgumentError("rot90: expected two different dims, found " + to_string(dims));
    switch ((k % 4 + 4) % 4) {
        case 1:
            return flip(self, {b}).transpose(a, b);
        case 2:
            return flip(self, {a, b});
        case 3:
            return flip(self, {a}).transpose(a, b);
        default:
            return copy_to(self, self.dtype(), MemoryFormat::Contiguous);
    }
}

Tensor fliplr(In self) {
    if (self.dim() < 2)
        throw ArgumentError("fliplr: expected self with at least 2 dimensions, found " + describe(self));
    return flip(self, {1});
}

Tensor flipud(In self) {
    if (self.dim() < 1) throw ArgumentError("flipud: expected self with at least 1 dimension, found " + describe(self));
    return flip(self, {0});
}

/// [0, 0, 1, 2, 2, …]: each index as often as `repeats` says.
Tensor repeated_indices(In repeats, OptInt output_size) {
    if (repeats.dim() > 1 || (repeats.dtype() != DType::Int64 && repeats.dtype() != DType::Int32))
        throw ArgumentError("repeat_interleave: expected repeats to be a 1-d int32 or int64 tensor, found " +
                            describe(repeats));
    const Tensor counts = to_indices("repeat_interleave", repeats.reshape({-1}));
    Ints indices;
    for (std::int64_t i = 0; i < counts.numel(); ++i) {
        const std::int64_t count = counts.data<std::int64_t>()[i];
        if (count < 0)
            throw ArgumentError("repeat_interleave: repeats can not be negative, found " + std::to_string(count));
        indices.insert(indices.end(), static_cast<std::size_t>(count), i);
    }
    if (output_size && *output_size != static_cast<std::int64_t>(indices.size()))
        throw ArgumentError("repeat_interleave: allocated size does not match required size: output_size " +
                            std::to_string(*output_size) + ", repeats sum to " + std::to_string(indices.size()));
    return Tensor::from_ints(indices);
}

Tensor repeat_interleave_counts(In repeats, OptInt output_size) {
    if (repeats.dim() != 1)
        throw ArgumentError("repeat_interleave: expected repeats to be a 1-d tensor, found " + describe(repeats));
    return repeated_indices(repeats, output_size).to(repeats.dtype());
}

Tensor repeat_interleave_tensor(In self, In repeats, OptInt dim, OptInt output_size) {
    const Tensor x = dim ? (self.dim() == 0 ? self.unsqueeze(0) : self) : self.reshape({-1});
    const std::int64_t d = x.wrap_dim(dim.value_or(0));
    Tensor counts = repeats;
    if (repeats.numel() == 1 && repeats.dim() <= 1) counts = repeats.reshape({1}).expand(Ints{x.size(d)});
    if (counts.dim() != 1 || counts.size(0) != x.size(d))
        throw ArgumentError("repeat_interleave: repeats must have the same size as input along dim " +
                            std::to_string(d) + ", found " + describe(repeats) + " and " + describe(x));
    return index_select(x, d, repeated_indices(counts, output_size));
}

Tensor repeat_interleave(In self, std::int64_t repeats, OptInt dim, OptInt output_size) {
    if (repeats < 0)
        throw ArgumentError("repeat_interleave: repeats must be non-negative, found " + std::to_string(repeats));
    return repeat_interleave_tensor(self, Tensor::from_ints(Ints{repeats}), dim, output_size);
}

/// The lower or upper triangle of each matrix, row by row.
Tensor triangle(const char* op, In self, std::int64_t diagonal, bool lower) {
    if (self.dim() < 2)
        throw ArgumentError(std::string(op) + ": input tensor must have at least 2 dimensions, found " +
                            describe(self));
    const Tensor x = self.contiguous();
    const Tensor result = Tensor::empty(self.shape(), self.dtype());
    if (result.numel() == 0) return result;
    const std::int64_t rows = self.size(-2), columns = self.size(-1);
    const auto item = static_cast<std::int64_t>(item_size(self.dtype()));
    parallel_for(self.numel() / columns, std::max<std::int64_t>(1, parallel_grain / columns),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                         const std::int64_t cut = std::clamp<std::int64_t>(
                             diagonal > columns ? columns : i % rows + diagonal + (lower ? 1 : 0), 0, columns);
                         const std::byte* from = x.raw() + i * columns * item;
                         std::byte* to = result.raw() + i * columns * item;
                         const auto left = static_cast<std::size_t>(cut * item);
                         const auto right = static_cast<std::size_t>((columns - cut) * item);
                         if (lower) {
                             std::memcpy(to, from, left);
                             std::memset(to + left, 0, right);
                         } else {
                             std::memset(to, 0, left);
                             std::memcpy(to + left, from + left, right);
                         }
                     }
                 });
    return result;
}

Tensor tril(In self, std::int64_t diagonal) { return triangle("tril", self, diagonal, true); }
Tensor triu(In self, std::int64_t diagonal) { return triangle("triu", self, diagonal, false); }

Tensor diag_embed(In self, std::int64_t offset, std::int64_t dim1, std::int64_t dim2) {
    const std::int64_t rank = self.dim() + 1;
    const auto wrap = [&](std::int64_t d) {
        if (d < -rank || d >= rank)
            throw ArgumentError("dimension out of range (expected to be in range of [" + std::to_string(-rank) + ", " +
                                std::to_string(rank - 1) + "], but got " + std::to_string(d) + ")");
        return d < 0 ? d + rank : d;
    };
    if (self.dim() == 0)
        throw ArgumentError("diag_embed: expected self with at least one dimension, found a 0-d tensor");
    const std::int64_t a = wrap(dim1);
    const std::int64_t b = wrap(dim2);
    if (a == b)
        throw ArgumentError("diag_embed: diagonal dimensions cannot be identical, found " + std::to_string(dim1) +
                            " and " + std::to_string(dim2));
    constexpr std::int64_t most = std::int64_t{1} << 40;
    if (offset < -most || offset > most)
        throw ArgumentError("diag_embed: offset " + std::to_string(offset) + " is too large");
    const std::int64_t size = self.size(-1) + (offset < 0 ? -offset : offset);
    Ints shape(self.shape().begin(), self.shape().end() - 1);
    shape.insert(shape.begin() + std::min(a, b), size);
    shape.insert(shape.begin() + std::max(a, b), size);
    Tensor result = Tensor::zeros(shape, self.dtype());
    diagonal(result, offset, a, b).copy_from(self);
    return result;
}

Tensor diag(In self, std::int64_t offset) {
    if (self.dim() == 1) return diag_embed(self, offset, 0, 1);
    if (self.dim() == 2) return copy_to(diagonal(self, offset, 0, 1), self.dtype(), MemoryFormat::Contiguous);
    throw ArgumentError("diag: supports 1-d or 2-d tensors, found " + describe(self));
}

Tensor diagflat(In self, std::int64_t offset) { return diag(self.reshape({-1}), offset); }

/// Copies of the permuted view, reshaped.
Tensor shuffled(In x, const Ints& split, const Ints& order, const Ints& shape) {
    return copy_to(x.reshape(split).permute(order), x.dtype(), MemoryFormat::Contiguous).reshape(shape);
}

/// The same in the format that PyTorch keeps where height and width are no larger than before.
Tensor shuffled_in_format(In x, const Ints& split, const Ints& order, const Ints& shape) {
    return in_format(shuffled(x, split, order, shape), suggested_format(x));
}

/// [*, C·r·r, H, W] to [*, C, H·r, W·r].
Tensor pixel_shuffle(In self, std::int64_t upscale_factor) {
    const std::int64_t r = upscale_factor;
    if (self.dim() < 3)
        throw ArgumentError("pixel_shuffle: expects input to have at least 3 dimensions, found " + describe(self));
    if (r <= 0 || r > 1 << 20)
        throw ArgumentError("pixel_shuffle: expects a positive upscale_factor, found " + std::to_string(r));
    const std::int64_t c = self.size(-3);
    const std::int64_t h = self.size(-2);
    const std::int64_t w = self.size(-1);
    if (c % (r * r) != 0)
        throw ArgumentError(
            "pixel_shuffle: expects its input's channel dimension to be divisible by the square of upscale_factor " +
            std::to_string(r) + ", found " + std::to_string(c));
    Ints shape(self.shape().begin(), self.shape().end() - 3);
    const std::int64_t batch = numel_of(shape);
    shape.insert(shape.end(), {c / (r * r), h * r, w * r});
    if (self.numel() == 0) return Tensor::empty(shape, self.dtype());
    return shuffled(self, {batch, c / (r * r), r, r, h, w}, {0, 1, 4, 2, 5, 3}, shape);
}

Tensor pixel_unshuffle(In self, std::int64_t downscale_factor) {
    const std::int64_t r = downscale_factor;
    if (self.dim() < 3)
        throw ArgumentError("pixel_unshuffle: expects input to have at least 3 dimensions, found " + describe(self));
    if (r <= 0 || r > 1 << 20)
        throw ArgumentError("pixel_unshuffle: expects a positive downscale_factor, found " + std::to_string(r));
    const std::int64_t c = self.size(-3);
    const std::int64_t h = self.size(-2);
    const std::int64_t w = self.size(-1);
    if (h % r != 0 || w % r != 0)
        throw ArgumentError("pixel_unshuffle: expects height and width to be divisible by downscale_factor " +
                            std::to_string(r) + ", found " + describe(self));
    Ints shape(self.shape().begin(), self.shape().end() - 3);
    const std::int64_t batch = numel_of(shape);
    shape.insert(shape.end(), {c * r * r, h / r, w / r});
    if (self.numel() == 0) return Tensor::empty(shape, self.dtype());
    return shuffled_in_format(self, {batch, c, h / r, r, w / r, r}, {0, 1, 3, 5, 2, 4}, shape);
}

Tensor channel_shuffle(In self, std::int64_t groups) {
    if (self.dim() < 3)
        throw ArgumentError("channel_shuffle: expects input to have at least 3 dimensions, found " + describe(self));
    const std::int64_t c = self.size(1);
    if (groups <= 0 || c % groups != 0)
        throw ArgumentError("channel_shuffle: expects groups to be positive and to divide the number of channels " +
                            std::to_string(c) + ", found " + std::to_string(groups));
    if (self.numel() == 0) return self.clone();
    return shuffled_in_format(self, {self.size(0), groups, c / groups, -1}, {0, 2, 1, 3}, self.shape());
}

Tensor one_hot(In self, std::int64_t num_classes) {
    if (self.dtype() != DType::Int64)
        throw ArgumentError("one_hot: is only applicable to int64 tensors, found " + describe(self));
    const Tensor indices = self.contiguous();
    const std::span<const std::int64_t> values(indices.data<std::int64_t>(), static_cast<std::size_t>(indices.numel()));
    if (num_classes < -1 || (num_classes <= 0 && values.empty()))
        throw ArgumentError("one_hot: expected num_classes to be positive, found " + std::to_string(num_classes));
    std::int64_t classes = num_classes;
    if (!values.empty()) {
        if (*std::min_element(values.begin(), values.end()) < 0)
            throw ArgumentError("one_hot: class values must be non-negative");
        const std::int64_t largest = *std::max_element(values.begin(), values.end());
        if (classes == -1) classes = largest + 1;
        if (largest >= classes)
            throw ArgumentError("one_hot: class values must be smaller than num_classes " + std::to_string(classes) +
                                ", found " + std::to_string(largest));
    }
    Ints shape = self.shape();
    shape.push_back(classes);
    Tensor result = Tensor::zeros(shape, DType::Int64);
    for (std::size_t i = 0; i < values.size(); ++i)
        result.data<std::int64_t>()[static_cast<std::int64_t>(i) * classes + values[i]] = 1;
    return result;
}

Tensor combinations(In self, std::int64_t r, bool with_replacement) {
    if (self.dim() != 1) throw ArgumentError("combinations: expects a 1-d tensor, found " + describe(self));
    if (r < 0) throw ArgumentError("combinations: expects a non-negative r, found " + std::to_string(r));
    if (r == 0) return Tensor::empty({0}, self.dtype());
    const std::int64_t n = self.numel();
    Ints picks;
    Ints current(static_cast<std::size_t>(r));
    for (std::int64_t i = 0; i < r; ++i) current[static_cast<std::size_t>(i)] = with_replacement ? 0 : i;
    while (n > 0 && current.back() < n) {
        picks.insert(picks.end(), current.begin(), current.end());
        std::int64_t i = r - 1;
        const auto limit = [&](std::int64_t place) { return with_replacement ? n - 1 : n - r + place; };
        while (i >= 0 && current[static_cast<std::size_t>(i)] >= limit(i)) --i;
        if (i < 0) break;
        ++current[static_cast<std::size_t>(i)];
        for (std::int64_t k = i + 1; k < r; ++k)
            current[static_cast<std::size_t>(k)] =
                current[static_cast<std::size_t>(k - 1)] + (with_replacement ? 0 : 1);
    }
    return index_select(self, 0, Tensor::from_ints(picks)).reshape({static_cast<std::int64_t>(picks.size()) / r, r});
}

/// Half a roll along each dimension.
Tensor shift_half(In self, const std::optional<Ints>& dim, bool up) {
    Ints dims;
    if (dim && dim->empty()) throw ArgumentError("fft_fftshift: expected at least one dimension in dim");
    if (dim)
        dims = *dim;
    else
        for (std::int64_t d = 0; d < self.dim(); ++d) dims.push_back(d);
    if (dims.empty()) return self.clone();
    Ints shifts;
    for (const std::int64_t d : dims) shifts.push_back(up ? (self.size(d) + 1) / 2 : self.size(d) / 2);
    return roll(self, shifts, dims);
}

Tensor fftshift(In self, const std::optional<Ints>& dim) { return shift_half(self, dim, false); }
Tensor ifftshift(In self, const std::optional<Ints>& dim) { return shift_half(self, dim, true); }

/// Consecutive powers of `x` along a new last dimension.
Tensor powers(In x, std::int64_t count) {
    Ints shape = x.shape();
    shape.push_back(count);
    const DType dtype = is_integral(x.dtype(), true) ? DType::Int64 : x.dtype();
    Tensor result = Tensor::full(shape, 1, dtype);
    for (std::int64_t i = 1; i < count; ++i)
        visit_compute(dtype, [&]<class C>(C) {
            elementwise_into<C>(
                result.select(-1, i), [](C a, C b) { return a * b; }, result.select(-1, i - 1), x);
        });
    return result;
}

Tensor vander(In x, OptInt n, bool increasing) {
    if (x.dim() != 1) throw ArgumentError("vander: expected x to be a 1-d tensor, found " + describe(x));
    const std::int64_t count = n.value_or(x.numel());
    if (count < 0) throw ArgumentError("vander: N must be non-negative, found " + std::to_string(count));
    const Tensor result = powers(x, count);
    return increasing ? result : flip(result, {1});
}

Tensor linalg_vander(In x, OptInt n) {
    if (x.dim() == 0 && !n) throw ArgumentError("linalg_vander: expected N for a 0-d tensor");
    if (x.dtype() == DType::Bool) throw ArgumentError("linalg_vander is not defined for bool tensors");
    const std::int64_t count = n ? *n : x.size(-1);
    if (count <= 1) throw ArgumentError("linalg_vander: N must be greater than 1, found " + std::to_string(count));
    return powers(atleast(x, 1), count);
}

Tensor fill_diagonal(In self, const Scalar& fill_value, bool wrap) {
    const bool equal = std::ranges::all_of(self.shape(), [&](std::int64_t size) { return size == self.shape()[0]; });
    if (self.dim() < 2 || (self.dim() > 2 && !equal))
        throw ArgumentError("fill_diagonal_: expected 'self' of two dimensions or of equal ones, found " +
                            describe(self));
    check_fits("fill_diagonal_", fill_value, self.dtype());
    const auto fill_from = [&](std::int64_t row) {
        std::int64_t stride = 0;
        for (const std::int64_t s : self.strides()) stride += s;
        const std::int64_t length = std::min(self.size(0) - row, self.size(1));
        if (length > 0) self.as_strided({length}, {stride}, self.offset() + row * self.stride(0)).fill(fill_value);
    };
    fill_from(0);
    // In a tall matrix the diagonal goes on below a row that is left out.
    if (wrap && self.dim() == 2)
        for (std::int64_t row = self.size(1) + 1; row < self.size(0); row += self.size(1) + 1) fill_from(row);
    return self;
}

}  // namespace

void register_rearrange(Registry& r) {
    r.add("fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False) -> Tensor(a!)", fill_diagonal);
    r.add("flip(Tensor self, int[] dims) -> Tensor", flip);
    r.add("fliplr(Tensor self) -> Tensor", fliplr);
    r.add("flipud(Tensor self) -> Tensor", flipud);
    r.add("roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor", roll);
    r.add("rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor", rot90);
    r.add("repeat(Tensor self, SymInt[] repeats) -> Tensor", repeat);
    r.add("tile(Tensor self, SymInt[] dims) -> Tensor", tile);
    r.add("repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor", repeat_interleave_counts);
    r.add(
        "repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, SymInt? output_size=None) -> "
        "Tensor",
        repeat_interleave_tensor);
    r.add(
        "repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? output_size=None) -> Tensor",
        repeat_interleave);
    r.add("tril(Tensor self, SymInt diagonal=0) -> Tensor", tril);
    r.add("triu(Tensor self, SymInt diagonal=0) -> Tensor", triu);
    r.add("diag(Tensor self, int diagonal=0) -> Tensor", diag);
    r.add("diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", diag_embed);
    r.add("diagflat(Tensor self, int offset=0) -> Tensor", diagflat);
    r.add("pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", pixel_shuffle);
    r.add("pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", pixel_unshuffle);
    r.add("channel_shuffle(Tensor self, SymInt groups) -> Tensor", channel_shuffle);
    r.add("native_channel_shuffle(Tensor self, SymInt groups) -> Tensor", channel_shuffle);
    r.add("one_hot(Tensor self, int num_classes=-1) -> Tensor", one_hot);
    r.add("combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor", combinations);
    r.add("fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor", fftshift);
    r.add("fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor", ifftshift);
    r.add("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor", vander);
    r.add("linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor", linalg_vander);
}

}  // namespace torch_ir::kernels
