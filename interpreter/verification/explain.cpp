// SPDX-License-Identifier: MIT
// The catalogue of hypotheses about a node that is not explained by rounding.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>

#include "elementwise.hpp"
#include "verification/compare.hpp"
#include "verification/locate.hpp"

namespace torch_ir {
namespace {

std::string text(double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%g", value);
    return buffer;
}

class Catalogue {
  public:
    Catalogue(const OpCall& call, std::span<const DType> dtypes, std::size_t index, const Tensor& candidate,
              const Finding& finding, const Reference& reference)
        : call_(call),
          dtypes_(dtypes),
          index_(index),
          candidate_(candidate),
          finding_(finding),
          reference_(reference) {}

    std::vector<Hypothesis> run() {
        if (call_.step().op) {
            try_arguments();
            if (!finding_.part.is_known()) try_precision();
        }
        try_results();
        // What reproduces the candidate to float32's rounding says more than what merely allows as much.
        std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
            if (a.hypothesis.verdict != b.hypothesis.verdict) return a.hypothesis.verdict < b.hypothesis.verdict;
            if (a.coarse != b.coarse) return !a.coarse;
            const auto distance = [](double rms) { return std::fabs(std::log((rms + 1e-9) / 0.7)); };
            return distance(a.hypothesis.rms_q) < distance(b.hypothesis.rms_q);
        });
        std::vector<Hypothesis> hypotheses;
        for (const Found& found : found_) hypotheses.push_back(found.hypothesis);
        return hypotheses;
    }

  private:
    struct Found {
        Hypothesis hypothesis;
        bool coarse;  // by a coarser arithmetic than float32
    };

    /// The upper 10 bits of fractions, after `half` a unit of them is added: GPUs round ties away from zero.
    static Tensor to_tf32(const Tensor& tensor, std::uint32_t half) {
        return elementwise<double>(
            wide,
            [half](double x) {
                const auto narrow = static_cast<float>(x);
                if (!std::isfinite(narrow)) return x;
                const auto bits = (std::bit_cast<std::uint32_t>(narrow) + half) & ~std::uint32_t{0x1FFF};
                return static_cast<double>(std::bit_cast<float>(bits));
            },
            tensor.to(wide));
    }

    static bool is_coarse(const RoundingProfile& profile) {
        const RoundingProfile plain;
        return profile.accumulator > plain.accumulator || profile.storage > plain.storage ||
               profile.convolution > plain.convolution;
    }

    /// Keeps a hypothesis that explains the candidate, or comes fifty times nearer. `fits`: it is known to be more than
    /// coarse enough.
    void keep(const std::string& name, const Reference& reference, const RoundingProfile& profile, bool fits = false) {
        const auto* value = std::get_if<Tensor>(&reference.value);
        const bool fitting =
            reference.blocks ? reference.shape == candidate_.shape() : value && value->shape() == candidate_.shape();
        if (!fitting) return;
        const RoundingVerdict verdict = judge_rounding(candidate_, reference, false, profile);
        const bool nearer = verdict.rms_q * 50 < finding_.rounding.rms_q;
        if (is_coarse(profile) && !fits && verdict.rms_q < 0.05) return;  // so coarse that it would explain anything
        if (verdict.verdict == Verdict::Explained || (verdict.verdict == Verdict::Suspicious && nearer))
            found_.push_back({{name, verdict.verdict, verdict.rms_q}, is_coarse(profile) && !fits});
    }

    void try_call(const std::string& name, const OpCall& call, const RoundingProfile& profile = {}, bool fits = false) {
        try {
            const std::vector<Reference> references = reference(call, dtypes_, profile);
            if (index_ < references.size()) keep(name, references[index_], profile, fits);
        } catch (const Error&) {
            // The op does not take such an argument.
        }
    }

