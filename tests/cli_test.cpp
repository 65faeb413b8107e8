// SPDX-License-Identifier: MIT
// The tool from outside: output, messages and exit statuses. The path of the tool is in TORCH_IR_TOOL.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "support/tool.hpp"

using namespace torch_ir::test;
using nlohmann::json;

namespace {

const std::string attention = "tests/data/zoo/pytorch_ir/SelfAttention";
const std::string mlp = "tests/data/versions/2.13.0/mlp/model.pt2";

}  // namespace

TEST_CASE("help and version work, wrong usage has status 2") {
    CHECK(run("--help").status == 0);
    CHECK(run("--help").out.find("verify") != std::string::npos);
    for (const char* command : {"verify", "run", "info", "validate", "ops", "visualize", "extract", "bench"}) {
        const Outcome help = run(std::string(command) + " --help");
        CHECK(help.status == 0);
        CHECK(help.out.find("Example") != std::string::npos);
    }
    CHECK(run("--version").out.starts_with("torch-ir 0."));
    CHECK(run("").status == 2);
    CHECK(run("nonsense").status == 2);
    CHECK(run("verify").status == 2);
    CHECK(run("run " + cnn + " --threads 0").status == 2);
    CHECK(run("bench " + cnn + " --repeat 0").status == 2);
}

TEST_CASE("verify says yes with status 0 and no with status 1") {
    const Outcome yes = run("verify " + cnn);
    CHECK(yes.status == 0);
    CHECK(yes.out.find("passed: DeepResNet") != std::string::npos);
    const Outcome no = run("verify " + cnn + " --rtol 0 --atol 0 --json");
    CHECK(no.status == 1);
    const json verdict = json::parse(no.out);
    CHECK(verdict["passed"] == false);
    CHECK(verdict["outputs"][0]["name"] == "output_0");
    CHECK(verdict["outputs"][0]["passed"] == false);
    CHECK(verdict["outputs"][0]["max_abs"] > 0);
    CHECK(verdict["outputs"][0]["mean_abs"] > 0);
}

TEST_CASE("run writes outputs and intermediates that verify takes") {
    const TemporaryDirectory folder;
    CHECK(run("run " + cnn + " --quiet -o " + (folder / "y.safetensors") + " --intermediates " +
              (folder / "all.safetensors"))
              .status == 0);
    CHECK(run("verify " + cnn + " --expected " + (folder / "y.safetensors") + " --rtol 1e-5 --atol 1e-5").status == 0);
    CHECK(read_text(folder / "all.safetensors").find("\"batch_norm\"") != std::string::npos);
}

TEST_CASE("run carries state over steps and files") {
    const TemporaryDirectory folder;
    const std::string counter = "tests/data/versions/2.13.0/counter_buffers";  // adds 1 to the buffer n at each call
    const auto last_floats = [](const std::string& file) {
        const std::string bytes = read_text(file);
        std::array<float, 3> values{};
        REQUIRE(bytes.size() > sizeof values);
        std::memcpy(values.data(), bytes.data() + bytes.size() - sizeof values, sizeof values);
        return values;
    };
    const std::string state = folder / "state.safetensors";
    const Outcome three = run("run " + counter + " --steps 3 --state-out " + state);
    CHECK(three.out.find("step_2.output_0: float32[4, 3]") != std::string::npos);
    CHECK(three.status == 0);
    CHECK(last_floats(state) == std::array<float, 3>{3, 3, 3});  // as in PyTorch after three calls
    const std::string x = " --inputs " + counter + "/inputs.safetensors";
    CHECK(run("run " + counter + x + x + " --state " + state + " --state-out " + state).status == 0);
    CHECK(last_floats(state) == std::array<float, 3>{5, 5, 5});
    CHECK(run("run " + counter + " --steps -1").status == 2);
}

