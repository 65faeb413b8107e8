// SPDX-License-Identifier: MIT
// The tool from outside: output, messages and exit statuses. The path of the tool is in TORCH_IR_TOOL.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "support/tool.hpp"

using namespace torch_ir::test;
using nlohmann::json;

namespace {

const std::string attention = "tests/data/zoo/pytorch_ir/SelfAttention";
const std::string mlp_case = "tests/data/versions/2.13.0/mlp";
const std::string mlp = mlp_case + "/model.pt2";

/// Wrong usage: one sentence on stderr, nothing on stdout.
void check_usage(const std::string& arguments, const std::string& message) {
    const Outcome outcome = run(arguments);
    CAPTURE(arguments);
    CHECK(outcome.err == "torch-ir: " + message + "\n");
    CHECK(outcome.out.empty());
    CHECK(outcome.status == 2);
}

/// A safetensors file with other names for its tensors.
template <class Rename>
void rename_tensors(const std::string& from, const std::string& to, Rename rename) {
    const std::string bytes = read_text(from);
    std::uint64_t length = 0;
    REQUIRE(bytes.size() > sizeof length);
    std::memcpy(&length, bytes.data(), sizeof length);
    json header = json::object();
    const json old_header = json::parse(bytes.substr(sizeof length, length));
    for (const auto& [name, entry] : old_header.items()) header[name == "__metadata__" ? name : rename(name)] = entry;
    const std::string text = header.dump();
    const auto new_length = static_cast<std::uint64_t>(text.size());
    write_text(to, std::string(reinterpret_cast<const char*>(&new_length), sizeof new_length) + text +
                       bytes.substr(sizeof length + length));
}

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
    CHECK(run("version").out == run("--version").out);
    CHECK(run("help").out == run("--help").out);
    CHECK(run("help run").out == run("run --help").out);
    const std::string more = "\nRun with --help for more information.";
    check_usage("", "A subcommand is required" + more);
    check_usage("rnu " + cnn, "no subcommand is called 'rnu'; the closest name is 'run'" + more);
    check_usage("help inof", "no subcommand is called 'inof'; the closest name is 'info'");
    check_usage("run", "MODEL is required" + more);
    check_usage("run " + cnn + " --intermediate x",
                "run does not take '--intermediate'; the closest name is '--intermediates'" + more);
    check_usage("verify", "verify needs either MODEL or --suite DIR");
}

TEST_CASE("numbers out of range are refused with what they should be") {
    check_usage("run " + cnn + " --threads 0", "--threads: expected a whole number from 1 to 1024, found '0'");
    check_usage("run " + cnn + " --steps 0", "--steps: expected a whole number of at least 1, found '0'");
    check_usage("run " + cnn + " --steps 1.5", "--steps: expected a whole number of at least 1, found '1.5'");
    check_usage("bench " + cnn + " --repeat 0", "--repeat: expected a whole number of at least 1, found '0'");
    check_usage("visualize " + cnn + " --max-nodes 0", "--max-nodes: expected a whole number of at least 1, found '0'");
    check_usage("reduce " + cnn + " --backend x -o y --max-tests 0",
                "--max-tests: expected a whole number of at least 1, found '0'");
    check_usage("verify --suite " + cnn + " -j -1", "--jobs: expected a whole number of at least 1, found '-1'");
    check_usage("verify --suite " + cnn + " --timeout -1", "--timeout: expected a number of at least 0, found '-1'");
    for (const std::string value : {"-1", "nan", "inf", "x", "1e-3x"}) {
        check_usage("verify " + cnn + " --rtol " + value,
                    "--rtol: expected a number of at least 0, found '" + value + "'");
        check_usage("compare a b --atol " + value, "--atol: expected a number of at least 0, found '" + value + "'");
    }
    for (const std::string value : {"18446744073709551616", "-9223372036854775809", "x"})
        check_usage("run " + cnn + " --seed " + value,
                    "--seed: expected a whole number of 64 bits, found '" + value + "'");
    check_usage("record " + cnn + " --seed 1 -o x", "--seed goes with --random");
}

TEST_CASE("a file that is read, or written twice, is not overwritten") {
    const TemporaryDirectory folder;
    const std::string model = folder / "model.pt2";
    const std::string inputs = folder / "inputs.safetensors";
    fs::copy_file(mlp, model);
    fs::copy_file(mlp_case + "/inputs.safetensors", inputs);
    const auto check = [&](const std::string& command, const std::string& written, const std::string& other,
                           const std::string& file) {
        check_usage(command, written + " and " + other + " are the same file '" + file + "': give another " + written);
    };
    check("extract " + model + " -o " + model, "--output", "MODEL", model);
    check("extract " + folder.path().string() + " -o " + model, "--output", "MODEL", model);
    check("extract " + model + " -o " + (folder / "a") + " --weights-out " + model, "--weights-out", "MODEL", model);
    check("extract " + model + " -o " + (folder / "a") + " --weights-out " + (folder / "./a"), "--output",
          "--weights-out", folder / "a");
    check("run " + mlp + " --inputs " + inputs + " -o " + inputs, "--output", "--inputs", inputs);
    check("run " + model + " -o " + inputs, "--output", "the inputs of MODEL", inputs);
    check("run " + model + " --intermediates " + (folder / "a") + " -o " + (folder / "a"), "--output",
          "--intermediates", folder / "a");
    fs::create_symlink(inputs, folder.path() / "link");
    check("verify " + mlp + " --inputs " + inputs + " --junit " + (folder / "link"), "--junit", "--inputs",
          folder / "link");
    CHECK(read_text(model) == read_text(mlp));
    CHECK(read_text(inputs) == read_text(mlp_case + "/inputs.safetensors"));
    CHECK_FALSE(fs::exists(folder / "a"));
    CHECK(run("run " + model + " -o /dev/null --intermediates /dev/null").status == 0);
}

