// SPDX-License-Identifier: MIT
#include "graph_passes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace torch_ir::extractor {
namespace {

/// The argument, removed from the node; None when it is not there.
Argument take(Node& node, std::string_view name) {
    const auto found = std::ranges::find(node.args, name, &NamedArgument::name);
    if (found == node.args.end()) return None{};
    Argument value = std::move(found->value);
    node.args.erase(found);
    return value;
}

Node as_convolution(Node node) {
    const std::size_t rank = node.arg("stride").get<ArgumentList>().size();
    const bool transposed = node.arg("transposed") == Argument(true);
    const std::string dims = std::to_string(rank) + "d";
    Node result{.op_type = transposed ? "aten.conv_transpose" + dims + (rank == 1 ? ".default" : ".input")
                                      : "aten.conv" + dims + ".default",
                .provenance = std::move(node.provenance)};
    std::vector<const char*> names{"input", "weight", "bias", "stride", "padding", "dilation", "groups"};
    if (transposed) names = {"input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"};
    for (const char* name : names) result.args.push_back({name, take(node, name)});
    return result;
}

/// F::interpolate of C++ gives sizes and factors; Python the factors, or without any the sizes.
Node as_upsample(Node node) {
    ArgumentList factors;
    for (const char* name : {"scales", "scales_d", "scales_h", "scales_w"})
        if (const Argument* factor = node.find(name); factor && !factor->is_none()) factors.push_back(*factor);
    node.op_type.replace(node.op_type.rfind('.'), std::string::npos, ".vec");
    Node result{.op_type = node.op_type, .provenance = node.provenance};
    result.args.push_back({"input", take(node, "self")});
    result.args.push_back({"output_size", factors.empty() ? take(node, "output_size") : Argument(None{})});
    if (node.find("align_corners")) result.args.push_back({"align_corners", take(node, "align_corners")});
    result.args.push_back({"scale_factors", factors.empty() ? Argument(None{}) : Argument(std::move(factors))});
    return result;
}

/// A graph with what is needed to see patterns in it.
class LinearFusion {
  public:
    LinearFusion(Graph& graph, const std::unordered_set<std::uint32_t>& in_place)
        : graph_(graph), in_place_(in_place), uses_(graph.values.size()) {
        const auto count = [&](ValueRef ref) { ++uses_[ref.id]; };
        for (const Node& node : graph.nodes)
            for (const NamedArgument& argument : node.args) for_each_value(argument.value, count);
        for (const Argument& output : graph.outputs) for_each_value(output, count);
    }

    void run() {
        for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
            Node& node = graph_.nodes[i];
            if (node.op_type == "aten.addmm.default")
                fuse_addmm(node);
            else if (node.op_type == "aten.add.Tensor" && in_place_.contains(i))
                fuse_add(node);
        }
        for (Node& node : graph_.nodes)
            if (node.op_type == "aten.matmul.default") fuse_matmul(node);
    }

  private:
    const ValueRef* operand(const Node& node, std::string_view name) const {
        const Argument* argument = node.find(name);
        return argument ? argument->get_if<ValueRef>() : nullptr;
    }

    /// The node that computes the operand, if that is an `op_type` and the operand its only use.
    const Node* single(const ValueRef* ref, std::string_view op_type) const {
        if (!ref || uses_[ref->id] != 1) return nullptr;
        const std::uint32_t producer = graph_.value(*ref).producer;
        if (producer == Value::no_producer || graph_.nodes[producer].op_type != op_type) return nullptr;
        return &graph_.nodes[producer];
    }

    /// W of the operand t(W), if W is a matrix and the bias a vector with an element for each of its rows.
    const ValueRef* transposed_weight(const ValueRef* ref, const ValueRef* bias) const {
        const Node* t = single(ref, "aten.t.default");
        const ValueRef* weight = t ? operand(*t, "self") : nullptr;
        if (!weight) return nullptr;
        const Shape& shape = graph_.value(*weight).meta.shape;
        if (shape.size() != 2) return nullptr;
        if (bias && graph_.value(*bias).meta.shape != Shape{shape[0]}) return nullptr;
        return weight;
    }

    static void become_linear(Node& node, ValueRef input, ValueRef weight, const ValueRef* bias) {
        std::vector<NamedArgument> args{{"input", input}, {"weight", weight}};
        if (bias) args.push_back({"bias", *bias});
        node.op_type = "aten.linear.default";
        node.args = std::move(args);
    }

    void fuse_addmm(Node& node) const {
        const ValueRef* bias = operand(node, "self");
        const ValueRef* input = operand(node, "mat1");
        if (!bias || !input || node.find("beta") || node.find("alpha")) return;
        if (const ValueRef* weight = transposed_weight(operand(node, "mat2"), bias))
            become_linear(node, ValueRef(*input), *weight, std::array{*bias}.data());
    }

    void fuse_add(Node& node) const {
        const ValueRef* bias = operand(node, "other");
        const Node* matmul = single(operand(node, "self"), "aten.matmul.default");
        if (!bias || !matmul || node.find("alpha")) return;
        if (const ValueRef* weight = transposed_weight(operand(*matmul, "other"), bias)) {
            const Provenance from = matmul->provenance;
            become_linear(node, *operand(*matmul, "self"), *weight, std::array{*bias}.data());
            if (!from.module_path.empty()) node.provenance = from;
        }
    }

    /// Without a bias only for a weight: `matmul(a, t(b))` may be a product of two activations.
    void fuse_matmul(Node& node) const {
        const ValueRef* input = operand(node, "self");
        const ValueRef* weight = transposed_weight(operand(node, "other"), nullptr);
        if (input && weight && graph_.value(*weight).producer == Value::no_producer)
            become_linear(node, ValueRef(*input), *weight, nullptr);
    }

