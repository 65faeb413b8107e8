// SPDX-License-Identifier: MIT
// Reads large JSON texts piece by piece: containers named by path are handed over element by element, all else as a
// whole, so that memory is bounded by the largest piece. Included by _inl files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"

namespace torch_ir::detail {

using Json = nlohmann::json;

/// Where a piece was found: `parent` is the path of its container (`graph_module.graph.nodes`, empty for the root's
/// members), `key` its name in an object (empty in an array), `index` its position.
struct JsonPlace {
    std::string_view parent;
    std::string_view key;
    std::size_t index = 0;
    bool is_root = false;

    /// `graph_module.graph.nodes[12]`, `graph_module.graph.tensor_values.x`.
    std::string text() const {
        if (is_root) return "";
        std::string last = key.empty() ? "[" + std::to_string(index) + "]" : std::string(key);
        if (parent.empty()) return last;
        return std::string(parent) + (key.empty() ? "" : ".") + last;
    }
};

using JsonCallback = std::function<void(const JsonPlace&, Json&&)>;

/// Assembles pieces from parser events. Limits: depth, no duplicate keys, integers inside int64.
class JsonStream : public nlohmann::json_sax<Json> {
  public:
    JsonStream(const std::vector<std::string>& streamed, const JsonCallback& callback, std::size_t max_depth)
        : streamed_(streamed.begin(), streamed.end()), callback_(callback), max_depth_(max_depth) {}

    bool null() override { return scalar(nullptr); }
    bool boolean(bool value) override { return scalar(value); }
    bool number_integer(std::int64_t value) override { return scalar(value); }
    bool number_unsigned(std::uint64_t value) override {
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            fail("integer " + std::to_string(value) + " does not fit in 64 bits");
        return scalar(static_cast<std::int64_t>(value));
    }
    bool number_float(double value, const std::string& text) override {
        if (text.find_first_of(".eE") == std::string::npos) fail("integer " + text + " does not fit in 64 bits");
        return scalar(value);
    }
    bool string(std::string& value) override { return scalar(std::move(value)); }
    bool binary(Json::binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(std::string& name) override {
        Frame& top = frames_.back();
        top.key = std::move(name);
        const bool is_new = top.streamed ? top.streamed->keys.insert(top.key).second : !top.value.contains(top.key);
        if (!is_new) fail("key '" + top.key + "' appears twice");
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
        std::string_view what = error.what();  // `[…] parse error at …: reason; last read: 'any bytes of the text'`
        if (const std::size_t colon = what.find(": "); colon != std::string_view::npos) what.remove_prefix(colon + 2);
        what = what.substr(0, what.find("; last read"));
        throw ParseError("malformed JSON at byte " + std::to_string(position) + ": " + std::string(what));
    }

  private:
    struct Streamed {
        std::string path;
        std::unordered_set<std::string> keys;  // of an object
    };

    struct Frame {
        Json value;                          // what has been assembled so far; empty when streamed
        std::unique_ptr<Streamed> streamed;  // or nullptr
        std::string key;                     // of the element being read
        std::size_t count = 0;               // of the elements before it
    };

    static void append_step(std::string& path, const Frame& frame) {
        if (frame.value.is_array())
            path += "[" + std::to_string(frame.count) + "]";
        else
            path += (path.empty() ? "" : ".") + frame.key;
    }

    /// Path of the element being read.
    std::string child_path() const {
        std::string path;
        for (const Frame& frame : frames_) append_step(path, frame);
        return path;
    }

    [[noreturn]] void fail(const std::string& message) const {
        const std::string path = child_path();
        throw ParseError((path.empty() ? "" : path + ": ") + message);
    }

    bool open(Json container) {
        if (frames_.size() >= max_depth_) fail("nested more than " + std::to_string(max_depth_) + " levels deep");
        Frame frame{std::move(container), nullptr, {}, 0};
        if (frames_.empty() || frames_.back().streamed) {
            std::string path = child_path();
            if (streamed_.contains(path)) frame.streamed = std::make_unique<Streamed>(Streamed{std::move(path), {}});
        }
        frames_.push_back(std::move(frame));
        return true;
    }

    bool close() {
        Json value = std::move(frames_.back().value);
        frames_.pop_back();
        return scalar(std::move(value));
    }

    bool scalar(Json value) {
        if (frames_.empty()) {
            callback_({{}, {}, 0, true}, std::move(value));
            return true;
        }
        Frame& top = frames_.back();
        const bool in_array = top.value.is_array();
        if (top.streamed)
            callback_({top.streamed->path, in_array ? std::string_view() : top.key, top.count}, std::move(value));
        else if (in_array)
            top.value.push_back(std::move(value));
        else
            top.value.emplace(std::move(top.key), std::move(value));
        ++top.count;
        return true;
    }

    std::unordered_set<std::string> streamed_;
    const JsonCallback& callback_;
    std::size_t max_depth_;
    std::vector<Frame> frames_;
};

/// Reads `text`, calling back for every element of the containers at the paths `streamed` (`""` is the root; a
/// container inside counts only when the ones around it are streamed too). A streamed container is itself handed over,
/// empty, after its elements, so that its kind can be checked. Throws ParseError with the place in the text.
inline void stream_json(std::string_view text, const std::vector<std::string>& streamed, const JsonCallback& callback,
                        std::size_t max_depth = 256) {
    JsonStream stream(streamed, callback, max_depth);
    Json::sax_parse(text.begin(), text.end(), &stream);
}

/// Reads a small text as a whole, under the same limits.
inline Json parse_json(std::string_view text, std::size_t max_depth = 256) {
    Json result;
    stream_json(
        text, {}, [&](const JsonPlace&, Json&& value) { result = std::move(value); }, max_depth);
    return result;
}

/// Whether quote_non_finite() may have anything to do.
inline bool mentions_non_finite(std::string_view text) {
    return text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos;
}

/// Puts quotes round the bare tokens `NaN`, `Infinity` and `-Infinity` that Python writes though JSON has none.
inline std::string quote_non_finite(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string_view token = text.substr(i, 1);
        if (in_string && token == "\\") {
            token = text.substr(i, 2);
        } else if (token == "\"") {
            in_string = !in_string;
        } else if (!in_string && (token == "N" || token == "I" || token == "-")) {
            for (const std::string_view word : {"NaN", "Infinity", "-Infinity"})
                if (text.substr(i).starts_with(word)) token = word;
        }
        const bool quoted = token.size() > 2;
        if (quoted) result += '"';
        result += token;
        if (quoted) result += '"';
        i += token.size() - 1;
    }
    return result;
}

}  // namespace torch_ir::detail
