// SPDX-License-Identifier: MIT
#include "torch_ir/schema.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "torch_ir/ir.hpp"

using namespace torch_ir;

namespace {

std::string schema_error(std::string_view line) {
    try {
        parse_schema(line);
    } catch (const SchemaError& error) {
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("every line of the table parses and is found by its op type") {
    const auto lines = aten_schema_lines();
    CHECK(lines.size() > 3000);
    CHECK(std::ranges::is_sorted(lines));
    for (const auto line : lines) {
        const Schema schema = parse_schema(line);
        const Schema* found = find_schema(schema.op_type());
        REQUIRE_MESSAGE(found, line);
        CHECK_MESSAGE(found->op_type() == schema.op_type(), line);
        CHECK_MESSAGE(found->parameters.size() == schema.parameters.size(), line);
    }
}

TEST_CASE("the compiled table is schema/aten.txt") {
    std::ifstream file("schema/aten.txt");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    const auto table = aten_schema_lines();
    REQUIRE(lines.size() == table.size());
    CHECK(std::ranges::equal(lines, table));
}

TEST_CASE("an op is found with and without its default overload") {
    REQUIRE(find_schema("aten.relu.default"));
    CHECK(find_schema("aten.relu.default") == find_schema("aten.relu"));
    CHECK(find_schema("quantized_decomposed.quantize_per_tensor.tensor"));
    CHECK(find_schema("prims.convert_element_type.default"));
    CHECK_FALSE(find_schema("aten.add"));  // only overloads
    CHECK_FALSE(find_schema("aten.relu.out2"));
    CHECK_FALSE(find_schema("higher_order.cond"));
    CHECK_FALSE(find_schema("relu"));
    CHECK_FALSE(find_schema(""));
}

TEST_CASE("conv2d has lists with a size, an optional tensor and defaults") {
    const Schema& schema = *find_schema("aten.conv2d.default");
    CHECK(schema.name_space == "aten");
    CHECK(schema.name == "conv2d");
    CHECK(schema.overload.empty());
    REQUIRE(schema.parameters.size() == 7);
    const SchemaParameter& bias = schema.parameters[2];
    CHECK(bias.name == "bias");
    CHECK(bias.type.kind == SchemaKind::Tensor);
    CHECK(bias.type.optional);
    CHECK(bias.type.text == "Tensor?");
    CHECK(bias.default_value == Argument(None{}));
    const SchemaParameter& stride = *schema.find("stride");
    CHECK(stride.type.kind == SchemaKind::Int);
    CHECK(stride.type.list);
    CHECK(stride.type.list_size == 2);
    CHECK(stride.type.text == "SymInt[2]");
    CHECK(stride.default_value == Argument(ArgumentList{1, 1}));
    CHECK(schema.parameters[6].default_value == Argument(1));
    CHECK_FALSE(schema.parameters[0].default_value);
    CHECK_FALSE(schema.find("kernel_size"));
    REQUIRE(schema.returns.size() == 1);
    CHECK(schema.returns[0].name.empty());
    CHECK_FALSE(schema.returns_list());
}

TEST_CASE("alias marks and keyword-only parameters are kept") {
    const Schema& out = *find_schema("aten.add.out");
    CHECK(out.find("self")->keyword_only == false);
    CHECK(out.find("alpha")->keyword_only);
    CHECK(out.find("alpha")->type.kind == SchemaKind::Scalar);
    CHECK(out.find("out")->alias == "a");
    CHECK(out.find("out")->is_write);
    CHECK(out.find("out")->type.text == "Tensor");
    CHECK(out.returns[0].alias == "a");
    CHECK(out.returns[0].is_write);

    const Schema& view = *find_schema("aten.view.default");
    CHECK(view.parameters[0].alias == "a");
    CHECK_FALSE(view.parameters[0].is_write);
    CHECK(view.parameters[1].name == "size");
    CHECK_FALSE(view.parameters[1].type.list_size);

    const Schema& split = *find_schema("aten.split.Tensor");
    CHECK(split.parameters[0].alias == "a");
    CHECK(split.returns_list());
    CHECK(split.returns[0].type.text == "Tensor[]");
}

TEST_CASE("lists of optional tensors, optional lists and named returns") {
    const SchemaType& indices = find_schema("aten.index.Tensor")->find("indices")->type;
    CHECK(indices.list);
    CHECK(indices.optional_elements);
    CHECK_FALSE(indices.optional);
    CHECK(indices.text == "Tensor?[]");
    const SchemaType& dim = find_schema("aten.sum.dim_IntList")->find("dim")->type;
    CHECK(dim.list);
    CHECK(dim.optional);
    CHECK(dim.list_size == 1);
    CHECK(dim.text == "int[1]?");
    const auto& returns = find_schema("aten.max.dim")->returns;
    REQUIRE(returns.size() == 2);
    CHECK(returns[0].name == "values");
    CHECK(returns[1].name == "indices");
    CHECK(find_schema("aten._assert_async.msg")->returns.empty());
}

TEST_CASE("defaults have the type of their parameter") {
    CHECK(find_schema("aten.layer_norm.default")->find("eps")->default_value == Argument(1.0000000000000001e-05));
    CHECK(find_schema("aten.gelu.default")->find("approximate")->default_value == Argument("none"));
    CHECK(find_schema("aten.einsum.default")->find("path")->default_value == Argument(None{}));
    CHECK(find_schema("aten.std.default")->find("unbiased")->default_value == Argument(true));
    CHECK(find_schema("aten.leaky_relu.default")->find("negative_slope")->default_value == Argument(0.01));
    CHECK(find_schema("aten.cross_entropy_loss.default")->find("ignore_index")->default_value == Argument(-100));
    CHECK(find_schema("aten.full_like.default")->find("memory_format")->default_value == Argument(None{}));
    const Schema contiguous = parse_schema("f(MemoryFormat m=0, ScalarType? t=4, float x=1, int[2] p=0) -> ()");
    CHECK(contiguous.parameters[0].default_value == Argument(MemoryFormat::Contiguous));
    CHECK(contiguous.parameters[1].default_value == Argument(DType::Int64));
    CHECK(contiguous.parameters[2].default_value == Argument(1.0));
    CHECK(contiguous.parameters[3].default_value == Argument(0));
}

TEST_CASE("a user's namespace is kept in the op type") {
    const Schema schema = parse_schema("mine::scale.twice(Tensor x, *, str how=\"a\\\"b\") -> (Tensor, Tensor)");
    CHECK(schema.op_type() == "mine.scale.twice");
    CHECK(schema.parameters[1].default_value == Argument("a\"b"));
    CHECK(schema.returns.size() == 2);
}

TEST_CASE("a malformed line is refused with the column") {
    CHECK(schema_error("") == "schema '': expected an operator name at column 1, found end of line");
    CHECK(schema_error("f(Tensor) -> Tensor") ==
          "schema 'f(Tensor) -> Tensor': expected a parameter name at column 9, found ') -> Tensor'");
    CHECK(schema_error("f(Tensor x") == "schema 'f(Tensor x': expected ')' at column 11, found end of line");
    CHECK(schema_error("f(int x=1y) -> ()") ==
          "schema 'f(int x=1y) -> ()': expected a default value at column 9, found '1y) -> ()'");
    CHECK(schema_error("f() -> Tensor ;") == "schema 'f() -> Tensor ;': expected end of line at column 15, found ';'");
    CHECK(schema_error("f(Tensor(a x) -> ()") != "no error");
    CHECK(schema_error("f(str x=\"abc") != "no error");
    CHECK(schema_error("f(int[99999999999999999999] x) -> ()") != "no error");
}
