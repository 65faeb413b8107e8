// SPDX-License-Identifier: MIT
// Bodies of symbolic.hpp: parser, printer and evaluation.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "torch_ir/impl/symbolic_number.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir {
namespace detail {

/// An infix operator: text, function and how tightly it binds (more is tighter), as in Python.
struct InfixOperator {
    std::string_view text;
    std::string_view function;
    int level;
};

// A longer text comes before its prefixes.
inline constexpr InfixOperator infix_operators[] = {
    {"==", "Equality", 1},
    {"!=", "Unequality", 1},
    {"<<", "LShift", 4},
    {">>", "RShift", 4},
    {"<=", "LessThan", 1},
    {">=", "GreaterThan", 1},
    {"**", "Pow", 8},
    {"//", "FloorDiv", 6},
    {"<", "StrictLessThan", 1},
    {">", "StrictGreaterThan", 1},
    {"*", "Mul", 6},
    {"/", "Divide", 6},
    {"%", "PythonMod", 6},
    {"+", "Add", 5},
    {"-", "Subtract", 5},
    {"|", "Or", 2},
    {"&", "And", 3},
};
inline constexpr int unary_level = 7;
inline constexpr int atom_level = 9;

/// sympy prints and srepr writes some functions under two names.
inline std::string_view canonical_function(std::string_view name) {
    constexpr std::pair<std::string_view, std::string_view> aliases[] = {
        {"Eq", "Equality"}, {"Ne", "Unequality"},  {"Lt", "StrictLessThan"},      {"Gt", "StrictGreaterThan"},
        {"Le", "LessThan"}, {"Ge", "GreaterThan"}, {"sqrt", "OpaqueUnaryFn_sqrt"}};
    for (const auto& [alias, function] : aliases)
        if (alias == name) return function;
    return name;
}

/// Add, Mul, And and Or take any number of operands, so `a + b + c` is one call.
inline bool is_nary(std::string_view function) {
    return function == "Add" || function == "Mul" || function == "And" || function == "Or";
}

inline bool is_call(const Expr& expr, std::string_view function) {
    return expr.kind == Expr::Kind::Call && expr.name == function;
}

inline bool is_integer(const Expr& expr) { return expr.kind == Expr::Kind::Integer; }

inline std::shared_ptr<Expr> make_integer(std::int64_t value) {
    auto expr = std::make_shared<Expr>();
    expr->integer = value;
    return expr;
}

inline std::shared_ptr<Expr> make_call(std::string_view function, std::vector<ExprPtr> args) {
    auto expr = std::make_shared<Expr>();
    expr->kind = Expr::Kind::Call;
    expr->name = function;
    expr->args = std::move(args);
    return expr;
}

/// Precedence climbing; srepr is the subset of the grammar that uses calls only.
class ExprParser {
  public:
    ExprParser(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

    ExprPtr parse() {
        const Operand operand = expression(0);
        skip_space();
        if (pos_ != text_.size()) fail("unexpected '" + std::string(text_.substr(pos_, 16)) + "'");
        return operand.expr;
    }

  private:
    struct Operand {
        std::shared_ptr<Expr> expr;
        int depth = 1;
        bool open = false;  // an operator's result without parentheses: operands may still join it
    };

    [[noreturn]] void fail(const std::string& message) const {
        const std::string shown(text_.substr(0, 100));
        throw ParseError("expression '" + shown + (text_.size() > shown.size() ? "…" : "") + "', position " +
                         std::to_string(pos_) + ": " + message);
    }

    void skip_space() {
        while (pos_ < text_.size() && text_[pos_] == ' ') ++pos_;
    }

    bool accept(std::string_view token) {
        skip_space();
        if (!text_.substr(pos_).starts_with(token)) return false;
        pos_ += token.size();
        return true;
    }

    void expect(std::string_view token) {
        if (!accept(token)) fail("expected '" + std::string(token) + "'");
    }

    const InfixOperator* peek_operator() {
        skip_space();
        for (const InfixOperator& op : infix_operators)
            if (text_.substr(pos_).starts_with(op.text)) return &op;
        return nullptr;
    }

    Operand expression(int min_level) {
        if (++nesting_ > max_depth_) fail("nested more than " + std::to_string(max_depth_) + " levels deep");
        Operand left = unary();
        while (const InfixOperator* op = peek_operator()) {
            if (op->level < min_level) break;
            pos_ += op->text.size();
            // `**` groups to the right and its exponent may carry a sign.
            left =
                combine(op->function, std::move(left), expression(op->function == "Pow" ? unary_level : op->level + 1));
            if (op->level == 1 && peek_operator() && peek_operator()->level == 1) fail("chained comparison");
        }
        --nesting_;
        return left;
    }

    Operand unary() {
        if (accept("-")) return negate(expression(unary_level));
        if (accept("~")) return call("Not", {expression(unary_level)});
        return atom();
    }

    Operand negate(Operand operand) {
        if (operand.open && is_call(*operand.expr, "Mul")) {
            std::vector<ExprPtr>& factors = operand.expr->args;
            if (is_integer(*factors[0]) && factors[0]->integer > 0)
                factors[0] = make_integer(-factors[0]->integer);
            else
                factors.insert(factors.begin(), make_integer(-1));
            return operand;
        }
        if (is_integer(*operand.expr)) {
            if (operand.expr->integer == std::numeric_limits<std::int64_t>::min())
                fail("integer does not fit in 64 bits");
            return {make_integer(-operand.expr->integer)};
        }
        if (operand.expr->kind == Expr::Kind::Float) {
            operand.expr->number = -operand.expr->number;
            return operand;
        }
        Operand result = call("Mul", {{make_integer(-1)}, std::move(operand)});
        result.open = true;
        return result;
    }

    Operand combine(std::string_view function, Operand left, Operand right) {
        if (function == "Subtract") return combine("Add", std::move(left), negate(std::move(right)));
        if (function == "Divide") {
            if (is_integer(*left.expr) && is_integer(*right.expr)) return call("Rational", {left, right});
            return combine("Mul", std::move(left), call("Pow", {std::move(right), {make_integer(-1)}}));
        }
        if (is_nary(function) && left.open && is_call(*left.expr, function)) {
            left.depth = deeper(left.depth - 1, right.depth);
            left.expr->args.push_back(std::move(right.expr));
            return left;
        }
        Operand result = call(function, {std::move(left), std::move(right)});
        result.open = true;
        return result;
    }

    Operand call(std::string_view function, std::vector<Operand> operands) {
        int depth = 0;
        std::vector<ExprPtr> args;
        for (Operand& operand : operands) {
            depth = std::max(depth, operand.depth);
            args.push_back(std::move(operand.expr));
        }
        return {make_call(function, std::move(args)), deeper(depth, 0)};
    }

    int deeper(int a, int b) const {
        const int depth = std::max(a, b) + 1;
        if (depth > max_depth_) fail("nested more than " + std::to_string(max_depth_) + " levels deep");
        return depth;
    }

    Operand atom() {
        skip_space();
        if (pos_ == text_.size()) fail("unexpected end");
        const char c = text_[pos_];
        if (c == '(') return parenthesised();
        if (is_digit(c) || c == '.') return {number(false)};
        const std::string_view name = identifier();
        if (name == "true" || name == "True") return {boolean(true)};
        if (name == "false" || name == "False") return {boolean(false)};
        if (accept("(")) return function_call(name);
        return {symbol(name)};
    }

    /// `(a)`, or the pair `(value, condition)` inside Piecewise.
    Operand parenthesised() {
        ++pos_;
        Operand first = expression(0);
        first.open = false;
        if (accept(",")) first = call("ExprCondPair", {std::move(first), expression(0)});
        expect(")");
        return first;
    }

    Operand function_call(std::string_view written) {
        if (written == "Symbol") return finish(symbol(quoted()));
        if (written == "Integer") return finish(number(true));
        if (written == "Float") return finish(float_literal(quoted()));
        const SymbolicFunction* function = find_symbolic_function(canonical_function(written));
        if (!function) fail("unknown function '" + std::string(written) + "'");
        std::vector<Operand> operands;
        if (!accept(")")) {
            do operands.push_back(expression(0));
            while (accept(","));
            expect(")");
        }
        if (operands.size() < function->min_args || operands.size() > function->max_args)
            fail("function '" + std::string(written) + "' does not take " + std::to_string(operands.size()) +
                 " arguments");
        if (function->name == "Piecewise")
            for (const Operand& operand : operands)
                if (!is_call(*operand.expr, "ExprCondPair")) fail("Piecewise takes pairs of value and condition");
        if (function->name == "IsNonOverlappingAndDenseIndicator" && operands.size() % 2 != 0)
            fail("function '" + std::string(written) + "' takes as many sizes as strides");
        return call(function->name, std::move(operands));
    }

    /// Skips the assumptions (`, positive=True, precision=53`) up to the closing parenthesis.
    Operand finish(std::shared_ptr<Expr> leaf) {
        while (accept(",")) {
            skip_space();
            identifier();
            expect("=");
            skip_space();
            while (pos_ < text_.size() && is_word(text_[pos_])) ++pos_;
        }
        expect(")");
        return {std::move(leaf)};
    }

    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

    std::string_view identifier() {
        const std::size_t begin = pos_;
        while (pos_ < text_.size() && is_word(text_[pos_])) ++pos_;
        if (begin == pos_ || is_digit(text_[begin])) {
            pos_ = begin;
            fail("expected a name or a number");
        }
        return text_.substr(begin, pos_ - begin);
    }

    std::string_view quoted() {
        expect("'");
        const std::size_t end = text_.find('\'', pos_);
        if (end == std::string_view::npos) fail("unterminated string");
        const std::string_view result = text_.substr(pos_, end - pos_);
        pos_ = end + 1;
        return result;
    }

    /// An integer or, unless `integer_only`, a float; a sign is part of it only where an integer is asked for.
    std::shared_ptr<Expr> number(bool integer_only) {
        skip_space();
        const char* begin = text_.data() + pos_;
        const char* end = text_.data() + text_.size();
        const char* digits_end = begin;
        if (integer_only && digits_end != end && *digits_end == '-') ++digits_end;
        while (digits_end != end && is_digit(*digits_end)) ++digits_end;
        if (!integer_only && digits_end != end && (*digits_end == '.' || *digits_end == 'e' || *digits_end == 'E')) {
            double value = 0;
            const auto [stop, error] = std::from_chars(begin, end, value);
            if (error != std::errc()) fail("expected a finite number");
            pos_ += static_cast<std::size_t>(stop - begin);
            return make_float(value);
        }
        std::int64_t value = 0;
        const auto [stop, error] = std::from_chars(begin, digits_end, value);
        if (error == std::errc::result_out_of_range) fail("integer does not fit in 64 bits");
        if (error != std::errc()) fail("expected an integer");
        pos_ += static_cast<std::size_t>(stop - begin);
        return make_integer(value);
    }

    std::shared_ptr<Expr> float_literal(std::string_view text) const {
        double value = 0;
        const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || stop != text.data() + text.size() || !std::isfinite(value))
            fail("expected a finite number");
        return make_float(value);
    }

