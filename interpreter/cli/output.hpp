// SPDX-License-Identifier: MIT
// What subcommands print: results to stdout or a file, progress to a terminal's stderr.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "verification/suite.hpp"

namespace torch_ir::cli {

/// Prints `text` and a newline to stdout, or writes it to `file` when that is not empty.
void print_or_write(const std::string& text, const std::string& file);

/// Prints a remark for people to stderr, unless --quiet is given.
void remark(const std::string& text, const Globals& globals);

/// Says which results of a run are not as the graph declares them; --quiet or not, as a back end would trust the graph.
void warn_of_undeclared(const std::vector<Undeclared>& undeclared);

/// Calls `print` for each verdict; where some of many differ, only for those, and says how many agree.
void for_each_shown(const std::vector<OutputVerdict>& verdicts, const std::function<void(const OutputVerdict&)>& print);

/// A one-line counter on stderr; silent unless stderr is a terminal, and with --quiet.
class Progress {
  public:
    explicit Progress(const Globals& globals);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();
    /// Shows `done/total label`, at most some ten times a second.
    void show(std::size_t done, std::size_t total, std::string_view label);

  private:
    bool enabled_;
    bool shown_ = false;
    double last_ = 0;
};

/// `text` in green or red when stdout is a terminal that wants colour.
std::string colored(const std::string& text, bool good, const Globals& globals);

/// `1 node`, `2 nodes`.
std::string counted(std::size_t count, const std::string& noun);
/// `1,234,567`.
std::string grouped(long long number);
/// `1.2 MB`, decimal units.
std::string bytes_text(double bytes);

/// `; the closest name is 'b'`, or nothing when none is close.
std::string closest_hint(const std::string& name, const std::vector<std::string>& names);
/// `'a', 'b' and 7 more`; what `describe` says of a name follows it.
std::string listed(const std::vector<std::string>& names,
                   const std::function<std::string(const std::string&)>& describe = {});

}  // namespace torch_ir::cli
