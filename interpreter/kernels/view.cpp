// SPDX-License-Identifier: MIT
// Views: other shape, strides or offset over the same storage; no element is touched.
#include "kernels/view.hpp"

#include <algorithm>
#include <numeric>

#include "elementwise.hpp"
#include "kernels/families.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {

/// As PyTorch, but a tensor whose strides do not allow the view (an inner layout may be channels-last where PyTorch's
/// is row-major) is copied.
Tensor view(In self, const Ints& size) { return self.reshape(size); }

Tensor permute(In self, const Ints& dims) { return self.permute(dims); }

Tensor transpose(In self, std::int64_t dim0, std::int64_t dim1) { return self.transpose(dim0, dim1); }

Tensor t(In self) {
    if (self.dim() > 2) throw ArgumentError("t: expected self with at most 2 dimensions, found " + describe(self));
    return self.dim() < 2 ? self : self.transpose(0, 1);
}

Tensor expand(In self, const Ints& size, bool /*implicit*/) { return self.expand(size); }

Tensor squeeze_dims(In self, const Ints& dim) {
    std::vector<bool> wanted(static_cast<std::size_t>(std::max<std::int64_t>(self.dim(), 1)));
    for (const std::int64_t d : dim) {
        const auto i = static_cast<std::size_t>(self.wrap_dim(d));
        if (wanted[i]) throw ArgumentError("dim " + std::to_string(i) + " appears multiple times in the list of dims");
        wanted[i] = true;
    }
    Ints shape;
    Ints strides;
    for (std::size_t i = 0; i < self.shape().size(); ++i) {
        if (wanted[i] && self.shape()[i] == 1) continue;
        shape.push_back(self.shape()[i]);
        strides.push_back(self.strides()[i]);
    }
    return self.as_strided(std::move(shape), std::move(strides), self.offset());
}

Tensor squeeze_all(In self) {
    Ints dims(static_cast<std::size_t>(self.dim()));
    std::iota(dims.begin(), dims.end(), std::int64_t{0});
    return squeeze_dims(self, dims);
}

Tensor squeeze_dim(In self, std::int64_t dim) { return self.squeeze(dim); }
Tensor unsqueeze(In self, std::int64_t dim) { return self.unsqueeze(dim); }
Tensor select(In self, std::int64_t dim, std::int64_t index) { return self.select(dim, index); }

Tensor narrow(In self, std::int64_t dim, std::int64_t start, std::int64_t length) {
    if (self.dim() == 0) throw ArgumentError("narrow cannot be applied to a 0-d tensor");
    if (length < 0) throw ArgumentError("narrow: length must be non-negative, found " + std::to_string(length));
    const std::int64_t size = self.size(dim);
    if (start < -size || start > size)
        throw ArgumentError("narrow: start out of range (expected to be in range of [" + std::to_string(-size) + ", " +
                            std::to_string(size) + "], but got " + std::to_string(start) + ")");
    return self.narrow(dim, start < 0 ? start + size : start, length);
}

Tensor slice(In self, std::int64_t dim, std::optional<std::int64_t> start, std::optional<std::int64_t> end,
             std::int64_t step) {
    if (self.dim() == 0) throw ArgumentError("slice cannot be applied to a 0-d tensor");
    const auto d = static_cast<std::size_t>(self.wrap_dim(dim));
    if (step <= 0) throw ArgumentError("slice: expected step to be positive, found " + std::to_string(step));
    const std::int64_t length = self.shape()[d];
    const auto clamp = [&](std::int64_t value) {
        return std::clamp<std::int64_t>(value < 0 ? value + length : value, 0, length);
    };
    const std::int64_t first = clamp(start.value_or(0));
    const std::int64_t last = std::max(first, end ? clamp(*end) : length);
    Ints shape = self.shape();
    Ints strides = self.strides();
    const std::int64_t count = last - first;
    shape[d] = count == 0 ? 0 : (count - 1) / step + 1;
    const std::int64_t offset = self.offset() + first * strides[d];
    if (__builtin_mul_overflow(strides[d], step, &strides[d])) strides[d] = 0;  // one element: the stride is never used
    return self.as_strided(std::move(shape), std::move(strides), offset);
}