    static std::shared_ptr<Expr> make_float(double value) {
        auto expr = std::make_shared<Expr>();
        expr->kind = Expr::Kind::Float;
        expr->number = value;
        return expr;
    }

    static std::shared_ptr<Expr> boolean(bool value) {
        auto expr = make_integer(value ? 1 : 0);
        expr->kind = Expr::Kind::Boolean;
        return expr;
    }

    std::shared_ptr<Expr> symbol(std::string_view name) const {
        const bool word = !name.empty() && !is_digit(name[0]) && std::all_of(name.begin(), name.end(), is_word);
        if (!word || name == "true" || name == "false" || name == "True" || name == "False")
            fail("'" + std::string(name) + "' is not a symbol's name");
        auto expr = std::make_shared<Expr>();
        expr->kind = Expr::Kind::Symbol;
        expr->name = name;
        return expr;
    }

    std::string_view text_;
    int max_depth_;
    std::size_t pos_ = 0;
    int nesting_ = 0;
};

class ExprPrinter {
  public:
    /// Text that binds at least as tightly as `level`, in parentheses if need be.
    static std::string print(const Expr& expr, int level = 0) {
        auto [text, own_level] = render(expr);
        return own_level < level ? "(" + text + ")" : text;
    }

  private:
    struct Rendered {
        std::string text;
        int level;
    };

