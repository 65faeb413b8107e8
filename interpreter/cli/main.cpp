// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cstdlib>

#include "cli/tool.hpp"
#include "verification/interrupt.hpp"

namespace {

/// A worker thread that spins for longer than some half a millisecond, as by default, takes the core away from another
/// process; one that sleeps after a tenth of that is woken 60 times in a run of GPT-2. The OpenMP runtime reads its
/// environment when it is loaded, so the program starts itself once more with the setting; a value that the user has
/// set stays.
void limit_spinning(char** argv) {
    if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
    setenv("GOMP_SPINCOUNT", "30000", 1);
    execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
    limit_spinning(argv);
    torch_ir::clean_up_when_interrupted();
    return torch_ir::cli::run_tool(argc, argv);
}
