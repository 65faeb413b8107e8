// SPDX-License-Identifier: MIT
#pragma once

namespace torch_ir {

/// Version of this library.
inline constexpr const char* version = "0.1.0";

/// Version of the JSON IR format as `major.minor`. A reader refuses another major version and accepts any minor one.
inline constexpr int format_major = 1;
inline constexpr int format_minor = 0;

}  // namespace torch_ir
