// SPDX-License-Identifier: MIT
#include "torch_ir/validate.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "torch_ir/builder.hpp"
#include "torch_ir/json.hpp"
#include "torch_ir/pt2.hpp"
#include "torch_ir/renames.hpp"

using namespace torch_ir;

namespace {

/// All issues, one a line.
std::string text_of(const std::vector<Issue>& issues) {
    std::string text;
    for (const Issue& issue : issues) text += (text.empty() ? "" : "\n") + issue.text();
    return text;
}

std::string issues_of(const Model& model) { return text_of(validate(model)); }

/// relu(linear(x, w, b))
Model small_model() {
    GraphBuilder b("small");
    const ValueRef x = b.input("x", {{2, 3}});
    const ValueRef weight = b.parameter("p_fc_weight", "fc.weight", {{4, 3}});
    const ValueRef bias = b.parameter("p_fc_bias", "fc.bias", {{4}});
    const ValueRef linear = b.call("aten.linear.default", {x, weight, bias}, {{2, 4}});
    b.output(b.call("aten.relu.default", {linear}, {{2, 4}}));
    return b.build();
}

/// The issues of one op on tensors of the given shapes, its output being of shape `output`.
std::string issues_of_op(const std::string& op, const std::vector<Shape>& shapes, const Shape& output,
                         const std::vector<NamedArgument>& named = {}, DType dtype = DType::Float32) {
    GraphBuilder b("m");
    std::vector<Argument> args;
    for (const Shape& shape : shapes) args.emplace_back(b.input("x" + std::to_string(args.size()), {shape}));
    b.output(b.call(op, args, {output, dtype}, named));
    const auto issues = validate(b.build());
    return issues.empty() ? "" : issues[0].message;
}

TensorView view(const Shape& shape, DType dtype = DType::Float32) {
    TensorView tensor;
    tensor.dtype = dtype;
    for (const Dim& dim : shape) tensor.shape.push_back(dim.value());
    return tensor;
}

}  // namespace

TEST_CASE("nothing is wrong with pytorch-ir's files") {
    for (const auto& entry : std::filesystem::directory_iterator("tests/data/zoo/pytorch_ir"))
        CHECK_MESSAGE(issues_of(read_json(entry.path() / "ir.json")) == "", entry.path());
    CHECK(issues_of(small_model()) == "");
    CHECK(issues_of(Model{}) == "");
}

TEST_CASE("names must be unique and not empty") {
    Model model = small_model();
    model.graph.nodes[1].name = "linear";
    model.graph.values[1].name = "x";
    model.graph.values[2].name = "";
    CHECK(issues_of(model) ==
          "error: value 'x': another value has the same name\n"
          "error: value '': has an empty name\n"
          "error: node 'linear' (aten.relu.default): another node has the same name");
}

TEST_CASE("every value has one producer that comes before its uses") {
    Model model = small_model();
    std::swap(model.graph.nodes[0], model.graph.nodes[1]);
    CHECK(issues_of(model) ==
          "error: node 'relu' (aten.relu.default): 'linear' is used before it is defined\n"
          "error: node 'relu' (aten.relu.default): output 0 ('relu') is recorded as output 0 of node 'linear'\n"
          "error: node 'linear' (aten.linear.default): output 0 ('linear') is recorded as output 0 of node 'relu'");
    model = small_model();
    model.graph.inputs.pop_back();
    model.inputs.pop_back();
    CHECK(issues_of(model) ==
          "error: node 'linear' (aten.linear.default): 'p_fc_bias' is neither an input nor an output of a node");
    model = small_model();
    model.graph.nodes[1].outputs[0] = model.graph.nodes[0].outputs[0];
    CHECK(issues_of(model) ==
          "error: value 'relu': is recorded as output 0 of node 'relu', but no node returns it\n"
          "error: node 'relu' (aten.relu.default): output 0 ('linear') is recorded as output 0 of node 'linear'");
    model = small_model();
    model.graph.inputs.push_back(model.graph.inputs[0]);
    model.inputs.push_back({});
    CHECK(issues_of(model) == "error: inputs: 'x' is listed twice");
}

