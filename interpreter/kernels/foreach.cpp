// SPDX-License-Identifier: MIT
// `_foreach_*`: an op on each tensor of a list, as optimizers call them.
#include <algorithm>

#include "kernels/call.hpp"
#include "kernels/families.hpp"
#include "overlap.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using Args = std::span<const IValue* const>;

/// Could one element of a list of `type` be given as `element`?
bool takes(const SchemaType& element, const SchemaType& type) { return element.kind == type.kind && !element.list; }

/// The op that the foreach op of that name and those parameters applies to each element. Empty when there is none.
std::string element_op(const Registry& r, const std::string& name, const Schema& schema) {
    constexpr const char* overloads[] = {"default", "Tensor", "Scalar", "Tensor_Tensor", "Tensor_Scalar"};
    for (const char* overload : overloads) {
        const std::string op_type = "aten." + name + "." + overload;
        const Op* op = r.find(op_type);
        const Schema* element =
            op ? find_schema(op_type) : nullptr;  // as written: kernels may take a Scalar as a tensor
        if (!element || element->parameters.size() < schema.parameters.size() || element->returns.size() != 1) continue;
        bool same = true;
        for (std::size_t i = 0; i < schema.parameters.size(); ++i)
            same &= takes(element->parameters[i].type, schema.parameters[i].type);
        if (same) return op_type;
    }
    return {};
}

/// Element `i` of an argument: of a list, or the argument itself.
IValue element(const IValue& arg, std::size_t i, std::size_t count, const std::string& parameter) {
    const auto pick = [&](const auto& list) {
        if (list.size() != count)
            throw ArgumentError("expected '" + parameter + "' to have " + std::to_string(count) +
                                " elements like 'self', found " + std::to_string(list.size()));
        return list[i];
    };
    if (const auto* tensors = std::get_if<TensorList>(&arg)) return pick(*tensors);
    if (const auto* numbers = std::get_if<ScalarList>(&arg)) return to_ivalue(pick(*numbers));
    return arg;
}

/// A 1-d tensor of numbers, one for each element, as a list.
IValue as_numbers(const Tensor& t) {
    if (t.dim() != 1) throw ArgumentError("expected 'scalars' to be a 1-d tensor, found " + describe(t));
    ScalarList numbers;
    for (std::int64_t i = 0; i < t.numel(); ++i) numbers.push_back(t.select(0, i).item());
    return numbers;
}

/// How the arguments of one element are those of the op called for it.
struct Element {
    std::string op_type;
    bool numbers_in_tensor = false;  // the last argument is a 1-d tensor of numbers
    bool is_norm = false;            // (self, ord, dtype) of (self, ord, dim, keepdim, dtype)
};

Tensor apply_to(Context& context, const Element& element_op, std::vector<IValue> args) {
    if (element_op.is_norm) args = {args[0], args[1], None{}, false, args[2]};
    return std::get<Tensor>(call_op(context, element_op.op_type, std::move(args)).at(0));
}

void add_foreach(Registry& r, const Schema& schema, Element op) {
    std::vector<std::string> names;
    for (const SchemaParameter& parameter : schema.parameters) names.push_back(parameter.name);
    const bool in_place = schema.parameters[0].is_write, overlaps = may_overlap_itself(schema.name);
    r.add_boxed(schema, [op = std::move(op), names, in_place, overlaps](Context& context, Args args,
                                                                        std::vector<IValue>& results) {
        std::vector<IValue> lists;
        for (const IValue* arg : args) lists.push_back(*arg);
        if (op.numbers_in_tensor) lists.back() = as_numbers(std::get<Tensor>(lists.back()));
        const auto counted =
            std::ranges::find_if(lists, [](const IValue& list) { return std::holds_alternative<TensorList>(list); });
        const std::size_t count = std::get<TensorList>(*counted).size();
        TensorList outputs;
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<IValue> own;
            for (std::size_t k = 0; k < lists.size(); ++k) own.push_back(element(lists[k], i, count, names[k]));
            outputs.push_back(apply_to(context, op, std::move(own)));
            if (!in_place) continue;
            // Before the next one, which may read it.
            const Tensor& target = std::get<TensorList>(lists[0])[i];
            if (!overlaps) check_overlap(target);
            check_written(true, false, outputs[i], target);
            target.copy_from(outputs[i]);
        }
        if (!in_place) results.emplace_back(std::move(outputs));
    });
}

}  // namespace

void register_foreach(Registry& r) {
    constexpr std::string_view prefix = "_foreach_";
    for (const std::string_view line : aten_schema_lines()) {
        if (!line.starts_with(prefix)) continue;
        const Schema schema = parse_schema(line);
        if (schema.parameters.back().name == "out") continue;
        std::string name = schema.name.substr(prefix.size());
        if (name.ends_with('_')) name.pop_back();
        Element op;
        if (name == "norm" || name == "powsum") {
            op = {name == "norm" ? "aten.linalg_vector_norm.default" : "aten.linalg__powsum.default", false, true};
        } else if (name.starts_with("addc")) {
            op = {"aten." + name + ".default", schema.overload == "Tensor", false};
        } else if (schema.overload.starts_with("Scalar") && name.ends_with("imum")) {
            op = {name == "maximum" ? "aten.clamp_min.default" : "aten.clamp_max.default"};
        } else if (schema.overload == "ScalarAndTensor") {
            op = {"aten.pow.Scalar"};
        } else {
            op = {element_op(r, name, schema)};
        }
        if (!op.op_type.empty()) add_foreach(r, schema, op);
    }
}

}  // namespace torch_ir::kernels
