// SPDX-License-Identifier: MIT
// Bodies of safetensors.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <tuple>

#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/json_stream.hpp"
#include "torch_ir/impl/make_view.hpp"
#include "torch_ir/safetensors.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir {

namespace detail {

/// In the order of the reference implementation's enum, by which its writer sorts.
inline constexpr std::array<std::pair<std::string_view, DType>, 20> safetensors_dtypes{{
    {"BOOL", DType::Bool},
    {"F4", DType::Float4E2M1FNx2},
    {"U8", DType::UInt8},
    {"I8", DType::Int8},
    {"F8_E5M2", DType::Float8E5M2},
    {"F8_E4M3", DType::Float8E4M3FN},
    {"F8_E8M0", DType::Float8E8M0FNU},
    {"F8_E4M3FNUZ", DType::Float8E4M3FNUZ},
    {"F8_E5M2FNUZ", DType::Float8E5M2FNUZ},
    {"I16", DType::Int16},
    {"U16", DType::UInt16},
    {"F16", DType::Float16},
    {"BF16", DType::BFloat16},
    {"I32", DType::Int32},
    {"U32", DType::UInt32},
    {"F32", DType::Float32},
    {"C64", DType::Complex64},
    {"F64", DType::Float64},
    {"I64", DType::Int64},
    {"U64", DType::UInt64},
}};

/// Place in the table, or its size for a dtype that the format lacks.
inline std::size_t safetensors_rank(DType dtype) {
    return static_cast<std::size_t>(
        std::ranges::find(safetensors_dtypes, dtype, &std::pair<std::string_view, DType>::second) -
        safetensors_dtypes.begin());
}

inline DType parse_safetensors_dtype(const std::string& text) {
    for (const auto& [name, dtype] : safetensors_dtypes)
        if (name == text) return dtype;
    if (text == "F6_E2M3" || text == "F6_E3M2")
        throw UnsupportedError("dtype '" + text + "' has no PyTorch counterpart");
    throw ParseError("unknown dtype '" + text + "'");
}

/// The beginning of a value, for messages.
inline std::string excerpt(const Json& value) {
    constexpr std::size_t max_length = 60;
    const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
    return text.size() <= max_length ? text : text.substr(0, max_length) + "...";
}

inline const Json& safetensors_field(const Json& entry, const char* key) {
    const auto found = entry.find(key);
    if (found == entry.end()) throw ParseError("'" + std::string(key) + "' is missing");
    return *found;
}

inline std::vector<std::int64_t> safetensors_sizes(const Json& entry, const char* key) {
    const Json& list = safetensors_field(entry, key);
    const auto is_size = [](const Json& value) { return value.is_number_integer() && value.get<std::int64_t>() >= 0; };
    if (!list.is_array() || !std::ranges::all_of(list, is_size))
        throw ParseError("'" + std::string(key) + "' must be a list of non-negative integers, found " + excerpt(list));
    return list.get<std::vector<std::int64_t>>();
}

/// PyTorch stores two 4-bit values in one element, so its last dimension is half as long.
inline void pack_pairs(std::vector<std::int64_t>& shape) {
    if (shape.empty() || shape.back() % 2 != 0)
        throw UnsupportedError("F4 with shape " + format_shape(shape) +
                               " does not fill whole bytes in its last dimension");
    shape.back() /= 2;
}

/// A tensor of the header with its place in the data.
struct SafetensorsRange {
    std::int64_t begin;
    std::int64_t end;
    std::string name;
};

class SafetensorsReader {
  public:
    SafetensorsReader(Bytes data, std::shared_ptr<const void> owner) : data_(data), owner_(std::move(owner)) {}

    void add(const std::string& name, const Json& value) {
        if (name == "__metadata__")
            add_metadata(value);
        else
            with_context([&] { return "tensor '" + name + "'"; }, [&] { add_tensor(name, value); });
    }

