// SPDX-License-Identifier: MIT
#include "cli/tool.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>

#include "backend/conv.hpp"
#include "backend/deterministic.hpp"
#include "backend/gemm.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "parallel.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir::cli {
namespace {

std::string version_text() {
    return std::string("torch-ir ") + version + "\nmatrix products: " + backend::gemm_name() +
           "\nconvolutions: " + backend::conv_name();
}

template <class T>
bool read_all(const std::string& text, T& value) {
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    return result.ec == std::errc() && result.ptr == end;
}

/// What a number has to be: `a whole number of at least 1`.
template <class T>
std::string expected_number(const Option& option) {
    if (std::is_same_v<T, std::uint64_t>) return "a whole number of 64 bits";
    const auto text = [](double limit) { return std::to_string(static_cast<long long>(limit)); };
    std::string expected = std::is_integral_v<T> ? "a whole number" : "a number";
    if (std::isfinite(option.most)) return expected + " from " + text(option.least) + " to " + text(option.most);
    return std::isfinite(option.least) ? expected + " of at least " + text(option.least) : expected;
}

template <class T>
T read_number(const Option& option, const std::string& text) {
    T value{};
    bool is_valid = read_all(text, value);
    if constexpr (std::is_same_v<T, std::uint64_t>) {
        if (std::int64_t negative = 0; !is_valid && read_all(text, negative)) return static_cast<T>(negative);
    } else {
        const auto number = static_cast<double>(value);
        is_valid = is_valid && std::isfinite(number) && number >= option.least && number <= option.most;
    }
    if (!is_valid)
        throw UsageError(long_name(option) + ": expected " + expected_number<T>(option) + ", found '" + text + "'");
    return value;
}

template <class T>
struct Plain {
    using type = T;
};
template <class T>
struct Plain<std::optional<T>> {
    using type = T;
};

void add_option(CLI::App& app, const Option& option) {
    CLI::Option* added = std::visit(
        [&]<class T>(T* target) -> CLI::Option* {
            using Number = typename Plain<T>::type;
            if constexpr (std::is_same_v<T, bool>)
                return app.add_flag(option.names, *target, option.help);
            else if constexpr (std::is_arithmetic_v<Number>)
                return app.add_option_function<std::string>(
                    option.names,
                    [target, option](const std::string& text) { *target = read_number<Number>(option, text); },
                    option.help);
            else
                return app.add_option(option.names, *target, option.help);
        },
        option.target);
    if (option.required) added->required();
    if (!option.value_name.empty()) added->type_name(option.value_name);
    if (std::holds_alternative<std::vector<std::string>*>(option.target)) added->allow_extra_args(option.several);
}

/// The options that every command takes.
std::vector<Option> global_options(Globals& globals) {
    Option threads = at_least(1, {"--threads", "threads to compute with (default: all cores)", &globals.threads, "N"});
    threads.most = most_threads;
    return {
        std::move(threads),
        {"--quiet", "no progress and no remarks on stderr", &globals.quiet},
        {"--deterministic", "the same bits for any number of threads, at some cost of time", &globals.deterministic},
        {"--no-color", "no colour in the output", &globals.no_color}};
}

std::string unknown_command(const std::string& name, const std::vector<Command>& commands) {
    std::vector<std::string> names;
    for (const Command& command : commands) names.push_back(command.name);
    return "no subcommand is called '" + name + "'" + closest_hint(name, names);
}

/// What is wrong with a command line that CLI11 refuses.
std::string usage_text(const CLI::ParseError& error, const CLI::App& app, const std::vector<Command>& commands) {
    const std::vector<CLI::App*> subs = app.get_subcommands();
    const CLI::App& used = subs.empty() ? app : *subs[0];
    const std::vector<std::string> words = used.remaining();
    if (words.empty()) return error.what();
    if (subs.empty() && !words[0].starts_with('-')) return unknown_command(words[0], commands);
    std::vector<std::string> names;
    for (const CLI::Option* option : used.get_options()) names.push_back(option->get_name());
    return used.get_name() + " does not take '" + words[0] + "'" + closest_hint(words[0], names);
}

int run(int argc, char** argv) {
    Globals globals;
    CLI::App app{"Reads, checks, draws and runs PyTorch models (.pt2 or JSON IR) without PyTorch."};
    app.name("torch-ir");
    app.set_version_flag("--version", version_text);
    app.require_subcommand(1);
    app.fallthrough(false);
    for (const Option& option : global_options(globals)) add_option(app, option);
    app.footer(
        "MODEL is a .pt2, a JSON IR, or a directory holding model.pt2 or ir.json.\n"
        "Start with:  torch-ir info MODEL   and   torch-ir verify MODEL");
    std::vector<Command> commands{make_verify(),      make_run(),       make_info(),    make_validate(),
                                  make_ops(),         make_visualize(), make_extract(), make_bench(),
                                  make_compare(),     make_record(),    make_split(),   make_slice(),
                                  make_conformance(), make_reduce(),    make_diff(),    make_locate()};
    std::string topic;
    const auto help = [&](const Globals&) {
        if (topic.empty()) {
            std::cout << app.get_formatter()->make_help(&app, "torch-ir", CLI::AppFormatMode::Normal);
        } else {
            if (std::ranges::find(commands, topic, &Command::name) == commands.end())
                throw UsageError(unknown_command(topic, commands));
            std::cout << app.get_subcommand(topic)->help("torch-ir");
        }
        return static_cast<int>(ok);
    };
    const auto print_version = [](const Globals&) {
        std::cout << version_text() << '\n';
        return static_cast<int>(ok);
    };
    commands.push_back(
        {"help", "Show what a subcommand does and takes", "", {{"SUBCOMMAND", "its name", &topic}}, help});
    commands.push_back({"version", "Show the version and what computes", "", {}, print_version});
    int status = ok;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary);
        sub->footer(command.details);
        for (const Option& option : command.options) add_option(*sub, option);
        for (const Option& option : global_options(globals)) add_option(*sub, option);
        sub->callback([&] {
            check_files(command.options);
            if (globals.threads > 0) set_threads(globals.threads);
            backend::deterministic = globals.deterministic;
            status = command.run(globals);
        });
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // help and version
        throw UsageError(usage_text(error, app, commands) + "\nRun with --help for more information.");
    }
    return status;
}

}  // namespace

int run_tool(int argc, char** argv) {
    try {
        const int status = run(argc, argv);
        std::cout.flush();
        if (!std::cout) {
            std::cerr << "torch-ir: error: standard output cannot be written\n";
            return bad_input;
        }
        return status;
    } catch (const UsageError& error) {
        std::cerr << "torch-ir: " << error.what() << '\n';
        return usage;
    } catch (const Error& error) {
        std::cerr << "torch-ir: error: " << error.what() << '\n';
    } catch (const std::bad_alloc&) {
        std::cerr << "torch-ir: error: not enough memory\n";
    } catch (const std::exception& error) {
        std::cerr << "torch-ir: error: " << error.what() << '\n';
    }
    return bad_input;
}

}  // namespace torch_ir::cli
