// SPDX-License-Identifier: MIT
// The JSON IR: docs/format.md describes it, schema/torch_ir.schema.json is its normative schema.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/inline.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/issue.hpp"

namespace torch_ir {

/// Reads a JSON IR, this library's or pytorch-ir's; memory is in proportion to the graph. Unknown keys are ignored.
/// Throws IoError when the file cannot be read, UnsupportedError for another major format version, ParseError with the
/// place (`ir.json: nodes[12] 'conv2d_3': inputs[1]: …`) for anything else that is not as the format says.
///
/// A file states some facts more than once (a tensor's shape and producer at each use). By default a contradiction is a
/// ParseError; with `conflicts` it is added there, the definition counts, and reading goes on: for tools that list all
/// that is wrong, together with validate().
Model read_json(const std::filesystem::path& path, std::vector<Issue>* conflicts = nullptr);

/// The same from text; `name`, when not empty, is put in front of error messages.
Model parse_json(std::string_view text, const std::string& name = {}, std::vector<Issue>* conflicts = nullptr);

/// The model as JSON text, indented by two like Python's json.dumps(indent=2). Reading it back and writing it again
/// gives the same bytes. Throws ArgumentError naming the place when the graph refers to a value that it does not have.
std::string to_json(const Model& model);

/// Writes to_json(model) piece by piece; the file appears whole or not at all. Throws IoError, and like to_json.
void write_json(const std::filesystem::path& path, const Model& model);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/json_read_inl.hpp"   // IWYU pragma: export
#include "torch_ir/impl/json_write_inl.hpp"  // IWYU pragma: export
#endif
