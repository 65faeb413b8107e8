// SPDX-License-Identifier: MIT
// Distinct values, membership, and histograms.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "half.hpp"
#include "kernels/families.hpp"
#include "kernels/fits.hpp"
#include "kernels/sort.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using Three = std::tuple<Tensor, Tensor, Tensor>;

/// Which of the items in `order` start a run of equal ones; from that: the first items, every item's run, lengths.
struct Runs {
    Ints first;
    Tensor inverse;
    Tensor counts;
};

template <class Equal>
Runs runs_of(const Ints& order, bool with_inverse, bool with_counts, Equal equal) {
    Runs r;
    const auto n = static_cast<std::int64_t>(order.size());
    r.inverse = Tensor::empty({with_inverse ? n : 0}, DType::Int64);
    Ints counts;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i == 0 || !equal(order[i - 1], order[i])) {
            r.first.push_back(order[i]);
            counts.push_back(0);
        }
        ++counts.back();
        if (with_inverse) r.inverse.data<std::int64_t>()[order[i]] = static_cast<std::int64_t>(r.first.size()) - 1;
    }
    r.counts = Tensor::from_ints(with_counts ? std::span<const std::int64_t>(counts) : std::span<const std::int64_t>());
    return r;
}

Ints ascending(std::int64_t n) {
    Ints order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    return order;
}

/// Distinct elements; NaNs are all distinct. `sorted`: of the whole tensor, else of neighbours.
Three unique_values(const char* op, const Tensor& self, bool sorted, bool with_inverse, bool with_counts) {
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const Tensor x = self.contiguous().to(dtype_of<C>());
        const C* v = x.data<C>();
        Ints order = ascending(self.numel());
        if (sorted) {
            std::vector<Ranked<C>> row(order.size());
            for (std::size_t i = 0; i < row.size(); ++i) row[i] = {v[i], order[i]};
            sort_as_torch(row, false);
            std::ranges::transform(row, order.begin(), &Ranked<C>::index);
        }
        Runs runs =
            runs_of(order, with_inverse, with_counts, [v](std::int64_t a, std::int64_t b) { return v[a] == v[b]; });
        Tensor values = Tensor::empty({static_cast<std::int64_t>(runs.first.size())}, dtype_of<C>());
        for (std::size_t i = 0; i < runs.first.size(); ++i) values.data<C>()[i] = v[runs.first[i]];
        if (with_inverse) runs.inverse = runs.inverse.reshape(std::span<const std::int64_t>(self.shape()));
        return Three(values.to(self.dtype()), runs.inverse, runs.counts);
    });
}

/// Distinct slices along `dim`, in lexicographic order when `sorted`; always with inverse and counts, as in PyTorch.
Three unique_slices(const char* op, const Tensor& self, std::int64_t dim, bool sorted) {
    const std::int64_t n = self.size(dim);  // a 0-d tensor has none
    const std::int64_t d = self.wrap_dim(dim);
    if (self.numel() == 0) {
        const std::int64_t empty = std::count(self.shape().begin(), self.shape().end(), 0);
        if (n != 0 || empty != 1)
            throw ArgumentError(std::string(op) + ": expected no empty dimension but 'dim', found " + describe(self));
        return {Tensor::empty(self.shape(), self.dtype()), Tensor::empty({0}, DType::Int64),
                Tensor::empty({0}, DType::Int64)};
    }
    return visit_real(self.dtype(), op, [&]<class C>(C) {
        const Tensor x = movedim(self, {d}, {0}).contiguous().to(dtype_of<C>());
        const std::int64_t length = x.numel() / n;
        const auto row = [&](std::int64_t i) { return x.data<C>() + i * length; };
        Ints order = ascending(n);
        if (sorted)
            sort_unordered(order, std::int64_t{-1}, [&](std::int64_t a, std::int64_t b) {
                return b >= 0 && std::lexicographical_compare(row(a), row(a) + length, row(b), row(b) + length);
            });
        const Runs runs = runs_of(order, true, true, [&](std::int64_t a, std::int64_t b) {
            return std::equal(row(a), row(a) + length, row(b));
        });
        Ints shape = x.shape();
        shape[0] = static_cast<std::int64_t>(runs.first.size());
        Tensor values = Tensor::empty(shape, dtype_of<C>());
        for (std::size_t i = 0; i < runs.first.size(); ++i)
            std::copy_n(row(runs.first[i]), length, values.data<C>() + static_cast<std::int64_t>(i) * length);
        return Three(movedim(values.to(self.dtype()), {0}, {d}), runs.inverse, runs.counts);
    });
}

