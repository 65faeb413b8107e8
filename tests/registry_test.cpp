// SPDX-License-Identifier: MIT
#include "registry.hpp"

#include <doctest/doctest.h>

#include "kernels/call.hpp"
#include "support/graphs.hpp"
#include "torch_ir/schema.hpp"

using namespace torch_ir;
using test::floats;
using test::values;

namespace {

std::string text(const Schema& schema) {
    std::string result = schema.op_type() + "(";
    for (const SchemaParameter& p : schema.parameters)
        result += (p.keyword_only ? "*" : "") + p.type.text + " " + p.name + (p.default_value ? "=" : "") + ", ";
    result += ")";
    for (const SchemaParameter& r : schema.returns) result += " " + r.type.text;
    return result;
}

void apply(std::string_view op, std::vector<IValue> args) {
    Context context;
    kernels::call_op(context, op, std::move(args));
}

IValue call(const Op& op, const std::vector<IValue>& args) {
    std::vector<const IValue*> pointers;
    for (const IValue& arg : args) pointers.push_back(&arg);
    Context context;
    std::vector<IValue> results;
    op.kernel(context, pointers, results);
    return results.at(0);
}

}  // namespace

TEST_CASE("every registered ATen schema line is PyTorch's") {
    for (const std::string& name : builtin_registry().names()) {
        if (builtin_registry().find_function(name)) continue;
        const Schema* expected = find_schema(name);
        const Op* op = builtin_registry().find(name);
        if (!expected &&
            (name.starts_with("transformers.") || name.starts_with("torchao.") || name.starts_with("torchvision.")))
            continue;
        REQUIRE_MESSAGE(expected, name);
        CHECK(text(op->schema) == text(*expected));
        for (std::size_t i = 0; i < expected->parameters.size(); ++i)
            CHECK_MESSAGE(op->schema.parameters[i].default_value == expected->parameters[i].default_value,
                          name << " " << expected->parameters[i].name);
    }
}

TEST_CASE("a kernel that does not fit its schema is refused when it is registered") {
    Registry registry;
    CHECK_THROWS_WITH_AS(registry.add("relu(Tensor self) -> Tensor", [](const Tensor& a, const Tensor&) { return a; }),
                         "the kernel of 'aten.relu.default' takes 2 parameters, its schema has 1", SchemaError);
    CHECK_THROWS_WITH_AS(registry.add("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
                                      [](const Tensor& a, std::int64_t, std::int64_t) { return a; }),
                         "the kernel of 'aten.softmax.int' does not take its parameter 'dtype' as ScalarType?",
                         SchemaError);
    CHECK_THROWS_WITH_AS(registry.add("relu(Tensor self) -> Tensor", [](const Tensor& a) { return std::tuple(a, a); }),
                         "the kernel of 'aten.relu.default' returns 2 values, its schema says 1", SchemaError);
    registry.add("relu(Tensor self) -> Tensor", [](const Tensor& a) { return a; });
    CHECK_THROWS_WITH_AS(registry.add("relu(Tensor self) -> Tensor", [](const Tensor& a) { return a; }),
                         "op 'aten.relu.default' is registered twice", SchemaError);
}

TEST_CASE("in-place and out variants run the functional kernel and write its result") {
    const Op* in_place = builtin_registry().find("aten.mul_.Tensor");
    REQUIRE(in_place);
    const Tensor self = floats({2}, {1, 2});
    const Tensor result = std::get<Tensor>(call(*in_place, {self, floats({2}, {3, 4})}));
    CHECK(values(self) == std::vector<double>{3, 8});
    CHECK(result.raw() == self.raw());

    const Op* out = builtin_registry().find("aten.mul.out");
    REQUIRE(out);
    const Tensor target = Tensor::zeros({2}, DType::Float64);
    call(*out, {self, floats({2}, {2, 2}), target});
    CHECK(values(target) == std::vector<double>{6, 16});
    CHECK_THROWS_WITH_AS(call(*in_place, {floats({1}, {1}), self}),
                         "in-place result of shape [2] does not fit the tensor of shape [1] it is written to",
                         ArgumentError);
}

