// SPDX-License-Identifier: MIT
// Runs a tool from outside; its path is in TORCH_IR_TOOL, or another variable.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace torch_ir::test {

namespace fs = std::filesystem;

struct Outcome {
    int status;
    std::string out;
    std::string err;
};

inline std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// A folder that goes away with the test.
struct Folder {
    fs::path path =
        fs::temp_directory_path() / ("torch_ir_cli_" + std::to_string(std::rand()) + std::to_string(::getpid()));
    Folder() { fs::create_directories(path); }
    ~Folder() { fs::remove_all(path); }
    std::string operator/(const std::string& name) const { return (path / name).string(); }
};

inline Outcome run(const std::string& arguments, const char* tool_variable = "TORCH_IR_TOOL") {
    const char* tool = std::getenv(tool_variable);
    REQUIRE(tool);
    const Folder folder;
    const std::string command =
        "'" + std::string(tool) + "' " + arguments + " >'" + (folder / "out") + "' 2>'" + (folder / "err") + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder / "out"), read_text(folder / "err")};
}

inline void check_refused(const std::string& arguments, const std::string& message) {
    const Outcome outcome = run(arguments);
    CAPTURE(arguments);
    CHECK(outcome.err == "torch-ir: error: " + message + "\n");
    CHECK(outcome.out.empty());
    CHECK(outcome.status == 3);
}

}  // namespace torch_ir::test
