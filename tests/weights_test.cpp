// SPDX-License-Identifier: MIT
#include "torch_ir/weights.hpp"

#include <doctest/doctest.h>

#include "support/bytes.hpp"
#include "support/files.hpp"
#include "torch_ir/safetensors.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

std::vector<float> floats(const Weights& weights, const char* name) {
    const TensorView* tensor = weights.find(name);
    REQUIRE_MESSAGE(tensor, name);
    const auto bytes = tensor->to_bytes();
    std::vector<float> result(bytes.size() / sizeof(float));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
}

using Floats = std::vector<float>;

std::string config(const std::string& name, const std::string& path_name, const std::string& meta,
                   bool pickled = false) {
    return R"({"config":{")" + name + R"(":{"path_name":")" + path_name + R"(","is_param":true,"use_pickle":)" +
           (pickled ? "true" : "false") + R"(,"tensor_meta":)" + meta + "}}}";
}

std::string meta(int dtype, const std::string& sizes, const std::string& strides, int offset = 0) {
    return R"({"dtype":)" + std::to_string(dtype) + R"(,"sizes":)" + sizes + R"(,"strides":)" + strides +
           R"(,"storage_offset":{"as_int":)" + std::to_string(offset) + R"(},"layout":7})";
}

const std::string four = R"([{"as_int":4}])", one = R"([{"as_int":1}])";

/// A `.pt2` with one weight file of 16 bytes.
std::string pt2(const std::string& weights_config,
                TestEntry weight = {.name = "m/data/weights/weight_0", .data = std::string(16, '\1')},
                const std::string& byteorder = "little", const std::string& version = "0") {
    return make_zip({{.name = "m/archive_format", .data = "pt2"},
                     {.name = "m/archive_version", .data = version},
                     {.name = "m/byteorder", .data = byteorder},
                     {.name = "m/models/model.json", .data = "{}"},
                     {.name = "m/data/weights/model_weights_config.json", .data = weights_config},
                     std::move(weight)});
}

/// Opens a file with these contents; the error is without the path.
std::string weights_error(const std::string& bytes, const WeightsOptions& options = {}) {
    const TemporaryDirectory directory;
    const auto path = directory.add("file", bytes);
    try {
        open_weights(path, options);
    } catch (const Error& error) {
        const std::string message = error.what(), prefix = path.string() + ": ";
        REQUIRE(message.starts_with(prefix));
        return message.substr(prefix.size());
    }
    return "no error";
}

}  // namespace

