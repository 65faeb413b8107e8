// SPDX-License-Identifier: MIT
#include "verification/case_files.hpp"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "load.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/json.hpp"
#include "verification/report.hpp"

namespace torch_ir {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

fs::path make_unique(const fs::path& prefix) {
    std::string pattern = prefix.string() + ".XXXXXX";
    if (!mkdtemp(pattern.data()))
        throw IoError(prefix.string() + ": a directory cannot be made here: " + std::strerror(errno));
    return pattern;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory()
    : directory_([] {
          const char* base = std::getenv("TMPDIR");
          return make_unique(fs::path(base && *base ? base : "/tmp") / "torch-ir");
      }()) {}

OutputDirectory::OutputDirectory(fs::path target) : target_(std::move(target)) {
    if (!target_.has_filename()) target_ = target_.parent_path();  // `dir/`
    std::error_code error;
    if (fs::exists(fs::symlink_status(target_, error)) && !(fs::is_directory(target_) && fs::is_empty(target_)))
        throw IoError(target_.string() + ": exists already: give another -o, or remove it");
    if (target_.has_parent_path()) {
        fs::create_directories(target_.parent_path(), error);
        if (error) throw IoError(target_.parent_path().string() + ": cannot be made: " + error.message());
    }
    temporary_.emplace(make_unique(target_));
    fs::permissions(path(), fs::perms(0755), error);  // mkdtemp makes it private
}

void OutputDirectory::commit() {
    std::error_code error;
    fs::rename(path(), target_, error);
    if (error) throw IoError(target_.string() + ": cannot be written: " + error.message());
    temporary_.reset();  // of which nothing is left here
}

CaseMeta read_meta(const fs::path& directory) {
    CaseMeta meta;
    const fs::path path = directory / "meta.json";
    if (!fs::exists(path)) return meta;
    const auto file = map_file(path);
    const auto* text = reinterpret_cast<const char*>(file->bytes().data());
    const auto json = nlohmann::json::parse(text, text + file->bytes().size(), nullptr, false);
    if (!json.is_object()) throw ParseError(path.string() + ": expected a JSON object");
    const auto refuse = [&](const char* key, const char* expected) {
        throw ParseError(path.string() + ": " + key + ": expected " + expected + ", found " + json[key].dump());
    };
    if (json.contains("categories") && json["categories"].is_array())
        for (const auto& category : json["categories"])
            if (category.is_string()) meta.categories.push_back(category.get<std::string>());
    if (json.contains("description") && json["description"].is_string())
        meta.description = json["description"].get<std::string>();
    for (const auto& [key, target] : {std::pair{"rtol", &meta.rtol}, std::pair{"atol", &meta.atol}}) {
        if (!json.contains(key) || json[key].is_null()) continue;
        if (!json[key].is_number() || json[key] < 0) refuse(key, "a number of at least 0");
        *target = json[key].get<double>();
    }
    if (json.contains("seed") && !json["seed"].is_null()) {
        if (!json["seed"].is_number_integer()) refuse("seed", "a whole number of 64 bits");
        meta.seed = json["seed"].get<std::uint64_t>();
    }
    return meta;
}

std::filesystem::path pair_file(const std::filesystem::path& directory, const std::string& what, int pair) {
    return directory / (what + (pair == 1 ? "" : std::to_string(pair)) + ".safetensors");
}

void write_case_files(const fs::path& directory, const CaseFiles& files, const ordered_json& more) {
    write_json(directory / "ir.json", files.model);
    if (!files.weights.empty()) save_tensors(directory / "weights.safetensors", files.weights);
    save_tensors(directory / "inputs.safetensors", files.inputs);
    if (!files.expected.empty()) save_tensors(directory / "expected.safetensors", files.expected);
    ordered_json meta{{"name", files.name}, {"categories", files.categories}};
    if (!files.description.empty()) meta["description"] = files.description;
    meta.update(more);
    write_file(directory / "meta.json", dump(meta) + "\n");
}

void write_case_files(const fs::path& directory, const CaseFiles& files) {
    write_case_files(directory, files, ordered_json::object());
}

std::string file_name_of(std::string_view text) {
    std::string name;
    for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ? c : '_';
    if (name.empty() || name[0] == '.') name.insert(0, "_");
    return name.substr(0, 120);
}

}  // namespace torch_ir
