// SPDX-License-Identifier: MIT
// Running a case through somebody else's backend: a shell command that reads a case directory and writes tensors.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "load.hpp"
#include "verification/suite.hpp"

namespace torch_ir {

enum class BackendStatus { Ok, Crashed, TimedOut, NoOutput, Unsupported };
/// `ok`, `crash`, `time-out`, `no output`, `unsupported`.
std::string_view name(BackendStatus status);

/// What a backend did with one case.
struct BackendRun {
    BackendStatus status = BackendStatus::Crashed;
    bool started = true;   // false: the shell found no such command
    std::string message;   // exit status or signal, and the last line it wrote to stderr
    NamedTensors outputs;  // as it keyed them; Ok only
    double seconds = 0;
};

/// Throws ArgumentError unless the command holds both `{case}` and `{out}`.
void check_backend(const Backend& backend);

/// Runs the command with `{case}` replaced by the directory and `{out}` by the file to be written, both quoted for the
/// shell where they need it. After the time-out the command and the processes it started are killed. An exit status of
/// 77 says that the backend does not support the case. Throws IoError when no process can be started.
BackendRun run_backend(const Backend& backend, const std::filesystem::path& case_directory);

/// The outputs of a backend in the order of the model's user outputs; one that was not written is None, and its key is
/// appended to `missing`.
RunResult backend_result(const Model& model, const NamedTensors& outputs, std::vector<std::string>& missing);

/// `the backend wrote no 'output_0' (it wrote 'a', 'b')`.
std::string missing_text(const std::string& key, const NamedTensors& written);

/// Runs the command on a case directory with all its inputs/expected pairs and judges what it wrote. A crash, a
/// time-out and missing output are Status::Error, with which of them it was in front of the message.
void run_backend_case(const Backend& backend, const std::filesystem::path& directory, std::optional<double> rtol,
                      std::optional<double> atol, CaseResult& result);

}  // namespace torch_ir
