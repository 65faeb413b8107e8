// SPDX-License-Identifier: MIT
// The verification commands from outside.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "support/tool.hpp"

using namespace torch_ir::test;
using nlohmann::json;

namespace {

struct Floats {
    std::string name;
    std::vector<int> shape;
    std::vector<float> values;
};

/// A safetensors file of float32 tensors.
void write_floats(const std::string& path, const std::vector<Floats>& tensors) {
    json header = json::object();
    std::string data;
    for (const Floats& tensor : tensors) {
        const std::size_t start = data.size();
        data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
        header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {start, data.size()}}};
    }
    const std::string text = header.dump();
    const auto length = static_cast<std::uint64_t>(text.size());
    write_text(path, std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + data);
}

}  // namespace

TEST_CASE("compare lists what differs and what is on one side only") {
    const TemporaryDirectory folder;
    const std::string a = folder / "a.safetensors";
    const std::string b = folder / "b.safetensors";
    write_floats(a, {{"same", {2}, {1, 2}}, {"other", {2}, {1, 4}}, {"mine", {1}, {0}}});
    write_floats(b, {{"same", {2}, {1, 2}}, {"other", {2}, {1, 2}}, {"yours", {1}, {0}}});
    const Outcome outcome =
        run("compare " + a + " " + b + " --json --report " + (folder / "r.html") + " --junit " + (folder / "j.xml"));
    CHECK(outcome.status == 1);
    const json report = json::parse(outcome.out);
    CHECK(report["passed"] == false);
    REQUIRE(report["outputs"].size() == 2);
    const json& other = report["outputs"][0];
    CHECK(other["name"] == "other");
    CHECK(other["max_abs"] == 2);
    CHECK(other["max_rel"] == 1);
    CHECK(other["mismatch_share"] == 0.5);
    CHECK(other["worst"] == json{{"index", {1}}, {"actual", 4.0}, {"expected", 2.0}});
    CHECK(report["outputs"][1]["passed"] == true);
    CHECK(report["outputs"][1]["sqnr_db"].is_null());
    CHECK(report["only_in_a"] == json{"mine"});
    CHECK(report["only_in_b"] == json{"yours"});
    CHECK(read_text(folder / "r.html").starts_with("<!DOCTYPE html>"));
    CHECK(read_text(folder / "j.xml").find("tests=\"4\" failures=\"3\"") != std::string::npos);
    CHECK(run("compare " + a + " " + b).out.find("mine: only in ") != std::string::npos);
    CHECK(run("compare " + a + " " + b + " --common").status == 1);
    CHECK(run("compare " + a + " " + b + " --common --rtol 1").status == 0);
    CHECK(run("compare " + a + " " + a).status == 0);
    write_floats(b, {{"yours", {1}, {0}}});
    check_refused("compare " + a + " " + b, a + " and " + b + " have no tensor name in common");
}

TEST_CASE("compare and verify judge intermediates in the order of the graph") {
    const TemporaryDirectory folder;
    const std::string all = folder / "all.safetensors";
    REQUIRE(run("run " + cnn + " --quiet -o " + (folder / "y.safetensors") + " --intermediates " + all).status == 0);
    const json same = json::parse(run("compare " + all + " " + all + " --json --model " + cnn).out);
    CHECK(same["passed"] == true);
    CHECK(same["outputs"][0]["origin"].get<std::string>().starts_with("aten."));
    const Outcome verified = run("verify " + cnn + " --json --intermediates " + all);
    CHECK(verified.status == 0);
    CHECK(json::parse(verified.out)["intermediates"].size() > 5);
}

