// SPDX-License-Identifier: MIT
// How often each op occurs, most frequent first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace torch_ir::detail {

/// Ties stay in order of first occurrence.
inline std::vector<std::pair<std::string, std::size_t>> count_ops(const std::vector<std::string>& names) {
    std::vector<std::pair<std::string, std::size_t>> counts;
    std::unordered_map<std::string, std::size_t> index;
    for (const std::string& name : names) {
        const auto [found, is_new] = index.try_emplace(name, counts.size());
        if (is_new) counts.emplace_back(name, 0);
        ++counts[found->second].second;
    }
    std::ranges::stable_sort(counts, std::greater(), &std::pair<std::string, std::size_t>::second);
    return counts;
}

}  // namespace torch_ir::detail
