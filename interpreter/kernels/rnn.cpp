// SPDX-License-Identifier: MIT
// Recurrent networks: LSTM, GRU and plain cells, over padded or packed sequences.
#include <cmath>

#include "half.hpp"
#include "kernels/arithmetic.hpp"
#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/move.hpp"
#include "promote.hpp"
#include "rows.hpp"
#include "vmath.hpp"

namespace torch_ir::kernels {
namespace {

enum class CellKind { Lstm, Gru, Tanh, Relu };

constexpr std::int64_t gates_of(CellKind kind) { return kind == CellKind::Lstm ? 4 : kind == CellKind::Gru ? 3 : 1; }

/// The weights of one layer and direction; biases and the projection may be undefined.
struct Weights {
    Tensor w_ih;
    Tensor w_hh;
    Tensor b_ih;
    Tensor b_hh;
    Tensor w_hr;
};

/// What PyTorch keeps between the operations of a step: products and gates in one dtype, the state in another. They
/// differ under autocast, which casts the weights and leaves the state as it is. `is_fused` is oneDNN's LSTM, which
/// rounds nothing but the new state.
struct Precision {
    DType gates;
    DType state;
    bool is_fused = false;
};

/// `x` as a tensor of `dtype` has it.
template <class T, class C>
C rounded(C x) {
    if constexpr (std::is_same_v<T, C>)
        return x;
    else
        return static_cast<C>(static_cast<T>(x));
}
Tensor rounded(const Tensor& x, DType dtype) { return is_half(dtype) && x.defined() ? x.to(dtype).to(x.dtype()) : x; }

/// One step of `rows` sequences: x and h are what their weights give, [rows, gates · n]; `state` (and `cell` of an
/// LSTM) is [rows, n] and becomes the new one. Gates are rounded to G, what is stored to S. Functions are inlined, as a
/// loop with a call is no vector loop.
template <class C, class G, class S>
[[gnu::flatten]] void step(CellKind kind, std::int64_t rows, std::int64_t n, const C* x, const C* h, C* state,
                           C* cell) {
    using P = std::conditional_t<std::is_same_v<S, C>, C, G>;  // of gate and state together
    const auto gate = [&](auto f, std::int64_t j) { return rounded<G>(f(rounded<G>(h[j] + x[j]))); };
    const auto sigmoid = [](C v) { return vmath::sigmoid(v); };
    const auto tanh = [](C v) { return vmath::tanh(v); };
    const std::int64_t width = gates_of(kind) * n;
    for (std::int64_t i = 0; i < rows; ++i, x += width, h += width, state += n) {
        switch (kind) {
            case CellKind::Lstm: {
                C* c = cell + i * n;
#pragma GCC ivdep
                for (std::int64_t j = 0; j < n; ++j) {
                    const C in = gate(sigmoid, j);
                    const C forget = gate(sigmoid, n + j);
                    const C candidate = gate(tanh, 2 * n + j);
                    const C out = gate(sigmoid, 3 * n + j);
                    const C next = rounded<P>(rounded<P>(forget * c[j]) + rounded<G>(in * candidate));
                    c[j] = rounded<S>(next);
                    state[j] = rounded<S>(out * rounded<P>(vmath::tanh(next)));
                }
                break;
            }
            case CellKind::Gru:
#pragma GCC ivdep
                for (std::int64_t j = 0; j < n; ++j) {
                    const C reset = gate(sigmoid, j);
                    const C update = gate(sigmoid, n + j);
                    const C candidate =
                        rounded<G>(vmath::tanh(rounded<G>(x[2 * n + j] + rounded<G>(reset * h[2 * n + j]))));
                    state[j] = rounded<S>(candidate + rounded<P>(update * rounded<P>(state[j] - candidate)));
                }
                break;
            case CellKind::Tanh:
                for (std::int64_t j = 0; j < n; ++j) state[j] = gate(tanh, j);
                break;
            case CellKind::Relu:
                for (std::int64_t j = 0; j < n; ++j) state[j] = gate([](C v) { return v < 0 ? C(0) : v; }, j);
                break;
        }
    }
}

template <class C, class F>
void visit_rounding(DType dtype, F f) {
    if constexpr (std::is_same_v<C, float>) {
        if (dtype == DType::BFloat16) return f(BFloat16{});
        if (dtype == DType::Float16) return f(Float16{});
    }
    f(C{});
}

/// The step for a cell of a precision.
template <class C>
auto step_of(const Precision& precision) {
    void (*result)(CellKind, std::int64_t, std::int64_t, const C*, const C*, C*, C*) = nullptr;
    visit_rounding<C>(precision.is_fused ? dtype_of<C>() : precision.gates, [&]<class G>(G) {
        visit_rounding<C>(precision.state, [&]<class S>(S) { result = step<C, G, S>; });
    });
    return result;
}

/// x·wᵀ + b as the gates have it. With `in_two_steps` the product is rounded before b is added: PyTorch's linear() of a
/// tensor of 3 dimensions that is not contiguous.
Tensor gates(const Tensor& x, const Tensor& w, const Tensor& b, const Precision& precision, bool in_two_steps = false) {
    const auto round = [&](const Tensor& t) { return precision.is_fused ? t : rounded(t, precision.gates); };
    const Tensor operand = rounded(x, precision.gates);
    if (in_two_steps && b.defined()) return round(plus(round(linear(operand, w, {})), b)).contiguous();
    return round(linear(operand, w, b)).contiguous();
}

void check_weights(const char* op, CellKind kind, std::int64_t input, std::int64_t hidden, std::int64_t state,
                   const Weights& w) {
    const std::int64_t width = gates_of(kind) * hidden;
    const auto check = [&](const char* name, const Tensor& t, const Ints& shape, bool optional) {
        if (optional && !t.defined()) return;
        if (!t.defined() || t.shape() != shape)
            throw ArgumentError(std::string(op) + ": expected '" + name + "' of shape " + to_string(shape) +
                                ", found " + (t.defined() ? describe(t) : std::string("None")));
    };
    check("w_ih", w.w_ih, {width, input}, false);
    check("w_hh", w.w_hh, {width, state}, false);
    check("b_ih", w.b_ih, {width}, true);
    check("b_hh", w.b_hh, {width}, true);
    if (state != hidden) check("w_hr", w.w_hr, {state, hidden}, false);
}

/// Throws unless all of `tensors` that are defined have the dtype of the weights, or are float32 beside half weights
/// where `may_be_wider`: so are data and states under autocast.
void check_dtypes(const char* op, DType weights, std::initializer_list<const Tensor*> tensors, bool may_be_wider) {
    const bool allows_float = may_be_wider && is_half(weights);
    for (const Tensor* t : tensors)
        if (t->defined() && t->dtype() != weights && !(allows_float && t->dtype() == DType::Float32))
            throw ArgumentError(std::string(op) + ": expected all tensors to have the dtype of the weights, " +
                                std::string(name(weights)) + ", found " + describe(*t));
}

/// Runs one direction of one layer over rows of `from_input` that hold sizes[t] sequences at step t; writes
/// [total, state] into `out`; h [batch, state] and c [batch, hidden] become the last states.
template <class C>
void run_layer(CellKind kind, const Precision& precision, const Tensor& from_input, const Ints& sizes, const Weights& w,
               bool reverse, const Tensor& h, const Tensor& c, std::int64_t hidden, const Tensor& out) {
    const auto step = step_of<C>(precision);
    const std::int64_t width = gates_of(kind) * hidden;
    Tensor work = w.w_hr.defined() ? Tensor::empty({h.size(0), hidden}, h.dtype()) : h;
    std::int64_t row = reverse ? from_input.size(0) : 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const std::int64_t n = sizes[reverse ? sizes.size() - 1 - i : i];
        if (reverse) row -= n;
        const Tensor now = h.narrow(0, 0, n);
        const Tensor from_state = gates(now, w.w_hh, w.b_hh, precision);
        step(kind, n, hidden, from_input.data<C>() + row * width, from_state.data<C>(), work.data<C>(),
             c.defined() ? c.data<C>() : nullptr);
        if (w.w_hr.defined()) now.copy_from(gates(work.narrow(0, 0, n), w.w_hr, {}, precision));
        out.narrow(0, row, n).copy_from(h.narrow(0, 0, n));
        if (!reverse) row += n;
    }
}

struct Sequence {
    Tensor output;  // [total, directions · state]
    Tensor h;
    Tensor c;
};

struct Network {
    Context& context;
    const char* op;
    CellKind kind;
    bool has_biases;
    std::int64_t layers;
    double dropout;
    bool train;
    bool bidirectional;
    bool is_packed = false;
    bool is_transposed = false;  // the input came as [batch, time, features]
};

/// What the next layer gets in training.
Tensor dropped(const Network& net, const Tensor& output) {
    return std::get<Tensor>(call_op(net.context, "aten.dropout.default", {output, net.dropout, true}).at(0));
}

/// In which dtypes PyTorch computes with weights of `weights`, given the dtypes of the data and of the state. bfloat16
/// is the only half dtype in which its LSTM is oneDNN's on every processor that has one.
Precision precision_of(CellKind kind, DType weights, DType data, DType state, bool may_fuse) {
    const bool is_fused = may_fuse && kind == CellKind::Lstm && weights == DType::BFloat16 && data == weights;
    const bool is_plain = kind == CellKind::Tanh || kind == CellKind::Relu;
    return {weights, is_fused || is_plain ? weights : state, is_fused};
}

/// All layers over rows with sizes[t] sequences at step t.
Sequence run_network(const Network& net, const Tensor& data, const Ints& sizes, const Tensor& h0, const Tensor& c0,
                     const TensorList& params) {
    const std::string op(net.op);
    const std::int64_t directions = net.bidirectional ? 2 : 1;
    const std::int64_t batch = sizes.empty() ? 0 : *std::max_element(sizes.begin(), sizes.end());
    if (net.layers < 1) throw ArgumentError(op + ": expected 'num_layers' of at least 1");
    if (sizes.empty()) throw ArgumentError(op + ": expected a sequence with elements");
    const auto check_state = [&](const char* name, const Tensor& t) {
        if (!t.defined() || t.dim() != 3 || t.size(0) != net.layers * directions || t.size(1) != batch)
            throw ArgumentError(op + ": expected '" + name + "' of shape [" + std::to_string(net.layers * directions) +
                                ", " + std::to_string(batch) + ", *], found " +
                                (t.defined() ? describe(t) : std::string("None")));
    };
    check_state("hx", h0);
    if (net.kind == CellKind::Lstm) check_state("hx", c0);
    const std::int64_t state = h0.size(2);
    const std::int64_t hidden = net.kind == CellKind::Lstm ? c0.size(2) : state;
    const bool projects = state != hidden;
    const std::size_t each = (net.has_biases ? 4U : 2U) + (projects ? 1U : 0U);
    if (params.size() != each * static_cast<std::size_t>(net.layers * directions))
        throw ArgumentError(op + ": expected " +
                            std::to_string(each * static_cast<std::size_t>(net.layers * directions)) +
                            " tensors in 'params', found " + std::to_string(params.size()));
    for (const Tensor& param : params) {
        if (!param.defined()) throw ArgumentError(op + ": 'params' must not hold None");
        check_dtypes(net.op, params[0].dtype(), {&param}, false);
    }
    check_dtypes(net.op, params[0].dtype(), {&data, &h0, &c0}, true);
    const Precision precision = precision_of(net.kind, params[0].dtype(), data.dtype(),
                                             (c0.defined() ? c0 : h0).dtype(), !net.is_packed && !projects);
    const DType output = projects ? precision.gates : precision.state;
    return visit_float(data.dtype(), net.op, [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.to(dtype_of<C>()).contiguous(); };
        Tensor x = plain(data);
        Tensor h = h0.to(dtype_of<C>()).contiguous().clone();
        Tensor c = c0.defined() ? c0.to(dtype_of<C>()).contiguous().clone() : Tensor{};
        for (std::int64_t layer = 0; layer < net.layers; ++layer) {
            Tensor out = Tensor::empty({x.size(0), directions * state}, dtype_of<C>());
            for (std::int64_t d = 0; d < directions; ++d) {
                const std::int64_t at = layer * directions + d;
                const Tensor* p = params.data() + static_cast<std::size_t>(at) * each;
                Weights w{plain(p[0]), plain(p[1]), {}, {}, {}};
                if (net.has_biases) {
                    w.b_ih = plain(p[2]);
                    w.b_hh = plain(p[3]);
                }
                if (projects) w.w_hr = plain(p[each - 1]);
                check_weights(net.op, net.kind, x.size(1), hidden, state, w);
                if (precision.is_fused && net.has_biases) {
                    w.b_ih = rounded(plus(w.b_ih, w.b_hh), precision.gates);
                    w.b_hh = {};
                }
                const Tensor from_input =
                    gates(x, w.w_ih, w.b_ih, precision, net.is_transposed && layer == 0 && !precision.is_fused);
                run_layer<C>(net.kind, precision, from_input, sizes, w, d == 1, h.select(0, at),
                             c.defined() ? c.select(0, at) : Tensor{}, hidden, out.narrow(1, d * state, state));
            }
            const bool drops = net.train && net.dropout > 0 && layer + 1 < net.layers;
            x = drops ? plain(dropped(net, out.to(output))) : out;
        }
        return Sequence{x.to(output), h.to(output), c.defined() ? c.to(precision.state) : c};
    });
}

