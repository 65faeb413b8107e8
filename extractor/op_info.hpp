// SPDX-License-Identifier: MIT
// What recording has to know of an op, read from its schema once.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>
#include <vector>

#include "torch_ir/ir.hpp"

namespace torch_ir::extractor {

struct OpInfo {
    c10::OperatorHandle handle;
    std::string name;                               // `aten::add_`
    std::vector<std::optional<Argument>> defaults;  // of each parameter
    std::vector<std::size_t> written;               // parameters that the call writes to
    std::optional<std::size_t> device;              // the parameter that is a device
    /// For an op that writes: the op that returns the new values in place of that, `add.Tensor` for `add_.Tensor` and
    /// `add.out`.
    std::optional<c10::OperatorHandle> functional;
    bool out_variant = false;
    bool returns_tensor = false;
    bool random = false;
    bool pointwise = false;
    bool dynamic_shape = false;  // the size of its result depends on values

    const c10::FunctionSchema& schema() const { return handle.schema(); }
    /// `add_` for an ATen op, else empty.
    std::string_view aten_name() const;
};

/// Valid for the life of the program; safe from several threads.
const OpInfo& op_info(const c10::OperatorHandle& handle);

}  // namespace torch_ir::extractor
