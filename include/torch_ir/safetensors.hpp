// SPDX-License-Identifier: MIT
// The safetensors format (https://huggingface.co/docs/safetensors): read in place, written without a copy of the data.
#pragma once

#include <concepts>
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
    std::shared_ptr<const void> owner;  // keeps the bytes alive; nullptr when the caller does

    SafetensorsTensor() = default;
    /// The bytes are the caller's, and row-major: those of a view are only when it is contiguous.
    SafetensorsTensor(DType tensor_dtype, std::vector<std::int64_t> sizes, std::span<const std::byte> content)
        : dtype(tensor_dtype), shape(std::move(sizes)), bytes(content) {}
    /// The values of a view: its own bytes where they are as they have to be, otherwise a copy (strided views,
    /// conjugate or negative marks). Throws ArgumentError like TensorView::to_bytes().
    SafetensorsTensor(const TensorView& view);
};

using NamedSafetensors = std::vector<std::pair<std::string, SafetensorsTensor>>;

/// Writes a file that appears whole or not at all; the bytes are those of the reference writer. Throws IoError, and
/// before anything is written ArgumentError for a size that does not fit the shape or a name given twice, and
/// UnsupportedError naming the tensor whose dtype the format lacks (complex128, quantised types, …).
void write_safetensors(const std::filesystem::path& path, NamedSafetensors tensors,
                       const SafetensorsMetadata& metadata = {});

/// The same for all of `weights`; strided ones are copied, all at once. (A template, so that `{}` is no Weights.)
void write_safetensors(const std::filesystem::path& path, const std::same_as<Weights> auto& weights,
                       const SafetensorsMetadata& metadata = {}) {
    write_safetensors(path, NamedSafetensors(weights.tensors().begin(), weights.tensors().end()), metadata);
}

/// True for dtypes that the format has.
bool safetensors_has(DType dtype);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/safetensors_inl.hpp"  // IWYU pragma: export
#endif
