// SPDX-License-Identifier: MIT
#include "verification/locate.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "verification/compare.hpp"
#include "verification/dump.hpp"
#include "verification/probes.hpp"
#include "verification/walk.hpp"

namespace torch_ir {
namespace {

/// How a dump is rounded whose numbers are all of a coarser dtype than the graph's.
struct DumpRounding {
    std::optional<DType> dtype;
    bool written_only = false;  // what was computed went on unrounded
};

class Locator : Walk {
  public:
    Locator(const Interpreter& model, const NamedTensors& candidate, const LocateOptions& options,
            const DumpRounding& rounding = {})
        : Walk(model, options), hypotheses_(options.hypotheses), rounding_(rounding) {
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

    bool is_given(std::uint32_t slot) const override { return candidates_.contains(slot); }

    void took_input(std::uint32_t slot) override {
        if (!candidates_.contains(slot)) return;
        Reference given{known_[slot].values[0]};
        if (auto* tensor = std::get_if<Tensor>(&given.value); tensor && rounding_.dtype && is_rounded(slot, *tensor))
            *tensor = tensor->to(*rounding_.dtype);
        settle(slot, nullptr, nullptr, 0, given);
    }

    void took_result(std::uint32_t slot, const Step& step, const OpCall* call, std::size_t index,
                     Reference& reference) override {
        if (candidates_.contains(slot)) {
            settle(slot, &step, call, index, reference);
        } else if (const auto* tensor = std::get_if<Tensor>(&reference.value)) {
            ++result_.absent;
            names_->look_for(graph_.values[slot].name, *tensor);
        }
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
                if (call && hypotheses_)
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

    bool hypotheses_;
    DumpRounding rounding_;
    std::map<std::uint32_t, Tensor> candidates_;
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
