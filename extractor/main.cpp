// SPDX-License-Identifier: MIT
// The torch-ir-extract tool: a TorchScript file or a library with a C++ module becomes a JSON IR.
#include <dlfcn.h>
#include <link.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>
#include <set>

#include "example_inputs.hpp"
#include "extraction.hpp"
#include "meta_device.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/version.hpp"
#include "torchscript.hpp"

namespace torch_ir {
namespace {

enum Exit : int { ok = 0, usage = 2, bad_input = 3 };

struct Options {
    std::string model, library, inputs, output, weights_out;
    std::vector<std::string> shapes;
    int warmup = 0;
    bool specialise = false;
    bool quiet = false;
};

/// Throws CLI::ValidationError when a file to write is one of the others.
void check_outputs(const Options& options) {
    const auto check = [](const std::string& option, const std::string& file, const std::vector<std::string>& others) {
        for (const std::string& other : others)
            if (are_same_file(file, other))
                throw CLI::ValidationError(option, "'" + file + "' would overwrite '" + other + "'");
    };
    const std::vector<std::string> read{options.model, options.library, options.inputs};
    check("--output", options.output, read);
    check("--weights-out", options.weights_out, read);
    check("--weights-out", options.weights_out, {options.output});
}

/// Throws ArgumentError naming a tensor of the file whose place among the arguments nothing tells.
void check_positions(const std::string& file, const std::vector<NamedInput>& inputs) {
    for (std::size_t i = 0; inputs.size() > 1 && i < inputs.size(); ++i)
        if (const std::string expected = "input_" + std::to_string(i); inputs[i].first != expected)
            throw ArgumentError(file + ": expected a tensor '" + expected + "', found '" + inputs[i].first +
                                "': parameters in C++ have no names; call the tensors input_0, input_1, … in the order "
                                "of forward's parameters");
}

/// Of a symbol's address; false where the library does not say. Calling data ends the program without a word.
bool is_data(void* symbol) {
    Dl_info info;
    void* extra = nullptr;
    if (dladdr1(symbol, &info, &extra, RTLD_DL_SYMENT) == 0 || !extra || info.dli_saddr != symbol) return false;
    return ELF64_ST_TYPE(static_cast<const ElfW(Sym)*>(extra)->st_info) == STT_OBJECT;
}

Extraction extract_library(const Options& options, const std::vector<NamedInput>& inputs,
                           const ExtractOptions& extract_options) {
    // A name without a slash would be looked for in the system's folders.
    const std::string file = options.library.find('/') == std::string::npos ? "./" + options.library : options.library;
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!library) throw IoError("library " + std::string(dlerror()));
    void* symbol = dlsym(library, "torch_ir_module");
    if (!symbol || is_data(symbol))
        throw IoError(options.library +
                      ": expected a function torch_ir_module(torch_ir::ExtractSource&) with extern \"C\", found " +
                      (symbol ? "a variable of that name" : "none"));
    ExtractSource source;
    with_context(options.library + ": torch_ir_module()", [&] {
        with_errors([&] {
            std::optional<MetaDevice> guard;
            if (options.weights_out.empty() && !options.specialise) guard.emplace();
            try {
                reinterpret_cast<decltype(&torch_ir_module)>(symbol)(source);
            } catch (const c10::Error& error) {
                throw Error(error.what_without_backtrace());
            }
        });
    });
    std::vector<c10::IValue> values;
    ExtractOptions with_names = extract_options;
    for (const auto& [name, value] : inputs) {
        with_names.input_names.push_back(name.empty() ? "input_" + std::to_string(values.size()) : name);
        values.push_back(value);
    }
    return with_context(options.library, [&] { return extract(source, values, with_names); });
}

int run(const Options& options) {
    std::vector<NamedInput> inputs;
    if (!options.inputs.empty()) inputs = read_inputs(options.inputs);
    if (!options.library.empty()) check_positions(options.inputs, inputs);
    for (const std::string& text : options.shapes) inputs.push_back(parse_input(text));
    std::set<std::string> names;
    for (const NamedInput& input : inputs)
        if (!input.first.empty() && !names.insert(input.first).second)
            throw ArgumentError("input '" + input.first + "' is given twice");
    ExtractOptions extract_options;
    extract_options.specialise = options.specialise;
    const Extraction extraction = options.library.empty()
                                      ? extract_torchscript(options.model, inputs, extract_options, options.warmup)
                                      : extract_library(options, inputs, extract_options);
    if (!options.weights_out.empty()) save_weights(options.weights_out, extraction);
    write_json(options.output, extraction.model);
    if (!options.quiet) {
        for (const std::string& note : extraction.notes) std::cerr << "note: " << note << '\n';
        std::cerr << options.output << ": " << extraction.model.graph.nodes.size() << " nodes of "
                  << extraction.model.name << '\n';
    }
    return ok;
}

int parse_and_run(int argc, char** argv) {
    Options options;
    CLI::App app{"Turns a TorchScript file, or a C++ module in a shared library, into JSON IR."};
    app.name("torch-ir-extract");
    app.set_version_flag("--version", std::string("torch-ir-extract ") + version);
    CLI::Option* model = app.add_option("MODEL", options.model, "a TorchScript file: traced, scripted, frozen or not");
    CLI::Option* library =
        app.add_option("--module", options.library, "a library that defines torch_ir_module()")->type_name("LIB");
    model->excludes(library);

    app.add_option("--inputs", options.inputs,
                   "example inputs by name or as input_0, … (--module: these only); numbers are 0-d")
        ->type_name("FILE.safetensors");
    app.add_option("--shapes", options.shapes,
                   "example inputs, more or instead: x=1,3,224,224  ids=1,16:int64  sr:16000  (names may be left out)");
    app.add_option("-o,--output", options.output, "the JSON file to write")->type_name("IR.json")->required();
    app.add_option("--weights-out", options.weights_out, "write parameters, buffers and constants")
        ->type_name("FILE.safetensors");
    app.add_option("--warmup", options.warmup,
                   "runs of MODEL before the recorded one, for modules that make their state in the first")
        ->excludes(library)
        ->type_name("N")
        ->check(CLI::Range(0, 1000));
    app.add_flag("--specialise", options.specialise,
                 "burn in what the program asks of the values of these inputs and weights");
    app.add_flag("--quiet", options.quiet, "no remarks on stderr");
    app.footer(
        "Example: torch-ir-extract model.pt --shapes x=1,3,224,224 -o ir.json --weights-out weights.safetensors");
    try {
        app.parse(argc, argv);
        if (options.model.empty() && options.library.empty()) throw CLI::RequiredError("MODEL or --module");
        check_outputs(options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ok : usage;
    }
    return run(options);
}

}  // namespace
}  // namespace torch_ir

int main(int argc, char** argv) {
    try {
        return torch_ir::parse_and_run(argc, argv);
    } catch (const torch_ir::Error& error) {
        std::cerr << "torch-ir-extract: error: " << error.what() << '\n';
    } catch (const c10::Error& error) {
        std::cerr << "torch-ir-extract: error: " << error.what_without_backtrace() << '\n';
    } catch (const std::bad_alloc&) {
        std::cerr << "torch-ir-extract: error: not enough memory\n";
    } catch (const std::exception& error) {
        std::cerr << "torch-ir-extract: error: " << error.what() << '\n';
    } catch (...) {
        std::cerr << "torch-ir-extract: error: the program threw something that is no std::exception\n";
    }
    return torch_ir::bad_input;
}
