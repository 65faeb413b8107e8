// SPDX-License-Identifier: MIT
// torch.save checkpoints and TorchScript archives as sources of tensors. Their pickles are interpreted over a closed
// set of values; nothing is imported or called.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "torch_ir/archive.hpp"
#include "torch_ir/argument.hpp"
#include "torch_ir/inline.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir {

/// The tensors of a checkpoint by dotted path: dict keys, list positions, and for whole modules the names of their
/// state_dict. The contents of a top-level `state_dict`, `model_state_dict` or `model` entry are named as if they were
/// the whole file. Tensors that share a storage share it here. Throws ParseError for malformed files; UnsupportedError,
/// naming them, for callables outside a fixed list, for tensors without dense data, and for other byte orders than
/// little.
Weights read_checkpoint(const Archive& archive, Checksum checksum = Checksum::Skip);

/// Same, of the form that torch.save wrote before 1.6 (`_use_new_zipfile_serialization=False`).
Weights read_legacy_checkpoint(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

/// True when the bytes begin as a legacy checkpoint does.
bool looks_like_legacy_checkpoint(std::span<const std::byte> bytes);

/// One leaf of a model's example inputs; `path` is `args.0`, `kwargs.mask`, `args.1.2` in nested containers.
struct SampleInput {
    std::string path;
    std::variant<TensorView, Argument> value;
};

/// The example inputs inside a `.pt2` (the one model's or, of several, `model`'s): leaves in pytree order, that is in
/// order of the graph's user inputs, None included. Empty when the file has none. Throws like read_checkpoint.
std::vector<SampleInput> read_sample_inputs(const std::filesystem::path& path, std::string_view model = {});

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/checkpoint_inl.hpp"  // IWYU pragma: export
#endif
