// SPDX-License-Identifier: MIT
#include "kernels/call.hpp"

#include "plan.hpp"

namespace torch_ir::kernels {

std::vector<IValue> call_op(Context& context, std::string_view op_type, std::vector<IValue> args) {
    const Op* op = builtin_registry().find(op_type);
    if (!op) throw UnsupportedError("op '" + std::string(op_type) + "' is not supported");
    const auto& parameters = op->schema.parameters;
    if (args.size() > parameters.size())
        throw ArgumentError(std::string(op_type) + ": expected at most " + std::to_string(parameters.size()) +
                            " arguments, found " + std::to_string(args.size()));
    for (std::size_t i = args.size(); i < parameters.size(); ++i) {
        if (!parameters[i].default_value)
            throw ArgumentError(std::string(op_type) + ": argument '" + parameters[i].name + "' is missing");
        args.push_back(to_ivalue(*parameters[i].default_value));
    }
    std::vector<const IValue*> pointers;
    for (std::size_t i = 0; i < args.size(); ++i) {
        args[i] = coerce(args[i], parameters[i].type);
        pointers.push_back(&args[i]);
    }
    Context own{nullptr, context.generator};  // call state and last uses are those of the caller's call
    std::vector<IValue> results;
    op->kernel(own, pointers, results);
    return results;
}

Tensor call(std::string_view op_type, std::vector<IValue> args) {
    Context context;
    return std::get<Tensor>(call_op(context, op_type, std::move(args)).at(0));
}

}  // namespace torch_ir::kernels
