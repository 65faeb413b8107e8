// SPDX-License-Identifier: MIT
// The run-time tensor: a strided window of a storage. Views are metadata, copies are explicit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "scalar.hpp"
#include "torch_ir/argument.hpp"
#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"

namespace torch_ir {

namespace backend {
class PackCache;
}

using Ints = std::vector<std::int64_t>;

/// Bytes that tensors share. Either own memory from the pool, or borrowed from `owner` (a mapped file, the caller's
/// array).
class Storage {
  public:
    explicit Storage(std::size_t bytes);
    Storage(std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner);
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;
    ~Storage();

    std::byte* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    /// Promised never to change while it lives (the values of a weight): what is derived from it may be kept.
    bool is_constant() const { return packed_ != nullptr; }
    void set_constant();
    /// What products keep of it; nullptr when it is not constant.
    backend::PackCache* packed() const { return packed_.get(); }
    /// Memory of somebody else, which may be read-only.
    bool is_borrowed() const { return borrowed_; }

  private:
    std::byte* data_;
    std::size_t bytes_;
    std::shared_ptr<const void> owner_;
    bool borrowed_ = false;
    std::unique_ptr<backend::PackCache> packed_;
};

/// A tensor with dtype, shape and strides known at run time. Copying it copies the metadata and shares the storage.
/// A default-constructed Tensor is undefined and stands for None where a kernel takes `Tensor?`.
class Tensor {
  public:
    Tensor() = default;

    /// Over an existing storage; strides and offset in elements. The caller guarantees that all elements lie inside.
    Tensor(std::shared_ptr<Storage> storage, DType dtype, Ints shape, Ints strides, std::int64_t offset);

    /// Uninitialised, row-major.
    static Tensor empty(Ints shape, DType dtype);
    /// Uninitialised with the given strides; the storage is just large enough.
    static Tensor empty_strided(Ints shape, Ints strides, DType dtype);
    /// Uninitialised; the strides of `like` when it is dense, else row-major in the order of its strides.
    static Tensor empty_like(const Tensor& like, DType dtype);
    static Tensor zeros(Ints shape, DType dtype);
    static Tensor full(Ints shape, const Scalar& value, DType dtype);
    /// A 0-d tensor.
    static Tensor scalar(const Scalar& value, DType dtype) { return full({}, value, dtype); }
    /// A Python number in a tensor's place: 0-d, and it does not count against tensors in promotion.
    static Tensor wrapped_number(const Scalar& value);
    /// A 1-d int64 tensor.
    static Tensor from_ints(std::span<const std::int64_t> values);

    bool defined() const { return storage_ != nullptr; }
    DType dtype() const { return dtype_; }
    const Ints& shape() const { return shape_; }
    const Ints& strides() const { return strides_; }
    std::int64_t offset() const { return offset_; }
    std::int64_t dim() const { return static_cast<std::int64_t>(shape_.size()); }
    /// Size of a dimension; negative ones count from the end. Throws ArgumentError when out of range, as every one is
    /// for a 0-d tensor.
    std::int64_t size(std::int64_t dimension) const { return shape_[existing_dim(dimension)]; }
    std::int64_t stride(std::int64_t dimension) const { return strides_[existing_dim(dimension)]; }
    std::int64_t numel() const { return numel_; }
    std::size_t bytes() const { return static_cast<std::size_t>(numel_) * item_size(dtype_); }
    bool is_wrapped_number() const { return wrapped_number_; }
    const std::shared_ptr<Storage>& storage() const { return storage_; }

    /// `dimension` as 0 … dim-1 (a 0-d tensor counts as 1-d). Throws ArgumentError with PyTorch's wording.
    std::int64_t wrap_dim(std::int64_t dimension) const;

    std::byte* raw() const { return storage_->data() + offset_ * static_cast<std::int64_t>(item_size(dtype_)); }
    /// Pointer to the first element. T must be the stored type (see half.hpp for the 16- and 8-bit floats).
    template <class T>
    T* data() const {
        return reinterpret_cast<T*>(raw());
    }

    /// xtensor adaptors over the memory, defined in xt.hpp: `t.view<float, 2>()`, `t.view<float>()`.
    template <class T, std::size_t Rank>
    auto view() const;
    template <class T>
    auto view() const;

    bool is_contiguous() const;
    /// Every storage element of the window belongs to exactly one index: contiguous up to a permutation of dimensions.
    bool is_dense() const;
    bool is_channels_last() const;

    // Views: same storage, no element is touched.
    Tensor as_strided(Ints shape, Ints strides, std::int64_t offset) const;
    Tensor permute(std::span<const std::int64_t> dims) const;
    Tensor transpose(std::int64_t dim0, std::int64_t dim1) const;
    /// Broadcast to `shape`; -1 keeps a size. Throws ArgumentError when it does not fit.
    Tensor expand(std::span<const std::int64_t> shape) const;
    Tensor select(std::int64_t dimension, std::int64_t index) const;
    Tensor narrow(std::int64_t dimension, std::int64_t start, std::int64_t length) const;
    Tensor unsqueeze(std::int64_t dimension) const;
    Tensor squeeze(std::int64_t dimension) const;
    /// The view of that shape, or an undefined tensor when the strides do not allow one. One size may be -1.
    Tensor try_view(std::span<const std::int64_t> shape) const;
    /// A view where possible, else a contiguous copy.
    Tensor reshape(std::span<const std::int64_t> shape) const;
    Tensor reshape(std::initializer_list<std::int64_t> shape) const {
        return reshape(std::span(shape.begin(), shape.size()));
    }
    /// The same bytes under another dtype of the same item size.
    Tensor reinterpret(DType dtype) const;

    // Copies.
    /// Itself when contiguous, else a row-major copy.
    Tensor contiguous() const;
    /// Itself when the dtype is right, else converted (dense strides kept).
    Tensor to(DType dtype) const;
    /// A copy with the dense strides kept.
    Tensor clone() const;
    /// Converts and broadcasts `source` into this tensor's elements.
    void copy_from(const Tensor& source) const;
    void fill(const Scalar& value) const;

    /// The only element as a number. Throws ArgumentError unless numel is 1.
    Scalar item() const;

  private:
    std::size_t existing_dim(std::int64_t dimension) const;

    std::shared_ptr<Storage> storage_;
    Ints shape_;
    Ints strides_;
    std::int64_t offset_ = 0;
    std::int64_t numel_ = 0;
    DType dtype_ = DType::Float32;
    bool wrapped_number_ = false;
};

/// Product of sizes; throws ArgumentError on a negative size or overflow.
std::int64_t numel_of(std::span<const std::int64_t> shape);
/// Do strides give every element of a tensor of that shape a place of its own, without gaps?
bool are_dense(const Ints& shape, const Ints& strides);
/// Row-major strides.
Ints contiguous_strides(std::span<const std::int64_t> shape);
/// The shape both broadcast to; throws ArgumentError naming both.
Ints broadcast_shapes(std::span<const std::int64_t> a, std::span<const std::int64_t> b);
/// `[2, 3]`.
std::string to_string(std::span<const std::int64_t> ints);
/// `float32[2, 3]`, for messages.
std::string describe(const Tensor& tensor);

}  // namespace torch_ir
