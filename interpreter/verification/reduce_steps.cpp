// SPDX-License-Identifier: MIT
// The changes that make a case smaller (reduce.hpp).
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "torch_ir/error.hpp"
#include "torch_ir/impl/argument_text.hpp"
#include "torch_ir/slice.hpp"
#include "verification/compare.hpp"
#include "verification/reduce.hpp"

namespace torch_ir {
namespace {

/// Calls `f(value, tensor)` for the graph input of every tensor of a case.
template <class F>
void for_each_tensor(CaseFiles& files, F&& f) {
    const auto find = [](TensorPairs& pairs, const std::string& key) -> Tensor* {
        for (auto& [name, tensor] : pairs)
            if (name == key) return &tensor;
        return nullptr;
    };
    Graph& graph = files.model.graph;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
        const auto* ref = graph.inputs[i].get_if<ValueRef>();
        if (!ref) continue;
        Value& value = graph.value(*ref);
        const bool weight = is_weight(files.model.inputs[i].kind);
        Tensor* tensor = weight ? find(files.weights, files.model.inputs[i].target) : find(files.inputs, value.name);
        if (tensor) f(value, *tensor);
    }
}

/// Sizes become those of the tensor where they are not symbolic.
void take_meta(Value& value, const Tensor& tensor) {
    if (value.kind != ValueKind::Tensor) return;
    value.meta.dtype = tensor.dtype();
    if (value.meta.shape.size() != tensor.shape().size()) value.meta.shape.assign(tensor.shape().size(), Dim(0));
    bool symbolic = false;
    for (std::size_t d = 0; d < tensor.shape().size(); ++d) {
        symbolic = symbolic || !value.meta.shape[d].is_static();
        if (value.meta.shape[d].is_static()) value.meta.shape[d] = tensor.shape()[d];
    }
    if (symbolic) return;
    value.meta.strides.reset();
    if (!tensor.is_contiguous()) value.meta.strides = Shape(tensor.strides().begin(), tensor.strides().end());
}

/// A change of sizes: what an input's dimension becomes.
using NewSize = std::function<std::int64_t(const Dim& dim, std::int64_t size)>;

void crop(CaseFiles& files, const NewSize& new_size) {
    for_each_tensor(files, [&](Value& value, Tensor& tensor) {
        if (value.kind != ValueKind::Tensor) return;
        for (std::size_t d = 0; d < tensor.shape().size(); ++d) {
            const std::int64_t size = new_size(value.meta.shape[d], tensor.shape()[d]);
            if (size < tensor.shape()[d]) tensor = tensor.narrow(static_cast<std::int64_t>(d), 0, size);
        }
        tensor = tensor.contiguous();
    });
}

/// Constant sizes in arguments that say how large a result is.
void replace_sizes(CaseFiles& files, std::int64_t from, std::int64_t to) {
    static const std::set<std::string, std::less<>> names{"size",        "shape",   "sizes", "normalized_shape",
                                                          "split_sizes", "sym_size"};
    for (Node& node : files.model.graph.nodes)
        for (NamedArgument& named : node.args) {
            auto* list = names.contains(named.name) ? named.value.get_if<ArgumentList>() : nullptr;
            if (!list) continue;
            for (Argument& element : *list)
                if (element == Argument(from)) element = to;
        }
}

std::vector<std::int64_t> smaller_than(std::int64_t size) {
    std::vector<std::int64_t> sizes;
    for (const std::int64_t candidate : {std::int64_t{1}, std::int64_t{2}, size / 4, size / 2, size - 1})
        if (candidate >= 1 && candidate < size && std::ranges::find(sizes, candidate) == sizes.end())
            sizes.push_back(candidate);
    return sizes;
}

Tensor mapped(const Tensor& tensor, const std::function<double(double)>& f) {
    Tensor result = tensor.to(DType::Float64).contiguous().clone();
    for (std::int64_t i = 0; i < result.numel(); ++i) result.data<double>()[i] = f(result.data<double>()[i]);
    return result.to(tensor.dtype());
}

/// Takes inputs and weights out of the case that no node reads any more.
void drop_unread_inputs(CaseFiles& files) {
    const Graph& graph = files.model.graph;
    std::vector<std::uint32_t> nodes(graph.nodes.size());
    std::iota(nodes.begin(), nodes.end(), 0U);
    std::vector<ValueRef> outputs;
    for (const Argument& output : graph.outputs) outputs.push_back(output.get<ValueRef>());
    files.model = slice(files.model, nodes, outputs);
    std::set<std::string, std::less<>> read;
    for (std::size_t i = 0; i < files.model.inputs.size(); ++i)
        read.insert(is_weight(files.model.inputs[i].kind)
                        ? files.model.inputs[i].target
                        : files.model.graph.value(files.model.graph.inputs[i].get<ValueRef>()).name);
    const auto unread = [&](const auto& tensor) { return !read.contains(tensor.first); };
    std::erase_if(files.weights, unread);
    std::erase_if(files.inputs, unread);
}

}  // namespace