    static Rendered render(const Expr& expr) {
        switch (expr.kind) {
            case Expr::Kind::Integer:
                return integer(expr.integer);
            case Expr::Kind::Float:
                return {float_text(expr.number), expr.number < 0 ? unary_level : atom_level};
            case Expr::Kind::Boolean:
                return {expr.integer ? "True" : "False", atom_level};
            case Expr::Kind::Symbol:
                return {expr.name, atom_level};
            case Expr::Kind::Call:
                break;
        }
        if (expr.name == "Add" && expr.args.size() > 1) return {sum(expr), 5};
        if (expr.name == "Mul" && expr.args.size() > 1) return {product(expr), 6};
        if (expr.name == "Pow") return {print(*expr.args[0], atom_level) + "**" + print(*expr.args[1], atom_level), 8};
        if (expr.name == "FloorDiv") return {print(*expr.args[0], 8) + "//" + print(*expr.args[1], 8), 6};
        if (const InfixOperator* op = comparison(expr.name))
            return {print(*expr.args[0], 2) + " " + std::string(op->text) + " " + print(*expr.args[1], 2), op->level};
        return {call(expr), atom_level};
    }

    static Rendered integer(std::int64_t value) {
        // The parser reads a sign as an operator, so the smallest integer has no literal.
        if (value == std::numeric_limits<std::int64_t>::min())
            return {"Integer(" + std::to_string(value) + ")", atom_level};
        return {std::to_string(value), value < 0 ? unary_level : atom_level};
    }

    static const InfixOperator* comparison(std::string_view function) {
        for (const InfixOperator& op : infix_operators)
            if (op.level == 1 && op.function == function) return &op;
        return nullptr;
    }