TEST_CASE("indices out of range are reported, not followed") {
    Model model = small_model();
    model.graph.nodes[0].args[0].value = ValueRef{99};
    model.graph.nodes[1].outputs[0] = ValueRef{98};
    model.graph.values.back().producer = 77;
    model.graph.outputs.emplace_back(ValueRef{97});
    model.graph.inputs.emplace_back(ValueRef{96});
    const std::string issues = issues_of(model);
    for (const char* number : {"99", "98", "97", "96"})
        CHECK(issues.find("refers to value number " + std::string(number) + ", but there are 5") != std::string::npos);
}

TEST_CASE("arguments are held against the schema") {
    const auto with_args = [](std::vector<NamedArgument> args) {
        Model model = small_model();
        auto& own = model.graph.nodes[0].args;
        own.insert(own.end(), args.begin(), args.end());
        const auto issues = validate(model);
        return issues.empty() ? "" : issues[0].message;
    };
    CHECK(with_args({{"weigth", 1}}) == "has no argument 'weigth' (closest name: 'weight')");
    CHECK(with_args({{"stride", 1}}) == "has no argument 'stride', but 'input', 'weight', 'bias'");
    CHECK(with_args({{"bias", None{}}}) == "argument 'bias' is given twice");
    CHECK(with_args({{"", 1}}) == "argument 3 has no name: the op takes 'input', 'weight', 'bias'");

    Model model = small_model();
    model.graph.nodes[0].args[1].value = "text";
    CHECK(issues_of(model) ==
          "error: node 'linear' (aten.linear.default): argument 'weight' should be Tensor, found string");
    model.graph.nodes[0].args.erase(model.graph.nodes[0].args.begin() + 1);
    CHECK(issues_of(model) == "error: node 'linear' (aten.linear.default): argument 'weight' is missing");

    model = small_model();
    model.graph.nodes[1].op_type = "aten.softmax.int";
    model.graph.nodes[1].args.push_back({"dim", 1.5});
    model.graph.nodes[1].args.push_back({"dtype", "float32"});
    CHECK(issues_of(model) ==
          "error: node 'relu' (aten.softmax.int): argument 'dim' should be int, found float\n"
          "error: node 'relu' (aten.softmax.int): argument 'dtype' should be ScalarType?, found string");
    model.graph.nodes[1].op_type = "aten.no_such_op.default";
    CHECK(issues_of(model) ==
          "warning: node 'relu' (aten.no_such_op.default): the op is not in the table of ATen schemas");
    model.graph.nodes[1].op_type = "mine.op.default";
    CHECK(issues_of(model) == "");
}

TEST_CASE("list lengths and the number of returns are checked") {
    CHECK(issues_of_op("aten.conv2d.default", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {1, 4, 6, 6},
                       {{"stride", ArgumentList{1, 1, 1}}}) == "argument 'stride' should have 2 elements, found 3");
    CHECK(issues_of_op("aten.conv2d.default", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {1, 4, 6, 6}, {{"stride", 1}}) == "");
    CHECK(issues_of_op("aten.conv2d.default", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {1, 4, 6, 6},
                       {{"stride", ArgumentList{1, "x"}}}) ==
          "argument 'stride' should be SymInt[2], found a list of int, string");
    Model model = small_model();
    model.graph.nodes[1].outputs.emplace_back(None{});
    CHECK(issues_of(model) == "error: node 'relu' (aten.relu.default): should return 1 value, found 2");
    model.graph.nodes[1].outputs.pop_back();
    model.graph.nodes[1].outputs[0] = ArgumentList{model.graph.nodes[1].outputs[0]};
    CHECK(issues_of(model) ==
          "error: node 'relu' (aten.relu.default): return value 0 should be Tensor, found a list of the value 'relu'");
}

