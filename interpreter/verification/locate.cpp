// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>

#include "elementwise.hpp"
#include "memory_order.hpp"
#include "parallel.hpp"
#include "verification/compare.hpp"
#include "verification/dump.hpp"
#include "verification/probes.hpp"
#include "verification/shared_memory.hpp"

namespace torch_ir {
namespace {

/// A value of the graph: what the candidate has, or, where the candidate does not show it, the float64 result with
/// some results of random rounding behind it.
struct Known {
    std::vector<IValue> values;
    std::vector<const Node*> absent;  // nodes since the last values that the candidate shows
    Tensor sigma;                     // of outputs of the graph that a node on known operands rounds
    Tensor bound;

    bool is_region() const { return values.size() > 1; }
    const IValue& variant(std::size_t i) const { return values[std::min(i, values.size() - 1)]; }
};

/// How a dump is rounded whose numbers are all of a coarser dtype than the graph's.
struct DumpRounding {
    std::optional<DType> dtype;
    bool written_only = false;  // what was computed went on unrounded
};

class Locator {
  public:
    Locator(const Interpreter& model, const NamedTensors& candidate, const LocateOptions& options,
            const DumpRounding& rounding = {})
        : model_(model),
          plan_(model.unfused_plan()),
          graph_(plan_.graph()),
          options_(options),
          rounding_(rounding),
          generator_(options.seed),
          memory_(plan_),
          known_(graph_.values.size()) {
        name_candidates(candidate);
        names_.emplace(candidate, result_.unknown);
        if (!rounding.dtype) return;
        options_.profile.storage = std::max(options_.profile.storage, unit_roundoff(*rounding.dtype));
        for (auto& [slot, tensor] : candidates_)
            if (is_rounded(slot, tensor)) tensor = tensor.to(*rounding.dtype);
    }

    /// The dtype that all of the candidate's floats are rounded to, where that is more than the graph or the profile
    /// says.
    std::optional<DType> rounded_dtype() const {
        std::vector<Tensor> floats;
        for (const auto& [slot, tensor] : candidates_)
            if (is_rounded(slot, tensor)) floats.push_back(tensor);
        const std::optional<DType> dtype = narrow_dtype(floats);
        return dtype && unit_roundoff(*dtype) > options_.profile.storage ? dtype : std::nullopt;
    }

    LocateResult run(std::vector<IValue> user_inputs) {
        walk(std::move(user_inputs));
        result_.names = names_->found();
        if (result_.findings.empty()) throw ArgumentError(nothing_compared());
        return std::move(result_);
    }

    /// Without a candidate: what the outputs should be.
    std::vector<OutputReference> run_outputs(std::vector<IValue> user_inputs,
                                             const std::vector<OutputReference>& earlier) {
        for (const OutputReference& output : earlier) first_probe_ = std::max(first_probe_, output.probes.size());
        for (const Argument& output : graph_.outputs)
            for_each_value(output, [&](ValueRef ref) { outputs_.insert(plan_.slot(ref)); });
        walk(std::move(user_inputs));
        std::vector<OutputReference> references;
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            if (!is_user_output(model_.model().outputs[i].kind)) continue;
            OutputReference reference;
            if (const auto* ref = graph_.outputs[i].get_if<ValueRef>()) {
                const Known& known = known_[plan_.slot(*ref)];
                reference = {graph_.value(*ref).name,
                             {known.values[0], known.sigma, known.bound},
                             {known.values.begin() + 1, known.values.end()}};
                if (!earlier.empty()) {
                    const std::vector<IValue>& more = earlier[references.size()].probes;
                    reference.probes.insert(reference.probes.begin(), more.begin(), more.end());
                }
                if (known.is_region() && !known.sigma.defined()) widen(reference.reference, reference.probes);
            }
            references.push_back(std::move(reference));
        }
        return references;
    }

  private:
    std::string nothing_compared() const {
        const std::string text = "none of the candidate's tensors has the name of a value of the graph";
        if (result_.unknown.empty()) return text;
        const auto first = std::find_if(graph_.nodes.begin(), graph_.nodes.end(),
                                        [](const Node& node) { return !node.output_values().empty(); });
        const std::string begins = first == graph_.nodes.end()
                                       ? "has no values"
                                       : "begins with '" + graph_.value(first->output_values()[0]).name + "'";
        return text + " (the first is '" + result_.unknown.front() + "'; the graph " + begins + ")" +
               (result_.names.empty() ? "" : "; " + map_text(result_.names));
    }