TEST_CASE("a weight file that the model has no use for is refused, or remarked on") {
    const TemporaryDirectory folder;
    const std::string weights = folder / "w.safetensors";
    REQUIRE(run("extract " + mlp + " -o " + (folder / "ir.json") + " --weights-out " + weights).status == 0);
    const std::string other = folder / "other.safetensors";
    rename_tensors(weights, other, [](const std::string& name) { return "module." + name; });
    const std::string count = std::to_string(json::parse(run("info " + mlp + " --json").out)["num_weights"].get<int>());
    const Outcome prefixed = run("verify " + mlp_case + " --weights " + other);
    CHECK(prefixed.status == 3);
    CHECK(prefixed.err.starts_with("torch-ir: error: " + other + ": none of its " + count +
                                   " tensors is a weight of the model, the first is 'module."));
    CHECK(prefixed.err.find("(the closest name of a weight is '") != std::string::npos);
    CHECK(prefixed.err.ends_with("when the prefix 'module.' is stripped from the names in the file\n"));

    bool is_first = true;
    rename_tensors(weights, other,
                   [&](const std::string& name) { return std::exchange(is_first, false) ? name + "x" : name; });
    const Outcome partly = run("verify " + mlp_case + " --weights " + other);
    CHECK(partly.status == 0);
    CHECK(
        partly.err.starts_with("torch-ir: " + other + ": 1 of " + count + " tensors is not a weight of the model: '"));
    CHECK(run("verify " + mlp_case + " --quiet --weights " + other).err.empty());

    write_text(folder / "none.json", R"({"model_name": "N", "graph_inputs": [], "graph_outputs": [], "weights": [],
        "weight_name_mapping": {}, "nodes": []})");
    const std::string no_weights = "run " + (folder / "none.json") + " --inputs " + (folder / "empty") + " --weights ";
    write_text(folder / "empty", std::string("\x02\0\0\0\0\0\0\0{}", 10));
    CHECK(run(no_weights + other).err.find(" tensors is a weight of the model") != std::string::npos);
    CHECK(run(no_weights + (folder / "empty")).status == 0);
    check_refused("verify " + mlp_case + " --weights " + (folder / "empty"),
                  (folder / "empty") + ": expected weights of the model, found no tensors");
}

TEST_CASE("missing weights are listed in short, with the option that gives them") {
    const TemporaryDirectory folder;
    const std::string all = folder / "all.safetensors";
    REQUIRE(run("extract tests/data/zoo/Bert -o " + (folder / "ir.json") + " --weights-out " + all).status == 0);
    for (const auto& command :
         {"run " + (folder / "ir.json"), "extract " + (folder / "ir.json") + " -o " + (folder / "b.json") +
                                             " --weights-out " + (folder / "w.safetensors")}) {
        const Outcome none = run(command);
        CHECK(none.status == 3);
        CHECK(none.err.starts_with("torch-ir: error: " + (folder / "ir.json") + ": no weights ("));
        CHECK(none.err.ends_with(" more): give --weights FILE, or put weights.safetensors beside the model\n"));
        CHECK(none.err.size() < 1000);
    }
    CHECK_FALSE(fs::exists(folder / "w.safetensors"));
    bool is_first = true;
    rename_tensors(all, folder / "few.safetensors",
                   [&](const std::string& name) { return std::exchange(is_first, false) ? name : "x." + name; });
    const Outcome few = run("run " + (folder / "ir.json") + " --quiet --inputs tests/data/zoo/Bert/inputs.safetensors" +
                            " --weights " + (folder / "few.safetensors"));
    CHECK(few.status == 3);
    CHECK(few.err.find("; and ") != std::string::npos);
    CHECK(few.err.ends_with(" more are missing\n"));
}

TEST_CASE("validate checks the checksums of a .pt2's own weights") {
    const TemporaryDirectory folder;
    std::string bytes = read_text(mlp);
    REQUIRE(run("extract " + mlp + " -o " + (folder / "ir.json") + " --weights-out " + (folder / "w")).status == 0);
    const std::string last = read_text(folder / "w").substr(read_text(folder / "w").size() - 8);
    const std::size_t place = bytes.find(last);
    REQUIRE(place != std::string::npos);
    bytes[place] ^= 1;
    write_text(folder / "bad.pt2", bytes);
    const Outcome bad = run("validate " + (folder / "bad.pt2"));
    CHECK(bad.status == 3);
    CHECK(bad.err.find("is damaged: its checksum differs") != std::string::npos);
    CHECK(run("validate " + mlp).out.find(" nodes, 0 warnings\n") != std::string::npos);
}