Tensor diagonal(In self, std::int64_t offset, std::int64_t dim1, std::int64_t dim2) {
    const std::int64_t a = self.wrap_dim(dim1);
    const std::int64_t b = self.wrap_dim(dim2);
    if (a == b || self.dim() < 2)
        throw ArgumentError("diagonal: dim1 and dim2 must be two different dimensions, found " + std::to_string(dim1) +
                            " and " + std::to_string(dim2));
    const std::int64_t rows = self.size(a);
    const std::int64_t columns = self.size(b);
    std::int64_t count = 0;
    std::int64_t start = self.offset();
    if (offset >= 0 && offset < columns) {
        count = std::min(rows, columns - offset);
        if (count > 0) start += offset * self.stride(b);
    } else if (offset < 0 && offset > -rows) {
        count = std::min(rows + offset, columns);
        if (count > 0) start -= offset * self.stride(a);
    }
    Ints shape;
    Ints strides;
    for (std::int64_t d = 0; d < self.dim(); ++d) {
        if (d == a || d == b) continue;
        shape.push_back(self.size(d));
        strides.push_back(self.stride(d));
    }
    shape.push_back(count);
    strides.push_back(self.stride(a) + self.stride(b));
    return self.as_strided(std::move(shape), std::move(strides), start);
}

Tensor movedim(In self, const Ints& source, const Ints& destination) {
    if (source.size() != destination.size())
        throw ArgumentError("movedim: source " + to_string(source) + " and destination " + to_string(destination) +
                            " must have the same number of dimensions");
    if (self.dim() == 0) {
        for (const Ints& list : {source, destination})
            for (const std::int64_t d : list) self.wrap_dim(d);
        return self;
    }
    constexpr std::int64_t unset = -1;
    Ints order(static_cast<std::size_t>(self.dim()), unset);
    std::vector<bool> moved(order.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        const std::int64_t from = self.wrap_dim(source[i]);
        const auto to = static_cast<std::size_t>(self.wrap_dim(destination[i]));
        if (moved[static_cast<std::size_t>(from)] || order[to] != unset)
            throw ArgumentError("movedim: repeated dimension in source " + to_string(source) + " or destination " +
                                to_string(destination));
        moved[static_cast<std::size_t>(from)] = true;
        order[to] = from;
    }
    std::size_t next = 0;
    for (std::int64_t& d : order) {
        if (d != unset) continue;
        while (moved[next]) ++next;
        d = static_cast<std::int64_t>(next++);
    }
    return self.permute(order);
}

Tensor flatten(In self, std::int64_t start_dim, std::int64_t end_dim) {
    const std::int64_t first = self.wrap_dim(start_dim);
    const std::int64_t last = self.wrap_dim(end_dim);
    if (first > last)
        throw ArgumentError("flatten: start_dim " + std::to_string(start_dim) + " cannot come after end_dim " +
                            std::to_string(end_dim));
    if (self.dim() == 0) return self.reshape({1});
    if (first == last) return self;
    Ints shape(self.shape().begin(), self.shape().begin() + first);
    shape.push_back(numel_of(
        std::span(self.shape()).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first + 1))));
    shape.insert(shape.end(), self.shape().begin() + last + 1, self.shape().end());
    return self.reshape(shape);
}

Tensor unfold(In self, std::int64_t dimension, std::int64_t size, std::int64_t step) {
    const auto d = static_cast<std::size_t>(self.wrap_dim(dimension));
    const std::int64_t length = self.dim() == 0 ? 1 : self.shape()[d];
    if (size < 0 || size > length)
        throw ArgumentError("unfold: expected size to be from 0 to " + std::to_string(length) + ", found " +
                            std::to_string(size));
    if (step <= 0) throw ArgumentError("unfold: expected step to be positive, found " + std::to_string(step));
    Ints shape = self.shape();
    Ints strides = self.strides();
    shape.push_back(size);
    strides.push_back(self.dim() == 0 ? 1 : strides[d]);
    if (self.dim() > 0) {
        shape[d] = (length - size) / step + 1;
        if (__builtin_mul_overflow(strides[d], step, &strides[d])) strides[d] = 0;  // one window
    }
    return self.as_strided(std::move(shape), std::move(strides), self.offset());
}