    /// What the candidate has of a value may be rounded to fewer digits than the graph gives it.
    bool is_rounded(std::uint32_t slot, const Tensor& tensor) const {
        const DType dtype = graph_.values[slot].meta.dtype;
        return (dtype == DType::Float32 || dtype == wide) && is_floating_point(tensor.dtype());
    }

    void walk(std::vector<IValue> user_inputs) {
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

    void name_candidates(const NamedTensors& candidate) {
        std::map<std::string, std::uint32_t, std::less<>> slots;
        for (std::uint32_t i = 0; i < graph_.values.size(); ++i) slots.emplace(graph_.values[i].name, i);
        std::size_t position = 0;
        for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
            if (!is_user_output(model_.model().outputs[i].kind)) continue;
            const std::string name = "output_" + std::to_string(position++);
            if (const auto* ref = graph_.outputs[i].get_if<ValueRef>()) slots.emplace(name, ref->id);
        }
        for (const auto& [name, tensor] : candidate) {
            const auto found = slots.find(name);
            if (found == slots.end())
                result_.unknown.push_back(name);
            else
                candidates_.emplace(plan_.slot(ValueRef{found->second}), tensor);
        }
    }

    /// The same memory, of which nothing is kept in another form: that pays for more runs than a node has here.
    static Tensor unpacked(const Tensor& tensor) {
        if (!tensor.defined()) return tensor;
        const std::shared_ptr<Storage>& storage = tensor.storage();
        return {std::make_shared<Storage>(storage->data(), storage->bytes(), storage), tensor.dtype(), tensor.shape(),
                tensor.strides(), tensor.offset()};
    }

    void take_inputs(std::vector<IValue> inputs) {
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const auto* ref = graph_.inputs[i].get_if<ValueRef>();
            if (!ref) continue;
            const Value& value = graph_.value(*ref);
            if (value.kind != ValueKind::Tensor)
                if (const auto* tensor = std::get_if<Tensor>(&inputs[i])) inputs[i] = to_ivalue(tensor->item());
            if (const auto* tensor = std::get_if<Tensor>(&inputs[i])) inputs[i] = unpacked(*tensor);
            known_[ref->id].values = {std::move(inputs[i])};
            if (candidates_.contains(ref->id)) {
                Reference given{known_[ref->id].values[0]};
                if (auto* tensor = std::get_if<Tensor>(&given.value);
                    tensor && rounding_.dtype && is_rounded(ref->id, *tensor))
                    *tensor = tensor->to(*rounding_.dtype);
                settle(ref->id, nullptr, nullptr, 0, given);
            }
            if (const auto* tensor = std::get_if<Tensor>(&known_[ref->id].values[0]))
                memory_.add_input(ref->id, tensor->shape());
        }
    }

    OpCall call_of(const Step& step, std::size_t variant) const {
        IValue narrow;
        const auto value_of = [&](std::uint32_t slot) -> const IValue& {
            const IValue& value = known_[slot].variant(variant);
            const auto* tensor = std::get_if<Tensor>(&value);
            // The graph inside a higher-order op may name dtypes, and some ops show bits or draw other numbers for
            // other dtypes: they get what the graph has.
            if ((step.op && !shows_bits(step) && !draws(step)) || !tensor || !tensor->defined()) return value;
            narrow = tensor->to(graph_.values[slot].meta.dtype);
            return narrow;
        };
        std::vector<IValue> args;
        for (std::size_t i = 0; i < step.args.size(); ++i) args.push_back(bind_argument(step, i, value_of));
        return {step, std::move(args), generator_};
    }

    bool draws(const Step& step) const { return draws_numbers(*step.node, model_.registry()); }

    /// The bits of its operand, not the numbers.
    static bool shows_bits(const Step& step) { return step.node->op_type == "aten.view.dtype"; }

    void for_each_operand(const BoundArgument& argument, const std::function<void(const Known&)>& f) const {
        if (argument.slot != BoundArgument::no_slot) f(known_[argument.slot]);
        for (const BoundArgument& element : argument.elements) for_each_operand(element, f);
    }

    std::vector<DType> output_dtypes(const Step& step) const {
        std::vector<DType> dtypes;
        for (const auto& slots : step.outputs)
            dtypes.push_back(slots.empty() ? DType::Float32 : graph_.values[slots[0]].meta.dtype);
        return dtypes;
    }

