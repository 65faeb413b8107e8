// SPDX-License-Identifier: MIT
#include "verification/walk.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "effects.hpp"
#include "verification/compare.hpp"
#include "verification/probes.hpp"

namespace torch_ir {
namespace {

/// The same memory, of which nothing is kept in another form: that pays for more runs than a node has here.
Tensor unpacked(const Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    const std::shared_ptr<Storage>& storage = tensor.storage();
    return {std::make_shared<Storage>(storage->data(), storage->bytes(), storage), tensor.dtype(), tensor.shape(),
            tensor.strides(), tensor.offset()};
}

/// The step shows the bits of its operand, not the numbers.
bool shows_bits(const Step& step) { return step.node->op_type == "aten.view.dtype"; }

/// Puts the elements that `source` says (see SharedMemory::Change) in the place of a value's own.
void overwrite(Known& value, const Known& with, const std::vector<std::int64_t>& source) {
    const auto mixed = [&](const Tensor& own, const Tensor& other) {
        const DType dtype = own.dtype() == other.dtype() ? own.dtype() : wide;
        Tensor result = own.to(dtype).contiguous().clone();
        const Tensor elements = other.to(dtype).contiguous();
        const std::size_t size = item_size(dtype);
        for (std::size_t i = 0; i < source.size(); ++i)
            if (source[i] >= 0)
                std::memcpy(result.raw() + i * size, elements.raw() + static_cast<std::size_t>(source[i]) * size, size);
        return result;
    };
    std::vector<IValue> values;
    for (std::size_t i = 0; i < std::max(value.values.size(), with.values.size()); ++i)
        values.emplace_back(mixed(value_tensor(value.variant(i)), value_tensor(with.variant(i))));
    value.values = std::move(values);
    value.sigma = value.bound = {};
    for (const Node* node : with.absent)
        if (std::find(value.absent.begin(), value.absent.end(), node) == value.absent.end())
            value.absent.push_back(node);
}

/// The results of an op that does not round; operands of several precisions are given the widest.
std::vector<Reference> exact_results(const OpCall& call) {
    std::set<DType> dtypes;
    call.map_tensors([&](const Tensor& tensor) {
        dtypes.insert(tensor.dtype());
        return tensor;
    });
    const bool as_it_is = shows_bits(call.step()) || dtypes.size() <= 1;
    std::vector<Reference> references;
    for (IValue& value : (as_it_is ? call : call.in_double()).run()) references.push_back({std::move(value)});
    return references;
}

/// The results of an op that draws random numbers, in the precision of the model: other precisions draw others.
/// What is rounded on the way there is taken to be a few times that of the largest numbers.
std::vector<Reference> drawn_results(const OpCall& call, Generator& generator, const RoundingProfile& profile) {
    std::vector<Reference> references;
    for (IValue& value : call.run(generator)) {
        const auto* tensor = std::get_if<Tensor>(&value);
        if (!tensor || !tensor->defined() || !is_floating_point(tensor->dtype())) {
            references.push_back({std::move(value)});
            continue;
        }
        const Tensor y = tensor->to(wide).contiguous();
        const std::span values(y.data<double>(), static_cast<std::size_t>(y.numel()));
        const double sum = std::transform_reduce(values.begin(), values.end(), values.begin(), 0.0);
        const double rms = std::sqrt(sum / std::max(1.0, static_cast<double>(values.size())));
        const double u = std::max({unit_roundoff(tensor->dtype()), profile.accumulator, profile.storage});
        references.push_back(detail::spread_around(y, [=](double v) {
            return detail::Rounded{v, 4 * u * std::max(std::fabs(v), rms), infinity};
        }));
    }
    return references;
}

/// The slots of an argument, and of the elements of a list.
void for_each_slot(const BoundArgument& argument, const std::function<void(std::uint32_t)>& f) {
    if (argument.slot != BoundArgument::no_slot) f(argument.slot);
    for (const BoundArgument& element : argument.elements) for_each_slot(element, f);
}

}  // namespace

Walk::Walk(const Interpreter& model, const WalkOptions& options, std::size_t first_probe)
    : model_(model),
      plan_(model.unfused_plan()),
      graph_(plan_.graph()),
      options_(options),
      known_(graph_.values.size()),
      first_probe_(first_probe),
      generator_(options.seed),
      memory_(plan_) {}

void Walk::walk(std::vector<IValue> user_inputs) {
    take_inputs(model_.graph_inputs(std::move(user_inputs)));
    const std::vector<Step>& steps = plan_.steps();
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const Node& node = *steps[i].node;
        with_context([&] { return "node '" + node.name + "' (" + node.op_type + ")"; },
                     [&] { take_step(steps[i], i); });
        for (const std::uint32_t slot : steps[i].released) {
            known_[slot] = {};
            memory_.release(slot);
        }
    }
}