std::tuple<Tensor, Tensor> unique(const Tensor& self, bool, bool return_inverse) {
    const auto [values, inverse, counts] = unique_values("_unique", self, true, return_inverse, false);
    return {values, inverse};
}
Three unique2(const Tensor& self, bool, bool return_inverse, bool return_counts) {
    return unique_values("_unique2", self, true, return_inverse, return_counts);
}
Three unique_dim(const Tensor& self, std::int64_t dim, bool, bool, bool) {
    return unique_slices("unique_dim", self, dim, true);
}
Three unique_consecutive(const Tensor& self, bool return_inverse, bool return_counts, std::optional<std::int64_t> dim) {
    if (!dim || (self.dim() == 1 && *dim == 0))
        return unique_values("unique_consecutive", self, false, return_inverse, return_counts);
    return unique_slices("unique_consecutive", self, *dim, false);
}
Three unique_dim_consecutive(const Tensor& self, std::int64_t dim, bool, bool) {
    return unique_slices("unique_dim_consecutive", self, dim, false);
}

Tensor isin(const Tensor& elements, const Tensor& test_elements, bool, bool invert) {
    for (const Tensor* x : {&elements, &test_elements})
        if (x->dtype() == DType::Bool) throw ArgumentError("isin is not defined for bool tensors");
    const DType dtype = result_type(elements, test_elements);
    return visit_real(dtype, "isin", [&]<class C>(C) {
        const Tensor x = elements.to(dtype).to(dtype_of<C>()).contiguous();
        const Tensor test = test_elements.to(dtype).to(dtype_of<C>()).contiguous();
        std::vector<C> sorted;
        for (std::int64_t i = 0; i < test.numel(); ++i)
            if (test.data<C>()[i] == test.data<C>()[i]) sorted.push_back(test.data<C>()[i]);
        std::sort(sorted.begin(), sorted.end());
        Tensor y = Tensor::empty(elements.shape(), DType::Bool);
        for (std::int64_t i = 0; i < x.numel(); ++i) {
            const C v = x.data<C>()[i];
            y.data<bool>()[i] = (v == v && std::binary_search(sorted.begin(), sorted.end(), v)) != invert;
        }
        return y;
    });
}

Tensor bincount(const Tensor& self, const Tensor& weights, std::int64_t minlength) {
    if (minlength < 0)
        throw ArgumentError("bincount: expected 'minlength' of at least 0, found " + std::to_string(minlength));
    const bool weighted = weights.defined();
    if (self.dim() == 1 && self.numel() == 0) return Tensor::zeros({minlength}, DType::Int64);
    if (self.dim() != 1 || !is_integral(self.dtype(), false))
        throw ArgumentError("bincount: expected 'self' to be a 1-d integer tensor, found " + describe(self));
    if (weighted && weights.shape() != self.shape())
        throw ArgumentError("bincount: expected 'weights' of the shape of 'self', found " + describe(weights));
    const Tensor x = self.to(DType::Int64).contiguous();
    const std::int64_t* v = x.data<std::int64_t>();
    const auto [low, high] = std::minmax_element(v, v + x.numel());
    if (*low < 0)
        throw ArgumentError("bincount: expected 'self' without negative values, found " + std::to_string(*low));
    if (*high >= std::int64_t{1} << 40)
        throw ArgumentError("bincount: 'self' holds " + std::to_string(*high) + ", which is too many bins");
    const std::int64_t bins = std::max(*high + 1, minlength);
    if (!weighted) {
        Tensor counts = Tensor::zeros({bins}, DType::Int64);
        for (std::int64_t i = 0; i < x.numel(); ++i) ++counts.data<std::int64_t>()[v[i]];
        return counts;
    }
    const Tensor w = weights.to(DType::Float64).contiguous();
    Tensor sums = Tensor::zeros({bins}, DType::Float64);
    for (std::int64_t i = 0; i < x.numel(); ++i) sums.data<double>()[v[i]] += w.data<double>()[i];
    return weights.dtype() == DType::Float32 ? sums.to(DType::Float32) : sums;
}

