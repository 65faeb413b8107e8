// SPDX-License-Identifier: MIT
// Read access to tensors in files, alone and by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/dtype.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

/// Read access to the values of one tensor: a strided window of a storage. Nothing is copied while it comes from a
/// mapped file; `owner` keeps the mapping alive for as long as any view of it.
struct TensorView {
    DType dtype = DType::Float32;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;   // in elements; never negative
    std::int64_t storage_offset = 0;     // in elements
    std::span<const std::byte> storage;  // every reachable element lies inside; may be unaligned for the dtype
    std::shared_ptr<const void> owner;
    /// Complex tensors saved by torch.save may be marked: conjugate (or negate) the values after reading.
    bool conjugate = false;
    bool negative = false;

    /// Product of the shape; cannot overflow in a view made by this library.
    std::int64_t numel() const;
    /// Whether the elements lie row-major without gaps. Throws ArgumentError when there is not one stride for each
    /// size.
    bool is_contiguous() const;
    /// The values row-major, little endian, marks resolved: a copy. Throws ArgumentError for a view, made by hand, that
    /// leaves its storage or has not one stride for each size.
    std::vector<std::byte> to_bytes() const;
    /// What to_bytes() would return, where it lies in the storage as it is; nullopt when a copy is needed. Throws like
    /// it.
    std::optional<std::span<const std::byte>> dense_bytes() const;
};

/// Tensors by name; two names may share one storage (tied weights).
class Weights {
  public:
    using Map = std::map<std::string, TensorView, std::less<>>;

    /// The tensor called so, or nullptr.
    const TensorView* find(std::string_view name) const;

    /// Takes over all tensors of `other`; a name that is already there is an ArgumentError.
    void merge(Weights other);

    void insert(std::string name, TensorView tensor) { tensors_.insert_or_assign(std::move(name), std::move(tensor)); }

    const Map& tensors() const { return tensors_; }

  private:
    Map tensors_;
};

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/tensor_view_inl.hpp"  // IWYU pragma: export
#endif
