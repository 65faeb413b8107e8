// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include <algorithm>
#include <filesystem>

#include "cli/output.hpp"
#include "torch_ir/file.hpp"

namespace torch_ir::cli {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> report_extensions{".md", ".html", ".htm"};

/// A file of the command line.
struct NamedFile {
    const Option* option;
    std::string what;  // `--inputs`, `MODEL`
    fs::path path;
};

/// The files that an option names.
std::vector<NamedFile> files_of(const Option& option) {
    std::vector<NamedFile> files;
    const auto add = [&](const std::string& file) {
        if (file.empty()) return;
        files.push_back({&option, long_name(option), file});
        if (option.file != FileUse::ReadModel) return;
        files.back().path = model_path(file);
        files.push_back(
            {&option, "the inputs of " + long_name(option), files.back().path.parent_path() / "inputs.safetensors"});
    };
    if (const auto* file = std::get_if<std::string*>(&option.target)) add(**file);
    if (const auto* list = std::get_if<std::vector<std::string>*>(&option.target))
        for (const std::string& file : **list) add(file);
    return files;
}

}  // namespace

Option model_option(std::string& model, std::string names) {
    Option option{std::move(names), "a .pt2, a JSON IR or a directory", &model, "", true};
    option.file = FileUse::ReadModel;
    return option;
}

Option weights_option(std::vector<std::string>& files) {
    return reads({"--weights", "weight file; may be repeated (default: those of the model)", &files, "FILE"});
}

Option inputs_option(std::string& file) {
    return reads({"--inputs", "input tensors (default: inputs.safetensors beside the model, or the samples in a .pt2)",
                  &file, "FILE"});
}

Option plugin_option(std::vector<std::string>& libraries) {
    return reads({"--plugin", "shared library with more ops; may be repeated", &libraries, "LIB"});
}

Option backend_option(std::string& command) {
    return {"--backend", "shell command: reads {case}, writes {out}", &command, "'CMD {case} {out}'", true};
}

Option timeout_option(double& seconds, const std::string& of_what) {
    return at_least(
        0, {"--timeout",
            "seconds for " + of_what + " (default " + std::to_string(static_cast<int>(seconds)) + "; 0: no limit)",
            &seconds, "S"});
}

Option jobs_option(std::optional<int>& jobs, const std::string& of_what) {
    return at_least(1, {"-j,--jobs", of_what + " at a time (default: the number of threads)", &jobs, "N"});
}

Option rtol_option(std::optional<double>& rtol) {
    return at_least(0, {"--rtol", "relative tolerance (default: by dtype; 1e-4 for float32 of a model)", &rtol, "R"});
}

Option atol_option(std::optional<double>& atol) {
    return at_least(0, {"--atol", "absolute tolerance (default: by dtype; 1e-4 for float32 of a model)", &atol, "A"});
}

Option json_option(bool& json) { return {"--json", "print one JSON value", &json}; }

Option report_option(std::string& file) {
    return writes({"--report", "write a report: F.md or F.html", &file, "PATH"});
}

Option junit_option(std::string& file) { return writes({"--junit", "write JUnit XML", &file, "F.xml"}); }

Option new_directory_option(std::string& directory) {
    return writes({"-o,--output", "the directory to write; must not exist", &directory, "DIR", true});
}

Option at_least(double least, Option option) {
    option.least = least;
    return option;
}

Option reads(Option option) {
    option.file = FileUse::Read;
    return option;
}

Option writes(Option option) {
    option.file = FileUse::Write;
    return option;
}

std::string long_name(const Option& option) { return option.names.substr(option.names.rfind(',') + 1); }

void check_files(const std::vector<Option>& options) {
    std::vector<NamedFile> files;
    for (const Option& option : options)
        if (option.file != FileUse::None)
            for (NamedFile& file : files_of(option)) files.push_back(std::move(file));
    for (const NamedFile& written : files) {
        if (written.option->file != FileUse::Write) continue;
        for (const NamedFile& other : files)
            if (other.option != written.option && other.what != written.option->in_place_of &&
                are_same_file(written.path, other.path))
                throw UsageError(written.what + " and " + other.what + " are the same file '" + written.path.string() +
                                 "': give another " + written.what);
    }
}

void check_extension(std::string_view option, const std::string& file, const std::vector<std::string>& extensions) {
    if (file.empty() || std::ranges::find(extensions, fs::path(file).extension().string()) != extensions.end()) return;
    std::string text;
    for (const std::string& extension : extensions) text += (text.empty() ? "" : ", ") + extension;
    throw UsageError(std::string(option) + ": expected a file name that ends in " +
                     (extensions.size() > 1 ? "one of " : "") + text + ", found '" + file + "'");
}

Weights weights_for(const LoadedModel& model, const std::vector<std::string>& files, const Globals& globals) {
    std::vector<std::string> remarks;
    Weights weights = load_weights(model, files, &remarks);
    for (const std::string& text : remarks) remark(text, globals);
    return weights;
}

bool is_report_file(const std::string& file) {
    return std::ranges::find(report_extensions, fs::path(file).extension().string()) != report_extensions.end();
}

void check_report_file(const std::string& file) { check_extension("--report", file, report_extensions); }

void check_report(const std::string& path) {
    const std::string extension = fs::path(path).extension().string();
    if (extension.empty() || is_report_file(path) || fs::is_directory(path)) return;
    throw UsageError("--report: expected F.md, F.html or a directory, found '" + path +
                     "'; a new directory whose name ends in '" + extension + "' is written '" + path + "/'");
}

}  // namespace torch_ir::cli