// Histograms.

/// n + 1 equidistant edges, rounded as torch.linspace does.
template <class C>
std::vector<C> linear_edges(C low, C high, std::int64_t n) {
    std::vector<C> edges(static_cast<std::size_t>(n) + 1);
    const C step = (high - low) / static_cast<C>(n);
    for (std::int64_t i = 0; i <= n; ++i)
        edges[static_cast<std::size_t>(i)] =
            i < (n + 1) / 2 ? low + step * static_cast<C>(i) : high - step * static_cast<C>(n - i);
    return edges;
}

void check_bins(const char* op, std::int64_t bins) {
    if (bins <= 0 || bins >= std::int64_t{1} << 40)
        throw ArgumentError(std::string(op) + ": expected 'bins' greater than 0, found " + std::to_string(bins));
}

Tensor histc(const Tensor& self, std::int64_t bins, const Scalar& min, const Scalar& max) {
    check_bins("histc", bins);
    check_fits("histc", min, self.dtype());
    check_fits("histc", max, self.dtype());
    return visit_real(self.dtype(), "histc", [&]<class I>(I) {
        using C = std::conditional_t<std::is_same_v<I, std::int64_t>, double, I>;
        const Tensor x = self.to(dtype_of<C>()).contiguous();
        const C* v = x.data<C>();
        // 16-bit floats are rounded at every step.
        const auto r = [dtype = self.dtype()](C value) { return static_cast<C>(round_to(dtype, value)); };
        C low = r(min.to<C>());
        C high = r(max.to<C>());
        if (low == high && x.numel() > 0) {
            low = *std::min_element(v, v + x.numel());
            high = *std::max_element(v, v + x.numel());
        }
        if (low == high) {
            low = r(low - 1);
            high = r(high + 1);
        }
        if (!std::isfinite(low) || !std::isfinite(high) || low > high)
            throw ArgumentError("histc: expected finite 'min' and 'max' with min below max, found " +
                                std::to_string(low) + " and " + std::to_string(high));
        Tensor counts = Tensor::zeros({bins}, DType::Float64);
        const C range = r(high - low);
        const C steps = r(static_cast<C>(bins));
        for (std::int64_t i = 0; i < x.numel(); ++i) {
            if (!(v[i] >= low && v[i] <= high)) continue;
            const auto bin = static_cast<std::int64_t>(r(r(r(v[i] - low) * steps) / range));
            counts.data<double>()[std::min(bin, bins - 1)] += 1;
        }
        return counts.to(self.dtype());
    });
}

struct Histogram {
    Tensor counts;
    TensorList edges;
};

