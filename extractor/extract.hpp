// SPDX-License-Identifier: MIT
// The graph of a C++ module or function: what torch.export gives for its Python twin, in functional form.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <concepts>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "extraction.hpp"
#include "meta_device.hpp"

namespace torch_ir {

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