void Walk::take_inputs(std::vector<IValue> inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const auto* ref = graph_.inputs[i].get_if<ValueRef>();
        if (!ref) continue;
        const Value& value = graph_.value(*ref);
        if (value.kind != ValueKind::Tensor)
            if (const auto* tensor = std::get_if<Tensor>(&inputs[i])) inputs[i] = to_ivalue(tensor->item());
        if (const auto* tensor = std::get_if<Tensor>(&inputs[i])) inputs[i] = unpacked(*tensor);
        known_[ref->id].values = {std::move(inputs[i])};
        took_input(ref->id);
        if (const auto* tensor = std::get_if<Tensor>(&known_[ref->id].values[0]))
            memory_.add_input(ref->id, tensor->shape());
    }
}

OpCall Walk::call_of(const Step& step, std::size_t variant) const {
    // The graph inside a higher-order op may name dtypes, and some ops show bits or draw other numbers for other
    // dtypes: they get what the graph has. So do probes, of which some results have none of their own.
    const bool as_declared = variant > 0 || !step.op || shows_bits(step) || draws(step);
    IValue narrow;
    const auto value_of = [&](std::uint32_t slot) -> const IValue& {
        const IValue& value = known_[slot].variant(variant);
        const auto* tensor = std::get_if<Tensor>(&value);
        if (!as_declared || !tensor || !tensor->defined()) return value;
        narrow = tensor->to(graph_.values[slot].meta.dtype);
        return narrow;
    };
    std::vector<IValue> args;
    for (std::size_t i = 0; i < step.args.size(); ++i) args.push_back(bind_argument(step, i, value_of));
    return {step, std::move(args), generator_};
}

bool Walk::draws(const Step& step) const { return draws_numbers(*step.node, model_.registry()); }

std::vector<DType> Walk::output_dtypes(const Step& step) const {
    std::vector<DType> dtypes;
    for (const auto& slots : step.outputs)
        dtypes.push_back(slots.empty() ? DType::Float32 : graph_.values[slots[0]].meta.dtype);
    return dtypes;
}

void Walk::take_step(const Step& step, std::size_t index) {
    bool region = false;
    std::vector<const Node*> absent;
    for (const BoundArgument& argument : step.args)
        for_each_slot(argument, [&](std::uint32_t slot) {
            region = region || known_[slot].is_region();
            for (const Node* node : known_[slot].absent)
                if (std::find(absent.begin(), absent.end(), node) == absent.end()) absent.push_back(node);
        });
    const OpCall call = call_of(step, 0);
    const std::vector<DType> dtypes = output_dtypes(step);
    const bool drawn = draws(step);
    const bool exact = !drawn && is_exact(call, dtypes);
    Generator after = generator_;
    std::vector<Reference> references = drawn             ? drawn_results(call, after, options_.profile)
                                        : exact && region ? exact_results(call)
                                                          : reference(call, dtypes, options_.profile);
    absent.push_back(step.node);
    const bool computed = std::ranges::any_of(step.outputs, [&](const auto& slots) {
        return std::ranges::any_of(slots, [&](std::uint32_t slot) { return !is_given(slot); });
    });
    const bool probing = region || (!exact && computed);
    std::vector<std::vector<IValue>> probes(references.size());  // [return][probe]
    if (region) run_probes(step, probes);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
        const std::vector<std::uint32_t>& slots = step.outputs[i];
        Reference& reference = references[i];
        const bool given = std::ranges::any_of(slots, [&](std::uint32_t slot) { return is_given(slot); });
        const bool wanted = std::ranges::any_of(slots, [&](std::uint32_t slot) { return is_wanted(slot); });
        if (probing && (given || wanted)) reference.compute();
        if (region || !reference.is_exact())
            for (const std::uint32_t slot : slots) known_[slot].absent = absent;
        if (probing) shake_probes(reference, probes[i], region, index * 8 + i, dtypes[i]);
        if (region && given) widen(reference, probes[i], dtypes[i]);
        for (std::size_t k = 0; k < slots.size(); ++k) store(step, call, i, k, reference, probes[i], region);
    }
    if (!returns_what_it_writes(step)) take_writes(step, region);
    generator_ = after;
    if (!memory_.active()) return;
    memory_.add_results(step, call,
                        [&](std::uint32_t slot) { return value_tensor(known_[slot].values.at(0)).shape(); });
    if (returns_what_it_writes(step)) spread(step.outputs[0][0]);
}