    /// The tensors must cover the data without holes or overlaps.
    Safetensors finish() {
        std::ranges::sort(
            ranges_, [](const auto& a, const auto& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
        std::int64_t covered = 0;
        for (const SafetensorsRange& range : ranges_) {
            if (range.begin != covered)
                throw ParseError("tensor '" + range.name + "' begins at byte " + std::to_string(range.begin) +
                                 " of the data, expected " + std::to_string(covered) +
                                 (range.begin < covered ? " (overlap)" : " (hole)"));
            covered = range.end;
        }
        if (static_cast<std::uint64_t>(covered) != data_.size())
            throw ParseError("the tensors cover " + std::to_string(covered) + " bytes, but the file holds " +
                             std::to_string(data_.size()) + " bytes of data");
        return std::move(result_);
    }

  private:
    void add_metadata(const Json& value) {
        if (value.is_null()) return;
        if (!value.is_object()) throw ParseError("'__metadata__' must be an object");
        for (const auto& [key, text] : value.items()) {
            if (!text.is_string())
                throw ParseError("'__metadata__' key '" + key + "' must be a string, found " + excerpt(text));
            result_.metadata.emplace(key, text.get<std::string>());
        }
    }

    void add_tensor(const std::string& name, const Json& entry) {
        if (!entry.is_object()) throw ParseError("expected an object");
        const Json& dtype_name = safetensors_field(entry, "dtype");
        if (!dtype_name.is_string()) throw ParseError("'dtype' must be a string, found " + excerpt(dtype_name));
        const DType dtype = parse_safetensors_dtype(dtype_name.get<std::string>());
        auto shape = safetensors_sizes(entry, "shape");
        if (dtype == DType::Float4E2M1FNx2) pack_pairs(shape);
        const auto offsets = safetensors_sizes(entry, "data_offsets");
        if (offsets.size() != 2)
            throw ParseError("'data_offsets' must hold two integers, found " + format_shape(offsets));
        const auto [begin, end] = std::pair(offsets[0], offsets[1]);
        if (end < begin) throw ParseError("'data_offsets' " + format_shape(offsets) + " end before they begin");
        const std::int64_t size = checked_byte_size(dtype, shape);
        if (end - begin != size)
            throw ParseError("'data_offsets' " + format_shape(offsets) + " span " + std::to_string(end - begin) +
                             " bytes, but shape " + format_shape(shape) + " of " + std::string(torch_ir::name(dtype)) +
                             " needs " + std::to_string(size));
        if (static_cast<std::uint64_t>(end) > data_.size())
            throw ParseError("ends at byte " + std::to_string(end) + " of the data, but the file holds only " +
                             std::to_string(data_.size()));
        const Bytes bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
        result_.tensors.insert(name, make_contiguous_view(dtype, std::move(shape), bytes, owner_));
        ranges_.push_back({begin, end, name});
    }

    Bytes data_;
    std::shared_ptr<const void> owner_;
    std::vector<SafetensorsRange> ranges_;
    Safetensors result_;
};

}  // namespace detail

TORCH_IR_INLINE Safetensors read_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
    constexpr std::uint64_t max_header = 100'000'000;  // the reference reader's limit
    if (bytes.size() < 8)
        throw ParseError("not a safetensors file: " + std::to_string(bytes.size()) + " bytes, expected at least 8");
    const auto header_size = detail::load<std::uint64_t>(bytes, 0);
    if (header_size > max_header)
        throw ParseError("the header claims " + std::to_string(header_size) + " bytes, more than " +
                         std::to_string(max_header) + " are not accepted");
    if (!detail::fits(8, header_size, bytes.size()))
        throw ParseError("the header claims " + std::to_string(header_size) + " bytes, but only " +
                         std::to_string(bytes.size() - 8) + " follow");
    const std::string_view header = detail::as_text(bytes.subspan(8, header_size));
    // The JSON parser would take a NUL for the end of the text, and skip a byte order mark.
    if (header.find('\0') != std::string_view::npos) throw ParseError("the header contains a NUL byte");
    if (header.starts_with("\xef\xbb\xbf")) throw ParseError("the header starts with a byte order mark");

