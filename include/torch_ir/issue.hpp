// SPDX-License-Identifier: MIT
// One finding about a model that is well-formed enough to be looked at.
#pragma once

#include <cstdint>
#include <string>

namespace torch_ir {

enum class Severity : std::uint8_t { Warning, Error };

/// What is wrong and where: `where` is a place in the model (`node 'conv2d_3'`, `weight 'fc.bias'`), `message` a
/// sentence like those of Error.
struct Issue {
    Severity severity = Severity::Error;
    std::string where;
    std::string message;

    bool operator==(const Issue&) const = default;

    /// `error: node 'conv2d_3': argument 'weight' is missing`
    std::string text() const {
        return (severity == Severity::Error ? "error: " : "warning: ") + where + (where.empty() ? "" : ": ") + message;
    }
};

}  // namespace torch_ir
