// SPDX-License-Identifier: MIT
// The weights inside a `.pt2`: raw storages with a JSON table (torch 2.9 and later), or nested torch.save archives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/archive.hpp"
#include "torch_ir/checkpoint.hpp"
#include "torch_ir/dtype.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/checkpoint_inl.hpp"
#include "torch_ir/impl/json_stream.hpp"
#include "torch_ir/impl/make_view.hpp"
#include "torch_ir/weights.hpp"

namespace torch_ir::detail {

/// torch.export's number of a dtype (torch/_export/serde/schema.py, ScalarType), not c10's.
inline std::optional<DType> export_dtype(std::int64_t number) {
    switch (number) {
        case 1:
            return DType::UInt8;
        case 2:
            return DType::Int8;
        case 3:
            return DType::Int16;
        case 4:
            return DType::Int32;
        case 5:
            return DType::Int64;
        case 6:
            return DType::Float16;
        case 7:
            return DType::Float32;
        case 8:
            return DType::Float64;
        case 9:
            return DType::Complex32;
        case 10:
            return DType::Complex64;
        case 11:
            return DType::Complex128;
        case 12:
            return DType::Bool;
        case 13:
            return DType::BFloat16;
        case 28:
            return DType::UInt16;
        case 29:
            return DType::Float8E4M3FN;
        case 30:
            return DType::Float8E5M2;
        case 31:
            return DType::Float8E4M3FNUZ;
        case 32:
            return DType::Float8E5M2FNUZ;
        case 33:
            return DType::Float8E8M0FNU;
        case 34:
            return DType::UInt32;
        case 35:
            return DType::UInt64;
        default:
            return std::nullopt;
    }
}

/// Bytes of the state of PyTorch's random generator on the CPU.
inline constexpr std::int64_t generator_state_size = 5056;

/// Reads one `*_config.json` of a 2.9+ archive and makes views of the files it names.
class Pt2ConfigReader {
  public:
    Pt2ConfigReader(const Archive& archive, std::string folder, const WeightsOptions& options, Weights& weights)
        : archive_(archive), folder_(std::move(folder)), options_(options), weights_(weights) {}

    void read(const std::string& config_name) {
        with_context([&] { return config_name; },
                     [&] {
                         const ZipData data = archive_.read(folder_ + config_name);
                         const Json root = parse_json(data.text());
                         for (const auto& [name, entry] : member(root, "config", Json::value_t::object).items())
                             with_context([&, &name = name] { return "'" + name + "'"; },
                                          [&, &name = name, &entry = entry] { add(name, entry); });
                     });
    }

  private:
    static const Json& member(const Json& object, const char* key, Json::value_t type) {
        const auto found = object.is_object() ? object.find(key) : object.end();
        if (found == object.end()) throw ParseError("'" + std::string(key) + "' is missing");
        if (found->type() != type)
            throw ParseError("'" + std::string(key) + "' has the wrong type, found " + found->type_name());
        return *found;
    }

    static std::int64_t static_size(const Json& size, const char* key) {
        const auto found = size.is_object() ? size.find("as_int") : size.end();
        if (found == size.end() || size.size() != 1 || !found->is_number_integer())
            throw ParseError("'" + std::string(key) + "' must hold integers ('as_int')");
        return found->get<std::int64_t>();
    }

    static std::vector<std::int64_t> static_sizes(const Json& meta, const char* key) {
        std::vector<std::int64_t> sizes;
        for (const Json& size : member(meta, key, Json::value_t::array)) sizes.push_back(static_size(size, key));
        return sizes;
    }

    void add(const std::string& name, const Json& entry) {
        const auto file_name = member(entry, "path_name", Json::value_t::string).get<std::string>();
        if (file_name.empty() || file_name.find_first_of("/\\") != std::string::npos)
            throw ParseError("'path_name' must be a plain file name, found '" + file_name + "'");
        const Checksum checksum = options_.verify_checksums ? Checksum::Verify : Checksum::Skip;
        const Json& meta = entry.contains("tensor_meta") ? entry["tensor_meta"] : Json();
        if (meta.is_null())
            return insert(name, generator_state(file_name, archive_.read(folder_ + file_name, checksum)));
        if (member(entry, "use_pickle", Json::value_t::boolean).get<bool>())
            return add_pickled(name, archive_.read(folder_ + file_name, checksum));

        const auto number = member(meta, "dtype", Json::value_t::number_integer).get<std::int64_t>();
        const auto dtype = export_dtype(number);
        if (!dtype) throw UnsupportedError("unknown dtype number " + std::to_string(number));
        auto sizes = static_sizes(meta, "sizes");
        const ZipData data = archive_.read(folder_ + file_name, checksum);
        if (data.bytes.empty() && std::ranges::find(sizes, 0) == sizes.end()) {
            if (options_.skip_unsaved) return;
            throw ParseError("the values were not saved (a meta or fake tensor); give them in a separate weight file");
        }
        if (data.bytes.size() % item_size(*dtype) != 0)
            throw ParseError("file '" + file_name + "' has " + std::to_string(data.bytes.size()) +
                             " bytes, which is no multiple of the item size of " + std::string(torch_ir::name(*dtype)));
        const auto offset_entry = meta.find("storage_offset");
        if (offset_entry == meta.end()) throw ParseError("'storage_offset' is missing");
        insert(name, make_view(*dtype, std::move(sizes), static_sizes(meta, "strides"),
                               static_size(*offset_entry, "storage_offset"), data.bytes, data.owner));
    }

