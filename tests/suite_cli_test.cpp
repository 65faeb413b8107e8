// SPDX-License-Identifier: MIT
// Suites from outside: choosing and listing models, and the reports about them.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "support/tool.hpp"

using namespace torch_ir::test;
using nlohmann::json;

namespace {

const std::string zoo = "tests/data/zoo";

/// A copy of a model of the zoo as a case of a suite.
void copy_case(const std::string& name, const fs::path& target) {
    fs::create_directories(target.parent_path());
    fs::copy(zoo + "/" + name, target, fs::copy_options::recursive);
}

}  // namespace

TEST_CASE("the zoo has its models, each with a description and categories") {
    const json models = json::parse(run("verify --suite " + zoo + " --list-models --json").out)["models"];
    CHECK(models.size() == 63);
    for (const json& model : models) {
        CAPTURE(model.dump());
        CHECK_FALSE(model["categories"].empty());
        CHECK_FALSE(model["description"].get<std::string>().empty());
    }
    CHECK(models[0]["name"] == "Activations");
    CHECK(run("verify --suite " + zoo + " --list-models --model Llama").out ==
          "Llama  [attention, language_model, embedding, normalization, skip_connections]  A decoder as Llama has it, "
          "with one layer: rotary positions, grouped queries, root mean square norms, SwiGLU.\n");
}

TEST_CASE("tolerances of meta.json hold for the case alone, too, and flags go before them") {
    const TemporaryDirectory folder;
    copy_case("Llama", fs::path(folder / "llama"));
    for (const auto& [text, found] :
         {std::pair{R"({"rtol": "0.5"})", R"(rtol: expected a number of at least 0, found "0.5")"},
          std::pair{R"({"atol": -1})", "atol: expected a number of at least 0, found -1"},
          std::pair{R"({"seed": 1.5})", "seed: expected a whole number of 64 bits, found 1.5"}}) {
        write_text(folder / "llama/meta.json", text);
        check_refused("verify " + (folder / "llama"), (folder / "llama/meta.json: ") + found);
    }
    write_text(folder / "llama/meta.json", R"({"rtol": 0, "atol": 0})");
    const std::string verify = "verify " + (folder / "llama");
    CHECK(run(verify).status == 1);
    CHECK(run(verify + " --rtol 1e-5 --atol 1e-5").status == 0);
}

TEST_CASE("verify of a case judges every pair, as a suite does") {
    const TemporaryDirectory folder;
    const std::string verify = "verify " + (folder / "case");
    copy_case("AnyLength", fs::path(folder / "case"));
    const json both = json::parse(run(verify + " --json").out);
    CHECK(both["passed"] == true);
    REQUIRE(both["outputs"].size() == 2);
    CHECK(both["outputs"][1]["name"] == "inputs2.output_0");
    CHECK(run(verify).out.ends_with(" nodes, 2 outputs in 2 pairs\n"));
    fs::copy_file(folder / "case/expected.safetensors", folder / "case/expected2.safetensors",
                  fs::copy_options::overwrite_existing);
    const Outcome wrong = run(verify + " --tolerance derived");
    CHECK(wrong.status == 1);
    CHECK(wrong.out.find("  inputs2.output_0  ") != std::string::npos);
    CHECK(run(verify + " --inputs " + (folder / "case/inputs.safetensors")).status == 0);
}

TEST_CASE("--list-categories counts the models of each") {
    const json all = json::parse(run("verify --suite " + zoo + " --list-categories --json").out)["categories"];
    CHECK(all["control_flow"] == json{"FixedPoint", "Router"});
    CHECK(all["attention"].size() > 10);
    // The categories of pytorch-ir's own models.
    const std::string text = run("verify --suite " + zoo + "/pytorch_ir --list-categories").out;
    CHECK(text.find("attention (3)\n  CrossAttention\n  SelfAttention\n  TransformerBlock\n") != std::string::npos);
    CHECK(text.find("multi_io (3)\n  CrossAttention\n  MultiTaskHead\n  SiameseEncoder\n") != std::string::npos);
    CHECK(text.find("shared_weights (3)\n  RecurrentUnroll\n  SiameseEncoder\n  WeightTying\n") != std::string::npos);
    CHECK(text.find("skip_connections (3)\n  DeepResNet\n  DenseBlock\n  TransformerBlock\n") != std::string::npos);
}

TEST_CASE("--model and --category choose cases") {
    const auto names = [](const std::string& options) {
        const Outcome outcome = run("verify --suite " + zoo + " --json " + options);
        CHECK(outcome.status == 0);
        std::vector<std::string> found;
        const json report = json::parse(outcome.out);
        for (const json& item : report["cases"]) found.push_back(item["name"]);
        return found;
    };
    CHECK(names("--model Gpt") == std::vector<std::string>{"Gpt"});
    CHECK(names("--model SelfAttention") == std::vector<std::string>{"pytorch_ir/SelfAttention"});
    CHECK(names("--model pytorch_ir/SelfAttention") == std::vector<std::string>{"pytorch_ir/SelfAttention"});
    CHECK(names("--category dynamic_shapes") == std::vector<std::string>{"AnyBatch", "AnyImage", "AnyLength"});
    check_refused("verify --suite " + zoo + " --model GTP",
                  zoo + ": no model 'GTP' in this suite; the closest name is 'Gpt' (--list-models shows all)");
    check_refused("verify --suite " + zoo + " --category atention",
                  zoo +
                      ": no category 'atention' in this suite; the closest name is 'attention' (--list-categories "
                      "shows all)");
    check_refused("verify --suite " + zoo + " --model Gpt --category vision",
                  zoo + ": no case below this directory fits");
    CHECK(run("verify --suite " + zoo + " --model Llama --rtol 0 --atol 0").status == 1);
    CHECK(run("verify --suite " + zoo + " --model Llama --rtol 1e-5 --atol 1e-5").status == 0);
    for (const char* option : {"--list-models", "--list-categories", "--model Gpt"})
        CHECK(run("verify examples/digits_cnn " + std::string(option)).status == 2);
}

