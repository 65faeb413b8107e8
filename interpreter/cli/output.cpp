// SPDX-License-Identifier: MIT
#include "cli/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "torch_ir/file.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir::cli {
namespace {

/// Of what is listed in remarks and messages.
constexpr std::size_t most_listed = 5;

}  // namespace

void print_or_write(const std::string& text, const std::string& file) {
    if (file.empty())
        std::cout << text << '\n';
    else
        write_file(file, text + "\n");
}

void remark(const std::string& text, const Globals& globals) {
    if (!globals.quiet) std::cerr << "torch-ir: " << text << '\n';
}

void warn_of_undeclared(const std::vector<Undeclared>& undeclared) {
    if (undeclared.empty()) return;
    const auto text = [](const Undeclared& u) {
        return "'" + u.value + "' of node '" + u.node + "' (" + u.op_type + "): declared " + u.declared +
               ", computed " + u.computed;
    };
    std::cerr << "torch-ir: warning: " << counted(undeclared.size(), "result")
              << (undeclared.size() == 1 ? " is not as the graph declares it: "
                                         : " are not as the graph declares them: ")
              << first_few(undeclared, most_listed, "; ", text) << '\n';
}

void for_each_shown(const std::vector<OutputVerdict>& verdicts,
                    const std::function<void(const OutputVerdict&)>& print) {
    constexpr std::size_t many = 20;
    const auto agrees = [](const OutputVerdict& v) { return v.comparison.passed; };
    const auto agreeing = static_cast<std::size_t>(std::ranges::count_if(verdicts, agrees));
    const bool all = agreeing == verdicts.size() || verdicts.size() <= many;
    for (const OutputVerdict& verdict : verdicts)
        if (all || !agrees(verdict)) print(verdict);
    if (!all && agreeing > 0)
        std::cout << "  " << counted(agreeing, "other") << (agreeing == 1 ? " agrees" : " agree")
                  << " (--json lists all)\n";
}

Progress::Progress(const Globals& globals) : enabled_(!globals.quiet && isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
    if (shown_) std::cerr << "\r\033[K";
}

void Progress::show(std::size_t done, std::size_t total, std::string_view label) {
    if (!enabled_) return;
    const double now = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    if (done != total && now - last_ < 0.1) return;
    last_ = now;
    shown_ = true;
    std::cerr << "\r\033[K" << done << '/' << total << ' ' << label.substr(0, 60) << std::flush;
}

std::string colored(const std::string& text, bool good, const Globals& globals) {
    if (globals.no_color || std::getenv("NO_COLOR") || isatty(STDOUT_FILENO) == 0) return text;
    return (good ? "\033[32m" : "\033[31m") + text + "\033[0m";
}

std::string counted(std::size_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string grouped(long long number) {
    const std::string digits = std::to_string(number);
    std::string text;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) text += ',';
        text += digits[i];
    }
    return text;
}

std::string bytes_text(double bytes) {
    constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

std::string closest_hint(const std::string& name, const std::vector<std::string>& names) {
    const std::string similar = closest(name, names);
    return similar.empty() ? "" : "; the closest name is '" + similar + "'";
}

std::string listed(const std::vector<std::string>& names,
                   const std::function<std::string(const std::string&)>& describe) {
    return first_few(names, most_listed, ", ",
                     [&](const std::string& name) { return "'" + name + "'" + (describe ? describe(name) : ""); });
}

}  // namespace torch_ir::cli
