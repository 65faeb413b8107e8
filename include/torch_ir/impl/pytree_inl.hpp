// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/json_fields.hpp"
#include "torch_ir/pytree.hpp"

namespace torch_ir {
namespace detail {

/// Reads torch.utils._pytree's JSON form of a TreeSpec: [1, {"type", "context", "children_spec"}]. The context is JSON
/// text: the keys of a dict-like node, or [[fields], [fields that are None]] of a dataclass. That of a named tuple is
/// the name of its type.
class TreeSpecReader {
  public:
    using NamedTuples = std::map<std::string, std::vector<std::string>>;

    TreeSpecReader(const std::vector<std::string>& argument_names, const NamedTuples& named_tuples)
        : argument_names_(argument_names), named_tuples_(named_tuples) {}

    /// `is_input`: the tree is (args, kwargs).
    std::vector<std::string> read(const std::string& spec, bool is_input) {
        const Json json = Json::parse(spec, nullptr, false);
        if (!json.is_array() || json.size() != 2) throw ParseError("pytree spec: expected [version, tree]");
        if (is_input)
            read_call(json[1]);
        else
            read_node(json[1], "", 0);
        return std::move(paths_);
    }

  private:
    static constexpr int max_depth = 200;

    static const Json& children(const Json& node) { return to_array(member(node, "children_spec")); }

    static bool is_leaf(const Json& node) {
        if (!node.is_object() || !node.contains("type")) throw ParseError("pytree spec: expected a node with 'type'");
        return node["type"].is_null();
    }

    void read_call(const Json& node) {
        const Json& parts = children(node);
        if (parts.size() != 2) throw ParseError("pytree spec: expected arguments and keyword arguments");
        const Json& args = children(parts[0]);
        for (std::size_t i = 0; i < args.size(); ++i)
            read_node(args[i], i < argument_names_.size() ? argument_names_[i] : "args[" + std::to_string(i) + "]", 1);
        read_children(parts[1], "", 1);
    }

    void read_node(const Json& node, const std::string& path, int depth) {
        if (depth > max_depth) throw ParseError("pytree spec: nested more than " + std::to_string(max_depth) + " deep");
        if (is_leaf(node))
            paths_.push_back(path.starts_with('.') ? path.substr(1) : path);
        else
            read_children(node, path, depth);
    }

    void read_children(const Json& node, const std::string& path, int depth) {
        const Json& nodes = children(node);
        const std::vector<std::string> keys = keys_of(node, nodes.size());
        for (std::size_t i = 0; i < nodes.size(); ++i)
            read_node(nodes[i], path + (keys.empty() ? "[" + std::to_string(i) + "]" : step(keys[i])), depth + 1);
    }

    /// One key per child, or none where children are known by their position.
    std::vector<std::string> keys_of(const Json& node, std::size_t count) const {
        const Json* text = find_member(node, "context");
        if (!text || !text->is_string()) return {};
        if (const auto named = named_tuples_.find(to_text(*text));
            named != named_tuples_.end() && named->second.size() == count)
            return named->second;
        Json context = Json::parse(to_text(*text), nullptr, false);
        if (context.is_array() && context.size() == 2 && context[0].is_array()) context = Json(context[0]);
        if (!context.is_array() || context.size() != count) return {};
        std::vector<std::string> keys;
        for (const Json& key : context) {
            if (!key.is_string() && !key.is_number_integer()) return {};
            keys.push_back(key.is_string() ? to_text(key) : key.dump());
        }
        return keys;
    }

    static std::string step(const std::string& key) {
        const auto in_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
        const bool is_name = !key.empty() && std::isdigit(static_cast<unsigned char>(key[0])) == 0 &&
                             std::all_of(key.begin(), key.end(), in_name);
        return is_name ? "." + key : "['" + key + "']";
    }

    const std::vector<std::string>& argument_names_;
    const NamedTuples& named_tuples_;
    std::vector<std::string> paths_;
};

inline std::vector<std::string> leaf_paths(const std::string& spec, const std::vector<std::string>& argument_names,
                                           const Model& model, bool is_input, std::size_t expected) {
    if (spec.empty()) return {};
    std::vector<std::string> paths = TreeSpecReader(argument_names, model.namedtuple_fields).read(spec, is_input);
    if (paths.size() != expected) paths.clear();
    return paths;
}

}  // namespace detail

TORCH_IR_INLINE std::vector<std::string> input_paths(const Model& model) {
    const auto count = std::count_if(model.inputs.begin(), model.inputs.end(),
                                     [](const InputSpec& spec) { return spec.kind == InputKind::UserInput; });
    return detail::leaf_paths(model.in_spec, model.forward_arg_names, model, true, static_cast<std::size_t>(count));
}

TORCH_IR_INLINE std::vector<std::string> output_paths(const Model& model) {
    const auto count = std::count_if(model.outputs.begin(), model.outputs.end(), [](const OutputSpec& spec) {
        return spec.kind == OutputKind::UserOutput || spec.kind == OutputKind::LossOutput;
    });
    return detail::leaf_paths(model.out_spec, {}, model, false, static_cast<std::size_t>(count));
}

}  // namespace torch_ir