    Graph& graph_;
    const std::unordered_set<std::uint32_t>& in_place_;
    std::vector<std::uint32_t> uses_;
};

/// Copies what is used into a new graph, with names.
class Tidy {
  public:
    explicit Tidy(Graph& graph) : graph_(graph), used_(graph.values.size()), new_id_(graph.values.size()) {}

    void mark(const std::unordered_set<std::uint32_t>& keep) {
        const auto use = [&](ValueRef ref) { used_[ref.id] = true; };
        for (const Argument& output : graph_.outputs) for_each_value(output, use);
        kept_.resize(graph_.nodes.size());
        for (std::size_t i = graph_.nodes.size(); i-- > 0;) {
            const Node& node = graph_.nodes[i];
            kept_[i] = keep.contains(static_cast<std::uint32_t>(i));
            for (const ValueRef ref : node.output_values()) kept_[i] = kept_[i] || used_[ref.id];
            if (!kept_[i]) continue;
            for (const NamedArgument& argument : node.args) for_each_value(argument.value, use);
        }
    }

    bool is_used(ValueRef ref) const { return used_[ref.id]; }

    Graph build() {
        for (const Argument& input : graph_.inputs)
            for_each_value(input, [&](ValueRef ref) { add(ref, unused(graph_.value(ref).name)); });
        for (std::size_t i = 0; i < graph_.nodes.size(); ++i)
            if (kept_[i]) add_node(std::move(graph_.nodes[i]));
        for (const Argument& input : graph_.inputs) result_.inputs.push_back(renumbered(input));
        for (const Argument& output : graph_.outputs) result_.outputs.push_back(renumbered(output));
        return std::move(result_);
    }

  private:
    void add(ValueRef ref, std::string name) {
        new_id_[ref.id] = static_cast<std::uint32_t>(result_.values.size());
        result_.values.push_back(std::move(graph_.value(ref)));
        result_.values.back().name = std::move(name);
    }

    void add_node(Node node) {
        node.name = unused(std::string(base_name(node.op_type)));
        const std::vector<ValueRef> outputs = node.output_values();
        const bool lone = outputs.size() == 1 && node.outputs[0].is<ValueRef>();
        for (std::size_t k = 0; k < outputs.size(); ++k) {
            add(outputs[k], lone ? node.name : unused(node.name + "_" + std::to_string(k)));
            result_.values.back().producer = static_cast<std::uint32_t>(result_.nodes.size());
        }
        for (NamedArgument& argument : node.args) argument.value = renumbered(argument.value);
        for (Argument& output : node.outputs) output = renumbered(output);
        result_.nodes.push_back(std::move(node));
    }

    Argument renumbered(Argument argument) const {
        if (auto* ref = argument.get_if<ValueRef>()) *ref = {new_id_[ref->id]};
        if (auto* list = argument.get_if<ArgumentList>())
            for (Argument& element : *list) element = renumbered(std::move(element));
        return argument;
    }

    std::string unused(const std::string& base) {
        std::string name = base;
        for (int& n = next_[base]; !names_.insert(name).second;) name = base + "_" + std::to_string(++n);
        return name;
    }

    Graph& graph_;
    Graph result_;
    std::vector<bool> used_, kept_;
    std::vector<std::uint32_t> new_id_;
    std::unordered_set<std::string> names_;
    std::map<std::string, int> next_;
};

}  // namespace

Node normalised(Node node) {
    constexpr std::array<std::pair<std::string_view, const char*>, 6> twins{
        {{"aten.add.Scalar", "aten.add.Tensor"},
         {"aten.sub.Scalar", "aten.sub.Tensor"},
         {"aten.mul.Scalar", "aten.mul.Tensor"},
         {"aten.div.Scalar", "aten.div.Tensor"},
         {"aten.div.Scalar_mode", "aten.div.Tensor_mode"},
         {"aten.floor_divide.Scalar", "aten.floor_divide.default"}}};
    for (const auto& [scalar, tensor] : twins)
        if (node.op_type == scalar) node.op_type = tensor;
    if (node.op_type == "aten._convolution.default" || node.op_type == "aten._convolution.deprecated")
        return as_convolution(std::move(node));
    if (node.op_type == "aten.split.sizes") {
        node.op_type = "aten.split_with_sizes.default";
        for (NamedArgument& argument : node.args)
            if (argument.name == "split_size") argument.name = "split_sizes";
    }
    const std::string_view op = node.op_type;
    if ((op.starts_with("aten.upsample_") || op.starts_with("aten._upsample_")) && op.ends_with(".default"))
        return as_upsample(std::move(node));
    return node;
}

void fuse_linear(Graph& graph, const std::unordered_set<std::uint32_t>& in_place) {
    LinearFusion(graph, in_place).run();
}

void tidy(Model& model, const std::unordered_set<std::uint32_t>& keep) {
    Tidy pass(model.graph);
    pass.mark(keep);
    for (std::size_t i = model.inputs.size(); i-- > 0;) {
        if (model.inputs[i].kind != InputKind::TensorConstant || pass.is_used(model.graph.inputs[i].get<ValueRef>()))
            continue;
        model.constants.erase(model.inputs[i].target);
        model.inputs.erase(model.inputs.begin() + static_cast<std::ptrdiff_t>(i));
        model.graph.inputs.erase(model.graph.inputs.begin() + static_cast<std::ptrdiff_t>(i));
    }
    model.graph = pass.build();
}

}  // namespace torch_ir::extractor
