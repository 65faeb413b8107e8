// SPDX-License-Identifier: MIT
// Options that several commands take, alike in all of them, and what is checked of them before a command runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "load.hpp"

namespace torch_ir::cli {

/// `MODEL`, or another positional argument that names a model.
Option model_option(std::string& model, std::string names = "MODEL");
Option weights_option(std::vector<std::string>& files);
Option inputs_option(std::string& file);
Option plugin_option(std::vector<std::string>& libraries);
Option backend_option(std::string& command);
Option timeout_option(double& seconds, const std::string& of_what);
Option jobs_option(std::optional<int>& jobs, const std::string& of_what);
Option rtol_option(std::optional<double>& rtol);
Option atol_option(std::optional<double>& atol);
Option json_option(bool& json);
Option report_option(std::string& file);
Option junit_option(std::string& file);
/// A directory for a case or cases, as OutputDirectory takes it.
Option new_directory_option(std::string& directory);

/// The option of a number with its least value.
Option at_least(double least, Option option);
/// The option of a file that is read, or written.
Option reads(Option option);
Option writes(Option option);

/// `-o,--output` is `--output`.
std::string long_name(const Option& option);

/// Throws UsageError when a file to write is one that is read, or one that is written under another option too. Files
/// read are those named, that of MODEL, and inputs.safetensors beside it.
void check_files(const std::vector<Option>& options);

/// Throws UsageError unless the file, if one is given, has one of the extensions.
void check_extension(std::string_view option, const std::string& file, const std::vector<std::string>& extensions);

/// load_weights of --weights; what has no use in the files is a remark.
Weights weights_for(const LoadedModel& model, const std::vector<std::string>& files, const Globals& globals);

/// Whether a file name's extension is one that write_report knows.
bool is_report_file(const std::string& file);
/// check_extension for --report.
void check_report_file(const std::string& file);
/// The same where a directory is welcome, too: UsageError for a name that looks like that of another file.
void check_report(const std::string& path);

}  // namespace torch_ir::cli