/// The counts of points (rows of `self`, [n, d]) in the cells between edges.
template <class C>
Tensor count_cells(const Tensor& self, const std::vector<std::vector<C>>& edges, const Tensor& weight, bool density) {
    const std::int64_t d = self.size(1);
    const Tensor x = self.to(dtype_of<C>()).contiguous();
    const Tensor w = weight.defined() ? weight.to(DType::Float64).contiguous() : Tensor{};
    Ints shape;
    for (const auto& e : edges) shape.push_back(static_cast<std::int64_t>(e.size()) - 1);
    if (numel_of(shape) >= std::int64_t{1} << 40) throw ArgumentError("histogram: too many 'bins' " + to_string(shape));
    Tensor counts = Tensor::zeros(shape, DType::Float64);
    for (std::int64_t i = 0; i < x.size(0); ++i) {
        std::int64_t cell = 0;
        for (std::int64_t j = 0; j < d && cell >= 0; ++j) {
            const auto& e = edges[static_cast<std::size_t>(j)];
            const C v = x.data<C>()[i * d + j];
            if (!(v >= e.front() && v <= e.back())) {
                cell = -1;
                break;
            }
            const std::int64_t bins = static_cast<std::int64_t>(e.size()) - 1;
            const std::int64_t bin = std::upper_bound(e.begin(), e.end(), v) - e.begin() - 1;
            cell = cell * bins + std::min(bin, bins - 1);
        }
        if (cell >= 0) counts.data<double>()[cell] += w.defined() ? w.data<double>()[i] : 1.0;
    }
    if (density) {
        double total = 0;
        for (std::int64_t i = 0; i < counts.numel(); ++i) total += counts.data<double>()[i];
        for (std::int64_t i = 0; i < counts.numel(); ++i) {
            double volume = 1;
            std::int64_t rest = i;
            for (std::size_t j = edges.size(); j-- > 0;) {
                const auto at = static_cast<std::size_t>(rest % shape[j]);
                rest /= shape[j];
                volume *= static_cast<double>(edges[j][at + 1] - edges[j][at]);
            }
            counts.data<double>()[i] /= total * volume;
        }
    }
    return counts;
}

/// `self` as points [n, d], `weight` being of any shape.
Tensor points_of(const char* op, const Tensor& self, const Tensor& weight, std::int64_t d) {
    if (!is_floating_point(self.dtype()))
        throw ArgumentError(std::string(op) + ": expected 'self' of floating point dtype, found " + describe(self));
    if (weight.defined() &&
        (weight.numel() != self.numel() / std::max<std::int64_t>(d, 1) || weight.dtype() != self.dtype()))
        throw ArgumentError(std::string(op) + ": expected 'weight' for each point in the dtype of 'self', found " +
                            describe(weight));
    return self.reshape({d == 0 ? 0 : self.numel() / d, d});
}

std::int64_t point_size(const char* op, const Tensor& self, std::size_t bins, const Tensor& weight) {
    if (self.dim() < 2 || self.size(-1) != static_cast<std::int64_t>(bins) || bins == 0)
        throw ArgumentError(std::string(op) +
                            ": expected 'self' of at least 2 dimensions whose last one is the number of 'bins' (" +
                            std::to_string(bins) + "), found " + describe(self));
    if (weight.defined() && !std::ranges::equal(weight.shape(), std::span(self.shape()).first(self.shape().size() - 1)))
        throw ArgumentError(std::string(op) +
                            ": expected 'weight' of the shape of 'self' without its last dimension, " + "found " +
                            describe(weight) + " and " + describe(self));
    return self.size(-1);
}