/// Padded input [time, batch, features], or with batch_first [batch, time, features].
Sequence run_padded(Network net, const Tensor& input, bool batch_first, const Tensor& h0, const Tensor& c0,
                    const TensorList& params) {
    if (input.dim() != 3)
        throw ArgumentError(std::string(net.op) + ": expected 'input' of 3 dimensions, found " + describe(input));
    const Tensor x = batch_first ? input.transpose(0, 1) : input;
    net.is_transposed = !x.is_contiguous();
    const Ints sizes(static_cast<std::size_t>(x.size(0)), x.size(1));
    Sequence s = run_network(net, x.reshape({x.size(0) * x.size(1), x.size(2)}), sizes, h0, c0, params);
    s.output = s.output.reshape({x.size(0), x.size(1), s.output.size(1)});
    if (batch_first) s.output = s.output.transpose(0, 1);
    return s;
}

Sequence run_packed(const Network& net, const Tensor& data, const Tensor& batch_sizes, const Tensor& h0,
                    const Tensor& c0, const TensorList& params) {
    if (data.dim() != 2 || batch_sizes.dim() != 1)
        throw ArgumentError(std::string(net.op) + ": expected 'data' of 2 and 'batch_sizes' of 1 dimensions, found " +
                            describe(data) + " and " + describe(batch_sizes));
    const Tensor counts = batch_sizes.to(DType::Int64).contiguous();
    const Ints sizes(counts.data<std::int64_t>(), counts.data<std::int64_t>() + counts.numel());
    std::int64_t total = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] <= 0 || sizes[i] > data.size(0) || (i > 0 && sizes[i] > sizes[i - 1]))
            throw ArgumentError(std::string(net.op) + ": expected descending positive 'batch_sizes', found " +
                                to_string(sizes));
        total += sizes[i];
    }
    if (total != data.size(0))
        throw ArgumentError(std::string(net.op) + ": 'batch_sizes' add up to " + std::to_string(total) +
                            ", 'data' is " + describe(data));
    return run_network(net, data, sizes, h0, c0, params);
}

