// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/files.hpp"
#include "torch_ir/dot.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/mermaid.hpp"

using namespace torch_ir;
using torch_ir::test::read_text;

namespace {

/// cond(a > …) with one branch drawn inside.
Model model_with_subgraph() {
    return parse_json(R"({
      "graph_inputs": [{"name": "a", "shape": ["s0", 2], "dtype": "float32"}],
      "graph_outputs": [{"name": "n", "shape": ["s0", 2], "dtype": "float32"}], "weights": [],
      "nodes": [{"name": "n", "op_type": "higher_order.cond",
        "inputs": [{"name": "a", "shape": ["s0", 2], "dtype": "float32"}], "input_args": ["1[0]"],
        "outputs": [{"name": "n", "shape": ["s0", 2], "dtype": "float32"}],
        "attrs": {"0": {"graph": {"name": "the \"true\" branch",
            "graph_inputs": [{"name": "x", "shape": [2], "dtype": "float32"}],
            "graph_outputs": [{"name": "relu", "shape": [2], "dtype": "float32"}],
            "nodes": [{"name": "relu", "op_type": "aten.relu.default",
              "inputs": [{"name": "x", "shape": [2], "dtype": "float32"}],
              "outputs": [{"name": "relu", "shape": [2], "dtype": "float32"}], "attrs": {}}]}}}}]})");
}

}  // namespace

TEST_CASE("pytorch-ir's flowcharts come out to the byte") {
    for (const auto& entry : std::filesystem::directory_iterator("tests/data/zoo/pytorch_ir")) {
        const Model model = read_json(entry.path() / "ir.json");
        CHECK_MESSAGE(to_mermaid(model) == read_text(entry.path() / "graph.mmd"), entry.path());
    }
}

TEST_CASE("a flowchart is cut off and can leave out weights") {
    const Model model = read_json("tests/data/zoo/pytorch_ir/RecurrentUnroll/ir.json");
    const std::string text = to_mermaid(model, {.max_nodes = 1, .weights = false});
    CHECK(text ==
          "flowchart TD\n"
          "    input_x[/\"Input: x<br/>1x32\"/]\n"
          "    op_linear[\"linear<br/>1x32\"]\n"
          "    input_x -->|\"1x32\"| op_linear\n"
          "    output_0[\\\"Output<br/>1x32\"/]\n"
          "    note[\"... 9 more nodes ...\"]");
}

TEST_CASE("a subgraph is a block") {
    CHECK(to_mermaid(model_with_subgraph()) ==
          "flowchart TD\n"
          "    input_a[/\"Input: a<br/>s0x2\"/]\n"
          "    op_n[\"higher_order.cond<br/>s0x2\"]\n"
          "    input_a -->|\"s0x2\"| op_n\n"
          "    subgraph op_n_g0[\"the 'true' branch\"]\n"
          "        op_n_g0_input_x[/\"Input: x<br/>2\"/]\n"
          "        op_n_g0_op_relu[\"relu<br/>2\"]\n"
          "        op_n_g0_input_x -->|\"2\"| op_n_g0_op_relu\n"
          "        op_n_g0_output_0[\\\"Output<br/>2\"/]\n"
          "        op_n_g0_op_relu --> op_n_g0_output_0\n"
          "    end\n"
          "    output_0[\\\"Output<br/>s0x2\"/]\n"
          "    op_n --> output_0");
}

TEST_CASE("the pie shows the most frequent ops") {
    const Model model = read_json("tests/data/zoo/pytorch_ir/RecurrentUnroll/ir.json");
    CHECK(to_mermaid_pie(model) ==
          "pie showData\n    title \"Operator Distribution\"\n    \"linear\" : 5\n    \"tanh\" : 5");
    CHECK(to_mermaid_pie(model, 1) ==
          "pie showData\n    title \"Operator Distribution\"\n    \"linear\" : 5\n    \"Others\" : 5");
}

TEST_CASE("the same graph as text for Graphviz") {
    CHECK(to_dot(model_with_subgraph()) ==
          "digraph {\n"
          "    node [shape=box];\n"
          "    input_a [label=\"Input: a\\ns0x2\", shape=parallelogram];\n"
          "    op_n [label=\"higher_order.cond\\ns0x2\"];\n"
          "    input_a -> op_n [label=\"s0x2\"];\n"
          "    subgraph cluster_op_n_g0 { label=\"the \\\"true\\\" branch\";\n"
          "        op_n_g0_input_x [label=\"Input: x\\n2\", shape=parallelogram];\n"
          "        op_n_g0_op_relu [label=\"relu\\n2\"];\n"
          "        op_n_g0_input_x -> op_n_g0_op_relu [label=\"2\"];\n"
          "        op_n_g0_output_0 [label=\"Output\\n2\", shape=trapezium];\n"
          "        op_n_g0_op_relu -> op_n_g0_output_0 [label=\"\"];\n"
          "    }\n"
          "    output_0 [label=\"Output\\ns0x2\", shape=trapezium];\n"
          "    op_n -> output_0 [label=\"\"];\n"
          "}\n");
}