TEST_CASE("a backend is judged like the interpreter") {
    const TemporaryDirectory folder;
    const auto suite = [&](const std::string& command, const std::string& more = "") {
        const Outcome outcome =
            run("verify --json -j 1 --suite tests/data/zoo/pytorch_ir --filter SelfAttention --backend '" + command +
                "' " + more);
        const json report = json::parse(outcome.out);
        REQUIRE(report["cases"].size() == 1);
        CHECK(outcome.status == (report["cases"][0]["status"] == "passed" ? 0 : 1));
        return report["cases"][0];
    };
    const std::string tool = std::getenv("TORCH_IR_TOOL");
    CHECK(suite(tool + " run {case} --quiet -o {out}")["status"] == "passed");
    CHECK(suite("cp {case}/inputs.safetensors {out}")["message"] ==
          "no output: the backend wrote no 'output_0' (it wrote 'x')");
    CHECK(suite("echo too bad >&2; exit 3 # {case} {out}")["message"] == "crash: exit status 3: too bad");
    CHECK(suite("kill -SEGV $$ # {case} {out}")["message"] == "crash: killed by signal 11 (Segmentation fault)");
    CHECK(suite("exit 77 # {case} {out}")["status"] == "unsupported");
    CHECK(suite("true {case} {out}")["message"] == "no output: the command ended well but wrote nothing to {out}");
    CHECK(suite("sleep 20 # {case} {out}", "--timeout 0.2")["message"] == "time-out: no result within 0.2 s");
    CHECK(run("verify " + cnn + " --backend 'x {case} {out}'").status == 2);
    check_refused("verify --suite tests/data/zoo/pytorch_ir --backend 'x {case}'",
                  "--backend lacks {out}: expected a shell command with {case} (the case directory) and {out} (the "
                  "safetensors file to write)");
}

TEST_CASE("record writes a case that verify takes, the same for the same seed") {
    const TemporaryDirectory folder;
    const std::string model = "tests/data/zoo/pytorch_ir/SiameseEncoder";
    const auto record = [&](const std::string& name, const std::string& more) {
        return run("record " + model + " --quiet --random " + more + " -o " + (folder / name)).status;
    };
    CHECK(record("a", "--seed 1") == 0);
    CHECK(record("b", "--seed 1 --threads 1") == 0);
    CHECK(record("c", "--seed 2") == 0);
    for (const char* file : {"/inputs.safetensors", "/expected.safetensors"}) {
        CHECK(read_text(folder / ("a" + std::string(file))) == read_text(folder / ("b" + std::string(file))));
        CHECK(read_text(folder / ("a" + std::string(file))) != read_text(folder / ("c" + std::string(file))));
    }
    CHECK(run("verify --suite " + folder.path().string() + " --rtol 0 --atol 0").status == 0);
    check_refused("record " + model + " --random -o " + (folder / "a"),
                  (folder / "a") + ": exists already: give another -o, or remove it");
    check_refused("record " + model + " --random --size s9=3 -o " + (folder / "d"),
                  "no input has a size 's9'; all sizes are fixed");
    check_refused("record tests/data/zoo/AnyLength --random --size s0=3 -o " + (folder / "d"),
                  "no input has a size 's0'; the sizes are 's77', 's27'");
    CHECK(run("record " + model + " --random --inputs x -o " + (folder / "d")).status == 2);
    CHECK_FALSE(fs::exists(folder / "d"));
}

TEST_CASE("the bits do not depend on the number of threads") {
    const TemporaryDirectory folder;
    for (const char* name : {"CrossAttention", "DeepResNet", "DenseBlock", "MultiTaskHead", "RecurrentUnroll",
                             "SelfAttention", "SiameseEncoder", "TransformerBlock", "WeightTying"}) {
        CAPTURE(name);
        const std::string command =
            "run tests/data/zoo/pytorch_ir/" + std::string(name) + " --quiet --deterministic --intermediates ";
        REQUIRE(run(command + (folder / "1") + " --threads 1").status == 0);
        REQUIRE(run(command + (folder / "4") + " --threads 4").status == 0);
        CHECK(read_text(folder / "1") == read_text(folder / "4"));
    }
}

