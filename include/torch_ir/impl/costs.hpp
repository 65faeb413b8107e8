// SPDX-License-Identifier: MIT
// What nodes cost: multiplications and live memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/ir.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir::detail {

/// A count that may be unknown or too large.
using Count = std::optional<std::int64_t>;

inline Count times(Count a, Count b) { return a && b ? checked_mul(*a, *b) : std::nullopt; }
inline Count plus(Count a, Count b) { return a && b ? checked_add(*a, *b) : std::nullopt; }

/// Elements, symbolic sizes at their values at export time.
inline Count numel(const Shape& shape) {
    Count product = 1;
    for (const Dim& dim : shape) product = times(product, dim.hint());
    return product;
}

inline Count byte_size(const TensorMeta& meta) {
    return times(numel(meta.shape), static_cast<std::int64_t>(item_size(meta.dtype)));
}

/// The multiplications of a node, each with an addition.
class MultiplyCount {
  public:
    MultiplyCount(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

    Count count() const {
        const std::string_view op = aten_name(node_.op_type);
        if (const char* left = product_operand(op)) return times(out(), size(left, -1));
        if (op == "convolution") {
            const Argument* transposed = node_.find("transposed");
            return convolution(transposed && *transposed == Argument(true));
        }
        if (op == "conv1d" || op == "conv2d" || op == "conv3d") return convolution(false);
        if (op.starts_with("conv_transpose")) return convolution(true);
        if (op.find("scaled_dot_product") != std::string_view::npos && op.find("backward") == std::string_view::npos)
            return attention();
        return 0;
    }

  private:
    /// The argument whose last size is summed over, for ops that are one matrix product.
    static const char* product_operand(std::string_view op) {
        constexpr std::array<std::pair<std::string_view, const char*>, 10> operands{{{"linear", "input"},
                                                                                     {"matmul", "self"},
                                                                                     {"mm", "self"},
                                                                                     {"bmm", "self"},
                                                                                     {"mv", "self"},
                                                                                     {"dot", "self"},
                                                                                     {"vdot", "self"},
                                                                                     {"addmm", "mat1"},
                                                                                     {"addmv", "mat"},
                                                                                     {"baddbmm", "batch1"}}};
        const auto found = std::ranges::find(operands, op, &std::pair<std::string_view, const char*>::first);
        return found == operands.end() ? nullptr : found->second;
    }

    Count convolution(bool transposed) const {
        const Count per_position = times(numel_of("weight"), 1);
        const Count channels = size("weight", 0);
        if (!per_position || !channels || *channels == 0) return std::nullopt;
        return times(transposed ? numel_of("input") : out(), *per_position / *channels);
    }

    /// q·kᵀ and its product with v.
    Count attention() const {
        const Count width = size("query", -1);
        if (!width || *width == 0) return std::nullopt;
        const Count keys = size("key", -2);
        const Count query = numel_of("query");
        if (!query) return std::nullopt;
        return plus(times(query, keys), times(times(*query / *width, keys), size("value", -1)));
    }

    const TensorMeta* meta(const char* argument) const {
        const Argument* found = node_.find(argument);
        const auto* ref = found ? found->get_if<ValueRef>() : nullptr;
        return ref ? &graph_.value(*ref).meta : nullptr;
    }

    Count numel_of(const char* argument) const {
        const TensorMeta* found = meta(argument);
        return found ? numel(found->shape) : std::nullopt;
    }

    Count size(const char* argument, int dim) const {
        const TensorMeta* found = meta(argument);
        if (!found) return std::nullopt;
        const int rank = static_cast<int>(found->shape.size());
        const int index = dim < 0 ? dim + rank : dim;
        return index >= 0 && index < rank ? found->shape[static_cast<std::size_t>(index)].hint() : std::nullopt;
    }

    Count out() const {
        const auto outputs = node_.output_values();
        return outputs.empty() ? std::nullopt : numel(graph_.value(outputs[0]).meta.shape);
    }

    const Graph& graph_;
    const Node& node_;
};

/// Peak memory of the values that nodes compute, each freed after its last use.
class Liveness {
  public:
    explicit Liveness(const Graph& graph) : graph_(graph), owner_(graph.values.size()) {
        std::iota(owner_.begin(), owner_.end(), std::uint32_t{0});
        for (const Node& node : graph.nodes) link_views(node);
    }

    Count peak() const {
        std::vector<std::size_t> last_use(graph_.values.size(), 0);
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
            for (const ValueRef ref : graph_.nodes[i].input_values()) last_use[owner_[ref.id]] = i;
            for (const ValueRef ref : graph_.nodes[i].output_values()) last_use[owner_[ref.id]] = i;
        }
        for (const Argument& output : graph_.outputs)
            for_each_value(output, [&](ValueRef ref) { last_use[owner_[ref.id]] = graph_.nodes.size(); });
        return sweep(last_use);
    }

  private:
    /// An output that the schema marks as an alias lives in the memory of the argument with the same mark.
    void link_views(const Node& node) {
        const Schema* schema = find_schema(node.op_type);
        if (!schema) return;
        for (std::size_t i = 0; i < schema->returns.size() && i < node.outputs.size(); ++i) {
            const std::string& alias = schema->returns[i].alias;
            const auto source = std::ranges::find(schema->parameters, alias, &SchemaParameter::alias);
            const Argument* argument =
                alias.empty() || source == schema->parameters.end() ? nullptr : node.find(source->name);
            const auto* viewed = argument ? argument->get_if<ValueRef>() : nullptr;
            if (viewed) for_each_value(node.outputs[i], [&](ValueRef ref) { owner_[ref.id] = owner_[viewed->id]; });
        }
    }

    Count sweep(const std::vector<std::size_t>& last_use) const {
        std::vector<std::vector<std::uint32_t>> freed(graph_.nodes.size() + 1);
        Count live = 0;
        Count peak = 0;
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
            for (const ValueRef ref : graph_.nodes[i].output_values()) {
                if (owner_[ref.id] != ref.id) continue;
                live = plus(live, byte_size(graph_.value(ref).meta));
                freed[last_use[ref.id]].push_back(ref.id);
            }
            if (!live) return std::nullopt;
            peak = std::max(*peak, *live);
            for (const std::uint32_t id : freed[i]) live = *live - *byte_size(graph_.values[id].meta);
        }
        return peak;
    }

    const Graph& graph_;
    std::vector<std::uint32_t> owner_;  // the value whose memory each value lives in
};

}  // namespace torch_ir::detail
