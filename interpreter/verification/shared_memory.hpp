// SPDX-License-Identifier: MIT
// Which elements of which values share memory: what an in-place op writes to one value is seen in all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "alias.hpp"
#include "verification/rounding.hpp"

namespace torch_ir {

/// The slots of the arguments that a step, or the body of its higher-order op, writes to.
std::vector<std::uint32_t> written_slots(const Step& step);

/// The result is the new value of the one argument that is written; other arguments that are written keep their names.
bool returns_what_it_writes(const Step& step);

/// For a walk over the steps of a plan in which every value has memory of its own. Only values are followed that some
/// node reads after another node changed them by another name.
class SharedMemory {
  public:
    explicit SharedMemory(const Plan& plan);

    /// A graph input of that shape.
    void add_input(std::uint32_t slot, const Ints& shape);

    /// True when there is anything to follow.
    bool active() const { return !followed_.empty(); }

    /// The results of a call; `shape_of(slot)` is the shape of one. Throws UnsupportedError when it cannot be told what
    /// they share.
    void add_results(const Step& step, const OpCall& call, const std::function<Ints(std::uint32_t)>& shape_of);

    /// A value of which some elements were overwritten.
    struct Change {
        std::uint32_t slot;
        std::vector<std::int64_t> source;  // per element its position in the new value, -1: it stays
    };
    /// What else changed when the value `slot` was overwritten.
    std::vector<Change> changes(std::uint32_t slot) const;

    /// The value is not read again.
    void release(std::uint32_t slot) { places_.erase(slot); }

  private:
    /// The elements of a value as positions in memory number `memory` of `size` elements.
    struct Place {
        std::size_t memory;
        std::int64_t size;
        Tensor positions;
    };

    bool follows(std::uint32_t slot) const { return followed_.contains(aliases_.find(slot)); }
    void add_memory(std::uint32_t slot, const Ints& shape);

    const Graph& graph_;
    AliasSets aliases_;
    std::set<std::uint32_t> followed_;  // alias sets
    std::map<std::uint32_t, Place> places_;
    std::size_t memories_ = 0;
};

}  // namespace torch_ir