TEST_CASE("with --deterministic, convolutions of few channels have the same bits for any number of threads") {
    const TemporaryDirectory folder;
    // 8 channels, dilation 3, padding 3: a convolution for which oneDNN chooses blocks by threads.
    write_text(folder / "ir.json", R"({"model_name": "dilated", "pytorch_version": "2.13.0", "weights": [],
      "weight_name_mapping": {}, "constants": {},
      "graph_inputs": [{"name": "x", "shape": [1, 8, 24], "dtype": "float32"},
                       {"name": "w", "shape": [8, 8, 3], "dtype": "float32"}],
      "graph_outputs": [{"name": "conv1d", "shape": [1, 8, 24], "dtype": "float32", "producer_node": "conv1d",
                         "producer_output_idx": 0}],
      "nodes": [{"name": "conv1d", "op_type": "aten.conv1d.default",
        "inputs": [{"name": "x", "shape": [1, 8, 24], "dtype": "float32"},
                   {"name": "w", "shape": [8, 8, 3], "dtype": "float32"}],
        "outputs": [{"name": "conv1d", "shape": [1, 8, 24], "dtype": "float32"}],
        "attrs": {"stride": [1], "padding": [3], "dilation": [3]}}]})");
    REQUIRE(run("record " + folder.path().string() + " --random -o " + (folder / "case")).status == 0);
    std::vector<std::string> outputs;
    for (const char* threads : {"1", "2", "3", "4"}) {
        REQUIRE(
            run("run " + (folder / "case") + " --deterministic --quiet --threads " + threads + " -o " + (folder / "y"))
                .status == 0);
        outputs.push_back(read_text(folder / "y"));
        CHECK(outputs.back() == outputs.front());
    }
}

TEST_CASE("split makes a suite of the distinct nodes and of groups") {
    const TemporaryDirectory folder;
    const std::string suite = folder / "suite";
    const Outcome outcome = run("split tests/data/zoo/pytorch_ir/TransformerBlock --group -o " + suite);
    CHECK(outcome.status == 0);
    CHECK(outcome.err.find("left out") == std::string::npos);
    const json meta = json::parse(read_text(suite + "/aten.linear.default/0/meta.json"));
    CHECK(meta["categories"] == json{"aten.linear.default"});
    CHECK(meta["count"] == 4);  // the products of attention; the two of the feed-forward part have other shapes
    CHECK(fs::exists(suite + "/aten.linear.default/2/ir.json"));
    CHECK_FALSE(fs::exists(suite + "/aten.linear.default/3"));
    CHECK(json::parse(read_text(suite + "/group.attention/0/ir.json"))["nodes"].size() == 4);
    CHECK(fs::exists(suite + "/group.linear_gelu/0/expected.safetensors"));
    const std::string tool = std::getenv("TORCH_IR_TOOL");
    const json report = json::parse(run("verify --json --suite " + suite).out);
    CHECK(report["passed"] == 17);
    const json wrong =
        json::parse(run("verify --json --suite " + suite +
                        " --backend 'cp {case}/inputs.safetensors {out}' --category " + "aten.gelu.default")
                        .out);
    CHECK(wrong["error"] == 1);
}

TEST_CASE("slice cuts by values, nodes or module and repeats what the model computed") {
    const TemporaryDirectory folder;
    const std::string model = "tests/data/zoo/pytorch_ir/TransformerBlock";
    const auto cut = [&](const std::string& name, const std::string& how) {
        const Outcome outcome = run("slice " + model + " -o " + (folder / name) + " " + how);
        CAPTURE(outcome.err);
        CHECK(outcome.status == 0);
        CHECK(outcome.err.find("warning") == std::string::npos);
        CHECK(run("verify " + (folder / name) + " --rtol 1e-6 --atol 1e-6").status == 0);
        return json::parse(read_text(folder / (name + "/ir.json")))["nodes"].size();
    };
    CHECK(cut("values", "--from linear --to softmax") == 5);  // view, transpose, matmul, div, softmax
    CHECK(cut("several", "--from linear linear_1 --to softmax") == 8);
    CHECK(cut("nodes", "--node gelu,linear_4") == 2);
    check_refused("slice " + model + " --from sofmax --to gelu -o " + (folder / "x"),
                  "the graph has no value 'sofmax'; the closest name is 'softmax'");
    check_refused("slice " + model + " --from gelu --to softmax -o " + (folder / "x"),
                  "no node lies between the values of --from and --to");
    check_refused("slice " + model + " --module q_prog -o " + (folder / "x"),
                  "no node belongs to module 'q_prog'; the model does not say which module its nodes come from");
    check_refused("slice examples/digits_cnn --module con1 -o " + (folder / "x"),
                  "no node belongs to module 'con1'; the closest name is 'conv1'");
    CHECK(run("slice " + model + " -o " + (folder / "x")).status == 2);
    CHECK(run("slice " + model + " --module a --to gelu -o " + (folder / "x")).status == 2);
    CHECK_FALSE(fs::exists(folder / "x"));
}