TEST_CASE("the extension says what is written, or is refused") {
    const TemporaryDirectory folder;
    const std::string drawings =
        "--output: expected a file name that ends in one of .mmd, .dot, .gv, .svg, .html, .htm";
    check_usage("visualize " + cnn + " -o g.png", drawings + ", found 'g.png'");
    check_usage("visualize " + cnn + " -o g", drawings + ", found 'g'");
    check_usage("visualize " + cnn + " --pie -o p.svg",
                "--output: expected a file name that ends in .mmd, found 'p.svg'");
    for (const auto& command :
         {"verify " + cnn, std::string("compare a b"), std::string("conformance tests/data/ops --backend x")})
        check_usage(command + " --report r.pdf",
                    "--report: expected a file name that ends in one of .md, .html, .htm, found 'r.pdf'");
    const Outcome some = run("visualize " + cnn + " --max-nodes 5 -o " + (folder / "g.dot"));
    CHECK(some.err == "torch-ir: 5 of 27 nodes are drawn; --max-nodes N draws more\n");
    CHECK(run("visualize " + cnn + " --max-nodes 5 --quiet -o " + (folder / "g.dot")).err.empty());
    CHECK(run("visualize " + cnn + " -o " + (folder / "g.dot")).err.empty());
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

TEST_CASE("a result that the graph declares otherwise is warned of, and listed in JSON") {
    const TemporaryDirectory folder;
    write_text(folder / "ir.json", one_node_ir("ones", "aten.ones.default", "[3, 1]", R"({"size": [3]})"));
    const std::string out = folder / "out.safetensors";
    const std::string warning =
        "torch-ir: warning: 1 result is not as the graph declares it: 'ones' of node 'ones' (aten.ones.default): "
        "declared float32[3, 1], computed float32[3]\n";
    CHECK(run("run " + (folder / "ir.json") + " -o " + out + " --quiet").err == warning);
    const Outcome verified = run("verify " + (folder / "ir.json") + " --json --expected " + out);
    CHECK(verified.status == 0);
    CHECK(verified.err == warning);
    CHECK(json::parse(verified.out)["undeclared"] == json::parse(R"([{"value": "ones", "node": "ones",
        "op_type": "aten.ones.default", "declared": "float32[3, 1]", "computed": "float32[3]"}])"));
    CHECK(json::parse(run("verify " + mlp_case + " --json").out)["undeclared"].empty());
}

TEST_CASE("a seed gives the numbers that PyTorch draws after manual_seed") {
    const TemporaryDirectory folder;
    write_text(folder / "ir.json", one_node_ir("rand", "aten.rand.default", "[3]", R"({"size": [3]})"));
    const std::string out = folder / "out.safetensors";
    REQUIRE(run("run " + (folder / "ir.json") + " --seed 7 -o " + out).status == 0);
    const std::string bytes = read_text(out);
    std::array<float, 3> drawn{};
    REQUIRE(bytes.size() > sizeof drawn);
    std::memcpy(drawn.data(), bytes.data() + bytes.size() - sizeof drawn, sizeof drawn);
    CHECK(drawn == std::array<float, 3>{0.5349225401878357F, 0.19880318641662598F, 0.6592116951942444F});
    const std::string verify = "verify " + (folder / "ir.json") + " --expected " + out + " --rtol 0 --atol 0 --seed ";
    CHECK(run(verify + "7").status == 0);
    CHECK(run(verify + "1099511627783").status == 0);  // PyTorch uses the low 32 bits
    REQUIRE(run("run " + (folder / "ir.json") + " --seed -1 -o " + out).status == 0);
    const std::string negative = read_text(out);
    std::memcpy(drawn.data(), negative.data() + negative.size() - sizeof drawn, sizeof drawn);
    CHECK(drawn == std::array<float, 3>{0.9937993884086609F, 0.5713063478469849F, 0.5700080394744873F});
    CHECK(run(verify + "18446744073709551615").status == 0);
    write_text(out, bytes);
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
    write_text(folder / "x", "");
    check_refused("info " + (folder / "x"), (folder / "x") + ": expected a .pt2 or a JSON IR, the file is empty");
    check_refused(
        "info " + cnn + "/weights.safetensors",
        cnn + "/weights.safetensors: expected a .pt2 or a JSON IR, found safetensors: tensors without a graph");
    write_text(folder / "x", "\x08\x08\x12\x07pytorch");
    check_refused("info " + (folder / "x"), (folder / "x") +
                                                ": expected a .pt2 or a JSON IR, found ONNX: export the PyTorch module "
                                                "with torch.export.save");
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
    CHECK(weights.err.find("/weights.safetensors: none of its ") != std::string::npos);
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
