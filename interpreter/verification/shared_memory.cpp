// SPDX-License-Identifier: MIT
#include "verification/shared_memory.hpp"

#include <numeric>

#include "effects.hpp"
#include "verification/compare.hpp"

namespace torch_ir {
namespace {

[[noreturn]] void refuse(const Step& step, const std::string& why) {
    throw UnsupportedError("node '" + step.node->name + "' (" + step.node->op_type + ") " + why +
                           ": export the model with run_decompositions(), which gives a functional graph");
}

void add_slots(std::vector<std::uint32_t>& slots, const BoundArgument& argument) {
    if (argument.slot != BoundArgument::no_slot) slots.push_back(argument.slot);
    for (const BoundArgument& element : argument.elements) add_slots(slots, element);
}

}  // namespace

std::vector<std::uint32_t> written_slots(const Step& step) {
    const bool all = body_writes(step);
    std::vector<std::uint32_t> slots;
    for (std::size_t i = 0; i < step.args.size(); ++i)
        if (all || (step.op && writes_to(*step.node, step.op->schema.parameters[i]))) add_slots(slots, step.args[i]);
    return slots;
}

bool returns_what_it_writes(const Step& step) {
    return step.op && written_slots(step).size() == 1 && step.outputs.size() == 1 && step.outputs[0].size() == 1 &&
           step.op->schema.returns[0].is_write;
}

SharedMemory::SharedMemory(const Plan& plan) : graph_(plan.graph()), aliases_(plan.graph()) {
    std::map<std::uint32_t, std::vector<std::uint32_t>> members;  // the values so far by alias set
    std::set<std::uint32_t> stale;
    for (const Argument& input : plan.graph().inputs)
        for_each_value(input, [&](ValueRef ref) { members[aliases_.find(ref.id)].push_back(ref.id); });
    const auto read = [&](std::uint32_t value) {
        if (stale.contains(value)) followed_.insert(aliases_.find(value));
    };
    for (const Step& step : plan.steps()) {
        for (const ValueRef ref : step.node->input_values()) read(ref.id);
        const bool renames = returns_what_it_writes(step);
        for (const std::uint32_t slot : written_slots(step))
            for (const std::uint32_t member : members[aliases_.find(slot)])
                if (renames || member != slot) stale.insert(member);
        for (const auto& slots : step.outputs)
            for (const std::uint32_t slot : slots) members[aliases_.find(slot)].push_back(slot);
    }
    for (const Argument& output : plan.graph().outputs) for_each_value(output, [&](ValueRef ref) { read(ref.id); });
}

void SharedMemory::add_memory(std::uint32_t slot, const Ints& shape) {
    const std::int64_t size = numel_of(shape);
    Tensor positions = Tensor::empty(shape, DType::Int64);
    std::iota(positions.data<std::int64_t>(), positions.data<std::int64_t>() + size, 0);
    places_[slot] = {memories_++, size, positions};
}

void SharedMemory::add_input(std::uint32_t slot, const Ints& shape) {
    if (follows(slot)) add_memory(slot, shape);
}

void SharedMemory::add_results(const Step& step, const OpCall& call,
                               const std::function<Ints(std::uint32_t)>& shape_of) {
    std::vector<std::uint32_t> results;  // that are followed
    for (const auto& slots : step.outputs)
        for (const std::uint32_t slot : slots)
            if (follows(slot)) results.push_back(slot);
    if (results.empty()) return;
    if (returns_what_it_writes(step)) {
        const auto target = places_.find(written_slots(step)[0]);
        if (target == places_.end()) refuse(step, "writes to values that are read again by other names");
        places_[results[0]] = target->second;
        return;
    }
    for (const std::uint32_t slot : results)
        if (is_complex(graph_.values[slot].meta.dtype)) refuse(step, "shows complex memory that is changed in place");
    // The op itself says what it returns: it is given positions in place of elements.
    std::uint32_t source = BoundArgument::no_slot;
    OpCall moved = call;
    for (std::size_t i = 0; step.op && i < step.args.size(); ++i) {
        const SchemaParameter& parameter = step.op->schema.parameters[i];
        const auto found = places_.find(step.args[i].slot);
        if (found == places_.end() || parameter.alias.empty()) continue;
        source = found->first;
        moved = moved.with(parameter.name, found->second.positions);
    }
    std::vector<Tensor> shown;
    if (source != BoundArgument::no_slot) {
        const bool same = graph_.values[source].meta.dtype == graph_.values[results[0]].meta.dtype;
        if (call.find("dtype") && call.base_name() == "view")
            refuse(step, "shows memory as another dtype that is changed in place");
        if (call.find("dtype") && same) shown = {places_.at(source).positions};
        if (!call.find("dtype"))
            for (const IValue& value : moved.run()) {
                if (const auto* list = std::get_if<TensorList>(&value))
                    shown.insert(shown.end(), list->begin(), list->end());
                else
                    shown.push_back(value_tensor(value));
            }
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
        const std::uint32_t slot = results[i];
        const Place* place = source == BoundArgument::no_slot ? nullptr : &places_.at(source);
        if (place && i < shown.size() && shown[i].storage() == place->positions.storage())
            places_[slot] = {place->memory, place->size, shown[i]};
        else
            add_memory(slot, shape_of(slot));
    }
}

std::vector<SharedMemory::Change> SharedMemory::changes(std::uint32_t slot) const {
    const auto found = places_.find(slot);
    if (found == places_.end()) return {};
    const Place& target = found->second;
    std::vector<std::int64_t> table(static_cast<std::size_t>(target.size), -1);
    const Tensor positions = target.positions.contiguous();
    for (std::int64_t i = 0; i < positions.numel(); ++i)
        table[static_cast<std::size_t>(positions.data<std::int64_t>()[i])] = i;
    std::vector<Change> changes;
    for (const auto& [other, place] : places_) {
        if (other == slot || place.memory != target.memory) continue;
        Change change{other, {}};
        const Tensor own = place.positions.contiguous();
        for (std::int64_t i = 0; i < own.numel(); ++i)
            change.source.push_back(table[static_cast<std::size_t>(own.data<std::int64_t>()[i])]);
        changes.push_back(std::move(change));
    }
    return changes;
}

}  // namespace torch_ir
