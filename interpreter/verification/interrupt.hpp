// SPDX-License-Identifier: MIT
// What must not outlive an interrupted process: the temporary directories that it made and the backends it started.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace torch_ir {

/// From now on SIGINT, SIGTERM and SIGHUP end what is registered below before they end the process. For programs that
/// own their signals; call it once, before threads are started.
void clean_up_when_interrupted();

/// A directory that is removed with this, or when the process is interrupted before.
class OwnedDirectory {
  public:
    explicit OwnedDirectory(std::filesystem::path directory);
    OwnedDirectory(const OwnedDirectory&) = delete;
    OwnedDirectory& operator=(const OwnedDirectory&) = delete;
    ~OwnedDirectory();
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// A process group that is killed when the process is interrupted while this lives.
class KilledOnInterrupt {
  public:
    explicit KilledOnInterrupt(pid_t group);
    KilledOnInterrupt(const KilledOnInterrupt&) = delete;
    KilledOnInterrupt& operator=(const KilledOnInterrupt&) = delete;
    ~KilledOnInterrupt();

  private:
    pid_t group_;
};

}  // namespace torch_ir
