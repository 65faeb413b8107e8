// SPDX-License-Identifier: MIT
// Gradients that are made of other ops: gradients of gradients, of matrix_exp and of recurrent cells
// (torch/csrc/autograd/FunctionsManual.cpp, aten/src/ATen/native/RNN.cpp).
#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/reduce.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;
using Five = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

/// `a + b` of what is defined.
Tensor added(In a, In b) {
    if (!a.defined() || !b.defined()) return a.defined() ? a : b;
    return plus(a, b);
}
Tensor one_minus(In x) { return minus(number(std::int64_t{1}), x); }

/// Gradients by grad_output, input and weight of what convolution_backward gives.
Three convolution_double_backward(In ggI, In ggW, In ggb, In gO, In weight, In self, const Ints& stride,
                                  const Ints& padding, const Ints& dilation, bool transposed,
                                  const Ints& output_padding, std::int64_t groups, const Bools& output_mask) {
    if (output_mask.size() != 3)
        throw ArgumentError("_convolution_double_backward: expected 'output_mask' of 3 elements");
    const auto forward = [&](In x, In w) {
        return call("aten.convolution.default",
                    {x, w, None{}, stride, padding, dilation, transposed, output_padding, groups});
    };
    const auto backward = [&](In x, In w, std::size_t which) {
        Bools mask(3);
        mask[which] = true;
        Context context;
        return std::get<Tensor>(
            call_op(context, "aten.convolution_backward.default",
                    {gO, x, w, None{}, stride, padding, dilation, transposed, output_padding, groups, mask})[which]);
    };
    Tensor grad_grad_output;
    if (ggI.defined()) grad_grad_output = forward(ggI, weight);
    if (ggW.defined()) grad_grad_output = added(grad_grad_output, forward(self, ggW));
    if (ggb.defined()) {
        Ints shape(static_cast<std::size_t>(gO.dim()), 1);
        if (shape.size() > 1) shape[1] = -1;
        grad_grad_output = added(grad_grad_output, ggb.reshape(shape).expand(gO.shape()));
    }
    return {output_mask[0] ? grad_grad_output : Tensor{},
            output_mask[1] && ggW.defined() ? backward(self, ggW, 0) : Tensor{},
            output_mask[2] && ggI.defined() ? backward(ggI, weight, 1) : Tensor{}};
}

/// N. J. Higham, Functions of Matrices, 2008, theorem 3.6: the upper right block of exp [[Aᴴ, G], [0, Aᴴ]].
Tensor matrix_exp_backward(In self, In grad) {
    if (self.dim() < 2 || self.size(-1) != self.size(-2) || grad.shape() != self.shape())
        throw ArgumentError("matrix_exp_backward: expected square matrices 'self' and 'grad' of one shape, found " +
                            describe(self) + " and " + describe(grad));
    const std::int64_t n = self.size(-1);
    Ints shape = self.shape();
    shape[shape.size() - 2] = shape[shape.size() - 1] = 2 * n;
    const Tensor blocks = Tensor::zeros(shape, self.dtype());
    const Tensor adjoint = call("aten.conj.default", {self.transpose(-2, -1)});
    const auto block = [n](In x, std::int64_t row, std::int64_t column) {
        return x.narrow(-2, row * n, n).narrow(-1, column * n, n);
    };
    block(blocks, 0, 0).copy_from(adjoint);
    block(blocks, 1, 1).copy_from(adjoint);
    block(blocks, 0, 1).copy_from(grad);
    return block(call("aten.linalg_matrix_exp.default", {blocks}), 0, 1);
}

/// Gates side by side in dimension 1, after the biases.
std::vector<Tensor> gates(const char* op, In x, In bias, In hidden, std::int64_t count) {
    if (x.dim() != 2 || x.size(1) % count != 0 || x.size(1) / count != hidden.size(-1))
        throw ArgumentError(std::string(op) + ": expected " + std::to_string(count) + " gates for " + describe(hidden) +
                            ", found " + describe(x));
    const Tensor all = added(x, bias);
    std::vector<Tensor> parts;
    for (std::int64_t i = 0; i < count; ++i) parts.push_back(all.narrow(1, i * hidden.size(1), hidden.size(1)));
    return parts;
}
Tensor sigmoid(In x) { return call("aten.sigmoid.default", {x}); }
Tensor tanh(In x) { return call("aten.tanh.default", {x}); }
Tensor sigmoid_backward(In grad, In y) { return call("aten.sigmoid_backward.default", {grad, y}); }
Tensor tanh_backward(In grad, In y) { return call("aten.tanh_backward.default", {grad, y}); }
Tensor joined(TensorList parts) { return call("aten.cat.default", {std::move(parts), std::int64_t{1}}); }
Tensor bias_gradient(In grad, In bias) { return bias.defined() ? sum(grad, Ints{0}, false, {}) : Tensor{}; }

