// SPDX-License-Identifier: MIT
#include "tensor.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "allocator.hpp"
#include "backend/pack_cache.hpp"
#include "convert.hpp"
#include "elementwise.hpp"

namespace torch_ir {

Storage::Storage(std::size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
Storage::Storage(std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner)
    : data_(data), bytes_(bytes), owner_(std::move(owner)), borrowed_(true) {}

Storage::~Storage() {
    if (!borrowed_) deallocate(data_, bytes_);
}

void Storage::set_constant() {
    if (!packed_) packed_ = std::make_unique<backend::PackCache>(bytes_);
}

std::string to_string(std::span<const std::int64_t> ints) {
    std::string text = "[";
    for (std::size_t i = 0; i < ints.size(); ++i) text += (i ? ", " : "") + std::to_string(ints[i]);
    return text + "]";
}

std::string describe(const Tensor& tensor) {
    return tensor.defined() ? std::string(name(tensor.dtype())) + to_string(tensor.shape()) : "None";
}

std::int64_t numel_of(std::span<const std::int64_t> shape) {
    std::int64_t count = 1;
    bool empty = false;
    for (const std::int64_t size : shape) {
        if (size < 0) throw ArgumentError("negative size in shape " + to_string(shape));
        if (size == 0) empty = true;
        if (size != 0 && __builtin_mul_overflow(count, size, &count))
            throw ArgumentError("the number of elements of shape " + to_string(shape) + " does not fit 64 bits");
    }
    return empty ? 0 : count;
}

Ints contiguous_strides(std::span<const std::int64_t> shape) {
    Ints strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= std::max<std::int64_t>(shape[i], 1);
    }
    return strides;
}

Ints broadcast_shapes(std::span<const std::int64_t> a, std::span<const std::int64_t> b) {
    Ints shape(std::max(a.size(), b.size()));
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
        const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (x != y && x != 1 && y != 1)
            throw ArgumentError("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
        shape[shape.size() - 1 - i] = x == 1 ? y : x;
    }
    return shape;
}

Tensor::Tensor(std::shared_ptr<Storage> storage, DType dtype, Ints shape, Ints strides, std::int64_t offset)
    : storage_(std::move(storage)),
      shape_(std::move(shape)),
      strides_(std::move(strides)),
      offset_(offset),
      numel_(numel_of(shape_)),
      dtype_(dtype) {}

Tensor Tensor::empty(Ints shape, DType dtype) {
    Ints strides = contiguous_strides(shape);
    return empty_strided(std::move(shape), std::move(strides), dtype);
}

Tensor Tensor::empty_strided(Ints shape, Ints strides, DType dtype) {
    std::int64_t extent = numel_of(shape) == 0 ? 0 : 1;
    if (extent)
        for (std::size_t i = 0; i < shape.size(); ++i) extent += (shape[i] - 1) * strides[i];
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<std::size_t>(extent), item_size(dtype), &bytes) ||
        bytes > (std::size_t{1} << 47))
        throw ArgumentError("a tensor of shape " + to_string(shape) + " is too large");
    return {std::make_shared<Storage>(bytes), dtype, std::move(shape), std::move(strides), 0};
}

namespace {

/// Strides of a dense tensor of that shape whose dimensions are laid out in the order of `strides`, largest first.
Ints dense_strides_like(const Ints& shape, const Ints& strides) {
    std::vector<std::size_t> order(shape.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return strides[a] > strides[b]; });
    Ints dense(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = order.size(); i-- > 0;) {
        dense[order[i]] = stride;
        stride *= std::max<std::int64_t>(shape[order[i]], 1);
    }
    return dense;
}

}  // namespace

bool are_dense(const Ints& shape, const Ints& strides) {
    const Ints dense = dense_strides_like(shape, strides);
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] != 1 && dense[i] != strides[i]) return false;
    return true;
}

Tensor Tensor::empty_like(const Tensor& like, DType dtype) {
    if (like.is_contiguous()) return empty(like.shape_, dtype);
    const Tensor* const inputs[] = {&like};
    return elementwise_output(dtype, inputs);
}

