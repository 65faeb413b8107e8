// SPDX-License-Identifier: MIT
// Which value of the graph a tensor of the program is: views and in-place writes become functional calls here.
#pragma once

#include <ATen/ATen.h>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "torch_ir/ir.hpp"

namespace torch_ir::extractor {

struct Tracked;

/// What is known of one storage of the program.
struct Store {
    Tracked* root = nullptr;  // the tensor that covers it; all others are views of it
    int version = 0;          // grows with each write
    bool shared = false;      // several weights or inputs lie in it
    bool known = false;       // its memory has the values that the program would compute
    /// Made by empty() and by ops on such tensors alone: no calls in the graph, but a constant with the values once
    /// something else reads it. So come `torch::tensor({1, 2})` and the like.
    bool literal = false;
    std::string depends;  // `input 'x'`, for messages; empty for constants
    c10::Storage meta;    // stands for it on the meta device

    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    std::vector<Tracked*> members;
};

/// One tensor of the program.
struct Tracked {
    Store* store = nullptr;
    std::optional<ValueRef> ref;  // its value after the write number `version`; none for literals
    int version = 0;

    // A view: the call that makes it from its parent.
    Tracked* parent = nullptr;
    Node step;  // `parent_ref` stands for the parent
    std::uint32_t step_output = 0;

    c10::ScalarType dtype = c10::kFloat;
    std::vector<std::int64_t> sizes, strides;
    std::int64_t offset = 0;
    bool conjugate = false, negative = false;  // what lies in memory is seen so
    at::Tensor meta;                           // stands for it on the meta device

    bool same_geometry(const at::Tensor& tensor) const;
};

/// In Tracked::step.
inline constexpr ValueRef parent_ref{UINT32_MAX - 1};

/// The graph while it is recorded, and the tensors that its values are.
class Tracker {
  public:
    Tracker(Graph& graph, std::map<std::string, Constant>& constants) : graph_(graph), constants_(constants) {}

    /// An input of the graph or a weight: a value without a producer.
    Tracked& add_source(const at::Tensor& tensor, std::string name, std::string depends);

    /// The tensor, whatever it is: one that no call has returned is a constant with the values it has now.
    Tracked& track(const at::Tensor& tensor);
    /// The tensor if it is known.
    Tracked* find(const at::Tensor& tensor);
    Store* find_store(const at::Tensor& tensor);

    /// A tensor with memory of its own, returned by a call.
    Tracked& add_root(const at::Tensor& tensor, std::optional<ValueRef> ref);
    /// A tensor returned by `step` that shares the memory of `parent`.
    Tracked& add_view(const at::Tensor& tensor, Tracked& parent, std::optional<ValueRef> ref, Node step,
                      std::uint32_t step_output);
    /// From now on the tensor (changed in place: `t_`) is another view of what it was.
    Tracked& rebind(const at::Tensor& tensor, Node step, ValueRef ref);

    /// The value that the tensor has now; views are made anew after a write to their memory.
    ValueRef current(Tracked& tracked);
    /// From now on the tensor has that value, and all that share its memory see it.
    void write(Tracked& tracked, ValueRef value);
    /// What a tensor holds after `value`, a result like `computed`, was written to it: in its own dtype, and in its own
    /// order of elements where it covers its memory.
    ValueRef as_written(Tracked& tracked, ValueRef value, const at::Tensor& computed);
    /// A literal that is about to hold something computed: its calls are recorded from here on.
    void make_recorded(Store& store);

    /// The tensor on the meta device, over one storage for all that share memory.
    at::Tensor on_meta(Tracked& tracked, const at::Tensor& tensor);

    /// A node with values of these types; a list for ops that return one.
    std::vector<ValueRef> emit(Node node, const std::vector<TensorMeta>& outputs, bool list = false);

    /// Where the next calls come from; for the nodes that are made here.
    Provenance provenance;

    /// The constants so far, called by the keys of `constants`.
    struct Lifted {
        ValueRef ref;
        std::string target;
        const Tracked* tracked;
        bool literal;  // made by the program, while it ran
    };
    const std::vector<Lifted>& lifted() const { return lifted_; }
    /// True while the program holds a tensor over that memory.
    static bool is_alive(const Store& store) { return !store.storage.expired(); }

  private:
    Tracked& bind(const at::Tensor& tensor, Store& store);
    Store& add_store(const at::Tensor& tensor);
    void lift(Tracked& tracked, const at::Tensor& tensor);
    at::Tensor tensor_of(const Tracked& tracked);
    std::optional<ValueRef> scatter(Tracked& view, ValueRef value);
    ValueRef scatter_strided(Tracked& view, ValueRef value);
    ValueRef call(const char* op_type, std::vector<NamedArgument> args, const Tracked& like);

    Graph& graph_;
    std::map<std::string, Constant>& constants_;
    std::vector<Lifted> lifted_;
    std::deque<Store> stores_;
    std::deque<Tracked> tensors_;
    // Weak references keep addresses unique, and do not count as uses: `torch::zeros` copies a tensor that has another
    // one.
    struct Known {
        c10::weak_intrusive_ptr<c10::TensorImpl> impl;
        Tracked* tracked;
    };
    std::unordered_map<const c10::TensorImpl*, Known> by_impl_;
    std::unordered_map<const c10::StorageImpl*, Store*> by_storage_;
};

}  // namespace torch_ir::extractor