Tensor as_strided(In self, const Ints& size, const Ints& stride, std::optional<std::int64_t> storage_offset) {
    if (size.size() != stride.size())
        throw ArgumentError("as_strided: size " + to_string(size) + " and stride " + to_string(stride) +
                            " must have the same length");
    const std::int64_t offset = storage_offset.value_or(self.offset());
    bool fits = offset >= 0;
    std::int64_t last = offset;
    for (std::size_t i = 0; i < size.size(); ++i) {
        if (stride[i] < 0)
            throw ArgumentError("as_strided: negative strides are not supported, found " + to_string(stride));
        std::int64_t reach = 0;
        fits = fits && !__builtin_mul_overflow(std::max<std::int64_t>(size[i] - 1, 0), stride[i], &reach) &&
               !__builtin_add_overflow(last, reach, &last);
    }
    const auto available = static_cast<std::int64_t>(self.storage()->bytes() / item_size(self.dtype()));
    if (numel_of(size) != 0 && (!fits || last >= available))
        throw ArgumentError("as_strided: size " + to_string(size) + ", stride " + to_string(stride) +
                            " and storage_offset " + std::to_string(offset) + " reach beyond the " +
                            std::to_string(available) + " elements of the storage");
    return self.as_strided(size, stride, fits ? offset : 0);
}

/// The same bytes as another dtype; the last dimension shrinks or grows when the item sizes differ.
Tensor view_dtype(In self, DType dtype) {
    const auto from = static_cast<std::int64_t>(item_size(self.dtype()));
    const auto to = static_cast<std::int64_t>(item_size(dtype));
    if (from == to) return self.reinterpret(dtype);
    const auto fail = [&](const std::string& what) {
        throw ArgumentError("view: viewing " + describe(self) + " as " + std::string(name(dtype)) + " needs " + what);
    };
    if (self.dim() == 0) fail("a tensor with dimensions");
    if (self.strides().back() != 1 && self.shape().back() != 1) fail("a last dimension of stride 1");
    Ints shape = self.shape();
    Ints strides = self.strides();
    std::int64_t offset = self.offset();
    if (from > to) {
        const std::int64_t ratio = from / to;
        for (std::int64_t& stride : strides) stride *= ratio;
        offset *= ratio;
        shape.back() *= ratio;
    } else {
        const std::int64_t ratio = to / from;
        if (shape.back() % ratio != 0) fail("a last dimension divisible by " + std::to_string(ratio));
        if (offset % ratio != 0) fail("a storage offset divisible by " + std::to_string(ratio));
        for (std::size_t i = 0; i + 1 < strides.size(); ++i) {
            if (strides[i] % ratio != 0) fail("strides divisible by " + std::to_string(ratio));
            strides[i] /= ratio;
        }
        offset /= ratio;
        shape.back() /= ratio;
    }
    strides.back() = 1;
    return {self.storage(), dtype, std::move(shape), std::move(strides), offset};
}

Tensor view_as_real(In self) {
    if (!is_complex(self.dtype()))
        throw ArgumentError("view_as_real: expected a complex tensor, found " + describe(self));
    Ints shape = self.shape();
    Ints strides = self.strides();
    for (std::int64_t& stride : strides) stride *= 2;
    shape.push_back(2);
    strides.push_back(1);
    return {self.storage(), to_real(self.dtype()), std::move(shape), std::move(strides), self.offset() * 2};
}

Tensor view_as_complex(In self) {
    const DType dtype = self.dtype();
    if (dtype != DType::Float16 && dtype != DType::Float32 && dtype != DType::Float64)
        throw ArgumentError("view_as_complex: expected a float16, float32 or float64 tensor, found " + describe(self));
    if (self.dim() == 0 || self.shape().back() != 2)
        throw ArgumentError("view_as_complex: expected a last dimension of size 2, found " + describe(self));
    const auto odd = [](std::int64_t value) { return value % 2 != 0; };
    if (self.strides().back() != 1 || odd(self.offset()) ||
        std::any_of(self.strides().begin(), self.strides().end() - 1, odd))
        throw ArgumentError(
            "view_as_complex: expected a last dimension of stride 1 and all others and the offset divisible by 2");
    Ints shape(self.shape().begin(), self.shape().end() - 1);
    Ints strides(self.strides().begin(), self.strides().end() - 1);
    for (std::int64_t& stride : strides) stride /= 2;
    return {self.storage(), to_complex(dtype), std::move(shape), std::move(strides), self.offset() / 2};
}

Tensor conj(In self) {
    if (!is_complex(self.dtype())) return self;
    using C = std::complex<double>;
    return elementwise<C>(
        self.dtype(), [](C x) { return C(x.real(), -x.imag()); }, self);
}

Tensor atleast(In self, std::int64_t dims) {
    if (self.dim() >= dims) return self;
    if (self.dim() == 0) return self.reshape(Ints(static_cast<std::size_t>(dims), 1));
    Tensor result = self.dim() == 1 && dims > 1 ? self.unsqueeze(0) : self;
    return dims == 3 ? result.unsqueeze(-1) : result;
}

