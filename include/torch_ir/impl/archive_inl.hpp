// SPDX-License-Identifier: MIT
// Bodies of archive.hpp.
#pragma once

#include "torch_ir/archive.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir {

namespace detail {

/// The text of an entry without trailing newlines; empty when there is no such entry.
inline std::string entry_text(const Archive& archive, std::string_view name) {
    const ZipEntry* entry = archive.find(name);
    if (!entry) return {};
    const ZipData data = archive.zip.read(*entry);
    std::string_view text = data.text();
    while (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text);
}

/// PyTorch itself never swaps raw weights, so nothing but `little` can be trusted.
inline void check_byte_order(const Archive& archive) {
    const std::string order = entry_text(archive, "byteorder");
    if (archive.find("byteorder") && order != "little")
        throw UnsupportedError("byte order '" + order + "' is not supported, expected 'little'");
}

inline std::string common_root(const ZipArchive& zip) {
    const std::string& first = zip.entries().front().name;
    std::string root = first.substr(0, first.find('/') + 1);
    for (const ZipEntry& entry : zip.entries())
        if (!entry.name.starts_with(root))
            throw ParseError("entry '" + entry.name + "' lies outside the archive's folder '" + root + "'");
    return root;
}

inline void find_models(Archive& archive) {
    if (const std::string version = entry_text(archive, "archive_version"); version != "0")
        throw UnsupportedError("archive version '" + version + "' is unknown, expected '0'");
    const std::string folder = archive.root + "models/";
    for (const ZipEntry& entry : archive.zip.entries())
        if (entry.name.starts_with(folder) && entry.name.ends_with(".json"))
            archive.models.push_back(entry.name.substr(folder.size(), entry.name.size() - folder.size() - 5));
    if (!archive.models.empty()) return;
    for (const ZipEntry& entry : archive.zip.entries())
        if (entry.name.starts_with(archive.root + "data/aotinductor/"))
            throw UnsupportedError(
                "an AOTInductor package holds compiled code only; save the program with torch.export.save");
    throw ParseError("the archive holds no model: expected an entry 'models/NAME.json'");
}

}  // namespace detail

TORCH_IR_INLINE ZipData Archive::read(std::string_view name, Checksum checksum) const {
    const ZipEntry* entry = find(name);
    if (!entry) throw ParseError("entry '" + root + std::string(name) + "' is missing");
    return zip.read(*entry, checksum);
}

TORCH_IR_INLINE Archive open_archive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
    Archive archive{ZipArchive(bytes, std::move(owner)), Archive::Kind::FlatPt2, "", {}};
    if (archive.zip.find("serialized_exported_program.json")) {
        archive.models = {"model"};
        return archive;
    }
    if (archive.zip.entries().empty()) throw ParseError("the zip archive is empty");
    archive.root = detail::common_root(archive.zip);
    if (archive.find("archive_format")) {
        if (const std::string format = detail::entry_text(archive, "archive_format"); format != "pt2")
            throw UnsupportedError("archive format '" + format + "' is unknown, expected 'pt2'");
        archive.kind = Archive::Kind::Pt2;
        detail::find_models(archive);
    } else if (archive.find("data.pkl")) {
        archive.kind = archive.find("constants.pkl") ? Archive::Kind::TorchScript : Archive::Kind::Checkpoint;
    } else {
        throw ParseError(
            "a zip archive, but none of PyTorch's: found neither 'archive_format', 'data.pkl' nor "
            "'serialized_exported_program.json'");
    }
    detail::check_byte_order(archive);
    return archive;
}

TORCH_IR_INLINE std::string select_model(const Archive& archive, std::string_view name) {
    std::string names;
    for (const std::string& model : archive.models) {
        if (model == name) return model;
        names += (names.empty() ? "'" : ", '") + model + "'";
    }
    if (!name.empty()) throw ArgumentError("no model '" + std::string(name) + "', the file holds " + names);
    if (archive.models.size() == 1) return archive.models.front();
    throw ArgumentError("the file holds " + std::to_string(archive.models.size()) + " models, name one of " + names);
}

}  // namespace torch_ir
