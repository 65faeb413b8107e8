// SPDX-License-Identifier: MIT
// Bodies of zip.hpp; the record layouts are those of PKWARE's APPNOTE.TXT 6.3.
#pragma once

#include <algorithm>
#include <array>
#include <numeric>

#ifdef TORCH_IR_ZLIB
#include <zlib.h>
#endif

#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/text.hpp"
#include "torch_ir/zip.hpp"

namespace torch_ir {

namespace detail {

inline constexpr std::uint32_t local_signature = 0x04034b50;
inline constexpr std::uint32_t central_signature = 0x02014b50;
inline constexpr std::uint32_t end_signature = 0x06054b50;
inline constexpr std::uint32_t zip64_end_signature = 0x06064b50;
inline constexpr std::uint32_t zip64_locator_signature = 0x07064b50;

/// table[k][b]: the remainder of byte b followed by k zero bytes, for eight bytes a step.
consteval std::array<std::array<std::uint32_t, 256>, 8> make_crc_table() {
    std::array<std::array<std::uint32_t, 256>, 8> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320U : 0U);
        table[0][byte] = crc;
    }
    for (std::size_t byte = 0; byte < 256; ++byte)
        for (std::size_t k = 1; k < 8; ++k)
            table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xff];
    return table;
}

inline constexpr auto crc_table = make_crc_table();

/// The fields of a ZIP64 extra block: present only for the 32-bit fields that are all ones, in this order.
inline void apply_zip64_extra(Bytes extra, ZipEntry& entry, std::uint64_t& header_offset) {
    constexpr std::uint32_t escaped = 0xffffffff;
    const bool wanted = entry.size == escaped || entry.compressed_size == escaped || header_offset == escaped;
    for (std::size_t at = 0; wanted && extra.size() - at >= 4;) {
        const auto id = load<std::uint16_t>(extra, at);
        const std::size_t size = load<std::uint16_t>(extra, at + 2);
        if (!fits(at + 4, size, extra.size())) break;
        if (id == 1) {
            Bytes fields = extra.subspan(at + 4, size);
            for (std::uint64_t* field : {&entry.size, &entry.compressed_size, &header_offset}) {
                if (*field != escaped) continue;
                if (fields.size() < 8) throw ParseError("entry '" + entry.name + "' has a short ZIP64 field");
                *field = load<std::uint64_t>(fields, 0);
                fields = fields.subspan(8);
            }
            return;
        }
        at += 4 + size;
    }
}

}  // namespace detail

TORCH_IR_INLINE std::uint32_t crc32(std::span<const std::byte> bytes) {
    const auto& table = detail::crc_table;
    std::uint32_t crc = 0xffffffff;
    std::size_t at = 0;
    for (; bytes.size() - at >= 8; at += 8) {
        const std::uint32_t low = detail::load<std::uint32_t>(bytes, at) ^ crc;
        const auto high = detail::load<std::uint32_t>(bytes, at + 4);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
              table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; at < bytes.size(); ++at)
        crc = (crc >> 8) ^ table[0][(crc ^ std::to_integer<std::uint32_t>(bytes[at])) & 0xff];
    return ~crc;
}

TORCH_IR_INLINE bool looks_like_zip(std::span<const std::byte> bytes) {
    if (bytes.size() < 4) return false;
    const auto signature = detail::load<std::uint32_t>(bytes, 0);
    return signature == detail::local_signature || signature == detail::end_signature;
}

/// Where the central directory lies; it ends where the first end record starts.
struct ZipArchive::Directory {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t count = 0;
};

TORCH_IR_INLINE ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                       std::uint64_t max_inflated)
    : bytes_(bytes), owner_(std::move(owner)) {
    read_directory(find_directory());
    std::uint64_t inflated = 0;
    for (const ZipEntry& entry : entries_) {
        if (!entry.deflated) continue;
        // Deflate cannot do better than 1032 to 1, so a larger claim is a lie that would only cost memory.
        if (entry.size / 1032 > entry.compressed_size)
            throw ParseError("entry '" + entry.name + "' claims to inflate from " +
                             std::to_string(entry.compressed_size) + " to " + std::to_string(entry.size) + " bytes");
        if (entry.size > max_inflated - inflated)
            throw UnsupportedError("the deflated entries are larger than " + std::to_string(max_inflated) +
                                   " bytes together; store them uncompressed");
        inflated += entry.size;
    }
}

