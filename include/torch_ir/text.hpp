// SPDX-License-Identifier: MIT
// Small helpers on text: validity, suggestions for names that were not found, and lists of some of many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

namespace torch_ir {

/// True for valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned char lead = byte(i);
        const std::size_t length = lead < 0x80                   ? 1
                                   : lead >= 0xc2 && lead < 0xe0 ? 2
                                   : lead >= 0xe0 && lead < 0xf0 ? 3
                                   : lead >= 0xf0 && lead < 0xf5 ? 4
                                                                 : 0;
        if (length == 0 || length > text.size() - i) return false;
        for (std::size_t k = 1; k < length; ++k)
            if ((byte(i + k) & 0xc0) != 0x80) return false;
        if (length > 2) {
            const unsigned char second = byte(i + 1);
            if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) ||
                (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90))
                return false;
        }
        i += length;
    }
    return true;
}

/// Levenshtein distance: single-byte insertions, deletions and replacements that turn `a` into `b`.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (const char from : a) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (from == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

/// The candidate most like `name`, or an empty string when none is like it (more than a third of it would have to
/// change).
template <std::ranges::input_range Candidates>
std::string closest(std::string_view name, const Candidates& candidates) {
    constexpr std::size_t max_length = 512;  // the distance is quadratic
    std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
    std::string result;
    if (name.size() > max_length) return result;
    for (const auto& candidate : candidates) {
        const std::string_view text = candidate;
        const std::size_t difference = std::max(text.size(), name.size()) - std::min(text.size(), name.size());
        if (difference >= best || text.size() > max_length) continue;
        if (const std::size_t distance = edit_distance(name, text); distance < best) {
            best = distance;
            result = text;
        }
    }
    return result;
}

/// `a, b and 7 more`: `text(item)` of the first `most` items, with `separator` between them.
template <std::ranges::sized_range Items, class Text>
std::string first_few(const Items& items, std::size_t most, std::string_view separator, Text text) {
    std::string result;
    std::size_t count = 0;
    for (const auto& item : items) {
        if (count == most) break;
        if (count++ > 0) result += separator;
        result += text(item);
    }
    const std::size_t size = std::ranges::size(items);
    return size > most ? result + " and " + std::to_string(size - most) + " more" : result;
}

}  // namespace torch_ir