TEST_CASE("a seed gives the numbers that PyTorch draws after manual_seed") {
    const TemporaryDirectory folder;
    const std::string value = R"({"name": "rand", "shape": [3], "dtype": "float32"})";
    write_text(folder / "ir.json", R"({"model_name": "R", "graph_inputs": [], "graph_outputs": [)" + value +
                                       R"(], "weights": [], "weight_name_mapping": {}, "nodes": [{"name": "rand",
        "op_type": "aten.rand.default", "inputs": [], "outputs": [)" +
                                       value + R"(], "attrs": {"size": [3]}}]})");
    const std::string out = folder / "out.safetensors";
    REQUIRE(run("run " + (folder / "ir.json") + " --seed 7 -o " + out).status == 0);
    const std::string bytes = read_text(out);
    std::array<float, 3> drawn{};
    REQUIRE(bytes.size() > sizeof drawn);
    std::memcpy(drawn.data(), bytes.data() + bytes.size() - sizeof drawn, sizeof drawn);
    CHECK(drawn == std::array<float, 3>{0.5349225401878357F, 0.19880318641662598F, 0.6592116951942444F});
    CHECK(run("verify " + (folder / "ir.json") + " --expected " + out + " --rtol 0 --atol 0 --seed 7").status == 0);
    CHECK(run("verify " + (folder / "ir.json") + " --expected " + out + " --rtol 0 --atol 0 --seed 8").status == 1);

    const std::string suite = "verify --suite " + (folder / "") + " --rtol 0 --atol 0";
    std::filesystem::rename(out, folder / "expected.safetensors");
    CHECK(run(suite).status == 1);
    CHECK(run(suite + " --seed 7").status == 0);
    write_text(folder / "meta.json", R"({"seed": 7})");
    CHECK(run(suite).status == 0);
    CHECK(run(suite + " --seed 8").status == 1);
}

TEST_CASE("a suite finds model cases and op cases and reports them as JSON") {
    const Outcome outcome = run("verify --suite tests/data/zoo/pytorch_ir --json -j 2");
    CHECK(outcome.status == 0);
    const json report = json::parse(outcome.out);
    CHECK(report["passed"] == 9);
    CHECK(report["failed"] == 0);
    CHECK(report["unsupported"] == 0);
    CHECK(report["error"] == 0);
    CHECK(report["cases"][0]["name"] == "CrossAttention");
    CHECK(report["cases"][0]["status"] == "passed");
    CHECK(report["cases"][0]["seconds"] >= 0);
    CHECK(json::parse(run("verify --suite tests/data/zoo/pytorch_ir --json --filter Deep").out)["cases"].size() == 1);

    const TemporaryDirectory folder;
    write_text(folder / "cases.json", R"([
      {"id": "aten.relu.default/0", "op_type": "aten.relu.default", "args": {"self": {"int": 3}}, "outputs": [{"int": 3}]},
      {"id": "aten.abs.default/1", "op_type": "aten.abs.default", "args": {"self": {"int": -3}}, "outputs": [{"int": 4}]},
      {"id": "mine.op.default/2", "op_type": "mine.op.default", "args": {}, "outputs": []}])");
    const Outcome ops = run("verify --suite " + folder.path().string() + " --json");
    CHECK(ops.status == 1);
    const json cases = json::parse(ops.out)["cases"];
    CHECK(cases[0]["status"] == "passed");
    CHECK(cases[1]["status"] == "failed");
    CHECK(cases[2]["status"] == "unsupported");
}

TEST_CASE("extract, info, validate, ops and visualize") {
    const TemporaryDirectory folder;
    CHECK(run("extract " + mlp + " -o " + (folder / "ir.json") + " --weights-out " + (folder / "weights.safetensors"))
              .status == 0);
    CHECK(run("validate " + (folder / "ir.json") + " --weights " + (folder / "weights.safetensors")).status == 0);
    CHECK(run("verify " + (folder / "ir.json") +
              " --inputs tests/data/versions/2.13.0/mlp/inputs.safetensors --expected "
              "tests/data/versions/2.13.0/mlp/expected.safetensors")
              .status == 0);
    const json info = json::parse(run("info " + cnn + " --json").out);
    CHECK(info["num_nodes"] == 27);
    CHECK(run("visualize " + attention).out == read_text(attention + "/graph.mmd") + "\n");
    CHECK(run("visualize " + attention + " -o " + (folder / "g.svg")).status == 0);
    CHECK(read_text(folder / "g.svg").starts_with("<svg"));
    const json ops = json::parse(run("ops " + cnn + " --json").out);
    CHECK(ops["complete"] == true);
    CHECK(run("ops --json").status == 0);
    const json bench = json::parse(run("bench " + attention + " --json --repeat 3").out);
    for (const char* key : {"median_ms", "min_ms", "peak_rss_bytes", "load_ms"}) CHECK(bench[key] > 0);
}

