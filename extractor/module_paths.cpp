// SPDX-License-Identifier: MIT
#include "module_paths.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <unordered_map>

namespace torch_ir::extractor {
namespace {

/// `torch::nn::ReLUImpl` for an address inside its forward, else empty.
const std::string& forward_type(void* address) {
    thread_local std::unordered_map<void*, std::string> types;
    const auto [entry, is_new] = types.try_emplace(address);
    if (!is_new) return entry->second;
    Dl_info info;
    if (dladdr(address, &info) == 0 || !info.dli_sname) return entry->second;
    int status = 0;
    char* demangled = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    const std::string name = status == 0 ? demangled : "";
    std::free(demangled);
    const std::size_t end = name.find("::forward(");
    // Not `at::Tensor torch::nn::AnyModule::forward<…>` nor names inside a template's arguments.
    if (end != std::string::npos && name.find_first_of(" <") >= end) entry->second = name.substr(0, end);
    return entry->second;
}

/// The innermost module on the stack.
std::string innermost_type() {
    std::array<void*, 64> frames;
    const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
    for (int i = 0; i < count; ++i)
        if (const std::string& type = forward_type(frames[static_cast<std::size_t>(i)]); !type.empty()) return type;
    return "";
}

/// The module's class. The frontend's MultiheadAttention alone calls itself otherwise.
std::string type_of(const torch::nn::Module& module) {
    const std::string& name = module.name();
    return name == "torch::nn::MultiheadAttention" ? name + "Impl" : name;
}

std::string parent_of(const std::string& path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string::npos ? "" : path.substr(0, dot);
}

}  // namespace

ModulePaths::ModulePaths(const torch::nn::Module& root) {
    for (const auto& item : root.named_modules("", true)) types_.emplace(item.key(), type_of(*item.value()));
    types_[""] = type_of(root);
}

Provenance ModulePaths::operator()(const std::vector<std::string>& keys) {
    last_ = path_of(keys);
    Provenance provenance;
    provenance.module_path = last_;
    if (const auto type = types_.find(last_); type != types_.end()) provenance.module_type = type->second;
    return provenance;
}

std::string ModulePaths::path_of(const std::vector<std::string>& keys) {
    if (!keys.empty()) return parent_of(keys.front());
    const std::string type = innermost_type();
    if (type.empty()) return last_;
    for (std::string path = last_;; path = parent_of(path)) {
        if (const auto known = types_.find(path); known != types_.end() && known->second == type) return path;
        if (path.empty()) break;
    }
    return child_of_type(type);
}

/// The next child of that type, of the last call's module or the nearest above it that has one.
std::string ModulePaths::child_of_type(const std::string& type) {
    for (std::string parent = last_;; parent = parent_of(parent)) {
        std::vector<std::string> children;
        for (const auto& [path, child_type] : types_)
            if (child_type == type && !path.empty() && parent_of(path) == parent) children.push_back(path);
        if (!children.empty()) return children[calls_[parent + " " + type]++ % children.size()];
        if (parent.empty()) return last_;
    }
}

}  // namespace torch_ir::extractor
