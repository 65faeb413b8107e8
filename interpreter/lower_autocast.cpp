// SPDX-License-Identifier: MIT
// An exported autocast region holds the ops as the user wrote them; PyTorch casts their arguments as it runs them.
#include <map>

#include "lower.hpp"

namespace torch_ir::detail {
namespace {

using Names = std::set<std::string, std::less<>>;

/// Ops that compute in the region's dtype: at::autocast's list for the CPU (lower_precision_fp), and the composite ops
/// that are made of these.
bool is_reduced(const std::string& op_type) {
    static const Names names{"aten._addmm_activation.default",
                             "aten._convolution.deprecated",
                             "aten._native_multi_head_attention.default",
                             "aten.addbmm.default",
                             "aten.addmm.default",
                             "aten.baddbmm.default",
                             "aten.bmm.default",
                             "aten.chain_matmul.default",
                             "aten.conv1d.default",
                             "aten.conv1d.padding",
                             "aten.conv2d.default",
                             "aten.conv2d.padding",
                             "aten.conv3d.default",
                             "aten.conv3d.padding",
                             "aten.conv_tbc.default",
                             "aten.conv_transpose1d.default",
                             "aten.conv_transpose2d.input",
                             "aten.conv_transpose3d.input",
                             "aten.einsum.default",
                             "aten.linalg_matmul.default",
                             "aten.linalg_multi_dot.default",
                             "aten.linalg_vecdot.default",
                             "aten.linear.default",
                             "aten.matmul.default",
                             "aten.mm.default",
                             "aten.prelu.default",
                             "aten.scaled_dot_product_attention.default",
                             "aten.tensordot.default"};
    return names.contains(op_type);
}

/// Ops that compute in float32 (fp32), by the name without the overload; `fft_…` and `linalg_…` besides.
bool is_full(std::string_view op_type) {
    static const Names names{"_grid_sampler_2d_cpu_fallback",
                             "_lu_with_info",
                             "adaptive_avg_pool3d",
                             "adaptive_max_pool3d",
                             "avg_pool3d",
                             "binary_cross_entropy",
                             "binary_cross_entropy_with_logits",
                             "cdist",
                             "cholesky",
                             "cholesky_inverse",
                             "cholesky_solve",
                             "cosine_embedding_loss",
                             "cross_entropy_loss",
                             "ctc_loss",
                             "fake_quantize_per_tensor_affine",
                             "fractional_max_pool2d",
                             "fractional_max_pool3d",
                             "geqrf",
                             "grid_sampler",
                             "grid_sampler_2d",
                             "grid_sampler_3d",
                             "hinge_embedding_loss",
                             "huber_loss",
                             "inverse",
                             "kl_div",
                             "l1_loss",
                             "lu_solve",
                             "margin_ranking_loss",
                             "max_pool3d",
                             "max_unpool2d",
                             "max_unpool3d",
                             "mse_loss",
                             "multi_margin_loss",
                             "multilabel_margin_loss",
                             "multilabel_margin_loss_forward",
                             "nanquantile",
                             "nll_loss",
                             "nll_loss2d",
                             "nll_loss_nd",
                             "orgqr",
                             "ormqr",
                             "pinverse",
                             "poisson_nll_loss",
                             "polar",
                             "prod",
                             "qr",
                             "quantile",
                             "reflection_pad1d",
                             "reflection_pad2d",
                             "replication_pad1d",
                             "replication_pad2d",
                             "replication_pad3d",
                             "smooth_l1_loss",
                             "soft_margin_loss",
                             "stft",
                             "svd",
                             "trace",
                             "triangular_solve",
                             "triplet_margin_loss",
                             "view_as_complex"};
    static const Names linear_algebra{"linalg_cholesky",  "linalg_cholesky_ex", "linalg_cond",
                                      "linalg_eig",       "linalg_eigh",        "linalg_eigvals",
                                      "linalg_eigvalsh",  "linalg_inv",         "linalg_qr",
                                      "linalg_inv_ex",    "linalg_lstsq",       "linalg_matrix_rank",
                                      "linalg_solve",     "linalg_svd",         "linalg_svdvals",
                                      "linalg_tensorinv", "linalg_tensorsolve", "linalg_householder_product"};
    const std::string_view base = aten_name(op_type);
    return names.contains(base) || linear_algebra.contains(base) ||
           (base.starts_with("fft_") && base != "fft_fftfreq" && base != "fft_rfftfreq" && !base.ends_with("shift"));
}

/// `pad` with a mode that is an op of the list above.
bool is_full_pad(const Node& node) {
    if (node.op_type != "aten.pad.default") return false;
    const Argument* mode = node.find("mode");
    const Argument* sizes = node.find("pad");
    const auto* list = sizes ? sizes->get_if<ArgumentList>() : nullptr;
    if (!mode || !list) return false;
    return *mode == Argument("replicate") || (*mode == Argument("reflect") && list->size() <= 4);
}

/// Recurrent networks, of which autocast sees the products inside: only the weights are cast, the state stays as it is.
/// The kernel takes weights of a narrower dtype for that.
bool is_recurrent(std::string_view op_type) {
    static const Names names{"aten.lstm.input",     "aten.lstm.data",     "aten.lstm_cell.default",
                             "aten.gru.input",      "aten.gru.data",      "aten.gru_cell.default",
                             "aten.rnn_tanh.input", "aten.rnn_tanh.data", "aten.rnn_tanh_cell.default",
                             "aten.rnn_relu.input", "aten.rnn_relu.data", "aten.rnn_relu_cell.default"};
    return names.contains(op_type);
}

bool is_weight_of_recurrent(std::string_view argument) {
    return argument == "params" || argument.starts_with("w_") || argument.starts_with("b_");
}

bool is_castable(const Value& value) {
    return value.kind == ValueKind::Tensor && category(value.meta.dtype) == DTypeCategory::Float &&
           value.meta.dtype != DType::Float64;
}

class Region {
  public:
    Region(Graph graph, DType reduced) : graph_(std::move(graph)), reduced_(reduced) {}