TEST_CASE("shapes and dtypes must follow from the inputs") {
    CHECK(issues_of_op("aten.linear.default", {{2, 3}, {4, 5}}, {2, 4}) ==
          "shapes [2, 3] and [5, 4] do not fit: 3 columns, 5 rows");
    CHECK(issues_of_op("aten.linear.default", {{2, 3}, {4, 3}}, {2, 5}) ==
          "'linear' has shape [2, 5], but the inputs give [2, 4]");
    CHECK(issues_of_op("aten.relu.default", {{2, 3}}, {2, 3}, {}, DType::Int64) ==
          "'relu' is int64, but the inputs give float32");
    CHECK(issues_of_op("aten.add.Tensor", {{2, 3}, {4}}, {2, 4}) == "shapes [2, 3] and [4] do not broadcast");
    CHECK(issues_of_op("aten.add.Tensor", {{2, 1, 3}, {4, 1}}, {2, 4, 3}) == "");
    CHECK(issues_of_op("aten.eq.Tensor", {{2}, {2}}, {2}) == "'eq' is float32, but the inputs give bool");
    CHECK(issues_of_op("aten.matmul.default", {{5, 2, 3}, {3}}, {5, 2}) == "");
    CHECK(issues_of_op("aten.matmul.default", {{3}, {5, 3, 4}}, {5, 4}) == "");
    CHECK(issues_of_op("aten.addmm.default", {{4}, {2, 3}, {3, 4}}, {2, 3}) ==
          "'addmm' has shape [2, 3], but the inputs give [2, 4]");
    CHECK(issues_of_op("aten.conv2d.default", {{1, 3, 8, 8}, {4, 2, 3, 3}}, {1, 4, 6, 6}) ==
          "input has 3 channels, weight of shape [4, 2, 3, 3] in 1 groups takes 2");
    CHECK(issues_of_op("aten.conv2d.default", {{1, 3, 8, 8}, {4, 3, 3, 3}}, {1, 4, 5, 4},
                       {{"stride", ArgumentList{2, 2}}, {"padding", ArgumentList{1, 1}}}) ==
          "'conv2d' has shape [1, 4, 5, 4], but the inputs give [1, 4, 4, 4]");
    CHECK(issues_of_op("aten.view.default", {{2, 3}}, {3, 2}, {{"size", ArgumentList{-1, 2}}}) == "");
    CHECK(issues_of_op("aten.view.default", {{2, 3}}, {4, 2}, {{"size", ArgumentList{4, 2}}}) ==
          "shape [2, 3] cannot be viewed as [4, 2]: the numbers of elements differ");
    CHECK(issues_of_op("aten.flatten.using_ints", {{2, 3, 4}}, {2, 12}, {{"start_dim", 1}}) == "");
    CHECK(issues_of_op("aten.transpose.int", {{2, 3, 4}}, {4, 3, 2}, {{"dim0", 0}, {"dim1", -1}}) == "");
    CHECK(issues_of_op("aten.transpose.int", {{2, 3}}, {3, 2}, {{"dim0", 0}, {"dim1", 2}}) ==
          "dimension 2 is out of range for rank 2");
    CHECK(issues_of_op("aten.permute.default", {{2, 3, 4}}, {4, 2, 3}, {{"dims", ArgumentList{2, 0, 1}}}) == "");
    CHECK(issues_of_op("aten.embedding.default", {{10, 4}, {2, 5}}, {2, 5, 3}) ==
          "'embedding' has shape [2, 5, 3], but the inputs give [2, 5, 4]");
    CHECK(issues_of_op("aten.unsqueeze.default", {{2, 3}}, {2, 3, 1}, {{"dim", -1}}) == "");
    CHECK(issues_of_op("aten.select.int", {{2, 3}}, {2}, {{"dim", 1}, {"index", 0}}) == "");
    CHECK(issues_of_op("aten.mean.dim", {{2, 3, 4}}, {2, 1, 1}, {{"dim", ArgumentList{1, 2}}, {"keepdim", true}}) ==
          "");
    CHECK(issues_of_op("aten.sum.dim_IntList", {{2, 3, 4}}, {2, 4}, {{"dim", ArgumentList{-1}}}) ==
          "'sum' has shape [2, 4], but the inputs give [2, 3]");
    CHECK(issues_of_op("aten.masked_fill.Scalar", {{3}, {2, 3}}, {2, 3}, {{"value", 0}}) == "");
    CHECK(issues_of_op("aten.clamp.Tensor", {{3}, {2, 3}}, {2, 3}) == "");
    CHECK(issues_of_op("aten.clamp.default", {{3}}, {3}, {{"min", 0.5}}, DType::Float64) == "");  // numbers promote
    CHECK(issues_of_op("aten.ge_.Scalar", {{3}}, {3}, {{"other", 1}}) == "");                     // in place
    CHECK(issues_of_op("aten.ge_.Scalar", {{3}}, {3}, {{"other", 1}}, DType::Bool) ==
          "'ge_' is bool, but the inputs give float32");
    CHECK(issues_of_op("aten.mm.dtype", {{2, 3}, {3, 4}}, {2, 4}, {{"out_dtype", DType::Float64}}, DType::Float64) ==
          "");
    CHECK(issues_of_op("aten._softmax.default", {{2, 3}}, {2, 3}, {{"dim", 1}, {"half_to_float", true}},
                       DType::Float64) == "");
    // Nothing is said about sizes that cannot be known.
    CHECK(issues_of_op("aten.relu.default", {{Dim(parse_expr("u0")), 3}}, {4, 3}) == "");
    const Dim huge = std::int64_t{1} << 60;
    CHECK(issues_of_op("aten.view.default", {{huge, 64}}, {huge}, {{"size", ArgumentList{-1}}}) == "");
}

