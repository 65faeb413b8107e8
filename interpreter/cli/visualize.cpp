// SPDX-License-Identifier: MIT
#include "cli/command.hpp"
namespace torch_ir::cli {
Command make_visualize() {
    return {"visualize", "", "", {}, [](const Globals&) { return 0; }};
}
}  // namespace torch_ir::cli
