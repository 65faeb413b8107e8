// SPDX-License-Identifier: MIT
// The table of ops that can run. Registering an op is giving its ATen schema line and a function with the same
// parameters.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ivalue.hpp"
#include "torch_ir/schema.hpp"

namespace torch_ir {

class Generator;

/// What one call site (a step of a plan) may keep between runs: packed weights, primitives. Kept values must be
/// immutable or guard themselves; `mutex` guards the pointer.
struct CallState {
    std::mutex mutex;
    std::shared_ptr<void> value;
};

/// Passed to kernels that ask for it by a first parameter `Context&`.
struct Context {
    CallState* state = nullptr;      // nullptr outside a plan
    Generator* generator = nullptr;  // nullptr: the process's default one
    std::uint64_t last_uses = 0;     // bit i: nothing reads the value of argument i after this call
};

/// Calls an op: arguments already coerced to the schema's types, one for every parameter; results are appended, one per
/// return.
using KernelFn = std::function<void(Context&, std::span<const IValue* const> args, std::vector<IValue>& results)>;

/// An op that can run.
struct Op {
    Schema schema;  // a Scalar that the kernel takes as a tensor has the kind Tensor here
    KernelFn kernel;
};

/// A function on plain values for targets without a schema: `_operator.add`, `higher_order.cond`. Positional arguments
/// as written.
using FunctionFn = std::function<void(Context&, std::span<const IValue* const> args, std::vector<IValue>& results)>;

namespace detail {

template <class R, class... P, std::size_t... I>
void call_kernel(const std::function<R(P...)>& f, std::span<const IValue* const> args, std::vector<IValue>& results,
                 std::index_sequence<I...>) {
    if constexpr (std::is_void_v<R>)
        f(Parameter<std::remove_cvref_t<P>>::get(*args[I])...);
    else
        append_result(results, f(Parameter<std::remove_cvref_t<P>>::get(*args[I])...));
}

template <class R, class... P, std::size_t... I>
void call_kernel(const std::function<R(Context&, P...)>& f, Context& context, std::span<const IValue* const> args,
                 std::vector<IValue>& results, std::index_sequence<I...>) {
    if constexpr (std::is_void_v<R>)
        f(context, Parameter<std::remove_cvref_t<P>>::get(*args[I])...);
    else
        append_result(results, f(context, Parameter<std::remove_cvref_t<P>>::get(*args[I])...));
}

template <class R, class... P>
KernelFn make_kernel(std::function<R(P...)> f) {
    return [f = std::move(f)](Context&, std::span<const IValue* const> args, std::vector<IValue>& results) {
        call_kernel(f, args, results, std::index_sequence_for<P...>{});
    };
}

template <class R, class... P>
KernelFn make_kernel(std::function<R(Context&, P...)> f) {
    return [f = std::move(f)](Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
        call_kernel(f, context, args, results, std::index_sequence_for<P...>{});
    };
}

/// How a kernel takes one parameter.
struct KernelParameter {
    bool (*accepts)(const SchemaType&);
    bool is_tensor;
};

template <class P>
constexpr KernelParameter kernel_parameter() {
    using Plain = std::remove_cvref_t<P>;
    return {&Parameter<Plain>::accepts, std::is_same_v<Plain, Tensor>};
}
template <class R, class... P>
std::vector<KernelParameter> parameters_of(const std::function<R(P...)>&) {
    return {kernel_parameter<P>()...};
}
template <class R, class... P>
std::vector<KernelParameter> parameters_of(const std::function<R(Context&, P...)>&) {
    return {kernel_parameter<P>()...};
}

}  // namespace detail

/// Ops by op_type. Not to be changed while plans compiled from it are alive.
class Registry {
  public:
    /// Registers `f` (a function or captureless lambda whose parameters are the schema's, optionally after a Context&)
    /// under `schema_line` (`mul.Tensor(Tensor self, Tensor other) -> Tensor`; alias marks and namespaces allowed).
    /// Throws SchemaError when arity or kinds do not match, or the op is there already.
    template <class F>
    void add(std::string_view schema_line, F f) {
        std::function function{f};
        const auto parameters = detail::parameters_of(function);
        add_kernel(schema_line, parameters, detail::make_kernel(std::move(function)));
    }

    /// Registers a kernel that takes its arguments as IValues, for ops that share one mechanism whatever their
    /// parameters are. Throws SchemaError when the op is there already.
    void add_boxed(Schema schema, KernelFn kernel);

    /// Registers a function for a target without a schema.
    void add_function(std::string name, FunctionFn f);

    /// The op as registered, or derived: an in-place or out variant runs its functional twin and copies the result, one
    /// that names a generator runs that without. nullptr when it cannot run.
    const Op* find(std::string_view op_type) const;

    /// The function registered for a schema-less target, or nullptr.
    const FunctionFn* find_function(std::string_view name) const;

    /// All op_types and functions registered directly, sorted.
    std::vector<std::string> names() const;

  private:
    void add_kernel(std::string_view schema_line, const std::vector<detail::KernelParameter>& parameters,
                    KernelFn kernel);
    std::optional<Op> derive(std::string_view op_type) const;

    std::map<std::string, Op, std::less<>> ops_;
    std::map<std::string, FunctionFn, std::less<>> functions_;
    mutable std::mutex derived_mutex_;
    mutable std::map<std::string, std::optional<Op>, std::less<>> derived_;
};

/// All built-in ops.
const Registry& builtin_registry();

}  // namespace torch_ir
