// SPDX-License-Identifier: MIT
#include "verification/split.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/argument_text.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {

namespace fs = std::filesystem;

namespace {

bool is_op(const Node& node, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, aten_name(node.op_type)) != names.end();
}

bool is_conv(const Node& node) { return is_op(node, {"conv1d", "conv2d", "conv3d", "convolution"}); }
bool is_batch_norm(const Node& node) { return aten_name(node.op_type).find("batch_norm") != std::string_view::npos; }
bool is_activation(const Node& node) {
    return is_op(node, {"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "silu", "silu_", "hardswish", "hardswish_",
                        "sigmoid", "gelu", "leaky_relu"});
}
bool is_linear(const Node& node) { return is_op(node, {"linear", "addmm"}); }
bool is_gelu(const Node& node) { return is_op(node, {"gelu"}); }
bool is_product(const Node& node) { return is_op(node, {"matmul", "bmm", "baddbmm"}); }
bool is_softmax(const Node& node) { return is_op(node, {"softmax", "_softmax", "_safe_softmax"}); }
bool is_view(const Node& node) {
    return is_op(node, {"view", "reshape", "_unsafe_view", "expand", "clone", "contiguous", "transpose", "permute",
                        "unsqueeze", "squeeze", "detach", "alias"});
}
/// What stands between the products and the softmax of attention.
bool is_between(const Node& node) {
    return is_view(node) ||
           is_op(node, {"mul", "div", "add", "sub", "masked_fill", "where", "dropout", "_to_copy", "native_dropout"});
}

class Finder {
  public:
    explicit Finder(const Model& model) : graph_(model.graph), users_(value_users(graph_)) {}

    std::vector<SplitCase> nodes() {
        for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
            const auto outputs = graph_.nodes[i].output_values();
            if (std::ranges::any_of(outputs, [&](ValueRef ref) { return graph_.value(ref).kind == ValueKind::Tensor; }))
                add(graph_.nodes[i].op_type, {i});
        }
        return std::move(cases_);
    }

    std::vector<SplitCase> groups() {
        for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
            if (is_conv(graph_.nodes[i])) add_chain("group.conv_batch_norm_relu", i, is_batch_norm, is_activation);
            if (is_linear(graph_.nodes[i])) add_chain("group.linear_gelu", i, is_gelu, nullptr);
            if (is_product(graph_.nodes[i])) add_attention(i);
        }
        return std::move(cases_);
    }

  private:
    using Test = bool (*)(const Node&);

    std::string key_of(std::uint32_t i) const {
        const Node& node = graph_.nodes[i];
        const auto type = [&](ValueRef ref) { return detail::value_type_text(graph_.value(ref)); };
        std::string key = node.op_type;
        for (const NamedArgument& named : node.args)
            key += "\n" + named.name + "=" + detail::argument_text(named.value, type);
        for (const Argument& output : node.outputs) key += "\n-> " + detail::argument_text(output, type);
        return key;
    }

    void add(const std::string& category, std::vector<std::uint32_t> nodes) {
        std::string key = category;
        for (const std::uint32_t i : nodes) key += "\n\n" + key_of(i);
        const auto [found, is_new] = index_.emplace(std::move(key), cases_.size());
        if (is_new)
            cases_.push_back({category, std::move(nodes), 1});
        else
            ++cases_[found->second].count;
    }

    /// The only node that reads the first result of a node, when nothing else sees that.
    std::optional<std::uint32_t> only_user(std::uint32_t i) const {
        const auto outputs = graph_.nodes[i].output_values();
        if (outputs.empty() || users_[outputs[0].id].size() != 1) return std::nullopt;
        for (const Argument& output : graph_.outputs)
            if (output == Argument(outputs[0])) return std::nullopt;
        return users_[outputs[0].id][0];
    }

    /// Follows only users over nodes that pass `skip` to one that passes `test`, and appends them all.
    bool follow(std::vector<std::uint32_t>& chain, Test test, Test skip) const {
        for (auto next = only_user(chain.back()); next; next = only_user(chain.back())) {
            chain.push_back(*next);
            if (test(graph_.nodes[*next])) return true;
            if (!skip(graph_.nodes[*next])) return false;
        }
        return false;
    }

    void add_chain(const char* category, std::uint32_t first, Test second, Test third) {
        std::vector<std::uint32_t> chain{first};
        if (follow(chain, second, is_view) && (!third || follow(chain, third, is_view))) add(category, chain);
    }

    void add_attention(std::uint32_t first) {
        std::vector<std::uint32_t> chain{first};
        if (follow(chain, is_softmax, is_between) && follow(chain, is_product, is_between))
            add("group.attention", chain);
    }

    const Graph& graph_;
    std::vector<std::vector<std::uint32_t>> users_;
    std::vector<SplitCase> cases_;
    std::map<std::string, std::size_t> index_;
};

std::vector<ValueRef> results_of(const Graph& graph, const std::vector<std::uint32_t>& nodes) {
    std::vector<ValueRef> results;
    for (const ValueRef ref : graph.nodes[nodes.back()].output_values())
        if (graph.value(ref).kind != ValueKind::CustomObject) results.push_back(ref);
    return results;
}

}  // namespace

std::vector<SplitCase> find_split_cases(const Model& model, bool group) {
    std::vector<SplitCase> cases = Finder(model).nodes();
    if (group)
        for (SplitCase& item : Finder(model).groups()) cases.push_back(std::move(item));
    return cases;
}

SplitResult write_split_cases(const fs::path& directory, const Tape& tape, const std::vector<SplitCase>& cases,
                              const std::function<void(std::size_t, std::size_t)>& progress) {
    SplitResult result;
    std::map<std::string, std::size_t> numbers;
    const Graph& graph = tape.model().graph;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const SplitCase& item = cases[i];
        const Node& node = graph.nodes[item.nodes[0]];
        const std::string folder = file_name_of(item.category);
        const std::string name = folder + "/" + std::to_string(numbers[folder]);
        if (progress) progress(i, cases.size());
        std::string problem;
        try {
            CaseFiles files = tape.cut(item.nodes, results_of(graph, item.nodes), {.weights_as_inputs = true});
            problem = check_case(files, tape.registry());
            if (problem.empty()) {
                files.model.name = files.name = name;
                files.categories = {item.category};
                const fs::path target = directory / name;
                fs::create_directories(target);
                write_case_files(target, files,
                                 {{"count", item.count},
                                  {"node", node.name},
                                  {"module_path", node.provenance.module_path},
                                  {"model", tape.model().name}});
            }
        } catch (const UnsupportedError& error) {
            problem = error.what();
            fs::remove_all(directory / name);
        } catch (const ArgumentError& error) {
            problem = error.what();
            fs::remove_all(directory / name);
        }
        if (problem.empty()) {
            ++numbers[folder];
            ++result.written;
        } else {
            result.left_out.push_back("node '" + node.name + "' (" + item.category + "): " + problem);
        }
    }
    return result;
}

}  // namespace torch_ir