    void take_step(const Step& step, std::size_t index) {
        bool region = false;
        std::vector<const Node*> absent;
        for (const BoundArgument& argument : step.args)
            for_each_operand(argument, [&](const Known& known) {
                region = region || known.is_region();
                for (const Node* node : known.absent)
                    if (std::find(absent.begin(), absent.end(), node) == absent.end()) absent.push_back(node);
            });
        const OpCall call = call_of(step, 0);
        const std::vector<DType> dtypes = output_dtypes(step);
        const bool drawn = draws(step);
        const bool exact = !drawn && is_exact(call, dtypes);
        std::vector<Reference> references = drawn             ? drawn_results(call)
                                            : exact && region ? exact_results(call)
                                                              : reference(call, dtypes, options_.profile);
        absent.push_back(step.node);
        const bool probing = region || (!exact && has_result(step, false));
        std::vector<std::vector<IValue>> probes(references.size());  // [return][probe]
        if (region) run_probes(step, probes);
        for (std::size_t i = 0; i < step.outputs.size(); ++i) {
            const std::vector<std::uint32_t>& slots = step.outputs[i];
            Reference& reference = references[i];
            const auto any_of = [&](const auto& set) {
                return std::any_of(slots.begin(), slots.end(), [&](std::uint32_t slot) { return set.contains(slot); });
            };
            const bool shown = any_of(candidates_);
            if (probing && (shown || any_of(outputs_))) reference.compute();
            if (region || !reference.is_exact())
                for (const std::uint32_t slot : slots) known_[slot].absent = absent;
            if (probing) shake_probes(reference, probes[i], region, index * 8 + i, dtypes[i]);
            if (region && shown) widen(reference, probes[i]);
            for (std::size_t k = 0; k < slots.size(); ++k) store(step, call, i, k, reference, probes[i], region);
        }
        if (!returns_what_it_writes(step)) take_writes(step, region);
        if (drawn) generator_ = call.generator_after();
        if (!memory_.active()) return;
        memory_.add_results(step, call,
                            [&](std::uint32_t slot) { return value_tensor(known_[slot].values.at(0)).shape(); });
        if (returns_what_it_writes(step)) spread(step.outputs[0][0]);
    }

    /// What has been written to a value is seen in those that share its memory.
    void spread(std::uint32_t slot) {
        for (const SharedMemory::Change& change : memory_.changes(slot))
            overwrite(known_[change.slot], known_[slot], change.source);
    }

