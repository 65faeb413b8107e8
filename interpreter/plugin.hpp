// SPDX-License-Identifier: MIT
// Ops from shared libraries: `torch-ir run --plugin libmy_ops.so`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "registry.hpp"
#include "torch_ir/version.hpp"

namespace torch_ir::detail {

/// Differs between headers whose types do not lie in memory alike.
constexpr std::uint64_t plugin_layout() {
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    const auto mix = [&](std::uint64_t value) { hash = (hash ^ value) * 1099511628211U; };
    for (const char c : std::string_view(version)) mix(static_cast<unsigned char>(c));
    for (const std::size_t size : {sizeof(Tensor), sizeof(Storage), sizeof(IValue), sizeof(Schema), sizeof(Op),
                                   sizeof(Registry), sizeof(Context)})
        mix(size);
    return hash;
}

}  // namespace torch_ir::detail

/// In every plugin: which headers it was compiled with.
extern "C" [[gnu::used, gnu::visibility("default")]] inline std::uint64_t torch_ir_plugin_layout() {
    return torch_ir::detail::plugin_layout();
}

/// What a plugin defines: it registers its ops with `Registry::add`.
extern "C" void torch_ir_register(torch_ir::Registry& registry);

namespace torch_ir {

/// The built-in ops and those of the given shared libraries, which stay loaded. Without any, builtin_registry(). Throws
/// IoError for a library that cannot be loaded, has no torch_ir_register or was built with other headers, SchemaError
/// for an op that is there already.
const Registry& registry_with(const std::vector<std::string>& plugins);

}  // namespace torch_ir
