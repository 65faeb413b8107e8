// SPDX-License-Identifier: MIT
// The safetensors format (https://huggingface.co/docs/safetensors): read in place, written without a copy of the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/dtype.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/inline.hpp"
#include "torch_ir/tensor_view.hpp"

namespace torch_ir {

using SafetensorsMetadata = std::map<std::string, std::string>;

/// The contents of one file; the tensors are views of the mapped bytes.
struct Safetensors {
    Weights tensors;
    SafetensorsMetadata metadata;
};

/// Reads a file, refusing what the reference reader refuses (holes, overlaps, wrong sizes, trailing bytes, …) and
/// duplicate names. Throws ParseError naming the file and tensor, UnsupportedError for dtypes that PyTorch lacks.
Safetensors read_safetensors(const std::filesystem::path& path);

/// Same, of bytes that `owner` keeps alive.
Safetensors read_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

/// A tensor to be written: dense, row-major, little endian.
struct SafetensorsTensor {
    DType dtype = DType::Float32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
};

using NamedSafetensors = std::vector<std::pair<std::string, SafetensorsTensor>>;

/// Writes a file that appears whole or not at all; the bytes are those of the reference writer. Throws IoError, and
/// before anything is written ArgumentError for a size that does not fit the shape or a name given twice, and
/// UnsupportedError naming the tensor whose dtype the format lacks (complex128, quantised types, …).
void write_safetensors(const std::filesystem::path& path, NamedSafetensors tensors,
                       const SafetensorsMetadata& metadata = {});

/// True for dtypes that the format has.
bool safetensors_has(DType dtype);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/safetensors_inl.hpp"  // IWYU pragma: export
#endif