/// What has been written to a value is seen in those that share its memory.
void Walk::spread(std::uint32_t slot) {
    for (const SharedMemory::Change& change : memory_.changes(slot))
        overwrite(known_[change.slot], known_[slot], change.source);
}

/// What is written to arguments that keep their names is what they hold from then on, and is known by nothing else.
void Walk::take_writes(const Step& step, bool region) {
    const std::vector<std::uint32_t> slots = written_slots(step);
    if (slots.empty()) return;
    std::map<std::uint32_t, std::vector<IValue>> written;  // by slot, a value per variant
    const std::size_t variants = region ? static_cast<std::size_t>(options_.probes) + 1 : 1;
    for (std::size_t variant = 0; variant < variants; ++variant) {
        const OpCall call = call_of(step, variant);
        const std::vector<IValue> args = call.writable_arguments();
        call.run_on(args);
        const auto take = [&](const BoundArgument& argument, const Tensor& tensor) {
            if (std::find(slots.begin(), slots.end(), argument.slot) != slots.end() && tensor.defined())
                written[argument.slot].emplace_back(tensor);
        };
        for (std::size_t i = 0; i < args.size(); ++i) {
            if (const auto* tensor = std::get_if<Tensor>(&args[i])) take(step.args[i], *tensor);
            if (const auto* list = std::get_if<TensorList>(&args[i]))
                for (std::size_t k = 0; k < std::min(list->size(), step.args[i].elements.size()); ++k)
                    take(step.args[i].elements[k], (*list)[k]);
        }
    }
    for (auto& [slot, values] : written) {
        Tensor before = value_tensor(known_[slot].variant(0));
        const Tensor now = std::get<Tensor>(values[0]);
        if (same_bits(before, now)) continue;
        // An out tensor of another shape has become the result.
        if (before.shape() != now.shape()) before = Tensor::full(now.shape(), std::nan(""), wide);
        std::vector<IValue> probes(values.begin() + 1, values.end());
        if (is_floating_point(now.dtype())) {
            const DType dtype = graph_.values[slot].meta.dtype;
            const double u = unit_roundoff(dtype);
            const auto rounding = [=](double x, double y) {
                const double sigma = x == y ? 0 : u * std::fabs(y);
                return detail::Rounded{y, sigma, sigma};
            };
            Reference around = detail::spread_around(now.to(wide), rounding, before.to(wide));
            shake_probes(around, probes, region, (std::uint64_t{1} << 41) + slot, dtype);
        }
        known_[slot].values = {now};
        known_[slot].values.insert(known_[slot].values.end(), probes.begin(), probes.end());
        known_[slot].absent.push_back(step.node);
        spread(slot);
    }
}

/// The results for the variants of the operands, in the precision of the model.
void Walk::run_probes(const Step& step, std::vector<std::vector<IValue>>& probes) const {
    for (int p = 0; p < options_.probes; ++p) {
        std::vector<IValue> values = call_of(step, static_cast<std::size_t>(p) + 1).run();
        for (std::size_t i = 0; i < std::min(values.size(), probes.size()); ++i)
            probes[i].push_back(std::move(values[i]));
    }
}

void Walk::shake_probes(Reference& reference, std::vector<IValue>& probes, bool region, std::uint64_t stream,
                        DType dtype) const {
    if (!region) probes.assign(static_cast<std::size_t>(options_.probes), reference.value);
    torch_ir::shake_probes(reference, probes, region, {stream, first_probe_}, dtype);
}

/// Takes return `i` of a step, of a list its element `k`.
void Walk::store(const Step& step, const OpCall& call, std::size_t i, std::size_t k, const Reference& reference,
                 const std::vector<IValue>& probes, bool region) {
    const auto element = [&](const IValue& value) -> IValue {
        const auto* list = std::get_if<TensorList>(&value);
        return step.output_is_list[i] && list ? IValue((*list)[k]) : value;
    };
    const std::uint32_t slot = step.outputs[i][k];
    Known& known = known_[slot];
    const bool wanted = is_wanted(slot);
    Reference one = reference;
    one.value = element(reference.value);
    known.values = {wanted ? one.value : kept(one.value, graph_.values[slot].meta.dtype)};
    for (const IValue& value : probes) known.values.push_back(element(value));
    if (wanted && !region) {
        known.sigma = reference.sigma;
        known.bound = reference.bound;
    }
    took_result(slot, step, region ? nullptr : &call, i, one);
}

IValue Walk::kept(const IValue& value, DType dtype) {
    const auto* tensor = std::get_if<Tensor>(&value);
    return tensor && tensor->dtype() == wide && dtype != wide ? IValue(tensor->to(DType::Float32)) : value;
}

}  // namespace torch_ir