using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

const Tensor& state_of(const TensorList& hx, std::size_t i) {
    if (hx.size() != 2) throw ArgumentError("lstm: expected 'hx' of 2 tensors, found " + std::to_string(hx.size()));
    return hx[i];
}

Three lstm_input(Context& context, const Tensor& input, const TensorList& hx, const TensorList& params, bool has_biases,
                 std::int64_t num_layers, double dropout, bool train, bool bidirectional, bool batch_first) {
    const Network net{context, "lstm", CellKind::Lstm, has_biases, num_layers, dropout, train, bidirectional};
    const Sequence s = run_padded(net, input, batch_first, state_of(hx, 0), state_of(hx, 1), params);
    return {s.output, s.h, s.c};
}
Three lstm_data(Context& context, const Tensor& data, const Tensor& batch_sizes, const TensorList& hx,
                const TensorList& params, bool has_biases, std::int64_t num_layers, double dropout, bool train,
                bool bidirectional) {
    const Network net{context, "lstm", CellKind::Lstm, has_biases, num_layers, dropout, train, bidirectional, true};
    const Sequence s = run_packed(net, data, batch_sizes, state_of(hx, 0), state_of(hx, 1), params);
    return {s.output, s.h, s.c};
}

constexpr const char* names[] = {"lstm", "gru", "rnn_tanh", "rnn_relu"};