namespace {

/// A backend that runs the tool on a case whose graph was changed by sed: a fault that is known exactly.
std::string faulty_backend(const TemporaryDirectory& folder, const std::string& change) {
    const std::string script = folder / "backend.sh";
    write_text(script, "set -e\nwork=$(mktemp -d)\ntrap 'rm -rf \"$work\"' EXIT\ncp \"$1\"/* \"$work\"\nsed -i '" +
                           change + "' \"$work\"/ir.json\n'" + std::getenv("TORCH_IR_TOOL") +
                           "' run \"$work\" --quiet -o \"$2\"\n");
    return "sh " + script + " {case} {out}";
}

}  // namespace

TEST_CASE("reduce finds the node, its smallest shape and plain values") {
    const TemporaryDirectory folder;
    const std::string backend = faulty_backend(folder, "s/aten.gelu.default/aten.relu.default/");
    const std::string command = "reduce tests/data/zoo/pytorch_ir/TransformerBlock --json --backend '" + backend +
                                "' -o " + (folder / "smallest");
    const Outcome first = run(command + " --max-tests 4");
    CHECK(first.status == 0);
    CHECK(json::parse(first.out)["complete"] == false);
    CHECK(json::parse(first.out)["tests"] == 4);
    const json result = json::parse(run(command).out);  // goes on
    CHECK(result["failure"] == "wrong numbers");
    CHECK(result["nodes"] == 1);
    CHECK(result["complete"] == true);
    CHECK(json::parse(run(command).out)["tests"] == 0);
    const json smallest = json::parse(read_text(folder / "smallest/ir.json"));
    CHECK(smallest["nodes"][0]["op_type"] == "aten.gelu.default");
    CHECK(smallest["graph_inputs"][0]["shape"] == json{1, 1, 1});
    CHECK(run("verify " + (folder / "smallest")).status == 0);
    CHECK(run("verify --suite " + (folder / "smallest") + " --backend '" + backend + "'").status == 1);
    CHECK(
        run("reduce tests/data/zoo/pytorch_ir/DenseBlock --backend '" + backend + "' -o " + (folder / "none")).status ==
        1);
    const std::string again = "reduce tests/data/zoo/pytorch_ir/DenseBlock --backend '" + backend + "' -o ";
    const std::string other =
        "/reduce.jsonl: belongs to a reduction of another model, or with another command, time limit or tolerance; "
        "remove it, or give another directory";
    check_refused(again + (folder / "smallest"), (folder / "smallest") + other);
    check_refused(again + (folder / "none") + " --rtol 1", (folder / "none") + other);
}

TEST_CASE("an interrupt ends the backends and leaves no temporary directory") {
    const TemporaryDirectory folder;
    const std::string scratch = folder / "scratch", marker = folder / "marker";
    std::filesystem::create_directory(scratch);
    const std::string backend = "sleep 3; echo {case} {out} >" + marker;
    const std::string tool = std::getenv("TORCH_IR_TOOL");
    std::system(("TMPDIR=" + scratch + " timeout -s INT 2 '" + tool +
                 "' verify --suite tests/data/zoo/pytorch_ir --backend '" + backend + "' >/dev/null 2>&1; sleep 2")
                    .c_str());
    CHECK(std::filesystem::is_empty(scratch));
    CHECK(!std::filesystem::exists(marker));
}

