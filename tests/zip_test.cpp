// SPDX-License-Identifier: MIT
#include "torch_ir/zip.hpp"

#include <doctest/doctest.h>

#include "support/bytes.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

std::string overwritten(std::string text, std::size_t at, const std::string& bytes) {
    return text.replace(at, bytes.size(), bytes);
}

// raw deflate of 100 times 'a'
const std::string deflated_as("\x4b\x4c\xa4\x3d\x00\x00", 6);

TestEntry deflated(std::uint64_t size, std::string data = deflated_as) {
    TestEntry entry{.name = "d", .data = std::move(data)};
    entry.method = entry.local_method = 8;
    entry.size = size;
    entry.crc = crc32(as_bytes(std::string(size, 'a')));
    return entry;
}

}  // namespace

TEST_SUITE("zip") {
    TEST_CASE("crc32 has the values of the published test vectors") {
        CHECK(crc32(as_bytes("")) == 0);
        CHECK(crc32(as_bytes("123456789")) == 0xcbf43926);
        CHECK(crc32(as_bytes("The quick brown fox jumps over the lazy dog")) == 0x414fa339);
    }

    TEST_CASE("entries are found by name and read in place") {
        for (const bool zip64 : {false, true}) {
            const auto owner = std::make_shared<const std::string>(make_archive(TestArchive{
                {{.name = "m/b", .data = "hello"}, {.name = "m/a", .data = ""}}, "", "a comment", zip64, 0}));
            const ZipArchive zip(as_bytes(*owner), owner);
            REQUIRE(zip.entries().size() == 2);
            CHECK(zip.entries()[0].name == "m/b");
            CHECK(zip.entries()[0].size == 5);
            const ZipEntry* entry = zip.find("m/b");
            REQUIRE(entry);
            CHECK(zip.read(*entry).text() == "hello");
            CHECK(static_cast<const void*>(zip.read(*entry).bytes.data()) == owner->data() + entry->data_offset);
            CHECK(zip.read(*zip.find("m/a")).bytes.empty());
            CHECK(zip.find("m/c") == nullptr);
            CHECK(zip.damaged_entries().empty());
        }
        CHECK(open_zip(make_zip(std::vector<TestEntry>{})).entries().empty());
    }

    TEST_CASE("the contents stay alive with the data") {
        ZipData data;
        {
            const ZipArchive zip = open_zip(make_zip({{.name = "a", .data = "hello"}}));
            data = zip.read(*zip.find("a"));
        }
        CHECK(data.text() == "hello");
    }

    TEST_CASE("a wrong checksum is an error unless skipped") {
        const ZipArchive zip = open_zip(make_zip({{.name = "a", .data = "x"}, {.name = "b", .data = "y", .crc = 1}}));
        CHECK_THROWS_WITH_AS(zip.read(*zip.find("b")), "entry 'b' is damaged: its checksum differs", ParseError);
        CHECK(zip.read(*zip.find("b"), Checksum::Skip).text() == "y");
        CHECK(zip.damaged_entries() == std::vector<std::string>{"b"});
    }

    TEST_CASE("what PyTorch writes is read") {
        const ZipArchive zip = ZipArchive::open(map_file("tests/data/weights/state_dict.pt"));
        CHECK(zip.damaged_entries().empty());
        CHECK(zip.read(*zip.find("state_dict/byteorder")).text() == "little");
        CHECK(zip.find("state_dict/data/0")->data_offset % 64 == 0);
    }

#ifdef TORCH_IR_ZLIB
    TEST_CASE("deflated entries are inflated to the size in the directory") {
        const ZipArchive zip = open_zip(make_zip({deflated(100)}));
        CHECK(zip.read(zip.entries()[0]).text() == std::string(100, 'a'));
        for (const std::uint64_t size : {99, 101}) {
            const ZipArchive wrong = open_zip(make_zip({deflated(size)}));
            CHECK_THROWS_WITH_AS(
                wrong.read(wrong.entries()[0]),
                ("entry 'd' does not inflate to the " + std::to_string(size) + " bytes that the directory says")
                    .c_str(),
                ParseError);
        }
        const ZipArchive garbage = open_zip(make_zip({deflated(100, "garbage")}));
        CHECK_THROWS_WITH_AS(garbage.read(garbage.entries()[0]),
                             "entry 'd' does not inflate to the 100 bytes that the directory says", ParseError);
    }
#else
    TEST_CASE("a build without zlib says what to do about deflated entries") {
        const ZipArchive zip = open_zip(make_zip({deflated(100)}));
        CHECK_THROWS_WITH_AS(
            zip.read(zip.entries()[0]),
            "entry 'd' is deflated, which this build cannot read; build with zlib or store it uncompressed",
            UnsupportedError);
    }
#endif

    TEST_CASE("bombs are refused before anything is allocated") {
        TestEntry bomb = deflated(100);
        bomb.size = 4'000'000'000;
        CHECK_THROWS_WITH_AS(open_zip(make_zip({bomb})), "entry 'd' claims to inflate from 6 to 4000000000 bytes",
                             ParseError);
        const std::string bytes = make_zip({deflated(100)});
        CHECK_THROWS_WITH_AS(ZipArchive(as_bytes(bytes), nullptr, 99),
                             "the deflated entries are larger than 99 bytes together; store them uncompressed",
                             UnsupportedError);
    }

    TEST_CASE("truncated files and other files are not archives") {
        const std::string bytes = make_zip({{.name = "a", .data = "hello"}});
        const char* message = "not a zip archive, or truncated: no end of central directory record";
        for (const std::size_t size : {std::size_t{0}, std::size_t{21}, bytes.size() - 1})
            CHECK_THROWS_WITH_AS(open_zip(bytes.substr(0, size)), message, ParseError);
        CHECK_THROWS_WITH_AS(open_zip(std::string(70'000, 'x')), message, ParseError);
        CHECK_THROWS_WITH_AS(open_zip(bytes + "garbage"), message, ParseError);
    }

    TEST_CASE("bytes in front of the archive are refused") {
        const std::vector<TestEntry> entries{{.name = "a", .data = "hello"}};
        CHECK_THROWS_WITH_AS(open_zip("front" + make_zip(entries)),
                             "the central directory does not end at its end record (bytes in front of the archive, "
                             "or a damaged record)",
                             ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_archive(TestArchive{entries, "front", "", false, 0})),
                             "there are bytes in front of the first entry", ParseError);
    }

    TEST_CASE("end records must agree with the directory and with each other") {
        const std::vector<TestEntry> entries{{.name = "a", .data = "hello"}};
        CHECK_THROWS_WITH_AS(open_zip(make_archive(TestArchive{entries, "", "", false, -1})),
                             "the central directory holds 1 entries, expected 0", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_archive(TestArchive{entries, "", "", false, 1})),
                             "the central directory is too short for 2 entries", ParseError);
        const std::string wide = make_archive(TestArchive{entries, "", "", true, 0});
        CHECK_THROWS_WITH_AS(open_zip(overwritten(wide, wide.size() - 6, u32(3))),
                             "the two end of central directory records contradict each other", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(overwritten(wide, wide.size() - 22 - 12, u64(~std::uint64_t{0}))),
                             "the ZIP64 end of central directory record is not where its locator says", ParseError);
        // fake ZIP64 offset near 2^64, escaped in the narrow record
        std::string fake = overwritten(wide, wide.size() - 6, u32(0xffffffff));
        fake = overwritten(fake, fake.size() - 22 - 20 - 8, u64(~std::uint64_t{0} - 8));
        CHECK_THROWS_WITH_AS(open_zip(fake),
                             "the central directory does not end at its end record (bytes in front of the archive, "
                             "or a damaged record)",
                             ParseError);
        CHECK_THROWS_WITH_AS(open_zip(overwritten(wide, wide.size() - 18, u16(1))),
                             "the zip archive spans several disks", UnsupportedError);
    }

    TEST_CASE("entries that contradict their local header are refused") {
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x", .local_name = "b"}})),
                             "entry 'a' has another name in its local header", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x", .local_method = 8}})),
                             "entry 'a' has another compression method in its local header", ParseError);
        CHECK_THROWS_WITH_AS(
            open_zip(make_zip({{.name = "a", .data = "x"}, {.name = "b", .data = "x", .offset_change = 1}})),
            "entry 'b' has no local header at offset 33", ParseError);
    }

    TEST_CASE("entries must lie inside the data, apart from one another") {
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "xy", .size = 3, .compressed_size = 3}})),
                             "entry 'a' reaches beyond the end of the data: 3 bytes at offset 31 of 33", ParseError);
        CHECK_THROWS_WITH_AS(
            open_zip(make_zip({{.name = "a", .data = "x"}, {.name = "b", .data = "x", .offset_change = -32}})),
            "entry 'b' overlaps another one", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x", .size = 2, .compressed_size = 2},
                                                {.name = "b", .data = ""}})),
                             "entry 'b' overlaps another one", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "xy", .size = 1}})),
                             "entry 'a' is stored, but its two sizes differ: 2 and 1", ParseError);
    }

    TEST_CASE("names must be unique text") {
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x"}, {.name = "a", .data = "y"}})),
                             "two entries are called 'a'", ParseError);
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "\xff", .data = ""}})),
                             "entry 0 has a name that is not UTF-8 text", ParseError);
    }

    TEST_CASE("encryption and exotic methods are named") {
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x", .flags = 1}})), "entry 'a' is encrypted",
                             UnsupportedError);
        CHECK_THROWS_WITH_AS(open_zip(make_zip({{.name = "a", .data = "x", .method = 12}})),
                             "entry 'a' has compression method 12, expected 0 (stored) or 8 (deflated)",
                             UnsupportedError);
    }

    TEST_CASE("no single damaged byte crashes the reader") {
        const std::string bytes =
            make_archive(TestArchive{{{.name = "a", .data = "hello"}, deflated(100)}, "", "c", true, 0});
        for (std::size_t i = 0; i < bytes.size(); ++i)
            for (const int value : {0, 1, 0x7f, 0xff}) {
                try {
                    open_zip(overwritten(bytes, i, std::string(1, static_cast<char>(value)))).damaged_entries();
                } catch (const Error&) {
                }
            }
    }
}
