// SPDX-License-Identifier: MIT
// Shared libraries that are given to the tool by --plugin. TORCH_IR_FAULTY_PLUGIN is one made of faulty_plugin.cpp.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/tool.hpp"

using namespace torch_ir::test;

namespace {

std::string faulty_plugin() {
    const char* path = std::getenv("TORCH_IR_FAULTY_PLUGIN");
    REQUIRE(path);
    return path;
}

}  // namespace

TEST_CASE("a plugin that is none is refused; without its plugin an op is missing") {
    const std::string model = "examples/plugin_model";
    check_refused("run " + model,
                  "2 ops are not supported: example.accumulate_.default (2x; no such ATen op), "
                  "example.clip_norm.default (1x; no such ATen op)");
    const Outcome ops = run("ops " + model);
    CHECK(ops.status == 1);
    CHECK(ops.out.find("missing  example.clip_norm.default  x1\n") != std::string::npos);
    CHECK(ops.out.find("missing  example.accumulate_.default  x2\n") != std::string::npos);
    CHECK(ops.out.ends_with(" 2 missing\n"));
    const Outcome missing = run("verify " + model + " --plugin no_such.so");
    CHECK(missing.status == 3);
    CHECK(missing.err.starts_with("torch-ir: error: plugin ./no_such.so: cannot open shared object file"));
    const Outcome text = run("verify " + model + " --plugin README.md");
    CHECK(text.status == 3);
    CHECK(text.err.find("README.md") != std::string::npos);
}

TEST_CASE("what the code of a plugin throws names the node, what it returns is compared with the graph") {
    const TemporaryDirectory folder;
    const std::string file = folder / "ir.json";
    const auto error_of = [&](const std::string& op) {
        write_text(file, one_node_ir("y", "faulty." + op + ".default", "[2]", "{}"));
        return run("run " + file + " --plugin " + faulty_plugin()).err;
    };
    const std::string node = "torch-ir: error: node 'y' (faulty.";
    CHECK(error_of("message") == node + "message.default): my kernel failed\n");
    CHECK(error_of("number") == node + "number.default): something was thrown that is no std::exception\n");
    const std::string warning = "torch-ir: warning: 1 result is not as the graph declares it: 'y' of node 'y' (faulty.";
    CHECK(error_of("float64") == warning + "float64.default): declared float32[2], computed float64[2]\n");
    CHECK(error_of("nothing") == warning + "nothing.default): declared float32[2], computed None\n");
}

TEST_CASE("a plugin that cannot be registered says why") {
    const auto error_of = [&](const char* fault) {
        setenv("TORCH_IR_FAULT", fault, 1);
        const Outcome outcome = run("ops --plugin " + faulty_plugin());
        unsetenv("TORCH_IR_FAULT");
        CHECK(outcome.status == 3);
        return outcome.err;
    };
    const std::string library = "torch-ir: error: " + faulty_plugin() + ": ";
    CHECK(error_of("message") == library + "no licence\n");
    CHECK(error_of("number") == library + "something was thrown that is no std::exception\n");
    CHECK(error_of("returns") == library + "the kernel of 'faulty.two.default' returns 1 values, its schema says 2\n");
}

TEST_CASE("a result of the interpreter's own that rounding does not explain is a failure, whatever is expected") {
    const TemporaryDirectory folder;
    const auto value = [](const std::string& name) {
        return R"({"name": ")" + name + R"(", "shape": [64], "dtype": "float32"})";
    };
    const std::string ones =
        R"("op_type": "aten.ones.default", "inputs": [], "outputs": [)" + value("x") + R"(], "attrs": {"size": [64]}})";
    const std::string head = R"({"model_name": "R", "graph_inputs": [], "weights": [], "weight_name_mapping": {}, )";
    const std::string faulty = folder / "faulty.json", right = folder / "right.json",
                      expected = folder / "e.safetensors";
    write_text(faulty, head + R"("graph_outputs": [)" + value("y") + R"(], "nodes": [{"name": "x", )" + ones +
                           R"(, {"name": "y", "op_type": "faulty.in_float32.default", "inputs": [)" + value("x") +
                           R"(], "outputs": [)" + value("y") + R"(], "attrs": {}}]})");
    write_text(right, head + R"("graph_outputs": [)" + value("x") + R"(], "nodes": [{"name": "x", )" + ones + "]}");
    REQUIRE(run("run " + right + " -o " + expected).status == 0);
    const Outcome outcome =
        run("verify " + faulty + " --tolerance derived --plugin " + faulty_plugin() + " --expected " + expected);
    CHECK(outcome.status == 1);
    CHECK(outcome.out.find("what is expected is explained by rounding, but not what this interpreter computes (") !=
          std::string::npos);
}