namespace {

Tensor same(In self) { return self; }

Tensor real(In self) { return is_complex(self.dtype()) ? view_as_real(self).select(-1, 0) : self; }

Tensor imag(In self) {
    if (!is_complex(self.dtype())) throw ArgumentError("imag: expected a complex tensor, found " + describe(self));
    return view_as_real(self).select(-1, 1);
}

Tensor negative(In self) {
    return visit_compute(self.dtype(), [&]<class C>(C) {
        return elementwise<C>(
            self.dtype(), [](C x) { return C(0) - x; }, self);
    });
}

/// All dimensions reversed.
Tensor reverse_dims(In self) {
    Ints dims(static_cast<std::size_t>(self.dim()));
    std::iota(dims.rbegin(), dims.rend(), std::int64_t{0});
    return self.permute(dims);
}

Tensor matrix_transpose(In self) {
    if (self.dim() == 0) return self;
    if (self.dim() == 1) throw ArgumentError("mT: expected 'self' not to be of 1 dimension, found " + describe(self));
    return self.transpose(-2, -1);
}

Tensor adjoint(In self) { return conj(matrix_transpose(self)); }

Tensor matrix_h(In self) {
    if (self.dim() != 0 && self.dim() != 2)
        throw ArgumentError("matrix_H: expected a tensor of 0 or 2 dimensions, found " + describe(self));
    return self.dim() == 0 ? conj(self) : adjoint(self);
}

Tensor positive(In self) {
    if (self.dtype() == DType::Bool) throw ArgumentError("positive: bool tensors are not supported");
    return self;
}

Tensor unflatten(In self, std::int64_t dim, const Ints& sizes) {
    const std::int64_t d = self.wrap_dim(dim);
    if (sizes.empty()) throw ArgumentError("unflatten: sizes must not be empty");
    const std::int64_t length = self.dim() == 0 ? 1 : self.size(d);
    Ints filled = sizes;
    const auto inferred = std::find(filled.begin(), filled.end(), -1);
    std::int64_t known = 1;
    for (const std::int64_t size : filled)
        if (size != -1) known = size < 0 ? 0 : known * size;
    if (inferred != filled.end() && known != 0) *inferred = length / known;
    if (std::count(filled.begin(), filled.end(), -1) > 0 || numel_of(filled) != length)
        throw ArgumentError("unflatten: provided sizes " + to_string(sizes) +
                            " do not multiply up to the size of dim " + std::to_string(d) + " (" +
                            std::to_string(length) + ")");
    Ints shape = self.shape();
    if (!shape.empty()) shape.erase(shape.begin() + d);
    shape.insert(shape.begin() + d, filled.begin(), filled.end());
    return self.reshape(shape);
}

template <std::int64_t Dims>
Tensor atleast_one(In self) {
    return atleast(self, Dims);
}

template <std::int64_t Dims>
TensorList atleast_list(const TensorList& tensors) {
    TensorList result;
    for (const Tensor& tensor : tensors) result.push_back(atleast(tensor, Dims));
    return result;
}

}  // namespace