std::optional<CaseFiles> run_again(CaseFiles files, const Registry& registry) {
    for_each_tensor(files, [](Value& value, Tensor& tensor) { take_meta(value, tensor); });
    try {
        const auto model = std::make_shared<const Model>(files.model);
        Interpreter interpreter(model, registry);
        Weights weights;
        for (const auto& [name, tensor] : files.weights) weights.insert(name, to_view(tensor));
        interpreter.load_weights(weights);
        Recorder recorder(model->graph, std::vector<bool>(model->graph.values.size(), true));
        RunOptions options;
        options.observer = &recorder;
        const NamedTensors inputs(files.inputs.begin(), files.inputs.end());
        const RunResult result = interpreter.run(interpreter.bind_inputs(inputs), options);
        for (const auto& [id, tensor] : recorder.values()) take_meta(files.model.graph.value({id}), tensor);
        files.expected = output_tensors(result);
    } catch (const std::exception&) {
        return std::nullopt;
    }
    return files;
}

std::vector<std::pair<std::string, CaseFiles>> smaller_sizes(const CaseFiles& files) {
    std::set<std::int64_t, std::greater<>> sizes;
    std::map<std::string, std::int64_t> symbols;
    CaseFiles copy = files;
    for_each_tensor(copy, [&](Value& value, Tensor& tensor) {
        if (value.kind != ValueKind::Tensor) return;
        for (std::size_t d = 0; d < tensor.shape().size(); ++d) {
            const Dim& dim = value.meta.shape[d];
            if (dim.is_static() && tensor.shape()[d] > 1) sizes.insert(tensor.shape()[d]);
            if (dim.expr() && dim.expr()->kind == Expr::Kind::Symbol) symbols[dim.expr()->name] = tensor.shape()[d];
        }
    });
    std::vector<std::pair<std::string, CaseFiles>> proposals;
    for (const auto& [symbol, size] : symbols)
        for (const std::int64_t to : smaller_than(size)) {
            proposals.emplace_back("size " + symbol + " = " + std::to_string(size) + " became " + std::to_string(to),
                                   files);
            SymbolValues values(symbols.begin(), symbols.end());
            values[symbol] = to;
            const auto under = [&](const Expr& expr, std::int64_t old) {
                try {
                    return evaluate(expr, values);
                } catch (const Error&) {
                    return old;
                }
            };
            crop(proposals.back().second,
                 [&](const Dim& dim, std::int64_t old) { return dim.is_static() ? old : under(*dim.expr(), old); });
            for_each_tensor(proposals.back().second, [&](Value& value, Tensor& tensor) {
                if (value.kind == ValueKind::SymInt && value.expr)
                    tensor = Tensor::scalar(under(*value.expr, tensor.item().to<std::int64_t>()), DType::Int64);
            });
        }
    for (const std::int64_t size : sizes)
        for (const std::int64_t to : smaller_than(size)) {
            proposals.emplace_back("size " + std::to_string(size) + " became " + std::to_string(to), files);
            crop(proposals.back().second,
                 [&](const Dim& dim, std::int64_t old) { return dim.is_static() && old == size ? to : old; });
            replace_sizes(proposals.back().second, size, to);
        }
    // One dimension of one tensor, where equal sizes have nothing to do with each other.
    std::size_t index = 0;
    for_each_tensor(copy, [&](Value& value, Tensor& tensor) {
        const std::size_t target = index++;
        for (std::size_t d = 0; d < tensor.shape().size(); ++d) {
            if (value.kind != ValueKind::Tensor || !value.meta.shape[d].is_static() || tensor.shape()[d] < 2) continue;
            for (const std::int64_t to : {std::int64_t{1}, tensor.shape()[d] / 2}) {
                proposals.emplace_back(
                    "dimension " + std::to_string(d) + " of '" + value.name + "' became " + std::to_string(to), files);
                std::size_t position = 0;
                for_each_tensor(proposals.back().second, [&](Value&, Tensor& other) {
                    if (position++ == target) other = other.narrow(static_cast<std::int64_t>(d), 0, to).contiguous();
                });
            }
        }
    });
    return proposals;
}

