// SPDX-License-Identifier: MIT
#include "torch_ir/checkpoint.hpp"

#include <doctest/doctest.h>

#include "support/bytes.hpp"
#include "support/files.hpp"
#include "torch_ir/weights.hpp"

using namespace torch_ir;
using namespace torch_ir::test;

namespace {

std::vector<std::string> names(const Weights& weights) {
    std::vector<std::string> result;
    for (const auto& [name, tensor] : weights.tensors()) result.push_back(name);
    return result;
}

template <class T>
std::vector<T> values(const TensorView& tensor) {
    const auto bytes = tensor.to_bytes();
    std::vector<T> result(bytes.size() / sizeof(T));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
}

template <class T>
std::vector<T> values(const Weights& weights, const char* name) {
    const TensorView* tensor = weights.find(name);
    REQUIRE_MESSAGE(tensor, name);
    return values<T>(*tensor);
}

using Floats = std::vector<float>;

/// A checkpoint with the given pickle and one storage of 4 floats, `0`.
Archive checkpoint(const std::string& pickle, const std::string& byteorder = "little") {
    const auto owner =
        std::make_shared<const std::string>(make_zip({{.name = "r/data.pkl", .data = pickle},
                                                      {.name = "r/byteorder", .data = byteorder},
                                                      {.name = "r/data/0", .data = std::string(16, '\0')}}));
    return open_archive(as_bytes(*owner), owner);
}

std::string checkpoint_error(const std::string& pickle) {
    try {
        read_checkpoint(checkpoint(pickle));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string text(const std::string& string) { return "X" + u32(string.size()) + string; }
std::string number(int value) { return "J" + le(value); }
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
std::string storage(const std::string& type = "FloatStorage", int numel = 4, const std::string& key = "0") {
    return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + number(numel) + "tQ";
}
std::string ints(const std::vector<int>& items) {
    std::string result = "(";
    for (const int item : items) result += number(item);
    return result + "t";
}

/// Pickle of a tensor in that storage.
std::string tensor(int offset, const std::vector<int>& shape, const std::vector<int>& strides,
                   const std::string& source = storage()) {
    return global("torch._utils", "_rebuild_tensor_v2") + "(" + source + number(offset) + ints(shape) + ints(strides) +
           "\x89" + "}" + "tR";
}

std::string pickle_program(const std::string& body) { return "\x80\x02" + body + "."; }

}  // namespace

TEST_SUITE("checkpoint") {
    TEST_CASE("a state dict is read in all forms that torch.save has written") {
        for (const char* file : {"state_dict.pt", "protocol4.pt", "legacy.pt"}) {
            CAPTURE(file);
            const Weights weights = open_weights(weights_data + file);
            CHECK(names(weights) == std::vector<std::string>{"count", "lin.bias", "lin.weight", "tied.weight"});
            CHECK(values<float>(weights, "lin.weight") == Floats{0, 1, 2, 3, 4, 5});
            CHECK(values<float>(weights, "lin.bias") == Floats{10, 20});
            CHECK(values<std::int64_t>(weights, "count") == std::vector<std::int64_t>{7});
            CHECK(weights.find("tied.weight")->storage.data() == weights.find("lin.weight")->storage.data());
        }
    }

    TEST_CASE("a whole module has the names of its state_dict and of the rest of its tensors") {
        const Weights weights = open_weights(weights_data + "module.pt");
        CHECK(names(weights) == std::vector<std::string>{"count", "hidden", "lin.bias", "lin.weight", "tied.weight"});
        CHECK(values<float>(weights, "hidden") == Floats{1.5, 2.5});
    }

    TEST_CASE("in a training checkpoint the state dict comes first") {
        const Weights weights = open_weights(weights_data + "training.pt");
        CHECK(values<float>(weights, "lin.weight") == Floats{0, 1, 2, 3, 4, 5});
        CHECK(values<float>(weights, "extra.0") == Floats{1});
        CHECK(values<std::int64_t>(weights, "extra.1.x") == std::vector<std::int64_t>{2});
        CHECK(values<float>(weights, "optimizer.state.0.step") == Floats{1});
        CHECK(weights.find("optimizer.state.1.exp_avg")->shape == std::vector<std::int64_t>{2});
    }

    TEST_CASE("a TorchScript archive is a source of weights") {
        const Weights weights = open_weights(weights_data + "torchscript.pt");
        CHECK(names(weights) == std::vector<std::string>{"0.bias", "0.weight"});
        CHECK(values<float>(weights, "0.weight") == Floats{0, 1, 2, 3, 4, 5});
    }

    TEST_CASE("views, marks and unusual dtypes have torch's values") {
        for (const char* file : {"views.pt", "views_legacy.pt"}) {
            CAPTURE(file);
            const Weights weights = open_weights(weights_data + file);
            CHECK(values<float>(weights, "transposed") == Floats{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
            CHECK(weights.find("transposed")->strides == std::vector<std::int64_t>{1, 4});
            CHECK(values<float>(weights, "sliced") == Floats{5, 6, 9, 10});
            CHECK(weights.find("sliced")->storage.data() == weights.find("base")->storage.data());
            CHECK(values<float>(weights, "expanded") == Floats{5, 5, 5, 5});
            CHECK(values<float>(weights, "conj") == Floats{1, -2, 3, 4});
            CHECK(values<float>(weights, "neg") == Floats{-2, 4});
            CHECK(values<std::uint16_t>(weights, "u16") == std::vector<std::uint16_t>{1, 65535});
            CHECK(weights.find("f8")->dtype == DType::Float8E4M3FN);
            CHECK(values<std::uint8_t>(weights, "f8") == std::vector<std::uint8_t>{0x38, 0xc0});
            CHECK(values<std::uint16_t>(weights, "bf16") == std::vector<std::uint16_t>{0x3f80, 0xc000});
            CHECK(values<double>(weights, "c128") == std::vector<double>{1, -1});
            CHECK(values<std::int64_t>(weights, "scalar") == std::vector<std::int64_t>{3});
            CHECK(weights.find("empty")->shape == std::vector<std::int64_t>{0, 3});
        }
    }

    TEST_CASE("tensors without dense data are named") {
        CHECK_THROWS_WITH_AS(open_weights(weights_data + "sparse.pt"),
                             (weights_data + "sparse.pt: tensor 's' is a sparse tensor").c_str(), UnsupportedError);
        CHECK_THROWS_WITH_AS(open_weights(weights_data + "meta.pt"),
                             (weights_data + "meta.pt: tensor 'm' is a meta tensor without data").c_str(),
                             UnsupportedError);
    }

    TEST_CASE("nothing outside the fixed lists is called") {
        CHECK_THROWS_WITH_AS(
            open_weights(weights_data + "os_system.pt"),
            (weights_data + "os_system.pt: the pickle names 'posix.system', which is not on the list of safe names")
                .c_str(),
            UnsupportedError);
        CHECK_THROWS_WITH_AS(
            open_weights(weights_data + "unknown_call.pt"),
            (weights_data +
             "unknown_call.pt: the pickle calls 'textwrap.dedent', which is not on the list of safe names")
                .c_str(),
            UnsupportedError);
        for (const char* name : {"eval", "exec", "getattr", "__import__", "compile"})
            CHECK(checkpoint_error(pickle_program(global("builtins", name))) ==
                  "the pickle names 'builtins." + std::string(name) + "', which is not on the list of safe names");
        CHECK(checkpoint_error(pickle_program(global("__builtin__", "eval") + text("1") + "\x85R")) ==
              "the pickle names '__builtin__.eval', which is not on the list of safe names");
        CHECK(checkpoint_error(pickle_program(global("my.module", "f") + ")R")) ==
              "the pickle calls 'my.module.f', which is not on the list of safe names");
        // an instance of an unknown class is inert: only its attributes are looked at
        const Weights weights = read_checkpoint(
            checkpoint(pickle_program(global("my.module", "C") + ")\x81}" + text("t") + tensor(0, {2}, {1}) + "sb")));
        CHECK(names(weights) == std::vector<std::string>{"t"});
        // so is the inner call of a tensor subclass
        CHECK(checkpoint_error(pickle_program(global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                                              global("a", "b") + "N)N" + "tR")) ==
              "the pickle calls 'a.b', which is not on the list of safe names");
    }

    TEST_CASE("opcodes that torch.save does not write are refused") {
        for (const auto& [opcode, hex] :
             {std::pair("i", "69"), {"o", "6f"}, {"P", "50"}, {"\x82", "82"}, {"\x97", "97"}})
            CHECK(checkpoint_error(pickle_program(opcode)) ==
                  "pickle opcode 0x" + std::string(hex) + " is not one that torch.save writes");
        CHECK(checkpoint_error("\x80\x06.") == "pickle protocol 6 is newer than 5");
    }

    TEST_CASE("malformed pickles are refused with the byte") {
        CHECK(checkpoint_error("") == "the pickle is truncated");
        CHECK(checkpoint_error("\x80\x02") == "the pickle is truncated");
        CHECK(checkpoint_error("\x80\x02X" + u32(1000) + "abc.") == "pickle byte 2: the pickle is truncated");
        CHECK(checkpoint_error("\x80\x02\x8a\xff" + std::string("abc.")) == "pickle byte 2: the pickle is truncated");
        CHECK(checkpoint_error("cabc") == "pickle byte 0: the pickle is truncated");
        CHECK(checkpoint_error(pickle_program("")) == "the pickle takes a value from an empty stack");
        CHECK(checkpoint_error(pickle_program("NN")) == "the pickle leaves values on its stack");
        CHECK(checkpoint_error(pickle_program("(N")) == "the pickle leaves values on its stack");
        CHECK(checkpoint_error(pickle_program("Nt")) == "pickle byte 3: the pickle lacks a MARK");
        CHECK(checkpoint_error(pickle_program("N(\x85")) ==
              "pickle byte 4: the pickle takes a value from an empty stack");
        CHECK(checkpoint_error(pickle_program("h\x05")) ==
              "pickle byte 2: the pickle recalls memo slot 5, which is unset");
        CHECK(checkpoint_error(pickle_program("NNa")) == "pickle byte 4: expected a list, found None");
        CHECK(checkpoint_error(pickle_program(")Na")) ==
              "pickle byte 4: the pickle appends to a sequence of another kind");
        CHECK(checkpoint_error(pickle_program("]NNs")) == "pickle byte 5: expected a dict, found sequence");
        CHECK(checkpoint_error(pickle_program("}(Nu")) == "pickle byte 5: the pickle sets a key without a value");
        CHECK(checkpoint_error(pickle_program("NQ")) == "pickle byte 3: expected a tuple as persistent id, found None");
        CHECK(checkpoint_error(pickle_program(")Q")) ==
              "pickle byte 3: expected a persistent id ('storage', class, key, location, numel)");
        CHECK(checkpoint_error(pickle_program(global("torch._utils", "_rebuild_tensor_v2") + ")R"))
                  .ends_with("'torch._utils._rebuild_tensor_v2' needs 6 arguments, found 0"));
        CHECK(checkpoint_error(pickle_program(storage("XStorage"))) == "unknown storage class 'torch.XStorage'");
        CHECK(checkpoint_error(pickle_program(global(std::string(2000, 'm'), "n")))
                  .ends_with("a global's name is not UTF-8 text of at most 1000 bytes"));
    }

    TEST_CASE("tensors must lie inside their storages") {
        const auto message = [](const std::string& body) {
            return checkpoint_error(pickle_program("}" + text("w") + body + "s"));
        };
        CHECK(message(tensor(0, {4}, {1})) == "no error");
        CHECK(message(tensor(1, {4}, {1})) ==
              "tensor 'w': shape [4] with strides [1] and offset 1 leaves its storage of 4 elements");
        CHECK(message(tensor(-1, {1}, {1})) ==
              "tensor 'w': shape [1] with strides [1] and offset -1 leaves its storage of 4 elements");
        CHECK(message(tensor(3, {2}, {-1})) ==
              "tensor 'w': shape [2] with strides [-1] and offset 3 leaves its storage of 4 elements");
        CHECK(message(tensor(0, {2, 2}, {1})) == "tensor 'w': shape [2, 2] and strides [1] have different lengths");
        CHECK(message(tensor(0, {-2}, {1})) == "tensor 'w': shape [-2] has a negative size");
        CHECK(message(tensor(0, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0})) ==
              "tensor 'w': shape [1073741824, 1073741824, 1073741824] has more bytes than fit in 63 bits");
        CHECK(message(tensor(0, {1 << 30, 1 << 10}, {0, 0})) ==
              "tensor 'w': shape [1073741824, 1024] stands for 4398046511104 bytes, but its storage has 16");
        CHECK(message(tensor(99, {0}, {77})) == "no error");
    }

    TEST_CASE("storages must be as large as the pickle says, and one per key") {
        CHECK(checkpoint_error(pickle_program(storage("FloatStorage", 5))) == "storage '0' has 16 bytes, expected 20");
        CHECK(checkpoint_error(pickle_program(storage("FloatStorage", 4, "1"))) == "entry 'r/data/1' is missing");
        CHECK(
            checkpoint_error(pickle_program(storage("FloatStorage", -1))).ends_with("storage '0' has a negative size"));
        CHECK(checkpoint_error(pickle_program("(" + storage() + storage("LongStorage", 2) + "t"))
                  .ends_with("storage '0' is declared twice, with different types or sizes"));
    }

    TEST_CASE("only little endian checkpoints are read") {
        CHECK_THROWS_WITH_AS(checkpoint(pickle_program("N"), "big"),
                             "byte order 'big' is not supported, expected 'little'", UnsupportedError);
        CHECK_THROWS_WITH_AS(checkpoint(pickle_program("N"), "middle"),
                             "byte order 'middle' is not supported, expected 'little'", UnsupportedError);
        std::string legacy = read_text(weights_data + "legacy.pt");
        const std::size_t at = legacy.find("little_endian");
        legacy[legacy.find('\x88', at)] = '\x89';
        CHECK_THROWS_WITH_AS(read_legacy_checkpoint(as_bytes(legacy), nullptr),
                             "byte order 'big' is not supported, expected 'little'", UnsupportedError);
    }

    TEST_CASE("containers that hold themselves and deep ones end") {
        CHECK(checkpoint_error(pickle_program("]q\x01h\x01" + std::string("a"))) == "no error");
        std::string deep;
        for (int i = 0; i < 1000; ++i) deep += "]";
        deep += std::string(999, 'a');
        CHECK(checkpoint_error(pickle_program(deep)).ends_with("nested more than 200 levels deep"));
        // each list holds the one before twice: 2^60 paths
        std::string doubling = "]q\x01";
        for (char i = 1; i < 60; ++i) doubling += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
        CHECK(checkpoint_error(pickle_program("(" + doubling + "t")) ==
              "the checkpoint's object has more than 4 million parts");
        // set(list) over and over
        std::string copies = "(](" + std::string(100'000, 'N') + "eq\x01";
        for (int i = 0; i < 1000; ++i) copies += global("builtins", "set") + "h\x01\x85R";
        CHECK(checkpoint_error(pickle_program(copies + "t")).ends_with("the pickle copies its containers too often"));
    }

    TEST_CASE("truncated legacy files are refused at every length") {
        const std::string bytes = read_text(weights_data + "views_legacy.pt");
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const std::string cut = bytes.substr(0, size);
            CHECK_THROWS_AS(read_legacy_checkpoint(as_bytes(cut), nullptr), Error);
        }
    }

    TEST_CASE("no single damaged byte of a pickle crashes the reader") {
        for (const char* file : {"module.pt", "training.pt", "views.pt"}) {
            const std::string path = weights_data + file;
            const Archive archive = [&] {
                const auto mapped = map_file(path);
                return open_archive(mapped->bytes(), mapped);
            }();
            const std::string pickle(archive.read("data.pkl").text());
            for (std::size_t i = 0; i < pickle.size(); ++i)
                for (const char mask : {'\x01', '\x10', '\x7f'}) {
                    std::string damaged = pickle;
                    damaged[i] ^= mask;
                    try {
                        read_checkpoint(checkpoint(damaged));
                    } catch (const Error&) {
                    }
                }
        }
    }

    TEST_CASE("sample inputs are the leaves of args and kwargs") {
        const auto inputs = read_sample_inputs(weights_data + "one.pt2");
        REQUIRE(inputs.size() == 2);
        CHECK(inputs[0].path == "args.0");
        CHECK(values<float>(std::get<TensorView>(inputs[0].value)) == Floats{1, 1, 1, 1});
        CHECK(inputs[1].path == "kwargs.scale");
        CHECK(std::get<Argument>(inputs[1].value).is_none());
        CHECK(read_sample_inputs(weights_data + "two.pt2", "enc").size() == 2);
    }
}
