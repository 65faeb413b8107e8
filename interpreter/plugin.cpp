// SPDX-License-Identifier: MIT
#include "plugin.hpp"

#include <dlfcn.h>

#include <list>

#include "kernels/kernels.hpp"

namespace torch_ir {
namespace {

void load(const std::string& path, Registry& registry) {
    // A name without a slash would be looked for in the system's folders.
    const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw IoError("plugin " + std::string(dlerror()));
    void* symbol = dlsym(library, "torch_ir_register");
    if (!symbol)
        throw IoError(path +
                      ": expected a function torch_ir_register(torch_ir::Registry&) with extern \"C\", found none");
    void* layout = dlsym(library, "torch_ir_plugin_layout");
    if (!layout || reinterpret_cast<decltype(&torch_ir_plugin_layout)>(layout)() != detail::plugin_layout())
        throw IoError(path +
                      ": was built with other headers than this tool, and would crash: build it again with those of " +
                      "torch-ir " + version);
    with_context(path, [&] { with_errors([&] { reinterpret_cast<decltype(&torch_ir_register)>(symbol)(registry); }); });
}

}  // namespace

const Registry& registry_with(const std::vector<std::string>& plugins) {
    if (plugins.empty()) return builtin_registry();
    // They live as long as the process: the functions in them are in the libraries.
    static auto& registries = *new std::list<Registry>;
    Registry& registry = registries.emplace_back();
    register_kernels(registry);
    for (const std::string& plugin : plugins) load(plugin, registry);
    return registry;
}

}  // namespace torch_ir
