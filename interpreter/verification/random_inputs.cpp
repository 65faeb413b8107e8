// SPDX-License-Identifier: MIT
#include "verification/random_inputs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <set>

#include "torch_ir/error.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {
namespace {

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Numbers {
  public:
    explicit Numbers(std::uint64_t seed) : state_(seed) {}

    std::uint64_t bits() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
    std::int64_t below(std::int64_t limit) {
        return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(limit));
    }
    double normal() {
        const double radius = std::sqrt(-2 * std::log(1 - uniform()));
        return radius * std::cos(2 * std::numbers::pi * uniform());
    }

  private:
    std::uint64_t state_;
};

template <std::size_t N>
bool is_one_of(std::string_view op, const std::array<std::string_view, N>& names) {
    return std::ranges::find(names, op) != names.end();
}

/// Follows an integer input through the graph to what it indexes.
class IndexLimits {
  public:
    IndexLimits(const Graph& graph, const SymbolValues& sizes)
        : graph_(graph), sizes_(sizes), users_(value_users(graph)) {}

    struct Use {
        std::optional<std::int64_t> limit;  // least size of what it indexes
        bool is_mask = false;
    };

    Use of(ValueRef input) {
        Use use;
        visit(input, 0, use);
        return use;
    }

  private:
    void visit(ValueRef value, std::int64_t offset, Use& use) {
        if (!seen_.insert(value.id).second) return;
        for (const std::uint32_t user : users_[value.id]) {
            const Node& node = graph_.nodes[user];
            if (const auto limit = limit_of(node, value)) {
                const std::int64_t left = std::max<std::int64_t>(1, *limit - offset);
                use.limit = std::min(use.limit.value_or(left), left);
            } else if (const auto added = passes_on(node, value)) {
                for (const ValueRef result : node.output_values()) visit(result, offset + *added, use);
            } else if (is_mask(node, value)) {
                use.is_mask = true;
            }
        }
    }

    bool is_argument(const Node& node, std::string_view name, ValueRef value) const {
        const Argument* argument = node.find(name);
        bool found = false;
        if (argument) for_each_value(*argument, [&](ValueRef ref) { found = found || ref == value; });
        return found;
    }

    std::optional<std::int64_t> size_of(const Node& node, std::string_view name, std::int64_t dim) const {
        const Argument* argument = node.find(name);
        const auto* ref = argument ? argument->get_if<ValueRef>() : nullptr;
        if (!ref) return std::nullopt;
        const Shape& shape = graph_.value(*ref).meta.shape;
        if (dim < 0) dim += static_cast<std::int64_t>(shape.size());
        if (dim < 0 || dim >= static_cast<std::int64_t>(shape.size())) return std::nullopt;
        const Dim& size = shape[static_cast<std::size_t>(dim)];
        try {
            return evaluate(size, sizes_);
        } catch (const Error&) {
            return size.hint();
        }
    }

    /// How many things the value chooses from in this node.
    std::optional<std::int64_t> limit_of(const Node& node, ValueRef value) const {
        const std::string_view op = aten_name(node.op_type);
        if (op.starts_with("embedding") || op == "_embedding_bag")
            return is_argument(node, "indices", value) ? size_of(node, "weight", 0) : std::nullopt;
        constexpr std::array<std::string_view, 3> by_list{"index", "index_put", "_unsafe_index"};
        if (is_one_of(op, by_list)) {
            const Argument* indices = node.find("indices");
            const auto* list = indices ? indices->get_if<ArgumentList>() : nullptr;
            for (std::size_t i = 0; list && i < list->size(); ++i)
                if ((*list)[i] == Argument(value)) return size_of(node, "self", static_cast<std::int64_t>(i));
            return std::nullopt;
        }
        constexpr std::array<std::string_view, 11> by_dim{
            "gather",     "scatter",      "scatter_add",    "scatter_reduce", "index_add", "index_copy",
            "index_fill", "index_select", "take_along_dim", "index_reduce",   "scatter_"};
        if (is_one_of(op, by_dim) && (is_argument(node, "index", value) || is_argument(node, "indices", value))) {
            const Argument* dim = node.find("dim");
            return dim && dim->is<std::int64_t>() ? size_of(node, "self", dim->to_int()) : std::nullopt;
        }
        constexpr std::array<std::string_view, 5> losses{"nll_loss", "nll_loss_forward", "nll_loss2d",
                                                         "cross_entropy_loss", "nll_loss_nd"};
        if (is_one_of(op, losses) && is_argument(node, "target", value)) {
            const auto classes = size_of(node, "self", 1);
            return classes ? classes : size_of(node, "self", 0);
        }
        if (op == "one_hot") {
            const Argument* classes = node.find("num_classes");
            return classes && classes->is<std::int64_t>() && classes->to_int() > 0 ? std::optional(classes->to_int())
                                                                                   : std::nullopt;
        }
        return std::nullopt;
    }

