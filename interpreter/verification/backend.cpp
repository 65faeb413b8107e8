// SPDX-License-Identifier: MIT
#include "verification/backend.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>
#include <thread>

#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/text.hpp"
#include "verification/case_files.hpp"

namespace torch_ir {

namespace fs = std::filesystem;

namespace {

constexpr int unsupported_status = 77;  // as test runners use it for "skipped"
constexpr int not_found_status = 127;   // the shell's

std::string shell_word(const std::string& text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
    return word + "'";
}

std::string fill_in(std::string command, std::string_view placeholder, const std::string& value) {
    const std::string word = shell_word(value);
    for (std::size_t at = command.find(placeholder); at != std::string::npos;
         at = command.find(placeholder, at + word.size()))
        command.replace(at, placeholder.size(), word);
    return command;
}

std::string last_line(const fs::path& file) {
    std::string text;
    try {
        const auto mapped = map_file(file);
        const auto bytes = mapped->bytes();
        const std::size_t start = bytes.size() > 2000 ? bytes.size() - 2000 : 0;
        text.assign(reinterpret_cast<const char*>(bytes.data()) + start, bytes.size() - start);
    } catch (const Error&) {
        return "";
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
    const std::size_t line = text.find_last_of('\n');
    return line == std::string::npos ? text : text.substr(line + 1);
}

/// Starts `/bin/sh -c command` in a process group of its own; both outputs go to `log`.
pid_t start(const std::string& command, const fs::path& log) {
    const pid_t child = fork();
    if (child < 0) throw IoError(std::string("a process cannot be started: ") + std::strerror(errno));
    if (child == 0) {
        setpgid(0, 0);
        const int in = open("/dev/null", O_RDONLY);
        const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (in < 0 || out < 0) _exit(126);
        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
        execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
        _exit(127);
    }
    setpgid(child, child);  // also here, so that it is done whoever comes first
    return child;
}

/// The wait status; nothing when the time ran out and the whole group was killed.
std::optional<int> wait_for(pid_t child, double timeout) {
    const auto begin = std::chrono::steady_clock::now();
    auto pause = std::chrono::microseconds(200);
    int status = 0;
    for (;;) {
        const pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child) {
            kill(-child, SIGKILL);  // what it left running
            return status;
        }
        if (done < 0 && errno != EINTR) return status;
        if (timeout > 0 && std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > timeout) {
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            return std::nullopt;
        }
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::microseconds(20000));
    }
}

/// A case directory that has the n-th inputs of another as its first.
void link_pair(const fs::path& directory, const fs::path& inputs, const fs::path& target) {
    for (const char* file : {"model.pt2", "ir.json", "weights.safetensors"})
        if (fs::exists(directory / file)) fs::create_symlink(fs::absolute(directory / file), target / file);
    if (fs::exists(inputs)) fs::create_symlink(fs::absolute(inputs), target / "inputs.safetensors");
}

void add_message(CaseResult& result, Status status, const std::string& message) {
    result.status = status;
    result.message += (result.message.empty() ? "" : "; ") + message;
}

}  // namespace

std::string_view name(BackendStatus status) {
    constexpr std::string_view names[] = {"ok", "crash", "time-out", "no output", "unsupported"};
    return names[static_cast<int>(status)];
}

void check_backend(const Backend& backend) {
    for (const char* placeholder : {"{case}", "{out}"})
        if (backend.command.find(placeholder) == std::string::npos)
            throw ArgumentError(std::string("--backend lacks ") + placeholder +
                                ": expected a shell command with {case} (the case directory) and {out} (the "
                                "safetensors file to write)");
}

