// SPDX-License-Identifier: MIT
// What a zip file written by PyTorch is, and which models it holds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/zip.hpp"

namespace torch_ir {

/// A zip archive of PyTorch, told apart by its entries.
struct Archive {
    enum class Kind : std::uint8_t {
        Pt2,         // torch.export.save since 2.8: `models/NAME.json`, weights as files
        FlatPt2,     // torch.export.save 2.5 to 2.7: `serialized_exported_program.json`
        Checkpoint,  // torch.save
        TorchScript  // torch.jit.save
    };

    ZipArchive zip;
    Kind kind;
    std::string root;                 // the top folder that all names start with, `model/`; empty in flat archives
    std::vector<std::string> models;  // names of the exported programs; a flat archive holds one called `model`

    /// The entry `root + name`, or nullptr.
    const ZipEntry* find(std::string_view name) const { return zip.find(root + std::string(name)); }

    /// The contents of entry `root + name`; throws ParseError when there is none.
    ZipData read(std::string_view name, Checksum checksum = Checksum::Verify) const;
};

/// Opens an archive and recognises its kind. Throws ParseError for other zip files and damaged ones, UnsupportedError
/// for compiled-only packages (AOTInductor), unknown archive versions, and bytes that are not little endian.
Archive open_archive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

/// The model called `name`, or with no name the only one. Throws ArgumentError listing the models otherwise.
std::string select_model(const Archive& archive, std::string_view name = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/archive_inl.hpp"  // IWYU pragma: export
#endif
