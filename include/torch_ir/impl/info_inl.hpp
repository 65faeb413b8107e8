// SPDX-License-Identifier: MIT
// Bodies of info.hpp.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/impl/costs.hpp"
#include "torch_ir/impl/json_names.hpp"
#include "torch_ir/impl/json_writer.hpp"
#include "torch_ir/impl/op_counts.hpp"
#include "torch_ir/info.hpp"
#include "torch_ir/pytree.hpp"
#include "torch_ir/traverse.hpp"

namespace torch_ir {
namespace detail {

class InfoCollector {
  public:
    explicit InfoCollector(const Model& model) : model_(model) {}

    ModelInfo collect() {
        info_.model_name = model_.name;
        info_.pytorch_version = model_.pytorch_version;
        info_.num_nodes = model_.graph.nodes.size();
        info_.symbols = model_.symbols;
        info_.total_parameters = info_.weight_bytes = info_.flops = 0;
        info_.input_paths = input_paths(model_);
        info_.output_paths = output_paths(model_);
        take_inputs();
        take_outputs();
        count_names();
        for_each_graph(model_.graph, [&](const Graph& graph, const std::string&) {
            for (const Node& node : graph.nodes)
                info_.flops = plus(info_.flops, times(MultiplyCount(graph, node).count(), 2));
        });
        info_.peak_activation_bytes = Liveness(model_.graph).peak();
        return std::move(info_);
    }

  private:
    void take_inputs() {
        for (std::size_t i = 0; i < model_.graph.inputs.size(); ++i) {
            const auto* ref = model_.graph.inputs[i].get_if<ValueRef>();
            if (!ref) continue;
            const Value& value = model_.graph.value(*ref);
            if (i < model_.inputs.size() && is_weight(model_.inputs[i].kind)) {
                ++info_.num_weights;
                info_.total_parameters = plus(info_.total_parameters, numel(value.meta.shape));
                info_.weight_bytes = plus(info_.weight_bytes, byte_size(value.meta));
            } else {
                ++info_.num_inputs;
                put_shape(info_.input_shapes, value);
            }
        }
    }

    void take_outputs() {
        for (std::size_t i = 0; i < model_.graph.outputs.size(); ++i) {
            const auto* ref = model_.graph.outputs[i].get_if<ValueRef>();
            if (!ref || (i < model_.outputs.size() && !is_user_visible(model_.outputs[i].kind))) continue;
            ++info_.num_outputs;
            put_shape(info_.output_shapes, model_.graph.value(*ref));
        }
    }

    /// A value may be returned twice.
    static void put_shape(ModelInfo::ByName<Shape>& shapes, const Value& value) {
        if (std::ranges::find(shapes, value.name, &std::pair<std::string, Shape>::first) == shapes.end())
            shapes.emplace_back(value.name, value.meta.shape);
    }

    void count_names() {
        std::vector<std::string> ops;
        for (const Node& node : model_.graph.nodes) ops.push_back(node.op_type);
        info_.op_distribution = count_ops(ops);
        std::vector<std::string> dtypes;
        for (const Value& value : model_.graph.values)
            if (value.kind == ValueKind::Tensor) dtypes.emplace_back(name(value.meta.dtype));
        info_.dtypes = count_ops(dtypes);
    }

    const Model& model_;
    ModelInfo info_;
};

inline void write_count(JsonWriter& json, std::string_view key, const Count& count) {
    json.key(key);
    if (count)
        json.value(*count);
    else
        json.value(None{});
}

inline void write_shapes(JsonWriter& json, std::string_view key, const ModelInfo::ByName<Shape>& shapes) {
    json.key(key);
    json.begin_object();
    for (const auto& [name, shape] : shapes) {
        json.key(name);
        json.begin_array();
        for (const Dim& dim : shape)
            if (dim.is_static())
                json.value(dim.value());
            else
                json.value(to_string(dim));
        json.end_array();
    }
    json.end_object();
}

inline void write_counts(JsonWriter& json, std::string_view key, const ModelInfo::ByName<std::size_t>& counts) {
    json.key(key);
    json.begin_object();
    for (const auto& [name, count] : counts) json.member(name, count);
    json.end_object();
}

}  // namespace detail

TORCH_IR_INLINE ModelInfo collect_info(const Model& model) {
    check_references(model.graph);
    return detail::InfoCollector(model).collect();
}

TORCH_IR_INLINE std::string to_json(const ModelInfo& info) {
    std::string text;
    detail::JsonWriter json([&](std::string_view piece) { text += piece; });
    json.begin_object();
    json.member("model_name", info.model_name);
    json.member("num_nodes", info.num_nodes);
    json.member("num_inputs", info.num_inputs);
    json.member("num_outputs", info.num_outputs);
    json.member("num_weights", info.num_weights);
    detail::write_count(json, "total_parameters", info.total_parameters);
    detail::write_shapes(json, "input_shapes", info.input_shapes);
    detail::write_shapes(json, "output_shapes", info.output_shapes);
    detail::write_counts(json, "op_distribution", info.op_distribution);
    json.texts("input_paths", info.input_paths);
    json.texts("output_paths", info.output_paths);
    json.member("pytorch_version", info.pytorch_version);
    detail::write_counts(json, "dtypes", info.dtypes);
    detail::write_count(json, "flops", info.flops);
    detail::write_count(json, "weight_bytes", info.weight_bytes);
    detail::write_count(json, "peak_activation_bytes", info.peak_activation_bytes);
    json.key("symbols");
    json.begin_array();
    for (const SymbolRange& symbol : info.symbols) {
        json.begin_object();
        json.member("name", symbol.name);
        if (symbol.min) json.member("min", *symbol.min);
        if (symbol.max) json.member("max", *symbol.max);
        json.end_object();
    }
    json.end_array();
    json.end_object();
    json.flush();
    return text;
}

}  // namespace torch_ir
