// SPDX-License-Identifier: MIT
// Symbolic sizes: integers and expressions over the symbols of torch.export (`s0`, `2*s0 + 1`, `u0`, …).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/inline.hpp"

namespace torch_ir {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

/// One node of an immutable expression tree, as sympy builds it.
struct Expr {
    enum class Kind : std::uint8_t { Integer, Float, Boolean, Symbol, Call };

    Kind kind = Kind::Integer;
    std::int64_t integer = 0;   // Integer; Boolean as 0 or 1
    double number = 0;          // Float
    std::string name;           // Symbol: its name; Call: the function, by sympy's name (Add, Mul, FloorDiv, …)
    std::vector<ExprPtr> args;  // Call

    bool operator==(const Expr& other) const;
};

/// The size a symbol is bound to, by symbol name.
using SymbolValues = std::map<std::string, std::int64_t, std::less<>>;

/// The values that a symbol (or an expression, when so constrained) may take; a missing bound is unbounded.
struct SymbolRange {
    std::string name;
    std::optional<std::int64_t> min;
    std::optional<std::int64_t> max;
    bool operator==(const SymbolRange&) const = default;
};

/// A size: an integer, or an integer-valued expression with the size it had when the model was exported (the hint).
class Dim {
  public:
    Dim(std::int64_t value = 0) : value_(value) {}
    template <class T>
    requires(std::is_same_v<T, bool> || std::is_floating_point_v<T>) Dim(T)
    = delete;  // no size
    explicit Dim(ExprPtr expr, std::optional<std::int64_t> hint = std::nullopt);

    bool is_static() const { return !expr_; }

    /// The integer; throws ArgumentError for a symbolic size, naming it.
    std::int64_t value() const;

    /// The tree of a symbolic size, nullptr for an integer.
    const ExprPtr& expr() const { return expr_; }

    /// The integer, or the size at export time where the file tells it.
    std::optional<std::int64_t> hint() const {
        return expr_ && !has_hint_ ? std::nullopt : std::optional<std::int64_t>(value_);
    }

    /// Equal integers, or equal trees; hints do not count.
    bool operator==(const Dim& other) const;

  private:
    ExprPtr expr_;
    std::int64_t value_ = 0;
    bool has_hint_ = false;
};

/// Parses sympy's srepr form (`Mul(Integer(2), Symbol('s0', integer=True))`, torch 2.6 and later) or its str form
/// (`2*s0 + 1`, torch 2.5 and this library's JSON). The grammar is closed: an unknown function, more than `max_depth`
/// levels or trailing text is a ParseError.
ExprPtr parse_expr(std::string_view text, int max_depth = 200);

/// Python-like text that parse_expr reads back: `2*s0 + 1`, `s0//2`, `Max(1, s0)`.
std::string to_string(const Expr& expr);
std::string to_string(const Dim& dim);

/// The value under the given sizes. Throws ArgumentError naming an unbound symbol, a division by zero or an overflow.
/// Integer results are exact in int64; `//` and Mod round like Python's.
std::int64_t evaluate(const Expr& expr, const SymbolValues& values);
std::int64_t evaluate(const Dim& dim, const SymbolValues& values);

/// The symbols that occur, in order of first occurrence.
std::vector<std::string> symbols_of(const Expr& expr);

}  // namespace torch_ir

#ifdef TORCH_IR_BODIES
#include "torch_ir/impl/symbolic_inl.hpp"  // IWYU pragma: export
#endif