TEST_CASE("files that are not there or not models are refused by name") {
    check_refused("info nowhere.pt2", "cannot open 'nowhere.pt2': No such file or directory");
    check_refused("info tests/data", "tests/data: expected model.pt2 or ir.json in this directory, found neither");
    const TemporaryDirectory folder;
    write_text(folder / "x", "hello");
    check_refused("info " + (folder / "x"),
                  (folder / "x") + ": expected a .pt2 (zip) or a JSON IR; the first bytes are those of neither");
    check_refused(
        "verify " + mlp + " --inputs tests/data/versions/2.13.0/mlp/inputs.safetensors --expected nowhere.safetensors",
        "cannot open 'nowhere.safetensors': No such file or directory");
}

TEST_CASE("damaged archives and JSON are refused with status 3") {
    const TemporaryDirectory folder;
    const std::string whole = read_text(mlp);
    for (const std::size_t length : {std::size_t{4}, whole.size() / 2, whole.size() - 10}) {
        write_text(folder / "cut.pt2", whole.substr(0, length));
        const Outcome cut = run("info " + (folder / "cut.pt2"));
        CHECK(cut.status == 3);
        CHECK(cut.err.find("cut.pt2: ") != std::string::npos);
    }
    std::string flipped = whole;
    flipped[flipped.find("\"graph_module\"") + 3] ^= 1;
    write_text(folder / "flipped.pt2", flipped);
    const Outcome bad_crc = run("info " + (folder / "flipped.pt2"));
    CHECK(bad_crc.status == 3);
    CHECK(bad_crc.err.find("checksum") != std::string::npos);

    write_text(folder / "deep.json", "{\"nodes\": " + std::string(10000, '[') + std::string(10000, ']') + "}");
    const Outcome deep = run("info " + (folder / "deep.json"));
    CHECK(deep.status == 3);
    CHECK(deep.err.find("deep") != std::string::npos);
    write_text(folder / "types.json", R"({"graph_inputs": 3, "graph_outputs": [], "weights": [], "nodes": []})");
    const Outcome types = run("validate " + (folder / "types.json"));
    CHECK(types.status == 3);
    CHECK(types.err.find("types.json: graph_inputs: expected") != std::string::npos);
}

TEST_CASE("missing, extra and misshapen inputs and weights are named") {
    const TemporaryDirectory folder;
    const std::string expected = " --expected " + cnn + "/expected.safetensors";
    check_refused("verify " + cnn + " --inputs " + cnn + "/expected.safetensors" + expected,
                  "inputs: 'x' (float32[1, 3, 32, 32]) is missing; 'output_0' is not an input of the model");
    check_refused("run " + attention + " --inputs " + cnn + "/inputs.safetensors",
                  "inputs: 'x': expected float32[1, 16, 64], found float32[1, 3, 32, 32]");
    const Outcome weights = run("verify " + attention + " --weights " + cnn + "/weights.safetensors");
    CHECK(weights.status == 3);
    CHECK(weights.err.find("'q_proj.weight' (float32[64, 64]) is missing") != std::string::npos);
    CHECK(run("validate " + attention + " --weights " + cnn + "/weights.safetensors").status == 1);
}