Tensor Tensor::zeros(Ints shape, DType dtype) {
    Tensor result = empty(std::move(shape), dtype);
    std::memset(result.raw(), 0, result.bytes());
    return result;
}

Tensor Tensor::full(Ints shape, const Scalar& value, DType dtype) {
    Tensor result = empty(std::move(shape), dtype);
    result.fill(value);
    return result;
}

Tensor Tensor::wrapped_number(const Scalar& value) {
    Tensor result = scalar(value, value.exact_dtype());
    result.wrapped_number_ = true;
    return result;
}

Tensor Tensor::from_ints(std::span<const std::int64_t> values) {
    Tensor result = empty({static_cast<std::int64_t>(values.size())}, DType::Int64);
    std::copy(values.begin(), values.end(), result.data<std::int64_t>());
    return result;
}

std::int64_t Tensor::wrap_dim(std::int64_t dimension) const {
    const std::int64_t rank = std::max<std::int64_t>(dim(), 1);
    if (dimension < -rank || dimension >= rank)
        throw ArgumentError("dimension out of range (expected to be in range of [" + std::to_string(-rank) + ", " +
                            std::to_string(rank - 1) + "], but got " + std::to_string(dimension) + ")");
    return dimension < 0 ? dimension + rank : dimension;
}

std::size_t Tensor::existing_dim(std::int64_t dimension) const {
    const std::int64_t wrapped = wrap_dim(dimension);
    if (shape_.empty())
        throw ArgumentError("dimension specified as " + std::to_string(dimension) + " but tensor has no dimensions");
    return static_cast<std::size_t>(wrapped);
}

bool Tensor::is_contiguous() const {
    std::int64_t expected = 1;
    if (numel_ == 0) return true;
    for (std::size_t i = shape_.size(); i-- > 0;) {
        if (shape_[i] != 1 && strides_[i] != expected) return false;
        expected *= shape_[i];
    }
    return true;
}

bool Tensor::is_dense() const { return is_contiguous() || are_dense(shape_, strides_); }

bool Tensor::is_channels_last() const {
    if (dim() < 3) return false;
    std::int64_t expected = 1;
    const auto check = [&](std::size_t i) {
        const bool ok = shape_[i] == 1 || strides_[i] == expected;
        expected *= shape_[i];
        return ok;
    };
    if (!check(1)) return false;
    for (std::size_t i = shape_.size(); i-- > 2;)
        if (!check(i)) return false;
    return check(0);
}

Tensor Tensor::as_strided(Ints shape, Ints strides, std::int64_t offset) const {
    Tensor view(storage_, dtype_, std::move(shape), std::move(strides), offset);
    return view;
}

Tensor Tensor::permute(std::span<const std::int64_t> dims) const {
    if (dims.size() != shape_.size())
        throw ArgumentError("permute of " + describe(*this) + " needs " + std::to_string(dim()) + " dims, got " +
                            to_string(dims));
    Ints shape(dims.size());
    Ints strides(dims.size());
    std::vector<bool> seen(dims.size());
    for (std::size_t i = 0; i < dims.size(); ++i) {
        const auto d = static_cast<std::size_t>(wrap_dim(dims[i]));
        if (seen[d])
            throw ArgumentError("permute: dimension " + std::to_string(d) + " is repeated in " + to_string(dims));
        seen[d] = true;
        shape[i] = shape_[d];
        strides[i] = strides_[d];
    }
    return as_strided(std::move(shape), std::move(strides), offset_);
}

Tensor Tensor::transpose(std::int64_t dim0, std::int64_t dim1) const {
    const auto a = static_cast<std::size_t>(wrap_dim(dim0));
    const auto b = static_cast<std::size_t>(wrap_dim(dim1));
    if (shape_.empty()) return *this;
    Ints shape = shape_;
    Ints strides = strides_;
    std::swap(shape[a], shape[b]);
    std::swap(strides[a], strides[b]);
    return as_strided(std::move(shape), std::move(strides), offset_);
}