    static std::string sum(const Expr& expr) {
        std::string text = print(*expr.args[0], 6);
        for (std::size_t i = 1; i < expr.args.size(); ++i) {
            std::string term = print(*expr.args[i], 6);
            // `- 1.5*x` would come back as a product with -1.
            const bool float_factor = is_call(*expr.args[i], "Mul") && expr.args[i]->args[0]->kind == Expr::Kind::Float;
            const bool negative = term[0] == '-' && !float_factor;
            text += negative ? " - " + term.substr(1) : " + " + term;
        }
        return text;
    }

    static std::string product(const Expr& expr) {
        const Expr& first = *expr.args[0];
        const Expr& second = *expr.args[1];
        // `-x` stands for -1*x, where that reads back as one product.
        const bool sign =
            is_integer(first) && first.integer == -1 && !is_integer(second) && second.kind != Expr::Kind::Float;
        std::string text = sign ? "-" : print(first, unary_level) + "*";
        for (std::size_t i = 1; i < expr.args.size(); ++i) text += (i > 1 ? "*" : "") + print(*expr.args[i], 8);
        return text;
    }

    static std::string call(const Expr& expr) {
        std::string text = expr.name + "(";
        for (std::size_t i = 0; i < expr.args.size(); ++i) text += (i > 0 ? ", " : "") + print(*expr.args[i]);
        return text + ")";
    }

    static std::string float_text(double value) {
        char buffer[32];
        std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
        return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
    }
};

inline Number evaluate_number(const Expr& expr, const SymbolValues& values) {
    switch (expr.kind) {
        case Expr::Kind::Integer:
        case Expr::Kind::Boolean:
            return expr.integer;
        case Expr::Kind::Float:
            return expr.number;
        case Expr::Kind::Symbol:
            break;
        case Expr::Kind::Call:
            if (const SymbolicFunction* function = find_symbolic_function(expr.name))
                return function->evaluate(CallArgs(expr, values));
            throw ArgumentError("unknown function '" + expr.name + "'");
    }
    const auto value = values.find(expr.name);
    if (value == values.end()) throw ArgumentError("symbol '" + expr.name + "' has no value");
    return value->second;
}

inline void collect_symbols(const Expr& expr, std::vector<std::string>& names, std::set<std::string_view>& seen) {
    if (expr.kind == Expr::Kind::Symbol && seen.insert(expr.name).second) names.push_back(expr.name);
    for (const ExprPtr& arg : expr.args) collect_symbols(*arg, names, seen);
}

}  // namespace detail

TORCH_IR_INLINE bool Expr::operator==(const Expr& other) const {
    return kind == other.kind && integer == other.integer && number == other.number && name == other.name &&
           std::equal(args.begin(), args.end(), other.args.begin(), other.args.end(),
                      [](const ExprPtr& a, const ExprPtr& b) { return a == b || *a == *b; });
}

TORCH_IR_INLINE Dim::Dim(ExprPtr expr, std::optional<std::int64_t> hint)
    : expr_(std::move(expr)), value_(hint.value_or(0)), has_hint_(hint.has_value()) {
    if (!expr_ || expr_->kind != Expr::Kind::Integer) return;
    value_ = expr_->integer;
    expr_ = nullptr;
}

TORCH_IR_INLINE std::int64_t Dim::value() const {
    if (expr_) throw ArgumentError("size '" + to_string(*expr_) + "' is symbolic");
    return value_;
}

TORCH_IR_INLINE bool Dim::operator==(const Dim& other) const {
    if (!expr_ || !other.expr_) return !expr_ && !other.expr_ && value_ == other.value_;
    return expr_ == other.expr_ || *expr_ == *other.expr_;
}

TORCH_IR_INLINE ExprPtr parse_expr(std::string_view text, int max_depth) {
    return detail::ExprParser(text, max_depth).parse();
}

TORCH_IR_INLINE std::string to_string(const Expr& expr) { return detail::ExprPrinter::print(expr); }

TORCH_IR_INLINE std::string to_string(const Dim& dim) {
    return dim.is_static() ? std::to_string(dim.value()) : to_string(*dim.expr());
}

TORCH_IR_INLINE std::int64_t evaluate(const Expr& expr, const SymbolValues& values) {
    return with_context([&] { return "expression '" + to_string(expr) + "'"; },
                        [&] { return detail::evaluate_number(expr, values).integer(); });
}

TORCH_IR_INLINE std::int64_t evaluate(const Dim& dim, const SymbolValues& values) {
    return dim.is_static() ? dim.value() : evaluate(*dim.expr(), values);
}

TORCH_IR_INLINE std::vector<std::string> symbols_of(const Expr& expr) {
    std::vector<std::string> names;
    std::set<std::string_view> seen;
    detail::collect_symbols(expr, names, seen);
    return names;
}

}  // namespace torch_ir