    /// Subclasses of Tensor are torch.save archives of one tensor, or of the inner tensors that make it and of settings
    /// (enumerations, for one) that nothing here needs.
    void add_pickled(const std::string& name, const ZipData& data) {
        const auto loaded = pickle::load_archive(open_nested(data), Checksum::Skip, pickle::UnknownCalls::Opaque);
        const pickle::Ref root = loaded.program.root;
        if (!loaded.get_if<pickle::Tensor>(root) && !loaded.get_if<pickle::Record>(root))
            throw UnsupportedError("a pickled object, expected a tensor");
        const Weights tensors = pickle::Walker(loaded).tensors();
        for (const auto& [path, tensor] : tensors.tensors()) insert(path.empty() ? name : name + "." + path, tensor);
    }

    /// What stands for a generator in the graph. Its pickle holds the state as a legacy checkpoint of one storage.
    static TensorView generator_state(const std::string& file_name, const ZipData& data) {
        constexpr std::string_view start{
            "\x80\x02"
            "ctorch._C\nGenerator\n"};
        if (!as_text(data.bytes).starts_with(start))
            throw UnsupportedError("a custom object ('" + file_name + "'), expected a tensor or a torch.Generator");
        const pickle::Program program = pickle::Machine(data.bytes, pickle::UnknownCalls::Opaque).run();
        for (const pickle::Value& value : program.values) {
            const auto* binary = std::get_if<pickle::Binary>(&value);
            if (!binary) continue;
            const auto owner = std::make_shared<const std::string>(binary->bytes);
            const auto loaded = pickle::LegacyLoader(std::as_bytes(std::span(*owner)), owner).load();
            const auto* storage = loaded.get_if<pickle::StorageRef>(loaded.program.root);
            if (!storage) break;
            return make_view(DType::UInt8, {generator_state_size}, {1}, storage->offset,
                             loaded.storages[storage->index].bytes, owner);
        }
        throw ParseError("the pickle of a torch.Generator holds no state");
    }

    void insert(const std::string& name, TensorView view) {
        if (weights_.find(name)) throw ParseError("is both a weight and a constant");
        weights_.insert(name, std::move(view));
    }

    const Archive& archive_;
    std::string folder_;
    const WeightsOptions& options_;
    Weights& weights_;
};

/// Merges a nested torch.save archive, a dict from name to tensor.
inline void add_nested(const Archive& archive, std::string_view name, const WeightsOptions& options, Weights& weights) {
    const ZipEntry* entry = archive.find(name);
    if (!entry || entry->size == 0) return;
    with_context(std::string(name), [&] {
        const Checksum checksum = options.verify_checksums ? Checksum::Verify : Checksum::Skip;
        weights.merge(read_checkpoint(open_nested(archive.zip.read(*entry, checksum)), checksum));
    });
}

inline Weights read_pt2_weights(const Archive& archive, const WeightsOptions& options) {
    Weights weights;
    if (archive.kind == Archive::Kind::FlatPt2) {
        // Before 2.5 the same bytes were called `.json`.
        for (const char* name : {"serialized_state_dict.pt", "serialized_state_dict.json", "serialized_constants.pt",
                                 "serialized_constants.json"})
            add_nested(archive, name, options, weights);
        return weights;
    }
    const std::string model = select_model(archive, options.model);
    for (const std::string kind : {"weights", "constants"}) {
        const std::string folder = "data/" + kind + "/";
        const std::string config = model + "_" + kind + "_config.json";
        if (archive.find(folder + config))
            Pt2ConfigReader(archive, folder, options, weights).read(config);
        else
            add_nested(archive, folder + model + ".pt", options, weights);
    }
    return weights;
}

}  // namespace torch_ir::detail
