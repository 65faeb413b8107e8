// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cstdlib>

#include "cli/tool.hpp"
#include "verification/interrupt.hpp"

namespace {

/// A spinning worker thread that loses its core to another process costs more than it gains. The OpenMP runtime reads
/// its environment when it is loaded, so the program starts itself once more with the setting; a value that the user
/// has set stays.
void limit_spinning(char** argv) {
    if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
    setenv("GOMP_SPINCOUNT", "3000", 1);
    execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
    limit_spinning(argv);
    torch_ir::clean_up_when_interrupted();
    return torch_ir::cli::run_tool(argc, argv);
}
