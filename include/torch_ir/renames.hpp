// SPDX-License-Identifier: MIT
// How the names in a weight file differ from those of a model: `module.fc.weight` for `fc.weight`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace torch_ir {

/// A prefix of names in a file that a model has not, and what the model has in its place; either may be empty.
struct PrefixChange {
    std::string from;
    std::string to;
    std::size_t count = 0;  // of the wanted names, how many are found so
};

/// The change of prefix, by whole parts between dots, that finds most of the `wanted` names among the `available` ones;
/// a count of 0 when there is none, or fewer than half of the wanted names and fewer than two are found.
inline PrefixChange find_prefix_change(const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& available) {
    constexpr std::size_t max_candidates = 8;  // an end that so many names share tells nothing
    // Calls f(prefix, rest) for every cut before a part, the longest rest first.
    const auto for_each_cut = [](std::string_view name, auto f) {
        for (std::size_t cut = 0;;) {
            if (f(name.substr(0, cut), name.substr(cut))) return;
            const std::size_t dot = name.find('.', cut);
            if (dot == std::string_view::npos) return;
            cut = dot + 1;
        }
    };
    std::map<std::string_view, std::vector<std::string_view>> prefixes;  // by the rest of the name
    for (const std::string& name : available)
        for_each_cut(name, [&](std::string_view prefix, std::string_view rest) {
            prefixes[rest].push_back(prefix);
            return false;
        });
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> votes;
    for (const std::string& name : wanted)
        for_each_cut(name, [&](std::string_view prefix, std::string_view rest) {
            const auto found = prefixes.find(rest);
            if (found == prefixes.end()) return false;
            if (found->second.size() <= max_candidates)
                for (const std::string_view from : found->second) ++votes[{from, prefix}];
            return true;
        });
    PrefixChange best;
    for (const auto& [change, count] : votes)
        if (count > best.count) best = {std::string(change.first), std::string(change.second), count};
    const bool likely = 2 * best.count >= wanted.size() && (best.count > 1 || best.from.empty() || best.to.empty());
    return likely && best.from != best.to ? best : PrefixChange{};
}

/// The name in the file under which `name` is found by `change`; empty when the change does not apply to it.
inline std::string renamed(std::string_view name, const PrefixChange& change) {
    if (change.count == 0 || !name.starts_with(change.to)) return "";
    return change.from + std::string(name.substr(change.to.size()));
}

/// `148 of 150 missing names are there when the prefix 'module.' is stripped from the names in the file`.
inline std::string describe(const PrefixChange& change, std::size_t wanted) {
    std::string text = std::to_string(change.count) + " of " + std::to_string(wanted) +
                       (wanted == 1 ? " missing name is" : " missing names are") + " there when the prefix '";
    if (change.to.empty()) return text + change.from + "' is stripped from the names in the file";
    if (change.from.empty()) return text + change.to + "' is put before the names in the file";
    return text + change.from + "' of the names in the file becomes '" + change.to + "'";
}

}  // namespace torch_ir