/// By the gates of input and hidden state, the cell state and the two biases.
Five lstm_cell_backward(In grad_hy, In grad_cy, In input_gates, In hidden_gates, In input_bias, In hidden_bias, In cx,
                        In cy) {
    if (!grad_hy.defined() && !grad_cy.defined()) return {};
    const Tensor bias = added(input_bias, hidden_bias);
    const std::vector<Tensor> parts =
        gates("_thnn_differentiable_lstm_cell_backward", plus(input_gates, hidden_gates), bias, cx, 4);
    const Tensor i = sigmoid(parts[0]), f = sigmoid(parts[1]), c = tanh(parts[2]), o = sigmoid(parts[3]);
    Tensor grad_c = grad_cy, grad_o = Tensor::zeros(cx.shape(), cx.dtype());
    if (grad_hy.defined()) {
        const Tensor y = tanh(cy);
        grad_o = sigmoid_backward(times(grad_hy, y), o);
        grad_c = added(tanh_backward(times(grad_hy, o), y), grad_cy);
    }
    const Tensor grad = joined({sigmoid_backward(times(grad_c, c), i), sigmoid_backward(times(grad_c, cx), f),
                                tanh_backward(times(grad_c, i), c), grad_o});
    const Tensor grad_bias = bias_gradient(grad, input_bias);
    return {grad, grad, times(grad_c, f), grad_bias, grad_bias};
}

/// By the gates of input and hidden state, the hidden state and the two biases.
Five gru_cell_backward(In grad_hy, In input_gates, In hidden_gates, In hx, In input_bias, In hidden_bias) {
    const char* op = "_thnn_differentiable_gru_cell_backward";
    const std::vector<Tensor> in = gates(op, input_gates, input_bias, hx, 3);
    const std::vector<Tensor> hidden = gates(op, hidden_gates, hidden_bias, hx, 3);
    const Tensor r = sigmoid(plus(hidden[0], in[0])), z = sigmoid(plus(hidden[1], in[1]));
    const Tensor n = tanh(plus(in[2], times(r, hidden[2])));
    const Tensor grad_z = sigmoid_backward(times(grad_hy, minus(hx, n)), z);
    const Tensor grad_n = tanh_backward(times(grad_hy, one_minus(z)), n);
    const Tensor grad_r = sigmoid_backward(times(grad_n, hidden[2]), r);
    const Tensor grad_in = joined({grad_r, grad_z, grad_n});
    const Tensor grad_hidden = joined({grad_r, grad_z, times(grad_n, r)});
    return {grad_in, grad_hidden, times(grad_hy, z), bias_gradient(grad_in, input_bias),
            bias_gradient(grad_hidden, input_bias)};
}

}  // namespace

void register_double_backward(Registry& r) {
    r.add(
        "_convolution_double_backward(Tensor? ggI, Tensor? ggW, Tensor? ggb, Tensor gO, Tensor weight, Tensor self, "
        "SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt "
        "groups, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
        convolution_double_backward);
    r.add("matrix_exp_backward(Tensor self, Tensor grad) -> Tensor", matrix_exp_backward);
    r.add(
        "_thnn_differentiable_lstm_cell_backward(Tensor? grad_hy, Tensor? grad_cy, Tensor input_gates, Tensor "
        "hidden_gates, Tensor? input_bias, Tensor? hidden_bias, Tensor cx, Tensor cy) -> (Tensor, Tensor, Tensor, "
        "Tensor, Tensor)",
        lstm_cell_backward);
    r.add(
        "_thnn_differentiable_gru_cell_backward(Tensor grad_hy, Tensor input_gates, Tensor hidden_gates, Tensor hx, "
        "Tensor? input_bias, Tensor? hidden_bias) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
        gru_cell_backward);
}

}  // namespace torch_ir::kernels