TORCH_IR_INLINE ZipArchive::Directory ZipArchive::find_directory() const {
    using detail::load;
    constexpr std::size_t end_size = 22, locator_size = 20, zip64_end_size = 56, max_comment = 0xffff;
    std::size_t end = bytes_.size();
    const std::size_t lowest = end > end_size + max_comment ? end - end_size - max_comment : 0;
    const auto is_end = [&](std::size_t at) {
        return load<std::uint32_t>(bytes_, at) == detail::end_signature &&
               at + end_size + load<std::uint16_t>(bytes_, at + 20) == bytes_.size();
    };
    if (end < end_size) throw ParseError("not a zip archive, or truncated: no end of central directory record");
    for (end -= end_size; !is_end(end); --end)
        if (end == lowest) throw ParseError("not a zip archive, or truncated: no end of central directory record");

    if (load<std::uint16_t>(bytes_, end + 4) != 0 || load<std::uint16_t>(bytes_, end + 6) != 0)
        throw UnsupportedError("the zip archive spans several disks");
    Directory directory{load<std::uint32_t>(bytes_, end + 16), load<std::uint32_t>(bytes_, end + 12),
                        load<std::uint16_t>(bytes_, end + 10)};
    if (end >= locator_size && load<std::uint32_t>(bytes_, end - locator_size) == detail::zip64_locator_signature) {
        const auto zip64_end = load<std::uint64_t>(bytes_, end - locator_size + 8);
        if (!detail::fits(zip64_end, zip64_end_size, end - locator_size) ||
            load<std::uint32_t>(bytes_, zip64_end) != detail::zip64_end_signature ||
            load<std::uint64_t>(bytes_, zip64_end + 4) != end - locator_size - zip64_end - 12)
            throw ParseError("the ZIP64 end of central directory record is not where its locator says");
        const Directory wide{load<std::uint64_t>(bytes_, zip64_end + 48), load<std::uint64_t>(bytes_, zip64_end + 40),
                             load<std::uint64_t>(bytes_, zip64_end + 32)};
        const auto agree = [](std::uint64_t narrow, std::uint64_t value, std::uint64_t escaped) {
            return narrow == value || narrow == escaped;
        };
        if (!agree(directory.offset, wide.offset, 0xffffffff) || !agree(directory.size, wide.size, 0xffffffff) ||
            !agree(directory.count, wide.count, 0xffff))
            throw ParseError("the two end of central directory records contradict each other");
        directory = wide;
        end = zip64_end;
    }
    if (!detail::fits(directory.offset, directory.size, end) || directory.offset + directory.size != end)
        throw ParseError(
            "the central directory does not end at its end record (bytes in front of the archive, "
            "or a damaged record)");
    return directory;
}

TORCH_IR_INLINE void ZipArchive::read_directory(const Directory& directory) {
    using detail::load;
    constexpr std::size_t header_size = 46;
    detail::Bytes rest = bytes_.subspan(directory.offset, directory.size);
    if (directory.count > directory.size / header_size)
        throw ParseError("the central directory is too short for " + std::to_string(directory.count) + " entries");
    entries_.reserve(directory.count);
    std::vector<std::uint64_t> header_offsets;
    header_offsets.reserve(directory.count);
    while (!rest.empty()) {
        if (rest.size() < header_size || load<std::uint32_t>(rest, 0) != detail::central_signature)
            throw ParseError("the central directory is malformed after " + std::to_string(entries_.size()) +
                             " entries");
        const std::size_t name_size = load<std::uint16_t>(rest, 28);
        const std::size_t extra_size = load<std::uint16_t>(rest, 30);
        const std::size_t total = header_size + name_size + extra_size + load<std::uint16_t>(rest, 32);
        if (total > rest.size()) throw ParseError("the central directory is truncated");

        ZipEntry entry;
        entry.name = detail::as_text(rest.subspan(header_size, name_size));
        if (!is_utf8(entry.name) || entry.name.find('\0') != std::string::npos)
            throw ParseError("entry " + std::to_string(entries_.size()) + " has a name that is not UTF-8 text");
        constexpr std::uint16_t encrypted = 1 << 0 | 1 << 6 | 1 << 13;
        if (load<std::uint16_t>(rest, 8) & encrypted) throw UnsupportedError("entry '" + entry.name + "' is encrypted");
        const auto method = load<std::uint16_t>(rest, 10);
        if (method != 0 && method != 8)
            throw UnsupportedError("entry '" + entry.name + "' has compression method " + std::to_string(method) +
                                   ", expected 0 (stored) or 8 (deflated)");
        entry.deflated = method == 8;
        entry.crc32 = load<std::uint32_t>(rest, 16);
        entry.compressed_size = load<std::uint32_t>(rest, 20);
        entry.size = load<std::uint32_t>(rest, 24);
        std::uint64_t header_offset = load<std::uint32_t>(rest, 42);
        detail::apply_zip64_extra(rest.subspan(header_size + name_size, extra_size), entry, header_offset);
        if (!entry.deflated && entry.size != entry.compressed_size)
            throw ParseError("entry '" + entry.name + "' is stored, but its two sizes differ: " +
                             std::to_string(entry.compressed_size) + " and " + std::to_string(entry.size));
        entries_.push_back(std::move(entry));
        header_offsets.push_back(header_offset);
        rest = rest.subspan(total);
    }
    if (entries_.size() != directory.count)
        throw ParseError("the central directory holds " + std::to_string(entries_.size()) + " entries, expected " +
                         std::to_string(directory.count));

    by_name_.resize(entries_.size());
    std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
    std::ranges::sort(by_name_, {}, [&](std::size_t i) -> const std::string& { return entries_[i].name; });
    for (std::size_t i = 1; i < by_name_.size(); ++i)
        if (entries_[by_name_[i - 1]].name == entries_[by_name_[i]].name)
            throw ParseError("two entries are called '" + entries_[by_name_[i]].name + "'");
    locate_data(directory, std::move(header_offsets));
}

