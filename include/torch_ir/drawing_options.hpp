// SPDX-License-Identifier: MIT
// What a drawing of a graph shows, in whichever language.
#pragma once

#include <cstddef>

namespace torch_ir {

struct DrawingOptions {
    std::size_t max_nodes = 30;  // of each graph; a note says how many more there are
    bool weights = true;         // as nodes of their own
};

}  // namespace torch_ir
