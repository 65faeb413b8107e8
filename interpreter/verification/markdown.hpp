// SPDX-License-Identifier: MIT
// Tables of Markdown.
#pragma once

#include <string>
#include <vector>

namespace torch_ir {

/// Header and rows; a cell is plain text.
using Row = std::vector<std::string>;
struct Table {
    Row header;
    std::vector<Row> rows;
};

/// Text as one cell or line: no line breaks, no bars, no tags (ops may be called `<built-in function getitem>`).
inline std::string markdown_cell(const std::string& text) {
    std::string cell;
    for (const char c : text) {
        if (c == '|') cell += '\\';
        if (c == '<')
            cell += "&lt;";
        else
            cell += c == '\n' || c == '\r' ? ' ' : c;
    }
    return cell;
}

inline std::string to_markdown(const Table& table) {
    std::string text = "|";
    for (const std::string& cell : table.header) text += " " + cell + " |";
    text += "\n|";
    for (std::size_t i = 0; i < table.header.size(); ++i) text += "---|";
    text += "\n";
    for (const Row& row : table.rows) {
        text += "|";
        for (const std::string& cell : row) text += " " + markdown_cell(cell) + " |";
        text += "\n";
    }
    return text;
}

}  // namespace torch_ir
