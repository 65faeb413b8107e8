// SPDX-License-Identifier: MIT
// Tells the layouts of a `.pt2` file apart and finds the models in it. Included by _inl files only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/zip.hpp"

namespace torch_ir::detail::pt2 {

inline std::string join(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
    return text;
}

/// An opened `.pt2`. The layouts: torch 2.5 to 2.7 write a flat zip with nested torch.save files, later releases a
/// "PT2 archive" below a top folder, 2.8 with nested torch.save files, 2.9 and later with raw tensor files.
struct Pt2Container {
    static constexpr std::string_view flat_graph = "serialized_exported_program.json";

    ZipArchive zip;
    bool flat = false;
    std::string root;                 // `model/`; empty for the flat layout
    std::vector<std::string> models;  // in the order of the file; the only one of the flat layout is called `model`

    /// The entry below the root, or nullptr.
    const ZipEntry* find(const std::string& name) const { return zip.find(root + name); }

    /// The text of a small entry without the line break at its end; empty when missing.
    std::string text(const std::string& name) const {
        const ZipEntry* entry = find(name);
        if (!entry || entry->size > 4096) return "";
        std::string result(zip.read(*entry).text());
        while (result.ends_with('\n')) result.pop_back();
        return result;
    }

    const ZipEntry& graph_entry(const std::string& model) const {
        return *find(flat ? std::string(flat_graph) : "models/" + model + ".json");
    }

    /// `wanted`, or the only model when that is empty.
    std::string choose(const std::string& wanted) const {
        if (wanted.empty() && models.size() == 1) return models[0];
        for (const std::string& model : models)
            if (model == wanted) return model;
        if (wanted.empty())
            throw ArgumentError("the file holds " + std::to_string(models.size()) + " models, name one of " +
                                join(models));
        throw ArgumentError("no model '" + wanted + "', the file holds " + join(models));
    }
};

/// Entries below `prefix` that end in `suffix`, without both.
inline std::vector<std::string> entries_between(const ZipArchive& zip, std::string_view prefix,
                                                std::string_view suffix) {
    std::vector<std::string> names;
    for (const ZipEntry& entry : zip.entries()) {
        const std::string_view name = entry.name;
        if (name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix))
            names.emplace_back(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
    }
    return names;
}

[[noreturn]] inline void refuse_other_archive(const ZipArchive& zip, const std::string& root) {
    if (zip.find(root + "data.pkl") && zip.find(root + "constants.pkl"))
        throw UnsupportedError(
            "a TorchScript archive has no exported graph; export the model with torch.export.export and save it with "
            "torch.export.save");
    if (zip.find(root + "data.pkl"))
        throw UnsupportedError(
            "a torch.save checkpoint holds weights, no graph; export the model with torch.export.export and save it "
            "with "
            "torch.export.save");
    throw ParseError("not a .pt2 file: expected an entry 'archive_format' or '" +
                     std::string(Pt2Container::flat_graph) + "'");
}

/// Throws UnsupportedError for other kinds of archives and for what nobody should guess (version, byte order).
inline Pt2Container open_pt2(ZipArchive zip) {
    Pt2Container pt2{std::move(zip), false, "", {}};
    if (pt2.find(std::string(Pt2Container::flat_graph))) {
        pt2.flat = true;
        pt2.models = {"model"};
        return pt2;
    }
    // The top folder carries the name that the file had when it was written.
    const std::string first = pt2.zip.entries().empty() ? "" : pt2.zip.entries()[0].name;
    pt2.root = first.substr(0, first.find('/') + 1);  // find + 1 is 0 without a folder
    if (pt2.text("archive_format") != "pt2") refuse_other_archive(pt2.zip, pt2.root);
    if (const std::string version = pt2.text("archive_version"); version != "0")
        throw UnsupportedError("archive version '" + version + "' is unknown, expected '0'");
    if (const std::string order = pt2.text("byteorder"); !order.empty() && order != "little")
        throw UnsupportedError("byte order '" + order + "' is not supported, expected 'little'");
    pt2.models = entries_between(pt2.zip, pt2.root + "models/", ".json");
    if (!pt2.models.empty()) return pt2;
    for (const ZipEntry& entry : pt2.zip.entries())
        if (entry.name.starts_with(pt2.root + "data/aotinductor/"))
            throw UnsupportedError(
                "an AOTInductor package holds compiled code only; save the program with torch.export.save");
    throw ParseError("the archive holds no model: expected an entry 'models/NAME.json'");
}

}  // namespace torch_ir::detail::pt2