    void try_arguments() {
        const auto& parameters = call_.step().op->schema.parameters;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            const SchemaParameter& parameter = parameters[i];
            const IValue& value = call_.args()[i];
            const std::string& name = parameter.name;
            if (const auto* flag = std::get_if<bool>(&value))
                try_call(name + (*flag ? "=False" : "=True"), call_.with(name, !*flag));
            if (name == "eps" || name == "epsilon")
                for (const double eps : {1e-3, 1e-5, 1e-6, 1e-8, 1e-12, 0.0})
                    if (eps != call_.number(name, -1)) try_call("eps=" + text(eps), call_.with(name, eps));
            if (name == "approximate")
                if (const auto* kind = std::get_if<std::string>(&value))
                    try_call(*kind == "none" ? "tanh gelu" : "erf gelu",
                             call_.with(name, std::string(*kind == "none" ? "tanh" : "none")));
            if (name == "scale") try_call("scale missing", call_.with(name, 1.0));
            if (name == "dim")
                if (const auto* dim = std::get_if<std::int64_t>(&value))
                    for (std::int64_t d = 0; d < candidate_.dim(); ++d)
                        if (d != *dim) try_call("dim=" + std::to_string(d), call_.with(name, d));
            const auto* tensor = std::get_if<Tensor>(&value);
            if (!tensor || !tensor->defined()) continue;
            if (parameter.type.optional) try_call(name + " missing", call_.with(name, None{}));
            if (name == "self" && call_.find("beta") && call_.find("mat1"))
                try_call("bias missing", call_.with("beta", std::int64_t{0}));
            if (tensor->dim() >= 2 && tensor->size(-1) == tensor->size(-2))
                try_call(name + " transposed", call_.with(name, tensor->transpose(-1, -2)));
            if (tensor->dim() == 4 && tensor->size(0) == tensor->size(1))
                try_call(name + " with its first dimensions swapped", call_.with(name, tensor->transpose(0, 1)));
        }
    }

    void try_precision() {
        struct Format {
            const char* name;
            double u;
            DType dtype;  // float32: no dtype of its own
        };
        constexpr Format formats[] = {
            {"f16", 0x1p-11, DType::Float16}, {"tf32", 0x1p-11, DType::Float32}, {"bf16", 0x1p-8, DType::BFloat16}};
        for (const Format& format : formats) {
            const auto rounded = [&](const Tensor& tensor) {
                return format.dtype == DType::Float32 ? to_tf32(tensor, 0x1000) : tensor.to(format.dtype).to(wide);
            };
            try_call(std::string(format.name) + " inputs", call_.map_tensors(rounded));
            if (format.dtype == DType::Float32)
                try_call("truncated tf32 inputs", call_.map_tensors([](const Tensor& t) { return to_tf32(t, 0); }));
            RoundingProfile stored;
            stored.storage = format.u;
            // Where rounding changes nothing, it has been done.
            const bool is_rounded =
                candidate_.dtype() == DType::Float32 && same_bits(rounded(candidate_), candidate_.to(wide));
            try_call(std::string("rounded to ") + format.name, call_, stored, is_rounded);
            RoundingProfile accumulated;
            accumulated.accumulator = format.u;
            if (format.dtype != DType::Float32)
                try_call(std::string("accumulated in ") + format.name, call_, accumulated);
        }
        RoundingProfile winograd;
        winograd.convolution = 20;
        if (call_.base_name().starts_with("conv")) try_call("Winograd", call_, winograd);
    }

    /// What was done to the result, or instead of the call.
    void try_results() {
        const auto* y = std::get_if<Tensor>(&reference_.value);
        if (!y || !is_floating_point(y->dtype())) return;
        for (std::int64_t a = 0; a < y->dim(); ++a)
            for (std::int64_t b = a + 1; b < y->dim(); ++b)
                if (y->size(a) == y->size(b) && y->size(a) > 1) {
                    Reference swapped = reference_;
                    swapped.value = y->transpose(a, b);
                    if (!swapped.is_exact()) {
                        swapped.sigma = swapped.sigma.transpose(a, b);
                        swapped.bound = swapped.bound.transpose(a, b);
                    }
                    keep("axes " + std::to_string(a) + " and " + std::to_string(b) + " swapped", swapped, {});
                }
        for (const IValue& arg : call_.args())
            if (const auto* tensor = std::get_if<Tensor>(&arg);
                tensor && tensor->defined() && tensor->shape() == y->shape() && is_floating_point(tensor->dtype()))
                keep("not applied: equals its input", {tensor->to(wide)}, {});
        keep("zeros", {Tensor::zeros(y->shape(), wide)}, {});
        const Tensor c = candidate_.to(wide).contiguous();
        const Tensor dense = y->to(wide).contiguous();
        for (std::int64_t d = 0; d < dense.dim(); ++d) try_order_of_slices(d, c, dense);
        if (reference_.is_exact()) return;
        double products = 0;
        double squares = 0;
        double differences = 0;
        std::int64_t finite = 0;
        for (std::int64_t i = 0; i < dense.numel(); ++i) {
            const double v = dense.data<double>()[i];
            const double w = c.data<double>()[i];
            if (!std::isfinite(v) || !std::isfinite(w)) continue;
            products += v * w;
            squares += v * v;
            differences += w - v;
            ++finite;
        }
        if (finite >= 4) {
            const double offset = differences / static_cast<double>(finite);
            Reference moved = reference_;
            moved.value = elementwise<double>(
                wide, [=](double v) { return v + offset; }, *y);
            keep("off by " + text(offset) + " everywhere", moved, {});
        }
        const double factor = squares > 0 ? products / squares : 1;
        if (dense.numel() >= 4 && std::fabs(factor - 1) > 1e-5 && std::fabs(factor) > 1e-6) {
            Reference scaled = reference_;
            scaled.value = elementwise<double>(
                wide, [=](double v) { return factor * v; }, *y);
            const auto grow = [=](double v) { return std::fabs(factor) * v; };
            scaled.sigma = elementwise<double>(wide, grow, scaled.sigma);
            scaled.bound = elementwise<double>(wide, grow, scaled.bound);
            keep("scaled by " + text(factor), scaled, {});
        }
    }

    /// Whether slices of dimension `dim` of the candidate are those of the result, but in other places.
    void try_order_of_slices(std::int64_t dim, const Tensor& candidate, const Tensor& result) {
        const std::int64_t n = result.size(dim);
        if (n < 2 || n > 4096 || candidate.shape() != result.shape()) return;
        const std::vector<double> found = fingerprints(candidate, dim);
        const std::vector<double> expected = fingerprints(result, dim);
        const auto is_finite = [](double sum) { return std::isfinite(sum); };
        if (!std::all_of(found.begin(), found.end(), is_finite) ||
            !std::all_of(expected.begin(), expected.end(), is_finite))
            return;
        const auto at = [](const std::vector<double>& list, std::int64_t i) {
            return list[static_cast<std::size_t>(i)];
        };
        Ints sorted(static_cast<std::size_t>(n));
        std::iota(sorted.begin(), sorted.end(), 0);
        std::sort(sorted.begin(), sorted.end(),
                  [&](std::int64_t a, std::int64_t b) { return at(expected, a) < at(expected, b); });
        Ints order;
        Ints moved;
        std::set<std::int64_t> taken;
        for (std::int64_t i = 0; i < n; ++i) {
            const double sum = at(found, i);
            const auto distance = [&](std::int64_t j) { return std::fabs(at(expected, j) - sum); };
            auto near = std::lower_bound(sorted.begin(), sorted.end(), sum,
                                         [&](std::int64_t j, double value) { return at(expected, j) < value; });
            if (near == sorted.end() || (near != sorted.begin() && distance(*(near - 1)) < distance(*near))) --near;
            order.push_back(distance(i) <= 1e-5 * std::fabs(sum) ? i : *near);
            if (order.back() != i) moved.push_back(i);
            if (!taken.insert(order.back()).second) return;
        }
        if (moved.empty()) return;
        const auto reorder = [&](const Tensor& tensor) {
            if (!tensor.defined()) return tensor;
            Tensor reordered = Tensor::empty(tensor.shape(), tensor.dtype());
            for (std::int64_t i = 0; i < n; ++i)
                reordered.narrow(dim, i, 1).copy_from(tensor.narrow(dim, order[static_cast<std::size_t>(i)], 1));
            return reordered;
        };
        Reference reordered = reference_;
        reordered.value = reorder(std::get<Tensor>(reference_.value));
        reordered.sigma = reorder(reference_.sigma);
        reordered.bound = reorder(reference_.bound);
        keep(order_text(dim, order, moved), reordered, {});
    }

    /// A sum over every slice that tells it from the others.
    static std::vector<double> fingerprints(const Tensor& contiguous, std::int64_t dim) {
        const std::int64_t n = contiguous.size(dim);
        std::int64_t inner = 1;
        for (std::int64_t d = dim + 1; d < contiguous.dim(); ++d) inner *= contiguous.size(d);
        std::vector<double> sums(static_cast<std::size_t>(n));
        const double* x = contiguous.data<double>();
        for (std::int64_t outer = 0; outer < contiguous.numel() / (n * inner); ++outer)
            for (double& sum : sums)
                for (std::int64_t k = 0; k < inner; ++k) {
                    const auto mixed = static_cast<std::uint32_t>(outer * inner + k) * 0x9E3779B1U;
                    sum += (0x1p31 + mixed) * 0x1p-32 * *x++;
                }
        return sums;
    }

    static std::string order_text(std::int64_t dim, const Ints& order, const Ints& moved) {
        const auto n = static_cast<std::int64_t>(order.size());
        const std::string along = " dim " + std::to_string(dim);
        if (moved.size() == 2)
            return "slices " + std::to_string(moved[0]) + " and " + std::to_string(moved[1]) + " of" + along +
                   " swapped";
        const std::int64_t shift = (n - order[0]) % n;
        bool is_rolled = true;
        bool is_flipped = true;
        for (std::int64_t i = 0; i < n; ++i) {
            is_rolled &= order[static_cast<std::size_t>(i)] == (i - shift + n) % n;
            is_flipped &= order[static_cast<std::size_t>(i)] == n - 1 - i;
        }
        return is_rolled    ? "rolled by " + std::to_string(shift) + " along" + along
               : is_flipped ? "flipped along" + along
                            : "slices of" + along + " in another order";
    }

    const OpCall& call_;
    std::span<const DType> dtypes_;
    std::size_t index_;
    const Tensor& candidate_;
    const Finding& finding_;
    const Reference& reference_;
    std::vector<Found> found_;
};

}  // namespace

std::vector<Hypothesis> explain(const OpCall& call, std::span<const DType> output_dtypes, std::size_t index,
                                const Tensor& candidate, const Finding& finding, const Reference& reference) {
    return Catalogue(call, output_dtypes, index, candidate, finding, reference).run();
}

bool is_tie(const OpCall& call, const Tensor& candidate, const Tensor& expected) {
    if (expected.dtype() != DType::Int64 || candidate.shape() != expected.shape()) return false;
    static const std::set<std::string, std::less<>> names{"argmax", "argmin", "max", "min", "topk", "sort"};
    const Tensor self = call.tensor("self");
    if (!names.contains(call.base_name()) || !self.defined()) return false;
    const IValue* dim = call.find("dim");
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

}  // namespace torch_ir