TEST_CASE("reduce does not shrink what the backend cannot run at all") {
    const TemporaryDirectory folder;
    const std::string model = "reduce tests/data/zoo/pytorch_ir/SelfAttention -o " + (folder / "smallest");
    const Outcome unsupported = run(model + " --backend 'echo no GPU; exit 77 # {case} {out}'");
    CHECK(unsupported.status == 1);
    CHECK(unsupported.out ==
          "the backend does not run tests/data/zoo/pytorch_ir/SelfAttention (unsupported: exit status 77: no GPU): "
          "nothing to reduce\n");
    const Outcome missing = run(model + "2 --backend 'no_such_command_here {case} {out}'");
    CHECK(missing.status == 3);
    CHECK(missing.err.find("--backend: there is no such command: exit status 127: ") != std::string::npos);
}

TEST_CASE("verify refuses options that would say nothing where they stand") {
    const auto refused = [](const std::string& arguments, const std::string& message) {
        const Outcome outcome = run("verify " + arguments);
        CHECK(outcome.status == 2);
        CHECK(outcome.err == "torch-ir: " + message + "\n");
    };
    refused(cnn + " --filter x", "--filter needs --suite DIR");
    refused(cnn + " --category x", "--category needs --suite DIR");
    refused(cnn + " -j 2", "--jobs needs --suite DIR");
    refused("--suite tests/data/zoo --expected x", "--expected goes with MODEL, not with --suite");
    refused("--suite tests/data/zoo --tolerance derived", "--tolerance goes with MODEL, not with --suite");
    refused(cnn + " --profile bf16", "--profile goes with --tolerance derived");
    refused(cnn + " --backend 'x {case} {out}'", "--backend needs --suite DIR");
    refused(cnn + " --tolerance derived --rtol 1", "--tolerance derived takes the place of --rtol and --atol");
    refused(cnn + " --tolerance 1", "--tolerance takes 'derived'; --rtol and --atol take numbers");
}

TEST_CASE("reduce keeps the kind of failure") {
    const TemporaryDirectory folder;
    const std::string tool = std::getenv("TORCH_IR_TOOL");
    const auto reduce = [&](const std::string& name, const std::string& fault) {
        return json::parse(run("reduce tests/data/zoo/pytorch_ir/SelfAttention --json --timeout 1 -o " +
                               (folder / name) + " --backend 'if grep -q aten.softmax {case}/ir.json; then " + fault +
                               "; fi; " + tool + " run {case} --quiet -o {out}'")
                               .out);
    };
    const json crash = reduce("crash", "kill -SEGV $$");
    CHECK(crash["failure"] == "crash");
    CHECK(crash["nodes"] == 1);
    const json missing = reduce("missing", "exit 0");
    CHECK(missing["failure"] == "crash");
    CHECK(missing["nodes"] == 1);
}

TEST_CASE("conformance runs op cases through a backend and counts them by op and dtype") {
    const TemporaryDirectory folder;
    const std::string tool = std::getenv("TORCH_IR_TOOL");
    const std::string ops = " tests/data/ops --json --ops 'aten\\.(sort|add|split|topk)\\.'";
    const Outcome good = run("conformance --backend '" + tool + " run {case} --quiet -o {out}'" + ops);
    CHECK(good.status == 0);
    const json report = json::parse(good.out);
    CHECK(report["failed"] == 0);
    CHECK(report["error"] == 0);
    CHECK(report["passed"] > 10);
    CHECK(report["ops"][0]["op_type"].get<std::string>().starts_with("aten.add"));
    const Outcome bad =
        run("conformance --backend '" + faulty_backend(folder, "s/aten.add.Tensor/aten.sub.Tensor/") + "'" + ops);
    CHECK(bad.status == 1);
    CHECK(json::parse(bad.out)["failed"] > 0);
    const Outcome none = run("conformance --backend 'x {case} {out}'");
    CHECK(none.status == 2);
    CHECK(none.err.starts_with("torch-ir: DIR is required\n"));
    check_refused("conformance --backend 'x {case} {out}' tests/data/ops --ops 'zzz'",
                  "tests/data/ops: no op case below this directory fits");
}

