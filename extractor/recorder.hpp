// SPDX-License-Identifier: MIT
// Records the ATen calls of a running program as a graph, each before it is decomposed.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/stack.h>

#include <exception>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "op_info.hpp"
#include "torch_ir/ir.hpp"
#include "tracker.hpp"

namespace torch_ir::extractor {

struct Call;

/// What went wrong, in LibTorch's words without its source locations and stacks.
std::string message_of(const std::exception& error);

/// One recording. The program runs on meta tensors: it computes nothing, and weights need no values. Only constants and
/// what is computed from constants alone has values, so that a program may look at them.
class Recorder {
  public:
    /// With `specialise` the program runs on the values of the example inputs and weights instead, and may look at
    /// them.
    explicit Recorder(bool specialise);
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    ~Recorder();

    /// A parameter or buffer by its state_dict key. The same tensor again is a tied weight: the first key stands for
    /// both. Does nothing for an undefined tensor.
    void add_weight(const at::Tensor& tensor, InputKind kind, const std::string& key);
    /// A user input; returns the tensor to give to the program.
    at::Tensor add_input(const at::Tensor& example, const std::string& name);
    /// A user input that is no tensor, or None.
    void add_constant_input(Argument value, const std::string& name);

    /// Runs the program and records its calls. Errors of the program become UnsupportedError or ArgumentError with the
    /// place.
    c10::IValue run(const std::function<c10::IValue()>& program);

    /// A user output: a value of the graph.
    Argument value_of(const at::Tensor& tensor);
    void add_output(Argument value) { user_outputs_.push_back(std::move(value)); }
    /// From now on the buffer is that tensor: the program has put another one in its place.
    void replace_weight(const std::string& key, const at::Tensor& tensor);

    /// The graph without what nothing uses, and its signature.
    Model finish();

    /// Where a call comes from, given the keys of the weights that it reads.
    std::function<Provenance(const std::vector<std::string>& keys)> provenance;
    /// All that were added, also those that another one stands for.
    std::vector<std::pair<std::string, at::Tensor>> weights;
    /// What a user should know: tied weights, values that were burned in.
    std::vector<std::string> notes;

    static void fallback(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, torch::jit::Stack* stack);

  private:
    /// A weight or an input, and the value that it has when the program begins.
    struct Source {
        Tracked* tracked;
        ValueRef ref;
        InputSpec spec;
    };

    void record(const OpInfo& op, torch::jit::Stack& stack);
    bool answer(Call& call);
    /// What torch.equal returns, where values are not needed for that.
    std::optional<bool> equal_without_values(const Call& call);
    /// The size of the result depends on values of the arguments.
    static bool has_dynamic_size(const Call& call);
    void note_burned_in(const Call& call, const std::string& found);
    void execute(Call& call);
    void execute_factory(Call& call);
    /// Throws ArgumentError for tensors of several dtypes where the op wants one, naming the dtypes.
    void check_dtypes(const Call& call) const;
    /// Calls `op`, the call's own or its functional twin, with errors that name the op and the place.
    void run_op(const Call& call, const c10::OperatorHandle& op, torch::jit::Stack& stack);
    void record_results(Call& call);
    void record_write(Call& call);
    void record_batch_norm(Call& call);
    bool change_geometry(Call& call);
    std::vector<at::Tensor> functional_results(const Call& call);
    Node node_of(const Call& call, const c10::FunctionSchema& schema, const Tracked* parent = nullptr);
    static Argument as_python_writes(const Call& call, const std::string& parameter, Argument value);
    Argument argument_for(const at::Tensor& tensor);
    bool is_known(const at::Tensor& tensor);
    std::string depends_of(const Call& call);
    [[noreturn]] void refuse(const Call& call, const std::string& needs);
    /// Of the call, for messages.
    std::string place() const;

    bool specialise_;
    Model model_;
    Tracker tracker_;
    std::vector<Source> weights_;
    std::vector<Source> inputs_;
    std::vector<Argument> constant_inputs_;  // parallel to inputs_; used where `tracked` is null
    std::vector<Argument> user_outputs_;
    std::unordered_map<const c10::TensorImpl*, std::string> keys_;
    std::vector<at::Tensor> held_;                             // inputs, while this lives
    std::vector<std::pair<at::Tensor, at::Tensor>> restored_;  // buffers, and the values they get back
    std::unordered_set<std::uint32_t> in_place_;               // nodes that stand for `add_` and the like
    std::unordered_set<std::uint32_t> random_;                 // nodes that are kept though nothing uses them
    std::exception_ptr refusal_;                               // an error of ours on its way through the program
};

}  // namespace torch_ir::extractor