void register_view(Registry& r) {
    r.add("view(Tensor(a) self, SymInt[] size) -> Tensor(a)", view);
    r.add("view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)", view_dtype);
    r.add("reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)", view);
    r.add("_unsafe_view(Tensor self, SymInt[] size) -> Tensor", view);
    r.add("_reshape_alias(Tensor(a) self, SymInt[] size, SymInt[] stride) -> Tensor(a)",
          [](In self, const Ints& size, const Ints& stride) { return as_strided(self, size, stride, {}); });
    r.add("view_as(Tensor(a) self, Tensor other) -> Tensor(a)",
          [](In self, In other) { return view(self, other.shape()); });
    r.add("reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)",
          [](In self, In other) { return view(self, other.shape()); });
    r.add("ravel(Tensor(a) self) -> Tensor(a)", [](In self) { return self.reshape({-1}); });
    r.add("flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)", flatten);
    r.add("unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", unflatten);
    r.add("transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", transpose);
    r.add("swapaxes(Tensor(a) self, int axis0, int axis1) -> Tensor(a)", transpose);
    r.add("swapdims(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", transpose);
    r.add("t(Tensor(a) self) -> Tensor(a)", t);
    r.add("numpy_T(Tensor(a) self) -> Tensor(a)", reverse_dims);
    r.add("matrix_H(Tensor(a) self) -> Tensor(a)", matrix_h);
    r.add("mT(Tensor(a) self) -> Tensor(a)", matrix_transpose);
    r.add("mH(Tensor(a) self) -> Tensor(a)", adjoint);
    r.add("adjoint(Tensor(a) self) -> Tensor(a)", [](In self) { return self.dim() == 0 ? conj(self) : adjoint(self); });
    r.add("permute(Tensor(a) self, int[] dims) -> Tensor(a)", permute);
    r.add("moveaxis.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", movedim);
    r.add("movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", movedim);
    r.add(
        "moveaxis.int(Tensor(a) self, int source, int destination) -> Tensor(a)",
        [](In self, std::int64_t source, std::int64_t destination) { return movedim(self, {source}, {destination}); });
    r.add(
        "movedim.int(Tensor(a) self, int source, int destination) -> Tensor(a)",
        [](In self, std::int64_t source, std::int64_t destination) { return movedim(self, {source}, {destination}); });
    r.add("expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)", expand);
    r.add("expand_as(Tensor(a) self, Tensor other) -> Tensor(a)",
          [](In self, In other) { return self.expand(other.shape()); });
    r.add("broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)",
          [](In self, const Ints& size) { return self.expand(size); });
    r.add("squeeze(Tensor(a) self) -> Tensor(a)", squeeze_all);
    r.add("squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", squeeze_dim);
    r.add("squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", squeeze_dims);
    r.add("unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", unsqueeze);
    r.add("select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)", select);
    r.add("slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)",
          slice);
    r.add("narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)", narrow);
    r.add("narrow.Tensor(Tensor(a) self, int dim, Tensor start, SymInt length) -> Tensor(a)",
          [](In self, std::int64_t dim, In start, std::int64_t length) {
              if (start.dim() != 0 || !is_integral(start.dtype(), false))
                  throw ArgumentError("narrow: expected start to be a 0-d integer tensor, found " + describe(start));
              return narrow(self, dim, start.item().to<std::int64_t>(), length);
          });
    r.add("diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)", diagonal);
    r.add("linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)", diagonal);
    r.add("unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)", unfold);
    r.add("as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)",
          as_strided);
    r.add("view_as_real(Tensor(a) self) -> Tensor(a)", view_as_real);
    r.add("view_as_complex(Tensor(a) self) -> Tensor(a)", view_as_complex);
    r.add("real(Tensor(a) self) -> Tensor(a)", real);
    r.add("imag(Tensor(a) self) -> Tensor(a)", imag);
    r.add("conj(Tensor(a) self) -> Tensor(a)", conj);
    r.add("_conj(Tensor(a) self) -> Tensor(a)", conj);
    r.add("conj_physical(Tensor self) -> Tensor", conj);
    r.add("_conj_physical(Tensor self) -> Tensor", conj);
    r.add("positive(Tensor(a) self) -> Tensor(a)", positive);
    r.add("_neg_view(Tensor(a) self) -> Tensor(a)", negative);
    r.add("resolve_conj(Tensor(a) self) -> Tensor(a)", same);
    r.add("resolve_neg(Tensor(a) self) -> Tensor(a)", same);
    r.add("alias(Tensor(a) self) -> Tensor(a)", same);
    r.add("detach(Tensor(a) self) -> Tensor(a)", same);
    r.add("data(Tensor self) -> Tensor", same);
    r.add("lift(Tensor self) -> Tensor", same);
    r.add("lift_fresh(Tensor(a) self) -> Tensor(a)", same);
    r.add("_fw_primal(Tensor(a) self, int level) -> Tensor(a)", [](In self, std::int64_t) { return self; });
    r.add("pin_memory(Tensor(a) self, Device? device=None) -> Tensor(a)",
          [](In self, const std::optional<Device>&) { return self; });
    r.add("atleast_1d(Tensor self) -> Tensor", atleast_one<1>);
    r.add("atleast_2d(Tensor self) -> Tensor", atleast_one<2>);
    r.add("atleast_3d(Tensor self) -> Tensor", atleast_one<3>);
    r.add("atleast_1d.Sequence(Tensor[] tensors) -> Tensor[]", atleast_list<1>);
    r.add("atleast_2d.Sequence(Tensor[] tensors) -> Tensor[]", atleast_list<2>);
    r.add("atleast_3d.Sequence(Tensor[] tensors) -> Tensor[]", atleast_list<3>);
}

}  // namespace torch_ir::kernels
