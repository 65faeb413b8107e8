// SPDX-License-Identifier: MIT
// Contractions of tensors over labelled dimensions, all by way of batched matrix products.
#include <algorithm>
#include <map>

#include "kernels/arithmetic.hpp"
#include "kernels/families.hpp"
#include "kernels/matmul.hpp"
#include "kernels/reduce.hpp"
#include "kernels/view.hpp"
#include "promote.hpp"

namespace torch_ir::kernels {
namespace {

using Labels = std::vector<int>;

/// A tensor whose dimensions have labels, each once.
struct Labelled {
    Tensor tensor;
    Labels labels;
};

bool contains(const Labels& labels, int label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
}

std::int64_t position(const Labels& labels, int label) {
    return std::find(labels.begin(), labels.end(), label) - labels.begin();
}

/// Dimensions in the order of `order` (all labels of `x`).
Tensor arranged(const Labelled& x, const Labels& order) {
    Ints dims;
    for (const int label : order) dims.push_back(position(x.labels, label));
    return x.tensor.permute(dims);
}

/// Sums over the labels that are not in `kept`; `grow`: integers become int64, as in a sum.
Labelled summed(const Labelled& x, const Labels& kept, bool grow) {
    Ints dims;
    Labels labels;
    for (std::size_t i = 0; i < x.labels.size(); ++i)
        if (contains(kept, x.labels[i]))
            labels.push_back(x.labels[i]);
        else
            dims.push_back(static_cast<std::int64_t>(i));
    if (dims.empty()) return x;
    return {sum(x.tensor, dims, false, grow ? std::nullopt : std::optional(x.tensor.dtype())), labels};
}

/// Leaves out the dimensions of size 1 that are not in `kept`.
Labelled squeezed(Labelled x, const Labels& kept) {
    for (std::size_t i = x.labels.size(); i-- > 0;)
        if (!contains(kept, x.labels[i]) && x.tensor.size(static_cast<std::int64_t>(i)) == 1) {
            x.tensor = x.tensor.squeeze(static_cast<std::int64_t>(i));
            x.labels.erase(x.labels.begin() + static_cast<std::ptrdiff_t>(i));
        }
    return x;
}

/// The product of two tensors, summed over the labels that are not in `kept`. Sizes of 1 broadcast. `promotes`: in
/// terms of sums and products, which promote, where there is no dimension to contract.
Labelled contract(Labelled a, Labelled b, const Labels& kept, bool promotes) {
    const auto both = [&](const Labels& x, const Labels& y) {
        Labels all = x;
        all.insert(all.end(), y.begin(), y.end());
        return all;
    };
    a = squeezed(a, kept);
    b = squeezed(b, kept);
    a = summed(a, both(kept, b.labels), promotes);
    b = summed(b, both(kept, a.labels), promotes);
    Labels batch;
    Labels inner;
    Labels left;
    Labels right;
    Ints size_a = a.tensor.shape();
    Ints size_b = b.tensor.shape();
    for (std::size_t i = 0; i < a.labels.size(); ++i) {
        const int label = a.labels[i];
        if (!contains(b.labels, label)) {
            left.push_back(label);
            continue;
        }
        auto& m = size_a[i];
        auto& n = size_b[static_cast<std::size_t>(position(b.labels, label))];
        if (m == 1) m = n;
        if (n == 1) n = m;
        (contains(kept, label) ? batch : inner).push_back(label);
    }
    for (const int label : b.labels)
        if (!contains(a.labels, label)) right.push_back(label);
    a.tensor = a.tensor.expand(size_a);
    b.tensor = b.tensor.expand(size_b);
    const auto size = [](const Labelled& x, const Labels& labels) {
        std::int64_t n = 1;
        for (const int label : labels) n *= x.tensor.size(position(x.labels, label));
        return n;
    };
    const Tensor x =
        arranged(a, both(both(batch, left), inner)).reshape({size(a, batch), size(a, left), size(a, inner)});
    const Tensor y =
        arranged(b, both(both(batch, inner), right)).reshape({size(b, batch), size(b, inner), size(b, right)});
    Ints shape;
    for (const int label : batch) shape.push_back(a.tensor.size(position(a.labels, label)));
    for (const int label : left) shape.push_back(a.tensor.size(position(a.labels, label)));
    for (const int label : right) shape.push_back(b.tensor.size(position(b.labels, label)));
    const Tensor product = promotes && inner.empty() ? times(x, y) : matmul(x, y);
    return {product.reshape(std::span<const std::int64_t>(shape)), both(both(batch, left), right)};
}

// einsum.

[[noreturn]] void bad_equation(const std::string& equation, const std::string& why) {
    throw ArgumentError("einsum: equation '" + equation + "': " + why);
}

constexpr int ellipsis = -1;

/// The labels of one term; letters are their codes.
Labels parse_term(const std::string& equation, std::string_view term) {
    Labels labels;
    for (std::size_t i = 0; i < term.size(); ++i) {
        const char c = term[i];
        if (c == ' ') continue;
        if (c == '.') {
            if (term.substr(i, 3) != "..." || contains(labels, ellipsis))
                bad_equation(equation, "expected at most one '...' in a term");
            labels.push_back(ellipsis);
            i += 2;
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            labels.push_back(c);
        } else {
            bad_equation(equation, std::string("unexpected character '") + c + "'");
        }
    }
    return labels;
}

/// Replaces the ellipsis by labels of `count` dimensions, numbered from the last.
Labels expand_ellipsis(const Labels& labels, std::int64_t count) {
    Labels result;
    for (const int label : labels)
        if (label != ellipsis)
            result.push_back(label);
        else
            for (std::int64_t i = count; i > 0; --i) result.push_back(1000 + static_cast<int>(i));
    return result;
}

/// Repeated labels become diagonals.
Labelled diagonals(Labelled x) {
    for (std::size_t i = 0; i < x.labels.size(); ++i)
        for (std::size_t j = i + 1; j < x.labels.size();) {
            if (x.labels[i] != x.labels[j]) {
                ++j;
                continue;
            }
            const auto d0 = static_cast<std::int64_t>(i);
            const auto d1 = static_cast<std::int64_t>(j);
            if (x.tensor.size(d0) != x.tensor.size(d1))
                throw ArgumentError("einsum: a repeated subscript has sizes " + std::to_string(x.tensor.size(d0)) +
                                    " and " + std::to_string(x.tensor.size(d1)));
            x.tensor = movedim(diagonal(x.tensor, 0, d0, d1), {-1}, {d0});
            x.labels.erase(x.labels.begin() + static_cast<std::ptrdiff_t>(j));
        }
    return x;
}

/// The dimensions in the order of the output, then those that are summed by their letters, which decides how the result
/// lies in memory.
Labelled ordered(const Labelled& x, const Labels& output) {
    Labels labels = x.labels;
    std::ranges::sort(labels, {}, [&](int label) {
        return contains(output, label) ? std::pair(0, static_cast<int>(position(output, label))) : std::pair(1, label);
    });
    return {arranged(x, labels), labels};
}

/// Does PyTorch multiply `y` by `x` and not `x` by `y`? Where all dimensions of its own come first in the output, and
/// every other one is in both.
bool comes_first(const Labelled& y, const Labelled& x, const Labels& output) {
    const auto has = [](const Labelled& t, int label) {
        return contains(t.labels, label) && t.tensor.size(position(t.labels, label)) != 1;
    };
    Labels own_x, own_y;
    for (const int label : output)
        if (has(x, label) != has(y, label)) (has(x, label) ? own_x : own_y).push_back(label);
    const auto shared = [&](const Labelled& t) {
        return std::ranges::all_of(
            t.labels, [&](int label) { return contains(output, label) || (has(x, label) && has(y, label)); });
    };
    const bool contracts = std::ranges::any_of(x.labels, [&](int label) { return !contains(output, label); });
    return contracts && shared(x) && shared(y) && !own_x.empty() && !own_y.empty() &&
           position(output, own_y.back()) < position(output, own_x.front());
}

/// The order of contraction changes nothing; a wrong one is an error.
void check_path(const Ints& path, std::size_t operands) {
    const std::size_t size = operands == 1 ? 1 : (operands - 1) * 2;
    if (path.size() != size)
        throw ArgumentError("einsum: expected 'path' of " + std::to_string(size) + " elements, found " +
                            std::to_string(path.size()));
    for (std::size_t i = 0; operands > 1; i += 2, --operands)
        if (const auto [low, high] = std::minmax(path[i], path[i + 1]);
            low < 0 || high >= static_cast<std::int64_t>(operands) || low == high)
            throw ArgumentError("einsum: 'path' contracts operands " + std::to_string(path[i]) + " and " +
                                std::to_string(path[i + 1]) + " of " + std::to_string(operands));
}

Tensor einsum(const std::string& equation, const TensorList& tensors, const std::optional<Ints>& path) {
    if (tensors.empty()) throw ArgumentError("einsum: expected 'tensors' to have elements");
    if (path) check_path(*path, tensors.size());
    const std::size_t arrow = equation.find("->");
    std::string_view inputs = std::string_view(equation).substr(0, arrow);
    std::vector<Labelled> operands;
    std::int64_t ellipsis_size = 0;
    std::map<int, int> uses;
    while (true) {
        const std::size_t comma = inputs.find(',');
        const Labels labels = parse_term(equation, inputs.substr(0, comma));
        if (operands.size() == tensors.size()) bad_equation(equation, "more terms than tensors");
        const Tensor& t = tensors[operands.size()];
        const bool open = contains(labels, ellipsis);
        const std::int64_t extra = t.dim() - static_cast<std::int64_t>(labels.size()) + (open ? 1 : 0);
        if (extra < 0 || (!open && extra != 0))
            bad_equation(equation, "term " + std::to_string(operands.size() + 1) + " does not fit " + describe(t));
        ellipsis_size = std::max(ellipsis_size, extra);
        operands.push_back(diagonals({t, expand_ellipsis(labels, extra)}));
        for (const int label : labels) ++uses[label];
        if (comma == std::string_view::npos) break;
        inputs.remove_prefix(comma + 1);
    }
    if (operands.size() != tensors.size()) bad_equation(equation, "fewer terms than tensors");

    Labels output;
    if (arrow != std::string::npos) {
        output = expand_ellipsis(parse_term(equation, std::string_view(equation).substr(arrow + 2)), ellipsis_size);
        for (std::size_t i = 0; i < output.size(); ++i)
            if (std::count(output.begin(), output.end(), output[i]) > 1)
                bad_equation(equation, "a subscript appears twice in the output");
    } else {
        output = expand_ellipsis({ellipsis}, ellipsis_size);
        for (const auto& [label, count] : uses)
            if (label != ellipsis && count == 1) output.push_back(label);
    }
    for (const int label : output)
        if (label < 1000 && uses.count(label) == 0)
            bad_equation(equation,
                         std::string("output subscript '") + static_cast<char>(label) + "' is not in the inputs");

    for (Labelled& operand : operands) operand = ordered(operand, output);
    if (operands.size() == 2 && comes_first(operands[1], operands[0], output)) std::swap(operands[0], operands[1]);
    Labelled total = operands[0];
    for (std::size_t i = 1; i < operands.size(); ++i) {
        Labels kept = output;
        for (std::size_t j = i + 1; j < operands.size(); ++j)
            kept.insert(kept.end(), operands[j].labels.begin(), operands[j].labels.end());
        for (const int label : operands[i].labels) {
            const std::int64_t m = contains(total.labels, label) ? total.tensor.size(position(total.labels, label)) : 1;
            const std::int64_t n = operands[i].tensor.size(position(operands[i].labels, label));
            if (m != n && m != 1 && n != 1)
                bad_equation(equation, "a subscript has sizes " + std::to_string(m) + " and " + std::to_string(n));
        }
        total = contract(total, operands[i], kept, true);
    }
    total = summed(total, output, operands.size() == 1);
    // Ellipsis dimensions that no operand has are of size 1.
    for (const int label : output)
        if (!contains(total.labels, label)) {
            total.tensor = total.tensor.unsqueeze(0);
            total.labels.insert(total.labels.begin(), label);
        }
    return arranged(total, output);
}

Tensor tensordot(const Tensor& self, const Tensor& other, const Ints& dims_self, const Ints& dims_other) {
    if (dims_self.size() != dims_other.size())
        throw ArgumentError("tensordot: expected 'dims_self' and 'dims_other' of one length, found " +
                            to_string(dims_self) + " and " + to_string(dims_other));
    Labelled a{self, {}};
    Labelled b{other, {}};
    for (std::int64_t d = 0; d < self.dim(); ++d) a.labels.push_back(static_cast<int>(d));
    for (std::int64_t d = 0; d < other.dim(); ++d) b.labels.push_back(1000 + static_cast<int>(d));
    if (!dims_self.empty()) {
        normalize_dims(self, dims_self);
        normalize_dims(other, dims_other);
    }
    for (std::size_t i = 0; i < dims_self.size(); ++i) {
        const std::int64_t m = self.size(dims_self[i]);
        const std::int64_t n = other.size(dims_other[i]);
        if (m != n && m != 1 && n != 1)
            throw ArgumentError("tensordot: contracted dimensions have sizes " + std::to_string(m) + " and " +
                                std::to_string(n));
        if (self.dim() > 0 && other.dim() > 0)
            b.labels[static_cast<std::size_t>(other.wrap_dim(dims_other[i]))] =
                static_cast<int>(self.wrap_dim(dims_self[i]));
    }
    Labels kept;
    for (const int label : a.labels)
        if (!contains(b.labels, label)) kept.push_back(label);
    for (const int label : b.labels)
        if (!contains(a.labels, label)) kept.push_back(label);
    return arranged(contract(a, b, kept, false), kept);
}

Tensor inner(const Tensor& self, const Tensor& other) {
    if (self.dim() == 0 || other.dim() == 0) return times(self, other);
    if (self.size(-1) != other.size(-1))
        throw ArgumentError("inner: expected equal sizes of the last dimension, found " + describe(self) + " and " +
                            describe(other));
    return tensordot(self, other, {-1}, {-1});
}

Tensor kron(const Tensor& self, const Tensor& other) {
    const std::int64_t rank = std::max(self.dim(), other.dim());
    Ints shape_a;
    Ints shape_b;
    Ints shape;
    for (std::int64_t d = 0; d < rank; ++d) {
        const std::int64_t m = d < rank - self.dim() ? 1 : self.size(d - (rank - self.dim()));
        const std::int64_t n = d < rank - other.dim() ? 1 : other.size(d - (rank - other.dim()));
        shape_a.insert(shape_a.end(), {m, 1});
        shape_b.insert(shape_b.end(), {1, n});
        shape.push_back(m * n);
    }
    return times(self.reshape(std::span<const std::int64_t>(shape_a)),
                 other.reshape(std::span<const std::int64_t>(shape_b)))
        .reshape(std::span<const std::int64_t>(shape));
}

Tensor bilinear(const Tensor& input1, const Tensor& input2, const Tensor& weight, const Tensor& bias) {
    if (weight.dim() != 3 || input1.dim() != input2.dim() || input1.dim() == 0 || input1.size(-1) != weight.size(1) ||
        input2.size(-1) != weight.size(2))
        throw ArgumentError("bilinear: inputs " + describe(input1) + " and " + describe(input2) +
                            " do not fit 'weight' " + describe(weight));
    if (bias.defined() && (bias.dim() != 1 || bias.size(0) != weight.size(0)))
        throw ArgumentError("bilinear: expected 'bias' of shape [" + std::to_string(weight.size(0)) + "], found " +
                            describe(bias));
    const Tensor y = einsum("...i,oij,...j->...o", {input1, weight, input2}, {});
    return bias.defined() ? plus(y, bias) : y;
}

Tensor multi_dot(const TensorList& tensors) {
    if (tensors.size() < 2)
        throw ArgumentError("linalg.multi_dot: expected at least two tensors, found " + std::to_string(tensors.size()));
    Tensor product = tensors[0];
    for (std::size_t i = 1; i < tensors.size(); ++i) {
        if (tensors[i].dim() < 1 || tensors[i].dim() > 2 || (tensors[i].dim() == 1 && i + 1 < tensors.size()))
            throw ArgumentError("linalg.multi_dot: expected matrices, and vectors only at the ends, found " +
                                describe(tensors[i]));
        product = matmul(product, tensors[i]);
    }
    return product;
}

/// The products of x, conjugated, and y along `dim`.
Tensor vecdot(const Tensor& x, const Tensor& y, std::int64_t dim) {
    if (x.dim() == 1 && y.dim() == 1 && x.numel() != y.numel())
        throw ArgumentError("linalg.vecdot: expected 'x' and 'y' of one size, found " + describe(x) + " and " +
                            describe(y));
    if (x.dtype() != y.dtype() || is_integral(x.dtype(), true))
        throw ArgumentError("linalg.vecdot: expected 'x' and 'y' of one floating point or complex dtype, found " +
                            describe(x) + " and " + describe(y));
    const Tensor product = times(is_complex(x.dtype()) ? conj(x) : x, y);
    return sum(product, Ints{dim}, false, product.dtype());
}

/// The sum of i1 · i2 · i3 with dimensions of size 1 inserted at expand1, …, over sumdim. As in PyTorch a dimension
/// that none of the three has is of size 0.
Tensor trilinear(const Tensor& i1, const Tensor& i2, const Tensor& i3, const Ints& expand1, const Ints& expand2,
                 const Ints& expand3, const Ints& sumdim, std::int64_t unroll_dim) {
    const std::int64_t rank = i1.dim() + static_cast<std::int64_t>(expand1.size());
    if (unroll_dim < 0 || unroll_dim >= rank)
        throw ArgumentError("_trilinear: expected 'unroll_dim' between 0 and " + std::to_string(rank - 1) + ", found " +
                            std::to_string(unroll_dim));
    const auto has = [rank](const Ints& dims, std::int64_t d) {
        return std::ranges::any_of(dims, [&](std::int64_t other) { return other == d || other + rank == d; });
    };
    const auto expanded = [&](Tensor t, const Ints& dims) {
        for (std::int64_t d = 0; d < rank; ++d)
            if (has(dims, d)) t = t.unsqueeze(d);
        return t;
    };
    const DType dtype = result_type(i1, i2);
    // As in PyTorch, where products that are summed take one dtype. Sums over unroll_dim are taken one by one.
    for (const std::int64_t dim : sumdim) {
        const std::int64_t d = dim < 0 ? dim + rank : dim;
        if (d != unroll_dim && (has(expand3, d) ? i1.dtype() != i2.dtype() : dtype != i3.dtype()))
            throw ArgumentError("_trilinear: expected operands of one dtype, found " + describe(i1) + ", " +
                                describe(i2) + " and " + describe(i3));
    }
    Tensor product = times(times(expanded(i1, expand1), expanded(i2, expand2)), expanded(i3, expand3));
    if (!can_cast(product.dtype(), i1.dtype()))
        throw ArgumentError("_trilinear: expected operands that can be cast to the dtype of 'i1', found " +
                            describe(i1) + ", " + describe(i2) + " and " + describe(i3));
    for (std::int64_t d = 0; d < rank; ++d)
        if (has(expand1, d) && has(expand2, d) && has(expand3, d) && (!has(sumdim, d) || d == unroll_dim))
            product = product.narrow(d, 0, 0);
    return (sumdim.empty() ? product : sum(product, sumdim, false, product.dtype())).to(i1.dtype());
}

}  // namespace

void register_contract(Registry& r) {
    r.add("einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", einsum);
    r.add("tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor", tensordot);
    r.add("inner(Tensor self, Tensor other) -> Tensor", inner);
    r.add("kron(Tensor self, Tensor other) -> Tensor", kron);
    r.add("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", bilinear);
    r.add("linalg_multi_dot(Tensor[] tensors) -> Tensor", multi_dot);
    r.add("chain_matmul(Tensor[] matrices) -> Tensor",
          [](const TensorList& matrices) { return matrices.size() == 1 ? matrices[0] : multi_dot(matrices); });
    r.add(
        "_trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, int[] expand3, int[] sumdim, int "
        "unroll_dim=1) -> Tensor",
        trilinear);
    r.add("linalg_matmul(Tensor self, Tensor other) -> Tensor", matmul);
    r.add("linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", vecdot);
}

}  // namespace torch_ir::kernels
