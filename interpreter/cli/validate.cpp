// SPDX-License-Identifier: MIT
#include "cli/command.hpp"
namespace torch_ir::cli {
Command make_validate() {
    return {"validate", "", "", {}, [](const Globals&) { return 0; }};
}
}  // namespace torch_ir::cli
