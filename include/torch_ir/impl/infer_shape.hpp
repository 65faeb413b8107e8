// SPDX-License-Identifier: MIT
// What shapes and dtype the outputs of an op have, for ops where that follows easily from the inputs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/bytes.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir::detail {

using Sizes = std::vector<std::int64_t>;

inline std::string sizes_text(const Sizes& sizes) { return shape_text(Shape(sizes.begin(), sizes.end())); }

/// Thrown by a rule that cannot tell: a symbolic size without a known value, an argument that the checks of the schema
/// report.
struct CannotTell {};

/// The arguments of a node as the rules want them.
class ShapeInputs {
  public:
    ShapeInputs(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

    static Sizes sizes(const Shape& shape) {
        Sizes sizes;
        for (const Dim& dim : shape) {
            if (!dim.hint()) throw CannotTell{};
            sizes.push_back(*dim.hint());
        }
        return sizes;
    }

    Sizes tensor(std::string_view name) const { return sizes(meta(argument(name)).shape); }

    /// Is it given, and neither None nor false?
    bool has(std::string_view name) const {
        const Argument* found = node_.find(name);
        return found && !found->is_none() && !(*found == Argument(false));
    }

    std::vector<Sizes> tensors(std::string_view name) const {
        const Argument list = argument(name);
        if (!list.is<ArgumentList>()) throw CannotTell{};
        std::vector<Sizes> all;
        for (const Argument& element : list.get<ArgumentList>()) all.push_back(sizes(meta(element).shape));
        return all;
    }

    /// Every tensor that is read among the arguments themselves, not in lists.
    std::vector<const TensorMeta*> all_tensors() const {
        std::vector<const TensorMeta*> all;
        for (const NamedArgument& named : node_.args)
            if (const auto* ref = named.value.get_if<ValueRef>();
                ref && named.name != "out" && graph_.value(*ref).kind == ValueKind::Tensor)
                all.push_back(&graph_.value(*ref).meta);
        return all;
    }

    std::int64_t integer(std::string_view name) const {
        const Argument value = argument(name);
        if (!value.is<std::int64_t>() && !value.is<bool>()) throw CannotTell{};
        return value.to_int();
    }

    /// One number stands for `count` equal ones; an empty list for none.
    Sizes integers(std::string_view name, std::size_t count = 1) const {
        const Argument value = argument(name);
        Sizes list;
        if (const auto* elements = value.get_if<ArgumentList>()) {
            for (const Argument& element : *elements) list.push_back(plain_int(element));
        } else {
            list.push_back(plain_int(value));
        }
        if (list.size() == 1) list.resize(count, list[0]);
        return list;
    }

    static std::size_t dim(std::int64_t dim, std::size_t rank) {
        const auto size = static_cast<std::int64_t>(std::max<std::size_t>(rank, 1));
        if (dim < -size || dim >= size)
            throw ArgumentError("dimension " + std::to_string(dim) + " is out of range for rank " +
                                std::to_string(rank));
        return static_cast<std::size_t>(dim < 0 ? dim + size : dim);
    }

  private:
    Argument argument(std::string_view name) const {
        try {
            return node_.arg(name);
        } catch (const SchemaError&) {
            throw CannotTell{};
        }
    }

    static std::int64_t plain_int(const Argument& argument) {
        if (!argument.is<std::int64_t>()) throw CannotTell{};
        return argument.get<std::int64_t>();
    }

    const TensorMeta& meta(const Argument& argument) const {
        const auto* ref = argument.get_if<ValueRef>();
        if (!ref || graph_.value(*ref).kind != ValueKind::Tensor) throw CannotTell{};
        return graph_.value(*ref).meta;
    }

    const Graph& graph_;
    const Node& node_;
};

using In = const ShapeInputs&;

inline Sizes broadcast(const Sizes& a, const Sizes& b) {
    Sizes result = a.size() < b.size() ? b : a;
    const Sizes& shorter = a.size() < b.size() ? a : b;
    for (std::size_t i = 0; i < shorter.size(); ++i) {
        std::int64_t& size = result[result.size() - 1 - i];
        const std::int64_t other = shorter[shorter.size() - 1 - i];
        if (size != other && size != 1 && other != 1)
            throw ArgumentError("shapes " + sizes_text(a) + " and " + sizes_text(b) + " do not broadcast");
        if (size == 1) size = other;
    }
    return result;
}

inline Sizes matrix_product(const Sizes& a, const Sizes& b) {
    if (a.empty() || b.empty()) throw ArgumentError("a matrix product needs at least one dimension on both sides");
    const std::int64_t rows = b[b.size() - (b.size() > 1 ? 2 : 1)];
    if (a.back() != rows)
        throw ArgumentError("shapes " + sizes_text(a) + " and " + sizes_text(b) +
                            " do not fit: " + std::to_string(a.back()) + " columns, " + std::to_string(rows) + " rows");
    Sizes result = broadcast(Sizes(a.begin(), a.end() - std::min<std::ptrdiff_t>(2, std::ssize(a))),
                             Sizes(b.begin(), b.end() - std::min<std::ptrdiff_t>(2, std::ssize(b))));
    if (a.size() > 1) result.push_back(a[a.size() - 2]);
    if (b.size() > 1) result.push_back(b.back());
    return result;
}

inline std::int64_t product(const Sizes& sizes) {
    std::optional<std::int64_t> result = 1;
    for (const std::int64_t size : sizes)
        if (result) result = checked_mul(*result, size);
    if (!result) throw CannotTell{};
    return *result;
}

namespace shape_rules {

inline Sizes same(In in) {
    const auto tensors = in.all_tensors();
    if (tensors.empty()) throw CannotTell{};
    return ShapeInputs::sizes(tensors[0]->shape);
}

inline Sizes broadcast_all(In in) {
    Sizes result;
    for (const TensorMeta* meta : in.all_tensors()) result = broadcast(result, ShapeInputs::sizes(meta->shape));
    return result;
}

inline Sizes linear(In in) {
    Sizes weight = in.tensor("weight");
    if (weight.size() == 2) std::swap(weight[0], weight[1]);
    return matrix_product(in.tensor("input"), weight);
}
inline Sizes matmul(In in) { return matrix_product(in.tensor("self"), in.tensor(in.has("mat2") ? "mat2" : "other")); }
inline Sizes addmm(In in) { return matrix_product(in.tensor("mat1"), in.tensor("mat2")); }
inline Sizes baddbmm(In in) { return matrix_product(in.tensor("batch1"), in.tensor("batch2")); }

inline Sizes embedding(In in) {
    Sizes result = in.tensor("indices");
    const Sizes weight = in.tensor("weight");
    if (weight.size() != 2) throw ArgumentError("weight has shape " + sizes_text(weight) + ", not two dimensions");
    result.push_back(weight[1]);
    return result;
}

/// N × C × positions; also without N.
inline Sizes convolution(In in) {
    const Sizes input = in.tensor("input");
    const Sizes weight = in.tensor("weight");
    if (weight.size() < 3) throw CannotTell{};
    const std::size_t rank = weight.size() - 2;
    if (input.size() != rank + 2 && input.size() != rank + 1)
        throw ArgumentError("input of shape " + sizes_text(input) + " does not fit weight of shape " +
                            sizes_text(weight));
    const std::size_t first = input.size() - rank;
    const std::int64_t groups = in.integer("groups");
    const auto channels = checked_mul(weight[1], groups);
    if (!channels || input[first - 1] != *channels)
        throw ArgumentError("input has " + std::to_string(input[first - 1]) + " channels, weight of shape " +
                            sizes_text(weight) + " in " + std::to_string(groups) + " groups takes " +
                            (channels ? std::to_string(*channels) : "more"));
    const Sizes stride = in.integers("stride", rank);
    const Sizes padding = in.integers("padding", rank);
    const Sizes dilation = in.integers("dilation", rank);
    if (stride.size() != rank || padding.size() != rank || dilation.size() != rank) throw CannotTell{};
    Sizes result = input;
    result[first - 1] = weight[0];
    for (std::size_t i = 0; i < rank; ++i) {
        constexpr std::int64_t limit = std::int64_t{1} << 30;  // of arguments, so that nothing below overflows
        if (stride[i] < 1 || std::max({stride[i], padding[i], dilation[i], weight[i + 2]}) > limit) throw CannotTell{};
        result[first + i] = (input[first + i] + 2 * padding[i] - dilation[i] * (weight[i + 2] - 1) - 1) / stride[i] + 1;
    }
    return result;
}

inline Sizes view(In in) {
    const Sizes input = in.tensor("self");
    Sizes size = in.integers(in.has("shape") ? "shape" : "size");
    const std::int64_t numel = product(input);
    if (const auto open = std::ranges::find(size, -1); open != size.end()) {
        *open = 1;
        const std::int64_t others = product(size);
        if (others == 0) throw CannotTell{};
        *open = numel / others;
    }
    if (product(size) != numel)
        throw ArgumentError("shape " + sizes_text(input) + " cannot be viewed as " + sizes_text(size) +
                            ": the numbers of elements differ");
    return size;
}

inline Sizes flatten(In in) {
    const Sizes input = in.tensor("self");
    if (input.empty()) return {1};
    const std::size_t start = ShapeInputs::dim(in.integer("start_dim"), input.size());
    const std::size_t end = ShapeInputs::dim(in.integer("end_dim"), input.size());
    if (start > end) throw ArgumentError("start_dim comes after end_dim");
    Sizes result(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(start));
    result.push_back(product(Sizes(input.begin() + static_cast<std::ptrdiff_t>(start),
                                   input.begin() + static_cast<std::ptrdiff_t>(end) + 1)));
    result.insert(result.end(), input.begin() + static_cast<std::ptrdiff_t>(end) + 1, input.end());
    return result;
}

inline Sizes transpose(In in) {
    Sizes result = in.tensor("self");
    if (result.empty()) return result;
    std::swap(result[ShapeInputs::dim(in.integer("dim0"), result.size())],
              result[ShapeInputs::dim(in.integer("dim1"), result.size())]);
    return result;
}

inline Sizes t(In in) {
    Sizes result = in.tensor("self");
    if (result.size() > 2) throw ArgumentError("t() takes at most two dimensions, found " + sizes_text(result));
    std::ranges::reverse(result);
    return result;
}

inline Sizes permute(In in) {
    const Sizes input = in.tensor("self");
    const Sizes dims = in.integers("dims");
    if (dims.size() != input.size()) throw ArgumentError("dims does not name every dimension once");
    Sizes result;
    for (const std::int64_t dim : dims) result.push_back(input[ShapeInputs::dim(dim, input.size())]);
    return result;
}

inline Sizes unsqueeze(In in) {
    Sizes result = in.tensor("self");
    const auto at = ShapeInputs::dim(in.integer("dim"), result.size() + 1);
    result.insert(result.begin() + static_cast<std::ptrdiff_t>(at), 1);
    return result;
}

inline Sizes select(In in) {
    Sizes result = in.tensor("self");
    if (result.empty()) throw ArgumentError("select() cannot be applied to a tensor without dimensions");
    result.erase(result.begin() + static_cast<std::ptrdiff_t>(ShapeInputs::dim(in.integer("dim"), result.size())));
    return result;
}

inline Sizes cat(In in) {
    const auto tensors = in.tensors("tensors");
    if (tensors.empty()) throw ArgumentError("cat() of no tensors");
    std::optional<Sizes> result;
    for (const Sizes& sizes : tensors) {
        if (sizes == Sizes{0}) continue;  // an empty tensor of one dimension may be anywhere
        const std::size_t dim = ShapeInputs::dim(in.integer("dim"), sizes.size());
        if (!result) {
            result = sizes;
            continue;
        }
        bool fits = sizes.size() == result->size();
        for (std::size_t i = 0; fits && i < sizes.size(); ++i) fits = i == dim || sizes[i] == (*result)[i];
        if (!fits) throw ArgumentError("shapes " + sizes_text(*result) + " and " + sizes_text(sizes) + " do not join");
        (*result)[dim] += sizes[dim];
    }
    return result.value_or(Sizes{0});
}

inline Sizes reduce(In in) {
    const Sizes input = in.tensor("self");
    const Sizes dims = in.has("dim") ? in.integers("dim") : Sizes{};
    const bool keep = in.integer("keepdim") != 0;
    std::vector<bool> reduced(input.size(), dims.empty());
    for (const std::int64_t dim : dims)
        if (const auto at = ShapeInputs::dim(dim, input.size()); at < input.size()) reduced[at] = true;
    Sizes result;
    for (std::size_t i = 0; i < input.size(); ++i)
        if (!reduced[i])
            result.push_back(input[i]);
        else if (keep)
            result.push_back(1);
    return result;
}

}  // namespace shape_rules

/// How the dtype of the first output follows: not at all, from the first tensor, from it when it is floating point and
/// no dtype is asked for, or always bool.
enum class DTypeRule : std::uint8_t { None, First, FirstFloat, Bool };

struct ShapeRule {
    Sizes (*shape)(In);
    DTypeRule dtype = DTypeRule::None;
};

/// The rule for `op` (without namespace), or nullptr.
inline const ShapeRule* find_shape_rule(std::string_view op, std::string_view overload) {
    using namespace shape_rules;
    using enum DTypeRule;
    constexpr std::string_view any = "*";
    struct Row {
        std::string_view op;
        ShapeRule rule;
        std::string_view overload = any;
    };
    // clang-format off
    static constexpr Row rows[] = {
        {"_log_softmax", {same, FirstFloat}}, {"_softmax", {same, FirstFloat}}, {"_to_copy", {same}},
        {"_unsafe_view", {view, First}}, {"abs", {same, FirstFloat}}, {"acos", {same, FirstFloat}},
        {"add", {broadcast_all}}, {"addcdiv", {broadcast_all}}, {"addcmul", {broadcast_all}},
        {"addmm", {addmm, First}}, {"alias", {same, First}}, {"amax", {reduce}}, {"amin", {reduce}},
        {"asin", {same, FirstFloat}}, {"atan", {same, FirstFloat}}, {"atan2", {broadcast_all}},
        {"baddbmm", {baddbmm, First}}, {"batch_norm", {same, First}}, {"bitwise_and", {broadcast_all}},
        {"bitwise_or", {broadcast_all}}, {"bitwise_xor", {broadcast_all}}, {"bmm", {matmul, First}}, {"cat", {cat}},
        {"ceil", {same, FirstFloat}}, {"clamp", {broadcast_all}}, {"clone", {same, First}},
        {"contiguous", {same, First}}, {"conv1d", {convolution, First}}, {"conv2d", {convolution, First}},
        {"conv3d", {convolution, First}}, {"cos", {same, FirstFloat}}, {"cosh", {same, FirstFloat}},
        {"cumsum", {same, FirstFloat}}, {"detach", {same, First}}, {"div", {broadcast_all}},
        {"dot", {matmul, First}}, {"dropout", {same, First}}, {"elu", {same, First}},
        {"embedding", {embedding, First}}, {"empty_like", {same}}, {"eq", {broadcast_all, Bool}},
        {"erf", {same, FirstFloat}}, {"erfc", {same, FirstFloat}}, {"exp", {same, FirstFloat}},
        {"exp2", {same, FirstFloat}}, {"expm1", {same, FirstFloat}}, {"feature_dropout", {same, First}},
        {"flatten", {flatten, First}}, {"flip", {same, First}}, {"floor", {same, FirstFloat}},
        {"floor_divide", {broadcast_all}}, {"fmod", {broadcast_all}}, {"full_like", {same}},
        {"ge", {broadcast_all, Bool}}, {"gelu", {same, FirstFloat}}, {"group_norm", {same, First}},
        {"gt", {broadcast_all, Bool}}, {"hardsigmoid", {same, FirstFloat}}, {"hardswish", {same, FirstFloat}},
        {"hardtanh", {same, FirstFloat}}, {"instance_norm", {same, First}}, {"isfinite", {same, Bool}},
        {"isinf", {same, Bool}}, {"isnan", {same, Bool}}, {"layer_norm", {same, First}},
        {"le", {broadcast_all, Bool}}, {"leaky_relu", {same, First}}, {"lerp", {broadcast_all}},
        {"linear", {linear, First}}, {"log", {same, FirstFloat}}, {"log10", {same, FirstFloat}},
        {"log1p", {same, FirstFloat}}, {"log2", {same, FirstFloat}}, {"log_softmax", {same, FirstFloat}},
        {"logical_and", {broadcast_all, Bool}}, {"logical_not", {same, Bool}}, {"logical_or", {broadcast_all, Bool}},
        {"logical_xor", {broadcast_all, Bool}}, {"logit", {same, FirstFloat}}, {"lt", {broadcast_all, Bool}},
        {"masked_fill", {broadcast_all, First}}, {"matmul", {matmul, First}}, {"maximum", {broadcast_all}},
        {"mean", {reduce}, "dim"}, {"minimum", {broadcast_all}}, {"mish", {same, FirstFloat}},
        {"mm", {matmul, First}}, {"mul", {broadcast_all}}, {"mv", {matmul, First}}, {"ne", {broadcast_all, Bool}},
        {"neg", {same, First}}, {"ones_like", {same}}, {"permute", {permute, First}}, {"pow", {broadcast_all}},
        {"rand_like", {same}}, {"randn_like", {same}}, {"reciprocal", {same, FirstFloat}}, {"relu", {same, First}},
        {"relu6", {same, First}}, {"remainder", {broadcast_all}}, {"reshape", {view, First}},
        {"roll", {same, First}}, {"round", {same, FirstFloat}}, {"rsqrt", {same, FirstFloat}},
        {"select", {select, First}}, {"sigmoid", {same, FirstFloat}}, {"silu", {same, FirstFloat}},
        {"sin", {same, FirstFloat}}, {"sinh", {same, FirstFloat}}, {"softmax", {same, FirstFloat}},
        {"softplus", {same, FirstFloat}}, {"softsign", {same, FirstFloat}}, {"sqrt", {same, FirstFloat}},
        {"sub", {broadcast_all}}, {"sum", {reduce}, "dim_IntList"}, {"t", {t, First}}, {"tan", {same, FirstFloat}},
        {"tanh", {same, FirstFloat}}, {"to", {same}}, {"transpose", {transpose, First}}, {"tril", {same, First}},
        {"triu", {same, First}}, {"true_divide", {broadcast_all}}, {"trunc", {same, FirstFloat}},
        {"unsqueeze", {unsqueeze, First}}, {"view", {view, First}, ""}, {"where", {broadcast_all}},
        {"zeros_like", {same}},
    };
    // clang-format on
    static_assert(std::ranges::is_sorted(rows, {}, &Row::op));
    const auto* found = std::ranges::lower_bound(rows, op, {}, &Row::op);
    if (found == std::end(rows) || found->op != op) return nullptr;
    return found->overload == any || found->overload == overload ? &found->rule : nullptr;
}

/// The shapes of the list that split, chunk or unbind returns, or nullopt for other ops.
inline std::optional<std::vector<Sizes>> part_shapes(std::string_view op, std::string_view overload, In in) {
    const bool by_size = (op == "split" || op == "unsafe_split") && overload == "Tensor";
    const bool by_sizes = op == "split_with_sizes" || op == "unsafe_split_with_sizes" || (op == "split" && !by_size);
    const bool chunk = op == "chunk" || op == "unsafe_chunk";
    if (!by_size && !by_sizes && !chunk && op != "unbind") return std::nullopt;
    const Sizes input = in.tensor("self");
    if (input.empty()) throw ArgumentError(std::string(op) + "() cannot be applied to a tensor without dimensions");
    const std::size_t dim = ShapeInputs::dim(in.integer("dim"), input.size());
    const std::int64_t size = input[dim];
    if (op == "unbind") {
        Sizes part = input;
        part.erase(part.begin() + static_cast<std::ptrdiff_t>(dim));
        return std::vector<Sizes>(static_cast<std::size_t>(size), part);
    }
    Sizes lengths;
    if (by_sizes) {
        lengths = in.integers(op == "split" ? "split_size" : "split_sizes");
    } else {
        const std::int64_t given = in.integer(chunk ? "chunks" : "split_size");
        if (given < 1 || size < 1) throw CannotTell{};
        const std::int64_t length = chunk ? (size - 1) / given + 1 : given;
        for (std::int64_t at = 0; at < size; at += std::min(length, size - at))
            lengths.push_back(std::min(length, size - at));
    }
    std::vector<Sizes> parts;
    for (const std::int64_t length : lengths) {
        parts.push_back(input);
        parts.back()[dim] = length;
    }
    return parts;
}

}  // namespace torch_ir::detail
