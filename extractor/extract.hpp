// SPDX-License-Identifier: MIT
// The graph of a C++ module or function: what torch.export gives for its Python twin, in functional form.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <concepts>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "meta_device.hpp"
#include "torch_ir/error.hpp"
#include "torch_ir/ir.hpp"

namespace torch_ir {

struct ExtractOptions {
    std::string name{};                      // of the model; default: the module's type
    std::vector<std::string> input_names{};  // default: input_0, input_1, …
    /// Run on the values of the example inputs and weights, and keep what the program asks of them: the graph then
    /// holds for inputs like these only. By default such a question is an error.
    bool specialise = false;
    /// For functions and lambdas: the module whose parameters and buffers they use.
    const torch::nn::Module* module = nullptr;
};

/// A graph, and what belongs to it.
struct Extraction {
    Model model;
    std::vector<std::pair<std::string, at::Tensor>> weights;  // by state_dict key, as the module holds them
    std::vector<std::string> notes;                           // sentences for the user: tied weights, burned-in values
};

/// Writes the weights and the constants as safetensors. Throws ArgumentError naming a weight on the meta device.
void save_weights(const std::filesystem::path& path, const Extraction& extraction);

/// A program to extract, whatever it is written as.
struct ExtractSource {
    std::string name;                                 // default: the module's type
    std::shared_ptr<const torch::nn::Module> module;  // may be null
    std::function<c10::IValue(const std::vector<c10::IValue>&)> forward;
    /// Of the inputs, where known: numbers are made to fit, all else of another type is refused.
    std::optional<std::vector<c10::TypePtr>> input_types{};
};

/// Records one run of the program: every ATen call before it is decomposed, in-place writes and views in functional
/// form, weights by their keys. Nothing is computed; parameters may be on the meta device. Inputs are tensors, numbers,
/// None, and lists, tuples and dicts of these; numbers become constants. Throws UnsupportedError where the program
/// looks at values that depend on inputs or weights, and for what the IR cannot say; ArgumentError for calls that
/// LibTorch refuses, inputs that do not fit, and modules that no shared_ptr holds.
Extraction extract(const ExtractSource& source, const std::vector<c10::IValue>& example_inputs,
                   const ExtractOptions& options = {});

namespace detail {

/// `function` on the values, as these types.
template <class... Inputs>
c10::IValue call_with(auto&& function, const std::vector<c10::IValue>& values) {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
        return c10::IValue(function(values[i].template to<Inputs>()...));
    }
    (std::index_sequence_for<Inputs...>{});
}

template <class Program, class... Inputs>
c10::IValue call_program(Program& program, const std::vector<c10::IValue>& values) {
    return call_with<Inputs...>(
        [&](Inputs... inputs) {
            if constexpr (requires { program.ptr()->forward(std::move(inputs)...); })  // a holder, const or not
                return program.ptr()->forward(std::move(inputs)...);
            else if constexpr (requires { program->forward(std::move(inputs)...); })
                return program->forward(std::move(inputs)...);
            else if constexpr (requires { program.forward(std::move(inputs)...); })
                return program.forward(std::move(inputs)...);
            else
                return program(std::move(inputs)...);
        },
        values);
}

template <class Input>
c10::TypePtr type_of() {
    if constexpr (std::same_as<Input, bool>)
        return c10::BoolType::get();
    else if constexpr (std::integral<Input>)
        return c10::IntType::get();
    else if constexpr (std::floating_point<Input>)
        return c10::FloatType::get();
    else
        return c10::getTypePtr<Input>();
}

template <class... Inputs>
ExtractSource method_source(auto module, auto method) {
    ExtractSource source{"", module, {}, std::vector<c10::TypePtr>{type_of<Inputs>()...}};
    source.forward = [module, method](const std::vector<c10::IValue>& values) {
        return call_with<Inputs...>([&](Inputs... inputs) { return ((*module).*method)(std::move(inputs)...); },
                                    values);
    };
    return source;
}

template <class Module, class Result, class Base, class... Inputs>
ExtractSource source_of(Module module, Result (Base::*method)(Inputs...)) {
    return method_source<std::remove_cvref_t<Inputs>...>(module, method);
}

template <class Module, class Result, class Base, class... Inputs>
ExtractSource source_of(Module module, Result (Base::*method)(Inputs...) const) {
    return method_source<std::remove_cvref_t<Inputs>...>(module, method);
}

template <class Program>
const torch::nn::Module* module_of(Program& program) {
    using P = std::remove_const_t<Program>;
    if constexpr (std::derived_from<P, torch::nn::Module>)
        return &program;
    else if constexpr (requires {
                           requires std::derived_from<std::remove_cvref_t<decltype(*program)>, torch::nn::Module>;
                       })
        return &*program;
    else
        return nullptr;
}

}  // namespace detail

/// The same for a module (a holder like `torch::nn::Linear`, a pointer or a reference) or a function, with the
/// arguments of its forward:
///
///     const torch_ir::Extraction result = torch_ir::extract(net, std::tuple(torch::zeros({1, 3, 224, 224})));
///     torch_ir::write_json("ir.json", result.model);
template <class Program, class... Inputs>
Extraction extract(Program&& program, const std::tuple<Inputs...>& example_inputs, const ExtractOptions& options = {}) {
    ExtractSource source;
    ExtractOptions all = options;
    if (const torch::nn::Module* module = detail::module_of(program)) all.module = module;
    source.forward = [&](const std::vector<c10::IValue>& values) {
        return detail::call_program<std::remove_reference_t<Program>, Inputs...>(program, values);
    };
    std::vector<c10::IValue> values;
    std::apply([&](const Inputs&... inputs) { (values.emplace_back(inputs), ...); }, example_inputs);
    return extract(source, values, all);
}

/// What `make` returns, made without memory for weights: `on_meta([] { return Net(config); })`. A module so made can be
/// extracted; it cannot be run.
template <class Make>
auto on_meta(Make&& make) {
    const MetaDevice guard;
    return std::forward<Make>(make)();
}

/// A module whose forward is no template and not overloaded as a program: what a library for `torch-ir-extract
/// --module` hands over.
template <class Impl>
ExtractSource source_of(std::shared_ptr<Impl> module) {
    return detail::source_of(std::move(module), &Impl::forward);
}

template <class Impl>
ExtractSource source_of(const torch::nn::ModuleHolder<Impl>& module) {
    return source_of(module.ptr());
}

}  // namespace torch_ir

/// Defined by a library for `torch-ir-extract --module`: the program to extract. It is called with MetaDevice in force
/// unless weights are asked for.
extern "C" void torch_ir_module(torch_ir::ExtractSource& source);
