// SPDX-License-Identifier: MIT
#include "torch_ir/safetensors.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/bytes.hpp"
#include "support/files.hpp"
#include "torch_ir/weights.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

Safetensors read_header(const std::string& header, std::size_t data_size, std::uint64_t header_size) {
    const auto owner = std::make_shared<const std::string>(u64(header_size) + header + std::string(data_size, '\1'));
    return read_safetensors(as_bytes(*owner), owner);
}

Safetensors read_header(const std::string& header, std::size_t data_size = 0) {
    return read_header(header, data_size, header.size());
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

std::string one_entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"a":)" + entry(dtype, shape, offsets) + "}";
}

std::string header_error(const std::string& header, std::size_t data_size = 0) {
    try {
        read_header(header, data_size);
    } catch (const ParseError& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_SUITE("safetensors") {
    TEST_CASE("every dtype of the reference writer is read") {
        const Safetensors file = read_safetensors("tests/data/weights/dtypes.safetensors");
        CHECK(file.metadata == SafetensorsMetadata{{"format", "pt"}});
        CHECK(file.tensors.tensors().size() == 22);
        for (const auto& [name, tensor] : file.tensors.tensors())
            if (const auto dtype = parse_dtype(name)) {
                CHECK(tensor.dtype == dtype);
                CHECK(tensor.numel() == 16 / static_cast<std::int64_t>(item_size(*dtype)));
                CHECK(tensor.to_bytes()[1] == std::byte{1});
            }
        CHECK(file.tensors.find("z\"\xc3\xa9\n")->shape == std::vector<std::int64_t>{2, 3});
        const TensorView& scalar = *file.tensors.find("scalar");
        CHECK(scalar.shape.empty());
        CHECK(std::ranges::equal(scalar.to_bytes(), as_bytes(le(1.0F))));
    }

    TEST_CASE("our writer's bytes are the reference writer's") {
        const char* path = "tests/data/weights/dtypes.safetensors";
        const Safetensors file = read_safetensors(path);
        NamedSafetensors tensors;
        for (const auto& [name, view] : file.tensors.tensors())
            tensors.push_back({name, {view.dtype, view.shape, view.storage}});
        const TemporaryDirectory directory;
        write_safetensors(directory.path() / "copy.safetensors", tensors, file.metadata);
        CHECK(read_text(directory.path() / "copy.safetensors") == read_text(path));
        write_safetensors(directory.path() / "empty.safetensors", {});
        CHECK(read_text(directory.path() / "empty.safetensors") == u64(8) + "{}      ");
    }

    TEST_CASE("views are written as what they show") {
        const Weights weights = open_weights("tests/data/weights/views.pt");
        Weights writable;  // safetensors has no complex128 and the like
        std::size_t strided = 0, in_place = 0;
        for (const auto& [name, view] : weights.tensors()) {
            if (!safetensors_has(view.dtype)) continue;
            writable.insert(name, view);
            const SafetensorsTensor tensor = view;
            CHECK_MESSAGE(std::ranges::equal(tensor.bytes, view.to_bytes()), name);
            if (!view.is_contiguous()) ++strided;
            if (view.is_contiguous() && tensor.bytes.data() >= view.storage.data() &&
                tensor.bytes.data() < view.storage.data() + view.storage.size())
                ++in_place;
        }
        CHECK(strided > 0);
        CHECK(in_place > 0);
        const TemporaryDirectory directory;
        const auto path = directory.path() / "views.safetensors";
        write_safetensors(path, writable, {{"from", "views"}});
        const Safetensors written = read_safetensors(path);
        CHECK(written.metadata.at("from") == "views");
        CHECK(written.tensors.tensors().size() == writable.tensors().size());
        for (const auto& [name, view] : writable.tensors()) {
            CHECK_MESSAGE(written.tensors.find(name)->shape == view.shape, name);
            CHECK_MESSAGE(written.tensors.find(name)->to_bytes() == view.to_bytes(), name);
        }
    }

    TEST_CASE("a transposed view is copied row-major, and the copy outlives the view") {
        const std::string storage = le(1.0F) + le(2.0F) + le(3.0F) + le(4.0F) + le(5.0F) + le(6.0F);
        NamedSafetensors tensors;
        {
            TensorView view;
            view.shape = {3, 2};
            view.strides = {1, 3};
            view.storage = as_bytes(storage);
            tensors.emplace_back("t", view);
        }
        const std::string expected = le(1.0F) + le(4.0F) + le(2.0F) + le(5.0F) + le(3.0F) + le(6.0F);
        CHECK(std::ranges::equal(tensors[0].second.bytes, as_bytes(expected)));
        CHECK(tensors[0].second.shape == std::vector<std::int64_t>{3, 2});
    }

    TEST_CASE("a view made by hand is checked before it is read") {
        const std::string storage(16, '\1');
        TensorView view;
        view.shape = {2, 2};
        view.storage = as_bytes(storage);
        const char* message = "a view of shape [2, 2] needs as many strides, found []";
        CHECK_THROWS_WITH_AS(view.to_bytes(), message, ArgumentError);
        CHECK_THROWS_WITH_AS(view.is_contiguous(), message, ArgumentError);
        CHECK_THROWS_WITH_AS(SafetensorsTensor{view}, message, ArgumentError);
        view.strides = {2, 1};
        CHECK(view.to_bytes() == std::vector<std::byte>(16, std::byte{1}));
        view.storage_offset = 1;
        CHECK_THROWS_WITH_AS(view.to_bytes(),
                             "shape [2, 2] with strides [2, 1] and offset 1 leaves its storage of 4 elements",
                             ArgumentError);
        view.shape = {-1, 2};
        CHECK_THROWS_WITH_AS(view.to_bytes(), "shape [-1, 2] has a negative size", ArgumentError);
    }

    TEST_CASE("what the reference reader accepts is accepted") {
        CHECK(read_header("{}").tensors.tensors().empty());
        CHECK(read_header(" \t\n{} ").tensors.tensors().empty());
        CHECK(read_header(R"({"__metadata__":null})").metadata.empty());
        CHECK(read_header(one_entry("F32", "[0,5]", "[0,0]")).tensors.find("a")->numel() == 0);
        CHECK(read_header(R"({"":)" + entry("U8", "[3]", "[0,3]") + "}", 3).tensors.find(""));
        CHECK(read_header(R"({"a\u0000b":)" + entry("U8", "[3]", "[0,3]") + "}", 3)
                  .tensors.find(std::string_view("a\0b", 3)));
        CHECK(read_header(R"({"a":{"x":1,"data_offsets":[0,1],"shape":[],"dtype":"U8"}})", 1).tensors.find("a"));
        // unaligned, and in another order than in the data
        const auto file =
            read_header(R"({"b":)" + entry("F32", "[1]", "[1,5]") + R"(,"a":)" + entry("U8", "[1]", "[0,1]") + "}", 5);
        CHECK(file.tensors.find("b")->to_bytes() == std::vector<std::byte>(4, std::byte{1}));
    }

    TEST_CASE("headers that do not fit are refused") {
        const std::string bytes = "1234567";
        CHECK_THROWS_WITH_AS(read_safetensors(as_bytes(bytes), nullptr),
                             "not a safetensors file: 7 bytes, expected at least 8", ParseError);
        CHECK_THROWS_WITH_AS(read_header("{}", 0, ~std::uint64_t{0}),
                             "the header claims 18446744073709551615 bytes, more than 100000000 are not accepted",
                             ParseError);
        CHECK_THROWS_WITH_AS(read_header("{}", 0, 3), "the header claims 3 bytes, but only 2 follow", ParseError);
    }

    TEST_CASE("headers that are not plain JSON objects are refused") {
        CHECK(header_error("[]") == "header: expected a JSON object");
        CHECK(header_error(std::string("{}\0", 3)) == "the header contains a NUL byte");
        CHECK(header_error("\xef\xbb\xbf{}") == "the header starts with a byte order mark");
        for (const char* header : {"", "{", "{}x", "{\"a\xff\":1}", R"({"\ud800":1})"})
            CHECK(header_error(header).starts_with("header: malformed JSON at byte "));
        CHECK(header_error(R"({"a":)" + std::string(10'000, '[')).ends_with("nested more than 128 levels deep"));
        CHECK(header_error(R"({"a":)" + entry("U8", "[0]", "[0,0]") + R"(,"a":)" + entry("U8", "[0]", "[0,0]") + "}") ==
              "header: a: key 'a' appears twice");
        CHECK(header_error(R"({"__metadata__":{},"__metadata__":{}})") ==
              "header: __metadata__: key '__metadata__' appears twice");
        CHECK(header_error(R"({"__metadata__":[]})") == "header: '__metadata__' must be an object");
        CHECK(header_error(R"({"__metadata__":{"k":1}})") ==
              "header: '__metadata__' key 'k' must be a string, found 1");
    }

    TEST_CASE("entries of the wrong form are refused") {
        CHECK(header_error(R"({"a":1})") == "header: tensor 'a': expected an object");
        CHECK(header_error(R"({"a":{"shape":[],"data_offsets":[0,1]}})", 1) ==
              "header: tensor 'a': 'dtype' is missing");
        CHECK(header_error(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1) ==
              "header: tensor 'a': 'shape' is missing");
        CHECK(header_error(R"({"a":{"dtype":"U8","shape":[]}})", 1) == "header: tensor 'a': 'data_offsets' is missing");
        CHECK(header_error(R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}})", 1) ==
              "header: tensor 'a': 'dtype' must be a string, found 1");
        CHECK(header_error(one_entry("F31", "[1]", "[0,4]"), 4) == "header: tensor 'a': unknown dtype 'F31'");
        for (const char* shape : {"[-1]", "[1.5]", "[\"1\"]", "3"})
            CHECK(header_error(one_entry("U8", shape, "[0,1]"), 1) ==
                  "header: tensor 'a': 'shape' must be a list of non-negative integers, found " + std::string(shape));
        CHECK(header_error(one_entry("U8", "[18446744073709551616]", "[0,1]"), 1)
                  .ends_with("integer 18446744073709551616 does not fit in 64 bits"));
        CHECK(header_error(one_entry("U8", "[1]", "[0,1,2]"), 1) ==
              "header: tensor 'a': 'data_offsets' must hold two integers, found [0, 1, 2]");
        CHECK_THROWS_WITH_AS(read_header(one_entry("F6_E2M3", "[4]", "[0,3]"), 3),
                             "header: tensor 'a': dtype 'F6_E2M3' has no PyTorch counterpart", UnsupportedError);
        CHECK_THROWS_WITH_AS(read_header(one_entry("F4", "[3]", "[0,2]"), 2),
                             "header: tensor 'a': F4 with shape [3] does not fill whole bytes in its last dimension",
                             UnsupportedError);
    }

    TEST_CASE("sizes must be consistent") {
        CHECK(header_error(one_entry("F32", "[2]", "[4,0]"), 8) ==
              "header: tensor 'a': 'data_offsets' [4, 0] end before they begin");
        CHECK(header_error(one_entry("F32", "[2]", "[0,4]"), 4) ==
              "header: tensor 'a': 'data_offsets' [0, 4] span 4 bytes, but shape [2] of float32 needs 8");
        CHECK(header_error(one_entry("F32", "[2]", "[0,8]"), 4) ==
              "header: tensor 'a': ends at byte 8 of the data, but the file holds only 4");
        CHECK(header_error(one_entry("U8", "[4611686018427387904,4,0]", "[0,0]")) ==
              "header: tensor 'a': shape [4611686018427387904, 4, 0] has more bytes than fit in 63 bits");
    }

    TEST_CASE("tensors must cover the data exactly") {
        CHECK(header_error(one_entry("U8", "[1]", "[1,2]"), 2) ==
              "tensor 'a' begins at byte 1 of the data, expected 0 (hole)");
        CHECK(header_error(R"({"a":)" + entry("U8", "[2]", "[0,2]") + R"(,"b":)" + entry("U8", "[2]", "[1,3]") + "}",
                           3) == "tensor 'b' begins at byte 1 of the data, expected 2 (overlap)");
        CHECK(header_error(R"({"a":)" + entry("U8", "[1]", "[0,1]") + R"(,"b":)" + entry("U8", "[1]", "[2,3]") + "}",
                           3) == "tensor 'b' begins at byte 2 of the data, expected 1 (hole)");
        CHECK(header_error(one_entry("U8", "[1]", "[0,1]"), 2) ==
              "the tensors cover 1 bytes, but the file holds 2 bytes of data");
    }

    TEST_CASE("what cannot be written is named, and nothing is left behind") {
        const TemporaryDirectory directory;
        const auto path = directory.path() / "w.safetensors";
        const std::vector<std::byte> bytes(16);
        CHECK_THROWS_WITH_AS(write_safetensors(path, {{"z", {DType::Complex128, {1}, bytes}}}),
                             "tensor 'z': safetensors has no dtype for complex128", UnsupportedError);
        CHECK_THROWS_WITH_AS(write_safetensors(path, {{"z", {DType::Float32, {3}, bytes}}}),
                             "tensor 'z': shape [3] of float32 needs 12 bytes, found 16", ArgumentError);
        CHECK_THROWS_WITH_AS(
            write_safetensors(path, {{"z", {DType::Float32, {4}, bytes}}, {"z", {DType::Float32, {4}, bytes}}}),
            "tensor 'z': given twice", ArgumentError);
        CHECK_THROWS_WITH_AS(write_safetensors(path, {{"__metadata__", {DType::Float32, {4}, bytes}}}),
                             "tensor '__metadata__': not a name that safetensors can hold", ArgumentError);
        CHECK_THROWS_WITH_AS(write_safetensors(path, {}, {{"k", "\xff"}}), "metadata 'k' is not UTF-8 text",
                             ArgumentError);
        CHECK_FALSE(std::filesystem::exists(path));
        CHECK_THROWS_WITH_AS(write_safetensors("/dev/full", {{"z", {DType::Float32, {4}, bytes}}}),
                             "cannot write '/dev/full': No space left on device", IoError);
    }

    TEST_CASE("errors name the file") {
        const TemporaryDirectory directory;
        const auto path = directory.add("bad.safetensors", u64(2) + "[]");
        CHECK_THROWS_WITH_AS(read_safetensors(path), (path.string() + ": header: expected a JSON object").c_str(),
                             ParseError);
    }

    TEST_CASE("no single damaged byte crashes the reader") {
        const std::string bytes = read_text("tests/data/weights/dtypes.safetensors");
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            std::string damaged = bytes;
            damaged[i] ^= 0x10;
            try {
                read_safetensors(as_bytes(damaged), nullptr);
            } catch (const Error&) {
            }
        }
    }
}