/// Equidistant edges over the range given, else over that of the points.
template <class C>
std::vector<std::vector<C>> edges_of(const char* op, const Tensor& points, const Ints& bins,
                                     const std::optional<Doubles>& range) {
    const std::size_t d = bins.size();
    if (range && range->size() != 2 * d)
        throw ArgumentError(std::string(op) + ": expected 'range' of " + std::to_string(2 * d) + " numbers, found " +
                            std::to_string(range->size()));
    const Tensor x = points.to(dtype_of<C>()).contiguous();
    std::vector<std::vector<C>> edges;
    for (std::size_t j = 0; j < d; ++j) {
        check_bins(op, bins[j]);
        C low = range ? static_cast<C>((*range)[2 * j]) : C(0);
        C high = range ? static_cast<C>((*range)[2 * j + 1]) : C(1);
        if (!range && x.size(0) > 0) {
            low = high = x.data<C>()[j];
            for (std::int64_t i = 1; i < x.size(0); ++i) {
                const C v = x.data<C>()[i * static_cast<std::int64_t>(d) + static_cast<std::int64_t>(j)];
                low = v < low || v != v ? v : low;
                high = v > high || v != v ? v : high;
            }
        }
        if (!std::isfinite(low) || !std::isfinite(high) || low > high)
            throw ArgumentError(std::string(op) + ": expected a finite ascending 'range', found " +
                                std::to_string(low) + " to " + std::to_string(high));
        if (low == high) {
            low -= C(0.5);
            high += C(0.5);
        }
        edges.push_back(linear_edges<C>(low, high, bins[j]));
    }
    return edges;
}

template <class C>
TensorList tensors_of(const std::vector<std::vector<C>>& edges, DType dtype) {
    TensorList result;
    for (const auto& e : edges) {
        Tensor t = Tensor::empty({static_cast<std::int64_t>(e.size())}, dtype_of<C>());
        std::copy(e.begin(), e.end(), t.data<C>());
        result.push_back(t.to(dtype));
    }
    return result;
}

Histogram histogram_counted(const char* op, const Tensor& points, const Ints& bins, const std::optional<Doubles>& range,
                            const Tensor& weight, bool density, bool count) {
    return visit_float(points.dtype(), op, [&]<class C>(C) {
        const auto edges = edges_of<C>(op, points, bins, range);
        return Histogram{count ? count_cells<C>(points, edges, weight, density).to(points.dtype()) : Tensor{},
                         tensors_of<C>(edges, points.dtype())};
    });
}
Histogram histogram_edged(const char* op, const Tensor& points, const TensorList& bins, const Tensor& weight,
                          bool density) {
    return visit_float(points.dtype(), op, [&]<class C>(C) {
        std::vector<std::vector<C>> edges;
        for (const Tensor& b : bins) {
            if (b.dim() != 1 || b.numel() < 2 || b.dtype() != points.dtype())
                throw ArgumentError(std::string(op) +
                                    ": expected 'bins' of at least 2 edges in the dtype of 'self', found " +
                                    describe(b));
            const Tensor e = b.contiguous().to(dtype_of<C>());
            edges.emplace_back(e.data<C>(), e.data<C>() + e.numel());
        }
        return Histogram{count_cells<C>(points, edges, weight, density).to(points.dtype()), bins};
    });
}

std::tuple<Tensor, Tensor> histogram(const Tensor& self, std::int64_t bins, const std::optional<Doubles>& range,
                                     const Tensor& weight, bool density) {
    const Histogram h =
        histogram_counted("histogram", points_of("histogram", self, weight, 1), {bins}, range, weight, density, true);
    return {h.counts, h.edges[0]};
}
std::tuple<Tensor, Tensor> histogram_bins(const Tensor& self, const Tensor& bins, const Tensor& weight, bool density) {
    const Histogram h = histogram_edged("histogram", points_of("histogram", self, weight, 1), {bins}, weight, density);
    return {h.counts, h.edges[0].clone()};
}
std::tuple<Tensor, TensorList> histogramdd(const Tensor& self, const Ints& bins, const std::optional<Doubles>& range,
                                           const Tensor& weight, bool density) {
    const std::int64_t d = point_size("histogramdd", self, bins.size(), weight);
    const Histogram h =
        histogram_counted("histogramdd", points_of("histogramdd", self, weight, d), bins, range, weight, density, true);
    return {h.counts, h.edges};
}
std::tuple<Tensor, TensorList> histogramdd_int(const Tensor& self, std::int64_t bins,
                                               const std::optional<Doubles>& range, const Tensor& weight,
                                               bool density) {
    return histogramdd(self, Ints(static_cast<std::size_t>(self.dim() == 0 ? 0 : self.size(-1)), bins), range, weight,
                       density);
}
Tensor histogramdd_tensor_counts(const Tensor& self, const TensorList& bins, const Tensor& weight, bool density) {
    const std::int64_t d = point_size("histogramdd", self, bins.size(), weight);
    return histogram_edged("histogramdd", points_of("histogramdd", self, weight, d), bins, weight, density).counts;
}
std::tuple<Tensor, TensorList> histogramdd_tensors(const Tensor& self, const TensorList& bins,
                                                   const std::optional<Doubles>&, const Tensor& weight, bool density) {
    return {histogramdd_tensor_counts(self, bins, weight, density), bins};
}
TensorList histogramdd_edges(const Tensor& self, const Ints& bins, const std::optional<Doubles>& range, const Tensor&,
                             bool) {
    const std::int64_t d = point_size("histogramdd", self, bins.size(), {});
    return histogram_counted("histogramdd", points_of("histogramdd", self, {}, d), bins, range, {}, false, false).edges;
}
Tensor histogramdd_counts(const Tensor& self, const Ints& bins, const std::optional<Doubles>& range,
                          const Tensor& weight, bool density) {
    return std::get<0>(histogramdd(self, bins, range, weight, density));
}

}  // namespace