    detail::SafetensorsReader reader(bytes.subspan(8 + header_size), std::move(owner));
    with_context("header", [&] {
        const detail::Json root = detail::parse_json(header, 128);
        if (!root.is_object()) throw ParseError("expected a JSON object");
        for (const auto& [name, value] : root.items()) reader.add(name, value);
    });
    return reader.finish();
}

TORCH_IR_INLINE Safetensors read_safetensors(const std::filesystem::path& path) {
    const auto file = map_file(path);
    return with_context(path.string(), [&] { return read_safetensors(file->bytes(), file); });
}

TORCH_IR_INLINE SafetensorsTensor::SafetensorsTensor(const TensorView& view) : dtype(view.dtype), shape(view.shape) {
    if (const auto dense = view.dense_bytes()) {
        bytes = *dense;
        owner = view.owner;
    } else {
        const auto copy = std::make_shared<const std::vector<std::byte>>(view.to_bytes());
        bytes = *copy;
        owner = copy;
    }
}

TORCH_IR_INLINE bool safetensors_has(DType dtype) {
    return detail::safetensors_rank(dtype) < detail::safetensors_dtypes.size();
}

TORCH_IR_INLINE void write_safetensors(const std::filesystem::path& path, NamedSafetensors tensors,
                                       const SafetensorsMetadata& metadata) {
    std::ranges::sort(tensors, [](const auto& a, const auto& b) {
        const std::size_t rank_a = detail::safetensors_rank(a.second.dtype);
        const std::size_t rank_b = detail::safetensors_rank(b.second.dtype);
        return rank_a != rank_b ? rank_a > rank_b : a.first < b.first;
    });
    const auto quote = [](const std::string& text) { return detail::Json(text).dump(); };
    std::string header = "{";
    const auto add_key = [&](const std::string& key) { header += (header.size() > 1 ? "," : "") + quote(key) + ":"; };
    for (const auto& [key, text] : metadata)
        if (!is_utf8(key) || !is_utf8(text)) throw ArgumentError("metadata '" + key + "' is not UTF-8 text");
    if (!metadata.empty()) {
        add_key("__metadata__");
        header += detail::Json(metadata).dump();
    }
    std::int64_t offset = 0;
    std::set<std::string_view> names;
    for (const auto& [name, tensor] : tensors) {
        with_context("tensor '" + name + "'", [&, &name = name, &tensor = tensor] {
            if (!names.insert(name).second) throw ArgumentError("given twice");
            if (name == "__metadata__" || !is_utf8(name)) throw ArgumentError("not a name that safetensors can hold");
            if (!safetensors_has(tensor.dtype))
                throw UnsupportedError("safetensors has no dtype for " + std::string(torch_ir::name(tensor.dtype)));
            const std::int64_t size = detail::checked_byte_size(tensor.dtype, tensor.shape);
            if (static_cast<std::uint64_t>(size) != tensor.bytes.size())
                throw ArgumentError("shape " + detail::format_shape(tensor.shape) + " of " +
                                    std::string(torch_ir::name(tensor.dtype)) + " needs " + std::to_string(size) +
                                    " bytes, found " + std::to_string(tensor.bytes.size()));
            auto shape = tensor.shape;
            if (tensor.dtype == DType::Float4E2M1FNx2) {
                if (shape.empty()) throw UnsupportedError("safetensors cannot hold a 0-d pair of 4-bit values");
                shape.back() *= 2;
            }
            add_key(name);
            header += R"({"dtype":")";
            header += detail::safetensors_dtypes[detail::safetensors_rank(tensor.dtype)].first;
            header += R"(","shape":)" + detail::Json(shape).dump();
            header += R"(,"data_offsets":[)" + std::to_string(offset) + "," + std::to_string(offset + size) + "]}";
            offset += size;
        });
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');

    FileWriter writer(path);
    const std::uint64_t header_size = header.size();
    writer.write(std::as_bytes(std::span(&header_size, 1)));
    writer.write(header);
    for (const auto& [name, tensor] : tensors) writer.write(tensor.bytes);
    writer.commit();
}

}  // namespace torch_ir
