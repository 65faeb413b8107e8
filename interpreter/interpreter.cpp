// SPDX-License-Identifier: MIT
#include "interpreter.hpp"

#include <algorithm>
#include <set>
#include <span>
#include <sstream>

#include "guards.hpp"
#include "promote.hpp"
#include "torch_ir/impl/shape_text.hpp"
#include "torch_ir/pytree.hpp"
#include "torch_ir/renames.hpp"
#include "torch_ir/text.hpp"

namespace torch_ir {
namespace {

using detail::meta_text;

/// Opaque dtypes anywhere in the graph, for the report before anything runs.
void collect_opaque(const Graph& graph, std::map<std::string, std::string>& found) {
    for (const Value& value : graph.values)
        if (value.kind == ValueKind::Tensor && category(value.meta.dtype) == DTypeCategory::Opaque)
            found.emplace(std::string(name(value.meta.dtype)), value.name);
    for (const Node& node : graph.nodes)
        for (const NamedArgument& arg : node.args)
            if (const auto* body = arg.value.get_if<Subgraph>(); body && body->graph)
                collect_opaque(*body->graph, found);
}

/// The tensor with the strides that the graph gives it, when they order a dense tensor: an op may look at the memory,
/// and files of weights need not keep the order.
Tensor in_order_of(const TensorMeta& meta, const Tensor& tensor) {
    if (!meta.strides || meta.strides->size() != tensor.shape().size() || tensor.numel() == 0) return tensor;
    Ints strides;
    for (const Dim& stride : *meta.strides) {
        if (!stride.is_static()) return tensor;
        strides.push_back(stride.value());
    }
    if (strides == tensor.strides() || !are_dense(tensor.shape(), strides)) return tensor;
    Tensor result = Tensor::empty_strided(tensor.shape(), std::move(strides), tensor.dtype());
    result.copy_from(tensor);
    return result;
}

/// Every problem in one error.
void throw_problems(const std::string& what, const std::vector<std::string>& problems) {
    if (problems.empty()) return;
    std::string text = what + ": ";
    for (std::size_t i = 0; i < problems.size(); ++i) text += (i ? "; " : "") + problems[i];
    throw ArgumentError(text);
}

/// Whether a 0-d tensor given for a constant input is that constant; constants that are no numbers are not compared.
bool is_same_number(const Argument& constant, const Tensor& given) {
    if (!constant.is<bool>() && !constant.is<std::int64_t>() && !constant.is<double>()) return true;
    return given.numel() == 1 && given.item().to<double>() == constant.to_double();
}

std::string number_text(const Tensor& tensor) {
    if (tensor.numel() != 1) return describe(tensor);
    std::ostringstream text;
    text << tensor.item().to<double>();
    return text.str();
}

/// Binds symbols to the sizes of the inputs and checks them against each other and their ranges.
class SymbolBinder {
  public:
    void bind(const std::string& input, const TensorMeta& meta, const Tensor& tensor) {
        for (std::size_t i = 0; i < meta.shape.size(); ++i) {
            const Dim& dim = meta.shape[i];
            if (dim.is_static()) continue;
            const std::int64_t size = tensor.shape()[i];
            const std::string where = "input '" + input + "' dimension " + std::to_string(i);
            if (dim.expr()->kind == Expr::Kind::Symbol)
                bind_symbol(dim.expr()->name, size, where);
            else
                expressions_.push_back({dim, size, where});
        }
    }

    void bind_symbol(const std::string& symbol, std::int64_t size, const std::string& where) {
        const auto [it, added] = values_.emplace(symbol, size);
        if (!added && it->second != size)
            problems_.push_back(where + ": expected size " + std::to_string(it->second) + " (" + symbol + "), found " +
                                std::to_string(size));
    }

    /// All contradictions found.
    std::vector<std::string> finish(const std::vector<SymbolRange>& ranges) {
        for (const auto& [dim, size, where] : expressions_) {
            if (!is_known(*dim.expr())) continue;
            if (const std::int64_t expected = evaluate(dim, values_); expected != size)
                problems_.push_back(where + ": expected size " + std::to_string(expected) + " (" + to_string(dim) +
                                    "), found " + std::to_string(size));
        }
        for (const SymbolRange& range : ranges) {
            const ExprPtr expr = parse_expr(range.name);  // a symbol, or what is made of several
            if (!is_known(*expr)) continue;
            const std::int64_t size = evaluate(*expr, values_);
            // torch.export assumes sizes of at least 2 when it traces, but 0 and 1 do run.
            if ((range.min && *range.min > 2 && size < *range.min) || (range.max && size > *range.max))
                problems_.push_back("symbol '" + range.name + "' is " + std::to_string(size) + ", outside its range [" +
                                    (range.min ? std::to_string(*range.min) : "-inf") + ", " +
                                    (range.max ? std::to_string(*range.max) : "inf") + "]");
        }
        return std::move(problems_);
    }

