// SPDX-License-Identifier: MIT
// One view of weight values over all the files they can come from.
#pragma once

#include <filesystem>
#include <string>

#include "torch_ir/inline.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir {

struct WeightsOptions {
    /// Which model of a `.pt2` that holds several.
    std::string model = {};
    /// Compare the zip checksums of the values too, which reads all of them; `validate` asks for it.
    bool verify_checksums = false;
    /// Leave out the tensors of a `.pt2` that were saved without values (meta or fake tensors) instead of refusing
    /// them.
    bool skip_unsaved = false;
};

/// Opens a weight file, recognised by content: `.safetensors`, `model.safetensors.index.json`,
/// `pytorch_model.bin.index.json`, a torch.save checkpoint (`.pt`, `.pth`, `.bin`), a TorchScript archive or a `.pt2`
/// (parameters, buffers and constants). Values stay in the mapped file. Throws IoError, ParseError, UnsupportedError,
/// or ArgumentError when a model must be chosen, with the file's name in front.
Weights open_weights(const std::filesystem::path& path, const WeightsOptions& options = {});

/// Reads `model.safetensors.index.json` or `pytorch_model.bin.index.json`: each shard, which must lie beside the index,
/// is opened once and must hold the names that the index puts there. Aliases in the metadata (`"c.w": "a.w"`) become
/// tensors of their own. Throws like read_safetensors.
Weights read_weight_index(const std::filesystem::path& path, const WeightsOptions& options = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/weights_inl.hpp"  // IWYU pragma: export
#endif
