// SPDX-License-Identifier: MIT
// What a backend's dump may hold otherwise than the graph says: tensors in another layout, under other names, and
// rounded when they were written.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "load.hpp"
#include "tensor.hpp"

namespace torch_ir {

/// The candidate's tensor in the shape of the graph, and what had to be done; undefined when it has another size.
std::pair<Tensor, std::string> match_layout(const Tensor& candidate, const Tensor& expected);

/// The 16-bit dtype that holds every number of these tensors, if there is one: the coarser of two.
std::optional<DType> narrow_dtype(std::span<const Tensor> tensors);

/// Finds the tensors of a dump by their numbers.
class NameFinder {
  public:
    /// `unknown`: the names that no value of the graph has.
    NameFinder(const NamedTensors& dump, const std::vector<std::string>& unknown);

    /// Looks for a value of the graph that the dump does not show among the tensors of unknown names.
    void look_for(const std::string& value, const Tensor& tensor);
    /// Unknown names with the values of the graph whose numbers they hold.
    std::map<std::string, std::string> found() const;

    /// The name of a tensor, other than `own`, that holds these numbers up to rounding; empty when there is none.
    std::string other_name(const std::string& own, const Tensor& tensor) const;

  private:
    struct Match {
        double distance;
        std::set<std::string> values;  // that are equally near
    };

    const NamedTensors& dump_;
    std::map<std::string, Match> unknown_;
};

/// Says what NameFinder::found() gives, as JSON for `locate --map`.
std::string map_text(const std::map<std::string, std::string>& names);

}  // namespace torch_ir
