// SPDX-License-Identifier: MIT
// The same bits for any number of threads, where a library divides a sum by the number of threads.
#pragma once

#include <atomic>

#include "parallel.hpp"

namespace torch_ir::backend {

/// Set once, before anything runs: products and convolutions are then divided by their sizes alone.
inline std::atomic<bool> deterministic{false};

/// While it lives, this thread's work is not divided (when `active`).
class OneThread {
  public:
    explicit OneThread(bool active = true) : threads_(active ? get_threads() : 0) {
        if (threads_ > 0) set_threads(1);
    }
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;
    ~OneThread() {
        if (threads_ > 0) set_threads(threads_);
    }

  private:
    int threads_;
};

}  // namespace torch_ir::backend
