// SPDX-License-Identifier: MIT
#include "cli/tool.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

#include "backend/conv.hpp"
#include "backend/deterministic.hpp"
#include "backend/gemm.hpp"
#include "cli/command.hpp"
#include "parallel.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir::cli {
namespace {

std::string version_text() {
    return std::string("torch-ir ") + version + "\nmatrix products: " + backend::gemm_name() +
           "\nconvolutions: " + backend::conv_name();
}

void add_option(CLI::App& app, const Option& option) {
    CLI::Option* added = std::visit(
        [&]<class T>(T* target) -> CLI::Option* {
            if constexpr (std::is_same_v<T, bool>)
                return app.add_flag(option.names, *target, option.help);
            else
                return app.add_option(option.names, *target, option.help);
        },
        option.target);
    if (option.required) added->required();
    if (!option.value_name.empty()) added->type_name(option.value_name);
    if (std::holds_alternative<std::vector<std::string>*>(option.target)) added->allow_extra_args(option.several);
}

void add_globals(CLI::App& app, Globals& globals) {
    app.add_option("--threads", globals.threads, "threads to compute with (default: all cores)")
        ->type_name("N")
        ->check(CLI::Range(1, 1024));
    app.add_flag("--quiet", globals.quiet, "no progress and no remarks on stderr");
    app.add_flag("--deterministic", globals.deterministic,
                 "the same bits for any number of threads, at some cost of time");
    app.add_flag("--no-color", globals.no_color, "no colour in the output");
}

int run(int argc, char** argv) {
    Globals globals;
    CLI::App app{"Reads, checks, draws and runs PyTorch models (.pt2 or JSON IR) without PyTorch."};
    app.name("torch-ir");
    app.set_version_flag("--version", version_text);
    app.require_subcommand(1);
    app.fallthrough(false);
    add_globals(app, globals);
    app.footer(
        "MODEL is a .pt2, a JSON IR, or a directory holding model.pt2 or ir.json.\n"
        "Start with:  torch-ir info MODEL   and   torch-ir verify MODEL");
    std::vector<Command> commands{make_verify(),      make_run(),       make_info(),    make_validate(),
                                  make_ops(),         make_visualize(), make_extract(), make_bench(),
                                  make_compare(),     make_record(),    make_split(),   make_slice(),
                                  make_conformance(), make_reduce(),    make_diff(),    make_locate()};
    int status = ok;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary);
        sub->footer(command.details);
        for (const Option& option : command.options) add_option(*sub, option);
        add_globals(*sub, globals);
        sub->callback([&] {
            if (globals.threads > 0) set_threads(globals.threads);
            backend::deterministic = globals.deterministic;
            status = command.run(globals);
        });
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ok : usage;
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
