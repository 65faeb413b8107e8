// SPDX-License-Identifier: MIT
// Runs a tool from outside; its path is in TORCH_IR_TOOL, or another variable.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/files.hpp"

namespace torch_ir::test {

namespace fs = std::filesystem;

/// A model that most commands can be tried on.
inline const std::string cnn = "tests/data/zoo/pytorch_ir/DeepResNet";

struct Outcome {
    int status;
    std::string out;
    std::string err;
};

inline Outcome run(const std::string& arguments, const char* tool_variable = "TORCH_IR_TOOL") {
    const char* tool = std::getenv(tool_variable);
    REQUIRE(tool);
    const TemporaryDirectory folder;
    const std::string command =
        "'" + std::string(tool) + "' " + arguments + " >'" + (folder / "out") + "' 2>'" + (folder / "err") + "'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder / "out"), read_text(folder / "err")};
}

/// A JSON IR of one node without tensor arguments; node and value are called `name`, the value is declared float32.
inline std::string one_node_ir(const std::string& name, const std::string& op_type, const std::string& shape,
                               const std::string& attrs) {
    const std::string value = R"({"name": ")" + name + R"(", "shape": )" + shape + R"(, "dtype": "float32"})";
    return R"({"model_name": "R", "graph_inputs": [], "graph_outputs": [)" + value +
           R"(], "weights": [], "weight_name_mapping": {}, "nodes": [{"name": ")" + name + R"(", "op_type": ")" +
           op_type + R"(", "inputs": [], "outputs": [)" + value + R"(], "attrs": )" + attrs + "}]}";
}

inline void check_refused(const std::string& arguments, const std::string& message) {
    const Outcome outcome = run(arguments);
    CAPTURE(arguments);
    CHECK(outcome.err == "torch-ir: error: " + message + "\n");
    CHECK(outcome.out.empty());
    CHECK(outcome.status == 3);
}

}  // namespace torch_ir::test
