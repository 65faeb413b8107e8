// SPDX-License-Identifier: MIT
#include "verification/tape.hpp"

#include <algorithm>

#include "torch_ir/error.hpp"
#include "torch_ir/traverse.hpp"
#include "verification/suite.hpp"

namespace torch_ir {
namespace {

/// All values when none are named.
std::vector<bool> resized(std::vector<bool> wanted, std::size_t count) {
    wanted.resize(count, wanted.empty());
    return wanted;
}

}  // namespace

Tape::Tape(std::shared_ptr<const Model> model, Weights weights, const NamedTensors& inputs, std::vector<bool> wanted,
           const Registry& registry)
    : model_(std::move(model)),
      weights_(std::move(weights)),
      registry_(registry),
      recorder_(model_->graph, resized(std::move(wanted), model_->graph.values.size())) {
    const Graph& graph = model_->graph;
    Interpreter interpreter(model_, registry_);
    interpreter.load_weights(weights_);
    const std::vector<IValue> bound = interpreter.bind_inputs(inputs);
    std::size_t next = 0;
    for (std::size_t i = 0; i < model_->inputs.size(); ++i) {
        if (model_->inputs[i].kind != InputKind::UserInput) continue;
        if (const auto* ref = graph.inputs[i].get_if<ValueRef>())
            if (const Tensor tensor = value_tensor(bound.at(next)); tensor.defined()) inputs_[ref->id] = tensor;
        ++next;
    }
    RunOptions options;
    options.observer = &recorder_;
    interpreter.run(bound, options);
}

Tensor Tape::value(ValueRef ref, std::size_t before) const {
    if (const Tensor* tensor = recorder_.before(ref, before)) return *tensor;
    if (const auto found = inputs_.find(ref.id); found != inputs_.end()) return found->second;
    const Graph& graph = model_->graph;
    for (std::size_t i = 0; i < model_->inputs.size(); ++i) {
        if (!is_weight(model_->inputs[i].kind) || graph.inputs[i] != Argument(ref)) continue;
        const std::string& target = model_->inputs[i].target;
        if (const auto constant = model_->constants.find(target); constant != model_->constants.end()) {
            TensorView view;
            view.dtype = constant->second.meta.dtype;
            for (const Dim& dim : constant->second.meta.shape) view.shape.push_back(dim.value());
            view.strides = contiguous_strides(view.shape);
            view.storage = constant->second.data;
            view.owner = model_;
            return to_tensor(view);
        }
        if (const TensorView* view = weights_.find(target)) return to_tensor(*view);
    }
    throw ArgumentError("value '" + graph.value(ref).name + "' is no tensor or number that the run computed");
}

CaseFiles Tape::cut(const std::vector<std::uint32_t>& nodes, const std::vector<ValueRef>& outputs,
                    const SliceOptions& options) const {
    CaseFiles files;
    files.model = slice(*model_, nodes, outputs, options);
    if (nodes.empty()) throw ArgumentError("a case needs at least one node");
    const std::uint32_t last = *std::ranges::max_element(nodes);
    std::map<std::uint32_t, std::uint32_t> first_reader;  // of each value that the nodes read
    for (const std::uint32_t node : nodes)
        for (const ValueRef ref : model_->graph.nodes[node].input_values()) {
            const auto reader = first_reader.emplace(ref.id, node).first;
            reader->second = std::min(reader->second, node);
        }
    const ValueNames names = value_names(model_->graph);
    const Graph& graph = files.model.graph;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
        const InputSpec& spec = files.model.inputs[i];
        const auto* ref = graph.inputs[i].get_if<ValueRef>();
        if (!ref || files.model.constants.contains(spec.target)) continue;
        const std::string& name = graph.value(*ref).name;
        const ValueRef source = names.at(name);
        const Tensor tensor = value(source, first_reader.at(source.id));
        if (is_weight(spec.kind))
            files.weights.emplace_back(spec.target, tensor);
        else
            files.inputs.emplace_back(name, tensor);
    }
    for (std::size_t i = 0; i < graph.outputs.size(); ++i)
        files.expected.emplace_back("output_" + std::to_string(i),
                                    value(names.at(graph.value(graph.outputs[i].get<ValueRef>()).name), last + 1));
    files.name = files.model.name;
    return files;
}

void mark_edges(const Model& model, const std::vector<std::uint32_t>& nodes, std::vector<bool>& wanted) {
    wanted.resize(model.graph.values.size(), false);
    for (const std::uint32_t i : nodes) {
        for (const ValueRef ref : model.graph.nodes[i].input_values()) wanted[ref.id] = true;
        for (const ValueRef ref : model.graph.nodes[i].output_values()) wanted[ref.id] = true;
    }
}

std::string check_case(const CaseFiles& files, const Registry& registry) {
    try {
        Interpreter interpreter(std::make_shared<const Model>(files.model), registry);
        Weights weights;
        for (const auto& [name, tensor] : files.weights) weights.insert(name, to_view(tensor));
        interpreter.load_weights(weights);
        const NamedTensors inputs(files.inputs.begin(), files.inputs.end());
        const NamedTensors expected(files.expected.begin(), files.expected.end());
        for (const OutputVerdict& verdict :
             judge(interpreter.run(interpreter.bind_inputs(inputs)), expected, std::nullopt, std::nullopt))
            if (!verdict.comparison.passed) return verdict.name + ": " + verdict.comparison.message;
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace torch_ir