BackendRun run_backend(const Backend& backend, const fs::path& case_directory) {
    const TemporaryDirectory scratch;
    const fs::path out = scratch.path() / "out.safetensors";
    const fs::path log = scratch.path() / "log";
    const std::string command =
        fill_in(fill_in(backend.command, "{case}", case_directory.string()), "{out}", out.string());
    const auto begin = std::chrono::steady_clock::now();
    const pid_t child = start(command, log);
    const KilledOnInterrupt group(child);
    const std::optional<int> status = wait_for(child, backend.timeout);
    BackendRun run;
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const std::string line = last_line(log);
    const std::string tail = line.empty() ? "" : ": " + line;
    if (!status) {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%g", backend.timeout);
        run.status = BackendStatus::TimedOut;
        run.message = std::string("no result within ") + seconds + " s" + tail;
    } else if (WIFSIGNALED(*status)) {
        run.message = std::string("killed by signal ") + std::to_string(WTERMSIG(*status)) + " (" +
                      strsignal(WTERMSIG(*status)) + ")" + tail;
    } else if (WEXITSTATUS(*status) == unsupported_status) {
        run.status = BackendStatus::Unsupported;
        run.message = "exit status 77" + tail;
    } else if (WEXITSTATUS(*status) != 0) {
        run.started = WEXITSTATUS(*status) != not_found_status;
        run.message = "exit status " + std::to_string(WEXITSTATUS(*status)) + tail;
    } else if (!fs::exists(out)) {
        run.status = BackendStatus::NoOutput;
        run.message = "the command ended well but wrote nothing to {out}" + tail;
    } else {
        try {
            run.outputs = load_tensors(out);  // stays mapped when the file is gone
            run.status = BackendStatus::Ok;
        } catch (const Error& error) {
            run.status = BackendStatus::NoOutput;
            run.message = std::string("what it wrote cannot be read: ") + error.what();
        }
    }
    return run;
}

RunResult backend_result(const Model& model, const NamedTensors& outputs, std::vector<std::string>& missing) {
    RunResult result;
    for (std::size_t i = 0; i < model.outputs.size(); ++i) {
        if (!is_user_output(model.outputs[i].kind)) continue;
        const std::string key = "output_" + std::to_string(result.outputs.size());
        const auto* ref = model.graph.outputs[i].get_if<ValueRef>();
        NamedValue value{ref ? model.graph.value(*ref).name : key, None{}};
        const auto found = find_output(outputs, result.outputs.size(), value.name);
        if (found != outputs.end())
            value.value = found->second;
        else if (ref)
            missing.push_back(key);
        result.outputs.push_back(std::move(value));
    }
    return result;
}

std::string missing_text(const std::string& key, const NamedTensors& written) {
    const std::string names = first_few(written, 4, ", ", [](const auto& item) { return "'" + item.first + "'"; });
    return "the backend wrote no '" + key + "' (it wrote " + (names.empty() ? "no tensor" : names) + ")";
}

void run_backend_case(const Backend& backend, const fs::path& directory, std::optional<double> rtol,
                      std::optional<double> atol, CaseResult& result) {
    const LoadedModel loaded = load_model(directory);
    result.status = Status::Passed;
    for (int pair = 1;; ++pair) {
        const fs::path expected = pair_file(directory, "expected", pair);
        if (pair > 1 && !fs::exists(expected)) return;
        const TemporaryDirectory linked;
        if (pair > 1) link_pair(directory, pair_file(directory, "inputs", pair), linked.path());
        const std::string place = pair == 1 ? "" : "inputs" + std::to_string(pair) + ": ";
        const BackendRun run = run_backend(backend, pair == 1 ? directory : linked.path());
        if (run.status != BackendStatus::Ok) {
            add_message(result, run.status == BackendStatus::Unsupported ? Status::Unsupported : Status::Error,
                        place + std::string(name(run.status)) + ": " + run.message);
            return;
        }
        std::vector<std::string> missing;
        const RunResult outputs = backend_result(*loaded.model, run.outputs, missing);
        const NamedTensors wanted = load_expected(loaded, expected.string());
        for (OutputVerdict& verdict : judge(outputs, wanted, rtol, atol)) {
            const bool absent = std::find(missing.begin(), missing.end(), verdict.name) != missing.end();
            if (absent) verdict.comparison.message = missing_text(verdict.name, run.outputs);
            if (!verdict.comparison.passed && result.status != Status::Error)
                add_message(result, absent ? Status::Error : Status::Failed,
                            place + (absent ? "no output: " : verdict.name + ": ") + verdict.comparison.message);
            if (pair == 1) result.outputs.push_back(std::move(verdict));
        }
    }
}

}  // namespace torch_ir
