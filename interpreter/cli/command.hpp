// SPDX-License-Identifier: MIT
// What a subcommand is to tool.cpp, and the options that all share. A subcommand is one file with one function.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "torch_ir/error.hpp"

namespace torch_ir::cli {

/// Exit statuses of the tool.
enum Exit : int { ok = 0, check_failed = 1, usage = 2, bad_input = 3 };

/// The command line cannot be what was meant: the message is printed, and the exit status is `usage`.
class UsageError : public Error {
    using Error::Error;
};

/// The options every subcommand takes.
struct Globals {
    int threads = 0;  // 0: as many as the machine has
    bool quiet = false;
    bool no_color = false;
    bool deterministic = false;  // the same bits for any number of threads
};

/// What becomes of the file that an option names. A file that is written must be no other one of the command line.
enum class FileUse { None, Read, ReadModel, Write };

/// One option or positional argument; where its value goes decides its type. Numbers are finite. See options.hpp for
/// those that several commands take.
struct Option {
    std::string names;  // `-o,--output`, or `MODEL` for a positional one
    std::string help;
    /// The 64 bits are those of torch.manual_seed: a negative number counts from the end.
    std::variant<bool*, int*, double*, std::optional<int>*, std::optional<double>*, std::optional<std::uint64_t>*,
                 std::string*, std::vector<std::string>*>
        target;
    std::string value_name{};  // shown in the help: `FILE`
    bool required = false;
    bool several = false;                                     // of a list: `--from a b` as well as `--from a --from b`
    double least = -std::numeric_limits<double>::infinity();  // of a number
    double most = std::numeric_limits<double>::infinity();
    FileUse file = FileUse::None;
    std::string in_place_of{};  // of a file to write: the option whose file it may be
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