TEST_SUITE("weights") {
    TEST_CASE("parameters, buffers and constants of a .pt2 are read") {
        const Weights weights = open_weights(weights_data + "one.pt2");
        CHECK(weights.tensors().size() == 3);
        CHECK(floats(weights, "w") == Floats{1, 1});
        CHECK(floats(weights, "np_") == Floats{1, 3, 2, 4});
        CHECK(weights.find("np_")->strides == std::vector<std::int64_t>{1, 2});
        CHECK(floats(weights, "lifted_tensor_0") == Floats{7, 8});
    }

    TEST_CASE("of several models one must be named") {
        CHECK(floats(open_weights(weights_data + "two.pt2", {.model = "enc"}), "w") == Floats{1, 1});
        CHECK(floats(open_weights(weights_data + "two.pt2", {.model = "sub/dec"}), "w") == Floats{2, 2});
        CHECK_THROWS_WITH_AS(open_weights(weights_data + "two.pt2"),
                             (weights_data + "two.pt2: the file holds 2 models, name one of 'enc', 'sub/dec'").c_str(),
                             ArgumentError);
        CHECK_THROWS_WITH_AS(open_weights(weights_data + "two.pt2", {.model = "dec"}),
                             (weights_data + "two.pt2: no model 'dec', the file holds 'enc', 'sub/dec'").c_str(),
                             ArgumentError);
    }

    TEST_CASE("weights that were not saved are refused, or left out when asked") {
        CHECK_THROWS_WITH_AS(
            open_weights(weights_data + "meta.pt2"),
            (weights_data + "meta.pt2: model_weights_config.json: 'w': the values were not saved (a meta or fake "
                            "tensor); give them in a separate weight file")
                .c_str(),
            ParseError);
        CHECK(open_weights(weights_data + "meta.pt2", {.skip_unsaved = true}).find("w") == nullptr);
    }

    TEST_CASE("shards are read through their index, aliases included") {
        const Weights weights = open_weights(weights_data + "model.safetensors.index.json");
        CHECK(weights.tensors().size() == 4);
        CHECK(floats(weights, "b.w") == Floats{2});
        CHECK(floats(weights, "d.w") == Floats{3});
        CHECK(weights.find("c.w")->storage.data() == weights.find("a.w")->storage.data());
    }

    TEST_CASE("an index must name plain files that hold its tensors") {
        const TemporaryDirectory directory;
        const auto message = [&](const std::string& index) -> std::string {
            const auto path = directory.add("index.json", index);
            try {
                open_weights(path);
            } catch (const Error& error) {
                return std::string(error.what()).substr(path.string().size() + 2);
            }
            return "no error";
        };
        write_safetensors(directory.path() / "s.safetensors", {});
        std::filesystem::copy_file(weights_data + "state_dict.pt", directory.path() / "s.bin");
        CHECK(message(R"({"weight_map":{"lin.bias":"s.bin"}})") == "no error");
        for (const std::string shard : {"../s.safetensors", "a/s.safetensors", "/s.safetensors", "..", "", "c:s"})
            CHECK(message(R"({"weight_map":{"w":")" + shard + "\"}}") ==
                  "'weight_map' names the shard '" + shard + "', expected a plain file name");
        CHECK(message(R"({"weight_map":{"w":"a\\s"}})") ==
              "'weight_map' names the shard 'a\\s', expected a plain file name");
        CHECK(message(R"({"weight_map":{"w":"s.safetensors"}})") == "shard 's.safetensors' does not hold 'w'");
        CHECK(message(R"({"weight_map":{"w":1}})") == "'weight_map' gives no file name for 'w'");
        CHECK(message(R"({"weight_map":{"w":"index.json"}})") == "shard 'index.json' is not a file of tensors");
        CHECK(message(R"({"w":"s"})") == "not a weight index: expected an object with a 'weight_map' object");
        const std::string missing = (directory.path() / "gone.bin").string();
        CHECK(message(R"({"weight_map":{"w":"gone.bin"}})") ==
              "cannot open '" + missing + "': No such file or directory");
    }

    TEST_CASE("other files are refused with what was expected") {
        const std::string expected =
            "not a weight file: expected safetensors, a weight index, a PyTorch checkpoint or a .pt2";
        CHECK(weights_error("") == expected);
        CHECK(weights_error("hello, this is text") == expected);
        CHECK(weights_error(std::string(257, 'x') + "ustar" + std::string(250, '\0')) ==
              "the tar form of torch.save is not supported; save the file again with a newer PyTorch");
        CHECK(weights_error(make_zip({{.name = "a", .data = "x"}})) ==
              "a zip archive, but none of PyTorch's: found neither 'archive_format', 'data.pkl' nor "
              "'serialized_exported_program.json'");
        CHECK(weights_error(make_zip(std::vector<TestEntry>{})) == "the zip archive is empty");
        CHECK(weights_error(make_zip({{.name = "m/data.pkl", .data = "x"}, {.name = "other", .data = "x"}})) ==
              "entry 'other' lies outside the archive's folder 'm/'");
    }

    TEST_CASE("what nobody should guess about a .pt2 is refused by name") {
        const std::string good = config("w", "weight_0", meta(7, four, one));
        const TestEntry weight{.name = "m/data/weights/weight_0", .data = std::string(16, '\1')};
        CHECK(weights_error(pt2(good)) == "no error");
        CHECK(weights_error(pt2(good, weight, "big")) == "byte order 'big' is not supported, expected 'little'");
        CHECK(weights_error(pt2(good, weight, "little", "1")) == "archive version '1' is unknown, expected '0'");
        CHECK(weights_error(make_zip({{.name = "m/archive_format", .data = "pt2"},
                                      {.name = "m/archive_version", .data = "0"},
                                      {.name = "m/data/aotinductor/model/x.wrapper.so", .data = "x"}})) ==
              "an AOTInductor package holds compiled code only; save the program with torch.export.save");
        CHECK(weights_error(make_zip({{.name = "m/archive_format", .data = "pt3"}})) ==
              "archive format 'pt3' is unknown, expected 'pt2'");
    }

    TEST_CASE("the table of raw weights is checked") {
        const std::string at = "model_weights_config.json: 'w': ";
        CHECK(weights_error(pt2("{}")) == "model_weights_config.json: 'config' is missing");
        CHECK(weights_error(pt2(R"({"config":[]})")) ==
              "model_weights_config.json: 'config' has the wrong type, found array");
        for (const std::string name : {"../x", "/x", ""})
            CHECK(weights_error(pt2(config("w", name, meta(7, four, one)))) ==
                  at + "'path_name' must be a plain file name, found '" + name + "'");
        CHECK(weights_error(pt2(config("w", "weight_1", meta(7, four, one)))) ==
              at + "entry 'm/data/weights/weight_1' is missing");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(99, four, one)))) == at + "unknown dtype number 99");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, R"([{"as_int":5}])", one)))) ==
              at + "shape [5] with strides [1] and offset 0 leaves its storage of 4 elements");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, four, one, 1)))) ==
              at + "shape [4] with strides [1] and offset 1 leaves its storage of 4 elements");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, four, R"([{"as_int":-1}])", 3)))) ==
              at + "shape [4] with strides [-1] and offset 3 leaves its storage of 4 elements");
        CHECK(weights_error(pt2(config(
                  "w", "weight_0",
                  meta(7, R"([{"as_int":1099511627776},{"as_int":1048576}])", R"([{"as_int":0},{"as_int":0}])")))) ==
              at + "shape [1099511627776, 1048576] stands for 4611686018427387904 bytes, but its storage has 16");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, R"([{"as_expr":{}}])", one)))) ==
              at + "'sizes' must hold integers ('as_int')");
        CHECK(weights_error(pt2(config("w", "weight_0", "null"))) ==
              at + "a custom object ('weight_0'), expected a tensor or a torch.Generator");
        const auto generator = [](const std::string& rest) {
            return weights_error(pt2(config("w", "weight_0", "null"), {.name = "m/data/weights/weight_0",
                                                                       .data = "\x80\x02"
                                                                               "ctorch._C\nGenerator\n" +
                                                                               rest}));
        };
        CHECK(generator(".") == at + "the pickle of a torch.Generator holds no state");
        CHECK(generator("") == at + "the pickle is truncated");
        CHECK(generator("0B\1\0\0\0x.").starts_with(at + "pickle opcode 0x30"));
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, one, one)),
                                {.name = "m/data/weights/weight_0", .data = "12345"})) ==
              at + "file 'weight_0' has 5 bytes, which is no multiple of the item size of float32");
    }

    TEST_CASE("checksums of values are compared when asked for") {
        const TestEntry damaged{.name = "m/data/weights/weight_0", .data = std::string(16, '\1'), .crc = 1};
        const std::string bytes = pt2(config("w", "weight_0", meta(7, four, one)), damaged);
        CHECK(weights_error(bytes) == "no error");
        CHECK(weights_error(bytes, {.verify_checksums = true}) ==
              "model_weights_config.json: 'w': entry 'm/data/weights/weight_0' is damaged: its checksum differs");
    }

    TEST_CASE("a tensor subclass is read from its own pickle") {
        const std::string nested = read_text(weights_data + "state_dict.pt");
        CHECK(weights_error(pt2(config("w", "weight_0", meta(7, four, one), true),
                                {.name = "m/data/weights/weight_0", .data = nested})) ==
              "model_weights_config.json: 'w': a pickled object, expected a tensor");
    }

    TEST_CASE("merging refuses a name that is there already") {
        Weights a = open_weights(weights_data + "model-00001-of-00002.safetensors");
        a.merge(open_weights(weights_data + "model-00002-of-00002.safetensors"));
        CHECK(a.tensors().size() == 3);
        CHECK_THROWS_WITH_AS(a.merge(open_weights(weights_data + "model-00002-of-00002.safetensors")),
                             "weight 'd.w' is given twice", ArgumentError);
    }

    TEST_CASE("views know whether they are dense") {
        TensorView view;
        view.shape = {2, 1, 3};
        view.strides = {3, 99, 1};
        CHECK(view.is_contiguous());
        CHECK(view.numel() == 6);
        view.strides = {1, 1, 2};
        CHECK_FALSE(view.is_contiguous());
        view.shape = {2, 0, 3};
        CHECK(view.is_contiguous());
        CHECK(view.to_bytes().empty());
    }
}