  private:
    bool is_known(const Expr& expr) const {
        const std::vector<std::string> symbols = symbols_of(expr);
        return std::all_of(symbols.begin(), symbols.end(), [&](const std::string& s) { return values_.contains(s); });
    }

    struct Pending {
        Dim dim;
        std::int64_t size;
        std::string where;
    };
    SymbolValues values_;
    std::vector<Pending> expressions_;
    std::vector<std::string> problems_;
};

}  // namespace

namespace {

/// The tensors that a subclass of Tensor is made of (`linear.weight.qdata`), as text.
std::string inner_tensors(const std::string& name, const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& inner : names)
        if (inner.starts_with(name + ".")) text += (text.empty() ? "'" : ", '") + inner + "'";
    return text;
}

/// The name of the only tensor with this dtype and shape, which a tied weight may be stored as; empty when there are
/// none or several.
std::string only_one_like(const std::string& meta, const Weights& weights) {
    std::string found;
    for (const auto& [name, view] : weights.tensors()) {
        if (std::string(torch_ir::name(view.dtype)) + to_string(view.shape) != meta) continue;
        if (!found.empty()) return "";
        found = name;
    }
    return found;
}

/// What is missing, as names and what they should be: how most of it is called in the file, and the first ones with the
/// name that they may have there.
void add_missing(const std::vector<std::pair<std::string, std::string>>& missing, const Weights& weights,
                 std::vector<std::string>& problems) {
    std::vector<std::string> wanted;
    for (const auto& [name, meta] : missing) wanted.push_back(name);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights.tensors()) names.push_back(name);
    const PrefixChange change = find_prefix_change(wanted, names);
    if (change.count > 0) problems.push_back(describe(change, missing.size()));
    constexpr std::size_t most = 10;
    for (const auto& [name, meta] : std::span(missing).first(std::min(missing.size(), most))) {
        if (const std::string inner = inner_tensors(name, names); !inner.empty()) {
            problems.push_back("'" + name + "' (" + meta + ") is a subclass of Tensor made of " + inner +
                               ", and the graph uses it as a whole: take it apart by run_decompositions({}) after the "
                               "export, or dequantize() it before");
            continue;
        }
        const std::string by_prefix = renamed(name, change);
        const std::string similar = weights.find(by_prefix) ? by_prefix : closest(name, names);
        const std::string tied = missing.size() == 1 ? only_one_like(meta, weights) : "";
        problems.push_back(
            "'" + name + "' (" + meta + ") is missing" +
            (similar.empty() ? "" : "; the closest name is '" + similar + "'") +
            (tied.empty() || tied == similar
                 ? ""
                 : "; if it is tied to '" + tied + "', the only tensor like it, the file needs it under both names"));
    }
    if (missing.size() > most) problems.push_back("and " + std::to_string(missing.size() - most) + " more are missing");
}

}  // namespace

Tensor to_tensor(const TensorView& view) {
    const auto copied = [&] {
        auto bytes = std::make_shared<std::vector<std::byte>>(view.to_bytes());
        auto storage = std::make_shared<Storage>(bytes->data(), bytes->size(), bytes);
        return Tensor(std::move(storage), view.dtype, view.shape, contiguous_strides(view.shape), 0);
    };
    const std::size_t item = item_size(view.dtype);
    const std::size_t alignment = is_complex(view.dtype) ? item / 2 : item;
    const auto address = reinterpret_cast<std::uintptr_t>(view.storage.data());
    if (view.conjugate || view.negative || address % alignment != 0) return copied();
    // Read-only memory: kernels write only to what find_written_inputs knows, and those are copied.
    auto storage =
        std::make_shared<Storage>(const_cast<std::byte*>(view.storage.data()), view.storage.size(), view.owner);
    return {std::move(storage), view.dtype, view.shape, view.strides, view.storage_offset};
}

TensorView to_view(const Tensor& tensor) {
    const Tensor dense = tensor.contiguous();
    TensorView view;
    view.dtype = dense.dtype();
    view.shape = dense.shape();
    view.strides = contiguous_strides(dense.shape());
    view.storage = {dense.raw(), dense.bytes()};
    view.owner = dense.storage();
    return view;
}

Interpreter::Interpreter(std::shared_ptr<const Model> model, const Registry& registry)
    : model_(std::move(model)), registry_(registry) {
    std::map<std::string, std::string> opaque;
    collect_opaque(model_->graph, opaque);
    std::string problems;
    for (const auto& [dtype, value] : opaque)
        problems += (problems.empty() ? "" : ", ") + dtype + " (value '" + value + "')";
    if (!problems.empty()) throw UnsupportedError("dtypes that cannot be computed with: " + problems);
    fused_ = Plan::compile({model_, &model_->graph}, registry_);
    weights_.resize(model_->graph.inputs.size());
}

