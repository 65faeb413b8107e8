// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "elementwise.hpp"
#include "parallel.hpp"
#include "verification/compare.hpp"
#include "verification/shared_memory.hpp"

namespace torch_ir {
namespace {

/// Random number `i` of a stream, of mean 0 and variance 1; it depends on nothing else, so that verdicts repeat.
inline double noise(std::uint64_t stream, std::uint64_t i) {
    std::uint64_t z = (stream + i) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    const auto sum = static_cast<std::int64_t>((z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48));
    return (static_cast<double>(sum) - 131070) * (1.7320508075688772 / 65536);  // four uniforms
}

/// to[i] = value[i] + sigma[i] * noise; what is not finite stays as it is.
template <class To, class From, class Sigma>
void shake(To* to, const From* value, const Sigma* sigma, std::uint64_t stream, std::int64_t n) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
        const double shaken = value[i] + static_cast<double>(sigma[i]) * noise(stream, static_cast<std::uint64_t>(i));
        to[i] = static_cast<To>(shaken - shaken == 0 ? shaken : static_cast<double>(value[i]));
    }
}

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

/// The candidate's tensor in the shape of the graph, and what had to be done; undefined when it has another size.
std::pair<Tensor, std::string> match_layout(const Tensor& candidate, const Tensor& expected) {
    const Ints& shape = expected.shape();
    if (candidate.shape() == shape) return {candidate, ""};
    if (candidate.dim() == expected.dim() && candidate.dim() <= 6) {
        std::vector<std::int64_t> order(shape.size());
        std::iota(order.begin(), order.end(), 0);
        std::pair<Tensor, std::string> best;
        double least = 0;
        do {
            bool fits = true;
            for (std::size_t d = 0; d < order.size(); ++d)
                fits = fits && candidate.shape()[static_cast<std::size_t>(order[d])] == shape[d];
            if (!fits) continue;
            const Tensor permuted = candidate.permute(order);
            const Comparison found = compare(permuted.to(wide), expected.to(wide), {0, 0});
            if (best.first.defined() && found.mean_abs >= least) continue;
            least = found.mean_abs;
            best = {permuted, "permuted " + to_string(order)};
        } while (std::next_permutation(order.begin(), order.end()));
        if (best.first.defined()) return best;
        // Padded to a larger size at the end.
        if (std::equal(shape.begin(), shape.end(), candidate.shape().begin(),
                       [](std::int64_t a, std::int64_t b) { return a <= b; })) {
            Tensor cut = candidate;
            for (std::size_t d = 0; d < shape.size(); ++d) cut = cut.narrow(static_cast<std::int64_t>(d), 0, shape[d]);
            return {cut, "padded to " + to_string(candidate.shape())};
        }
    }
    if (candidate.numel() == expected.numel())
        return {candidate.reshape(std::span<const std::int64_t>(shape)), "of shape " + to_string(candidate.shape())};
    return {};
}

class Locator {
  public:
    Locator(const Interpreter& model, const NamedTensors& candidate, const LocateOptions& options)
        : model_(model),
          plan_(model.unfused_plan()),
          graph_(plan_.graph()),
          options_(options),
          memory_(plan_),
          known_(graph_.values.size()) {
        name_candidates(candidate);
    }

    LocateResult run(std::vector<IValue> user_inputs) {
        walk(std::move(user_inputs));
        if (result_.findings.empty())
            throw ArgumentError("none of the candidate's tensors has the name of a value of the graph" +
                                (result_.unknown.empty() || graph_.nodes.empty()
                                     ? std::string()
                                     : " (the first is '" + result_.unknown.front() + "'; the graph begins with '" +
                                           graph_.value(graph_.nodes[0].output_values().at(0)).name + "')"));
        return std::move(result_);
    }

