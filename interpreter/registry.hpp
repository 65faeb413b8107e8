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
    bool memory_seen = false;        // results must lie in memory as PyTorch's
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

/// Values that a kernel returns.
template <class R>
constexpr std::size_t returned = std::is_void_v<R> ? 0 : 1;
template <class... T>
constexpr std::size_t returned<std::tuple<T...>> = sizeof...(T);

struct KernelSignature {
    std::vector<KernelParameter> parameters;
    std::size_t returns;
};

/// What is the same for all kernels of one signature.
template <class Signature>
struct Call;

template <class R, class... P>
struct Call<R(Context&, P...)> {
    static KernelSignature signature() { return {{kernel_parameter<P>()...}, returned<R>}; }

    /// `f` takes a Context&, or nothing, before the parameters.
    template <class F>
    static KernelFn kernel(F f) {
        return [f = std::move(f)](Context& context, std::span<const IValue* const> args, std::vector<IValue>& results) {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                const auto run = [&]() -> R {
                    if constexpr (std::is_invocable_v<F, Context&, P...>)
                        return f(context, Parameter<std::remove_cvref_t<P>>::get(*args[I])...);
                    else
                        return f(Parameter<std::remove_cvref_t<P>>::get(*args[I])...);
                };
                if constexpr (std::is_void_v<R>)
                    run();
                else
                    append_result(results, run());
            }
            (std::index_sequence_for<P...>{});
        };
    }
};

template <class R, class... P>
struct Call<R(P...)> : Call<R(Context&, P...)> {};

}  // namespace detail

/// Ops by op_type. Not to be changed while plans compiled from it are alive.
class Registry {
  public:
    /// Registers `f` (a function or lambda whose parameters are the schema's, optionally after a Context&) under
    /// `schema_line` (`mul.Tensor(Tensor self, Tensor other) -> Tensor`; alias marks and namespaces allowed).
    /// Throws SchemaError when arity or kinds do not match, or the op is there already.
    template <class F>
    void add(std::string_view schema_line, F f) {
        if constexpr (requires { +f; })
            add_callable(schema_line, +f);  // compiled once for all functions of its signature
        else
            add_callable(schema_line, std::function{std::move(f)});
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
    template <class R, class... P>
    void add_callable(std::string_view schema_line, R (*f)(P...)) {
        add_kernel(schema_line, detail::Call<R(P...)>::signature(), detail::Call<R(P...)>::kernel(f));
    }
    template <class R, class... P>
    void add_callable(std::string_view schema_line, std::function<R(P...)> f) {
        add_kernel(schema_line, detail::Call<R(P...)>::signature(), detail::Call<R(P...)>::kernel(std::move(f)));
    }
    void add_kernel(std::string_view schema_line, const detail::KernelSignature& signature, KernelFn kernel);
    std::optional<Op> derive(std::string_view op_type) const;

    std::map<std::string, Op, std::less<>> ops_;
    std::map<std::string, FunctionFn, std::less<>> functions_;
    mutable std::mutex derived_mutex_;
    mutable std::map<std::string, std::optional<Op>, std::less<>> derived_;
};

/// All built-in ops.
const Registry& builtin_registry();

}  // namespace torch_ir