const Plan& Interpreter::plan(bool observed) const {
    if (!observed) return *fused_;
    const std::scoped_lock lock(unfused_mutex_);
    if (!unfused_) unfused_ = Plan::compile({model_, &model_->graph}, registry_, {.fuse = false});
    return *unfused_;
}

void Interpreter::load_weights(const Weights& weights) {
    std::vector<std::string> problems;
    std::vector<std::pair<std::string, std::string>> missing;
    for (std::size_t i = 0; i < model_->inputs.size(); ++i) {
        const InputSpec& spec = model_->inputs[i];
        const auto* ref = model_->graph.inputs[i].get_if<ValueRef>();
        if (!is_weight(spec.kind) || !ref) continue;
        const Value& value = model_->graph.value(*ref);
        TensorView view;
        const auto constant = model_->constants.find(spec.target);
        const TensorView* found = weights.find(spec.target);
        // A buffer that is not in the state_dict may have its value there, too.
        if (constant != model_->constants.end() && (spec.kind == InputKind::TensorConstant || !found)) {
            const TensorMeta& meta = constant->second.meta;
            view.dtype = meta.dtype;
            for (const Dim& dim : meta.shape) view.shape.push_back(dim.value());
            view.strides = contiguous_strides(view.shape);
            view.storage = constant->second.data;
            view.owner = model_;
        } else if (found) {
            view = *found;
        } else {
            missing.emplace_back(spec.target, meta_text(value.meta));
            continue;
        }
        Tensor tensor = to_tensor(view);
        if (!fits(value.meta, tensor)) {
            problems.push_back("'" + spec.target + "': expected " + meta_text(value.meta) + ", found " +
                               describe(tensor));
            continue;
        }
        tensor = in_order_of(value.meta, tensor);
        tensor.storage()->set_constant();
        weights_[i] = std::move(tensor);
    }
    add_missing(missing, weights, problems);
    throw_problems("weights", problems);
}

std::vector<IValue> Interpreter::bind_inputs(const std::map<std::string, Tensor, std::less<>>& tensors) const {
    std::vector<IValue> bound;
    std::vector<std::string> problems;
    std::set<std::string, std::less<>> used;
    std::vector<std::string> expected_names;
    SymbolBinder symbols;
    std::optional<std::vector<std::string>> paths;  // read when a name is not found otherwise
    for (std::size_t i = 0; i < model_->inputs.size(); ++i) {
        if (model_->inputs[i].kind != InputKind::UserInput) continue;
        const Argument& input = model_->graph.inputs[i];
        const auto* ref = input.get_if<ValueRef>();
        const std::string positional = "input_" + std::to_string(bound.size());
        const std::string& constant_name = model_->inputs[i].target;
        const std::string name = ref                     ? model_->graph.value(*ref).name
                                 : constant_name.empty() ? positional
                                                         : constant_name;
        expected_names.push_back(name);
        auto found = tensors.find(name);
        if (found == tensors.end()) found = tensors.find(positional);
        if (found == tensors.end()) {
            if (!paths) paths = input_paths(*model_);
            if (!paths->empty()) found = tensors.find((*paths)[bound.size()]);
        }
        if (found != tensors.end()) used.insert(found->first);
        if (!ref) {  // a constant of the exported program
            if (found != tensors.end() && !is_same_number(input, found->second))
                problems.push_back("'" + name + "': the program was exported for another value than " +
                                   number_text(found->second) + ", which it holds as a constant");
            bound.emplace_back(None{});
            continue;
        }
        bound.emplace_back(None{});
        const Value& value = model_->graph.value(*ref);
        if (found == tensors.end()) {
            std::vector<std::string_view> names;
            for (const auto& [key, tensor] : tensors) names.push_back(key);
            const std::string suggestion = closest(name, names);
            problems.push_back("'" + name + "' (" +
                               (value.kind == ValueKind::Tensor ? meta_text(value.meta) : "number") + ") is missing" +
                               (suggestion.empty() ? "" : "; the closest name is '" + suggestion + "'"));
            continue;
        }
        const Tensor& tensor = found->second;
        if (value.kind != ValueKind::Tensor) {
            if (tensor.numel() != 1) {
                problems.push_back("'" + name + "': expected a number, found " + describe(tensor));
                continue;
            }
            const Scalar number = tensor.item();
            if (value.expr && value.expr->kind == Expr::Kind::Symbol && number.is_integral())
                symbols.bind_symbol(value.expr->name, number.to<std::int64_t>(), "input '" + name + "'");
            bound.back() = to_ivalue(number);
            continue;
        }
        if (!fits(value.meta, tensor)) {
            problems.push_back("'" + name + "': expected " + meta_text(value.meta) + ", found " + describe(tensor));
            continue;
        }
        symbols.bind(name, value.meta, tensor);
        bound.back() = tensor;
    }
    for (const auto& [key, tensor] : tensors)
        if (!used.contains(key)) {
            const std::string suggestion = closest(key, expected_names);
            problems.push_back("'" + key + "' is not an input of the model" +
                               (suggestion.empty() ? "" : "; the closest name is '" + suggestion + "'"));
        }
    const std::vector<std::string> sizes = symbols.finish(model_->symbols);
    problems.insert(problems.end(), sizes.begin(), sizes.end());
    if (problems.empty()) problems = broken_guards(*model_, bound);
    throw_problems("inputs", problems);
    return bound;
}

