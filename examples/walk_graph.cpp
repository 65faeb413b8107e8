// SPDX-License-Identifier: MIT
// What a backend does first: open a model, look at its inputs and weights, and walk the nodes with their arguments.
#include <cstdio>
#include <string>

#include "torch_ir/torch_ir.hpp"

namespace {

/// `relu:float32[2, s0] from relu`. Only tensors have a shape and dtype; a symbolic int is `sym_size_int:sym_int = s0`.
std::string text_of(const torch_ir::Graph& graph, const torch_ir::Value& value) {
    std::string text = value.name + ":";
    if (value.kind == torch_ir::ValueKind::Tensor) {
        text += std::string(torch_ir::name(value.meta.dtype)) + "[";
        for (std::size_t i = 0; i < value.meta.shape.size(); ++i)
            text += (i ? ", " : "") + torch_ir::to_string(value.meta.shape[i]);
        text += "]";
    } else {
        text += torch_ir::name(value.kind);
        if (value.expr) text += " = " + torch_ir::to_string(*value.expr);
    }
    if (value.producer != torch_ir::Value::no_producer) text += " from " + graph.nodes[value.producer].name;
    return text;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 2) return std::puts("usage: walk_graph MODEL.pt2"), 2;
    const torch_ir::Model model = torch_ir::read_pt2(argv[1]);
    const torch_ir::Weights weights = torch_ir::open_weights(argv[1]);  // mapped, not read

    for (const torch_ir::InputSpec& spec : model.inputs) {
        if (!torch_ir::is_weight(spec.kind)) continue;
        const torch_ir::TensorView* values = weights.find(spec.target);
        std::printf("weight %s: %lld elements\n", spec.target.c_str(),
                    values ? static_cast<long long>(values->numel()) : 0LL);
    }
    for (const torch_ir::Node& node : model.graph.nodes) {
        std::printf("%s (%s)\n", node.name.c_str(), node.op_type.c_str());
        for (const torch_ir::ValueRef input : node.input_values())
            std::printf("    reads %s\n", text_of(model.graph, model.graph.value(input)).c_str());
        if (node.op_type == "aten.conv2d.default") {
            // The file leaves out arguments that have their default; arg() answers from the ATen schema.
            const auto stride = node.arg("stride").to_ints();
            const auto padding = node.arg("padding").to_ints();
            std::printf("    stride %lld, padding %lld, groups %lld\n", static_cast<long long>(stride.front()),
                        static_cast<long long>(padding.front()), static_cast<long long>(node.arg("groups").to_int()));
        }
    }
    return 0;
} catch (const torch_ir::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
