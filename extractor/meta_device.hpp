// SPDX-License-Identifier: MIT
// Modules without memory for their weights.
#pragma once

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace torch_ir {

/// While one lives, tensors that this thread creates have shapes but no memory (the meta device), except those of up to
/// 4096 elements, which may be tables that a constructor fills.
class MetaDevice {
  public:
    MetaDevice();
    MetaDevice(const MetaDevice&) = delete;
    MetaDevice& operator=(const MetaDevice&) = delete;
    ~MetaDevice();

  private:
    bool before_;
    c10::impl::IncludeDispatchKeyGuard on_;
};

}  // namespace torch_ir
