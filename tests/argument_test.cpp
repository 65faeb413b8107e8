// SPDX-License-Identifier: MIT
#include "torch_ir/argument.hpp"

#include <doctest/doctest.h>

#include "torch_ir/impl/argument_text.hpp"
#include "torch_ir/ir.hpp"

using namespace torch_ir;

// What would be taken for something else does not compile.
static_assert(!std::is_constructible_v<Argument, std::nullptr_t>);
static_assert(!std::is_constructible_v<Argument, char>);
static_assert(!std::is_constructible_v<Dim, bool>);
static_assert(!std::is_constructible_v<Dim, double>);
static_assert(std::is_constructible_v<Argument, int> && std::is_constructible_v<Argument, const char*>);
static_assert(std::is_constructible_v<Dim, int> && std::is_constructible_v<Dim, std::int64_t>);

TEST_SUITE("argument") {
    TEST_CASE("a symbol among ints is named, with what to do") {
        CHECK(Argument(ArgumentList{1, 2}).to_ints() == std::vector<std::int64_t>{1, 2});
        CHECK(Argument(3).to_ints() == std::vector<std::int64_t>{3});
        const Argument size = ArgumentList{1, ValueRef{7}};
        CHECK_THROWS_WITH_AS(size.to_ints(),
                             "element 1: expected int, found value number 7 of the graph, which is known only when it "
                             "runs: take get<ValueRef>(), and Value::expr for what it is",
                             ArgumentError);
        CHECK_THROWS_WITH_AS(Argument("same").to_ints(), "expected int, found string", ArgumentError);
        CHECK_THROWS_WITH_AS(
            Argument(ValueRef{2}).to_double(),
            "expected float, found value number 2 of the graph, which is known only when it runs: take "
            "get<ValueRef>(), and Value::expr for what it is",
            ArgumentError);
    }

    TEST_CASE("numbers are shown as Python shows them") {
        const auto text = [](const Argument& argument) {
            return detail::argument_text(argument, [](ValueRef) { return std::string("v"); });
        };
        CHECK(text(std::complex<double>(1, -2)) == "(1-2j)");
        CHECK(text(std::complex<double>(1, 0.5)) == "(1+0.5j)");
        CHECK(text(1e-5) == "1e-05");
        CHECK(text(0.1) == "0.1");
        CHECK(text(10.0) == "10.0");
        CHECK(text(-1.0 / 3) == "-0.3333333333333333");
        CHECK(text(INFINITY) == "inf");
    }

    TEST_CASE("what a value's meta does not say, its kind does") {
        Value value;
        value.meta.dtype = DType::Float16;
        CHECK(value_dtype(value) == DType::Float16);
        CHECK(name(value.kind) == "tensor");
        value = {};
        value.kind = ValueKind::SymInt;
        CHECK(value_dtype(value) == DType::Int64);
        CHECK(name(value.kind) == "sym_int");
        value.kind = ValueKind::SymFloat;
        CHECK(value_dtype(value) == DType::Float64);
        value.kind = ValueKind::SymBool;
        CHECK(value_dtype(value) == DType::Bool);
        CHECK(name(ValueKind::CustomObject) == "custom_object");
    }
}
