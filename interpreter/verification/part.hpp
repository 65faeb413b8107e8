// SPDX-License-Identifier: MIT
// Where a tensor is off: what the difference looks like before anybody asks why.
#pragma once

#include <cstdint>
#include <string>

#include "tensor.hpp"

namespace torch_ir {

struct Reference;

/// The smallest box that holds some elements of a tensor.
class Box {
  public:
    explicit Box(const Ints& shape);

    /// The element at that row-major position.
    void add(std::int64_t flat);

    /// It holds something, and at most half of the tensor.
    bool is_part() const;

    /// As it is indexed in PyTorch: `[0, 2:4, :]`.
    std::string text() const;

  private:
    Ints shape_;
    Ints first_;
    Ints last_;
};

/// The part of a tensor that differs, when it is not all over.
struct Part {
    std::int64_t elements = 0;  // that are off; 0: the difference is all over
    std::int64_t of = 0;        // elements in all
    std::string box;            // that holds them: `[0, 2:4, :]`

    bool is_known() const { return elements > 0; }
};

/// The elements of a candidate of the reference's shape that are further off than eight sigma, or at all where the op
/// does not round: when their box is at most half of the tensor, or they are at most one in a hundred, and the rest is
/// off no more than rounding brings it (rms of q at most 1.25).
Part differing_part(const Tensor& candidate, const Reference& reference);

/// `only [0, 2:4, :] differs: 16 of 96 elements`; empty when the part is not known.
std::string to_string(const Part& part);

}  // namespace torch_ir