TEST_CASE("diff says what changed") {
    const std::string model = "tests/data/zoo/pytorch_ir/SelfAttention";
    CHECK(run("diff " + model + " " + model).status == 0);
    const TemporaryDirectory folder;
    std::string text = read_text(model + "/ir.json");
    text.replace(text.find("\"dim\": -1"), 9, "\"dim\": -2");
    write_text(folder / "b.json", text);
    const Outcome outcome = run("diff " + model + " " + (folder / "b.json") + " --json");
    CHECK(outcome.status == 1);
    const json found = json::parse(outcome.out);
    CHECK(found["equal"] == false);
    CHECK(found["changed"].size() == 1);
    CHECK(found["changed"][0]["from"] == "-1");
    CHECK(found["changed"][0]["to"] == "-2");
}

TEST_CASE("ops --backend-caps says what a backend lacks and what to add first") {
    const TemporaryDirectory folder;
    const auto caps = [&](const std::string& text) {
        write_text(folder / "caps.json", text);
        return "ops --json --backend-caps " + (folder / "caps.json") + " ";
    };
    const std::string model = "tests/data/zoo/pytorch_ir/SelfAttention";
    const std::string all = R"({"ops": ["aten.*"]})";
    const Outcome complete = run(caps(all) + model);
    CHECK(complete.status == 0);
    CHECK(json::parse(complete.out)["models"][0]["partitions"].size() == 1);

    const Outcome lacking =
        run(caps(R"({"name": "mine", "ops": ["aten.linear.default", "aten.view.default",
        "aten.transpose.int", "aten.div.Tensor", {"op": "aten.softmax.int", "arguments": {"dim": {"values": [1]}}},
        "aten.contiguous.default"]})") +
            model + " tests/data/zoo/pytorch_ir/CrossAttention tests/data/zoo/pytorch_ir/DeepResNet");
    CHECK(lacking.status == 1);
    const json report = json::parse(lacking.out);
    CHECK(report["backend"] == "mine");
    const json& first = report["models"][0];
    CHECK(first["nodes"] == 18);
    CHECK(first["supported_nodes"] == 15);
    CHECK(first["missing"][0]["op_type"] == "aten.matmul.default");
    CHECK(first["missing"][0]["count"] == 2);
    CHECK(first["missing"][0]["flops"] == 2 * 2 * 16 * 16 * 64);  // two products of [4, 16, 16] with 4 heads of 16
    CHECK(first["missing"][1]["reason"] == "dim = -1");
    CHECK(first["flops"] == 589824);
    CHECK(first["supported_flops"] == 589824 - 65536);
    // Both attentions need the same two ops, the convolutional network more.
    CHECK(report["unblock"][0]["ops"] == json{"aten.matmul.default", "aten.softmax.int"});
    CHECK(report["unblock"][0]["models"] == 2);
    CHECK(report["unblock"].back()["total"] == 3);

    CHECK(json::parse(
              run(caps(R"({"dtypes": ["float16"], "ops": ["aten.*"]})") + model).out)["models"][0]["supported_nodes"] ==
          0);
    CHECK(run(caps(all)).status == 2);
    CHECK(run("ops " + model + " " + model).status == 2);
    check_refused(caps(R"({"ops": [{"op": "aten.add.Tensor", "dtypes": ["flaot32"]}]})") + model,
                  (folder / "caps.json") + ": ops[0].dtypes: expected the name of a dtype, found \"flaot32\"");
    CHECK(run("ops --backend-caps examples/backends/caps_example.json " + cnn).status == 1);
}

