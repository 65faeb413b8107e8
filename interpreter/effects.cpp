// SPDX-License-Identifier: MIT
#include "effects.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace torch_ir {
namespace {

using namespace std::string_view_literals;

/// Arguments that are written although the schema does not say so: running statistics in training mode.
bool is_hidden_write(const Node& node, const std::string& argument) {
    if (argument != "running_mean" && argument != "running_var") return false;
    const bool instance = node.op_type == "aten.instance_norm.default";
    if (!instance && node.op_type != "aten.batch_norm.default" && node.op_type != "aten.native_batch_norm.default" &&
        node.op_type != "aten.cudnn_batch_norm.default" && node.op_type != "aten.miopen_batch_norm.default")
        return false;
    const Argument* training = node.find(instance ? "use_input_stats" : "training");
    return !training || !(*training == Argument(false));
}

}  // namespace

bool writes_to(const Node& node, const SchemaParameter& parameter) {
    return may_change(parameter) || is_hidden_write(node, parameter.name);
}

bool draws_numbers(const Node& node, const Registry& registry) {
    constexpr std::array ops{"alpha_dropout"sv,
                             "alpha_dropout_"sv,
                             "dropout"sv,
                             "dropout_"sv,
                             "feature_alpha_dropout"sv,
                             "feature_alpha_dropout_"sv,
                             "feature_dropout"sv,
                             "feature_dropout_"sv,
                             "native_dropout"sv,
                             "rand"sv,
                             "rand_like"sv,
                             "randint"sv,
                             "randint_like"sv,
                             "randn"sv,
                             "randn_like"sv,
                             "randperm"sv};
    const Op* op = registry.find(node.op_type);
    for (const std::string_view name : {"train"sv, "training"sv}) {
        const SchemaParameter* parameter = op ? op->schema.find(name) : nullptr;
        const Argument* train = node.find(name);
        if (!train && parameter && parameter->default_value) train = &*parameter->default_value;
        if (train && train->is<bool>() && !*train->get_if<bool>()) return false;
    }
    if (std::ranges::find(ops, base_name(node.op_type)) != ops.end()) return true;
    for (const std::string_view name : {"dropout"sv, "dropout_p"sv})
        if (const Argument* p = node.find(name); p && p->is<double>() && *p->get_if<double>() > 0) return true;
    for (const NamedArgument& arg : node.args)
        if (const auto* body = arg.value.get_if<Subgraph>(); body && body->graph)
            if (std::ranges::any_of(body->graph->nodes, [&](const Node& n) { return draws_numbers(n, registry); }))
                return true;
    return op && op->schema.find("generator");
}

}  // namespace torch_ir
