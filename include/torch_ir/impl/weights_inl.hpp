// SPDX-License-Identifier: MIT
// Bodies of weights.hpp: recognising where weights come from, and sharded files.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "torch_ir/archive.hpp"
#include "torch_ir/checkpoint.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/file.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/json_stream.hpp"
#include "torch_ir/impl/pt2_weights.hpp"
#include "torch_ir/safetensors.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir {

namespace detail {

inline bool looks_like_safetensors(Bytes bytes) {
    constexpr std::uint64_t max_header = 100'000'000;
    return bytes.size() >= 8 && load<std::uint64_t>(bytes, 0) <= max_header;
}

inline Weights open_archive_weights(const std::shared_ptr<const MappedFile>& file, const WeightsOptions& options) {
    const Archive archive = open_archive(file->bytes(), file);
    switch (archive.kind) {
        case Archive::Kind::Pt2:
        case Archive::Kind::FlatPt2:
            return read_pt2_weights(archive, options);
        default:
            return read_checkpoint(archive, options.verify_checksums ? Checksum::Verify : Checksum::Skip);
    }
}

/// A shard lies beside its index: a plain file name.
inline void check_shard_name(const std::string& shard) {
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find_first_of(std::string_view("/\\:\0", 4)) != std::string::npos)
        throw ParseError("'weight_map' names the shard '" + shard + "', expected a plain file name");
}

/// An index among the shards of an index would allow cycles.
inline Weights open_shard(const std::filesystem::path& path, const WeightsOptions& options) {
    if (as_text(map_file(path)->bytes()).starts_with('{'))
        throw ParseError("shard '" + path.filename().string() + "' is not a file of tensors");
    return open_weights(path, options);
}

inline void add_aliases(const Json& index, Weights& weights) {
    const auto metadata = index.find("metadata");
    if (metadata == index.end() || !metadata->is_object()) return;
    for (const auto& [alias, target] : metadata->items()) {
        if (!target.is_string() || weights.find(alias)) continue;
        if (const TensorView* tensor = weights.find(target.get<std::string>())) weights.insert(alias, *tensor);
    }
}

}  // namespace detail

TORCH_IR_INLINE Weights open_weights(const std::filesystem::path& path, const WeightsOptions& options) {
    const auto file = map_file(path);
    const std::string_view text = detail::as_text(file->bytes());
    if (text.starts_with('{') && !detail::looks_like_safetensors(file->bytes()))
        return read_weight_index(path, options);
    return with_context(path.string(), [&]() -> Weights {
        if (looks_like_zip(file->bytes())) return detail::open_archive_weights(file, options);
        if (looks_like_legacy_checkpoint(file->bytes())) return read_legacy_checkpoint(file->bytes(), file);
        if (detail::looks_like_safetensors(file->bytes()) || path.extension() == ".safetensors")
            return read_safetensors(file->bytes(), file).tensors;
        if (text.size() > 262 && text.substr(257, 5) == "ustar")
            throw UnsupportedError(
                "the tar form of torch.save is not supported; save the file again with a newer PyTorch");
        throw ParseError("not a weight file: expected safetensors, a weight index, a PyTorch checkpoint or a .pt2");
    });
}

TORCH_IR_INLINE Weights read_weight_index(const std::filesystem::path& path, const WeightsOptions& options) {
    const auto file = map_file(path);
    const auto index = with_context(path.string(), [&] {
        detail::Json json = detail::parse_json(detail::as_text(file->bytes()));
        if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
            throw ParseError("not a weight index: expected an object with a 'weight_map' object");
        return json;
    });

    std::map<std::string, Weights> shards;
    Weights result;
    for (const auto& [name, value] : index["weight_map"].items()) {
        const TensorView* tensor = with_context(path.string(), [&, &name = name, &value = value] {
            if (!value.is_string()) throw ParseError("'weight_map' gives no file name for '" + name + "'");
            const auto shard_name = value.get<std::string>();
            detail::check_shard_name(shard_name);
            auto shard = shards.find(shard_name);
            if (shard == shards.end())
                shard = shards.emplace(shard_name, detail::open_shard(path.parent_path() / shard_name, options)).first;
            const TensorView* found = shard->second.find(name);
            if (!found) throw ParseError("shard '" + shard_name + "' does not hold '" + name + "'");
            return found;
        });
        result.insert(name, *tensor);
    }
    detail::add_aliases(index, result);
    return result;
}

}  // namespace torch_ir