TEST_CASE("where one of many tensors differs, the others are counted") {
    const TemporaryDirectory folder;
    std::vector<Floats> tensors;
    for (char letter = 'a'; letter <= 'y'; ++letter) tensors.push_back({std::string(1, letter), {1}, {1}});
    write_floats(folder / "b.safetensors", tensors);
    const std::string command = "compare " + (folder / "a.safetensors") + " " + (folder / "b.safetensors");
    write_floats(folder / "a.safetensors", tensors);
    const std::string equal = run(command).out;
    CHECK(std::ranges::count(equal, '\n') == 26);
    tensors[3].values = {2};
    write_floats(folder / "a.safetensors", tensors);
    const std::string text = run(command).out;
    CHECK(text.starts_with("  d  float32[1]  DIFFERS: 1 of 1 elements differ"));
    CHECK(
        text.ends_with("\n  24 others agree (--json lists all)\nFAILED: 25 tensors compared, 1 differ, 0 on one side "
                       "only\n"));
    CHECK(std::ranges::count(text, '\n') == 3);
}

TEST_CASE("locate says what the candidate stores in another layout") {
    const TemporaryDirectory folder;
    const std::string value = R"({"name": "x", "shape": [2, 3], "dtype": "float32"})";
    const std::string result = R"({"name": "neg", "shape": [2, 3], "dtype": "float32"})";
    write_text(folder / "ir.json", R"({"model_name": "Neg", "graph_inputs": [)" + value + R"(], "graph_outputs": [)" +
                                       result + R"(], "weights": [], "nodes": [{"name": "neg", "op_type":
        "aten.neg.default", "inputs": [)" +
                                       value + R"(], "outputs": [)" + result + R"(], "attrs": {}}]})");
    write_floats(folder / "x.safetensors", {{"x", {2, 3}, {1, 2, 3, 4, 5, 6}}});
    write_floats(folder / "turned.safetensors", {{"neg", {3, 2}, {-1, -4, -2, -5, -3, -6}}});
    const std::string command = "locate " + (folder / "ir.json") + " --inputs " + (folder / "x.safetensors") +
                                " --candidate " + (folder / "turned.safetensors");
    const Outcome outcome = run(command);
    CHECK(outcome.status == 0);
    CHECK(outcome.err ==
          "torch-ir: stored otherwise than the graph says, and compared as such: 'neg' permuted [1, 0]\n");
    CHECK(json::parse(run(command + " --json").out)["layouts"] == json{{"neg", "permuted [1, 0]"}});
}

TEST_CASE("verify says that an output comes from values of a coarser dtype") {
    const TemporaryDirectory folder;
    const auto value = [](const std::string& name, const std::string& dtype) {
        return R"({"name": ")" + name + R"(", "shape": [2], "dtype": ")" + dtype + "\"}";
    };
    const auto cast = [&](const std::string& name, const std::string& from, const std::string& to) {
        return R"({"name": ")" + name + R"(", "op_type": "aten._to_copy.default", "inputs": [)" + from +
               R"(], "outputs": [)" + value(name, to) + R"(], "attrs": {"dtype": "torch.)" + to + R"("}})";
    };
    write_text(folder / "ir.json", R"({"model_name": "Casts", "graph_inputs": [)" + value("x", "float32") +
                                       R"(], "graph_outputs": [)" + value("back", "float32") +
                                       R"(], "weights": [], "nodes": [)" +
                                       cast("half", value("x", "float32"), "bfloat16") + ", " +
                                       cast("back", value("half", "bfloat16"), "float32") + "]}");
    write_floats(folder / "x.safetensors", {{"x", {2}, {1, 2}}});
    write_floats(folder / "y.safetensors", {{"output_0", {2}, {1, 2.0078125F}}});
    const std::string command = "verify " + (folder / "ir.json") + " --inputs " + (folder / "x.safetensors") +
                                " --expected " + (folder / "y.safetensors");
    const Outcome outcome = run(command);
    CHECK(outcome.status == 1);
    CHECK(outcome.out.find("; it comes from bfloat16 values: --tolerance derived knows what that may do, --rtol 0.016 "
                           "is their own; first at") != std::string::npos);
    CHECK(run(command + " --rtol 0.016").status == 0);
    CHECK(run(command + " --rtol 1e-3").out.find("comes from") == std::string::npos);
}

