// SPDX-License-Identifier: MIT
// Which tensors an op may write to: PyTorch refuses those whose elements share memory so that the order of writing
// would matter (ATen/MemoryOverlap.h).
#pragma once

#include <string_view>

#include "tensor.hpp"

namespace torch_ir {

/// What a tensor that is written to may share with one that is read: any memory, all of it in the same order, nothing.
enum class Sharing { Any, Same, Nothing };

/// Are these the same elements in the same order?
bool is_same_view(const Tensor& a, const Tensor& b);

/// Throws ArgumentError when elements of `written` lie in one place: as in PyTorch, along a dimension of stride 0 only.
void check_overlap(const Tensor& written);

/// Throws ArgumentError when `written` shares more with `read` than is allowed: as in PyTorch, of dense tensors only.
void check_overlap(const Tensor& written, const Tensor& read, Sharing allowed);

/// Does PyTorch let the op of that name (`addmv_` in place, `all` with an out tensor) write to a tensor whose elements
/// share memory?
bool may_overlap_itself(std::string_view name);

/// What PyTorch lets the op of that name (without a final underscore) share between the tensor it writes to and those
/// it reads; `usual` when it is no exception.
Sharing allowed_sharing(std::string_view name, Sharing usual);

}  // namespace torch_ir