TORCH_IR_INLINE void ZipArchive::locate_data(const Directory& directory, std::vector<std::uint64_t> header_offsets) {
    using detail::load;
    constexpr std::size_t header_size = 30;
    std::vector<std::size_t> order(entries_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return header_offsets[i]; });
    std::uint64_t end = 0;  // of the entry before
    for (const std::size_t i : order) {
        ZipEntry& entry = entries_[i];
        const std::uint64_t offset = header_offsets[i];
        if (offset < end) throw ParseError("entry '" + entry.name + "' overlaps another one");
        if (end == 0 && offset != 0) throw ParseError("there are bytes in front of the first entry");
        if (!detail::fits(offset, header_size, directory.offset) ||
            load<std::uint32_t>(bytes_, offset) != detail::local_signature)
            throw ParseError("entry '" + entry.name + "' has no local header at offset " + std::to_string(offset));
        const std::size_t name_size = load<std::uint16_t>(bytes_, offset + 26);
        entry.data_offset = offset + header_size + name_size + load<std::uint16_t>(bytes_, offset + 28);
        if (!detail::fits(entry.data_offset, entry.compressed_size, directory.offset))
            throw ParseError("entry '" + entry.name + "' reaches beyond the end of the data: " +
                             std::to_string(entry.compressed_size) + " bytes at offset " +
                             std::to_string(entry.data_offset) + " of " + std::to_string(directory.offset));
        // Sizes and checksum of the local header are zero in streamed archives (PyTorch's are); only these must agree.
        if (detail::as_text(bytes_.subspan(offset + header_size, name_size)) != entry.name)
            throw ParseError("entry '" + entry.name + "' has another name in its local header");
        if (load<std::uint16_t>(bytes_, offset + 8) != (entry.deflated ? 8 : 0))
            throw ParseError("entry '" + entry.name + "' has another compression method in its local header");
        end = entry.data_offset + entry.compressed_size;
    }
}

TORCH_IR_INLINE const ZipEntry* ZipArchive::find(std::string_view name) const {
    const auto name_of = [&](std::size_t i) -> std::string_view { return entries_[i].name; };
    const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
    return found != by_name_.end() && name_of(*found) == name ? &entries_[*found] : nullptr;
}

TORCH_IR_INLINE ZipData ZipArchive::read(const ZipEntry& entry, Checksum checksum) const {
    ZipData data = entry.deflated ? inflate(entry) : ZipData{bytes_.subspan(entry.data_offset, entry.size), owner_};
    if (checksum == Checksum::Verify && crc32(data.bytes) != entry.crc32)
        throw ParseError("entry '" + entry.name + "' is damaged: its checksum differs");
    return data;
}

TORCH_IR_INLINE std::vector<std::string> ZipArchive::damaged_entries() const {
    std::vector<std::string> names;
    for (const ZipEntry& entry : entries_) {
        try {
            read(entry);
        } catch (const ParseError&) {
            names.push_back(entry.name);
        }
    }
    return names;
}

#ifdef TORCH_IR_ZLIB
TORCH_IR_INLINE ZipData ZipArchive::inflate(const ZipEntry& entry) const {
    const auto contents = std::make_shared<std::vector<std::byte>>(entry.size);
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error("zlib cannot be initialised");
    const struct End {
        z_stream* stream;
        ~End() { ::inflateEnd(stream); }
    } end_at_exit{&stream};

    // zlib counts in 32 bits, so both sides are handed over in pieces; one byte too much shows an entry that is longer.
    std::byte surplus{};
    constexpr std::uint64_t piece = 1 << 30;
    std::uint64_t in = 0, out = 0;
    int status = Z_OK;
    while (status == Z_OK) {
        const std::uint64_t in_size = std::min(entry.compressed_size - in, piece);
        const std::uint64_t out_size = out < entry.size ? std::min(entry.size - out, piece) : 1;
        std::byte* target = out < entry.size ? contents->data() + out : &surplus;
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes_.data() + entry.data_offset + in));
        stream.avail_in = static_cast<uInt>(in_size);
        stream.next_out = reinterpret_cast<Bytef*>(target);
        stream.avail_out = static_cast<uInt>(out_size);
        status = ::inflate(&stream, Z_NO_FLUSH);
        in += in_size - stream.avail_in;
        out += out_size - stream.avail_out;
        if (out > entry.size) break;
    }
    if (status != Z_STREAM_END || out != entry.size || in != entry.compressed_size)
        throw ParseError("entry '" + entry.name + "' does not inflate to the " + std::to_string(entry.size) +
                         " bytes that the directory says");
    return {*contents, contents};
}
#else
TORCH_IR_INLINE ZipData ZipArchive::inflate(const ZipEntry& entry) const {
    throw UnsupportedError("entry '" + entry.name + "' is deflated, which this build cannot read; build with zlib or " +
                           "store it uncompressed");
}
#endif

}  // namespace torch_ir
