// SPDX-License-Identifier: MIT
#include "torch_ir/symbolic.hpp"

#include <doctest/doctest.h>

using namespace torch_ir;

namespace {

std::string printed(const std::string& text) { return to_string(*parse_expr(text)); }

std::int64_t value(const std::string& text, const SymbolValues& values = {}) {
    return evaluate(*parse_expr(text), values);
}

/// Wraps `text` in so many calls.
std::string nested(int levels, const std::string& open, const std::string& text, const std::string& close) {
    std::string result;
    for (int i = 0; i < levels; ++i) result += open;
    result += text;
    for (int i = 0; i < levels; ++i) result += close;
    return result;
}

}  // namespace

TEST_SUITE("symbolic") {
    TEST_CASE("the srepr form of torch 2.6 and later is read and printed as Python would") {
        CHECK(printed("Mul(Integer(2), Symbol('s27', positive=True, integer=True))") == "2*s27");
        CHECK(printed("Add(Symbol('s33', positive=True, integer=True), Integer(-1))") == "s33 - 1");
        CHECK(printed("Add(FloorDiv(Add(Symbol('s69'), Integer(-1)), Integer(2)), Integer(1))") == "(s69 - 1)//2 + 1");
        CHECK(printed("Pow(Symbol('s0', integer=True), Integer(2))") == "s0**2");
        CHECK(printed("Max(Integer(1), Symbol('s0'))") == "Max(1, s0)");
        CHECK(printed("GreaterThan(Symbol('u0', integer=True), Integer(0))") == "u0 >= 0");
        CHECK(printed("Float('0.5', precision=53)") == "0.5");
        CHECK(printed("Piecewise(ExprCondPair(Symbol('s0'), StrictGreaterThan(Symbol('t'), Integer(3))), "
                      "ExprCondPair(Symbol('t'), true))") ==
              "Piecewise(ExprCondPair(s0, t > 3), ExprCondPair(t, True))");
    }

    TEST_CASE("the str form of torch 2.5 gives the same trees") {
        CHECK(*parse_expr("2*s0 + 1") == *parse_expr("Add(Mul(Integer(2), Symbol('s0')), Integer(1))"));
        CHECK(*parse_expr("(s0//2) + 1") == *parse_expr("Add(FloorDiv(Symbol('s0'), Integer(2)), Integer(1))"));
        CHECK(*parse_expr("-s0*t - 2*t") ==
              *parse_expr("Add(Mul(Integer(-1), Symbol('s0'), Symbol('t')), Mul(Integer(-2), Symbol('t')))"));
        CHECK(*parse_expr("(t < s0) & Ne(t, 3)") ==
              *parse_expr("And(StrictLessThan(Symbol('t'), Symbol('s0')), Unequality(Symbol('t'), Integer(3)))"));
        CHECK(*parse_expr("Piecewise((s0, t > 3), (t, True))") ==
              *parse_expr("Piecewise(ExprCondPair(Symbol('s0'), StrictGreaterThan(Symbol('t'), Integer(3))), "
                          "ExprCondPair(Symbol('t'), true))"));
    }

    TEST_CASE("printed text is read back as the same tree") {
        for (const char* text : {"2*s0 + 1",
                                 "s0 - 2*t - 1",
                                 "-s0",
                                 "-s0*t",
                                 "-(s0*t)",
                                 "s0 - (t - 1)",
                                 "2*(s0 + t)",
                                 "s0//2//3",
                                 "s0//(2*t)",
                                 "(s0*t)//2",
                                 "(-1)//s0 - 1",
                                 "x - 1//s0",
                                 "2**-s0",
                                 "(2**s0)**t",
                                 "2**s0**t",
                                 "-1.5*x + y - 1.5*x",
                                 "a - 1*2*t",
                                 "Mul(Integer(-1), Mul(x, y))",
                                 "Integer(-9223372036854775808)",
                                 "(a < b) | (c >= d)",
                                 "~(a == b)",
                                 "a % 4",
                                 "a << 2",
                                 "Mod(a, 3) - CeilDiv(b, 2)",
                                 "1/2",
                                 "s0/2",
                                 "true"}) {
            CAPTURE(text);
            const ExprPtr tree = parse_expr(text);
            CHECK(*parse_expr(to_string(*tree)) == *tree);
        }
    }

    TEST_CASE("division and remainder round like Python's") {
        CHECK(value("t//2", {{"t", -7}}) == -4);
        CHECK(value("t//-2", {{"t", 7}}) == -4);
        CHECK(value("PythonMod(t, 4)", {{"t", -7}}) == 1);
        CHECK(value("PythonMod(t, -4)", {{"t", 7}}) == -1);
        CHECK(value("Mod(t, 3)", {{"t", 8}}) == 2);
        CHECK(value("CeilDiv(t, 7)", {{"t", 15}}) == 3);
        CHECK(value("ModularIndexing(t, 4, 3)", {{"t", 29}}) == 1);
        CHECK(value("CeilToInt(IntTrueDiv(t, 2))", {{"t", 7}}) == 4);
        CHECK(value("TruncToInt(FloatTrueDiv(ToFloat(t), 2.5))", {{"t", -7}}) == -2);
        CHECK(value("RoundToInt(FloatTrueDiv(ToFloat(t), 2.0))", {{"t", 5}}) == 2);  // halves to even
        CHECK(value("TruncToInt(100.0*RoundDecimal(FloatTrueDiv(ToFloat(t), 7.0), 2))", {{"t", 2}}) == 28);
        CHECK(value("floor(s0/3)", {{"s0", 8}}) == 2);
        CHECK(value("ceiling(-s0/3)", {{"s0", 8}}) == -2);
        CHECK(value("3*(s0/3)", {{"s0", 49}}) == 49);  // fractions are exact
    }

    TEST_CASE("the other functions are evaluated") {
        const SymbolValues values{{"s", 6}, {"t", 4}};
        CHECK(value("Max(1, s, t)", values) == 6);
        CHECK(value("Min(9, s, t)", values) == 4);
        CHECK(value("2**t + s**2", values) == 52);
        CHECK(value("PowByNatural(s, t)", values) == 1296);
        CHECK(value("(s << 2) + (s >> 1)", values) == 27);
        CHECK(value("BitwiseFn_bitwise_and(s, t)", values) == 4);
        CHECK(value("BitwiseFn_bitwise_or(s, 1)", values) == 7);
        CHECK(value("BitwiseFn_bitwise_xor(s, t)", values) == 2);
        CHECK(value("TruncToInt(OpaqueUnaryFn_sqrt(ToFloat(s)))", values) == 2);
        CHECK(value("TruncToInt(FloatPow(ToFloat(s), 0.5))", values) == 2);
        CHECK(value("Where(s > t, s, t)", values) == 6);
        CHECK(value("Piecewise((1, s < t), (2, Eq(s, 6)), (3, True))", values) == 2);
        CHECK(value("And(s > t, Not(Eq(s, t)))", values) == 1);
        CHECK(value("Or(s < t, s <= t)", values) == 0);
        CHECK(value("Abs(t - s) + CleanDiv(s, 3) + Identity(t)", values) == 8);
        CHECK(value("IsNonOverlappingAndDenseIndicator(s, 3, 3, 1)", values) == 1);
        CHECK(value("IsNonOverlappingAndDenseIndicator(s, 3, 4, 1)", values) == 0);
    }

    TEST_CASE("a branch that is not taken is not evaluated") {
        CHECK(value("Piecewise((6//t, Ne(t, 0)), (0, True))", {{"t", 0}}) == 0);
        CHECK(value("Where(t > 0, 6//t, -1)", {{"t", 0}}) == -1);
    }

    TEST_CASE("what cannot be evaluated is named") {
        CHECK_THROWS_WITH_AS(value("s0 + u1", {{"s0", 1}}), "expression 's0 + u1': symbol 'u1' has no value",
                             ArgumentError);
        CHECK_THROWS_WITH_AS(value("4//s0", {{"s0", 0}}), "expression '4//s0': division by zero", ArgumentError);
        CHECK_THROWS_WITH_AS(value("s0*s0", {{"s0", 4294967296}}), "expression 's0*s0': the result overflows 64 bits",
                             ArgumentError);
        CHECK_THROWS_WITH_AS(value("10**s0", {{"s0", 1000000000000}}),
                             "expression '10**s0': the result overflows 64 bits", ArgumentError);
        CHECK_THROWS_WITH_AS(value("IntTrueDiv(s0, 2)", {{"s0", 5}}),
                             "expression 'IntTrueDiv(s0, 2)': the value 2.5 is not a 64-bit integer", ArgumentError);
        CHECK_THROWS_WITH_AS(value("Piecewise((1, s0 > 5))", {{"s0", 5}}),
                             "expression 'Piecewise(ExprCondPair(1, s0 > 5))': no case of Piecewise applies",
                             ArgumentError);
    }

    TEST_CASE("text outside the grammar is refused") {
        CHECK_THROWS_WITH_AS(parse_expr("__import__('os')"),
                             "expression '__import__('os')', position 11: unknown function '__import__'", ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("s0 + "), "expression 's0 + ', position 5: unexpected end", ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("s0 s1"), "expression 's0 s1', position 3: unexpected 's1'", ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("FloorDiv(s0)"),
                             "expression 'FloorDiv(s0)', position 12: function 'FloorDiv' does not take 1 arguments",
                             ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("9223372036854775808"),
                             "expression '9223372036854775808', position 0: integer does not fit in 64 bits",
                             ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("a < b < c"), "expression 'a < b < c', position 6: chained comparison",
                             ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("Float('nan')"),
                             "expression 'Float('nan')', position 11: expected a finite number", ParseError);
        CHECK_THROWS_WITH_AS(parse_expr("Symbol('a b')"),
                             "expression 'Symbol('a b')', position 12: 'a b' is not a symbol's name", ParseError);
        CHECK_THROWS_AS(parse_expr(""), ParseError);
        CHECK_THROWS_AS(parse_expr("-Integer(-9223372036854775808)"), ParseError);
    }

    TEST_CASE("depth is limited, however it arises; width is not") {
        CHECK(value(nested(150, "Identity(", "7", ")")) == 7);
        CHECK(value(nested(150, "(", "7", ")")) == 7);
        CHECK_THROWS_AS(parse_expr(nested(100000, "Identity(", "7", ")")), ParseError);
        CHECK_THROWS_AS(parse_expr(nested(100000, "(", "7", ")")), ParseError);
        CHECK_THROWS_AS(parse_expr(nested(100000, "-", "7", "")), ParseError);
        CHECK_THROWS_AS(parse_expr(nested(100000, "", "7", "//7")), ParseError);
        CHECK_THROWS_AS(parse_expr(nested(100000, "", "7", "**7")), ParseError);
        CHECK(value(nested(100000, "", "1", "+1")) == 100001);
    }

    TEST_CASE("a Dim is an integer or an expression with a hint") {
        CHECK(Dim(3).is_static());
        CHECK(Dim(3).value() == 3);
        const Dim dim(parse_expr("2*s0"), 8);
        CHECK_FALSE(dim.is_static());
        CHECK(dim.hint() == 8);
        CHECK(dim == Dim(parse_expr("Mul(Integer(2), Symbol('s0'))")));
        CHECK_FALSE(dim == Dim(8));
        CHECK(to_string(dim) == "2*s0");
        CHECK(evaluate(dim, {{"s0", 5}}) == 10);
        CHECK(Dim(parse_expr("4")).is_static());
        CHECK_FALSE(Dim(parse_expr("u0")).hint().has_value());
        CHECK_THROWS_WITH_AS(dim.value(), "size '2*s0' is symbolic", ArgumentError);
    }

    TEST_CASE("symbols are listed once, in order of occurrence") {
        CHECK(symbols_of(*parse_expr("s1*s0 + Max(s1, u0)")) == std::vector<std::string>{"s1", "s0", "u0"});
    }
}