void register_unique(Registry& r) {
    r.add("_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)", unique);
    r.add(
        "_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, "
        "Tensor, Tensor)",
        unique2);
    r.add(
        "unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> "
        "(Tensor, Tensor, Tensor)",
        unique_dim);
    r.add(
        "unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) -> "
        "(Tensor, Tensor, Tensor)",
        unique_consecutive);
    r.add(
        "unique_dim_consecutive(Tensor self, int dim, bool return_inverse=False, bool return_counts=False) -> (Tensor, "
        "Tensor, Tensor)",
        unique_dim_consecutive);
    r.add(
        "isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> "
        "Tensor",
        isin);
    r.add(
        "isin.Tensor_Scalar(Tensor elements, Scalar test_element, *, bool assume_unique=False, bool invert=False) -> "
        "Tensor",
        isin);
    r.add(
        "isin.Scalar_Tensor(Scalar element, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> "
        "Tensor",
        isin);
    r.add("bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor", bincount);
    r.add("histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor", histc);
    r.add(
        "histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None, bool density=False) "
        "-> (Tensor hist, Tensor bin_edges)",
        histogram);
    r.add(
        "histogram.bins_tensor(Tensor self, Tensor bins, *, Tensor? weight=None, bool density=False) -> (Tensor hist, "
        "Tensor bin_edges)",
        histogram_bins);
    r.add(
        "histogramdd(Tensor self, int[] bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor "
        "hist, Tensor[] bin_edges)",
        histogramdd);
    r.add(
        "histogramdd.int_bins(Tensor self, int bins, float[]? range=None, Tensor? weight=None, bool density=False) -> "
        "(Tensor hist, Tensor[] bin_edges)",
        histogramdd_int);
    r.add(
        "histogramdd.TensorList_bins(Tensor self, Tensor[] bins, float[]? range=None, Tensor? weight=None, bool "
        "density=False) -> (Tensor hist, Tensor[] bin_edges)",
        histogramdd_tensors);
    r.add(
        "_histogramdd_bin_edges(Tensor self, int[] bins, *, float[]? range=None, Tensor? weight=None, bool "
        "density=False) -> Tensor[]",
        histogramdd_edges);
    r.add(
        "_histogramdd_from_bin_cts(Tensor self, int[] bins, *, float[]? range=None, Tensor? weight=None, bool "
        "density=False) -> Tensor",
        histogramdd_counts);
    r.add(
        "_histogramdd_from_bin_tensors(Tensor self, Tensor[] bins, *, Tensor? weight=None, bool density=False) -> "
        "Tensor",
        histogramdd_tensor_counts);
}

}  // namespace torch_ir::kernels