Tensor Tensor::expand(std::span<const std::int64_t> shape) const {
    const auto fail = [&] { throw ArgumentError("cannot expand " + describe(*this) + " to " + to_string(shape)); };
    if (shape.size() < shape_.size()) fail();
    Ints sizes(shape.begin(), shape.end());
    Ints strides(shape.size(), 0);
    const std::size_t added = shape.size() - shape_.size();
    for (std::size_t i = shape.size(); i-- > 0;) {
        if (i < added) {
            if (sizes[i] < 0) fail();
            // A new dimension of size 1 has the stride that unsqueeze gives it, which as_strided and slice can show.
            if (sizes[i] == 1 && !shape_.empty()) strides[i] = sizes[i + 1] * strides[i + 1];
            continue;
        }
        const std::int64_t own = shape_[i - added];
        if (sizes[i] == -1) sizes[i] = own;
        if (own == sizes[i])
            strides[i] = strides_[i - added];
        else if (own != 1)
            fail();
    }
    return as_strided(std::move(sizes), std::move(strides), offset_);
}

Tensor Tensor::select(std::int64_t dimension, std::int64_t index) const {
    if (shape_.empty()) throw ArgumentError("select cannot be applied to a 0-d tensor");
    const auto d = static_cast<std::size_t>(wrap_dim(dimension));
    const std::int64_t length = shape_[d];
    if (index < -length || index >= length)
        throw ArgumentError("index " + std::to_string(index) + " is out of bounds for dimension " + std::to_string(d) +
                            " with size " + std::to_string(length));
    if (index < 0) index += length;
    Ints shape = shape_;
    Ints strides = strides_;
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(d));
    strides.erase(strides.begin() + static_cast<std::ptrdiff_t>(d));
    return as_strided(std::move(shape), std::move(strides), offset_ + index * strides_[d]);
}

Tensor Tensor::narrow(std::int64_t dimension, std::int64_t start, std::int64_t length) const {
    if (shape_.empty()) throw ArgumentError("narrow cannot be applied to a 0-d tensor");
    const auto d = static_cast<std::size_t>(wrap_dim(dimension));
    if (start < 0 || length < 0 || start > shape_[d] - length)
        throw ArgumentError("start (" + std::to_string(start) + ") + length (" + std::to_string(length) +
                            ") exceeds dimension size (" + std::to_string(shape_[d]) + ")");
    Ints shape = shape_;
    shape[d] = length;
    return as_strided(std::move(shape), strides_, offset_ + start * strides_[d]);
}

Tensor Tensor::unsqueeze(std::int64_t dimension) const {
    const std::int64_t rank = dim() + 1;
    if (dimension < -rank || dimension >= rank)
        throw ArgumentError("dimension out of range (expected to be in range of [" + std::to_string(-rank) + ", " +
                            std::to_string(rank - 1) + "], but got " + std::to_string(dimension) + ")");
    const auto d = static_cast<std::size_t>(dimension < 0 ? dimension + rank : dimension);
    Ints shape = shape_;
    Ints strides = strides_;
    const std::int64_t stride = d < shape_.size() ? shape_[d] * strides_[d] : 1;
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(d), 1);
    strides.insert(strides.begin() + static_cast<std::ptrdiff_t>(d), stride);
    return as_strided(std::move(shape), std::move(strides), offset_);
}

Tensor Tensor::squeeze(std::int64_t dimension) const {
    const auto d = static_cast<std::size_t>(wrap_dim(dimension));
    if (shape_.empty() || shape_[d] != 1) return *this;
    return select(static_cast<std::int64_t>(d), 0);
}

