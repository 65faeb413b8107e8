// SPDX-License-Identifier: MIT
// One view of weight values over all the files they can come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/dtype.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

/// Read access to the values of one tensor: a strided window of a storage. Nothing is copied while it comes from a mapped
/// file; `owner` keeps the mapping alive for as long as any view of it.
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
    bool is_contiguous() const;
    /// The values row-major, little endian, marks resolved: a copy.
    std::vector<std::byte> to_bytes() const;
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

/// Opens a weight file, recognised by content: `.safetensors`, `model.safetensors.index.json`, `pytorch_model.bin.index.json`,
/// a torch.save checkpoint (`.pt`, `.pth`, `.bin`) or a `.pt2` (parameters, buffers and constants). Values stay in the mapped file.
/// Throws IoError, ParseError or UnsupportedError with the file's name in front.
Weights open_weights(const std::filesystem::path& path);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/weights_inl.hpp"  // IWYU pragma: export
#endif