    /// Without a candidate: what the outputs should be.
    std::vector<OutputReference> run_outputs(std::vector<IValue> user_inputs) {
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
                if (known.is_region() && !known.sigma.defined()) widen(reference.reference, reference.probes);
            }
            references.push_back(std::move(reference));
        }
        return references;
    }

  private:
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

    void take_inputs(std::vector<IValue> inputs) {
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const auto* ref = graph_.inputs[i].get_if<ValueRef>();
            if (!ref) continue;
            const Value& value = graph_.value(*ref);
            if (value.kind != ValueKind::Tensor)
                if (const auto* tensor = std::get_if<Tensor>(&inputs[i])) inputs[i] = to_ivalue(tensor->item());
            known_[ref->id].values = {std::move(inputs[i])};
            if (candidates_.contains(ref->id))
                settle(ref->id, nullptr, nullptr, 0, {known_[ref->id].values[0], {}, {}});
            if (const auto* tensor = std::get_if<Tensor>(&known_[ref->id].values[0]))
                memory_.add_input(ref->id, tensor->shape());
        }
    }

    OpCall call_of(const Step& step, std::size_t variant) const {
        IValue narrow;
        const auto value_of = [&](std::uint32_t slot) -> const IValue& {
            const IValue& value = known_[slot].variant(variant);
            const auto* tensor = std::get_if<Tensor>(&value);
            // The graph inside a higher-order op may name dtypes, and some ops show bits: they get what the graph has.
            if ((step.op && !shows_bits(step)) || !tensor || !tensor->defined()) return value;
            narrow = tensor->to(graph_.values[slot].meta.dtype);
            return narrow;
        };
        std::vector<IValue> args;
        for (std::size_t i = 0; i < step.args.size(); ++i) args.push_back(bind_argument(step, i, value_of));
        return {step, std::move(args)};
    }

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
        const bool exact = is_exact(call, dtypes);
        std::vector<Reference> references =
            exact && region ? exact_results(call) : reference(call, dtypes, options_.profile);
        std::vector<std::vector<IValue>> probes;  // [probe][return]
        if (region || !exact) probes = probe(step, index, region, references, dtypes);
        if (region && has_result(step, true))
            for (std::size_t i = 0; i < references.size(); ++i) {
                std::vector<IValue> results;
                for (const auto& values : probes)
                    if (i < values.size()) results.push_back(values[i]);
                widen(references[i], results);
            }
        store(step, call, references, probes, region, absent);
        if (body_writes(step)) take_writes(step, call);
        if (!memory_.active()) return;
        memory_.add_results(step, call,
                            [&](std::uint32_t slot) { return value_tensor(known_[slot].values.at(0)).shape(); });
        for (const SharedMemory::Change& change : memory_.changes(step))
            overwrite(known_[change.slot], known_[step.outputs[0][0]], change.source);
    }

    /// What the body of a higher-order op writes to its arguments is what they hold from then on.
    void take_writes(const Step& step, const OpCall& call) {
        const std::vector<IValue> args = call.writable_arguments();
        call.run_on(args);
        const auto take = [&](std::uint32_t slot, const Tensor& before, const Tensor& now) {
            if (slot == BoundArgument::no_slot || !now.defined() || same_bits(before, now)) return;
            known_[slot].values = {now};
            for (const SharedMemory::Change& change : memory_.changes(slot))
                overwrite(known_[change.slot], known_[slot], change.source);
        };
        for (std::size_t i = 0; i < args.size(); ++i) {
            if (const auto* tensor = std::get_if<Tensor>(&args[i]))
                take(step.args[i].slot, std::get<Tensor>(call.args()[i]), *tensor);
            if (const auto* list = std::get_if<TensorList>(&args[i]))
                for (std::size_t k = 0; k < std::min(list->size(), step.args[i].elements.size()); ++k)
                    take(step.args[i].elements[k].slot, std::get<TensorList>(call.args()[i])[k], (*list)[k]);
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
        for (IValue& value : (as_it_is ? call : call.in_double()).run())
            references.push_back({std::move(value), {}, {}});
        return references;
    }

    /// Results with random rounding, in the precision of the model: of the operands' variants, where they have some,
    /// else of the reference.
    std::vector<std::vector<IValue>> probe(const Step& step, std::size_t index, bool region,
                                           const std::vector<Reference>& references,
                                           const std::vector<DType>& dtypes) const {
        if (!region && !has_result(step, false)) return {};
        std::vector<std::vector<IValue>> probes;
        for (int p = 0; p < options_.probes; ++p) {
            std::vector<IValue> values;
            if (region)
                values = call_of(step, static_cast<std::size_t>(p) + 1).run();
            else
                for (const Reference& r : references) values.push_back(r.value);
            for (std::size_t i = 0; i < std::min(values.size(), references.size()); ++i) {
                auto* tensor = std::get_if<Tensor>(&values[i]);
                const Tensor& sigma = references[i].sigma;
                if (!tensor || !sigma.defined() || real_view(*tensor).shape() != sigma.shape()) continue;
                *tensor = shaken(*tensor, sigma, (index * 64 + static_cast<std::size_t>(p)) * 8 + i + 1, dtypes[i]);
            }
            probes.push_back(std::move(values));
        }
        return probes;
    }

    /// As a tensor of `dtype`.
    static Tensor shaken(const Tensor& tensor, const Tensor& sigma, std::uint64_t stream, DType dtype) {
        if (is_complex(tensor.dtype())) {
            const Tensor copy = tensor.to(DType::Complex128).clone();
            const Tensor noisy = shaken(real_view(copy), sigma, stream, wide);
            real_view(copy).copy_from(noisy);
            return copy.to(dtype);
        }
        const DType computed = tensor.dtype() == wide ? wide : DType::Float32;
        const Tensor value = tensor.to(computed).contiguous();
        const Tensor spread = sigma.contiguous();
        Tensor noisy = Tensor::empty(tensor.shape(), dtype == DType::Float32 ? dtype : wide);
        visit_float(noisy.dtype(), "shaken", [&]<class To>(To) {
            visit_float(computed, "shaken", [&]<class From>(From) {
                visit_float(spread.dtype(), "shaken", [&]<class Sigma>(Sigma) {
                    parallel_for(noisy.numel(), parallel_grain, [&](std::int64_t begin, std::int64_t end) {
                        shake(noisy.data<To>() + begin, value.data<From>() + begin, spread.data<Sigma>() + begin,
                              stream + (static_cast<std::uint64_t>(begin) << 32), end - begin);
                    });
                });
            });
        });
        return noisy.to(dtype);
    }

    /// Some result of the step is one that the candidate shows, or one that it does not show.
    bool has_result(const Step& step, bool shown) const {
        for (const auto& slots : step.outputs)
            for (const std::uint32_t slot : slots)
                if (candidates_.contains(slot) == shown) return true;
        return false;
    }

    /// Sigma from the spread of the probes.
    static void widen(Reference& reference, const std::vector<IValue>& probes) {
        auto* base = std::get_if<Tensor>(&reference.value);
        if (!base || !(is_floating_point(base->dtype()) || is_complex(base->dtype()))) return;
        *base = to_double(*base);
        detail::Scatter scatter(real_view(*base));
        for (const IValue& probe : probes)
            if (const auto* other = std::get_if<Tensor>(&probe); other && other->shape() == base->shape())
                scatter.add(*other);
        reference.sigma = reference.bound = scatter.sigma(probes.size());
    }

    void store(const Step& step, const OpCall& call, std::vector<Reference>& references,
               std::vector<std::vector<IValue>>& probes, bool region, std::vector<const Node*> absent) {
        absent.push_back(step.node);
        for (std::size_t i = 0; i < step.outputs.size(); ++i) {
            const auto& slots = step.outputs[i];
            for (std::size_t k = 0; k < slots.size(); ++k) {
                const auto element = [&](const IValue& value) -> IValue {
                    const auto* list = std::get_if<TensorList>(&value);
                    return step.output_is_list[i] && list ? IValue((*list)[k]) : value;
                };
                Known& known = known_[slots[k]];
                const IValue value = element(references[i].value);
                known.values = {outputs_.contains(slots[k]) ? value : kept(value, graph_.values[slots[k]].meta.dtype)};
                for (const auto& values : probes) known.values.push_back(element(values[i]));
                if (region || !references[i].is_exact()) known.absent = absent;
                if (outputs_.contains(slots[k]) && !region) {
                    known.sigma = references[i].sigma;
                    known.bound = references[i].bound;
                }
                if (candidates_.contains(slots[k])) {
                    Reference one{value, references[i].sigma, references[i].bound, references[i].independent};
                    settle(slots[k], &step, region ? nullptr : &call, i, one);
                } else if (std::holds_alternative<Tensor>(value)) {
                    ++result_.absent;
                }
            }
        }
    }

    /// What later nodes compute with in place of a float64 result: float32 unless the graph has more. That rounding is
    /// in the spread of the probes, which are compared with what follows from it; and products of float32 are faster.
    static IValue kept(const IValue& value, DType dtype) {
        const auto* tensor = std::get_if<Tensor>(&value);
        return tensor && tensor->dtype() == wide && dtype != wide ? IValue(tensor->to(DType::Float32)) : value;
    }

    /// Judges the candidate's tensor and goes on with it.
    void settle(std::uint32_t slot, const Step* step, const OpCall* call, std::size_t index,
                const Reference& reference) {
        const Tensor expected = value_tensor(reference.value);
        if (!expected.defined()) return;
        const bool region = step && !call;
        Finding finding;
        finding.value = graph_.values[slot].name;
        if (step) finding.node = step->node;
        if (region) {
            finding.absent = known_[slot].absent;
            if (!finding.absent.empty()) finding.absent.pop_back();  // the node itself
        }
        auto [tensor, layout] = match_layout(candidates_.at(slot), expected);
        if (!tensor.defined()) {
            finding.rounding.verdict = Verdict::Wrong;
            finding.rounding.reason =
                "expected shape " + to_string(expected.shape()) + ", found " + to_string(candidates_.at(slot).shape());
            result_.findings.push_back(std::move(finding));
            return;
        }
        finding.layout = layout;
        if (!call || !leaves_values_undefined(call->step().node->op_type))
            finding.rounding = judge_rounding(tensor, reference, region, options_.profile);
        if (finding.rounding.verdict != Verdict::Explained && step && is_tie(*step, slot, tensor, expected))
            finding.rounding = {};
        if (finding.rounding.verdict != Verdict::Explained && call && options_.hypotheses)
            finding.hypotheses = explain(*call, output_dtypes(*step), index, tensor, finding.rounding, reference);
        result_.findings.push_back(std::move(finding));
        const TensorMeta& meta = graph_.values[slot].meta;
        known_[slot].values = {graph_.values[slot].kind == ValueKind::Tensor
                                   ? IValue(tensor.to(meta.dtype).contiguous())
                                   : to_ivalue(tensor.item())};
        known_[slot].absent.clear();
    }

    /// Indices of extremes: any position of the same value will do.
    bool is_tie(const Step& step, std::uint32_t slot, const Tensor& candidate, const Tensor& expected) const {
        if (graph_.values[slot].meta.dtype != DType::Int64 || candidate.shape() != expected.shape()) return false;
        static const std::set<std::string, std::less<>> names{
            "argmax", "argmin", "max", "min", "topk", "sort", "max_pool2d_with_indices"};
        const OpCall call = call_of(step, 0);
        if (!names.contains(call.base_name())) return false;
        const Tensor self = call.tensor("self");
        const IValue* dim = call.find("dim");
        if (!self.defined() || call.base_name() == "max_pool2d_with_indices") return false;
        const bool whole = !dim || std::holds_alternative<None>(*dim);
        const Tensor source = (whole ? self.reshape({-1}) : self).to(wide);
        const std::int64_t along = whole ? 0 : source.wrap_dim(to_scalar(*dim).to<std::int64_t>());
        const auto to_rows = [&](const Tensor& tensor) {
            std::vector<std::int64_t> order;
            for (std::int64_t d = 0; d < tensor.dim(); ++d)
                if (d != along) order.push_back(d);
            if (tensor.dim() > 0) order.push_back(along);
            return tensor.permute(order).contiguous();
        };
        const Tensor rows = to_rows(source);
        const std::int64_t length = rows.size(-1);
        const auto indices = [&](const Tensor& tensor) {
            const Tensor t = tensor.to(DType::Int64);
            return t.dim() == source.dim() ? to_rows(t) : t.contiguous();
        };
        const Tensor a = indices(candidate);
        const Tensor b = indices(expected);
        if (length == 0 || a.numel() % std::max<std::int64_t>(1, rows.numel() / length) != 0) return false;
        const std::int64_t per_row = a.numel() / (rows.numel() / length);
        for (std::int64_t i = 0; i < a.numel(); ++i) {
            const std::int64_t at = a.data<std::int64_t>()[i];
            if (at < 0 || at >= length) return false;
            const double* row = rows.data<double>() + i / per_row * length;
            if (row[at] != row[b.data<std::int64_t>()[i]]) return false;
        }
        return true;
    }

    const Interpreter& model_;
    const Plan& plan_;
    const Graph& graph_;
    const LocateOptions& options_;
    SharedMemory memory_;
    std::vector<Known> known_;
    std::map<std::uint32_t, Tensor> candidates_;
    std::set<std::uint32_t> outputs_;
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
                                               const LocateOptions& options) {
    return Locator(model, {}, options).run_outputs(std::move(user_inputs));
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
            const RoundingVerdict other = judge_rounding(candidate, {probe, {}, {}}, true, profile);
            if (other.verdict == Verdict::Explained) return other;
            verdict.verdict = Verdict::Suspicious;
        }
    return verdict;
}

LocateResult locate(const Interpreter& model, std::vector<IValue> user_inputs, const NamedTensors& candidate,
                    const LocateOptions& options) {
    return Locator(model, candidate, options).run(std::move(user_inputs));
}

}  // namespace torch_ir