TEST_CASE("--report of a suite is a file that a report can be, or a directory") {
    const Outcome refused = run("verify --suite " + zoo + " --report r.pdf");
    CHECK(refused.status == 2);
    CHECK(refused.err ==
          "torch-ir: --report: expected F.md, F.html or a directory, found 'r.pdf'; a new directory whose name ends in "
          "'.pdf' is written 'r.pdf/'\n");
}

TEST_CASE("--report writes a page for each model and a summary") {
    const TemporaryDirectory folder;
    const std::string out = folder / "out";
    CHECK(run("verify --suite " + zoo + "/pytorch_ir --report " + out).status == 0);
    const std::string summary = read_text(out + "/SUMMARY.md");
    CHECK(summary.find("**9 passed, 0 failed, 0 unsupported, 0 errors** of 9\n") != std::string::npos);
    // 18 nodes; parameters: four linear layers of 64 by 64 with a bias.
    CHECK(summary.find("| [SelfAttention](SelfAttention.md) | passed | 18 | 16640 | ") != std::string::npos);
    CHECK(summary.find("| attention | 3 | 0 | 3 |\n") != std::string::npos);
    CHECK(summary.find("## Not passed") == std::string::npos);
    CHECK(json::parse(read_text(out + "/report.json"))["passed"] == 9);
    CHECK(read_text(out + "/report.html").starts_with("<!DOCTYPE html>"));

    const std::string page = read_text(out + "/SelfAttention.md");
    CHECK(page.starts_with("# SelfAttention\n\nMulti-head self-attention with four heads\n\n- Status: **passed**\n"));
    // Reads of values: 4 linear, 4 views, 5 transposes, 2 products of two, division, softmax, contiguous.
    for (const char* line :
         {"| Nodes | 18 |\n", "| Edges | 20 |\n", "| Inputs | 1 |\n", "| Outputs | 1 |\n", "| Weights | 8 |\n",
          "| Parameters | 16640 |\n", "| Bytes of weights | 66560 |\n", "| output_0 | float32[1, 16, 64] | passed | ",
          "| softmax | aten.softmax.int | float32[1, 4, 16, 16] | float32[1, 4, 16, 16] |\n",
          "| q_proj.weight | float32[64, 64] |\n", "    \"transpose.int\" : 5\n"}) {
        CAPTURE(line);
        CHECK(page.find(line) != std::string::npos);
    }
    // The drawing is the one of pytorch-ir.
    CHECK(page.find("```mermaid\n" + read_text(zoo + "/pytorch_ir/SelfAttention/graph.mmd") + "\n```\n") !=
          std::string::npos);
}

TEST_CASE("reports about what did not pass, and about models in folders") {
    const TemporaryDirectory folder;
    const fs::path suite = folder.path() / "suite";
    copy_case("pytorch_ir/RecurrentUnroll", suite / "nets/good one");
    copy_case("pytorch_ir/RecurrentUnroll", suite / "nets/wrong");
    fs::copy_file(zoo + "/pytorch_ir/SelfAttention/expected.safetensors", suite / "nets/wrong/expected.safetensors",
                  fs::copy_options::overwrite_existing);
    fs::create_directories(suite / "unreadable");
    write_text(suite / "unreadable/ir.json", "{");
    copy_case("pytorch_ir/RecurrentUnroll", suite / "z_meta");
    write_text(suite / "z_meta/meta.json", "[]");
    const std::string out = folder / "out";
    CHECK(run("verify --suite " + suite.string() + " --report " + out).status == 1);
    const std::string summary = read_text(out + "/SUMMARY.md");
    CHECK(summary.find("**1 passed, 1 failed, 0 unsupported, 2 errors** of 4\n") != std::string::npos);
    CHECK(summary.find("| [nets/good one](nets/good%20one.md) | passed | 10 | 1056 | ") != std::string::npos);
    CHECK(summary.find("| shared_weights | 1 | 1 | 2 |\n") != std::string::npos);
    CHECK(summary.find("\n- [nets/wrong](nets/wrong.md), failed: output_0: ") != std::string::npos);
    CHECK(summary.find("\n- [unreadable](unreadable.md), error: ") != std::string::npos);
    CHECK(summary.find("meta.json: expected a JSON object\n") != std::string::npos);
    CHECK(read_text(out + "/nets/wrong.md").find("| output_0 | float32[1, 32] | failed |") != std::string::npos);
    CHECK(read_text(out + "/unreadable.md").starts_with("# unreadable\n\n- Status: **error**\n- Message: "));
    write_text(folder / "file", "");
    CHECK(run("verify --suite " + zoo + " --model Llama --report " + (folder / "file")).err ==
          "torch-ir: error: " + (folder / "file") + ": a directory cannot be made here: Not a directory\n");
    CHECK(read_text(out + "/nets/good one.md").find("## Numerical verification") != std::string::npos);
}
