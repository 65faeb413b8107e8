// SPDX-License-Identifier: MIT
#include "torch_ir/info.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/files.hpp"
#include "torch_ir/builder.hpp"
#include "torch_ir/json.hpp"

using namespace torch_ir;
using torch_ir::test::read_text;

namespace {

std::optional<std::int64_t> flops_of(const std::string& model) {
    return collect_info(read_json("tests/data/zoo/pytorch_ir/" + model + "/ir.json")).flops;
}

}  // namespace

TEST_CASE("the figures of pytorch-ir's info --json come out as they are there, followed by ours") {
    for (const auto& entry : std::filesystem::directory_iterator("tests/data/zoo/pytorch_ir")) {
        std::string theirs = read_text(entry.path() / "info.json");
        theirs.resize(theirs.size() - 2);  // the closing brace
        const std::string ours = to_json(collect_info(read_json(entry.path() / "ir.json")));
        CHECK_MESSAGE(ours.starts_with(theirs + ",\n  \"pytorch_version\": "), entry.path());
    }
}

TEST_CASE("FLOPs are those of torch.utils.flop_counter") {
    CHECK(flops_of("CrossAttention") == 917504);
    CHECK(flops_of("DeepResNet") == 115016320);
    CHECK(flops_of("DenseBlock") == 77267904);
    CHECK(flops_of("MultiTaskHead") == 11602944);
    CHECK(flops_of("RecurrentUnroll") == 10240);
    CHECK(flops_of("SelfAttention") == 589824);
    CHECK(flops_of("SiameseEncoder") == 165216256);
    CHECK(flops_of("TransformerBlock") == 1638400);
    CHECK(flops_of("WeightTying") == 466944);
}

TEST_CASE("FLOPs of grouped, transposed and fused ops") {
    const auto flops = [](const std::string& op, const std::vector<GraphBuilder::Tensor>& inputs,
                          const GraphBuilder::Tensor& output, const std::vector<NamedArgument>& named = {}) {
        GraphBuilder b("m");
        std::vector<Argument> args;
        for (const auto& input : inputs) args.emplace_back(b.input("x" + std::to_string(args.size()), input));
        b.output(b.call(op, args, output, named));
        return collect_info(b.build()).flops;
    };
    CHECK(flops("aten.conv2d.default", {{{2, 4, 9, 9}}, {{6, 2, 3, 3}}}, {{2, 6, 4, 4}}, {{"groups", 2}}) == 6912);
    CHECK(flops("aten.conv_transpose2d.input", {{{2, 4, 9, 9}}, {{4, 6, 3, 3}}}, {{2, 6, 19, 19}}) == 69984);
    CHECK(flops("aten.addmm.default", {{{3, 5}}, {{3, 4}}, {{4, 5}}}, {{3, 5}}) == 120);
    CHECK(flops("aten.matmul.default", {{{2, 3, 4}}, {{4, 5}}}, {{2, 3, 5}}) == 240);
    // 2·B·H·Lq·Lk·(E + Ev)
    CHECK(flops("aten.scaled_dot_product_attention.default", {{{2, 3, 5, 8}}, {{2, 3, 7, 8}}, {{2, 3, 7, 4}}},
                {{2, 3, 5, 4}}) == 2 * 2 * 3 * 5 * 7 * (8 + 4));
    CHECK(flops("aten.relu.default", {{{2, 3}}}, {{2, 3}}) == 0);
}

TEST_CASE("peak memory follows liveness, and views occupy nothing") {
    GraphBuilder b("m");
    const ValueRef x = b.input("x", {{4}});                      // 16 bytes, not counted
    const ValueRef a = b.call("aten.relu.default", {x}, {{4}});  // 16 live
    const ValueRef v = b.call("aten.view.default", {a, ArgumentList{2, 2}}, {{2, 2}});
    const ValueRef c = b.call("aten.exp.default", {v}, {{2, 2}});                      // 32; then a is free
    const ValueRef d = b.call("aten.cat.default", {ArgumentList{c, c, c}}, {{6, 2}});  // 16 + 48
    b.output(b.call("aten.sum.default", {d}, {{}}));                                   // 48 + 4
    const ModelInfo info = collect_info(b.build());
    CHECK(info.peak_activation_bytes == 64);
    CHECK(info.weight_bytes == 0);
    CHECK(info.dtypes == ModelInfo::ByName<std::size_t>{{"float32", 6}});
}

TEST_CASE("unknown and overflowing figures are left open") {
    const Dim unknown(parse_expr("u0"));
    GraphBuilder b("m");
    const ValueRef x = b.input("x", {{unknown, 3}});
    b.parameter("p_w", "w", {{std::int64_t{1} << 40, std::int64_t{1} << 40}, DType::Int8});
    b.output(b.call("aten.mm.default", {x, x}, {{unknown, 3}}));
    const ModelInfo info = collect_info(b.build());
    CHECK(!info.flops);
    CHECK(!info.total_parameters);
    CHECK(!info.peak_activation_bytes);
    const std::string text = to_json(info);
    CHECK(text.find("\"flops\": null") != std::string::npos);
    CHECK(text.find("\"u0\"") != std::string::npos);
    CHECK(to_json(collect_info(Model{})).starts_with("{\n  \"model_name\": \"\",\n  \"num_nodes\": 0,"));
}