TEST_CASE("an out tensor has a dtype of its own and takes the shape of the result") {
    const auto issues_with = [](const Shape& shape) {
        GraphBuilder b("m");
        const ValueRef self = b.input("self", {Shape{2, 3}});
        const ValueRef other = b.input("other", {Shape{3}});
        const ValueRef out = b.input("out", {Shape{0}, DType::Int16});
        b.output(b.call("aten.eq.Tensor_out", {self, other}, {shape, DType::Int16}, {{"out", out}}));
        return issues_of(b.build());
    };
    CHECK(issues_with({2, 3}) == "");
    CHECK(issues_with({3}) == "error: node 'eq' (aten.eq.Tensor_out): 'eq' has shape [3], but the inputs give [2, 3]");
}

TEST_CASE("joined tensors must fit") {
    const auto cat = [](const std::vector<Shape>& shapes, const Shape& output) {
        GraphBuilder b("m");
        ArgumentList list;
        for (const Shape& shape : shapes) list.emplace_back(b.input("x" + std::to_string(list.size()), {shape}));
        b.output(b.call("aten.cat.default", {list, 1}, {output}));
        const auto issues = validate(b.build());
        return issues.empty() ? "" : issues[0].message;
    };
    CHECK(cat({{2, 3}, {2, 4}, {0}}, {2, 7}) == "");
    CHECK(cat({{2, 3}, {3, 4}}, {2, 7}) == "shapes [2, 3] and [3, 4] do not join");
    CHECK(cat({}, {2}) == "cat() of no tensors");
}

TEST_CASE("subgraphs are checked, with their path") {
    auto inner = std::make_shared<Graph>(small_model().graph);
    inner->nodes[1].args[0].value = ValueRef{40};
    GraphBuilder b("m");
    const ValueRef x = b.input("x", {{2, 3}});
    b.output(b.call("higher_order.cond", {x, Subgraph{"true_graph_0", inner}}, {{2, 4}}));
    CHECK(issues_of(b.build()) ==
          "error: cond/true_graph_0: node 'relu' (aten.relu.default): refers to value number 40, but there are 5");
}