template <CellKind Kind>
Two rnn_input(Context& context, const Tensor& input, const Tensor& hx, const TensorList& params, bool has_biases,
              std::int64_t num_layers, double dropout, bool train, bool bidirectional, bool batch_first) {
    const Network net{context,      names[static_cast<int>(Kind)], Kind, has_biases, num_layers, dropout, train,
                      bidirectional};
    const Sequence s = run_padded(net, input, batch_first, hx, {}, params);
    return {s.output, s.h};
}
template <CellKind Kind>
Two rnn_data(Context& context, const Tensor& data, const Tensor& batch_sizes, const Tensor& hx,
             const TensorList& params, bool has_biases, std::int64_t num_layers, double dropout, bool train,
             bool bidirectional) {
    const Network net{
        context, names[static_cast<int>(Kind)], Kind, has_biases, num_layers, dropout, train, bidirectional, true};
    const Sequence s = run_packed(net, data, batch_sizes, hx, {}, params);
    return {s.output, s.h};
}

/// One step; a 1-d input is a batch of one.
Two cell(const char* op, CellKind kind, const Tensor& input, const Tensor& hx, const Tensor& cx, const Tensor& w_ih,
         const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh) {
    if (input.dim() < 1 || input.dim() > 2 || hx.dim() != input.dim() || (cx.defined() && cx.shape() != hx.shape()) ||
        (input.dim() == 2 && input.size(0) != hx.size(0)))
        throw ArgumentError(std::string(op) +
                            ": expected 'input' and 'hx' of 1 or 2 dimensions and one batch size, found " +
                            describe(input) + " and " + describe(hx));
    check_dtypes(op, w_ih.dtype(), {&w_hh, &b_ih, &b_hh}, false);
    check_dtypes(op, w_ih.dtype(), {&input, &hx, &cx}, true);
    const Precision precision =
        precision_of(kind, w_ih.dtype(), input.dtype(), (cx.defined() ? cx : hx).dtype(), false);
    return visit_float(input.dtype(), op, [&]<class C>(C) {
        const auto plain = [](const Tensor& t) { return t.defined() ? t.to(dtype_of<C>()).contiguous() : t; };
        const auto batched = [&](const Tensor& t) { return plain(t.dim() == 1 ? t.unsqueeze(0) : t); };
        const Weights w{plain(w_ih), plain(w_hh), plain(b_ih), plain(b_hh), {}};
        const Tensor x = batched(input);
        const Tensor h = batched(hx).clone();
        const Tensor c = cx.defined() ? batched(cx).clone() : Tensor{};
        check_weights(op, kind, x.size(1), h.size(1), h.size(1), w);
        const Tensor from_input = gates(x, w.w_ih, w.b_ih, precision);
        const Tensor from_state = gates(h, w.w_hh, w.b_hh, precision);
        step_of<C>(precision)(kind, h.size(0), h.size(1), from_input.template data<C>(), from_state.template data<C>(),
                              h.template data<C>(), c.defined() ? c.template data<C>() : nullptr);
        const auto result = [&](const Tensor& t) {
            return t.defined() ? (input.dim() == 1 ? t.squeeze(0) : t).to(precision.state) : t;
        };
        return Two(result(h), result(c));
    });
}