    /// What the node adds to the value; nothing when its results are not the value any more.
    static std::optional<std::int64_t> passes_on(const Node& node, ValueRef) {
        constexpr std::array<std::string_view, 20> movers{
            "view",  "reshape", "_unsafe_view", "expand",   "unsqueeze",    "squeeze", "permute",
            "slice", "select",  "transpose",    "t",        "clone",        "detach",  "contiguous",
            "alias", "repeat",  "flatten",      "_to_copy", "broadcast_to", "unbind"};
        const std::string_view op = aten_name(node.op_type);
        if (is_one_of(op, movers)) {
            const Argument* dtype = node.find("dtype");
            if (op == "_to_copy" && dtype && dtype->is<DType>() && !is_integral(dtype->get<DType>()))
                return std::nullopt;
            return 0;
        }
        if (op == "to" || op == "split" || op == "chunk" || op == "cat") {
            const Argument* dtype = node.find("dtype");
            if (dtype && dtype->is<DType>() && !is_integral(dtype->get<DType>())) return std::nullopt;
            return 0;
        }
        if (op == "add") {
            const Argument* other = node.find("other");
            if (other && other->is<std::int64_t>()) return std::max<std::int64_t>(0, other->to_int());
        }
        return std::nullopt;
    }

    /// Whether the node asks for yes or no: a cast to bool or float, a comparison with a constant.
    bool is_mask(const Node& node, ValueRef) const {
        const std::string_view op = aten_name(node.op_type);
        constexpr std::array<std::string_view, 7> questions{"eq",   "ne",          "gt",         "ge",
                                                            "rsub", "logical_not", "bitwise_not"};
        if (is_one_of(op, questions)) return true;
        const Argument* dtype = node.find("dtype");
        return (op == "_to_copy" || op == "to") && dtype && dtype->is<DType>() && !is_integral(dtype->get<DType>());
    }

    const Graph& graph_;
    const SymbolValues& sizes_;
    std::vector<std::vector<std::uint32_t>> users_;
    std::set<std::uint32_t> seen_;
};

void collect_hints(const Dim& dim, SymbolValues& sizes) {
    if (dim.expr() && dim.expr()->kind == Expr::Kind::Symbol && dim.hint())
        sizes.emplace(dim.expr()->name, *dim.hint());
}

/// A size for every symbol of the inputs.
SymbolValues choose_sizes(const Model& model, const SymbolValues& given) {
    SymbolValues sizes = given;
    std::set<std::string> known;
    std::vector<std::string> used;
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (!ref || model.inputs[i].kind != InputKind::UserInput) continue;
        const Value& value = model.graph.value(*ref);
        for (const Dim& dim : value.meta.shape) {
            collect_hints(dim, sizes);
            if (dim.expr())
                for (std::string& symbol : symbols_of(*dim.expr())) used.push_back(std::move(symbol));
        }
        if (value.expr)
            for (std::string& symbol : symbols_of(*value.expr)) used.push_back(std::move(symbol));
    }
    for (const std::string& symbol : used) sizes.emplace(symbol, 0);  // 0: not chosen yet
    for (auto& [symbol, size] : sizes) {
        const auto range = std::ranges::find(model.symbols, symbol, &SymbolRange::name);
        const bool has_range = range != model.symbols.end();
        if (given.contains(symbol)) {
            if (std::ranges::find(used, symbol) == used.end())
                throw ArgumentError("no input has a size '" + symbol + "'");
            if (has_range &&
                ((range->min && *range->min > 2 && size < *range->min) || (range->max && size > *range->max)))
                throw ArgumentError("size " + symbol + " = " + std::to_string(size) + " lies outside its range");
            continue;
        }
        const std::int64_t least = std::max<std::int64_t>(2, has_range ? range->min.value_or(2) : 2);
        const std::int64_t most = has_range ? range->max.value_or(INT64_MAX) : INT64_MAX;
        if (size == 0) size = std::min(least, most);
        size = std::clamp(size, std::min(range != model.symbols.end() ? range->min.value_or(0) : 0, most), most);
    }
    return sizes;
}

