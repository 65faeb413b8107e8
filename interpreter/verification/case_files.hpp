// SPDX-License-Identifier: MIT
// Case directories, and directories that appear whole or not at all.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tensor.hpp"
#include "torch_ir/ir.hpp"
#include "verification/interrupt.hpp"

namespace torch_ir {

/// A directory for passing files to another program; it goes away with the object.
class TemporaryDirectory {
  public:
    /// Under TMPDIR, or /tmp. Throws IoError.
    TemporaryDirectory();
    const std::filesystem::path& path() const { return directory_.path(); }

  private:
    OwnedDirectory directory_;
};

/// A directory that is filled beside its target and takes the target's place at commit().
class OutputDirectory {
  public:
    /// Throws IoError when the target exists and is not an empty directory, or cannot be made.
    explicit OutputDirectory(std::filesystem::path target);
    /// Where to put files until commit().
    const std::filesystem::path& path() const { return temporary_->path(); }
    void commit();

  private:
    std::filesystem::path target_;
    std::optional<OwnedDirectory> temporary_;  // until commit()
};

/// The n-th file of inputs or expected outputs (`what`) of a case directory: `inputs.safetensors`,
/// `inputs2.safetensors`, ….
std::filesystem::path pair_file(const std::filesystem::path& directory, const std::string& what, int pair);

/// What meta.json of a case directory may say.
struct CaseMeta {
    std::vector<std::string> categories;
    std::string description;
    std::optional<double> rtol;
    std::optional<double> atol;
    std::optional<std::uint64_t> seed;  // what the random ops draw follows torch.manual_seed(seed)
};

/// The meta.json of a case directory; nothing where there is none. Throws ParseError when it is no JSON object, or what
/// decides a verdict has another type.
CaseMeta read_meta(const std::filesystem::path& directory);

using TensorPairs = std::vector<std::pair<std::string, Tensor>>;

/// What makes a case directory.
struct CaseFiles {
    Model model;
    TensorPairs weights;   // by state_dict key
    TensorPairs inputs;    // by graph input name, or input_N
    TensorPairs expected;  // output_N; may be empty
    std::string name;
    std::vector<std::string> categories;
    std::string description;
};

/// Writes ir.json, weights.safetensors (when there are weights), inputs.safetensors, expected.safetensors (when there
/// are any) and meta.json into a directory that exists. `more` is added to meta.json. Throws IoError, and
/// UnsupportedError naming the tensor whose dtype safetensors lacks.
void write_case_files(const std::filesystem::path& directory, const CaseFiles& files,
                      const nlohmann::ordered_json& more);
void write_case_files(const std::filesystem::path& directory, const CaseFiles& files);

/// Text that is safe as the name of a directory: letters, digits, `.`, `-` and `_`, the rest as `_`.
std::string file_name_of(std::string_view text);

}  // namespace torch_ir