Tensor Tensor::try_view(std::span<const std::int64_t> requested) const {
    Ints shape(requested.begin(), requested.end());
    const auto fail = [&] {
        throw ArgumentError("shape " + to_string(requested) + " is invalid for " + describe(*this) + " of " +
                            std::to_string(numel_) + " elements");
    };
    std::int64_t known = 1;
    std::size_t inferred = shape.size();
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == -1) {
            if (inferred != shape.size())
                throw ArgumentError("only one dimension can be inferred in " + to_string(requested));
            inferred = i;
        } else if (shape[i] < -1 || (shape[i] > 0 && known > std::numeric_limits<std::int64_t>::max() / shape[i])) {
            fail();
        } else {
            known *= shape[i];
        }
    }
    if (inferred != shape.size()) {
        if (known == 0 || numel_ % known != 0) fail();
        shape[inferred] = numel_ / known;
    } else if (known != numel_) {
        fail();
    }
    if (is_contiguous() || numel_ == 0) {
        Ints strides = shape == shape_ ? strides_ : contiguous_strides(shape);
        return as_strided(std::move(shape), std::move(strides), offset_);
    }
    // Split the old dimensions into runs that are contiguous among themselves; each run must be a product of new sizes
    // (at::detail::computeStride).
    Ints strides(shape.size());
    auto view_d = static_cast<std::int64_t>(shape.size()) - 1;
    std::int64_t chunk_base_stride = strides_.back();
    std::int64_t tensor_numel = 1;
    std::int64_t view_numel = 1;
    for (std::int64_t d = dim() - 1; d >= 0; --d) {
        const auto i = static_cast<std::size_t>(d);
        tensor_numel *= shape_[i];
        if (d != 0 && (shape_[i - 1] == 1 || strides_[i - 1] == tensor_numel * chunk_base_stride)) continue;
        while (view_d >= 0 && (view_numel < tensor_numel || shape[static_cast<std::size_t>(view_d)] == 1)) {
            strides[static_cast<std::size_t>(view_d)] = view_numel * chunk_base_stride;
            view_numel *= shape[static_cast<std::size_t>(view_d)];
            --view_d;
        }
        if (view_numel != tensor_numel) return {};
        if (d > 0) {
            chunk_base_stride = strides_[i - 1];
            tensor_numel = 1;
            view_numel = 1;
        }
    }
    if (view_d != -1) return {};
    return as_strided(std::move(shape), std::move(strides), offset_);
}

Tensor Tensor::reshape(std::span<const std::int64_t> shape) const {
    Tensor view = try_view(shape);
    return view.defined() ? view : contiguous().try_view(shape);
}

Tensor Tensor::reinterpret(DType dtype) const {
    Tensor view = *this;
    view.dtype_ = dtype;
    view.wrapped_number_ = false;
    return view;
}

Tensor Tensor::contiguous() const {
    if (is_contiguous()) return *this;
    Tensor result = empty(shape_, dtype_);
    result.copy_from(*this);
    return result;
}

Tensor Tensor::to(DType dtype) const {
    if (dtype == dtype_) return *this;
    Tensor result = empty_like(*this, dtype);
    result.copy_from(*this);
    return result;
}

Tensor Tensor::clone() const {
    Tensor result = empty_like(*this, dtype_);
    result.copy_from(*this);
    return result;
}

void Tensor::copy_from(const Tensor& source) const { copy_elements(*this, source); }

void Tensor::fill(const Scalar& value) const {
    if (is_integral(dtype_))
        static_cast<void>(value.to<std::int64_t>());  // refuses what the dtype cannot hold
    else if (!is_complex(dtype_) && dtype_ != DType::Bool)
        static_cast<void>(value.to<double>());
    const Compute compute = compute_for(value.exact_dtype());
    const std::int64_t integer = value.is_integral() ? value.to<std::int64_t>() : 0;
    const auto complex = value.to<std::complex<double>>();
    const double real = complex.real();
    const void* number = compute == Compute::Int64     ? static_cast<const void*>(&integer)
                         : compute == Compute::Complex ? static_cast<const void*>(&complex)
                                                       : static_cast<const void*>(&real);
    alignas(16) std::byte element[16];
    store(dtype_, element, 1, compute, number, 1);
    fill_elements(*this, element);
}

Scalar Tensor::item() const {
    if (numel_ != 1)
        throw ArgumentError("a tensor with " + std::to_string(numel_) + " elements cannot be converted to a number");
    switch (compute_for(dtype_)) {
        case Compute::Int64: {
            std::int64_t value = 0;
            load(Compute::Int64, &value, dtype_, raw(), 1, 1);
            return dtype_ == DType::Bool ? Scalar(value != 0) : Scalar(value);
        }
        case Compute::Complex: {
            std::complex<double> value;
            load(Compute::Complex, &value, dtype_, raw(), 1, 1);
            return value;
        }
        default: {
            double value = 0;
            load(Compute::Double, &value, dtype_, raw(), 1, 1);
            return value;
        }
    }
}

}  // namespace torch_ir
