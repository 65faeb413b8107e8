// SPDX-License-Identifier: MIT
// What the extractor is given, right or wrong: files, example inputs, modules; and what it must not touch.
#include <cstring>

#include "support/extractor_test.hpp"
#include "support/tool.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/safetensors.hpp"
#include "torchscript.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

struct ScaledImpl : nn::Module {
    Tensor forward(const Tensor& x, double factor, std::optional<std::int64_t> shift) const {
        return x * factor + shift.value_or(0);
    }
};
TORCH_MODULE(Scaled);

struct ListedImpl : nn::Module {
    Tensor forward(const std::vector<Tensor>& parts) { return torch::cat(parts); }
};
TORCH_MODULE(Listed);

struct NormedImpl : nn::Module {
    Tensor weight = register_parameter("weight", torch::ones({100, 100}));
    double norm = weight.norm().item<double>();
    Tensor forward(const Tensor& x) { return x / norm; }
};
TORCH_MODULE(Normed);

std::string error_of(const ExtractSource& source, const std::vector<c10::IValue>& inputs) {
    try {
        extract(source, inputs, {.input_names = {"x", "factor", "shift"}});
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

Outcome extract_tool(const std::string& arguments) { return run(arguments, "TORCH_IR_EXTRACT"); }

std::string tool_error(const std::string& arguments, int status = 3) {
    const Outcome outcome = extract_tool(arguments);
    CHECK(outcome.status == status);
    return outcome.err;
}

/// A TorchScript file with that forward, and attributes.
std::string script(const TemporaryDirectory& folder, const std::string& forward) {
    torch::jit::Module module("Script");
    module.register_buffer("total", torch::zeros({2}));
    module.register_attribute("last", c10::TensorType::get(), torch::zeros({0}));
    module.define(forward);
    module.save(folder / "model.pt");
    return "'" + (folder / "model.pt") + "' -o '" + (folder / "ir.json") + "' ";
}

}  // namespace

TEST_CASE("inputs of a C++ module are made to fit its parameters, or refused by name") {
    const ExtractSource scaled = source_of(Scaled()), listed = source_of(Listed());
    const Tensor x = torch::ones({2});
    const Model model = extract(scaled, {x, 2, torch::tensor(3)}).model;
    CHECK((model.graph.inputs[1] == Argument(2.0)));
    CHECK((model.graph.inputs[2] == Argument(3)));
    CHECK(error_of(scaled, {x, x, 1}) == "input 'factor': expected float, found Tensor");
    CHECK(error_of(scaled, {x, c10::IValue(), 1}) == "input 'factor': expected float, found NoneType");
    CHECK(error_of(scaled, {x, 1.0, torch::tensor(3.7)}) == "input 'shift': expected Optional[int], found float");
    CHECK(error_of(scaled, {x, 1.0, c10::IValue()}) == "no error");
    CHECK(error_of(scaled, {x}) == "the module's forward takes 3 inputs, found 1");
    CHECK(error_of(listed, {x}) ==
          "input 'x': expected List[Tensor], found Tensor; torch-ir-extract gives tensors, numbers and None: call "
          "torch_ir::extract in C++ for other inputs");
    CHECK(error_of(listed, {c10::IValue(std::vector<Tensor>{x, x})}) == "no error");
    CHECK(error_of({}, {}) == "there is no program: set ExtractSource::forward, as torch_ir::source_of(module) does");
}

TEST_CASE("keys of dictionaries are JSON in the specs, whatever they are") {
    const auto named = [](const Tensor& x) {
        c10::Dict<std::string, Tensor> result;
        result.insert("a\n\"b", x + 1);
        return result;
    };
    CHECK(extract(named, std::tuple(torch::ones({3}))).model.out_spec ==
          R"([1, {"type": "builtins.dict", "context": "[\"a\\n\\\"b\"]", "children_spec": [)"
          R"({"type": null, "context": null, "children_spec": []}]}])");
}

TEST_CASE("modules that cannot be extracted as they are made") {
    nn::LinearImpl on_stack(3, 3);
    CHECK_THROWS_WITH_AS(extract(on_stack, std::tuple(torch::ones({3}))),
                         "LibTorch lists the weights only of modules that a std::shared_ptr holds: make Linear by "
                         "std::make_shared or as a module holder",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(on_meta([] { return Normed(); }),
                         "the module cannot be made without memory for its weights: it calls aten::item, which needs "
                         "values; make it without on_meta (torch-ir-extract: with --weights-out or --specialise)",
                         UnsupportedError);
    CHECK(extract(Normed(), std::tuple(torch::ones({3}))).model.graph.nodes.size() == 1);
    CHECK_THROWS_WITH_AS(extract([](const Tensor& x) -> Tensor { throw x.dim(); }, std::tuple(torch::ones({3}))),
                         "cannot extract: the program threw something that is no std::exception", UnsupportedError);
}

TEST_CASE("numbers for TorchScript fit the parameters' types") {
    const TemporaryDirectory folder;
    const std::string arguments = script(folder, "def forward(self, x, n: int, f: float):\n  return x * n + f\n");
    const std::string file = folder / "model.pt";
    CHECK(extract_tool(arguments + "--shapes x=2 n:2 f:3").status == 0);
    CHECK((read_json(folder / "ir.json").graph.inputs.back() == Argument(3.0)));
    CHECK(tool_error(arguments + "--shapes x=2 n:2.5 f:3") ==
          "torch-ir-extract: error: " + file + ": input 'n': expected int, found float\n");
    CHECK(tool_error(arguments + "--shapes 2 x=2 n:2 f:3") ==
          "torch-ir-extract: error: " + file + ": input 'x' is given twice\n");
    CHECK(tool_error(arguments + "--shapes x=2 x=3") == "torch-ir-extract: error: input 'x' is given twice\n");
    CHECK(tool_error(arguments + "--shapes =3") ==
          "torch-ir-extract: error: --shapes '=3': expected a name in front of '='\n");
    CHECK_THROWS_WITH_AS(
        extract_torchscript(file, {{"x", torch::ones({2})}, {"n", torch::tensor(3.7)}, {"f", torch::tensor(1)}}),
        (file + ": input 'n': expected int, found float").c_str(), ArgumentError);
}

TEST_CASE("a warm-up keeps the state that it makes and no other") {
    const TemporaryDirectory folder;
    const std::string arguments = script(folder,
                                         "def forward(self, x):\n  self.total.add_(x)\n  self.last = x * 2\n  return "
                                         "self.total\n");
    const std::string weights = folder / "weights.safetensors", inputs = folder / "inputs.safetensors";
    const float ones[2] = {1, 1};
    write_safetensors(inputs, {{"x", {DType::Float32, {2}, {reinterpret_cast<const std::byte*>(ones), sizeof ones}}}});
    REQUIRE(extract_tool(arguments + "--inputs '" + inputs + "' --warmup 1 --weights-out '" + weights + "'").status ==
            0);
    const Safetensors kept = read_safetensors(weights);
    const auto first = [&](std::string_view wanted) {
        float value = -1;
        for (const auto& [name, view] : kept.tensors.tensors())
            if (name == wanted) std::memcpy(&value, view.to_bytes().data(), sizeof value);
        return value;
    };
    CHECK(first("total") == 0);
    CHECK(first("last") == 2);
}

TEST_CASE("tensors of a file are arguments of a C++ module by position") {
    const TemporaryDirectory folder;
    const std::string inputs = folder / "inputs.safetensors";
    const float zeros[32] = {};
    const SafetensorsTensor tensor{DType::Float32, {2, 16}, {reinterpret_cast<const std::byte*>(zeros), sizeof zeros}};
    const std::string library = std::getenv("TORCH_IR_MODULE");
    const std::string arguments =
        "--module '" + library + "' --inputs '" + inputs + "' -o '" + (folder / "ir.json") + "'";
    CHECK(extract_tool("--module '" + library + "' --shapes 2,16 -o '" + (folder / "ir.json") + "'").status == 0);
    CHECK(read_json(folder / "ir.json").forward_arg_names == std::vector<std::string>{"input_0"});
    write_safetensors(inputs, {{"x", tensor}});
    CHECK(extract_tool(arguments).status == 0);
    write_safetensors(inputs, {{"q", tensor}, {"k", tensor}});
    CHECK(tool_error(arguments) ==
          "torch-ir-extract: error: " + inputs +
              ": expected a tensor 'input_0', found 'k': parameters in C++ have no names; call the tensors input_0, "
              "input_1, … in the order of forward's parameters\n");
    write_safetensors(inputs, {{"input_0", tensor}, {"input_1", tensor}});
    CHECK(tool_error(arguments) ==
          "torch-ir-extract: error: " + library + ": the module's forward takes 1 inputs, found 2\n");
    CHECK(tool_error(arguments + " --warmup 1", 2) ==
          "--module excludes --warmup\nRun with --help for more information.\n");
}

TEST_CASE("libraries without a module are called what they are") {
    const std::string throwing = std::getenv("TORCH_IR_FAULTY_MODULE"), data = std::getenv("TORCH_IR_DATA_MODULE");
    const TemporaryDirectory folder;
    const auto message = [&](const std::string& library) {
        return tool_error("--module '" + library + "' -o '" + (folder / "ir.json") + "'");
    };
    const std::string begin = "torch-ir-extract: error: ";
    CHECK(message(throwing) == begin + throwing + ": torch_ir_module(): no licence\n");
    CHECK(message(data) == begin + data +
                               ": expected a function torch_ir_module(torch_ir::ExtractSource&) with extern \"C\", "
                               "found a variable of that name\n");
    CHECK(message(folder / "none.so").find("none.so: cannot open shared object file") != std::string::npos);
}

TEST_CASE("files that are read are not overwritten") {
    const TemporaryDirectory folder;
    const std::string file = folder / "model.pt", link = folder / "link.json";
    write_text(file, "contents");
    fs::create_symlink(file, link);
    const std::string more = "\nRun with --help for more information.\n";
    CHECK(tool_error("'" + file + "' -o '" + file + "'", 2) ==
          "--output: '" + file + "' would overwrite '" + file + "'" + more);
    CHECK(tool_error("'" + file + "' -o '" + link + "'", 2) ==
          "--output: '" + link + "' would overwrite '" + file + "'" + more);
    CHECK(tool_error("'" + file + "' -o same --weights-out ./same", 2) ==
          "--weights-out: './same' would overwrite 'same'" + more);
    CHECK(tool_error("--module '" + file + "' -o '" + file + "'", 2) ==
          "--output: '" + file + "' would overwrite '" + file + "'" + more);
    CHECK(read_text(file) == "contents");
    CHECK(tool_error("'" + file + "' -o /dev/null --weights-out /dev/null").find("overwrite") == std::string::npos);
}

TEST_CASE("files that are no TorchScript are called what they are") {
    const TemporaryDirectory folder;
    const auto message = [&](const std::string& file) {
        return tool_error("'" + file + "' -o '" + (folder / "ir.json") + "'");
    };
    const std::string begin = "torch-ir-extract: error: ",
                      expected = ": expected a TorchScript file (torch.jit.save), found ";
    const std::string text = folder / "text.pt", empty = folder / "empty.pt", missing = folder / "missing.pt";
    write_text(text, "no model");
    write_text(empty, "");
    CHECK(message(text) == begin + text + expected + "other contents\n");
    CHECK(message(empty) == begin + empty + expected + "an empty file\n");
    CHECK(message(missing) == begin + "cannot open '" + missing + "': No such file or directory\n");
    CHECK(message(folder.path().string()) == begin + "cannot read '" + folder.path().string() + "': Is a directory\n");
    const std::string checkpoint = weights_data + "state_dict.pt";
    CHECK(message(checkpoint) ==
          begin + checkpoint + expected + "a checkpoint (torch.save), which has weights and no program\n");
    const std::string exported = weights_data + "one.pt2";
    CHECK(message(exported) ==
          begin + exported + expected + "an exported program (torch.export.save); `torch-ir extract` reads it\n");
}
