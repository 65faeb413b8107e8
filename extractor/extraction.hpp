// SPDX-License-Identifier: MIT
// What is extracted, how, and what comes of it: no more of LibTorch than values need.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "torch_ir/error.hpp"
#include "torch_ir/ir.hpp"

namespace torch::nn {
class Module;
}

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

}  // namespace torch_ir

/// Defined by a library for `torch-ir-extract --module`: the program to extract. It is called with MetaDevice in force
/// unless weights are asked for.
extern "C" void torch_ir_module(torch_ir::ExtractSource& source);
