// SPDX-License-Identifier: MIT
// What torch.export notes beside a node or tensor and needs interpretation: provenance, strides. Included by _inl files
// only.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "torch_ir/impl/pt2_json.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir::detail::pt2 {

inline std::string_view after_last(std::string_view text, std::string_view separators) {
    const std::size_t position = text.find_last_of(separators);
    return position == std::string_view::npos ? text : text.substr(position + 1);
}

/// The text of a metadata key, empty when absent.
inline std::string_view metadata_text(const Json& metadata, const char* key) {
    const Json* value = find_member(metadata, key);
    return value ? std::string_view(to_text(*value)) : std::string_view();
}

/// `key,path,type` of nn_module_stack, cut at commas outside brackets; absent unless there are three parts.
inline std::optional<std::array<std::string_view, 3>> module_entry(std::string_view entry) {
    std::array<std::string_view, 3> parts;
    std::size_t count = 0, begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= entry.size(); ++i) {
        const char c = i < entry.size() ? entry[i] : ',';
        if (c == '[' || c == '(') ++depth;
        if (c == ']' || c == ')') --depth;
        if (c != ',' || depth > 0) continue;
        if (count == 3) return std::nullopt;
        parts[count++] = entry.substr(begin, i - begin);
        begin = i + 1;
    }
    if (count != 3 || parts[1] == parts[2]) return std::nullopt;  // torch 2.5 fills all three with a function's name
    return parts;
}

/// Strict mode of torch 2.5 to 2.7 writes `L['self'].layer.0` for `layer.0`.
inline std::string_view module_path(std::string_view path) {
    constexpr std::string_view close = "']";
    if (!path.starts_with("L['")) return path;
    const std::size_t end = path.find(close);
    if (end == std::string_view::npos) return path;
    path.remove_prefix(end + close.size());
    return path.starts_with('.') ? path.substr(1) : path;
}

/// `model.py:16` from the last `File "/somewhere/model.py", line 16, in forward` of a stack trace that names a real
/// file. Folders, and the numbers that generated code has (`<eval_with_key>.5`), differ from one export to the next.
inline std::string source_line(std::string_view stack_trace) {
    constexpr std::string_view file = "File \"", line = "\", line ";
    while (true) {
        const std::size_t begin = stack_trace.rfind(file);
        if (begin == std::string_view::npos) return "";
        const std::string_view entry = stack_trace.substr(begin + file.size());
        stack_trace = stack_trace.substr(0, begin);
        const std::size_t end = entry.find(line);
        const std::string_view file_name = after_last(entry.substr(0, end), "/\\");
        if (file_name.starts_with('<') || end == std::string_view::npos) continue;
        const std::string_view digits = entry.substr(end + line.size());
        return std::string(file_name) + ":" + std::string(digits.substr(0, digits.find_first_not_of("0123456789")));
    }
}

inline Provenance provenance_of(const Json& metadata) {
    Provenance provenance;
    if (const auto entry = module_entry(after_last(metadata_text(metadata, "nn_module_stack"), ";"))) {
        provenance.module_path = module_path((*entry)[1]);
        provenance.module_type = (*entry)[2];
    }
    provenance.source = source_line(metadata_text(metadata, "stack_trace"));
    provenance.original = after_last(metadata_text(metadata, "torch_fn"), ";");
    if (provenance.original.empty())
        provenance.original = after_last(after_last(metadata_text(metadata, "source_fn_stack"), ";"), ",");
    return provenance;
}

/// The class of the outermost module, whose path is empty; empty when the metadata does not tell.
inline std::string root_class_of(const Json& metadata) {
    const std::string_view stack = metadata_text(metadata, "nn_module_stack");
    const auto entry = module_entry(stack.substr(0, stack.find(';')));
    return entry && (*entry)[1].empty() ? std::string(after_last((*entry)[2], ".")) : "";
}

/// True when the strides are those of a row-major tensor. Symbolic ones are compared by value at two points, where
/// different expressions of sizes practically never agree.
inline bool is_row_major(const Shape& shape, const Shape& strides) {
    SymbolValues points[2];
    const auto add_symbols = [&](const Dim& dim) {
        if (dim.is_static()) return;
        for (const std::string& symbol : symbols_of(*dim.expr())) {
            const auto k = static_cast<std::int64_t>(points[0].size());
            points[0].try_emplace(symbol, 48 + 7 * k);
            points[1].try_emplace(symbol, 60 + 11 * k);
        }
    };
    for (const Dim& dim : shape) add_symbols(dim);
    for (const Dim& dim : strides) add_symbols(dim);
    const auto matches = [&](const SymbolValues& values) {
        std::int64_t step = 1;
        for (std::size_t i = shape.size(); i-- > 0;) {
            const std::int64_t size = evaluate(shape[i], values);
            if (size != 1 && evaluate(strides[i], values) != step) return false;
            // A size of 0 counts as 1, as in PyTorch's own row-major strides.
            if (__builtin_mul_overflow(step, size > 0 ? size : 1, &step)) return false;
        }
        return true;
    };
    try {
        return matches(points[0]) && (points[0].empty() || matches(points[1]));
    } catch (const Error&) {
        return false;  // an expression that has no value there
    }
}

}  // namespace torch_ir::detail::pt2