    Graph with_casts() {
        std::vector<Node> nodes;
        nodes.swap(graph_.nodes);
        for (Node& node : nodes) add(std::move(node));
        return std::move(graph_);
    }

  private:
    void add(Node node) {
        // A region inside has its own setting; any other subgraph runs under this one.
        if (node.op_type.starts_with("higher_order.") && node.op_type != "higher_order.wrap_with_autocast")
            for (NamedArgument& arg : node.args)
                if (auto* body = arg.value.get_if<Subgraph>(); body && body->graph)
                    body->graph = std::make_shared<Graph>(Region(*body->graph, reduced_).with_casts());
        // What is in the list under promote (cat, stack, index_copy) promotes by itself.
        casts_.clear();
        if (is_reduced(node.op_type) || is_onednn_lstm(node))
            for (NamedArgument& arg : node.args) cast(arg.value, reduced_);
        else if (is_full(node.op_type) || is_full_pad(node))
            for (NamedArgument& arg : node.args) cast(arg.value, DType::Float32);
        else if (is_recurrent(node.op_type))
            for (NamedArgument& arg : node.args)
                if (is_weight_of_recurrent(arg.name)) cast(arg.value, reduced_);
        graph_.nodes.push_back(std::move(node));
    }

    /// The LSTM that is one op of oneDNN, and as such cast as a whole: over padded input, without projections.
    bool is_onednn_lstm(const Node& node) const {
        if (node.op_type != "aten.lstm.input") return false;
        const Argument* hx = node.find("hx");
        const auto* states = hx ? hx->get_if<ArgumentList>() : nullptr;
        if (!states || states->size() != 2) return false;
        const auto width = [&](const Argument& state) -> std::optional<Dim> {
            const auto* ref = state.get_if<ValueRef>();
            if (!ref || graph_.value(*ref).meta.shape.empty()) return std::nullopt;
            return graph_.value(*ref).meta.shape.back();
        };
        return width((*states)[0]) == width((*states)[1]);
    }

    /// The dtypes of values in a region are not always those that they have under autocast: the cast looks when it
    /// runs.
    void cast(Argument& argument, DType dtype) {
        if (auto* list = argument.get_if<ArgumentList>()) {
            for (Argument& element : *list) cast(element, dtype);
            return;
        }
        const auto* ref = argument.get_if<ValueRef>();
        if (!ref || !is_castable(graph_.value(*ref))) return;
        const auto [found, added] = casts_.try_emplace(ref->id, ValueRef{});
        if (added) {
            Node node;
            node.args = {{"self", *ref}, {"cuda_enabled", false}, {"cpu_enabled", true}};
            if (dtype == DType::Float32) {
                node.op_type = "aten._autocast_to_full_precision.default";
            } else {
                node.op_type = "aten._autocast_to_reduced_precision.default";
                node.args.push_back({"cuda_dtype", dtype});
                node.args.push_back({"cpu_dtype", dtype});
            }
            found->second = add_value(graph_, graph_.value(*ref).name + "_autocast", graph_.value(*ref));
            graph_.value(found->second).meta.dtype = dtype;
            node.name = graph_.value(found->second).name;
            node.outputs = {found->second};
            graph_.nodes.push_back(std::move(node));
        }
        argument = found->second;
    }

    Graph graph_;
    DType reduced_;
    std::map<std::uint32_t, ValueRef> casts_;  // of the node at hand
};

}  // namespace

bool lower_autocast(Graph& graph) {
    bool changed = false;
    for (Node& node : graph.nodes) {
        if (node.op_type != "higher_order.wrap_with_autocast" || node.args.size() < 5) continue;
        if (!(node.args[0].value == Argument("cpu")) || !(node.args[2].value == Argument(true))) continue;
        auto* body = node.args[4].value.get_if<Subgraph>();
        if (!body || !body->graph) continue;
        const auto* dtype = node.args[1].value.get_if<DType>();
        body->graph = std::make_shared<Graph>(Region(*body->graph, dtype ? *dtype : DType::BFloat16).with_casts());
        changed = true;
    }
    return changed;
}

}  // namespace torch_ir::detail