std::vector<std::pair<std::string, CaseFiles>> plainer_arguments(const CaseFiles& files) {
    std::vector<std::pair<std::string, CaseFiles>> proposals;
    for (std::size_t n = 0; n < files.model.graph.nodes.size(); ++n) {
        const Node& node = files.model.graph.nodes[n];
        const Schema* schema = find_schema(node.op_type);
        for (std::size_t i = 0; i < node.args.size(); ++i) {
            const SchemaParameter* parameter = schema ? schema->find(node.args[i].name) : nullptr;
            if (!parameter || !parameter->default_value) continue;
            const bool equal = *parameter->default_value == node.args[i].value;
            const auto text = [&](const Argument& argument) {
                return detail::argument_text(argument, [&](ValueRef ref) { return files.model.graph.value(ref).name; });
            };
            if (equal) continue;
            proposals.emplace_back("argument '" + parameter->name + "' of '" + node.name + "' became " +
                                       text(*parameter->default_value) + " (was " + text(node.args[i].value) + ")",
                                   files);
            std::vector<NamedArgument>& args = proposals.back().second.model.graph.nodes[n].args;
            args.erase(args.begin() + static_cast<std::ptrdiff_t>(i));
            drop_unread_inputs(proposals.back().second);
        }
    }
    return proposals;
}

std::vector<std::pair<std::string, CaseFiles>> plainer_values(const CaseFiles& files) {
    struct Way {
        const char* what;
        double (*f)(double);
    };
    static constexpr Way ways[] = {
        {"zeros", [](double) { return 0.0; }},
        {"ones", [](double) { return 1.0; }},
        {"whole numbers", [](double x) { return std::nearbyint(x); }},
        {"halves", [](double x) { return std::nearbyint(x * 2) / 2; }},
    };
    std::vector<std::pair<std::string, CaseFiles>> proposals;
    CaseFiles copy = files;
    std::size_t index = 0;
    for_each_tensor(copy, [&](Value& value, Tensor& tensor) {
        const std::size_t target = index++;
        if (value.kind != ValueKind::Tensor || is_complex(tensor.dtype()) || tensor.dtype() == DType::Bool) return;
        for (const auto& way : ways) {
            const Tensor changed = mapped(tensor, way.f);
            if (same_bits(changed, tensor)) break;  // it is that plain already
            proposals.emplace_back("'" + value.name + "' became " + way.what, files);
            std::size_t position = 0;
            for_each_tensor(proposals.back().second, [&](Value&, Tensor& other) {
                if (position++ == target) other = changed;
            });
        }
    });
    return proposals;
}

}  // namespace torch_ir
