// SPDX-License-Identifier: MIT
#include "verification/interrupt.hpp"

#include <unistd.h>

#include <csignal>
#include <mutex>
#include <set>
#include <thread>

namespace torch_ir {
namespace {

struct Registered {
    std::mutex mutex;
    std::set<std::filesystem::path> directories;
    std::set<pid_t> groups;
};

/// Never destroyed: the process may be interrupted while it ends.
Registered& registered() {
    static Registered& instance = *new Registered;
    return instance;
}

int wake_up[2] = {-1, -1};

void on_signal(int number) {
    const auto byte = static_cast<unsigned char>(number);
    [[maybe_unused]] const ssize_t written = write(wake_up[1], &byte, 1);  // all that a handler may do
}

void wait_for_signal() {
    unsigned char number = 0;
    if (read(wake_up[0], &number, 1) != 1) return;
    Registered& all = registered();
    all.mutex.lock();  // for good: nothing is made any more
    for (const pid_t group : all.groups) kill(-group, SIGKILL);
    std::error_code ignored;
    for (const std::filesystem::path& directory : all.directories) std::filesystem::remove_all(directory, ignored);
    std::signal(number, SIG_DFL);
    kill(getpid(), number);
}

}  // namespace

void clean_up_when_interrupted() {
    if (pipe(wake_up) != 0) return;
    std::thread(wait_for_signal).detach();
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction action {};
        sigaction(number, nullptr, &action);
        if (action.sa_handler == SIG_IGN) continue;  // as under nohup
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART;
        sigaction(number, &action, nullptr);
    }
}

OwnedDirectory::OwnedDirectory(std::filesystem::path directory) : path_(std::move(directory)) {
    const std::scoped_lock lock(registered().mutex);
    registered().directories.insert(path_);
}

OwnedDirectory::~OwnedDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    const std::scoped_lock lock(registered().mutex);
    registered().directories.erase(path_);
}

KilledOnInterrupt::KilledOnInterrupt(pid_t group) : group_(group) {
    const std::scoped_lock lock(registered().mutex);
    registered().groups.insert(group_);
}

KilledOnInterrupt::~KilledOnInterrupt() {
    const std::scoped_lock lock(registered().mutex);
    registered().groups.erase(group_);
}

}  // namespace torch_ir