Two lstm_cell(const Tensor& input, const TensorList& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
              const Tensor& b_hh) {
    return cell("lstm_cell", CellKind::Lstm, input, state_of(hx, 0), state_of(hx, 1), w_ih, w_hh, b_ih, b_hh);
}
template <CellKind Kind>
Tensor rnn_cell(const Tensor& input, const Tensor& hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                const Tensor& b_hh) {
    return std::get<0>(cell(names[static_cast<int>(Kind)], Kind, input, hx, {}, w_ih, w_hh, b_ih, b_hh));
}

}  // namespace

void register_rnn(Registry& r) {
    r.add(
        "lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool "
        "train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor)",
        lstm_input);
    r.add(
        "lstm.data(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, "
        "float dropout, bool train, bool bidirectional) -> (Tensor, Tensor, Tensor)",
        lstm_data);
    r.add(
        "lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
        "(Tensor, Tensor)",
        lstm_cell);
    r.add(
        "gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool "
        "train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
        rnn_input<CellKind::Gru>);
    r.add(
        "gru.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float "
        "dropout, bool train, bool bidirectional) -> (Tensor, Tensor)",
        rnn_data<CellKind::Gru>);
    r.add("gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor",
          rnn_cell<CellKind::Gru>);
    r.add(
        "rnn_tanh.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool "
        "train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
        rnn_input<CellKind::Tanh>);
    r.add(
        "rnn_tanh.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, "
        "float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)",
        rnn_data<CellKind::Tanh>);
    r.add(
        "rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
        "Tensor",
        rnn_cell<CellKind::Tanh>);
    r.add(
        "rnn_relu.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool "
        "train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
        rnn_input<CellKind::Relu>);
    r.add(
        "rnn_relu.data(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, bool has_biases, int num_layers, "
        "float dropout, bool train, bool bidirectional) -> (Tensor, Tensor)",
        rnn_data<CellKind::Relu>);
    r.add(
        "rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
        "Tensor",
        rnn_cell<CellKind::Relu>);
}

}  // namespace torch_ir::kernels