TEST_CASE("hostile weight files are refused by name") {
    const TemporaryDirectory folder;
    const auto safetensors = [&](const std::string& header, std::size_t bytes) {
        std::string length(8, '\0');
        for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
        write_text(folder / "w.safetensors", length + header + std::string(bytes, '\0'));
        const Outcome outcome = run("run " + attention + " --weights " + (folder / "w.safetensors"));
        CHECK(outcome.status == 3);
        CHECK(outcome.err.find("w.safetensors: ") != std::string::npos);
        return outcome.err;
    };
    const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":)";
    CHECK(safetensors(R"({"a":)" + entry + R"([0,8]},"b":)" + entry + "[4,12]}}", 12).find("overlap") !=
          std::string::npos);
    CHECK(safetensors(R"({"a":)" + entry + "[4,12]}}", 12).find("hole") != std::string::npos);
    CHECK(safetensors(R"({"a":)" + entry + "[0,16]}}", 16).find("'a'") != std::string::npos);
    CHECK(safetensors(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", 8).find("'a'") !=
          std::string::npos);
    CHECK(safetensors("{\"a\": 3}", 0).find("'a'") != std::string::npos);

    // The form torch.save had before 1.6, with a call of os.system where a tensor would be.
    const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
    const std::string info(
        "\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionq\x01M\xe9\x03X\x0d\x00\x00\x00little_endianq\x02\x88u.", 55);
    write_text(folder / "evil.pt", magic + std::string("\x80\x02M\xe9\x03.", 6) + info +
                                       std::string("\x80\x02\x63os\nsystem\nX\x04\x00\x00\x00trueq\x00\x85R.", 27));
    const Outcome evil = run("run " + attention + " --weights " + (folder / "evil.pt"));
    CHECK(evil.status == 3);
    CHECK(evil.err.find("evil.pt: ") != std::string::npos);
    CHECK(evil.err.find("os.system") != std::string::npos);
}

TEST_CASE("all unsupported ops are listed at once") {
    std::string text = read_text(attention + "/ir.json");
    for (std::size_t at = 0; (at = text.find("aten.matmul.default", at)) != std::string::npos;)
        text.replace(at, 11, "mine.madmul");
    for (std::size_t at = 0; (at = text.find("aten.softmax.int", at)) != std::string::npos;)
        text.replace(at, 16, "mine.softmax.int");
    const TemporaryDirectory folder;
    write_text(folder / "ir.json", text);
    check_refused(
        "run " + (folder / "ir.json") + " --inputs " + attention + "/inputs.safetensors --weights " + attention +
            "/weights.safetensors",
        "2 ops are not supported: mine.madmul.default (2x; no such ATen op), mine.softmax.int (1x; no such ATen op)");
    CHECK(run("ops " + (folder / "ir.json")).status == 1);
}

TEST_CASE("a full disk leaves no half-written file") {
    check_refused("extract " + mlp + " -o /dev/full", "cannot write '/dev/full': No space left on device");
    const Outcome run_full = run("run " + cnn + " --quiet -o /dev/full");
    CHECK(run_full.status == 3);
    CHECK(run_full.err.find("cannot write '/dev/full': No space left on device") != std::string::npos);
    const TemporaryDirectory folder;
    CHECK(run("extract " + mlp + " -o " + (folder / "missing/ir.json")).status == 3);
    CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a plugin that is none is refused; without its plugin an op is missing") {
    const std::string model = "examples/plugin_model";
    check_refused("run " + model,
                  "2 ops are not supported: example.accumulate_.default (2x; no such ATen op), "
                  "example.clip_norm.default (1x; no such ATen op)");
    const Outcome ops = run("ops " + model);
    CHECK(ops.status == 1);
    CHECK(ops.out.find("missing  example.clip_norm.default") != std::string::npos);
    const Outcome missing = run("verify " + model + " --plugin no_such.so");
    CHECK(missing.status == 3);
    CHECK(missing.err.starts_with("torch-ir: error: plugin ./no_such.so: cannot open shared object file"));
    const Outcome text = run("verify " + model + " --plugin README.md");
    CHECK(text.status == 3);
    CHECK(text.err.find("README.md") != std::string::npos);
}

TEST_CASE("run carries state over steps, and writes it") {
    const TemporaryDirectory folder;
    const std::string cache = "tests/data/language/cache";
    CHECK(run("run " + cache + " --inputs " + cache + "/inputs.safetensors --inputs " + cache +
              "/inputs2.safetensors --state-out " + (folder / "state.safetensors") + " -o " +
              (folder / "two.safetensors"))
              .status == 0);
    const Outcome third = run("run " + cache + " --inputs " + cache + "/inputs3.safetensors --state " +
                              (folder / "state.safetensors") + " -o " + (folder / "expected.safetensors"));
    CHECK(third.status == 0);
    const Outcome all =
        run("run " + cache + " --inputs " + cache + "/inputs.safetensors --inputs " + cache +
            "/inputs2.safetensors --inputs " + cache + "/inputs3.safetensors -o " + (folder / "all.safetensors"));
    CHECK(all.status == 0);
    CHECK(all.err.find("step_2.output_0: float32[1, 1, 4]") != std::string::npos);
    check_refused(
        "run " + cache + " --inputs " + cache + "/inputs.safetensors --state " + cache + "/inputs.safetensors",
        cache + "/inputs.safetensors: 'input_0' is neither a weight nor an input of the model");
}