TEST_CASE("the signature must describe the graph") {
    Model model = small_model();
    model.inputs.pop_back();
    CHECK(issues_of(model) == "error: signature: describes 2 inputs, but the graph has 3");
    model = small_model();
    model.outputs[0] = {OutputKind::BufferMutation, "bn.mean"};
    CHECK(issues_of(model) == "error: output 0: mutates 'bn.mean', which is no weight of the model");
    model = small_model();
    model.inputs[2].target = "fc.weight";
    CHECK(issues_of(model) ==
          "error: input 2: weight 'fc.weight' is float32 of shape [4] here and float32 of shape [4, 3] as "
          "'p_fc_weight'");
    model = small_model();
    model.constants["fc.bias"] = {{DType::Float32, {3}, {}}, std::vector<std::byte>(16)};
    CHECK(issues_of(model) ==
          "error: constant 'fc.bias': float32 of shape [3] does not have 16 bytes\n"
          "error: constant 'fc.bias': is float32 of shape [3], but 'p_fc_bias' is float32 of shape [4]");
}

TEST_CASE("weights are held against the model") {
    const Model model = small_model();
    Weights weights;
    weights.insert("fc.weight", view({4, 3}));
    weights.insert("fc.bias", view({4}));
    CHECK(text_of(validate(model, weights)) == "");
    CHECK_FALSE(has_errors(validate(model, weights)));

    Weights wrong;
    wrong.insert("fc.weight", view({3, 4}, DType::Float16));
    wrong.insert("fc.bais", view({4}));
    CHECK(text_of(validate(model, wrong)) ==
          "error: weight 'fc.weight': expected shape [4, 3], found [3, 4]\n"
          "error: weight 'fc.weight': expected float32, found float16\n"
          "error: weight 'fc.bias': is missing (closest name: 'fc.bais')\n"
          "warning: weight 'fc.bais': is not used by the model");
    CHECK(has_errors(validate(model, wrong)));

    Model unused = model;
    unused.graph.nodes[0].args.pop_back();
    Weights partial;
    partial.insert("fc.weight", view({4, 3}));
    CHECK(text_of(validate(unused, partial)) == "warning: weight 'fc.bias': is missing");
}

TEST_CASE("names that differ by a prefix are recognised") {
    const Model model = small_model();
    Weights prefixed;
    prefixed.insert("module.fc.weight", view({4, 3}));
    prefixed.insert("module.fc.bias", view({4}));
    CHECK(
        text_of(validate(model, prefixed)) ==
        "warning: weights: 2 of 2 missing names are there when the prefix 'module.' is stripped from the names in the "
        "file\n"
        "error: weight 'fc.weight': is missing (closest name: 'module.fc.weight')\n"
        "error: weight 'fc.bias': is missing (closest name: 'module.fc.bias')\n"
        "warning: weight 'module.fc.bias': is not used by the model\n"
        "warning: weight 'module.fc.weight': is not used by the model");

    using Names = std::vector<std::string>;
    const auto change = [](const Names& wanted, const Names& available) {
        const PrefixChange found = find_prefix_change(wanted, available);
        return found.count == 0 ? "" : describe(found, wanted.size());
    };
    CHECK(change({"model.a.w", "model.b.w", "model.c"}, {"a.w", "b.w"}) ==
          "2 of 3 missing names are there when the prefix 'model.' is put before the names in the file");
    CHECK(change({"bert.a.w", "bert.b.w"}, {"roberta.a.w", "roberta.b.w", "head.w"}) ==
          "2 of 2 missing names are there when the prefix 'roberta.' of the names in the file becomes 'bert.'");
    CHECK(change({"a"}, {"_orig_mod.a"}) ==
          "1 of 1 missing name is there when the prefix '_orig_mod.' is stripped from the names in the file");
    CHECK(change({"a.w", "b.w"}, {"c.v"}) == "");
    CHECK(change({"a.w"}, {"b.w"}) == "");  // another layer, no prefix
    CHECK(change({"a.w", "b.w", "c.w"}, {"x.a.w"}) == "");
    CHECK(change({}, {"a"}) == "");
}

TEST_CASE("real models have no errors, with all rules") {
    for (const char* directory : {"tests/data/zoo", "tests/data/language"})
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            if (const auto path = entry.path() / "model.pt2"; std::filesystem::exists(path))
                CHECK_MESSAGE(!has_errors(validate(read_pt2(path))), path);
}