/// One number per element.
template <class C, class F>
Tensor draw(const Ints& shape, DType dtype, DType compute, F&& next) {
    Tensor tensor = Tensor::empty(shape, compute);
    for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.data<C>()[i] = next();
    return tensor.to(dtype);
}

Tensor draw_tensor(const Value& value, ValueRef ref, const Graph& graph, const SymbolValues& sizes, bool zero_integers,
                   Numbers& numbers) {
    Ints shape;
    for (const Dim& dim : value.meta.shape) shape.push_back(evaluate(dim, sizes));
    const DType dtype = value.meta.dtype;
    if (dtype == DType::Bool)
        return draw<std::int64_t>(shape, dtype, DType::Int64, [&] { return std::int64_t{numbers.below(4) != 0}; });
    if (is_integral(dtype)) {
        const IndexLimits::Use use = IndexLimits(graph, sizes).of(ref);
        std::int64_t limit = dtype == DType::UInt8 ? 256 : 10;
        if (use.is_mask || value.name.find("mask") != std::string::npos) limit = 2;
        if (use.limit) limit = *use.limit;
        if (zero_integers && limit != 2) limit = 1;
        if (dtype == DType::UInt8) limit = std::min<std::int64_t>(limit, 256);
        if (dtype == DType::Int8) limit = std::min<std::int64_t>(limit, 128);
        return draw<std::int64_t>(shape, dtype, DType::Int64, [&] { return numbers.below(limit); });
    }
    if (is_complex(dtype))
        return draw<std::complex<double>>(shape, dtype, DType::Complex128, [&] {
            const double real = numbers.normal();
            return std::complex<double>(real, numbers.normal());
        });
    return draw<double>(shape, dtype, DType::Float64, [&] { return numbers.normal(); });
}

}  // namespace

NamedTensors random_inputs(const Model& model, const RandomOptions& options) {
    const SymbolValues sizes = choose_sizes(model, options.sizes);
    Numbers numbers(options.seed);
    NamedTensors inputs;
    for (std::size_t i = 0; i < model.inputs.size(); ++i) {
        const auto* ref = model.graph.inputs[i].get_if<ValueRef>();
        if (!ref || model.inputs[i].kind != InputKind::UserInput) continue;
        const Value& value = model.graph.value(*ref);
        with_context(
            [&] { return "input '" + value.name + "'"; },
            [&] {
                switch (value.kind) {
                    case ValueKind::Tensor:
                        inputs.emplace(value.name,
                                       draw_tensor(value, *ref, model.graph, sizes, options.zero_integers, numbers));
                        break;
                    case ValueKind::SymInt:
                        inputs.emplace(value.name,
                                       Tensor::scalar(value.expr ? evaluate(*value.expr, sizes) : 2, DType::Int64));
                        break;
                    case ValueKind::SymFloat:
                        inputs.emplace(value.name, Tensor::scalar(numbers.normal(), DType::Float64));
                        break;
                    case ValueKind::SymBool:
                        inputs.emplace(value.name, Tensor::scalar(true, DType::Bool));
                        break;
                    case ValueKind::CustomObject:
                        throw UnsupportedError("a custom object cannot be drawn");
                }
            });
    }
    return inputs;
}

}  // namespace torch_ir
