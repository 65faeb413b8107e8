// SPDX-License-Identifier: MIT
// Reads the graph of a `.pt2` file, as torch.export.save writes it, without LibTorch.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

struct Pt2Options {
    /// Which of several models to read; may stay empty for a file with one.
    std::string model_name;
};

/// Reads the graph of a `.pt2`: the flat layout of torch 2.5 to 2.7, the archive of 2.8, and that of 2.9 and later
/// (schema versions 7 and 8 of torch/_export/serde/schema.py). Weights are not touched, but the values of lifted tensor
/// constants are copied into Model::constants where the file has them (an export on the meta device has none).
///
/// Model::name is the name given inside the archive or, where that is the default `model`, the class of the exported
/// module: the name of the file plays no part. Throws IoError, ParseError with the place in the JSON
/// (`graph_module.graph.nodes[12] 'conv2d_3'`), ArgumentError for a missing or wrong `model_name`, and UnsupportedError
/// for files that hold no graph (TorchScript, checkpoints, AOTInductor packages) and unknown versions.
Model read_pt2(const std::filesystem::path& path, const Pt2Options& options = {});

/// The models in a `.pt2`, sorted. Throws as read_pt2 does.
std::vector<std::string> pt2_model_names(const std::filesystem::path& path);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/pt2_inl.hpp"  // IWYU pragma: export
#endif
