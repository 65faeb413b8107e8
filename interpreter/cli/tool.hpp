// SPDX-License-Identifier: MIT
// The torch-ir tool as a function: the program's main and the Python package call it.
#pragma once

namespace torch_ir::cli {

/// Parses the command line, runs one subcommand and returns the exit status (see Exit in command.hpp). Results go to
/// stdout, errors to stderr; nothing is thrown.
int run_tool(int argc, char** argv);

}  // namespace torch_ir::cli