TEST_CASE("dim is a dimension of self, whatever the op") {
    CHECK(issues_of_op("aten.argsort.default", {{2, 3}}, {2, 3}, {{"dim", -2}}, DType::Int64) == "");
    CHECK(issues_of_op("aten.argsort.default", {{2, 3}}, {2, 3}, {{"dim", 2}}, DType::Int64) ==
          "dimension 2 is out of range for rank 2");
    CHECK(issues_of_op("aten.softmax.int", {{2, 3}}, {2, 3}, {{"dim", -3}}) ==
          "dimension -3 is out of range for rank 2");
    CHECK(issues_of_op("aten.cumprod.default", {{}}, {}, {{"dim", -1}}) == "");
    CHECK(issues_of_op("aten.var.correction", {{2, 3}}, {2}, {{"dim", ArgumentList{0, 2}}}) ==
          "dimension 2 is out of range for rank 2");
    CHECK(issues_of_op("aten.unsqueeze.default", {{2, 3}}, {2, 3, 1}, {{"dim", 2}}) == "");
    CHECK(issues_of_op("aten.unsqueeze.default", {{2, 3}}, {2, 3, 1}, {{"dim", 3}}) ==
          "dimension 3 is out of range for rank 3");
}

TEST_CASE("an op has a namespace") {
    CHECK(issues_of_op("relu", {{2}}, {2}) == "the op has no namespace: expected a name as 'aten.relu.default'");
    CHECK(issues_of_op("mine.relu", {{2}}, {2}) == "");
}

TEST_CASE("split, chunk and unbind return as many tensors as the size gives") {
    const auto issues = [](const std::string& op, GraphBuilder::List args, const std::vector<Shape>& shapes) {
        GraphBuilder b("parts");
        b.input("x", {{5, 4}});
        std::vector<GraphBuilder::Tensor> outputs;
        for (const Shape& shape : shapes) outputs.push_back({shape});
        for (const ValueRef part : b.call_many(op, args, outputs)) b.output(part);
        return issues_of(b.build());
    };
    const ValueRef x{0};
    CHECK(issues("aten.split.Tensor", {x, 2}, {{2, 4}, {2, 4}, {1, 4}}) == "");
    CHECK(issues("aten.split.Tensor", {x, 2}, {{2, 4}, {2, 4}}) ==
          "error: node 'split' (aten.split.Tensor): returns 2 tensors, but the inputs give 3");
    CHECK(issues("aten.split.Tensor", {x, 2}, {{2, 4}, {2, 4}, {2, 4}}) ==
          "error: node 'split' (aten.split.Tensor): 'split_2' has shape [2, 4], but the inputs give [1, 4]");
    CHECK(issues("aten.split_with_sizes.default", {x, ArgumentList{1, 3}, 1}, {{5, 1}, {5, 3}}) == "");
    CHECK(issues("aten.split_with_sizes.default", {x, ArgumentList{1, 3}, 1}, {{5, 1}}) ==
          "error: node 'split_with_sizes' (aten.split_with_sizes.default): returns 1 tensors, but the inputs give 2");
    CHECK(issues("aten.chunk.default", {x, 4}, {{2, 4}, {2, 4}, {1, 4}}) == "");
    CHECK(issues("aten.unbind.int", {x, 1}, {{5}, {5}, {5}, {5}}) == "");
    CHECK(issues("aten.unbind.int", {x, 1}, {{5}, {5}}) ==
          "error: node 'unbind' (aten.unbind.int): returns 2 tensors, but the inputs give 4");
}

TEST_CASE("a producer that does not return the value is an error") {
    Model model = small_model();
    Value stray;
    stray.name = "stray";
    stray.meta = {DType::Float32, {2, 4}, std::nullopt};
    stray.producer = 0;
    model.graph.values.push_back(stray);
    model.graph.outputs[0] = ValueRef{5};
    CHECK(issues_of(model) == "error: value 'stray': is recorded as output 0 of node 'linear', but no node returns it");
}
