// SPDX-License-Identifier: MIT
// Emits JSON text piece by piece, laid out like Python's json.dumps(indent=2). Included by _inl files only.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/argument.hpp"

namespace torch_ir::detail {

/// The caller opens and closes containers in order; text leaves through `sink` in large pieces.
class JsonWriter {
  public:
    using Sink = std::function<void(std::string_view)>;

    explicit JsonWriter(Sink sink) : sink_(std::move(sink)) {}

    void begin_object() { begin('{'); }
    void end_object() { end('}'); }
    void begin_array() { begin('['); }
    void end_array() { end(']'); }

    /// Starts a member; its value follows.
    void key(std::string_view name) {
        separate();
        put_string(name);
        buffer_ += ": ";
        after_key_ = true;
    }

    void value(std::string_view text) {
        separate();
        put_string(text);
    }
    void value(const char* text) { value(std::string_view(text)); }
    void value(const std::string& text) { value(std::string_view(text)); }
    void value(bool truth) { put_raw(truth ? "true" : "false"); }
    void value(None) { put_raw("null"); }
    void value(std::integral auto number) {
        std::array<char, 24> text;
        put_raw({text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr});
    }
    /// A finite number as the shortest text that reads back the same, others as {"float": "inf"}.
    void value(double number) {
        if (!std::isfinite(number)) return tagged("float", std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        std::array<char, 32> text;
        const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
        std::string digits(text.data(), end);
        if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
        put_raw(digits);
    }

    template <class T>
    void member(std::string_view name, const T& content) {
        key(name);
        value(content);
    }

    /// An array, left out when it is empty.
    void texts(std::string_view name, const std::vector<std::string>& content) {
        if (content.empty()) return;
        key(name);
        begin_array();
        for (const std::string& text : content) value(text);
        end_array();
    }

    /// An object of one member: how the format writes what JSON has no type for.
    void tagged(std::string_view tag, std::string_view text) {
        begin_object();
        member(tag, text);
        end_object();
    }

    /// Hands the rest to the sink.
    void flush() {
        sink_(buffer_);
        buffer_.clear();
    }

  private:
    void begin(char bracket) {
        separate();
        buffer_ += bracket;
        ++depth_;
        is_empty_ = true;
    }

    void end(char bracket) {
        --depth_;
        if (!is_empty_) new_line();
        buffer_ += bracket;
        is_empty_ = false;
        if (buffer_.size() > flush_size) flush();
    }

    /// What stands between the previous value and the next one.
    void separate() {
        if (after_key_) {
            after_key_ = false;
        } else if (depth_ > 0) {
            if (!is_empty_) buffer_ += ',';
            new_line();
        }
        is_empty_ = false;
    }

    void new_line() {
        buffer_ += '\n';
        buffer_.append(2 * depth_, ' ');
    }

    void put_raw(std::string_view text) {
        separate();
        buffer_ += text;
    }

    void put_string(std::string_view text) {
        buffer_ += '"';
        for (const char c : text) put_char(c);
        buffer_ += '"';
    }

    void put_char(char c) {
        constexpr std::string_view special = "\"\\\b\f\n\r\t";
        constexpr std::string_view letters = "\"\\bfnrt";
        if (const auto i = special.find(c); i != std::string_view::npos) {
            buffer_ += '\\';
            buffer_ += letters[i];
        } else if (static_cast<unsigned char>(c) < 0x20) {
            constexpr std::string_view hex = "0123456789abcdef";
            buffer_ += "\\u00";
            buffer_ += hex[static_cast<unsigned char>(c) >> 4];
            buffer_ += hex[c & 15];
        } else {
            buffer_ += c;
        }
    }

    static constexpr std::size_t flush_size = 1 << 16;

    Sink sink_;
    std::string buffer_;
    std::size_t depth_ = 0;
    bool is_empty_ = false;  // the innermost open container has no element yet
    bool after_key_ = false;
};

}  // namespace torch_ir::detail