    /// What is written to arguments that keep their names is what they hold from then on, and the candidate does not
    /// show.
    void take_writes(const Step& step, bool region) {
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
            const Tensor before = value_tensor(known_[slot].variant(0));
            const Tensor now = std::get<Tensor>(values[0]);
            if (same_bits(before, now)) continue;
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

    /// Puts the elements that `source` says (see SharedMemory::Change) in the place of a value's own.
    static void overwrite(Known& value, const Known& with, const std::vector<std::int64_t>& source) {
        const auto mixed = [&](const Tensor& own, const Tensor& other) {
            const DType dtype = own.dtype() == other.dtype() ? own.dtype() : wide;
            Tensor result = own.to(dtype).contiguous().clone();
            const Tensor elements = other.to(dtype).contiguous();
            const std::size_t size = item_size(dtype);
            for (std::size_t i = 0; i < source.size(); ++i)
                if (source[i] >= 0)
                    std::memcpy(result.raw() + i * size, elements.raw() + static_cast<std::size_t>(source[i]) * size,
                                size);
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
    static std::vector<Reference> exact_results(const OpCall& call) {
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
    std::vector<Reference> drawn_results(const OpCall& call) const {
        std::vector<Reference> references;
        for (IValue& value : call.run()) {
            const auto* tensor = std::get_if<Tensor>(&value);
            if (!tensor || !tensor->defined() || !is_floating_point(tensor->dtype())) {
                references.push_back({std::move(value)});
                continue;
            }
            const Tensor y = tensor->to(wide).contiguous();
            const std::span values(y.data<double>(), static_cast<std::size_t>(y.numel()));
            const double sum = std::transform_reduce(values.begin(), values.end(), values.begin(), 0.0);
            const double rms = std::sqrt(sum / std::max(1.0, static_cast<double>(values.size())));
            const double u =
                std::max({unit_roundoff(tensor->dtype()), options_.profile.accumulator, options_.profile.storage});
            references.push_back(detail::spread_around(y, [=](double v) {
                return detail::Rounded{v, 4 * u * std::max(std::fabs(v), rms), infinity};
            }));
        }
        return references;
    }

    /// The results for the variants of the operands, in the precision of the model.
    void run_probes(const Step& step, std::vector<std::vector<IValue>>& probes) const {
        for (int p = 0; p < options_.probes; ++p) {
            std::vector<IValue> values = call_of(step, static_cast<std::size_t>(p) + 1).run();
            for (std::size_t i = 0; i < std::min(values.size(), probes.size()); ++i)
                probes[i].push_back(std::move(values[i]));
        }
    }

    /// As many probes as there are of this run: see torch_ir::shake_probes.
    void shake_probes(Reference& reference, std::vector<IValue>& probes, bool region, std::uint64_t stream,
                      DType dtype) const {
        if (!region) probes.assign(static_cast<std::size_t>(options_.probes), reference.value);
        torch_ir::shake_probes(reference, probes, region, {stream, first_probe_}, dtype);
    }

    /// Some result of the step is one that the candidate shows, or one that it does not show.
    bool has_result(const Step& step, bool shown) const {
        for (const auto& slots : step.outputs)
            for (const std::uint32_t slot : slots)
                if (candidates_.contains(slot) == shown) return true;
        return false;
    }

    /// Takes return `i` of a step, of a list its element `k`.
    void store(const Step& step, const OpCall& call, std::size_t i, std::size_t k, const Reference& reference,
               const std::vector<IValue>& probes, bool region) {
        const auto element = [&](const IValue& value) -> IValue {
            const auto* list = std::get_if<TensorList>(&value);
            return step.output_is_list[i] && list ? IValue((*list)[k]) : value;
        };
        const std::uint32_t slot = step.outputs[i][k];
        Known& known = known_[slot];
        const bool is_output = outputs_.contains(slot);
        Reference one = reference;
        one.value = element(reference.value);
        known.values = {is_output ? one.value : kept(one.value, graph_.values[slot].meta.dtype)};
        for (const IValue& value : probes) known.values.push_back(element(value));
        if (is_output && !region) {
            known.sigma = reference.sigma;
            known.bound = reference.bound;
        }
        if (candidates_.contains(slot)) {
            settle(slot, &step, region ? nullptr : &call, i, one);
        } else if (const auto* tensor = std::get_if<Tensor>(&one.value)) {
            ++result_.absent;
            names_->look_for(graph_.values[slot].name, *tensor);
        }
    }

    /// What later nodes compute with in place of a float64 result: float32 unless the graph has more. That rounding is
    /// in the spread of the probes, which are compared with what follows from it; and products of float32 are faster.
    static IValue kept(const IValue& value, DType dtype) {
        const auto* tensor = std::get_if<Tensor>(&value);
        return tensor && tensor->dtype() == wide && dtype != wide ? IValue(tensor->to(DType::Float32)) : value;
    }

    /// Judges the candidate's tensor and goes on with it.
    void settle(std::uint32_t slot, const Step* step, const OpCall* call, std::size_t index, Reference& reference) {
        const Tensor& found = candidates_.at(slot);
        if (reference.blocks && reference.shape != found.shape()) reference.compute();
        Tensor expected = value_tensor(reference.value);
        if (!reference.blocks && !expected.defined()) return;
        const bool region = step && !call;
        Finding finding;
        finding.value = graph_.values[slot].name;
        if (step) finding.node = step->node;
        if (region) {
            finding.absent = known_[slot].absent;
            if (!finding.absent.empty()) finding.absent.pop_back();  // the node itself
        }
        auto [tensor, layout] = reference.blocks ? std::pair{found, std::string()} : match_layout(found, expected);
        if (!tensor.defined()) {
            finding.rounding.verdict = Verdict::Wrong;
            finding.rounding.reason =
                "expected shape " + to_string(expected.shape()) + ", found " + to_string(found.shape());
            finding.other_name = names_->other_name(finding.value, expected);
            result_.findings.push_back(std::move(finding));
            known_[slot].values[0] = kept(reference.value, graph_.values[slot].meta.dtype);
            return;
        }
        finding.layout = layout;
        if (!step || !(leaves_values_undefined(step->node->op_type) || draws(*step)))
            finding.rounding = judge_rounding(tensor, reference, region, options_.profile);
        if (finding.rounding.verdict != Verdict::Explained) {
            reference.compute();
            expected = value_tensor(reference.value);
            if (step && is_tie(call_of(*step, 0), tensor, expected)) {
                finding.rounding = {};
            } else {
                finding.part = differing_part(tensor, reference);
                finding.other_name = names_->other_name(finding.value, expected);
                if (call && options_.hypotheses)
                    finding.hypotheses = explain(*call, output_dtypes(*step), index, tensor, finding, reference);
            }
        }
        result_.findings.push_back(std::move(finding));
        const TensorMeta& meta = graph_.values[slot].meta;
        known_[slot].values = {graph_.values[slot].kind == ValueKind::Tensor
                                   ? IValue(tensor.to(meta.dtype).contiguous())
                                   : to_ivalue(tensor.item())};
        known_[slot].absent.clear();
        if (rounding_.written_only && is_rounded(slot, tensor)) loosen(slot);
    }

    /// Makes of a value that was rounded when it was written one of several that it may have been before.
    void loosen(std::uint32_t slot) {
        std::vector<IValue>& values = known_[slot].values;
        const double u = unit_roundoff(*rounding_.dtype);
        const double least = *rounding_.dtype == DType::Float16 ? 0x1p-25 : 0;  // half the distance of numbers near 0
        Reference around = detail::spread_around(std::get<Tensor>(values[0]).to(wide), [=](double x) {
            const double sigma = std::max(u * std::fabs(x), least) / std::sqrt(3.0);
            return detail::Rounded{x, sigma, sigma};
        });
        std::vector<IValue> probes;
        shake_probes(around, probes, false, (std::uint64_t{1} << 40) + slot, graph_.values[slot].meta.dtype);
        values.insert(values.end(), probes.begin(), probes.end());
    }

    const Interpreter& model_;
    const Plan& plan_;
    const Graph& graph_;
    LocateOptions options_;
    DumpRounding rounding_;
    Generator generator_;
    SharedMemory memory_;
    std::vector<Known> known_;
    std::map<std::uint32_t, Tensor> candidates_;
    std::set<std::uint32_t> outputs_;
    std::size_t first_probe_ = 0;  // of those that are not run here
    std::optional<NameFinder> names_;
    LocateResult result_;
};

}  // namespace

bool leaves_values_undefined(std::string_view op_type) {
    return op_type.starts_with("aten.empty") || op_type.starts_with("aten.new_empty");
}

Verdict LocateResult::verdict() const {
    Verdict worst = Verdict::Explained;
    for (const Finding& finding : findings) worst = std::max(worst, finding.rounding.verdict);
    return worst;
}

std::vector<const Finding*> LocateResult::origins() const {
    std::vector<const Finding*> origins;
    for (const Finding& finding : findings)
        if (finding.rounding.verdict != Verdict::Explained) origins.push_back(&finding);
    return origins;
}

std::vector<OutputReference> output_references(const Interpreter& model, std::vector<IValue> user_inputs,
                                               const LocateOptions& options,
                                               const std::vector<OutputReference>& earlier) {
    return Locator(model, {}, options).run_outputs(std::move(user_inputs), earlier);
}

RoundingVerdict judge_output(const Tensor& candidate, const OutputReference& output, const RoundingProfile& profile) {
    const Tensor expected = value_tensor(output.reference.value);
    if (candidate.shape() != expected.shape()) {
        RoundingVerdict verdict;
        verdict.verdict = Verdict::Wrong;
        verdict.reason = "expected shape " + to_string(expected.shape()) + ", found " + to_string(candidate.shape());
        return verdict;
    }
    RoundingVerdict verdict = judge_rounding(candidate, output.reference, !output.probes.empty(), profile);
    // What does not round, an index for example, may still follow from values that do: any probe's will do.
    if (output.reference.is_exact() && verdict.verdict != Verdict::Explained)
        for (const IValue& probe : output.probes) {
            const RoundingVerdict other = judge_rounding(candidate, {probe}, true, profile);
            if (other.verdict == Verdict::Explained) return other;
            verdict.verdict = Verdict::Suspicious;
        }
    return verdict;
}

LocateResult locate(const Interpreter& model, std::vector<IValue> user_inputs, const NamedTensors& candidate,
                    const LocateOptions& options) {
    Locator plain(model, candidate, options);
    LocateResult best = plain.run(user_inputs);
    if (best.verdict() == Verdict::Explained) return best;
    const std::optional<DType> dtype = plain.rounded_dtype();
    for (const bool written_only : {false, true}) {
        if (!dtype || best.verdict() == Verdict::Explained) break;
        LocateResult result = Locator(model, candidate, options, {dtype, written_only}).run(user_inputs);
        if (result.origins().size() >= best.origins().size()) continue;
        best = std::move(result);
        best.stored = name(*dtype);
        best.written_only = written_only;
    }
    return best;
}

}  // namespace torch_ir