TEST_CASE("locate and derived tolerances from outside") {
    const TemporaryDirectory folder;
    const std::string dump = folder / "dump.safetensors";
    const std::string model = "examples/digits_transformer";
    REQUIRE(run("run " + model + " --intermediates " + dump + " -o " + (folder / "o.safetensors")).status == 0);
    Outcome outcome = run("locate " + model + " --candidate " + dump + " --json");
    CHECK(outcome.status == 0);
    json report = json::parse(outcome.out);
    CHECK(report["verdict"] == "explained");
    CHECK(report["origins"].empty());
    CHECK(report["compared"] > 20);
    CHECK(report["absent"] == 0);

    // PyTorch's outputs, judged without a tolerance, and the outputs of another model.
    outcome = run("verify " + model + " --tolerance derived --json");
    CHECK(outcome.status == 0);
    report = json::parse(outcome.out);
    CHECK(report["passed"] == true);
    CHECK(report["outputs"][0]["verdict"] == "explained");
    CHECK(report["outputs"][0]["ours"] == "explained");
    CHECK(run("verify " + model + " --tolerance derived")
              .out.find("\n      explained: in standard deviations of rounding, at most ") != std::string::npos);
    const std::size_t elements = report["outputs"][0]["elements"];
    write_floats(folder / "zeros.safetensors",
                 {{"output_0", {static_cast<int>(elements / 10), 10}, std::vector<float>(elements)}});
    outcome = run("verify " + model + " --tolerance derived --json --expected " + (folder / "zeros.safetensors"));
    CHECK(outcome.status == 1);
    report = json::parse(outcome.out);
    CHECK(report["passed"] == false);
    CHECK(report["outputs"][0]["verdict"] == "wrong");
    CHECK(report["outputs"][0]["nearer"] == "ours");

    outcome = run("locate " + model + " --json --candidate " + (folder / "zeros.safetensors"));
    CHECK(outcome.status == 1);
    report = json::parse(outcome.out);
    CHECK(report["verdict"] == "wrong");
    REQUIRE(report["origins"].size() == 1);
    CHECK(report["origins"][0]["value"] == "log_softmax");
    CHECK(report["compared"] == 1);

    // Another name, by a map.
    write_floats(folder / "mine.safetensors",
                 {{"mine", {static_cast<int>(elements / 10), 10}, std::vector<float>(elements)}});
    write_text(folder / "map.json", "{\"mine\": \"output_0\"}");
    CHECK(run("locate " + model + " --candidate " + (folder / "mine.safetensors")).status == 3);
    CHECK(run("locate " + model + " --map " + (folder / "map.json") + " --candidate " + (folder / "mine.safetensors"))
              .status == 1);
    CHECK(run("verify " + model + " --tolerance tight").status == 2);

    // A map that is partly wrong says so, and what was meant.
    write_text(folder / "partly.json", "{\"log_softmaxx\": \"a\", \"log_softmax\": \"logs\", \"linear\": \"linear\"}");
    outcome = run("locate " + model + " --candidate " + dump + " --map " + (folder / "partly.json"));
    CHECK(outcome.status == 0);
    CHECK(outcome.err.find("partly.json: 1 of 3 names are not in the dump: 'log_softmaxx' (the closest name is "
                           "'log_softmax')") != std::string::npos);
    CHECK(outcome.err.find(
              "1 of the candidate's " +
              std::to_string(
                  json::parse(run("locate " + model + " --candidate " + dump + " --json").out)["compared"].get<int>()) +
              " tensors are no values of the graph and are not judged: 'logs' (by its numbers "
              "'log_softmax')") != std::string::npos);
    CHECK(outcome.err.find("{\"logs\":\"log_softmax\"}") != std::string::npos);
    CHECK(outcome.out.find(", 1 of unknown name, ") != std::string::npos);

    // Values of nodes are no outputs.
    outcome = run("verify " + model + " --expected " + dump);
    CHECK(outcome.status == 1);
    CHECK(
        outcome.out.find("expected, but the model has no such output; --intermediates FILE compares values of nodes") !=
        std::string::npos);
    CHECK(run("locate " + model + " --candidate " + dump + " --profile f31").status == 3);
}
