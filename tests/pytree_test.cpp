// SPDX-License-Identifier: MIT
#include "torch_ir/pytree.hpp"

#include <doctest/doctest.h>

#include <string>

#include "torch_ir/error.hpp"

using namespace torch_ir;

namespace {

using Texts = std::vector<std::string>;

const std::string leaf = R"({"type": null, "context": null, "children_spec": []})";

std::string node(const std::string& type, const std::string& context, const Texts& children) {
    std::string list;
    for (const std::string& child : children) list += (list.empty() ? "" : ", ") + child;
    return R"({"type": ")" + type + R"(", "context": )" + context + R"(, "children_spec": [)" + list + "]}";
}

std::string tuple(const Texts& children) { return node("builtins.tuple", R"("null")", children); }

std::string spec(const std::string& tree) { return "[1, " + tree + "]"; }

Model model_with(std::size_t inputs, std::size_t outputs) {
    Model model;
    model.inputs.resize(inputs);
    model.outputs.resize(outputs);
    return model;
}

}  // namespace

TEST_CASE("inputs are found in nested lists, dicts and dataclasses, as torch.export writes them") {
    Model model = model_with(6, 0);
    const std::string cache = node("builtins.dict", R"("[\"key\", \"a b\"]")", {leaf, leaf});
    const std::string pair = node("my.Pair", R"("[[\"first\"], [\"tag\"]]")", {leaf});
    model.in_spec = spec(tuple({tuple({leaf, node("builtins.list", R"("null")", {cache}), pair, leaf}),
                                node("builtins.dict", R"("[\"mask\"]")", {leaf})}));
    model.forward_arg_names = {"x", "past", "pair"};
    CHECK(input_paths(model) == Texts{"x", "past[0].key", "past[0]['a b']", "pair.first", "args[3]", "mask"});
    model.inputs.pop_back();
    CHECK(input_paths(model).empty());  // does not fit
    model.in_spec.clear();
    CHECK(input_paths(model).empty());
}

TEST_CASE("outputs: bare, in tuples, by key") {
    Model model = model_with(0, 1);
    model.out_spec = spec(leaf);
    CHECK(output_paths(model) == Texts{""});
    model = model_with(0, 2);
    model.out_spec = spec(tuple({leaf, node("builtins.dict", R"("[\"mask\"]")", {leaf})}));
    CHECK(output_paths(model) == Texts{"[0]", "[1].mask"});
    model.out_spec = spec(node("transformers.Output", R"("[\"logits\", \"mems\"]")", {leaf, leaf}));
    CHECK(output_paths(model) == Texts{"logits", "mems"});
}

TEST_CASE("malformed and bottomless specs are refused") {
    Model model = model_with(0, 1);
    for (const std::string text : {"[1", "{}", "[1, 2]", "[1, {}]"}) {
        CAPTURE(text);
        model.out_spec = text;
        CHECK_THROWS_AS(output_paths(model), ParseError);
    }
    std::string tree = leaf;
    for (int i = 0; i < 1000; ++i) tree = tuple({tree});
    model.out_spec = spec(tree);
    CHECK_THROWS_WITH_AS(output_paths(model), "pytree spec: nested more than 200 deep", ParseError);
}

TEST_CASE("named tuples: by their fields where the model tells them, else by position") {
    Model model = model_with(2, 0);
    const std::string pair = node("collections.namedtuple", R"("my.Pair")", {leaf, leaf});
    model.in_spec = spec(tuple({tuple({pair}), node("builtins.dict", R"("[]")", {})}));
    model.forward_arg_names = {"past"};
    CHECK(input_paths(model) == Texts{"past[0]", "past[1]"});
    model.namedtuple_fields = {{"my.Pair", {"key", "value"}}};
    CHECK(input_paths(model) == Texts{"past.key", "past.value"});
    model.namedtuple_fields = {{"my.Pair", {"key"}}};  // another number of fields
    CHECK(input_paths(model) == Texts{"past[0]", "past[1]"});
}
