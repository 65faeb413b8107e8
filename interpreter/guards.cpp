// SPDX-License-Identifier: MIT
#include "guards.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "torch_ir/pytree.hpp"
#include "torch_ir/symbolic.hpp"

namespace torch_ir {
namespace {

using Inputs = std::map<std::string, const IValue*, std::less<>>;

/// Functions as torch prints them in guards, and as parse_expr knows them.
constexpr std::pair<std::string_view, std::string_view> functions[] = {
    {"torch.sym_float(", "ToFloat("},
    {"math.trunc(", "TruncToInt("},
    {"math.floor(", "FloorToInt("},
    {"math.ceil(", "CeilToInt("},
    {"round(", "RoundToInt("},
    {"abs(", "Abs("},
    {"max(", "Max("},
    {"min(", "Min("},
    {"torch._sym_sqrt(", "OpaqueUnaryFn_sqrt("},
    {"math.sqrt(", "OpaqueUnaryFn_sqrt("},
    {"math.cos(", "OpaqueUnaryFn_cos("},
    {"math.cosh(", "OpaqueUnaryFn_cosh("},
    {"math.acos(", "OpaqueUnaryFn_acos("},
    {"math.sin(", "OpaqueUnaryFn_sin("},
    {"math.sinh(", "OpaqueUnaryFn_sinh("},
    {"math.asin(", "OpaqueUnaryFn_asin("},
    {"math.tan(", "OpaqueUnaryFn_tan("},
    {"math.tanh(", "OpaqueUnaryFn_tanh("},
    {"math.atan(", "OpaqueUnaryFn_atan("},
    {"math.log2(", "OpaqueUnaryFn_log2("},
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Reads one guard: `L['past'][0].key.size()[1]` and its like become symbols, the rest is parse_expr's.
class Guard {
  public:
    Guard(std::string_view text, const Inputs& inputs) : text_(text), inputs_(inputs) {}

    /// False when the guard is known not to hold.
    bool holds() {
        replace_terms();
        return evaluate_all(replaced_);
    }

    /// `guard "x.size()[0] != 3" does not hold: x.size()[0] is 3`: the inputs by their names, each term once.
    std::string message() const {
        std::string text;
        for (const auto& [term, symbol] : symbols_)
            text += (text.empty() ? "" : ", ") + term + " is " + std::to_string(values_.at(symbol));
        return "guard \"" + shown_ + "\" does not hold: " + text;
    }

  private:
    void replace_terms() {
        std::size_t i = 0;
        while (i < text_.size()) {
            const bool at_word = i == 0 || !is_word(text_[i - 1]);
            if (!at_word || !text_.substr(i).starts_with("L[")) {
                const auto* function = at_word ? function_at(i) : nullptr;
                if (function)
                    replaced_ += function->second;
                else
                    replaced_ += text_[i];
                const std::size_t length = function ? function->first.size() : 1;
                shown_ += text_.substr(i, length);
                i += length;
                continue;
            }
            std::string term;
            const auto number = read_term(i, term);
            if (!number) {
                known_ = false;
                return;
            }
            const auto [it, added] = symbols_.emplace(term, "g" + std::to_string(symbols_.size()));
            values_.emplace(it->second, *number);
            replaced_ += it->second;
            shown_ += term;
        }
    }

    const std::pair<std::string_view, std::string_view>* function_at(std::size_t i) const {
        const auto* found = std::ranges::find_if(
            functions, [&](const auto& function) { return text_.substr(i).starts_with(function.first); });
        return found == std::end(functions) ? nullptr : found;
    }

    /// The number that the term at `i` stands for, and the term with the input's name; `i` moves behind it.
    std::optional<std::int64_t> read_term(std::size_t& i, std::string& term) {
        std::string path;
        ++i;  // L
        for (bool first = true; i < text_.size(); first = false) {
            if (text_[i] == '[') {
                const std::size_t end = text_.find(']', i);
                if (end == std::string_view::npos) return std::nullopt;
                append_key(path, text_.substr(i + 1, end - i - 1), first);
                i = end + 1;
            } else if (text_[i] == '.' && i + 1 < text_.size() && is_word(text_[i + 1])) {
                std::size_t end = i + 1;
                while (end < text_.size() && is_word(text_[end])) ++end;
                const std::string_view name = text_.substr(i + 1, end - i - 1);
                const std::size_t begin = std::exchange(i, end);
                if (text_.substr(i).starts_with("()")) {
                    i += 2;
                    const auto number = property(path, name, i);
                    const auto input = find(path);
                    if (input != inputs_.end()) term = input->first + std::string(text_.substr(begin, i - begin));
                    return number;
                }
                path += "." + std::string(name);
            } else {
                break;
            }
        }
        const auto input = find(path);
        if (input == inputs_.end()) return std::nullopt;
        term = input->first;
        if (const auto* number = std::get_if<std::int64_t>(input->second)) return *number;
        if (const auto* truth = std::get_if<bool>(input->second)) return *truth ? 1 : 0;
        return std::nullopt;
    }

    /// Paths as input_paths writes them.
    static void append_key(std::string& path, std::string_view key, bool first) {
        const bool quoted = key.size() >= 2 && (key[0] == '\'' || key[0] == '"');
        const std::string_view name = quoted ? key.substr(1, key.size() - 2) : key;
        const bool is_name = quoted && !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
                             std::all_of(name.begin(), name.end(), is_word);
        if (first)
            path = name;
        else if (is_name)
            path += "." + std::string(name);
        else
            path += quoted ? "['" + std::string(name) + "']" : "[" + std::string(name) + "]";
    }

    std::optional<std::int64_t> property(const std::string& path, std::string_view name, std::size_t& i) const {
        const auto input = find(path);
        const auto* tensor = input != inputs_.end() ? std::get_if<Tensor>(input->second) : nullptr;
        if (!tensor) return std::nullopt;
        if (name == "storage_offset") return 0;  // inputs come as tensors of their own
        if (name == "dim") return tensor->dim();
        if (name == "numel") return tensor->numel();
        if (name != "size" && name != "stride") return std::nullopt;
        const std::size_t end = i < text_.size() && text_[i] == '[' ? text_.find(']', i) : std::string_view::npos;
        if (end == std::string_view::npos) return std::nullopt;
        std::int64_t dim = 0;
        for (const char c : text_.substr(i + 1, end - i - 1)) {
            if (std::isdigit(static_cast<unsigned char>(c)) == 0 || dim > 1000) return std::nullopt;
            dim = 10 * dim + (c - '0');
        }
        if (dim >= tensor->dim()) return std::nullopt;
        i = end + 1;
        return name == "size" ? tensor->size(dim) : tensor->strides()[static_cast<std::size_t>(dim)];
    }

    /// What `*args` collects has the names args_0, args_1, …
    Inputs::const_iterator find(std::string path) const {
        if (const auto found = inputs_.find(path); found != inputs_.end()) return found;
        const std::size_t open = path.find('['), close = path.find(']');
        if (open == std::string::npos || close == std::string::npos) return inputs_.end();
        path.erase(close, 1);
        path[open] = '_';
        return inputs_.find(path);
    }

    /// Where `word` stands outside of parentheses, or npos.
    static std::size_t find_word(std::string_view text, std::string_view word) {
        int depth = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '(') ++depth;
            if (text[i] == ')') --depth;
            if (depth == 0 && text.substr(i).starts_with(word) && (i == 0 || !is_word(text[i - 1])) &&
                (i + word.size() == text.size() || !is_word(text[i + word.size()])))
                return i;
        }
        return std::string_view::npos;
    }