TEST_CASE("a result is written only to a dtype that it can be cast to") {
    const auto run = [](const char* op_type, const std::vector<IValue>& args) {
        const Op* op = builtin_registry().find(op_type);
        REQUIRE(op);
        return std::get<Tensor>(call(*op, args));
    };
    const Tensor number = floats({2}, {1, 2.5});
    const Tensor integer = Tensor::full({2}, 2, DType::Int64);
    CHECK_THROWS_WITH_AS(run("aten.exp_.default", {integer}),
                         "result type float32 can't be cast to the desired output type int64", ArgumentError);
    CHECK_THROWS_WITH_AS(run("aten.sin.out", {number, integer}),
                         "result type float32 can't be cast to the desired output type int64", ArgumentError);
    CHECK_THROWS_AS(run("aten.abs_.default", {Tensor::full({2}, 1, DType::Complex64)}), ArgumentError);
    CHECK_THROWS_AS(run("aten.cumsum_.default", {number, std::int64_t{0}, DType::Float64}), ArgumentError);
    CHECK(run("aten.neg.out", {number, Tensor::zeros({2}, DType::Float64)}).dtype() == DType::Float64);
    const Tensor sums = run("aten.cumsum_.default", {Tensor::full({2}, 2, DType::Int32), std::int64_t{0}, None{}});
    CHECK(values(sums) == std::vector<double>{2, 4});
}

TEST_CASE("coerce gives a parameter the form it takes") {
    const Schema schema = parse_schema("f(Tensor t, int[2] size, float p, Scalar s) -> Tensor");
    CHECK(std::get<Tensor>(coerce(std::int64_t{2}, schema.parameters[0].type)).is_wrapped_number());
    CHECK(std::get<Ints>(coerce(std::int64_t{3}, schema.parameters[1].type)) == Ints{3, 3});
    CHECK(std::get<double>(coerce(std::int64_t{3}, schema.parameters[2].type)) == 3.0);
    CHECK(std::get<double>(coerce(Tensor::scalar(2.5, DType::Float32), schema.parameters[3].type)) == 2.5);
    CHECK_THROWS_WITH_AS(coerce(std::string("x"), schema.parameters[2].type), "expected float, found string",
                         ArgumentError);
    CHECK_THROWS_WITH_AS(coerce(None{}, schema.parameters[2].type), "expected float, found None", ArgumentError);
}

TEST_CASE("what an op writes to may share memory with its operands where PyTorch allows it") {
    const Tensor square = floats({2, 2}, {1, 2, 3, 4});
    const std::string shared =
        "some elements of float32[2, 2] and of the tensor that is written to, float32[2, 2], lie in one place: clone "
        "one of them before";
    CHECK_THROWS_WITH_AS(apply("aten.add_.Tensor", {square, square.transpose(0, 1), 1}), shared.c_str(), ArgumentError);
    CHECK_THROWS_AS(apply("aten.mul_.Tensor", {square, square.select(0, 0)}), ArgumentError);
    CHECK_THROWS_AS(apply("aten.copy_.default", {square, square.transpose(0, 1)}), ArgumentError);
    CHECK_THROWS_AS(apply("aten.index_put_.default", {square, TensorList{Tensor::from_ints(Ints{0, 1})}, square}),
                    ArgumentError);
    CHECK_THROWS_AS(apply("aten.add.out", {square.select(0, 0), square, 1, square.transpose(0, 1)}), ArgumentError);
    CHECK(values(square) == std::vector<double>{1, 2, 3, 4});

    apply("aten.add_.Tensor", {square.select(1, 0), square.select(1, 1), 1});  // columns of rows: not looked into
    CHECK(values(square) == std::vector<double>{3, 2, 7, 4});
    apply("aten.add_.Tensor", {square, square, 1});
    CHECK(values(square) == std::vector<double>{6, 4, 14, 8});
    apply("aten.sub_.Tensor", {square.select(0, 0), square.select(0, 1), 1});
    CHECK(values(square) == std::vector<double>{-8, -4, 14, 8});
}

TEST_CASE("a tensor whose elements share memory is written to only where their order does not matter") {
    const Tensor row = floats({1, 2}, {1, 2});
    const Tensor rows = row.expand(Ints{3, 2});
    CHECK_THROWS_WITH_AS(apply("aten.mul_.Scalar", {rows, 2.0}),
                         "more than one element of the tensor that is written to, float32[3, 2], lies in one place: "
                         "clone it before",
                         ArgumentError);
    CHECK_THROWS_AS(apply("aten.add.out", {rows, rows, 1, rows}), ArgumentError);
    CHECK_THROWS_AS(apply("aten._foreach_neg_.default", {TensorList{row, rows}}), ArgumentError);
    CHECK(values(row) == std::vector<double>{-1, -2});
    apply("aten.dropout_.default", {rows, 0.5, false});
    apply("aten.tril_.default", {row.expand(Ints{1, 2}), 0});
    CHECK(values(row) == std::vector<double>{-1, 0});
    apply("aten.fill_.Scalar", {rows, 3.0});
    CHECK(values(row) == std::vector<double>{3, 3});
}