std::string Interpreter::state_key(std::size_t input) const {
    const auto* ref = model_->graph.inputs[input].get_if<ValueRef>();
    const InputSpec& spec = model_->inputs[input];
    return spec.kind == InputKind::UserInput && ref ? model_->graph.value(*ref).name : spec.target;
}

std::vector<IValue> Interpreter::graph_inputs(std::vector<IValue> user_inputs) const {
    std::vector<IValue> inputs = weights_;
    std::size_t next = 0;
    for (std::size_t i = 0; i < model_->inputs.size(); ++i)
        if (model_->inputs[i].kind == InputKind::UserInput) {
            if (next == user_inputs.size()) throw ArgumentError("too few inputs: " + std::to_string(next));
            inputs[i] = std::move(user_inputs[next++]);
        }
    return inputs;
}

RunResult Interpreter::run(std::vector<IValue> user_inputs, const RunOptions& options) const {
    State state;
    return run(std::move(user_inputs), state, options);
}

void Interpreter::check_carried(std::size_t input, const Tensor& tensor) const {
    const auto* ref = model_->graph.inputs[input].get_if<ValueRef>();
    if (ref && model_->graph.value(*ref).kind == ValueKind::Tensor && !fits(model_->graph.value(*ref).meta, tensor))
        throw ArgumentError("state '" + state_key(input) + "': expected " + meta_text(model_->graph.value(*ref).meta) +
                            ", found " + describe(tensor));
}

RunResult Interpreter::run(std::vector<IValue> user_inputs, State& state, const RunOptions& options) const {
    const Plan& plan = this->plan(options.observer != nullptr);
    std::vector<IValue> inputs = weights_;
    RunResult result;
    std::size_t next = 0;
    for (std::size_t i = 0; i < model_->inputs.size(); ++i) {
        const auto carried = state.empty() ? state.end() : state.find(state_key(i));
        if (carried != state.end()) {
            if (model_->inputs[i].kind == InputKind::UserInput) ++next;
            check_carried(i, carried->second);
            inputs[i] = carried->second;
        } else if (is_weight(model_->inputs[i].kind)) {
            if (std::holds_alternative<None>(inputs[i]) && model_->graph.inputs[i].is<ValueRef>())
                throw ArgumentError("weight '" + model_->inputs[i].target +
                                    "' has no value: load_weights was not called");
        } else if (model_->inputs[i].kind == InputKind::UserInput) {
            if (next == user_inputs.size()) throw ArgumentError("too few inputs: " + std::to_string(next));
            inputs[i] = std::move(user_inputs[next++]);
        }
        // What the graph writes to is copied, so that the caller's tensors and the mapped weights stay as they are.
        if (plan.written_inputs()[i])
            if (auto* tensor = std::get_if<Tensor>(&inputs[i])) {
                *tensor = tensor->clone();
                result.mutations.emplace(state_key(i), *tensor);
            }
    }
    std::vector<IValue> values = plan.run(std::move(inputs), options, &result.undeclared);

    for (std::size_t i = 0; i < values.size(); ++i) {
        const OutputSpec& spec = model_->outputs[i];
        const auto* ref = model_->graph.outputs[i].get_if<ValueRef>();
        if (is_user_output(spec.kind))
            result.outputs.push_back(
                {ref ? model_->graph.value(*ref).name : "output_" + std::to_string(result.outputs.size()),
                 std::move(values[i])});
        else if (auto* tensor = std::get_if<Tensor>(&values[i]); tensor && spec.kind != OutputKind::Token)
            result.mutations.insert_or_assign(spec.target, *tensor);
    }
    for (const auto& [key, tensor] : result.mutations) state.insert_or_assign(key, tensor);
    return result;
}

}  // namespace torch_ir