    /// parse_expr has no `and`, `or` and `not`.
    bool evaluate_all(std::string_view text) {
        if (!known_) return true;
        while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
        while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
        if (const std::size_t i = find_word(text, "or"); i != std::string_view::npos)
            return evaluate_all(text.substr(0, i)) || evaluate_all(text.substr(i + 2));
        if (const std::size_t i = find_word(text, "and"); i != std::string_view::npos)
            return evaluate_all(text.substr(0, i)) && evaluate_all(text.substr(i + 3));
        if (text.starts_with("not ")) return !evaluate_all(text.substr(4)) || !known_;
        if (is_wrapped(text)) return evaluate_all(text.substr(1, text.size() - 2));
        try {
            return evaluate(*parse_expr(text), values_) != 0;
        } catch (const Error&) {
            known_ = false;
            return true;
        }
    }

    static bool is_wrapped(std::string_view text) {
        if (text.size() < 2 || text.front() != '(') return false;
        int depth = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '(') ++depth;
            if (text[i] == ')' && --depth == 0) return i + 1 == text.size();
        }
        return false;
    }

    std::string_view text_;
    const Inputs& inputs_;
    std::string replaced_;
    std::string shown_;
    std::map<std::string, std::string> symbols_;  // by term
    SymbolValues values_;
    bool known_ = true;  // false: over something that has no number here, which counts as holding
};

}  // namespace

std::vector<std::string> broken_guards(const Model& model, const std::vector<IValue>& user_inputs) {
    std::vector<std::string> broken;
    if (model.guards.empty()) return broken;
    const std::vector<std::string> paths = input_paths(model);
    if (paths.size() != user_inputs.size()) return broken;
    Inputs inputs;
    for (std::size_t i = 0; i < paths.size(); ++i) inputs.emplace(paths[i], &user_inputs[i]);
    for (const std::string& text : model.guards) {
        Guard guard(text, inputs);
        if (guard.holds()) continue;
        const std::string message = guard.message();
        if (std::ranges::find(broken, message) == broken.end()) broken.push_back(message);
    }
    return broken;
}

}  // namespace torch_ir
