// SPDX-License-Identifier: MIT
// What a subcommand is to main.cpp, and the options that all share. A subcommand is one file with one function.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace torch_ir::cli {

/// Exit statuses of the tool.
enum Exit : int { ok = 0, check_failed = 1, usage = 2, bad_input = 3 };

/// The options every subcommand takes.
struct Globals {
    int threads = 0;  // 0: as many as the machine has
    bool quiet = false;
    bool no_color = false;
    bool deterministic = false;  // the same bits for any number of threads
};

/// One option or positional argument; where its value goes decides its type.
struct Option {
    std::string names;  // `-o,--output`, or `MODEL` for a positional one
    std::string help;
    std::variant<bool*, int*, double*, std::string*, std::vector<std::string>*> target;
    std::string value_name{};  // shown in the help: `FILE`
    bool required = false;
    bool several = false;  // of a list: `--from a b` as well as `--from a --from b`
};

struct Command {
    std::string name;
    std::string summary;  // one line for the list of commands
    std::string details;  // shown by `torch-ir NAME --help`: what it does, an example
    std::vector<Option> options;
    std::function<int(const Globals&)> run;  // returns the exit status; errors are thrown
};

Command make_extract();
Command make_info();
Command make_validate();
Command make_ops();
Command make_visualize();
Command make_run();
Command make_verify();
Command make_bench();
Command make_locate();
Command make_compare();
Command make_record();
Command make_split();
Command make_slice();
Command make_conformance();
Command make_reduce();
Command make_diff();

}  // namespace torch_ir::cli
